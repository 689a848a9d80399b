//! What `weir_lag_seconds` means. Pure: the clock is a parameter.
//!
//! Zero while everything the source has shown is applied and the source is heard from; otherwise
//! the age of the oldest change that is not applied yet, or the time since the link last knew
//! itself to be caught up. So it stays near zero on an idle source, and grows when anything is
//! stuck: a slow target, a halted link, a source that is silent or unreachable.

/// A live source is heard from (changes, keep-alives, or a look at its head that shows nothing
/// new) at least this often; silence beyond it counts as lag.
pub const SILENCE_MAX_US: i64 = 60_000_000;

/// What the lag is computed from. Times are microseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LagInputs {
    /// The capture is connected and reading.
    pub streaming: bool,
    /// Source commit time of the oldest transaction received and not yet committed in the target.
    pub oldest_unapplied_us: Option<i64>,
    /// When everything received was applied, and the source was last heard from (our clock).
    pub caught_up_at_us: Option<i64>,
    /// Source commit time of the newest transaction that is applied.
    pub last_applied_us: Option<i64>,
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
