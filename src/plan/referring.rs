//! Foreign keys of the target that refer to a planned table: what they refer to, and what those do that
//! act by themselves when a row of it is deleted or changed. Pure.

use crate::config::Dialect;
use crate::model::{ForeignKey, Table};
use crate::plan::cascades::position;
use crate::plan::{ActingKey, TablePlan};

/// The columns of the source that each key among `target_tables` to `parent` refers to.
pub(crate) fn referred(
    parent: &TablePlan,
    target_tables: &[Table],
    dialect: Dialect,
) -> Vec<Vec<Option<usize>>> {
    let columns = |key: &ForeignKey| {
        key.parent_columns.iter().map(|name| at_source(parent, name, dialect)).collect()
    };
    keys_to(parent, target_tables).map(|(_, key)| columns(key)).collect()
}

/// The keys among `target_tables` that act on what the plan writes to `parent`.
pub(crate) fn acting(
    parent: &TablePlan,
    target_tables: &[Table],
    dialect: Dialect,
) -> Vec<ActingKey> {
    let source = |name: &String| at_source(parent, name, dialect);
    let acting = keys_to(parent, target_tables).map(|(child, key)| ActingKey {
        name: key.name.clone(),
        child: child.name.clone(),
        on_delete: key.on_delete.acts(),
        columns: match key.on_update.acts() {
            true => key.parent_columns.iter().filter_map(source).collect(),
            false => Vec::new(),
        },
        pairs: key.columns.iter().cloned().zip(key.parent_columns.iter().cloned()).collect(),
    });
    acting.filter(|key| key.on_delete || !key.columns.is_empty()).collect()
}

/// The keys among `target_tables` that refer to `parent`, with their tables.
fn keys_to<'a>(
    parent: &'a TablePlan,
    target_tables: &'a [Table],
) -> impl Iterator<Item = (&'a Table, &'a ForeignKey)> {
    let keys = target_tables
        .iter()
        .flat_map(|child| child.foreign_keys.iter().map(move |key| (child, key)));
    keys.filter(|(_, key)| key.parent == parent.target.name)
}

/// The source column that is written to a target column.
fn at_source(table: &TablePlan, name: &str, dialect: Dialect) -> Option<usize> {
    let target = position(&table.target.columns, name, dialect)?;
    table.columns.iter().find(|column| column.target == target).map(|column| column.source)
}
