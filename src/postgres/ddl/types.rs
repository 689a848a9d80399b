//! One column's definition on PostgreSQL.

use super::super::sql::{literal, quote, quote_name};
use super::{NAME_BYTES_MAX, shorten};
use crate::config::Dialect;
use crate::model::schema::JsonKind;
use crate::model::shape::Shape;
use crate::model::{Column, TableName, Type};

/// A column's type on PostgreSQL.
pub(super) struct Definition {
    pub(super) ty: String,
    pub(super) check: Option<String>,
    pub(super) create_type: Option<String>,
    /// What is computed.
    pub(super) computed: Option<String>,
}

/// The definition of a column, whose enum type would have the name `enumeration`. One that counts by itself,
/// or refers to one that does, has a type that can.
pub(super) fn definition(
    column: &Column,
    dialect: Dialect,
    enumeration: &TableName,
    counts: bool,
) -> Result<Definition, &'static str> {
    if column.generated {
        return Err("computed by the source, never replicated");
    }
    let mut made = typed(column, dialect, enumeration, counts)?;
    if is_unsigned(column) && made.check.is_none() {
        made.check = Some(format!("CHECK ({} >= 0)", quote(&column.name)));
    }
    Ok(made)
}

/// Whether a number of MySQL or MariaDB is none below zero.
fn is_unsigned(column: &Column) -> bool {
    match column.ty {
        Type::Int { unsigned, .. } => unsigned,
        Type::Decimal(_) | Type::F32 | Type::F64 => column.native.contains("unsigned"),
        _ => false,
    }
}

fn typed(
    column: &Column,
    dialect: Dialect,
    enumeration: &TableName,
    counts: bool,
) -> Result<Definition, &'static str> {
    let plain = |ty: &str| {
        Ok(Definition { ty: ty.to_owned(), check: None, create_type: None, computed: None })
    };
    match &column.ty {
        Type::Bool => plain("boolean"),
        Type::Int { bits, unsigned } => plain(integer(*bits, *unsigned, counts)),
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
        Type::Enum { labels } => Ok(of_labels(column, labels, enumeration)),
        Type::Native { .. } if dialect == Dialect::Postgres => plain(&column.native),
        Type::Native { shape, .. } => match shape {
            Shape::Set(_) => plain("text"),
            Shape::Bits { count } => plain(&format!("bit({count})")),
            Shape::Address { .. } => plain("inet"),
            Shape::Geometry { kind: Some(1), srid: None | Some(0) } => plain("point"),
            Shape::Geometry { .. } => plain("bytea"),
            Shape::Vector { .. } => plain("real[]"),
            Shape::Interval { digits, .. } => plain(&format!("interval({digits})")),
            _ => Err("its type cannot cross"),
        },
        Type::Unsupported => Err("its type cannot cross"),
    }
}

fn integer(bits: u8, unsigned: bool, counts: bool) -> &'static str {
    match (bits, unsigned) {
        (8, _) | (16, false) => "smallint",
        (16, true) | (24, _) | (32, false) => "integer",
        (_, false) | (32, true) => "bigint",
        (_, true) if counts => "bigint",
        (_, true) => "numeric(20,0)",
    }
}

/// The name of a column's enum type, if no other column wants it.
pub(super) fn enum_name(table: &TableName, column: &str) -> TableName {
    TableName::new(&table.schema, shorten(&long_enum_name(table, column)))
}

/// The same, however long.
pub(super) fn long_enum_name(table: &TableName, column: &str) -> String {
    format!("{}_{column}_enum", table.table)
}

/// The name of a column's enum type where another column wants [`enum_name`] too.
pub(super) fn other_enum_name(table: &TableName, column: &str) -> TableName {
    let whole = format!("{}\0{column}", table.table);
    let name = format!("{}_{column}_enum_{:08x}", table.table, crc32fast::hash(whole.as_bytes()));
    TableName::new(&table.schema, shorten(&name))
}

/// An enum type; text with a check where a label is too long for one.
fn of_labels(column: &Column, labels: &[String], name: &TableName) -> Definition {
    let list = labels.iter().map(|label| literal(label)).collect::<Vec<_>>().join(", ");
    if labels.iter().any(|label| label.len() > NAME_BYTES_MAX) {
        let check = format!("CHECK ({} IN ({list}))", quote(&column.name));
        return Definition {
            ty: "text".to_owned(),
            check: Some(check),
            create_type: None,
            computed: None,
        };
    }
    let ty = quote_name(name);
    let create_type = Some(format!("CREATE TYPE {ty} AS ENUM ({list})"));
    Definition { ty, check: None, create_type, computed: None }
}
