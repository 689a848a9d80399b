//! Which rows a change touches, also where it cannot be converted: so that a change that is set aside has
//! a row, and later ones of that row are known. Pure.
//!
//! A row is known by its match key as the target holds it. Where that has no form there, the source's
//! is taken; a key has one or the other, so the two never mean the same row.

use crate::error::{Kind, Result};
use crate::model::{Before, Change, Op, Row};
use crate::plan::prepare::{Site, key, lacks_key};
use crate::plan::{LinkPlan, TablePlan};

/// A match key, in key order.
#[derive(Clone, Debug, PartialEq)]
pub enum RowKey {
    /// As the target holds it.
    Target(Row),
    /// As the source holds it: it has no form at the target.
    Source(Row),
}

/// The rows that a change touches.
#[derive(Clone, Debug, PartialEq)]
pub struct Touched {
    /// The row, after a change of its key the new one.
    pub row: RowKey,
    /// The row as it was called before, where the change renames it.
    pub old: Option<RowKey>,
}

/// The rows that `change` touches; `None` where it is about all rows.
///
/// # Errors
/// `Malformed` where the log lacks the key.
pub fn touched(plan: &LinkPlan, change: &Change) -> Result<Option<Touched>> {
    let Some(table) = plan.tables.get(change.table) else { return Ok(None) };
    Ok(Some(match &change.op {
        Op::Insert { after } => Touched { row: row_key(table, after, None)?, old: None },
        Op::Delete { before } => Touched { row: row_key(table, before.row(), None)?, old: None },
        Op::Update { before, after } => {
            let before = before.as_ref().map(Before::row);
            let row = row_key(table, after, before)?;
            let old = before.map(|before| row_key(table, before, None)).transpose()?;
            let old = old.filter(|old| *old != row);
            Touched { row, old }
        }
        Op::Truncate => return Ok(None),
    }))
}

/// The key of a row; `fallback` is the row before, for what the row does not repeat.
fn row_key(table: &TablePlan, row: &Row, fallback: Option<&Row>) -> Result<RowKey> {
    match key(&Site::of(table), row, fallback) {
        Ok(key) => Ok(RowKey::Target(key)),
        Err(unfit) if unfit.kind() == Kind::Value => {
            Ok(RowKey::Source(source_values(table, row, fallback)?))
        }
        Err(error) => Err(error),
    }
}

fn source_values(table: &TablePlan, row: &Row, fallback: Option<&Row>) -> Result<Row> {
    let value = |at: &usize| {
        let source = table.columns.get(*at)?.source;
        let known = row.get(source).filter(|value| value.is_known());
        known.or_else(|| fallback?.get(source).filter(|value| value.is_known())).cloned()
    };
    let values: Option<Vec<_>> = table.key.iter().map(value).collect();
    values.map(Row::from).ok_or_else(|| lacks_key(table))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;
    use crate::plan::fixtures::{plan_of, row};

    fn texts(values: &[&str]) -> Row {
        values.iter().map(|value| Value::Text((*value).into())).collect()
    }

    fn rows(op: Op) -> (RowKey, Option<RowKey>) {
        let plan = plan_of(&["id", "n"]);
        let change = Change { table: 0, op, reshaped: false };
        let touched = touched(&plan, &change).expect("a key").expect("rows");
        (touched.row, touched.old)
    }

    /// Broken if a change that cannot be converted had no row, or a key change only one of its two: a
    /// later change of that row would be applied over it.
    #[test]
    fn every_row_of_a_change_is_known() {
        let known = |key| RowKey::Target(row(&[key]));
        let odd = || RowKey::Source(texts(&["x"]));
        let insert = Op::Insert { after: row(&[1, 2]) };
        assert_eq!(rows(insert), (known(1), None));
        let delete = Op::Delete { before: Before::Full(row(&[3, 2])) };
        assert_eq!(rows(delete), (known(3), None));
        let rekey = |before, after| Op::Update { before: Some(Before::Full(before)), after };
        assert_eq!(rows(rekey(row(&[1, 2]), row(&[1, 3]))), (known(1), None));
        assert_eq!(rows(rekey(row(&[1, 2]), row(&[4, 3]))), (known(4), Some(known(1))));
        assert_eq!(rows(rekey(texts(&["x", "y"]), row(&[4, 3]))), (known(4), Some(odd())));
        assert_eq!(rows(rekey(row(&[1, 2]), texts(&["x", "y"]))), (odd(), Some(known(1))));
        let mut partial = row(&[5, 6]);
        partial.0[0] = Value::Unchanged;
        assert_eq!(rows(rekey(row(&[1, 2]), partial)), (known(1), None));
    }
}
