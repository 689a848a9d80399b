//! How a table is walked: by a unique index whose columns are never empty, where there is one that the
//! server reads in order; else by the places of its rows on disk, table by table of a partitioned one.
//!
//! An index serves if the order of `ORDER BY` is its own, in one direction: then "after this key" is one
//! look into it, whatever the types and collations, and equal keys are one row. What of a walk may not
//! change on the way is part of its text. A place on disk is good only as long as its file is: its text
//! holds the file's number. Text of a walk or place that weir did not write is an error.

use serde::{Deserialize, Serialize};
use tokio_postgres::Row as DbRow;
use tokio_postgres::types::{FromSql, ToSql};

use super::super::failure::classify;
use super::super::session::Session;
use super::super::sql::{literal, quote, quote_name};
use super::in_time;
use crate::error::{Error, Kind, Result};
use crate::plan::TablePlan;

/// A way through a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Walk {
    /// By these columns, which a unique index has in this order, each with its type and collation.
    Key { index: String, columns: Vec<String>, order: Vec<String> },
    /// By the places of rows of the table of this number.
    Places { table: u32 },
}

/// A row's place on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Spot {
    /// The table that holds the row: a partition, or the table itself.
    pub(super) member: u32,
    /// Its file.
    pub(super) file: i64,
    /// Page and item.
    pub(super) page: u32,
    pub(super) item: u16,
}

/// A table that holds rows, as the snapshot sees it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) oid: u32,
    pub(super) file: i64,
    /// Its name, if weir may read it by that; else it is read by way of the table it is a partition of.
    pub(super) name: Option<String>,
    /// Pages on disk, where they are asked for.
    pub(super) pages: i64,
    /// Rows, as far as the server has counted.
    pub(super) rows: Option<f64>,
}

/// Unique indexes that can be walked, the primary key first. `NOT NULL … NOT VALID` (from version 18 on)
/// promises nothing of the rows that are there.
const INDEXES: &str = "
SELECT c.relname::text, i.indisprimary,
       ARRAY(SELECT a.attname::text FROM generate_series(0, i.indnkeyatts - 1) AS p
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p] ORDER BY p),
       ARRAY(SELECT format('%s %s %s', format_type(a.atttypid, -1), a.attcollation, i.indoption[p])
             FROM generate_series(0, i.indnkeyatts - 1) AS p
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p] ORDER BY p)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'
WHERE i.indrelid = $1::text::regclass AND i.indisunique AND i.indisvalid AND i.indisready
  AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indoption[0] IN (0, 3)
  AND NOT EXISTS (
    SELECT FROM generate_series(0, i.indnkeyatts - 1) AS p
    JOIN pg_opclass o ON o.oid = i.indclass[p]
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p]
    WHERE NOT a.attnotnull OR NOT o.opcdefault OR a.attcollation <> i.indcollation[p]
       OR i.indoption[p] <> i.indoption[0]
       OR EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = i.indrelid AND k.contype = 'n'
                  AND NOT k.convalidated AND a.attnum = ANY (k.conkey)))
ORDER BY NOT i.indisprimary, c.relname COLLATE \"C\"";

/// The tables that hold the rows, by number. A name is told only where it may be read by it.
const MEMBERS: &str = "
WITH root AS (SELECT $1::text::regclass::oid AS oid),
     tree AS (SELECT oid FROM root UNION SELECT t.relid FROM root, pg_partition_tree(root.oid) AS t)
SELECT c.oid, c.relfilenode::int8,
       CASE WHEN has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
            THEN format('%I.%I', n.nspname, c.relname) END,
       CASE WHEN $2::bool THEN pg_relation_size(c.oid) / current_setting('block_size')::int8 END,
       CASE WHEN c.reltuples >= 0 AND c.relpages > 0 THEN c.reltuples::float8 / c.relpages END
FROM tree JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' ORDER BY c.oid";

/// How many of these tables have another file than these.
const MOVED: &str = "
SELECT count(*) FROM unnest($1::oid[], $2::int8[]) AS m(oid, file)
WHERE pg_relation_filenode(m.oid)::int8 <> m.file";

/// The condition that a partition's rows fulfil, for the planner to leave the others out.
const BOUNDS: &str = "SELECT pg_get_partition_constraintdef($1::oid)";

impl Walk {
    /// The walk of a text that weir wrote.
    pub(super) fn parse(text: &str) -> Result<Walk> {
        serde_json::from_str(text).map_err(foreign)
    }

