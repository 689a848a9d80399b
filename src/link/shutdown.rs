//! Stopping in two steps: drain (apply what is queued, up to a commit), then leave, in bounded time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Everything queued is applied within this, or rolled back.
pub const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Tells the links, one link, or one attempt of a link to stop.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
}

impl Shutdown {
    /// One that ends with this one, and may end before it.
    #[must_use]
    pub fn child(&self) -> Shutdown {
        Shutdown { drain: self.drain.child_token() }
    }

    /// Asks them to drain and stop.
    pub fn start(&self) {
        self.drain.cancel();
    }

    /// Whether it was asked.
    pub fn has_started(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Resolves when it is asked. Cancel-safe.
    pub async fn started(&self) {
        self.drain.cancelled().await;
    }

    /// Resolves when draining has taken too long. Cancel-safe.
    pub async fn overdue(&self) {
        self.drain.cancelled().await;
        tokio::time::sleep(DRAIN_MAX).await;
    }

    /// The token of the first step.
    pub(super) fn drain(&self) -> CancellationToken {
        self.drain.clone()
    }
}
