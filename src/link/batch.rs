//! The batch that is being formed: prepared changes with the borders of their transactions. Pure.
//!
//! It knows where whole transactions end, so that what is committed always ends at one, and which
//! change of which transaction each prepared change is, so that a refused row can be named. Changes that
//! are set aside are in it too, as letters, each at its place among the others.

use std::ops::Range;

use crate::error::Result;
use crate::link::flag::FlagRecord;
use crate::link::letter::Letter;
use crate::link::steps::Prepared;
use crate::model::{Commit, Verb};
use crate::position::Position;
use crate::transform::rules::Outcomes;

/// The end of a transaction within a batch.
#[derive(Clone, Debug)]
struct Border {
    /// Prepared changes up to here.
    end: usize,
    /// Letters up to here.
    letters: usize,
    /// Records of flagged writes up to here.
    flags: usize,
    commit: Commit,
    what: Ended,
}

/// What ended at a border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// A transaction with changes.
    Changed,
    /// A transaction that touched no planned table.
    Unchanged,
    /// None: the source was idle, and only the position is its own.
    Idle,
}

/// A change that is set aside.
#[derive(Clone, Debug)]
pub(super) struct Aside {
    pub(super) letter: Letter,
    /// It comes before the prepared change of this index.
    pub(super) at: usize,
    /// The change itself, where it could be prepared.
    pub(super) change: Option<Prepared>,
    /// The prepared change of this index removes its row, and all others of its table.
    emptied_by: Option<usize>,
}

impl Aside {
    /// A letter that comes before the prepared change `at`.
    pub(super) fn new(letter: Letter, at: usize, change: Option<Prepared>) -> Aside {
        Aside { letter, at, change, emptied_by: None }
    }
}

/// What becomes of a prepared change that is judged once more.
pub(super) enum Sifted {
    /// It stays.
    Kept,
    /// It stays, and removes all rows of a table that has letters.
    Empties,
    /// It is set aside, or dropped where there is no letter of it.
    Aside(Option<Box<Letter>>),
}

/// Changes on their way into one target transaction.
#[derive(Debug, Default)]
pub(super) struct Batch {
    prepared: Vec<Prepared>,
    /// Per prepared change its number within its source transaction, from 0.
    ordinals: Vec<u64>,
    /// In source order.
    letters: Vec<Aside>,
    /// In source order.
    flags: Vec<FlagRecord>,
    /// How often its changes were passed on as what weir's own writing had caused; `None` while it has none.
    hops: Option<u32>,
    /// The same of the transaction that is open.
    open_hops: Option<u32>,
    /// Tables with letters in the target of which a prepared change removes all rows, with its index.
    emptied: Vec<(usize, usize)>,
    borders: Vec<Border>,
    /// Changes so far of the transaction that has not ended yet.
    open_changes: u64,
    /// Memory of the changes.
    pub(super) bytes: usize,
    /// Slices of this target transaction are in the target already.
    pub(super) sliced: bool,
    /// Sums over all slices, for the report.
    pub(super) changes: u64,
    /// Commit time of each source transaction with changes, over all slices.
    pub(super) committed_us: Vec<i64>,
    /// What validations did to its changes, over all slices.
    pub(super) outcomes: Outcomes,
}

/// Where a prepared change comes from, in words.
pub(super) struct Origin {
    /// Number within its transaction, from 0.
    pub(super) ordinal: u64,
    /// The transaction's end, where it is known.
    pub(super) position: Option<Position>,
}

impl Batch {
    /// Adds one prepared change of the transaction that is open.
    pub(super) fn push(&mut self, prepared: Option<Prepared>) {
        self.push_beside(prepared);
        self.open_changes += 1;
        self.changes += 1;
    }

    /// Adds what goes with the next change of the open transaction.
    pub(super) fn push_beside(&mut self, prepared: Option<Prepared>) {
        if let Some(prepared) = prepared {
            self.prepared.push(prepared);
            self.ordinals.push(self.open_changes);
        }
    }

    /// Sets a change of the open transaction aside, in place of adding it.
    pub(super) fn set_aside(&mut self, letter: Letter, change: Option<Prepared>) {
        let ordinal = self.open_changes;
        let letter = Letter { ordinal, ..letter };
        self.letters.push(Aside::new(letter, self.prepared.len(), change));
        self.open_changes += 1;
        self.changes += 1;
    }

