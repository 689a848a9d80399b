//! From a converted value to a parameter of a prepared statement.
//!
//! Every column has one wire form ([`Form`]), whatever its values are: bulk execution takes the
//! type of a column from one row, and a prepared statement is prepared again when a type changes.
//! Integers travel as integers, floats as doubles (a 32-bit float widens exactly), bytes raw, and
//! all else as text that the server parses exactly; times carry just the column's digits, so that
//! no server rounds or cuts. Values arrive converted and fit-checked; a value that cannot be the
//! column's is a defect and is reported as such, without the value.

use mysql_async::Value as Parameter;

use crate::error::{Error, Kind, Result};
use crate::model::calendar::{DAY_US, civil};
use crate::model::value::InvalidDate;
use crate::model::{Column, Type, Value};

/// The wire form of all parameters of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A signed 64-bit integer.
    Int,
    /// An unsigned 64-bit integer.
    UInt,
    /// A double.
    Double,
    /// Text in UTF-8.
    Text,
    /// Bytes as they are.
    Bytes,
    /// Text `2024-02-29`.
    Date,
    /// Text `-838:59:59.123`, with so many fraction digits.
    Time(u8),
    /// Text `2024-02-29 23:59:59.123`, with so many fraction digits.
    DateTime(u8),
}

impl Form {
    /// The form of a column; `None` for a type that is not carried.
    pub(crate) fn of(ty: &Type) -> Option<Form> {
        Some(match ty {
            Type::Bool | Type::Year | Type::Int { unsigned: false, .. } => Form::Int,
            Type::Int { unsigned: true, .. } => Form::UInt,
            Type::F32 | Type::F64 => Form::Double,
            Type::Decimal(_)
            | Type::Char { .. }
            | Type::Text { .. }
            | Type::Uuid
            | Type::Json(_)
            | Type::Enum { .. } => Form::Text,
            Type::Binary { .. } | Type::Bytes { .. } => Form::Bytes,
            Type::Date => Form::Date,
            Type::Time { digits } => Form::Time(*digits),
            Type::Timestamp { digits } | Type::Instant { digits } => Form::DateTime(*digits),
            Type::Native { name, .. } => match name.as_str() {
                "bit" => Form::UInt,
                "inet4" | "inet6" => Form::Text,
                set if set.starts_with("set(") => Form::Text,
                _ => Form::Bytes,
            },
            Type::Unsupported => return None,
        })
    }

    /// The form of a target column.
    ///
    /// # Errors
    /// `Unsupported` with the column's name and native type.
    pub(crate) fn of_column(column: &Column) -> Result<Form> {
        Form::of(&column.ty).ok_or_else(|| {
            Error::new(
                Kind::Unsupported,
                format!("column {} of type {} cannot be written", column.name, column.native),
            )
        })
    }

    /// The parameter of one value.
    ///
    /// # Errors
    /// `Internal` where the value is not of a kind that the form carries: the conversion is wrong.
    /// `Value` for a date outside the years 0000 to 9999.
    pub(crate) fn parameter(self, value: &Value) -> Result<Parameter> {
        if matches!(value, Value::Null) {
            return Ok(Parameter::NULL);
        }
        let parameter = match self {
            Form::Int => match value {
                Value::Bool(truth) => Some(Parameter::Int(i64::from(*truth))),
                Value::Int(number) => Some(Parameter::Int(*number)),
                _ => None,
            },
            Form::UInt => unsigned(value),
            Form::Double => match value {
                Value::F32(number) => Some(Parameter::Double(f64::from(*number))),
                Value::F64(number) => Some(Parameter::Double(*number)),
                _ => None,
            },
            Form::Text => text(value),
            Form::Bytes => match value {
                Value::Bytes(bytes) => Some(Parameter::Bytes(bytes.to_vec())),
                Value::Uuid(bytes) => Some(Parameter::Bytes(bytes.to_vec())),
                _ => None,
            },
            Form::Date => match value {
                Value::Date(days) => Some(printed(date_text(i64::from(*days))?)),
                Value::InvalidDate(date) => Some(printed(fields_text(date))),
                _ => None,
            },
            Form::Time(digits) => match value {
                Value::Time(us) => Some(printed(time_text(*us, digits)?)),
                _ => None,
            },
            Form::DateTime(digits) => match value {
                Value::Timestamp(us) | Value::Instant(us) => {
                    Some(printed(datetime_text(*us, digits)?))
                }
                Value::InvalidDate(date) => {
                    let (date, time) = (fields_text(date), time_text(date.time_us, digits)?);
                    Some(printed(format!("{date} {time}")))
                }
                _ => None,
            },
        };
        parameter.ok_or_else(|| {
            let kind = kind_of(value);
            Error::new(Kind::Internal, format!("a value of kind {kind} met the form {self:?}"))
        })
    }
}

