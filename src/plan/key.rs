//! The text of a match key as it is kept in `weir.missed`: a JSON array of `[tag, text]` pairs.
//!
//! Exact for every value: reading the text back yields the same values bit for bit, so that a note
//! can be settled by comparing texts and a row can be read again by its key. The text is
//! deterministic. It is not meant for people, and not a canonical form: `1.10` and `1.1` differ.

use bytes::Bytes;
use bytestring::ByteString;

use crate::error::{Error, Kind, Result};
use crate::model::value::{InvalidDate, Special};
use crate::model::{Row, Value};

/// The text of a key's values, in key order.
pub fn key_text(key: &[Value]) -> String {
    let mut text = String::with_capacity(16 * key.len() + 2);
    text.push('[');
    for (index, value) in key.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        let (tag, body) = write_value(value);
        text.push_str("[\"");
        text.push_str(tag);
        text.push_str("\",");
        // A string always has a JSON form; `Value::from` escapes it without a fallible writer.
        text.push_str(&serde_json::Value::from(body).to_string());
        text.push(']');
    }
    text.push(']');
    text
}

/// The values of a text made by [`key_text`]. An error of kind `Malformed` says what is wrong; it
/// does not repeat the text.
pub fn parse_key(text: &str) -> Result<Row> {
    let pairs: Vec<(String, String)> = serde_json::from_str(text).map_err(|error| {
        let at = format!("at column {}", error.column());
        malformed(&format!("the text is no list of pairs ({at})"))
    })?;
    pairs.into_iter().map(|(tag, body)| read_value(&tag, body)).collect()
}

fn malformed(what: &str) -> Error {
    Error::new(Kind::Malformed, format!("a stored key cannot be read: {what}"))
        .hint("weir.missed holds a row that this weir did not write; delete that row")
}

fn write_value(value: &Value) -> (&'static str, String) {
    match value {
        Value::Null => ("null", String::new()),
        Value::Unchanged => ("unchanged", String::new()),
        Value::Bool(value) => ("bool", value.to_string()),
        Value::Int(value) => ("int", value.to_string()),
        Value::UInt(value) => ("uint", value.to_string()),
        Value::Decimal(text) => ("decimal", text.to_string()),
        Value::DecimalSpecial(special) => ("decimal_special", special_name(*special).to_owned()),
        Value::F32(value) => ("f32", format!("{:08x}", value.to_bits())),
        Value::F64(value) => ("f64", format!("{:016x}", value.to_bits())),
        Value::Text(text) => ("text", text.to_string()),
        Value::Bytes(bytes) => ("bytes", hex(bytes)),
        Value::Date(days) => ("date", days.to_string()),
        Value::Time(us) => ("time", us.to_string()),
        Value::Timestamp(us) => ("timestamp", us.to_string()),
        Value::Instant(us) => ("instant", us.to_string()),
        Value::Infinity => ("infinity", String::new()),
        Value::NegativeInfinity => ("negative_infinity", String::new()),
        Value::InvalidDate(date) => {
            ("invalid_date", format!("{} {} {} {}", date.year, date.month, date.day, date.time_us))
        }
        Value::Uuid(bytes) => ("uuid", hex(bytes)),
        Value::Json(text) => ("json", text.to_string()),
        Value::Enum(label) => ("enum", label.to_string()),
        Value::EnumInvalid => ("enum_invalid", String::new()),
    }
}

fn read_value(tag: &str, body: String) -> Result<Value> {
    Ok(match tag {
        "null" => Value::Null,
        "unchanged" => Value::Unchanged,
        "bool" => Value::Bool(number(&body)?),
        "int" => Value::Int(number(&body)?),
        "uint" => Value::UInt(number(&body)?),
        "decimal" => Value::Decimal(ByteString::from(body)),
        "decimal_special" => Value::DecimalSpecial(read_special(&body)?),
        "f32" => Value::F32(f32::from_bits(bits(&body, 8)? as u32)),
        "f64" => Value::F64(f64::from_bits(bits(&body, 16)?)),
        "text" => Value::Text(ByteString::from(body)),
        "bytes" => Value::Bytes(Bytes::from(unhex(&body)?)),
        "date" => Value::Date(number(&body)?),
        "time" => Value::Time(number(&body)?),
        "timestamp" => Value::Timestamp(number(&body)?),
        "instant" => Value::Instant(number(&body)?),
        "infinity" => Value::Infinity,
        "negative_infinity" => Value::NegativeInfinity,
        "invalid_date" => Value::InvalidDate(read_invalid_date(&body)?),
        "uuid" => Value::Uuid(
            unhex(&body)?.try_into().map_err(|_| malformed("a uuid is not 16 bytes long"))?,
        ),
        "json" => Value::Json(ByteString::from(body)),
        "enum" => Value::Enum(ByteString::from(body)),
        "enum_invalid" => Value::EnumInvalid,
        _ => return Err(malformed("a tag is unknown")),
    })
}

