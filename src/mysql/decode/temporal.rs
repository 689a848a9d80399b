//! Dates and times: the packed forms of the log, and the calendar they are checked against.
//!
//! A date of the calendar (years 1 to 9999) becomes a day count; everything else the servers can
//! store (zero, partial, impossible days, year 0) becomes [`InvalidDate`] with its fields. Times
//! are signed microseconds. TIMESTAMP 0 is the zero date, not 1970.
//! Sources: MySQL "Date and Time Data Type Representation"; the old forms: MySQL 5.5 manual.

use crate::error::{Error, Kind, Result};
use crate::model::Value;
use crate::model::value::{InvalidDate, UNIX_TO_2000_US};
use crate::mysql::binlog::Cursor;

/// Microseconds of a second, an hour, a day.
const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3_600 * SECOND_US;
const DAY_US: i64 = 24 * HOUR_US;
/// Days from 0000-03-01 to 2000-01-01.
const DAYS_TO_2000: i64 = 730_425;

/// Days since 2000-01-01; `None` for what is not in the calendar of years 1 ..= 9999.
pub(crate) fn days(year: u16, month: u8, day: u8) -> Option<i32> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=9999).contains(&year) || day == 0 || day > last {
        return None;
    }
    // Years that start in March, so that the leap day is the last of its year.
    let from_march = (i64::from(month) + 9) % 12;
    let year = i64::from(year) - i64::from(month <= 2);
    let days = year * 365 + year / 4 - year / 100 + year / 400;
    let days = days + (from_march * 306 + 5) / 10 + i64::from(day) - 1;
    i32::try_from(days - DAYS_TO_2000).ok()
}

/// A DATE from its fields.
pub(crate) fn date(year: u16, month: u8, day: u8) -> Value {
    match days(year, month, day) {
        Some(days) => Value::Date(days),
        None => Value::InvalidDate(InvalidDate { year, month, day, time_us: 0 }),
    }
}

/// A DATETIME from its fields.
pub(crate) fn timestamp(year: u16, month: u8, day: u8, time_us: i64) -> Value {
    match days(year, month, day) {
        Some(days) => Value::Timestamp(i64::from(days) * DAY_US + time_us),
        None => Value::InvalidDate(InvalidDate { year, month, day, time_us }),
    }
}

/// A TIMESTAMP from the fields of its UTC wall clock.
pub(crate) fn instant_of_fields(year: u16, month: u8, day: u8, time_us: i64) -> Value {
    match timestamp(year, month, day, time_us) {
        Value::Timestamp(time_us) => Value::Instant(time_us),
        other => other,
    }
}

/// Microseconds of hours, minutes, seconds and a fraction.
fn time_us(hours: u64, minutes: u64, seconds: u64, fraction_us: u64) -> i64 {
    (hours * 3_600 + minutes * 60 + seconds) as i64 * SECOND_US + fraction_us as i64
}

/// A TIMESTAMP from seconds since 1970 and a fraction; 0 is the zero date.
fn instant(seconds: u64, fraction_us: u64) -> Value {
    if seconds == 0 && fraction_us == 0 {
        return Value::InvalidDate(InvalidDate { year: 0, month: 0, day: 0, time_us: 0 });
    }
    Value::Instant(seconds as i64 * SECOND_US + fraction_us as i64 - UNIX_TO_2000_US)
}

/// A fraction of `digits` digits, (digits + 1) / 2 bytes, in microseconds.
fn fraction_us(cursor: &mut Cursor<'_>, digits: u8) -> Result<u64> {
    let bytes = usize::from(digits.div_ceil(2));
    let fraction = cursor.uint_be(bytes)? * scale(bytes);
    if fraction < 1_000_000 { Ok(fraction) } else { Err(malformed("a fraction of a second")) }
}

/// What one unit of a fraction of `bytes` bytes is, in microseconds.
fn scale(bytes: usize) -> u64 {
    match bytes {
        1 => 10_000,
        2 => 100,
        _ => 1,
    }
}

fn malformed(what: &str) -> Error {
    Error::new(Kind::Malformed, what)
}

/// Microseconds of a duration, at most 838 hours long.
///
/// # Errors
/// `Malformed` for more hours, and for minutes, seconds and fractions that are whole ones.
pub(crate) fn duration_us(hours: u64, minutes: u64, seconds: u64, fraction_us: u64) -> Result<i64> {
    if minutes > 59 || seconds > 59 || hours > 838 || fraction_us > 999_999 {
        return Err(malformed("a time with more than 59 minutes or seconds"));
    }
    Ok(time_us(hours, minutes, seconds, fraction_us))
}

/// Microseconds of a time of day.
///
/// # Errors
/// As of a duration, and for a time beyond the day.
pub(crate) fn clock_us(hours: u64, minutes: u64, seconds: u64, fraction_us: u64) -> Result<i64> {
    if hours > 23 {
        return Err(malformed("a time beyond the day"));
    }
    duration_us(hours, minutes, seconds, fraction_us)
}

/// DATE: day 5 bits, month 4 bits, year 15 bits.
pub(crate) fn read_date(cursor: &mut Cursor<'_>) -> Result<Value> {
    let packed = cursor.uint(3)?;
    let (year, month, day) = (packed >> 9, packed >> 5 & 15, packed & 31);
    Ok(date(year as u16, month as u8, day as u8))
}

