//! A million changes (or as many as are asked for), and one huge transaction: both sides equal, memory
//! flat.

use std::time::{Duration, Instant};

use tokio::process::Child;
use weir::sandbox::Server;

use crate::crash::{SPACE, kill, prepare};
use crate::harness::{Pair, Weir};
use crate::load::{Session, insert_accounts, until_equal};

/// Resident memory of weir at most, in KiB: 150 MiB.
pub const RESIDENT_KIB_MAX: u64 = 150 * 1024;

/// Both servers with tables, and weir set up.
pub async fn start(source: Server, target: Server, name: &str) -> (Pair, Weir) {
    let pair = Pair::start(source, target).await.expect("both servers");
    let weir = prepare(&pair, name).await;
    (pair, weir)
}

/// Inserts of `accounts` (in fifties) in transactions of 100; then every fifth part is deleted and
/// the rest updated, all over the table, in transactions of 10 or 20.
pub async fn load(pair: &Pair, accounts: u64) -> u64 {
    let mut session = Session::open(&pair.source, SPACE).await;
    let mut changes = 500;
    for from in (501..=accounts).step_by(100) {
        let count = 100.min(accounts + 1 - from);
        session.transaction(&[insert_accounts(from, count)]).await.expect("inserts");
        changes += count;
    }
    let rounds = accounts * 4 / 50;
    for round in 0..rounds {
        let place = round * 7_919 % rounds;
        let from = place / 4 * 50 + place % 4 * 10 + 11;
        let update = format!(
            "UPDATE account SET n = {round}, amount = amount + 0.25, body = 'u{round}' \
             WHERE id BETWEEN {from} AND {}",
            from + 9
        );
        let mut statements = vec![update];
        if round % 4 == 0 {
            let gone = round / 4 * 50 + 1;
            statements
                .push(format!("DELETE FROM account WHERE id BETWEEN {gone} AND {}", gone + 9));
        }
        changes += 10 * statements.len() as u64;
        session.transaction(&statements).await.expect("updates");
    }
    changes
}

/// The peak resident memory of a process, in KiB.
pub fn peak_resident_kib(child: &Child) -> u64 {
    let status = format!("/proc/{}/status", child.id().expect("running"));
    let status = std::fs::read_to_string(status).expect("process status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("KiB")
}

/// User and system time of a process so far.
pub fn cpu_seconds(child: &Child) -> f64 {
    let stat = format!("/proc/{}/stat", child.id().expect("running"));
    let stat = std::fs::read_to_string(stat).expect("process stat");
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 =
        fields[11].parse::<f64>().expect("utime") + fields[12].parse::<f64>().expect("stime");
    ticks / 100.0
}

/// Broken if a change of a million (two per account) is lost, doubled or bent, or memory grows with the
/// backlog.
pub async fn million_changes(source: Server, target: Server, accounts: u64) {
    let (pair, weir) = start(source, target, "million").await;
    let mut child = weir.spawn(&["run"]);
    let started = Instant::now();
    let changes = load(&pair, accounts).await;
    let loaded = started.elapsed();
    let rows = until_equal(&pair, SPACE, Duration::from_secs(600)).await;
    let resident = peak_resident_kib(&child);
    println!(
        "{source:?} -> {target:?}: {changes} changes loaded in {:.0} s, equal after {:.0} s, {rows} rows, \
         weir {:.1} CPU s, peak {} MiB",
        loaded.as_secs_f64(),
        started.elapsed().as_secs_f64(),
        cpu_seconds(&child),
        resident / 1024
    );
    assert!(resident < RESIDENT_KIB_MAX, "peak resident memory {resident} KiB");
    kill(&mut child).await;
}

/// Broken if memory grows with one transaction of so many rows, up to two million, or it is not applied
/// whole.
pub async fn huge_transaction(source: Server, target: Server, count: u64) {
    let (pair, weir) = start(source, target, "huge").await;
    let mut child = weir.spawn(&["run"]);
    let mut session = Session::open(&pair.source, SPACE).await;
    let numbers = if source.is_postgres() {
        format!("SELECT g AS id FROM generate_series(1000, {}) g", 999 + count)
    } else {
        let digits = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL \
                      SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL \
                      SELECT 8 UNION ALL SELECT 9)";
        format!(
            "SELECT 1000 + a.d + 10*b.d + 100*c.d + 1000*e.d + 10000*f.d + 100000*g.d + 1000000*h.d AS id \
             FROM {digits} a, {digits} b, {digits} c, {digits} e, {digits} f, {digits} g, \
             (SELECT 0 d UNION ALL SELECT 1) h"
        )
    };
    let started = Instant::now();
    let insert = format!(
        "INSERT INTO account SELECT id, concat('c', id), concat('body of ', id), id % 1000, id / 8.0, \
         '2024-05-06 07:08:09.123456' FROM ({numbers}) s WHERE id < {}",
        1000 + count
    );
    session.transaction(&[insert]).await.expect("a large transaction");
    let rows = until_equal(&pair, SPACE, Duration::from_secs(900)).await;
    let resident = peak_resident_kib(&child);
    println!(
        "{source:?} -> {target:?}: one transaction, {rows} rows equal after {:.0} s, weir {:.1} CPU s, \
         peak {} MiB",
        started.elapsed().as_secs_f64(),
        cpu_seconds(&child),
        resident / 1024
    );
    assert!(rows >= count);
    assert!(resident < RESIDENT_KIB_MAX, "peak resident memory {resident} KiB");
    kill(&mut child).await;
}
