//! `weir setup`: prints, or runs, what weir needs in each database.

use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::args::{Global, SetupArgs};
use crate::cli::context::{Ends, known, links, load, refused, settled};
use crate::cli::exit;
use crate::cli::output::{remark, say};
use crate::config::Database;
use crate::error::{Error, Kind, Result};
use crate::link::ports::{End, Room};
use crate::model::Table;
use crate::plan::{Finding, TablePlan};

const SETUP: &str = "setup";

/// What is done with statements.
#[derive(Clone, Copy)]
pub(super) struct Mode<'a> {
    /// Only those for this database.
    pub(super) on: Option<&'a str>,
    /// They are run, not only printed.
    pub(super) apply: bool,
}

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &SetupArgs) -> Result<ExitCode> {
    let config = load(global)?;
    known(&config, args.on.as_deref())?;
    let names = links(&config, &args.links)?;
    let config = settled(config, &names).await;
    let mode = Mode { on: args.on.as_deref(), apply: args.apply };
    let mut refusal = None;
    for link in names {
        let ends = Ends::of(&config, &link, &config.name)?;
        refusal = prepare(&ends, mode).await?.or(refusal);
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
async fn prepare(ends: &Ends<'_>, mode: Mode<'_>) -> Result<Option<Error>> {
    let catalogs = match ends.described_catalogs().await {
        Err(error) if error.kind() == Kind::Privilege => return first(ends, error, mode).await,
        catalogs => catalogs?,
    };
    let plan = match ends.plan(&catalogs) {
        Err(findings) => return first(ends, refused(ends.link(), &findings), mode).await,
        Ok(plan) => plan,
    };
    let tables: Vec<&Table> = plan.tables.iter().map(|table| &table.source).collect();
    let room = ends.source_room();
    let account = room.account(ends.source).await?;
    let mut statements = ends.setup_source(&account, &tables);
    statements.extend(ends.setup_lists(End::Source, &account, &catalogs.into));
    print_or_run(room, ends.source, SETUP, &statements, mode).await?;
    let tables: Vec<&TablePlan> = plan.tables.iter().map(Arc::as_ref).collect();
    let room = ends.target_room();
    let account = room.account(ends.target).await?;
    let mut statements = ends.setup_target(&account, &tables);
    statements.extend(ends.setup_lists(End::Target, &account, &catalogs.into));
    print_or_run(room, ends.target, SETUP, &statements, mode).await?;
    Ok(None)
}

/// Prints what lets weir look, where `refusal` may come from its not seeing all. It is never run: a
/// user that may not look may not grant either.
async fn first(ends: &Ends<'_>, refusal: Error, mode: Mode<'_>) -> Result<Option<Error>> {
    let unseen = unseen(ends).await?;
    if unseen.is_empty() {
        return Err(refusal);
    }
    let only_print = Mode { apply: false, ..mode };
    for (database, statements) in unseen {
        // Only printing: which room is of no concern.
        print_or_run(ends.source_room(), database, SETUP, &statements, only_print).await?;
    }
    Ok(Some(refusal))
}

/// What an administrator has to grant before weir can see which tables there are, at each end that
/// hides some, or does not let weir in.
pub(super) async fn unseen<'a>(ends: &Ends<'a>) -> Result<Vec<(&'a Database, Vec<String>)>> {
    let (source, target) = ends.selections();
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

/// Prints statements for `database`, and runs them if asked to; nothing where another one was asked for.
pub(super) async fn print_or_run(
    room: &dyn Room,
    database: &Database,
    verb: &str,
    statements: &[String],
    Mode { on, apply }: Mode<'_>,
) -> Result<()> {
    if on.is_some_and(|only| only != database.name) {
        return Ok(());
    }
    remark!("on {} ({} at {})", database.name, database.dialect, database.listens_at());
    for statement in statements {
        say!("{};", statement.trim_end().trim_end_matches(';'));
    }
    if apply {
        room.execute(database, verb, statements).await?;
        remark!("done");
    }
    Ok(())
}
