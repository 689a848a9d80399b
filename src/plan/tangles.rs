//! Deletes whose cascades a server does not carry out to their end.
//!
//! A MySQL that logs what its foreign keys do (`innodb_native_foreign_keys = OFF`) follows the keys
//! below a deleted row into each table once. Where a table is reached by a second key, or in a circle,
//! and the keys go on below it, the rows of the second way stay as they are and refer to what is gone
//! (seen on 9.7.4; no other server does so). Where nothing goes on below the table, all is done. A
//! change of a key that would come to the same is refused by the server, and so is the delete where a
//! table on the way refers to itself. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::config::{Deletes, Dialect};
use crate::error::Kind;
use crate::model::schema::Rule;
use crate::model::{ForeignKey, Table, TableName};
use crate::plan::{Finding, TablePlan, Undone};

/// The keys that such a server carries out itself, by the table that they refer to.
#[derive(Debug, Default)]
struct Keys<'a>(BTreeMap<&'a TableName, Vec<(&'a TableName, &'a ForeignKey)>>);

/// What happens to rows of a table on the way.
#[derive(Clone, Copy, Debug)]
enum Fate<'a> {
    Gone,
    /// These columns get other values.
    Changed(&'a [String]),
}

impl<'a> Keys<'a> {
    fn of(tables: impl IntoIterator<Item = &'a Table>, dialect: Dialect) -> Self {
        let mut keys = Keys::default();
        for table in tables.into_iter().filter(|_| dialect == Dialect::Mysql) {
            let own = table.foreign_keys.iter();
            for key in own.filter(|key| key.acts() && key.logged && key.parent != table.name) {
                keys.0.entry(&key.parent).or_default().push((&table.name, key));
            }
        }
        keys
    }

    /// The keys that act on this fate of `parent`'s rows.
    fn acting(
        &self,
        parent: &TableName,
        fate: Fate<'a>,
    ) -> impl Iterator<Item = (&'a TableName, &'a ForeignKey, Fate<'a>)> {
        let keys = self.0.get(parent).into_iter().flatten();
        keys.filter_map(move |(child, key)| match fate {
            Fate::Gone if key.on_delete == Rule::Cascade => Some((*child, *key, Fate::Gone)),
            Fate::Gone if key.on_delete.acts() => Some((*child, *key, Fate::Changed(&key.columns))),
            Fate::Changed(columns)
                if key.on_update.acts() && meet(columns, &key.parent_columns) =>
            {
                Some((*child, *key, Fate::Changed(&key.columns)))
            }
            _ => None,
        })
    }

    /// Where a delete of rows of `root` comes to; `None` where it goes nowhere.
    fn walk(&self, root: &TableName) -> Option<Walk<'a>> {
        let (root, _) = self.0.get_key_value(root)?;
        let mut walk = Walk { ways: BTreeMap::from([(*root, 1)]), goes_on: BTreeSet::new() };
        let (mut walked, mut next) = (BTreeSet::new(), vec![(*root, Fate::Gone)]);
        while let Some((parent, fate)) = next.pop() {
            for (child, key, fate) in self.acting(parent, fate) {
                walk.goes_on.insert(parent);
                if walked.insert((child, &key.name, matches!(fate, Fate::Gone))) {
                    *walk.ways.entry(child).or_insert(0) += 1;
                    next.push((child, fate));
                }
            }
        }
        Some(walk)
    }
}

/// The tables that a delete comes to.
#[derive(Debug)]
struct Walk<'a> {
    /// By how many keys it comes to each, the first one counted as one.
    ways: BTreeMap<&'a TableName, usize>,
    /// Those below which there is more to be done.
    goes_on: BTreeSet<&'a TableName>,
}

impl<'a> Walk<'a> {
    /// The tables that it comes to on several ways and goes on from.
    fn tangles(&self) -> impl Iterator<Item = &'a TableName> {
        let several = self.ways.iter().filter(|(_, ways)| **ways > 1).map(|(table, _)| *table);
        several.filter(|table| self.goes_on.contains(table))
    }
}

/// Whether two lists of columns of one table share one; MySQL does not tell their names by case.
fn meet(one: &[String], other: &[String]) -> bool {
    one.iter().any(|name| other.iter().any(|own| own.to_lowercase() == name.to_lowercase()))
}

/// Marks the tables whose deletes differ on the two sides, because the target leaves undone what the
/// source's keys did and did not log, or the target's keys do what the source left undone.
pub(crate) fn mark(
    tables: &mut [TablePlan],
    (source_tables, target_tables): (&[Table], &[Table]),
    dialects: (Dialect, Dialect),
) {
    let at_target = Keys::of(target_tables, dialects.1);
    let at_source = Keys::of(source_tables, dialects.0);
    let undone = |table: &TablePlan| {
        let name = &table.source.name;
        if acts_unlogged(tables, name) {
            let walk = at_target.walk(&table.target.name)?;
            return walk.tangles().next().cloned().map(Undone::ByTarget);
        }
        let walk = at_source.walk(name)?;
        let found = walk.tangles().find(|tangle| is_reached(tables, &walk, tangle));
        found.cloned().map(Undone::BySource)
    };
    let applied = |table: &&TablePlan| table.deletes == Deletes::Apply;
    let found: Vec<_> =
        tables.iter().map(|table| Some(table).filter(applied).and_then(undone)).collect();
    for (table, undone) in tables.iter_mut().zip(found) {
        table.undone = undone;
    }
}

