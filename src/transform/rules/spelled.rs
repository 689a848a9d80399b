//! Values as bytes and back: what `encrypt` encrypts and `decrypt` finds.
//!
//! One spelling per value: bytes as they are, everything else as UTF-8 text; decimals with the digits that they
//! have, floats in their shortest form, dates and times as ISO 8601 has them. What would not come back as it was
//! has no spelling.

use super::dates;
use super::kind::Kind;
use super::literal::Literal;
use super::number::Number;
use super::values::{text_of, value_of};
use crate::model::Value;
use crate::model::calendar::DAY_US;
use crate::model::value::Special;
use crate::transform::Reason;
use crate::transform::coerce::why_invalid;

/// A value's bytes.
///
/// # Errors
/// Where it has none from which it would come back.
pub(super) fn spelled(value: &Value, kind: Kind) -> Result<Vec<u8>, Reason> {
    let text = match value {
        Value::Bytes(bytes) if kind == Kind::Bytes => return Ok(bytes.to_vec()),
        Value::Decimal(digits) => digits.clone(),
        Value::InvalidDate(date) => return Err(why_invalid(date)),
        Value::EnumInvalid => return Err(Reason::EnumInvalid),
        value => text_of(value).ok_or(Reason::PairNeedsRule)?,
    };
    let back = read(text.as_bytes(), kind)?;
    let same = match (&back, value) {
        // A float that is none is not even itself.
        (Value::F64(back), Value::F64(float)) => {
            back.to_bits() == float.to_bits() || back.is_nan() && float.is_nan()
        }
        (Value::F64(_), Value::F32(_)) => true,
        (back, value) => back == value,
    };
    if same { Ok(text.as_bytes().to_vec()) } else { Err(Reason::Parse) }
}

/// The value of a kind that these bytes spell.
///
/// # Errors
/// `Parse` where they spell none.
pub(super) fn read(bytes: &[u8], kind: Kind) -> Result<Value, Reason> {
    if kind == Kind::Bytes {
        return Ok(Value::Bytes(bytes.to_vec().into()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Reason::Parse)?;
    let read = match kind {
        Kind::Bool => text.parse().ok().map(Value::Bool),
        Kind::Int => {
            let wide = || text.parse().ok().map(Value::from_u64);
            text.parse().ok().map(Value::Int).or_else(wide)
        }
        Kind::Decimal => decimal(text),
        Kind::Float => text.parse().ok().map(Value::F64),
        Kind::Time => time(text),
        Kind::Date | Kind::Timestamp | Kind::Instant => match text {
            "infinity" => Some(Value::Infinity),
            "-infinity" => Some(Value::NegativeInfinity),
            text => dates::literal(text, kind),
        },
        Kind::Other => None,
        kind => value_of(&Literal::Text(text.to_owned()), kind).ok(),
    };
    read.ok_or(Reason::Parse)
}

/// Plain digits, as many as there are.
fn decimal(text: &str) -> Option<Value> {
    let specials = [Special::NaN, Special::Infinity, Special::NegativeInfinity];
    if let Some(special) = specials.into_iter().find(|special| special.to_string() == text) {
        return Some(Value::DecimalSpecial(special));
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.starts_with(|first: char| first.is_ascii_digit()) && !digits.ends_with('.');
    Number::parse(text).filter(|_| plain).map(|_| Value::Decimal(text.into()))
}

/// A time, which may be longer than a day or negative.
fn time(text: &str) -> Option<Value> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (hours, rest) = rest.split_once(':')?;
    let Value::Time(us) = dates::literal(&format!("00:{rest}"), Kind::Time)? else { return None };
    let hours: i64 = hours.parse().ok().filter(|hours| (0..=838 * DAY_US).contains(hours))?;
    let us = hours.checked_mul(DAY_US / 24)?.checked_add(us)?;
    Some(Value::Time(if negative { -us } else { us }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a value that was encrypted came back as another one.
    #[test]
    fn what_is_spelled_is_read_again() {
        for (value, kind, text) in [
            (Value::Bool(true), Kind::Bool, "true"),
            (Value::Int(-7), Kind::Int, "-7"),
            (Value::UInt(u64::MAX), Kind::Int, "18446744073709551615"),
            (Value::Decimal("1.500".into()), Kind::Decimal, "1.500"),
            (Value::DecimalSpecial(Special::NaN), Kind::Decimal, "NaN"),
            (Value::F64(0.1), Kind::Float, "0.1"),
            (Value::F64(-0.0), Kind::Float, "-0"),
            (Value::F64(f64::INFINITY), Kind::Float, "inf"),
            (Value::Text("é\n".into()), Kind::Text, "é\n"),
            (Value::Json("{\"a\": 1.0}".into()), Kind::Json, "{\"a\": 1.0}"),
            (Value::Enum("no".into()), Kind::Enum, "no"),
            (Value::Date(0), Kind::Date, "2000-01-01"),
            (Value::Infinity, Kind::Date, "infinity"),
            (Value::Time(-3_600_000_000 * 25 - 1), Kind::Time, "-25:00:00.000001"),
            (Value::Timestamp(1), Kind::Timestamp, "2000-01-01 00:00:00.000001"),
            (Value::Instant(-1), Kind::Instant, "1999-12-31 23:59:59.999999+00"),
            (Value::Uuid([7; 16]), Kind::Uuid, "07070707-0707-0707-0707-070707070707"),
        ] {
            let bytes = spelled(&value, kind).unwrap();
            assert_eq!(String::from_utf8_lossy(&bytes), text);
            assert_eq!(read(&bytes, kind), Ok(value));
        }
        assert_eq!(spelled(&Value::Bytes(vec![0, 255].into()), Kind::Bytes), Ok(vec![0, 255]));
        assert_eq!(spelled(&Value::EnumInvalid, Kind::Enum), Err(Reason::EnumInvalid));
        for (text, kind) in [
            ("+1", Kind::Decimal),
            ("1.", Kind::Decimal),
            ("1:2:3:4", Kind::Time),
            ("x", Kind::Bool),
        ] {
            assert_eq!(read(text.as_bytes(), kind), Err(Reason::Parse), "{text}");
        }
        assert_eq!(read(&[0xff], Kind::Text), Err(Reason::Parse));
    }
}
