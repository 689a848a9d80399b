//! A large transaction on its way from a PostgreSQL source: it is at weir before it commits, and in
//! the target only after that, also when weir is killed meanwhile.

use std::time::Duration;

use weir::sandbox::Server;

use crate::crash::kill;
use crate::harness::{Pair, Weir, execute_in, query_in, until};

const SPACE: &str = "streamed";
const LIMIT: Duration = Duration::from_secs(60);

/// Bytes of files in the link's spool.
fn spooled(weir: &Weir) -> u64 {
    let files = std::fs::read_dir(weir.dir.path().join("state/spool/left_right"));
    let files = files.into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

async fn killed_meanwhile(source: Server, target: Server) {
    let Some(pair) = Pair::start(source, target).await else { return };
    pair.source.execute("ALTER SYSTEM SET logical_decoding_work_mem = '64kB'").await.unwrap();
    pair.source.execute("SELECT pg_reload_conf()").await.unwrap();
    pair.create_space(SPACE).await;
    execute_in(&pair.source, SPACE, "CREATE TABLE t (id int PRIMARY KEY, v varchar(400))").await;
    let weir = Weir::new(&pair, "streamed", SPACE, "");
    weir.let_look().await;
    let ddl = weir.run(&["ddl"]).await.expect_code(0).stdout;
    execute_in(&pair.target, SPACE, &ddl).await;
    weir.set_up().await;
    let left_behind = weir.dir.path().join("state/spool/of_old");
    std::fs::create_dir_all(&left_behind).unwrap();
    let client = pair.source.connect_pg().await.unwrap();
    let rows = |from: u32, until: u32| {
        format!(
            "INSERT INTO {SPACE}.t SELECT i, repeat('x', 300) FROM generate_series({from}, {until}) i"
        )
    };
    client.batch_execute(&format!("BEGIN; {}", rows(1, 10_000))).await.unwrap();
    let mut first = weir.spawn(&["run"]);
    until("the transaction is at weir", LIMIT, async || spooled(&weir) > 1 << 20).await;
    assert!(!left_behind.exists());
    kill(&mut first).await;
    assert!(spooled(&weir) > 0);
    let mut second = weir.spawn(&["run"]);
    client
        .batch_execute(&format!("SAVEPOINT a; {}; ROLLBACK TO a", rows(10_001, 20_000)))
        .await
        .unwrap();
    execute_in(&pair.source, SPACE, &format!("INSERT INTO {SPACE}.t VALUES (0, 'small')")).await;
    let count = format!("SELECT count(*), sum(id) FROM {SPACE}.t");
    until("the small one arrives", LIMIT, async || {
        query_in(&pair.target, SPACE, &count).await == ["1\t0"]
    })
    .await;
    until("it is at weir again", LIMIT, async || spooled(&weir) > 1 << 20).await;
    client.batch_execute("COMMIT").await.unwrap();
    until("it arrives whole", LIMIT, async || {
        query_in(&pair.target, SPACE, &count).await == ["10001\t50005000"]
    })
    .await;
    until("its file goes", LIMIT, async || spooled(&weir) == 0).await;
    kill(&mut second).await;
    assert!(!weir.log().contains("halted"));
}

/// Broken if a transaction were applied before its commit, or lost or doubled by a kill while it was
/// in the spool, or if a small transaction waited for it.
#[tokio::test]
async fn open_transactions_survive_a_kill() {
    killed_meanwhile(Server::Postgres15, Server::MySql97).await;
}
