//! What a link shows of itself: its state, error, progress and counters, as one value in a watch
//! channel. Read by `weir status`, `/readyz` and the metrics; written only by the link's own task.

use std::fmt;

use tokio::sync::watch;

use crate::error::Kind;
use crate::link::lag::{LagInputs, lag_seconds};
use crate::link::ledger::HaltRecord;
use crate::link::notes::OpenNotes;
use crate::link::ports::Retention;
use crate::position::Position;
use crate::snapshot::progress::{Progress, Stage};
use crate::verify::report::Summary;

/// Where a link stands in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkState {
    /// Connecting and checking.
    #[default]
    Starting,
    /// Capturing and applying.
    Running,
    /// Waiting for the next try, or trying again, after an error that may pass.
    Retrying,
    /// Until a person has acted.
    Halted,
    /// Until a person who paused it resumes it.
    Paused,
    /// Ended as asked.
    Stopped,
}

impl LinkState {
    /// Every state, in the order of a link's life.
    pub const ALL: [LinkState; 6] = [
        LinkState::Starting,
        LinkState::Running,
        LinkState::Retrying,
        LinkState::Halted,
        LinkState::Paused,
        LinkState::Stopped,
    ];

    /// The state's name in metrics and listings.
    pub const fn name(self) -> &'static str {
        match self {
            LinkState::Starting => "starting",
            LinkState::Running => "running",
            LinkState::Retrying => "retrying",
            LinkState::Halted => "halted",
            LinkState::Paused => "paused",
            LinkState::Stopped => "stopped",
        }
    }
}

/// Sums since this process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Source transactions applied (those without planned changes not counted).
    pub transactions: u64,
    /// Changes received for planned tables and committed in the target.
    pub changes: u64,
    /// Rows written by steps, after merging.
    pub rows: u64,
    /// Target transactions that carried changes.
    pub batches: u64,
    /// Times the link was started again after an error.
    pub retries: u64,
    /// Updates that found no row.
    pub missed: u64,
    /// Rows that the log held in part only.
    pub partial: u64,
    /// Rows read again at the source and written.
    pub refetched: u64,
    /// Changes that were set aside.
    pub dead_letters: u64,
    /// Records of writes by a database that is not the owner.
    pub flagged: u64,
    /// Changes that weir's own passing on had caused, and that were passed on no further.
    pub looped: u64,
}

/// Rows whose changes are set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAside {
    /// Rows.
    pub rows: u64,
    /// Rows of `weir.dead_letter`: changes of them, as far as each has one.
    pub letters: u64,
    /// Since when the oldest is there, microseconds since 1970.
    pub since_us: Option<i64>,
}

impl SetAside {
    /// The next step for the operator, where there are any.
    pub fn hint(&self, link: impl fmt::Display) -> String {
        format!("see `weir dead-letters list {link}`")
    }

    /// `1 row`, `3 rows`.
    pub fn count(&self) -> String {
        let plural = if self.rows == 1 { "" } else { "s" };
        format!("{} row{plural}", self.rows)
    }
}

/// The copy of one table, as it is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CopyStatus {
    /// The source table, `schema.table`.
    pub table: String,
    /// How far it is.
    pub progress: Progress,
    /// Rows written per second lately; zero while nothing is written.
    pub rows_per_second: f64,
    /// What it waits for, where it waits.
    pub waits_for: Option<String>,
}

impl CopyStatus {
    /// Seconds until all rows are written at this rate, where that can be told.
    pub fn seconds_left(&self) -> Option<f64> {
        let left = self.progress.estimate?.saturating_sub(self.progress.rows);
        let going = self.progress.stage == Stage::Copying && self.rows_per_second > 0.0;
        going.then(|| left as f64 / self.rows_per_second)
    }
}

