//! `weir setup` and `weir teardown`: print, or run, what weir needs in each database.

use std::process::ExitCode;

use crate::cli::args::{Global, SetupArgs};
use crate::cli::context::{Ends, links, load, refused};
use crate::cli::exit;
use crate::config::Database;
use crate::error::Result;
use crate::link::ports::Room;
use crate::model::Table;

/// `weir setup`.
pub(super) async fn set_up(global: &Global, args: &SetupArgs) -> Result<ExitCode> {
    let config = load(global)?;
    for link in links(&config, &args.links)? {
        let ends = Ends::of(&config, &link, &config.name)?;
        let catalogs = ends.catalogs().await?;
        let plan = ends.plan(&catalogs).map_err(|findings| refused(&link, &findings))?;
        let sources: Vec<&Table> = plan.tables.iter().map(|table| &table.source).collect();
        let targets: Vec<&Table> = plan.tables.iter().map(|table| &table.target).collect();
        let room = ends.source_room();
        let statements = room.setup_source(&ends.context, ends.source, &sources);
        print_or_run(room, ends.source, &statements, args.apply).await?;
        let room = ends.target_room();
        let statements = room.setup_target(&ends.context, ends.target, &targets);
        print_or_run(room, ends.target, &statements, args.apply).await?;
    }
    Ok(ExitCode::from(exit::GOOD))
}

/// `weir teardown`. Leaves the schema `weir` itself: other links may use it.
pub(super) async fn tear_down(global: &Global, args: &SetupArgs) -> Result<ExitCode> {
    let config = load(global)?;
    for link in links(&config, &args.links)? {
        let ends = Ends::of(&config, &link, &config.name)?;
        let room = ends.source_room();
        let statements = room.teardown_source(&ends.context);
        print_or_run(room, ends.source, &statements, args.apply).await?;
        let room = ends.target_room();
        let statements = room.teardown_target(&ends.context);
        print_or_run(room, ends.target, &statements, args.apply).await?;
        if args.apply {
            super::state::forget(&config, &link).await?;
        }
    }
    Ok(ExitCode::from(exit::GOOD))
}

async fn print_or_run(
    room: &dyn Room,
    database: &Database,
    statements: &[String],
    apply: bool,
) -> Result<()> {
    println!(
        "-- on {} ({} at {}:{})",
        database.name, database.dialect, database.host, database.port
    );
    for statement in statements {
        println!("{};", statement.trim_end().trim_end_matches(';'));
    }
    if apply {
        room.execute(database, statements).await?;
        println!("-- done");
    }
    Ok(())
}
