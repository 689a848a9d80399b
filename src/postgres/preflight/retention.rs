//! Checks of what becomes of a source's log, and of its disk, while weir is away.
//!
//! What a server says of itself is read here and judged by a pure function. How fast its log grows is
//! known only where its statistics are older than an hour.

use std::time::Duration;

use super::managed::Managed;
use super::{Change, Probe, and_then};
use crate::error::{Kind, Result};
use crate::link::ports::Finding;

/// The setting that bounds the log that slots keep.
pub(super) const KEEP_SIZE: &str = "max_slot_wal_keep_size";
const GIB: f64 = (1_u64 << 30) as f64;
const SECONDS_PER_DAY: f64 = 86_400.0;

/// `rate`: bytes of log a second, since the server's statistics were reset.
const RETENTION: &str = "
SELECT pg_size_bytes(nullif(current_setting('max_slot_wal_keep_size'), '-1')) AS keep,
       COALESCE((SELECT setting FROM pg_settings
                 WHERE name = 'idle_replication_slot_timeout'), '0')::int8
         * CASE (SELECT unit FROM pg_settings WHERE name = 'idle_replication_slot_timeout')
             WHEN 'min' THEN 60 ELSE 1 END AS idle_seconds,
       (SELECT (wal_bytes / greatest(extract(epoch FROM now() - stats_reset), 1))::float8
        FROM pg_stat_wal WHERE stats_reset < now() - interval '1 hour') AS rate";

/// What a server says of the log that it keeps.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    /// Bytes that a slot may keep; `None` without bound.
    bytes_max: Option<i64>,
    /// Bytes of log a second, where it is known.
    rate: Option<f64>,
    /// After so many seconds an idle slot is given up; 0 for never.
    idle_seconds_max: i64,
}

/// What becomes of the log, and of the disk, while weir is away.
pub(super) async fn look(probe: &Probe<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for row in probe.rows(RETENTION, &[]).await? {
        let kept = Kept {
            bytes_max: row.get("keep"),
            rate: row.get::<_, Option<f64>>("rate").filter(|rate| *rate > 0.0),
            idle_seconds_max: row.get("idle_seconds"),
        };
        let judged = judge(kept, probe.preflight.database.retention_min, probe.managed);
        let find =
            |(fatal, kind, message, change)| probe.about_database(fatal, kind, message, change);
        findings.extend(judged.into_iter().map(find));
    }
    Ok(findings)
}

/// What is wrong with that, where weir may be away for `wanted`.
fn judge(kept: Kept, wanted: Duration, managed: Managed) -> Vec<(bool, Kind, String, Change)> {
    let mut found = Vec::new();
    match (kept.bytes_max, kept.rate) {
        (None, rate) => {
            let message = format!(
                "max_slot_wal_keep_size is -1: while weir is down the log it needs grows \
                 without limit and can fill the disk{}",
                rate.map_or(String::new(), pace)
            );
            let change = managed.set(KEEP_SIZE, &keep_size(rate), false);
            let change = and_then(change, "choose a size that the disk has room for");
            found.push((true, Kind::DiskFull, message, change));
        }
        (Some(bytes), Some(rate)) if bytes as f64 / rate < wanted.as_secs_f64() => {
            let message = format!(
                "max_slot_wal_keep_size lasts for {:.1} h{}: a longer stop of weir loses changes",
                bytes as f64 / rate / 3600.0,
                pace(rate)
            );
            let change = managed.set(KEEP_SIZE, &keep_size(Some(rate)), false);
            found.push((false, Kind::Gap, message, change));
        }
        _ => {}
    }
    let idle = kept.idle_seconds_max;
    if idle > 0 && u64::try_from(idle).is_ok_and(|idle| idle < wanted.as_secs()) {
        let message = format!(
            "idle_replication_slot_timeout is {} min: a longer stop of weir loses changes",
            idle / 60
        );
        let change = managed.set("idle_replication_slot_timeout", "0", false);
        found.push((true, Kind::Gap, message, change));
    }
    found
}

/// How fast the log grows, in words.
fn pace(rate: f64) -> String {
    format!(" (the server writes about {:.1} GiB of it a day)", rate * SECONDS_PER_DAY / GIB)
}

/// Room for three days of log, 50 GB at least.
fn keep_size(rate: Option<f64>) -> String {
    let days = rate.unwrap_or_default() * SECONDS_PER_DAY * 3.0 / GIB;
    format!("{:.0}GB", days.ceil().max(50.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    /// 100 GiB a day.
    const RATE: f64 = 100.0 * GIB / SECONDS_PER_DAY;

    fn gib(number: i64) -> Option<i64> {
        Some(number << 30)
    }

    /// Broken if a bound on the log that a busy server reaches before weir may be back went unsaid, or
    /// the size that is proposed did not last for it.
    #[test]
    fn a_size_is_judged_by_how_fast_the_log_grows() {
        let kept = Kept { bytes_max: gib(25), rate: Some(RATE), ..Kept::default() };
        let found = judge(kept, DAY, Managed::Own);
        let [(false, Kind::Gap, message, (mend, _))] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert!(
            message.contains("lasts for 6.0 h (the server writes about 100.0 GiB"),
            "{message}"
        );
        assert_eq!(mend[0], "ALTER SYSTEM SET max_slot_wal_keep_size = '300GB'");
        let mended = Kept { bytes_max: gib(300), ..kept };
        assert!(judge(mended, DAY, Managed::Own).is_empty());
        assert!(judge(kept, DAY / 5, Managed::Own).is_empty(), "weir is never away for that long");
        let unknown = Kept { rate: None, ..kept };
        assert!(judge(unknown, DAY, Managed::Own).is_empty(), "how fast it grows is not known");
    }

    /// Broken if a slot that can fill the disk passed, or the proposed bound forgot how fast it fills.
    #[test]
    fn no_bound_is_an_error() {
        for (rate, size) in [(None, "50GB"), (Some(RATE / 100.0), "50GB"), (Some(RATE), "300GB")] {
            let found = judge(Kept { rate, ..Kept::default() }, DAY, Managed::Own);
            let [(true, Kind::DiskFull, message, (mend, _))] = found.as_slice() else {
                panic!("{found:?}")
            };
            assert_eq!(message.contains("GiB of it a day"), rate.is_some(), "{message}");
            assert_eq!(mend[0], format!("ALTER SYSTEM SET max_slot_wal_keep_size = '{size}'"));
        }
    }

    /// Broken if a slot that is given up before weir may be back went unsaid.
    #[test]
    fn an_idle_slot_must_outlast_a_stop() {
        let idle = |idle_seconds_max| {
            let kept = Kept { bytes_max: gib(1), rate: None, idle_seconds_max };
            judge(kept, DAY, Managed::Own).iter().map(|one| one.2.clone()).collect::<String>()
        };
        assert!(idle(7200).contains("idle_replication_slot_timeout is 120 min"));
        assert_eq!(idle(0) + &idle(86_400), "");
    }
}
