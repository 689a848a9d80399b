//! Days and microseconds since 2000-01-01 as people write them: the proleptic Gregorian calendar.
//!
//! Every day and every moment has a text here, also those that some server does not take. Pure.

use std::fmt;

/// Microseconds of a day.
pub const DAY_US: i64 = 86_400_000_000;

/// Year, month and day of a day counted from 2000-01-01; year 0 is 1 BC.
/// Source: the days are counted in eras of 400 years from 0000-03-01, so that the leap day is last.
pub const fn civil(days_since_2000: i64) -> (i64, i64, i64) {
    const DAYS_TO_2000: i64 = 730_425;
    const ERA_DAYS: i64 = 146_097;
    let days = days_since_2000 + DAYS_TO_2000;
    let era = days.div_euclid(ERA_DAYS);
    let day_of_era = days.rem_euclid(ERA_DAYS);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + (month <= 2) as i64, month, day)
}

/// Writes `YYYY-MM-DD`; returns what goes behind everything for years before 1.
pub fn write_date(
    out: &mut impl fmt::Write,
    days_since_2000: i64,
) -> Result<&'static str, fmt::Error> {
    let (year, month, day) = civil(days_since_2000);
    let (year, suffix) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    write!(out, "{year:04}-{month:02}-{day:02}")?;
    Ok(suffix)
}

/// Writes `HH:MM:SS`, behind a minus where it is below zero, and a fraction of six digits if there is
/// one.
pub fn write_time(out: &mut impl fmt::Write, us: i64) -> fmt::Result {
    let sign = if us < 0 { "-" } else { "" };
    let us = us.unsigned_abs();
    let seconds = us / 1_000_000;
    write!(out, "{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
    match us % 1_000_000 {
        0 => Ok(()),
        fraction => write!(out, ".{fraction:06}"),
    }
}

/// Writes `YYYY-MM-DD HH:MM:SS` of microseconds since 2000-01-01, and the zone behind it.
pub fn write_moment(out: &mut impl fmt::Write, us: i64, zone: &str) -> fmt::Result {
    let suffix = write_date(out, us.div_euclid(DAY_US))?;
    out.write_char(' ')?;
    write_time(out, us.rem_euclid(DAY_US))?;
    out.write_str(zone)?;
    out.write_str(suffix)
}

/// Whether a text is a day of the calendar, `YYYY-MM-DD` of the years 1 to 9999, with nothing or a time of day
/// behind it.
pub fn is_moment(text: &str) -> bool {
    let (day, time) = text.split_once(' ').map_or((text, None), |(day, time)| (day, Some(time)));
    is_day(day) && time.is_none_or(is_time_of_day)
}

/// Whether a text is a day of the calendar, `YYYY-MM-DD` of the years 1 to 9999.
pub fn is_day(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut number = |length: usize| {
        let part = parts.next().filter(|part| part.len() == length)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u16>().ok())?
    };
    let (Some(year), Some(month), Some(day)) = (number(4), number(2), number(2)) else {
        return false;
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    };
    year > 0 && (1..=days).contains(&day) && parts.next().is_none()
}

/// Whether a text is `HH:MM:SS` below 24:00:00, with at most six digits behind a point.
fn is_time_of_day(text: &str) -> bool {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<&str> = clock.split(':').collect();
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let below = |part: &str, most: u8| {
        part.len() == 2 && is_digits(part) && part.parse::<u8>().is_ok_and(|number| number < most)
    };
    let [hours, minutes, seconds] = parts.as_slice() else { return false };
    let is_clock = below(hours, 24) && below(minutes, 60) && below(seconds, 60);
    is_clock && (1..=6).contains(&fraction.len()) && is_digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moment(us: i64) -> String {
        let mut text = String::new();
        write_moment(&mut text, us, "+00").unwrap();
        text
    }

    /// Broken if a leap day, a century or a year before 1 were written as another day, or a time below
    /// zero without its sign.
    #[test]
    fn known_moments() {
        assert_eq!(civil(0), (2000, 1, 1));
        assert_eq!(civil(59), (2000, 2, 29));
        assert_eq!(civil(-36_524), (1900, 1, 1));
        assert_eq!(civil(-36_524 + 59), (1900, 3, 1));
        assert_eq!(moment(-1), "1999-12-31 23:59:59.999999+00");
        assert_eq!(moment(-730_120 * DAY_US), "0001-12-31 00:00:00+00 BC");
        let mut text = String::new();
        write_time(&mut text, -3_020_399_000_000).unwrap();
        assert_eq!(text, "-838:59:59");
    }

    proptest! {
        /// Broken if a day were printed as another day.
        #[test]
        fn civil_counts_every_day(days in -10_000_000_i64..10_000_000) {
            let (year, month, day) = civil(days);
            let (next_year, next_month, next_day) = civil(days + 1);
            let same_month = (year, month, day + 1) == (next_year, next_month, next_day);
            let next = if month == 12 { (year + 1, 1, 1) } else { (year, month + 1, 1) };
            let turns = next == (next_year, next_month, next_day) && day >= 28;
            prop_assert!(same_month != turns);
        }

        /// Broken if a value out of a log could bring weir down.
        #[test]
        fn every_moment_has_a_text(us in any::<i64>()) {
            prop_assert!(!moment(us).is_empty());
            prop_assert!(write_time(&mut String::new(), us).is_ok());
        }
    }

    /// Broken if a day that is in no calendar were printed as one.
    #[test]
    fn days_of_no_calendar_are_told() {
        for good in
            ["2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31", "2024-01-31 23:59:59.5"]
        {
            assert!(is_moment(good), "{good}");
        }
        for bad in [
            "2024-02-30",
            "2023-02-29",
            "1900-02-29",
            "0000-00-00",
            "0000-01-01",
            "2024-00-10",
            "2024-13-01",
            "2024-04-31",
            "24-01-01",
            "2024-1-1",
            "2024-01-01 24:00:00",
            "2024-01-01 1:00:00",
            "+024-01-01",
            "2024-01-01 00:00:00+00",
            "2024-01-01-",
            "2024-01-01 00:00:00.1234567",
            "infinity",
            "",
        ] {
            assert!(!is_moment(bad), "{bad}");
        }
    }
}
