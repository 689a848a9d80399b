//! The simulated target: transactions, compare-and-swap, letters, and commits that may or may not go
//! through.

use std::collections::BTreeSet;

use super::tables::cascade;
use super::world::{Committed, Shared, StoredLetter, Transaction, World, at, int, lsn};
use crate::error::{Error, Kind, Result};
use crate::link::letter::{Letter, LetterCount, LetterHead, LetterWork, Operation, RowName};
use crate::link::ports::{
    Applied, CopyNote, MissedKey, Note, Notes, Pending, Slice, StoredCopy, Target, Why,
};
use crate::model::{Row, Step, Value, Verb, Witness};
use crate::position::Position;

pub(super) struct FakeTarget {
    world: Shared,
    open: Option<Committed>,
    looked_until: u64,
    /// What the world refuses, as it was when the transaction began.
    stuck: Option<(i64, Kind)>,
}

impl FakeTarget {
    pub(super) fn new(world: Shared) -> Self {
        FakeTarget { world, open: None, looked_until: 0, stuck: None }
    }

    fn begin(&mut self, expected: &Witness) -> Result<()> {
        let mut world = self.world.lock().expect("lock");
        world.lock_witness();
        world.foreign_writes();
        let mut copy = world.committed.clone();
        match &mut copy.witness {
            Some(stored)
                if stored.seq == expected.seq && stored.installation == expected.installation =>
            {
                stored.seq += 1;
            }
            _ => return Err(Error::new(Kind::Witness, "the witness was moved")),
        }
        self.open = Some(copy);
        Ok(())
    }

    fn execute(&mut self, slice: Slice<'_>) -> Result<Applied> {
        let (refuses, kind) = {
            let mut world = self.world.lock().expect("lock");
            world.connection(40)?;
            if slice.open.is_some() {
                self.stuck = world.stuck;
            }
            let stuck = self.stuck.filter(|(key, _)| writes(&slice, *key));
            let loaded = slice.load.map_or(&[][..], |load| load.rows);
            let rows: usize = slice.steps.iter().map(|step| step.rows.len()).sum();
            let rows = rows + loaded.len();
            let stepped = slice.steps.iter().flat_map(|step| &step.rows);
            let mut values = stepped.chain(loaded).flat_map(|row| row.iter());
            let poison = world.poison.map(Value::Int);
            let refuses = stuck.is_some()
                || values.any(|value| Some(value) == poison.as_ref())
                || rows > 1 && world.random.u8(..10) == 0 && !world.is_calm();
            (refuses, stuck.map_or(Kind::Constraint, |(_, kind)| kind))
        };
        let undo = self.open.clone();
        if let Some(witness) = slice.open {
            self.begin(witness)?;
        }
        if refuses {
            self.world.lock().expect("lock").meet("slice refused");
            self.open = undo;
            return Err(Error::new(kind, "the dice refuse a row"));
        }
        let open = self.open.as_mut().expect("an open transaction");
        let mut missed = Vec::new();
        let retried = !slice.letters.closed.is_empty();
        for step in slice.steps {
            if retried && is_in_the_way(open, step) {
                self.open = undo;
                return Err(Error::new(Kind::Constraint, "the key is taken"));
            }
            nothing_is_applied_over_what_is_set_aside(open, step, slice.letters.closed);
            let before = missed.len();
            apply(open, step, &mut missed);
            if step.verb == Verb::Update && slice.unnoted.contains(&step.table) {
                let left = missed.split_off(before);
                left.iter()
                    .for_each(|_| self.world.lock().expect("lock").meet("miss left to a copy"));
            }
        }
        load(open, slice, &self.world);
        let settled: Vec<i64> = slice.settled.iter().map(|note| int(note.key.first())).collect();
        let looked_until = self.looked_until;
        open.missed.retain(|(id, key)| *id > looked_until || !settled.contains(key));
        for key in &missed {
            open.notes_made += 1;
            open.missed.push((open.notes_made, *key));
        }
        missed.iter().for_each(|_| self.world.lock().expect("lock").meet("row missed"));
        self.write_letters(slice.letters);
        if let Some(position) = slice.close {
            self.commit(position)?;
        }
        Ok(Applied { missed: missed.into_iter().map(missed_key).collect() })
    }

