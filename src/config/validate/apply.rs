//! `[apply]` and `[link.a.b]`: limits and their ranges.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::start::{self, Of};
use crate::config::problem::Report;
use crate::config::raw;
use crate::config::read::{At, OrOff, Period, Size};
use crate::config::settings::{ApplyOptions, OnPoison, Rate, Streaming};
use crate::config::units::{show_duration, show_size};

const ROWS: RangeInclusive<u64> = 1..=1_000_000;
const ROWS_PER_SECOND: RangeInclusive<u32> = 1..=1_000_000_000;
const READERS: RangeInclusive<usize> = 1..=16;
const BYTES: RangeInclusive<usize> = 64 << 10..=1 << 30;
const SPOOL: RangeInclusive<usize> = 1 << 20..=1 << 44;
const WAIT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3600);

impl Default for ApplyOptions {
    fn default() -> Self {
        ApplyOptions {
            start: None,
            batch_rows_max: 5000,
            batch_bytes_max: 8 << 20,
            queue_bytes_max: 16 << 20,
            streaming: Streaming::On,
            spool_bytes_max: 10 << 30,
            lock_timeout: Duration::from_secs(30),
            retry_initial: Duration::from_millis(200),
            retry_max: Duration::from_secs(30),
            idle_witness_every: Duration::from_secs(10),
            on_poison: OnPoison::Park,
            dead_letters_max: 1000,
            dead_letters_rate_max: Rate { count: 100, period: Duration::from_secs(60) },
            max_rows_per_second: None,
            copy_readers: 2,
        }
    }
}

/// `base` with what a section says instead.
pub(super) fn options(
    raw: &raw::Apply,
    base: &ApplyOptions,
    of: Of,
    report: &mut Report<'_>,
) -> ApplyOptions {
    let start = raw.start.as_ref().and_then(|written| start::start(written, of, report));
    let rows = count(&raw.batch_rows_max, "batch_rows_max", report);
    let rows = rows.and_then(|rows| usize::try_from(rows).ok());
    let options = ApplyOptions {
        start: start.or_else(|| base.start.clone()),
        batch_rows_max: rows.unwrap_or(base.batch_rows_max),
        batch_bytes_max: size(&raw.batch_bytes_max, "batch_bytes_max", BYTES, report)
            .unwrap_or(base.batch_bytes_max),
        queue_bytes_max: size(&raw.queue_bytes_max, "queue_bytes_max", BYTES, report)
            .unwrap_or(base.queue_bytes_max),
        streaming: raw.streaming.as_ref().map_or(base.streaming, |streaming| streaming.value),
        spool_bytes_max: size(&raw.spool_bytes_max, "spool_bytes_max", SPOOL, report)
            .unwrap_or(base.spool_bytes_max),
        lock_timeout: wait(&raw.lock_timeout, "lock_timeout", WAIT, report)
            .unwrap_or(base.lock_timeout),
        retry_initial: wait(&raw.retry_initial, "retry_initial", WAIT, report)
            .unwrap_or(base.retry_initial),
        retry_max: wait(&raw.retry_max, "retry_max", WAIT, report).unwrap_or(base.retry_max),
        idle_witness_every: wait(&raw.idle_witness_every, "idle_witness_every", WAIT, report)
            .unwrap_or(base.idle_witness_every),
        on_poison: raw.on_poison.as_ref().map_or(base.on_poison, |poison| poison.value),
        dead_letters_max: count(&raw.dead_letters_max, "dead_letters_max", report)
            .unwrap_or(base.dead_letters_max),
        dead_letters_rate_max: raw
            .dead_letters_rate_max
            .as_ref()
            .map_or(base.dead_letters_rate_max, |rate| rate.value),
        max_rows_per_second: rows_per_second(&raw.max_rows_per_second, report)
            .unwrap_or(base.max_rows_per_second),
        copy_readers: readers(&raw.copy_readers, report).unwrap_or(base.copy_readers),
    };
    let waits = raw.retry_max.as_ref().or(raw.retry_initial.as_ref());
    if let Some(at) = waits
        && options.retry_max < options.retry_initial
    {
        let initial = show_duration(options.retry_initial);
        let message = format!("`retry_max` is shorter than `retry_initial` ({initial})");
        report.add(at.place, message, "");
    }
    options
}

/// The inner `None` is no limit, the outer one that nothing is written.
fn rows_per_second(value: &Option<At<OrOff<u64>>>, report: &mut Report<'_>) -> Option<Option<u32>> {
    let value = value.as_ref()?;
    let OrOff::Bound(rows) = value.value else { return Some(None) };
    let rows = u32::try_from(rows).ok().filter(|rows| ROWS_PER_SECOND.contains(rows));
    if rows.is_none() {
        let (from, to) = (ROWS_PER_SECOND.start(), ROWS_PER_SECOND.end());
        let hint = format!("write a number from {from} to {to}, or \"off\"");
        report.add(value.place, "`max_rows_per_second` is out of range", hint);
    }
    Some(rows)
}

fn readers(value: &Option<At<u64>>, report: &mut Report<'_>) -> Option<usize> {
    let value = value.as_ref()?;
    let readers = usize::try_from(value.value).ok().filter(|count| READERS.contains(count));
    if readers.is_none() {
        let hint = format!("write a number from {} to {}", READERS.start(), READERS.end());
        report.add(value.place, "`copy_readers` is out of range", hint);
    }
    readers
}

/// A number of rows within [`ROWS`]; `None` where none is written.
fn count(value: &Option<At<u64>>, key: &str, report: &mut Report<'_>) -> Option<u64> {
    let value = value.as_ref()?;
    if !ROWS.contains(&value.value) {
        let range = format!("write a number from {} to {}", ROWS.start(), ROWS.end());
        report.add(value.place, format!("`{key}` is out of range"), range);
    }
    Some(value.value)
}

fn size(
    value: &Option<At<Size>>,
    key: &str,
    bytes: RangeInclusive<usize>,
    report: &mut Report<'_>,
) -> Option<usize> {
    let value = value.as_ref()?;
    if !bytes.contains(&value.value.0) {
        let range = format!(
            "write a size from {} to {}",
            show_size(*bytes.start()),
            show_size(*bytes.end())
        );
        report.add(value.place, format!("`{key}` is out of range"), range);
    }
    Some(value.value.0)
}

/// A duration within `range`; `None` where none is written.
pub(super) fn wait(
    value: &Option<At<Period>>,
    key: &str,
    range: RangeInclusive<Duration>,
    report: &mut Report<'_>,
) -> Option<Duration> {
    let value = value.as_ref()?;
    if !range.contains(&value.value.0) {
        let (from, to) = (show_duration(*range.start()), show_duration(*range.end()));
        let range = format!("write a duration from {from} to {to}");
        report.add(value.place, format!("`{key}` is out of range"), range);
    }
    Some(value.value.0)
}
