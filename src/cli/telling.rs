//! The alerts of a running weir as a task: started beside the links, and waited for when weir ends, not
//! for long.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::signals::Signals;
use crate::config::Config;
use crate::link::space::Space;
use crate::link::supervisor::Links;
use crate::observe::alert::watch::{Settings, Watch};
use crate::observe::metrics::Metrics;

/// The task.
pub(super) struct Telling {
    task: JoinHandle<()>,
    hurry: CancellationToken,
}

impl Telling {
    /// Tells of these links until `stop`; the sender is for another configuration.
    pub(super) fn start(
        config: &Config,
        links: Links,
        space: Space,
        metrics: &Metrics,
        stop: CancellationToken,
    ) -> (Telling, watch::Sender<Arc<Settings>>) {
        let (sender, settings) = watch::channel(Settings::of(config));
        let watch = Watch { links, space, settings, counts: metrics.alerts() };
        let hurry = CancellationToken::new();
        let task = tokio::spawn(watch.run(stop, hurry.clone()));
        (Telling { task, hurry }, sender)
    }

    /// Somebody waits for weir to end.
    pub(super) fn hurry(&self) {
        self.hurry.cancel();
    }

    /// Returns when the last alerts are told or given up; a signal hurries that.
    pub(super) async fn ended(mut self, signals: &mut Signals) {
        loop {
            tokio::select! {
                ended = &mut self.task => {
                    if let Err(cause) = ended {
                        tracing::error!(error = %cause, "the last alerts are not told");
                    }
                    return;
                }
                _ = signals.next() => self.hurry(),
            }
        }
    }
}
