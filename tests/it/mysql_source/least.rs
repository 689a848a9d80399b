//! The grants that `weir setup` prints are enough for the source, and the fewest.

use std::sync::Arc;
use std::time::Duration;

use weir::link::ports::{Scan, Selection};
use weir::model::schema::Rule;
use weir::model::{ForeignKey, TableName, Value};
use weir::mysql::{catalog, scan};
use weir::position::Position;
use weir::sandbox::{Options, Server};

use super::rig::{Rig, inserted};

/// Broken if a reader took a foreign key for one that changes no rows because the server hides its
/// rules.
#[tokio::test]
async fn a_reader_sees_what_foreign_keys_do() {
    let ddl = "CREATE TABLE p (id int, b int, PRIMARY KEY (id, b));
        CREATE TABLE t (id int PRIMARY KEY, v int, w int,
            CONSTRAINT k FOREIGN KEY (v, w) REFERENCES p (id, b) ON DELETE CASCADE ON UPDATE SET NULL)";
    for server in [Server::MySql97, Server::MariaDb1011] {
        let Some(rig) = Rig::new(server, Options::default(), ddl).await else { return };
        let selection = Selection { include: vec!["app.t".to_owned()], exclude: Vec::new() };
        let tables = catalog::load(&rig.database, rig.database.dialect, &selection).await.unwrap();
        let expected = ForeignKey {
            name: "k".to_owned(),
            parent: TableName::new("app", "p"),
            columns: ["v", "w"].map(str::to_owned).to_vec(),
            parent_columns: ["id", "b"].map(str::to_owned).to_vec(),
            on_delete: Rule::Cascade,
            on_update: Rule::SetNull,
            logged: server == Server::MySql97,
        };
        assert_eq!(tables[0].foreign_keys, [expected]);
    }
}

/// Broken if the printed grants did not suffice for stream, resume check and reads beside it.
#[tokio::test]
async fn the_printed_grants_suffice() {
    let ddl = "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)";
    for server in [Server::MySql97, Server::MariaDb1011] {
        let Some(rig) = Rig::new(server, Options::default(), ddl).await else { return };
        let mut stream = rig.begin().await;
        rig.execute("INSERT INTO t VALUES (2, 2)").await;
        let (changes, commit) = stream.transaction().await;
        rig.source().await.check_resume(&commit.position).await.unwrap();
        rig.same_beside(&[(Value::Int(2), inserted(&changes[0]))]).await;
        let plan = Arc::clone(&rig.plan);
        let mut scan = scan::open(&rig.context, &rig.database, plan).await.unwrap();
        assert!(scan.lag_bytes(&commit.position).await.unwrap().is_some());
        how_long_the_log_is_kept(&rig, scan.as_mut(), &commit.position).await;
        stream.stop().await;
    }
}

/// Broken if a file that weir still reads could be purged without a sign, or a server that purges
/// none seemed about to.
async fn how_long_the_log_is_kept(rig: &Rig, scan: &mut dyn Scan, at: &Position) {
    let expire = |seconds| format!("SET GLOBAL binlog_expire_logs_seconds = {seconds}");
    let eta = async |scan: &mut dyn Scan| scan.retention(at, None).await.unwrap().purge_eta;
    rig.execute(&expire(0)).await;
    assert_eq!(eta(scan).await, None);
    rig.execute(&expire(100)).await;
    assert_eq!(eta(scan).await, Some(Duration::from_secs(100)), "it is still written");
    rig.execute("FLUSH BINARY LOGS").await;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let later = eta(scan).await.unwrap().as_secs();
    assert!((80..=98).contains(&later), "{later} s");
    let head = scan.head().await.unwrap();
    assert_eq!(head.transactions_since(at), Some(0));
    rig.execute("INSERT INTO t VALUES (3, 3); INSERT INTO t VALUES (4, 4)").await;
    let head = scan.head().await.unwrap();
    assert_eq!(head.transactions_since(at), Some(2));
}
