//! Copying rows that are in a table already, as ports. A table is walked in stretches, one behind the
//! other or side by side; each is read chunk by chunk, in the order of the source's own index, and how
//! far it is written is a row of `weir.snapshot` in the target. Texts that only a room understands
//! (`walk`, bounds, `last`) are kept by the link and given back as they were.

use super::Pending;
use crate::error::Result;
use crate::model::Row;
use crate::position::Position;

/// How a table is walked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Division {
    /// By which index or places, in the room's words; comes back with every read.
    pub walk: String,
    /// The walk goes by the match key: a row changes its place only where its match key changes. Where
    /// it does not, a row may move from what is not read yet to what is by a plain update.
    pub by_match_key: bool,
    /// Where stretches meet, ascending: the first one ends with the row at the first bound, which may be
    /// gone, the last one begins after the last bound and is open. None of an empty or small table.
    pub bounds: Vec<String>,
    /// Rows of the table, as the server estimates them.
    pub rows: Option<u64>,
}

/// What of a table is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// [`Division::walk`].
    pub walk: String,
    /// Only rows for which this is true, in the source's SQL, by its own names.
    pub condition: Option<String>,
    /// Rows after this place only.
    pub after: Option<String>,
    /// Rows up to this place only, with it.
    pub until: Option<String>,
    /// Rows at most.
    pub rows_max: usize,
    /// Bytes of values at most, but for a single row, which may be larger.
    pub bytes_max: usize,
}

/// A piece of a table, as one look saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// As [`Scanned::low`](super::Scanned::low).
    pub low: Position,
    /// As [`Scanned::high`](super::Scanned::high).
    pub high: Position,
    /// As [`Scanned::in_progress`](super::Scanned::in_progress).
    pub in_progress: Vec<u32>,
    /// In the order of the walk, as wide as the source table; values are exactly those that the stream
    /// yields.
    pub rows: Vec<Row>,
    /// Up to which place was read: that of the last row, or of one for which the condition is not true;
    /// `None` where there is none. With a condition a piece may hold no row, and not have ended.
    pub last: Option<String>,
    /// Nothing of the reach comes after these rows.
    pub ended: bool,
    /// Bytes of the values.
    pub bytes: usize,
}

/// Rows of a copy to be written as they are, inserted where they are not there. Whole rows: every column
/// of the plan, in its order, converted. No two have one match key.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// Index of the table in the link's plan.
    pub table: usize,
    /// The rows.
    pub rows: &'a [Row],
    /// The table held nothing when its copy began: rows are there only if the stream brought them, so
    /// the server's bulk path is tried first.
    pub fresh: bool,
}

/// What is to be kept of a table's copy, in the transaction that makes it true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyNote {
    /// The target table's name, `schema.table`.
    pub table: String,
    /// How far it is.
    pub progress: String,
    /// The order that this answers: it is taken away unless another has come since.
    pub answers: Option<String>,
}

/// A row of `weir.snapshot`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredCopy {
    /// The target table's name, `schema.table`.
    pub table: String,
    /// How far its copy is; written by the link alone.
    pub progress: Option<String>,
    /// What a person asks of the link for it; written by people, taken away by the link.
    pub asked: Option<String>,
}

/// The copies of a link, for people: on a connection of its own, with or without a weir that runs. What
/// a person asks here the running link finds by itself within seconds.
pub trait Copies: Send {
    /// Every row of the link in `weir.snapshot`, by table.
    fn list(&mut self) -> Pending<'_, Vec<StoredCopy>>;

    /// Asks for something of a table's copy, in place of what was asked before.
    fn ask<'a>(&'a mut self, table: &'a str, order: &'a str) -> Pending<'a, ()>;
}

/// What a read has brought: `None` where the table is no longer to be walked in this way (its index is
/// gone, its rows were moved): it is to be divided anew and read from its beginning.
pub type Piece = Result<Option<Chunk>>;
