//! The gate: one pure function that judges a change of the source, row by row of the ownership table
//! (DESIGN §5).
//!
//! It is told what the source is master of, what happened, what is known to have changed and who wrote
//! it, and says what becomes of the change at the target, what is to be recorded of it, and whether it
//! goes on as what weir's own writing has caused. Whether a key is the same is decided by the caller
//! on converted keys, so that two spellings of one key are one key.
//!
//! Deliberately not here: values. Which columns were flagged, and with what, the caller knows.

use crate::config::{Deletes, Truncates};

/// What happened at the source, as far as the gate needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A row was inserted.
    Insert,
    /// A row was changed and kept its match key.
    Update,
    /// A row was changed and got another match key.
    KeyChange,
    /// A row was deleted.
    Delete,
    /// All rows went.
    Truncate,
}

/// Whether some of a row's values are others than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// At least one is.
    Yes,
    /// None is.
    No,
    /// The log does not hold what they were before.
    Unknown,
}

impl Changed {
    /// What two parts of a row amount to.
    pub const fn or(self, other: Changed) -> Changed {
        match (self, other) {
            (Changed::Yes, _) | (_, Changed::Yes) => Changed::Yes,
            (Changed::Unknown, _) | (_, Changed::Unknown) => Changed::Unknown,
            (Changed::No, Changed::No) => Changed::No,
        }
    }
}

/// Who wrote a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// An application, or another tool.
    Application,
    /// This installation of weir, in a transaction that carries its mark; or a trigger or cascade there.
    /// `hops` of the mark: 0 where it applied what an application had written.
    Weir {
        /// How often the change was passed on as what weir's writing had caused.
        hops: u32,
    },
}

/// A change as the gate sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What happened.
    pub event: Event,
    /// Whether columns changed that the source owns.
    pub owned: Changed,
    /// Whether columns changed that other databases own; of an insert, whether it brings such as are not
    /// to come with it.
    pub foreign: Changed,
    /// Who wrote it.
    pub writer: Writer,
}

/// What the table's owner rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether the source is master of which rows there are.
    pub rows: bool,
    /// Whether it is master of a column beside the match key.
    pub columns: bool,
    /// What deletes do.
    pub deletes: Deletes,
    /// What TRUNCATE does.
    pub truncate: Truncates,
}

/// What becomes of a change at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Insert the row, or update its owned columns where the key exists.
    InsertOrUpdate,
    /// Update the owned, known columns; a missing row stays missing and is noted.
    Update,
    /// Change the key in place and update the owned, known columns.
    Rekey,
    /// Delete the row.
    Delete,
    /// Delete all rows.
    Truncate,
    /// Nothing is done.
    LeaveOut,
    /// By policy the link halts before the change.
    Halt,
}

/// What is recorded of a change that is not, or not wholly, the source's to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flag {
    /// Columns that another database owns were changed.
    Write,
    /// They may have been: the log does not hold what they were before.
    Unproven,
    /// Columns that another database owns came with the row owner's insert, and are not to.
    Initial,
    /// A row was inserted by a database that does not own the rows.
    Insert,
    /// Its match key was changed by one.
    KeyChange,
    /// It was deleted by one.
    Delete,
    /// All rows were, by one.
    Truncate,
}

/// How a change comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// An application made it.
    Plain,
    /// weir brought the row, and with it the first values of the source's own columns, which go out as
    /// such.
    Birth,
    /// A trigger or cascade made it of what weir wrote; it goes on once.
    Derived,
    /// The same of what had gone on so before: it goes no further, and raises the loop alarm.
    Loop,
}

/// The judgement of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What becomes of it at the target.
    pub verdict: Verdict,
    /// What is recorded of it.
    pub flag: Option<Flag>,
    /// How it came to be.
    pub standing: Standing,
}

impl Ruling {
    const fn plain(verdict: Verdict) -> Ruling {
        Ruling { verdict, flag: None, standing: Standing::Plain }
    }

    const fn flagged(verdict: Verdict, flag: Flag) -> Ruling {
        Ruling { verdict, flag: Some(flag), standing: Standing::Plain }
    }
}

