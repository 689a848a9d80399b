//! `weir explain`: who owns what, and how each column is converted.

use std::process::ExitCode;

use crate::cli::args::{ExplainArgs, Global};
use crate::cli::context::{Ends, links, load, refused, settled};
use crate::cli::output::say;
use crate::cli::{exit, print_json};
use crate::error::Result;
use crate::plan::explain::explain;

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &ExplainArgs) -> Result<ExitCode> {
    let config = load(global)?;
    let mut explained = Vec::new();
    let names = links(&config, &args.links)?;
    let config = settled(config, &names).await;
    for link in names {
        let ends = Ends::of(&config, &link, &config.name)?;
        let catalogs = ends.catalogs().await?;
        let plan = ends.plan(&catalogs).map_err(|findings| refused(&link, &findings))?;
        explained.push(explain(&plan));
    }
    if args.json {
        print_json(&serde_json::json!({ "links": explained }))?;
    } else {
        explained.iter().for_each(|link| say!("{link}"));
    }
    Ok(ExitCode::from(exit::GOOD))
}
