//! Converts one value for its target column and checks that it fits.
//!
//! Complete before anything is sent: both servers bend many values without an error, so whatever
//! would not read back as an equal value is refused here with a reason code. Every fitting value
//! comes out in one spelling, so that equal values are equal keys. Text and bytes are passed on
//! without a copy.

use bytes::Bytes;
use bytestring::ByteString;

use crate::model::Value;
use crate::model::value::{InvalidDate, Special, UNIX_TO_2000_US};
use crate::transform::conversion::{
    ClockFit, Conversion, DecimalFit, Fit, FloatFit, JsonFit, SpecialFit, TextFit, Turn,
};
use crate::transform::{Reason, decimal, forms, json, text};

/// The value as the target holds it, or why it does not fit. `Unchanged` stays `Unchanged`.
pub fn convert(conversion: &Conversion, value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Unchanged => return Ok(Value::Unchanged),
        Value::Null if conversion.nullable => return Ok(Value::Null),
        Value::Null => return Err(Reason::NullNotAllowed),
        _ => {}
    }
    match (&conversion.fit, value) {
        (Fit::Bool, value) => boolean(value),
        (Fit::Int { min, max }, value) => integer(*min, *max, value),
        (Fit::Year, Value::Int(year)) => match year {
            0 | 1901..=2155 => Ok(Value::Int(*year)),
            _ => Err(Reason::OutOfRange),
        },
        (Fit::Decimal(fit), value) => exact(fit, value),
        (Fit::DecimalText { chars_max }, value) => decimal_text(*chars_max, value),
        (Fit::F32(fit), value) => single(fit, value),
        (Fit::F64(fit), value) => double(fit, value),
        (Fit::Text(fit), Value::Text(value)) => text::fit(value, fit).map(Value::Text),
        // What a text column's character set has no text for.
        (Fit::Text(_) | Fit::EnumText(_) | Fit::Enum { .. } | Fit::Json(_), Value::Bytes(_)) => {
            Err(Reason::Charset)
        }
        (Fit::Bytes(fit), Value::Bytes(value)) => text::fit_bytes(value, fit).map(Value::Bytes),
        (Fit::Date { invalid: true, .. }, Value::InvalidDate(date)) => {
            Ok(Value::InvalidDate(*date))
        }
        (Fit::Date { min, max, infinity, .. }, value) => date(*min, *max, *infinity, value),
        (Fit::Time { min, max, digits }, Value::Time(us)) => time(*min, *max, *digits, *us),
        (Fit::Clock(fit), value) => clock(fit, value),
        (Fit::Uuid, Value::Uuid(uuid)) => Ok(Value::Uuid(*uuid)),
        (Fit::UuidFromText { lower_only }, Value::Text(value)) => {
            text::parse_uuid(value, *lower_only).map(Value::Uuid)
        }
        (Fit::UuidFromBytes, Value::Bytes(bytes)) => uuid_from_bytes(bytes),
        (Fit::UuidText, Value::Uuid(uuid)) => Ok(Value::Text(text::format_uuid(uuid))),
        (Fit::UuidBytes, Value::Uuid(uuid)) => {
            Ok(Value::Bytes(Bytes::copy_from_slice(uuid.as_slice())))
        }
        (Fit::Json(fit), value) => document(fit, value),
        (Fit::Enum { labels }, value) => label(labels, value),
        (Fit::EnumText(fit), value) => label_text(fit, value),
        (Fit::Form(fit), value) => forms::convert::convert(fit, value),
        (Fit::Same, value) => Ok(value.clone()),
        (_, _) => Err(Reason::PairNeedsRule),
    }
}

fn boolean(value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Bool(value) => Ok(Value::Bool(*value)),
        Value::Int(0) => Ok(Value::Bool(false)),
        Value::Int(1) => Ok(Value::Bool(true)),
        Value::Int(_) | Value::UInt(_) => Err(Reason::NotBoolean),
        _ => Err(Reason::PairNeedsRule),
    }
}

