//! `weir pause LINK…` and `weir resume LINK…`: stop a link at a commit and keep it so, and let a
//! paused or halted one go on; in the running weir, or at its next start.
//!
//! While a link is paused nothing of it is connected; a PostgreSQL source keeps its log, others purge it
//! by their own rule.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::args::{Global, PauseArgs, ResumeArgs};
use crate::cli::context::{Ends, links, load, refused, settings, settled};
use crate::cli::control::{Request, ask};
use crate::cli::output::say;
use crate::cli::{exit, state};
use crate::config::{Config, LinkName};
use crate::error::Result;
use crate::link::joining::{self, Word};
use crate::link::ledger::{Checkpoint, Ledger};
use crate::link::review;
use crate::link::status::now_us;
use crate::model::TableName;
use crate::plan::Outline;
use crate::state::Store;

/// `weir pause`.
pub(super) async fn pause(global: &Global, args: &PauseArgs) -> Result<ExitCode> {
    let config = load(global)?;
    for link in links(&config, &args.links)? {
        match ask(&config.state_dir, &Request::Pause { link: link.to_string() }).await? {
            Some(answer) => {
                answer.told()?;
                let known = state::checkpoints(&config)?.remove(&link);
                let progress = known.and_then(|known| known.progress);
                let log = progress.map(|progress| state::log_kept(&progress.position));
                let log = log.map_or(String::new(), |log| format!("; {log}"));
                say!("{link} is paused{log}");
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
        Some(answer) => {
            answer.told()?;
            say!("{link} goes on");
        }
        None if schema_reviewed => {
            let store = Store::open(&config.state_dir).await?;
            let reviewed = review(config, link, &store).await;
            store.close().await;
            reviewed?;
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

/// Accepts the tables as they are now, and of the mapping's changes what the link halted for, as the
/// running weir would; says all of it.
async fn review(config: &Config, link: &LinkName, store: &Store) -> Result<()> {
    let used = &settled(config.clone(), std::slice::from_ref(link)).await;
    let ends = Ends::of(used, link, &config.name)?;
    let catalogs = ends.catalogs().await?;
    let plan = ends.plan(&catalogs).map_err(|findings| refused(link, &findings))?;
    let (plan, room) = (Arc::new(plan), ends.source_room());
    let mut scan = room.open_scan(&ends.context, ends.source, Arc::clone(&plan)).await?;
    let mut known = store.load(link).unwrap_or_default();
    let outline = Outline::of(&plan, settings(config, link));
    let ran = known.ran(&outline);
    let ask = async |names: Vec<TableName>| room.non_empty(ends.source, &names).await;
    let in_question = outline.in_question(&ran);
    let filled = joining::filled(&plan, &in_question, Some(&mut scan), ask).await?;
    let differences = outline.differences(&ran, &filled);
    let origins = scan.origins().await?;
    let head = scan.head().await?;
    let shapes = review::accepted(&plan, &origins, &known.shapes);
    if let Some(altered) = review::difference(&known.shapes, &shapes, &plan.wanted) {
        say!("{link}: {}", altered.chain());
    }
    differences.iter().for_each(|difference| say!("{link}: {difference}"));
    let halt = known.halt.as_ref().map_or("", |halt| halt.text.as_str());
    let word = Word { accepted: &BTreeSet::new(), reviewed: halt };
    if let Some(refusal) = joining::refusal(&differences, word) {
        let context = "nothing is accepted, because the link has not halted for all of it";
        return Err(refusal.within(context).hint(format!(
            "take that change back; or start `weir run`: {link} halts and names it, and `weir resume \
             {link} --schema-reviewed` accepts it then"
        )));
    }
    known.review(head);
    known.shapes = Arc::new(shapes);
    known.outline = Some(Arc::new(outline));
    known.paused_since_us = None;
    store.record(link, known).await
}
