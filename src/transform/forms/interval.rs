//! Intervals in their ISO 8601 text, and times of day with their offset.
//!
//! Months, days and microseconds stay apart: a month is no number of days. Read are the texts that
//! PostgreSQL prints under `IntervalStyle = iso_8601`, with weeks and in any order of size; the text made
//! is the one that it prints. Source: `EncodeInterval` and `DecodeISO8601Interval` of PostgreSQL.

use std::fmt;

use crate::transform::Reason;

/// Microseconds of an hour.
const HOUR_US: i64 = 3_600_000_000;

/// An interval; the infinite ones are those that PostgreSQL has from version 17 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// Fields that add up to nothing but themselves.
    Fields {
        /// Months.
        months: i32,
        /// Days.
        days: i32,
        /// Microseconds.
        us: i64,
    },
    /// `infinity`.
    Infinity,
    /// `-infinity`.
    NegativeInfinity,
}

impl Interval {
    /// Of its ISO text.
    pub fn parse(text: &str) -> Result<Interval, Reason> {
        match text {
            "infinity" => return Ok(Interval::Infinity),
            "-infinity" => return Ok(Interval::NegativeInfinity),
            _ => {}
        }
        let mut rest = text.strip_prefix('P').ok_or(Reason::Parse)?;
        let (mut months, mut days, mut us) = (0_i64, 0_i64, 0_i64);
        let (mut in_time, mut order) = (false, 0);
        if rest.is_empty() {
            return Err(Reason::Parse);
        }
        while !rest.is_empty() {
            if let Some(time) = rest.strip_prefix('T').filter(|_| !in_time) {
                (rest, in_time, order) = (time, true, 4);
                if rest.is_empty() {
                    return Err(Reason::Parse);
                }
                continue;
            }
            let end = rest.find(|letter: char| letter.is_ascii_uppercase()).ok_or(Reason::Parse)?;
            let (number, unit) = rest.split_at(end);
            let (unit, behind) = unit.split_at(1);
            rest = behind;
            let at = match (unit, in_time) {
                ("Y", false) => 1,
                ("M", false) => 2,
                ("W", false) => 3,
                ("D", false) => 4,
                ("H", true) => 5,
                ("M", true) => 6,
                ("S", true) => 7,
                _ => return Err(Reason::Parse),
            };
            if at <= order && !(at == 4 && order < 4) {
                return Err(Reason::Parse);
            }
            order = at;
            let whole = || number.parse::<i64>().map_err(|_| Reason::Parse);
            let add = |sum: i64, count: i64, size: i64| {
                count.checked_mul(size).and_then(|n| n.checked_add(sum)).ok_or(Reason::OutOfRange)
            };
            match at {
                1 => months = add(months, whole()?, 12)?,
                2 => months = add(months, whole()?, 1)?,
                3 => days = add(days, whole()?, 7)?,
                4 => days = add(days, whole()?, 1)?,
                5 => us = add(us, whole()?, HOUR_US)?,
                6 => us = add(us, whole()?, HOUR_US / 60)?,
                _ => us = add(us, seconds(number)?, 1)?,
            }
        }
        let narrow = |wide: i64| i32::try_from(wide).map_err(|_| Reason::OutOfRange);
        Ok(Interval::Fields { months: narrow(months)?, days: narrow(days)?, us })
    }

    /// Of a duration.
    pub fn of_time(us: i64) -> Interval {
        Interval::Fields { months: 0, days: 0, us }
    }

    /// The duration of one that has no months and days.
    pub fn time(self) -> Option<i64> {
        match self {
            Interval::Fields { months: 0, days: 0, us } => Some(us),
            _ => None,
        }
    }
}

