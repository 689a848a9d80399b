//! The simulated tables: one whose rows are followed, and one that they refer to.

use std::sync::Arc;

use super::world::Rows;
use crate::config::{Deletes, Dialect, DroppedPartitions, LinkName, Truncates};
use crate::model::{Column, Identity, Table, TableName, Type, Unique};
use crate::plan::{ColumnPlan, LinkPlan, TablePlan, UnseenKey, UpsertStrategy, Wanted};
use crate::transform;

/// Native type of a column that was altered.
const ALTERED: &str = "int";

/// Rows that may be referred to.
pub(super) const PARENTS: i64 = 3;

/// What a row refers to: some rows by their key, the others by their last number unless it is none.
pub(super) fn refers(key: i64, values: (i64, i64)) -> Option<i64> {
    (key % 2 == 0 || values.1 != 0).then_some(key % PARENTS)
}

/// What both servers do when a row that is referred to goes: by one rule rows go too, by another they
/// lose their last number.
pub(super) fn cascade(rows: &mut Rows, parent: i64) {
    rows.retain(|key, _| key % PARENTS != parent || key % 2 != 0);
    for (_, values) in rows.iter_mut().filter(|(key, _)| **key % PARENTS == parent) {
        values.1 = 0;
    }
}

/// Whether a plan is of the altered table.
pub(super) fn is_altered(plan: &LinkPlan) -> bool {
    plan.tables[0].source.columns[1].native == ALTERED
}

/// A plan of two tables with a key and two numbers each; `altered` changes a type of the first at the
/// source.
pub(super) fn plan(altered: bool) -> Arc<LinkPlan> {
    let column = |name: &str| Column {
        name: name.to_owned(),
        ty: Type::Int { bits: 64, unsigned: false },
        native: "bigint".to_owned(),
        nullable: false,
        generated: false,
        has_default: false,
        sequences: Vec::new(),
        auto_increment: false,
        on_update_now: false,
        exact_collation: true,
        charset: None,
    };
    let table = |schema: &str, name: &str| Table {
        name: TableName::new(schema, name),
        columns: ["id", "a", "b"].map(column).into(),
        uniques: vec![Unique { name: "pk".to_owned(), columns: vec![0], primary: true }],
        odd_unique_indexes: Vec::new(),
        identity: Identity::Full,
        foreign_keys: Vec::new(),
        transactional: true,
        unsupported: None,
        partitions: Vec::new(),
    };
    let sides = |name: &str| (table("public", name), table("shop", name));
    let (mut source, target) = sides("t");
    if altered {
        source.columns[1].native = ALTERED.to_owned();
    }
    let below = UnseenKey { on_delete: true, columns: Vec::new(), below: vec![0] };
    let mut parent = crossing(sides("p"));
    parent.unseen.push(below);
    let tables = [crossing((source, target)), parent];
    Arc::new(LinkPlan {
        link: LinkName { source: "a".to_owned(), target: "b".to_owned() },
        source_dialect: Dialect::Postgres,
        target_dialect: Dialect::Mysql,
        tables: tables.map(Arc::new).into(),
        wanted: Wanted::default(),
        overlap: Vec::new(),
        remarks: Vec::new(),
    })
}

fn crossing((source, target): (Table, Table)) -> TablePlan {
    let crossing = |index: usize| {
        let (from, to) = (&source.columns[index], &target.columns[index]);
        let (postgres, mysql) = (Dialect::Postgres, Dialect::Mysql);
        let (conversion, _) = transform::pair(from, postgres, to, mysql).expect("crosses");
        let reverse = transform::reverse(from, postgres, to, mysql).ok();
        ColumnPlan { source: index, target: index, conversion, reverse }
    };
    let columns = (0..3).map(crossing).collect();
    let is_parent = source.name.table == "p";
    TablePlan {
        columns,
        source,
        target,
        key: vec![0],
        upsert: UpsertStrategy::Native,
        rank: 0,
        replaceable: !is_parent,
        parent: is_parent,
        acting: Vec::new(),
        unseen: Vec::new(),
        undone: None,
        deletes: Deletes::Apply,
        truncate: Truncates::Apply,
        dropped_partitions: DroppedPartitions::Halt,
    }
}
