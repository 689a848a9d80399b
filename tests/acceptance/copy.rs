//! A large table is copied while it changes, with kill -9 on the way: both sides equal, no piece copied
//! twice, memory flat, and the stream never far behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::process::Child;
use weir::sandbox::{Running, Server};

use crate::crash::{SPACE, assert_log_is_calm, kill};
use crate::harness::{Pair, Weir, execute_in, until};
use crate::item::{self, checksums};
use crate::load::Session;
use crate::million::{RESIDENT_KIB_MAX, peak_resident_kib};

/// A transaction of [`CHANGES`] so often: 500 changes a second.
const BEAT: Duration = Duration::from_millis(20);
/// Rows that one transaction changes.
const CHANGES: u64 = 10;
/// The stream may be so far behind, restarts counted. A copy leaves it all of the time from 30 s on.
const LAG_MAX: Duration = Duration::from_secs(60);
/// And so far once the copy is over, after [`SETTLED`].
const LAG_AFTER: Duration = Duration::from_secs(3);
const SETTLED: Duration = Duration::from_secs(30);
/// Between two kills at least, in milliseconds; and at most, for each row of the table.
const KILL_AFTER_MIN: u64 = 500;
const KILL_AFTER_ROW: f64 = 0.000_8;

/// Broken if a row that changes while its table of so many rows is copied were lost, came back or kept
/// an old value; if a kill had a piece copied twice, memory grew with the table, or the copy kept the
/// stream from its work.
pub async fn copy_under_load(source: Server, target: Server, rows: u64, seed: u64, kills: u32) {
    let pair = Arc::new(Pair::start(source, target).await.expect("both servers"));
    let filling = Instant::now();
    let weir = prepare(&pair, rows).await;
    let filled = filling.elapsed();
    let load = Load::start(&pair, rows, seed);

    let started = Instant::now();
    let mut random = fastrand::Rng::with_seed(seed);
    let kill_after = KILL_AFTER_MIN..KILL_AFTER_MIN + 1 + (rows as f64 * KILL_AFTER_ROW) as u64;
    let mut resident = 0;
    for _ in 0..kills {
        let mut child = weir.spawn(&["run", "--log", "debug"]);
        tokio::time::sleep(Duration::from_millis(random.u64(kill_after.clone()))).await;
        assert_runs(&mut child, &weir);
        resident = resident.max(peak_resident_kib(&child));
        kill(&mut child).await;
    }
    assert!(!is_copied(&pair.target).await, "all was copied before the last kill");
    let mut child = weir.spawn(&["run", "--log", "debug"]);
    until("the copy is done", Duration::from_secs(1_200), async || {
        assert_runs(&mut child, &weir);
        is_copied(&pair.target).await
    })
    .await;
    let copied = started.elapsed();
    let worst = load.worst();
    until("the stream is level", SETTLED, async || load.lag() < LAG_AFTER).await;
    let settled = started.elapsed() - copied;
    let changes = load.stop(&pair).await;
    let slices = assert_equal(&pair, rows).await;
    resident = resident.max(peak_resident_kib(&child));
    kill(&mut child).await;
    println!(
        "{source:?} -> {target:?}: {rows} rows (made in {:.0} s) copied in {:.0} s with {kills} kills beside \
         {:.0} changes/s: {:.0} rows/s; lag at most {:.1} s, level {:.1} s after; {slices} slices equal after \
         {:.0} s; peak {} MiB",
        filled.as_secs_f64(),
        copied.as_secs_f64(),
        changes as f64 / (copied + settled).as_secs_f64(),
        rows as f64 / copied.as_secs_f64(),
        worst.as_secs_f64(),
        settled.as_secs_f64(),
        started.elapsed().as_secs_f64(),
        resident / 1024,
    );
    assert_log_is_calm(&weir);
    assert_nothing_is_copied_twice(&weir.log(), rows);
    assert!(worst < LAG_MAX, "lag {worst:?}");
    assert!(resident < RESIDENT_KIB_MAX, "peak resident memory {resident} KiB");
}