fn integer(min: i64, max: u64, value: &Value) -> Result<Value, Reason> {
    let number = match value {
        Value::Bool(value) => i128::from(*value),
        Value::Int(value) => i128::from(*value),
        Value::UInt(value) => i128::from(*value),
        Value::Decimal(text) => decimal::whole(text)?,
        Value::DecimalSpecial(_) => return Err(Reason::NonFinite),
        _ => return Err(Reason::PairNeedsRule),
    };
    if number < i128::from(min) || number > i128::from(max) {
        return Err(Reason::OutOfRange);
    }
    match i64::try_from(number) {
        Ok(value) => Ok(Value::Int(value)),
        Err(_) => u64::try_from(number).map(Value::UInt).map_err(|_| Reason::OutOfRange),
    }
}

fn exact(fit: &DecimalFit, value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Decimal(text) => decimal::fit(text, fit).map(Value::Decimal),
        Value::Int(value) => {
            decimal::fit(&ByteString::from(value.to_string()), fit).map(Value::Decimal)
        }
        Value::UInt(value) => {
            decimal::fit(&ByteString::from(value.to_string()), fit).map(Value::Decimal)
        }
        Value::DecimalSpecial(special) => match (fit.special, special) {
            (SpecialFit::All, _) | (SpecialFit::NaN, Special::NaN) => {
                Ok(Value::DecimalSpecial(*special))
            }
            _ => Err(Reason::NonFinite),
        },
        _ => Err(Reason::PairNeedsRule),
    }
}

fn decimal_text(chars_max: Option<u64>, value: &Value) -> Result<Value, Reason> {
    let text = match value {
        Value::Decimal(text) => text.clone(),
        Value::DecimalSpecial(Special::NaN) => ByteString::from_static("NaN"),
        Value::DecimalSpecial(Special::Infinity) => ByteString::from_static("Infinity"),
        Value::DecimalSpecial(Special::NegativeInfinity) => ByteString::from_static("-Infinity"),
        _ => return Err(Reason::PairNeedsRule),
    };
    if chars_max.is_some_and(|max| text.len() as u64 > max) {
        return Err(Reason::TooLong);
    }
    Ok(Value::Text(text))
}

fn single(fit: &FloatFit, value: &Value) -> Result<Value, Reason> {
    let float = match value {
        Value::F32(float) => *float,
        Value::F64(double) => {
            let float = *double as f32;
            if double.is_finite() && float.is_infinite() {
                return Err(Reason::OutOfRange);
            }
            if double.is_finite() && f64::from(float) != *double {
                return Err(Reason::PrecisionLoss);
            }
            float
        }
        _ => return Err(Reason::PairNeedsRule),
    };
    float_fits(fit, f64::from(float))?;
    Ok(Value::F32(if float == 0.0 && !fit.negative_zero { 0.0 } else { float }))
}

fn double(fit: &FloatFit, value: &Value) -> Result<Value, Reason> {
    let float = match value {
        Value::F32(float) => f64::from(*float),
        Value::F64(float) => *float,
        _ => return Err(Reason::PairNeedsRule),
    };
    float_fits(fit, float)?;
    Ok(Value::F64(if float == 0.0 && !fit.negative_zero { 0.0 } else { float }))
}

fn float_fits(fit: &FloatFit, float: f64) -> Result<(), Reason> {
    if !float.is_finite() && !fit.special {
        return Err(Reason::NonFinite);
    }
    if float < 0.0 && !fit.negative {
        return Err(Reason::OutOfRange);
    }
    Ok(())
}

/// Why a date of MySQL or MariaDB is none.
pub(crate) const fn why_invalid(date: &InvalidDate) -> Reason {
    if date.is_zero() {
        Reason::ZeroDate
    } else if date.month == 0 || date.day == 0 {
        Reason::PartialDate
    } else if date.year == 0 {
        Reason::OutOfRange
    } else {
        Reason::InvalidDate
    }
}

