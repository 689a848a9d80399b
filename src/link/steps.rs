//! From changes to steps, and from missed keys back to source keys: the link's way into the pure
//! folders (gate, transform, merge), with the limits it works under.

use crate::error::{Error, Kind, Result};
use crate::model::{Row, Step, Verb};
use crate::plan::{self, LinkPlan, Merger, TablePlan};

pub(super) use crate::plan::{
    Act, Prepared, acts_unseen, changes_unseen, flagged, key_changes_unseen, key_text, note,
    parse_key, prepare_whole, rule,
};

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

/// The table of that index.
pub(super) fn table(plan: &LinkPlan, index: usize) -> Result<&TablePlan> {
    plan.tables
        .get(index)
        .map(AsRef::as_ref)
        .ok_or_else(|| Error::new(Kind::Internal, format!("there is no table number {index}")))
}

/// What is done with a whole row that was read: inserted or updated, or updated alone where the source does
/// not own the rows.
pub(super) fn whole(plan: &LinkPlan, index: usize, row: Row) -> Result<Prepared> {
    let act = match table(plan, index)?.owns_rows {
        true => Act::Upsert { columns: None, row },
        false => Act::Update { columns: None, row },
    };
    Ok(Prepared { table: index, act })
}

/// The match key of a whole row, in key order.
pub(super) fn key_of(table: &TablePlan, row: &Row) -> Row {
    table.key.iter().filter_map(|at| row.get(*at)).cloned().collect()
}

/// What has a row read again that changes its key, where its note may stand under the old one: what
/// is known of a row that others may refer to is written before the rest is read.
pub(super) fn follow(plan: &LinkPlan, change: Option<&Prepared>) -> Option<Prepared> {
    let change = change.filter(|change| change.verb() == Verb::Rekey)?;
    let table = plan.tables.get(change.table).filter(|table| table.parent)?;
    Some(Prepared { table: change.table, act: Act::Note { key: change.key(table) } })
}
