//! What `weir_lag_seconds` means. Pure: the clock is a parameter.
//!
//! Zero while everything received is applied and the link keeps up with the source; otherwise the age
//! of the oldest change that is not applied yet, or the time up to which everything that the source
//! had committed is known to be applied. That is known from commit times, and from looks at the head
//! of the source's log: a source that is merely heard from may have hours of log to send. So the lag
//! stays near zero on an idle source, and grows when anything is stuck: a slow target, a halted link,
//! a source that is slow, silent or unreachable.

/// What the source had written when its log was last looked at is applied at least this often on a
/// link that keeps up; a longer time counts as lag.
pub const SILENCE_MAX_US: i64 = 60_000_000;

/// What the lag is computed from. Times are microseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LagInputs {
    /// The capture is connected and reading.
    pub streaming: bool,
    /// Source commit time of the oldest transaction received and not yet committed in the target.
    pub oldest_unapplied_us: Option<i64>,
    /// Everything that the source had committed by then (our clock) is applied.
    pub caught_up_at_us: Option<i64>,
    /// Source commit time of the newest transaction that is applied.
    pub last_applied_us: Option<i64>,
}

impl LagInputs {
    /// A transaction committed at `time_us` waits to be applied. A source whose clock is ahead has not
    /// committed it after it was received.
    pub(super) fn unapplied(&mut self, time_us: i64, now_us: i64) {
        let time_us = time_us.min(now_us);
        let oldest = self.oldest_unapplied_us.map_or(time_us, |old| old.min(time_us));
        self.oldest_unapplied_us = Some(oldest);
    }

    /// Everything that the source committed up to `at_us` is applied.
    pub(super) fn reached(&mut self, at_us: Option<i64>, now_us: i64) {
        self.caught_up_at_us = self.caught_up_at_us.max(at_us.map(|at| at.min(now_us)));
    }
}

/// The lag at `now_us` in seconds; `None` when nothing is known yet (a first start).
pub fn lag_seconds(inputs: &LagInputs, now_us: i64) -> Option<f64> {
    let since = |at: i64| now_us.saturating_sub(at).max(0);
    let unapplied = inputs.oldest_unapplied_us.map(since);
    let caught_up = match inputs.caught_up_at_us {
        Some(at) if inputs.streaming && since(at) <= SILENCE_MAX_US => Some(0),
        Some(at) => Some(since(at)),
        None => inputs.last_applied_us.map(since),
    };
    let lag_us = match (unapplied, caught_up, inputs.streaming) {
        // What is unapplied decides, except that a link that no longer streams cannot be nearer
        // than when it last was caught up.
        (Some(unapplied), Some(caught_up), false) => unapplied.max(caught_up),
        (Some(unapplied), _, _) => unapplied,
        (None, caught_up, _) => caught_up?,
    };
    Some(lag_us as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: i64 = 1_000_000;

    fn lag(inputs: LagInputs, now_s: i64) -> Option<f64> {
        lag_seconds(&inputs, now_s * S)
    }

    /// Broken if an idle link showed the age of its last change as lag.
    #[test]
    fn idle_is_zero() {
        let inputs = LagInputs {
            streaming: true,
            caught_up_at_us: Some(990 * S),
            last_applied_us: Some(10 * S),
            ..LagInputs::default()
        };
        assert_eq!(lag(inputs, 1_000), Some(0.0));
    }

    /// Broken if a slow target, a silent source or a halted link showed no lag.
    #[test]
    fn stuck_grows() {
        let caught_up =
            LagInputs { streaming: true, caught_up_at_us: Some(1_000 * S), ..LagInputs::default() };
        let slow = LagInputs { oldest_unapplied_us: Some(1_005 * S), ..caught_up };
        assert_eq!(lag(slow, 1_010), Some(5.0));
        assert_eq!(lag(caught_up, 1_061), Some(61.0), "silence");
        let halted = LagInputs { streaming: false, ..caught_up };
        assert_eq!(lag(halted, 1_010), Some(10.0));
        let restarted = LagInputs { last_applied_us: Some(900 * S), ..LagInputs::default() };
        assert_eq!(lag(restarted, 1_000), Some(100.0));
        assert_eq!(lag(LagInputs::default(), 1_000), None, "nothing known");
    }

    /// Broken if a source whose clock is ahead hid the lag until ours has come so far, or if a time
    /// once reached were forgotten.
    #[test]
    fn no_time_is_ahead_of_ours() {
        let mut inputs = LagInputs { streaming: true, ..LagInputs::default() };
        inputs.unapplied(2_000 * S, 1_000 * S);
        assert_eq!(lag(inputs, 1_100), Some(100.0));
        let mut inputs = LagInputs { streaming: true, ..LagInputs::default() };
        inputs.reached(Some(2_000 * S), 1_000 * S);
        inputs.reached(Some(900 * S), 1_001 * S);
        inputs.reached(None, 1_002 * S);
        assert_eq!(lag(inputs, 1_100), Some(100.0));
    }

    proptest! {
        /// Broken if the lag of a link in trouble could shrink by itself, or a source whose clock
        /// is ahead made it negative.
        #[test]
        fn a_stopped_link_never_recovers_by_itself(
            unapplied in proptest::option::of(0i64..3_000),
            caught_up in proptest::option::of(0i64..1_000),
            applied in proptest::option::of(0i64..1_000),
            now in 1_000i64..2_000,
            later in 0i64..1_000,
        ) {
            let inputs = LagInputs {
                streaming: false,
                oldest_unapplied_us: unapplied.map(|at| at * S),
                caught_up_at_us: caught_up.map(|at| at * S),
                last_applied_us: applied.map(|at| at * S),
            };
            let (first, second) = (lag(inputs, now), lag(inputs, now + later));
            prop_assert!(first.is_none_or(|lag| lag >= 0.0));
            prop_assert!(second >= first);
        }
    }
}
