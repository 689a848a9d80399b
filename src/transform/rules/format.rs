//! Formats of dates and times in the letters of strftime, for reading and for writing.
//!
//! Strict: the whole text must match, and a day must be in the calendar. Only these letters are known,
//! and names are English, so that a format means the same on every machine.

use std::fmt::Write as _;

use crate::model::calendar::{DAY_US, civil};

/// A compiled format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Year,
    YearOfCentury,
    Month,
    MonthShort,
    MonthLong,
    Day,
    Hour,
    HourOfTwelve,
    Half,
    Minute,
    Second,
    Fraction,
    WeekdayShort,
    WeekdayLong,
    Offset,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    fraction_us: i64,
    afternoon: Option<bool>,
    weekday: Option<i64>,
    /// Microseconds east of UTC.
    pub(super) offset_us: Option<i64>,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// 2000-01-01 was a Saturday.
const WEEKDAYS: [&str; 7] =
    ["Saturday", "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday"];

impl Format {
    /// Compiles a format.
    pub(super) fn parse(text: &str) -> Result<Format, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let expanded =
            text.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S").replace("%R", "%H:%M");
        let mut characters = expanded.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                literal.push(character);
                continue;
            }
            let part = match characters.next() {
                Some('%') => {
                    literal.push('%');
                    continue;
                }
                Some('Y') => Part::Year,
                Some('y') => Part::YearOfCentury,
                Some('m') => Part::Month,
                Some('b') => Part::MonthShort,
                Some('B') => Part::MonthLong,
                Some('d') => Part::Day,
                Some('H') => Part::Hour,
                Some('I') => Part::HourOfTwelve,
                Some('p') => Part::Half,
                Some('M') => Part::Minute,
                Some('S') => Part::Second,
                Some('f') => Part::Fraction,
                Some('a') => Part::WeekdayShort,
                Some('A') => Part::WeekdayLong,
                Some('z') => Part::Offset,
                Some(other) => {
                    return Err(format!(
                        "`%{other}` is not known; there are %Y %y %m %b %B %d %H %I %p %M %S %f %a %A \
                         %z %F %T %R %%"
                    ));
                }
                None => return Err("the format ends in `%`".to_owned()),
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(part);
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        let format = Format(parts);
        format.is_sound()?;
        Ok(format)
    }

    fn is_sound(&self) -> Result<(), String> {
        let has = |part: &Part| self.0.contains(part);
        if self.0.is_empty() {
            return Err("the format is empty".to_owned());
        }
        if has(&Part::HourOfTwelve) != has(&Part::Half) {
            return Err("%I and %p go together".to_owned());
        }
        Ok(())
    }

    pub(super) fn has_date(&self) -> bool {
        let any = |parts: &[Part]| parts.iter().any(|part| self.0.contains(part));
        any(&[Part::Year, Part::YearOfCentury])
            && any(&[Part::Month, Part::MonthShort, Part::MonthLong])
            && any(&[Part::Day])
    }

    pub(super) fn has_time(&self) -> bool {
        self.0.contains(&Part::Hour) || self.0.contains(&Part::HourOfTwelve)
    }

    pub(super) fn has_offset(&self) -> bool {
        self.0.contains(&Part::Offset)
    }

    pub(super) fn has_short_year(&self) -> bool {
        self.0.contains(&Part::YearOfCentury)
    }

    /// Reads a text; years of two digits lie in the hundred years from `pivot` on.
    pub(super) fn read(&self, text: &str, pivot: Option<i64>) -> Option<Fields> {
        let mut rest = text;
        let mut fields = Fields { year: 2000, month: 1, day: 1, ..Fields::default() };
        for (at, part) in self.0.iter().enumerate() {
            // Digits that other digits follow at once are as many as there can be.
            let fixed = self.0.get(at + 1).is_some_and(Part::is_digits);
            rest = part.read(rest, &mut fields, fixed, pivot)?;
        }
        rest.is_empty().then_some(fields)
    }

    /// Writes a day and a time of day.
    pub(super) fn write(&self, days: i64, time_us: i64, offset_us: i64) -> Option<String> {
        let mut out = String::new();
        for part in &self.0 {
            part.write(&mut out, days, time_us, offset_us)?;
        }
        Some(out)
    }
}

/// `count` digits at most (exactly, if `fixed`) off the front.
fn digits(text: &str, count: usize, fixed: bool) -> Option<(i64, &str)> {
    let length = text.bytes().take(count).take_while(u8::is_ascii_digit).count();
    if length == 0 || fixed && length < count {
        return None;
    }
    let (digits, rest) = text.split_at(length);
    Some((digits.parse().ok()?, rest))
}

