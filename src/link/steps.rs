//! From changes to steps, and from missed keys back to source keys: the link's way into the pure
//! folders (gate, transform, merge), with the limits it works under.

use crate::error::{Error, Kind, Result};
use crate::model::{Row, Step, Verb};
use crate::plan::{self, LinkPlan, Merger, TablePlan};

pub(super) use crate::plan::{Act, Prepared, key_text, note, prepare};

/// Rows of one step at most; the target's room cuts statements further where it must.
const STEP_ROWS_MAX: usize = 1_000;

/// The steps that leave each row as the changes leave it.
pub(super) fn merge(plan: &LinkPlan, prepared: &[Prepared]) -> Vec<Step> {
    let mut merger = Merger::new(plan, STEP_ROWS_MAX);
    prepared.iter().for_each(|change| merger.push(change));
    merger.take()
}

/// The same without reordering, in source order.
pub(super) fn unmerged(plan: &LinkPlan, prepared: &[Prepared]) -> Vec<Step> {
    plan::unmerged(plan, prepared, STEP_ROWS_MAX)
}

/// The match key of a missed row as the source holds it.
pub(super) fn source_key(plan: &LinkPlan, index: usize, key: &Row) -> Result<Row> {
    plan::source_key(table(plan, index)?, key)
}

/// The table of that index.
pub(super) fn table(plan: &LinkPlan, index: usize) -> Result<&TablePlan> {
    plan.tables
        .get(index)
        .map(AsRef::as_ref)
        .ok_or_else(|| Error::new(Kind::Internal, format!("there is no table number {index}")))
}

/// The match keys that a step writes, old and new.
pub(super) fn keys<'a>(plan: &'a TablePlan, step: &'a Step) -> impl Iterator<Item = Row> + 'a {
    let width = plan.key.len();
    let places: Vec<Option<usize>> =
        plan.key.iter().map(|key| step.columns.iter().position(|column| column == key)).collect();
    step.rows.iter().flat_map(move |row| {
        let listed = |offset: usize| -> Option<Row> {
            places.iter().map(|place| row.get(offset + (*place)?).cloned()).collect()
        };
        let old = || row.get(..width).map(|key| key.iter().cloned().collect());
        match step.verb {
            Verb::Upsert | Verb::Update => [listed(0), None],
            Verb::Rekey => [old(), listed(width)],
            Verb::Delete | Verb::Note => [old(), None],
            Verb::Truncate => [None, None],
        }
        .into_iter()
        .flatten()
    })
}
