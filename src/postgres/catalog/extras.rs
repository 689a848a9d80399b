//! What only a table's definition needs: checks, and indexes beside the plain unique ones.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::{formula, group};
use crate::model::formula::{Cast, Formula};
use crate::model::schema::{Check, Extras, Index, Part};
use crate::postgres::session::Session;

/// Checks of the tables `$1`. PostgreSQL 18 has such as are not enforced; before it, the column does not exist.
const CHECKS: &str = "
SELECT k.conrelid, k.conname::text AS name, pg_get_expr(k.conbin, k.conrelid) AS formula,
       k.convalidated AND COALESCE(to_jsonb(k)->>'conenforced', 'true')::boolean AS holds
FROM pg_constraint k
WHERE k.conrelid = ANY($1) AND k.contype = 'c'
ORDER BY k.conrelid, k.conname COLLATE \"C\"";

/// Indexes of the tables `$1` but primary keys; `unfit` says what other servers have nothing for.
const INDEXES: &str = "
SELECT i.indrelid, c.relname::text AS name, i.indisunique AS is_unique,
       CASE WHEN i.indisexclusion THEN 'it excludes more than equal values'
            WHEN NOT i.indisvalid THEN 'it is not valid'
            WHEN m.amname <> 'btree' THEN 'it is a ' || m.amname || ' index'
            WHEN i.indpred IS NOT NULL THEN 'it is over some rows only'
            WHEN NOT i.indimmediate THEN 'it is judged at commit'
            WHEN COALESCE(to_jsonb(i)->>'indnullsnotdistinct', 'false')::boolean
              THEN 'it takes NULL once only'
            WHEN EXISTS (SELECT FROM unnest(i.indclass) AS u (oid) JOIN pg_opclass o ON o.oid = u.oid
                         WHERE NOT o.opcdefault) THEN 'its order is no type''s own'
            WHEN EXISTS (SELECT FROM generate_series(0, i.indnkeyatts - 1) AS p
                         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p]
                         WHERE a.attcollation <> i.indcollation[p])
              THEN 'its collation is not its column''s' END AS unfit,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, p, true)
             FROM generate_series(1, i.indnkeyatts) AS p ORDER BY p) AS parts,
       ARRAY(SELECT i.indoption[p] & 1 = 1 FROM generate_series(0, i.indnkeyatts - 1) AS p ORDER BY p) AS downwards,
       ARRAY(SELECT a.attname::text FROM generate_series(0, i.indnkeyatts - 1) AS p
             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p] ORDER BY p) AS columns
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
WHERE i.indrelid = ANY($1) AND i.indislive AND NOT i.indisprimary
ORDER BY i.indrelid, c.relname COLLATE \"C\"";

/// What is read of tables, by their oids.
pub(super) struct Read {
    checks: HashMap<u32, Vec<Row>>,
    indexes: HashMap<u32, Vec<Row>>,
}

impl Read {
    /// Reads it of the tables of these oids.
    pub(super) async fn of(session: &Session, oids: &[u32]) -> Result<Read, tokio_postgres::Error> {
        Ok(Read {
            checks: group(session.query(CHECKS, &[&oids]).await?),
            indexes: group(session.query(INDEXES, &[&oids]).await?),
        })
    }

    /// That of one table, whose indexes of the names `uniques` are known.
    pub(super) fn take(&mut self, oid: u32, comment: Option<String>, uniques: &[&str]) -> Extras {
        let rows = self.indexes.remove(&oid).unwrap_or_default();
        let indexes = rows.iter().map(index).filter(|one| !uniques.contains(&one.name.as_str()));
        let indexes = indexes.collect();
        let checks = self.checks.remove(&oid).unwrap_or_default().iter().map(check).collect();
        Extras { comment, checks, indexes }
    }
}

fn check(row: &Row) -> Check {
    let text: String = row.get("formula");
    let formula = formula::of(&text);
    Check { name: row.get("name"), text, formula, holds: row.get("holds") }
}

fn index(row: &Row) -> Index {
    let columns: Vec<Option<String>> = row.get("columns");
    let (texts, downwards): (Vec<String>, Vec<bool>) = (row.get("parts"), row.get("downwards"));
    let part = |(column, text): (Option<String>, String)| match (column, formula::of(&text)) {
        (Some(column), _) => Part::Column(column),
        (None, Some(formula)) => prefix(&formula).unwrap_or(Part::Formula(formula)),
        (None, None) => Part::Unknown(text),
    };
    let parts = columns.into_iter().zip(texts).map(part).zip(downwards).collect();
    Index { name: row.get("name"), unique: row.get("is_unique"), parts, unfit: row.get("unfit") }
}

/// `left(column, n)`, with or without a cast to text.
fn prefix(formula: &Formula) -> Option<Part> {
    let Formula::Start(of, length) = formula else { return None };
    let of = match &**of {
        Formula::Cast(of, Cast::Text) => of,
        _ => of,
    };
    match &**of {
        Formula::Column(column) => Some(Part::Prefix(column.clone(), *length)),
        _ => None,
    }
}
