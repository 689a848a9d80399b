//! Flagged writes: what a database did that is not the owner, as rows of `weir.flagged` in the target, written
//! in the transaction that leaves it out.
//!
//! One row per column, or one for the whole row where its existence or its key is concerned. Values are texts for
//! people; of a column that is sensitive a salted hash stands for each. What the owner holds itself is read by
//! the target as it writes the record. Deliberately not here: what becomes of a record, which is a person's.

use crate::model::Row;
use crate::ownership::Flag;
use crate::plan::{Flagged, LinkPlan, TablePlan, recorded_value};
use crate::position::Position;

/// What is recorded, as `weir.flagged` calls it.
pub const fn kind_name(flag: Flag) -> &'static str {
    match flag {
        Flag::Write => "write",
        Flag::Unproven => "unproven",
        Flag::Initial => "initial",
        Flag::Insert => "insert",
        Flag::KeyChange => "key_change",
        Flag::Delete => "delete",
        Flag::Truncate => "truncate",
    }
}

/// A row of `weir.flagged` to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct FlagRecord {
    /// Index of the table in the link's plan.
    pub table: usize,
    /// The row, as [`key_text`](crate::plan::key_text) has it; empty where all rows are concerned.
    pub row: String,
    /// Its match key, in key order, as the target holds it; empty where all rows are concerned.
    pub key: Row,
    /// Why.
    pub flag: Flag,
    /// The column, as an index into the table's [`foreign`](crate::plan::TablePlan::foreign) ones; `None` where
    /// the whole row is concerned.
    pub column: Option<usize>,
    /// The value before, as JSON; `None` where the log does not hold it. Of a key change the row's former name.
    pub before: Option<String>,
    /// The value that was written, as JSON. Of a key change the row's new name.
    pub after: Option<String>,
    /// The end of its transaction; `None` where that is not known yet.
    pub position: Option<Position>,
    /// The change's number within its transaction, from 0.
    pub ordinal: u64,
    /// Commit time at the source, microseconds since 1970-01-01 UTC, where it is known.
    pub committed_us: Option<i64>,
}

/// What has become of a record.
pub const OPEN: &str = "open";
/// A person wants nothing done about it.
pub const DISMISSED: &str = "dismissed";
/// The owner's value was asked back.
pub const REVERTED: &str = "reverted";

/// The owner has taken the value over.
pub const ACCEPTED: &str = "accepted";

/// A row of `weir.flagged` as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredFlag {
    /// Its number; later ones have higher numbers.
    pub id: u64,
    /// The table at the database that wrote, `schema.table`.
    pub source_table: String,
    /// The table at the link's target, `schema.table`.
    pub table: String,
    /// As [`FlagRecord::row`].
    pub row: String,
    /// As [`kind_name`] has it.
    pub kind: String,
    /// The column at the database that wrote.
    pub column: Option<String>,
    /// The database that is the owner.
    pub owner: String,
    /// As [`FlagRecord::before`].
    pub before: Option<String>,
    /// As [`FlagRecord::after`].
    pub after: Option<String>,
    /// What the link's target had there as the record was written, as that server writes it.
    pub held: Option<String>,
    /// The end of its transaction.
    pub position: String,
    /// The change's number within it, from 0.
    pub ordinal: u64,
    /// Commit time at the source, microseconds since 1970-01-01 UTC.
    pub committed_us: Option<i64>,
    /// When it was recorded, microseconds since 1970-01-01 UTC.
    pub made_us: i64,
    /// What has become of it.
    pub state: String,
    /// When that was decided, microseconds since 1970-01-01 UTC.
    pub decided_us: Option<i64>,
    /// Who decided it.
    pub decided_by: Option<String>,
    /// What they say of it.
    pub note: Option<String>,
}

/// What a person decides about records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The state that they have from now on.
    pub state: &'static str,
    /// Who decides.
    pub by: String,
    /// Why.
    pub note: Option<String>,
}

/// A value that the owner is to take over, and the record about it.
#[derive(Clone, Copy, Debug)]
pub struct Adopt<'a> {
    /// The record's number.
    pub id: u64,
    /// The owner's table at both ends: its match key, and the column behind it.
    pub table: &'a TablePlan,
    /// The match key's values at the owner, and the value behind them.
    pub row: &'a Row,
    /// [`StoredFlag::held`].
    pub held: Option<&'a str>,
    /// Who decides, and why.
    pub decision: &'a Decision,
}

/// What became of such a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopted {
    /// It is the owner's.
    Written,
    /// The owner has no such row; nothing is written.
    Gone,
    /// The owner holds another value than the record says; nothing is written.
    Changed,
    /// Something is decided about the record; nothing is written.
    Decided,
}

/// The records of what was flagged in one change.
pub(super) fn records(plan: &LinkPlan, flagged: &Flagged, salt: &str) -> Vec<FlagRecord> {
    let whole = FlagRecord {
        table: flagged.table,
        row: match flagged.flag {
            Flag::Truncate => String::new(),
            _ => crate::plan::key_text(&flagged.key),
        },
        key: flagged.key.clone(),
        flag: flagged.flag,
        column: None,
        before: None,
        after: None,
        position: None,
        ordinal: 0,
        committed_us: None,
    };
    if let Some(new) = &flagged.new_key {
        let text = |key| Some(crate::plan::key_text(key));
        return vec![FlagRecord { before: text(&flagged.key), after: text(new), ..whole }];
    }
    if flagged.columns.is_empty() {
        return vec![whole];
    }
    let columns = flagged.columns.iter().map(|one| {
        let sensitive = plan
            .tables
            .get(flagged.table)
            .and_then(|table| table.foreign.get(one.column))
            .is_some_and(|column| column.sensitive);
        let text = |value| recorded_value(value, sensitive, salt);
        FlagRecord {
            column: Some(one.column),
            before: text(&one.before),
            after: text(&one.after),
            ..whole.clone()
        }
    });
    columns.collect()
}
