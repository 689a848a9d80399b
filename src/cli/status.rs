//! `weir status`: each link's state and since when, position, lag, copies, what is set aside, and the next
//! step where there is one. Asks the running weir; without one, tells what the state directory remembers.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cli::args::{Global, StatusArgs};
use crate::cli::context::{links, load};
use crate::cli::control::{Request, ask};
use crate::cli::copies::{self, CopyLine};
use crate::cli::output::say;
use crate::cli::{exit, print_json, state, watch};
use crate::config::{Config, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::lag::lag_seconds;
use crate::link::ledger::{Checkpoint, HaltRecord};
use crate::link::moment::rfc3339;
use crate::link::status::{LinkState, LinkStatus, SetAside, now_us};

/// One link, as it is printed and as JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) link: String,
    pub(super) state: String,
    pub(super) since_us: i64,
    #[serde(default)]
    source_at: String,
    #[serde(default)]
    target_at: String,
    pub(super) position: Option<String>,
    seq: Option<u64>,
    pub(super) lag_seconds: Option<f64>,
    pub(super) lag_bytes: Option<u64>,
    #[serde(default)]
    pub(super) lag_transactions: Option<u64>,
    last_applied_us: Option<i64>,
    transactions: u64,
    pub(super) changes: u64,
    rows: u64,
    missed: u64,
    #[serde(default)]
    partial: u64,
    refetched: u64,
    retries: u64,
    #[serde(default)]
    prepared: Option<String>,
    #[serde(default)]
    prepared_seconds: Option<i64>,
    pub(super) error: Option<Trouble>,
    #[serde(default)]
    pub(super) set_aside: Option<Aside>,
    #[serde(default)]
    pub(super) copies: Vec<CopyLine>,
}

/// Rows that are set aside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Aside {
    rows: u64,
    letters: u64,
    since_us: Option<i64>,
    pub(super) hint: String,
}

impl Aside {
    /// `1 row`, `3 rows`.
    pub(super) fn count(&self) -> String {
        SetAside { rows: self.rows, ..SetAside::default() }.count()
    }
}

/// Why a link is retrying or halted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Trouble {
    pub(super) kind: String,
    pub(super) text: String,
    pub(super) hint: String,
    since_us: i64,
}

/// `  set aside 3 rows since 2026-11-30T10:43:02Z, 5 changes` and the hint.
impl fmt::Display for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  set aside {}, {} changes", self.count(), self.letters)?;
        if let Some(at) = self.since_us {
            write!(f, ", since {}", rfc3339(at))?;
        }
        write!(f, "\n  hint: {}", self.hint)
    }
}

impl From<&HaltRecord> for Trouble {
    fn from(record: &HaltRecord) -> Trouble {
        Trouble {
            kind: record.kind.name().to_owned(),
            text: record.text.clone(),
            hint: record.hint.clone(),
            since_us: record.since_us,
        }
    }
}

impl Line {
    /// A running link.
    pub(super) fn of(link: &LinkName, status: &LinkStatus) -> Line {
        Line {
            link: link.to_string(),
            state: status.state.name().to_owned(),
            since_us: status.since_us,
            source_at: status.source_at.clone(),
            target_at: status.target_at.clone(),
            position: status.applied.as_ref().map(ToString::to_string),
            seq: status.seq,
            lag_seconds: lag_seconds(&status.lag, now_us()),
            lag_bytes: status.lag_bytes,
            lag_transactions: status.lag_transactions,
            last_applied_us: status.lag.last_applied_us,
            transactions: status.counters.transactions,
            changes: status.counters.changes,
            rows: status.counters.rows,
            missed: status.counters.missed,
            partial: status.counters.partial,
            refetched: status.counters.refetched,
            retries: status.counters.retries,
            prepared: status.seen.as_ref().and_then(|at| Some(at.held_by()?.xid.clone())),
            prepared_seconds: status.prepared_for(now_us()),
            error: status.error.as_ref().map(Trouble::from),
            set_aside: (status.set_aside.rows > 0).then(|| Aside {
                rows: status.set_aside.rows,
                letters: status.set_aside.letters,
                since_us: status.set_aside.since_us,
                hint: status.set_aside.hint(link),
            }),
            copies: copies::lines(status),
        }
    }

    /// A link of a weir that does not run.
    pub(super) fn remembered(link: &LinkName, checkpoint: Option<&Checkpoint>) -> Line {
        let halt = checkpoint.and_then(|checkpoint| checkpoint.halt.as_ref());
        let progress = checkpoint.and_then(|checkpoint| checkpoint.progress.as_ref());
        let paused = checkpoint.and_then(|checkpoint| checkpoint.paused_since_us);
        let state = match (paused, halt) {
            (Some(_), _) => LinkState::Paused,
            (None, Some(_)) => LinkState::Halted,
            (None, None) => LinkState::Stopped,
        };
        Line {
            link: link.to_string(),
            state: state.name().to_owned(),
            since_us: paused
                .or(halt.map(|halt| halt.since_us))
                .unwrap_or_else(|| checkpoint.map_or(0, |checkpoint| checkpoint.recorded_at_us)),
            position: progress.map(|progress| progress.position.to_string()),
            seq: progress.map(|progress| progress.seq),
            error: halt.map(Trouble::from),
            ..Line::default()
        }
    }