/// `-12.345678` in microseconds.
fn seconds(text: &str) -> Result<i64, Reason> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, text.get(1..).unwrap_or_default()),
        Some(b'+') => (false, text.get(1..).unwrap_or_default()),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || digits.ends_with('.') {
        return Err(Reason::Parse);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 6 {
        return Err(Reason::PrecisionLoss);
    }
    let whole: i64 = whole.parse().map_err(|_| Reason::OutOfRange)?;
    let fraction: i64 = format!("{fraction:0<6}").parse().map_err(|_| Reason::Parse)?;
    let us = whole.checked_mul(1_000_000).and_then(|us| us.checked_add(fraction));
    us.map(|us| if negative { -us } else { us }).ok_or(Reason::OutOfRange)
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (months, days, us) = match *self {
            Interval::Infinity => return f.write_str("infinity"),
            Interval::NegativeInfinity => return f.write_str("-infinity"),
            Interval::Fields { months: 0, days: 0, us: 0 } => return f.write_str("PT0S"),
            Interval::Fields { months, days, us } => (months, days, us),
        };
        f.write_str("P")?;
        for (count, unit) in [(months / 12, 'Y'), (months % 12, 'M'), (days, 'D')] {
            if count != 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        if us == 0 {
            return Ok(());
        }
        f.write_str("T")?;
        for (count, unit) in [(us / HOUR_US, 'H'), (us / (HOUR_US / 60) % 60, 'M')] {
            if count != 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        let rest = us % (HOUR_US / 60);
        if rest == 0 {
            return Ok(());
        }
        let (sign, rest) = (if rest < 0 { "-" } else { "" }, rest.unsigned_abs());
        write!(f, "{sign}{}", rest / 1_000_000)?;
        if rest % 1_000_000 != 0 {
            let fraction = format!("{:06}", rest % 1_000_000);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        f.write_str("S")
    }
}

/// A time of day with its offset from UTC, `13:45:30.5+02`: its microseconds, and its one text.
pub(crate) fn time_with_zone(text: &str) -> Result<(i64, String), Reason> {
    let at = text.rfind(['+', '-']).ok_or(Reason::Parse)?;
    let (clock, zone) = text.split_at(at);
    let two = |field: &str, max: i64| {
        let plain = field.len() == 2 && field.bytes().all(|byte| byte.is_ascii_digit());
        let number = field.parse::<i64>().ok().filter(|_| plain);
        number.filter(|number| *number <= max).ok_or(Reason::Parse)
    };
    let mut fields = clock.splitn(3, ':');
    let mut field = || fields.next().ok_or(Reason::Parse);
    let (hour, minute) = (two(field()?, 24)?, two(field()?, 59)?);
    let second = field()?;
    two(second.split('.').next().unwrap_or_default(), 59)?;
    let second = seconds(second)?;
    let us = (hour * 60 + minute) * 60_000_000 + second;
    if us > 24 * HOUR_US {
        return Err(Reason::Parse);
    }
    let (sign, zone) = zone.split_at(1);
    let mut parts = zone.split(':');
    let zone = [parts.next(), parts.next(), parts.next()];
    if parts.next().is_some() {
        return Err(Reason::Parse);
    }
    let [hours, minutes, seconds] = zone.map(|part| part.map_or(Ok(0), |part| two(part, 59)));
    let (hours, minutes, seconds) = (hours?, minutes?, seconds?);
    if hours > 15 {
        return Err(Reason::Parse);
    }
    // Nothing is neither ahead nor behind.
    let sign = if hours + minutes + seconds == 0 { "+" } else { sign };
    let mut spelled = format!("{hour:02}:{minute:02}:{:02}", second / 1_000_000);
    if second % 1_000_000 != 0 {
        let fraction = format!("{:06}", second % 1_000_000);
        spelled.push('.');
        spelled.push_str(fraction.trim_end_matches('0'));
    }
    spelled.push_str(&format!("{sign}{hours:02}"));
    if minutes != 0 || seconds != 0 {
        spelled.push_str(&format!(":{minutes:02}"));
    }
    if seconds != 0 {
        spelled.push_str(&format!(":{seconds:02}"));
    }
    Ok((us, spelled))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Broken if an interval came out as another one, or months became days.
    #[test]
    fn intervals_have_one_text() {
        for (text, expected) in [
            ("P1Y2M3DT4H5M6.789S", "P1Y2M3DT4H5M6.789S"),
            ("P-1DT2H3M", "P-1DT2H3M"),
            ("PT-1H-30M", "PT-1H-30M"),
            ("PT0S", "PT0S"),
            ("P14M", "P1Y2M"),
            ("P2W1D", "P15D"),
            ("PT-0.5S", "PT-0.5S"),
            ("PT3600S", "PT1H"),
            ("-infinity", "-infinity"),
        ] {
            assert_eq!(Interval::parse(text).map(|it| it.to_string()).as_deref(), Ok(expected));
        }
        for text in ["", "P", "PT", "P1", "1Y", "P1H", "PT1D", "P1M1Y", "PT1.5H", "1 mon", "P1y"] {
            assert_eq!(Interval::parse(text), Err(Reason::Parse), "{text}");
        }
        assert_eq!(Interval::parse("PT0.0000001S"), Err(Reason::PrecisionLoss));
        assert_eq!(Interval::parse("P9999999999D"), Err(Reason::OutOfRange));
    }

    /// Broken if an offset were lost or an impossible time were sent.
    #[test]
    fn times_keep_their_offset() {
        for (text, expected) in [
            ("13:45:30.5+02", "13:45:30.5+02"),
            ("13:45:30.50-05:30", "13:45:30.5-05:30"),
            ("24:00:00-00", "24:00:00+00"),
            ("00:00:00+01:02:03", "00:00:00+01:02:03"),
        ] {
            assert_eq!(time_with_zone(text).map(|(_, it)| it).as_deref(), Ok(expected));
        }
        for text in ["13:45:30", "25:00:00+00", "24:00:01+00", "1:2:3+00", "13:45:30+16"] {
            assert_eq!(time_with_zone(text), Err(Reason::Parse), "{text}");
        }
    }

    proptest! {
        /// Broken if some interval did not come back from its text.
        #[test]
        fn every_interval_comes_back(months: i32, days: i32, us in i64::MIN / 2..i64::MAX / 2) {
            let interval = Interval::Fields { months, days, us };
            prop_assert_eq!(Interval::parse(&interval.to_string()), Ok(interval));
        }
    }
}
