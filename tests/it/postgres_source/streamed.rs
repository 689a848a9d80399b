//! Transactions that the server sends before their commit.

use std::path::Path;
use std::time::{Duration, Instant};

use weir::link::ports::SpoolPlace;
use weir::model::{Change, Op, Value};
use weir::position::Position;
use weir::sandbox::{Options, Server};

use super::rig::{PATIENCE, Rig, Stream, follow};

const T: &str = "CREATE TABLE t (id int PRIMARY KEY, v text)";

/// A stream that keeps open transactions below `folder`, of a server that soon sends them.
async fn begin(server: Server, folder: &Path, bytes_max: u64) -> Option<(Rig, Stream)> {
    let options = Options::default().set("logical_decoding_work_mem", "64kB");
    let rig = Rig::new(server, options, T).await?;
    let mut source = rig.source().await;
    let from = source.begin().await.unwrap();
    source.spool_at(SpoolPlace { directory: folder.join("a_b"), bytes_max });
    Some((rig, follow(source, from, 1 << 20)))
}

/// Inserts rows by number.
fn rows(from: i32, until: i32) -> String {
    format!("INSERT INTO t SELECT i, repeat('x', 300) FROM generate_series({from}, {until}) i")
}

/// Waits until so many transactions are on disk.
async fn kept(folder: &Path, files: usize) {
    let until = Instant::now() + PATIENCE;
    let count = || std::fs::read_dir(folder.join("a_b")).into_iter().flatten().count();
    while count() != files {
        assert!(Instant::now() < until, "{} transactions on disk, not {files}", count());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The keys of a transaction's changes.
fn ids(changes: &[Change]) -> Vec<i32> {
    let row = |change: &Change| match &change.op {
        Op::Insert { after } | Op::Update { after, .. } => after[0].clone(),
        other => panic!("a new row, not {other:?}"),
    };
    let id = |value| match value {
        Value::Int(id) => i32::try_from(id).unwrap(),
        other => panic!("a key, not {other:?}"),
    };
    changes.iter().map(|change| id(row(change))).collect()
}

async fn open_transactions(server: Server) {
    let folder = tempfile::tempdir().unwrap();
    let Some((rig, mut stream)) = begin(server, folder.path(), 1 << 30).await else { return };
    let [first, second, third] = [(); 3].map(|()| rig.server.connect_pg());
    let (first, second, third) =
        (first.await.unwrap(), second.await.unwrap(), third.await.unwrap());
    first.batch_execute(&format!("BEGIN; {}", rows(1, 3000))).await.unwrap();
    kept(folder.path(), 1).await;
    first.batch_execute(&format!("SAVEPOINT a; {}", rows(3001, 6000))).await.unwrap();
    second.batch_execute(&format!("BEGIN; {}", rows(10_001, 13_000))).await.unwrap();
    third.batch_execute(&format!("BEGIN; {}", rows(20_001, 23_000))).await.unwrap();
    kept(folder.path(), 3).await;
    first.batch_execute("ROLLBACK TO a").await.unwrap();
    third.batch_execute("ROLLBACK").await.unwrap();
    kept(folder.path(), 2).await;
    rig.server.execute("INSERT INTO t VALUES (0, 'small')").await.unwrap();
    let (changes, small) = stream.transaction().await;
    assert_eq!(ids(&changes), [0], "{server:?}: a small transaction waits for large ones");
    second.batch_execute("COMMIT").await.unwrap();
    let (changes, before) = stream.transaction().await;
    assert_eq!(ids(&changes), (10_001..=13_000).collect::<Vec<_>>());
    first.batch_execute("UPDATE t SET v = 'z' WHERE id BETWEEN 5 AND 9; COMMIT").await.unwrap();
    let (changes, last) = stream.transaction().await;
    assert_eq!(ids(&changes), (1..=3000).chain(5..=9).collect::<Vec<_>>());
    kept(folder.path(), 0).await;
    assert!(last.position.reaches(&before.position));
    assert!(before.position.reaches(&small.position) && before.position != small.position);
    rolled_back_shape(&rig, &mut stream, folder.path()).await;
    stream.stop().await;
    assert!(!folder.path().join("a_b").exists(), "the spool outlives its stream");
}

/// An ALTER TABLE in a subtransaction that is rolled back, and messages of an application.
async fn rolled_back_shape(rig: &Rig, stream: &mut Stream, folder: &Path) {
    let client = rig.server.connect_pg().await.unwrap();
    client.batch_execute(&format!("BEGIN; {}; SAVEPOINT a", rows(30_001, 33_000))).await.unwrap();
    client.batch_execute("ALTER TABLE t ADD w int").await.unwrap();
    client.batch_execute(&rows(33_001, 36_000)).await.unwrap();
    kept(folder, 1).await;
    client.batch_execute("ROLLBACK TO a; SAVEPOINT b").await.unwrap();
    client.batch_execute(&rows(36_001, 39_000)).await.unwrap();
    client.batch_execute("ROLLBACK TO b; UPDATE t SET v = 'z' WHERE id < 1").await.unwrap();
    let message = "SELECT pg_logical_emit_message(true, 'm', repeat('x', 100000)),
         pg_logical_emit_message(false, 'm', 'at once')";
    client.batch_execute(message).await.unwrap();
    client.batch_execute(&format!("{}; {message}; COMMIT", rows(40_001, 43_000))).await.unwrap();
    let (changes, _) = stream.transaction().await;
    let expected = (30_001..=33_000).chain(0..=0).chain(40_001..=43_000);
    assert_eq!(ids(&changes), expected.collect::<Vec<_>>());
}

/// Broken if a large transaction were handed on before its commit, out of order, in part, or with
/// what was rolled back in it, or if it held up small ones.
#[tokio::test]
async fn open_transactions_wait_on_disk() {
    open_transactions(Server::Postgres15).await;
    open_transactions(Server::Postgres18).await;
}

/// Broken if a full spool lost or doubled a transaction, ended the stream, or was filled for ever.
#[tokio::test]
async fn a_full_spool_leaves_open_transactions_to_the_server() {
    for server in [Server::Postgres15, Server::Postgres18] {
        let folder = tempfile::tempdir().unwrap();
        let Some((rig, mut stream)) = begin(server, folder.path(), 1 << 20).await else { return };
        let client = rig.server.connect_pg().await.unwrap();
        rig.server.execute("INSERT INTO t VALUES (0, 'before')").await.unwrap();
        client.batch_execute(&format!("BEGIN; {}", rows(1, 2000))).await.unwrap();
        kept(folder.path(), 1).await;
        client.batch_execute(&rows(2001, 12_000)).await.unwrap();
        let until = Instant::now() + PATIENCE;
        while folder.path().join("a_b").exists() {
            assert!(Instant::now() < until, "{server:?}: the spool is still there");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        rig.server.execute("INSERT INTO t VALUES (20000, 'between')").await.unwrap();
        assert_eq!(ids(&stream.transaction().await.0), [0]);
        assert_eq!(ids(&stream.transaction().await.0), [20_000], "{server:?}");
        client.batch_execute("COMMIT").await.unwrap();
        let (changes, commit) = stream.transaction().await;
        assert_eq!(ids(&changes), (1..=12_000).collect::<Vec<_>>());
        stream.durable.send(commit.position.clone()).unwrap();
        stream.stop().await;
        assert!(commit.position.reaches(&Position::Postgres(rig.confirmed().await)));
    }
}
