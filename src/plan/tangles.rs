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
use crate::error::{Error, Kind};
use crate::model::schema::Rule;
use crate::model::{ForeignKey, Table, TableName};
use crate::plan::{ActingKey, Finding, TablePlan, Undone};

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
        let by_source = at_source.walk(name).and_then(|walk| {
            let found = walk.tangles().find(|tangle| is_reached(tables, &walk, tangle)).cloned();
            found.map(Undone::BySource)
        });
        by_source.or_else(|| untold(table, tables).map(Undone::Untold))
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

/// The keys that act at the target on rows which the source may have kept, where rows of the table go
/// with others of it: its log is the same with the checks of foreign keys off. Rows that are the target's
/// own are no matter.
fn untold(table: &TablePlan, tables: &[TablePlan]) -> Option<Vec<usize>> {
    let mut own = table.source.foreign_keys.iter();
    if !own.any(|key| key.logged && key.takes_along(&table.source.name)) {
        return None;
    }
    let is_carried = |child: &TableName| {
        tables.iter().any(|one| one.target.name == *child && one.deletes == Deletes::Apply)
    };
    let acting = table.acting.iter().enumerate();
    let keys = acting.filter(|(_, key)| key.on_delete && is_carried(&key.child));
    let keys: Vec<usize> = keys.map(|(at, _)| at).collect();
    (!keys.is_empty()).then_some(keys)
}

/// Whether keys of the target would change rows of this source table from others on the way.
fn is_reached(tables: &[TablePlan], walk: &Walk<'_>, tangle: &TableName) -> bool {
    let Some(table) = tables.iter().find(|table| table.source.name == *tangle) else {
        return false;
    };
    let on_the_way = tables.iter().filter(|table| walk.ways.contains_key(&table.source.name));
    on_the_way.flat_map(|table| &table.acting).any(|key| key.child == table.target.name)
}

/// A warning for each table whose deletes differ on the two sides, and not only where the checks of
/// foreign keys were off.
pub(crate) fn remarks(tables: &[TablePlan]) -> Vec<Finding> {
    let finding = |table: &TablePlan| {
        let undone = table.undone.as_ref()?;
        let which = match undone {
            Undone::ByTarget(_) => " that others refer to",
            Undone::BySource(_) => "",
            Undone::Untold(_) => return None,
        };
        Some(Finding {
            fatal: false,
            kind: Kind::Mapping,
            subject: format!("{} -> {}", table.source.name, table.target.name),
            message: format!("the link halts at a delete of a row of the table{which}: {undone}"),
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
            Undone::BySource(_) | Undone::Untold(_) => {
                "let the target's foreign keys have no action on delete (the log holds what the source's do)"
            }
        }
    }

    /// The target's refusal to delete a row to which others refer by `key`.
    pub fn referred(&self, context: &str, key: &ActingKey) -> Error {
        let (child, name) = (&key.child, &key.name);
        let what = format!("{context}: rows of {child} refer to a row by {name}, and {self}");
        let by_hand = match self {
            Undone::ByTarget(_) | Undone::BySource(_) => {
                "make the tables below it on the target equal to the source's by hand, from the last to \
                 the first"
            }
            Undone::Untold(_) => {
                "where the source has them still, delete the row on the target by hand with its foreign \
                 keys off (foreign_key_checks = 0 on MySQL and MariaDB, session_replication_role = \
                 replica on PostgreSQL), else delete them too"
            }
        };
        Error::new(Kind::ForeignKey, what)
            .hint(format!("{by_hand}, then start weir again; for good, {}", self.mend()))
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
            Undone::Untold(_) => f.write_str(
                "the source's log does not tell whether they went too, by its foreign keys, or stayed \
                 because it was done with foreign_key_checks = 0",
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

    /// Broken if the target did not look where the log does not tell, looked for rows of its own, or
    /// looked where nothing can differ.
    #[test]
    fn what_the_log_does_not_tell_is_looked_at() {
        use Rule::{Cascade, Refuse, SetNull};
        let looked = |rule: Rule, own: Rule, pattern: &str| {
            let side = |schema: &str, on_delete| {
                ["tree", "note"].map(|name| {
                    let columns = ["id", "up"].map(|name| column(name, BIGINT, "bigint"));
                    let key = ForeignKey {
                        on_delete,
                        columns: vec!["up".into()],
                        parent_columns: vec!["id".into()],
                        ..foreign_key(name, TableName::new(schema, "tree"))
                    };
                    Table { foreign_keys: vec![key], ..table(schema, name, columns.into()) }
                })
            };
            let config = config(vec![replicate("my", "pg", &[pattern])], vec![]);
            let (source, target) = (side("my_db", rule), side("public", own));
            let plan = plan(&config, &link("my", "pg"), &source, &target).expect("a plan");
            let tree = plan.tables.iter().find(|one| one.source.name.table == "tree").expect("it");
            let keys = tree.looked_at().into_iter().map(|key| key.name.clone());
            assert!(!plan.remarks.iter().any(|one| one.message.contains("halts")));
            keys.collect::<Vec<_>>()
        };
        assert_eq!(looked(Cascade, Cascade, "my_db.*"), ["tree", "note"]);
        assert_eq!(looked(Cascade, SetNull, "my_db.*"), ["tree", "note"]);
        assert_eq!(looked(Cascade, Cascade, "my_db.tree"), ["tree"]);
        assert!(looked(Cascade, Refuse, "my_db.*").is_empty());
        assert!(looked(SetNull, SetNull, "my_db.*").is_empty());
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
