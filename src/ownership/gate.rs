//! The gate: one pure function that judges a change of the source.
//!
//! It covers the column "source is row owner" of the ownership table, where the source owns every
//! column: insert → insert-or-update; update with the same key → update of the known columns; with
//! another key → rekey; delete and truncate by policy. Ownership of single columns adds policies
//! and verdicts here and nowhere else. Whether a key is the same is decided by the caller on
//! converted keys, so that two spellings of one key are one key.

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

/// What the table's owner rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What deletes do.
    pub deletes: Deletes,
    /// What TRUNCATE does.
    pub truncate: Truncates,
}

/// What becomes of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Insert the row, or update all its columns where the key exists.
    InsertOrUpdate,
    /// Update the known columns; a missing row stays missing and is noted.
    Update,
    /// Change the key in place and update the known columns.
    Rekey,
    /// Delete the row.
    Delete,
    /// Delete all rows.
    Truncate,
    /// By policy nothing is done.
    LeaveOut,
    /// By policy the link halts before the change.
    Halt,
}

/// The verdict on `event` for a table whose rows and columns the source owns.
pub const fn judge(event: Event, policy: Policy) -> Verdict {
    match event {
        Event::Insert => Verdict::InsertOrUpdate,
        Event::Update => Verdict::Update,
        Event::KeyChange => Verdict::Rekey,
        Event::Delete => match policy.deletes {
            Deletes::Apply => Verdict::Delete,
            Deletes::Ignore => Verdict::LeaveOut,
        },
        Event::Truncate => match policy.truncate {
            Truncates::Apply => Verdict::Truncate,
            Truncates::Halt => Verdict::Halt,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a change were treated otherwise than the ownership table says.
    #[test]
    fn the_ownership_table_holds() {
        let careful = Policy { deletes: Deletes::Ignore, truncate: Truncates::Halt };
        let whole = Policy { deletes: Deletes::Apply, truncate: Truncates::Apply };
        for (event, expected_careful, expected_whole) in [
            (Event::Insert, Verdict::InsertOrUpdate, Verdict::InsertOrUpdate),
            (Event::Update, Verdict::Update, Verdict::Update),
            (Event::KeyChange, Verdict::Rekey, Verdict::Rekey),
            (Event::Delete, Verdict::LeaveOut, Verdict::Delete),
            (Event::Truncate, Verdict::Halt, Verdict::Truncate),
        ] {
            assert_eq!(judge(event, careful), expected_careful, "{event:?}");
            assert_eq!(judge(event, whole), expected_whole, "{event:?}");
        }
    }
}
