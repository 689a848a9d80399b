//! A PostgreSQL cluster that is busy in a database which weir does not read: its log must not pile up.

use std::time::Duration;

use weir::sandbox::Server;

use crate::harness::{Pair, Weir, execute_in, query_in, until};

const SPACE: &str = "idle";
/// The server is asked how far it has read every ten seconds.
const SOON: Duration = Duration::from_secs(40);
/// What the other database writes to, and writes again and again.
const WRITES: &str = "CREATE TABLE busy (id int, v text)";
const WRITE: &str = "INSERT INTO busy SELECT i, repeat('x', 100) FROM generate_series(1, 200) i";

async fn slot_moves(source: Server, target: Server, heartbeat: &str) {
    let Some(pair) = Pair::start(source, target).await else { return };
    pair.create_space(SPACE).await;
    execute_in(&pair.source, SPACE, "CREATE TABLE t (id INT PRIMARY KEY)").await;
    let mut weir = Weir::new(&pair, SPACE, SPACE, "");
    weir.append("[apply]\nidle_witness_every = \"1s\"\n");
    let text = std::fs::read_to_string(weir.config()).expect("weir.toml");
    let text = text.replace("[database.left]\n", &format!("[database.left]\n{heartbeat}"));
    std::fs::write(weir.config(), text).expect("weir.toml");
    weir.let_look().await;
    let ddl = weir.run(&["ddl"]).await.expect_code(0).stdout;
    execute_in(&pair.target, SPACE, &ddl).await;
    weir.set_up().await;
    pair.source.execute("CREATE DATABASE other").await.expect("another database");
    let mut other = pair.source.pg_config();
    let (client, connection) =
        other.dbname("other").connect(tokio_postgres::NoTls).await.expect("connect");
    tokio::spawn(connection);
    client.batch_execute(WRITES).await.expect("a table");
    let busy = tokio::spawn(async move {
        loop {
            client.batch_execute(WRITE).await.expect("write");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut child = weir.spawn(&["run"]);
    until("weir streams", SOON, async || weir.log().contains("streaming")).await;
    // Twice: what the start itself acknowledges is no progress.
    for _ in 0..2 {
        let head = "SELECT pg_current_wal_insert_lsn()";
        let head = query_in(&pair.source, SPACE, head).await.remove(0);
        let moved = format!(
            "SELECT bool_and(confirmed_flush_lsn > '{head}' AND active) FROM pg_replication_slots"
        );
        until("the slot moves on", SOON, async || {
            query_in(&pair.source, SPACE, &moved).await == ["t"]
        })
        .await;
    }
    assert!(!busy.is_finished(), "the other database was busy all the time");
    busy.abort();
    execute_in(&pair.source, SPACE, "INSERT INTO t VALUES (1)").await;
    until("the row arrives", SOON, async || {
        query_in(&pair.target, SPACE, "SELECT id FROM {space}.t").await == ["1"]
    })
    .await;
    child.kill().await.expect("stopped");
}

/// Broken if the log of a cluster piled up for a link whose own database is idle while another one is
/// never done writing, with or without heartbeats.
#[tokio::test]
async fn a_slot_moves_while_another_database_is_busy() {
    tokio::join!(
        slot_moves(Server::Postgres15, Server::Postgres18, ""),
        slot_moves(Server::Postgres18, Server::Postgres15, "heartbeat = \"30s\"\n"),
    );
}
