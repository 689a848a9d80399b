//! kill -9 of weir at random moments under load, restarts of either server, a target that is away:
//! weir recovers by itself, nothing is lost and nothing applied twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::process::Child;
use weir::sandbox::{Options, Server};

use crate::harness::{Pair, Weir, execute_in};
use crate::load::{Mixed, Session, TwoPhases, insert_accounts, tables, until_equal};

/// The schema or database of these runs.
pub const SPACE: &str = "crash";

/// Tables on both sides, weir set up, 500 accounts to begin with.
pub async fn prepare(pair: &Pair, name: &str) -> Weir {
    pair.create_space(SPACE).await;
    execute_in(&pair.source, SPACE, &tables(&pair.source)).await;
    let weir = Weir::new(pair, name, SPACE, "\n[apply]\nstart = \"now\"\n");
    weir.let_look().await;
    let ddl = weir.run(&["ddl"]).await.expect_code(0).stdout;
    execute_in(&pair.target, SPACE, &ddl).await;
    weir.set_up().await;
    let mut session = Session::open(&pair.source, SPACE).await;
    session.transaction(&[insert_accounts(1, 500)]).await.expect("first rows");
    weir
}

/// Transactions of one session between two steps of the one in two phases.
const BESIDE: u64 = 5;

/// Writes transactions until told to stop; reconnects when the source was restarted. On MySQL and
/// MariaDB, one in two phases is open beside them. Returns how many were committed.
pub async fn write_until(pair: &Pair, seed: u64, stop: &AtomicBool, pause: Duration) -> u64 {
    write_over(pair, Mixed::new(seed, 500), seed, stop, pause).await
}

/// The same over the accounts that `mixed` knows of.
pub async fn write_over(
    pair: &Pair,
    mut mixed: Mixed,
    seed: u64,
    stop: &AtomicBool,
    pause: Duration,
) -> u64 {
    let mut session = Session::open(&pair.source, SPACE).await;
    let mut two_phases = TwoPhases::new(seed);
    let has_xa = !pair.source.kind().is_postgres();
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        // A key that a random change took already is a refused transaction, not a failure.
        if session.transaction(&mixed.next_transaction()).await.is_ok() {
            written += 1;
            if has_xa && written % BESIDE == 0 {
                two_phases.step(&pair.source, SPACE).await;
            }
        } else if session.lines("SELECT 1").await.is_err() {
            tokio::time::sleep(Duration::from_millis(300)).await;
            session = Session::open(&pair.source, SPACE).await;
        } else {
            session.transaction(&["SELECT 1".to_owned()]).await.ok();
        }
        tokio::time::sleep(pause).await;
    }
    if has_xa {
        two_phases.finish(&pair.source, SPACE).await;
    }
    written
}

/// kill -9, as an out-of-memory killer would.
pub async fn kill(child: &mut Child) {
    child.kill().await.expect("killed");
}

/// Kills weir `kills` times at random moments while a writer runs, then compares both sides.
pub async fn kill_at_random(source: Server, target: Server, seed: u64, kills: u32) {
    let Some(pair) = Pair::start(source, target).await else { return };
    kill_between(&Arc::new(pair), seed, kills).await;
}

async fn kill_between(pair: &Arc<Pair>, seed: u64, kills: u32) -> Weir {
    let weir = prepare(pair, "crash").await;
    eprintln!("{:?} -> {:?}: seed {seed}", pair.source.kind(), pair.target.kind());
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (pair, stop) = (Arc::clone(pair), Arc::clone(&stop));
        async move { write_until(&pair, seed, &stop, Duration::from_millis(2)).await }
    });
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..kills {
        let mut child = weir.spawn(&["run"]);
        tokio::time::sleep(Duration::from_millis(random.u64(150..2_500))).await;
        assert!(child.try_wait().expect("state").is_none(), "weir ended:\n{}", weir.log());
        kill(&mut child).await;
    }
    let mut child = weir.spawn(&["run"]);
    stop.store(true, Ordering::Relaxed);
    let written = writer.await.expect("writer");
    assert!(written > u64::from(kills), "the writer wrote {written} transactions only");
    let rows = until_equal(pair, SPACE, Duration::from_secs(90)).await;
    eprintln!("{kills} kills, {written} transactions, {rows} rows equal");
    kill(&mut child).await;
    assert_log_is_calm(&weir);
    weir
}