/// One link's status.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkStatus {
    /// Its state.
    pub state: LinkState,
    /// Since when it is in that state, microseconds since 1970: tries in a row are one state.
    pub since_us: i64,
    /// Where the source that is used listens; empty until one is chosen.
    pub source_at: String,
    /// Where the target that is used listens; empty until one is chosen.
    pub target_at: String,
    /// The error behind `Retrying` or `Halted`; behind `Paused`, the one that it was paused with.
    pub error: Option<HaltRecord>,
    /// Position of the witness.
    pub applied: Option<Position>,
    /// Up to here nothing is left to apply; beyond the witness only without changes.
    pub seen: Option<Position>,
    /// A head of the source's log that was looked at and is not reached yet, and when that was (our
    /// clock, microseconds since 1970). Only of a link that streams.
    pub ahead: Option<(Position, i64)>,
    /// Rows up to `seen` may be missing still or not be whole: they are being read again.
    pub refetching: bool,
    /// Up to here none is, while some are read again.
    pub settled: Option<Position>,
    /// The source's head as it was asked for last, and the number of that question.
    pub mark: Option<(u64, Position)>,
    /// What was asked of copies before the question of this number is taken up.
    pub orders_taken: u64,
    /// `seq` of the witness.
    pub seq: Option<u64>,
    /// Inputs of [`lag_seconds`](crate::link::lag::lag_seconds).
    pub lag: LagInputs,
    /// Bytes of log between `seen` and the source's head, where the server can tell.
    pub lag_bytes: Option<u64>,
    /// Source transactions between `seen` and the source's head, where the log numbers them.
    pub lag_transactions: Option<u64>,
    /// What the source keeps of its log.
    pub retention: Retention,
    /// Copies that are under way, wait, or ended since the process started, in the order of the tables.
    pub copies: Vec<CopyStatus>,
    /// What the last comparison of both sides has found.
    pub compared: Option<Summary>,
    /// Bytes between reading and applying, while the link runs.
    pub queue_bytes: Option<u64>,
    /// Since when at least the oldest open note is there, microseconds since 1970.
    pub noted_since_us: Option<i64>,
    /// Open notes; at least so many where they are more than the link reads at once.
    pub open_notes: Option<OpenNotes>,
    /// Rows that are set aside; what was known last where the link does not stream.
    pub set_aside: SetAside,
    /// When a write by a database that is not the owner was recorded last, microseconds since 1970; `None` where
    /// none was since this process started.
    pub flagged_us: Option<i64>,
    /// Sums.
    pub counters: Counters,
}

impl LinkStatus {
    /// How long the oldest transaction that is prepared and not yet decided waits for its commit, in
    /// seconds.
    pub fn prepared_for(&self, now_us: i64) -> Option<i64> {
        let since_s = self.seen.as_ref()?.held_by()?.since_s;
        Some((now_us / 1_000_000).saturating_sub_unsigned(since_s).max(0))
    }

    /// What was seen of the source's log is not known any more.
    pub(super) fn forget_the_log(&mut self) {
        (self.lag_bytes, self.lag_transactions, self.queue_bytes) = (None, None, None);
        self.retention = Retention::default();
    }

    /// Nothing streams any more. How long the log is kept is not known less well for that.
    fn end_of_stream(&mut self) {
        (self.lag_bytes, self.lag_transactions, self.queue_bytes) = (None, None, None);
        self.ahead = None;
    }

    /// Up to `position` nothing is left to apply.
    pub(super) fn reached(&mut self, position: Position) {
        if let Some((_, looked_us)) = self.ahead.take_if(|(head, _)| position.reaches(head)) {
            self.lag.reached(Some(looked_us), looked_us);
        }
        self.seen = Some(position);
    }

    /// The source's log ended at `head` at `looked_us`. One that is not reached stays until it is, so
    /// that a link that is always a little behind is known to be no more than that.
    pub(super) fn looked(&mut self, head: Position, looked_us: i64) {
        if !self.lag.streaming {
            return;
        }
        if self.seen.as_ref().is_some_and(|seen| seen.reaches(&head)) {
            self.ahead = None;
            self.lag.reached(Some(looked_us), looked_us);
            // A transaction whose commit went through unknown to us does not come again.
            self.lag.oldest_unapplied_us =
                self.lag.oldest_unapplied_us.filter(|at| *at > looked_us);
        } else {
            self.ahead.get_or_insert((head, looked_us));
        }
    }

    /// Whether nothing up to `position` is missing on the target, rows that are read again included.
    pub fn has_reached(&self, position: &Position) -> bool {
        let settled = if self.refetching { &self.settled } else { &self.seen };
        settled.as_ref().is_some_and(|settled| settled.reaches(position))
    }

    /// Whether rows are being copied that are not all there yet. What a person has paused is not waited for.
    pub fn is_copying(&self) -> bool {
        let going = |copy: &CopyStatus| !copy.progress.stage.is_over() && !copy.progress.paused;
        self.copies.iter().any(going)
    }

    /// Copies that a person has paused.
    pub fn paused_copies(&self) -> impl Iterator<Item = &CopyStatus> {
        let paused = |copy: &&CopyStatus| !copy.progress.stage.is_over() && copy.progress.paused;
        self.copies.iter().filter(paused)
    }

