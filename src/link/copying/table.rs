//! The copy of one table as the apply task knows it: its progress, its pace, and what it waits for. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::link::copyist::{Checked, Piece};
use crate::link::ports::Division;
use crate::link::status::{CopyStatus, now_us};
use crate::model::{ForeignKey, TableName};
use crate::plan::{LinkPlan, TablePlan};
use crate::snapshot::order::{Scope, What};
use crate::snapshot::pace::Pace;
use crate::snapshot::progress::{Progress, Stage, Stretch};

/// Pauses after what failed.
const FAILED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Keys of rows that only the target has, kept for people at most.
const EXTRA_KEYS_MAX: usize = 20;
/// Rows per second are told over so long.
const RATE_OVER: Duration = Duration::from_secs(10);

/// The copy of one table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) progress: Progress,
    pub(super) pace: Pace,
    /// The errand by which it is divided, or a piece of the target's table is looked through.
    pub(super) errand: Option<u64>,
    /// Not to be read before.
    pub(super) due: Instant,
    /// Why.
    pub(super) trouble: Option<String>,
    /// Reads that failed, in a row.
    pub(super) failures: u32,
    /// Rows written lately, and when.
    lately: VecDeque<(Instant, u64)>,
}

impl Table {
    /// A copy that is as far as `progress`.
    pub(super) fn new(progress: Progress) -> Table {
        Table {
            progress,
            pace: Pace::default(),
            errand: None,
            due: Instant::now(),
            trouble: None,
            failures: 0,
            lately: VecDeque::new(),
        }
    }

    /// Whether rows are read and written, or wait for it.
    pub(super) fn is_going(&self) -> bool {
        !self.progress.stage.is_over() && !self.progress.paused
    }

    /// Whether changes of the table are for the copy alone: nothing of it is in the target yet, and all
    /// that is read of it later holds them.
    pub(super) fn is_ahead(&self) -> bool {
        let progress = &self.progress;
        progress.stage == Stage::Waiting && progress.fresh && progress.scope.condition.is_none()
    }

    /// Whether a row that an update does not find is read by the copy, before or after this moment.
    pub(super) fn reads_misses(&self) -> bool {
        let progress = &self.progress;
        progress.stage == Stage::Copying
            && progress.by_match_key
            && progress.scope.condition.is_none()
            && !progress.second
    }

    /// Whether all of its stretches are written.
    pub(super) fn is_written(&self) -> bool {
        self.progress.stage == Stage::Copying
            && self.progress.walk.is_some()
            && self.progress.stretches.iter().all(|stretch| stretch.ended)
    }

    /// It is divided: it begins.
    pub(super) fn divided(&mut self, division: Division, ties: bool) {
        let Division { walk, by_match_key, bounds, rows } = division;
        let mut after = None;
        let mut stretches = Vec::with_capacity(bounds.len() + 1);
        for bound in bounds.into_iter().map(Some).chain([None]) {
            let stretch = Stretch { after: after.take(), until: bound.clone(), ended: false };
            stretches.push(stretch);
            after = bound;
        }
        let progress = &mut self.progress;
        progress.stage = Stage::Copying;
        progress.walk = Some(walk);
        progress.by_match_key = by_match_key;
        progress.unlinked = ties && progress.fresh && progress.scope.condition.is_none();
        progress.stretches = stretches;
        progress.estimate = rows.filter(|_| progress.scope.condition.is_none());
        progress.begun_us = progress.begun_us.or_else(|| Some(now_us()));
        self.errand = None;
    }

    /// The progress once a piece of a stretch is written, of which `rows` rows were written and
    /// `set_aside` were not.
    pub(super) fn after(
        &self,
        stretch: usize,
        piece: &Piece,
        rows: u64,
        set_aside: u64,
    ) -> Progress {
        let mut progress = self.progress.clone();
        if let Some(stretch) = progress.stretches.get_mut(stretch) {
            stretch.after = piece.last.clone().or_else(|| stretch.after.take());
            stretch.ended = piece.ended;
        }
        if !progress.second {
            progress.rows += rows;
            progress.bytes += piece.bytes as u64;
        }
        progress.chunks += 1;
        progress.set_aside += set_aside;
        progress
    }

