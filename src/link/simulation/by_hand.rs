//! The apply task by itself, on a queue that is filled by hand.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::ends::FakeEnds;
use super::options;
use super::tables::plan;
use super::world::{Shared, Transaction, World, lsn, row};
use crate::config::LinkName;
use crate::link::apply::Applier;
use crate::link::backoff::Backoff;
use crate::link::breaker::Breaker;
use crate::link::copying::Copying;
use crate::link::ends::Ends;
use crate::link::ledger::Progress;
use crate::link::observer::Unobserved;
use crate::link::ports::{Scanned, StoredCopy};
use crate::link::question::Question;
use crate::link::queue::{self, PartReceiver};
use crate::link::refetch::Refetch;
use crate::link::report::Report;
use crate::link::set_aside::Rows;
use crate::link::status::Board;
use crate::model::{Before, Change, Commit, Op, Part, Value, Witness};
use crate::snapshot::order::{Order, Scope, What};

fn witness() -> Witness {
    Witness {
        name: "sim".to_owned(),
        link: "a:b".to_owned(),
        part: 0,
        installation: String::new(),
        seq: 1,
        position: lsn(50),
        restart: None,
        hops: 0,
        pending: None,
        source_identity: "source".to_owned(),
        target_identity: "target".to_owned(),
    }
}

/// One that nothing breaks, for as long as somebody holds the other ends of its channels.
async fn applier(world: Shared, board: Board, parts: PartReceiver, refetch: Refetch) -> Applier {
    let waits = watch::channel(0).1;
    applier_beside(world, board, parts, refetch, waits).await
}

/// One of which `waits` counts those who ask for the head.
async fn applier_beside(
    world: Shared,
    board: Board,
    parts: PartReceiver,
    refetch: Refetch,
    waits: watch::Receiver<u64>,
) -> Applier {
    {
        let mut world = world.lock().expect("lock");
        world.calm_down();
        world.committed.witness = Some(witness());
    }
    let (plan, link) =
        (plan(false, false, false), LinkName { source: "a".to_owned(), target: "b".to_owned() });
    let ends = Arc::new(FakeEnds(world));
    let target = ends.target(Arc::clone(&plan)).await.expect("a target");
    let nobody = mpsc::channel(1).1;
    let copying = Copying::new(Arc::clone(&plan), ends, &[], Vec::new(), nobody, None, waits);
    let (progress, _) = watch::channel(Progress::of(&witness(), None));
    let report = Report::new(link, Arc::clone(&plan), Arc::new(Unobserved), board, progress);
    Applier {
        plan,
        options: options(),
        target,
        parts,
        kept: None,
        witness: witness(),
        seen: lsn(50),
        refetch,
        copying: copying.expect("no copies"),
        rows: Rows::default(),
        breaker: Breaker::new(&options()),
        strict: false,
        strictly: false,
        report,
        until: None,
        drain: CancellationToken::new(),
        written_at: Instant::now(),
    }
}

/// Nobody asks.
fn nobody() -> mpsc::Receiver<Question> {
    mpsc::channel(1).1
}

fn backoff() -> Backoff {
    let pause = Duration::from_secs(1);
    Backoff::new(pause, pause, 8)
}

/// Broken if a large transaction that is being received showed no lag once those before it were
/// applied.
#[tokio::test(start_paused = true)]
async fn an_open_transaction_counts_as_not_applied() {
    let (board, status) = Board::new();
    let (sender, parts) = queue::channel(1 << 20);
    let insert =
        |key| Change { table: 0, op: Op::Insert { after: row(key, (0, 0)) }, reshaped: false };
    let part = |keys: std::ops::Range<i64>, commit| {
        let changes: Vec<Change> = keys.map(insert).collect();
        Part { bytes: changes.len(), changes, commit, idle: false, time_us: None, mark: None }
    };
    // The world's log has no end here, so nothing is compared with it.
    let commit = Commit { position: lsn(50), time_us: 5, xid: None };
    sender.send(part(0..1, Some(commit))).await.expect("room");
    sender.send(part(1..20, None)).await.expect("room");
    let refetch =
        Refetch::new(mpsc::channel(1).0, mpsc::channel(1).1, nobody(), Vec::new(), backoff());
    let mut applier = applier(World::shared(8), board, parts, refetch).await;
    let ended = timeout(Duration::from_secs(1), applier.run()).await;
    assert!(ended.is_err(), "the open transaction is waited for: {ended:?}");
    let status = status.borrow();
    assert_eq!((status.counters.transactions, status.lag.last_applied_us), (1, Some(5)));
    assert!(status.lag.oldest_unapplied_us > Some(5), "{:?}", status.lag);
}

