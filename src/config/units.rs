//! Sizes and durations as they are written in the configuration: a whole number and a unit.
//!
//! Sizes are in binary units only, since `MB` means different things to different readers. A number
//! without a unit is refused for the same reason.

use std::time::Duration;

use super::settings::Rate;

/// Units of sizes, in bytes.
const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
/// Units of durations, in milliseconds.
const DURATIONS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
/// Units of rates, in seconds.
const RATES: [(&str, u64); 3] = [("s", 1), ("min", 60), ("h", 3_600)];

/// Reads `8MiB`.
pub(crate) fn parse_size(text: &str) -> Option<usize> {
    parse(text, &SIZES).and_then(|bytes| usize::try_from(bytes).ok())
}

/// Reads `250ms`, `30s`, `5m`, `1h`, `7d`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    parse(text, &DURATIONS).map(Duration::from_millis)
}

/// Reads `5/s`, `100/min`, `1000/h`: at least one.
pub(crate) fn parse_rate(text: &str) -> Option<Rate> {
    let (count, unit) = text.split_once('/')?;
    let seconds = RATES.iter().find(|(name, _)| *name == unit)?.1;
    // A sign, which the parser takes, is not part of a count.
    let digits = count.bytes().all(|byte| byte.is_ascii_digit());
    let count = count.parse().ok().filter(|count| digits && *count > 0)?;
    Some(Rate { count, period: Duration::from_secs(seconds) })
}

/// Writes a size in the largest unit that is exact.
pub(crate) fn show_size(bytes: usize) -> String {
    show(bytes as u64, &SIZES)
}

/// Writes a duration in the largest unit that is exact.
pub(crate) fn show_duration(duration: Duration) -> String {
    show(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &DURATIONS)
}

/// Writes a rate as it is read.
pub(crate) fn show_rate(rate: Rate) -> String {
    let unit = RATES.iter().find(|(_, seconds)| *seconds == rate.period.as_secs());
    format!("{}/{}", rate.count, unit.map_or("?", |(name, _)| name))
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn show(value: u64, units: &[(&str, u64)]) -> String {
    let exact = units.iter().rev().find(|(_, factor)| value > 0 && value.is_multiple_of(*factor));
    let (unit, factor) = exact.or(units.first()).copied().unwrap_or(("", 1));
    format!("{}{unit}", value / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a limit were read a thousand times too large or too small.
    #[test]
    fn units_are_exact() {
        assert_eq!(parse_size("8MiB"), Some(8 << 20));
        assert_eq!(parse_size("512 KiB"), Some(512 << 10));
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("5m"), Some(Duration::from_secs(300)));
        for wrong in ["", "8", "8MB", "MiB", "-1s", "1.5MiB", "99999999999999999999B", "9é"] {
            assert_eq!((parse_size(wrong), parse_duration(wrong)), (None, None), "{wrong}");
        }
        assert_eq!(parse_size("18446744073709551615GiB"), None);
        assert_eq!(show_size(8 << 20), "8MiB");
        assert_eq!(show_size(1500), "1500B");
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
        assert_eq!(show_duration(Duration::ZERO), "0ms");
    }

    /// Broken if a rate were taken for another one, or a limit of none for one.
    #[test]
    fn rates_read_back() {
        for (text, seconds) in [("5/s", 1), ("100/min", 60), ("18446744073709551615/h", 3_600)] {
            let rate = parse_rate(text).unwrap();
            assert_eq!((show_rate(rate).as_str(), rate.period.as_secs()), (text, seconds));
        }
        assert_eq!(parse_rate("100/min").unwrap().count, 100);
        let too_large = "18446744073709551616/s";
        for wrong in ["", "5", "5/", "/s", "0/s", "+5/s", "-5/s", "5/m", "5/ s", "1.5/s", too_large]
        {
            assert_eq!(parse_rate(wrong), None, "{wrong}");
        }
    }
}
