//! Hands on what waits for one channel: at most one message at a time and one in a while, again and
//! again until it is taken. When weir stops, what waits is sent at once, or logged as lost; how long that may
//! take is not decided here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Alert;
use super::channel::{Channel, Failure};
use super::message::Message;
use super::outbox::{Bundle, Outbox};
use super::watch::Settings;
use crate::link::backoff::Backoff;
use crate::link::status::now_us;
use crate::observe::metrics::AlertCounts;

/// How long a message waits for more alerts: what one cause brings about is told together.
const GATHER: Duration = Duration::from_secs(2);
/// Shortest time between two messages of one channel.
pub(super) const BETWEEN: Duration = Duration::from_secs(10);
/// Waits between tries.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// Lost alerts that are logged one by one, at most.
const LOGGED_MAX: usize = 10;

/// What waits for a channel. Pushing never waits.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) channel: Channel,
    outbox: Mutex<Outbox>,
    news: Notify,
    counts: AlertCounts,
}

impl Lane {
    pub(super) fn new(channel: Channel, counts: AlertCounts) -> Lane {
        Lane { channel, outbox: Mutex::default(), news: Notify::new(), counts }
    }

    /// One more waits.
    pub(super) fn push(&self, alert: Alert) {
        if self.outbox().push(alert) {
            self.counts.lost(self.channel.name(), 1);
        }
        self.news.notify_one();
    }

    /// The lock is held for a moment, never over an await.
    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what comes; after `stop`, at once, what waits. Ends when nothing waits any more.
    pub(super) async fn run(
        self: Arc<Self>,
        settings: watch::Receiver<Arc<Settings>>,
        stop: CancellationToken,
    ) {
        let mut backoff = Backoff::new(TRY_AGAIN.0, TRY_AGAIN.1, fastrand::u64(..));
        let (mut next_at, mut again_at) = (Instant::now(), Instant::now());
        loop {
            while self.outbox().is_empty() {
                tokio::select! {
                    () = self.news.notified() => {}
                    () = stop.cancelled() => if self.outbox().is_empty() { return },
                }
            }
            if stop.is_cancelled() {
                sleep_until(again_at).await;
            } else {
                tokio::select! {
                    () = sleep_until(next_at.max(Instant::now() + GATHER)) => {}
                    () = stop.cancelled() => {}
                }
            }
            match self.once(&settings).await {
                Ok(()) => {
                    backoff.reset();
                    next_at = Instant::now() + BETWEEN;
                }
                Err(asked) => {
                    again_at = Instant::now() + backoff.next_wait().max(asked.unwrap_or_default());
                    next_at = again_at;
                }
            }
        }
    }

    /// Nobody is told of what waits still.
    pub(super) fn give_up(&self) {
        let left = self.outbox().clear();
        self.mourn(&left, "weir stops");
    }

    /// One try to send the oldest alerts. An error says how long to wait at least.
    async fn once(
        &self,
        settings: &watch::Receiver<Arc<Settings>>,
    ) -> Result<(), Option<Duration>> {
        let settings = Arc::clone(&settings.borrow());
        let Some(alerts) = settings.alerts.as_ref().filter(|one| self.channel.is_used(one)) else {
            let left = self.outbox().clear();
            self.mourn(&left, "the channel is no longer configured");
            return Ok(());
        };
        let bundle = self.outbox().oldest();
        let message = message(&settings.installation, &bundle);
        let channel = self.channel.name();
        match self.channel.deliver(alerts, &message).await {
            Ok(answer) => {
                self.outbox().take_off(&bundle);
                self.counts.tried(channel, "delivered");
                tracing::info!(
                    channel,
                    alerts = bundle.alerts.len(),
                    answer,
                    "alerts are delivered"
                );
                Ok(())
            }
            Err(Failure { error, may_pass: true, wait }) => {
                self.counts.tried(channel, "failed");
                let (text, hint) = (error.chain(), error.operator_hint());
                tracing::warn!(channel, error = text, hint, "alerts wait to be delivered");
                Err(wait)
            }
            Err(Failure { error, .. }) => {
                self.outbox().take_off(&bundle);
                self.counts.tried(channel, "refused");
                let (text, hint) = (error.chain(), error.operator_hint());
                tracing::error!(channel, error = text, hint, "alerts are refused");
                self.mourn(&bundle.alerts, "they are refused");
                Ok(())
            }
        }
    }

    /// What nobody will be told is in the log at least.
    fn mourn(&self, lost: &[Alert], why: &str) {
        if lost.is_empty() {
            return;
        }
        let channel = self.channel.name();
        self.counts.lost(channel, lost.len() as u64);
        for Alert { key: (kind, _), state, text, .. } in lost.iter().take(LOGGED_MAX) {
            tracing::warn!(channel, kind = kind.name(), ?state, why, "alert not delivered: {text}");
        }
        if lost.len() > LOGGED_MAX {
            tracing::warn!(
                channel,
                more = lost.len() - LOGGED_MAX,
                why,
                "more alerts not delivered"
            );
        }
    }
}

fn message(installation: &str, bundle: &Bundle) -> Message {
    Message {
        installation: installation.to_owned(),
        alerts: bundle.alerts.clone(),
        dropped: bundle.dropped,
        sent_us: now_us(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::alert;
    use super::*;
    use crate::config::{AlertBounds, Alerts};

    /// Broken if forty links that lose one server sent forty messages, if there were more than one
    /// message in a while, or if what waits when weir stops were not sent at once.
    #[tokio::test]
    async fn what_comes_together_is_told_together() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("told");
        let script = format!("cat >> {}", file.display());
        let command = Some(["sh", "-c", &script].map(str::to_owned).to_vec());
        let (min_interval, bounds) = (Duration::from_secs(1), AlertBounds::default());
        let alerts = Some(Alerts { webhook: None, command, min_interval, bounds });
        let installation = "x".to_owned();
        let (_sender, settings) = watch::channel(Arc::new(Settings { installation, alerts }));
        let lane = Arc::new(Lane::new(Channel::Command, AlertCounts::default()));
        let stop = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&lane).run(settings, stop.clone()));
        let told = || {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            // One that is being written is not told yet.
            let of = |line: &str| {
                let message: serde_json::Value = serde_json::from_str(line).ok()?;
                message["alerts"].as_array().map(Vec::len)
            };
            text.lines().filter_map(of).collect::<Vec<_>>()
        };
        for number in 0..40 {
            lane.push(alert(number));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let started = Instant::now();
        while told().is_empty() && started.elapsed() < GATHER * 5 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(told(), [40]);
        for number in 0..60 {
            lane.push(alert(number));
        }
        tokio::time::sleep(GATHER + Duration::from_secs(1)).await;
        assert_eq!(told(), [40], "not so soon");
        stop.cancel();
        running.await.unwrap();
        assert_eq!(told(), [40, 50, 10]);
    }
}
