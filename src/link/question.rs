//! Whether rows are in the target as they should be, asked of the apply task, which knows: it has the
//! rows read at the source under the window rule, lays over them what has changed since, and stands
//! still while whoever asks looks at the target. So the answer is exact, however busy the rows are, and
//! what is to be mended is mended at once, in the order of the stream.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::error::Result;
use crate::model::Row;

/// Keys of one question at most.
pub const KEYS_MAX: usize = 500;
/// Longest time that the apply task stands still for whoever asks.
pub const STAND_STILL_MAX: Duration = Duration::from_secs(5);

/// A question about rows of one table.
#[derive(Debug)]
pub struct Question {
    /// Index of the table in the link's plan.
    pub table: usize,
    /// Match keys as the target has them, in key order; at most [`KEYS_MAX`], none twice.
    pub keys: Vec<Row>,
    /// Where the answer goes. Dropped where it cannot be told now: to be asked again later.
    pub answer: oneshot::Sender<Standing>,
}

/// What a row should be in the target.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// This: every column of the plan, converted.
    Row(Row),
    /// Absent.
    Absent,
    /// Not known: it went or came anew while it was read. To be asked again.
    Busy,
    /// Its changes are set aside: the target has what it had before.
    SetAside,
    /// It has no form at the target.
    Unfit,
}

/// What is to be done with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mend {
    /// Nothing.
    Leave,
    /// Write it as it is expected: whole, or deleted where it should be absent.
    Mend,
}

/// The answer. As long as `verdict` is open, but no longer than [`STAND_STILL_MAX`], nothing is applied,
/// so what the target has is what it should have.
#[derive(Debug)]
pub struct Standing {
    /// One per key, in order.
    pub expected: Vec<Expected>,
    /// One per key, in order; or dropped where nothing is to be done.
    pub verdict: oneshot::Sender<Vec<Mend>>,
    /// How many rows were mended; closed where the verdict came too late.
    pub done: oneshot::Receiver<Result<usize>>,
}
