//! One table's rows as statements read them: select list, exact condition on the match key, and
//! the answer's values, equal to those that the stream yields.

use std::net::{Ipv4Addr, Ipv6Addr};

use mysql_async::Value as Cell;

use crate::error::{Error, Kind, Result};
use crate::model::{Column, Row, Type, Value};
use crate::mysql::decode::row::{blanks_trimmed, text as decoded};
use crate::mysql::decode::temporal;
use crate::mysql::encode::Form;
use crate::mysql::session::Flavor;
use crate::mysql::sql::quote;
use crate::plan::TablePlan;
use crate::transform::Charset;

/// The parts of the statement that reads one row.
#[derive(Debug)]
pub(super) struct Select<'a> {
    /// Planned columns by their place in the source table, with the character set of texts that are
    /// read as their bytes.
    columns: Vec<(usize, &'a Column, Option<Charset>)>,
    key: Vec<&'a Column>,
    width: usize,
    /// Keys are equal where the server takes them for the same.
    loose: bool,
}

fn internal(what: &str) -> Error {
    Error::new(Kind::Internal, what)
}

impl<'a> Select<'a> {
    /// The statement's parts for `plan`.
    pub(super) fn new(plan: &'a TablePlan, flavor: Flavor) -> Result<Self> {
        let source = &plan.source.columns;
        let column = |at: usize| {
            let column = source.get(at).ok_or_else(|| internal("a plan's column"))?;
            Ok((at, column, as_bytes(column, flavor)?))
        };
        let columns = plan
            .columns
            .iter()
            .map(|planned| column(planned.source))
            .collect::<Result<Vec<_>>>()?;
        let key = plan.key.iter().map(|at| {
            columns.get(*at).map(|(_, column, _)| *column).ok_or_else(|| internal("a plan's key"))
        });
        let key = key.collect::<Result<Vec<_>>>()?;
        Ok(Select { key, columns, width: source.len(), loose: false })
    }

    /// The same for the row that the server takes for the key's, however that is spelled there.
    pub(super) fn loose(self) -> Self {
        Select { loose: true, ..self }
    }

    /// The select list. Enums come with their index, which tells the invalid value from a label; texts of
    /// other character sets than UTF-8 as their bytes, since the server would write `?` for what it cannot say.
    pub(super) fn list(&self) -> String {
        let names = self.columns.iter().map(|(_, column, charset)| {
            let name = quote(&column.name);
            match column.ty {
                Type::Enum { .. } => format!("{name}, {name} + 0"),
                _ if charset.is_some() => format!("CAST({name} AS BINARY)"),
                _ => name,
            }
        });
        names.collect::<Vec<_>>().join(", ")
    }

    /// The match key's condition: the first half of a text's uses the index, the second is exact. A text
    /// that cannot be decoded is sought by its bytes, without the index.
    pub(super) fn condition(&self, key: &Row) -> String {
        let terms = self.key.iter().zip(key.iter()).map(|(column, value)| {
            let name = quote(&column.name);
            if is_undecoded(column, value) {
                format!("CAST({name} AS BINARY) = CAST(? AS BINARY)")
            } else if self.loose || column.exact_collation {
                format!("{name} = ?")
            } else {
                format!(
                    "{name} = ? AND CAST(CONVERT({name} USING utf8mb4) AS BINARY) = CAST(? AS BINARY)"
                )
            }
        });
        terms.collect::<Vec<_>>().join(" AND ")
    }

    /// The condition's parameters for one key.
    pub(super) fn parameters(&self, key: &Row) -> Result<Vec<Cell>> {
        if key.len() != self.key.len() {
            return Err(internal("a key of another width"));
        }
        let mut parameters = Vec::new();
        for (column, value) in self.key.iter().zip(key.iter()) {
            let parameter = parameter(column, value)?;
            if !self.loose && !column.exact_collation && !is_undecoded(column, value) {
                parameters.push(parameter.clone());
            }
            parameters.push(parameter);
        }
        Ok(parameters)
    }

