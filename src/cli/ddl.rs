//! `weir ddl`: prints, or makes, the tables that the target lacks. What is there is never touched.

use std::process::ExitCode;

use crate::cli::args::{DdlArgs, Global};
use crate::cli::context::{Ends, known, links, load, refused};
use crate::cli::exit;
use crate::cli::output::say;
use crate::error::{Error, Kind, Result};
use crate::link::ports::Creation;
use crate::plan::blueprints;

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &DdlArgs) -> Result<ExitCode> {
    let config = load(global)?;
    known(&config, args.on.as_deref())?;
    let mut refusals = 0;
    for link in links(&config, &args.links)? {
        if args.on.as_ref().is_some_and(|only| *only != link.target) {
            continue;
        }
        let ends = Ends::of(&config, &link, &config.name)?;
        let catalogs = ends.catalogs().await?;
        let keys = args.foreign_keys;
        let (mut tables, findings) =
            blueprints(&config, &link, &catalogs.source, &catalogs.target, keys);
        if tables.is_empty() {
            return Err(refused(&link, &findings));
        }
        say!("-- link {link}: {} -> {}", ends.source.dialect, ends.target.dialect);
        for table in tables.iter_mut().filter(|table| table.exists) {
            say!("-- {} exists already", table.table.name);
            table.exists = !args.all;
        }
        let (from, to) = (ends.source.dialect, ends.target.dialect);
        let creations = ends.target_room().create_tables(&tables, from, to);
        if !creations.is_empty() {
            say!("-- no defaults, checks, other indexes, triggers and views are copied");
        }
        for creation in &creations {
            say!("{}", creation.to_string().trim_end());
            refusals += usize::from(creation.refused.is_some());
            if args.apply && creation.refused.is_none() {
                make(&ends, creation).await?;
            }
        }
    }
    match refusals {
        count @ 1.. if args.apply => Err(Error::new(
            Kind::Mapping,
            format!("{count} of the tables cannot be made, as said above"),
        )
        .hint("leave them out with `exclude`, or do what is said there")),
        _ => Ok(ExitCode::from(exit::GOOD)),
    }
}

/// Makes one table, or one foreign key.
async fn make(ends: &Ends<'_>, creation: &Creation) -> Result<()> {
    let room = ends.target_room();
    room.execute(ends.target, "ddl", &creation.statements).await?;
    say!("-- made {}", creation.what);
    Ok(())
}
