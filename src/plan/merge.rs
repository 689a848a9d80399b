//! Merges the changes of a batch per key, so that each row is written once, in multi-row steps.
//!
//! The outcome is that of the changes in source order, except that an update that finds no row is
//! not noted when a later change of the batch brings or removes the row. Within a stretch: inserts
//! and updates, parents first; then deletes, children first. Key changes and truncates are
//! barriers: what came before them is done before them. Legal orders that a merge breaks (a unique
//! value that moves between rows) are refused by the target; the batch is then replayed from the
//! same changes by [`unmerged`].

use std::borrow::Cow;
use std::sync::Arc;

use crate::config::Deletes;
use crate::model::{Row, Step, Value, Verb};
use crate::plan::keys::{KeyRef, KeySet};
use crate::plan::prepare::{Act, Prepared};
use crate::plan::{LinkPlan, TablePlan};

/// Merges changes of one batch. Feed it in source order, then take the steps.
#[derive(Debug)]
pub struct Merger<'a> {
    plan: &'a LinkPlan,
    step_rows_max: usize,
    /// Changed keys since the last barrier, in the order of their first change.
    entries: Vec<Entry<'a>>,
    index: KeySet,
    /// Key changes since the last stretch ended.
    rekeys: Vec<&'a Prepared>,
    rekeyed: KeySet,
    steps: Vec<Step>,
    /// Rows to be read again; they go last.
    notes: Vec<&'a Prepared>,
}

#[derive(Debug)]
struct Entry<'a> {
    /// Some change of this key; all have the same key.
    change: &'a Prepared,
    net: Net<'a>,
}

