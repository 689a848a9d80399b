//! Values as text, and literals as values of a kind: how `map`, `null_if`, `one_of` and their like
//! compare, and how defaults come into being.

use bytestring::ByteString;

use super::dates;
use super::kind::Kind;
use super::literal::Literal;
use super::number::Number;
use crate::model::{Value, calendar};
use crate::transform::text;

/// A scalar as text, each value in one spelling; `None` for bytes and what is no scalar.
pub(super) fn text_of(value: &Value) -> Option<ByteString> {
    let mut out = String::new();
    let written = match value {
        Value::Bool(truth) => return Some(ByteString::from(truth.to_string())),
        Value::Int(number) => return Some(ByteString::from(number.to_string())),
        Value::UInt(number) => return Some(ByteString::from(number.to_string())),
        Value::Decimal(digits) => {
            return Number::parse(digits).map(|number| ByteString::from(number.to_string()));
        }
        Value::DecimalSpecial(special) => return Some(ByteString::from(special.to_string())),
        Value::F32(float) => return Some(ByteString::from(float.to_string())),
        Value::F64(float) => return Some(ByteString::from(float.to_string())),
        Value::Text(text) | Value::Enum(text) | Value::Json(text) => return Some(text.clone()),
        Value::EnumInvalid => return Some(ByteString::new()),
        Value::Uuid(uuid) => return Some(text::format_uuid(uuid)),
        Value::Date(days) => calendar::write_date(&mut out, i64::from(*days))
            .and_then(|suffix| std::fmt::Write::write_str(&mut out, suffix)),
        Value::Time(us) => calendar::write_time(&mut out, *us),
        Value::Timestamp(us) => calendar::write_moment(&mut out, *us, ""),
        Value::Instant(us) => calendar::write_moment(&mut out, *us, "+00"),
        Value::Infinity => return Some(ByteString::from_static("infinity")),
        Value::NegativeInfinity => return Some(ByteString::from_static("-infinity")),
        _ => return None,
    };
    written.ok().map(|()| ByteString::from(out))
}

/// A literal as a value of `kind`; the error says what it would have to be.
pub(super) fn value_of(literal: &Literal, kind: Kind) -> Result<Value, String> {
    let wrong = || format!("{} is not {kind}", literal.json());
    let value = match (kind, literal) {
        (Kind::Bool, Literal::Bool(truth)) => Some(Value::Bool(*truth)),
        (Kind::Bool | Kind::Int | Kind::Decimal, Literal::Int(number)) => Some(Value::Int(*number)),
        (Kind::Int, Literal::Text(digits)) => digits.parse().ok().map(Value::Int),
        (Kind::Decimal, Literal::Number(digits) | Literal::Text(digits)) => {
            Number::parse(digits).map(|number| Value::Decimal(number.to_string().into()))
        }
        (Kind::Float, Literal::Int(number)) => Some(Value::F64(*number as f64)),
        (Kind::Float, Literal::Number(digits)) => digits.parse().ok().map(Value::F64),
        (Kind::Text, Literal::Text(text)) => Some(Value::Text(text.as_str().into())),
        (Kind::Enum, Literal::Text(text)) => Some(Value::Enum(text.as_str().into())),
        (Kind::Json, Literal::Text(text)) => Some(Value::Json(text.as_str().into())),
        (Kind::Uuid, Literal::Text(uuid)) => text::parse_uuid(uuid, false).ok().map(Value::Uuid),
        (Kind::Date | Kind::Time | Kind::Timestamp | Kind::Instant, Literal::Text(text)) => {
            dates::literal(text, kind)
        }
        _ => None,
    };
    value.ok_or_else(wrong)
}

/// The kind that a literal has by itself.
pub(super) fn natural(literal: &Literal) -> Option<Kind> {
    match literal {
        Literal::Bool(_) => Some(Kind::Bool),
        Literal::Int(_) => Some(Kind::Int),
        Literal::Number(_) => Some(Kind::Decimal),
        Literal::Text(_) => Some(Kind::Text),
        Literal::List(_) | Literal::Table(_) => None,
    }
}

/// A literal as text, as [`text_of`] writes the value it means.
pub(super) fn key_of(literal: &Literal) -> Option<ByteString> {
    match literal {
        Literal::Number(digits) => {
            Number::parse(digits).map(|number| ByteString::from(number.to_string()))
        }
        _ => natural(literal).and_then(|kind| text_of(&value_of(literal, kind).ok()?)),
    }
}
