//! Dead letters: changes that are set aside, as rows of `weir.dead_letter` in the target, written in
//! the transaction that leaves them out.
//!
//! A letter names its row by a text ([`MissedKey::text`]): the match key as the target holds it, or,
//! where that has no form there, as the source does. All later changes of that row are letters too, in
//! order, until the row is read again at the source and written, or a person drops its letters. Which
//! rows are set aside at the moment is in `set_aside`; how they come back, in `retry`.

use crate::error::{Error, Kind};
use crate::link::notes::MissedKey;
use crate::position::Position;

/// The kind of a letter whose change follows another letter of its row.
pub const BEHIND: &str = "behind";

/// What a change does, as letters call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A row comes.
    Insert,
    /// A row changes, and keeps its key.
    Update,
    /// A row changes its key.
    Rekey,
    /// A row goes.
    Delete,
    /// None of the log: a row that was read again at the source.
    Read,
}

impl Operation {
    /// Its name in `weir.dead_letter`.
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Insert => "insert",
            Operation::Update => "update",
            Operation::Rekey => "rekey",
            Operation::Delete => "delete",
            Operation::Read => "read",
        }
    }
}

/// Why a change is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Name of the error's kind, or [`BEHIND`].
    pub kind: String,
    /// What went wrong, without values of rows.
    pub text: String,
    /// The next step for the operator.
    pub hint: String,
}

impl Reason {
    /// Of a refusal.
    pub fn of(error: &Error) -> Reason {
        Reason {
            kind: error.kind().name().to_owned(),
            text: error.chain(),
            hint: way_on(error.kind()).to_owned(),
        }
    }

    /// Of a change that follows another one of its row.
    pub fn behind() -> Reason {
        Reason {
            kind: BEHIND.to_owned(),
            text: "an earlier change of this row is set aside".to_owned(),
            hint: String::new(),
        }
    }
}

/// The next step for a row that is set aside for an error of this kind.
const fn way_on(kind: Kind) -> &'static str {
    match kind {
        Kind::ForeignKey => {
            "weir tries it again by itself; if it stays, bring the row that it refers to to the target, \
             or take away there what refers to it"
        }
        Kind::Value => {
            "let the target's column hold the value, or correct the row at the source; then \
             `weir dead-letters retry`"
        }
        _ => "correct what is in its way on the target, then `weir dead-letters retry`",
    }
}

/// Whether what a letter of this kind waits for may come about without a person: its row refers to one
/// that is not there yet, or it only follows another letter.
pub fn may_pass(kind: &str) -> bool {
    kind == BEHIND || kind == Kind::ForeignKey.name()
}

/// A change to be set aside.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// Index of the table in the link's plan.
    pub table: usize,
    /// The row, as [`MissedKey::text`] has it; of a key change the new one.
    pub row: String,
    /// Of a key change, the row as it was called before.
    pub old_row: Option<String>,
    /// What the change does.
    pub operation: Operation,
    /// The end of its transaction; `None` where that is not known yet: it is the one by which the
    /// target transaction is closed.
    pub position: Option<Position>,
    /// The change's number within its transaction, from 0.
    pub ordinal: u64,
    /// Why.
    pub reason: Reason,
    /// The change as JSON, for people; a bounded text.
    pub change: String,
    /// Not written for itself: counted with the newest letter of its row, of which there are many.
    pub folded: bool,
}

/// A row that is set aside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowName {
    /// Index of the table in the link's plan.
    pub table: usize,
    /// The row, as [`MissedKey::text`] has it.
    pub row: String,
}

impl RowName {
    /// Of a key.
    pub fn of(key: &MissedKey) -> RowName {
        RowName { table: key.table, row: key.text() }
    }
}

/// A row that was tried again in vain.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// The row.
    pub name: RowName,
    /// Why it is still set aside.
    pub reason: Reason,
}

/// What a slice writes into `weir.dead_letter`, after its steps and in this order.
#[derive(Clone, Copy, Debug, Default)]
pub struct LetterWork<'a> {
    /// Tables of which every row went: all their letters end.
    pub emptied: &'a [usize],
    /// Rows that are as they are at the source: all letters with such a (new) row end.
    pub closed: &'a [RowName],
    /// Rows whose first letter has another reason now: the attempts of all their letters are one
    /// more, and nobody asks for them any more.
    pub tried: &'a [Tried],
    /// New letters, in the order of their changes.
    pub new: &'a [Letter],
}

impl LetterWork<'_> {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.emptied.is_empty()
            && self.closed.is_empty()
            && self.tried.is_empty()
            && self.new.is_empty()
    }
}

/// What is known of a stored letter to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterHead {
    /// Its number; later ones have higher numbers.
    pub id: u64,
    /// Index of the table in the link's plan.
    pub table: usize,
    /// The row, as [`MissedKey::text`] has it.
    pub row: String,
    /// Of a key change, the row as it was called before.
    pub old_row: Option<String>,
    /// Name of the error's kind, or [`BEHIND`].
    pub kind: String,
    /// How often its row was tried.
    pub attempts: u32,
    /// A person has asked for a try.
    pub asked: bool,
    /// When it was written, microseconds since 1970 by the target's clock.
    pub made_us: i64,
}

/// Two figures that tell whether somebody else has changed a link's letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LetterCount {
    /// Letters of the link's planned tables.
    pub letters: u64,
    /// Those for whose rows a person has asked for a try.
    pub asked: u64,
}

/// A letter as it is stored, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredLetter {
    /// Its number; later ones have higher numbers.
    pub id: u64,
    /// The target table.
    pub table: String,
    /// The source table.
    pub source_table: String,
    /// The row, as [`MissedKey::text`] has it.
    pub row: String,
    /// Of a key change, the row as it was called before.
    pub old_row: Option<String>,
    /// What the change does.
    pub operation: String,
    /// The end of its transaction.
    pub position: String,
    /// The change's number within its transaction, from 0.
    pub ordinal: u64,
    /// Why it is set aside, as it was found last.
    pub reason: Reason,
    /// The change as JSON.
    pub change: String,
    /// Of how many changes it tells; of all but the newest only the number is known.
    pub changes: u64,
    /// How often its row was tried.
    pub attempts: u32,
    /// When it was written, microseconds since 1970 by the target's clock.
    pub made_us: i64,
    /// When its row was tried last.
    pub tried_us: Option<i64>,
    /// A person has asked for a try that was not made yet.
    pub asked: bool,
}
