//! Windows over time: what is waited for, held, lost and put off.

use std::sync::Arc;

use tokio::time::timeout;

use super::*;
use crate::link::ports::Scanned;
use crate::link::ports::{MissedKey, Why};
use crate::link::steps::{Act, Prepared};
use crate::model::Commit;
use crate::plan::UnseenKey;
use crate::plan::fixtures::{plan_of, row};
use crate::position::Lsn;

fn lsn(at: u64) -> Position {
    Position::Postgres(Lsn(at))
}

fn idle() -> (Refetch, mpsc::Sender<Answer>, mpsc::Receiver<Request>) {
    let (requests, requested) = mpsc::channel(1);
    let (answer, answers) = mpsc::channel(1);
    let backoff = Backoff::new(Duration::from_secs(60), Duration::from_secs(60), 1);
    (Refetch::new(requests, answers, mpsc::channel(1).1, Vec::new(), backoff), answer, requested)
}

fn window(rows: i64) -> Window {
    let note = |key| MissedKey { table: 0, key: row(&[key]), why: Why::NoRow };
    Window::open(0, (0..rows).map(note).collect(), lsn(1), 0)
}

fn reading(held_until: Option<Instant>) -> State {
    State::Reading { window: window(2), scans: 1, held_until, arrived: None }
}

fn scanned(low: u64, high: u64) -> Scanned {
    let rows = vec![Some(row(&[0, 5])), Some(row(&[1, 5]))];
    Scanned { low: lsn(low), high: lsn(high), exact: false, in_progress: Vec::new(), rows }
}

fn read(high: u64) -> Read {
    let give_up_at = Instant::now() + WAIT_MAX;
    Read { window: window(2), scanned: scanned(1, high), give_up_at }
}

/// A transaction that ends here.
fn batch(act: Act, end: u64) -> Batch {
    let mut batch = Batch::default();
    batch.push(Some(Prepared { table: 0, act }));
    batch.end_transaction(Commit { position: lsn(end), time_us: 0, xid: None });
    batch
}

/// Rows of its table go with others of it, unseen.
fn plan() -> LinkPlan {
    let mut plan = plan_of(&["id", "n"]);
    let key = UnseenKey { on_delete: true, columns: Vec::new(), below: vec![0] };
    Arc::make_mut(&mut plan.tables[0]).unseen.push(key);
    plan
}

/// Broken if a table that is locked at the source for a while tore the stream down, if its notes
/// were forgotten, or if an error that stays were passed over.
#[tokio::test]
async fn a_locked_table_is_read_later() {
    let (mut refetch, answer, _requested) = idle();
    refetch.state = reading(None);
    answer.send(Err(Error::new(Kind::Contention, "lock time-out"))).await.expect("sent");
    refetch.wake().await.expect("the stream goes on");
    assert!(matches!(refetch.state, State::Idle) && !refetch.is_done());
    assert!(refetch.due > Instant::now() + Duration::from_secs(1), "at once again");

    refetch.state = reading(None);
    answer.send(Err(Error::new(Kind::Privilege, "no SELECT"))).await.expect("sent");
    assert_eq!(refetch.wake().await.expect_err("halts").kind(), Kind::Privilege);
}

/// Broken if rows that were read waited for ever, and without a word, for a position that the stream
/// does not come to; if their notes were forgotten then, or if they were not written by a stream that
/// comes late.
#[tokio::test(start_paused = true)]
async fn a_position_that_never_comes_is_not_waited_for() {
    let (plan, (mut refetch, ..)) = (plan(), idle());
    refetch.state = State::Waiting(read(9));
    let short = WAIT_MAX - Duration::from_secs(1);
    assert!(timeout(short, refetch.wake()).await.is_err(), "too soon");
    let waiting = std::mem::replace(&mut refetch.state, State::Idle);
    let State::Waiting(read) = waiting else { panic!("given up too soon") };
    assert!(refetch.bring_on(&plan, read, &lsn(8), &Rows::default()).expect("good").is_none());
    assert!(matches!(refetch.state, State::Waiting(_)) && refetch.awaits(&lsn(9)));
    timeout(Duration::from_secs(2), refetch.wake()).await.expect("in time").expect("awake");
    let waiting = std::mem::replace(&mut refetch.state, State::Idle);
    let State::Waiting(late) = waiting else { panic!("given up unseen") };
    assert!(refetch.bring_on(&plan, late, &lsn(8), &Rows::default()).expect("good").is_none());
    assert!(matches!(refetch.state, State::Idle) && !refetch.is_done());
    assert!(refetch.due > Instant::now() + Duration::from_secs(1), "at once again");
    assert!(!refetch.awaits(&lsn(9)));

    let come = Read { give_up_at: Instant::now(), ..self::read(9) };
    assert!(refetch.bring_on(&plan, come, &lsn(9), &Rows::default()).expect("good").is_some());
}

