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
//!
//! A source that does not log what its foreign keys do changes rows in ways that no change of theirs
//! tells. The change that caused it is in the log. Up to the low mark the scan saw what it did, and all
//! that came before it: nothing of that is laid over. After the low mark nobody knows whether the scan
//! saw it, and the window is lost; unless rows were locked as they were read, which are as of the high mark.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::link::batch::Batch;
use crate::link::letter::Letter;
use crate::link::ports::{MissedKey, Scanned};
use crate::link::steps::{self, Act, Prepared};
use crate::model::Value;
use crate::plan::{LinkPlan, TablePlan};
use crate::position::Position;

/// Transaction ids remembered at most.
const HANDED_ON_MAX: usize = 65_536;
/// Memory for what is laid over rows, in bytes; a single row may need more.
const LAID_BYTES_MAX: usize = 16 << 20;

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

/// When rows of a window's table may have changed last without a trace in the log, since its opening.
#[derive(Debug, PartialEq)]
enum Unseen {
    Never,
    /// By the transaction that ends here, or by one before it.
    Until(Position),
    /// By the transaction that is being applied.
    Now,
}

/// Where a look at the source lies in its log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight<'a> {
    /// Everything up to here was seen.
    pub(super) low: &'a Position,
    /// Nothing after here was.
    pub(super) high: &'a Position,
    /// What was found is as of `high`.
    pub(super) exact: bool,
    /// Transactions that were not finished.
    pub(super) in_progress: &'a [u32],
}

impl<'a> From<&'a Scanned> for Sight<'a> {
    fn from(scan: &'a Scanned) -> Self {
        let Scanned { low, high, exact, in_progress, .. } = scan;
        Sight { low, high, exact: *exact, in_progress }
    }
}

/// One look at some rows of one table, or at a piece of it.
#[derive(Debug)]
pub(super) struct Window {
    /// The table.
    pub(super) table: usize,
    /// The rows that are asked for; of a piece nobody knows them before.
    pub(super) notes: Vec<MissedKey>,
    /// Every row of the table may be in it.
    whole: bool,
    /// All rows of the table went since.
    emptied: bool,
    opened_at: Position,
    mark: u64,
    /// By the texts of the keys.
    since: HashMap<String, Since>,
    /// Memory of what is in it.
    laid_bytes: usize,
    /// That became too much, and is forgotten.
    overflowed: bool,
    unseen: Unseen,
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
    /// Rows may have changed after they were read, and the log does not say which.
    Unseen,
    /// Too much has changed to be remembered.
    TooLarge,
}

impl Window {
    /// Opens at the applied position `at`, with `mark` of the same moment.
    pub(super) fn open(table: usize, notes: Vec<MissedKey>, at: Position, mark: u64) -> Self {
        let nothing = || Since::Laid(BTreeMap::new());
        let since = notes.iter().map(|note| (note.text(), nothing())).collect();
        Window {
            table,
            notes,
            whole: false,
            emptied: false,
            opened_at: at,
            mark,
            since,
            laid_bytes: 0,
            overflowed: false,
            unseen: Unseen::Never,
        }
    }

    /// The same over a piece of the table: which rows are in it shows when it is read.
    pub(super) fn open_whole(table: usize, at: Position, mark: u64) -> Self {
        Window { whole: true, ..Window::open(table, Vec::new(), at, mark) }
    }

    /// Changes of a batch that go into the target now.
    pub(super) fn change_by(&mut self, plan: &LinkPlan, batch: &Batch) {
        batch.placed().for_each(|(change, at)| self.change(plan, change, at));
        for (aside, at) in batch.asides_placed() {
            let Letter { table, row, old_row, .. } = &aside.letter;
            match &aside.change {
                Some(change) => self.change(plan, change, at),
                None => [Some(row), old_row.as_ref()]
                    .into_iter()
                    .flatten()
                    .for_each(|row| self.touch(*table, row)),
            }
        }
    }

