//! The origin of each planned table: the table itself, its place in the publication, the publication.
//!
//! A publication that was changed and changed back leaves a stretch of the log without a table's
//! changes and no other trace: its rows in the catalog are other ones then. They carry the
//! transaction that wrote them (`xmin`), which neither VACUUM nor a further `weir setup` moves.
//! Source: PostgreSQL manual, "pg_publication", "pg_publication_rel", "pg_publication_namespace".

use tokio_postgres::{Client, Row};

use super::failure::classify;
use crate::error::Result;
use crate::link::ports::Origin;
use crate::plan::LinkPlan;

/// Tables by schema `$1` and name `$2`, and publication `$3`. `{s}` is what a server that knows
/// publications of schemas (from version 15 on) is asked.
const ORIGINS: &str = "
SELECT w.position, 'object ' || c.oid,
       'publication ' || p.oid || ' of owner ' || p.pubowner || ' of transaction ' || p.xmin::text,
       'member ' || r.oid || ' of transaction ' || r.xmin::text,
       {s},
       ARRAY(SELECT format('place %s of column %s', a.attnum, a.attname) FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
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
    Origin { log: log.collect(), columns: row.get(5) }
}
