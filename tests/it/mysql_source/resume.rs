//! Where a stream takes up again, and when it must not.

use std::sync::Arc;

use std::time::Duration;

use weir::error::{Disposition, Kind};
use weir::model::Value;
use weir::mysql::scan;
use weir::position::Position;
use weir::sandbox::{Options, Server};

use super::rig::{PATIENCE, Rig, follow, inserted};
use crate::rights::READER;

pub(super) const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, v int)";

/// Rotation, restart at a commit, restart of the server; nothing comes twice or is missing.
pub(super) async fn resumes(server: Server, options: Options) {
    let Some(mut rig) = Rig::new(server, options, TABLE).await else { return };
    let mut stream = rig.begin().await;
    let start = stream.from.clone();
    rig.execute("INSERT INTO t VALUES (1, 1); FLUSH BINARY LOGS; INSERT INTO t VALUES (2, 2)")
        .await;
    let (_, first) = stream.transaction().await;
    let (second, commit) = stream.transaction().await;
    assert_eq!(inserted(&second[0])[0], Value::Int(2));
    assert!(commit.position.reaches(&first.position) && first.position.reaches(&start));
    assert!(commit.position.coordinates() > first.position.coordinates());
    stream.stop().await;

    // From the stored text of the first commit, as after a restart of weir.
    let stored: Position = first.position.to_string().parse().unwrap();
    rig.server.restart().await.unwrap();
    let mut source = rig.source().await;
    source.check_resume(&stored).await.unwrap();
    let mut stream = follow(source, stored, None);
    let (again, same) = stream.transaction().await;
    assert_eq!((&again, &same.position), (&second, &commit.position));
    rig.execute("INSERT INTO t VALUES (3, 3)").await;
    let (third, last) = stream.transaction().await;
    assert_eq!(inserted(&third[0])[0], Value::Int(3));

    let mut scan = scan::open(&rig.context, &rig.database, Arc::clone(&rig.plan)).await.unwrap();
    let head = scan.head().await.unwrap();
    assert!(last.position.reaches(&head) && head.reaches(&last.position));
    assert_eq!(scan.lag_bytes(&last.position).await.unwrap(), Some(0));
    let behind = scan.lag_bytes(&first.position).await.unwrap();
    assert!(behind.is_some_and(|bytes| bytes > 100), "{behind:?}");
    stream.stop().await;
}

/// Broken if a resume skipped or repeated a transaction.
#[tokio::test]
async fn a_stream_resumes_at_its_commit_mysql() {
    resumes(Server::MySql97, Options::default()).await;
}

/// As above.
#[tokio::test]
async fn a_stream_resumes_at_its_commit_mariadb() {
    resumes(Server::MariaDb1011, Options::default()).await;
}

/// What is purged is a gap, before the stream and in it; another server is recognised.
pub(super) async fn refuses(server: Server, options: Options) {
    let Some(rig) = Rig::new(server, options, TABLE).await else { return };
    rig.execute("INSERT INTO t VALUES (1, 1)").await;
    let mut source = rig.source().await;
    let witness = source.begin().await.unwrap();
    rig.execute("FLUSH BINARY LOGS; INSERT INTO t VALUES (2, 2); FLUSH BINARY LOGS").await;
    source.check_resume(&witness).await.unwrap();
    let newest = scan::open(&rig.context, &rig.database, Arc::clone(&rig.plan))
        .await
        .unwrap()
        .head()
        .await
        .unwrap();
    let file = newest.coordinates().unwrap().file.clone();
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        rig.execute(&format!("PURGE BINARY LOGS TO '{file}'")).await;
        if rig.server.query("SHOW BINARY LOGS").await.unwrap().len() == 1 {
            break;
        }
        assert!(tokio::time::Instant::now() < until, "the log is not purged");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let error = source.check_resume(&witness).await.expect_err("a gap");
    assert_eq!(error.kind(), Kind::Gap, "{}", error.chain());
    let (said, hint) = (error.chain(), error.operator_hint());
    assert!(said.contains(&format!("begins with {file}")), "{said}");
    assert!(hint.contains("binlog_expire_logs_seconds = "), "{hint}");
    let error = follow(source, witness, None).error().await;
    assert_eq!(error.kind(), Kind::Gap, "{}", error.chain());
    let mut source = rig.source().await;
    source.check_resume(&newest).await.unwrap();

    // A fresh server behind the same address: it knows nothing of the witness.
    let other = Rig::new(server, Options::default(), TABLE).await.unwrap();
    let error = other.source().await.check_resume(&newest).await.expect_err("another server");
    assert_eq!(error.kind(), Kind::Identity, "{}", error.chain());
    assert_ne!(other.source().await.identity(), source.identity());
}