fn assert_runs(child: &mut Child, weir: &Weir) {
    assert!(child.try_wait().expect("state").is_none(), "weir ended:\n{}", weir.log());
}

/// The filled table, a table with one row that tells the lag, and their likes at the target.
async fn prepare(pair: &Pair, rows: u64) -> Weir {
    pair.create_space(SPACE).await;
    item::fill(&pair.source, rows).await;
    let beat = "CREATE TABLE beat (id int PRIMARY KEY, ms bigint NOT NULL); INSERT INTO beat VALUES (1, 0)";
    execute_in(&pair.source, SPACE, beat).await;
    let weir = Weir::new(pair, "copy", SPACE, "\n[apply]\nstart = \"snapshot\"\n");
    weir.let_look().await;
    let ddl = weir.run(&["ddl"]).await.expect_code(0).stdout;
    execute_in(&pair.target, SPACE, &ddl).await;
    weir.grant().await;
    weir
}

/// Whether both tables are copied, as the target's own records say.
async fn is_copied(target: &Running) -> bool {
    let sql = "SELECT count(*) FROM weir.snapshot WHERE progress LIKE '%\"stage\":\"done\"%'";
    let rows = target.query(sql).await.unwrap_or_default();
    rows.first().and_then(|row| row[0].as_deref()) == Some("2")
}

/// A writer at the source and somebody who watches at the target how old the newest is that arrives.
struct Load {
    stop: Arc<AtomicBool>,
    writer: tokio::task::JoinHandle<u64>,
    watcher: tokio::task::JoinHandle<()>,
    lag_ms: Arc<AtomicU64>,
    worst_ms: Arc<AtomicU64>,
}

impl Load {
    fn start(pair: &Arc<Pair>, rows: u64, seed: u64) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let (lag_ms, worst_ms) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let writer = tokio::spawn({
            let (pair, stop) = (Arc::clone(pair), Arc::clone(&stop));
            async move { write_until(&pair.source, rows, seed, &stop).await }
        });
        let watcher = tokio::spawn({
            let (pair, stop) = (Arc::clone(pair), Arc::clone(&stop));
            let (lag_ms, worst_ms) = (Arc::clone(&lag_ms), Arc::clone(&worst_ms));
            async move { watch_until(&pair.target, &stop, &lag_ms, &worst_ms).await }
        });
        Load { stop, writer, watcher, lag_ms, worst_ms }
    }

    fn lag(&self) -> Duration {
        Duration::from_millis(self.lag_ms.load(Ordering::Relaxed))
    }

    fn worst(&self) -> Duration {
        Duration::from_millis(self.worst_ms.load(Ordering::Relaxed))
    }

    /// Ends both, and waits until the last change is at the target; how many there were.
    async fn stop(self, pair: &Pair) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let changes = self.writer.await.expect("writer");
        self.watcher.await.expect("watcher");
        let mut session = Session::open(&pair.source, SPACE).await;
        let last = now_ms();
        session.transaction(&[beat(last)]).await.expect("the last change");
        until("the last change", Duration::from_secs(60), async || {
            beat_at(&pair.target).await.is_some_and(|ms| ms == last)
        })
        .await;
        changes
    }
}

/// Changes all over the table and beyond what is read of it, until told to stop; how many rows.
async fn write_until(source: &Running, rows: u64, seed: u64, stop: &AtomicBool) -> u64 {
    let mut session = Session::open(source, SPACE).await;
    let mut changes = Changes { random: fastrand::Rng::with_seed(seed), rows, made: 0 };
    let mut written = 0;
    let mut beat = tokio::time::interval(BEAT);
    while !stop.load(Ordering::Relaxed) {
        beat.tick().await;
        session.transaction(&changes.next_transaction()).await.expect("changes");
        written += CHANGES;
    }
    written
}

