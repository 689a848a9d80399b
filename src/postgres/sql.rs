//! Statement text of the apply side: one statement per table, verb and set of columns, for any
//! number of rows.
//!
//! Rows travel as one array per column and are unnested, so a statement is prepared once whatever
//! the size of the batch (speed.md 5.4). Array elements are text in the type's own input form and
//! cast to the base type *without* its length: an explicit cast to `varchar(3)` would cut in
//! silence, the assignment to the column refuses. Bytes travel raw. Every name is quoted; no value
//! is ever part of the text. Pure; nothing here talks to a server.

/// A time of weir's tables in microseconds since 1970.
macro_rules! us {
    ($column:literal) => {
        concat!("(extract(epoch FROM ", $column, ") * 1000000)::int8")
    };
}

pub mod copies;
pub mod counters;
pub mod flags;
pub mod letters;
mod referred;

use crate::model::schema::JsonKind;
use crate::model::{Column, TableName, Type};
use crate::plan::TablePlan;
pub use referred::delete_unreferred;

/// `"a""b"`.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `"schema"."table"`.
pub fn quote_name(name: &TableName) -> String {
    format!("{}.{}", quote(&name.schema), quote(&name.table))
}

/// A text literal, for statements a person runs. Never used for values of rows.
pub fn literal(text: &str) -> String {
    if text.contains('\\') {
        return format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// How a column's values travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// As text, cast to the column's base type by the server.
    Text,
    /// As raw bytes.
    Bytes,
}

/// How values of `column` travel.
pub fn wire(column: &Column) -> Wire {
    match column.ty {
        Type::Binary { .. } | Type::Bytes { .. } => Wire::Bytes,
        _ => Wire::Text,
    }
}

/// Insert, or update every listed column that the source owns where the match key exists. Where the source
/// does not own the rows, none is inserted.
/// Parameters: an array per listed column.
pub fn upsert(table: &TablePlan, columns: &[usize]) -> String {
    if !table.owns_rows {
        return update_alone(table, columns);
    }
    let names = list(columns.iter().map(|column| name(table, *column)));
    let selected = list(columns.iter().map(|column| cast(table, *column, &format!("s.c{column}"))));
    let mut sql = format!("INSERT INTO {} ({names})", quote_name(&table.target.name));
    if columns.iter().any(|column| target(table, *column).is_some_and(|c| c.auto_increment)) {
        sql.push_str(" OVERRIDING SYSTEM VALUE");
    }
    let key = list(table.key.iter().map(|column| name(table, *column)));
    sql.push_str(&format!(" SELECT {selected} FROM {} ON CONFLICT ({key})", rows(table, columns)));
    let set = list(settable(table, columns).map(|column| {
        let name = name(table, column);
        format!("{name} = excluded.{name}")
    }));
    sql.push_str(if set.is_empty() { " DO NOTHING" } else { " DO UPDATE SET " });
    sql.push_str(&set);
    sql
}

/// Take whole rows in, each column of the plan; also what an identity would number by itself. As binary
/// values or as text.
pub fn load(table: &TablePlan, binary: bool) -> String {
    let format = if binary { " (FORMAT binary)" } else { "" };
    format!("COPY {} ({}) FROM STDIN{format}", quote_name(&table.target.name), names(table))
}

/// Wait for whoever keeps rows out, before a load begins; nobody alters the table from then on.
pub fn lock(table: &TablePlan) -> String {
    format!("LOCK TABLE ONLY {} IN ROW EXCLUSIVE MODE", quote_name(&table.target.name))
}

/// No rows of the columns of a load: once prepared, the server refuses it as soon as their types are others.
pub fn form(table: &TablePlan) -> String {
    format!("SELECT {} FROM {} LIMIT 0", names(table), quote_name(&table.target.name))
}

fn names(table: &TablePlan) -> String {
    list((0..table.columns.len()).map(|column| name(table, column)))
}

/// Update the listed columns by match key; returns the ordinal numbers (from 1) of the rows sent
/// that hit nothing, as the update itself saw it. Parameters: an array per listed column.
pub fn update(table: &TablePlan, columns: &[usize]) -> String {
    let set = set(table, columns);
    let target = quote_name(&table.target.name);
    let source = rows_numbered(table, columns);
    let hit = by_key(table);
    if set.is_empty() {
        return format!(
            "SELECT s.i FROM {source} WHERE NOT EXISTS (SELECT FROM {target} AS t WHERE {hit})"
        );
    }
    let first = columns.first().copied().unwrap_or_default();
    let array = array(table, first, 1);
    format!(
        "WITH hit AS (UPDATE {target} AS t SET {set} FROM {source} WHERE {hit} RETURNING s.i) \
         SELECT g.i FROM generate_series(1::int8, cardinality({array})) AS g(i) \
         WHERE g.i NOT IN (SELECT hit.i FROM hit)"
    )
}

/// Update the listed columns by match key, and no word of the rows that are not there.
fn update_alone(table: &TablePlan, columns: &[usize]) -> String {
    let set = set(table, columns);
    let target = quote_name(&table.target.name);
    let (source, hit) = (rows(table, columns), by_key(table));
    if set.is_empty() {
        return format!("SELECT FROM {source} WHERE false");
    }
    format!("UPDATE {target} AS t SET {set} FROM {source} WHERE {hit}")
}

/// What an update of rows called `s` sets.
fn set(table: &TablePlan, columns: &[usize]) -> String {
    list(settable(table, columns).map(|column| {
        format!("{} = {}", name(table, column), cast(table, column, &format!("s.c{column}")))
    }))
}

/// Change the match key of one row and update the listed columns. Parameters: the old key's
/// values, then the listed columns'.
pub fn rekey(table: &TablePlan, columns: &[usize]) -> String {
    let keys = table.key.len();
    let set = list(columns.iter().enumerate().map(|(at, column)| {
        format!(
            "{} = {}",
            name(table, *column),
            cast(table, *column, &scalar(table, *column, keys + at + 1))
        )
    }));
    let hit = table.key.iter().enumerate().map(|(at, column)| {
        format!(
            "t.{} = {}",
            name(table, *column),
            cast(table, *column, &scalar(table, *column, at + 1))
        )
    });
    let hit = hit.collect::<Vec<_>>().join(" AND ");
    format!("UPDATE {} AS t SET {set} WHERE {hit}", quote_name(&table.target.name))
}

/// Delete by match key. Parameters: an array per key column.
pub fn delete(table: &TablePlan) -> String {
    let target = quote_name(&table.target.name);
    if let [column] = table.key.as_slice() {
        let array = array(table, *column, 1);
        let cast = cast_name(table, *column).map(|ty| format!("::{ty}[]")).unwrap_or_default();
        return format!(
            "DELETE FROM {target} AS t WHERE t.{} = ANY ({array}{cast})",
            name(table, *column)
        );
    }
    let source = rows(table, &table.key);
    format!("DELETE FROM {target} AS t USING {source} WHERE {}", by_key(table))
}

/// Remove all rows; unlike TRUNCATE it takes no lock that shuts readers out.
pub fn truncate(table: &TablePlan) -> String {
    format!("DELETE FROM {}", quote_name(&table.target.name))
}

/// The listed columns that the source owns and that are not part of the match key.
fn settable<'a>(table: &'a TablePlan, columns: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
    let owned = |column: &usize| table.columns.get(*column).is_some_and(|column| column.owned);
    columns.iter().copied().filter(move |column| !table.key.contains(column) && owned(column))
}