    /// Whether it waits for a person.
    pub(super) fn is_standing(&self) -> bool {
        [LinkState::Halted, LinkState::Paused].iter().any(|state| self.state == state.name())
    }

    /// State, position and trouble in one line.
    pub(super) fn describe(&self) -> String {
        let position = self.position.as_deref().unwrap_or("no position yet");
        let lag = self.lag_seconds.map_or(String::new(), |lag| format!(", {lag:.1} s behind"));
        let trouble =
            self.error.as_ref().map_or(String::new(), |error| format!(": {}", error.text));
        let copying = self.copying().map_or(String::new(), |copying| format!(", {copying}"));
        format!("{} at {position}{lag}{copying}{trouble}", self.state)
    }

    /// `2 tables are being copied`, if any are.
    pub(super) fn copying(&self) -> Option<String> {
        match self.copies.iter().filter(|copy| copy.is_going()).count() {
            0 => None,
            1 => Some("1 table is being copied".to_owned()),
            tables => Some(format!("{tables} tables are being copied")),
        }
    }

    /// What a person does to let it go on.
    pub(super) fn way_on(&self) -> String {
        match &self.error {
            Some(trouble) if self.state != LinkState::Paused.name() => trouble.hint.clone(),
            _ => format!("`weir resume {}`", self.link),
        }
    }
}

/// Runs the verb. Exit code 4 when a link is halted.
pub(super) async fn run(global: &Global, args: &StatusArgs) -> Result<ExitCode> {
    let config = load(global)?;
    if let Some(seconds) = args.watch {
        return watch::run(&config, Duration::from_secs(seconds), args.json).await;
    }
    let (running, lines) = look(&config).await?;
    if args.json {
        print_json(&serde_json::json!({ "running": running, "links": lines }))?;
    } else {
        if !running {
            say!("weir is not running; this is what its state directory remembers");
        }
        lines.iter().for_each(print);
    }
    let halted = lines.iter().any(|line| line.state == LinkState::Halted.name());
    Ok(ExitCode::from(if halted { exit::HALTED } else { exit::GOOD }))
}

/// Every link, and whether a running weir told of it.
pub(super) async fn look(config: &Config) -> Result<(bool, Vec<Line>)> {
    Ok(match ask(&config.state_dir, &Request::Status).await? {
        Some(answer) => {
            let mut status = answer.told()?;
            let lines = serde_json::from_value(status["links"].take()).map_err(|cause| {
                Error::new(Kind::Io, "the running weir is of another version").caused_by(cause)
            })?;
            (true, lines)
        }
        None => {
            let known = state::checkpoints(config)?;
            let all = links(config, &[])?;
            (false, all.iter().map(|link| Line::remembered(link, known.get(link))).collect())
        }
    })
}

fn print(line: &Line) {
    let since = (now_us() - line.since_us).max(0) / 1_000_000;
    let since = match line.since_us {
        0 => String::new(),
        at => format!(" for {}, since {}", duration(since), rfc3339(at)),
    };
    say!("{}  {}{since}", line.link, line.state);
    if !line.source_at.is_empty() {
        say!("  servers   {} -> {}", line.source_at, line.target_at);
    }
    say!("  position  {}", line.position.as_deref().unwrap_or("none yet"));
    if let Some(lag) = line.lag_seconds {
        let bytes = line.lag_bytes.map_or(String::new(), |bytes| format!(", {bytes} bytes of log"));
        say!("  lag       {lag:.1} s{bytes}");
        say!(
            "  applied   {} transactions, {} changes, {} rows since the start",
            line.transactions,
            line.changes,
            line.rows
        );
    }
    if let (Some(xid), Some(seconds)) = (&line.prepared, line.prepared_seconds) {
        say!(
            "  prepared  {xid} for {}: its log is kept until XA COMMIT or ROLLBACK",
            duration(seconds)
        );
    }
    if line.state == LinkState::Paused.name() {
        let position = line.position.as_deref().and_then(|text| text.parse().ok());
        let log = position.map_or(String::new(), |at| format!("{}; ", state::log_kept(&at)));
        say!("  {log}`weir resume {}` lets it go on", line.link);
    }
    if let Some(trouble) = &line.error {
        say!("  {}: {}", trouble.kind, trouble.text);
        say!("  hint: {}", trouble.hint);
    }
    for copy in copies::summary(&line.copies) {
        say!("  copies    {copy}");
    }
    if let Some(aside) = &line.set_aside {
        say!("{aside}");
    }
}

pub(super) fn duration(seconds: i64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if rows that are set aside were not told of a link that runs, or not since when.
    #[test]
    fn rows_set_aside_are_told() {
        let link = LinkName { source: "shop".to_owned(), target: "dwh".to_owned() };
        let since_us = Some(1_709_210_096_000_000);
        let set_aside = SetAside { rows: 1, letters: 4, since_us };
        let line = Line::of(&link, &LinkStatus { set_aside, ..LinkStatus::default() });
        let told = serde_json::to_value(&line).expect("told");
        let line: Line = serde_json::from_value(told.clone()).expect("understood");
        assert_eq!(
            line.set_aside.expect("some").to_string(),
            "  set aside 1 row, 4 changes, since 2024-02-29T12:34:56Z\n  \
             hint: see `weir dead-letters list shop:dwh`"
        );
        assert_eq!(told["set_aside"]["letters"], 4);
        let line = Line::of(&link, &LinkStatus::default());
        assert!(line.set_aside.is_none());
    }
}
