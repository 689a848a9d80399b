//! What is wrong with a link, by its status alone. Pure: the clock is a parameter.
//!
//! What is not known is neither wrong nor right: what was told of it stands.

use std::time::Duration;

use serde_json::json;

use super::{AlertKind, Figure};
use crate::config::{AlertBounds, LinkName};
use crate::link::lag::lag_seconds;
use crate::link::ports::Retention;
use crate::link::space::Room;
use crate::link::status::{LinkState, LinkStatus};

/// How long a database must have written nothing that it does not own for that to be over, in microseconds.
const QUIET_US: i64 = 600_000_000;
/// How long a link has run before it is told to run again, in microseconds.
const STEADY_US: i64 = 5_000_000;

/// What a look found out about one kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reading {
    /// All is well, as this text says.
    Good(String),
    /// It cannot be told now.
    Unknown,
    /// Something is wrong.
    Bad(Finding),
}

/// What is wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Finding {
    /// Since when, where that is known.
    pub(super) since_us: Option<i64>,
    /// What tells it from the same that follows without a good look between.
    pub(super) occurrence: i64,
    /// How often it has happened since weir runs, where it can happen again while it lasts.
    pub(super) happened: u64,
    pub(super) text: String,
    pub(super) hint: String,
    pub(super) figures: Vec<Figure>,
}

/// Everything that can be said of a link.
pub(super) fn of_link(
    link: &LinkName,
    status: &LinkStatus,
    bounds: &AlertBounds,
    now_us: i64,
) -> Vec<(AlertKind, Reading)> {
    vec![
        (AlertKind::LinkHalted, halted(link, status, now_us)),
        (AlertKind::LinkRetrying, retrying(link, status, bounds.retrying_max, now_us)),
        (AlertKind::Lag, lag(link, status, bounds.lag_max, now_us)),
        (AlertKind::DeadLetters, dead_letters(link, status)),
        (AlertKind::FlaggedWrites, flagged(link, status, now_us)),
        (AlertKind::Differences, differences(link, status)),
        (AlertKind::LogRetention, retention(link, &status.retention, bounds)),
    ]
}

/// Whether there is too little free space.
pub(super) fn of_space(room: Room, min: Option<u64>) -> Reading {
    let mib = |bytes: u64| bytes >> 20;
    match (room.free, min) {
        (_, None) => not_watched(),
        (None, _) => Reading::Unknown,
        (Some(free), Some(min)) if free >= min => Reading::Good(format!(
            "the file system of the state directory has {} MiB left",
            mib(free)
        )),
        (Some(free), Some(min)) => {
            let halts = room
                .min
                .map_or(String::new(), |min| format!("; below {} MiB every link halts", mib(min)));
            Reading::Bad(Finding {
                text: format!(
                    "the file system of the state directory has {} MiB left, less than {} MiB",
                    mib(free),
                    mib(min)
                ),
                hint: format!("free space on it{halts}"),
                figures: vec![("free_bytes", json!(free)), ("min_bytes", json!(min))],
                ..Finding::default()
            })
        }
    }
}

/// A link that was resumed is not well before it streams.
fn halted(link: &LinkName, status: &LinkStatus, now_us: i64) -> Reading {
    match (status.state, &status.error) {
        (LinkState::Halted, error) => {
            let (kind, text, hint) = error.as_ref().map_or(("", "", ""), |error| {
                (error.kind.name(), error.text.as_str(), error.hint.as_str())
            });
            Reading::Bad(Finding {
                since_us: Some(status.since_us),
                occurrence: status.since_us,
                text: format!("link {link} has halted: {text}"),
                hint: hint.to_owned(),
                figures: vec![("error_kind", json!(kind))],
                ..Finding::default()
            })
        }
        (LinkState::Running, _) => runs_again(link, status, now_us),
        (LinkState::Paused, _) => Reading::Good(format!("link {link} is paused")),
        (LinkState::Starting | LinkState::Retrying | LinkState::Stopped, _) => Reading::Unknown,
    }
}

