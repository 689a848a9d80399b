//! Which rows change at a source without a trace in its log, when a row of a table is deleted or
//! changed: those that hang on it by foreign keys that act and are not logged, over any number of
//! tables. Pure.
//!
//! For whoever reads such rows beside the log. It errs on one side: a change counts as one that acts
//! also where no row refers to the row that is changed.

use crate::config::Dialect;
use crate::error::Kind;
use crate::model::ForeignKey;
use crate::plan::prepare::{Act, Prepared};
use crate::plan::{Finding, LinkPlan, TablePlan, cascades};

/// A foreign key of the source that refers to a planned table and acts without being logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnseenKey {
    /// Whether it acts when a row referred to is deleted.
    pub on_delete: bool,
    /// The columns of the plan whose change it acts on.
    pub columns: Vec<usize>,
    /// The planned tables, by their index, whose rows may change then: the key's own, and those that
    /// hang on it in turn.
    pub below: Vec<usize>,
}

impl UnseenKey {
    fn acts(&self, table: &TablePlan, act: &Act) -> bool {
        match act {
            Act::Delete { .. } | Act::Truncate => self.on_delete,
            Act::Rekey { .. } => !self.columns.is_empty(),
            // The match key stays as it was.
            Act::Update { columns, .. } => self.columns.iter().any(|column| {
                let listed = columns.as_ref().is_none_or(|listed| listed.contains(column));
                listed && !table.key.contains(column)
            }),
            Act::Upsert { .. } | Act::Note { .. } => false,
        }
    }
}

/// Whether `change` may have changed rows of planned table `of` that are not in the log.
pub fn acts_unseen(plan: &LinkPlan, change: &Prepared, of: usize) -> bool {
    plan.tables.get(change.table).is_some_and(|table| {
        let mut keys = table.unseen.iter().filter(|key| key.below.contains(&of));
        keys.any(|key| key.acts(table, &change.act))
    })
}

/// Whether rows of planned table `of` may change without a trace in the log.
pub fn changes_unseen(plan: &LinkPlan, of: usize) -> bool {
    plan.tables.iter().flat_map(|table| &table.unseen).any(|key| key.below.contains(&of))
}

/// Whether the match key of rows of planned table `of` may change without a trace in the log: one that
/// is not found under its key may be there under another.
pub fn key_changes_unseen(plan: &LinkPlan, of: usize) -> bool {
    plan.tables.get(of).is_some_and(|table| moving_key(table, plan.source_dialect).is_some())
}

/// The foreign key by which the match key of the table's rows changes unseen.
fn moving_key(table: &TablePlan, source: Dialect) -> Option<&ForeignKey> {
    let mut keys = table.source.foreign_keys.iter();
    keys.find(|key| {
        let columns = cascades::planned(table, &key.columns, source);
        let moves = columns.iter().any(|column| table.key.contains(column));
        !key.logged && key.on_update.acts() && moves
    })
}

/// A warning for each table whose match key changes unseen.
pub(crate) fn remarks(tables: &[TablePlan], source: Dialect) -> Vec<Finding> {
    let moving = tables.iter().filter_map(|table| Some((table, moving_key(table, source)?)));
    let remark = |(table, key): (&TablePlan, &ForeignKey)| {
        let (name, parent) = (&table.source.name, &key.parent);
        Finding {
            fatal: false,
            kind: Kind::Mapping,
            subject: format!("{name} -> {}", table.target.name),
            message: format!(
                "foreign key {} to {parent} changes the match key of {name} by ON UPDATE, and the \
                 source does not log that: a row that is to be read again just then is not found \
                 under its old key, and stays missing or old on the target",
                key.name
            ),
            hint: format!(
                "do not change the key of rows of {parent} while `weir_missed` or `weir_partial` is \
                 not zero; the log of weir names the table where rows were not found"
            ),
            mend: Vec::new(),
        }
    };
    moving.map(remark).collect()
}