/// A log of transactions that end here, each of which leaves these rows; a row of the last number is
/// missing in the target, and noted.
fn scene(moments: [(u64, Vec<i64>); 2], missing: i64) -> Shared {
    let shared = World::shared(8);
    let mut world = shared.lock().expect("lock");
    let ends = moments.iter().map(|(end, _)| Transaction { end: *end, changes: Vec::new() });
    world.log = ends.collect();
    let rows = |keys: Vec<i64>| keys.into_iter().map(|key| (key, VALUES)).collect();
    world.models = moments.map(|(_, keys)| rows(keys)).into();
    world.committed.missed.push((0, missing));
    drop(world);
    shared
}

const VALUES: (i64, i64) = (7, 0);

fn transaction(table: usize, op: Op, end: u64) -> Part {
    let changes = vec![Change { table, op, reshaped: false }];
    let commit = Some(Commit { position: lsn(end), time_us: 5, xid: None });
    Part { bytes: 1, changes, commit, idle: false, time_us: None, mark: None }
}

/// A row that others refer to goes.
fn parent_goes(parent: i64, end: u64) -> Part {
    transaction(1, Op::Delete { before: Before::Full(row(parent, (0, 0))) }, end)
}

/// The row of this key as of `at`.
fn read(key: i64, at: u64) -> Scanned {
    let rows = vec![Some(row(key, VALUES))];
    Scanned { low: lsn(at), high: lsn(at), exact: false, in_progress: Vec::new(), rows }
}

/// Broken if what was read were not written as soon as the stream has come up to it: the queue is never
/// empty where a table above is busy, and what it does next would have the rows read again for ever.
#[tokio::test(start_paused = true)]
async fn a_batch_ends_where_rows_may_be_written() {
    let world = scene([(60, vec![1, 2]), (70, vec![1])], 2);
    let (sender, parts) = queue::channel(1 << 20);
    let insert = Op::Insert { after: row(1, VALUES) };
    for part in [transaction(0, insert, 60), parent_goes(2, 70)] {
        sender.send(part).await.expect("room");
    }
    let (requests, mut requested) = mpsc::channel(2);
    let (answer, answers) = mpsc::channel(1);
    answer.send(Ok(read(2, 60))).await.expect("room");
    let refetch = Refetch::new(requests, answers, nobody(), Vec::new(), backoff());
    let mut applier = applier(Arc::clone(&world), Board::new().0, parts, refetch).await;
    let ended = timeout(Duration::from_secs(1), applier.run()).await;
    assert!(ended.is_err(), "the stream goes on: {ended:?}");
    requested.recv().await.expect("the rows were asked for");
    assert!(requested.try_recv().is_err(), "they were asked for twice");
    let world = world.lock().expect("lock");
    assert_eq!((&world.committed.rows, world.committed.missed.len()), (&world.models[1], 0));
}