fn retrying(link: &LinkName, status: &LinkStatus, max: Option<Duration>, now_us: i64) -> Reading {
    let Some(max) = max else { return not_watched() };
    match status.state {
        LinkState::Running => return runs_again(link, status, now_us),
        // What is halted is told as such, and what a person has paused needs no telling.
        state @ (LinkState::Halted | LinkState::Paused) => {
            return Reading::Good(format!("link {link} is {}", state.name()));
        }
        LinkState::Stopped => return Reading::Unknown,
        LinkState::Starting | LinkState::Retrying => {}
    }
    let lasts_us = now_us.saturating_sub(status.since_us).max(0);
    if lasts_us < micros(max) {
        return Reading::Unknown;
    }
    let (kind, text, hint) = match &status.error {
        Some(error) => (error.kind.name(), error.text.as_str(), error.hint.as_str()),
        None => (status.state.name(), "it has not begun to stream", "see weir's log"),
    };
    let seconds = lasts_us / 1_000_000;
    Reading::Bad(Finding {
        since_us: Some(status.since_us),
        text: format!("link {link} has not got on for {seconds} s: {text}"),
        hint: hint.to_owned(),
        figures: vec![("error_kind", json!(kind)), ("retrying_seconds", json!(seconds))],
        ..Finding::default()
    })
}

/// Whoever runs for a moment at each try does not run again.
fn runs_again(link: &LinkName, status: &LinkStatus, now_us: i64) -> Reading {
    match now_us.saturating_sub(status.since_us) >= STEADY_US {
        true => Reading::Good(format!("link {link} runs again")),
        false => Reading::Unknown,
    }
}

fn dead_letters(link: &LinkName, status: &LinkStatus) -> Reading {
    match status.known_set_aside() {
        None => Reading::Unknown,
        Some(aside) if aside.rows == 0 => {
            Reading::Good(format!("no row of link {link} is set aside any more"))
        }
        Some(aside) => Reading::Bad(Finding {
            since_us: aside.since_us,
            happened: status.counters.dead_letters,
            text: format!("{} of link {link} set aside", aside.count()),
            hint: aside.hint(link),
            figures: vec![("rows", json!(aside.rows)), ("letters", json!(aside.letters))],
            ..Finding::default()
        }),
    }
}

/// Of those since weir runs: which of the records are open, the target alone knows.
fn flagged(link: &LinkName, status: &LinkStatus, now_us: i64) -> Reading {
    let Some(last_us) = status.flagged_us else { return Reading::Unknown };
    let source = &link.source;
    // A clock that was set back must not make it last for years.
    if now_us.abs_diff(last_us) >= QUIET_US.unsigned_abs() {
        let minutes = QUIET_US / 60_000_000;
        return Reading::Good(format!(
            "{source} has written nothing for {minutes} min that it does not own"
        ));
    }
    let writes = status.counters.flagged;
    Reading::Bad(Finding {
        happened: writes,
        text: format!("{source} writes what it does not own; {} leaves it out", link.target),
        hint: format!(
            "see `weir flagged list {link}`; then `weir flagged revert`, `accept` or `dismiss`, and \
             have whoever writes there write at the owner"
        ),
        figures: vec![("records", json!(writes))],
        ..Finding::default()
    })
}

/// By the last comparison; one that is under way tells what it has found already.
fn differences(link: &LinkName, status: &LinkStatus) -> Reading {
    let Some(compared) = status.compared else { return Reading::Unknown };
    let counts = compared.counts;
    match counts.differences() {
        0 if compared.ended_us.is_some() => {
            Reading::Good(format!("both sides of link {link} are equal where they were compared"))
        }
        0 => Reading::Unknown,
        rows => Reading::Bad(Finding {
            text: format!("{rows} rows of {} differ from {}", link.target, link.source),
            hint: format!("see `weir verify {link}`; with --repair they are mended"),
            figures: vec![
                ("rows", json!(rows)),
                ("missing", json!(counts.missing)),
                ("extra", json!(counts.extra)),
                ("differing", json!(counts.differing)),
            ],
            ..Finding::default()
        }),
    }
}