pub fn assert_log_is_calm(weir: &Weir) {
    let log = weir.log();
    assert!(!log.contains("panicked"), "weir panicked:\n{log}");
    assert!(!log.contains("halted"), "weir halted:\n{log}");
}

/// Restarts both servers and takes the target away for `away` while a writer runs.
pub async fn restart_servers(source: Server, target: Server, seed: u64, away: Duration) {
    let Some(mut pair) = Pair::start(source, target).await else { return };
    let weir = prepare(&pair, "restart").await;
    let mut child = weir.spawn(&["run"]);
    for round in 0..3_u64 {
        write_some(&pair, seed + round).await;
        match round {
            0 => pair.target.restart().await.expect("target restarts"),
            1 => pair.source.restart().await.expect("source restarts"),
            _ => {
                pair.target.kill().await.expect("target dies");
                write_some(&pair, seed + 10).await;
                tokio::time::sleep(away).await;
                pair.target.start_again().await.expect("target comes back");
            }
        }
        write_some(&pair, seed + 20 + round).await;
        until_equal(&pair, SPACE, Duration::from_secs(90)).await;
        assert!(child.try_wait().expect("state").is_none(), "weir ended:\n{}", weir.log());
    }
    kill(&mut child).await;
    assert_log_is_calm(&weir);
}

async fn write_some(pair: &Pair, seed: u64) {
    let mut mixed = Mixed::new(seed, 500 + seed * 10_000);
    let mut session = Session::open(&pair.source, SPACE).await;
    for _ in 0..60 {
        session.transaction(&mixed.next_transaction()).await.expect("workload");
    }
}

/// Broken if a crash between target commit and checkpoint loses or repeats a change.
#[tokio::test]
async fn kill_postgres15_to_mysql() {
    kill_at_random(Server::Postgres15, Server::MySql97, 11, 4).await;
}

/// As above, PostgreSQL 18 to MariaDB.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn kill_postgres18_to_mariadb() {
    kill_at_random(Server::Postgres18, Server::MariaDb1011, 12, 4).await;
}

/// As above, MySQL to PostgreSQL 18.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn kill_mysql_to_postgres18() {
    kill_at_random(Server::MySql97, Server::Postgres18, 13, 4).await;
}

/// As above, MariaDB to PostgreSQL 15.
#[tokio::test]
async fn kill_mariadb_to_postgres15() {
    kill_at_random(Server::MariaDb1011, Server::Postgres15, 14, 4).await;
}

/// As above, MySQL without GTIDs; and if `weir check` did not say what is lost without them.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn kill_mysql_without_gtids_to_postgres18() {
    let options = Options::default().set("gtid_mode", "OFF").set("enforce_gtid_consistency", "OFF");
    let source = weir::sandbox::require(Server::MySql97, options).await.expect("source");
    let target = weir::sandbox::require(Server::Postgres18, Options::default()).await;
    let (Some(source), Some(target)) = (source, target.expect("target")) else { return };
    let pair = Arc::new(Pair::of(source, target).await);
    let weir = kill_between(&pair, 15, 3).await;
    let checked = weir.run(&["check"]).await.expect_code(0);
    checked.expect_phrase("gtid_mode is OFF").expect_phrase("cannot follow a failover");
}

/// Broken if weir needed a person after a restart of a server or a target that was away.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn restarts_postgres_to_mariadb() {
    restart_servers(Server::Postgres15, Server::MariaDb1011, 21, Duration::from_secs(5)).await;
}

/// As above, the other way.
#[tokio::test]
async fn restarts_mysql_to_postgres() {
    restart_servers(Server::MySql97, Server::Postgres18, 22, Duration::from_secs(5)).await;
}
