//! Sides of column pairs and values, short to write, for the tests of transform.

use bytes::Bytes;

use crate::config::Dialect::{self, Mariadb, Mysql, Postgres};
use crate::model::schema::{DecimalSize, JsonKind};
use crate::model::value::{InvalidDate, UNIX_TO_2000_US};
use crate::model::{Column, Type, Value};
use crate::plan::fixtures::column;
use crate::transform::{Conversion, pair};

/// Dialect, logical type, and the type as the server prints it.
pub(crate) type Side = (Dialect, Type, &'static str);

pub(crate) fn col(side: &Side) -> Column {
    column("c", side.1.clone(), side.2)
}

pub(crate) fn conversion(source: &Side, target: &Side) -> Conversion {
    pair(&col(source), source.0, &col(target), target.0).unwrap().0
}

pub(crate) const fn int(bits: u8, unsigned: bool) -> Type {
    Type::Int { bits, unsigned }
}

pub(crate) const fn dec(precision: u16, scale: i16) -> Type {
    Type::Decimal(Some(DecimalSize { precision, scale }))
}

pub(crate) const NUMERIC: Side = (Postgres, Type::Decimal(None), "numeric");
pub(crate) const PG_TEXT: Side = (Postgres, Type::Text { chars: None, bytes: None }, "text");
pub(crate) const LONGTEXT: Side =
    (Mysql, Type::Text { chars: None, bytes: Some(u32::MAX as u64) }, "longtext");
pub(crate) const JSONB: Side = (Postgres, Type::Json(JsonKind::Binary), "jsonb");
pub(crate) const PG_JSON: Side = (Postgres, Type::Json(JsonKind::Verbatim), "json");
pub(crate) const MY_JSON: Side = (Mysql, Type::Json(JsonKind::Mysql), "json");
pub(crate) const MA_JSON: Side = (Mariadb, Type::Json(JsonKind::Verbatim), "longtext");

pub(crate) fn varchar(dialect: Dialect, chars: u32) -> Side {
    (dialect, Type::Text { chars: Some(chars), bytes: None }, "varchar")
}

pub(crate) fn char(dialect: Dialect, chars: u32) -> Side {
    (dialect, Type::Char { chars }, "char")
}

pub(crate) fn text(value: &str) -> Value {
    Value::Text(value.to_owned().into())
}

pub(crate) fn decimal(value: &str) -> Value {
    Value::Decimal(value.to_owned().into())
}

pub(crate) fn json(value: &str) -> Value {
    Value::Json(value.to_owned().into())
}

pub(crate) fn bytes(value: &'static [u8]) -> Value {
    Value::Bytes(Bytes::from_static(value))
}

pub(crate) fn label(value: &str) -> Value {
    Value::Enum(value.to_owned().into())
}

pub(crate) fn labels(dialect: Dialect, labels: &[&str]) -> Side {
    (dialect, Type::Enum { labels: labels.iter().map(|&label| label.into()).collect() }, "enum")
}

pub(crate) fn clock(dialect: Dialect, digits: u8) -> Side {
    (dialect, Type::Timestamp { digits }, "timestamp")
}

pub(crate) fn moment(dialect: Dialect, digits: u8) -> Side {
    (dialect, Type::Instant { digits }, "timestamptz")
}

pub(crate) fn time_of(dialect: Dialect, digits: u8) -> Side {
    (dialect, Type::Time { digits }, "time")
}

pub(crate) const fn invalid(year: u16, month: u8, day: u8) -> Value {
    Value::InvalidDate(InvalidDate { year, month, day, time_us: 0 })
}

/// Microseconds since 2000 of a Unix second.
pub(crate) const fn unix(second: i64) -> i64 {
    second * 1_000_000 - UNIX_TO_2000_US
}
