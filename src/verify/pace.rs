//! How fast a comparison may go: no faster than it was told, and leaving the servers to the stream while
//! that falls behind.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

/// Behind by less than this, the stream is left alone.
const LAG_MIN_S: f64 = 2.0;
/// Longest wait for a stream that falls behind, in a row: a comparison comes to its end all the same.
const YIELD_MAX: u32 = 30;
const YIELD: Duration = Duration::from_secs(1);

/// The stream's lag in seconds, where it is known.
pub type Lag = Box<dyn Fn() -> Option<f64> + Send + Sync>;

/// The pace of a comparison.
pub struct Pace {
    rows_per_second: Option<u32>,
    lag: Lag,
    /// When the next rows are due.
    due: Instant,
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pace")
            .field("rows_per_second", &self.rows_per_second)
            .finish_non_exhaustive()
    }
}

impl Pace {
    /// Of at most so many rows per second.
    pub fn new(rows_per_second: Option<u32>, lag: Lag) -> Pace {
        Pace { rows_per_second, lag, due: Instant::now() }
    }

    /// Waits as is due after so many rows.
    pub async fn after(&mut self, rows: usize) {
        if let Some(rate) = self.rows_per_second.filter(|rate| *rate > 0) {
            let cost = Duration::from_secs_f64(rows as f64 / f64::from(rate));
            // What was not used is not saved up.
            self.due = self.due.max(Instant::now()) + cost;
            sleep_until(self.due).await;
        }
        let mut last = f64::INFINITY;
        for _ in 0..YIELD_MAX {
            match (self.lag)() {
                Some(lag) if lag > LAG_MIN_S && (last.is_infinite() || lag >= last) => last = lag,
                _ => return,
            }
            sleep(YIELD).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Broken if a comparison read faster than it may.
    #[tokio::test(start_paused = true)]
    async fn rows_have_their_time() {
        let begun = Instant::now();
        let mut pace = Pace::new(Some(100), Box::new(|| None));
        for _ in 0..4 {
            pace.after(50).await;
        }
        let taken = begun.elapsed();
        assert!(
            taken >= Duration::from_secs(2) && taken < Duration::from_millis(2_100),
            "{taken:?}"
        );
    }

    /// Broken if a comparison went on beside a stream that falls behind because of it, or waited for ever.
    #[tokio::test(start_paused = true)]
    async fn a_stream_that_falls_behind_is_left_alone() {
        let lag = Arc::new(AtomicU64::new(3));
        let seen = Arc::clone(&lag);
        let grows = move || Some(seen.fetch_add(1, Ordering::Relaxed) as f64);
        let mut pace = Pace::new(None, Box::new(grows));
        let begun = Instant::now();
        pace.after(1).await;
        assert_eq!(begun.elapsed().as_secs(), u64::from(YIELD_MAX));
        let mut idle = Pace::new(None, Box::new(|| Some(1.0)));
        let begun = Instant::now();
        idle.after(1).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
