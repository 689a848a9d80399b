//! What is counted of alerts: how many were raised, what became of messages, what was lost.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

/// The counts. Cheap to clone; the lock is held for a count or a scrape, never over an await.
#[derive(Clone, Debug, Default)]
pub struct AlertCounts(Arc<Mutex<Counted>>);

#[derive(Debug, Default)]
struct Counted {
    /// By kind.
    raised: BTreeMap<&'static str, u64>,
    /// By channel and outcome.
    tried: BTreeMap<(&'static str, &'static str), u64>,
    /// By channel.
    lost: BTreeMap<&'static str, u64>,
}

impl AlertCounts {
    /// An alert of this kind was raised.
    pub(crate) fn raised(&self, kind: &'static str) {
        *self.lock().raised.entry(kind).or_default() += 1;
    }

    /// A channel was handed a message.
    pub(crate) fn tried(&self, channel: &'static str, outcome: &'static str) {
        *self.lock().tried.entry((channel, outcome)).or_default() += 1;
    }

    /// Nobody is told of so many alerts by this channel.
    pub(crate) fn lost(&self, channel: &'static str, alerts: u64) {
        *self.lock().lost.entry(channel).or_default() += alerts;
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for AlertCounts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counted = self.lock();
        let of = MetricType::Counter;
        let help = "Alerts raised, or raised again because it went on happening";
        let mut family = encoder.encode_descriptor("weir_alerts", help, None, of)?;
        for (kind, count) in &counted.raised {
            ConstCounter::new(*count).encode(family.encode_family(&[("kind", *kind)])?)?;
        }
        let (name, help) = ("weir_alert_deliveries", "Tries to hand on a message with alerts");
        let mut family = encoder.encode_descriptor(name, help, None, of)?;
        for ((channel, outcome), count) in &counted.tried {
            let labels = [("channel", *channel), ("outcome", *outcome)];
            ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
        }
        let (name, help) =
            ("weir_alerts_lost", "Alerts that a channel was not told of and will not be");
        let mut family = encoder.encode_descriptor(name, help, None, of)?;
        for (channel, count) in &counted.lost {
            ConstCounter::new(*count).encode(family.encode_family(&[("channel", *channel)])?)?;
        }
        Ok(())
    }
}
