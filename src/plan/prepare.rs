//! From a change of the source to what is to be done to the target: judged by the gate, every value
//! converted and fit-checked.
//!
//! What comes out is still one change of one row, in source order; [`crate::plan::Merger`] and
//! [`crate::plan::unmerged`] make steps of it. An error names table, column and reason, never a
//! value. A value that the log does not hold is left out of the columns, never written as NULL.

pub mod adopt;

use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::model::{Before, Change, Op, Row, Step, Value, Verb};
use crate::ownership::{Standing, Verdict, Writer};
use crate::plan::judged::{Flagged, Judged, judged};
use crate::plan::keys::KeyRef;
use crate::plan::{ColumnPlan, LinkPlan, TablePlan};
use crate::transform::convert;
use crate::transform::rules::{Beside, Failure, Scope};

/// One change, ready for the target.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// Index of the table in the link's plan.
    pub table: usize,
    /// What is to be done.
    pub act: Act,
}

/// What is to be done to one row, with values as the target holds them.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Insert, or update the listed columns.
    Upsert {
        /// The columns of `row`, ascending; `None` for every column of the plan. Some are unknown
        /// only in a row that is read again at once and that other rows may refer to until then.
        columns: Option<Arc<[usize]>>,
        /// The values, match key included.
        row: Row,
    },
    /// Update the known columns.
    Update {
        /// The columns of `row`, ascending; `None` for every column of the plan.
        columns: Option<Arc<[usize]>>,
        /// The values, match key included.
        row: Row,
    },
    /// Change the key and update the known columns.
    Rekey {
        /// The old key, in key order.
        old: Row,
        /// The columns of `row`, ascending; `None` for every column of the plan.
        columns: Option<Arc<[usize]>>,
        /// The values, new match key included.
        row: Row,
    },
    /// Delete the row.
    Delete {
        /// The key, in key order.
        key: Row,
    },
    /// Delete all rows.
    Truncate,
    /// Have the row read again at the source.
    Note {
        /// The key, in key order.
        key: Row,
    },
}

impl Prepared {
    /// The memory of the change in bytes.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.act {
                Act::Upsert { row, .. } | Act::Update { row, .. } => row.size_bytes(),
                Act::Rekey { old, row, .. } => old.size_bytes() + row.size_bytes(),
                Act::Delete { key } | Act::Note { key } => key.size_bytes(),
                Act::Truncate => 0,
            }
    }

    /// The verb of the change.
    pub const fn verb(&self) -> Verb {
        match self.act {
            Act::Upsert { .. } => Verb::Upsert,
            Act::Update { .. } => Verb::Update,
            Act::Rekey { .. } => Verb::Rekey,
            Act::Delete { .. } => Verb::Delete,
            Act::Truncate => Verb::Truncate,
            Act::Note { .. } => Verb::Note,
        }
    }

    /// Leaves columns empty, as far as it writes them.
    pub fn empty(&mut self, columns: &[usize]) {
        let (Act::Upsert { columns: known, row }
        | Act::Update { columns: known, row }
        | Act::Rekey { columns: known, row, .. }) = &mut self.act
        else {
            return;
        };
        for (place, value) in row.0.iter_mut().enumerate() {
            let at = known.as_ref().map_or(Some(place), |known| known.get(place).copied());
            if at.is_some_and(|at| columns.contains(&at)) {
                *value = Value::Null;
            }
        }
    }

    /// The match key of the row after the change, in key order; empty where all rows go.
    pub fn key(&self, table: &TablePlan) -> Row {
        KeyRef::of(self, table).values().cloned().collect()
    }

    /// The change as a step of its own, for replays one by one.
    pub fn step(&self, plan: &LinkPlan) -> Step {
        let all = |count: usize| -> Arc<[usize]> { (0..count).collect() };
        let count = plan.tables.get(self.table).map_or(0, |table| table.columns.len());
        let columns = self.columns().cloned().unwrap_or_else(|| all(count));
        let rows = self.step_row().into_iter().collect();
        Step { table: self.table, verb: self.verb(), columns, rows }
    }

    /// The columns, where they are not all of the plan's; none for verbs without columns.
    pub(crate) fn columns(&self) -> Option<&Arc<[usize]>> {
        match &self.act {
            Act::Upsert { columns, .. }
            | Act::Update { columns, .. }
            | Act::Rekey { columns, .. } => columns.as_ref(),
            Act::Delete { .. } | Act::Truncate | Act::Note { .. } => None,
        }
    }

    /// The row as a step holds it.
    pub(crate) fn step_row(&self) -> Option<Row> {
        match &self.act {
            Act::Upsert { row, .. } | Act::Update { row, .. } => Some(row.clone()),
            Act::Rekey { old, row, .. } => Some(old.iter().chain(row.iter()).cloned().collect()),
            Act::Delete { key } | Act::Note { key } => Some(key.clone()),
            Act::Truncate => None,
        }
    }
}

