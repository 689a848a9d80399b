//! The simulated servers' contents: a source log with its model, a target with its witness, and the
//! dice that decide where things break.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::error::{Error, Kind, Result};
use crate::link::letter::Letter;
use crate::link::notes::MissedKey;
use crate::link::ports::StoredCopy;
use crate::model::{Change, Op, Row, Value, Witness};
use crate::position::{Lsn, Position};
use crate::snapshot::progress::{Progress, Stage};

/// How often what happened.
pub(super) type Met = BTreeMap<&'static str, u64>;
pub(super) type Shared = Arc<Mutex<World>>;
pub(super) type Rows = BTreeMap<i64, (i64, i64)>;

/// Keys are few, so that changes of one key meet in one batch.
pub(super) const KEYS: i64 = 12;

/// A committed source transaction.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) end: u64,
    pub(super) changes: Vec<Change>,
}

/// A row of `weir.dead_letter`.
#[derive(Clone, Debug)]
pub(super) struct StoredLetter {
    pub(super) id: u64,
    pub(super) letter: Letter,
    pub(super) attempts: u32,
    pub(super) asked: bool,
}

impl StoredLetter {
    /// The keys of the rows that it is about.
    pub(super) fn keys(&self) -> impl Iterator<Item = i64> + '_ {
        let rows = [Some(&self.letter.row), self.letter.old_row.as_ref()];
        rows.into_iter()
            .flatten()
            .map(|row| int(MissedKey::set_aside(0, row).expect("a row's name").key.first()))
    }
}

/// What the target has committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Committed {
    pub(super) rows: Rows,
    pub(super) witness: Option<Witness>,
    /// What was accepted of the tables.
    pub(super) accepted: Option<String>,
    /// Notes, by their numbers: later ones have higher numbers.
    pub(super) missed: Vec<(u64, i64)>,
    pub(super) notes_made: u64,
    /// Oldest first.
    pub(super) letters: Vec<StoredLetter>,
    pub(super) letters_made: u64,
    /// How far copies are and what is asked of them, by the target table's name.
    pub(super) copies: BTreeMap<String, StoredCopy>,
    /// All letters up to this one are of rows that the open transaction has removed.
    pub(super) emptied_until: u64,
}

impl Committed {
    /// Whether every copy is over.
    pub(super) fn has_copied(&self) -> bool {
        self.copies.values().all(|copy| {
            let progress = copy.progress.as_deref().map(Progress::of_text);
            progress.is_none_or(|progress| {
                let progress = progress.expect("progress");
                assert_eq!(
                    (progress.extra, progress.deleted),
                    (0, 0),
                    "the target has no other rows"
                );
                progress.stage == Stage::Done
            })
        })
    }

