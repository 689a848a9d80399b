//! The simulated tables: one whose rows are followed, and one that they refer to.

use std::sync::Arc;

use super::world::Rows;
use crate::config::{Dialect, LinkName, OnPoison};
use crate::model::{ForeignKey, Rule, Table};
use crate::plan::{ColumnPlan, LinkPlan, TablePlan, UnseenKey, Wanted, fixtures};
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
/// source; `halts`: a row that is refused halts the link.
/// `refers`: the target has the foreign key too.
pub(super) fn plan(altered: bool, halts: bool, refers: bool) -> Arc<LinkPlan> {
    let columns =
        || ["id", "a", "b"].map(|name| fixtures::column(name, fixtures::BIGINT, "bigint"));
    let table = |schema: &str, name: &str| fixtures::table(schema, name, columns().into());
    let sides = |name: &str| (table("public", name), table("shop", name));
    let (mut source, mut target) = sides("t");
    let key = ForeignKey {
        name: "below".to_owned(),
        parent: table("shop", "p").name,
        // By what a row refers to no column says.
        columns: Vec::new(),
        parent_columns: Vec::new(),
        on_delete: Rule::Cascade,
        on_update: Rule::Refuse,
        logged: true,
    };
    target.foreign_keys.extend(refers.then_some(key));
    if altered {
        source.columns[1].native = ALTERED.to_owned();
    }
    let below = UnseenKey { on_delete: true, columns: Vec::new(), below: vec![0] };
    let mut parent = crossing(sides("p"));
    parent.unseen.push(below);
    let mut rows = crossing((source, target));
    rows.rank = u32::from(refers);
    rows.on_poison = if halts { OnPoison::Halt } else { OnPoison::Park };
    let tables = [rows, parent];
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
        ColumnPlan { reverse, ..ColumnPlan::of(index, index, conversion) }
    };
    let columns = (0..3).map(crossing).collect();
    let is_parent = source.name.table == "p";
    let plan = TablePlan::alone(source.clone(), target.clone(), columns, vec![0]);
    TablePlan { replaceable: !is_parent, parent: is_parent, ..plan }
}
