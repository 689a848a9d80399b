//! `weir ddl`: CREATE TABLE statements for what the target lacks; prints, never runs.

use std::process::ExitCode;

use crate::cli::args::{DdlArgs, Global};
use crate::cli::context::{Ends, links, load, refused};
use crate::cli::exit;
use crate::cli::output::say;
use crate::error::Result;
use crate::plan::select::choose;

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &DdlArgs) -> Result<ExitCode> {
    let config = load(global)?;
    for link in links(&config, &args.links)? {
        let ends = Ends::of(&config, &link, &config.name)?;
        let catalogs = ends.catalogs().await?;
        let mut findings = Vec::new();
        let chosen = choose(&config, &link, &catalogs.source, &mut findings);
        if chosen.is_empty() {
            return Err(refused(&link, &findings));
        }
        say!("-- link {link}: {} -> {}", ends.source.dialect, ends.target.dialect);
        for table in &chosen {
            let exists = catalogs.target.iter().any(|found| found.name == table.target);
            let source = catalogs.source.iter().find(|found| found.name == table.source);
            match source {
                Some(_) if exists && !args.all => {
                    say!("-- {} exists already", table.target);
                }
                Some(source) => {
                    let room = ends.target_room();
                    let (from, to) = (ends.source.dialect, ends.target.dialect);
                    for statement in room.create_table(source, from, &table.target, to) {
                        say!("{};", statement.trim_end().trim_end_matches(';'));
                    }
                }
                None => say!("-- {} does not exist at the source", table.source),
            }
        }
    }
    Ok(ExitCode::from(exit::GOOD))
}