/// The keys that refer to each of the tables, in their order.
pub(crate) fn keys(tables: &[TablePlan], source: Dialect) -> Vec<Vec<UnseenKey>> {
    let edges: Vec<_> = tables
        .iter()
        .enumerate()
        .flat_map(|(child, table)| table.source.foreign_keys.iter().map(move |key| (child, key)))
        .filter(|(_, key)| !key.logged && key.acts())
        .filter_map(|(child, key)| {
            let parent = tables.iter().position(|table| table.source.name == key.parent)?;
            Some((parent, child, key))
        })
        .collect();
    let below = |child: usize| {
        let mut found = vec![child];
        let mut next = 0;
        while let Some(&parent) = found.get(next) {
            for (_, child, _) in edges.iter().filter(|(own, ..)| *own == parent) {
                if !found.contains(child) {
                    found.push(*child);
                }
            }
            next += 1;
        }
        found.sort_unstable();
        found
    };
    let keys_of = |parent: usize, table: &TablePlan| {
        let own = edges.iter().filter(|(own, ..)| *own == parent);
        let unseen = own.map(|(_, child, key)| UnseenKey {
            on_delete: key.on_delete.acts(),
            columns: match key.on_update.acts() {
                true => cascades::planned(table, &key.parent_columns, source),
                false => Vec::new(),
            },
            below: below(*child),
        });
        unseen.collect()
    };
    tables.iter().enumerate().map(|(parent, table)| keys_of(parent, table)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Truncates;
    use crate::model::schema::Rule;
    use crate::model::{Table, TableName};
    use crate::plan::fixtures::{BIGINT, column, config, foreign_key, link, replicate, row, table};

    /// Tables `a` to `e` of columns `id`, `up` and `code`, of which each has these keys: child, parent,
    /// the parent's column, what deletes and what updates do, and whether that is logged.
    fn plan(edges: &[(&str, &str, &str, [Rule; 2], bool)]) -> LinkPlan {
        plan_by("up", edges)
    }

    /// As above by keys over this column of the child.
    fn plan_by(over: &str, edges: &[(&str, &str, &str, [Rule; 2], bool)]) -> LinkPlan {
        let side = |schema: &str| {
            let made = ["a", "b", "c", "d", "e"].map(|name| {
                let columns = ["id", "up", "code"].map(|name| column(name, BIGINT, "bigint"));
                let mut table: Table = table(schema, name, columns.to_vec());
                let own = edges.iter().filter(|edge| edge.0 == name);
                table.foreign_keys.extend(own.map(|(_, parent, column, rules, logged)| {
                    ForeignKey {
                        columns: vec![over.into()],
                        parent_columns: vec![(*column).into()],
                        on_delete: rules[0],
                        on_update: rules[1],
                        logged: *logged,
                        ..foreign_key("k", TableName::new(schema, *parent))
                    }
                }));
                table
            });
            made.to_vec()
        };
        let mut rule = replicate("ma", "my", &["ma_db.*"]);
        rule.truncate = Truncates::Apply;
        let config = config(vec![rule], vec![]);
        let (source, target) = (side("ma_db"), side("my_db"));
        crate::plan::plan(&config, &link("ma", "my"), &source, &target).expect("a plan")
    }

    /// The tables whose rows a change of `name` may change unseen.
    fn changed(plan: &LinkPlan, name: &str, act: &Act) -> String {
        let index = |name: &str| {
            let mut tables = plan.tables.iter();
            tables.position(|table| table.source.name.table == name).expect("planned")
        };
        let change = Prepared { table: index(name), act: act.clone() };
        let names = ["a", "b", "c", "d", "e"];
        let of = names.into_iter().filter(|of| acts_unseen(plan, &change, index(of)));
        of.collect()
    }

    fn acts() -> [Act; 6] {
        let (columns, whole) = (Some([0, 1].into()), row(&[1, 2, 3]));
        [
            Act::Delete { key: row(&[1]) },
            Act::Truncate,
            Act::Rekey { old: row(&[9]), columns: None, row: whole.clone() },
            Act::Update { columns: None, row: whole.clone() },
            Act::Update { columns, row: row(&[1, 2]) },
            Act::Upsert { columns: None, row: whole },
        ]
    }

    /// Broken if a row that went, or changed, by a cascade over several tables, in a circle or within
    /// its own table, were taken for one that stays as it was read.
    #[test]
    fn rows_below_change_over_any_number_of_tables() {
        use Rule::{Cascade, Refuse, SetNull};
        let plan = plan(&[
            ("b", "a", "id", [Cascade, Refuse], false),
            ("c", "b", "id", [SetNull, Cascade], false),
            ("d", "c", "id", [Cascade, Refuse], true),
            ("e", "e", "ID", [Cascade, Refuse], false),
            ("a", "c", "id", [Refuse, SetNull], false),
        ]);
        let found = |name| acts().map(|act| changed(&plan, name, &act));
        assert_eq!(found("a"), ["abc", "abc", "", "", "", ""]);
        assert_eq!(found("b"), ["abc", "abc", "abc", "", "", ""]);
        assert_eq!(found("c"), ["", "", "abc", "", "", ""]);
        assert_eq!(found("d"), ["", "", "", "", "", ""]);
        assert_eq!(found("e"), ["e", "e", "", "", "", ""]);
        let below = |name| {
            let at = plan.tables.iter().position(|table| table.source.name.table == name);
            changes_unseen(&plan, at.expect("planned"))
        };
        assert_eq!(["a", "b", "c", "d", "e"].map(below), [true, true, true, false, true]);
    }

    /// Broken if an update of a column that is referred to, and is not the match key, passed for one
    /// that changes nothing else, or if every update of a parent counted.
    #[test]
    fn a_column_that_is_referred_to_need_not_be_the_key() {
        let plan = plan(&[("b", "a", "code", [Rule::Refuse, Rule::Cascade], false)]);
        assert_eq!(acts().map(|act| changed(&plan, "a", &act)), ["", "", "b", "b", "", ""]);
    }

    /// Broken if nobody were told that rows may be looked for under a key that they no longer have, or
    /// were where that cannot be.
    #[test]
    fn keys_that_change_unseen_are_told() {
        use Rule::{Cascade, Refuse};
        for (own, rules, logged, told) in [
            ("ID", [Refuse, Cascade], false, true),
            ("up", [Refuse, Cascade], false, false),
            ("id", [Cascade, Refuse], false, false),
            ("id", [Refuse, Cascade], true, false),
        ] {
            let plan = plan_by(own, &[("b", "a", "id", rules, logged)]);
            assert_eq!([0, 1].map(|at| key_changes_unseen(&plan, at)), [false, told], "{own}");
            let mut remarks = plan.remarks.iter();
            let found = remarks.any(|one| one.message.contains("the match key of ma_db.b"));
            assert_eq!(found, told, "{own} {rules:?} {logged}");
        }
    }
}
