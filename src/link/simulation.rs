//! A seeded simulation of the link's logic: crashes, lost connections and commits of unknown
//! outcome at every step, against a model table.
//!
//! The servers here are scripts in memory (`world`, `ends`); what is tested is the order of witness,
//! checkpoint and acknowledgement, and that every change arrives exactly once whatever happens
//! between. The rooms are tested on real servers elsewhere.

mod ends;
mod lives;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::config::{ApplyOptions, LinkName, Start};
use crate::link::attempt::{Link, LinkSpec};
use crate::link::ledger::{Checkpoint, Ledger};
use crate::link::observer::Unobserved;
use crate::link::ports::{LinkContext, Pending};
use crate::link::runner;
use crate::link::shutdown::Shutdown;
use crate::link::status::{Board, LinkState, LinkStatus};

use ends::FakeEnds;
use world::{Shared, World};

/// A ledger in memory: durable when recorded, and never ahead of the witness.
struct Memory {
    world: Shared,
    installation: String,
    checkpoint: Mutex<Option<Checkpoint>>,
    fresh: bool,
}

impl Memory {
    fn new(world: &Shared, installation: u32, checkpoint: Option<Checkpoint>) -> Self {
        let fresh =
            checkpoint.as_ref().is_none_or(|known| known.progress.is_none() && !known.starting);
        let installation = format!("{installation:032x}");
        Memory { world: Arc::clone(world), installation, checkpoint: Mutex::new(checkpoint), fresh }
    }
}

impl Ledger for Memory {
    fn installation(&self) -> String {
        self.installation.clone()
    }

    fn is_fresh(&self) -> bool {
        self.fresh
    }

    fn load(&self, _: &LinkName) -> Option<Checkpoint> {
        self.checkpoint.lock().expect("lock").clone()
    }

    fn record<'a>(&'a self, _: &'a LinkName, checkpoint: Checkpoint) -> Pending<'a, ()> {
        Box::pin(async move {
            World::step(&self.world).await?;
            if let Some(progress) = &checkpoint.progress {
                let world = self.world.lock().expect("lock");
                let witness = world.committed.witness.as_ref().expect("a witness before progress");
                assert!(witness.position.reaches(&progress.position), "checkpoint beyond witness");
            }
            *self.checkpoint.lock().expect("lock") = Some(checkpoint);
            World::step(&self.world).await
        })
    }
}

fn options() -> ApplyOptions {
    ApplyOptions {
        start: Some(Start::Now),
        batch_rows_max: 7,
        batch_bytes_max: 1 << 20,
        queue_bytes_max: 8 << 10,
        lock_timeout: Duration::from_secs(1),
        retry_initial: Duration::from_millis(10),
        retry_max: Duration::from_millis(100),
        ..ApplyOptions::default()
    }
}

/// Runs the link until it stops, halts, or the process "crashes".
async fn live(world: &Shared, ledger: Arc<Memory>) -> Option<LinkStatus> {
    let (board, status) = Board::new();
    let link = LinkName { source: "a".to_owned(), target: "b".to_owned() };
    let link = Link {
        spec: LinkSpec {
            context: LinkContext { name: "sim".to_owned(), link, server_id: 1 },
            options: options(),
            ends: Arc::new(FakeEnds(Arc::clone(world))),
            settings: BTreeMap::new(),
        },
        ledger,
        observer: Arc::new(Unobserved),
        board,
        shutdown: Shutdown::default(),
        marks: watch::channel(0).1,
    };
    let (_commands, received) = mpsc::channel(1);
    let crash = Arc::clone(&world.lock().expect("lock").crash);
    tokio::select! {
        biased;
        () = crash.notified() => None,
        () = runner::run(link, received, true) => Some(status.borrow().clone()),
    }
}

/// One history: lives until the link has caught up, with crashes between.
async fn history(seed: u64) {
    let world = World::shared(seed);
    let mut ledger = Arc::new(Memory::new(&world, 1, None));
    for life in 2.. {
        assert!(life < 500, "seed {seed}: the link never comes to an end");
        if let Some(status) = live(&world, Arc::clone(&ledger)).await {
            assert_eq!(status.state, LinkState::Stopped, "seed {seed}: {:?}", status.error);
            break;
        }
        let known = ledger.checkpoint.lock().expect("lock").clone();
        let mut world_now = world.lock().expect("lock");
        let known = if world_now.random.u8(..8) == 0 { None } else { known };
        world_now.crashed();
        drop(world_now);
        // A lost state directory has a new installation id until it adopts the witness's.
        let installation = if known.is_some() { 1 } else { life };
        ledger = Arc::new(Memory::new(&world, installation, known));
    }
    world.lock().expect("lock").check(seed);
}

/// Broken if a crash, a lost connection, a commit of unknown outcome, a refused merge or a lost
/// state directory could lose a change, apply one twice, acknowledge what is not in the target, or
/// leave a missed row behind.
#[tokio::test]
async fn whatever_happens_every_change_arrives_once() {
    let (first, count) = match std::env::var("WEIR_SIMULATION_SEED") {
        Ok(seed) => (seed.parse().expect("a number"), 1),
        Err(_) => (0, 300),
    };
    futures_util::future::join_all((first..first + count).map(history)).await;
}
