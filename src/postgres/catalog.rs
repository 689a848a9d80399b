//! The PostgreSQL catalog as [`Table`]s: tables of the selected patterns with columns,
//! unique indexes, replica identity and foreign keys.
//!
//! Reads `pg_catalog` only, in one repeatable-read snapshot, a fixed number of queries however many
//! tables there are. Domains are resolved to their base type. A partitioned table stands for its
//! partitions (`partitions`). What is named but is no table (view, foreign table) is returned with a
//! reason, so that it is refused by name. Tables of the system and of `weir` are never returned. Nothing is judged here: the
//! planner decides what can cross.
//! Source: PostgreSQL manual, chapter "System Catalogs".

mod defaults;
mod extras;
mod formula;
mod partitions;
mod shapes;
mod types;

use std::collections::HashMap;

use tokio_postgres::Row;

use super::failure::classify;
use super::session::{self, Session};
use super::sql::quote_name;
use crate::config::{Database, Dialect};
use crate::error::{Error, Kind, Result};
use crate::link::ports::Selection;
use crate::model::schema::Rule;
use crate::model::{Column, Extras, ForeignKey, Identity, Table, TableName, Unique};

use partitions::Parts;
use shapes::Shapes;
pub(super) use types::logical;

/// The oldest version weir works with.
const VERSION_MIN: i32 = 14;
/// How catalog sessions show in the process list.
const APPLICATION: &str = "weir catalog";

/// Reads the selected tables, ordered by name, after checking that `database` is PostgreSQL 14 or
/// newer.
pub async fn load(
    database: &Database,
    dialect: Dialect,
    selection: &Selection,
) -> Result<Vec<Table>> {
    if dialect != Dialect::Postgres {
        let context =
            format!("database {}: asked PostgreSQL for a {dialect} catalog", database.name);
        return Err(Error::new(Kind::Internal, context));
    }
    let session = session::connect(database, APPLICATION).await?;
    let failed = |error| classify(error, format!("catalog of database {}", database.name));
    check_server(database, &session).await?;
    session
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await
        .map_err(failed)?;
    let found = partitions::select(relations(&session).await.map_err(failed)?, selection);
    let tables = read_details(&session, found).await.map_err(failed)?;
    session.batch_execute("COMMIT").await.map_err(failed)?;
    session.close().await;
    tables.into_iter().collect()
}

/// Schemas that hide their tables from the user: none, the catalog is open to everyone who is let in.
///
/// # Errors
/// `Privilege` where the user is not.
pub async fn hidden<'a>(database: &Database, _: &[&'a str]) -> Result<Vec<&'a str>> {
    version(database).await?;
    Ok(Vec::new())
}

/// Which of `tables` hold at least one row.
pub async fn non_empty(database: &Database, tables: &[TableName]) -> Result<Vec<TableName>> {
    let session = session::connect(database, APPLICATION).await?;
    let found = with_rows(&session, tables).await?;
    session.close().await;
    Ok(found)
}

/// The same in a session. No lock is waited for longer than ten seconds.
async fn with_rows(session: &Session, tables: &[TableName]) -> Result<Vec<TableName>> {
    session
        .batch_execute("SET lock_timeout = '10s'")
        .await
        .map_err(|error| classify(error, "prepare the look for rows"))?;
    let mut found = Vec::new();
    for table in tables {
        let sql = format!("SELECT EXISTS (SELECT FROM {})", quote_name(table));
        let row = session
            .query_one(&sql, &[])
            .await
            .map_err(|error| classify(error, format!("look for rows of {table}")))?;
        if row.get(0) {
            found.push(table.clone());
        }
    }
    Ok(found)
}

/// Whether the server takes writes.
pub async fn takes_writes(database: &Database) -> Result<bool> {
    const SQL: &str =
        "SELECT NOT (pg_is_in_recovery() OR current_setting('transaction_read_only')::bool)";
    let session = session::connect(database, APPLICATION).await?;
    let row = session.query_one(SQL, &[]).await;
    let row = row.map_err(|error| classify(error, "ask whether the server takes writes"))?;
    session.close().await;
    Ok(row.get(0))
}

/// The server's version text.
pub async fn version(database: &Database) -> Result<String> {
    let session = session::connect(database, APPLICATION).await?;
    check_server(database, &session).await
}