/// The place of a name off the front, in any case.
fn name<'t>(text: &'t str, names: &[&str], short: bool) -> Option<(i64, &'t str)> {
    names.iter().zip(0..).find_map(|(name, at)| {
        let name = if short { name.get(..3)? } else { name };
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name).then(|| (at, text.get(name.len()..).unwrap_or("")))
    })
}

impl Part {
    fn is_digits(&self) -> bool {
        matches!(
            self,
            Part::Year
                | Part::YearOfCentury
                | Part::Month
                | Part::Day
                | Part::Hour
                | Part::HourOfTwelve
                | Part::Minute
                | Part::Second
                | Part::Fraction
        )
    }

    fn read<'t>(
        &self,
        text: &'t str,
        fields: &mut Fields,
        fixed: bool,
        pivot: Option<i64>,
    ) -> Option<&'t str> {
        let two = |text| digits(text, 2, fixed);
        let (value, rest) = match self {
            Part::Text(literal) => return text.strip_prefix(literal.as_str()),
            Part::Year => digits(text, 4, true)?,
            Part::YearOfCentury => digits(text, 2, true)?,
            Part::MonthShort => name(text, &MONTHS, true)?,
            Part::MonthLong => name(text, &MONTHS, false)?,
            Part::WeekdayShort => name(text, &WEEKDAYS, true)?,
            Part::WeekdayLong => name(text, &WEEKDAYS, false)?,
            Part::Half => name(text, &["AM", "PM"], false)?,
            Part::Offset => offset(text)?,
            Part::Fraction => digits(text, 6, fixed)?,
            Part::Month | Part::Day => two(text)?,
            Part::Hour | Part::HourOfTwelve | Part::Minute | Part::Second => two(text)?,
        };
        match self {
            Part::Text(_) => {}
            Part::Year => fields.year = value,
            Part::YearOfCentury => {
                let pivot = pivot?;
                fields.year = pivot + (value - pivot).rem_euclid(100);
            }
            Part::Month => fields.month = value,
            Part::MonthShort | Part::MonthLong => fields.month = value + 1,
            Part::Day => fields.day = value,
            Part::Hour => fields.hour = value,
            Part::HourOfTwelve if !(1..=12).contains(&value) => return None,
            Part::HourOfTwelve => fields.hour = value % 12,
            Part::Half => fields.afternoon = Some(value == 1),
            Part::Minute => fields.minute = value,
            Part::Second => fields.second = value,
            Part::Fraction => {
                let length = text.len() - rest.len();
                let missing = u32::try_from(6_usize.saturating_sub(length)).ok()?;
                fields.fraction_us = value * 10_i64.pow(missing);
            }
            Part::WeekdayShort | Part::WeekdayLong => fields.weekday = Some(value),
            Part::Offset => fields.offset_us = Some(value),
        }
        Some(rest)
    }

    fn write(&self, out: &mut String, days: i64, time_us: i64, offset_us: i64) -> Option<()> {
        let (year, month, day) = civil(days);
        let seconds = time_us / 1_000_000;
        let hour = seconds / 3600;
        let named = |names: &[&'static str], at: i64| names.get(usize::try_from(at).ok()?).copied();
        match self {
            Part::Text(literal) => out.write_str(literal),
            Part::Year if !(1..=9999).contains(&year) => return None,
            Part::Year => write!(out, "{year:04}"),
            Part::YearOfCentury => write!(out, "{:02}", year.rem_euclid(100)),
            Part::Month => write!(out, "{month:02}"),
            Part::MonthShort => out.write_str(named(&MONTHS, month - 1)?.get(..3)?),
            Part::MonthLong => out.write_str(named(&MONTHS, month - 1)?),
            Part::Day => write!(out, "{day:02}"),
            Part::Hour => write!(out, "{hour:02}"),
            Part::HourOfTwelve => write!(out, "{:02}", (hour + 11) % 12 + 1),
            Part::Half => out.write_str(if hour % 24 < 12 { "AM" } else { "PM" }),
            Part::Minute => write!(out, "{:02}", seconds / 60 % 60),
            Part::Second => write!(out, "{:02}", seconds % 60),
            Part::Fraction => write!(out, "{:06}", time_us % 1_000_000),
            Part::WeekdayShort => out.write_str(named(&WEEKDAYS, days.rem_euclid(7))?.get(..3)?),
            Part::WeekdayLong => out.write_str(named(&WEEKDAYS, days.rem_euclid(7))?),
            Part::Offset => {
                let minutes = offset_us / 60_000_000;
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(out, "{sign}{:02}{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        }
        .ok()
    }
}

/// `Z`, `+01`, `+0100` or `+01:00` off the front, in microseconds.
fn offset(text: &str) -> Option<(i64, &str)> {
    if let Some(rest) = text.strip_prefix(['Z', 'z']) {
        return Some((0, rest));
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, rest) = digits(text.strip_prefix(['+', '-'])?, 2, true)?;
    let minutes = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, rest) = digits(minutes, 2, true).unwrap_or((0, rest));
    (hours < 24 && minutes < 60).then_some((sign * (hours * 60 + minutes) * 60_000_000, rest))
}

impl Fields {
    /// Days since 2000-01-01; `None` for a day that is not in the calendar, or another weekday than
    /// was written.
    pub(super) fn days(&self) -> Option<i64> {
        let days = days_of(self.year, self.month, self.day)?;
        let agrees = self.weekday.is_none_or(|weekday| weekday == days.rem_euclid(7));
        agrees.then_some(days)
    }

    /// Microseconds since midnight.
    pub(super) fn time_us(&self) -> Option<i64> {
        let hour = self.hour + if self.afternoon == Some(true) { 12 } else { 0 };
        if hour > 23 || self.minute > 59 || self.second > 59 {
            return None;
        }
        Some(((hour * 60 + self.minute) * 60 + self.second) * 1_000_000 + self.fraction_us)
    }

    /// Microseconds since 2000-01-01 00:00:00, as the wall clock shows it.
    pub(super) fn wall_us(&self) -> Option<i64> {
        Some(self.days()? * DAY_US + self.time_us()?)
    }
}

/// Days since 2000-01-01 of a day of the years 1 to 9999, if there is such a day.
pub(super) fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin with March, so that the leap day is the last.
    let (shifted_year, shifted) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = shifted_year * 365 + shifted_year / 4 - shifted_year / 100
        + shifted_year / 400
        + (153 * shifted + 2) / 5
        + day
        - 1
        - 730_425;
    (civil(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(format: &str, text: &str) -> Option<i64> {
        Format::parse(format).unwrap().read(text, Some(1970))?.wall_us()
    }

    /// Broken if a text were taken for another day than it names, or one that names none for some day.
    #[test]
    fn texts_are_read_strictly() {
        let day = |year, month, day| Some(days_of(year, month, day).unwrap() * DAY_US);
        assert_eq!(read("%d/%m/%Y", "31/12/2024"), day(2024, 12, 31));
        assert_eq!(read("%d/%m/%Y", "3/4/2024"), day(2024, 4, 3));
        assert_eq!(read("%Y%m%d", "20240229"), day(2024, 2, 29));
        assert_eq!(read("%d.%m.%y", "01.02.69"), day(2069, 2, 1));
        assert_eq!(read("%d.%m.%y", "01.02.70"), day(1970, 2, 1));
        assert_eq!(read("%a, %d %b %Y", "sat, 01 Jan 2000"), day(2000, 1, 1));
        assert_eq!(read("%I:%M %p", "12:30 am"), Some(30 * 60_000_000));
        assert_eq!(read("%I:%M %p", "12:30 PM"), Some((12 * 60 + 30) * 60_000_000));
        assert_eq!(read("%T.%f", "00:00:00.5"), Some(500_000));
        for (format, text) in [
            ("%d/%m/%Y", "31/13/2024"),
            ("%d/%m/%Y", "30/02/2024"),
            ("%d/%m/%Y", "31/12/2024 "),
            ("%d/%m/%Y", "31/12/24"),
            ("%d/%m/%Y", ""),
            ("%Y%m%d", "2024229"),
            ("%a, %d %b %Y", "Sun, 01 Jan 2000"),
            ("%H:%M", "24:00"),
            ("%H:%M", "12:60"),
            ("%I:%M %p", "13:00 PM"),
        ] {
            assert_eq!(read(format, text), None, "{format} {text}");
        }
        for format in ["", "%q", "%d%", "%I:%M"] {
            assert!(Format::parse(format).is_err(), "{format}");
        }
    }

    proptest! {
        /// Broken if what a format writes were read as another moment.
        #[test]
        fn formats_read_what_they_write(days in -730_119_i64..2_921_939, us in 0..DAY_US) {
            for text in ["%Y-%m-%d %H:%M:%S.%f", "%d/%m/%Y %I:%M:%S.%f %p", "%A %B %d, %Y %T.%f", "%Y%m%d%H%M%S%f"] {
                let format = Format::parse(text).unwrap();
                let written = format.write(days, us, 0).unwrap();
                let read = format.read(&written, None).and_then(|fields| fields.wall_us());
                prop_assert_eq!(read, Some(days * DAY_US + us));
            }
        }
    }
}