    /// The answer as a row of the source table; columns outside the plan are unchanged.
    pub(super) fn row(&self, cells: impl IntoIterator<Item = Option<Cell>>) -> Result<Row> {
        let mut cells = cells.into_iter();
        let mut next = || cells.next().flatten().ok_or_else(|| internal("an answer too narrow"));
        let mut values = vec![Value::Unchanged; self.width];
        for (at, column, charset) in &self.columns {
            let cell = next()?;
            let index = match column.ty {
                Type::Enum { .. } => Some(next()?),
                _ => None,
            };
            let value = value(column, *charset, cell, index)
                .map_err(|error| error.within(format_args!("column {}", column.name)))?;
            if let Some(slot) = values.get_mut(*at) {
                *slot = value;
            }
        }
        Ok(values.into())
    }
}

/// Whether a text is kept as its bytes, since its character set has no character for some of them.
fn is_undecoded(column: &Column, value: &Value) -> bool {
    matches!(column.ty, Type::Char { .. } | Type::Text { .. }) && matches!(value, Value::Bytes(_))
}

/// A key's value as a parameter. Dates that are none are sent by their fields.
fn parameter(column: &Column, value: &Value) -> Result<Cell> {
    match value {
        Value::Bytes(bytes) if is_undecoded(column, value) => Ok(Cell::Bytes(bytes.to_vec())),
        Value::InvalidDate(date) => {
            let (clock, fraction) = (date.time_us / 1_000_000, date.time_us % 1_000_000);
            let part = |number: i64| u8::try_from(number).unwrap_or(0);
            let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
            let fraction = u32::try_from(fraction).unwrap_or(0);
            let (year, month, day) = (date.year, date.month, date.day);
            Ok(Cell::Date(year, month, day, part(hour), part(minute), part(second), fraction))
        }
        value => Form::of_column(column)?.parameter(value),
    }
}

/// One cell of the binary protocol as the stream's value.
pub(in crate::mysql) fn value(
    column: &Column,
    charset: Option<Charset>,
    cell: Cell,
    index: Option<Cell>,
) -> Result<Value> {
    Ok(match (&column.ty, cell) {
        (_, Cell::NULL) => Value::Null,
        (Type::Bool, cell) => match whole(cell)? {
            Value::Int(0) => Value::Bool(false),
            Value::Int(1) => Value::Bool(true),
            other => other,
        },
        (Type::Int { .. } | Type::Year, cell) => whole(cell)?,
        (Type::F32, Cell::Float(number)) => Value::F32(number),
        (Type::F64, Cell::Double(number)) => Value::F64(number),
        (Type::Decimal(_), Cell::Bytes(bytes)) => Value::Decimal(decimal(&text(bytes)?)?.into()),
        (Type::Char { .. }, Cell::Bytes(bytes)) => {
            blanks_trimmed(decoded(charset.unwrap_or(Charset::Utf8), bytes.into()))
        }
        (Type::Text { .. }, Cell::Bytes(bytes)) => {
            decoded(charset.unwrap_or(Charset::Utf8), bytes.into())
        }
        (Type::Json(_), Cell::Bytes(bytes)) => Value::Json(text(bytes)?.into()),
        (Type::Enum { .. }, Cell::Bytes(bytes)) => match index.map(whole).transpose()? {
            Some(Value::Int(0)) => Value::EnumInvalid,
            _ => Value::Enum(text(bytes)?.into()),
        },
        (Type::Binary { bytes: width }, Cell::Bytes(mut bytes)) => {
            let width = *width as usize;
            if bytes.len() < width {
                bytes.resize(width, 0);
            }
            Value::Bytes(bytes.into())
        }
        (Type::Bytes { .. }, Cell::Bytes(bytes)) => Value::Bytes(bytes.into()),
        (Type::Uuid, Cell::Bytes(bytes)) => uuid(&text(bytes)?)?,
        (Type::Native { name, .. }, cell) => native(name, cell)?,
        (Type::Date, Cell::Date(year, month, day, ..)) => temporal::date(year, month, day),
        (Type::Timestamp { .. }, cell @ Cell::Date(..)) => moment(cell, temporal::timestamp)?,
        (Type::Instant { .. }, cell @ Cell::Date(..)) => moment(cell, temporal::instant_of_fields)?,
        (Type::Time { .. }, Cell::Time(negative, days, hours, minutes, seconds, us)) => {
            let hours = u64::from(days) * 24 + u64::from(hours);
            let us = temporal::duration_us(hours, minutes.into(), seconds.into(), us.into())?;
            Value::Time(if negative { -us } else { us })
        }
        _ => return Err(internal("a value of another type than planned")),
    })
}

