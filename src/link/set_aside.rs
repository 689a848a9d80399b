//! Which rows of a link are set aside at the moment: the letters in the target as the applier knows
//! them. Pure.
//!
//! Rows that a change renames into each other form one group: they are read again, written and closed
//! together. The table in the target is the truth; this is read from it at each attempt, and again
//! where somebody else has changed it.

use std::collections::{BTreeMap, HashMap};

use crate::link::letter::{Letter, LetterCount, LetterHead, RowName, may_pass};
use crate::link::status::SetAside;

/// Letters of one row, at most; further changes are counted with the newest one.
const LETTERS_PER_ROW_MAX: u64 = 100;

/// Rows that are set aside together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    /// Their table.
    pub(super) table: usize,
    /// Their names.
    pub(super) rows: Vec<String>,
    /// Which became which, in order.
    pub(super) renames: Vec<(String, String)>,
    /// Letters of theirs.
    pub(super) letters: u64,
    /// They may pass without a person.
    pub(super) may_pass: bool,
    /// How often they were tried.
    pub(super) attempts: u32,
    /// Letters by which a person has asked for a try.
    pub(super) asked: u64,
    /// Since when the first is set aside, microseconds since 1970.
    pub(super) since_us: i64,
}

impl Group {
    /// The rows with their table.
    pub(super) fn names(&self) -> impl Iterator<Item = RowName> + '_ {
        let name = |row: &String| RowName { table: self.table, row: row.clone() };
        self.rows.iter().map(name)
    }
}

/// The rows of a link that are set aside.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// The group of each row, by table and name.
    places: HashMap<usize, HashMap<String, u64>>,
    /// By number, older ones first.
    groups: BTreeMap<u64, Group>,
    made: u64,
}