/// Broken if the stream went on while rows are read once more that it had changed unseen, or if it stood
/// still for longer than a moment.
#[tokio::test(start_paused = true)]
async fn the_stream_stands_still_for_a_second_read() {
    let world = scene([(60, vec![2]), (70, vec![2])], 2);
    let (sender, parts) = queue::channel(1 << 20);
    let (requests, mut requested) = mpsc::channel(2);
    let (answer, answers) = mpsc::channel(1);
    let refetch = Refetch::new(requests, answers, nobody(), Vec::new(), backoff());
    let (board, status) = Board::new();
    let mut applier = applier(Arc::clone(&world), board, parts, refetch).await;
    let run = applier.run();
    tokio::pin!(run);
    let second = Duration::from_secs(1);
    let applied = || status.borrow().applied.clone();
    sender.send(parent_goes(0, 60)).await.expect("room");
    timeout(second, &mut run).await.expect_err("goes on");
    assert_eq!(applied(), Some(lsn(60)), "a first read holds nothing up");
    answer.send(Ok(read(2, 50))).await.expect("room");
    timeout(second, &mut run).await.expect_err("goes on");
    sender.send(parent_goes(1, 70)).await.expect("room");
    timeout(second, &mut run).await.expect_err("goes on");
    assert_eq!(applied(), Some(lsn(60)), "it is held");
    timeout(5 * second, &mut run).await.expect_err("goes on");
    assert_eq!(applied(), Some(lsn(70)), "and let go");
    answer.send(Ok(read(2, 70))).await.expect("room");
    timeout(second, &mut run).await.expect_err("goes on");
    assert!(requested.try_recv().is_ok() && requested.try_recv().is_ok());
    assert!(requested.try_recv().is_err(), "they were asked for a third time");
    assert!(world.lock().expect("lock").committed.missed.is_empty());
}

fn commit(end: u64) -> Option<Commit> {
    Some(Commit { position: lsn(end), time_us: 5, xid: None })
}

fn part(ops: Vec<Op>, commit: Option<Commit>) -> Part {
    let changes: Vec<Change> =
        ops.into_iter().map(|op| Change { table: 0, op, reshaped: false }).collect();
    Part { bytes: changes.len(), changes, commit, idle: false, time_us: None, mark: None }
}

/// An applier that has all of these parts, and what it tells of rows that are set aside.
async fn applied(world: &Shared, parts: Vec<Part>, poison: Option<i64>) -> (Applier, u64) {
    let (sender, queued) = queue::channel(1 << 20);
    for part in parts {
        sender.send(part).await.expect("room");
    }
    let (requests, _requested) = mpsc::channel(9);
    let (_answer, answers) = mpsc::channel(1);
    let refetch = Refetch::new(requests, answers, nobody(), Vec::new(), backoff());
    let (board, status) = Board::new();
    let mut applier = applier(Arc::clone(world), board, queued, refetch).await;
    world.lock().expect("lock").poison = poison;
    let ended = timeout(Duration::from_millis(100), applier.run()).await;
    assert!(ended.is_err(), "the stream goes on: {ended:?}");
    let rows = status.borrow().set_aside.rows;
    (applier, rows)
}

/// Broken if a row were forgotten that a large transaction sets aside after it has emptied the table:
/// what the transaction does next would be applied over it, and nobody would try it again.
#[tokio::test(start_paused = true)]
async fn a_row_set_aside_after_a_truncate_is_known() {
    let insert = |key| Op::Insert { after: row(key, VALUES) };
    let unfit = [Value::Int(5), Value::Text("x".into()), Value::Int(0)].into_iter().collect();
    let mut reload = vec![Op::Truncate, Op::Insert { after: unfit }];
    reload.extend((11..17).map(insert));
    let delete = Op::Delete { before: Before::Full(row(5, VALUES)) };
    let world = scene([(60, vec![1]), (70, vec![5, 11, 12, 13, 14, 15, 16])], 2);
    world.lock().expect("lock").committed.missed.clear();
    let parts = vec![
        part(vec![insert(1)], commit(60)),
        part(reload, None),
        part(vec![delete, insert(5)], commit(70)),
    ];
    let (applier, rows) = applied(&world, parts, None).await;
    let world = world.lock().expect("lock");
    assert_eq!(world.committed.letters.len(), 3, "{:?}", world.committed.letters);
    assert!(!world.committed.rows.contains_key(&5) && world.committed.rows.len() == 6);
    assert_eq!((rows, applier.rows.letters().letters), (1, 3));
}

