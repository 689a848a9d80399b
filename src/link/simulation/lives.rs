//! The life of a link outside the happy path: refusals, halts, resumes, foreign writers, draining.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::ends::FakeEnds;
use super::world::{Shared, World, at, lsn};
use super::{Memory, options};
use crate::config::{ApplyOptions, LinkName};
use crate::error::Kind;
use crate::link::ledger::{Checkpoint, Progress};
use crate::link::observer::Unobserved;
use crate::link::ports::LinkContext;
use crate::link::space::{Room, Space};
use crate::link::status::{LinkState, LinkStatus};
use crate::link::supervisor::{LinkSpec, Shared as Common, Supervisor};
use crate::verify::desk::Unkept;

fn spec(world: &Shared, options: ApplyOptions) -> LinkSpec {
    let link = LinkName { source: "a".to_owned(), target: "b".to_owned() };
    LinkSpec {
        context: LinkContext {
            name: "sim".to_owned(),
            link,
            server_id: 1,
            installation: String::new(),
        },
        options,
        ends: Arc::new(FakeEnds(Arc::clone(world))),
        settings: Default::default(),
    }
}

fn common(world: &Shared) -> Common {
    Common {
        ledger: Arc::new(Memory::new(world, 1, None)),
        observer: Arc::new(Unobserved),
        shelf: Arc::new(Unkept),
        space: Space::new().1,
        until_caught_up: false,
    }
}

fn start(world: &Shared, options: ApplyOptions) -> Supervisor {
    world.lock().expect("lock").calm_down();
    Supervisor::start(vec![spec(world, options)], common(world))
}

async fn until(supervisor: &Supervisor, wanted: impl FnMut(&LinkStatus) -> bool) -> LinkStatus {
    let mut status: watch::Receiver<LinkStatus> = supervisor.links().borrow()[0].watch();
    let seen = timeout(Duration::from_secs(10), status.wait_for(wanted)).await;
    seen.expect("in time").expect("alive").clone()
}

/// Broken if a link began with rows on both sides without being told how, or did not name them.
#[tokio::test]
async fn a_start_on_filled_tables_must_be_said() {
    let world = World::shared(1);
    {
        let mut world = world.lock().expect("lock");
        world.filled = true;
        world.committed.rows.insert(1, (1, 1));
    }
    let mut supervisor = start(&world, ApplyOptions { start: None, ..options() });
    let status = until(&supervisor, |status| status.state == LinkState::Halted).await;
    let error = status.error.expect("an error");
    assert_eq!(error.kind, Kind::Configuration);
    assert!(error.text.contains("public.t") && error.text.contains("shop.t"), "{}", error.text);
    assert!(world.lock().expect("lock").committed.witness.is_none());
    supervisor.shutdown().start();
    timeout(Duration::from_secs(5), supervisor.finished()).await.expect("in time");
    assert_eq!(supervisor.links().borrow()[0].status().state, LinkState::Halted, "and it stays so");
}

/// Broken if a link could not be paused while it streams, went on by itself, or applied what came
/// meanwhile twice or not at all.
#[tokio::test]
async fn a_paused_link_stands_still_until_resumed() {
    let world = World::shared(3);
    let mut supervisor = start(&world, options());
    let handle = supervisor.links().borrow()[0].clone();
    until(&supervisor, |status| status.state == LinkState::Running).await;
    for _ in 0..2 {
        handle.pause().await.expect("paused");
        assert_eq!(handle.status().state, LinkState::Paused);
    }
    let seq = handle.status().seq;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((handle.status().state, handle.status().seq), (LinkState::Paused, seq));
    handle.resume(false).await.expect("resumed");
    until(&supervisor, |status| status.state == LinkState::Running).await;
    supervisor.shutdown().start();
    timeout(Duration::from_secs(20), supervisor.finished()).await.expect("in time");
    assert_eq!(handle.status().state, LinkState::Stopped);
}

/// Broken if an altered table were streamed on without a person, if the halt could not be left, or
/// if a running link could be "resumed".
#[tokio::test]
async fn an_altered_table_halts_until_reviewed() {
    let world = World::shared(2);
    let supervisor = start(&world, options());
    let handle = supervisor.links().borrow()[0].clone();
    until(&supervisor, |status| status.state == LinkState::Running).await;
    assert!(handle.resume(false).await.is_err());
    let alters = Arc::clone(&world.lock().expect("lock").altered);
    alters.store(true, Ordering::Relaxed);
    world.lock().expect("lock").cut();
    let status = until(&supervisor, |status| status.state == LinkState::Halted).await;
    let error = status.error.expect("an error");
    assert_eq!(error.kind, Kind::SchemaChanged);
    assert!(error.text.contains("now column a int"), "{}", error.text);
    handle.resume(false).await.expect("halted");
    let again =
        |status: &LinkStatus| status.state == LinkState::Halted && status.counters.retries >= 2;
    until(&supervisor, again).await;
    handle.resume(true).await.expect("halted");
    until(&supervisor, |status| status.state == LinkState::Running).await;
}