    /// So many rows were written.
    pub(super) fn wrote(&mut self, rows: u64) {
        let now = Instant::now();
        self.lately.push_back((now, rows));
        while self.lately.len() > 1
            && self.lately.front().is_some_and(|(at, _)| now.duration_since(*at) > RATE_OVER)
        {
            self.lately.pop_front();
        }
    }

    /// The table is to be walked anew, for instance because its rows were moved.
    pub(super) fn anew(&mut self) {
        let old = &self.progress;
        self.progress = Progress {
            scope: old.scope.clone(),
            paused: old.paused,
            asked_us: old.asked_us,
            begun_us: old.begun_us,
            ..Progress::default()
        };
        self.errand = None;
    }

    /// Everything is copied once more, this time with its references.
    pub(super) fn begin_second(&mut self) {
        self.progress.unlinked = false;
        self.progress.second = true;
        let mut after = None;
        for stretch in &mut self.progress.stretches {
            stretch.after = after.take();
            stretch.ended = false;
            after.clone_from(&stretch.until);
        }
    }

    /// What cannot be done now is tried again, later and later.
    pub(super) fn put_off(&mut self, why: String) {
        let pause = FAILED.0.saturating_mul(1 << self.failures.min(6)).min(FAILED.1);
        self.failures += 1;
        self.due = Instant::now() + pause;
        self.trouble = Some(why);
    }

    /// All is written: it is done, unless the target may have rows that the source has not. Where the source
    /// does not own the rows, that is nothing to look for.
    pub(super) fn close(&mut self, owns_rows: bool) {
        let progress = &mut self.progress;
        progress.estimate = progress.estimate.map(|_| progress.rows);
        if progress.fresh || progress.scope.condition.is_some() || !owns_rows {
            return self.end();
        }
        progress.stage = Stage::Checking;
        progress.walk = None;
        progress.stretches.clear();
        (progress.extra, progress.deleted) = (0, 0);
        progress.extra_keys.clear();
        self.pace = Pace::default();
    }

    /// All is done.
    pub(super) fn end(&mut self) {
        self.progress.stage = Stage::Done;
        self.progress.ended_us = Some(now_us());
    }

    /// The target's table is divided, to be looked through.
    pub(super) fn target_divided(&mut self, division: Division) {
        self.progress.walk = Some(division.walk);
        self.progress.stretches = vec![Stretch::default()];
        self.errand = None;
    }

    /// A piece of the target's table is looked through, which took so long.
    pub(super) fn checked(&mut self, checked: Checked, took: Duration) {
        self.pace.wrote(checked.rows, took, Duration::ZERO);
        let progress = &mut self.progress;
        progress.extra += checked.extra.len() as u64;
        progress.deleted += checked.deleted;
        let left = EXTRA_KEYS_MAX.saturating_sub(progress.extra_keys.len());
        progress.extra_keys.extend(checked.extra.into_iter().take(left));
        if let Some(stretch) = progress.stretches.first_mut() {
            stretch.after = checked.last.or_else(|| stretch.after.take());
            stretch.ended = checked.ended;
        }
        (self.trouble, self.failures, self.errand) = (None, 0, None);
        if checked.ended {
            self.end();
        }
    }

    /// What a person asks of it; gives why it cannot be done.
    pub(super) fn obey(&mut self, what: &What) -> Option<&'static str> {
        let progress = &mut self.progress;
        let over = progress.stage.is_over();
        match what {
            What::Pause | What::Resume | What::Cancel if over => return Some("it is over"),
            What::Pause => progress.paused = true,
            What::Resume => {
                progress.paused = false;
                self.due = Instant::now();
            }
            What::Cancel => {
                let left = "references of its rows are left empty: copy it again, to its end";
                let left = progress.unlinked.then(|| left.to_owned());
                self.cancel(left);
            }
            What::Copy(_) => {}
        }
        None
    }

    /// It ends before its time.
    pub(super) fn cancel(&mut self, reason: Option<String>) {
        self.progress.cancel(reason, now_us());
        self.errand = None;
    }

    /// As it is told; `waits_for` where it waits for others.
    pub(super) fn status(&self, plan: &TablePlan, waits_for: Option<String>) -> CopyStatus {
        let now = Instant::now();
        let recent = |at: &Instant| now.duration_since(*at) <= RATE_OVER;
        let rows: u64 = self.lately.iter().filter(|(at, _)| recent(at)).map(|(_, rows)| rows).sum();
        let first = self.lately.iter().map(|(at, _)| *at).find(recent);
        let over = first.map_or(RATE_OVER, |at| now.duration_since(at)).max(Duration::from_secs(1));
        CopyStatus {
            table: plan.source.name.to_string(),
            progress: self.progress.clone(),
            rows_per_second: rows as f64 / over.as_secs_f64(),
            waits_for: self.trouble.clone().or(waits_for),
        }
    }
}