    /// A change goes into the target. `at` is the end of its transaction, where that is known.
    pub(super) fn change(&mut self, plan: &LinkPlan, change: &Prepared, at: Option<&Position>) {
        if let Some(table) = plan.tables.get(self.table).filter(|_| change.table == self.table) {
            self.change_row(table, change);
        }
        if steps::acts_unseen(plan, change, self.table) {
            self.unseen = at.map_or(Unseen::Now, |at| Unseen::Until(at.clone()));
            for since in self.since.values_mut().filter(|since| **since != Since::Gone) {
                *since = Since::Laid(BTreeMap::new());
            }
            self.laid_bytes = 0;
        }
    }

    /// Everything up to `applied` is in the target, and nothing else.
    pub(super) fn applied(&mut self, applied: &Position) {
        if self.unseen == Unseen::Now {
            self.unseen = Unseen::Until(applied.clone());
        }
    }

    /// Whether no row of the table can have changed unseen since the opening.
    pub(super) fn is_calm(&self) -> bool {
        self.unseen == Unseen::Never
    }

    fn change_row(&mut self, plan: &TablePlan, change: &Prepared) {
        let key = || steps::key_text(&change.key(plan));
        match &change.act {
            Act::Update { columns: Some(columns), row } => {
                self.lay(&key(), columns.iter().copied().zip(row.iter()));
            }
            Act::Update { columns: None, row } => self.lay(&key(), row.iter().enumerate()),
            Act::Upsert { .. } | Act::Delete { .. } => self.gone(&key()),
            Act::Rekey { old, .. } => {
                self.gone(&steps::key_text(old));
                self.gone(&key());
            }
            Act::Truncate => {
                self.emptied = true;
                if self.whole {
                    self.since.clear();
                }
                self.since.values_mut().for_each(|since| *since = Since::Gone);
                self.laid_bytes = 0;
            }
            // It comes beside another change, or none.
            Act::Note { .. } => {}
        }
    }

    /// Makes room for a row that nobody has asked for, in a window over a piece.
    fn know(&mut self, key: &str) {
        if self.whole && !self.emptied && !self.overflowed && !self.since.contains_key(key) {
            self.since.insert(key.to_owned(), Since::Laid(BTreeMap::new()));
            self.laid_bytes += row_bytes(key);
        }
    }

    /// Whether too much is known by now.
    fn bound(&mut self) {
        if self.laid_bytes > LAID_BYTES_MAX && (self.whole || self.notes.len() > 1) {
            self.overflowed = true;
            self.since.clear();
        }
    }

    /// Lays values over a row that is asked for.
    fn lay<'a>(&mut self, key: &str, newer: impl Iterator<Item = (usize, &'a Value)>) {
        self.know(key);
        let Some(Since::Laid(values)) = self.since.get_mut(key) else { return };
        for (column, value) in newer {
            self.laid_bytes += laid_bytes(value);
            if let Some(older) = values.insert(column, value.detached()) {
                self.laid_bytes = self.laid_bytes.saturating_sub(laid_bytes(&older));
            }
        }
        self.bound();
    }

    /// A change of a row of `table` goes by of which no more is known.
    pub(super) fn touch(&mut self, table: usize, row: &str) {
        if table == self.table {
            self.gone(row);
        }
    }

    fn gone(&mut self, key: &str) {
        self.know(key);
        let Some(since) = self.since.get_mut(key) else { return };
        if let Since::Laid(values) = std::mem::replace(since, Since::Gone) {
            let freed: usize = values.values().map(laid_bytes).sum();
            self.laid_bytes = self.laid_bytes.saturating_sub(freed);
        }
        self.bound();
    }

    /// What changes have made of the row of this name; `None` for one that is not in the window, or of
    /// which nothing is known in one over a piece.
    pub(super) fn since(&self, row: &str) -> Option<&Since> {
        match self.emptied && self.whole {
            true => Some(&Since::Gone),
            false => self.since.get(row),
        }
    }

    /// Whether nothing has become of any row since.
    pub(super) fn is_unchanged(&self) -> bool {
        self.since.is_empty() && !self.emptied
    }

    /// Judges a look when everything up to `applied` is applied.
    pub(super) fn judge<'a>(
        &self,
        sight: impl Into<Sight<'a>>,
        handed: &HandedOn,
        applied: &Position,
    ) -> Reading {
        let scan = sight.into();
        let hidden = scan.in_progress.iter().any(|xid| handed.before(*xid, self.mark));
        let seen = if scan.exact { scan.high } else { scan.low };
        let unseen = match &self.unseen {
            Unseen::Never => false,
            Unseen::Until(at) => !seen.reaches(at),
            Unseen::Now => true,
        };
        if self.overflowed {
            Reading::TooLarge
        } else if hidden || !scan.low.reaches(&self.opened_at) {
            Reading::TooEarly
        } else if unseen {
            Reading::Unseen
        } else if applied.reaches(scan.high) {
            Reading::Ready
        } else {
            Reading::Ahead
        }
    }
}

