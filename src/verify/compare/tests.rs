//! Comparisons of two tables in memory, read and asked about as a link's are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::link::ports::{Division, Pending, Scanned};
use crate::link::question::{Expected, Mend, Question, Standing};
use crate::model::{Row, Value};
use crate::plan::LinkPlan;
use crate::plan::fixtures::{link, plan_of, row};
use crate::position::{Lsn, Position};
use crate::verify::desk::Shelf;
use crate::verify::desk::tests::Drawer;
use crate::verify::report::Order;

type Rows = BTreeMap<i64, i64>;
type Table = Arc<Mutex<Rows>>;

/// How a side sorts its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sorts {
    ByKey,
    /// By another index than the key's.
    Otherwise,
    /// By the key, it says, but the other way round.
    Backwards,
}

struct Memory {
    table: Table,
    sorts: Sorts,
    /// Reads until one fails.
    reads: usize,
}

fn key_of(row: &Row) -> i64 {
    match row.first() {
        Some(Value::Int(key)) => *key,
        other => panic!("a key: {other:?}"),
    }
}

impl Memory {
    fn read(&mut self) -> Result<()> {
        if self.reads == 0 {
            return Err(Error::new(Kind::Connection, "cut off"));
        }
        self.reads -= 1;
        Ok(())
    }

    fn rows(&self) -> Vec<(i64, Row)> {
        let sign = if self.sorts == Sorts::ByKey { 1 } else { -1 };
        let table = self.table.lock().expect("unbroken");
        let mut rows: Vec<_> = table.iter().map(|(k, v)| (sign * k, row(&[*k, *v]))).collect();
        rows.sort_by_key(|(at, _)| *at);
        rows
    }
}

const NOWHERE: Position = Position::Postgres(Lsn(0));

impl Scan for Memory {
    fn instance(&mut self) -> Pending<'_, String> {
        Box::pin(async { Ok(String::new()) })
    }

    fn head(&mut self) -> Pending<'_, Position> {
        Box::pin(async { Ok(NOWHERE) })
    }

    fn lag_bytes<'a>(&'a mut self, _: &'a Position) -> Pending<'a, Option<u64>> {
        Box::pin(async { Ok(None) })
    }

    fn read_rows<'a>(&'a mut self, _: &'a TablePlan, keys: &'a [Row]) -> Pending<'a, Scanned> {
        Box::pin(async move {
            let table = self.table.lock().expect("unbroken");
            let find = |key: &Row| {
                let key = key_of(key);
                table.get(&key).map(|value| row(&[key, *value]))
            };
            let rows = keys.iter().map(find).collect();
            Ok(Scanned { low: NOWHERE, high: NOWHERE, exact: false, in_progress: Vec::new(), rows })
        })
    }

    fn divide<'a>(&'a mut self, _: &'a TablePlan, _: usize) -> Pending<'a, Division> {
        let by_match_key = self.sorts != Sorts::Otherwise;
        Box::pin(
            async move { Ok(Division { walk: "w".into(), by_match_key, ..Division::default() }) },
        )
    }

    fn read_chunk<'a>(
        &'a mut self,
        _: &'a TablePlan,
        reach: &'a Reach,
    ) -> Pending<'a, Option<Chunk>> {
        const ROWS: usize = 3;
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(400)).await;
            self.read()?;
            let after: Option<i64> =
                reach.after.as_ref().map(|after| after.parse().expect("a place"));
            let mut rows = self.rows();
            rows.retain(|(at, _)| after.is_none_or(|after| *at > after));
            let ended = rows.len() <= ROWS;
            rows.truncate(ROWS);
            Ok(Some(Chunk {
                low: NOWHERE,
                high: NOWHERE,
                in_progress: Vec::new(),
                last: rows.last().map(|(at, _)| at.to_string()),
                ended,
                bytes: 1,
                rows: rows.into_iter().map(|(_, row)| row).collect(),
            }))
        })
    }
}

/// What the link knows besides the tables.
#[derive(Clone, Copy, Debug, Default)]
struct Knows {
    /// This key is set aside.
    set_aside: Option<i64>,
    /// This one never rests.
    busy: Option<i64>,
    /// Of every question, the first is not answered.
    sulks: bool,
}