    fn write_letters(&mut self, work: LetterWork<'_>) {
        let open = self.open.as_mut().expect("an open transaction");
        let mut world = self.world.lock().expect("lock");
        open.letters.retain(|stored| !work.emptied.contains(&stored.letter.table));
        let is_closed = |letter: &Letter| work.closed.iter().any(|name| name.row == letter.row);
        open.letters.retain(|stored| !is_closed(&stored.letter));
        work.closed.iter().for_each(|_| world.meet("row tried again"));
        for tried in work.tried {
            world.meet("row tried in vain");
            let mut letters = open.letters.iter_mut();
            let mut of_row = letters.by_ref().filter(|one| one.letter.row == tried.name.row);
            let mut first = true;
            of_row.by_ref().for_each(|one| {
                (one.attempts, one.asked) = (one.attempts + 1, false);
                if std::mem::take(&mut first) {
                    one.letter.reason = tried.reason.clone();
                }
            });
        }
        for letter in work.new {
            world.meet("change set aside");
            let mut rows = open.letters.iter_mut().rev();
            match rows.find(|one| one.letter.row == letter.row) {
                Some(newest) if letter.folded => newest.letter = letter.clone(),
                _ => {
                    open.letters_made += 1;
                    let (id, letter) = (open.letters_made, letter.clone());
                    open.letters.push(StoredLetter { id, letter, attempts: 1, asked: false });
                }
            }
        }
    }

    fn commit(&mut self, position: &Position) -> Result<()> {
        let mut open = self.open.take().expect("an open transaction");
        let emptied_until = std::mem::take(&mut open.emptied_until);
        let kept = open.letters.iter().all(|letter| letter.id > emptied_until);
        assert!(kept, "letters of a table that was emptied");
        let mut places = BTreeSet::new();
        for stored in &mut open.letters {
            let letter = &mut stored.letter;
            let at = letter.position.get_or_insert_with(|| position.clone());
            assert!(position.reaches(at), "a letter from the future");
            let place = (super::world::at(at), letter.ordinal, letter.operation == Operation::Read);
            assert!(places.insert(place) || place.2, "a change is set aside twice: {place:?}");
        }
        let mut world = self.world.lock().expect("lock");
        let lost = world.connection(30);
        let witness = open.witness.as_mut().expect("a witness");
        assert!(position.reaches(&witness.position), "the witness went back");
        let ends = |one: &Transaction| lsn(one.end) == *position;
        assert!(
            at(position) == world.beginning() || world.log.iter().any(ends),
            "not at a source commit"
        );
        witness.position = position.clone();
        if lost.is_err() {
            world.delay(open);
            return lost;
        }
        world.commit(open);
        // Committed, and nobody is told.
        world.connection(30)
    }
}

/// Writes rows of a copy, and how far it is.
fn load(open: &mut Committed, slice: Slice<'_>, world: &Shared) {
    if let Some(load) = slice.load.filter(|load| load.table == 0) {
        let columns = [0, 1, 2].into();
        let step = Step { table: 0, verb: Verb::Upsert, columns, rows: load.rows.to_vec() };
        nothing_is_applied_over_what_is_set_aside(open, &step, &[]);
        apply(open, &step, &mut Vec::new());
        world.lock().expect("lock").meet("piece copied");
    }
    for note in slice.copies {
        let stored = open.copies.entry(note.table.clone()).or_default();
        stored.table.clone_from(&note.table);
        stored.progress = Some(note.progress.clone());
        // What was asked since is another order.
        let asked = world.lock().expect("lock").committed.copies.get(&note.table).cloned();
        stored.asked = asked
            .and_then(|stored| stored.asked)
            .filter(|asked| note.answers.as_ref() != Some(asked));
    }
}

