//! New letters of one slice as rows of `weir.dead_letter`: a folded letter is one row with the newest
//! letter of its row before it. Pure; how rows come into the table is the rooms' matter.

use std::collections::HashMap;

use crate::link::letter::{BEHIND, Letter};
use crate::position::Position;

/// A row of `weir.dead_letter` to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry<'a> {
    /// The first change that it tells of: which row, and why it is set aside.
    pub first: &'a Letter,
    /// The newest one: what it does, and where it stands in the log.
    pub newest: &'a Letter,
    /// Of how many changes it tells.
    pub changes: u64,
}

impl Entry<'_> {
    /// Whether it is to be counted with the newest letter that the target has of the row, if it has one.
    pub fn folds(&self) -> bool {
        self.first.folded
    }

    /// Tries that the row has had.
    pub fn attempts(&self) -> u32 {
        u32::from(self.first.reason.kind != BEHIND)
    }

    /// The position as it is stored by a slice that closes at `close`; empty where it is not known yet.
    pub fn position(&self, close: Option<&Position>) -> String {
        let position = self.newest.position.as_ref().or(close);
        position.map(Position::to_string).unwrap_or_default()
    }
}

/// The rows that `new` comes to, in the order of their changes. Those that fold into what the target has
/// come before any other of their row.
pub fn entries(new: &[Letter]) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::with_capacity(new.len());
    let mut newest: HashMap<(usize, &str), usize> = HashMap::new();
    for letter in new {
        let row = (letter.table, letter.row.as_str());
        let before = newest.get(&row).filter(|_| letter.folded);
        match before.and_then(|at| entries.get_mut(*at)) {
            Some(entry) => {
                entry.newest = letter;
                entry.changes += 1;
            }
            None => {
                newest.insert(row, entries.len());
                entries.push(Entry { first: letter, newest: letter, changes: 1 });
            }
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::letter::{Operation, Reason};

    fn letter(table: usize, row: &str, ordinal: u64, folded: bool) -> Letter {
        Letter {
            table,
            row: row.to_owned(),
            old_row: None,
            operation: Operation::Update,
            position: None,
            ordinal,
            reason: Reason::behind(),
            change: String::new(),
            folded,
        }
    }

    /// Broken if a folded change were counted with the letter of another row, with a later one of its
    /// own, or not at all.
    #[test]
    fn folded_letters_are_one_with_the_newest_before_them() {
        let new = [
            letter(0, "a", 0, true),
            letter(0, "b", 1, false),
            letter(0, "a", 2, true),
            letter(1, "a", 3, true),
            letter(0, "a", 4, false),
            letter(0, "b", 5, true),
            letter(0, "a", 6, true),
        ];
        let found = entries(&new)
            .into_iter()
            .map(|entry| (entry.first.ordinal, entry.newest.ordinal, entry.changes, entry.folds()));
        assert_eq!(
            found.collect::<Vec<_>>(),
            [(0, 2, 2, true), (1, 5, 2, false), (3, 3, 1, true), (4, 6, 2, false)]
        );
    }

    /// Broken if a change that was never tried counted as tried, or one had no place in the log.
    #[test]
    fn tries_and_places_are_the_changes_own() {
        let (own, close) = ("lsn:0/A".parse().expect("own"), "lsn:0/B".parse().expect("close"));
        let behind = letter(0, "a", 0, false);
        let mut refused = Letter { position: Some(own), ..behind.clone() };
        refused.reason.kind = "value".to_owned();
        let [behind, refused] =
            [&behind, &refused].map(|one| Entry { first: one, newest: one, changes: 1 });
        assert_eq!((behind.attempts(), refused.attempts()), (0, 1));
        assert_eq!([behind.position(None), behind.position(Some(&close))], ["", "lsn:0/B"]);
        assert_eq!(
            [refused.position(None), refused.position(Some(&close))],
            ["lsn:0/A", "lsn:0/A"]
        );
    }
}
