//! What a link shows of itself: its state, error, progress and counters, as one value in a watch
//! channel. Read by `weir status`, `/readyz` and the metrics; written only by the link's own task.

use tokio::sync::watch;

use crate::error::Kind;
use crate::link::lag::LagInputs;
use crate::link::ledger::HaltRecord;
use crate::link::ports::Retention;
use crate::position::Position;

/// Where a link stands in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkState {
    /// Connecting and checking.
    #[default]
    Starting,
    /// Capturing and applying.
    Running,
    /// Waiting before the next try.
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
    /// Rows read again at the source and written.
    pub refetched: u64,
}

/// One link's status.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkStatus {
    /// Its state.
    pub state: LinkState,
    /// Since when it is in that state, microseconds since 1970.
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
    /// Rows that an update did not find may be missing still: they are being read again.
    pub refetching: bool,
    /// The source's head as it was asked for last, and the number of that question.
    pub mark: Option<(u64, Position)>,
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
    /// Bytes between reading and applying, while the link runs.
    pub queue_bytes: Option<u64>,
    /// Open notes of updates that found no row; at least so many where they are more than the link
    /// reads at once.
    pub missed_open: Option<u64>,
    /// Sums.
    pub counters: Counters,
}

impl LinkStatus {
    /// What was seen of the source's log is not known any more.
    pub(super) fn forget_the_log(&mut self) {
        (self.lag_bytes, self.lag_transactions, self.queue_bytes) = (None, None, None);
        self.retention = Retention::default();
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
                status.forget_the_log();
            }
            status.state = state;
            status.error = error;
            status.lag.streaming = state == LinkState::Running;
        });
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