fn printed(text: String) -> Parameter {
    Parameter::Bytes(text.into_bytes())
}

fn unsigned(value: &Value) -> Option<Parameter> {
    match value {
        Value::Bool(truth) => Some(Parameter::UInt(u64::from(*truth))),
        Value::Int(number) => u64::try_from(*number).ok().map(Parameter::UInt),
        Value::UInt(number) => Some(Parameter::UInt(*number)),
        _ => None,
    }
}

fn text(value: &Value) -> Option<Parameter> {
    match value {
        Value::Decimal(text) | Value::Text(text) | Value::Json(text) | Value::Enum(text) => {
            Some(Parameter::Bytes(text.as_bytes().to_vec()))
        }
        Value::Int(number) => Some(printed(number.to_string())),
        Value::UInt(number) => Some(printed(number.to_string())),
        Value::Uuid(bytes) => Some(printed(uuid_text(bytes))),
        _ => None,
    }
}

/// The kind of a value, without the value, for messages.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Unchanged => "unchanged",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::UInt(_) => "integer",
        Value::Decimal(_) | Value::DecimalSpecial(_) => "decimal",
        Value::F32(_) | Value::F64(_) => "float",
        Value::Text(_) => "text",
        Value::Bytes(_) => "bytes",
        Value::Date(_) => "date",
        Value::Time(_) => "time",
        Value::Timestamp(_) => "timestamp",
        Value::Instant(_) => "instant",
        Value::Infinity | Value::NegativeInfinity => "infinity",
        Value::InvalidDate(_) => "invalid date",
        Value::Uuid(_) => "uuid",
        Value::Json(_) => "json",
        Value::Enum(_) | Value::EnumInvalid => "enum",
    }
}

fn uuid_text(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    text
}

/// `yyyy-mm-dd` of days since 2000-01-01, in the proleptic Gregorian calendar.
fn date_text(days: i64) -> Result<String> {
    let (year, month, day) = civil(days);
    if !(0..=9999).contains(&year) {
        return Err(Error::new(Kind::Value, "out_of_range: a date outside the years 0 to 9999"));
    }
    Ok(format!("{year:04}-{month:02}-{day:02}"))
}

/// `yyyy-mm-dd` of a date that is none.
fn fields_text(date: &InvalidDate) -> String {
    format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)
}

/// `hh:mm:ss` and the fraction of microseconds of either sign.
fn time_text(us: i64, digits: u8) -> Result<String> {
    let sign = if us < 0 { "-" } else { "" };
    let magnitude = us.unsigned_abs();
    let seconds = magnitude / 1_000_000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = fraction_text(magnitude % 1_000_000, digits)?;
    Ok(format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}"))
}

/// Date and time of microseconds since 2000-01-01 00:00:00.
fn datetime_text(us: i64, digits: u8) -> Result<String> {
    let date = date_text(us.div_euclid(DAY_US))?;
    let time = time_text(us.rem_euclid(DAY_US), digits)?;
    Ok(format!("{date} {time}"))
}

/// The fraction with exactly `digits` digits. More of them would be rounded by MySQL and cut by
/// MariaDB, both in silence, so they are refused here.
fn fraction_text(us: u64, digits: u8) -> Result<String> {
    let unit = 10_u64.pow(u32::from(6 - digits.min(6)));
    if !us.is_multiple_of(unit) {
        return Err(Error::new(
            Kind::Value,
            "precision_loss: more fraction digits than the column",
        ));
    }
    Ok(match digits {
        0 => String::new(),
        _ => format!(".{:0width$}", us / unit, width = usize::from(digits.min(6))),
    })
}

#[cfg(test)]
mod tests;
