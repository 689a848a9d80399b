//! The origin of each planned table: the table itself, its partitions, its place in the publication,
//! the publication.
//!
//! A publication that was changed and changed back leaves a stretch of the log without a table's
//! changes and no other trace: its rows in the catalog are other ones then. They carry the
//! transaction that wrote them (`xmin`), which neither VACUUM nor a further `weir setup` moves. So
//! does a partition's row in `pg_inherits`, which tells when it joined. One whose DETACH CONCURRENTLY is
//! under way is gone: the command writes the row anew before it removes it.
//! Source: PostgreSQL manual, "pg_publication", "pg_publication_rel", "pg_publication_namespace".

use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row, SimpleQueryMessage};

use super::failure::classify;
use super::sql::quote_name;
use crate::error::Result;
use crate::link::ports::Origin;
use crate::model::TableName;
use crate::plan::LinkPlan;

/// Tables by schema `$1` and name `$2`, and publication `$3`. `{s}` is what a server that knows
/// publications of schemas (from version 15 on) is asked.
const ORIGINS: &str = "
SELECT w.position, 'object ' || c.oid,
       'publication ' || p.oid || ' of owner ' || p.pubowner || ' of transaction ' || p.xmin::text,
       'member ' || r.oid || ' of transaction ' || r.xmin::text,
       {s},
       ARRAY(SELECT format('place %s of column %s', a.attnum, a.attname) FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
       ARRAY(WITH RECURSIVE tree AS (
               SELECT i.inhrelid, i.xmin AS joined FROM pg_inherits i
               WHERE i.inhparent = c.oid AND c.relkind = 'p'
                 AND to_jsonb(i) ->> 'inhdetachpending' IS DISTINCT FROM 'true'
               UNION ALL
               SELECT i.inhrelid, i.xmin FROM tree t JOIN pg_inherits i ON i.inhparent = t.inhrelid
               WHERE to_jsonb(i) ->> 'inhdetachpending' IS DISTINCT FROM 'true')
             SELECT format('partition %s of transaction %s: %s.%s', t.inhrelid, t.joined::text,
                           o.nspname, m.relname)
             FROM tree t JOIN pg_class m ON m.oid = t.inhrelid JOIN pg_namespace o
               ON o.oid = m.relnamespace ORDER BY t.inhrelid)
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w(schema, name, position)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
LEFT JOIN pg_publication p ON p.pubname = $3::text
LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = c.oid";
const BY_SCHEMA: &str = "(SELECT 'schema ' || s.oid || ' of transaction ' || s.xmin::text
        FROM pg_publication_namespace s WHERE s.pnpubid = p.oid AND s.pnnspid = n.oid)";

/// Reads them, in the plan's order. A table that is gone has none of these lines.
pub(super) async fn read(
    session: &Client,
    publication: &str,
    plan: &LinkPlan,
) -> Result<Vec<Origin>> {
    let failed = |error| classify(error, format!("look at the tables of {publication}"));
    let knows_schemas = "SELECT to_regclass('pg_publication_namespace') IS NOT NULL";
    let by_schema = match session.query_one(knows_schemas, &[]).await.map_err(failed)?.get(0) {
        true => BY_SCHEMA,
        false => "NULL::text",
    };
    let names = plan.tables.iter().map(|table| &table.source.name);
    let (schemas, tables): (Vec<&str>, Vec<&str>) =
        names.map(|name| (name.schema.as_str(), name.table.as_str())).unzip();
    let sql = ORIGINS.replace("{s}", by_schema);
    let rows = session.query(&sql, &[&schemas, &tables, &publication]).await.map_err(failed)?;
    let mut origins = vec![Origin::default(); plan.tables.len()];
    for row in rows {
        let position = usize::try_from(row.get::<_, i64>(0)).unwrap_or_default();
        if let Some(origin) = position.checked_sub(1).and_then(|at| origins.get_mut(at)) {
            *origin = origin_of(&row);
        }
    }
    Ok(origins)
}

fn origin_of(row: &Row) -> Origin {
    let log = (1..5).filter_map(|at| row.get::<_, Option<String>>(at));
    let partitions: Vec<String> = row.get(6);
    Origin { log: log.chain(partitions).collect(), columns: row.get(5) }
}

