//! The window rule for rows read beside the stream (correctness.md 1 and 8). Pure.
//!
//! A window opens at an applied position. What it reads may be written only if the scan saw
//! everything up to there (the low mark), the stream has been applied up to everything the scan may
//! have seen (the high mark), and no change since the opening has touched the row: then the row
//! read is exactly the row as of the applied position.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::link::ports::Scanned;
use crate::model::Row;
use crate::position::Position;

/// Transaction ids remembered at most.
const HANDED_ON_MAX: usize = 65_536;

/// The PostgreSQL transactions that were handed on to apply, newest last, each with a number.
#[derive(Debug, Default)]
pub(super) struct HandedOn {
    numbers: HashMap<u32, u64>,
    order: VecDeque<u32>,
    last: u64,
    /// May have been handed on before the attempt began: those that were unfinished then.
    earlier: HashSet<u32>,
}

impl HandedOn {
    /// Nothing handed on yet, but perhaps, by an attempt before this one, some of `unfinished`.
    pub(super) fn after(unfinished: Vec<u32>) -> Self {
        HandedOn { earlier: unfinished.into_iter().collect(), ..HandedOn::default() }
    }

    /// Remembers one.
    pub(super) fn add(&mut self, xid: u32) {
        self.last += 1;
        self.earlier.remove(&xid);
        if self.numbers.insert(xid, self.last).is_none() {
            self.order.push_back(xid);
        }
        if self.order.len() > HANDED_ON_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.numbers.remove(&oldest);
        }
    }

    /// A mark for [`HandedOn::before`]: everything up to now.
    pub(super) fn mark(&self) -> u64 {
        self.last
    }

    /// Whether `xid` was handed on before `mark`.
    fn before(&self, xid: u32, mark: u64) -> bool {
        self.earlier.contains(&xid) || self.numbers.get(&xid).is_some_and(|number| *number <= mark)
    }
}

/// One look at some rows of one table.
#[derive(Debug)]
pub(super) struct Window {
    /// The table.
    pub(super) table: usize,
    /// Keys as the target holds them.
    pub(super) keys: Vec<Row>,
    opened_at: Position,
    mark: u64,
    touched: HashSet<String>,
    truncated: bool,
}

/// What may be done with what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The scan did not see everything that is applied: look again.
    TooEarly,
    /// The stream has not come up to everything the scan may have seen: wait.
    Ahead,
    /// The untouched rows may be written.
    Ready,
}

impl Window {
    /// Opens at the applied position `at`, with `mark` of the same moment.
    pub(super) fn open(table: usize, keys: Vec<Row>, at: Position, mark: u64) -> Self {
        Window { table, keys, opened_at: at, mark, touched: HashSet::new(), truncated: false }
    }

    /// A change since the opening touched a row of this table.
    pub(super) fn touch(&mut self, key: String) {
        self.touched.insert(key);
    }

    /// All rows went.
    pub(super) fn truncate(&mut self) {
        self.truncated = true;
    }

    /// Whether a row must be left to the next window.
    pub(super) fn is_touched(&self, key: &str) -> bool {
        self.truncated || self.touched.contains(key)
    }

    /// Judges a scan when everything up to `applied` is applied.
    pub(super) fn judge(&self, scan: &Scanned, handed: &HandedOn, applied: &Position) -> Reading {
        let hidden = scan.in_progress.iter().any(|xid| handed.before(*xid, self.mark));
        if hidden || !scan.low.reaches(&self.opened_at) {
            Reading::TooEarly
        } else if applied.reaches(&scan.high) {
            Reading::Ready
        } else {
            Reading::Ahead
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lsn(at: u64) -> Position {
        Position::Postgres(crate::position::Lsn(at))
    }

    fn scan(low: u64, high: u64, in_progress: &[u32]) -> Scanned {
        Scanned {
            low: lsn(low),
            high: lsn(high),
            in_progress: in_progress.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Broken if a scan that misses an applied change could overwrite it.
    #[test]
    fn a_scan_must_see_what_is_applied() {
        let mut handed = HandedOn::default();
        handed.add(7);
        let window = Window::open(0, Vec::new(), lsn(10), handed.mark());
        handed.add(8);
        assert_eq!(window.judge(&scan(9, 9, &[]), &handed, &lsn(10)), Reading::TooEarly);
        assert_eq!(window.judge(&scan(10, 12, &[7]), &handed, &lsn(12)), Reading::TooEarly);
        // 8 was handed on after the opening: its rows are touched, the scan may stand.
        assert_eq!(window.judge(&scan(10, 12, &[8]), &handed, &lsn(11)), Reading::Ahead);
        assert_eq!(window.judge(&scan(10, 12, &[8]), &handed, &lsn(12)), Reading::Ready);
    }

    /// Broken if a transaction that an earlier attempt applied, and that still waits for a standby,
    /// were forgotten: the row as it was before it would be written over it.
    #[test]
    fn what_an_earlier_attempt_applied_may_be_hidden() {
        let mut handed = HandedOn::after(vec![7]);
        let window = Window::open(0, Vec::new(), lsn(10), handed.mark());
        assert_eq!(window.judge(&scan(10, 10, &[7]), &handed, &lsn(12)), Reading::TooEarly);
        assert_eq!(window.judge(&scan(10, 10, &[8]), &handed, &lsn(12)), Reading::Ready);
        // It comes now, so it was not applied before: its rows are touched.
        handed.add(7);
        assert_eq!(window.judge(&scan(10, 10, &[7]), &handed, &lsn(12)), Reading::Ready);
    }

    /// Broken if the memory of transaction ids grew without bound or forgot the newest.
    #[test]
    fn handed_on_is_bounded() {
        let mut handed = HandedOn::default();
        (0..100_000).for_each(|xid| handed.add(xid));
        assert_eq!(handed.numbers.len(), HANDED_ON_MAX);
        assert!(handed.before(99_999, handed.mark()));
        assert!(!handed.before(3, handed.mark()));
    }

    /// Broken if a row changed in the window were overwritten by what was read before the change.
    #[test]
    fn touched_rows_wait() {
        let mut window = Window::open(0, Vec::new(), lsn(1), 0);
        window.touch("a".to_owned());
        assert!(window.is_touched("a") && !window.is_touched("b"));
        window.truncate();
        assert!(window.is_touched("b"));
    }
}