/// Broken if a row were taken for set aside of which a later change of the batch has emptied the table:
/// what comes of it next would be set aside behind nothing.
#[tokio::test(start_paused = true)]
async fn a_truncate_ends_what_its_batch_sets_aside() {
    let poisoned = |key| Op::Insert { after: row(key, (77, 0)) };
    let unfit = [Value::Int(8), Value::Text("x".into()), Value::Int(0)].into_iter().collect();
    let world = scene([(60, vec![5]), (70, vec![6, 8])], 2);
    world.lock().expect("lock").committed.missed.clear();
    let parts = vec![
        part(vec![poisoned(5)], commit(60)),
        part(vec![Op::Truncate, poisoned(6), Op::Insert { after: unfit }], commit(70)),
    ];
    let (applier, rows) = applied(&world, parts, Some(77)).await;
    let known: Vec<_> = applier.rows.groups().map(|(_, group)| group.rows.clone()).collect();
    assert_eq!((known.len(), rows), (2, 2), "{known:?}");
    let letters = &world.lock().expect("lock").committed.letters;
    assert_eq!(letters.len() as u64, applier.rows.letters().letters, "{letters:?}");
}

/// Somebody asks for a copy of the first table.
fn ask_for_a_copy(world: &Shared) {
    let order = Order { id: "o".to_owned(), what: What::Copy(Scope::default()) };
    let (table, asked) = ("shop.t".to_owned(), Some(order.to_text().expect("an order")));
    let stored = StoredCopy { table: table.clone(), progress: None, asked };
    world.lock().expect("lock").committed.copies.insert(table, stored);
}

/// A log of one transaction, with nothing that is missing.
fn calm_scene() -> Shared {
    let world = scene([(60, vec![1]), (70, vec![1])], 2);
    world.lock().expect("lock").committed.missed.clear();
    world
}

/// Broken if `run --until-caught-up` ended although a copy had been asked for meanwhile.
#[tokio::test(start_paused = true)]
async fn a_copy_is_taken_up_before_the_link_has_caught_up() {
    let world = calm_scene();
    let (sender, parts) = queue::channel(1 << 20);
    let (requests, _requested) = mpsc::channel(2);
    let (_answer, answers) = mpsc::channel(1);
    let refetch = Refetch::new(requests, answers, nobody(), Vec::new(), backoff());
    let mut applier = applier(Arc::clone(&world), Board::new().0, parts, refetch).await;
    applier.until = Some(lsn(60));
    let run = applier.run();
    tokio::pin!(run);
    let moment = Duration::from_millis(100);
    timeout(moment, &mut run).await.expect_err("the head is not reached");
    ask_for_a_copy(&world);
    sender.send(transaction(0, Op::Insert { after: row(1, VALUES) }, 60)).await.expect("room");
    let ended = timeout(moment, &mut run).await;
    assert!(ended.is_err(), "a table is to be copied: {ended:?}");
    let world = world.lock().expect("lock");
    assert_eq!(world.committed.copies["shop.t"].asked, None, "it is taken up");
}

/// Broken if `weir wait` returned after `weir snapshot` before the link had looked at what was asked of
/// it, or if a copy's stage were told some time later only.
#[tokio::test(start_paused = true)]
async fn who_waits_is_told_of_a_copy_at_once() {
    let world = calm_scene();
    let (_sender, parts) = queue::channel(1 << 20);
    let (requests, _requested) = mpsc::channel(2);
    let (_answer, answers) = mpsc::channel(1);
    let refetch = Refetch::new(requests, answers, nobody(), Vec::new(), backoff());
    let ((board, status), (wait, waits)) = (Board::new(), watch::channel(0));
    let mut applier = applier_beside(Arc::clone(&world), board, parts, refetch, waits).await;
    let run = applier.run();
    tokio::pin!(run);
    let moment = Duration::from_millis(10);
    timeout(moment, &mut run).await.expect_err("goes on");
    ask_for_a_copy(&world);
    timeout(moment, &mut run).await.expect_err("goes on");
    assert!(!status.borrow().is_copying(), "nobody waits: it is looked for in a while");
    wait.send(1).expect("a link");
    timeout(moment, &mut run).await.expect_err("goes on");
    assert_eq!((status.borrow().orders_taken, status.borrow().is_copying()), (1, true));
}
