//! How fast a copy goes: how many rows the next chunk has, and when it may be written. Pure: the time is
//! given by who asks, as a duration since some moment of its own.
//!
//! A chunk stands between two batches of the stream, so it is to be written within a moment: its rows
//! follow from how long the last one took. While the stream is behind, copies leave it most of the time;
//! while it is far behind, all of it.

use std::time::Duration;

/// How long a chunk may take to be written, or to be read.
const CHUNK_TIME: Duration = Duration::from_millis(250);
/// Rows of a chunk.
const ROWS_MIN: usize = 100;
const ROWS_FIRST: usize = 5_000;
const ROWS_MAX: usize = 50_000;
/// The stream is behind from this lag on, and far behind from that one on.
const BEHIND: Duration = Duration::from_secs(2);
const FAR_BEHIND: Duration = Duration::from_secs(30);
/// Share of the time that is the stream's while it is behind: so many times what a chunk takes.
const STREAM_SHARE: u32 = 9;

/// The size of a table's chunks.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    rows: usize,
    losses: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { rows: ROWS_FIRST, losses: 0 }
    }
}

impl Pace {
    /// Rows of the next chunk at most.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Chunks that came to nothing, in a row.
    pub fn losses(&self) -> u32 {
        self.losses
    }

    /// A chunk of so many rows was written: its reading and its writing took so long.
    pub fn wrote(&mut self, rows: usize, read: Duration, write: Duration) {
        self.losses = 0;
        let taken = read.max(write).max(Duration::from_millis(1));
        // Small pieces, at a table's end, say little.
        if rows * 2 < self.rows && taken < CHUNK_TIME {
            return;
        }
        let fitting = rows as f64 * CHUNK_TIME.as_secs_f64() / taken.as_secs_f64();
        // Half way there, so that one slow chunk is no rule.
        let next = if fitting >= self.rows as f64 {
            fitting.min(self.rows as f64 * 2.0)
        } else {
            (fitting + self.rows as f64) / 2.0
        };
        self.rows = (next as usize).clamp(ROWS_MIN.min(self.rows), ROWS_MAX);
    }

    /// A chunk took so long to be read that it was given up: the next is smaller, down to one row.
    pub fn too_long(&mut self) {
        self.rows = (self.rows / 4).max(1);
    }

    /// A chunk could not be written, because rows changed unseen or too many did: the next is smaller.
    pub fn lost(&mut self) {
        self.losses = self.losses.saturating_add(1);
        self.rows = (self.rows / 4).max(ROWS_MIN);
    }
}

/// When the next chunk may be written.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    per_second: Option<u32>,
    /// Not before this, by the limit that a person has set.
    paid_until: Duration,
    /// Not before this, while the stream is behind.
    stream_until: Duration,
}

impl Throttle {
    /// At most so many rows per second, where there is a limit.
    pub fn new(per_second: Option<u32>) -> Throttle {
        Throttle { per_second, paid_until: Duration::ZERO, stream_until: Duration::ZERO }
    }

    /// Rows of one chunk at most: what a second allows.
    pub fn rows_max(&self) -> usize {
        self.per_second.map_or(usize::MAX, |rows| (rows as usize).max(1))
    }

    /// A chunk of so many rows was written until `now`, which took so long.
    pub fn wrote(&mut self, rows: usize, took: Duration, now: Duration) {
        if let Some(per_second) = self.per_second {
            let cost = Duration::from_secs_f64(rows as f64 / f64::from(per_second.max(1)));
            self.paid_until = self.paid_until.max(now.saturating_sub(took)) + cost;
        }
        self.stream_until = now + took * STREAM_SHARE;
    }

    /// How long the next chunk waits at `now`, with the stream so far behind; `None`: until it is not.
    pub fn wait(&self, now: Duration, lag: Duration) -> Option<Duration> {
        if lag >= FAR_BEHIND {
            return None;
        }
        let until = match lag >= BEHIND {
            true => self.paid_until.max(self.stream_until),
            false => self.paid_until,
        };
        Some(until.saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Broken if chunks did not come to take about their time, from below or from above, or left their
    /// bounds.
    #[test]
    fn chunks_come_to_take_their_time() {
        for us_per_row in [2, 10, 100, 1_000, 100_000] {
            let mut pace = Pace::default();
            for _ in 0..50 {
                let took = Duration::from_micros(us_per_row * pace.rows() as u64);
                pace.wrote(pace.rows(), took / 3, took);
            }
            let fitting = (250_000 / us_per_row as usize).clamp(ROWS_MIN, ROWS_MAX);
            let off = pace.rows().abs_diff(fitting);
            assert!(off <= fitting / 10, "{us_per_row} µs: {} for {fitting}", pace.rows());
        }
    }

    /// Broken if the last piece of a stretch made all that follow small or large, or lost chunks stayed
    /// as large as they were.
    #[test]
    fn small_pieces_and_losses() {
        let mut pace = Pace::default();
        pace.wrote(10, ms(1), ms(1));
        assert_eq!(pace.rows(), ROWS_FIRST);
        pace.lost();
        pace.lost();
        assert_eq!((pace.rows(), pace.losses()), (ROWS_FIRST / 16, 2));
        (0..9).for_each(|_| pace.lost());
        assert_eq!(pace.rows(), ROWS_MIN);
        pace.wrote(ROWS_MIN, ms(1), ms(1));
        assert_eq!((pace.rows(), pace.losses()), (ROWS_MIN * 2, 0));
        pace.wrote(1, ms(1), ms(500));
        assert_eq!(pace.rows(), ROWS_MIN, "one row that takes long says much");
        pace.wrote(1, ms(1), ms(500));
        assert_eq!(pace.rows(), ROWS_MIN, "one row that takes long says much");
    }

    /// Broken if what takes too long to be read were asked for again at the same size, or at once at a
    /// size that was too large before.
    #[test]
    fn what_takes_too_long_becomes_smaller() {
        let mut pace = Pace::default();
        let sizes = [1_250, 312, 78, 19, 4, 1, 1].map(|expected| {
            pace.too_long();
            (pace.rows(), expected)
        });
        assert!(sizes.iter().all(|(rows, expected)| rows == expected), "{sizes:?}");
        assert_eq!(pace.losses(), 0, "nobody stands still for it");
        pace.wrote(1, ms(60_000), ms(1));
        assert_eq!(pace.rows(), 1);
        pace.wrote(1, ms(1), ms(1));
        assert_eq!(pace.rows(), 2, "step by step");
    }

    /// Broken if a limit were not kept over time, a copy took the stream's time while that is behind, or
    /// waited without reason.
    #[test]
    fn the_limit_and_the_stream_are_kept() {
        let mut throttle = Throttle::new(Some(1_000));
        let mut now = ms(0);
        for _ in 0..20 {
            now += throttle.wait(now, ms(0)).expect("not far behind") + ms(50);
            throttle.wrote(500, ms(50), now);
        }
        assert!((ms(9_400)..ms(10_100)).contains(&now), "{now:?}");

        let mut free = Throttle::new(None);
        free.wrote(500, ms(100), ms(1_000));
        assert_eq!(free.wait(ms(1_000), ms(0)), Some(ms(0)));
        assert_eq!(free.wait(ms(1_000), ms(2_500)), Some(ms(900)));
        assert_eq!(free.wait(ms(1_950), ms(2_500)), Some(ms(0)));
        assert_eq!(free.wait(ms(1_950), FAR_BEHIND), None);
    }
}
