//! What is done to the target: an ordered list of steps, each one verb on one table for many rows.
//!
//! Values are already converted and fit-checked for the target's columns. The verbs are few and
//! idempotent (DESIGN §4, invariant 6); an update never creates a row.

use std::sync::Arc;

use crate::model::value::Row;

/// The verbs of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// Insert, or update all listed columns where the match key exists. Rows hold
    /// [`Step::columns`]: every column of the plan (full image only), but for rows logged before a
    /// reviewed ALTER TABLE, which lack the columns it added.
    Upsert,
    /// Update the listed columns of the row with the match key; a miss is noted in `weir.missed`.
    /// Rows hold [`Step::columns`], which include the match key.
    Update,
    /// Change the match key in place and update the listed columns. Rows hold the old key's values
    /// (in key order) followed by [`Step::columns`], which include the new key. A miss is noted
    /// under the new key.
    Rekey,
    /// Delete the row with the match key. Rows hold the key's values in key order. A miss is
    /// nothing: the row is gone, as it should be.
    Delete,
    /// Remove all rows, without an implicit commit. No rows.
    Truncate,
    /// Note the match key in `weir.missed`, so that the row is read again at the source. Rows hold
    /// the key's values in key order.
    Note,
}

/// One verb on one table for many rows. No two rows of a step have the same match key.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Index of the table in the link's plan.
    pub table: usize,
    /// What to do.
    pub verb: Verb,
    /// Indexes into the table plan's columns, ascending; the layout of `rows`.
    pub columns: Arc<[usize]>,
    /// The rows.
    pub rows: Vec<Row>,
}
