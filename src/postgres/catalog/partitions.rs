//! Partitioned tables: which of root and partition stands for the rows, and what the partitions are.
//!
//! A root that is asked for stands for all of its partitions, at every level; a partition is a table
//! of its own only where no table above it is asked for. What would make a root's rows come in part
//! (a foreign or unlogged partition, one that is excluded) is said about the root.
//! Source: PostgreSQL manual, "Table Partitioning", "pg_inherits".

use std::collections::HashMap;

use super::{Relation, Session};
use crate::config::pattern::matches;
use crate::link::ports::Selection;
use crate::model::schema::Partition;
use crate::model::{Identity, TableName};

/// The relations that `selection` means, with what is wrong with them.
pub(super) fn select(found: Vec<Relation>, selection: &Selection) -> Vec<Relation> {
    let by_oid: HashMap<u32, (TableName, Option<u32>)> = found
        .iter()
        .map(|relation| (relation.oid, (relation.name.clone(), relation.parent)))
        .collect();
    let above = |relation: &Relation| {
        let mut names = Vec::new();
        let mut parent = relation.parent;
        while let Some((name, next)) = parent.and_then(|oid| by_oid.get(&oid)) {
            names.push(name);
            parent = *next;
        }
        names
    };
    let asked = |name: &TableName| {
        selection.include.iter().any(|pattern| matches(pattern, &name.schema, &name.table))
    };
    let mut held_back: HashMap<TableName, TableName> = HashMap::new();
    let mut chosen = Vec::new();
    for mut relation in found {
        let above = above(&relation);
        let root = above.iter().find(|name| asked(name)).copied();
        match root {
            _ if !relation.is_table => {
                if selection.names(&relation.name) {
                    chosen.push(relation);
                }
            }
            None => {
                if selection.matches(&relation.name) {
                    chosen.push(relation);
                }
            }
            Some(root) if selection.names(&relation.name) => {
                relation.unsupported =
                    Some(format!("it is a partition of {root}, which is replicated whole"));
                chosen.push(relation);
            }
            Some(_) if asked(&relation.name) && !selection.matches(&relation.name) => {
                let roots = above.iter().filter(|name| selection.matches(name));
                held_back.extend(roots.map(|root| ((*root).clone(), relation.name.clone())));
            }
            Some(_) => {}
        }
    }
    for relation in &mut chosen {
        if let Some(partition) = held_back.get(&relation.name) {
            let why = format!(
                "its partition {partition} is excluded, and a partitioned table is replicated whole"
            );
            relation.unsupported.get_or_insert(why);
        }
    }
    chosen
}

/// The partitions that hold the rows of the roots `$1`, with what their old rows are known by.
const PARTITIONS: &str = "
WITH RECURSIVE tree(root, oid) AS (
  SELECT i.inhparent, i.inhrelid FROM pg_inherits i WHERE i.inhparent = ANY($1)
  UNION ALL
  SELECT t.root, i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid)
SELECT t.root, n.nspname::text, c.relname::text, c.relkind, c.relpersistence, c.relreplident,
       ARRAY(SELECT a.attname::text FROM pg_index x
             CROSS JOIN generate_series(0, x.indnkeyatts - 1) AS k
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[k]
             WHERE x.indrelid = c.oid AND x.indisvalid AND x.indimmediate
               AND CASE c.relreplident WHEN 'd' THEN x.indisprimary
                                       WHEN 'i' THEN x.indisreplident ELSE false END) AS identity
FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind <> 'p'
ORDER BY t.root, n.nspname COLLATE \"C\", c.relname COLLATE \"C\"";

/// What a root is made of.
#[derive(Default)]
pub(super) struct Parts {
    partitions: Vec<Part>,
    unsupported: Option<String>,
}

struct Part {
    name: TableName,
    /// `None`: every column.
    identity: Option<Vec<String>>,
}

/// Reads the partitions of the roots among `relations`.
pub(super) async fn read(
    session: &Session,
    relations: &[Relation],
) -> Result<HashMap<u32, Parts>, tokio_postgres::Error> {
    let roots = relations.iter().filter(|relation| relation.is_partitioned);
    let roots: Vec<u32> = roots.map(|relation| relation.oid).collect();
    let mut found: HashMap<u32, Parts> = HashMap::new();
    if roots.is_empty() {
        return Ok(found);
    }
    for row in session.query(PARTITIONS, &[&roots]).await? {
        let name = TableName::new(row.get::<_, String>(1), row.get::<_, String>(2));
        let parts = found.entry(row.get(0)).or_default();
        let (kind, persistence): (i8, i8) = (row.get(3), row.get(4));
        let why = match (kind as u8, persistence as u8) {
            (b'f', _) => Some("is a foreign table: its changes are in another server's log"),
            (_, b'u') => Some("is unlogged: its changes are in no log"),
            _ => None,
        };
        if let Some(why) = why {
            parts.unsupported.get_or_insert(format!("its partition {name} {why}"));
        }
        let identity = match row.get::<_, i8>(5) as u8 {
            b'f' => None,
            _ => Some(row.get(6)),
        };
        parts.partitions.push(Part { name, identity });
    }
    Ok(found)
}

impl Parts {
    /// Why the root cannot be replicated, and its partitions over its own columns, `names`; `judge`
    /// says what an identity is worth.
    pub(super) fn over(
        self,
        names: &[&str],
        judge: impl Fn(Identity) -> Identity,
    ) -> (Option<String>, Vec<Partition>) {
        let place = |name: &String| names.iter().position(|known| known == name);
        let partitions = self.partitions.into_iter().map(|part| Partition {
            name: part.name,
            identity: judge(match part.identity {
                None => Identity::Full,
                Some(columns) if columns.is_empty() => Identity::Nothing,
                Some(columns) => Identity::Columns(columns.iter().filter_map(place).collect()),
            }),
        });
        (self.unsupported, partitions.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(oid: u32, name: &str, parent: Option<u32>) -> Relation {
        Relation {
            comment: None,
            oid,
            name: TableName::new("public", name),
            parent,
            replica_identity: b'd' as i8,
            judges_generated: false,
            is_table: true,
            is_partitioned: false,
            unsupported: None,
        }
    }

    /// Broken if rows arrived under two names or under none, or a partition that is excluded came
    /// along with its root.
    #[test]
    fn a_root_stands_for_its_partitions() {
        let found = || {
            vec![
                relation(1, "m", None),
                relation(2, "m_24", Some(1)),
                relation(3, "m_24_a", Some(2)),
                relation(4, "other", None),
            ]
        };
        let chosen = |include: &[&str], exclude: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|one| format!("public.{one}")).collect();
            let selection = Selection { include: owned(include), exclude: owned(exclude) };
            let chosen = select(found(), &selection);
            let word = |relation: Relation| {
                let mark = if relation.unsupported.is_some() { "!" } else { "" };
                format!("{}{mark}", relation.name.table)
            };
            chosen.into_iter().map(word).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(chosen(&["*"], &[]), "m other");
        assert_eq!(chosen(&["m_24"], &[]), "m_24", "an explicit partition is a table");
        assert_eq!(chosen(&["m_*"], &[]), "m_24", "and stands for what is below it");
        assert_eq!(chosen(&["m_24_a"], &[]), "m_24_a");
        assert_eq!(chosen(&["*"], &["m"]), "other", "without the root, not its partitions");
        assert_eq!(chosen(&["*", "m_24"], &[]), "m m_24! other", "not both");
        assert_eq!(chosen(&["*"], &["*_a"]), "m! other", "not in part");
    }
}