/// Whether a delete of rows of this source table has others go, or emptied, that the log does not hold.
fn acts_unlogged(tables: &[TablePlan], parent: &TableName) -> bool {
    let mut keys = tables.iter().flat_map(|child| &child.source.foreign_keys);
    keys.any(|key| key.parent == *parent && key.on_delete.acts() && !key.logged)
}

/// Whether keys of the target would change rows of this source table from others on the way.
fn is_reached(tables: &[TablePlan], walk: &Walk<'_>, tangle: &TableName) -> bool {
    let Some(table) = tables.iter().find(|table| table.source.name == *tangle) else {
        return false;
    };
    let on_the_way = tables.iter().filter(|table| walk.ways.contains_key(&table.source.name));
    on_the_way.flat_map(|table| &table.acting).any(|key| key.child == table.target.name)
}

/// A warning for each table whose deletes differ on the two sides.
pub(crate) fn remarks(tables: &[TablePlan]) -> Vec<Finding> {
    let finding = |table: &TablePlan| {
        let undone = table.undone.as_ref()?;
        Some(Finding {
            fatal: false,
            kind: Kind::Mapping,
            subject: format!("{} -> {}", table.source.name, table.target.name),
            message: format!(
                "the link halts at a delete of a row of the table{}: {undone}",
                match undone {
                    Undone::ByTarget(_) => " that others refer to",
                    Undone::BySource(_) => "",
                }
            ),
            hint: undone.mend().to_owned(),
            mend: Vec::new(),
        })
    };
    tables.iter().filter_map(finding).collect()
}

impl Undone {
    /// How it is mended for good.
    pub fn mend(&self) -> &'static str {
        match self {
            Undone::ByTarget(_) => "start the target with innodb_native_foreign_keys = ON",
            Undone::BySource(_) => {
                "let the target's foreign keys have no action on delete (the log holds what the source's do)"
            }
        }
    }
}