    /// At least how long the oldest open note waits, in seconds; `None` before the first look.
    pub fn refetch_seconds(&self, now_us: i64) -> Option<f64> {
        self.open_notes?;
        let since_us = self.noted_since_us.unwrap_or(now_us);
        Some(now_us.saturating_sub(since_us).max(0) as f64 / 1e6)
    }

    /// What is set aside; `None` until the target was looked at.
    pub fn known_set_aside(&self) -> Option<SetAside> {
        // Notes and letters are read together.
        let looked = self.open_notes.is_some() || self.set_aside != SetAside::default();
        looked.then_some(self.set_aside)
    }

    /// Kind of the error, if there is one.
    pub fn error_kind(&self) -> Option<Kind> {
        self.error.as_ref().map(|error| error.kind)
    }
}

/// The writing end of a status.
#[derive(Clone, Debug)]
pub(super) struct Board(watch::Sender<LinkStatus>);

impl Board {
    /// A new status; the receiver is for whoever looks.
    pub(super) fn new() -> (Board, watch::Receiver<LinkStatus>) {
        let (sender, receiver) =
            watch::channel(LinkStatus { since_us: now_us(), ..LinkStatus::default() });
        (Board(sender), receiver)
    }

    /// The status as it changes.
    pub(super) fn watch(&self) -> watch::Receiver<LinkStatus> {
        self.0.subscribe()
    }

    /// Changes fields.
    pub(super) fn update(&self, change: impl FnOnce(&mut LinkStatus)) {
        self.0.send_modify(change);
    }

    /// Moves to `state`.
    pub(super) fn enter(&self, state: LinkState, error: Option<HaltRecord>) {
        self.update(|status| {
            if status.state != state {
                status.since_us = now_us();
            }
            if status.lag.streaming && state != LinkState::Running {
                status.end_of_stream();
            }
            status.state = state;
            status.error = error;
            status.lag.streaming = state == LinkState::Running;
        });
    }

    /// How far the stream is behind, in seconds, where that is known.
    pub(super) fn lag_seconds(&self) -> Option<f64> {
        lag_seconds(&self.0.borrow().lag, now_us())
    }

    /// The status now.
    pub(super) fn get(&self) -> LinkStatus {
        self.0.borrow().clone()
    }
}

/// Microseconds since 1970 by this machine's clock.
pub fn now_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::lag::lag_seconds;
    use crate::position::Lsn;

    const S: i64 = 1_000_000;

    fn at(lsn: u64) -> Position {
        Position::Postgres(Lsn(lsn))
    }

    fn lag(status: &LinkStatus, now_s: i64) -> Option<f64> {
        lag_seconds(&status.lag, now_s * S)
    }

    /// Broken if a link that is heard from, and is hours behind a slow source, showed no lag; or if
    /// one that is always a little behind showed more and more.
    #[test]
    fn lag_is_told_by_the_head_of_the_log() {
        let mut status = LinkStatus { seen: Some(at(10)), ..LinkStatus::default() };
        status.lag.streaming = true;
        status.lag.reached(Some(400 * S), 1_000 * S);
        status.looked(at(100), 1_000 * S);
        status.reached(at(50));
        assert_eq!(lag(&status, 1_000), Some(600.0));
        status.looked(at(200), 1_005 * S);
        status.reached(at(100));
        assert_eq!(lag(&status, 1_010), Some(0.0), "up to the first look all is applied");
        assert_eq!(lag(&status, 1_100), Some(100.0));
        status.lag.unapplied(1_099 * S, 1_100 * S);
        status.reached(at(200));
        status.looked(at(200), 1_120 * S);
        assert_eq!(lag(&status, 1_125), Some(0.0), "an idle source");
    }

    /// Broken if a head of another attempt, of another server perhaps, were waited for, or if how long
    /// the log is kept were not known from an attempt's end to the next look.
    #[test]
    fn an_attempt_ends_with_what_it_has_looked_at() {
        let (board, status) = Board::new();
        board.enter(LinkState::Running, None);
        board.update(|status| {
            status.looked(at(100), S);
            (status.lag_bytes, status.retention.retained_bytes) = (Some(1), Some(2));
        });
        assert!(status.borrow().ahead.is_some());
        board.enter(LinkState::Retrying, None);
        let status = status.borrow();
        assert_eq!((&status.ahead, status.lag_bytes), (&None, None));
        assert_eq!(status.retention.retained_bytes, Some(2));
    }
}