/// Broken if changes missing from the log were passed over in silence.
#[tokio::test]
async fn gaps_and_strangers_are_refused_mysql() {
    refuses(Server::MySql97, Options::default()).await;
}

/// As above.
#[tokio::test]
async fn gaps_and_strangers_are_refused_mariadb() {
    refuses(Server::MariaDb1011, Options::default()).await;
}

pub(super) async fn begun_anew(server: Server, options: Options) {
    let Some(rig) = Rig::new(server, options, TABLE).await else { return };
    let mut stream = rig.begin().await;
    rig.execute("FLUSH BINARY LOGS; FLUSH BINARY LOGS; INSERT INTO t VALUES (1, 1)").await;
    let (_, commit) = stream.transaction().await;
    stream.stop().await;
    let mut source = rig.source().await;
    source.check_resume(&commit.position).await.unwrap();
    let reset = match server {
        Server::MySql97 => "RESET BINARY LOGS AND GTIDS",
        _ => "RESET MASTER",
    };
    // The time of a file is known to the second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let grow = "UPDATE t SET v = v + 1;".repeat(40);
    for (sql, word) in [
        (format!("{reset}; {grow}"), "ends before"),
        (format!("FLUSH BINARY LOGS; FLUSH BINARY LOGS; {grow}"), "is another one"),
        (format!("FLUSH BINARY LOGS; {grow}"), "is another one"),
    ] {
        rig.execute(&sql).await;
        let error = source.check_resume(&commit.position).await.expect_err("a log begun anew");
        assert_eq!(error.kind(), Kind::Identity, "{}", error.chain());
        assert!(error.chain().contains(word) && error.chain().contains("was reset"), "{error}");
    }
}

/// Broken if a log that was begun anew were read on from a place that it has not reached, or has
/// reached again: its GTIDs are those of other transactions.
#[tokio::test]
async fn a_log_begun_anew_is_recognised() {
    for server in [Server::MySql97, Server::MariaDb1011] {
        begun_anew(server, Options::default()).await;
    }
}

/// Broken if a transaction that the server did not finish logging when it crashed halted the link
/// for ever, or was applied although the server rolled it back.
#[tokio::test]
async fn what_a_crash_left_unfinished_is_passed_over() {
    const XID_BYTES: u64 = 31;
    let Some(mut rig) = Rig::new(Server::MariaDb1011, Options::default(), TABLE).await else {
        return;
    };
    let mut source = rig.source().await;
    let from = source.begin().await.unwrap();
    rig.execute("INSERT INTO t VALUES (1, 1); INSERT INTO t VALUES (2, 2)").await;
    let status = rig.server.query("SHOW MASTER STATUS").await.unwrap();
    let file = rig.server.data_dir().join(status[0][0].clone().unwrap());
    rig.server.kill().await.unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(file.metadata().unwrap().len() - XID_BYTES).unwrap();
    rig.server.start_again().await.unwrap();
    rig.execute("INSERT INTO t VALUES (3, 3)").await;
    let mut stream = follow(source, from, None);
    for id in [1, 3] {
        let (changes, commit) = stream.transaction().await;
        assert_eq!(
            changes.iter().map(|one| &inserted(one)[0]).collect::<Vec<_>>(),
            [&Value::Int(id)]
        );
        rig.source().await.check_resume(&commit.position).await.unwrap();
    }
    stream.stop().await;
}

/// MariaDB has no server uuid: a server with the same id and a longer history is told by what its
/// log holds at the witness's place.
#[tokio::test]
async fn a_mariadb_with_the_same_server_id_is_recognised() {
    let options = || Options::default().set("server_id", "77");
    let Some(one) = Rig::new(Server::MariaDb1011, options(), TABLE).await else { return };
    one.execute("INSERT INTO t VALUES (1, 1)").await;
    let mut source = one.source().await;
    let witness = source.begin().await.unwrap();
    source.check_resume(&witness).await.unwrap();
    let two = Rig::new(Server::MariaDb1011, options(), TABLE).await.unwrap();
    two.execute("INSERT INTO t VALUES (1, 1), (2, 2); INSERT INTO t VALUES (3, 3), (4, 4)").await;
    let mut source = two.source().await;
    let error = source.check_resume(&witness).await.expect_err("another server");
    assert_eq!(error.kind(), Kind::Identity, "{}", error.chain());
}