    pub(super) fn to_text(&self) -> Result<String> {
        to_text(self)
    }

    /// The best way through a table as it is now.
    pub(super) async fn choose(session: &Session, table: &TablePlan) -> Result<(Walk, bool)> {
        let key = table.key.iter().filter_map(|at| table.columns.get(*at));
        let key: Vec<&str> = key
            .filter_map(|column| table.source.columns.get(column.source))
            .map(|column| column.name.as_str())
            .collect();
        let mut walks = indexes(session, table).await?;
        let within_key = walks.iter().position(|walk| match walk {
            Walk::Key { columns, .. } => columns.iter().all(|name| key.contains(&name.as_str())),
            Walk::Places { .. } => false,
        });
        match within_key {
            Some(at) => Ok((walks.swap_remove(at), true)),
            None if !walks.is_empty() => Ok((walks.swap_remove(0), false)),
            None => Ok((Walk::Places { table: number(session, table).await? }, false)),
        }
    }

    /// Whether the table can still be walked so.
    pub(super) async fn holds(&self, session: &Session, table: &TablePlan) -> Result<bool> {
        match self {
            Walk::Key { .. } => Ok(indexes(session, table).await?.contains(self)),
            Walk::Places { table: known } => Ok(number(session, table).await? == *known),
        }
    }
}

impl Spot {
    pub(super) fn parse(text: &str) -> Result<Spot> {
        let (member, file, page, item) = serde_json::from_str(text).map_err(foreign)?;
        Ok(Spot { member, file, page, item })
    }

    pub(super) fn to_text(self) -> Result<String> {
        to_text(&(self.member, self.file, self.page, self.item))
    }

    /// The place in a file of a text `(page,item)`.
    pub(super) fn of_ctid(member: &Member, ctid: &[u8]) -> Option<Spot> {
        let text = std::str::from_utf8(ctid).ok()?.strip_prefix('(')?.strip_suffix(')')?;
        let (page, item) = text.split_once(',')?;
        let (page, item) = (page.parse().ok()?, item.parse().ok()?);
        Some(Spot { member: member.oid, file: member.file, page, item })
    }

    /// Whether it lies in a file that is no longer its table's.
    pub(super) fn is_stale(self, members: &[Member]) -> bool {
        members.iter().any(|member| member.oid == self.member && member.file != self.file)
    }

    /// `(page,item)`.
    pub(super) fn ctid(self) -> String {
        format!("({},{})", self.page, self.item)
    }
}

/// A key as a place: the text of each column.
pub(super) fn key_place(text: &str) -> Result<Vec<String>> {
    serde_json::from_str(text).map_err(foreign)
}

/// The place of a key.
pub(super) fn key_text(key: &[String]) -> Result<String> {
    to_text(&key)
}

/// `("t"."a", "t"."b") > ('1', 'x')`; the server gives the texts the columns' own types.
pub(super) fn compare(columns: &[String], operator: &str, key: &[String]) -> String {
    let values: Vec<String> = key.iter().map(|text| literal(text)).collect();
    match (columns, values.as_slice()) {
        ([column], [value]) => format!("{column} {operator} {value}"),
        _ => format!("({}) {operator} ({})", columns.join(", "), values.join(", ")),
    }
}

/// The tables that hold the rows; `sized` asks for their pages too.
pub(super) async fn members(
    session: &Session,
    table: &TablePlan,
    sized: bool,
) -> Result<Vec<Member>> {
    let rows = ask(session, MEMBERS, table, &[&sized]).await?;
    rows.iter()
        .map(|row| {
            let density: Option<f64> = get(row, 4)?;
            let pages = get::<Option<i64>>(row, 3)?.unwrap_or_default();
            let rows = match pages {
                0 => Some(0.0),
                _ => density.map(|density| density * pages as f64),
            };
            Ok(Member { oid: get(row, 0)?, file: get(row, 1)?, name: get(row, 2)?, pages, rows })
        })
        .collect()
}

