//! The simulated ends: a source that replays the log, a side reader that sees its head, and a
//! target with transactions, compare-and-swap and commits that may or may not go through.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind, Result};
use crate::link::ends::Ends;
use crate::link::ports::{
    Applied, MissedKey, Note, Notes, Pending, Scan, Scanned, Slice, Source, Target, Why,
};
use crate::link::queue::PartSender;
use crate::model::{Change, Commit, Op, Part, Row, Step, TableName, Value, Verb, Witness};
use crate::plan::{LinkPlan, TablePlan};
use crate::position::Position;

use super::tables::{cascade, is_altered, plan};
use super::world::{Committed, Shared, Transaction, World, at, int, lsn, row};

pub(super) struct FakeEnds(pub(super) Shared);

impl Ends for FakeEnds {
    fn plan(&self) -> Pending<'_, Arc<LinkPlan>> {
        let world = self.0.lock().expect("lock");
        let altered = world.altered.load(Ordering::Relaxed);
        let unreachable = world.unreachable.load(Ordering::Relaxed);
        Box::pin(async move {
            match unreachable {
                true => Err(Error::new(Kind::Connection, "the server is down")),
                false => Ok(plan(altered)),
            }
        })
    }

    fn non_empty<'a>(&'a self, tables: &'a [TableName]) -> Pending<'a, Vec<TableName>> {
        let filled = self.0.lock().expect("lock").filled;
        let names = tables.iter().filter(move |_| filled).cloned().collect();
        Box::pin(async { Ok(names) })
    }

    fn source(&self, plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Source>> {
        let source = FakeSource { world: Arc::clone(&self.0), altered: is_altered(&plan) };
        Box::pin(async { Ok(Box::new(source) as Box<dyn Source>) })
    }

    fn scan(&self, _: Arc<LinkPlan>) -> Pending<'_, Box<dyn Scan>> {
        let world = Arc::clone(&self.0);
        Box::pin(async { Ok(Box::new(FakeScan(world)) as Box<dyn Scan>) })
    }

    fn log(&self) -> Pending<'_, Box<dyn Scan>> {
        let world = Arc::clone(&self.0);
        Box::pin(async { Ok(Box::new(FakeScan(world)) as Box<dyn Scan>) })
    }

    fn target(&self, _: Arc<LinkPlan>) -> Pending<'_, Box<dyn Target>> {
        let world = Arc::clone(&self.0);
        Box::pin(async {
            Ok(Box::new(FakeTarget { world, open: None, looked_until: 0 }) as Box<dyn Target>)
        })
    }
}

struct FakeSource {
    world: Shared,
    /// The plan is of the altered table.
    altered: bool,
}

impl FakeSource {
    /// What the link publishes as durable is what the source may forget.
    fn acknowledge(&self, durable: &watch::Receiver<Position>) {
        let durable = durable.borrow().clone();
        let mut world = self.world.lock().expect("lock");
        let witness = world.committed.witness.as_ref().expect("a witness before any ack");
        assert!(witness.position.reaches(&durable), "acknowledged beyond the witness");
        assert!(at(&durable) <= world.recorded, "acknowledged beyond the checkpoint");
        world.acknowledged = world.acknowledged.max(at(&durable));
    }

    /// Halts at a shape that is not the plan's, unless a person has reviewed the log up to there: then
    /// the altered column is not found in older rows, and has them read again.
    fn reshape(&self, transaction: &mut Transaction, reviewed: Option<&Position>) -> Result<()> {
        let mut world = self.world.lock().expect("lock");
        let new = transaction.end > world.altered_at;
        world.brought = world.brought.max(transaction.end);
        if new == self.altered {
            return Ok(());
        }
        if new || reviewed.is_none_or(|reviewed| at(reviewed) < transaction.end) {
            return Err(Error::new(Kind::SchemaChanged, "a row of another shape"));
        }
        for change in transaction.changes.iter_mut().filter(|change| change.table == 0) {
            if let Op::Insert { after } | Op::Update { after, .. } = &mut change.op {
                after.0[2] = Value::Unchanged;
                change.reshaped = true;
                world.meet("row reshaped");
            }
        }
        Ok(())
    }

    async fn send(&self, queue: &PartSender, transaction: Transaction) -> Result<bool> {
        let Transaction { end, mut changes } = transaction;
        let idle = changes.is_empty() && end % 2 == 0;
        let commit = Commit { position: lsn(end), time_us: end as i64, xid: Some(end as u32) };
        loop {
            World::step(&self.world).await?;
            let size = {
                let mut world = self.world.lock().expect("lock");
                world.connection(200)?;
                world.random.usize(1..6)
            };
            let rest = changes.split_off(size.min(changes.len()));
            let last = rest.is_empty();
            let part = Part {
                bytes: changes.len() * 100,
                changes,
                commit: last.then(|| commit.clone()),
                idle,
            };
            if queue.send(part).await.is_err() {
                return Ok(false);
            }
            if last {
                return Ok(true);
            }
            changes = rest;
        }
    }
}

impl Source for FakeSource {
    fn identity(&self) -> &str {
        "source"
    }