/// Refuses servers that are not PostgreSQL 14 or newer; returns the version text.
async fn check_server(database: &Database, session: &Session) -> Result<String> {
    let row = session
        .query_one("SELECT version(), current_setting('server_version_num')::int4", &[])
        .await
        .map_err(|error| classify(error, format!("version of database {}", database.name)))?;
    let (text, number): (String, i32) = (row.get(0), row.get(1));
    let refuse = |message: String| {
        Err(Error::new(Kind::Unsupported, format!("database {}: {message}", database.name))
            .hint("point the database at PostgreSQL 14 or newer"))
    };
    if !is_postgres(&text) {
        return refuse(format!("the server is not PostgreSQL but says `{text}`"));
    }
    if number / 10_000 < VERSION_MIN {
        return refuse(format!("`{text}` is too old"));
    }
    Ok(text)
}

/// Whether a version text is PostgreSQL's own and not that of a server that speaks its protocol.
fn is_postgres(version: &str) -> bool {
    const OTHERS: &[&str] = &["Redshift", "CockroachDB", "-YB-", "Greenplum", "Materialize"];
    version.starts_with("PostgreSQL ") && !OTHERS.iter().any(|other| version.contains(other))
}

/// A relation that matched, before its columns are known.
struct Relation {
    oid: u32,
    name: TableName,
    /// The table that it is a partition of.
    parent: Option<u32>,
    replica_identity: i8,
    /// The server refuses changes of a published table whose identity holds computed columns.
    judges_generated: bool,
    /// It holds rows; a view does not, and a foreign table's rows are elsewhere.
    is_table: bool,
    is_partitioned: bool,
    comment: Option<String>,
    unsupported: Option<String>,
}

const RELATIONS: &str = "
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind, c.relreplident, c.relpersistence,
       EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid) AS has_children,
       (SELECT i.inhparent FROM pg_inherits i
        WHERE i.inhrelid = c.oid AND c.relispartition LIMIT 1) AS parent,
       current_setting('server_version_num')::int4 >= 180000 AS judges_generated,
       obj_description(c.oid, 'pg_class') AS comment
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('information_schema', 'weir') AND n.nspname !~ '^pg_'
ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\"";

async fn relations(session: &Session) -> Result<Vec<Relation>, tokio_postgres::Error> {
    let rows = session.query(RELATIONS, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Relation {
            oid: row.get(0),
            name: TableName::new(row.get::<_, String>(1), row.get::<_, String>(2)),
            parent: row.get("parent"),
            replica_identity: row.get(4),
            judges_generated: row.get("judges_generated"),
            is_table: [b'r', b'p'].contains(&(row.get::<_, i8>(3) as u8)),
            is_partitioned: row.get::<_, i8>(3) as u8 == b'p',
            comment: row.get("comment"),
            unsupported: no_table(row.get(3), row.get(5), row.get(6)).map(str::to_owned),
        })
        .collect())
}

/// Why a relation is no table that can be replicated, in words.
fn no_table(kind: i8, persistence: i8, has_children: bool) -> Option<&'static str> {
    match kind as u8 {
        b'p' => None,
        b'v' => Some("it is a view"),
        b'm' => Some("it is a materialized view"),
        b'f' => Some("it is a foreign table"),
        _ if has_children => Some("other tables inherit from it"),
        _ if persistence as u8 == b'u' => Some("it is unlogged: its changes are in no log"),
        _ => None,
    }
}