/// The apply task: answers questions by the source, and writes what is to be mended.
async fn answer(mut asked: mpsc::Receiver<Question>, tables: [Table; 2], knows: Knows) {
    let [source, target] = tables;
    let mut sulking = knows.sulks;
    while let Some(question) = asked.recv().await {
        if sulking {
            sulking = false;
            continue;
        }
        sulking = knows.sulks;
        let keys: Vec<i64> = question.keys.iter().map(key_of).collect();
        let expect = |key: &i64| match source.lock().expect("unbroken").get(key) {
            _ if knows.set_aside == Some(*key) => Expected::SetAside,
            _ if knows.busy == Some(*key) => Expected::Busy,
            Some(value) => Expected::Row(row(&[*key, *value])),
            None => Expected::Absent,
        };
        let expected: Vec<_> = keys.iter().map(expect).collect();
        let (verdict, told) = oneshot::channel();
        let (tell, done) = oneshot::channel();
        let standing = Standing { expected: expected.clone(), verdict, done };
        if question.answer.send(standing).is_err() {
            continue;
        }
        let Ok(mends) = told.await else { continue };
        let mut target = target.lock().expect("unbroken");
        for ((key, expected), mend) in keys.iter().zip(expected).zip(mends) {
            match expected {
                _ if mend == Mend::Leave => {}
                Expected::Row(row) => {
                    let Some(Value::Int(value)) = row.get(1) else { panic!("a value") };
                    target.insert(*key, *value);
                }
                Expected::Absent => {
                    target.remove(key);
                }
                other => panic!("mend {other:?}"),
            }
        }
        let _gone = tell.send(Ok(1));
    }
}

/// A comparison as it is set up for a test.
#[derive(Clone, Debug)]
struct Case {
    source: Rows,
    target: Rows,
    sorts: [Sorts; 2],
    repair: bool,
    /// After how many chunks the process ends, until the last life.
    lives: Vec<usize>,
    knows: Knows,
    deletes: Deletes,
}

impl Case {
    fn of(source: &[(i64, i64)], target: &[(i64, i64)]) -> Case {
        Case {
            source: source.iter().copied().collect(),
            target: target.iter().copied().collect(),
            sorts: [Sorts::ByKey; 2],
            repair: false,
            lives: Vec::new(),
            knows: Knows::default(),
            deletes: Deletes::Apply,
        }
    }

    /// Runs it to its end, over all its lives; what was found, and the target then.
    fn run(&self) -> (TableReport, Rows) {
        let mut clock = tokio::runtime::Builder::new_current_thread();
        clock.enable_time().start_paused(true);
        clock.build().expect("a runtime").block_on(self.compare())
    }

    async fn compare(&self) -> (TableReport, Rows) {
        let tables = [&self.source, &self.target].map(|rows| Arc::new(Mutex::new(rows.clone())));
        let mut plan = plan_of(&["id", "n"]);
        Arc::make_mut(&mut plan.tables[0]).deletes = self.deletes;
        let plan: Arc<LinkPlan> = Arc::new(plan);
        let shelf: Arc<dyn Shelf> = Arc::new(Drawer::default());
        let lives = self.lives.iter().copied().chain([usize::MAX]);
        for (life, reads) in lives.enumerate() {
            let desk = Desk::new(link("pg", "my"), Arc::clone(&shelf));
            let fresh = desk.known().report.is_none();
            if fresh {
                desk.begin(Order { listed_max: 100, ..Order::default() }, 0).expect("begun");
                desk.update(|report| report.tables.push(TableReport::default()));
            } else {
                desk.resume().expect("resumed");
            }
            let report = desk.known().report.expect("a report").tables.remove(0);
            let (questions, asked) = mpsc::channel(1);
            let link = tokio::spawn(answer(asked, tables.clone(), self.knows));
            let pair = Pair::of(&plan, 0).expect("a pair");
            let [mut source, mut target] = [0, 1].map(|side| Memory {
                table: Arc::clone(&tables[side]),
                sorts: self.sorts[side],
                reads,
            });
            let mut comparison = Comparison {
                pair: &pair,
                source: &mut source,
                target: &mut target,
                inquiry: &Inquiry { questions, repair: self.repair },
                pace: &mut Pace::new(None, Box::new(|| None)),
                desk: (&desk, 0),
                report,
            };
            let ended = comparison.run().await;
            let report = comparison.report;
            link.abort();
            if ended.is_ok() {
                let target = tables[1].lock().expect("unbroken").clone();
                return (report, target);
            }
            assert!(life < self.lives.len(), "{ended:?}");
        }
        unreachable!("the last life ends well")
    }