/// Partitions of table `$1.$2` that joined, by object id and transaction, each with the tables that
/// hold its rows and when these were made (a system column's row is never written again). Left out are
/// those made as partitions (CREATE TABLE … PARTITION OF), which nobody could write to before: ATTACH
/// writes the rows of all columns anew.
const JOINED: &str = "
WITH RECURSIVE tree(part, joined, command, oid) AS (
  SELECT i.inhrelid, i.xmin, i.cmin, i.inhrelid FROM unnest($1::oid[]) AS w(oid)
  JOIN pg_inherits i ON i.inhrelid = w.oid
  UNION ALL
  SELECT t.part, t.joined, t.command, i.inhrelid
  FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid)
SELECT format('%s.%s', n.nspname, c.relname), t.joined::text, t.command::text::int8, c.oid,
       a.xmin = t.joined AS made_with, pg_get_partition_constraintdef(t.part),
       current_setting('track_commit_timestamp')::bool AND NOT pg_is_in_recovery() AS dated
FROM tree t JOIN pg_class c ON c.oid = t.oid AND c.relkind = 'r'
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = -6
WHERE NOT (c.oid = t.part AND a.xmin = t.joined
           AND (SELECT COALESCE(bool_and(u.xmin = a.xmin AND u.cmin = a.cmin), false)
                FROM pg_attribute u
                WHERE u.attrelid = c.oid AND u.attnum > 0 AND NOT u.attisdropped))";

/// Longest look for rows in all of them; those that were not looked through by then may hold some.
const LOOK_MAX: Duration = Duration::from_secs(60);

/// Which tables below the partitions `joined` (lines of the origin) of `root` hold rows from before
/// these joined. The rows are read by way of the root, on which alone there is a right.
///
/// A row is from before if the transaction that wrote it is older than the one by which the partition
/// joined, or wrote it there before that. Where that transaction had written before it took the
/// partition, its number says nothing about others, and any row counts; a partition that was
/// made by the same transaction nobody else could write to. Numbers do not tell what a subtransaction (a
/// savepoint, an EXCEPTION block) wrote between making a table and attaching it, both in one
/// transaction, from rows of later transactions; nor rows of one that has a newer number and ended
/// first. The times of commits do, where a primary keeps them (`track_commit_timestamp`; whether a
/// standby has them, its own setting does not tell).
pub(super) async fn strays(
    session: &Client,
    root: &TableName,
    joined: &[String],
) -> Result<Vec<String>> {
    let failed = |error| classify(error, format!("look into new partitions of {root}"));
    let oids: Vec<u32> =
        joined.iter().filter_map(|line| line.split(' ').nth(1)?.parse().ok()).collect();
    let mut found = Vec::new();
    let started = Instant::now();
    for row in session.query(JOINED, &[&oids]).await.map_err(failed)? {
        let (name, before): (String, String) = (row.get(0), is_from_before(&row));
        let bounds = row.get::<_, Option<String>>(5).unwrap_or_else(|| "true".to_owned());
        let left = LOOK_MAX.saturating_sub(started.elapsed()).as_millis().max(1);
        let sql = format!(
            "SET statement_timeout = {left};
             SELECT 1 FROM {} AS t WHERE tableoid = {}::oid AND ({before}) AND ({bounds}) LIMIT 1",
            quote_name(root),
            row.get::<_, u32>(3),
        );
        match session.simple_query(&sql).await {
            Ok(rows) => {
                if rows.iter().any(|row| matches!(row, SimpleQueryMessage::Row(_))) {
                    found.push(name);
                }
            }
            Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => found.push(name),
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(found)
}

/// The condition for a row of a table of [`JOINED`] that was written before its partition joined.
fn is_from_before(row: &Row) -> String {
    let (xid, command): (String, i64) = (row.get(1), row.get(2));
    // A subtransaction has the time of the whole.
    let committed = |when: &str| match row.get("dated") {
        true => {
            format!("pg_xact_commit_timestamp(xmin) {when} pg_xact_commit_timestamp('{xid}'::xid)")
        }
        false => "false".to_owned(),
    };
    let here =
        format!("(xmin::text = '{xid}' OR {}) AND cmin::text::int8 < {command}", committed("="));
    match (row.get("made_with"), command) {
        (true, _) => here,
        // Of a row frozen long ago the number has come round, and its age is negative.
        (false, 0) => format!(
            "xmin::text <> '{xid}' AND (age(xmin) >= age('{xid}'::xid) OR age(xmin) < 0 OR {})",
            committed("<")
        ),
        (false, _) => format!("xmin::text <> '{xid}' OR {here}"),
    }
}
