//! Which letters hang together: the changes of one row, also where it had another key before. Only
//! digests of names are held, so that the letters themselves may be many. Pure.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use crate::link::ports::StoredLetter;

/// The digest of a table and a row's name in it.
pub(super) type Name = [u8; 16];

/// The digest of a row's name.
pub(super) fn name_of(table: &str, row: &str) -> Name {
    let digest = Sha256::new().chain_update(table).chain_update([0]).chain_update(row).finalize();
    let mut name = Name::default();
    name.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    name
}

/// What is known of a row that is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowLetters {
    /// Its first letter.
    pub(super) first: u64,
    /// How many it has.
    pub(super) letters: u64,
    /// Of how many changes they tell.
    pub(super) changes: u64,
}

/// All letters of a link, by their rows.
#[derive(Debug, Default)]
pub(super) struct Families {
    rows: HashMap<Name, RowLetters>,
    /// By a key change of one to the other.
    related: HashMap<Name, Vec<Name>>,
}

impl Families {
    /// Takes in a letter; they come oldest first.
    pub(super) fn add(&mut self, letter: &StoredLetter) {
        let name = name_of(&letter.table, &letter.row);
        let first = RowLetters { first: letter.id, letters: 0, changes: 0 };
        let row = self.rows.entry(name).or_insert(first);
        row.letters += 1;
        row.changes = row.changes.saturating_add(letter.changes);
        if let Some(old) = &letter.old_row {
            let old = name_of(&letter.table, old);
            self.related.entry(name).or_default().push(old);
            self.related.entry(old).or_default().push(name);
        }
    }

    /// What is known of the row of a letter.
    pub(super) fn row(&self, letter: &StoredLetter) -> Option<RowLetters> {
        self.rows.get(&name_of(&letter.table, &letter.row)).copied()
    }

    /// How many rows have letters.
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// How many letters there are, and of how many changes they tell.
    pub(super) fn totals(&self) -> (u64, u64) {
        self.rows.values().fold((0, 0), |(letters, changes), row| {
            (letters + row.letters, changes.saturating_add(row.changes))
        })
    }

    /// These rows, and all that hang together with them.
    pub(super) fn whole(&self, rows: impl IntoIterator<Item = Name>) -> HashSet<Name> {
        let mut whole = HashSet::new();
        let mut open: Vec<Name> = rows.into_iter().collect();
        while let Some(name) = open.pop() {
            if whole.insert(name) {
                open.extend(self.related.get(&name).into_iter().flatten().copied());
            }
        }
        whole
    }

    /// How many letters these rows have.
    pub(super) fn letters(&self, rows: &HashSet<Name>) -> u64 {
        rows.iter().filter_map(|name| self.rows.get(name)).map(|row| row.letters).sum()
    }

    /// How many of these have letters.
    pub(super) fn with_letters(&self, rows: &HashSet<Name>) -> usize {
        rows.iter().filter(|name| self.rows.contains_key(*name)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dead_letters::letter::tests::letter;

    /// Broken if a row's later changes were tried or dropped without the first, or the changes before a
    /// new key without those after it; or if a row of another table went along.
    #[test]
    fn changes_of_one_row_hang_together() {
        let mut families = Families::default();
        let moved = |id, from: &str, to: &str| StoredLetter {
            old_row: Some(from.to_owned()),
            ..letter(id, to)
        };
        let elsewhere = StoredLetter { table: "d.other".to_owned(), ..letter(6, "a") };
        let folded = StoredLetter { changes: 7, ..letter(7, "c") };
        for one in [
            letter(1, "a"),
            letter(2, "x"),
            moved(3, "a", "b"),
            letter(4, "b"),
            moved(5, "b", "c"),
            elsewhere,
            folded,
        ] {
            families.add(&one);
        }
        let name = |row: &str| name_of("d.t", row);
        let family: HashSet<Name> = ["a", "b", "c"].map(name).into();
        for row in ["a", "b", "c"] {
            assert_eq!(families.whole([name(row)]), family, "{row}");
        }
        assert_eq!(families.letters(&family), 5);
        assert_eq!(families.whole([name("x")]), HashSet::from([name("x")]));
        assert_eq!((families.rows(), families.totals()), (5, (7, 13)));
        let row = families.row(&letter(0, "c"));
        assert_eq!(row, Some(RowLetters { first: 5, letters: 2, changes: 8 }));
        // A former key that has no letters of its own is not one more row.
        let mut only = Families::default();
        only.add(&moved(1, "old", "new"));
        assert_eq!(only.with_letters(&only.whole([name("new")])), 1);
        assert_ne!(name_of("d.t", "1"), name_of("d.", "t1"));
    }
}