/// TIME: hours 10 bits, minutes 6, seconds 6, then the fraction; the whole number, fraction
/// included, is offset so that negative times sort below zero.
pub(crate) fn read_time(cursor: &mut Cursor<'_>, digits: u8) -> Result<Value> {
    let fraction_bytes = usize::from(digits.div_ceil(2));
    let fraction_bits = fraction_bytes as u32 * 8;
    let stored = cursor.uint_be(3 + fraction_bytes)? as i64;
    let offset = 1i64 << (23 + fraction_bits);
    let signed = stored - offset;
    let magnitude = signed.unsigned_abs();
    let fraction = (magnitude & ((1 << fraction_bits) - 1)) * scale(fraction_bytes);
    let clock = magnitude >> fraction_bits;
    if fraction >= 1_000_000 {
        return Err(malformed("a fraction of a second"));
    }
    let us = duration_us(clock >> 12 & 1023, clock >> 6 & 63, clock & 63, fraction)?;
    Ok(Value::Time(if signed < 0 { -us } else { us }))
}

/// DATETIME: year · 13 + month in 17 bits, day 5, hour 5, minute 6, second 6, then the fraction.
pub(crate) fn read_datetime(cursor: &mut Cursor<'_>, digits: u8) -> Result<Value> {
    let packed = cursor
        .uint_be(5)?
        .checked_sub(0x80_0000_0000)
        .ok_or_else(|| malformed("a negative DATETIME"))?;
    let fraction = fraction_us(cursor, digits)?;
    let (year_month, day) = (packed >> 22, packed >> 17 & 31);
    let time = clock_us(packed >> 12 & 31, packed >> 6 & 63, packed & 63, fraction)?;
    Ok(timestamp((year_month / 13) as u16, (year_month % 13) as u8, day as u8, time))
}

/// TIMESTAMP: seconds since 1970, big endian, then the fraction.
pub(crate) fn read_timestamp(cursor: &mut Cursor<'_>, digits: u8) -> Result<Value> {
    let seconds = cursor.uint_be(4)?;
    Ok(instant(seconds, fraction_us(cursor, digits)?))
}

/// TIMESTAMP before MySQL 5.6: seconds since 1970, little endian.
pub(crate) fn read_old_timestamp(cursor: &mut Cursor<'_>) -> Result<Value> {
    Ok(instant(u64::from(cursor.u32()?), 0))
}

/// TIME before MySQL 5.6: HHMMSS as a signed number of three bytes.
pub(crate) fn read_old_time(cursor: &mut Cursor<'_>) -> Result<Value> {
    let raw = cursor.uint(3)? as i64;
    let signed = if raw >= 1 << 23 { raw - (1 << 24) } else { raw };
    let digits = signed.unsigned_abs();
    let us = duration_us(digits / 10_000, digits / 100 % 100, digits % 100, 0)?;
    Ok(Value::Time(if signed < 0 { -us } else { us }))
}

/// DATETIME before MySQL 5.6: YYYYMMDDHHMMSS as a number of eight bytes.
pub(crate) fn read_old_datetime(cursor: &mut Cursor<'_>) -> Result<Value> {
    let digits = cursor.u64()?;
    let (date, clock) = (digits / 1_000_000, digits % 1_000_000);
    let time = clock_us(clock / 10_000, clock / 100 % 100, clock % 100, 0)?;
    let year = u16::try_from(date / 10_000).map_err(|_| malformed("the year of a DATETIME"))?;
    Ok(timestamp(year, (date / 100 % 100) as u8, (date % 100) as u8, time))
}

/// The packed 64-bit form inside JSON: 24 bits of microseconds below the packed date or time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed {
    /// The number below the sign.
    pub(crate) magnitude: u64,
    /// Whether it is negative.
    pub(crate) negative: bool,
}

impl Packed {
    /// Splits the number.
    pub(crate) fn new(packed: i64) -> Self {
        Packed { magnitude: packed.unsigned_abs(), negative: packed < 0 }
    }

    /// Microseconds below the second.
    pub(crate) fn micros(self) -> u64 {
        self.magnitude & 0xFF_FFFF
    }

    /// `HH:MM:SS.ffffff` of a time, hours as many digits as they need (at least two).
    pub(crate) fn time_text(self) -> String {
        let clock = self.magnitude >> 24;
        let sign = if self.negative { "-" } else { "" };
        format!(
            "{sign}{:02}:{:02}:{:02}.{:06}",
            clock >> 12 & 1023,
            clock >> 6 & 63,
            clock & 63,
            self.micros()
        )
    }

    /// `YYYY-MM-DD` of a date or date and time.
    pub(crate) fn date_text(self) -> String {
        let date = self.magnitude >> 41;
        let year_month = date >> 5;
        format!("{:04}-{:02}-{:02}", year_month / 13, year_month % 13, date & 31)
    }

    /// `YYYY-MM-DD HH:MM:SS.ffffff`.
    pub(crate) fn datetime_text(self) -> String {
        let clock = self.magnitude >> 24 & 0x1_FFFF;
        format!(
            "{} {:02}:{:02}:{:02}.{:06}",
            self.date_text(),
            clock >> 12,
            clock >> 6 & 63,
            clock & 63,
            self.micros()
        )
    }
}
