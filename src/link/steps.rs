//! From changes to steps, and from missed keys back to source keys: the link's way into the pure
//! folders (gate, transform, merge).

use crate::error::{Error, Kind, Result};
use crate::model::{Change, Op, Row, Step, Value, Verb};
use crate::plan::{LinkPlan, TablePlan};

/// A change, judged and converted.
#[derive(Clone, Debug)]
pub(super) struct Prepared(Step);

impl Prepared {
    /// Its table.
    pub(super) fn table(&self) -> usize {
        self.0.table
    }
}

/// A key as text, to compare keys.
pub(super) fn key_text(key: &[Value]) -> String {
    format!("{key:?}")
}

/// Judges and converts one change; `None` when nothing is to be done about it.
pub(super) fn prepare(plan: &LinkPlan, change: &Change) -> Result<Option<Prepared>> {
    let table = table(plan, change.table)?;
    let columns = |row: &Row| -> Row {
        let values = table.columns.iter().map(|column| row.get(column.source).cloned());
        values.map(|value| value.unwrap_or(Value::Unchanged)).collect()
    };
    let all: std::sync::Arc<[usize]> = (0..table.columns.len()).collect();
    let (verb, rows) = match &change.op {
        Op::Insert { after } => (Verb::Upsert, vec![columns(after)]),
        Op::Update { after, .. } => (Verb::Update, vec![columns(after)]),
        Op::Delete { before } => {
            let row = columns(before.row());
            let key = table.key.iter().filter_map(|index| row.get(*index).cloned());
            (Verb::Delete, vec![key.collect()])
        }
        Op::Truncate => (Verb::Truncate, Vec::new()),
    };
    Ok(Some(Prepared(Step { table: change.table, verb, columns: all, rows })))
}

/// The steps that leave each row as the changes leave it.
pub(super) fn merge(_plan: &LinkPlan, prepared: &[Prepared]) -> Vec<Step> {
    prepared.iter().map(|change| change.0.clone()).collect()
}

/// The same one by one, in source order.
pub(super) fn unmerged(_plan: &LinkPlan, prepared: &[Prepared]) -> Vec<Step> {
    prepared.iter().map(|change| change.0.clone()).collect()
}

/// The match key of a missed row as the source holds it.
pub(super) fn source_key(plan: &LinkPlan, index: usize, key: &Row) -> Result<Row> {
    let _table = table(plan, index)?;
    Ok(key.clone())
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
            Verb::Delete => [old(), None],
            Verb::Truncate => [None, None],
        }
        .into_iter()
        .flatten()
    })
}
