//! The apply task by itself, on a queue that is filled by hand.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ends::FakeEnds;
use super::options;
use super::tables::plan;
use super::world::{World, lsn, row};
use crate::config::LinkName;
use crate::link::apply::Applier;
use crate::link::backoff::Backoff;
use crate::link::ends::Ends;
use crate::link::ledger::Progress;
use crate::link::observer::Unobserved;
use crate::link::queue::{self, PartReceiver};
use crate::link::refetch::Refetch;
use crate::link::report::Report;
use crate::link::status::Board;
use crate::model::{Change, Commit, Op, Part, Witness};

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
async fn applier(seed: u64, board: Board, parts: PartReceiver) -> Applier {
    let world = World::shared(seed);
    {
        let mut world = world.lock().expect("lock");
        world.calm_down();
        world.committed.witness = Some(witness());
    }
    let (plan, link) = (plan(false), LinkName { source: "a".to_owned(), target: "b".to_owned() });
    let target = FakeEnds(world).target(Arc::clone(&plan)).await.expect("a target");
    let (progress, _) = watch::channel(Progress::of(&witness(), None));
    let pause = Duration::from_secs(1);
    let backoff = Backoff::new(pause, pause, seed);
    Applier {
        plan,
        options: options(),
        target,
        parts,
        witness: witness(),
        seen: lsn(50),
        refetch: Refetch::new(mpsc::channel(1).0, mpsc::channel(1).1, Vec::new(), backoff),
        report: Report::new(link, Arc::new(Unobserved), board, progress),
        until: None,
        drain: CancellationToken::new(),
        written_at: Instant::now(),
    }
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
        Part { bytes: changes.len(), changes, commit, idle: false }
    };
    // The world's log has no end here, so nothing is compared with it.
    let commit = Commit { position: lsn(50), time_us: 5, xid: None };
    sender.send(part(0..1, Some(commit))).await.expect("room");
    sender.send(part(1..20, None)).await.expect("room");
    let mut applier = applier(8, board, parts).await;
    let ended = tokio::time::timeout(Duration::from_secs(1), applier.run()).await;
    assert!(ended.is_err(), "the open transaction is waited for: {ended:?}");
    let status = status.borrow();
    assert_eq!((status.counters.transactions, status.lag.last_applied_us), (1, Some(5)));
    assert!(status.lag.oldest_unapplied_us > Some(5), "{:?}", status.lag);
}
