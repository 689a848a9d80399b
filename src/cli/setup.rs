//! `weir setup` and `weir teardown`: print, or run, what weir needs in each database.

use std::process::ExitCode;

use crate::cli::args::{Global, SetupArgs};
use crate::cli::context::{Ends, links, load, refused};
use crate::cli::exit;
use crate::config::{Config, Database};
use crate::error::{Error, Kind, Result};
use crate::link::ports::Room;
use crate::model::Table;
use crate::plan;

/// What weir may do with the tables of a source, and of a target.
const SOURCE_RIGHTS: &str = "SELECT";
const TARGET_RIGHTS: &str = "SELECT, INSERT, UPDATE, DELETE";

/// `weir setup`.
pub(super) async fn set_up(global: &Global, args: &SetupArgs) -> Result<ExitCode> {
    let config = load(global)?;
    known(&config, args)?;
    for link in links(&config, &args.links)? {
        let ends = Ends::of(&config, &link, &config.name)?;
        let catalogs = match ends.catalogs().await {
            Err(error) if error.kind() == Kind::Privilege => {
                return entry(&ends, args, error).await;
            }
            catalogs => catalogs?,
        };
        let plan = ends.plan(&catalogs).map_err(|findings| refused(&link, &findings))?;
        let sources: Vec<&Table> = plan.tables.iter().map(|table| &table.source).collect();
        let targets: Vec<&Table> = plan.tables.iter().map(|table| &table.target).collect();
        let room = ends.source_room();
        let statements = room.setup_source(&ends.context, ends.source, &sources);
        print_or_run(room, ends.source, &statements, args).await?;
        let room = ends.target_room();
        let statements = room.setup_target(&ends.context, ends.target, &targets);
        print_or_run(room, ends.target, &statements, args).await?;
    }
    Ok(ExitCode::from(exit::GOOD))
}

/// What an administrator has to grant before weir can see which tables there are. Only printed: a
/// user that may not look may not grant either.
async fn entry(ends: &Ends<'_>, args: &SetupArgs, refusal: Error) -> Result<ExitCode> {
    let (source, target) = plan::selection(ends.config, ends.link());
    for (room, database, selection, rights) in [
        (ends.source_room(), ends.source, source, SOURCE_RIGHTS),
        (ends.target_room(), ends.target, target, TARGET_RIGHTS),
    ] {
        match room.version(database).await {
            Err(error) if error.kind() == Kind::Privilege => {}
            looked => {
                looked?;
                continue;
            }
        }
        let halves = selection.include.iter().filter_map(|pattern| pattern.split_once('.'));
        let schemas: Vec<&str> = halves.map(|(schema, _)| schema).collect();
        let statements = room.setup_entry(database, &schemas, rights);
        print_or_run(room, database, &statements, &SetupArgs { apply: false, ..args.clone() })
            .await?;
    }
    Err(refusal.hint(
        "run the statements above as an administrator, then `weir setup` again: it prints the rest",
    ))
}

/// `weir teardown`. Leaves the schema `weir` itself: other links may use it.
pub(super) async fn tear_down(global: &Global, args: &SetupArgs) -> Result<ExitCode> {
    let config = load(global)?;
    known(&config, args)?;
    for link in links(&config, &args.links)? {
        let ends = Ends::of(&config, &link, &config.name)?;
        let room = ends.source_room();
        let statements = room.teardown_source(&ends.context);
        print_or_run(room, ends.source, &statements, args).await?;
        let room = ends.target_room();
        let statements = room.teardown_target(&ends.context);
        print_or_run(room, ends.target, &statements, args).await?;
        // A link is forgotten once both of its sides are undone, the target last.
        if args.apply && args.on.as_ref().is_none_or(|only| *only == ends.target.name) {
            super::state::forget(&config, &link).await?;
        }
    }
    Ok(ExitCode::from(exit::GOOD))
}

/// Refuses a database that the configuration does not have.
fn known(config: &Config, args: &SetupArgs) -> Result<()> {
    match &args.on {
        Some(name) if !config.databases.contains_key(name) => {
            let names: Vec<&str> = config.databases.keys().map(String::as_str).collect();
            let unknown = Error::new(Kind::Configuration, format!("there is no database `{name}`"));
            Err(unknown.hint(format!("the configuration has: {}", names.join(", "))))
        }
        _ => Ok(()),
    }
}

async fn print_or_run(
    room: &dyn Room,
    database: &Database,
    statements: &[String],
    args: &SetupArgs,
) -> Result<()> {
    if args.on.as_ref().is_some_and(|only| *only != database.name) {
        return Ok(());
    }
    println!(
        "-- on {} ({} at {}:{})",
        database.name, database.dialect, database.host, database.port
    );
    for statement in statements {
        println!("{};", statement.trim_end().trim_end_matches(';'));
    }
    if args.apply {
        room.execute(database, statements).await?;
        println!("-- done");
    }
    Ok(())
}