/// Everything else about the relations. The inner results tell of catalogs that contradict
/// themselves.
async fn read_details(
    session: &Session,
    relations: Vec<Relation>,
) -> Result<Vec<Result<Table>>, tokio_postgres::Error> {
    let oids: Vec<u32> = relations.iter().map(|relation| relation.oid).collect();
    let shapes = Shapes::read(session, &oids, labels(session).await?).await?;
    let mut columns: HashMap<u32, Vec<(i16, Column)>> = HashMap::new();
    for row in session.query(types::COLUMNS, &[&oids]).await? {
        columns
            .entry(row.get("oid"))
            .or_default()
            .push((row.get("number"), types::column(&row, &shapes)));
    }
    let mut indexes = group(session.query(INDEXES, &[&oids]).await?);
    let mut foreign_keys = group(session.query(FOREIGN_KEYS, &[&oids]).await?);
    let mut parts = partitions::read(session, &relations).await?;
    let mut extras = extras::Read::of(session, &oids).await?;
    Ok(relations
        .into_iter()
        .map(|mut relation| {
            let (oid, comment) = (relation.oid, relation.comment.take());
            let mut table = build(
                relation,
                columns.remove(&oid).unwrap_or_default(),
                &indexes.remove(&oid).unwrap_or_default(),
                &foreign_keys.remove(&oid).unwrap_or_default(),
                parts.remove(&oid).unwrap_or_default(),
            )?;
            let uniques: Vec<&str> = table.uniques.iter().map(|one| one.name.as_str()).collect();
            table.extras = extras.take(oid, comment, &uniques);
            Ok(table)
        })
        .collect())
}

/// Labels of every enum type, in their order.
async fn labels(session: &Session) -> Result<HashMap<u32, Vec<String>>, tokio_postgres::Error> {
    let sql = "SELECT enumtypid, enumlabel::text FROM pg_enum ORDER BY enumtypid, enumsortorder";
    let mut labels: HashMap<u32, Vec<String>> = HashMap::new();
    for row in session.query(sql, &[]).await? {
        labels.entry(row.get(0)).or_default().push(row.get(1));
    }
    Ok(labels)
}

/// Rows by the oid in their first column.
fn group(rows: Vec<Row>) -> HashMap<u32, Vec<Row>> {
    let mut groups: HashMap<u32, Vec<Row>> = HashMap::new();
    for row in rows {
        groups.entry(row.get(0)).or_default().push(row);
    }
    groups
}

/// `plain`: enforced at once for all rows, over plain columns with the columns' own collation.
const INDEXES: &str = "
SELECT i.indrelid, c.relname::text AS name, i.indisprimary, i.indisreplident,
       (i.indisunique AND i.indisvalid AND i.indimmediate AND NOT i.indisexclusion
        AND i.indpred IS NULL AND i.indexprs IS NULL AND NOT EXISTS (
          SELECT FROM generate_series(0, i.indnkeyatts - 1) AS p
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p]
          WHERE a.attcollation <> i.indcollation[p])) AS plain,
       i.indimmediate,
       (SELECT array_agg(i.indkey[p] ORDER BY p)
        FROM generate_series(0, i.indnkeyatts - 1) AS p) AS keys
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY($1) AND i.indisunique AND i.indislive
ORDER BY i.indrelid, NOT i.indisprimary, c.relname COLLATE \"C\"";

/// PostgreSQL 18 has foreign keys that are not enforced; before it, the column does not exist. A key
/// that refers to a partitioned table has copies that refer to its partitions.
const FOREIGN_KEYS: &str = "
SELECT k.conrelid, k.conname::text, n.nspname::text, c.relname::text,
       CASE WHEN enforced THEN k.confdeltype ELSE 'a' END AS on_delete,
       CASE WHEN enforced THEN k.confupdtype ELSE 'a' END AS on_update,
       (SELECT array_agg(a.attname::text ORDER BY p.at) FROM unnest(k.conkey) WITH ORDINALITY p (number, at)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = p.number) AS columns,
       (SELECT array_agg(a.attname::text ORDER BY p.at) FROM unnest(k.confkey) WITH ORDINALITY p (number, at)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = p.number) AS parent_columns
FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL (SELECT COALESCE(to_jsonb(k)->>'conenforced', 'true')::boolean) AS e (enforced)
WHERE k.conrelid = ANY($1) AND k.contype = 'f' AND NOT EXISTS (
  SELECT FROM pg_constraint o WHERE o.oid = k.conparentid AND o.conrelid = k.conrelid)
ORDER BY k.conrelid, k.conname COLLATE \"C\"";

/// Whether computed columns are part of a replica identity.
fn holds_generated(identity: &Identity, columns: &[(i16, Column)]) -> bool {
    match identity {
        Identity::Full => columns.iter().any(|(_, column)| column.generated),
        Identity::Columns(held) => {
            held.iter().any(|at| columns.get(*at).is_some_and(|(_, column)| column.generated))
        }
        Identity::Nothing | Identity::Unsendable => false,
    }
}