    /// Records flagged writes of the next change.
    pub(super) fn flag(&mut self, records: Vec<FlagRecord>) {
        let ordinal = self.open_changes;
        self.flags.extend(records.into_iter().map(|one| FlagRecord { ordinal, ..one }));
    }

    /// The open transaction has changes that were passed on so often.
    pub(super) fn pass_on(&mut self, hops: u32) {
        self.open_hops = Some(hops);
    }

    /// How often what it holds was passed on.
    pub(super) fn hops(&self) -> u32 {
        self.hops.or(self.open_hops).unwrap_or_default()
    }

    /// Whether changes that were passed on so often must not be in one target transaction with those of
    /// the transactions that have ended.
    pub(super) fn is_apart_from(&self, hops: u32) -> bool {
        self.hops.is_some_and(|own| own != hops)
    }

    /// The change that is added next removes all rows of a table that has letters.
    pub(super) fn empty(&mut self, table: usize) {
        let by = self.prepared.len();
        self.emptied.push((by, table));
        let letters = self.letters.iter_mut().filter(|aside| aside.letter.table == table);
        letters.for_each(|aside| aside.emptied_by = aside.emptied_by.or(Some(by)));
    }

    /// The open transaction ends here.
    pub(super) fn end_transaction(&mut self, commit: Commit) {
        let what = if self.open_changes > 0 { Ended::Changed } else { Ended::Unchanged };
        if what == Ended::Changed {
            self.committed_us.push(commit.time_us);
        }
        self.open_changes = 0;
        self.hops = self.open_hops.take().or(self.hops);
        self.push_border(commit, what);
    }

    /// Between transactions: the source has come to this position without one.
    pub(super) fn pass_idle(&mut self, commit: Commit) {
        self.push_border(commit, Ended::Idle);
    }

    fn push_border(&mut self, commit: Commit, what: Ended) {
        let (end, letters) = (self.prepared.len(), self.letters.len());
        let flags = self.flags.len();
        self.borders.push(Border { end, letters, flags, commit, what });
    }

    /// The number of the next change within its transaction.
    pub(super) fn next_ordinal(&self) -> u64 {
        self.open_changes
    }

    /// Whether it ends with a whole transaction.
    pub(super) fn at_commit(&self) -> bool {
        self.open_changes == 0
            && self.borders.last().is_some_and(|border| {
                border.end == self.prepared.len() && border.letters == self.letters.len()
            })
    }

    /// Whether nothing of any transaction is in it.
    pub(super) fn is_untouched(&self) -> bool {
        self.is_empty() && self.open_changes == 0 && !self.sliced
    }

