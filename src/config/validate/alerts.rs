//! `[alerts]` and the free space that weir wants: bounds and their ranges, and where alerts go.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::apply::wait;
use super::database::secret;
use crate::config::alerts::{AlertBounds, Alerts, Webhook, WebhookUrl};
use crate::config::problem::Report;
use crate::config::raw;
use crate::config::read::{At, OrOff, Period, Size};
use crate::config::units::{show_duration, show_size};

/// Free space below which links halt, unless it is written.
const STATE_FREE_MIN: u64 = 128 << 20;
/// Shortest time between two messages about the same, unless it is written.
const MIN_INTERVAL: Duration = Duration::from_secs(300);
const INTERVALS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
const PERIODS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(365 * 86_400);
const SIZES: RangeInclusive<usize> = 1..=1 << 50;
/// Headers that say how the message is to be read.
const RESERVED: [&str; 4] = ["content-length", "content-type", "host", "transfer-encoding"];

/// Checks `[alerts]`; relative paths are taken from `directory`.
pub(super) fn alerts(
    raw: &At<raw::Alerts>,
    directory: &Path,
    report: &mut Report<'_>,
) -> Option<Alerts> {
    let base = AlertBounds::default();
    let bounds = AlertBounds {
        lag_max: period(&raw.lag_max, "lag_max", base.lag_max, report),
        retrying_max: period(&raw.retrying_max, "retrying_max", base.retrying_max, report),
        wal_left_min: size(&raw.wal_left_min, "wal_left_min", base.wal_left_min, report),
        binlog_left_min: period(
            &raw.binlog_left_min,
            "binlog_left_min",
            base.binlog_left_min,
            report,
        ),
        disk_free_min: size(&raw.disk_free_min, "disk_free_min", base.disk_free_min, report),
    };
    if raw.webhook.is_none() && raw.command.is_none() {
        let hint = "write `webhook = { url = \"https://…\" }` or `command = [\"program\"]`";
        report.add(raw.place, "the alerts go nowhere", hint);
    }
    if let Some(words) = &raw.command
        && words.first().is_none_or(|word| word.is_empty())
    {
        report.add(words.place, "the command is empty", "name a program first");
    }
    let interval = raw
        .webhook
        .as_ref()
        .and_then(|webhook| wait(&webhook.min_interval, "min_interval", INTERVALS, report));
    let webhook = match &raw.webhook {
        Some(raw) => Some(webhook(raw, directory, report)?),
        None => None,
    };
    let command = raw.command.as_ref();
    let command = command.map(|words| words.iter().map(|word| word.value.clone()).collect());
    let min_interval = interval.unwrap_or(MIN_INTERVAL);
    Some(Alerts { webhook, command, min_interval, bounds })
}

/// Free space below which links halt; `None` where that is switched off.
pub(super) fn state_free_min(
    raw: &Option<At<OrOff<Size>>>,
    report: &mut Report<'_>,
) -> Option<u64> {
    size(raw, "state_free_min", Some(STATE_FREE_MIN), report)
}

fn webhook(raw: &At<raw::Webhook>, directory: &Path, report: &mut Report<'_>) -> Option<Webhook> {
    let token = raw
        .token
        .as_ref()
        .and_then(|token| secret(&token.value, token.place, "token", directory, report));
    if let Some(header) = &raw.token_header {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let reserved = RESERVED.contains(&header.to_ascii_lowercase().as_str());
        if header.is_empty() || !header.bytes().all(is_token) || reserved {
            report.add(header.place, "not a header that can carry a token", "as in \"X-Api-Key\"");
        }
        if raw.token.is_none() {
            let message = "`token_header` stands without `token`";
            report.add(header.place, message, "write the token, or remove this");
        }
    }
    if let Some(path) = &raw.tls_ca
        && (path.is_empty() || path.contains('\0'))
    {
        report.add(path.place, "not a path of a file", "");
    }
    let url = raw.url.as_ref()?;
    let url = match &url.value {
        raw::WebhookUrl::Plain(text) => {
            if let Err(message) = WebhookUrl::parse(text) {
                let hint = "write it as in \"https://alerts.example.com/weir\"";
                report.add(url.place, message, hint);
            }
            WebhookUrl::Plain(text.clone())
        }
        raw::WebhookUrl::Secret(raw) => {
            WebhookUrl::Secret(secret(raw, url.place, "url", directory, report)?)
        }
    };
    Some(Webhook {
        url,
        format: raw.format.as_ref().map(|format| format.value).unwrap_or_default(),
        token,
        token_header: raw.token_header.as_ref().map(|header| header.value.clone()),
        tls_ca: raw.tls_ca.as_ref().map(|path| directory.join(&path.value)),
    })
}

fn period(
    value: &Option<At<OrOff<Period>>>,
    key: &str,
    default: Option<Duration>,
    report: &mut Report<'_>,
) -> Option<Duration> {
    let Some(written) = value else { return default };
    let OrOff::Bound(Period(bound)) = written.value else { return None };
    if !PERIODS.contains(&bound) {
        let (from, to) = (show_duration(*PERIODS.start()), show_duration(*PERIODS.end()));
        let hint = format!("write a duration from {from} to {to}, or \"off\"");
        report.add(written.place, format!("`{key}` is out of range"), hint);
    }
    Some(bound)
}

fn size(
    value: &Option<At<OrOff<Size>>>,
    key: &str,
    default: Option<u64>,
    report: &mut Report<'_>,
) -> Option<u64> {
    let Some(written) = value else { return default };
    let OrOff::Bound(Size(bound)) = written.value else { return None };
    if !SIZES.contains(&bound) {
        let (from, to) = (show_size(*SIZES.start()), show_size(*SIZES.end()));
        let hint = format!("write a size from {from} to {to}, or \"off\"");
        report.add(written.place, format!("`{key}` is out of range"), hint);
    }
    Some(bound as u64)
}
