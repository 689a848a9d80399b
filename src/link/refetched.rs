//! What a window has brought: the rows to write, and the notes that are settled with them.
//!
//! A row that was read is laid under what has changed since; for one that went, or whose fate the
//! stream tells, only the note is settled.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::error::{Error, Kind, Result};
use crate::link::isolate;
use crate::link::ports::{MissedKey, Scanned, Why};
use crate::link::steps::{self, Act, Prepared};
use crate::link::window::{Since, Window};
use crate::model::{Change, Op, Row, Value};
use crate::plan::LinkPlan;
use crate::transform::rules::{Beside, Outcomes};

/// A note's key with the row as it is at the source; `None` where nothing is to be written.
pub(super) type RefetchedRow = (Option<Prepared>, MissedKey);

/// Rows to write and notes to settle, all of one table.
#[derive(Debug)]
pub(super) struct Refetched {
    pub(super) rows: Vec<RefetchedRow>,
    /// Rows that have no form at the target, and why.
    pub(super) unfit: Vec<(MissedKey, Error)>,
    /// What validations did to the rows.
    pub(super) outcomes: Outcomes,
    table: usize,
}

impl Refetched {
    /// From a window and what was read for it.
    pub(super) fn of(plan: &LinkPlan, window: &Window, scanned: Scanned) -> Result<Refetched> {
        if scanned.rows.len() != window.notes.len() {
            return Err(Error::new(Kind::Internal, "a scan answered for another number of keys"));
        }
        let table = window.table;
        let owns_rows = steps::table(plan, table)?.owns_rows;
        let mut rows = Vec::with_capacity(window.notes.len());
        let (mut unfit, mut absent) = (Vec::new(), 0);
        let outcomes = RefCell::default();
        let beside = Beside { committed_us: None, outcomes: Some(&outcomes) };
        for (note, row) in window.notes.iter().zip(scanned.rows) {
            let prepared = match (window.since(&note.text()), row) {
                (Some(Since::Laid(values)), Some(row)) => {
                    match laid_over(plan, table, row, values, beside) {
                        Ok(row) => Some(row),
                        Err(error) if error.is_about_a_row() => {
                            unfit.push((note.clone(), error));
                            continue;
                        }
                        Err(error) => return Err(error),
                    }
                }
                (Some(Since::Laid(values)), None)
                    if note.why == Why::Revert && values.is_empty() && owns_rows =>
                {
                    Some(Prepared { table, act: Act::Delete { key: note.key.clone() } })
                }
                (Some(Since::Laid(_)), None) => {
                    absent += 1;
                    None
                }
                _ => None,
            };
            rows.push((prepared, note.clone()));
        }
        let name = &steps::table(plan, table)?.source.name;
        tracing::info!(
            table = %name,
            written = rows.iter().filter(|(row, _)| row.is_some()).count(),
            gone = rows.iter().filter(|(row, _)| row.is_none()).count(),
            "rows were read again at the source"
        );
        if absent > 0 && steps::key_changes_unseen(plan, table) {
            tracing::warn!(
                table = %name,
                rows = absent,
                "rows are not found at the source under their key; where a foreign key has changed it, \
                 compare them with the target"
            );
        }
        Ok(Refetched { rows, unfit, outcomes: outcomes.into_inner(), table })
    }

    /// Says which table's rows could not be written.
    pub(super) fn locate(&self, plan: &LinkPlan, error: Error) -> Error {
        match plan.tables.get(self.table) {
            Some(table) if error.is_about_a_row() => {
                error.within(format!("{}, rows read again at the source", isolate::describe(table)))
            }
            _ => error,
        }
    }
}

/// A row as it was read, under what has changed since.
pub(super) fn laid_over(
    plan: &LinkPlan,
    table: usize,
    read: Row,
    newer: &BTreeMap<usize, Value>,
    beside: Beside<'_>,
) -> Result<Prepared> {
    let change = Change { table, op: Op::Insert { after: read }, reshaped: false };
    let mut row = steps::prepare_whole(plan, &change, beside)
        .map_err(|error| error.within("a row read again at the source"))?;
    lay_over(&mut row, newer);
    steps::whole(plan, table, row)
}

/// What has changed since a row was read, by columns of the plan, in place of what was read.
pub(super) fn lay_over(row: &mut Row, newer: &BTreeMap<usize, Value>) {
    for (column, value) in newer {
        if let Some(place) = row.0.get_mut(*column) {
            place.clone_from(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::{plan_of, row};
    use crate::position::{Lsn, Position};

    /// Broken if a row that changes all the time were never written, were written as it was before
    /// its change, or if one that went came back.
    #[test]
    fn a_busy_row_is_written_as_it_is_now() {
        let plan = plan_of(&["id", "n"]);
        let at = || Position::Postgres(Lsn(1));
        let note = |key| MissedKey { table: 0, key: row(&[key]), why: Why::NoRow };
        let mut window = Window::open(0, [1, 2, 3, 4].map(note).into(), at(), 0);
        let update = Act::Update { columns: None, row: row(&[1, 9]) };
        let delete = Act::Delete { key: row(&[4]) };
        for act in [update, delete] {
            window.change(&plan, &Prepared { table: 0, act }, None);
        }
        let rows = vec![Some(row(&[1, 1])), Some(row(&[2, 2])), None, Some(row(&[4, 4]))];
        let scanned =
            Scanned { low: at(), high: at(), exact: false, in_progress: Vec::new(), rows };
        let found = Refetched::of(&plan, &window, scanned).expect("read");
        let written = found.rows.iter().map(|(written, note)| {
            let act = written.as_ref().map(|one| one.act.clone());
            (act, steps::key_text(&note.key))
        });
        let upsert = |values: &[i64]| Some(Act::Upsert { columns: None, row: row(values) });
        let key = |key: i64| steps::key_text(&row(&[key]));
        assert_eq!(
            written.collect::<Vec<_>>(),
            [(upsert(&[1, 9]), key(1)), (upsert(&[2, 2]), key(2)), (None, key(3)), (None, key(4))]
        );
    }
}