fn number<T: std::str::FromStr>(body: &str) -> Result<T> {
    body.parse().map_err(|_| malformed("a number or boolean does not parse"))
}

fn bits(body: &str, digits: usize) -> Result<u64> {
    if body.len() != digits {
        return Err(malformed("a float has the wrong length"));
    }
    u64::from_str_radix(body, 16).map_err(|_| malformed("a float does not parse"))
}

const fn special_name(special: Special) -> &'static str {
    match special {
        Special::NaN => "nan",
        Special::Infinity => "infinity",
        Special::NegativeInfinity => "negative_infinity",
    }
}

fn read_special(body: &str) -> Result<Special> {
    match body {
        "nan" => Ok(Special::NaN),
        "infinity" => Ok(Special::Infinity),
        "negative_infinity" => Ok(Special::NegativeInfinity),
        _ => Err(malformed("a special decimal is unknown")),
    }
}

fn read_invalid_date(body: &str) -> Result<InvalidDate> {
    let mut fields = body.split(' ');
    let mut next = || fields.next().ok_or_else(|| malformed("a date lacks a field"));
    Ok(InvalidDate {
        year: number(next()?)?,
        month: number(next()?)?,
        day: number(next()?)?,
        time_us: number(next()?)?,
    })
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(malformed("hexadecimal digits are not in pairs"));
    }
    pairs
        .iter()
        .map(|[high, low]| {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => Ok((high * 16 + low) as u8),
                _ => Err(malformed("a hexadecimal digit is none")),
            }
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any value.
    pub(crate) fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            Just(Value::Unchanged),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<u64>().prop_map(Value::UInt),
            "-?[0-9]{1,20}(\\.[0-9]{1,9})?".prop_map(|text| Value::Decimal(text.into())),
            prop_oneof![
                Just(Special::NaN),
                Just(Special::Infinity),
                Just(Special::NegativeInfinity)
            ]
            .prop_map(Value::DecimalSpecial),
            any::<f32>().prop_filter("equal to itself", |f| !f.is_nan()).prop_map(Value::F32),
            any::<f64>().prop_filter("equal to itself", |f| !f.is_nan()).prop_map(Value::F64),
            any::<String>().prop_map(|text| Value::Text(text.into())),
            any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())),
            any::<i32>().prop_map(Value::Date),
            any::<i64>().prop_map(Value::Time),
            any::<i64>().prop_map(Value::Timestamp),
            any::<i64>().prop_map(Value::Instant),
            Just(Value::Infinity),
            Just(Value::NegativeInfinity),
            (any::<u16>(), any::<u8>(), any::<u8>(), any::<i64>()).prop_map(
                |(year, month, day, time_us)| Value::InvalidDate(InvalidDate {
                    year,
                    month,
                    day,
                    time_us
                })
            ),
            any::<[u8; 16]>().prop_map(Value::Uuid),
            any::<String>().prop_map(|text| Value::Json(text.into())),
            any::<String>().prop_map(|text| Value::Enum(text.into())),
            Just(Value::EnumInvalid),
        ]
    }

    proptest! {
        /// Broken if a noted key could not be read back exactly: its row would never be refetched.
        #[test]
        fn every_key_reads_back(values in prop::collection::vec(value(), 0..5)) {
            let row = Row::from(values);
            prop_assert_eq!(parse_key(&key_text(&row)).unwrap(), row);
        }

        /// Broken if a damaged note could bring the link down.
        #[test]
        fn no_text_panics(text in any::<String>(), tag in "[a-z_0-9]{1,12}", body in any::<String>()) {
            let _ = parse_key(&text);
            let _ = parse_key(&serde_json::json!([[tag, body]]).to_string());
        }
    }

    /// Broken if the stored form changed: notes of an older weir would not be settled any more.
    #[test]
    fn the_form_is_stable() {
        let key = [Value::Int(-5), Value::Text("a\"b".into()), Value::F32(0.1)];
        assert_eq!(key_text(&key), r#"[["int","-5"],["text","a\"b"],["f32","3dcccccd"]]"#);
    }
}
