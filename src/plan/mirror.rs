//! The target's side of a plan as if it were a source, so that its own room reads the target's rows with
//! the same code, and as exactly, as a source's.
//!
//! Columns and key keep their order: the row of a step, and that which is read by the mirror, have the
//! same value at the same place. Values are taken as they are read; nothing is converted or refused.

use std::sync::Arc;

use crate::model::{Row, Value};
use crate::plan::{ColumnPlan, LinkPlan, TablePlan};
use crate::transform::{Conversion, Fit};

/// Every table of `plan`, with the target at both ends.
pub fn mirror(plan: &LinkPlan) -> LinkPlan {
    let dialects = [plan.target_dialect, plan.target_dialect];
    let tables = plan.tables.iter().map(|table| Arc::new(mirror_table(table))).collect();
    LinkPlan { tables, ..LinkPlan::of_no_table(plan.link.clone(), dialects) }
}

/// One table with the target at both ends.
pub fn mirror_table(table: &TablePlan) -> TablePlan {
    let as_is = || Conversion { nullable: true, fit: Fit::Same };
    let columns = table.columns.iter().map(|column| ColumnPlan {
        reverse: column.reverse.as_ref().map(|_| as_is()),
        sensitive: column.sensitive,
        ..ColumnPlan::of(column.target, column.target, as_is())
    });
    let target = table.target.clone();
    TablePlan::alone(target.clone(), target, columns.collect(), table.key.clone())
}

/// The planned columns, in their order, of a row that was read by a mirrored plan and is as wide as the
/// target's table. What was not read is [`Value::Unchanged`].
pub fn planned(table: &TablePlan, read: &Row) -> Row {
    let value = |column: &ColumnPlan| read.get(column.target).cloned().unwrap_or(Value::Unchanged);
    table.columns.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::{BIGINT, TEXT, column, row, table};

    fn crossed() -> TablePlan {
        let source = table("public", "t", vec![column("a", BIGINT, "bigint")]);
        let columns = vec![column("x", TEXT, "text"), column("a", BIGINT, "bigint")];
        let target = table("shop", "t", columns);
        let to = |at| ColumnPlan {
            reverse: Some(Conversion { nullable: false, fit: Fit::Bool }),
            sensitive: true,
            ..ColumnPlan::of(0, at, Conversion { nullable: true, fit: Fit::Bool })
        };
        TablePlan::alone(source, target, vec![to(1), to(0)], vec![1])
    }

    /// Broken if the target's rows were read from the source's table, by its columns, or matched by
    /// another key than they are written by.
    #[test]
    fn a_mirror_reads_the_target_in_the_order_of_the_plan() {
        let plan = crossed();
        let mirrored = mirror_table(&plan);
        assert_eq!((&mirrored.source, &mirrored.target), (&plan.target, &plan.target));
        assert_eq!(mirrored.columns.iter().map(|one| one.source).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(mirrored.key, plan.key);
        assert!(mirrored.columns.iter().all(|one| one.sensitive && one.reverse.is_some()));
    }

    /// Broken if values were compared with those of another column.
    #[test]
    fn what_is_read_comes_back_in_the_order_of_the_plan() {
        assert_eq!(planned(&crossed(), &row(&[7, 8])), row(&[8, 7]));
        assert_eq!(&*planned(&crossed(), &row(&[7])), [Value::Unchanged, Value::Int(7)]);
    }

    /// Broken if a reader of the target were opened in the dialect of the source.
    #[test]
    fn both_ends_are_of_the_targets_dialect() {
        let plan = crate::plan::fixtures::plan_of(&["id"]);
        let mirrored = mirror(&plan);
        assert_eq!(mirrored.source_dialect, plan.target_dialect);
        assert_eq!(mirrored.target_dialect, plan.target_dialect);
        assert_eq!(mirrored.tables.len(), 1);
    }
}
