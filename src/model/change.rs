//! What happened at the source: changes, and the parts of transactions in which they travel.
//!
//! Rows here are in the order of the *planned source table's* columns ([`crate::model::Table`]),
//! as wide as that table, with [`Value::Unchanged`](crate::model::Value::Unchanged) for what the
//! log did not carry. A part is a slice of one source transaction; only a part with a
//! [`Commit`] ends it, so that a resume point can only lie at a commit.

use crate::model::value::Row;
use crate::position::Position;

/// One row change (or truncate) of a planned table.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Index of the table in the link's plan.
    pub table: usize,
    /// What happened.
    pub op: Op,
    /// The log may not hold all that the plan writes of the row, so it is to be read again: it was
    /// logged before a reviewed ALTER TABLE, or by a partial image of an insert.
    pub reshaped: bool,
}

/// What happened to a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// A row was inserted.
    Insert {
        /// The new row.
        after: Row,
    },
    /// A row was changed.
    Update {
        /// The row before, as far as the log has it; `None` means the log says the key is the same.
        before: Option<Before>,
        /// The row after; unchanged TOAST is unknown.
        after: Row,
    },
    /// A row was deleted.
    Delete {
        /// The row before.
        before: Before,
    },
    /// All rows went (TRUNCATE).
    Truncate,
}

/// A before image, honest about what it holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Before {
    /// Only the columns of the replica identity are known.
    Key(Row),
    /// Every column is known (unchanged TOAST included).
    Full(Row),
}

impl Before {
    /// The row, known columns only.
    pub fn row(&self) -> &Row {
        match self {
            Before::Key(row) | Before::Full(row) => row,
        }
    }
}

/// The end of a source transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// The position after the commit: a resume point.
    pub position: Position,
    /// Commit time, microseconds since 1970-01-01 UTC by the source's clock; without meaning in an
    /// idle part, which ends no transaction.
    pub time_us: i64,
    /// PostgreSQL transaction id, for the visibility check of a refetch.
    pub xid: Option<u32>,
}

/// A slice of one source transaction, or several whole small ones' worth of nothing but progress.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Changes in log order; may be empty (a transaction that touched no planned table, or an
    /// idle keep-alive, still moves the position).
    pub changes: Vec<Change>,
    /// Memory of the changes in bytes.
    pub bytes: usize,
    /// Present on the last part of a transaction.
    pub commit: Option<Commit>,
    /// True for a keep-alive of an idle source: progress without a transaction.
    pub idle: bool,
    /// When the transaction was committed, microseconds since 1970-01-01 UTC by the source's clock: the same in
    /// each of its parts, also before its last.
    pub time_us: Option<i64>,
    /// Present on every part of a transaction that this installation of weir wrote.
    pub mark: Option<Mark>,
}

/// What tells a transaction of this installation of weir from those of applications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// How often its changes were passed on as what weir's own writing had caused; 0 where it applied what
    /// an application wrote.
    pub hops: u32,
}
