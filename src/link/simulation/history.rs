//! What happens at the simulated source: a log of random transactions, with its rows after each; and what
//! people ask meanwhile.

use std::collections::BTreeSet;

use super::tables::{PARENTS, cascade, refers};
use super::world::{KEYS, Rows, Transaction, World, row};
use crate::model::{Before, Change, Op, Value};
use crate::snapshot::order::{Order, Scope, What};
use crate::snapshot::progress::{Progress, Stage};

impl World {
    pub(super) fn write_log(&mut self) {
        let (mut rows, mut parents) = (Rows::new(), BTreeSet::new());
        let mut end = 100;
        let transactions = self.random.usize(5..40);
        for _ in 0..transactions {
            let count = if self.random.u8(..6) == 0 { 30 } else { self.random.usize(0..5) };
            let changes =
                (0..count).filter_map(|_| match self.cascades && self.random.u8(..4) == 0 {
                    true => Some(self.change_parent(&mut parents, &mut rows)),
                    false => self.change(&mut rows, &parents),
                });
            let changes = changes.collect();
            end += self.random.u64(1..50);
            self.log.push(Transaction { end, changes });
            self.models.push(rows.clone());
        }
        self.calm_from = end;
        let changes = rows.iter_mut().map(|(key, values)| {
            values.0 += 1;
            let after = row(*key, *values);
            Change { table: 0, op: Op::Update { before: None, after }, reshaped: false }
        });
        self.log.push(Transaction { end: end + 10, changes: changes.collect() });
        self.models.push(rows);
    }

    /// In some histories, gives some changes a value that has no form at the target.
    pub(super) fn spoil_some(&mut self) {
        self.unfit = self.random.u8(..3) == 0;
        for change in self.log.iter_mut().flat_map(|one| &mut one.changes) {
            if self.unfit
                && change.table == 0
                && let Op::Insert { after } | Op::Update { after, .. } = &mut change.op
                && self.random.u8(..16) == 0
            {
                after.0[1] = Value::Text("no number".into());
            }
        }
    }

    /// A row that others refer to comes, or goes.
    fn change_parent(&mut self, parents: &mut BTreeSet<i64>, rows: &mut Rows) -> Change {
        let parent = self.random.i64(0..PARENTS);
        let op = if parents.insert(parent) {
            Op::Insert { after: row(parent, (0, 0)) }
        } else {
            parents.remove(&parent);
            cascade(rows, parent);
            Op::Delete { before: Before::Full(row(parent, (0, 0))) }
        };
        Change { table: 1, op, reshaped: false }
    }

    fn change(&mut self, rows: &mut Rows, parents: &BTreeSet<i64>) -> Option<Change> {
        let (before, parents) = (rows.clone(), self.cascades.then_some(parents));
        let change = self.change_row(rows)?;
        let refused = parents.is_some_and(|parents| {
            let mut found = rows.iter().filter_map(|(key, values)| refers(*key, *values));
            found.any(|parent| !parents.contains(&parent))
        });
        if refused {
            *rows = before;
        }
        (!refused).then_some(change)
    }

    fn change_row(&mut self, rows: &mut Rows) -> Option<Change> {
        let key = self.random.i64(0..KEYS);
        let version = self.random.i64(0..1_000_000);
        let op = match (rows.get(&key).copied(), self.random.u8(..20)) {
            (_, 0) if self.random.u8(..4) == 0 => {
                rows.clear();
                Op::Truncate
            }
            (None, _) => {
                rows.insert(key, (version, 0));
                Op::Insert { after: row(key, (version, 0)) }
            }
            (Some(_), 1..5) => {
                rows.remove(&key);
                let mut before = row(key, (0, 0));
                before.0[1] = Value::Unchanged;
                before.0[2] = Value::Unchanged;
                Op::Delete { before: Before::Key(before) }
            }
            (Some(old), 5..8) => {
                let to = self.random.i64(0..KEYS);
                if rows.contains_key(&to) {
                    return None;
                }
                rows.remove(&key);
                rows.insert(to, (version, old.1));
                let before = Some(Before::Full(row(key, old)));
                Op::Update { before, after: row(to, (version, old.1)) }
            }
            (Some(old), 8..12) => {
                // An unchanged column that the log does not carry.
                rows.insert(key, (version, old.1));
                let mut after = row(key, (version, 0));
                after.0[2] = Value::Unchanged;
                Op::Update { before: None, after }
            }
            (Some(old), _) => {
                rows.insert(key, (old.0, version));
                Op::Update { before: None, after: row(key, (old.0, version)) }
            }
        };
        Some(Change { table: 0, op, reshaped: false })
    }

    /// A person asks something of a copy: to be made again, to wait, to go on, to end.
    pub(super) fn ask_for_a_copy(&mut self) {
        if self.before == 0 {
            return;
        }
        let dice = self.random.u8(..64);
        // Rows whose parents are not copied would be refused; here none is.
        let parents = self.committed.copies.get("shop.p").and_then(|copy| copy.progress.as_deref());
        if !parents.is_some_and(|progress| progress.contains("\"done\"")) {
            return;
        }
        let Some(copy) = self.committed.copies.get_mut("shop.t") else { return };
        let progress = copy.progress.as_deref().map(Progress::of_text);
        let Some(Ok(progress)) = progress else { return };
        let what = match (progress.stage, dice) {
            (Stage::Cancelled, 0..16) => What::Copy(Scope::default()),
            _ if progress.paused && dice < 16 => What::Resume,
            (Stage::Done, 0) if !self.calm => What::Copy(Scope::default()),
            (Stage::Waiting | Stage::Copying | Stage::Checking, 0) if !self.calm => What::Pause,
            (Stage::Waiting | Stage::Copying | Stage::Checking, 1) if !self.calm => What::Cancel,
            _ => return,
        };
        let id = self.random.u64(..).to_string();
        let met = match what {
            What::Copy(_) => "copied again",
            What::Cancel => "copy cancelled",
            What::Pause | What::Resume => "copy paused",
        };
        copy.asked = Some(Order { id, what }.to_text().expect("an order"));
        self.meet(met);
    }
}
