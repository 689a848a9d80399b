//! Statements on `weir.snapshot`. The first two parameters are always name and link.

/// Its columns.
pub const COLUMNS: [&str; 5] = ["name", "link", "table_name", "progress", "asked"];

/// How far a table's copy is; takes an order away if it is still the one that is answered.
/// Parameters: table, progress, the order that this answers.
pub const KEEP: &str = "INSERT INTO weir.snapshot AS s (name, link, table_name, progress) \
    VALUES ($1::text, $2::text, $3::text, $4::text) \
    ON CONFLICT (name, link, table_name) DO UPDATE \
    SET progress = excluded.progress, asked = nullif(s.asked, $5::text)";

/// Every row of the link.
pub const LIST: &str = "SELECT table_name::text, progress, asked FROM weir.snapshot \
    WHERE name = $1::text AND link = $2::text ORDER BY table_name";

/// Those of which something is asked.
pub const ORDERS: &str = "SELECT table_name::text, progress, asked FROM weir.snapshot \
    WHERE name = $1::text AND link = $2::text AND asked IS NOT NULL ORDER BY table_name";

/// Asks for something of a table's copy. Parameters: table, order.
pub const ASK: &str = "INSERT INTO weir.snapshot (name, link, table_name, asked) \
    VALUES ($1::text, $2::text, $3::text, $4::text) \
    ON CONFLICT (name, link, table_name) DO UPDATE SET asked = excluded.asked";