/// A copy that is asked for.
pub(in crate::link) fn asked(scope: Scope, fresh: bool) -> Progress {
    Progress { scope, fresh, asked_us: now_us(), ..Progress::default() }
}

/// The columns of the plan that are left empty as long as rows of the table refer to rows of itself, or
/// of tables that refer to it in turn, of which not all are copied.
pub(in crate::link) fn ties(plan: &LinkPlan, table: &TablePlan) -> Vec<usize> {
    let mut columns: Vec<usize> = circular(plan, table).flat_map(|key| loose(table, key)).collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// The first reference of that kind that cannot be left empty: rows of the table cannot be copied one
/// piece after the other.
pub(in crate::link) fn knot<'a>(
    plan: &'a LinkPlan,
    table: &'a TablePlan,
) -> Option<&'a ForeignKey> {
    circular(plan, table).find(|key| loose(table, key).next().is_none())
}

/// What a person can do about a [`Knot`].
pub const UNTIE: &str = "let one of its columns be NULL at the target until the copy is done; or drop that \
                         foreign key there until then, unless it does what the source does not log; or copy \
                         the rows yourself and write start = \"now\"";

/// A table of which no piece can be written alone, since its rows refer to each other, or to those of
/// other tables in a circle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knot {
    /// The source table.
    pub table: TableName,
    /// Which reference it is, and where it leads.
    pub why: String,
}

/// Tables that cannot be copied.
pub fn knots(plan: &LinkPlan) -> Vec<Knot> {
    let knots = plan.tables.iter().filter_map(|table| {
        let key = knot(plan, table)?;
        let why = format!(
            "foreign key {} of the target refers to {} in a circle, and none of its columns may be NULL",
            key.name, key.parent
        );
        Some(Knot { table: table.source.name.clone(), why })
    });
    knots.collect()
}

/// Foreign keys of the target that refer to the table itself, or in a circle.
fn circular<'a>(plan: &'a LinkPlan, table: &'a TablePlan) -> impl Iterator<Item = &'a ForeignKey> {
    table.target.foreign_keys.iter().filter(|key| {
        let parent = plan.tables.iter().find(|other| other.target.name == key.parent);
        parent.is_some_and(|parent| parent.rank >= table.rank)
    })
}

/// The columns of a foreign key that may be empty, as the plan has them.
fn loose<'a>(table: &'a TablePlan, key: &'a ForeignKey) -> impl Iterator<Item = usize> + 'a {
    key.columns.iter().filter_map(|name| {
        let at = table.target.column_index(name)?;
        let column = table.target.columns.get(at)?;
        let planned = table.columns.iter().position(|column| column.target == at)?;
        (column.nullable && !column.generated && !table.key.contains(&planned)).then_some(planned)
    })
}

/// The tables that rows of this one refer to in a circle, perhaps itself.
pub(super) fn companions<'a>(
    plan: &'a LinkPlan,
    table: &'a TablePlan,
) -> impl Iterator<Item = usize> + 'a {
    let names = circular(plan, table).map(|key| &key.parent);
    names.filter_map(|name| plan.tables.iter().position(|other| other.target.name == *name))
}