/// What the changes of one key amount to.
#[derive(Debug)]
enum Net<'a> {
    Upsert(Cow<'a, Row>),
    Update(Option<Arc<[usize]>>, Cow<'a, Row>),
    Delete(&'a Row),
}

impl<'a> Merger<'a> {
    /// A merger for `plan` that puts at most `step_rows_max` rows into a step.
    pub fn new(plan: &'a LinkPlan, step_rows_max: usize) -> Self {
        Merger {
            plan,
            step_rows_max: step_rows_max.max(1),
            entries: Vec::new(),
            index: KeySet::default(),
            rekeys: Vec::new(),
            rekeyed: KeySet::default(),
            steps: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds the next change in source order.
    pub fn push(&mut self, change: &'a Prepared) {
        match &change.act {
            Act::Note { .. } => self.notes.push(change),
            Act::Rekey { .. } => self.push_rekey(change),
            Act::Truncate | Act::Upsert { columns: Some(_), .. } => {
                self.barrier();
                self.steps.push(change.step(self.plan));
            }
            Act::Upsert { .. } | Act::Update { .. } | Act::Delete { .. } => {
                self.flush_rekeys();
                self.push_row(change);
            }
        }
    }

    /// The steps of everything added; the merger is empty afterwards.
    pub fn take(&mut self) -> Vec<Step> {
        self.barrier();
        let mut steps = std::mem::take(&mut self.steps);
        for note in std::mem::take(&mut self.notes) {
            match steps.last_mut() {
                Some(step)
                    if step.verb == Verb::Note
                        && step.table == note.table
                        && step.rows.len() < self.step_rows_max =>
                {
                    step.rows.extend(note.step_row());
                }
                _ => steps.push(note.step(self.plan)),
            }
        }
        steps
    }

    fn push_row(&mut self, change: &'a Prepared) {
        let Some(table) = self.plan.tables.get(change.table) else { return };
        let key = KeyRef::of(change, table);
        let entries = &self.entries;
        let found = self.index.find_or_add(change.table, key, entries.len(), |other| {
            entries.get(other).is_some_and(|entry| {
                entry.change.table == change.table && KeyRef::of(entry.change, table) == key
            })
        });
        let Some(index) = found else {
            self.entries.push(Entry { change, net: Net::of(change) });
            return;
        };
        let merged = self
            .entries
            .get_mut(index)
            .is_some_and(|entry| entry.net.add(change, table.replaceable));
        if !merged {
            self.barrier();
            self.push_row(change);
        }
    }

    /// Key changes that do not touch each other's keys share a step.
    fn push_rekey(&mut self, change: &'a Prepared) {
        self.flush_entries();
        let Some(table) = self.plan.tables.get(change.table) else { return };
        let alike = self
            .rekeys
            .last()
            .is_none_or(|last| last.table == change.table && last.columns() == change.columns());
        if !alike || self.rekeyed_touches(change, table) {
            self.flush_rekeys();
            self.rekeyed_touches(change, table);
        }
        self.rekeys.push(change);
    }

    /// Adds old and new key of a key change, and says whether either was there before.
    fn rekeyed_touches(&mut self, change: &'a Prepared, table: &TablePlan) -> bool {
        let Act::Rekey { old, .. } = &change.act else { return false };
        let new = KeyRef::of(change, table);
        let old = KeyRef::bare(old);
        let rekeys = &self.rekeys;
        let mut touched = false;
        // Positions beyond the list are this change's own keys, which may not clash with it.
        for key in [new, old] {
            let same = |other: usize| match rekeys.get(other).map(|other| &other.act) {
                Some(Act::Rekey { old: other_old, .. }) => {
                    let other_new = rekeys.get(other).map(|other| KeyRef::of(other, table));
                    KeyRef::bare(other_old) == key || other_new == Some(key)
                }
                _ => false,
            };
            touched |= self.rekeyed.find_or_add(change.table, key, rekeys.len(), same).is_some();
        }
        touched
    }

    /// Ends the stretch: everything before is done before everything after.
    fn barrier(&mut self) {
        self.flush_entries();
        self.flush_rekeys();
    }

    fn flush_rekeys(&mut self) {
        if self.rekeys.is_empty() {
            return;
        }
        let rekeys = std::mem::take(&mut self.rekeys);
        self.rekeyed.clear();
        for chunk in rekeys.chunks(self.step_rows_max) {
            let Some(first) = chunk.first() else { continue };
            self.steps.extend(displaced(self.plan, chunk.iter().copied()));
            let mut step = first.step(self.plan);
            step.rows.extend(chunk.iter().skip(1).filter_map(|change| change.step_row()));
            self.steps.push(step);
        }
    }

    fn flush_entries(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        self.index.clear();
        let mut groups = Groups::default();
        for entry in std::mem::take(&mut self.entries) {
            groups.add(entry, self.plan);
        }
        groups.list.sort_by_key(|group| group.order);
        for group in groups.list {
            let Step { table, verb, columns, rows } = group.step;
            if rows.len() <= self.step_rows_max {
                self.steps.push(Step { table, verb, columns, rows });
                continue;
            }
            let mut rows = rows.into_iter().peekable();
            while rows.peek().is_some() {
                let rows: Vec<Row> = rows.by_ref().take(self.step_rows_max).collect();
                self.steps.push(Step { table, verb, columns: Arc::clone(&columns), rows });
            }
        }
    }
}

impl<'a> Net<'a> {
    fn of(change: &'a Prepared) -> Self {
        match &change.act {
            Act::Upsert { row, .. } => Net::Upsert(Cow::Borrowed(row)),
            Act::Update { columns, row } => Net::Update(columns.clone(), Cow::Borrowed(row)),
            Act::Delete { key } => Net::Delete(key),
            // Not reached: these have no entry.
            Act::Rekey { old, .. } => Net::Delete(old),
            Act::Truncate | Act::Note { .. } => Net::Upsert(Cow::Owned(Row::default())),
        }
    }

    /// Takes in the next change of the same key; false where both must stay, in order.
    fn add(&mut self, change: &'a Prepared, replaceable: bool) -> bool {
        match (&mut *self, &change.act) {
            (Net::Delete(_), Act::Update { .. }) => return false,
            (Net::Delete(_), Act::Upsert { .. }) if !replaceable => return false,
            (Net::Upsert(row), Act::Update { columns: Some(columns), row: update }) => {
                overwrite(row.to_mut(), columns, update);
            }
            (Net::Upsert(row), Act::Update { columns: None, row: update }) => {
                *row = Cow::Borrowed(update);
            }
            (Net::Update(known, row), Act::Update { columns: Some(columns), row: update }) => {
                match known {
                    None => overwrite(row.to_mut(), columns, update),
                    Some(known) if known == columns => *row = Cow::Borrowed(update),
                    Some(known) => {
                        let (union, values) = unite(known, row, columns, update);
                        *known = union;
                        *row = Cow::Owned(values);
                    }
                }
            }
            (_, _) => *self = Net::of(change),
        }
        true
    }
}

/// Writes the values of `columns` into a row that holds every column of the plan.
fn overwrite(row: &mut Row, columns: &[usize], update: &Row) {
    for (column, value) in columns.iter().zip(update.iter()) {
        if let Some(place) = row.0.get_mut(*column) {
            place.clone_from(value);
        }
    }
}

/// Both column sets with the newer values on top, ascending.
fn unite(old: &[usize], old_row: &Row, new: &[usize], new_row: &Row) -> (Arc<[usize]>, Row) {
    let mut columns: Vec<usize> = old.iter().chain(new).copied().collect();
    columns.sort_unstable();
    columns.dedup();
    let value = |column: &usize| {
        let pick = |set: &[usize], row: &Row| {
            set.binary_search(column).ok().and_then(|position| row.get(position).cloned())
        };
        pick(new, new_row).or_else(|| pick(old, old_row)).unwrap_or(Value::Unchanged)
    };
    let row = columns.iter().map(value).collect();
    (columns.into(), row)
}

/// Rows that share a step, as far as the row limit lets them.
struct Group {
    /// Deletes last; parents first, for deletes children first; then by first change.
    order: (bool, i64, usize),
    step: Step,
}

/// Table, verb, and the columns where they are not all of the plan's.
type GroupKey = (usize, Verb, Option<Arc<[usize]>>);

#[derive(Default)]
struct Groups {
    list: Vec<Group>,
    index: hashbrown::HashMap<GroupKey, usize, foldhash::fast::FixedState>,
}

impl Groups {
    fn add(&mut self, entry: Entry<'_>, plan: &LinkPlan) {
        let table = entry.change.table;
        let (verb, columns, row) = match entry.net {
            Net::Upsert(row) => (Verb::Upsert, None, row.into_owned()),
            Net::Update(columns, row) => (Verb::Update, columns, row.into_owned()),
            Net::Delete(key) => (Verb::Delete, None, key.clone()),
        };
        let list = &mut self.list;
        let index =
            *self.index.entry((table, verb, columns)).or_insert_with_key(|(_, _, columns)| {
                let planned = plan.tables.get(table);
                let rank = planned.map_or(0, |planned| i64::from(planned.rank));
                let all = || (0..planned.map_or(0, |planned| planned.columns.len())).collect();
                let columns = columns.clone().unwrap_or_else(all);
                let deletes = verb == Verb::Delete;
                list.push(Group {
                    order: (deletes, if deletes { -rank } else { rank }, list.len()),
                    step: Step { table, verb, columns, rows: Vec::new() },
                });
                list.len() - 1
            });
        if let Some(group) = self.list.get_mut(index) {
            group.step.rows.push(row);
        }
    }
}

/// Where deletes are ignored, the target may still hold a row under the key that another one takes
/// now; at the source it is gone, so it gives way, as it does to an insert.
fn displaced<'a>(plan: &LinkPlan, rekeys: impl Iterator<Item = &'a Prepared>) -> Option<Step> {
    let mut step: Option<Step> = None;
    for change in rekeys.filter(|change| matches!(change.act, Act::Rekey { .. })) {
        let table = plan.tables.get(change.table)?;
        if table.deletes == Deletes::Apply {
            return None;
        }
        let key: Row = KeyRef::of(change, table).values().cloned().collect();
        let none = || Step {
            table: change.table,
            verb: Verb::Delete,
            columns: table.key.iter().copied().collect(),
            rows: Vec::new(),
        };
        step.get_or_insert_with(none).rows.push(key);
    }
    step
}

/// The changes as steps without any reordering: runs of one verb on one table and column set, with
/// no key twice in a step and at most `step_rows_max` rows.
pub fn unmerged(plan: &LinkPlan, changes: &[Prepared], step_rows_max: usize) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut keys = KeySet::default();
    let mut last: Option<usize> = None;
    for (index, change) in changes.iter().enumerate() {
        let Some(table) = plan.tables.get(change.table) else { continue };
        let alike = last.and_then(|last| changes.get(last)).is_some_and(|other| {
            other.table == change.table
                && other.verb() == change.verb()
                && other.columns() == change.columns()
                && !matches!(change.act, Act::Truncate | Act::Rekey { .. })
        });
        let room = steps.last().is_some_and(|step| step.rows.len() < step_rows_max);
        let key = KeyRef::of(change, table);
        let same =
            |other: usize| changes.get(other).is_some_and(|other| KeyRef::of(other, table) == key);
        let fresh = alike && room && keys.find_or_add(change.table, key, index, same).is_none();
        last = Some(index);
        if fresh && let Some(step) = steps.last_mut() {
            step.rows.extend(change.step_row());
            continue;
        }
        keys.clear();
        keys.find_or_add(change.table, key, index, |_| false);
        steps.extend(displaced(plan, std::iter::once(change)));
        steps.push(change.step(plan));
    }
    steps
}

#[cfg(test)]
mod tests;
