//! Values to the form PostgreSQL takes them in: text in the type's own input form, or raw bytes.
//!
//! A column of many rows is written as one array parameter straight into the connection's buffer:
//! each value is copied once. Forms do not depend on session settings (dates are ISO with BC, moments
//! carry `+00`). What PostgreSQL cannot hold — a NUL character, a date that is none, a time beyond
//! the day — is an error of kind `Value` here, before it is sent; limits of a column were checked
//! before. Pure; nothing here talks to a server.
//! Source: PostgreSQL manual, "Date/Time Input"; `array_recv` of the binary protocol.

pub mod binary;
pub mod copy;

use std::error::Error as StdError;
use std::fmt::{self, Write};

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type as Builtin, to_sql_checked};

use super::sql::{Wire, wire};
use crate::error::{Error, Kind, Result};
use crate::model::calendar::{DAY_US, write_date, write_moment, write_time};
use crate::model::value::{Row, Special, Value};
use crate::model::{Column, TableName};
use crate::plan::TablePlan;

/// Bytes of array header and per element, for estimates.
const ELEMENT_BYTES: usize = 24;

/// The target column behind an index into the plan's columns.
pub fn target_column(table: &TablePlan, column: usize) -> Option<&Column> {
    table.columns.get(column).and_then(|plan| table.target.columns.get(plan.target))
}

/// The bytes a row takes in parameters, roughly.
pub fn row_bytes(row: &Row) -> usize {
    row.iter().map(|value| ELEMENT_BYTES + value.heap_bytes()).sum()
}

/// Where a value stands: for messages and for the form it takes.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The target table.
    pub table: &'a TableName,
    /// The target column.
    pub column: &'a Column,
    /// Whether it is part of the match key, where NULL matches nothing and is refused.
    pub key: bool,
}

/// One column of many rows, as one array parameter. `at` is the value's place in each row.
pub struct ColumnArray<'a> {
    /// The rows.
    pub rows: &'a [Row],
    /// Index into each row.
    pub at: usize,
    /// What the column is.
    pub place: Place<'a>,
}

impl fmt::Debug for ColumnArray<'_> {
    /// Never the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values of {}", self.rows.len(), self.place.column.name)
    }
}

impl ToSql for ColumnArray<'_> {
    fn to_sql(
        &self,
        ty: &Builtin,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let element = if *ty == Builtin::BYTEA_ARRAY { Builtin::BYTEA } else { Builtin::TEXT };
        out.put_i32(i32::from(!self.rows.is_empty()));
        out.put_i32(1);
        out.put_u32(element.oid());
        if self.rows.is_empty() {
            return Ok(IsNull::No);
        }
        out.put_i32(i32::try_from(self.rows.len())?);
        out.put_i32(1);
        for row in self.rows {
            let value = row.get(self.at).unwrap_or(&Value::Unchanged);
            let start = out.len();
            out.put_i32(-1);
            if write_value(value, &self.place, out)? {
                let length = i32::try_from(out.len() - start - 4)?;
                if let Some(slot) = out.get_mut(start..start + 4) {
                    slot.copy_from_slice(&length.to_be_bytes());
                }
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Builtin) -> bool {
        matches!(*ty, Builtin::TEXT_ARRAY | Builtin::BYTEA_ARRAY)
    }

    to_sql_checked!();
}

/// One value as one parameter.
pub struct Single<'a> {
    /// The value.
    pub value: &'a Value,
    /// What the column is.
    pub place: Place<'a>,
}

impl fmt::Debug for Single<'_> {
    /// Never the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of {}", self.place.column.name)
    }
}

impl ToSql for Single<'_> {
    fn to_sql(
        &self,
        _: &Builtin,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let known = write_value(self.value, &self.place, out)?;
        Ok(if known { IsNull::No } else { IsNull::Yes })
    }

    fn accepts(ty: &Builtin) -> bool {
        matches!(*ty, Builtin::TEXT | Builtin::BYTEA)
    }

    to_sql_checked!();
}

/// Writes a value; false for NULL, which writes nothing.
fn write_value(value: &Value, place: &Place<'_>, out: &mut BytesMut) -> Result<bool> {
    let refuse = |reason: &str| {
        let context = format!("column {} of {}: {reason}", place.column.name, place.table);
        Err(Error::new(Kind::Value, context))
    };
    match value {
        Value::Null if place.key => return refuse("the match key is NULL"),
        Value::Null => return Ok(false),
        Value::Unchanged => {
            let context =
                format!("column {} of {}: an unknown value", place.column.name, place.table);
            return Err(Error::new(Kind::Internal, context));
        }
        Value::Bytes(bytes) => match wire(place.column) {
            Wire::Bytes => out.put_slice(bytes),
            Wire::Text => return refuse("bytes for a column that takes none"),
        },
        _ if wire(place.column) == Wire::Bytes => return refuse("no bytes for a column of bytes"),
        Value::Text(text) | Value::Json(text) | Value::Enum(text) | Value::Decimal(text) => {
            if text.as_bytes().contains(&0) {
                return refuse("nul_char: text with a NUL character");
            }
            out.put_slice(text.as_bytes());
        }
        Value::Int(number) => out.put_slice(itoa::Buffer::new().format(*number).as_bytes()),
        Value::InvalidDate(_) => return refuse("a date that is none"),
        Value::EnumInvalid => return refuse("enum_invalid: the invalid enum value"),
        Value::Time(us) if !(0..=DAY_US).contains(us) => {
            return refuse("not_time_of_day: a time outside the day");
        }
        other => {
            if write!(out, "{}", Plain(other)).is_err() {
                return refuse("a value that cannot be written as text");
            }
        }
    }
    Ok(true)
}

/// The values that need formatting, in PostgreSQL's input form.
struct Plain<'a>(&'a Value);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Bool(true) => f.write_str("t"),
            Value::Bool(false) => f.write_str("f"),
            Value::UInt(number) => write!(f, "{number}"),
            Value::DecimalSpecial(special) => write!(f, "{special}"),
            // Shortest text that reads back as the same bits.
            Value::F32(number) => match Special::of(f64::from(*number)) {
                Some(special) => write!(f, "{special}"),
                None => write!(f, "{number:e}"),
            },
            Value::F64(number) => match Special::of(*number) {
                Some(special) => write!(f, "{special}"),
                None => write!(f, "{number:e}"),
            },
            Value::Date(days) => {
                let before = write_date(f, i64::from(*days))?;
                f.write_str(before)
            }
            Value::Time(us) => write_time(f, *us),
            Value::Timestamp(us) => write_moment(f, *us, ""),
            Value::Instant(us) => write_moment(f, *us, "+00"),
            Value::Infinity => f.write_str("infinity"),
            Value::NegativeInfinity => f.write_str("-infinity"),
            Value::Uuid(bytes) => write_uuid(f, bytes),
            // Written by `write_value` itself, or refused there.
            Value::Null
            | Value::Unchanged
            | Value::Int(_)
            | Value::Bytes(_)
            | Value::Decimal(_)
            | Value::Text(_)
            | Value::Json(_)
            | Value::Enum(_)
            | Value::InvalidDate(_)
            | Value::EnumInvalid => Ok(()),
        }
    }
}

fn write_uuid(f: &mut fmt::Formatter<'_>, bytes: &[u8; 16]) -> fmt::Result {
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            f.write_char('-')?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