    fn check_untouched(&mut self) -> Pending<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn begin(&mut self) -> Pending<'_, Position> {
        Box::pin(async {
            World::step(&self.world).await?;
            Ok(lsn(50))
        })
    }

    fn check_resume<'a>(&'a mut self, witness: &'a Position) -> Pending<'a, ()> {
        Box::pin(async move {
            World::step(&self.world).await?;
            let acknowledged = self.world.lock().expect("lock").acknowledged;
            assert!(at(witness) >= acknowledged, "the log is gone before the witness");
            Ok(())
        })
    }

    fn stream<'a>(
        &'a mut self,
        from: Position,
        reviewed: Option<Position>,
        queue: PartSender,
        durable: watch::Receiver<Position>,
        stop: CancellationToken,
    ) -> Pending<'a, ()> {
        Box::pin(async move {
            let log = self.world.lock().expect("lock").log.clone();
            for mut transaction in log.into_iter().filter(|one| one.end > at(&from)) {
                self.reshape(&mut transaction, reviewed.as_ref())?;
                if stop.is_cancelled() || !self.send(&queue, transaction).await? {
                    return Ok(());
                }
                self.acknowledge(&durable);
            }
            let mut durable = durable;
            let cut = Arc::clone(&self.world.lock().expect("lock").cut);
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(()),
                    () = cut.notified() => {
                        return Err(Error::new(Kind::Connection, "the stream was cut"));
                    }
                    changed = durable.changed() => match changed {
                        Ok(()) => self.acknowledge(&durable),
                        Err(_) => stop.cancelled().await,
                    },
                }
            }
        })
    }
}

struct FakeScan(Shared);

impl Scan for FakeScan {
    fn instance(&mut self) -> Pending<'_, String> {
        Box::pin(async { Ok("source".to_owned()) })
    }

    fn head(&mut self) -> Pending<'_, Position> {
        Box::pin(async {
            let world = self.0.lock().expect("lock");
            Ok(lsn(world.log.last().expect("a log").end))
        })
    }

    fn unfinished(&mut self) -> Pending<'_, Vec<u32>> {
        Box::pin(async { Ok(self.0.lock().expect("lock").waiting()) })
    }

    fn lag_bytes<'a>(&'a mut self, applied: &'a Position) -> Pending<'a, Option<u64>> {
        Box::pin(async {
            let head = self.head().await?;
            Ok(Some(at(&head) - at(applied)))
        })
    }

    fn read_rows<'a>(&'a mut self, _: &'a TablePlan, keys: &'a [Row]) -> Pending<'a, Scanned> {
        Box::pin(async move {
            World::step(&self.0).await?;
            let mut world = self.0.lock().expect("lock");
            world.connection(30)?;
            // Some moment of the source; one before the window opened must be found too early, and
            // so must one that hides what the window is about.
            let last = world.models.len() - 1;
            world.finished = (world.finished + world.random.usize(..4)).min(last);
            let (seen, end) =
                (world.finished, (world.finished + world.random.usize(..3)).min(last));
            if world.log[seen].end < world.brought {
                world.meet("read too early");
            }
            let hidden = world.log[seen + 1..=end].iter().map(|one| one.end as u32).collect();
            let (low, is_read, in_progress) = match world.cascades {
                true => (seen, world.random.usize(seen..=end), Vec::new()),
                false => (end, seen, hidden),
            };
            let since = world.log[is_read + 1..].iter().filter(|one| one.end <= world.brought);
            let is_delete =
                |change: &Change| change.table == 1 && matches!(change.op, Op::Delete { .. });
            if since.flat_map(|one| &one.changes).any(is_delete) {
                world.meet("read before a cascade");
            }
            let model = &world.models[is_read];
            let rows = keys.iter().map(|key| {
                let key = int(key.first());
                model.get(&key).map(|values| row(key, *values))
            });
            let rows = rows.collect();
            let (low, high) = (lsn(world.log[low].end), lsn(world.log[end].end));
            Ok(Scanned { low, high, in_progress, rows })
        })
    }
}

struct FakeTarget {
    world: Shared,
    open: Option<Committed>,
    looked_until: u64,
}

impl FakeTarget {
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
        let refuses = {
            let mut world = self.world.lock().expect("lock");
            world.connection(40)?;
            let rows: usize = slice.steps.iter().map(|step| step.rows.len()).sum();
            let mut values =
                slice.steps.iter().flat_map(|step| &step.rows).flat_map(|row| row.iter());
            let poison = world.poison.map(Value::Int);
            values.any(|value| Some(value) == poison.as_ref())
                || rows > 1 && world.random.u8(..10) == 0 && !world.is_calm()
        };
        let undo = self.open.clone();
        if let Some(witness) = slice.open {
            self.begin(witness)?;
        }
        if refuses {
            self.world.lock().expect("lock").meet("slice refused");
            self.open = undo;
            return Err(Error::new(Kind::Constraint, "the dice refuse a row"));
        }
        let open = self.open.as_mut().expect("an open transaction");
        let mut missed = Vec::new();
        slice.steps.iter().for_each(|step| apply(open, step, &mut missed));
        let settled: Vec<i64> = slice.settled.iter().map(|note| int(note.key.first())).collect();
        let looked_until = self.looked_until;
        open.missed.retain(|(id, key)| *id > looked_until || !settled.contains(key));
        for key in &missed {
            open.notes_made += 1;
            open.missed.push((open.notes_made, *key));
        }
        missed.iter().for_each(|_| self.world.lock().expect("lock").meet("row missed"));
        if let Some(position) = slice.close {
            self.commit(position)?;
        }
        Ok(Applied { missed: missed.into_iter().map(missed_key).collect() })
    }

    fn commit(&mut self, position: &Position) -> Result<()> {
        let mut open = self.open.take().expect("an open transaction");
        let mut world = self.world.lock().expect("lock");
        let lost = world.connection(30);
        let witness = open.witness.as_mut().expect("a witness");
        assert!(position.reaches(&witness.position), "the witness went back");
        let ends = |one: &Transaction| lsn(one.end) == *position;
        assert!(at(position) == 50 || world.log.iter().any(ends), "not at a source commit");
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
