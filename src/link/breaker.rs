//! The circuit breaker: where rows are set aside beyond a number or a rate, the failure is not one of
//! single rows, and the link halts. Time comes from the caller.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::config::{ApplyOptions, Rate, show_rate};
use crate::error::{Error, Kind, Result};

/// Times remembered at most: of a rate above that only the newest are judged.
const REMEMBERED_MAX: usize = 65_536;

/// The limits, and when rows were set aside lately.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    rows_max: u64,
    rate_max: Rate,
    recent: VecDeque<Instant>,
}

impl Breaker {
    /// Nothing was set aside yet.
    pub(super) fn new(options: &ApplyOptions) -> Breaker {
        Breaker {
            rows_max: options.dead_letters_max,
            rate_max: options.dead_letters_rate_max,
            recent: VecDeque::new(),
        }
    }

    /// Admits one more row beside `rows` that are set aside.
    ///
    /// # Errors
    /// `TooManyDeadLetters`, caused by `error`, which the row was to be set aside for.
    pub(super) fn admit(&mut self, rows: u64, now: Instant, error: Error) -> Result<Error> {
        if rows >= self.rows_max {
            let context = format!(
                "{rows} rows are set aside already, and one more would be (dead_letters_max = {})",
                self.rows_max
            );
            return Err(Error::new(Kind::TooManyDeadLetters, context).caused_by(error));
        }
        let Rate { count, period } = self.rate_max;
        while self.recent.front().is_some_and(|at| now.duration_since(*at) >= period) {
            self.recent.pop_front();
        }
        if self.recent.len() as u64 >= count {
            let context = format!(
                "rows are set aside faster than {} (dead_letters_rate_max)",
                show_rate(self.rate_max)
            );
            return Err(Error::new(Kind::TooManyDeadLetters, context).caused_by(error));
        }
        self.recent.push_back(now);
        if self.recent.len() > REMEMBERED_MAX {
            self.recent.pop_front();
        }
        Ok(error)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn breaker(rows_max: u64, count: u64) -> Breaker {
        let options = ApplyOptions {
            dead_letters_max: rows_max,
            dead_letters_rate_max: Rate { count, period: Duration::from_secs(60) },
            ..ApplyOptions::default()
        };
        Breaker::new(&options)
    }

    fn refused() -> Error {
        Error::new(Kind::Constraint, "the row is refused")
    }

    /// Broken if a systematic failure filled the target with letters, or a slow trickle of bad rows
    /// stopped a link.
    #[test]
    fn both_limits_halt() {
        let now = Instant::now();
        let mut full = breaker(2, 10);
        assert!(full.admit(1, now, refused()).is_ok());
        let error = full.admit(2, now, refused()).expect_err("full");
        assert_eq!(error.kind(), Kind::TooManyDeadLetters);
        assert!(error.chain().contains("dead_letters_max = 2"), "{}", error.chain());
        assert!(error.chain().ends_with("the row is refused"));
        let mut fast = breaker(1000, 2);
        let at = |seconds| now + Duration::from_secs(seconds);
        for (second, good) in [(0, true), (30, true), (59, false), (60, true), (61, false)] {
            assert_eq!(fast.admit(0, at(second), refused()).is_ok(), good, "{second}");
        }
        let error = fast.admit(0, at(62), refused()).expect_err("fast");
        assert!(error.to_string().contains("2/min"), "{error}");
    }
}
