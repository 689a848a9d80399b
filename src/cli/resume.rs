//! `weir resume LINK`: lets a halted link go on, in the running weir or at its next start.

use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::args::{Global, ResumeArgs};
use crate::cli::context::{Ends, links, load, refused};
use crate::cli::control::{Answer, Request, ask};
use crate::cli::output::say;
use crate::cli::{exit, state};
use crate::error::{Error, Kind, Result};

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &ResumeArgs) -> Result<ExitCode> {
    let config = load(global)?;
    let link = &args.link;
    links(&config, std::slice::from_ref(link))?;
    let request = Request::Resume { link: link.to_string(), schema_reviewed: args.schema_reviewed };
    match ask(&config.state_dir, &request).await? {
        Some(Answer::Ok(_)) => say!("{link} goes on"),
        Some(Answer::Failed { text, hint }) => {
            return Err(Error::new(Kind::Io, text).hint(hint));
        }
        None if args.schema_reviewed => {
            let ends = Ends::of(&config, link, &config.name)?;
            let catalogs = ends.catalogs().await?;
            let plan = ends.plan(&catalogs).map_err(|findings| refused(link, &findings))?;
            let room = ends.source_room();
            let mut scan = room.open_scan(&ends.context, ends.source, Arc::new(plan)).await?;
            let head = scan.head().await?;
            state::accept(&config, link, head).await?;
            say!("{link}: the tables are accepted as they are now; start `weir run`");
        }
        None => say!("weir is not running: `weir run` tries {link} again at its start"),
    }
    Ok(ExitCode::from(exit::GOOD))
}
