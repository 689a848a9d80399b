//! Cascades that a server does not carry out to their end.
//!
//! A MySQL that logs what its foreign keys do (`innodb_native_foreign_keys = OFF`) follows the keys
//! below a table on one way only: rows of a table that is reached on a second way, by another key or in
//! a circle, go or change, and what refers to them stays as it was (seen on 9.7.4; no other server does
//! so). A table that refers to itself is followed, or the statement fails. Pure.

use std::collections::BTreeSet;

use crate::config::Dialect;
use crate::error::Kind;
use crate::model::{ForeignKey, Table, TableName};
use crate::plan::{Finding, TablePlan};

/// The tables below which this server does not do all that its keys say.
fn tangled<'a>(tables: &[&'a Table], dialect: Dialect) -> BTreeSet<&'a TableName> {
    let children = |parent: &TableName| {
        let of = move |table: &&'a Table| {
            let keys = table.foreign_keys.iter();
            let table = *table;
            keys.filter(|key| key.acts() && key.logged && key.parent != table.name)
                .map(|key| (&key.parent, &table.name))
                .collect::<Vec<_>>()
        };
        let edges = tables.iter().flat_map(of).filter(|(own, _)| **own == *parent);
        edges.map(|(_, child)| child).collect::<Vec<&TableName>>()
    };
    let mut found = BTreeSet::new();
    if dialect != Dialect::Mysql {
        return found;
    }
    for root in tables {
        let (mut seen, mut next) = (BTreeSet::from([&root.name]), vec![&root.name]);
        while let Some(parent) = next.pop() {
            for child in children(parent) {
                if seen.insert(child) {
                    next.push(child);
                } else if !children(child).is_empty() {
                    found.insert(child);
                }
            }
        }
    }
    found
}

/// A warning for each table below which the target does not do what the source's keys did unseen.
pub(crate) fn left_undone(tables: &[TablePlan], target: Dialect) -> Vec<Finding> {
    let mut findings = Vec::new();
    let targets: Vec<&Table> = tables.iter().map(|table| &table.target).collect();
    let tangled = tangled(&targets, target);
    let unseen =
        |parent: &TableName, key: &ForeignKey| key.acts() && !key.logged && key.parent == *parent;
    for table in tables.iter().filter(|table| tangled.contains(&table.target.name)) {
        let parent = &table.source.name;
        let mut children = tables.iter().flat_map(|child| &child.source.foreign_keys);
        if children.any(|key| unseen(parent, key)) {
            findings.push(Finding {
                fatal: false,
                kind: Kind::Mapping,
                subject: format!("{parent} -> {}", table.target.name),
                message:
                    "the source does not log what its foreign keys do, and of what the target's \
                          would do instead, some is left undone: this table is reached by them on \
                          several ways"
                        .to_owned(),
                hint:
                    "start the target with innodb_native_foreign_keys = ON; or neither delete rows \
                       of the table nor change their keys while others refer to them"
                        .to_owned(),
                mend: Vec::new(),
            });
        }
    }
    findings
}

/// A warning for each table below which keys of the target do what the source's leave undone.
pub(crate) fn remarks(tables: &[TablePlan], source: Dialect) -> Vec<Finding> {
    let sources: Vec<&Table> = tables.iter().map(|table| &table.source).collect();
    let tangled = tangled(&sources, source);
    let differing = tables.iter().filter(|table| {
        let mut keys = tables.iter().flat_map(|child| &child.target.foreign_keys);
        tangled.contains(&table.source.name)
            && keys.any(|key| key.acts() && key.parent == table.target.name)
    });
    let finding = |table: &TablePlan| {
        Finding {
        fatal: false,
        kind: Kind::Mapping,
        subject: format!("{} -> {}", table.source.name, table.target.name),
        message: "the source's foreign keys reach this table on several ways, and the source does not \
                  carry out to the end what they say; the target's do: rows without parents that the \
                  source keeps may go there"
            .to_owned(),
        hint: "start the source with innodb_native_foreign_keys = ON, and the target needs the same \
               keys; or make the target's keys ones without an action"
            .to_owned(),
        mend: Vec::new(),
    }
    };
    differing.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::Rule;
    use crate::plan::fixtures::{BIGINT, column, foreign_key, table};

    /// Broken if a circle or a second way were not seen, or one were seen where all is followed.
    #[test]
    fn second_ways_are_seen() {
        let found = |edges: &[(&str, &str)], dialect| {
            let tables = ["a", "b", "c", "d"].map(|name| {
                let mut table = table("s", name, vec![column("id", BIGINT, "bigint")]);
                let own = edges.iter().filter(|(_, child)| *child == name);
                table.foreign_keys.extend(own.map(|(parent, _)| ForeignKey {
                    on_delete: Rule::Cascade,
                    ..foreign_key("k", TableName::new("s", *parent))
                }));
                table
            });
            let names = tangled(&tables.each_ref(), dialect);
            names.iter().map(|name| name.table.as_str()).collect::<String>()
        };
        let diamond = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")];
        assert_eq!(found(&diamond, Dialect::Mysql), "", "nothing hangs on it");
        for (edges, names) in [
            (vec![("a", "b"), ("b", "c"), ("c", "d")], ""),
            (vec![("a", "a"), ("a", "b"), ("b", "b")], ""),
            (vec![("a", "b"), ("b", "a")], "ab"),
            (vec![("a", "b"), ("b", "c"), ("c", "a")], "abc"),
            (vec![("a", "b"), ("a", "b"), ("b", "c")], "b"),
            (vec![("a", "b"), ("a", "c"), ("b", "c"), ("c", "d")], "c"),
        ] {
            assert_eq!(found(&edges, Dialect::Mysql), names, "{edges:?}");
            assert_eq!(found(&edges, Dialect::Mariadb), "", "{edges:?}");
        }
    }
}