/// A whole row that was read, every column of the plan converted.
///
/// # Errors
/// As [`prepare`]; `Internal` where `insert` is of no whole row.
pub fn prepare_whole(plan: &LinkPlan, insert: &Change, beside: Beside<'_>) -> Result<Row> {
    match prepare(plan, insert, beside)? {
        Some(Prepared {
            act: Act::Upsert { columns: None, row } | Act::Update { columns: None, row },
            ..
        }) => Ok(row),
        _ => Err(Error::new(Kind::Internal, "a row that was read is not whole")),
    }
}

/// What becomes of a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruled {
    /// What is to be done to the target; `None` where the gate leaves it out.
    pub prepared: Option<Prepared>,
    /// What is recorded of it.
    pub flagged: Option<Flagged>,
    /// How it came to be.
    pub standing: Standing,
}

/// Judges and converts one change that an application made; `None` where the gate leaves it out.
///
/// # Errors
/// As [`rule`].
pub fn prepare(plan: &LinkPlan, change: &Change, beside: Beside<'_>) -> Result<Option<Prepared>> {
    rule(plan, change, Writer::Application, beside).map(|ruled| ruled.prepared)
}

/// Judges and converts one change.
///
/// # Errors
/// `Value` with table, column and reason where a value does not fit; `Unsupported` for a TRUNCATE
/// that the policy halts on; `Malformed` where the log lacks what it must hold.
pub fn rule(plan: &LinkPlan, change: &Change, writer: Writer, beside: Beside<'_>) -> Result<Ruled> {
    let table = plan.tables.get(change.table).ok_or_else(|| {
        Error::new(Kind::Internal, format!("a change names table {} of the plan", change.table))
    })?;
    let Judged { ruling, old, flagged } = judged(table, change, writer)?;
    let act = act(&Site { table, at: change.table, beside }, &change.op, ruling.verdict, old)?;
    // What the log lacks of a new row comes with its note, and with it the row: no half row is ever
    // seen. Only where rows refer to it, what is known is written; unless the target wants the rest.
    let act = match act {
        Some(Act::Upsert { columns: Some(columns), .. })
            if change.reshaped && (!table.parent || lacks_required(table, &columns)) =>
        {
            None
        }
        act => act,
    };
    let prepared = act.map(|act| Prepared { table: change.table, act });
    Ok(Ruled { prepared, flagged, standing: ruling.standing })
}

/// What is recorded of a change, also of one whose values cannot be converted.
///
/// # Errors
/// `Value` where its match key has no form at the target; `Malformed` where the log lacks it.
pub fn flagged(plan: &LinkPlan, change: &Change, writer: Writer) -> Result<Option<Flagged>> {
    let Some(table) = plan.tables.get(change.table) else { return Ok(None) };
    judged(table, change, writer).map(|judged| judged.flagged)
}

/// Whether a planned column is not listed that the target does not fill by itself.
fn lacks_required(table: &TablePlan, listed: &[usize]) -> bool {
    table.columns.iter().enumerate().any(|(index, column)| {
        let target = table.target.columns.get(column.target);
        let fills_itself =
            target.is_some_and(|target| target.nullable || target.has_default || target.generated);
        !fills_itself && !listed.contains(&index)
    })
}

/// What has a row read again of which the log may not hold all that is needed: a reshaped one, or one whose
/// column is made of several of which some did not change. `None` for others, and where no row is left. It
/// goes with the change, before or after it. `prepared` is what the change has become.
///
/// # Errors
/// As [`prepare`].
pub fn note(
    plan: &LinkPlan,
    change: &Change,
    prepared: Option<&Prepared>,
) -> Result<Option<Prepared>> {
    let Some(table) = plan.tables.get(change.table) else { return Ok(None) };
    if !change.reshaped && !prepared.is_some_and(|one| is_torn(table, &change.op, one)) {
        return Ok(None);
    }
    let site = Site { table, at: change.table, beside: Beside::default() };
    let key = match &change.op {
        Op::Insert { after } => key(&site, after, None)?,
        Op::Update { before, after } => key(&site, after, before.as_ref().map(Before::row))?,
        Op::Delete { .. } | Op::Truncate => return Ok(None),
    };
    Ok(Some(Prepared { table: change.table, act: Act::Note { key } }))
}