/// The judgement of a change by what the table's owner rules say.
pub const fn judge(facts: Facts, policy: Policy) -> Ruling {
    match facts.writer {
        Writer::Application => application(facts, policy),
        Writer::Weir { hops } => own(facts, policy, hops),
    }
}

/// What an application wrote.
const fn application(facts: Facts, policy: Policy) -> Ruling {
    match (facts.event, policy.rows) {
        (Event::Insert, true) => match facts.foreign {
            Changed::Yes => Ruling::flagged(Verdict::InsertOrUpdate, Flag::Initial),
            Changed::No | Changed::Unknown => Ruling::plain(Verdict::InsertOrUpdate),
        },
        (Event::Insert, false) => Ruling::flagged(owned(facts.owned, policy), Flag::Insert),
        (Event::Update, _) => Ruling {
            verdict: owned(facts.owned, policy),
            flag: foreign(facts.foreign),
            standing: Standing::Plain,
        },
        (Event::KeyChange, true) => Ruling {
            verdict: Verdict::Rekey,
            flag: foreign(facts.foreign),
            standing: Standing::Plain,
        },
        (Event::KeyChange, false) => Ruling::flagged(Verdict::LeaveOut, Flag::KeyChange),
        (Event::Delete, true) => match policy.deletes {
            Deletes::Apply => Ruling::plain(Verdict::Delete),
            Deletes::Ignore => Ruling::plain(Verdict::LeaveOut),
            Deletes::Flag => Ruling::flagged(Verdict::LeaveOut, Flag::Delete),
        },
        (Event::Delete, false) => Ruling::flagged(Verdict::LeaveOut, Flag::Delete),
        (Event::Truncate, true) => Ruling::plain(match policy.truncate {
            Truncates::Apply => Verdict::Truncate,
            Truncates::Halt => Verdict::Halt,
        }),
        (Event::Truncate, false) => Ruling::flagged(Verdict::LeaveOut, Flag::Truncate),
    }
}

/// What is in a transaction of ours: our own writing comes back to nobody, and what triggers and
/// cascades have made of it goes on once.
const fn own(facts: Facts, policy: Policy, hops: u32) -> Ruling {
    let verdict = match (facts.event, policy.rows) {
        // A row that we brought, or whose key we changed: its values here are facts. Where the key changed, what
        // went out under the former one may have found no row.
        (Event::Insert | Event::KeyChange, false) => {
            let verdict = owned(Changed::Unknown, policy);
            return Ruling { verdict, flag: None, standing: Standing::Birth };
        }
        (Event::Insert, true) => Verdict::InsertOrUpdate,
        (Event::KeyChange, true) => Verdict::Rekey,
        (Event::Update, _) => match facts.owned {
            Changed::Yes => owned(facts.owned, policy),
            // We write no column that the source owns; what is not proven to have changed has not.
            Changed::No | Changed::Unknown => return Ruling::plain(Verdict::LeaveOut),
        },
        (Event::Delete, true) => match policy.deletes {
            Deletes::Apply => Verdict::Delete,
            Deletes::Ignore | Deletes::Flag => return Ruling::plain(Verdict::LeaveOut),
        },
        (Event::Truncate, true) => match policy.truncate {
            Truncates::Apply => Verdict::Truncate,
            Truncates::Halt => Verdict::Halt,
        },
        (Event::Delete | Event::Truncate, false) => return Ruling::plain(Verdict::LeaveOut),
    };
    match (verdict, hops) {
        (Verdict::LeaveOut, _) => Ruling::plain(Verdict::LeaveOut),
        (_, 0) => Ruling { verdict, flag: None, standing: Standing::Derived },
        _ => Ruling { verdict: Verdict::LeaveOut, flag: None, standing: Standing::Loop },
    }
}

/// An update of the columns that the source owns, where some may have changed.
const fn owned(changed: Changed, policy: Policy) -> Verdict {
    match changed {
        Changed::Yes | Changed::Unknown if policy.columns => Verdict::Update,
        _ => Verdict::LeaveOut,
    }
}

/// What is recorded of changed columns that other databases own.
const fn foreign(changed: Changed) -> Option<Flag> {
    match changed {
        Changed::Yes => Some(Flag::Write),
        Changed::Unknown => Some(Flag::Unproven),
        Changed::No => None,
    }
}

#[cfg(test)]
mod tests;
