//! Notices that a source table was altered while weir did not look: the shape in the catalog is
//! compared with the one a person (or the first start) accepted. Pure.
//!
//! Only the source's shape counts. The target may be altered freely, since the plan is compiled
//! anew at each start and refuses what does not fit.

use std::collections::BTreeMap;

use crate::error::{Error, Kind};
use crate::link::ledger::Shape;
use crate::model::{Table, TableName};
use crate::plan::{LinkPlan, Wanted};

/// The shapes of the plan's source tables, by name.
pub(super) fn shapes(plan: &LinkPlan) -> BTreeMap<String, Shape> {
    plan.tables.iter().map(|table| (table.source.name.to_string(), shape(&table.source))).collect()
}

fn shape(table: &Table) -> Shape {
    let column = |column: &crate::model::Column| {
        let null = if column.nullable { "null" } else { "not null" };
        let generated = if column.generated { " generated" } else { "" };
        format!("column {} {} {null}{generated}", column.name, column.native)
    };
    let key = table.primary_key().map(|key| {
        let names = key.iter().filter_map(|index| Some(table.columns.get(*index)?.name.as_str()));
        format!("primary key ({})", names.collect::<Vec<_>>().join(", "))
    });
    table.columns.iter().map(column).chain(key).collect()
}

/// What differs from the accepted shapes, as the error that halts the link. `wanted` is what the
/// configuration asks for: what it no longer does may be gone. New tables are told by [`added`].
pub(super) fn difference(
    accepted: &BTreeMap<String, Shape>,
    now: &BTreeMap<String, Shape>,
    wanted: &Wanted,
) -> Option<Error> {
    let changed = now.iter().filter_map(|(table, shape)| {
        let before = accepted.get(table).filter(|before| *before != shape)?;
        let gone = before.iter().filter(|line| !shape.contains(line));
        let come = shape.iter().filter(|line| !before.contains(line));
        let mut words: Vec<String> = gone
            .map(|line| format!("no more {line}"))
            .chain(come.map(|line| format!("now {line}")))
            .collect();
        if words.is_empty() {
            words.push("the order of its columns".to_owned());
        }
        Some(format!("table {table} was altered: {}", words.join("; ")))
    });
    let lost = accepted.keys().filter(|table| !now.contains_key(*table));
    let lost = lost.filter(|table| wanted.wants_printed(table));
    let lost =
        lost.map(|table| format!("table {table} is no longer there, or weir may no longer see it"));
    let changed: Vec<String> = changed.chain(lost).collect();
    (!changed.is_empty()).then(|| Error::new(Kind::SchemaChanged, changed.join(". ")))
}

/// Tables that came into the plan of a link that has been running: what was written to them before
/// now was not carried.
pub(super) fn added(accepted: &BTreeMap<String, Shape>, plan: &LinkPlan) -> Vec<TableName> {
    if accepted.is_empty() {
        return Vec::new();
    }
    let names = plan.tables.iter().map(|table| &table.source.name);
    names.filter(|name| !accepted.contains_key(&name.to_string())).cloned().collect()
}

/// The error for added tables that hold rows.
pub(super) fn unfilled(tables: &[TableName]) -> Error {
    let names: Vec<_> = tables.iter().map(ToString::to_string).collect();
    let context = format!(
        "tables are new on this link and hold rows already, which it may not have carried: {}",
        names.join(", ")
    );
    Error::new(Kind::SchemaChanged, context).hint(
        "copy their rows to the target, then `weir resume LINK --schema-reviewed`; or exclude them",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Selection;

    fn of(lines: &[&str]) -> BTreeMap<String, Shape> {
        BTreeMap::from([("a.b".to_owned(), lines.iter().map(|line| (*line).to_owned()).collect())])
    }

    /// Broken if an ALTER made while weir was down went unnoticed, or were not named.
    #[test]
    fn an_alter_is_named() {
        let before = of(&["column id int not null", "column n int null"]);
        let wanted = Wanted::default();
        assert!(difference(&before, &before, &wanted).is_none());
        assert!(difference(&BTreeMap::new(), &before, &wanted).is_none(), "not altered, but new");
        let now = of(&["column id int not null", "column n bigint null"]);
        let error = difference(&before, &now, &wanted);
        assert_eq!(
            error.expect("differs").to_string(),
            "table a.b was altered: no more column n int null; now column n bigint null"
        );
        let moved = of(&["column n int null", "column id int not null"]);
        let error = difference(&before, &moved, &wanted).expect("differs");
        assert!(error.to_string().contains("order"));
    }

    /// Broken if a table that vanished, or was hidden by a revoked grant, left the plan in
    /// silence; or one that was taken out of the configuration could not.
    #[test]
    fn a_table_that_went_away_is_named() {
        let before = of(&["column id int not null"]);
        let rule = Selection { include: vec!["a.*".to_owned()], exclude: Vec::new() };
        let wanted = Wanted { rules: vec![rule], ..Wanted::default() };
        let error = difference(&before, &BTreeMap::new(), &wanted).expect("gone");
        assert!(error.to_string().contains("table a.b is no longer there"));
        assert!(difference(&before, &BTreeMap::new(), &Wanted::default()).is_none());
    }
}
