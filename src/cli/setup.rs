//! `weir setup` and `weir teardown`: print, or run, what weir needs in each database.

use std::process::ExitCode;

use crate::cli::args::{Global, SetupArgs};
use crate::cli::context::{Catalogs, Ends, known, links, load, refused, settled};
use crate::cli::output::say;
use crate::cli::{exit, report, state};
use crate::config::{Config, Database, Dialect, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::ports::Room;
use crate::model::Table;
use crate::plan::{self, Finding};
use crate::state::Store;

const SETUP: &str = "setup";
const TEARDOWN: &str = "teardown";
/// What weir may do with the tables of a source, and of a target.
const SOURCE_RIGHTS: &str = "SELECT";
const TARGET_RIGHTS: &str = "SELECT, INSERT, UPDATE, DELETE";

/// `weir setup`.
pub(super) async fn set_up(global: &Global, args: &SetupArgs) -> Result<ExitCode> {
    let config = load(global)?;
    known(&config, args.on.as_deref())?;
    let names = links(&config, &args.links)?;
    let config = settled(config, &names).await;
    let mut refusal = None;
    for link in names {
        let ends = Ends::of(&config, &link, &config.name)?;
        let catalogs = match ends.catalogs().await {
            Err(error) if error.kind() == Kind::Privilege => {
                entry(&ends, [false; 2], args).await?;
                refusal = Some(error);
                continue;
            }
            catalogs => catalogs?,
        };
        let plan = match ends.plan(&catalogs) {
            Ok(plan) => plan,
            Err(findings) => {
                let hidden = hidden(&ends, &catalogs);
                let error = refused(&link, &findings);
                if hidden == [false; 2] {
                    return Err(error);
                }
                entry(&ends, hidden, args).await?;
                refusal = Some(error);
                continue;
            }
        };
        let sources: Vec<&Table> = plan.tables.iter().map(|table| &table.source).collect();
        let targets: Vec<&Table> = plan.tables.iter().map(|table| &table.target).collect();
        let room = ends.source_room();
        let account = room.account(ends.source).await?;
        let statements = room.setup_source(&ends.context, ends.source, &account, &sources);
        print_or_run(room, ends.source, SETUP, &statements, args).await?;
        let room = ends.target_room();
        let account = room.account(ends.target).await?;
        let statements = room.setup_target(&account, &targets);
        print_or_run(room, ends.target, SETUP, &statements, args).await?;
    }
    match refusal {
        None => Ok(ExitCode::from(exit::GOOD)),
        Some(refusal) => Err(refusal.hint(
            "run the statements above as an administrator, then `weir setup` again: it prints the \
             rest",
        )),
    }
}

/// At which ends no table is seen and that may mean that the user has no right on any: MySQL and
/// MariaDB show nothing of what a user has no right on.
fn hidden(ends: &Ends<'_>, catalogs: &Catalogs) -> [bool; 2] {
    let hides = |database: &Database| database.dialect != Dialect::Postgres;
    [
        hides(ends.source) && catalogs.source.is_empty(),
        hides(ends.target) && catalogs.target.is_empty(),
    ]
}

/// What an administrator has to grant before weir can see which tables there are, at each end that
/// seems to hide them, or lets nobody in.
async fn unseen<'a>(
    ends: &Ends<'a>,
    hidden: [bool; 2],
) -> Result<Vec<(&'a Database, Vec<String>)>> {
    let (source, target) = plan::selection(ends.config, ends.link());
    let mut grants = Vec::new();
    for (room, database, selection, rights, hidden) in [
        (ends.source_room(), ends.source, source, SOURCE_RIGHTS, hidden[0]),
        (ends.target_room(), ends.target, target, TARGET_RIGHTS, hidden[1]),
    ] {
        match room.version(database).await {
            Err(error) if error.kind() == Kind::Privilege => {}
            Ok(_) if hidden => {}
            looked => {
                looked?;
                continue;
            }
        }
        let halves = selection.include.iter().filter_map(|pattern| pattern.split_once('.'));
        let schemas: Vec<&str> = halves.map(|(schema, _)| schema).collect();
        let account = room.account(database).await?;
        grants.push((database, room.setup_entry(database, &account, &schemas, rights)));
    }
    Ok(grants)
}