/// The lag of a link that stands because of a person, or until one acts, is no news.
fn lag(link: &LinkName, status: &LinkStatus, max: Option<Duration>, now_us: i64) -> Reading {
    let Some(max) = max else { return not_watched() };
    if matches!(status.state, LinkState::Halted | LinkState::Paused | LinkState::Stopped) {
        return Reading::Unknown;
    }
    match lag_seconds(&status.lag, now_us) {
        None => Reading::Unknown,
        Some(lag) if lag <= max.as_secs_f64() => Reading::Good(format!(
            "{} is {lag:.0} s behind {}, within its bound",
            link.target, link.source
        )),
        Some(lag) => {
            let mut figures = vec![
                ("lag_seconds", json!(lag.round())),
                ("max_seconds", json!(max.as_secs_f64())),
            ];
            figures.extend(status.lag_bytes.map(|bytes| ("lag_bytes", json!(bytes))));
            Reading::Bad(Finding {
                text: format!(
                    "{} is {lag:.0} s behind {}, more than {} s",
                    link.target,
                    link.source,
                    max.as_secs()
                ),
                hint: "something is slow or stuck: see `weir status`; a full queue means a slow target"
                    .to_owned(),
                figures,
                ..Finding::default()
            })
        }
    }
}

/// Judged whatever the link does: above all while it does nothing the log must not run out unnoticed.
fn retention(link: &LinkName, retention: &Retention, bounds: &AlertBounds) -> Reading {
    let source = &link.source;
    let lasts = || Reading::Good(format!("{source} keeps the log of link {link} for long enough"));
    match (retention.safe_bytes, retention.purge_eta) {
        (Some(left), _) => match bounds.wal_left_min {
            Some(min) if left < i64::try_from(min).unwrap_or(i64::MAX) => {
                slot_runs_out(link, left, min)
            }
            _ => lasts(),
        },
        (None, Some(eta)) => match bounds.binlog_left_min {
            Some(min) if eta < min => Reading::Bad(Finding {
                text: format!(
                    "{source} may purge log that link {link} needs in {} min",
                    eta.as_secs() / 60
                ),
                hint: format!(
                    "raise binlog_expire_logs_seconds on {source}, or let the link get on"
                ),
                figures: vec![
                    ("left_seconds", json!(eta.as_secs())),
                    ("min_seconds", json!(min.as_secs())),
                ],
                ..Finding::default()
            }),
            _ => lasts(),
        },
        // A slot without a bound is kept for ever.
        (None, None) if retention.retained_bytes.is_some() => lasts(),
        (None, None) => Reading::Unknown,
    }
}

fn slot_runs_out(link: &LinkName, left: i64, min: u64) -> Reading {
    let source = &link.source;
    let raise = format!("raise max_slot_wal_keep_size on {source}, or let the link get on");
    let (text, hint) = match left {
        0 => (
            format!("{source} has given up log that link {link} needs: its slot is lost"),
            format!("the tables of {link} must be copied again: see `weir status`"),
        ),
        ..0 => (format!("{source} may give up the slot of link {link} at any time"), raise),
        _ => (
            format!("{source} gives up the slot of link {link} after {} MiB more", left >> 20),
            raise,
        ),
    };
    let figures = vec![("left_bytes", json!(left.max(0))), ("min_bytes", json!(min))];
    Reading::Bad(Finding { text, hint, figures, ..Finding::default() })
}

/// Its bound was switched off while it was told of.
fn not_watched() -> Reading {
    Reading::Good("its bound is switched off".to_owned())
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
