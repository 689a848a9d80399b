//! The bench: what a backlog costs beside the ceilings of the two servers, measured in one run.
//!
//! Ceilings: the source's log read and thrown away by a bare reader, and the same changes written
//! to the target in bulk by a bare writer. The ratio is weir's drain rate to the lower of both. Also
//! weir's own CPU per change in bulk and in one-row transactions, the latency of single rows, the
//! first change after a start, idle CPU and peak memory. `BENCH_SCALE` (1.0) scales the backlog;
//! `ACCEPTANCE_DIRECTION` picks one direction. On a shared machine trust the ratios and the CPU.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStreamRequest, Value as Parameter};
use tokio::process::Child;
use weir::sandbox::{Running, Server};

use crate::crash::{SPACE, kill};
use crate::harness::{Pair, execute_in, until};
use crate::load::{Session, insert_accounts};
use crate::million::{cpu_seconds, load, peak_resident_kib, start};

/// The last change of a backlog: an account with this id.
const SENTINEL: u64 = 900_000_001;
/// One-row transactions of a backlog.
const SINGLES: u64 = 50_000;
/// Rows of a statement of the bare writer.
const CHUNK: u64 = 1_000;

/// All figures of one direction.
pub async fn bench(source: Server, target: Server, scale: f64) {
    let accounts = (500_000.0 * scale) as u64;
    let (pair, weir) = start(source, target, "bench").await;
    println!("{source:?} -> {target:?}");
    let changes = load(&pair, accounts).await + mark(&pair, 0).await;
    let read = rate(changes, drain_source(&pair.source).await);
    let written = rate(changes, write_bare(&pair.target, accounts).await);

    let started = Instant::now();
    let mut child = weir.spawn(&["run"]);
    let first = arrival(&pair, 501).await.duration_since(started);
    let drained = rate(changes, arrival(&pair, SENTINEL).await.duration_since(started));
    let bulk_cpu = cpu_seconds(&child) * 1e6 / changes as f64;
    println!(
        "  backlog of {changes}: {drained:.0}/s, {:.2} of the lower of source alone {read:.0}/s and bulk \
         apply alone {written:.0}/s; own CPU {bulk_cpu:.1} us/change; first change after {:.2} s; peak {} MiB",
        drained / read.min(written),
        first.as_secs_f64(),
        peak_resident_kib(&child) / 1024
    );
    idle(&child).await;
    latency(&pair).await;
    kill(&mut child).await;

    let singles = singles(&pair).await + mark(&pair, 1).await;
    let started = Instant::now();
    let mut child = weir.spawn(&["run"]);
    let drained = rate(singles, arrival(&pair, SENTINEL + 1).await.duration_since(started));
    println!(
        "  {singles} one-row transactions: {drained:.0}/s, own CPU {:.1} us/change, peak {} MiB",
        cpu_seconds(&child) * 1e6 / singles as f64,
        peak_resident_kib(&child) / 1024
    );
    kill(&mut child).await;
}

fn rate(changes: u64, took: Duration) -> f64 {
    changes as f64 / took.as_secs_f64()
}

async fn mark(pair: &Pair, number: u64) -> u64 {
    let mut session = Session::open(&pair.source, SPACE).await;
    session.transaction(&[insert_accounts(SENTINEL + number, 1)]).await.expect("sentinel");
    1
}

/// When an account is seen at the target.
async fn arrival(pair: &Pair, id: u64) -> Instant {
    let mut session = Session::open(&pair.target, SPACE).await;
    let query = format!("SELECT 1 FROM account WHERE id = {id}");
    let mut at = Instant::now();
    until("a change at the target", Duration::from_secs(900), async || {
        at = Instant::now();
        !session.lines(&query).await.expect("target").is_empty()
    })
    .await;
    at
}

/// Reads the backlog and throws it away.
async fn drain_source(source: &Running) -> Duration {
    if source.kind().is_postgres() {
        let mut session = Session::open(source, SPACE).await;
        let slot = session.lines("SELECT slot_name FROM pg_replication_slots").await.expect("slot");
        let publication = session.lines("SELECT pubname FROM pg_publication").await.expect("name");
        let peek = format!(
            "SELECT count(*), sum(length(data)) FROM pg_logical_slot_peek_binary_changes('{}', NULL, NULL, \
             'proto_version', '1', 'publication_names', '{}')",
            slot[0], publication[0]
        );
        let started = Instant::now();
        session.lines(&peek).await.expect("peek");
        return started.elapsed();
    }
    let mut conn = source.connect_mysql().await.expect("connect");
    let checksum = "SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32', \
                    @mariadb_slave_capability = 4";
    conn.query_drop(checksum).await.expect("prepare the dump");
    let request = BinlogStreamRequest::new(4_000_000_001).with_non_blocking();
    let mut stream = conn.get_binlog_stream(request).await.expect("dump");
    let started = Instant::now();
    while let Some(event) = stream.next().await {
        event.expect("event");
    }
    started.elapsed()
}

