//! Notes of rows that are to be read again at the source: rows of `weir.missed` in the target, written
//! in the transaction that leaves something out. How they are served is in `refetch`.

use crate::error::Result;
use crate::model::Row;
use crate::plan::{LinkPlan, key_text, parse_key, source_key};

/// Before the text of a key that is the source's.
const OF_SOURCE: &str = "source ";

/// Why a row is to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// An update or a key change found no row.
    NoRow,
    /// The log holds a part of it only.
    Partial,
    /// A person, or the configuration, wants it as the source has it, also where that has none.
    Revert,
    /// Changes of it are set aside.
    SetAside,
    /// Changes of it are set aside, and its key is the source's: it has no form at the target.
    Unconverted,
}

impl Why {
    /// Every reason for a row of `weir.missed`.
    pub const ALL: [Why; 3] = [Why::NoRow, Why::Partial, Why::Revert];

    /// Its name in `weir.missed`.
    pub const fn name(self) -> &'static str {
        match self {
            Why::NoRow => "no_row",
            Why::Partial => "partial",
            Why::Revert => "revert",
            Why::SetAside => "set_aside",
            Why::Unconverted => "unconverted",
        }
    }

    /// The reason of that name; one that is not known counts as a row that is missing.
    pub fn named(name: &str) -> Why {
        Why::ALL.into_iter().find(|why| why.name() == name).unwrap_or(Why::NoRow)
    }
}

/// The key of a row that is to be read again.
#[derive(Clone, Debug, PartialEq)]
pub struct MissedKey {
    /// Index of the table in the link's plan.
    pub table: usize,
    /// Values of the match key, in key order, as the target holds them.
    pub key: Row,
    /// Why.
    pub why: Why,
}

impl MissedKey {
    /// The row's name among those that are read again or set aside.
    pub fn text(&self) -> String {
        match self.why {
            Why::Unconverted => format!("{OF_SOURCE}{}", key_text(&self.key)),
            Why::NoRow | Why::Partial | Why::Revert | Why::SetAside => key_text(&self.key),
        }
    }

    /// The row that is set aside under such a name.
    ///
    /// # Errors
    /// As [`parse_key`].
    pub fn set_aside(table: usize, text: &str) -> Result<MissedKey> {
        let (text, why) = match text.strip_prefix(OF_SOURCE) {
            Some(text) => (text, Why::Unconverted),
            None => (text, Why::SetAside),
        };
        Ok(MissedKey { table, key: parse_key(text)?, why })
    }

    /// The match key as the source holds it.
    ///
    /// # Errors
    /// `Value` where a value has no form there.
    pub fn source_key(&self, plan: &LinkPlan) -> Result<Row> {
        match self.why {
            Why::Unconverted => Ok(self.key.clone()),
            Why::NoRow | Why::Partial | Why::Revert | Why::SetAside => {
                source_key(crate::link::steps::table(plan, self.table)?, &self.key)
            }
        }
    }
}

/// A note of `weir.missed`.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// Its number; later ones have higher numbers.
    pub id: u64,
    /// What is to be read again.
    pub missed: MissedKey,
}

/// What a look at a link's notes finds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes {
    /// The oldest, oldest first. One key may come more than once.
    pub oldest: Vec<Note>,
    /// None of the link's has a higher number now.
    pub newest: u64,
}

/// Notes of rows that are to be read again, by why they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenNotes {
    /// An update found no row.
    pub missed: u64,
    /// The log holds a part of the row only.
    pub partial: u64,
}

impl OpenNotes {
    /// How many of `notes` are of which kind.
    pub fn of<'a>(notes: impl Iterator<Item = &'a MissedKey>) -> OpenNotes {
        notes.fold(OpenNotes::default(), |mut open, note| {
            match note.why {
                Why::NoRow => open.missed += 1,
                Why::Partial | Why::Revert => open.partial += 1,
                Why::SetAside | Why::Unconverted => {}
            }
            open
        })
    }

    /// Each kind with that of `other`.
    pub(super) fn with(self, other: OpenNotes, join: fn(u64, u64) -> u64) -> OpenNotes {
        OpenNotes {
            missed: join(self.missed, other.missed),
            partial: join(self.partial, other.partial),
        }
    }
}