    /// Whether a row is set aside.
    pub(super) fn sets_aside(&self, key: i64) -> bool {
        let mut letters = self.letters.iter().filter(|letter| letter.id > self.emptied_until);
        letters.any(|letter| letter.keys().any(|other| other == key))
    }
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) random: fastrand::Rng,
    pub(super) log: Vec<Transaction>,
    /// The source's rows after each transaction of the log.
    pub(super) models: Vec<Rows>,
    pub(super) committed: Committed,
    pub(super) acknowledged: u64,
    /// So many transactions of the log come before the link's first start: what they leave is copied.
    pub(super) before: usize,
    /// The target has the foreign key too, so tables are copied in its order. Not where the target refuses
    /// a row for long: changes that wait for what they refer to are not what is simulated here.
    pub(super) refers: bool,
    /// Rows are walked by a number that changes.
    pub(super) moves: bool,
    /// Foreign deletes on the target stop when this is applied: every row is updated after it.
    pub(super) calm_from: u64,
    pub(super) crash: Arc<Notify>,
    /// The source's tables held rows before the first start.
    pub(super) filled: bool,
    /// A column of the source has another type.
    pub(super) altered: Arc<AtomicBool>,
    /// The catalogs cannot be read for now.
    pub(super) unreachable: Arc<AtomicBool>,
    /// What is recorded takes long to become durable.
    pub(super) slow_disk: bool,
    /// How often somebody else moves the witness.
    pub(super) second_writer: u32,
    /// The target refuses rows with this value.
    pub(super) poison: Option<i64>,
    /// The target refuses to write the row of this key, for a reason of this kind.
    pub(super) stuck: Option<(i64, Kind)>,
    /// Some changes hold a value that has no form at the target; the rows that they leave do not.
    pub(super) unfit: bool,
    steps_to_repair: u32,
    /// A refused row halts the link.
    pub(super) halts: bool,
    /// Ends streams once.
    pub(super) cut: Arc<Notify>,
    /// The process is asked to stop.
    pub(super) stop: Arc<Notify>,
    /// Transactions of the log up to here had their old shape, once the table is altered.
    pub(super) altered_at: u64,
    /// End of the newest transaction that a stream has brought.
    pub(super) brought: u64,
    /// The transactions of the log up to this one are visible at the source; later ones may be in the
    /// log and wait, for a standby say.
    pub(super) finished: usize,
    /// What the process remembers durably of how far the witness was.
    pub(super) recorded: u64,
    /// What has happened so far.
    pub(super) met: Met,
    /// A commit that was sent when its connection was lost: it may go through after all, for as long
    /// as it holds the witness's row.
    late: Option<Committed>,
    late_left: u32,
    /// States of the target that a backup may hold.
    backups: Vec<Committed>,
    steps_to_stop: u32,
    steps_to_alter: u32,
    /// The source has a foreign key that acts and is not logged, and its reads have a mark before and
    /// one after them.
    pub(super) cascades: bool,
    /// No dice: nothing breaks by itself.
    pub(super) calm: bool,
    steps_to_crash: u32,
    crashes_left: u32,
}

pub(super) fn lsn(at: u64) -> Position {
    Position::Postgres(Lsn(at))
}

pub(super) fn at(position: &Position) -> u64 {
    match position {
        Position::Postgres(lsn) => lsn.0,
        other => panic!("{other}"),
    }
}

pub(super) fn int(value: Option<&Value>) -> i64 {
    match value {
        Some(Value::Int(value)) => *value,
        other => panic!("{other:?}"),
    }
}

pub(super) fn row(key: i64, values: (i64, i64)) -> Row {
    [key, values.0, values.1].into_iter().map(Value::Int).collect()
}

impl World {
    pub(super) fn shared(seed: u64) -> Shared {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World {
            log: Vec::new(),
            models: Vec::new(),
            committed: Committed::default(),
            acknowledged: 0,
            before: 0,
            refers: false,
            moves: random.u8(..3) == 0,
            calm_from: 0,
            crash: Arc::new(Notify::new()),
            filled: false,
            altered: Arc::default(),
            unreachable: Arc::default(),
            slow_disk: false,
            second_writer: 0,
            poison: None,
            stuck: match random.u8(..4) {
                0 => Some((random.i64(0..KEYS), Kind::Constraint)),
                1 => Some((random.i64(0..KEYS), Kind::ForeignKey)),
                _ => None,
            },
            unfit: false,
            steps_to_repair: random.u32(1..800),
            halts: false,
            cut: Arc::default(),
            stop: Arc::default(),
            altered_at: u64::MAX,
            brought: 0,
            finished: 0,
            recorded: 0,
            met: Met::new(),
            late: None,
            late_left: 0,
            backups: Vec::new(),
            steps_to_stop: if random.u8(..3) == 0 { random.u32(1..200) } else { 0 },
            steps_to_alter: if random.u8(..3) == 0 { random.u32(1..400) } else { 0 },
            cascades: random.bool(),
            calm: false,
            steps_to_crash: random.u32(1..60),
            crashes_left: random.u32(0..12),
            random,
        };
        world.write_log();
        Arc::new(Mutex::new(world))
    }

    /// Nothing breaks by itself from here on.
    pub(super) fn calm_down(&mut self) {
        self.calm = true;
        self.crashes_left = 0;
        (self.steps_to_stop, self.steps_to_alter) = (0, 0);
        self.repair();
        self.finished = self.models.len() - 1;
    }

