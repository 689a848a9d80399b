//! The simulated servers' contents: a source log with its model, a target with its witness, and the
//! dice that decide where things break.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::config::{Deletes, Dialect, DroppedPartitions, LinkName, Truncates};
use crate::error::{Error, Kind, Result};
use crate::model::{
    Before, Change, Column, Identity, Op, Row, Table, TableName, Type, Unique, Value, Witness,
};
use crate::plan::{ColumnPlan, LinkPlan, TablePlan, UpsertStrategy, Wanted};
use crate::position::{Lsn, Position};
use crate::transform;

pub(super) type Shared = Arc<Mutex<World>>;
type Rows = BTreeMap<i64, (i64, i64)>;

/// Keys are few, so that changes of one key meet in one batch.
const KEYS: i64 = 12;

/// A committed source transaction.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) end: u64,
    pub(super) changes: Vec<Change>,
}

/// What the target has committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Committed {
    pub(super) rows: Rows,
    pub(super) witness: Option<Witness>,
    pub(super) missed: Vec<i64>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) random: fastrand::Rng,
    pub(super) log: Vec<Transaction>,
    /// The source's rows after each transaction of the log.
    pub(super) models: Vec<Rows>,
    pub(super) committed: Committed,
    pub(super) acknowledged: u64,
    /// Foreign deletes on the target stop when this is applied: every row is updated after it.
    pub(super) calm_from: u64,
    pub(super) crash: Arc<Notify>,
    /// The source's tables held rows before the first start.
    pub(super) filled: bool,
    /// A column of the source has another type.
    pub(super) altered: Arc<AtomicBool>,
    /// The catalogs cannot be read for now.
    pub(super) unreachable: Arc<AtomicBool>,
    /// How often somebody else moves the witness.
    pub(super) second_writer: u32,
    /// The target refuses rows with this value.
    pub(super) poison: Option<i64>,
    /// Ends streams once.
    pub(super) cut: Arc<Notify>,
    /// No dice: nothing breaks by itself.
    calm: bool,
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
            calm_from: 0,
            crash: Arc::new(Notify::new()),
            filled: false,
            altered: Arc::default(),
            unreachable: Arc::default(),
            second_writer: 0,
            poison: None,
            cut: Arc::default(),
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
                if matches!(change.op, Op::Insert { .. }) {
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

    /// Ends the stream.
    pub(super) fn cut(&mut self) {
        self.cut.notify_one();
    }

    /// The next life begins.
    pub(super) fn crashed(&mut self) {
        self.crash = Arc::new(Notify::new());
        self.crashes_left = self.crashes_left.saturating_sub(1);
        self.steps_to_crash = self.random.u32(1..120);
    }

    /// A step of any task: now and then the process dies here.
    pub(super) async fn step(world: &Shared) -> Result<()> {
        let dies = {
            let mut world = world.lock().expect("lock");
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

    fn write_log(&mut self) {
        let mut rows = Rows::new();
        let mut end = 100;
        let transactions = self.random.usize(5..40);
        for _ in 0..transactions {
            let count = if self.random.u8(..6) == 0 { 30 } else { self.random.usize(0..5) };
            let changes = (0..count).filter_map(|_| self.change(&mut rows)).collect();
            end += self.random.u64(1..50);
            self.log.push(Transaction { end, changes });
            self.models.push(rows.clone());
        }
        self.calm_from = end;
        let changes = rows.iter_mut().map(|(key, values)| {
            values.0 += 1;
            let after = row(*key, *values);
            Change { table: 0, op: Op::Update { before: None, after }, reshaped: false }
        });
        self.log.push(Transaction { end: end + 10, changes: changes.collect() });
        self.models.push(rows);
    }

    fn change(&mut self, rows: &mut Rows) -> Option<Change> {
        let key = self.random.i64(0..KEYS);
        let version = self.random.i64(0..1_000_000);
        let op = match (rows.get(&key).copied(), self.random.u8(..20)) {
            (_, 0) if self.random.u8(..4) == 0 => {
                rows.clear();
                Op::Truncate
            }
            (None, _) => {
                rows.insert(key, (version, 0));
                Op::Insert { after: row(key, (version, 0)) }
            }
            (Some(_), 1..5) => {
                rows.remove(&key);
                let mut before = row(key, (0, 0));
                before.0[1] = Value::Unchanged;
                before.0[2] = Value::Unchanged;
                Op::Delete { before: Before::Key(before) }
            }
            (Some(old), 5..8) => {
                let to = self.random.i64(0..KEYS);
                if rows.contains_key(&to) {
                    return None;
                }
                rows.remove(&key);
                rows.insert(to, (version, old.1));
                let before = Some(Before::Full(row(key, old)));
                Op::Update { before, after: row(to, (version, old.1)) }
            }
            (Some(old), 8..12) => {
                // An unchanged column that the log does not carry.
                rows.insert(key, (version, old.1));
                let mut after = row(key, (version, 0));
                after.0[2] = Value::Unchanged;
                Op::Update { before: None, after }
            }
            (Some(old), _) => {
                rows.insert(key, (old.0, version));
                Op::Update { before: None, after: row(key, (old.0, version)) }
            }
        };
        Some(Change { table: 0, op, reshaped: false })
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
        if early && self.random.u8(..12) == 0 {
            let key = self.random.i64(0..KEYS);
            self.committed.rows.remove(&key);
        }
    }

    /// The end: the target is the source, nothing is open.
    pub(super) fn check(&self, seed: u64) {
        let model = self.models.last().expect("a log");
        assert_eq!(&self.committed.rows, model, "seed {seed}");
        let missed: BTreeSet<_> = self.committed.missed.iter().collect();
        assert!(missed.is_empty(), "seed {seed}: {missed:?}");
        let last = self.log.last().expect("a log").end;
        let witness = self.committed.witness.as_ref().expect("a witness");
        assert!(witness.position.reaches(&lsn(last)), "seed {seed}");
        assert!(self.acknowledged <= at(&witness.position), "seed {seed}");
    }
}

/// A plan of one table with a key and two numbers; `altered` changes a type at the source.
pub(super) fn plan(altered: bool) -> Arc<LinkPlan> {
    let column = |name: &str| Column {
        name: name.to_owned(),
        ty: Type::Int { bits: 64, unsigned: false },
        native: "bigint".to_owned(),
        nullable: false,
        generated: false,
        has_default: false,
        auto_increment: false,
        on_update_now: false,
        exact_collation: true,
        charset: None,
    };
    let table = |schema: &str| Table {
        name: TableName::new(schema, "t"),
        columns: ["id", "a", "b"].map(column).into(),
        uniques: vec![Unique { name: "pk".to_owned(), columns: vec![0], primary: true }],
        odd_unique_indexes: Vec::new(),
        identity: Identity::Full,
        foreign_keys: Vec::new(),
        transactional: true,
        unsupported: None,
        partitions: Vec::new(),
    };
    let (mut source, target) = (table("public"), table("shop"));
    if altered {
        source.columns[1].native = "int".to_owned();
    }
    let crossing = |index: usize| {
        let (from, to) = (&source.columns[index], &target.columns[index]);
        let (postgres, mysql) = (Dialect::Postgres, Dialect::Mysql);
        let (conversion, _) = transform::pair(from, postgres, to, mysql).expect("crosses");
        let reverse = transform::reverse(from, postgres, to, mysql).ok();
        ColumnPlan { source: index, target: index, conversion, reverse }
    };
    let columns = (0..3).map(crossing).collect();
    let table = TablePlan {
        columns,
        source: source.clone(),
        target: target.clone(),
        key: vec![0],
        upsert: UpsertStrategy::Native,
        rank: 0,
        replaceable: true,
        parent: false,
        deletes: Deletes::Apply,
        truncate: Truncates::Apply,
        dropped_partitions: DroppedPartitions::Halt,
    };
    Arc::new(LinkPlan {
        link: LinkName { source: "a".to_owned(), target: "b".to_owned() },
        source_dialect: Dialect::Postgres,
        target_dialect: Dialect::Mysql,
        tables: vec![Arc::new(table)],
        wanted: Wanted::default(),
        overlap: Vec::new(),
    })
}
