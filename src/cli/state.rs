//! What the verbs do with the state directory while no weir runs on it.

use std::collections::BTreeMap;

use crate::config::{Config, LinkName};
use crate::error::Result;
use crate::link::ledger::{Checkpoint, Ledger};
use crate::position::Position;
use crate::state::{self, Store};

/// What is remembered of every link; nothing if weir has never run here. Reads only, so that any
/// user who may read the directory may ask.
pub(super) fn checkpoints(config: &Config) -> Result<BTreeMap<LinkName, Checkpoint>> {
    state::remembered(&config.state_dir)
}

/// Forgets a link that was torn down, so that it can begin anew.
pub(super) async fn forget(config: &Config, link: &LinkName) -> Result<()> {
    if !config.state_dir.exists() {
        return Ok(());
    }
    let store = Store::open(&config.state_dir).await?;
    let forgotten = store.forget(link).await;
    store.close().await;
    forgotten
}

/// Accepts the tables of a link as they are now, up to `head`.
pub(super) async fn accept(config: &Config, link: &LinkName, head: Position) -> Result<()> {
    change(config, link, |checkpoint| {
        checkpoint.reviewed_until = Some(head);
        checkpoint.shapes = Default::default();
        checkpoint.halt = None;
    })
    .await
}

async fn change(
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