/// Memory of a row of which something is known.
fn row_bytes(key: &str) -> usize {
    size_of::<(String, Since)>() + key.len()
}

/// Memory of a value that is laid over a row.
fn laid_bytes(value: &Value) -> usize {
    size_of::<(usize, Value)>() + value.heap_bytes()
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
            exact: false,
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
        fn since(key: i64, window: &Window) -> Option<&Since> {
            window.since(&steps::key_text(&row(&[key])))
        }
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
            window.change(&plan, &Prepared { table: 0, act }, None);
        }
        assert_eq!(since(1, &window), Some(&laid(&[(0, 1), (1, 9), (2, 8)])));
        assert_eq!(since(2, &window), Some(&Since::Gone));
        assert_eq!(since(3, &window), Some(&Since::Gone));
        assert_eq!(since(4, &window), Some(&laid(&[])));
        assert_eq!(since(5, &window), None, "no memory of rows that nobody asked for");
        window.change(&plan, &Prepared { table: 0, act: Act::Truncate }, None);
        assert_eq!(since(4, &window), Some(&Since::Gone));
    }

    /// Broken if what is laid over rows grew with the stream for as long as their window is open, if
    /// rows of a window that forgot it could be written, or if one row of much could never be read.
    #[test]
    fn what_is_laid_over_rows_is_bounded() {
        let plan = plan_of(&["id", "n"]);
        let much = || Value::Text("x".repeat(LAID_BYTES_MAX / 2).into());
        let note = |key| MissedKey { table: 0, key: row(&[key]), why: Why::NoRow };
        let update = |key| {
            let row = [Value::Int(key), much()].into_iter().collect();
            Prepared { table: 0, act: Act::Update { columns: None, row } }
        };
        let delete = |key| Prepared { table: 0, act: Act::Delete { key: row(&[key]) } };
        let judged =
            |window: &Window| window.judge(&scan(1, 1, &[]), &HandedOn::default(), &lsn(1));
        let mut window = Window::open(0, (0..9).map(note).collect(), lsn(1), 0);
        for change in [update(1), update(1), delete(1), update(2), update(99)] {
            window.change(&plan, &change, None);
        }
        assert_eq!(judged(&window), Reading::Ready, "the last of each row counts");
        window.change(&plan, &update(3), None);
        assert_eq!((judged(&window), window.since.len()), (Reading::TooLarge, 0));
        window.change(&plan, &Prepared { table: 0, act: Act::Truncate }, None);
        assert_eq!(judged(&window), Reading::TooLarge);

        let mut single = Window::open(0, vec![note(1)], lsn(1), 0);
        let both = [much(), much()].map(|value| [Value::Int(1), value].into_iter().collect());
        for (row, columns) in both.into_iter().zip([[0, 1], [0, 2]]) {
            let act = Act::Update { columns: Some(columns.into()), row };
            single.change(&plan, &Prepared { table: 0, act }, None);
        }
        assert_eq!(judged(&single), Reading::Ready);
    }
}