/// A value of a type that crosses only into itself.
fn native(name: &str, cell: Cell) -> Result<Value> {
    let address = |error| Error::new(Kind::Value, "an address that is none").caused_by(error);
    Ok(match (name, cell) {
        ("bit", cell) => whole(cell)?,
        ("inet4", Cell::Bytes(bytes)) => {
            let parsed = text(bytes)?.parse::<Ipv4Addr>().map_err(address)?;
            Value::Text(parsed.to_string().into())
        }
        ("inet6", Cell::Bytes(bytes)) => {
            let parsed = text(bytes)?.parse::<Ipv6Addr>().map_err(address)?;
            Value::Text(parsed.to_string().into())
        }
        (name, Cell::Bytes(bytes)) if name.starts_with("set(") => Value::Text(text(bytes)?.into()),
        (_, Cell::Bytes(bytes)) => Value::Bytes(bytes.into()),
        _ => return Err(internal("a value of another type than planned")),
    })
}

/// The character set of a text that is read as its bytes.
fn as_bytes(column: &Column, flavor: Flavor) -> Result<Option<Charset>> {
    let name = match (&column.ty, column.charset.as_deref()) {
        (Type::Char { .. } | Type::Text { .. }, Some(name)) if name != "utf8mb4" => name,
        _ => return Ok(None),
    };
    let known = Charset::named(name, flavor == Flavor::Mariadb);
    known.map(Some).ok_or_else(|| internal("a planned column of an unknown character set"))
}

fn moment(cell: Cell, make: fn(u16, u8, u8, i64) -> Value) -> Result<Value> {
    let Cell::Date(year, month, day, hour, minute, second, us) = cell else {
        return Err(internal("a date that is none"));
    };
    let time = temporal::clock_us(hour.into(), minute.into(), second.into(), us.into())?;
    Ok(make(year, month, day, time))
}

/// A whole number; bits come as bytes, highest first.
pub(super) fn whole(cell: Cell) -> Result<Value> {
    match cell {
        Cell::Int(number) => Ok(Value::Int(number)),
        Cell::UInt(number) => Ok(Value::from_u64(number)),
        Cell::Bytes(bytes) if bytes.len() <= 8 => {
            let number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
            Ok(Value::from_u64(number))
        }
        // What `enum + 0` is, on both servers.
        Cell::Double(number) => Ok(Value::Int(number as i64)),
        _ => Err(internal("a number that is none")),
    }
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes)
        .map_err(|error| Error::new(Kind::Value, "text that is not UTF-8").caused_by(error))
}

/// Without the leading zeros of ZEROFILL.
fn decimal(text: &str) -> Result<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return Err(Error::new(Kind::Value, "a decimal that is none"));
    }
    let digits = digits.trim_start_matches('0');
    let zero = if digits.is_empty() || digits.starts_with('.') { "0" } else { "" };
    Ok(format!("{sign}{zero}{digits}"))
}

fn uuid(text: &str) -> Result<Value> {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    match u128::from_str_radix(&digits, 16) {
        Ok(number) if digits.len() == 32 => Ok(Value::Uuid(number.to_be_bytes())),
        _ => Err(Error::new(Kind::Value, "a UUID that is none")),
    }
}
