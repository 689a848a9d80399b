//! Tables of PostgreSQL from a table of either dialect, by type-mapping §1, §2 and §5.
//!
//! Made are the table with its columns, primary key and unique keys, and enum types. Left out, and
//! said so in comment lines, is what weir does not know enough of: columns of types that cannot
//! cross, computed columns, unique indexes over expressions, foreign keys. Defaults are not copied;
//! AUTO_INCREMENT becomes an identity that takes given values. Pure.

use super::sql::{literal, quote, quote_name};
use crate::config::Dialect;
use crate::model::schema::JsonKind;
use crate::model::{Column, Table, TableName, Type, Unique};

/// Longest name PostgreSQL keeps, in bytes.
const NAME_BYTES_MAX: usize = 63;
/// What remains of a longer one, before `_` and eight digits of its hash.
const NAME_BYTES_KEPT: usize = 54;

/// The statements that create `source` as `name`.
pub fn create_table(source: &Table, source_dialect: Dialect, name: &TableName) -> Vec<String> {
    let name = TableName::new(shorten(&name.schema), shorten(&name.table));
    let mut statements = Vec::new();
    if name.schema != "public" {
        statements.push(format!("CREATE SCHEMA IF NOT EXISTS {}", quote(&name.schema)));
    }
    let mut remarks = Vec::new();
    let mut lines = Vec::new();
    for column in &source.columns {
        let definition = definition(column, source_dialect, &name);
        match definition {
            Ok(Definition { ty, check, create_type }) => {
                statements.extend(create_type);
                lines.push(line(column, &ty, check));
            }
            Err(why) => remarks.push(format!("column {} ({}): {why}", column.name, column.native)),
        }
    }
    for unique in &source.uniques {
        match unique_line(source, unique, source_dialect, &name) {
            Ok(line) => lines.push(line),
            Err(why) => remarks.push(format!("unique index {}: {why}", unique.name)),
        }
    }
    for index in &source.odd_unique_indexes {
        remarks.push(format!("unique index {index}: not over plain columns"));
    }
    for key in &source.foreign_keys {
        remarks.push(format!("foreign key {} to {}: add it by hand", key.name, key.parent));
    }
    let remarks: String =
        remarks.iter().map(|remark| format!("-- left out: {}\n", one_line(remark))).collect();
    let table = quote_name(&name);
    statements.push(format!("{remarks}CREATE TABLE {table} (\n  {}\n)", lines.join(",\n  ")));
    statements
}

/// A column's type on PostgreSQL.
struct Definition {
    ty: String,
    check: Option<String>,
    create_type: Option<String>,
}

fn definition(
    column: &Column,
    dialect: Dialect,
    table: &TableName,
) -> Result<Definition, &'static str> {
    if column.generated {
        return Err("computed by the source, never replicated");
    }
    let plain = |ty: &str| Ok(Definition { ty: ty.to_owned(), check: None, create_type: None });
    match &column.ty {
        Type::Bool => plain("boolean"),
        Type::Int { bits, unsigned } => plain(integer(*bits, *unsigned, column.auto_increment)),
        Type::Decimal(None) => plain("numeric"),
        Type::Decimal(Some(size)) => plain(&format!("numeric({},{})", size.precision, size.scale)),
        Type::F32 => plain("real"),
        Type::F64 => plain("double precision"),
        Type::Char { chars: 0 } | Type::Text { chars: Some(0), .. } => plain("varchar(1)"),
        Type::Char { chars } => plain(&format!("char({chars})")),
        Type::Text { chars: Some(chars), .. } => plain(&format!("varchar({chars})")),
        Type::Text { chars: None, .. } => plain("text"),
        Type::Binary { .. } | Type::Bytes { .. } => plain("bytea"),
        Type::Date => plain("date"),
        Type::Time { digits } => plain(&format!("time({digits})")),
        Type::Timestamp { digits } => plain(&format!("timestamp({digits})")),
        Type::Instant { digits } => plain(&format!("timestamptz({digits})")),
        Type::Year => plain("smallint"),
        Type::Uuid => plain("uuid"),
        Type::Json(JsonKind::Verbatim) if dialect == Dialect::Postgres => plain("json"),
        Type::Json(_) => plain("jsonb"),
        Type::Enum { labels } => Ok(enumeration(column, labels, table)),
        Type::Native { .. } if dialect == Dialect::Postgres => plain(&column.native),
        Type::Native { .. } | Type::Unsupported => Err("its type cannot cross"),
    }
}

fn integer(bits: u8, unsigned: bool, auto_increment: bool) -> &'static str {
    match (bits, unsigned) {
        (8, _) | (16, false) => "smallint",
        (16, true) | (24, _) | (32, false) => "integer",
        (_, false) | (32, true) => "bigint",
        (_, true) if auto_increment => "bigint",
        (_, true) => "numeric(20,0)",
    }
}

/// An enum type; text with a check where a label is too long for one.
fn enumeration(column: &Column, labels: &[String], table: &TableName) -> Definition {
    let list = labels.iter().map(|label| literal(label)).collect::<Vec<_>>().join(", ");
    if labels.iter().any(|label| label.len() > NAME_BYTES_MAX) {
        let check = format!("CHECK ({} IN ({list}))", quote(&shorten(&column.name)));
        return Definition { ty: "text".to_owned(), check: Some(check), create_type: None };
    }
    let name = shorten(&format!("{}_{}_enum", table.table, column.name));
    let ty = quote_name(&TableName::new(table.schema.clone(), name));
    let create_type = Some(format!("CREATE TYPE {ty} AS ENUM ({list})"));
    Definition { ty, check: None, create_type }
}

