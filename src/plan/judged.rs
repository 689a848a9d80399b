//! What the gate is told of a change, and what it says: which columns have changed, and what of them is
//! recorded because another database is master of it.
//!
//! Values are compared as the source holds them. What the log does not hold of a row before is not taken for
//! unchanged, nor for changed. A table of which the source is master as a whole is not looked at: all of its
//! changes go on, also those that change nothing.

use crate::error::Result;
use crate::model::{Before, Change, Op, Row, Value};
use crate::ownership::{Changed, Event, Facts, Flag, Policy, Ruling, Writer, judge};
use crate::plan::prepare::{self, Site};
use crate::plan::{ForeignColumn, TablePlan};

/// What is recorded of a change that was not, or not wholly, the source's to make.
#[derive(Clone, Debug, PartialEq)]
pub struct Flagged {
    /// Index of the table in the link's plan.
    pub table: usize,
    /// Why.
    pub flag: Flag,
    /// The match key as the target holds it: before the change, where that changed it; empty where all
    /// rows went.
    pub key: Row,
    /// The match key after the change, where that changed it.
    pub new_key: Option<Row>,
    /// The columns, as indexes into [`TablePlan::foreign`], with what they were and are at the source; none
    /// where the whole row is concerned.
    pub columns: Vec<FlaggedColumn>,
}

/// One column of what is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct FlaggedColumn {
    /// Index into [`TablePlan::foreign`].
    pub column: usize,
    /// Its value before; [`Value::Unchanged`] where the log does not hold it.
    pub before: Value,
    /// Its value now.
    pub after: Value,
}

/// A change before its values are converted.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) ruling: Ruling,
    /// The converted key before an update, where the log has it.
    pub(super) old: Option<Row>,
    pub(super) flagged: Option<Flagged>,
}

/// Judges one change.
pub(super) fn judged(table: &TablePlan, change: &Change, writer: Writer) -> Result<Judged> {
    let (event, old) = event(table, &change.op)?;
    let policy = Policy {
        rows: table.owns_rows,
        columns: table.is_sole() || table.owned().next().is_some(),
        deletes: table.deletes,
        truncate: table.truncate,
    };
    let (owned, foreign, writer) = match table.is_sole() {
        // Chains of such links may carry what weir wrote elsewhere: here it is anybody's.
        true => (Changed::Unknown, Changed::No, Writer::Application),
        false => (owned_changed(table, &change.op), foreign_changed(table, &change.op), writer),
    };
    let ruling = judge(Facts { event, owned, foreign, writer }, policy);
    let flagged = recorded(table, change, ruling, old.as_ref())?;
    Ok(Judged { ruling, old, flagged })
}

/// What happened, and the converted key before an update.
fn event(table: &TablePlan, op: &Op) -> Result<(Event, Option<Row>)> {
    Ok(match op {
        Op::Insert { .. } => (Event::Insert, None),
        Op::Update { before: None, .. } => (Event::Update, None),
        Op::Update { before: Some(before), after } => {
            let old = prepare::key(&Site::of(table), before.row(), None)?;
            let same = old == prepare::key(&Site::of(table), after, Some(before.row()))?;
            (if same { Event::Update } else { Event::KeyChange }, Some(old))
        }
        Op::Delete { .. } => (Event::Delete, None),
        Op::Truncate => (Event::Truncate, None),
    })
}

/// Whether columns changed that the source owns.
fn owned_changed(table: &TablePlan, op: &Op) -> Changed {
    let Op::Update { before, after } = op else { return Changed::Unknown };
    let before = before.as_ref().map(Before::row);
    let changed = table.owned().map(|(_, column)| {
        let others = column.rules.iter().flat_map(|rules| rules.reads());
        let all = others.chain([column.source]);
        all.fold(Changed::No, |sum, at| sum.or(one_changed(before, after, at)))
    });
    changed.fold(Changed::No, Changed::or)
}

