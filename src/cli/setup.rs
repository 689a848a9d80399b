//! `weir setup` and `weir teardown`: print, or run, what weir needs in each database.

use std::process::ExitCode;

use crate::cli::args::{Global, SetupArgs};
use crate::cli::context::{Ends, known, links, load, refused, settled};
use crate::cli::output::say;
use crate::cli::{exit, report, state};
use crate::config::{Config, Database, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::ports::Room;
use crate::model::Table;
use crate::plan::{self, Finding};
use crate::state::Store;

const SETUP: &str = "setup";
const TEARDOWN: &str = "teardown";
/// `weir setup`.
pub(super) async fn set_up(global: &Global, args: &SetupArgs) -> Result<ExitCode> {
    let config = load(global)?;
    known(&config, args.on.as_deref())?;
    let names = links(&config, &args.links)?;
    let config = settled(config, &names).await;
    let mut refusal = None;
    for link in names {
        let ends = Ends::of(&config, &link, &config.name)?;
        refusal = prepare(&ends, args).await?.or(refusal);
    }
    match refusal {
        None => Ok(ExitCode::from(exit::GOOD)),
        Some(refusal) => Err(refusal.hint(
            "run the statements above as an administrator, then `weir setup` again: it prints the \
             rest",
        )),
    }
}

/// Prepares both ends of a link. Where the user cannot see all that the link needs, only that is
/// prepared by which it can, and what it could not see is returned.
async fn prepare(ends: &Ends<'_>, args: &SetupArgs) -> Result<Option<Error>> {
    let plan = match ends.catalogs().await {
        Err(error) if error.kind() == Kind::Privilege => return first(ends, error, args).await,
        catalogs => match ends.plan(&catalogs?) {
            Err(findings) => return first(ends, refused(ends.link(), &findings), args).await,
            Ok(plan) => plan,
        },
    };
    let (at_source, at_target) = plan::selection(ends.config, ends.link());
    let tables: Vec<&Table> = plan.tables.iter().map(|table| &table.source).collect();
    let room = ends.source_room();
    let account = room.account(ends.source).await?;
    let mut statements = room.setup_entry(ends.source, &account, &at_source.schemas());
    statements.extend(room.setup_source(&ends.context, ends.source, &account, &tables));
    print_or_run(room, ends.source, SETUP, &statements, args).await?;
    let tables: Vec<&Table> = plan.tables.iter().map(|table| &table.target).collect();
    let room = ends.target_room();
    let account = room.account(ends.target).await?;
    let mut statements = room.setup_entry(ends.target, &account, &at_target.schemas());
    statements.extend(room.setup_target(&account, &tables));
    print_or_run(room, ends.target, SETUP, &statements, args).await?;
    Ok(None)
}

/// Prints what lets weir look, where `refusal` may come from its not seeing all. It is never run: a
/// user that may not look may not grant either.
async fn first(ends: &Ends<'_>, refusal: Error, args: &SetupArgs) -> Result<Option<Error>> {
    let unseen = unseen(ends).await?;
    if unseen.is_empty() {
        return Err(refusal);
    }
    let only_print = SetupArgs { apply: false, ..args.clone() };
    for (database, statements) in unseen {
        // Only printing: which room is of no concern.
        print_or_run(ends.source_room(), database, SETUP, &statements, &only_print).await?;
    }
    Ok(Some(refusal))
}

/// What an administrator has to grant before weir can see which tables there are, at each end that
/// hides some, or does not let weir in.
pub(super) async fn unseen<'a>(ends: &Ends<'a>) -> Result<Vec<(&'a Database, Vec<String>)>> {
    let (source, target) = plan::selection(ends.config, ends.link());
    let mut grants = Vec::new();
    for (room, database, selection) in
        [(ends.source_room(), ends.source, source), (ends.target_room(), ends.target, target)]
    {
        let schemas = selection.schemas();
        let hidden = match room.hidden(database, &schemas).await {
            Err(error) if error.kind() == Kind::Privilege => schemas.clone(),
            Ok(hidden) if hidden.is_empty() => continue,
            hidden => hidden?,
        };
        let account = room.account(database).await?;
        grants.push((database, room.setup_entry(database, &account, &hidden)));
    }
    Ok(grants)
}

/// These as findings of `weir check`.
pub(super) async fn not_seen(ends: &Ends<'_>) -> Vec<Finding> {
    // What keeps the grants from being told keeps more from being done, and is told there.
    let grants = unseen(ends).await.unwrap_or_default();
    let find = |(database, grants): (&Database, Vec<String>)| Finding {
        fatal: true,
        kind: Kind::Privilege,
        subject: format!("database {}", database.name),
        message: format!("user {} does not see which tables there are", database.user),
        hint: "then `weir setup` prints the rest".to_owned(),
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
