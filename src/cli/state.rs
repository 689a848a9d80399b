//! What the verbs do with the state directory while no weir runs on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cli::prospect::Known;
use crate::config::{Config, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::ledger::{Checkpoint, Ledger, Progress};
use crate::plan::Outline;
use crate::position::Position;
use crate::state::{self, Store};

/// What is remembered of every link; nothing if weir has never run here. Reads only, so that any
/// user who may read the directory may ask.
pub(super) fn checkpoints(config: &Config) -> Result<BTreeMap<LinkName, Checkpoint>> {
    state::remembered(&config.state_dir)
}

/// The installation that is remembered of a link, else of all; `None` if weir has never run here.
pub(super) fn installation(
    config: &Config,
    link: &LinkName,
    store: Option<&Store>,
) -> Result<Option<String>> {
    let (known, all) = match store {
        Some(store) => (store.load(link), store.installation()),
        None => {
            let Some(mut contents) = state::memory(&config.state_dir)? else { return Ok(None) };
            (contents.links.remove(link), contents.installation)
        }
    };
    let of_link = known.map(|known| known.installation).filter(|id| !id.is_empty());
    Ok(of_link.or(Some(all)).filter(|id| !id.is_empty()))
}

/// What becomes of the log of a link that stands at `position`, while it is paused.
pub(super) fn log_kept(position: &Position) -> &'static str {
    match position {
        Position::Postgres(_) => "its log is kept at the source",
        Position::Mysql(..)
        | Position::MysqlPlace(..)
        | Position::Mariadb(..)
        | Position::Held(_) => {
            "the source purges its log by its own rule (binlog_expire_logs_seconds)"
        }
    }
}

/// Holds the state directory, so that no weir runs on it meanwhile; `None` where there is none. To
/// be closed in the end.
pub(super) async fn hold(config: &Config) -> Result<Option<Store>> {
    let path = &config.state_dir;
    match path.try_exists() {
        Ok(true) => Store::open(path).await.map(Some),
        Ok(false) => Ok(None),
        Err(cause) => {
            let context = format!("cannot look at the state directory {}", path.display());
            Err(Error::new(Kind::State, context).caused_by(cause))
        }
    }
}

/// Changes what is remembered of a link.
pub(super) async fn change(
    config: &Config,
    link: &LinkName,
    change: impl FnOnce(&mut Checkpoint),
) -> Result<()> {
    let store = Store::open(&config.state_dir).await?;
    let mut checkpoint = store.load(link).unwrap_or_default();
    change(&mut checkpoint);
    let recorded = store.record(link, checkpoint).await;
    store.close().await;
    recorded
}

/// What runs of a link, as it is told by the running weir.
#[derive(Serialize, Deserialize)]
pub(super) struct Ran {
    tables: Vec<String>,
    outline: Option<Outline>,
    position: String,
}

/// What runs of a link; nothing of one that has not begun.
pub(super) fn ran(known: &Checkpoint) -> Option<Ran> {
    let position = known.progress.as_ref()?.position.to_string();
    let tables = known.shapes.keys().cloned().collect();
    Some(Ran { tables, outline: known.outline.as_deref().cloned(), position })
}

/// What the running weir has told.
pub(super) fn known(told: serde_json::Value) -> Result<Known> {
    let other = || Error::new(Kind::Io, "the running weir is of another version");
    let told: BTreeMap<String, Ran> =
        serde_json::from_value(told).map_err(|cause| other().caused_by(cause))?;
    let mut known = Known::new();
    for (link, Ran { tables, outline, position }) in told {
        let (source, target) = link.split_once(':').ok_or_else(other)?;
        let link = LinkName { source: source.to_owned(), target: target.to_owned() };
        let position = position.parse().map_err(|cause| other().caused_by(cause))?;
        let shapes = tables.into_iter().map(|table| (table, Vec::new())).collect();
        known.insert(
            link,
            Checkpoint {
                progress: Some(Progress { seq: 0, position, applied_us: None }),
                shapes: Arc::new(shapes),
                outline: outline.map(Arc::new),
                ..Checkpoint::default()
            },
        );
    }
    Ok(known)
}

/// What ran when weir stopped.
pub(super) fn begun(config: &Config) -> Result<Known> {
    let mut known = checkpoints(config)?;
    known.retain(|_, known| known.progress.is_some() && !known.retired);
    Ok(known)
}
