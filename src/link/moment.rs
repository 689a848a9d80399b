//! A moment as people and their tools write it: RFC 3339, UTC, whole seconds. Clocks are read in
//! `status`.

use std::time::Duration;

use x509_cert::der::DateTime;

/// Microseconds since 1970 as `2026-11-30T10:43:02Z`.
pub fn rfc3339(at_us: i64) -> String {
    let since_1970 = Duration::from_micros(u64::try_from(at_us).unwrap_or_default());
    match DateTime::from_unix_duration(since_1970) {
        Ok(moment) => moment.to_string(),
        Err(_) => format!("{} s after 1970", since_1970.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a halt were told to be of another day, or an odd clock stopped weir.
    #[test]
    fn moments_are_written_in_utc() {
        assert_eq!(rfc3339(1_709_210_096_999_999), "2024-02-29T12:34:56Z");
        assert_eq!(rfc3339(-1), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(i64::MAX), "9223372036854 s after 1970");
    }
}