fn target(table: &TablePlan, column: usize) -> Option<&Column> {
    super::encode::target_column(table, column)
}

fn name(table: &TablePlan, column: usize) -> String {
    quote(target(table, column).map_or("", |column| column.name.as_str()))
}

fn list(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// `unnest($1::text[], …) AS s(c0, …)`; columns are called by their index.
fn rows(table: &TablePlan, columns: &[usize]) -> String {
    format!("{} AS s({})", unnest(table, columns), aliases(columns))
}

/// As [`rows`], numbered from 1 in a last column `i`.
fn rows_numbered(table: &TablePlan, columns: &[usize]) -> String {
    let (unnest, aliases) = (unnest(table, columns), aliases(columns));
    format!("{unnest} WITH ORDINALITY AS s({aliases}, i)")
}

fn unnest(table: &TablePlan, columns: &[usize]) -> String {
    let arrays = columns.iter().enumerate().map(|(at, column)| array(table, *column, at + 1));
    format!("unnest({})", list(arrays))
}

fn aliases(columns: &[usize]) -> String {
    list(columns.iter().map(|column| format!("c{column}")))
}

/// `t."k" = s.c0::int4 AND …`.
fn by_key(table: &TablePlan) -> String {
    let equal = table.key.iter().map(|column| {
        let value = cast(table, *column, &format!("s.c{column}"));
        format!("t.{} = {value}", name(table, *column))
    });
    equal.collect::<Vec<_>>().join(" AND ")
}

fn array(table: &TablePlan, column: usize, parameter: usize) -> String {
    format!("{}[]", scalar(table, column, parameter))
}

fn scalar(table: &TablePlan, column: usize, parameter: usize) -> String {
    match target(table, column).map(wire) {
        Some(Wire::Bytes) => format!("${parameter}::bytea"),
        _ => format!("${parameter}::text"),
    }
}

fn cast(table: &TablePlan, column: usize, value: &str) -> String {
    match cast_name(table, column) {
        Some(ty) => format!("{value}::{ty}"),
        None => value.to_owned(),
    }
}

fn cast_name(table: &TablePlan, column: usize) -> Option<&str> {
    base_type(target(table, column)?)
}

/// The base type to cast to, without length; `None` where the value travels as what it is.
pub(super) fn base_type(column: &Column) -> Option<&str> {
    Some(match &column.ty {
        Type::Bool => "boolean",
        Type::Int { bits: 16, .. } => "int2",
        Type::Int { bits: 32, .. } => "int4",
        Type::Int { .. } => "int8",
        Type::Decimal(_) => "numeric",
        Type::F32 => "float4",
        Type::F64 => "float8",
        Type::Char { .. } => "bpchar",
        Type::Date => "date",
        Type::Time { .. } => "time",
        Type::Timestamp { .. } => "timestamp",
        Type::Instant { .. } => "timestamptz",
        Type::Uuid => "uuid",
        Type::Json(JsonKind::Verbatim) => "json",
        Type::Json(_) => "jsonb",
        // The server prints enum types with schema and quotes where they need them.
        // The limits of a native type are those of the source: nothing is cut or rounded.
        Type::Enum { .. } | Type::Native { .. } => column.native.as_str(),
        Type::Text { .. } | Type::Binary { .. } | Type::Bytes { .. } => return None,
        Type::Year => "int2",
        Type::Unsupported => return None,
    })
}

/// Statements on the `weir` schema; see DESIGN §4, invariant 2.
pub mod witness {
    /// Columns of `weir.witness`.
    pub const COLUMNS: [&str; 12] = [
        "name",
        "link",
        "part",
        "installation",
        "seq",
        "position",
        "restart",
        "hops",
        "pending",
        "source_identity",
        "target_identity",
        "updated_at",
    ];
    /// Columns of `weir.missed`.
    pub const MISSED_COLUMNS: [&str; 7] =
        ["id", "name", "link", "table_name", "key_values", "reason", "noted_at"];
    /// The running server; a copy of its files has another start.
    pub const INSTANCE: &str = "SELECT system_identifier || ' since ' || \
        extract(epoch FROM pg_postmaster_start_time()) || ' ' || current_database() \
        FROM pg_control_system()";
    /// The link's witness. Parameters: name, link.
    pub const READ: &str = "SELECT installation::text, seq, position, restart, hops, pending, \
        source_identity, target_identity FROM weir.witness \
        WHERE name = $1::text AND link = $2::text AND part = 0";
    /// The first witness. Parameters: name, link, installation, seq, position, restart, hops,
    /// pending, source identity, target identity.
    pub const CREATE: &str = "INSERT INTO weir.witness (name, link, part, installation, seq, \
        position, restart, hops, pending, source_identity, target_identity, updated_at) \
        VALUES ($1::text, $2::text, 0, $3::text, $4::int8, $5::text, $6::text, $7::int4, \
        $8::text, $9::text, $10::text, clock_timestamp())";
    /// The compare-and-swap. Parameters: name, link, installation, expected seq, position, restart,
    /// hops.
    pub const SWAP: &str = "UPDATE weir.witness SET seq = seq + 1, position = $5::text, \
        restart = $6::text, hops = $7::int4, updated_at = clock_timestamp() \
        WHERE name = $1::text AND link = $2::text AND part = 0 \
        AND installation = $3::text AND seq = $4::int8";
    /// The position, once it is known. Parameters: name, link, installation, seq after the swap,
    /// position.
    pub const MOVE: &str = "UPDATE weir.witness SET position = $5::text, \
        updated_at = clock_timestamp() WHERE name = $1::text AND link = $2::text AND part = 0 \
        AND installation = $3::text AND seq = $4::int8";
    /// The compare-and-swap of a witness whose source is another server now. Parameters: name, link,
    /// installation, expected seq, position, restart, source identity.
    pub const SUCCEED: &str = "UPDATE weir.witness SET seq = seq + 1, position = $5::text, \
        restart = $6::text, source_identity = $7::text, updated_at = clock_timestamp() \
        WHERE name = $1::text AND link = $2::text AND part = 0 \
        AND installation = $3::text AND seq = $4::int8";
    /// What was accepted of the link's tables: a row of its own, which no batch touches. Parameters:
    /// name, link.
    pub const ACCEPTED: &str = "SELECT pending FROM weir.witness \
        WHERE name = $1::text AND link = $2::text AND part = 1";
    /// Writes it. Parameters: name, link, installation, position, what was accepted, source identity,
    /// target identity.
    pub const ACCEPT: &str = "INSERT INTO weir.witness (name, link, part, installation, seq, \
        position, hops, pending, source_identity, target_identity, updated_at) \
        VALUES ($1::text, $2::text, 1, $3::text, 0, $4::text, 0, $5::text, $6::text, $7::text, \
        clock_timestamp()) ON CONFLICT (name, link, part) DO UPDATE SET \
        installation = excluded.installation, position = excluded.position, \
        pending = excluded.pending, source_identity = excluded.source_identity, \
        target_identity = excluded.target_identity, updated_at = excluded.updated_at";
    /// Notes of misses. Parameters: name, link, table, keys, reason.
    pub const NOTE: &str = "INSERT INTO weir.missed \
        (name, link, table_name, key_values, reason, noted_at) \
        SELECT $1::text, $2::text, $3::text, k, $5::text, clock_timestamp() \
        FROM unnest($4::text[]) AS k";
    /// Settles notes among the oldest, up to an id: so that no later ones are passed over on the
    /// way. Parameters: name, link, table, keys, id.
    pub const SETTLE: &str = "DELETE FROM weir.missed WHERE name = $1::text AND link = $2::text \
        AND table_name = $3::text AND key_values = ANY ($4::text[]) AND id <= $5::int8";
    /// The oldest notes of the tables, and the highest number of any. Parameters: name, link, tables,
    /// limit.
    pub const MISSED: &str = "SELECT id, table_name::text, key_values, reason::text, \
        (SELECT max(id) FROM weir.missed) FROM weir.missed \
        WHERE name = $1::text AND link = $2::text AND table_name = ANY ($3::text[]) \
        ORDER BY id LIMIT $4::int8";
}

#[cfg(test)]
pub(in crate::postgres) mod tests;
