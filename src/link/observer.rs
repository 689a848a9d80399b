//! What a link reports as it happens, for metrics: a port, so that links never name `observe`.
//! Calls are quick and never fail. Durations and states are in the link's
//! [`LinkStatus`](crate::link::status::LinkStatus).

use std::time::Duration;

use crate::config::LinkName;
use crate::error::Kind;
use crate::model::{TableName, Verb};

/// Rows of one table and verb in a committed batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowCount {
    /// The table at the source.
    pub table: TableName,
    /// What was done.
    pub verb: Verb,
    /// Rows.
    pub rows: u64,
}

/// What validations did with values of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleCount {
    /// The table at the source.
    pub table: TableName,
    /// The column at the source.
    pub column: String,
    /// The step's number and name.
    pub rule: String,
    /// `reject`, `null`, `clamp`, `default` or `warn`.
    pub outcome: &'static str,
    /// Values.
    pub values: u64,
}

/// A committed target transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchReport {
    /// Source transactions in it.
    pub transactions: u64,
    /// Changes before merging.
    pub changes: u64,
    /// Rows per table and verb, after merging.
    pub rows: Vec<RowCount>,
    /// From its first statement to its commit.
    pub elapsed: Duration,
    /// Per source transaction, from its commit at the source to the one in the target. Zero where
    /// the source's clock is ahead of ours.
    pub latencies: Vec<Duration>,
}

/// Who counts. Every method does nothing unless it is written.
pub trait Observer: Send + Sync {
    /// A batch was committed.
    fn applied(&self, _link: &LinkName, _batch: &BatchReport) {}

    /// Updates found no row.
    fn missed(&self, _link: &LinkName, _rows: u64) {}

    /// Rows came of which the log holds a part only.
    fn partial(&self, _link: &LinkName, _rows: u64) {}

    /// Such rows were read again and written (or found gone).
    fn refetched(&self, _link: &LinkName, _rows: u64) {}

    /// Changes were set aside.
    fn set_aside(&self, _link: &LinkName, _letters: u64) {}

    /// Writes of databases that are not the owner were recorded.
    fn flagged(&self, _link: &LinkName, _table: &TableName, _kind: &'static str, _writes: u64) {}

    /// Validations found values wanting; what is tried again counts again.
    fn ruled(&self, _link: &LinkName, _counts: &[RuleCount]) {}

    /// An error ended the link's attempt; it will retry or halt as the kind says.
    fn failed(&self, _link: &LinkName, _kind: Kind) {}
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}