fn build(
    relation: Relation,
    columns: Vec<(i16, Column)>,
    indexes: &[Row],
    foreign_keys: &[Row],
    parts: Parts,
) -> Result<Table> {
    let numbers: HashMap<i16, usize> =
        columns.iter().enumerate().map(|(at, (number, _))| (*number, at)).collect();
    let name = relation.name;
    let mut uniques = Vec::new();
    let mut odd_unique_indexes = Vec::new();
    let mut by_index = None;
    for row in indexes {
        let index: String = row.get("name");
        if !row.get::<_, bool>("plain") {
            odd_unique_indexes.push(index);
            continue;
        }
        let keys: Vec<i16> = row.get("keys");
        let positions: Option<Vec<usize>> =
            keys.iter().map(|number| numbers.get(number).copied()).collect();
        let positions = positions.ok_or_else(|| {
            Error::new(Kind::Internal, format!("index {index} of {name} has columns unknown"))
        })?;
        if row.get("indisreplident") {
            by_index = Some(positions.clone());
        }
        uniques.push(Unique { name: index, columns: positions, primary: row.get("indisprimary") });
    }
    let primary = uniques.iter().find(|unique| unique.primary);
    let identity = match relation.replica_identity as u8 {
        b'f' => Identity::Full,
        b'd' => {
            primary.map_or(Identity::Nothing, |unique| Identity::Columns(unique.columns.clone()))
        }
        b'i' => by_index.map_or(Identity::Nothing, Identity::Columns),
        _ => Identity::Nothing,
    };
    let judge = |held: Identity| match relation.judges_generated && holds_generated(&held, &columns)
    {
        true => Identity::Unsendable,
        false => held,
    };
    let identity = judge(identity);
    let foreign_keys = foreign_keys.iter().map(foreign_key).collect();
    let names: Vec<&str> = columns.iter().map(|(_, column)| column.name.as_str()).collect();
    let (incomplete, partitions) = parts.over(&names, judge);
    Ok(Table {
        name,
        columns: columns.into_iter().map(|(_, column)| column).collect(),
        uniques,
        odd_unique_indexes,
        identity,
        foreign_keys,
        transactional: true,
        unsupported: relation.unsupported.or(incomplete),
        partitions,
        extras: Extras::default(),
    })
}

fn foreign_key(row: &Row) -> ForeignKey {
    ForeignKey {
        name: row.get(1),
        parent: TableName::new(row.get::<_, String>(2), row.get::<_, String>(3)),
        columns: row.get("columns"),
        parent_columns: row.get("parent_columns"),
        on_delete: rule(row.get("on_delete")),
        on_update: rule(row.get("on_update")),
        // Triggers do it, whose rows are logged as any.
        logged: true,
    }
}

/// What a foreign key does, by its letter in `pg_constraint`.
pub(super) fn rule(code: i8) -> Rule {
    match code as u8 {
        b'c' => Rule::Cascade,
        b'n' => Rule::SetNull,
        b'd' => Rule::SetDefault,
        _ => Rule::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a server that only speaks the protocol were trusted to be PostgreSQL.
    #[test]
    fn other_servers_are_told_apart() {
        assert!(is_postgres("PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu"));
        assert!(!is_postgres("PostgreSQL 8.0.2 on i686-pc-linux-gnu, Redshift 1.0.1234"));
        assert!(!is_postgres("PostgreSQL 11.2-YB-2.19.0.0-b0 on x86_64"));
        assert!(!is_postgres("CockroachDB CCL v23.1.0"));
    }

    /// Broken if a view, or a table whose changes are in no log, were captured as if it were a table.
    #[test]
    fn only_tables_are_supported() {
        let kind =
            |kind: u8, persistence: u8, children| no_table(kind as i8, persistence as i8, children);
        assert_eq!(kind(b'r', b'p', false), None);
        assert_eq!(kind(b'p', b'p', true), None);
        for (relkind, persistence, children) in [
            (b'v', b'p', false),
            (b'm', b'p', false),
            (b'f', b'p', false),
            (b'r', b'u', false),
            (b'r', b'p', true),
        ] {
            assert!(kind(relkind, persistence, children).is_some(), "{relkind}");
        }
    }
}