/// Broken if a review said while a server is down were forgotten, or if it were good for a table
/// altered later, too.
#[tokio::test]
async fn a_review_is_good_once() {
    let world = World::shared(5);
    let supervisor = start(&world, options());
    let handle = supervisor.links().borrow()[0].clone();
    until(&supervisor, |status| status.state == LinkState::Running).await;
    let (altered, unreachable) = {
        let world = world.lock().expect("lock");
        (Arc::clone(&world.altered), Arc::clone(&world.unreachable))
    };
    altered.store(true, Ordering::Relaxed);
    unreachable.store(true, Ordering::Relaxed);
    world.lock().expect("lock").cut();
    until(&supervisor, |status| status.state == LinkState::Retrying).await;
    handle.resume(true).await.expect("retrying");
    unreachable.store(false, Ordering::Relaxed);
    until(&supervisor, |status| status.state == LinkState::Running).await;
    altered.store(false, Ordering::Relaxed);
    world.lock().expect("lock").cut();
    let status = until(&supervisor, |status| status.state == LinkState::Halted).await;
    assert_eq!(status.error_kind(), Some(Kind::SchemaChanged));
}

/// Broken if a refused row were not named, if transactions before it were held up by it, or if a
/// part of its own transaction were committed.
#[tokio::test]
async fn a_refused_row_is_named_and_halts() {
    let mut refused = 0;
    for seed in 10..40 {
        let world = World::shared(seed);
        let end = world.lock().expect("lock").log.last().expect("a log").end;
        let (before, position, number) = {
            let mut world = world.lock().expect("lock");
            world.halts = true;
            world.poison_a_change()
        };
        let supervisor = start(&world, options());
        let is_over = |status: &LinkStatus| {
            status.error.is_some() || status.applied.as_ref().is_some_and(|is| at(is) >= end)
        };
        let status = until(&supervisor, is_over).await;
        // A value that a later change of the batch replaces is never written.
        let Some(error) = status.error else { continue };
        refused += 1;
        assert_eq!(error.kind, Kind::Constraint, "{}", error.text);
        assert!(error.text.starts_with("table public.t (key id), "), "{}", error.text);
        let place = format!("change {number} of ");
        assert!(error.text.contains(&place), "seed {seed}: {place} in {}", error.text);
        let applied = at(&status.applied.expect("a witness"));
        assert!(before <= applied && applied < position, "{before} {applied} {position}");
    }
    assert!(refused > 5, "{refused}");
}

/// Broken if two weirs could take turns on one link for ever, or if a single unexpected witness
/// (our own older connection) halted it.
#[tokio::test]
async fn a_second_writer_halts_the_link() {
    let world = World::shared(3);
    world.lock().expect("lock").second_writer = 1;
    let supervisor = start(&world, options());
    let end = world.lock().expect("lock").log.last().expect("a log").end;
    until(&supervisor, |status| status.applied.as_ref().is_some_and(|is| at(is) >= end)).await;

    let world = World::shared(3);
    world.lock().expect("lock").second_writer = 1_000;
    let supervisor = start(&world, options());
    let status = until(&supervisor, |status| status.state == LinkState::Halted).await;
    assert_eq!(status.error_kind(), Some(Kind::Witness));
}

/// Broken if a stop lost what was queued, left the last position unacknowledged, or hung.
#[tokio::test]
async fn a_stop_drains() {
    let world = World::shared(4);
    let mut supervisor = start(&world, options());
    let end = world.lock().expect("lock").log.last().expect("a log").end;
    until(&supervisor, |status| status.applied.as_ref().is_some_and(|is| at(is) >= end)).await;
    supervisor.shutdown().start();
    timeout(Duration::from_secs(5), supervisor.finished()).await.expect("in time");
    assert_eq!(supervisor.links().borrow()[0].status().state, LinkState::Stopped);
    let world = world.lock().expect("lock");
    assert_eq!(world.acknowledged, at(&world.committed.witness.as_ref().expect("there").position));
    world.check(4);
}

