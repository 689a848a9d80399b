//! How long to wait before a link tries again: exponential, with full jitter. Pure but for the
//! seeded random numbers it is given.

use std::time::Duration;

/// The waits of one link.
#[derive(Debug)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    attempt: u32,
    random: fastrand::Rng,
}

/// Full jitter alone could wait for nothing; this share of the step always passes.
const FLOOR: f64 = 0.1;

impl Backoff {
    /// Steps of `initial`, doubled each time, up to `max`.
    pub fn new(initial: Duration, max: Duration, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Backoff { initial, max: max.max(initial), attempt: 0, random }
    }

    /// The next wait: somewhere between a tenth of the step and the step.
    pub fn next_wait(&mut self) -> Duration {
        let factor = 2u32.saturating_pow(self.attempt.min(30));
        let step = self.initial.saturating_mul(factor).min(self.max);
        self.attempt = self.attempt.saturating_add(1);
        step.mul_f64(FLOOR + (1.0 - FLOOR) * self.random.f64())
    }

    /// How many waits there were since the last progress.
    pub fn attempts(&self) -> u32 {
        self.attempt
    }

    /// There was progress: begin with short waits again.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Broken if a wait could be zero (a hot loop), beyond the maximum, or overflow.
        #[test]
        fn waits_stay_in_bounds(seed: u64, initial_ms in 1u64..5_000, max_ms in 1u64..600_000) {
            let initial = Duration::from_millis(initial_ms);
            let max = Duration::from_millis(max_ms).max(initial);
            let mut backoff = Backoff::new(initial, max, seed);
            for attempt in 0..80u32 {
                let step = initial.saturating_mul(2u32.saturating_pow(attempt.min(30))).min(max);
                let wait = backoff.next_wait();
                prop_assert!(wait <= step && wait >= step.mul_f64(0.09), "{wait:?} of {step:?}");
            }
            backoff.reset();
            prop_assert!(backoff.next_wait() <= initial);
        }
    }
}