/// Whether columns changed that other databases own; of an insert, whether it brings such as are not to
/// come with it.
fn foreign_changed(table: &TablePlan, op: &Op) -> Changed {
    let changed = table.foreign.iter().map(|column| match op {
        Op::Insert { after } if table.owns_rows => is_brought(column, after),
        Op::Update { before, after } => {
            one_changed(before.as_ref().map(Before::row), after, column.source)
        }
        Op::Insert { .. } | Op::Delete { .. } | Op::Truncate => Changed::No,
    });
    changed.fold(Changed::No, Changed::or)
}

/// Whether an insert brings a value of a column that is not to come with it.
fn is_brought(column: &ForeignColumn, after: &Row) -> Changed {
    let empty = after.get(column.source).is_none_or(|value| matches!(value, Value::Null));
    if column.comes_first || empty { Changed::No } else { Changed::Yes }
}

/// Whether a column of the source changed.
fn one_changed(before: Option<&Row>, after: &Row, at: usize) -> Changed {
    let known = |row: &'_ Row| row.get(at).filter(|value| value.is_known()).cloned();
    match (before.and_then(known), known(after)) {
        // What an update does not repeat is as it was.
        (_, None) => Changed::No,
        (None, Some(_)) => Changed::Unknown,
        (Some(before), Some(after)) if is_same(&before, &after) => Changed::No,
        (Some(_), Some(_)) => Changed::Yes,
    }
}

/// Whether two values of one column are one to the source; NaN is as it was.
fn is_same(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::F64(before), Value::F64(after)) => before.to_bits() == after.to_bits(),
        (Value::F32(before), Value::F32(after)) => before.to_bits() == after.to_bits(),
        (before, after) => before == after,
    }
}

/// What is to be recorded by a ruling.
fn recorded(
    table: &TablePlan,
    change: &Change,
    ruling: Ruling,
    old: Option<&Row>,
) -> Result<Option<Flagged>> {
    let Some(flag) = ruling.flag else { return Ok(None) };
    let key = match (&change.op, old) {
        (_, Some(old)) => old.clone(),
        (Op::Insert { after } | Op::Update { after, .. }, None) => {
            prepare::key(&Site::of(table), after, None)?
        }
        (Op::Delete { before }, None) => prepare::key(&Site::of(table), before.row(), None)?,
        (Op::Truncate, None) => Row::default(),
    };
    let columns = match flag {
        Flag::Insert | Flag::KeyChange | Flag::Delete | Flag::Truncate => Vec::new(),
        Flag::Write | Flag::Unproven | Flag::Initial => flagged_columns(table, &change.op),
    };
    let new_key = match (&change.op, flag) {
        (Op::Update { before, after }, Flag::KeyChange) => {
            Some(prepare::key(&Site::of(table), after, before.as_ref().map(Before::row))?)
        }
        _ => None,
    };
    Ok(Some(Flagged { table: change.table, flag, key, new_key, columns }))
}

/// The columns of other databases that were changed, or may have been.
fn flagged_columns(table: &TablePlan, op: &Op) -> Vec<FlaggedColumn> {
    let value = |row: &Row, at: usize| row.get(at).cloned().unwrap_or(Value::Unchanged);
    let columns = table.foreign.iter().enumerate();
    let flagged = columns.filter_map(|(index, column)| {
        let (before, after, changed) = match op {
            Op::Insert { after } => (Value::Null, after, is_brought(column, after)),
            Op::Update { before, after } => {
                let before = before.as_ref().map(Before::row);
                let changed = one_changed(before, after, column.source);
                let before = before.map_or(Value::Unchanged, |row| value(row, column.source));
                (before, after, changed)
            }
            Op::Delete { .. } | Op::Truncate => return None,
        };
        let after = value(after, column.source);
        (changed != Changed::No).then_some(FlaggedColumn { column: index, before, after })
    });
    flagged.collect()
}

#[cfg(test)]
mod tests;
