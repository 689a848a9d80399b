//! Rows as `COPY … FROM STDIN (FORMAT binary)` takes them, for tables whose columns are all of the types
//! below: a server reads them in three quarters of the time that it needs for text. Other types go as
//! text ([`super::copy`]), because the form of theirs is not promised to stay.
//!
//! What PostgreSQL cannot hold is the same error as of a parameter. Source: PostgreSQL manual, "COPY",
//! "Binary Format"; `numeric_recv`, `jsonb_recv` and the like of the server's `utils/adt`.

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{Kind as TypeKind, Type as Builtin};

use super::{Place, write_value};
use crate::error::{Error, Kind, Result};
use crate::model::calendar::DAY_US;
use crate::model::schema::JsonKind;
use crate::model::value::Special;
use crate::model::{Column, Row, Type, Value};

/// What comes before the first row: signature, no flags, no extension.
pub const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What comes after the last one.
pub const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// Digits of a numeric travel four at a time.
const DIGITS: usize = 4;
/// The sign of a numeric: none, minus, and those that are no numbers.
const POSITIVE: u16 = 0;
const NEGATIVE: u16 = 0x4000;

/// Whether a type of the server, that below a domain, is the one whose form a column's values are written in.
/// Another's form may be taken without an error and be another value: what is a number to one is the scale
/// of a numeric to the other.
pub fn is_form_of(builtin: &Builtin, column: &Column) -> bool {
    match column.ty {
        Type::Bool => *builtin == Builtin::BOOL,
        Type::Int { bits: 16, .. } => *builtin == Builtin::INT2,
        Type::Int { bits: 32, .. } => *builtin == Builtin::INT4,
        Type::Int { bits: 64, .. } => *builtin == Builtin::INT8,
        Type::Decimal(_) => *builtin == Builtin::NUMERIC,
        Type::F32 => *builtin == Builtin::FLOAT4,
        Type::F64 => *builtin == Builtin::FLOAT8,
        Type::Char { .. } => *builtin == Builtin::BPCHAR,
        Type::Text { .. } => matches!(*builtin, Builtin::VARCHAR | Builtin::TEXT),
        Type::Bytes { .. } => *builtin == Builtin::BYTEA,
        Type::Date => *builtin == Builtin::DATE,
        Type::Time { .. } => *builtin == Builtin::TIME,
        Type::Timestamp { .. } => *builtin == Builtin::TIMESTAMP,
        Type::Instant { .. } => *builtin == Builtin::TIMESTAMPTZ,
        Type::Uuid => *builtin == Builtin::UUID,
        Type::Json(JsonKind::Verbatim) => *builtin == Builtin::JSON,
        Type::Json(JsonKind::Binary) => *builtin == Builtin::JSONB,
        Type::Enum { .. } => matches!(builtin.kind(), TypeKind::Enum(_)),
        _ => false,
    }
}