/// Writes as many rows as the backlog has, in bulk, to a table of the same shape.
async fn write_bare(target: &Running, accounts: u64) -> Duration {
    let like = if target.kind().is_postgres() {
        "CREATE TABLE ceiling (LIKE account INCLUDING ALL)"
    } else {
        "CREATE TABLE ceiling LIKE account"
    };
    execute_in(target, SPACE, like).await;
    let mut writer = Session::open(target, SPACE).await;
    let started = Instant::now();
    for turn in [accounts, accounts * 4 / 5] {
        for from in (1..=turn).step_by(CHUNK as usize) {
            upsert_chunk(&mut writer, target.kind(), from).await;
        }
    }
    for from in (1..=accounts / 5).step_by(CHUNK as usize) {
        let delete =
            format!("DELETE FROM ceiling WHERE id BETWEEN {from} AND {}", from + CHUNK - 1);
        writer.transaction(&[delete]).await.expect("delete");
    }
    let took = started.elapsed();
    execute_in(target, SPACE, "DROP TABLE ceiling").await;
    took
}

async fn upsert_chunk(writer: &mut Session, kind: Server, from: u64) {
    let body = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod";
    let row = |id: u64| {
        let (code, amount) = (format!("c{:08}", id * 7), format!("{}.{:04}", id, id % 10_000));
        [id.to_string(), code, body.to_owned(), (id % 1000).to_string(), amount]
    };
    let at = "2024-05-06 07:08:09.123456";
    let rows = (from..from + CHUNK).map(row);
    match writer {
        Session::Postgres(client) => {
            let mut columns: [Vec<String>; 5] = Default::default();
            for row in rows {
                columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
            }
            let [ids, codes, bodies, numbers, amounts] = &columns;
            let upsert = "INSERT INTO ceiling SELECT a::int8, b, c, d::int4, e::numeric, $6::text::timestamp \
                FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) s(a, b, c, d, e) \
                ON CONFLICT (id) DO UPDATE SET code = excluded.code, body = excluded.body, n = excluded.n, \
                amount = excluded.amount, at = excluded.at";
            client
                .execute(upsert, &[ids, codes, bodies, numbers, amounts, &at])
                .await
                .expect("bulk");
        }
        Session::Mysql(conn) => {
            let update = "ON DUPLICATE KEY UPDATE code = VALUES(code), body = VALUES(body), n = VALUES(n), \
                          amount = VALUES(amount), at = VALUES(at)";
            let parameters =
                rows.map(|row| row.into_iter().map(Parameter::from).chain([Parameter::from(at)]));
            if kind.is_mariadb() {
                let one = format!("INSERT INTO ceiling VALUES (?,?,?,?,?,?) {update}");
                let rows: Vec<Vec<Parameter>> = parameters.map(Iterator::collect).collect();
                conn.query_drop("BEGIN").await.expect("begin");
                conn.exec_batch(one, rows).await.expect("bulk");
                conn.query_drop("COMMIT").await.expect("commit");
            } else {
                let places = vec!["(?,?,?,?,?,?)"; CHUNK as usize].join(",");
                let many = format!("INSERT INTO ceiling VALUES {places} {update}");
                conn.exec_drop(many, parameters.flatten().collect::<Vec<_>>()).await.expect("bulk");
            }
        }
    }
}

async fn idle(child: &Child) {
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = cpu_seconds(child);
    tokio::time::sleep(Duration::from_secs(20)).await;
    println!("  idle: {:.2} % of a core", (cpu_seconds(child) - before) * 100.0 / 20.0);
}

/// Single-row transactions at 500/s for ten seconds: from the commit's return to visible.
async fn latency(pair: &Pair) {
    const ROWS: u64 = 5_000;
    const FROM: u64 = 700_000_000;
    let mut reader = Session::open(&pair.target, SPACE).await;
    let sampler = tokio::spawn(async move {
        let mut seen = Vec::with_capacity(ROWS as usize);
        while seen.len() < ROWS as usize {
            let next = FROM + seen.len() as u64;
            let query =
                format!("SELECT id FROM account WHERE id BETWEEN {next} AND {}", FROM + ROWS);
            let rows = reader.lines(&query).await.expect("target").len();
            seen.resize(seen.len() + rows, Instant::now());
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        seen
    });
    let mut session = Session::open(&pair.source, SPACE).await;
    if let Session::Postgres(client) = &session {
        // Only what is flushed is sent, and an asynchronous commit is flushed when it suits.
        client.batch_execute("SET synchronous_commit = on").await.expect("setting");
    }
    let mut beat = tokio::time::interval(Duration::from_millis(2));
    let mut committed = Vec::with_capacity(ROWS as usize);
    for id in FROM..FROM + ROWS {
        beat.tick().await;
        session.transaction(&[insert_accounts(id, 1)]).await.expect("row");
        committed.push(Instant::now());
    }
    let seen = sampler.await.expect("sampler");
    let waits = seen.iter().zip(&committed).map(|(seen, at)| seen.saturating_duration_since(*at));
    let mut waits: Vec<Duration> = waits.collect();
    waits.sort_unstable();
    let millis = |part: usize| waits[waits.len() * part / 100].as_secs_f64() * 1e3;
    println!("  latency at 500/s: p50 {:.1} ms, p99 {:.1} ms", millis(50), millis(99));
}

/// A backlog of updates of one row each.
async fn singles(pair: &Pair) -> u64 {
    let mut session = Session::open(&pair.source, SPACE).await;
    for round in 0..SINGLES {
        let id = 700_000_000 + round % 5_000;
        let update = format!("UPDATE account SET n = {round}, body = 'one' WHERE id = {id}");
        session.transaction(&[update]).await.expect("update");
    }
    SINGLES
}