/// The tables that rows of this one refer to, and that are to be copied before it.
pub(super) fn parents<'a>(
    plan: &'a LinkPlan,
    table: &'a TablePlan,
) -> impl Iterator<Item = usize> + 'a {
    let names = table.target.foreign_keys.iter().map(|key| &key.parent);
    names.filter_map(|name| {
        let at = plan.tables.iter().position(|other| other.target.name == *name)?;
        let parent = plan.tables.get(at)?;
        (parent.rank < table.rank).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ForeignKey, Rule};
    use crate::plan::fixtures::plan_of;

    fn division(bounds: &[&str], by_match_key: bool) -> Division {
        let bounds = bounds.iter().map(|bound| (*bound).to_owned()).collect();
        Division { walk: "w".to_owned(), by_match_key, bounds, rows: Some(9) }
    }

    fn stretch(after: Option<&str>, until: Option<&str>, ended: bool) -> Stretch {
        Stretch { after: after.map(str::to_owned), until: until.map(str::to_owned), ended }
    }

    /// Broken if stretches left a gap between them, if a copy counted as written before each is, or if
    /// what an update does not find were left to a copy that may not read it.
    #[test]
    fn stretches_lie_end_to_end() {
        let mut table = Table::new(asked(Scope::default(), true));
        assert!(table.is_ahead() && !table.reads_misses());
        table.divided(division(&["b", "d"], true), false);
        let all = [(None, Some("b")), (Some("b"), Some("d")), (Some("d"), None)];
        let all = all.map(|(after, until)| stretch(after, until, false));
        assert_eq!(table.progress.stretches, all);
        assert!(!table.is_ahead() && table.reads_misses() && !table.is_written());
        table.progress.stretches.iter_mut().for_each(|one| one.ended = true);
        assert!(table.is_written());
        table.begin_second();
        assert_eq!(table.progress.stretches, all, "the second time is as the first");
        assert!(!table.reads_misses(), "every row is there by then");
        let mut moving = Table::new(asked(Scope::default(), true));
        moving.divided(division(&[], false), true);
        assert!(!moving.reads_misses(), "a row may move to where it is not read");
        assert!(moving.progress.unlinked);
        let some = Scope { condition: Some("a > 1".to_owned()), delete_extra: false };
        let mut some = Table::new(asked(some, true));
        some.divided(division(&[], true), false);
        assert!(!some.reads_misses() && some.progress.estimate.is_none());
    }

    /// Broken if a table that holds rows took no changes while it waits, or was taken for done before
    /// it was looked through.
    #[test]
    fn a_filled_target_takes_changes_and_is_looked_through() {
        let mut table = Table::new(asked(Scope::default(), false));
        assert!(!table.is_ahead());
        table.divided(division(&[], true), true);
        assert!(!table.progress.unlinked, "references that are there stay");
        table.close(true);
        assert_eq!(table.progress.stage, Stage::Checking);
        table.target_divided(division(&[], true));
        let checked = |ended| Checked {
            last: Some("p".to_owned()),
            ended,
            rows: 20,
            extra: vec!["k".to_owned(); 15],
            deleted: 1,
        };
        table.checked(checked(false), Duration::ZERO);
        assert_eq!(table.progress.stage, Stage::Checking);
        assert_eq!(table.progress.stretches, [stretch(Some("p"), None, false)]);
        table.checked(checked(true), Duration::ZERO);
        assert_eq!(table.progress.stage, Stage::Done);
        let told = (table.progress.extra, table.progress.deleted, table.progress.extra_keys.len());
        assert_eq!(told, (30, 2, EXTRA_KEYS_MAX));
        assert!(table.obey(&What::Pause).is_some(), "it is over");
    }

    /// Broken if references in a circle were not left empty at first, or a circle that cannot be copied
    /// were begun.
    #[test]
    fn references_in_a_circle_are_found() {
        let key = |columns: &[&str]| ForeignKey {
            name: "own".to_owned(),
            parent: plan_of(&["id", "up"]).tables[0].target.name.clone(),
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            parent_columns: vec!["id".to_owned()],
            on_delete: Rule::Refuse,
            on_update: Rule::Refuse,
            logged: true,
        };
        let with = |nullable: bool, columns: &[&str]| {
            let mut plan = plan_of(&["id", "up"]);
            let mut table = (*plan.tables[0]).clone();
            table.target.foreign_keys.push(key(columns));
            table.target.columns[1].nullable = nullable;
            plan.tables = vec![std::sync::Arc::new(table)];
            plan
        };
        let found =
            |plan: &LinkPlan| (ties(plan, &plan.tables[0]), knot(plan, &plan.tables[0]).is_some());
        assert_eq!(found(&with(true, &["up"])), (vec![1], false));
        let tied = with(false, &["up"]);
        assert_eq!(found(&tied), (Vec::new(), true));
        let knots = knots(&tied);
        assert_eq!(knots[0].table, tied.tables[0].source.name);
        assert!(knots[0].why.starts_with("foreign key own of the target refers to "), "{knots:?}");
        assert_eq!(found(&with(true, &["id"])), (Vec::new(), true), "the key is never empty");
        assert_eq!(found(&plan_of(&["id", "up"])), (Vec::new(), false));
    }
}
