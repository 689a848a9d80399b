//! The simulated ends: a source that replays the log, and a side reader that sees its head. The target is
//! in `target`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind, Result};
use crate::link::ends::Ends;
use crate::link::ports::{Chunk, Division, Pending, Reach, Scan, Scanned, Source, Target};
use crate::link::queue::PartSender;
use crate::model::{Change, Commit, Op, Part, Row, TableName, Value};
use crate::plan::{LinkPlan, TablePlan};
use crate::position::Position;

use super::mirror::FakeMirror;
use super::tables::{is_altered, plan};
use super::target::FakeTarget;
use super::world::{KEYS, Rows, Shared, Transaction, World, at, int, lsn, row};

pub(super) struct FakeEnds(pub(super) Shared);

impl Ends for FakeEnds {
    fn plan(&self) -> Pending<'_, Arc<LinkPlan>> {
        let world = self.0.lock().expect("lock");
        let altered = world.altered.load(Ordering::Relaxed);
        let unreachable = world.unreachable.load(Ordering::Relaxed);
        let (halts, refers) = (world.halts, world.refers);
        Box::pin(async move {
            match unreachable {
                true => Err(Error::new(Kind::Connection, "the server is down")),
                false => Ok(plan(altered, halts, refers)),
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

    fn target_reader(&self, _: Arc<LinkPlan>) -> Pending<'_, Box<dyn Scan>> {
        let world = Arc::clone(&self.0);
        Box::pin(async { Ok(Box::new(FakeMirror(world)) as Box<dyn Scan>) })
    }

    fn non_empty_targets<'a>(&'a self, tables: &'a [TableName]) -> Pending<'a, Vec<TableName>> {
        let filled = !self.0.lock().expect("lock").committed.rows.is_empty();
        let names = tables.iter().filter(move |_| filled).cloned().collect();
        Box::pin(async { Ok(names) })
    }

    fn log(&self) -> Pending<'_, Box<dyn Scan>> {
        let world = Arc::clone(&self.0);
        Box::pin(async { Ok(Box::new(FakeScan(world)) as Box<dyn Scan>) })
    }

    fn target(&self, _: Arc<LinkPlan>) -> Pending<'_, Box<dyn Target>> {
        let world = Arc::clone(&self.0);
        Box::pin(async { Ok(Box::new(FakeTarget::new(world)) as Box<dyn Target>) })
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
                time_us: None,
                mark: None,
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
            let mut world = self.world.lock().expect("lock");
            let beginning = world.beginning();
            world.brought = world.brought.max(beginning);
            Ok(lsn(beginning))
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
            let Look { low, high, in_progress, is_read } = look(&mut world, 4);
            let exact = world.cascades && world.random.bool();
            let place = |world: &World, mark: &Position| {
                world.log.iter().position(|one| one.end == at(mark)).expect("a transaction")
            };
            let (first, last) = (place(&world, &low), place(&world, &high));
            let rows = keys.iter().map(|key| {
                let key = int(key.first());
                // A row that is found is locked up to the high mark; one that is not may come before it.
                let looked = if exact { world.random.usize(first..=last) } else { is_read };
                let is_there = world.models[looked].contains_key(&key);
                let model = &world.models[if exact { last } else { is_read }];
                model.get(&key).filter(|_| is_there).map(|values| row(key, *values))
            });
            let rows = rows.collect();
            Ok(Scanned { low, high, exact, in_progress, rows })
        })
    }

    fn divide<'a>(&'a mut self, table: &'a TablePlan, _: usize) -> Pending<'a, Division> {
        Box::pin(async move {
            World::step(&self.0).await?;
            let mut world = self.0.lock().expect("lock");
            world.connection(30)?;
            let mut bounds = Vec::new();
            if table.source.name.table == "t" {
                let (many, most) =
                    (world.random.usize(..3), if world.moves { 1_000_000 } else { KEYS });
                let mut places: Vec<i64> = (0..many).map(|_| world.random.i64(0..most)).collect();
                places.sort_unstable();
                places.dedup();
                bounds = places.iter().map(|place| place_text((*place, 0))).collect();
            }
            let walk = if world.moves { "moves" } else { "key" }.to_owned();
            Ok(Division { walk, by_match_key: !world.moves, bounds, rows: Some(7) })
        })
    }

    fn read_chunk<'a>(
        &'a mut self,
        table: &'a TablePlan,
        reach: &'a Reach,
    ) -> Pending<'a, Option<Chunk>> {
        Box::pin(async move {
            // The stream goes on meanwhile.
            let steps = self.0.lock().expect("lock").random.usize(1..8);
            for _ in 0..steps {
                World::step(&self.0).await?;
            }
            let mut world = self.0.lock().expect("lock");
            world.connection(30)?;
            if world.random.u8(..40) == 0 && !world.is_calm() {
                world.meet("copied anew");
                return Ok(None);
            }
            let Look { low, high, in_progress, is_read } = look(&mut world, 2);
            let count = world.random.usize(1..3);
            let model = if table.source.name.table == "t" {
                world.models[is_read].clone()
            } else {
                Rows::new()
            };
            let moves = world.moves;
            let place =
                |key: i64, values: (i64, i64)| if moves { (values.1, key) } else { (key, 0) };
            let (after, until) =
                (reach.after.as_deref().map(place_of), reach.until.as_deref().map(place_of));
            let mut found: Vec<_> =
                model.iter().map(|(key, values)| (place(*key, *values), *key, *values)).collect();
            found.retain(|(place, ..)| {
                after.is_none_or(|after| *place > after)
                    && until.is_none_or(|until| *place <= until)
            });
            found.sort_unstable();
            let ended = found.len() <= count;
            found.truncate(count);
            let last = found.last().map(|(place, ..)| place_text(*place));
            let rows = found.iter().map(|(_, key, values)| row(*key, *values)).collect();
            Ok(Some(Chunk { low, high, in_progress, rows, last, ended, bytes: 1 }))
        })
    }
}

/// One look at the source.
struct Look {
    low: Position,
    high: Position,
    in_progress: Vec<u32>,
    /// After this transaction of the log.
    is_read: usize,
}

/// Some moment of the source, up to so many transactions after the last one; one before the window opened must be found too early, and so must one
/// that hides what the window is about.
fn look(world: &mut World, steps: usize) -> Look {
    let last = world.models.len() - 1;
    world.finished = (world.finished + world.random.usize(..steps)).min(last);
    let (seen, end) = (world.finished, (world.finished + world.random.usize(..3)).min(last));
    if world.log[seen].end < world.brought {
        world.meet("read too early");
    }
    let hidden = world.log[seen + 1..=end].iter().map(|one| one.end as u32).collect();
    let (low, is_read, in_progress) = match world.cascades {
        true => (seen, world.random.usize(seen..=end), Vec::new()),
        false => (end, seen, hidden),
    };
    let since = world.log[is_read + 1..].iter().filter(|one| one.end <= world.brought);
    let is_delete = |change: &Change| change.table == 1 && matches!(change.op, Op::Delete { .. });
    if since.flat_map(|one| &one.changes).any(is_delete) {
        world.meet("read before a cascade");
    }
    let (low, high) = (lsn(world.log[low].end), lsn(world.log[end].end));
    Look { low, high, in_progress, is_read }
}

pub(super) fn place_text((first, second): (i64, i64)) -> String {
    format!("{first}:{second}")
}

pub(super) fn place_of(text: &str) -> (i64, i64) {
    let (first, second) = text.split_once(':').expect("a place");
    (first.parse().expect("a number"), second.parse().expect("a number"))
}