impl fmt::Display for Undone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Undone::ByTarget(table) => write!(
                f,
                "the source does not log what its foreign keys do then, and the target's come to \
                 {table} on several ways, of which the server follows one"
            ),
            Undone::BySource(table) => write!(
                f,
                "the source's foreign keys come to {table} on several ways, of which the server \
                 follows one, and those of the target would change the rows that it leaves"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::{BIGINT, column, config, foreign_key, link, replicate, table};
    use crate::plan::plan;

    /// What a delete and a change of the key do.
    type Rules = (Rule, Rule);

    const GOES: Rules = (Rule::Cascade, Rule::Refuse);
    const EMPTIED: Rules = (Rule::SetNull, Rule::Refuse);
    const FOLLOWS: Rules = (Rule::Refuse, Rule::Cascade);

    /// Each table of `a` to `d` with the tangle below it, over keys from `id` of the first table to `up`
    /// of the second, or where they follow a change, from `up`.
    fn found(edges: &[(&str, &str, Rules)], dialect: Dialect) -> String {
        let tables = ["a", "b", "c", "d"].map(|name| {
            let mut table = table("s", name, vec![column("id", BIGINT, "bigint")]);
            let own = edges.iter().enumerate().filter(|(_, (_, child, _))| *child == name);
            table.foreign_keys.extend(own.map(|(at, (parent, _, rules))| ForeignKey {
                on_delete: rules.0,
                on_update: rules.1,
                columns: vec!["up".into()],
                parent_columns: vec![if *rules == FOLLOWS { "UP" } else { "id" }.into()],
                ..foreign_key(&format!("k{at}"), TableName::new("s", *parent))
            }));
            table
        });
        let keys = Keys::of(&tables, dialect);
        let tangled =
            tables.iter().filter_map(|root| Some((root, keys.walk(&root.name)?.tangles().next()?)));
        let tangled = tangled.map(|(root, at)| format!("{}>{}", root.name.table, at.table));
        tangled.collect::<Vec<_>>().join(" ")
    }

    /// Broken if a circle or a second way were not seen, or one were seen where the server does all.
    #[test]
    fn second_ways_are_seen() {
        let diamond = [("a", "b", GOES), ("a", "c", GOES), ("b", "d", GOES), ("c", "d", GOES)];
        assert_eq!(found(&diamond, Dialect::Mysql), "", "nothing hangs on it");
        for (edges, tangles) in [
            (vec![("a", "b", GOES), ("b", "c", GOES), ("c", "d", GOES)], ""),
            (vec![("a", "a", GOES), ("a", "b", GOES), ("b", "b", GOES)], ""),
            (vec![("a", "b", GOES), ("b", "a", GOES)], "a>a b>b"),
            (vec![("a", "b", GOES), ("b", "a", EMPTIED)], "a>a"),
            (vec![("a", "b", GOES), ("b", "c", GOES), ("c", "a", GOES)], "a>a b>b c>c"),
            (vec![("a", "b", GOES), ("a", "b", GOES), ("b", "c", GOES)], "a>b"),
            (vec![("a", "b", GOES), ("a", "b", GOES), ("b", "c", EMPTIED)], "a>b"),
            (vec![("a", "b", GOES), ("a", "b", GOES), ("b", "c", FOLLOWS)], ""),
            (vec![("a", "b", EMPTIED), ("a", "b", EMPTIED), ("b", "c", GOES)], ""),
            (vec![("a", "b", EMPTIED), ("a", "b", EMPTIED), ("b", "c", FOLLOWS)], "a>b"),
            (vec![("a", "b", FOLLOWS), ("a", "b", FOLLOWS), ("b", "c", FOLLOWS)], ""),
            (vec![("a", "b", GOES), ("a", "c", GOES), ("b", "c", GOES), ("c", "d", GOES)], "a>c"),
            (
                vec![("a", "b", GOES), ("a", "c", EMPTIED), ("b", "c", GOES), ("c", "d", GOES)],
                "a>c",
            ),
            (vec![("a", "b", EMPTIED), ("a", "c", GOES), ("b", "c", GOES), ("c", "d", GOES)], ""),
        ] {
            assert_eq!(found(&edges, Dialect::Mysql), tangles, "{edges:?}");
            assert_eq!(found(&edges, Dialect::Mariadb), "", "{edges:?}");
        }
    }

    /// Broken if the link did not halt at a delete that the two sides carry out differently, or did at
    /// one that they do not.
    #[test]
    fn deletes_that_differ_are_marked() {
        let side = |schema: &str, on_delete: &dyn Fn(&str) -> Rule, logged| {
            let up = |child: &str, of: &[&str]| {
                let key = |(at, parent): (usize, &&str)| ForeignKey {
                    on_delete: on_delete(child),
                    logged,
                    columns: vec![format!("up{at}")],
                    parent_columns: vec!["id".into()],
                    ..foreign_key(&format!("k{at}"), TableName::new(schema, *parent))
                };
                of.iter().enumerate().map(key).collect::<Vec<_>>()
            };
            let tables: [(&str, &[&str]); 5] =
                [("p", &[]), ("a", &["p"]), ("b", &["p"]), ("x", &["a", "b"]), ("y", &["x"])];
            tables.map(|(name, parents)| {
                let columns = ["id", "up0", "up1"].map(|name| column(name, BIGINT, "bigint"));
                Table { foreign_keys: up(name, parents), ..table(schema, name, columns.to_vec()) }
            })
        };
        let of = |[from, to]: [&str; 2], tables: &[&str], own: &dyn Fn(&str) -> Rule, deletes| {
            let schema = |name| match name {
                "ma" => "ma_db",
                "my" => "my_db",
                _ => "public",
            };
            let tables: Vec<_> =
                tables.iter().map(|table| format!("{}.{table}", schema(from))).collect();
            let tables: Vec<_> = tables.iter().map(String::as_str).collect();
            let mut rule = replicate(from, to, &tables);
            rule.deletes = deletes;
            let source = side(schema(from), &|_| Rule::Cascade, from != "ma");
            let target = side(schema(to), own, true);
            let plan = plan(&config(vec![rule], vec![]), &link(from, to), &source, &target);
            let plan = plan.expect("a plan");
            let undone = |table: &std::sync::Arc<TablePlan>| table.undone.clone();
            let told = plan.remarks.iter().filter(|one| one.message.contains("halts at a delete"));
            let marked = plan.tables.iter().filter_map(undone).collect::<Vec<_>>();
            assert_eq!(told.count(), marked.len());
            marked
        };
        let marked = |ends, own, deletes| of(ends, &["*"], &|_| own, deletes);
        let x = |schema| TableName::new(schema, "x");
        let (apply, cascade) = (Deletes::Apply, Rule::Cascade);
        assert_eq!(marked(["ma", "my"], cascade, apply), [Undone::ByTarget(x("my_db"))]);
        assert_eq!(marked(["my", "pg"], cascade, apply), [Undone::BySource(x("my_db"))]);
        assert_eq!(marked(["my", "pg"], Rule::Refuse, apply), []);
        assert_eq!(marked(["my", "pg"], cascade, Deletes::Ignore), []);
        assert_eq!(marked(["ma", "pg"], cascade, apply), []);
        assert_eq!(marked(["pg", "my"], cascade, apply), []);
        let only = |children: &'static str| {
            move |child: &str| if children.contains(child) { Rule::Cascade } else { Rule::Refuse }
        };
        let found = [Undone::BySource(x("my_db"))];
        let (all, ends) = (["*"], ["my", "pg"]);
        assert_eq!(of(ends, &all, &only("aby"), apply), [], "x stays at the target too");
        assert_eq!(of(ends, &all, &only("x"), apply), found);
        assert_eq!(of(ends, &["p", "a", "x"], &only("axy"), apply), found, "one way is no one's");
        assert_eq!(of(ends, &["p", "a", "b"], &only("ab"), apply), [], "no rows stay that cross");
    }
}