    /// Whether nothing breaks by itself.
    pub(super) fn is_calm(&self) -> bool {
        self.calm
    }

    /// Makes one change of the log one that the target refuses. Returns the end of the last
    /// transaction with changes before it, the end of its own, and its number in it.
    pub(super) fn poison_a_change(&mut self) -> (u64, u64, usize) {
        const POISON: i64 = -7;
        self.poison = Some(POISON);
        let mut places = Vec::new();
        for (index, transaction) in self.log.iter().enumerate() {
            for (number, change) in transaction.changes.iter().enumerate() {
                if change.table == 0 && matches!(change.op, Op::Insert { .. }) {
                    places.push((index, number));
                }
            }
        }
        let (index, number) = places[self.random.usize(..places.len())];
        if let Op::Insert { after } = &mut self.log[index].changes[number].op {
            after.0[1] = Value::Int(POISON);
        }
        let full = |transaction: &&Transaction| !transaction.changes.is_empty();
        let before = self.log[..index].iter().rev().find(full).map_or(50, |one| one.end);
        (before, self.log[index].end, number)
    }

    /// Nothing on the target stands in the way any more, and a person asks for what is set aside.
    pub(super) fn repair(&mut self) {
        self.steps_to_repair = 0;
        self.stuck = None;
        self.committed.letters.iter_mut().for_each(|letter| letter.asked = true);
    }

    /// Ends the stream.
    pub(super) fn cut(&mut self) {
        self.cut.notify_one();
    }