/// Whether a row has the key into which another one is to change.
fn is_in_the_way(open: &Committed, step: &Step) -> bool {
    if step.table != 0 || step.verb != Verb::Rekey {
        return false;
    }
    let mut keys: BTreeSet<i64> = open.rows.keys().copied().collect();
    step.rows.iter().any(|row| {
        let (old, new) = (int(row.first()), int(row.get(1)));
        keys.remove(&old) && !keys.insert(new)
    })
}

/// Whether a slice writes the row of a key.
fn writes(slice: &Slice<'_>, key: i64) -> bool {
    let loads = |row: &Row| int(row.first()) == key;
    if slice.load.is_some_and(|load| load.table == 0 && load.rows.iter().any(loads)) {
        return true;
    }
    slice.steps.iter().filter(|step| step.table == 0).any(|step| {
        let place = match step.verb {
            Verb::Upsert | Verb::Update => 0,
            Verb::Rekey => 1,
            Verb::Delete | Verb::Truncate | Verb::Note => return false,
        };
        step.rows.iter().any(|row| int(row.get(place)) == key)
    })
}

/// A row that is set aside stays as it is until its letters end.
fn nothing_is_applied_over_what_is_set_aside(open: &Committed, step: &Step, closed: &[RowName]) {
    if step.table == 0 && step.verb != Verb::Note {
        let keys = if step.verb == Verb::Rekey { 2 } else { 1 };
        for key in step.rows.iter().flat_map(|row| row.iter().take(keys)) {
            let key = int(Some(key));
            let closed = closed.iter().any(|name| {
                let row = MissedKey::set_aside(0, &name.row).expect("a row's name");
                int(row.key.first()) == key
            });
            assert!(closed || !open.sets_aside(key), "{key} is set aside: {step:?}");
        }
    }
}

fn apply(open: &mut Committed, step: &Step, missed: &mut Vec<i64>) {
    if step.table == 1 {
        if step.verb == Verb::Delete {
            step.rows.iter().for_each(|row| cascade(&mut open.rows, int(row.first())));
        }
        return;
    }
    let values = |row: &[Value], rows: &mut (i64, i64)| {
        for (column, value) in step.columns.iter().zip(row) {
            match column {
                1 => rows.0 = int(Some(value)),
                2 => rows.1 = int(Some(value)),
                _ => {}
            }
        }
    };
    if step.verb == Verb::Truncate {
        open.emptied_until = open.letters_made;
        open.rows.clear();
    }
    for row in &step.rows {
        let key = int(row.first());
        match step.verb {
            Verb::Upsert => {
                assert_eq!(step.columns.len(), 3, "an upsert is whole");
                values(row, open.rows.entry(key).or_default());
            }
            Verb::Update => match open.rows.get_mut(&key) {
                Some(old) => values(row, old),
                None => missed.push(key),
            },
            Verb::Rekey => {
                let to = int(row.get(1));
                match open.rows.remove(&key) {
                    Some(mut old) => {
                        values(row.get(1..).expect("columns"), &mut old);
                        assert!(open.rows.insert(to, old).is_none(), "a key twice");
                    }
                    None => missed.push(to),
                }
            }
            Verb::Delete => drop(open.rows.remove(&key)),
            Verb::Note => missed.push(key),
            Verb::Truncate => {}
        }
    }
}