/// Broken if rows were written as they were before a key of the source changed them unseen, if that
/// were tried again without more care, or if a change that the scan saw were held against it.
#[tokio::test(start_paused = true)]
async fn what_keys_do_unseen_after_a_read_has_it_repeated() {
    let (plan, (mut refetch, ..)) = (plan(), idle());
    let delete = || Act::Delete { key: row(&[7]) };
    for (low, end, exact, written) in
        [(4, 4, false, true), (4, 5, true, true), (4, 5, false, false)]
    {
        let mut read = Read { scanned: Scanned { exact, ..scanned(low, 5) }, ..read(5) };
        let update = Act::Update { columns: None, row: row(&[1, 9]) };
        for (change, end) in [(update, 2), (delete(), end)] {
            let batch = batch(change, end);
            batch.placed().for_each(|(change, at)| read.window.change(&plan, change, at));
        }
        let found = refetch.bring_on(&plan, read, &lsn(5), &Rows::default()).expect("good");
        assert_eq!((found.is_some(), refetch.care.holds()), (written, !written));
        let Some(Brought::Missed(found)) = found else { continue };
        // The scan saw the delete, and so the update that came before it.
        let last = found.rows[1].0.as_ref().map(|one| one.act.clone());
        assert_eq!(last, Some(Act::Upsert { columns: None, row: row(&[1, 5]) }));
    }
    assert!(!refetch.is_done() && refetch.due <= Instant::now(), "at once again");
    for _ in 0..100 {
        refetch.state = State::Waiting(read(5));
        refetch.changing(&plan, &batch(delete(), 5));
        let State::Waiting(read) = std::mem::replace(&mut refetch.state, State::Idle) else {
            panic!("there is a window")
        };
        refetch.bring_on(&plan, read, &lsn(5), &Rows::default()).expect("good");
    }
    assert!(refetch.due > Instant::now() + Duration::from_secs(1), "no rest for the source");
}

/// Broken if the unseen change of a transaction that comes in slices were forgotten, or counted as
/// one that comes after everything.
#[test]
fn slices_have_the_place_of_their_transaction() {
    for (low, reading) in [(6, Reading::Ready), (5, Reading::Unseen)] {
        let (plan, mut window) = (plan(), window(2));
        let change = Prepared { table: 0, act: Act::Delete { key: row(&[7]) } };
        window.change(&plan, &change, None);
        window.applied(&lsn(6));
        window.applied(&lsn(7));
        assert_eq!(window.judge(&scanned(low, 7), &HandedOn::default(), &lsn(7)), reading);
    }
}

/// Broken if a read that takes long stopped the stream for good, or if its answer were lost.
#[tokio::test(start_paused = true)]
async fn a_read_holds_the_stream_for_a_moment_only() {
    let (mut refetch, answer, _requested) = idle();
    refetch.state = reading(Some(Instant::now() + HOLD_MAX));
    assert!(refetch.holds());
    let short = HOLD_MAX - Duration::from_millis(100);
    assert!(timeout(short, refetch.wake()).await.is_err(), "too soon");
    assert!(refetch.holds());
    timeout(Duration::from_secs(1), refetch.wake()).await.expect("in time").expect("awake");
    assert!(!refetch.holds());
    answer.send(Ok(scanned(1, 1))).await.expect("sent");
    refetch.wake().await.expect("awake");
    assert!(matches!(refetch.state, State::Reading { arrived: Some(_), .. }));
}
