//! A link that begins at a place that a person gives: a dump's GTIDs, or its file and position.

use std::time::Duration;

use weir::error::{Error, Kind};
use weir::model::Value;
use weir::position::{Coordinates, Position};
use weir::sandbox::{Options, Server};

use super::places::without_gtids;
use super::resume::TABLE;
use super::rig::{PATIENCE, Rig, follow, inserted};

const STRANGER: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1";

/// What stands in the head of a dump that is made now: GTIDs, and file and position.
async fn head(rig: &Rig) -> (String, Coordinates) {
    let (status, gtids) = match rig.server.kind() {
        Server::MariaDb1011 => ("SHOW MASTER STATUS", "SELECT @@GLOBAL.gtid_binlog_pos"),
        _ => ("SHOW BINARY LOG STATUS", "SELECT @@GLOBAL.gtid_executed"),
    };
    let row = rig.server.query(status).await.unwrap().remove(0);
    let (file, position) = (row[0].clone().unwrap(), row[1].clone().unwrap());
    let gtids = rig.server.query(gtids).await.unwrap().remove(0).remove(0);
    (gtids.unwrap_or_default(), Coordinates::new(file, position.parse().unwrap()))
}

/// As the configuration has it: by GTIDs, or by place.
fn by_gtids(server: Server, gtids: &str) -> Position {
    match server {
        Server::MariaDb1011 => Position::Mariadb(gtids.parse().unwrap(), None),
        _ => Position::Mysql(gtids.parse().unwrap(), None),
    }
}

fn by_place(server: Server, at: Coordinates) -> Position {
    match server {
        Server::MariaDb1011 => Position::Mariadb(Default::default(), Some(at)),
        _ => Position::MysqlPlace(Default::default(), at),
    }
}

async fn refused(rig: &Rig, place: &Position, kind: Kind, words: &str) -> Error {
    let error = rig.source().await.begin_at(place).await.expect_err("refused");
    assert_eq!(error.kind(), kind, "{place}: {}", error.chain());
    assert!(error.chain().contains(words), "{place}: {}", error.chain());
    error
}

/// Begins at a place and reads on: the first row is that of `id`.
async fn begins(rig: &Rig, place: &Position, id: i64) {
    let mut source = rig.source().await;
    let from = source.begin_at(place).await.unwrap();
    source.check_resume(&from).await.unwrap();
    let mut stream = follow(source, from, None);
    let (changes, _) = stream.transaction().await;
    assert_eq!(inserted(&changes[0])[0], Value::Int(id), "{place}");
    stream.stop().await;
}

/// Purges all files of the log but the newest.
async fn purge(rig: &Rig) {
    rig.execute("FLUSH BINARY LOGS; INSERT INTO t VALUES (9, 0)").await;
    let newest = head(rig).await.1.file;
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        rig.execute(&format!("PURGE BINARY LOGS TO '{newest}'")).await;
        if rig.server.query("SHOW BINARY LOGS").await.unwrap().len() == 1 {
            return;
        }
        assert!(tokio::time::Instant::now() < until, "the log is not purged");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn given_by_place(server: Server, options: Options) {
    let Some(rig) = Rig::new(server, options, TABLE).await else { return };
    rig.execute("INSERT INTO t VALUES (1, 0)").await;
    let (_, at) = head(&rig).await;
    rig.execute("BEGIN; INSERT INTO t VALUES (2, 0); INSERT INTO t VALUES (3, 0); COMMIT").await;
    begins(&rig, &by_place(server, at.clone()), 2).await;
    let (_, end) = head(&rig).await;
    let sql = format!("SHOW BINLOG EVENTS IN '{}' FROM {}", at.file, at.position);
    let events = rig.server.query(&sql).await.unwrap();
    let within: Vec<u64> =
        events.iter().skip(1).map(|event| event[1].as_deref().unwrap().parse().unwrap()).collect();
    assert!(within.len() >= 3, "{within:?}");
    for position in within.into_iter().chain([at.position + 1, at.position - 1, at.position + 20]) {
        let place = by_place(server, Coordinates::new(at.file.clone(), position));
        refused(&rig, &place, Kind::Configuration, "begins no transaction").await;
    }
    let place = by_place(server, Coordinates::new(at.file.clone(), end.position + 1));
    refused(&rig, &place, Kind::Configuration, "is not in it").await;
    let base = at.file.rsplit_once('.').unwrap().0;
    let place = by_place(server, Coordinates::new(format!("{base}.900000"), 4));
    refused(&rig, &place, Kind::Configuration, "has no file").await;
    // The end of the log, and the start of a file.
    rig.execute("FLUSH BINARY LOGS").await;
    begins_next(&rig, &by_place(server, end), 4).await;
    purge(&rig).await;
    let error = refused(&rig, &by_place(server, at), Kind::Gap, "has no file").await;
    assert!(error.hint_for("a:b").contains("start = \"snapshot\""), "{error:?}");
    let first = Coordinates::new(head(&rig).await.1.file, 4);
    begins(&rig, &by_place(server, first), 9).await;
}

/// As [`begins`], with a row that is written first.
async fn begins_next(rig: &Rig, place: &Position, id: i64) {
    rig.execute(&format!("INSERT INTO t VALUES ({id}, 0)")).await;
    begins(rig, place, id).await;
}

async fn given_by_gtid(server: Server, stranger: &str) {
    let Some(rig) = Rig::new(server, Options::default(), TABLE).await else { return };
    rig.execute("INSERT INTO t VALUES (1, 0)").await;
    let (gtids, at) = head(&rig).await;
    begins_next(&rig, &by_gtids(server, &gtids), 2).await;
    let error = refused(&rig, &by_gtids(server, stranger), Kind::Configuration, "never").await;
    assert!(error.hint_for("a:b").contains("this very server's log"), "{error:?}");
    if server == Server::MySql97 {
        let error = refused(&rig, &by_place(server, at), Kind::Configuration, "gtid_mode").await;
        assert!(error.hint_for("a:b").contains("GTID_PURGED"), "{error:?}");
    }
    purge(&rig).await;
    let error = refused(&rig, &by_gtids(server, &gtids), Kind::Gap, "has purged").await;
    assert!(error.hint_for("a:b").contains("binlog_expire_logs_seconds"), "{error:?}");
    let (gtids, _) = head(&rig).await;
    begins_next(&rig, &by_gtids(server, &gtids), 10).await;
}

/// Broken if a link began after a gap or within a transaction, or at a place in another server's log; or
/// if a DBA were not told what to give instead.
#[tokio::test]
async fn a_given_start_is_a_place_between_two_transactions_mysql() {
    given_by_gtid(Server::MySql97, STRANGER).await;
    given_by_place(Server::MySql97, without_gtids()).await;
    let Some(rig) = Rig::new(Server::MySql97, without_gtids(), TABLE).await else { return };
    let place = by_gtids(Server::MySql97, STRANGER);
    refused(&rig, &place, Kind::Configuration, "gtid_mode is not ON").await;
}

/// As above.
#[tokio::test]
async fn a_given_start_is_a_place_between_two_transactions_mariadb() {
    given_by_gtid(Server::MariaDb1011, "0-77-1").await;
    given_by_place(Server::MariaDb1011, Options::default()).await;
}
