//! `weir ddl`: prints, or makes, the tables that the target lacks. What is there is never touched.

use std::process::ExitCode;

use crate::cli::args::{DdlArgs, Global};
use crate::cli::context::{Ends, known, links, load, refused, settled};
use crate::cli::exit;
use crate::cli::output::{remark, say};
use crate::error::{Error, Kind, Result};
use crate::link::ports::Creation;
use crate::plan::blueprints;

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &DdlArgs) -> Result<ExitCode> {
    let config = load(global)?;
    known(&config, args.on.as_deref())?;
    let mut refusals = 0;
    let names = links(&config, &args.links)?;
    let config = settled(config, &names).await;
    for link in names {
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
        remark!("link {link}: {} -> {}", ends.source.dialect, ends.target.dialect);
        for table in tables.iter_mut().filter(|table| table.exists) {
            remark!("{} exists already", table.table.name);
            table.exists = !args.all;
        }
        let (from, to) = (ends.source.dialect, ends.target.dialect);
        let creations = ends.target_room().create_tables(&tables, from, to);
        if !creations.is_empty() {
            remark!("no triggers and views are made; what else is not is said beside each table");
        }
        for creation in &creations {
            say!("{}", creation.to_string().trim_end());
            let made = match &creation.refused {
                Some(_) => false,
                None => !args.apply || make(&ends, creation).await?,
            };
            refusals += usize::from(!made);
        }
    }
    match refusals {
        count @ 1.. if args.apply => Err(Error::new(
            Kind::Mapping,
            format!("{count} of the tables and foreign keys could not be made, as said above"),
        )
        .hint("do what is said there and run it again, or leave tables out with `exclude`")),
        _ => Ok(ExitCode::from(exit::GOOD)),
    }
}

/// Makes one table, or one foreign key. What the server says of a single one keeps no other from being
/// made; any other failure would meet them all.
async fn make(ends: &Ends<'_>, creation: &Creation) -> Result<bool> {
    let room = ends.target_room();
    match room.execute(ends.target, "ddl", &creation.statements).await {
        Ok(()) => remark!("made {}", creation.what),
        Err(error) => match error.kind() {
            Kind::Statement
            | Kind::Mapping
            | Kind::Value
            | Kind::Constraint
            | Kind::ForeignKey
            | Kind::Unsupported => {
                remark!("{} is refused: {}", creation.what, error.chain());
                return Ok(false);
            }
            _ => return Err(error),
        },
    }
    Ok(true)
}