/// Writes one row; `layout` says what each of its values is.
///
/// # Errors
/// As of a parameter: `Value` where the target cannot hold it.
pub fn write_row(row: &Row, layout: &[Place<'_>], out: &mut BytesMut) -> Result<()> {
    let count = i16::try_from(row.len());
    out.put_i16(count.map_err(|_| Error::new(Kind::Internal, "a row of too many columns"))?);
    for (value, place) in row.iter().zip(layout) {
        let start = out.len();
        out.put_i32(-1);
        if write_field(value, place, out)? {
            let length = i32::try_from(out.len() - start - 4).map_err(|_| too_long(place))?;
            if let Some(slot) = out.get_mut(start..start + 4) {
                slot.copy_from_slice(&length.to_be_bytes());
            }
        }
    }
    Ok(())
}

/// False for NULL, which writes nothing.
fn write_field(value: &Value, place: &Place<'_>, out: &mut BytesMut) -> Result<bool> {
    match (&place.column.ty, value) {
        (Type::Bool, Value::Bool(value)) => out.put_u8(u8::from(*value)),
        (Type::Int { bits: 64, .. }, Value::Int(number)) => out.put_i64(*number),
        (Type::Int { bits: 32, .. }, Value::Int(number)) => {
            out.put_i32(i32::try_from(*number).map_err(|_| unlike(place))?);
        }
        (Type::Int { .. }, Value::Int(number)) => {
            out.put_i16(i16::try_from(*number).map_err(|_| unlike(place))?);
        }
        (Type::F32, Value::F32(number)) => out.put_f32(*number),
        (Type::F64, Value::F64(number)) => out.put_f64(*number),
        (Type::Decimal(_), Value::Decimal(text)) => {
            write_numeric(text, out).ok_or_else(|| unlike(place))?;
        }
        (Type::Decimal(_), Value::DecimalSpecial(special)) => {
            let sign = match special {
                Special::NaN => 0xC000,
                Special::Infinity => 0xD000,
                Special::NegativeInfinity => 0xF000,
            };
            put_numeric(&[], 0, sign, 0, out);
        }
        (Type::Date, Value::Date(days)) => out.put_i32(*days),
        (Type::Date, Value::Infinity) => out.put_i32(i32::MAX),
        (Type::Date, Value::NegativeInfinity) => out.put_i32(i32::MIN),
        (Type::Timestamp { .. }, Value::Timestamp(us)) | (Type::Instant { .. }, Value::Instant(us)) => {
            out.put_i64(*us);
        }
        (Type::Timestamp { .. } | Type::Instant { .. }, Value::Infinity) => out.put_i64(i64::MAX),
        (Type::Timestamp { .. } | Type::Instant { .. }, Value::NegativeInfinity) => {
            out.put_i64(i64::MIN);
        }
        (Type::Time { .. }, Value::Time(us)) if (0..=DAY_US).contains(us) => {
            out.put_i64(*us);
        }
        (Type::Uuid, Value::Uuid(bytes)) => out.put_slice(bytes),
        (Type::Json(JsonKind::Binary), Value::Json(_)) => {
            out.put_u8(1);
            return write_value(value, place, out);
        }
        (Type::Char { .. } | Type::Text { .. }, Value::Text(_))
        | (Type::Json(_), Value::Json(_))
        | (Type::Enum { .. }, Value::Enum(_))
        | (Type::Bytes { .. }, Value::Bytes(_))
        // Refused there, but for NULL where that may be.
        | (_, Value::Null | Value::Unchanged | Value::InvalidDate(_) | Value::EnumInvalid)
        | (Type::Time { .. }, Value::Time(_)) => return write_value(value, place, out),
        _ => return Err(unlike(place)),
    }
    Ok(true)
}

/// A decimal in plain notation; `None` if it is not one.
fn write_numeric(text: &str, out: &mut BytesMut) -> Option<()> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (NEGATIVE, text),
        None => (POSITIVE, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_empty = whole.is_empty();
    let whole = whole.trim_start_matches('0');
    let all = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    if is_empty || !all(whole) || !all(fraction) {
        return None;
    }
    // The first group may be short at its beginning, the last one at its end.
    let (first, rest) = whole.split_at_checked(whole.len() % DIGITS)?;
    let mut groups: Vec<i16> = Vec::with_capacity(text.len() / DIGITS + 2);
    groups.extend((!first.is_empty()).then(|| group(first.as_bytes())));
    let chunks = |text: &str| text.len().div_ceil(DIGITS);
    // From -1, where there are no digits before the point, to the most that a numeric can have.
    let weight = i32::try_from(groups.len() + chunks(rest)).ok()? - 1;
    let weight = i16::try_from(weight).ok()?;
    groups.extend(rest.as_bytes().chunks(DIGITS).map(group));
    groups.extend(fraction.as_bytes().chunks(DIGITS).map(|digits| {
        let short = u32::try_from(DIGITS - digits.len()).unwrap_or_default();
        group(digits) * 10_i16.pow(short)
    }));
    put_numeric(&groups, weight, sign, u16::try_from(fraction.len()).ok()?, out);
    Some(())
}

/// The number of at most four digits.
fn group(digits: &[u8]) -> i16 {
    digits.iter().fold(0, |number, digit| number * 10 + i16::from(digit - b'0'))
}

fn put_numeric(groups: &[i16], weight: i16, sign: u16, scale: u16, out: &mut BytesMut) {
    out.put_u16(u16::try_from(groups.len()).unwrap_or(u16::MAX));
    out.put_i16(weight);
    out.put_u16(sign);
    out.put_u16(scale);
    groups.iter().for_each(|group| out.put_i16(*group));
}

fn unlike(place: &Place<'_>) -> Error {
    let context =
        format!("column {} of {}: a value of another type", place.column.name, place.table);
    Error::new(Kind::Internal, context)
}

fn too_long(place: &Place<'_>) -> Error {
    let context =
        format!("column {} of {}: a value of 2 GiB or more", place.column.name, place.table);
    Error::new(Kind::Value, context)
}

#[cfg(test)]
mod tests {
    use postgres_protocol::types::{date_from_sql, timestamp_from_sql};

    use super::*;
    use crate::model::TableName;
    use crate::postgres::sql::tests::every_type;

    fn written(ty: &str, value: &Value) -> Result<Option<Vec<u8>>> {
        let table = TableName::new("shop", "t");
        let columns = every_type();
        let column = columns.iter().find(|column| column.native.starts_with(ty)).expect("a column");
        let place = Place { table: &table, column, key: false };
        let mut out = BytesMut::new();
        Ok(write_field(value, &place, &mut out)?.then(|| out.to_vec()))
    }

    /// What the server makes of a numeric's bytes, which it prints by their groups, weight and scale.
    fn printed(bytes: &[u8]) -> String {
        let number = |at: usize| i16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let (count, weight, scale) = (number(0), number(2), number(6));
        assert_eq!(bytes.len(), 8 + 2 * count as usize);
        let group =
            |at: i16| if (0..count).contains(&at) { number(8 + 2 * at as usize) } else { 0 };
        let whole: String = (0..=weight).map(|at| format!("{:04}", group(at))).collect();
        let fraction: String =
            (0..=scale / 4).map(|at| format!("{:04}", group(weight + 1 + at))).collect();
        let whole = whole.trim_start_matches('0');
        let sign = if number(4) == 0 { "" } else { "-" };
        let point = if scale > 0 { "." } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        format!("{sign}{whole}{point}{}", &fraction[..scale as usize])
    }

    /// Broken if a decimal became another, or lost the zeros that it was shown with.
    #[test]
    fn decimals_keep_every_digit() {
        for text in [
            "0",
            "0.00",
            "7",
            "-7.10",
            "1234",
            "12345",
            "10000",
            "0.0001",
            "0.00001",
            "123456789.987654321",
            "-99999999.9999",
            "0.5",
            "100000000000000000000000000000000.000000000000000000000000000001",
        ] {
            let value = Value::Decimal((*text).into());
            let bytes = written("numeric", &value).expect("fits").expect("not NULL");
            assert_eq!(printed(&bytes), text);
        }
        // As many as a numeric can have.
        let longest = Value::Decimal("9".repeat(131_072).into());
        let bytes = written("numeric", &longest).expect("fits").expect("not NULL");
        assert_eq!(bytes[..4], [0x80, 0, 0x7F, 0xFF]);
        let value = Value::DecimalSpecial(Special::NegativeInfinity);
        let bytes = written("numeric", &value).expect("fits").expect("not NULL");
        assert_eq!(bytes, [0, 0, 0, 0, 0xF0, 0, 0, 0]);
        for text in ["1e5", "", "a", "1.2.3", "--1"] {
            assert!(written("numeric", &Value::Decimal(text.into())).is_err(), "{text}");
        }
    }

    /// Broken if a value's bytes were not those of its column's type.
    #[test]
    fn values_have_their_columns_form() {
        let bytes = |ty: &str, value: Value| written(ty, &value).expect("fits").expect("not NULL");
        assert_eq!(bytes("bigint", Value::Int(-2)), (-2_i64).to_be_bytes());
        assert_eq!(bytes("integer", Value::Int(-2)), (-2_i32).to_be_bytes());
        assert_eq!(bytes("smallint", Value::Int(-2)), (-2_i16).to_be_bytes());
        assert_eq!(bytes("boolean", Value::Bool(true)), [1]);
        assert_eq!(bytes("real", Value::F32(0.1)), 0.1_f32.to_be_bytes());
        assert_eq!(bytes("double", Value::F64(-0.0)), (-0.0_f64).to_be_bytes());
        assert_eq!(bytes("json", Value::Json("{}".into())), b"{}");
        assert_eq!(bytes("jsonb", Value::Json("{}".into())), b"\x01{}");
        assert_eq!(bytes("character(3)", Value::Text("a".into())), b"a");
        assert_eq!(bytes("public", Value::Enum("b".into())), b"b");
        assert_eq!(bytes("bytea", Value::Bytes(vec![0, 255].into())), [0, 255]);
        assert_eq!(date_from_sql(&bytes("date", Value::Date(-3))).expect("a date"), -3);
        let moment = bytes("timestamp with time", Value::Instant(-3));
        assert_eq!(timestamp_from_sql(&moment).expect("a moment"), -3);
        assert_eq!(bytes("timestamp without", Value::Infinity), i64::MAX.to_be_bytes());
        assert_eq!(written("bigint", &Value::Null).expect("NULL"), None);
    }

    /// Broken if what the server cannot hold, or a value of another type, were sent all the same.
    #[test]
    fn what_does_not_belong_is_refused() {
        for (ty, value, kind) in [
            ("json", Value::Json("\"a\0\"".into()), Kind::Value),
            ("character varying", Value::Text("a\0".into()), Kind::Value),
            ("time(3)", Value::Time(-1), Kind::Value),
            ("public", Value::EnumInvalid, Kind::Value),
            ("smallint", Value::Int(1 << 20), Kind::Internal),
            ("bigint", Value::Text("1".into()), Kind::Internal),
            ("boolean", Value::Unchanged, Kind::Internal),
        ] {
            assert_eq!(written(ty, &value).expect_err("refused").kind(), kind, "{ty}");
        }
    }

    /// Broken if a row's fields were counted or measured wrong.
    #[test]
    fn rows_are_counted_and_measured() {
        let table = TableName::new("shop", "t");
        let columns = every_type();
        let place = |at: usize| Place { table: &table, column: &columns[at], key: false };
        let layout = [place(3), place(1), place(1)];
        let row = Row::from(vec![Value::Int(1), Value::Null, Value::Text("ab".into())]);
        let mut out = BytesMut::new();
        write_row(&row, &layout, &mut out).expect("fits");
        assert_eq!(&out[..], b"\0\x03\0\0\0\x02\0\x01\xff\xff\xff\xff\0\0\0\x02ab");
    }
}