/// An error of kind `Contention` if rows of these tables were moved to other files since the snapshot
/// saw them: some commands that do so show an older snapshot no rows at all. Holds where the rows were
/// read before: the lock of that keeps such commands away.
pub(super) async fn require_unmoved(
    session: &Session,
    table: &TablePlan,
    members: &[Member],
) -> Result<()> {
    let oids: Vec<u32> = members.iter().map(|member| member.oid).collect();
    let files: Vec<i64> = members.iter().map(|member| member.file).collect();
    let failed = |error| classify(error, format!("look at {}", table.source.name));
    let row = async { session.query_one(&session.question(MOVED).await?, &[&oids, &files]).await };
    let row = in_time(row).await?.map_err(failed)?;
    match get::<i64>(&row, 0)? {
        0 => Ok(()),
        _ => {
            let context = format!("{} was rewritten while it was read", table.source.name);
            Err(Error::new(Kind::Contention, context).hint("weir reads this part again by itself"))
        }
    }
}

/// The condition that rows of a partition fulfil.
pub(super) async fn bounds(session: &Session, member: &Member) -> Result<Option<String>> {
    let row = in_time(session.query_one(BOUNDS, &[&member.oid])).await?;
    get(&row.map_err(|error| classify(error, "look at a partition"))?, 0)
}

async fn indexes(session: &Session, table: &TablePlan) -> Result<Vec<Walk>> {
    let rows = ask(session, INDEXES, table, &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(Walk::Key { index: get(row, 0)?, columns: get(row, 2)?, order: get(row, 3)? })
        })
        .collect()
}

async fn number(session: &Session, table: &TablePlan) -> Result<u32> {
    let rows = ask(session, "SELECT $1::text::regclass::oid", table, &[]).await?;
    rows.first().map_or_else(|| Err(super::unexpected()), |row| get(row, 0))
}

async fn ask(
    session: &Session,
    sql: &'static str,
    table: &TablePlan,
    more: &[&(dyn ToSql + Sync)],
) -> Result<Vec<DbRow>> {
    let name = quote_name(&table.source.name);
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&name];
    parameters.extend(more);
    let failed = |error| classify(error, format!("look at {}", table.source.name));
    let rows = async { session.query(&session.question(sql).await?, &parameters).await };
    in_time(rows).await?.map_err(failed)
}

fn get<'a, T: FromSql<'a>>(row: &'a DbRow, at: usize) -> Result<T> {
    row.try_get(at).map_err(|error| super::unexpected().caused_by(error))
}

fn to_text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::new(Kind::Internal, "a place in a table").caused_by(error))
}

fn foreign(error: serde_json::Error) -> Error {
    Error::new(Kind::Witness, "a place in a table is not as weir wrote it")
        .caused_by(error)
        .hint("copy the table anew: `weir snapshot LINK TABLE`")
}

/// `"orders"`: what a table is called in the statements of a walk, so that a condition may say
/// `orders.id` as well as `id`.
pub(super) fn alias(table: &TablePlan) -> String {
    quote(&table.source.name.table)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a place came back as another, or one that is not weir's were gone on from.
    #[test]
    fn places_come_back_as_they_were() {
        let key = ["1".to_owned(), "it's \\ \"x\"".to_owned()];
        assert_eq!(key_place(&key_text(&key).expect("text")).expect("key"), key);
        let member = Member { oid: 7, file: 8, name: None, pages: 1, rows: None };
        let spot = Spot::of_ctid(&member, b"(4294967295,65535)").expect("a place");
        assert_eq!(Spot::parse(&spot.to_text().expect("text")).expect("place"), spot);
        assert_eq!(spot.to_text().expect("text"), "[7,8,4294967295,65535]");
        assert!(Spot::of_ctid(&member, b"(1;2)").is_none());
        assert!(Spot::parse("[1]").is_err() && key_place("1").is_err());
        assert!(!spot.is_stale(&[Member { file: 8, ..member.clone() }]));
        assert!(spot.is_stale(&[Member { file: 9, ..member.clone() }]));
        assert!(!spot.is_stale(&[Member { oid: 9, file: 9, ..member }]), "its table is gone");
    }

    /// Broken if a value could end its quoting, or keys of several columns were compared one by one.
    #[test]
    fn keys_are_compared_as_rows() {
        let columns = ["t.\"a\"".to_owned(), "t.\"b\"".to_owned()];
        let key = ["1".to_owned(), "o'x\\".to_owned()];
        assert_eq!(compare(&columns, ">", &key), "(t.\"a\", t.\"b\") > ('1', E'o''x\\\\')");
        assert_eq!(compare(&columns[..1], "<=", &key[..1]), "t.\"a\" <= '1'");
    }
}