    /// Whether nothing is to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.prepared.is_empty() && self.letters.is_empty() && self.flags.is_empty()
    }

    /// Whether a limit is reached.
    pub(super) fn is_full(&self, rows_max: usize, bytes_max: usize) -> bool {
        self.prepared.len() + self.letters.len() + self.flags.len() >= rows_max
            || self.bytes >= bytes_max
    }

    /// The prepared changes, in source order.
    pub(super) fn prepared(&self) -> &[Prepared] {
        &self.prepared
    }

    /// The prepared changes, each with the end of its transaction where that is in the batch.
    pub(super) fn placed(&self) -> impl Iterator<Item = (&Prepared, Option<&Position>)> {
        let mut borders = self.borders.iter().peekable();
        self.prepared.iter().enumerate().map(move |(index, change)| {
            while borders.next_if(|border| border.end <= index).is_some() {}
            (change, borders.peek().map(|border| &border.commit.position))
        })
    }

    /// The records of flagged writes, each with the end of its transaction where that is in the batch.
    pub(super) fn flags(&self) -> Vec<FlagRecord> {
        let mut borders = self.borders.iter().peekable();
        let placed = self.flags.iter().enumerate().map(|(index, flag)| {
            while borders.next_if(|border| border.flags <= index).is_some() {}
            let commit = borders.peek().map(|border| &border.commit);
            FlagRecord {
                position: commit.map(|commit| commit.position.clone()),
                committed_us: commit.map(|commit| commit.time_us),
                ..flag.clone()
            }
        });
        placed.collect()
    }

    /// What is set aside, each with the end of its transaction where that is in the batch.
    pub(super) fn asides_placed(&self) -> impl Iterator<Item = (&Aside, Option<&Position>)> {
        let mut borders = self.borders.iter().peekable();
        self.letters.iter().enumerate().map(move |(index, aside)| {
            while borders.next_if(|border| border.letters <= index).is_some() {}
            (aside, borders.peek().map(|border| &border.commit.position))
        })
    }

    /// The letters to write, in source order with `more` that were found since: each with the end of
    /// its transaction where that is in the batch.
    pub(super) fn letters(&self, more: Vec<Aside>) -> Vec<Letter> {
        let mut found: Vec<(usize, bool, Letter)> = Vec::new();
        for (aside, at) in self.asides_placed().filter(|(aside, _)| aside.emptied_by.is_none()) {
            let position = at.cloned();
            found.push((aside.at, false, Letter { position, ..aside.letter.clone() }));
        }
        found.extend(more.into_iter().map(|aside| (aside.at, true, aside.letter)));
        found.sort_by_key(|(at, found, _)| (*at, *found));
        found.into_iter().map(|(_, _, letter)| letter).collect()
    }

    /// What is set aside of a table after the last of its rows went.
    pub(super) fn asides_left(&self, table: usize) -> impl Iterator<Item = &Aside> {
        let left = move |aside: &&Aside| aside.letter.table == table && aside.emptied_by.is_none();
        self.letters.iter().filter(left)
    }

    /// The tables with letters of which all rows go.
    pub(super) fn emptied(&self) -> Vec<usize> {
        let mut tables: Vec<usize> = self.emptied.iter().map(|(_, table)| *table).collect();
        tables.sort_unstable();
        tables.dedup();
        tables
    }

    /// Whether rows of it are to be read again.
    pub(super) fn has_notes(&self) -> bool {
        self.prepared.iter().any(|change| change.verb() == Verb::Note)
    }

    /// The last commit in it.
    pub(super) fn last_commit(&self) -> Option<&Commit> {
        self.borders.last().map(|border| &border.commit)
    }

    /// Commit time of the newest source transaction that ends in it, microseconds since 1970.
    pub(super) fn newest_us(&self) -> Option<i64> {
        let ended = self.borders.iter().rev().find(|border| border.what != Ended::Idle);
        ended.map(|border| border.commit.time_us)
    }

    /// The same of the oldest one.
    pub(super) fn oldest_us(&self) -> Option<i64> {
        let ended = self.borders.iter().find(|border| border.what != Ended::Idle);
        ended.map(|border| border.commit.time_us)
    }

    /// The prepared changes of each transaction in it, the last one perhaps not whole.
    pub(super) fn transactions(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let ends = self.borders.iter().map(|border| border.end).chain([self.prepared.len()]);
        ends.scan(0, |start, end| Some(std::mem::replace(start, end)..end))
            .filter(|range| !range.is_empty())
    }

    /// PostgreSQL transaction ids in it.
    pub(super) fn xids(&self) -> impl Iterator<Item = u32> + '_ {
        self.borders.iter().filter_map(|border| border.commit.xid)
    }

    /// Where prepared change `index` comes from.
    pub(super) fn origin(&self, index: usize) -> Origin {
        let border = self.borders.iter().find(|border| border.end > index);
        Origin {
            ordinal: self.ordinals.get(index).copied().unwrap_or_default(),
            position: border.map(|border| border.commit.position.clone()),
        }
    }

    /// The prepared changes went into the target; the open transaction goes on.
    pub(super) fn slice_applied(&mut self) {
        self.prepared.clear();
        self.ordinals.clear();
        self.letters.clear();
        self.flags.clear();
        self.emptied.clear();
        self.borders.clear();
        self.bytes = 0;
        self.sliced = true;
    }

    /// After a slice: changes of it that are left to the next one.
    pub(super) fn carry(&mut self, carried: Vec<(Prepared, u64)>) {
        self.bytes += carried.iter().map(|(change, _)| change.size_bytes()).sum::<usize>();
        (self.prepared, self.ordinals) = carried.into_iter().unzip();
    }

    /// Takes the whole transactions out, leaving the one that is open; `None` where there are none,
    /// or where slices are in an open target transaction already.
    pub(super) fn split_whole(&mut self) -> Option<Batch> {
        let last = self.borders.last();
        let (end, letters, flags) =
            last.map(|border| (border.end, border.letters, border.flags))?;
        if self.sliced || (end == 0 && letters == 0 && flags == 0) {
            return None;
        }
        let mut open_letters = self.letters.split_off(letters);
        for aside in &mut open_letters {
            aside.at -= end;
            aside.emptied_by = aside.emptied_by.map(|by| by - end);
        }
        let emptied = self.emptied.iter().filter(|(by, _)| *by >= end);
        let open = Batch {
            prepared: self.prepared.split_off(end),
            ordinals: self.ordinals.split_off(end),
            letters: open_letters,
            flags: self.flags.split_off(flags),
            open_hops: self.open_hops.take(),
            emptied: emptied.map(|(by, table)| (by - end, *table)).collect(),
            open_changes: self.open_changes,
            changes: self.open_changes,
            bytes: self.bytes,
            ..Batch::default()
        };
        let mut whole = std::mem::replace(self, open);
        whole.changes = whole.changes.saturating_sub(whole.open_changes);
        whole.open_changes = 0;
        whole.forget_emptied_from(end);
        Some(whole)
    }

    /// Judges once more what was taken of the open transaction, in order; only of a batch that holds
    /// nothing else.
    pub(super) fn sift(
        &mut self,
        mut judge: impl FnMut(&Prepared) -> Result<Sifted>,
    ) -> Result<()> {
        let prepared = std::mem::take(&mut self.prepared);
        let ordinals = std::mem::take(&mut self.ordinals);
        let mut letters = std::mem::take(&mut self.letters).into_iter().peekable();
        let emptied = std::mem::take(&mut self.emptied);
        for (index, (change, ordinal)) in prepared.into_iter().zip(ordinals).enumerate() {
            while let Some(aside) = letters.next_if(|aside| aside.at <= index) {
                self.letters.push(Aside::new(aside.letter, self.prepared.len(), aside.change));
            }
            match judge(&change)? {
                Sifted::Aside(letter) => {
                    let letter = letter.map(|letter| Letter { ordinal, ..*letter });
                    let at = self.prepared.len();
                    self.letters.extend(letter.map(|one| Aside::new(one, at, Some(change))));
                    continue;
                }
                Sifted::Empties => self.empty(change.table),
                Sifted::Kept if emptied.iter().any(|(by, _)| *by == index) => {
                    self.empty(change.table);
                }
                Sifted::Kept => {}
            }
            self.prepared.push(change);
            self.ordinals.push(ordinal);
        }
        let at = self.prepared.len();
        self.letters.extend(letters.map(|aside| Aside::new(aside.letter, at, aside.change)));
        Ok(())
    }

    /// The changes from this index on, which emptied tables, are not in the batch any more.
    fn forget_emptied_from(&mut self, end: usize) {
        self.emptied.retain(|(by, _)| *by < end);
        for aside in &mut self.letters {
            aside.emptied_by = aside.emptied_by.filter(|by| *by < end);
        }
    }

    /// Only the whole transactions before prepared change `index`; `None` where there are none, or
    /// where parts of this batch are in an open target transaction already.
    pub(super) fn whole_before(mut self, index: usize) -> Option<Batch> {
        if self.sliced {
            return None;
        }
        self.borders.retain(|border| border.end <= index);
        let last = self.borders.last();
        let (end, letters, flags) =
            last.map(|border| (border.end, border.letters, border.flags))?;
        self.flags.truncate(flags);
        self.open_hops = None;
        self.prepared.truncate(end);
        self.ordinals.truncate(end);
        self.letters.truncate(letters);
        self.forget_emptied_from(end);
        self.open_changes = 0;
        let changed = self.borders.iter().filter(|border| border.what == Ended::Changed);
        self.committed_us = changed.map(|border| border.commit.time_us).collect();
        self.changes = (end + letters) as u64;
        (!self.is_empty()).then_some(self)
    }
}

#[cfg(test)]
mod tests;
