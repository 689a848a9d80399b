//! The durable memory of a link on this machine, as a port: what is remembered ([`Checkpoint`])
//! and who remembers it ([`Ledger`], implemented by `state`).
//!
//! The truth about progress is the witness in the target; a ledger may lag behind it, and a lost
//! one costs no data. What is recorded through this port is durable (flush and fsync) when the
//! future resolves, so that the source may be told.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::LinkName;
use crate::error::{Error, Kind};
use crate::link::ports::Pending;
use crate::model::Witness;
use crate::plan::Outline;
use crate::position::Position;

/// The lines that describe one table at both ends, as a person accepted them.
pub type Shape = Vec<String>;

/// So many texts of reviewed halts are remembered.
const REVIEWED_MAX: usize = 64;

/// What is remembered of one link.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// The installation id in this link's witness (32 hex digits).
    pub installation: String,
    /// How far the witness was when last recorded.
    pub progress: Option<Progress>,
    /// Identity of the source server then.
    pub source_identity: String,
    /// Identity of the target server then.
    pub target_identity: String,
    /// Microseconds since 1970 by this machine's clock; set by the ledger.
    pub recorded_at_us: i64,
    /// Why the link stands still, if it does.
    pub halt: Option<HaltRecord>,
    /// A first start was begun: the slot may exist although there is no witness yet.
    pub starting: bool,
    /// Since when a person has paused the link, microseconds since 1970; it is until he resumes it.
    pub paused_since_us: Option<i64>,
    /// It is no longer configured; what it left at its ends is there still.
    pub retired: bool,
    /// Shapes in the log up to here were reviewed by a person.
    pub reviewed_until: Option<Position>,
    /// What the halts said that a person has reviewed, newest last, at most [`REVIEWED_MAX`]: of what
    /// no look at the tables can tell, a review settles what it was told and nothing else.
    pub reviewed_halts: Vec<String>,
    /// The accepted shape of each table, by source `schema.table`; empty until first recorded.
    /// Shared, because a checkpoint is recorded many times a second and shapes seldom change.
    pub shapes: Arc<BTreeMap<String, Shape>>,
    /// What the link carries and how, as it was when it last began to stream.
    pub outline: Option<Arc<Outline>>,
}

impl Checkpoint {
    /// Whether neither the link has run with it, nor a person has reviewed the link's tables.
    pub fn knows_nothing(&self) -> bool {
        self.progress.is_none() && self.shapes.is_empty() && self.reviewed_until.is_none()
    }

    /// A person has reviewed the tables as they are at the log's end `head`, and why the link halted.
    pub fn review(&mut self, head: Position) {
        self.reviewed_until = Some(head);
        self.reviewed_halts.extend(self.halt.take().map(|halt| halt.text));
        let surplus = self.reviewed_halts.len().saturating_sub(REVIEWED_MAX);
        self.reviewed_halts.drain(..surplus);
    }

    /// What ran before `now`: as it was recorded. What was not recorded is taken to be as it is now:
    /// every table whose shape is known, and all of them where no shape is.
    pub fn ran(&self, now: &Outline) -> Outline {
        if self.shapes.is_empty() {
            return now.clone();
        }
        let known = self.outline.as_deref().cloned();
        let mut ran = known
            .unwrap_or_else(|| Outline { settings: now.settings.clone(), ..Outline::default() });
        for (name, table) in now.tables.iter().filter(|(name, _)| self.shapes.contains_key(*name)) {
            ran.tables.entry(name.clone()).or_insert_with(|| table.clone());
        }
        ran
    }
}

/// How far a witness was.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Its `seq`.
    pub seq: u64,
    /// Its position.
    pub position: Position,
    /// Source commit time of the newest transaction that was applied then, microseconds since 1970.
    pub applied_us: Option<i64>,
}

impl Progress {
    /// That of `witness`, with the source commit time of the newest transaction applied.
    pub(super) fn of(witness: &Witness, applied_us: Option<i64>) -> Self {
        Progress { seq: witness.seq, position: witness.position.clone(), applied_us }
    }
}

/// Why a link stands still, for `weir status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaltRecord {
    /// The kind of the error.
    pub kind: Kind,
    /// The error with its causes.
    pub text: String,
    /// The next step for the operator.
    pub hint: String,
    /// Since when, microseconds since 1970.
    pub since_us: i64,
}

impl HaltRecord {
    /// The record of an error that happened at `since_us`.
    pub fn of(error: &Error, since_us: i64) -> Self {
        HaltRecord {
            kind: error.kind(),
            text: error.chain(),
            hint: error.operator_hint().to_owned(),
            since_us,
        }
    }
}

/// The durable memory of all links of one state directory.
pub trait Ledger: Send + Sync {
    /// The random id of this installation, 32 hex digits.
    fn installation(&self) -> String;

    /// Whether the state directory held no link's progress when it was opened: only then may a
    /// link take over the installation id that it finds in its witness.
    fn is_fresh(&self) -> bool;

    /// What was last recorded of a link (durable or about to be).
    fn load(&self, link: &LinkName) -> Option<Checkpoint>;

    /// Records; resolves when it is durable. Calls at about the same time share one fsync.
    fn record<'a>(&'a self, link: &'a LinkName, checkpoint: Checkpoint) -> Pending<'a, ()>;
}