    /// What is to be found.
    fn truth(&self) -> Counts {
        let mut truth = Counts::default();
        for (key, value) in &self.source {
            match self.target.get(key) {
                None => truth.missing += 1,
                Some(other) if other == value => truth.equal += 1,
                Some(_) => truth.differing += 1,
            }
        }
        truth.extra =
            self.target.keys().filter(|key| !self.source.contains_key(key)).count() as u64;
        truth.compared = truth.missing + truth.equal + truth.differing + truth.extra;
        if self.repair {
            truth.mended = truth.missing + truth.differing + truth.extra;
        }
        truth
    }
}

fn case() -> impl Strategy<Value = Case> {
    let rows = || prop::collection::btree_map(0_i64..30, 0_i64..3, 0..25);
    let sorts = || {
        prop_oneof![
            3 => Just(Sorts::ByKey), 1 => Just(Sorts::Otherwise), 1 => Just(Sorts::Backwards)
        ]
    };
    let lives = prop::collection::vec(0_usize..6, 0..3);
    (rows(), rows(), sorts(), sorts(), any::<bool>(), lives, any::<bool>()).prop_map(
        |(source, target, one, other, repair, lives, sulks)| Case {
            source,
            target,
            sorts: [one, other],
            repair,
            lives,
            knows: Knows { sulks, ..Knows::default() },
            deletes: Deletes::Apply,
        },
    )
}

proptest! {
    /// Broken if a comparison found anything but the differences that are there, whatever the servers sort
    /// by, or if one that was cut off lost what it had found or counted it twice.
    #[test]
    fn exactly_the_differences_are_found(case in case()) {
        // What is mended in a life that is cut off is equal in the next one.
        let case = Case { repair: case.repair && case.lives.is_empty(), ..case };
        let (report, target) = case.run();
        prop_assert_eq!(report.counts, case.truth());
        prop_assert_eq!(report.stage, Stage::Done);
        let told = report.counts.missing + report.counts.extra + report.counts.differing;
        prop_assert_eq!(report.listed.len() as u64, told);
        prop_assert_eq!(&target, if case.repair { &case.source } else { &case.target });
    }

    /// Broken if a repair that was cut off left something unmended, or mended what is right.
    #[test]
    fn a_repair_goes_on_after_a_crash(case in case()) {
        let case = Case { repair: true, ..case };
        prop_assert_eq!(case.run().1, case.source);
    }
}

/// Broken if a difference were told without its key and columns.
#[test]
fn differences_are_told_by_key_and_column() {
    let (report, _) = Case::of(&[(1, 1), (2, 2), (3, 3)], &[(1, 1), (2, 9), (4, 4)]).run();
    let told: Vec<_> =
        report.listed.iter().map(|one| (one.what, one.key.as_str(), &*one.columns)).collect();
    let n = ["n".to_owned()];
    assert_eq!(
        told,
        [
            (Difference::Differing, "[2]", &n[..]),
            (Difference::Missing, "[3]", &[][..]),
            (Difference::Extra, "[4]", &[][..]),
        ]
    );
    assert_eq!(report.place.method, Some(Method::Merge));
}

/// Broken if rows that are set aside or never rest were told as differences.
#[test]
fn what_cannot_be_told_is_no_difference() {
    for sorts in [Sorts::ByKey, Sorts::Otherwise] {
        let knows = Knows { set_aside: Some(1), busy: Some(2), sulks: false };
        let mut case = Case { knows, ..Case::of(&[(1, 1), (2, 2), (3, 3)], &[(2, 1), (3, 3)]) };
        case.sorts = [sorts; 2];
        let counts = case.run().0.counts;
        assert_eq!((counts.set_aside, counts.changing, counts.equal), (1, 1, 1), "{sorts:?}");
        assert_eq!(counts.differences(), 0, "{sorts:?}");
    }
}

/// Broken if rows that are kept at the target on purpose were told as differences, or deleted.
#[test]
fn rows_that_outlive_their_source_are_counted_apart() {
    for sorts in [Sorts::ByKey, Sorts::Otherwise] {
        let case = Case {
            deletes: Deletes::Ignore,
            repair: true,
            ..Case::of(&[(1, 1)], &[(1, 1), (2, 2)])
        };
        let (report, target) = Case { sorts: [sorts; 2], ..case }.run();
        assert_eq!((report.counts.tolerated, report.counts.differences()), (1, 0), "{sorts:?}");
        assert_eq!(target.len(), 2, "{sorts:?}");
    }
}