/// Prints these. They are never run: a user that may not look may not grant either.
async fn entry(ends: &Ends<'_>, hidden: [bool; 2], args: &SetupArgs) -> Result<()> {
    let only_print = SetupArgs { apply: false, ..args.clone() };
    for (database, statements) in unseen(ends, hidden).await? {
        // Only printing: which room is of no concern.
        print_or_run(ends.source_room(), database, SETUP, &statements, &only_print).await?;
    }
    Ok(())
}

/// These as findings of `weir check`, where it sees no table.
pub(super) async fn nothing_seen(ends: &Ends<'_>, catalogs: Option<&Catalogs>) -> Vec<Finding> {
    let hidden = catalogs.map_or([false; 2], |catalogs| hidden(ends, catalogs));
    // What keeps the grants from being told keeps more from being done, and is told there.
    let grants = unseen(ends, hidden).await.unwrap_or_default();
    let find = |(database, grants): (&Database, Vec<String>)| Finding {
        fatal: true,
        kind: Kind::Privilege,
        subject: format!("database {}", database.name),
        message: format!("user {} sees no table there", database.user),
        hint: "if the tables are there; then `weir setup` prints the rest".to_owned(),
        mend: grants,
    };
    grants.into_iter().map(find).collect()
}

/// `weir teardown`. Leaves what other links may use: the schema `weir` and the grants. Goes as far as
/// it can: what one side refuses does not keep the other from being undone.
pub(super) async fn tear_down(global: &Global, args: &SetupArgs) -> Result<ExitCode> {
    let config = load(global)?;
    known(&config, args.on.as_deref())?;
    let names = links(&config, &args.links)?;
    let config = settled(config, &names).await;
    // Held from before the first statement to the end: nothing is removed under a weir that runs.
    let store = if args.apply { state::hold(&config).await? } else { None };
    let mut failures = Vec::new();
    for link in &names {
        failures.extend(undo(&config, link, store.as_ref(), args).await);
    }
    if let Some(store) = store {
        store.close().await;
    }
    if !args.apply {
        say!("-- in the end `weir teardown --apply`: weir itself forgets the links too");
    }
    let last = failures.pop();
    failures.iter().for_each(report);
    last.map_or(Ok(ExitCode::from(exit::GOOD)), Err)
}

/// Undoes one link: source, target, and what is remembered of it; returns what went wrong.
async fn undo(
    config: &Config,
    link: &LinkName,
    store: Option<&Store>,
    args: &SetupArgs,
) -> Vec<Error> {
    let ends = match Ends::of(config, link, &config.name) {
        Ok(ends) => ends,
        Err(error) => return vec![error],
    };
    let mut failures = Vec::new();
    let room = ends.source_room();
    let statements = room.teardown_source(&ends.context);
    failures.extend(print_or_run(room, ends.source, TEARDOWN, &statements, args).await.err());
    let room = ends.target_room();
    let statements = room.teardown_target(&ends.context);
    match print_or_run(room, ends.target, TEARDOWN, &statements, args).await {
        Err(error) => failures.push(error),
        // A link is forgotten with its witness, and not before.
        Ok(()) if args.on.as_ref().is_none_or(|only| *only == ends.target.name) => {
            if let Some(store) = store {
                failures.extend(store.forget(link).await.err());
            }
        }
        Ok(()) => {}
    }
    failures
}

async fn print_or_run(
    room: &dyn Room,
    database: &Database,
    verb: &str,
    statements: &[String],
    args: &SetupArgs,
) -> Result<()> {
    if args.on.as_ref().is_some_and(|only| *only != database.name) {
        return Ok(());
    }
    say!("-- on {} ({} at {})", database.name, database.dialect, database.listens_at());
    for statement in statements {
        say!("{};", statement.trim_end().trim_end_matches(';'));
    }
    if args.apply {
        room.execute(database, verb, statements).await?;
        say!("-- done");
    }
    Ok(())
}