fn date(min: i32, max: i32, infinity: bool, value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Date(days) if *days < min || *days > max => Err(Reason::OutOfRange),
        Value::Date(days) => Ok(Value::Date(*days)),
        Value::Infinity | Value::NegativeInfinity if infinity => Ok(value.clone()),
        Value::Infinity | Value::NegativeInfinity => Err(Reason::Infinity),
        Value::InvalidDate(date) => Err(why_invalid(date)),
        _ => Err(Reason::PairNeedsRule),
    }
}

/// Whether no digit beyond `digits` is lost.
const fn fraction_fits(us: i64, digits: u8) -> bool {
    let unit = match digits {
        0 => 1_000_000,
        1 => 100_000,
        2 => 10_000,
        3 => 1_000,
        4 => 100,
        5 => 10,
        _ => 1,
    };
    us % unit == 0
}

fn time(min: i64, max: i64, digits: u8, us: i64) -> Result<Value, Reason> {
    if us < min || us > max {
        return Err(if min == 0 { Reason::NotTimeOfDay } else { Reason::OutOfRange });
    }
    if !fraction_fits(us, digits) {
        return Err(Reason::PrecisionLoss);
    }
    Ok(Value::Time(us))
}

fn clock(fit: &ClockFit, value: &Value) -> Result<Value, Reason> {
    let us = match (value, fit.turn) {
        (Value::Timestamp(us), Turn::Wall | Turn::UtcToMoment)
        | (Value::Instant(us), Turn::Moment | Turn::MomentToUtc) => *us,
        (Value::Infinity | Value::NegativeInfinity, _) if fit.infinity => return Ok(value.clone()),
        (Value::Infinity | Value::NegativeInfinity, _) => return Err(Reason::Infinity),
        (Value::InvalidDate(_), _) if fit.invalid => return Ok(value.clone()),
        (Value::InvalidDate(date), _) => return Err(why_invalid(date)),
        _ => return Err(Reason::PairNeedsRule),
    };
    if fit.zero_epoch && us.div_euclid(1_000_000) == -UNIX_TO_2000_US / 1_000_000 {
        return Err(Reason::ZeroDate);
    }
    if us < fit.min || us > fit.max {
        return Err(Reason::OutOfRange);
    }
    if !fraction_fits(us, fit.digits) {
        return Err(Reason::PrecisionLoss);
    }
    Ok(match fit.turn {
        Turn::Wall | Turn::MomentToUtc => Value::Timestamp(us),
        Turn::Moment | Turn::UtcToMoment => Value::Instant(us),
    })
}

/// Trailing zero bytes may have been cut by the log.
fn uuid_from_bytes(bytes: &[u8]) -> Result<Value, Reason> {
    let mut uuid = [0_u8; 16];
    uuid.get_mut(..bytes.len()).ok_or(Reason::TooLong)?.copy_from_slice(bytes);
    Ok(Value::Uuid(uuid))
}

fn document(fit: &JsonFit, value: &Value) -> Result<Value, Reason> {
    let (Value::Json(text) | Value::Text(text)) = value else {
        return Err(Reason::PairNeedsRule);
    };
    json::check(text, fit)?;
    Ok(if fit.into_text { Value::Text(text.clone()) } else { Value::Json(text.clone()) })
}

fn label(labels: &[Box<str>], value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Enum(label) | Value::Text(label) => {
            match labels.binary_search_by(|other| other.as_ref().cmp(label)) {
                Ok(_) => Ok(Value::Enum(label.clone())),
                Err(_) => Err(Reason::EnumUnknown),
            }
        }
        Value::EnumInvalid => Err(Reason::EnumInvalid),
        _ => Err(Reason::PairNeedsRule),
    }
}

fn label_text(fit: &TextFit, value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Enum(label) => text::fit(label, fit).map(Value::Text),
        Value::EnumInvalid => Err(Reason::EnumInvalid),
        _ => Err(Reason::PairNeedsRule),
    }
}

#[cfg(test)]
mod tests;
