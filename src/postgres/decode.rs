//! Text of a PostgreSQL output function → [`Value`], exact; pure.
//!
//! The same for the log and for reads beside it, because both sessions print under the settings
//! of `session`. The planned column's type says what the text means; what does not have the form
//! of that type is an error, never a guess. Binary transfer is not used.
//! Source: PostgreSQL manual, "Data Types" (output forms); type-mapping §1.

use bytes::Bytes;
use bytestring::ByteString;

use crate::model::value::Special;
use crate::model::{Type, Value};

/// A text that is not one of its column's type. Holds no part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("text is not a value of its type ({0})")]
pub(crate) struct Undecodable(pub(crate) &'static str);

type Decoded = Result<Value, Undecodable>;

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

/// Decodes one text. `keep` turns a slice of it into bytes that outlive it; it is called only for
/// values that are kept as text.
pub(crate) fn decode(ty: &Type, text: &[u8], keep: impl FnOnce(&[u8]) -> Bytes) -> Decoded {
    let keep = |part: &[u8]| -> Result<ByteString, Undecodable> {
        ByteString::try_from(keep(part)).map_err(|_| Undecodable("not UTF-8"))
    };
    match ty {
        Type::Bool => boolean(text),
        Type::Int { bits, unsigned } => integer(text, *bits, *unsigned),
        Type::Decimal(_) => match special(text) {
            Some(special) => Ok(Value::DecimalSpecial(special)),
            None if is_plain_decimal(text) => keep(text).map(Value::Decimal),
            None => Err(Undecodable("decimal")),
        },
        Type::F32 => float32(text),
        Type::F64 => float64(text),
        Type::Char { .. } => keep(text.trim_suffix_blanks()).map(Value::Text),
        Type::Text { .. } | Type::Native { .. } => keep(text).map(Value::Text),
        Type::Binary { .. } | Type::Bytes { .. } => bytea(text),
        Type::Date => infinite(text).map_or_else(|| date(text), Ok),
        Type::Time { .. } => time(text),
        Type::Timestamp { .. } => infinite(text).map_or_else(|| timestamp(text), Ok),
        Type::Instant { .. } => infinite(text).map_or_else(|| instant(text), Ok),
        Type::Uuid => uuid(text),
        Type::Json(_) => keep(text).map(Value::Json),
        Type::Enum { .. } => keep(text).map(Value::Enum),
        Type::Year => Err(Undecodable("year")),
        Type::Unsupported => Err(Undecodable("unsupported type")),
    }
}

/// How much of a text [`decode`] keeps, at most, in bytes.
pub(crate) fn kept_bytes(ty: &Type, text: &[u8]) -> usize {
    match ty {
        Type::Char { .. } => text.trim_suffix_blanks().len(),
        Type::Decimal(_)
        | Type::Text { .. }
        | Type::Native { .. }
        | Type::Json(_)
        | Type::Enum { .. } => text.len(),
        _ => 0,
    }
}

/// Trailing blanks are padding in `char(n)`.
trait TrimBlanks {
    fn trim_suffix_blanks(&self) -> &[u8];
}

impl TrimBlanks for [u8] {
    fn trim_suffix_blanks(&self) -> &[u8] {
        let length = self.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
        self.get(..length).unwrap_or_default()
    }
}

fn boolean(text: &[u8]) -> Decoded {
    match text {
        b"t" => Ok(Value::Bool(true)),
        b"f" => Ok(Value::Bool(false)),
        _ => Err(Undecodable("boolean")),
    }
}

fn integer(text: &[u8], bits: u8, unsigned: bool) -> Decoded {
    let bad = Undecodable("integer");
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let bits = u32::from(bits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) || !(1..=64).contains(&bits) {
        return Err(bad);
    }
    let text = std::str::from_utf8(text).map_err(|_| bad)?;
    if unsigned {
        let number: u64 = text.parse().map_err(|_| bad)?;
        return if number <= u64::MAX >> (64 - bits) {
            Ok(Value::from_u64(number))
        } else {
            Err(bad)
        };
    }
    let number: i64 = text.parse().map_err(|_| bad)?;
    let shift = 64 - bits;
    if number << shift >> shift == number { Ok(Value::Int(number)) } else { Err(bad) }
}

fn special(text: &[u8]) -> Option<Special> {
    match text {
        b"NaN" => Some(Special::NaN),
        b"Infinity" => Some(Special::Infinity),
        b"-Infinity" => Some(Special::NegativeInfinity),
        _ => None,
    }
}

/// Optional sign, digits, optional point with digits.
fn is_plain_decimal(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let mut parts = digits.split(|byte| *byte == b'.');
    let number = |part: Option<&[u8]>| {
        part.is_some_and(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
    };
    number(parts.next())
        && match parts.next() {
            None => true,
            fraction => number(fraction) && parts.next().is_none(),
        }
}

/// Digits, signs, point and exponent: what Rust's parser may be asked to read.
fn float_text(text: &[u8]) -> Result<&str, Undecodable> {
    let plain = |byte: &u8| byte.is_ascii_digit() || b"+-.e".contains(byte);
    match std::str::from_utf8(text) {
        Ok(number) if text.iter().all(plain) => Ok(number),
        _ => Err(Undecodable("float")),
    }
}

fn float32(text: &[u8]) -> Decoded {
    let number = match special(text) {
        Some(Special::NaN) => f32::NAN,
        Some(Special::Infinity) => f32::INFINITY,
        Some(Special::NegativeInfinity) => f32::NEG_INFINITY,
        None => float_text(text)?.parse().map_err(|_| Undecodable("float"))?,
    };
    Ok(Value::F32(number))
}

fn float64(text: &[u8]) -> Decoded {
    let number = match special(text) {
        Some(Special::NaN) => f64::NAN,
        Some(Special::Infinity) => f64::INFINITY,
        Some(Special::NegativeInfinity) => f64::NEG_INFINITY,
        None => float_text(text)?.parse().map_err(|_| Undecodable("float"))?,
    };
    Ok(Value::F64(number))
}

/// `\x` and two hexadecimal digits per byte.
fn bytea(text: &[u8]) -> Decoded {
    let bad = Undecodable("bytea");
    let digits = text.strip_prefix(b"\\x").ok_or(bad)?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(bad);
    }
    let bytes = pairs.iter().map(|[high, low]| Some(hex(*high)? << 4 | hex(*low)?));
    bytes.collect::<Option<Vec<u8>>>().map(|bytes| Value::Bytes(bytes.into())).ok_or(bad)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn uuid(text: &[u8]) -> Decoded {
    let bad = Undecodable("uuid");
    let mut uuid = [0; 16];
    let hyphens = [8, 13, 18, 23];
    if text.len() != 36 || !hyphens.iter().all(|at| text.get(*at) == Some(&b'-')) {
        return Err(bad);
    }
    let mut digits = text.iter().filter(|byte| **byte != b'-').map(|digit| hex(*digit));
    for byte in &mut uuid {
        let mut digit = || digits.next().flatten().ok_or(bad);
        *byte = digit()? << 4 | digit()?;
    }
    if digits.next().is_some() { Err(bad) } else { Ok(Value::Uuid(uuid)) }
}

fn infinite(text: &[u8]) -> Option<Value> {
    match text {
        b"infinity" => Some(Value::Infinity),
        b"-infinity" => Some(Value::NegativeInfinity),
        _ => None,
    }
}

fn date(text: &[u8]) -> Decoded {
    let (text, bc) = split_bc(text);
    let days = days(text, bc).ok_or(Undecodable("date"))?;
    i32::try_from(days).map(Value::Date).map_err(|_| Undecodable("date"))
}

fn time(text: &[u8]) -> Decoded {
    let us = time_us(text).filter(|us| *us <= DAY_US).ok_or(Undecodable("time"))?;
    Ok(Value::Time(us))
}

fn timestamp(text: &[u8]) -> Decoded {
    wall_us(text).map(Value::Timestamp).ok_or(Undecodable("timestamp"))
}

/// Always with `+00`: the session's zone is UTC.
fn instant(text: &[u8]) -> Decoded {
    let bad = Undecodable("timestamp with time zone");
    let (text, bc) = split_bc(text);
    let wall = text.strip_suffix(b"+00").ok_or(bad)?;
    moment_us(wall, bc).map(Value::Instant).ok_or(bad)
}

fn wall_us(text: &[u8]) -> Option<i64> {
    let (text, bc) = split_bc(text);
    moment_us(text, bc)
}

fn split_bc(text: &[u8]) -> (&[u8], bool) {
    match text.strip_suffix(b" BC") {
        Some(text) => (text, true),
        None => (text, false),
    }
}

/// `YYYY-MM-DD HH:MM:SS[.ffffff]` in microseconds since 2000-01-01.
fn moment_us(text: &[u8], bc: bool) -> Option<i64> {
    let at = text.iter().position(|byte| *byte == b' ')?;
    let (date, time) = text.split_at_checked(at)?;
    let us = time_us(time.get(1..)?).filter(|us| *us < DAY_US)?;
    days(date, bc)?.checked_mul(DAY_US)?.checked_add(us)
}

/// `YYYY-MM-DD`, four or more digits of year, in days since 2000-01-01.
fn days(text: &[u8], bc: bool) -> Option<i64> {
    let mut fields = text.split(|byte| *byte == b'-');
    let year = fields.next().filter(|year| year.len() >= 4)?;
    let mut year = number(year)?;
    let month = fields.next().filter(|month| month.len() == 2).and_then(number)?;
    let day = fields.next().filter(|day| day.len() == 2).and_then(number)?;
    if fields.next().is_some() || year == 0 {
        return None;
    }
    if bc {
        year = 1 - year;
    }
    let valid = (1..=12).contains(&month) && (1..=month_days(year, month)).contains(&day);
    valid.then(|| days_since_2000(year, month, day))
}

/// Unsigned decimal digits, at most seven.
fn number(text: &[u8]) -> Option<i64> {
    let plain = (1..=7).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    plain.then(|| text.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

fn month_days(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar; year 0 is 1 BC. Years start in March, so that the
/// leap day is the last of its year, and are counted in cycles of 400.
fn days_since_2000(year: i64, month: i64, day: i64) -> i64 {
    const DAYS_PER_400_YEARS: i64 = 146_097;
    const FROM_0000_03_01_TO_2000_01_01: i64 = 730_425;
    let year = if month <= 2 { year - 1 } else { year };
    let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    cycle * DAYS_PER_400_YEARS + year * 365 + year / 4 - year / 100 + day_of_year
        - FROM_0000_03_01_TO_2000_01_01
}

/// `HH:MM:SS[.ffffff]` in microseconds; the hour may be 24 only as `24:00:00`.
fn time_us(text: &[u8]) -> Option<i64> {
    let (clock, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(at) => (text.get(..at)?, Some(text.get(at + 1..)?)),
        None => (text, None),
    };
    let mut fields = clock.split(|byte| *byte == b':');
    let mut field = || fields.next().filter(|field| field.len() == 2).and_then(number);
    let (hour, minute, second) = (field()?, field()?, field()?);
    if fields.next().is_some() || hour > 24 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = match fraction {
        None => 0,
        Some(digits) if digits.len() <= 6 => {
            let exponent = u32::try_from(6 - digits.len()).ok()?;
            number(digits)? * 10_i64.pow(exponent)
        }
        Some(_) => return None,
    };
    Some(((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction)
}

#[cfg(test)]
mod tests;