impl Rows {
    /// From the letters in the target.
    pub(super) fn of(heads: &[LetterHead]) -> Rows {
        let mut rows = Rows::default();
        for head in heads {
            let (row, old_row) = (&head.row, head.old_row.as_deref());
            let place = rows.add(head.table, row, old_row, &head.kind, head.made_us);
            if let Some(group) = rows.groups.get_mut(&place) {
                group.attempts = group.attempts.max(head.attempts);
                group.asked += u64::from(head.asked);
            }
        }
        rows
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether any row of the table is set aside.
    pub(super) fn has_table(&self, table: usize) -> bool {
        self.places.contains_key(&table)
    }

    /// Whether a row is.
    pub(super) fn holds(&self, table: usize, row: &str) -> bool {
        self.place(table, row).is_some()
    }

    fn place(&self, table: usize, row: &str) -> Option<u64> {
        self.places.get(&table)?.get(row).copied()
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.groups.values().map(|group| group.rows.len() as u64).sum()
    }

    /// Those of them for which nobody has asked.
    pub(super) fn unasked(&self) -> u64 {
        let unasked = self.groups.values().filter(|group| group.asked == 0);
        unasked.map(|group| group.rows.len() as u64).sum()
    }

    /// What a look at the target should count.
    pub(super) fn letters(&self) -> LetterCount {
        let groups = self.groups.values();
        groups.fold(LetterCount::default(), |count, group| LetterCount {
            letters: count.letters + group.letters,
            asked: count.asked + group.asked,
        })
    }

    /// For the status.
    pub(super) fn status(&self) -> SetAside {
        SetAside {
            rows: self.count(),
            letters: self.letters().letters,
            since_us: self.groups.values().map(|group| group.since_us).min(),
        }
    }

    /// A letter is about to be written: whether it is only to be counted with the newest of its row.
    pub(super) fn put(&mut self, letter: &Letter, now_us: i64) -> bool {
        let Letter { table, row, old_row, reason, .. } = letter;
        let old_row = old_row.as_deref();
        let known = [Some(row.as_str()), old_row].into_iter().flatten();
        let known = known.map(|row| self.place(*table, row)).collect::<Option<Vec<_>>>();
        let folded = known.is_some_and(|places| {
            let [first, rest @ ..] = places.as_slice() else { return false };
            let full = |group: &Group| {
                group.letters >= LETTERS_PER_ROW_MAX.saturating_mul(group.rows.len() as u64)
            };
            rest.iter().all(|place| place == first) && self.groups.get(first).is_some_and(full)
        });
        let place = self.add(*table, row, old_row, &reason.kind, now_us);
        if let Some(group) = self.groups.get_mut(&place).filter(|_| folded) {
            group.letters -= 1;
        }
        folded
    }

    /// Takes a letter in; the number of its group.
    fn add(
        &mut self,
        table: usize,
        row: &str,
        old_row: Option<&str>,
        kind: &str,
        made_us: i64,
    ) -> u64 {
        // What a row waits for is told by its first letter: the one that a try in vain rewrites.
        let place = self.group_of(table, row, kind, made_us);
        if let Some(old_row) = old_row {
            let other = self.group_of(table, old_row, kind, made_us);
            self.tie(place, other);
        }
        // The older of the two is left.
        let place = self.place(table, row).unwrap_or(place);
        if let Some(group) = self.groups.get_mut(&place) {
            group.letters += 1;
            group.renames.extend(old_row.map(|old| (old.to_owned(), row.to_owned())));
        }
        place
    }

    fn group_of(&mut self, table: usize, row: &str, kind: &str, since_us: i64) -> u64 {
        if let Some(place) = self.place(table, row) {
            return place;
        }
        self.made += 1;
        let group = Group {
            table,
            rows: vec![row.to_owned()],
            renames: Vec::new(),
            letters: 0,
            may_pass: may_pass(kind),
            attempts: 0,
            asked: 0,
            since_us,
        };
        self.groups.insert(self.made, group);
        self.places.entry(table).or_default().insert(row.to_owned(), self.made);
        self.made
    }

    /// Makes one group of two: the older one.
    fn tie(&mut self, one: u64, other: u64) {
        let (kept, joined) = (one.min(other), one.max(other));
        if kept == joined {
            return;
        }
        let Some(joined) = self.groups.remove(&joined) else { return };
        let Some(group) = self.groups.get_mut(&kept) else { return };
        if let Some(places) = self.places.get_mut(&group.table) {
            places.extend(joined.rows.iter().map(|row| (row.clone(), kept)));
        }
        group.rows.extend(joined.rows);
        group.renames.extend(joined.renames);
        group.letters += joined.letters;
        group.may_pass &= joined.may_pass;
        group.attempts = group.attempts.max(joined.attempts);
        group.asked += joined.asked;
        group.since_us = group.since_us.min(joined.since_us);
    }

    /// The groups by number, older ones first.
    pub(super) fn groups(&self) -> impl Iterator<Item = (u64, &Group)> {
        self.groups.iter().map(|(place, group)| (*place, group))
    }

    /// The group of this number.
    pub(super) fn group(&self, place: u64) -> Option<&Group> {
        self.groups.get(&place)
    }

    /// A group was tried in vain; for a reason of this kind it is still set aside.
    pub(super) fn tried(&mut self, place: u64, kind: &str) {
        if let Some(group) = self.groups.get_mut(&place) {
            group.attempts = group.attempts.saturating_add(1);
            group.asked = 0;
            group.may_pass = may_pass(kind);
        }
    }

    /// A group is no longer set aside.
    pub(super) fn close(&mut self, place: u64) {
        let Some(group) = self.groups.remove(&place) else { return };
        if let Some(places) = self.places.get_mut(&group.table) {
            for row in &group.rows {
                places.remove(row);
            }
            if places.is_empty() {
                self.places.remove(&group.table);
            }
        }
    }

    /// No row of the table is set aside any more.
    pub(super) fn empty(&mut self, table: usize) {
        self.places.remove(&table);
        self.groups.retain(|_, group| group.table != table);
    }

    /// Every row of the table went, but for later changes that were taken already: only what those set
    /// aside is, still or again.
    pub(super) fn empty_before<'a>(
        &mut self,
        table: usize,
        later: impl Iterator<Item = &'a Letter>,
        now_us: i64,
    ) {
        self.empty(table);
        for letter in later {
            self.put(letter, now_us);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::link::letter::{BEHIND, Operation, Reason};

    fn letter(row: &str, old_row: Option<&str>, kind: &str) -> Letter {
        Letter {
            table: 3,
            row: row.to_owned(),
            old_row: old_row.map(str::to_owned),
            operation: Operation::Update,
            position: None,
            ordinal: 0,
            reason: Reason { kind: kind.to_owned(), text: String::new(), hint: String::new() },
            change: String::new(),
            folded: false,
        }
    }

    fn head(id: u64, row: &str, kind: &str) -> LetterHead {
        LetterHead {
            id,
            table: 3,
            row: row.to_owned(),
            old_row: None,
            kind: kind.to_owned(),
            attempts: 2,
            asked: true,
            made_us: 7,
        }
    }

    /// Broken if a row were forgotten when two groups become one, or stayed after its group is closed.
    #[test]
    fn key_changes_tie_rows_together() {
        let mut rows = Rows::default();
        for (row, old_row) in [("a", None), ("b", None), ("c", Some("b")), ("a", Some("c"))] {
            assert!(!rows.put(&letter(row, old_row, "constraint"), 1));
        }
        rows.put(&letter("z", None, "constraint"), 1);
        assert_eq!((rows.count(), rows.letters().letters), (4, 5));
        let (place, group) = rows.groups().next().expect("a group");
        let mut names = group.rows.clone();
        names.sort_unstable();
        assert_eq!(names, ["a", "b", "c"]);
        let rename = |old: &str, new: &str| (old.to_owned(), new.to_owned());
        assert_eq!(group.renames, [rename("b", "c"), rename("c", "a")]);
        rows.close(place);
        assert!(["a", "b", "c"].iter().all(|row| !rows.holds(3, row)) && rows.holds(3, "z"));
        assert!(!rows.holds(4, "z"));
        rows.empty(3);
        assert!(rows.is_empty() && !rows.has_table(3));
    }

    /// Broken if a row that changes all the time filled the target with letters, or if the first
    /// letter of another row were lost among them.
    #[test]
    fn letters_of_a_row_are_bounded() {
        let mut rows = Rows::default();
        let folded = (0..1000).filter(|_| rows.put(&letter("a", None, BEHIND), 1)).count();
        assert_eq!((folded as u64, rows.letters().letters), (1000 - 100, 100));
        assert!(!rows.put(&letter("b", Some("a"), BEHIND), 1), "b is new");
        assert!(!rows.put(&letter("c", None, BEHIND), 1));
    }

    /// Broken if a row that waits for a parent were not tried by itself after a restart because a later
    /// change of it was set aside for another reason.
    #[test]
    fn the_first_letter_tells_what_a_row_waits_for() {
        let rows = |kinds: [&str; 2]| Rows::of(&[head(1, "a", kinds[0]), head(2, "a", kinds[1])]);
        let may_pass = |rows: Rows| rows.groups().map(|(_, group)| group.may_pass).next();
        let foreign = Kind::ForeignKey.name();
        assert_eq!(may_pass(rows([foreign, "value"])), Some(true));
        assert_eq!(may_pass(rows(["value", foreign])), Some(false));
    }

    /// Broken if a row were tried for ever that waits for a person, or never if it waits for a parent.
    #[test]
    fn what_may_pass_is_known() {
        let foreign = Kind::ForeignKey.name();
        let heads = [head(1, "a", foreign), head(2, "a", BEHIND), head(3, "b", "constraint")];
        let mut rows = Rows::of(&heads);
        let told: Vec<_> = rows.groups().map(|(_, one)| (one.may_pass, one.attempts)).collect();
        assert_eq!(told, [(true, 2), (false, 2)]);
        assert_eq!(rows.letters(), LetterCount { letters: 3, asked: 3 });
        assert_eq!((rows.count(), rows.unasked()), (2, 0));
        let place = rows.groups().next().expect("a group").0;
        rows.tried(place, "constraint");
        let group = rows.group(place).expect("it stays");
        assert_eq!((group.may_pass, group.attempts, group.asked), (false, 3, 0));
        assert_eq!(rows.letters().asked, 1);
    }
}
