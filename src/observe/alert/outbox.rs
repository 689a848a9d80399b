//! Alerts that wait to be sent by one channel: bounded in number, handed out in messages of bounded
//! size. Pure.

use std::collections::VecDeque;

use super::Alert;

/// Alerts that wait at most; of more the oldest are lost, and counted.
pub(super) const WAITING_MAX: usize = 1_000;
/// Alerts of one message at most.
pub(super) const TOGETHER_MAX: usize = 50;

/// The alerts that wait.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Alert>,
    /// How many alerts were handed in before the first that waits.
    passed: u64,
    /// Lost since a message told of it.
    dropped: u64,
}

/// What is to be sent together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bundle {
    pub(super) alerts: Vec<Alert>,
    pub(super) dropped: u64,
    /// How many alerts are behind it once it is sent.
    end: u64,
}

impl Outbox {
    /// One more waits. Whether another was lost for it.
    pub(super) fn push(&mut self, alert: Alert) -> bool {
        let is_full = self.waiting.len() >= WAITING_MAX;
        if is_full {
            self.waiting.pop_front();
            self.passed += 1;
            self.dropped += 1;
        }
        self.waiting.push_back(alert);
        is_full
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The oldest alerts; they wait on until they are taken off.
    pub(super) fn oldest(&self) -> Bundle {
        let alerts: Vec<_> = self.waiting.iter().take(TOGETHER_MAX).cloned().collect();
        let end = self.passed + alerts.len() as u64;
        Bundle { alerts, dropped: self.dropped, end }
    }

    /// These were sent, or are given up.
    pub(super) fn take_off(&mut self, sent: &Bundle) {
        while self.passed < sent.end && self.waiting.pop_front().is_some() {
            self.passed += 1;
        }
        self.dropped = self.dropped.saturating_sub(sent.dropped);
    }

    /// All that wait; none does any more.
    pub(super) fn clear(&mut self) -> Vec<Alert> {
        self.passed += self.waiting.len() as u64;
        std::mem::take(&mut self.waiting).into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::observe::alert::fixtures::alert;

    proptest! {
        /// Broken if an endpoint that is away for long filled the memory, if an alert were lost without
        /// being counted, or one were taken for sent that came while others were sent.
        #[test]
        fn every_alert_is_sent_or_counted(steps in proptest::collection::vec(0..400u64, 1..40)) {
            let mut outbox = Outbox::default();
            let (mut handed, mut sent, mut told) = (0, 0, 0);
            let mut last = 0;
            for more in steps {
                let bundle = outbox.oldest();
                prop_assert!(bundle.alerts.len() <= TOGETHER_MAX);
                for _ in 0..more {
                    handed += 1;
                    outbox.push(alert(handed));
                }
                prop_assert!(outbox.waiting.len() <= WAITING_MAX);
                if more % 3 == 0 {
                    for one in &bundle.alerts {
                        prop_assert!(one.count > last, "in order, and once");
                        last = one.count;
                    }
                    sent += bundle.alerts.len() as u64;
                    told += bundle.dropped;
                    // What was lost while it was on its way has arrived all the same.
                    let lost_twice = outbox.passed.saturating_sub(bundle.end - bundle.alerts.len() as u64);
                    sent -= lost_twice.min(bundle.alerts.len() as u64);
                    outbox.take_off(&bundle);
                }
            }
            let waiting = outbox.waiting.len() as u64;
            prop_assert_eq!(sent + told + outbox.dropped + waiting, handed);
        }
    }
}