    /// Something happened.
    pub(super) fn meet(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    /// The next life begins.
    pub(super) fn crashed(&mut self) {
        self.meet("crash");
        // Of more than a few within minutes weir thinks that they are another's.
        self.late_left = 3;
        self.crash = Arc::new(Notify::new());
        self.crashes_left = self.crashes_left.saturating_sub(1);
        self.steps_to_crash = self.random.u32(1..120);
        if self.random.u8(..8) == 0 {
            self.restore();
        }
    }

    /// The target is set back to a backup from which the source's log still goes on.
    fn restore(&mut self) {
        let acknowledged = self.acknowledged;
        let reaches = |backup: &Committed| {
            backup.witness.as_ref().is_some_and(|witness| at(&witness.position) >= acknowledged)
        };
        self.backups.retain(reaches);
        if !self.backups.is_empty() {
            self.meet("target set back");
            self.late = None;
            let chosen = self.random.usize(..self.backups.len());
            self.backups.truncate(chosen + 1);
            self.committed = self.backups[chosen].clone();
        }
    }

    /// A commit was sent, and its connection lost.
    pub(super) fn delay(&mut self, committed: Committed) {
        if self.late_left > 0 && self.random.bool() {
            self.late_left -= 1;
            self.late = Some(committed);
        }
    }

    /// Another transaction wants the witness's row: what held it has committed or is undone.
    pub(super) fn lock_witness(&mut self) {
        if let Some(late) = self.late.take()
            && self.random.bool()
        {
            self.meet("commit late");
            self.commit(late);
        }
    }

    /// The target has committed.
    pub(super) fn commit(&mut self, committed: Committed) {
        self.check_rows(&committed);
        self.backups.push(committed.clone());
        self.committed = committed;
    }

    /// Every row is as it was at the source at the witness's position; but for those that are noted or
    /// set aside, and those that somebody else has deleted.
    fn check_rows(&self, committed: &Committed) {
        let witness = committed.witness.as_ref().expect("a witness");
        let end = at(&witness.position);
        let Some(moment) = self.log.iter().position(|one| one.end == end) else { return };
        for (key, values) in &committed.rows {
            let noted = committed.missed.iter().any(|(_, noted)| noted == key);
            if !noted && !committed.sets_aside(*key) {
                assert_eq!(self.models[moment].get(key), Some(values), "row {key} at {end}");
            }
        }
    }

    /// Whether everything has arrived.
    pub(super) fn is_done(&self) -> bool {
        let last = lsn(self.log.last().expect("a log").end);
        let witness = self.committed.witness.as_ref();
        witness.is_some_and(|witness| witness.position.reaches(&last))
            && self.committed.missed.is_empty()
            && self.committed.letters.is_empty()
            && self.committed.has_copied()
    }

    /// Whether nothing is set aside, and nothing is to be copied.
    pub(super) fn is_clean(&self) -> bool {
        let asked = self.committed.copies.values().any(|copy| copy.asked.is_some());
        self.committed.letters.is_empty() && self.committed.has_copied() && !asked
    }

    /// Transactions whose commit a stream has brought, and that are not visible yet.
    pub(super) fn waiting(&self) -> Vec<u32> {
        let waiting = self.log.iter().skip(self.finished + 1);
        waiting.filter(|one| one.end <= self.brought).map(|one| one.end as u32).collect()
    }

    /// Counts down; whether it is time.
    fn due(steps: &mut u32) -> bool {
        let is_due = *steps == 1;
        *steps = steps.saturating_sub(1);
        is_due
    }

    /// A step of any task: now and then the process dies here, is asked to stop, or the table is
    /// altered.
    pub(super) async fn step(world: &Shared) -> Result<()> {
        let dies = {
            let mut world = world.lock().expect("lock");
            world.meet("step");
            if World::due(&mut world.steps_to_stop) {
                world.stop.notify_one();
            }
            if World::due(&mut world.steps_to_repair) {
                world.repair();
            } else if (world.stuck.is_some() || world.unfit) && world.random.u8(..) < 4 {
                world.committed.letters.iter_mut().for_each(|letter| letter.asked = true);
            }
            world.ask_for_a_copy();
            if World::due(&mut world.steps_to_alter) {
                world.altered_at = world.brought;
                world.altered.store(true, Ordering::Relaxed);
            }
            world.steps_to_crash = world.steps_to_crash.saturating_sub(1);
            let dies = world.crashes_left > 0 && world.steps_to_crash == 0;
            if dies {
                world.crash.notify_one();
            }
            dies
        };
        if dies {
            std::future::pending::<()>().await;
        }
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Now and then a connection is lost.
    pub(super) fn connection(&mut self, one_in: u32) -> Result<()> {
        match self.random.u32(..one_in) {
            0 if !self.calm => Err(Error::new(Kind::Connection, "the dice cut the connection")),
            _ => Ok(()),
        }
    }

    /// Someone else writes to the target.
    pub(super) fn foreign_writes(&mut self) {
        let early = self
            .committed
            .witness
            .as_ref()
            .is_some_and(|witness| at(&witness.position) < self.calm_from);
        if self.second_writer > 0
            && let Some(witness) = &mut self.committed.witness
        {
            self.second_writer -= 1;
            witness.seq += 1;
        }
        if early && self.committed.has_copied() && self.random.u8(..12) == 0 {
            let key = self.random.i64(0..KEYS);
            self.committed.rows.remove(&key);
        }
    }

    /// In some histories the source holds rows before the link's first start.
    pub(super) fn fill_some(&mut self) {
        self.refers = self.stuck.is_none();
        if self.refers && self.random.u8(..8) > 0 {
            self.before = self.random.usize(1..self.log.len());
        }
    }

    /// Where the link starts.
    pub(super) fn beginning(&self) -> u64 {
        self.before.checked_sub(1).and_then(|last| self.log.get(last)).map_or(50, |one| one.end)
    }

    /// The end: the target is the source, nothing is open.
    pub(super) fn check(&self, seed: u64) {
        let model = self.models.last().expect("a log");
        assert_eq!(&self.committed.rows, model, "seed {seed}");
        let missed: BTreeSet<_> = self.committed.missed.iter().collect();
        assert!(missed.is_empty(), "seed {seed}: {missed:?}");
        let letters = &self.committed.letters;
        assert!(letters.is_empty(), "seed {seed}: {letters:?}");
        assert!(self.committed.has_copied(), "seed {seed}: {:?}", self.committed.copies);
        let last = self.log.last().expect("a log").end;
        let witness = self.committed.witness.as_ref().expect("a witness");
        assert!(witness.position.reaches(&lsn(last)), "seed {seed}");
        assert!(self.acknowledged <= at(&witness.position), "seed {seed}");
    }
}
