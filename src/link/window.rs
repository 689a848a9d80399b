//! The window rule for rows read beside the stream (correctness.md 1, 8 and 9). Pure.
//!
//! A window opens at an applied position. What it reads may be written only if the scan saw
//! everything up to there (the low mark), and the stream has been applied up to everything the scan
//! may have seen (the high mark). Then the row read, with what changes since the opening have made
//! of it laid over, is the row as of the applied position: a column that they do not hold has not
//! changed, one that they hold is as the last of them says, whichever the scan saw. So a row that
//! changes all the time is read like any other. A row that went meanwhile, or came anew, is not
//! written: all that the log holds of it is in the target. What the log does not hold of a change
//! has a note of its own, which a later window serves.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::link::ports::{MissedKey, Scanned};
use crate::link::steps::{self, Act, Prepared};
use crate::model::{Row, Value};
use crate::plan::TablePlan;
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

/// What changes since the opening have made of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Since {
    /// These values of it, by their columns in the plan, are newer than what is read, or the same.
    Laid(BTreeMap<usize, Value>),
    /// It went, or came anew: what is read may be of a row that is no more.
    Gone,
}

/// One look at some rows of one table.
#[derive(Debug)]
pub(super) struct Window {
    /// The table.
    pub(super) table: usize,
    /// The rows that are asked for.
    pub(super) notes: Vec<MissedKey>,
    opened_at: Position,
    mark: u64,
    /// By the texts of the keys.
    since: HashMap<String, Since>,
}

/// What may be done with what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The scan did not see everything that is applied: look again.
    TooEarly,
    /// The stream has not come up to everything the scan may have seen: wait.
    Ahead,
    /// The rows may be written.
    Ready,
}

impl Window {
    /// Opens at the applied position `at`, with `mark` of the same moment.
    pub(super) fn open(table: usize, notes: Vec<MissedKey>, at: Position, mark: u64) -> Self {
        let nothing = || Since::Laid(BTreeMap::new());
        let since = notes.iter().map(|note| (steps::key_text(&note.key), nothing())).collect();
        Window { table, notes, opened_at: at, mark, since }
    }

    /// A change of this table goes into the target.
    pub(super) fn change(&mut self, plan: &TablePlan, change: &Prepared) {
        let key = || steps::key_text(&change.key(plan));
        match &change.act {
            Act::Update { columns, row } => {
                let Some(Since::Laid(values)) = self.since.get_mut(&key()) else { return };
                match columns {
                    Some(columns) => {
                        values.extend(columns.iter().copied().zip(row.iter().cloned()))
                    }
                    None => values.extend(row.iter().cloned().enumerate()),
                }
            }
            Act::Upsert { .. } | Act::Delete { .. } => self.gone(&key()),
            Act::Rekey { old, .. } => {
                self.gone(&steps::key_text(old));
                self.gone(&key());
            }
            Act::Truncate => self.since.values_mut().for_each(|since| *since = Since::Gone),
            // It comes beside another change, or none.
            Act::Note { .. } => {}
        }
    }

    fn gone(&mut self, key: &str) {
        if let Some(since) = self.since.get_mut(key) {
            *since = Since::Gone;
        }
    }

    /// What changes have made of the row of this key; `None` for a key that is not in the window.
    pub(super) fn since(&self, key: &Row) -> Option<&Since> {
        self.since.get(&steps::key_text(key))
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
    use crate::link::ports::Why;
    use crate::plan::fixtures::{plan_of, row};

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
        // 8 was handed on after the opening: what it changes is known, the scan may stand.
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
        // It comes now, so it was not applied before: what it changes is known.
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

    /// Broken if a change in the window were overwritten by what was read before it, if a row that
    /// changes all the time were never read, or one that went in the window came back.
    #[test]
    fn changes_of_the_window_lie_over_what_is_read() {
        let plan = plan_of(&["id", "a", "b"]);
        let note = |key| MissedKey { table: 0, key: row(&[key]), why: Why::NoRow };
        let mut window = Window::open(0, [1, 2, 3, 4].map(note).into(), lsn(1), 0);
        let update = |key, column, value| {
            let columns = Some([0, column].into());
            Act::Update { columns, row: row(&[key, value]) }
        };
        let laid = |values: &[(usize, i64)]| {
            Since::Laid(values.iter().map(|(at, value)| (*at, Value::Int(*value))).collect())
        };
        for act in [
            update(1, 1, 7),
            update(1, 2, 8),
            update(1, 1, 9),
            update(2, 1, 5),
            Act::Delete { key: row(&[2]) },
            Act::Upsert { columns: None, row: row(&[2, 6, 6]) },
            update(2, 1, 4),
            Act::Rekey { old: row(&[9]), columns: None, row: row(&[3, 1, 1]) },
            Act::Note { key: row(&[4]) },
            update(5, 1, 1),
        ] {
            window.change(&plan.tables[0], &Prepared { table: 0, act });
        }
        assert_eq!(window.since(&row(&[1])), Some(&laid(&[(0, 1), (1, 9), (2, 8)])));
        assert_eq!(window.since(&row(&[2])), Some(&Since::Gone));
        assert_eq!(window.since(&row(&[3])), Some(&Since::Gone));
        assert_eq!(window.since(&row(&[4])), Some(&laid(&[])));
        assert_eq!(window.since(&row(&[5])), None, "no memory of rows that nobody asked for");
        window.change(&plan.tables[0], &Prepared { table: 0, act: Act::Truncate });
        assert_eq!(window.since(&row(&[4])), Some(&Since::Gone));
    }
}