/// Rows that are there have even keys. What is inserted, or gets another key, gets an odd one, each
/// once, all over the table.
struct Changes {
    random: fastrand::Rng,
    rows: u64,
    made: u64,
}

impl Changes {
    fn next_transaction(&mut self) -> Vec<String> {
        let n = self.random.u32(0..1_000_000);
        let row = |id: u64| {
            format!(
                "({id}, 'new', 'row {n}', NULL, {n}.5, '2025-01-02 03:04:05.000006', true, NULL)"
            )
        };
        let inserted: Vec<String> = (0..3).map(|_| row(self.odd())).collect();
        let updated: Vec<String> = (0..4).map(|_| self.even().to_string()).collect();
        let deleted: Vec<String> = (0..2).map(|_| self.even().to_string()).collect();
        let (from, to) = (self.even(), self.odd());
        vec![
            format!("INSERT INTO item VALUES {}", inserted.join(", ")),
            format!(
                "UPDATE item SET n = {n}, body = 'changed {n}', amount = amount + 0.25 WHERE id IN ({})",
                updated.join(", ")
            ),
            format!("DELETE FROM item WHERE id IN ({})", deleted.join(", ")),
            format!("UPDATE item SET id = {to}, code = 'moved' WHERE id = {from}"),
            beat(now_ms()),
        ]
    }

    fn even(&mut self) -> u64 {
        2 * self.random.u64(1..=self.rows)
    }

    fn odd(&mut self) -> u64 {
        // A prime that divides no number of rows used here: each comes once before one comes again.
        const STEP: u64 = 2_236_067;
        self.made += 1;
        assert!(self.made < self.rows, "no key is left");
        2 * (self.made * STEP % self.rows) + 1
    }
}

fn beat(ms: u64) -> String {
    format!("UPDATE beat SET ms = {ms} WHERE id = 1")
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    u64::try_from(since.as_millis()).expect("a clock")
}

async fn watch_until(
    target: &Running,
    stop: &AtomicBool,
    lag_ms: &AtomicU64,
    worst_ms: &AtomicU64,
) {
    while !stop.load(Ordering::Relaxed) {
        // Before it is copied it tells nothing.
        if let Some(at) = beat_at(target).await.filter(|at| *at > 0) {
            let lag = now_ms().saturating_sub(at);
            lag_ms.store(lag, Ordering::Relaxed);
            worst_ms.fetch_max(lag, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn beat_at(target: &Running) -> Option<u64> {
    let rows = target.query(&format!("SELECT ms FROM {SPACE}.beat")).await.expect("beat");
    rows.first().and_then(|row| row[0].as_deref()).and_then(|text| text.parse().ok())
}

/// Compares the checksums of all slices; how many there are.
async fn assert_equal(pair: &Pair, rows: u64) -> usize {
    let keys = 2 * rows + 2;
    let (source, target) =
        tokio::join!(checksums(&pair.source, keys), checksums(&pair.target, keys));
    let different: Vec<_> =
        source.iter().zip(&target).filter(|(left, right)| left != right).collect();
    assert!(
        different.is_empty() && source.len() == target.len(),
        "{} of {} slices differ (number, rows, sum): {different:?}",
        different.len(),
        source.len()
    );
    source.len()
}

/// Pieces have numbers, which go on after a kill.
fn assert_nothing_is_copied_twice(log: &str, rows: u64) {
    let mut pieces: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("a piece is copied"))
        .filter_map(|line| line.split_once("piece=").map(|(_, rest)| rest))
        .map(|rest| rest.split(' ').next().unwrap_or(rest))
        .collect();
    assert!(pieces.len() as u64 > rows / 60_000, "{} pieces", pieces.len());
    pieces.sort_unstable();
    let all = pieces.len();
    pieces.dedup();
    assert_eq!(pieces.len(), all, "pieces were copied twice");
}
