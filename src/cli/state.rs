//! What the verbs do with the state directory while no weir runs on it.

use std::collections::BTreeMap;

use crate::config::{Config, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::ledger::{Checkpoint, Ledger};
use crate::state::{self, Store};

/// What is remembered of every link; nothing if weir has never run here. Reads only, so that any
/// user who may read the directory may ask.
pub(super) fn checkpoints(config: &Config) -> Result<BTreeMap<LinkName, Checkpoint>> {
    state::remembered(&config.state_dir)
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
