//! A change as bounded JSON, for the people who read the record of it.
//!
//! Holds the columns that the plan carries and no others: what is ignored stays at the source. Of a
//! column that is sensitive it holds a salted hash, so that equal values can be told and none can be
//! read. A long value is cut, and what exceeds the whole is left out and counted. Not made to be read
//! back: a row that is tried again is read at its source.

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};

use crate::model::calendar::{write_date, write_moment, write_time};
use crate::model::value::Special;
use crate::model::{Change, Op, Row, Table, Value};
use crate::plan::key::hex;
use crate::plan::{Act, TablePlan};
use crate::transform::text::format_uuid;

/// Bytes of one value's text at most; of a longer one the beginning is kept.
const VALUE_BYTES_MAX: usize = 4 << 10;
/// Bytes of a whole record at most.
pub const RECORD_BYTES_MAX: usize = 256 << 10;
/// Bytes of one image at most, of which a record holds two: half, without what is around them.
const IMAGE_BYTES_MAX: usize = RECORD_BYTES_MAX / 2 - 64;
/// Integers of which every reader of JSON keeps each digit.
const EXACT_MAX: u64 = (1 << 53) - 1;
/// Digits of a decimal of which every reader of JSON keeps each.
const EXACT_DIGITS: usize = 15;

/// A change with the names and values of the source: `before` and `after`, as far as they are known.
pub fn recorded(table: &TablePlan, change: &Change, salt: &str) -> String {
    let mut record = Record::of("source", salt);
    match &change.op {
        Op::Insert { after } => record.image("after", source_image(table, after)),
        Op::Update { before, after } => {
            if let Some(before) = before {
                record.image("before", source_image(table, before.row()));
            }
            record.image("after", source_image(table, after));
        }
        Op::Delete { before } => record.image("before", source_image(table, before.row())),
        Op::Truncate => {}
    }
    record.finish()
}

/// What was to be done, with the names and values of the target: the `key` it changes or deletes by,
/// and the `values`.
pub fn recorded_act(table: &TablePlan, act: &Act, salt: &str) -> String {
    let mut record = Record::of("target", salt);
    match act {
        Act::Upsert { columns, row } | Act::Update { columns, row } => {
            record.image("values", target_image(table, columns.as_deref(), row));
        }
        Act::Rekey { old, columns, row } => {
            record.image("key", target_image(table, Some(&table.key), old));
            record.image("values", target_image(table, columns.as_deref(), row));
        }
        Act::Delete { key } | Act::Note { key } => {
            record.image("key", target_image(table, Some(&table.key), key));
        }
        Act::Truncate => {}
    }
    record.finish()
}

/// One value as JSON, or the hash that stands for it; `None` for one that is not known.
pub fn recorded_value(value: &Value, sensitive: bool, salt: &str) -> Option<String> {
    match (sensitive, value) {
        (_, value) if !value.is_known() => None,
        (true, value) if *value != Value::Null => Some(quoted(&hash(salt, value))),
        (_, value) => Some(shown(value)),
    }
}

/// A key as a list of values.
pub fn recorded_key(key: &[Value]) -> String {
    let values: Vec<String> = key.iter().map(shown).collect();
    format!("[{}]", values.join(", "))
}

/// One value of a row under its name.
struct Member<'a> {
    name: &'a str,
    value: &'a Value,
    sensitive: bool,
}

/// A row of the source.
fn source_image<'a>(table: &'a TablePlan, row: &'a Row) -> impl Iterator<Item = Member<'a>> {
    table.columns.iter().filter_map(|column| {
        let value = row.get(column.source)?;
        Some(Member {
            name: name(&table.source, column.source)?,
            value,
            sensitive: column.sensitive,
        })
    })
}

/// Values for the target; `None` for those of every column.
fn target_image<'a>(
    table: &'a TablePlan,
    columns: Option<&'a [usize]>,
    row: &'a Row,
) -> impl Iterator<Item = Member<'a>> {
    row.iter().enumerate().filter_map(move |(at, value)| {
        let index = columns.map_or(Some(at), |columns| columns.get(at).copied())?;
        let column = table.columns.get(index)?;
        Some(Member {
            name: name(&table.target, column.target)?,
            value,
            sensitive: column.sensitive,
        })
    })
}

fn name(table: &Table, column: usize) -> Option<&str> {
    table.columns.get(column).map(|column| column.name.as_str())
}

/// A record that is being written.
struct Record<'a> {
    salt: &'a str,
    text: String,
    /// Values that are left out because there is no room.
    cut: usize,
}

