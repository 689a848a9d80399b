//! Statements on `weir.flagged`.

use super::{cast, list, name, quote, quote_name, scalar};
use crate::plan::TablePlan;

/// Its columns.
pub const COLUMNS: [&str; 20] = [
    "id",
    "name",
    "link",
    "source_table",
    "table_name",
    "row_name",
    "kind",
    "column_name",
    "owner",
    "before_value",
    "after_value",
    "owner_value",
    "position",
    "ordinal",
    "committed_at",
    "made_at",
    "state",
    "decided_at",
    "decided_by",
    "note",
];

/// A new record, and with it what the target's column `held` has in that row. Parameters: the key's values
/// where there is such a column; then name, link, source table, table, row, kind, column, owner, the value before and after,
/// position, ordinal, commit time in microseconds since 1970.
pub fn new(table: &TablePlan, held: Option<usize>) -> String {
    let held = held.and_then(|at| table.target.columns.get(at));
    let keys = held.map_or(0, |_| table.key.len());
    let hit = hit(table);
    let held = held.map_or("NULL".to_owned(), |column| {
        let (column, target) = (quote(&column.name), quote_name(&table.target.name));
        format!("(SELECT t.{column}::text FROM {target} AS t WHERE {hit})")
    });
    let text = |at: usize| format!("${}::text", keys + at);
    let first = list((1..=10).map(text));
    let (position, ordinal, committed) = (text(11), keys + 12, keys + 13);
    format!(
        "INSERT INTO weir.flagged (name, link, source_table, table_name, row_name, kind, column_name, \
         owner, before_value, after_value, owner_value, position, ordinal, committed_at, made_at) \
         VALUES ({first}, {held}, {position}, ${ordinal}::int8, \
         timestamp '1970-01-01' + ${committed}::int8 * interval '1 microsecond', clock_timestamp())"
    )
}

/// What the last column holds in a row, as [`new`] records it, with the row locked. Parameters: the key's values.
pub fn held(table: &TablePlan) -> String {
    let (column, target) = (name(table, table.key.len()), quote_name(&table.target.name));
    format!("SELECT t.{column}::text FROM {target} AS t WHERE {} FOR UPDATE", hit(table))
}

/// Writes the last column of a row. Parameters: the key's values, the value.
pub fn adopt(table: &TablePlan) -> String {
    let at = table.key.len();
    let (column, target) = (name(table, at), quote_name(&table.target.name));
    let value = cast(table, at, &scalar(table, at, at + 1));
    format!("UPDATE {target} AS t SET {column} = {value} WHERE {}", hit(table))
}

/// That a row has the key of the first parameters.
fn hit(table: &TablePlan) -> String {
    let terms = table.key.iter().enumerate().map(|(at, column)| {
        let value = cast(table, *column, &scalar(table, *column, at + 1));
        format!("t.{} = {value}", name(table, *column))
    });
    terms.collect::<Vec<_>>().join(" AND ")
}

/// Writes the position of records that have none. Parameters: name, link, position.
pub const PLACE: &str = "UPDATE weir.flagged SET position = $3::text \
    WHERE name = $1::text AND link = $2::text AND position = ''";

/// The link's records from a number on. Parameters: name, link, number, limit, whether open ones only.
pub const LIST: &str = concat!(
    "SELECT id, source_table::text, table_name::text, row_name, kind::text, column_name::text, \
     owner::text, before_value, after_value, owner_value, position, ordinal, ",
    us!("committed_at"),
    ", ",
    us!("made_at"),
    ", state::text, ",
    us!("decided_at"),
    ", decided_by::text, note FROM weir.flagged WHERE name = $1::text AND link = $2::text \
     AND id > $3::int8 AND (NOT $5::bool OR state = 'open') ORDER BY id LIMIT $4::int8"
);

/// Decides about open records. Parameters: name, link, numbers, state, who, why.
pub const DECIDE: &str = "UPDATE weir.flagged SET state = $4::text, decided_by = $5::text, \
    note = $6::text, decided_at = clock_timestamp() \
    WHERE name = $1::text AND link = $2::text AND id = ANY ($3::int8[]) AND state = 'open'";

/// Asks for rows. Parameters: name, link, tables, rows.
pub const ASK_BACK: &str = "INSERT INTO weir.missed \
    (name, link, table_name, key_values, reason, noted_at) \
    SELECT $1::text, $2::text, s.t, s.k, 'revert', clock_timestamp() \
    FROM unnest($3::text[], $4::text[]) AS s(t, k)";
