//! Notices that a source table was altered while weir did not look: the shape in the catalog is
//! compared with the one a person (or the first start) accepted. Pure.
//!
//! Only the source's shape counts. The target may be altered freely, since the plan is compiled
//! anew at each start and refuses what does not fit.

use std::collections::BTreeMap;

use crate::error::{Error, Kind};
use crate::link::ledger::Shape;
use crate::model::Table;
use crate::plan::LinkPlan;

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

/// What differs from the accepted shapes, as the error that halts the link. A table without an
/// accepted shape is new in the plan and passes.
pub(super) fn difference(
    accepted: &BTreeMap<String, Shape>,
    now: &BTreeMap<String, Shape>,
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
    let changed: Vec<String> = changed.collect();
    (!changed.is_empty()).then(|| Error::new(Kind::SchemaChanged, changed.join(". ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> BTreeMap<String, Shape> {
        BTreeMap::from([("a.b".to_owned(), lines.iter().map(|line| (*line).to_owned()).collect())])
    }

    /// Broken if an ALTER made while weir was down went unnoticed, or were not named.
    #[test]
    fn an_alter_is_named() {
        let before = of(&["column id int not null", "column n int null"]);
        assert!(difference(&before, &before).is_none());
        assert!(difference(&BTreeMap::new(), &before).is_none(), "a new table passes");
        let error = difference(&before, &of(&["column id int not null", "column n bigint null"]));
        assert_eq!(
            error.expect("differs").to_string(),
            "table a.b was altered: no more column n int null; now column n bigint null"
        );
        let moved = of(&["column n int null", "column id int not null"]);
        assert!(difference(&before, &moved).expect("differs").to_string().contains("order"));
    }
}