fn line(column: &Column, ty: &str, check: Option<String>) -> String {
    let mut line = format!("{} {ty}", quote(&shorten(&column.name)));
    if !column.nullable {
        line.push_str(" NOT NULL");
    }
    if column.auto_increment && matches!(ty, "smallint" | "integer" | "bigint") {
        line.push_str(" GENERATED BY DEFAULT AS IDENTITY");
    }
    if let Some(check) = check {
        line.push(' ');
        line.push_str(&check);
    }
    line
}

fn unique_line(
    source: &Table,
    unique: &Unique,
    dialect: Dialect,
    name: &TableName,
) -> Result<String, &'static str> {
    let mut columns = Vec::new();
    for at in &unique.columns {
        let column = source.columns.get(*at).ok_or("it names a column that is not there")?;
        if definition(column, dialect, name).is_err() {
            return Err("a column of it is left out");
        }
        columns.push(quote(&shorten(&column.name)));
    }
    let columns = columns.join(", ");
    if unique.primary {
        let constraint = quote(&shorten(&format!("{}_pkey", name.table)));
        return Ok(format!("CONSTRAINT {constraint} PRIMARY KEY ({columns})"));
    }
    // Index names are unique per schema here, per table on MySQL and MariaDB.
    let constraint = match dialect {
        Dialect::Postgres => shorten(&unique.name),
        Dialect::Mysql | Dialect::Mariadb => shorten(&format!("{}_{}", name.table, unique.name)),
    };
    Ok(format!("CONSTRAINT {} UNIQUE ({columns})", quote(&constraint)))
}

/// A name that PostgreSQL does not cut: over-long ones end in a hash of the whole.
fn shorten(name: &str) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name.to_owned();
    }
    let kept = name.char_indices().map(|(at, _)| at).filter(|at| *at <= NAME_BYTES_KEPT).max();
    let kept = kept.and_then(|end| name.get(..end)).unwrap_or_default();
    format!("{kept}_{:08x}", crc32fast::hash(name.as_bytes()))
}

/// A remark that cannot leave its comment line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::foreign_key;
    use crate::postgres::sql::tests::{assert_golden, column, every_type, plan};

    fn mysql_table() -> Table {
        let int = |name: &str, native: &str, bits, unsigned| {
            column(name, native, Type::Int { bits, unsigned })
        };
        let mut id = int("id", "int unsigned", 32, true);
        id.auto_increment = true;
        id.nullable = false;
        let mut computed = int("total", "bigint", 64, false);
        computed.generated = true;
        let long = vec!["x".repeat(64), "it's".to_owned()];
        let columns = vec![
            id,
            int("tiny", "tinyint unsigned", 8, true),
            int("medium", "mediumint unsigned", 24, true),
            int("big", "bigint unsigned", 64, true),
            column("on", "tinyint(1)", Type::Bool),
            column("none", "char(0)", Type::Char { chars: 0 }),
            column("body", "longtext", Type::Text { chars: None, bytes: Some(u32::MAX.into()) }),
            column("key", "binary(16)", Type::Binary { bytes: 16 }),
            column("year", "year", Type::Year),
            column("at", "timestamp(3)", Type::Instant { digits: 3 }),
            column("doc", "json", Type::Json(JsonKind::Mysql)),
            column("long", "enum(…)", Type::Enum { labels: long }),
            column("place\nx", "geometry", Type::Unsupported),
            computed,
        ];
        let mut table = plan("orders", columns, &[0]).source;
        table.uniques.push(Unique { name: "by_key".into(), columns: vec![7, 4], primary: false });
        table.uniques.push(Unique { name: "by_place".into(), columns: vec![12], primary: false });
        table.odd_unique_indexes.push("by_prefix".into());
        let parent = TableName::new("shop", "customers");
        table.foreign_keys.push(foreign_key("fk", parent));
        table
    }

    /// Broken if a table were made that cannot hold what its source holds.
    #[test]
    fn tables_are_as_reviewed() {
        let own = plan("every", every_type(), &[0, 1]).source;
        let parts = [
            create_table(&mysql_table(), Dialect::Mysql, &TableName::new("public", "orders")),
            create_table(&own, Dialect::Postgres, &TableName::new("copy", "every")),
        ];
        let text: String =
            parts.iter().flatten().map(|statement| format!("{statement};\n\n")).collect();
        assert_golden("postgres_ddl.sql", &text);
    }

    /// Broken if PostgreSQL cut a name in silence, two names became one, or a character was split.
    #[test]
    fn long_names_stay_apart_and_whole() {
        let (one, two) = (format!("{}a", "ü".repeat(40)), format!("{}b", "ü".repeat(40)));
        assert_ne!(shorten(&one), shorten(&two));
        assert!(shorten(&one).len() <= NAME_BYTES_MAX);
        assert!(shorten(&one).starts_with(&"ü".repeat(27)));
        assert_eq!(shorten("orders"), "orders");
    }
}