impl Target for FakeTarget {
    fn instance(&mut self) -> Pending<'_, String> {
        Box::pin(async { Ok("target".to_owned()) })
    }

    fn identity(&self) -> &str {
        "target"
    }

    fn read_witness(&mut self) -> Pending<'_, Option<Witness>> {
        Box::pin(async {
            World::step(&self.world).await?;
            Ok(self.world.lock().expect("lock").committed.witness.clone())
        })
    }

    fn create_witness<'a>(&'a mut self, witness: &'a Witness) -> Pending<'a, ()> {
        Box::pin(async move {
            World::step(&self.world).await?;
            let mut world = self.world.lock().expect("lock");
            assert!(world.committed.witness.is_none(), "a witness twice");
            world.connection(5)?;
            let witness = Some(witness.clone());
            let committed = Committed { witness, ..world.committed.clone() };
            world.commit(committed);
            world.connection(5)
        })
    }

    fn accepted(&mut self) -> Pending<'_, Option<String>> {
        Box::pin(async {
            World::step(&self.world).await?;
            Ok(self.world.lock().expect("lock").committed.accepted.clone())
        })
    }

    fn accept<'a>(&'a mut self, _: &'a Witness, text: &'a str) -> Pending<'a, ()> {
        Box::pin(async move {
            World::step(&self.world).await?;
            let mut world = self.world.lock().expect("lock");
            world.connection(5)?;
            world.committed.accepted = Some(text.to_owned());
            world.connection(5)
        })
    }

    fn move_witness<'a>(&'a mut self, _: &'a Witness) -> Pending<'a, ()> {
        Box::pin(async { Err(Error::new(Kind::Internal, "the source has no successor")) })
    }

    fn apply<'a>(&'a mut self, slice: Slice<'a>) -> Pending<'a, Applied> {
        Box::pin(async move {
            World::step(&self.world).await?;
            let outcome = self.execute(slice);
            World::step(&self.world).await?;
            outcome
        })
    }

    fn rollback(&mut self) -> Pending<'_, ()> {
        Box::pin(async {
            self.open = None;
            Ok(())
        })
    }

    fn letters(&mut self) -> Pending<'_, Vec<LetterHead>> {
        Box::pin(async {
            World::step(&self.world).await?;
            let world = self.world.lock().expect("lock");
            let head = |stored: &StoredLetter| LetterHead {
                id: stored.id,
                table: stored.letter.table,
                row: stored.letter.row.clone(),
                old_row: stored.letter.old_row.clone(),
                kind: stored.letter.reason.kind.clone(),
                attempts: stored.attempts,
                asked: stored.asked,
                made_us: 0,
            };
            Ok(world.committed.letters.iter().map(head).collect())
        })
    }

    fn count_letters(&mut self) -> Pending<'_, LetterCount> {
        Box::pin(async {
            let world = self.world.lock().expect("lock");
            let letters = &world.committed.letters;
            let asked = letters.iter().filter(|letter| letter.asked).count() as u64;
            Ok(LetterCount { letters: letters.len() as u64, asked })
        })
    }

    fn copies(&mut self) -> Pending<'_, Vec<StoredCopy>> {
        Box::pin(async {
            World::step(&self.world).await?;
            let mut world = self.world.lock().expect("lock");
            world.connection(100)?;
            Ok(world.committed.copies.values().cloned().collect())
        })
    }

    fn orders(&mut self) -> Pending<'_, Vec<StoredCopy>> {
        Box::pin(async {
            World::step(&self.world).await?;
            let mut world = self.world.lock().expect("lock");
            world.connection(100)?;
            Ok(world
                .committed
                .copies
                .values()
                .filter(|copy| copy.asked.is_some())
                .cloned()
                .collect())
        })
    }

    fn begin_copies<'a>(&'a mut self, notes: &'a [CopyNote]) -> Pending<'a, ()> {
        Box::pin(async move {
            World::step(&self.world).await?;
            let mut world = self.world.lock().expect("lock");
            world.connection(5)?;
            for CopyNote { table, progress, .. } in notes {
                let (table, progress) = (table.clone(), Some(progress.clone()));
                let stored = StoredCopy { table: table.clone(), progress, asked: None };
                world.committed.copies.insert(table, stored);
            }
            world.connection(5)
        })
    }

    fn missed(&mut self, limit: usize) -> Pending<'_, Notes> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let world = self.world.lock().expect("lock");
            let notes = world.committed.missed.iter().take(limit);
            let oldest: Vec<Note> =
                notes.map(|(id, key)| Note { id: *id, missed: missed_key(*key) }).collect();
            let newest = world.committed.notes_made;
            drop(world);
            self.looked_until = self.looked_until.max(oldest.last().map_or(0, |note| note.id));
            Ok(Notes { oldest, newest })
        })
    }
}

fn missed_key(key: i64) -> MissedKey {
    MissedKey { table: 0, key: [Value::Int(key)].into_iter().collect(), why: Why::NoRow }
}