impl<'a> Record<'a> {
    fn of(side: &str, salt: &'a str) -> Record<'a> {
        Record { salt, text: format!("{{\"of\":\"{side}\""), cut: 0 }
    }

    fn image<'m>(&mut self, name: &str, members: impl Iterator<Item = Member<'m>>) {
        let start = self.text.len();
        self.text.push_str(&format!(",\"{name}\":{{"));
        let mut separator = "";
        for member in members.filter(|member| member.value.is_known()) {
            let value = recorded_value(member.value, member.sensitive, self.salt);
            let value = value.unwrap_or_default();
            let member = format!("{separator}{}:{value}", quoted(member.name));
            if self.text.len() - start + member.len() < IMAGE_BYTES_MAX {
                self.text.push_str(&member);
                separator = ",";
            } else {
                self.cut += 1;
            }
        }
        self.text.push('}');
    }

    fn finish(mut self) -> String {
        if self.cut > 0 {
            self.text.push_str(&format!(",\"cut\":{}", self.cut));
        }
        self.text.push('}');
        self.text
    }
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    // A string always has a JSON form; `Value::from` escapes it without a fallible writer.
    serde_json::Value::from(text).to_string()
}

/// A value as JSON; a long one is cut.
pub(crate) fn shown(value: &Value) -> String {
    if let Some(literal) = literal(value) {
        return literal;
    }
    let mut start = Start { text: String::new(), cut: false };
    // It refuses more once it is full, which is no failure here.
    let full = write!(start, "{}", Plain(value)).is_err();
    if full || start.cut {
        start.text.push_str(&format!("… ({} bytes)", value.heap_bytes()));
    }
    quoted(&start.text)
}

/// The JSON of a value that is no string there.
fn literal(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("null".to_owned()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Int(number) if number.unsigned_abs() <= EXACT_MAX => Some(number.to_string()),
        Value::Decimal(text) => {
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            let number =
                digits <= EXACT_DIGITS && serde_json::from_str::<serde_json::Number>(text).is_ok();
            number.then(|| text.to_string())
        }
        // By its own shortest text: widened, 0.1 would be 0.10000000149011612.
        Value::F32(number) => finite(number.to_string().parse().ok()?),
        Value::F64(number) => finite(*number),
        _ => None,
    }
}

fn finite(number: f64) -> Option<String> {
    serde_json::Number::from_f64(number).map(|number| number.to_string())
}

/// The hash that stands for a value: of the salt, and the value's whole text behind it.
fn hash(salt: &str, value: &Value) -> String {
    let mut hashed = Hashed(Sha256::new_with_prefix(salt));
    // Neither the text nor the hash can fail.
    write!(hashed, "{}", Plain(value)).ok();
    format!("sha256:{}", hex(&hashed.0.finalize()))
}

/// Takes a text for its hash only.
struct Hashed(Sha256);

impl Write for Hashed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text);
        Ok(())
    }
}

/// Keeps the beginning of a text, up to [`VALUE_BYTES_MAX`], and refuses the rest.
struct Start {
    text: String,
    cut: bool,
}

impl Write for Start {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = VALUE_BYTES_MAX - self.text.len();
        let fits = text.floor_char_boundary(room.min(text.len()));
        self.text.push_str(text.get(..fits).unwrap_or_default());
        self.cut |= fits < text.len();
        if self.cut { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The text of a value: what is no text by itself as ISO or PostgreSQL writes it.
struct Plain<'a>(&'a Value);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null | Value::Unchanged | Value::EnumInvalid => Ok(()),
            Value::Bool(truth) => write!(f, "{truth}"),
            Value::Int(number) => write!(f, "{number}"),
            Value::UInt(number) => write!(f, "{number}"),
            Value::Decimal(text) | Value::Text(text) | Value::Json(text) | Value::Enum(text) => {
                f.write_str(text)
            }
            Value::DecimalSpecial(special) => write!(f, "{special}"),
            Value::F32(number) => write_float(f, f64::from(*number), number),
            Value::F64(number) => write_float(f, *number, number),
            Value::Bytes(bytes) => {
                f.write_str("\\x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Value::Date(days) => {
                let suffix = write_date(f, i64::from(*days))?;
                f.write_str(suffix)
            }
            Value::Time(us) => write_time(f, *us),
            Value::Timestamp(us) => write_moment(f, *us, ""),
            Value::Instant(us) => write_moment(f, *us, "+00"),
            Value::Infinity => f.write_str("infinity"),
            Value::NegativeInfinity => f.write_str("-infinity"),
            Value::InvalidDate(date) => {
                write!(f, "{:04}-{:02}-{:02}", date.year, date.month, date.day)?;
                if date.time_us == 0 {
                    return Ok(());
                }
                f.write_char(' ')?;
                write_time(f, date.time_us)
            }
            Value::Uuid(bytes) => f.write_str(&format_uuid(bytes)),
        }
    }
}

/// A float by its shortest text, or what it is instead of a number.
fn write_float(
    f: &mut fmt::Formatter<'_>,
    number: f64,
    shortest: &dyn fmt::Display,
) -> fmt::Result {
    match Special::of(number) {
        Some(special) => write!(f, "{special}"),
        None => write!(f, "{shortest}"),
    }
}

#[cfg(test)]
mod tests;