/// Broken if an idle source looked stuck: heartbeats must move the position.
#[tokio::test]
async fn an_idle_source_shows_progress() {
    for server in [Server::MySql97, Server::MariaDb1011] {
        let Some(rig) = Rig::new(server, Options::default(), TABLE).await else { return };
        let mut stream = rig.begin().await;
        rig.execute("FLUSH BINARY LOGS").await;
        let until = tokio::time::Instant::now() + PATIENCE;
        let commit = loop {
            assert!(tokio::time::Instant::now() < until, "no heartbeat");
            let queued = stream.parts.receive().await.unwrap();
            let moved = queued.part.commit.clone().unwrap();
            if queued.part.idle && moved.position.coordinates() > stream.from.coordinates() {
                break moved;
            }
        };
        assert!(commit.position.reaches(&stream.from) && stream.from.reaches(&commit.position));
        rig.source().await.check_resume(&commit.position).await.unwrap();
        stream.stop().await;
    }
}

/// Tagged GTIDs are a MySQL 8.3 feature: a resume must not mix them with untagged ones.
#[tokio::test]
async fn tagged_gtids_resume() {
    let Some(rig) = Rig::new(Server::MySql97, Options::default(), TABLE).await else { return };
    let mut stream = rig.begin().await;
    rig.execute("SET gtid_next = 'AUTOMATIC:mytag'; INSERT INTO t VALUES (1, 1)").await;
    let (_, tagged) = stream.transaction().await;
    assert!(tagged.position.to_string().contains(":mytag:1"), "{}", tagged.position);
    assert!(tagged.time_us > 1_700_000_000_000_000, "{}", tagged.time_us);
    stream.stop().await;
    rig.execute("INSERT INTO t VALUES (2, 2)").await;
    let mut source = rig.source().await;
    source.check_resume(&tagged.position).await.unwrap();
    let mut stream = follow(source, tagged.position, None);
    let (changes, _) = stream.transaction().await;
    assert_eq!(inserted(&changes[0])[0], Value::Int(2));
    stream.stop().await;
}

/// Broken if two readers fought over one server id.
#[tokio::test]
async fn a_server_id_in_use_is_refused() {
    for server in [Server::MySql97, Server::MariaDb1011] {
        let Some(mut rig) = Rig::new(server, Options::default(), TABLE).await else { return };
        let first = rig.begin().await;
        let until = tokio::time::Instant::now() + PATIENCE;
        let sql = if server == Server::MySql97 { "SHOW REPLICAS" } else { "SHOW SLAVE HOSTS" };
        while rig.server.query(sql).await.unwrap().is_empty() {
            assert!(tokio::time::Instant::now() < until, "the stream does not show");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        rig.context.name = "other".to_owned();
        let mut older = first;
        if server == Server::MariaDb1011 {
            // Who reads is shown to those only who may set the server's own id, too, which is more than a
            // reader needs. Without it the older one is cut off, and says why.
            let second = rig.begin().await;
            let error = older.error().await;
            assert_eq!(error.kind(), Kind::Setting, "{}", error.chain());
            assert!(error.chain().contains("same server_uuid/server_id"), "{}", error.chain());
            older = second;
            rig.context.name = "third".to_owned();
            let right = format!("GRANT REPLICATION MASTER ADMIN ON *.* TO {READER}");
            rig.execute(&right).await;
        }
        let error = rig.begin().await.error().await;
        assert_eq!(error.kind(), Kind::Setting, "{}", error.chain());
        assert!(error.chain().contains("4000000001"), "{}", error.chain());
        older.stop().await;
    }
}

/// Broken if a server that goes away, politely or not, halted the link instead of being awaited.
#[tokio::test]
async fn a_server_that_goes_away_is_awaited() {
    for server in [Server::MySql97, Server::MariaDb1011] {
        let Some(mut rig) = Rig::new(server, Options::default(), TABLE).await else { return };
        for hard in [false, true] {
            let mut stream = rig.begin().await;
            rig.execute("DELETE FROM t; INSERT INTO t VALUES (1, 1)").await;
            stream.transaction().await;
            let load = "INSERT INTO t SELECT 10 + MAX(id), 1 FROM t; UPDATE t SET v = v + 1;";
            rig.execute(&load.repeat(50)).await;
            if hard {
                rig.server.kill().await.unwrap()
            } else {
                rig.server.stop().await.unwrap()
            }
            let error = stream.error().await;
            assert_eq!(error.disposition(), Disposition::Retry, "{}", error.chain());
            let gone =
                weir::mysql::source::open(&rig.context, &rig.database, Arc::clone(&rig.plan));
            let error = gone.await.err().expect("no server");
            assert_eq!(error.disposition(), Disposition::Retry, "{}", error.chain());
            rig.server.start_again().await.unwrap();
        }
    }
}
