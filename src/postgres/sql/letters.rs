//! Statements on `weir.dead_letter`. The first two parameters are always name and link.
//!
//! A row's letters are found by the one index that begins with name and link, row by row: inside
//! `OFFSET 0` the server can not choose to go over all letters of the link instead, as it would with a
//! plan that was made while there were none. `= ANY (ARRAY[…])` lets it join by number in no other way
//! than by the primary key.

/// Its columns.
pub const COLUMNS: [&str; 19] = [
    "id",
    "name",
    "link",
    "source_table",
    "table_name",
    "row_name",
    "old_row_name",
    "operation",
    "position",
    "ordinal",
    "kind",
    "error",
    "hint",
    "change_values",
    "changes",
    "attempts",
    "made_at",
    "tried_at",
    "asked_at",
];

/// The numbers of the letters of row `s`, as `x`.
macro_rules! letters_of_row {
    () => {
        "CROSS JOIN LATERAL (SELECT d.id FROM weir.dead_letter AS d \
         WHERE d.name = $1::text AND d.link = $2::text AND d.table_name = s.table_name \
         AND hashtextextended(d.row_name, 0) = hashtextextended(s.row_name, 0) \
         AND d.row_name = s.row_name OFFSET 0) AS x"
    };
}

/// The numbers of the letters of rows. Parameters: tables, rows.
macro_rules! letters_of_rows {
    () => {
        concat!(
            "(ARRAY(SELECT x.id FROM unnest($3::text[], $4::text[]) AS s(table_name, row_name) ",
            letters_of_row!(),
            "))"
        )
    };
}

/// Ends the letters of tables. Parameters: tables.
pub const EMPTY: &str = "DELETE FROM weir.dead_letter \
    WHERE name = $1::text AND link = $2::text AND table_name = ANY ($3::text[])";

/// Ends the letters of rows. Parameters: tables, rows.
pub const CLOSE: &str = concat!("DELETE FROM weir.dead_letter WHERE id = ANY ", letters_of_rows!());

/// One try more for the letters of rows, and another reason for the first of each. Parameters: tables,
/// rows, kinds, errors, hints.
pub const TRY: &str = concat!(
    "WITH mine AS MATERIALIZED (SELECT x.id, s.kind, s.error, s.hint, \
     row_number() OVER (PARTITION BY s.i ORDER BY x.id) AS place \
     FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) \
     WITH ORDINALITY AS s(table_name, row_name, kind, error, hint, i) ",
    letters_of_row!(),
    ") UPDATE weir.dead_letter AS d SET attempts = d.attempts + 1, \
     tried_at = clock_timestamp(), asked_at = NULL, \
     kind = CASE m.place WHEN 1 THEN m.kind ELSE d.kind END, \
     error = CASE m.place WHEN 1 THEN m.error ELSE d.error END, \
     hint = CASE m.place WHEN 1 THEN m.hint ELSE d.hint END \
     FROM mine AS m WHERE d.id = ANY (ARRAY[m.id])"
);

/// New letters in order; of those that fold, only what the newest letter of the row is to say, where
/// there is one. Returns the numbers of those without a position. Parameters: source tables, tables,
/// rows, old rows, operations, positions, ordinals, kinds, errors, hints, changes, their numbers,
/// attempts, whether they fold.
pub const NEW: &str = concat!(
    "WITH s AS MATERIALIZED (SELECT * FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], \
     $7::text[], $8::text[], $9::int8[], $10::text[], $11::text[], $12::text[], $13::text[], \
     $14::int8[], $15::int4[], $16::bool[]) WITH ORDINALITY AS s(source_table, table_name, row_name, \
     old_row_name, operation, position, ordinal, kind, error, hint, change_values, changes, attempts, \
     folds, i)), \
     newest AS MATERIALIZED (SELECT s.i, max(x.id) AS id FROM s ",
    letters_of_row!(),
    " WHERE s.folds GROUP BY s.i), \
     folded AS (UPDATE weir.dead_letter AS d SET changes = d.changes + s.changes, \
     position = s.position, ordinal = s.ordinal, operation = s.operation, \
     change_values = s.change_values FROM newest AS n JOIN s USING (i) \
     WHERE d.id = ANY (ARRAY[n.id]) RETURNING s.i, d.id, d.position), \
     made AS (INSERT INTO weir.dead_letter (name, link, source_table, table_name, row_name, \
     old_row_name, operation, position, ordinal, kind, error, hint, change_values, changes, attempts, \
     made_at) SELECT $1::text, $2::text, s.source_table, s.table_name, s.row_name, s.old_row_name, \
     s.operation, s.position, s.ordinal, s.kind, s.error, s.hint, s.change_values, s.changes, \
     s.attempts, clock_timestamp() FROM s \
     WHERE NOT EXISTS (SELECT FROM folded AS f WHERE f.i = s.i) ORDER BY s.i \
     RETURNING id, position) \
     SELECT f.id FROM folded AS f WHERE f.position = '' \
     UNION ALL SELECT m.id FROM made AS m WHERE m.position = ''"
);

/// Writes the position of letters. Parameters: position, numbers.
pub const PLACE: &str =
    "UPDATE weir.dead_letter SET position = $1::text WHERE id = ANY ($2::int8[])";

/// The link's letters, oldest first.
pub const HEADS: &str = concat!(
    "SELECT id, table_name::text, row_name, old_row_name, kind::text, attempts, \
     asked_at IS NOT NULL, ",
    us!("made_at"),
    " FROM weir.dead_letter WHERE name = $1::text AND link = $2::text ORDER BY id"
);

/// How many letters each table has, and how many of them are asked for.
pub const COUNT: &str = "SELECT table_name::text, count(*), count(asked_at) FROM weir.dead_letter \
    WHERE name = $1::text AND link = $2::text GROUP BY table_name";

/// The link's letters from a number on. Parameters: number, limit.
pub const LIST: &str = concat!(
    "SELECT id, table_name::text, source_table::text, row_name, old_row_name, operation::text, \
     position, ordinal, kind::text, error, hint, change_values, changes, attempts, ",
    us!("made_at"),
    ", ",
    us!("tried_at"),
    ", asked_at IS NOT NULL FROM weir.dead_letter \
     WHERE name = $1::text AND link = $2::text AND id > $3::int8 ORDER BY id LIMIT $4::int8"
);

/// Asks for a try of rows. Parameters: tables, rows.
pub const ASK: &str = concat!(
    "UPDATE weir.dead_letter SET asked_at = clock_timestamp() WHERE id = ANY ",
    letters_of_rows!()
);
