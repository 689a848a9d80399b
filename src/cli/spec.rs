//! A link of the configuration as the supervisor takes it: its two ends, opened anew for each attempt,
//! and the plan, compiled anew from the catalogs as they are then.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::cli::check::preflight;
use crate::cli::context::{Ends, refused, settings};
use crate::config::{ApplyOptions, Config, LinkName, Streaming};
use crate::error::Result;
use crate::link::ends::RoomEnds;
use crate::link::ports::SpoolPlace;
use crate::link::supervisor::LinkSpec;
use crate::plan::{Finding, LinkPlan};

/// The folder of what is kept of open transactions, below the state directory.
const SPOOL: &str = "spool";

/// Removes what a weir that was killed left of open transactions: it comes again.
pub(super) fn clear_spool(state_dir: &Path) {
    let path = state_dir.join(SPOOL);
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "an old spool cannot be removed");
        }
        _ => {}
    }
}

/// Where the link's open transactions are kept, if they are asked for.
fn spool_place(config: &Config, link: &LinkName, options: &ApplyOptions) -> Option<SpoolPlace> {
    (options.streaming == Streaming::On).then(|| SpoolPlace {
        directory: config.state_dir.join(SPOOL).join(link.slot_suffix()),
        bytes_max: options.spool_bytes_max as u64,
    })
}

/// One link as the supervisor takes it.
pub(super) fn spec(config: &Arc<Config>, link: &LinkName, installation: &str) -> Result<LinkSpec> {
    let ends = Ends::of(config, link, installation)?;
    let options = config.options(link).clone();
    let settings = settings(config, link);
    let context = ends.context.clone();
    let spool = spool_place(config, link, &options);
    let (config, link, seed) = (Arc::clone(config), link.clone(), installation.to_owned());
    let told = Arc::new(AtomicBool::new(false));
    let ends = RoomEnds {
        context: context.clone(),
        source_room: ends.source_room(),
        source: ends.source.clone(),
        target_room: ends.target_room(),
        target: ends.target.clone(),
        spool,
        used: Mutex::default(),
        lock_timeout: options.lock_timeout,
        replan: Box::new(move |used| {
            let mut config = Config::clone(&config);
            config.databases.extend(used.map(|database| (database.name.clone(), database)));
            let (link, seed, told) = (link.clone(), seed.clone(), Arc::clone(&told));
            Box::pin(async move { replan(&config, &link, &seed, &told).await.map(Arc::new) })
        }),
    };
    Ok(LinkSpec { context, options, ends: Arc::new(ends), settings })
}

/// Reads both catalogs, compiles the plan and looks at both servers again. Warnings are logged once
/// per process.
async fn replan(
    config: &Config,
    link: &LinkName,
    seed: &str,
    told: &AtomicBool,
) -> Result<LinkPlan> {
    let ends = Ends::of(config, link, seed)?;
    let catalogs = ends.catalogs().await?;
    let plan = ends.plan(&catalogs).map_err(|findings| refused(link, &findings))?;
    let findings = preflight(&ends, &plan, false).await;
    if findings.iter().any(Finding::refuses_to_run) {
        return Err(refused(link, &findings));
    }
    if !told.swap(true, Ordering::Relaxed) {
        for finding in &findings {
            tracing::warn!(%link, subject = finding.subject, hint = finding.advice(), "{}", finding.message);
        }
    }
    Ok(plan)
}