/// A table of the plan, its place there, and what is known of a row of it beside its values.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    table: &'a TablePlan,
    at: usize,
    beside: Beside<'a>,
}

impl<'a> Site<'a> {
    /// Where nothing is known of a row beside its values.
    pub(super) fn of(table: &'a TablePlan) -> Site<'a> {
        Site { table, at: 0, beside: Beside::default() }
    }
}

/// Whether the row that a change leaves lacks some of what a column is made of which is not written for that.
fn is_torn(table: &TablePlan, op: &Op, prepared: &Prepared) -> bool {
    // Where all is written, nothing was lacking.
    let Some(written) = prepared.columns() else { return false };
    let (row, before) = match op {
        Op::Insert { after } => (after, None),
        Op::Update { before, after } => (after, before.as_ref().map(Before::row)),
        Op::Delete { .. } | Op::Truncate => return false,
    };
    let columns = table.columns.iter().enumerate();
    let left = columns.filter(|(index, _)| written.binary_search(index).is_err());
    let owned = left.filter(|(_, column)| column.owned);
    let mut ruled = owned.filter_map(|(_, column)| Some((column, column.rules.as_ref()?)));
    ruled.any(|(column, rules)| {
        let value = source_value(column, row, before);
        let scope = Scope { before, ..Scope::of(row) };
        value.is_some_and(|value| rules.is_in_part(value, &scope))
    })
}

/// What is to be done by `verdict`; `old` is the key before an update, where the log has it.
fn act(site: &Site<'_>, op: &Op, verdict: Verdict, old: Option<Row>) -> Result<Option<Act>> {
    let table = site.table;
    let images = match op {
        Op::Insert { after } => Some((after, None)),
        Op::Update { before, after } => Some((after, before.as_ref().map(Before::row))),
        Op::Delete { .. } | Op::Truncate => None,
    };
    match (verdict, images, op) {
        (Verdict::InsertOrUpdate, Some((after, None)), _) => {
            let (columns, row) = known(site, after, None, |_| true)?;
            Ok(Some(Act::Upsert { columns, row }))
        }
        (Verdict::Update, Some((after, before)), _) => {
            let (columns, row) = known(site, after, before, |column| column.owned)?;
            Ok(Some(Act::Update { columns, row }))
        }
        (Verdict::Rekey, Some((after, before @ Some(_))), _) => {
            let old = old.ok_or_else(|| lacks_key(table))?;
            let (columns, row) = known(site, after, before, |column| column.owned)?;
            Ok(Some(Act::Rekey { old, columns, row }))
        }
        (Verdict::Delete, _, Op::Delete { before }) => {
            Ok(Some(Act::Delete { key: key(site, before.row(), None)? }))
        }
        (Verdict::Truncate, _, _) => Ok(Some(Act::Truncate)),
        (Verdict::LeaveOut, _, _) => Ok(None),
        (Verdict::Halt, _, _) => Err(Error::new(
            Kind::Unsupported,
            format!("truncate of {} at the source", table.source.name),
        )
        .hint("set `truncate = \"apply\"` for this table to delete its rows on the target too")),
        (verdict, _, _) => Err(Error::new(
            Kind::Internal,
            format!("table {}: verdict {verdict:?} does not fit the change", table.source.name),
        )),
    }
}

/// The source's values of a key that the target holds, in key order; for reading the row again.
///
/// # Errors
/// `Value` where a value has no form at the source.
pub fn source_key(table: &TablePlan, key: &[Value]) -> Result<Row> {
    let mut values = Vec::with_capacity(key.len());
    for (index, value) in table.key.iter().zip(key) {
        let reverse = table.columns.get(*index).and_then(|column| column.reverse.as_ref());
        let reverse = reverse.ok_or_else(|| {
            Error::new(
                Kind::Internal,
                format!("table {}: a key without a way back", table.source.name),
            )
        })?;
        let rules = table.columns.get(*index).and_then(|column| column.rules.as_ref());
        let back = convert(reverse, value).and_then(|value| match rules {
            Some(rules) => rules.back(value),
            None => Ok(value),
        });
        values.push(back.map_err(|reason| misfit(table, *index, &reason.into()))?);
    }
    Ok(values.into())
}

/// The key as the target holds it, of one that the source holds, both in key order.
///
/// # Errors
/// `Value` where a value has no form at the target.
pub fn key_of_source(table: &TablePlan, source: &[Value]) -> Result<Row> {
    let mut row = vec![Value::Unchanged; table.source.columns.len()];
    for (index, value) in table.key.iter().zip(source) {
        let at = table.columns.get(*index).map(|column| column.source);
        if let Some(place) = at.and_then(|at| row.get_mut(at)) {
            place.clone_from(value);
        }
    }
    key(&Site::of(table), &row.into(), None)
}

/// The converted key of a row; `fallback` is the row before, for what the row does not repeat.
pub(super) fn key(site: &Site<'_>, row: &Row, fallback: Option<&Row>) -> Result<Row> {
    let table = site.table;
    let mut values = Vec::with_capacity(table.key.len());
    for index in &table.key {
        let value = convert_column(site, *index, row, fallback)?;
        if !value.is_known() {
            return Err(lacks_key(table));
        }
        values.push(value);
    }
    Ok(values.into())
}

/// The known columns of a row, of those that are meant and the match key: `None` where these are all of the
/// plan's.
fn known(
    site: &Site<'_>,
    row: &Row,
    before: Option<&Row>,
    is_meant: impl Fn(&ColumnPlan) -> bool,
) -> Result<(Option<Arc<[usize]>>, Row)> {
    let table = site.table;
    let mut values = Vec::with_capacity(table.columns.len());
    let mut unknown = false;
    for (index, column) in table.columns.iter().enumerate() {
        let value = match is_meant(column) || table.key.contains(&index) {
            true => convert_column(site, index, row, before)?,
            false => Value::Unchanged,
        };
        unknown |= !value.is_known();
        values.push(value);
    }
    if !unknown {
        return Ok((None, values.into()));
    }
    if table.key.iter().any(|index| values.get(*index).is_none_or(|value| !value.is_known())) {
        return Err(lacks_key(table));
    }
    let columns = values.iter().enumerate().filter(|(_, value)| value.is_known());
    let columns: Arc<[usize]> = columns.map(|(index, _)| index).collect();
    values.retain(Value::is_known);
    Ok((Some(columns), values.into()))
}

/// One column of the plan; what `row` does not repeat is as it was before, if that is known.
fn convert_column(site: &Site<'_>, index: usize, row: &Row, before: Option<&Row>) -> Result<Value> {
    let table = site.table;
    let scope = Scope { row, before, beside: site.beside, place: (site.at, index) };
    let Some(value) = table.columns.get(index).and_then(|column| value_in(column, &scope)) else {
        return Err(Error::new(
            Kind::Malformed,
            format!("a row of {} has {} columns, fewer than planned", table.source.name, row.len()),
        ));
    };
    value.map_err(|failure| misfit(table, index, &failure))
}

/// What the target holds for a column of a row of the source that was read by itself: through its rules, converted
/// and checked; `None` where the row is shorter than planned.
pub(crate) fn column_value(
    column: &ColumnPlan,
    row: &Row,
) -> Option<std::result::Result<Value, Failure>> {
    value_in(column, &Scope::of(row))
}

fn value_in(column: &ColumnPlan, scope: &Scope<'_>) -> Option<std::result::Result<Value, Failure>> {
    let value = source_value(column, scope.row, scope.before)?;
    Some(match &column.rules {
        None => convert(&column.conversion, value).map_err(Failure::from),
        Some(rules) => rules.apply(&column.conversion, value, scope),
    })
}

/// The source's value of a column; what `row` does not repeat is as it was before.
fn source_value<'a>(
    column: &ColumnPlan,
    row: &'a Row,
    before: Option<&'a Row>,
) -> Option<&'a Value> {
    let value = row.get(column.source)?;
    let earlier = before.and_then(|before| before.get(column.source));
    Some(if value.is_known() { value } else { earlier.unwrap_or(value) })
}

pub(super) fn lacks_key(table: &TablePlan) -> Error {
    Error::new(
        Kind::Malformed,
        format!("a change of {} does not hold its match key", table.source.name),
    )
    .hint("the before image must hold the match key: REPLICA IDENTITY (PostgreSQL) or binlog_row_image = FULL (MySQL, MariaDB)")
}

fn misfit(table: &TablePlan, index: usize, failure: &Failure) -> Error {
    let column = table.columns.get(index);
    let source = column.and_then(|column| table.source.columns.get(column.source));
    let target = column.and_then(|column| table.target.columns.get(column.target));
    let name = source.map_or("?", |column| &column.name);
    let native = target.map_or("?", |column| &column.native);
    Error::new(
        Kind::Value,
        format!("table {}, column {name} into {native}: {failure}", table.source.name),
    )
}

#[cfg(test)]
mod tests;
