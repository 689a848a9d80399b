//! `weir pause LINK…` and `weir resume LINK…`: stop a link at a commit and keep it so, and let a
//! paused or halted one go on; in the running weir, or at its next start.
//!
//! While a link is paused nothing of it is connected, and the source keeps its log.

use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::args::{Global, PauseArgs, ResumeArgs};
use crate::cli::context::{Ends, links, load, refused, settled};
use crate::cli::control::{Answer, Request, ask};
use crate::cli::output::say;
use crate::cli::{exit, state};
use crate::config::{Config, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::ledger::Checkpoint;
use crate::link::review;
use crate::link::status::now_us;

/// `weir pause`.
pub(super) async fn pause(global: &Global, args: &PauseArgs) -> Result<ExitCode> {
    let config = load(global)?;
    for link in links(&config, &args.links)? {
        match ask(&config.state_dir, &Request::Pause { link: link.to_string() }).await? {
            Some(Answer::Ok(_)) => say!("{link} is paused; its log is kept at the source"),
            Some(Answer::Failed { text, hint }) => {
                return Err(Error::new(Kind::Io, text).hint(hint));
            }
            None => {
                let now = now_us();
                let paused = |checkpoint: &mut Checkpoint| {
                    checkpoint.paused_since_us.get_or_insert(now);
                };
                state::change(&config, &link, paused).await?;
                say!("{link} is paused: `weir run` leaves it so until `weir resume {link}`");
            }
        }
    }
    Ok(ExitCode::from(exit::GOOD))
}

/// `weir resume`.
pub(super) async fn resume(global: &Global, args: &ResumeArgs) -> Result<ExitCode> {
    let config = load(global)?;
    for link in links(&config, &args.links)? {
        resume_one(&config, &link, args.schema_reviewed).await?;
    }
    Ok(ExitCode::from(exit::GOOD))
}

async fn resume_one(config: &Config, link: &LinkName, schema_reviewed: bool) -> Result<()> {
    let request = Request::Resume { link: link.to_string(), schema_reviewed };
    match ask(&config.state_dir, &request).await? {
        Some(Answer::Ok(_)) => say!("{link} goes on"),
        Some(Answer::Failed { text, hint }) => {
            return Err(Error::new(Kind::Io, text).hint(hint));
        }
        None if schema_reviewed => {
            let config = &settled(config.clone(), std::slice::from_ref(link)).await;
            let ends = Ends::of(config, link, &config.name)?;
            let catalogs = ends.catalogs().await?;
            let plan = ends.plan(&catalogs).map_err(|findings| refused(link, &findings))?;
            let room = ends.source_room();
            let plan = Arc::new(plan);
            let mut scan = room.open_scan(&ends.context, ends.source, Arc::clone(&plan)).await?;
            let origins = scan.origins().await?;
            let head = scan.head().await?;
            let accepted = |checkpoint: &mut Checkpoint| {
                let shapes = review::accepted(&plan, &origins, &checkpoint.shapes);
                checkpoint.review(head);
                checkpoint.shapes = Arc::new(shapes);
                checkpoint.outline = None;
                checkpoint.paused_since_us = None;
            };
            state::change(config, link, accepted).await?;
            say!("{link}: the tables are accepted as they are now; start `weir run`");
        }
        None => {
            let known = state::checkpoints(config)?;
            if known.get(link).is_some_and(|known| known.paused_since_us.is_some()) {
                state::change(config, link, |checkpoint| checkpoint.paused_since_us = None).await?;
                say!("{link} is no longer paused; start `weir run`");
            } else {
                say!("weir is not running: `weir run` tries {link} again at its start");
            }
        }
    }
    Ok(())
}
