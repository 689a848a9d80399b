//! Makes progress durable and then publishes the frontier: target commit, checkpoint, frontier,
//! acknowledgement, in this order and never another (DESIGN §4).
//!
//! Only the newest progress counts, so a slow disk delays acknowledgements and nothing else.

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::LinkName;
use crate::error::Result;
use crate::link::ledger::{Checkpoint, Ledger, Progress};
use crate::position::Position;

/// Runs until the apply task is gone and its last progress is durable.
pub(super) async fn run(
    ledger: Arc<dyn Ledger>,
    link: LinkName,
    mut checkpoint: Checkpoint,
    mut progress: watch::Receiver<Progress>,
    frontier: watch::Sender<Position>,
) -> Result<()> {
    while progress.changed().await.is_ok() {
        let newest = progress.borrow_and_update().clone();
        checkpoint.progress = Some(newest.clone());
        ledger.record(&link, checkpoint.clone()).await?;
        frontier.send_replace(newest.position);
    }
    Ok(())
}