/// Broken if a reload left a link as it was because it was draining for a pause at that moment.
#[tokio::test]
async fn what_is_asked_of_a_draining_link_waits_its_turn() {
    let world = World::shared(3);
    let supervisor = start(&world, options());
    let handle = supervisor.links().borrow()[0].clone();
    until(&supervisor, |status| status.state == LinkState::Running).await;
    let anew = handle.configure(spec(&world, options()), Default::default());
    let (paused, configured) = tokio::join!(handle.pause(), anew);
    paused.expect("paused");
    configured.expect("configured after it");
    assert_eq!(handle.status().state, LinkState::Paused);
}

/// Broken if a run that had applied everything failed because the state directory's disk is slow.
#[tokio::test(start_paused = true)]
async fn a_slow_disk_fails_no_run_that_is_through() {
    let world = World::shared(4);
    {
        let mut world = world.lock().expect("lock");
        world.calm_down();
        world.slow_disk = true;
    }
    let common = Common { until_caught_up: true, ..common(&world) };
    let mut supervisor = Supervisor::start(vec![spec(&world, options())], common);
    supervisor.finished().await;
    let status = supervisor.links().borrow()[0].status();
    assert_eq!((status.state, status.error), (LinkState::Stopped, None));
    world.lock().expect("lock").check(4);
}

/// Broken if `weir wait` could return before the notes of an earlier run were even read.
#[tokio::test]
async fn rows_may_be_missing_until_the_notes_are_read() {
    let world = World::shared(6);
    world.lock().expect("lock").committed.missed.push((0, 1));
    let supervisor = start(&world, options());
    assert!(until(&supervisor, |status| status.seen.is_some()).await.refetching);
    until(&supervisor, |status| !status.refetching).await;
}

/// Broken if after a restart nobody looked at the log of a link that does not come so far as to read
/// the catalogs, or if what is remembered of it were shown as something else.
#[tokio::test(start_paused = true)]
async fn the_log_of_a_link_that_was_paused_before_is_watched() {
    let world = World::shared(7);
    let progress = Progress { seq: 1, position: lsn(50), applied_us: Some(9) };
    let (progress, paused_since_us) = (Some(progress), Some(1));
    let known = Checkpoint { progress, paused_since_us, ..Checkpoint::default() };
    let common = Common { ledger: Arc::new(Memory::new(&world, 1, Some(known))), ..common(&world) };
    let supervisor = Supervisor::start(vec![spec(&world, options())], common);
    let status = until(&supervisor, |status| status.lag_bytes.is_some()).await;
    let end = world.lock().expect("lock").log.last().expect("a log").end;
    assert_eq!((status.state, status.lag_bytes), (LinkState::Paused, Some(end - 50)));
    assert_eq!((status.lag.last_applied_us, status.lag.caught_up_at_us), (Some(9), None));
    assert!(status.refetching, "nobody has read the notes");
}

/// Broken if a link filled up the disk that its state is on, halted for it anywhere but at a commit,
/// could be resumed while there is no space, or not once there is.
#[tokio::test]
async fn a_disk_that_fills_up_halts_a_link() {
    let world = World::shared(11);
    world.lock().expect("lock").calm_down();
    let (room, space) = Space::new();
    room.send_replace(Room { free: Some(100), min: Some(100) });
    let common = Common { space, ..common(&world) };
    let supervisor = Supervisor::start(vec![spec(&world, options())], common);
    until(&supervisor, |status| status.state == LinkState::Running).await;
    room.send_replace(Room { free: Some(99), min: Some(100) });
    let is_halted = |status: &LinkStatus| {
        (status.state, status.error_kind()) == (LinkState::Halted, Some(Kind::DiskLow))
    };
    let status = until(&supervisor, is_halted).await;
    assert!(status.error.expect("why").hint.contains("`weir resume a:b`"));
    let handle = supervisor.links().borrow()[0].clone();
    let refused = handle.resume(false).await.expect_err("there is no space");
    assert_eq!(refused.kind(), Kind::DiskLow);
    assert_eq!(handle.status().state, LinkState::Halted);
    room.send_replace(Room { free: Some(99), min: None });
    handle.resume(false).await.expect("there is space");
    until(&supervisor, |status| status.state == LinkState::Running).await;
    let end = world.lock().expect("lock").log.last().expect("a log").end;
    let all = lsn(end);
    until(&supervisor, |status| status.has_reached(&all)).await;
    world.lock().expect("lock").check(11);
}
