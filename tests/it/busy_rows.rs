//! A source that logs rows in part and never rests: what is read again there comes to an end all the
//! same, row by row and for who waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use weir::sandbox::{Options, Server, require};

use crate::harness::{Pair, Weir, execute_in, query_in, until};
use crate::load::Session;

const SPACE: &str = "busy";
const SOON: Duration = Duration::from_secs(30);

/// Inserts rows that do not name every column, and changes one row in each transaction.
fn load(pair: &Arc<Pair>, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (pair, stop) = (Arc::clone(pair), Arc::clone(stop));
    tokio::spawn(async move {
        let mut session = Session::open(&pair.source, SPACE).await;
        let mut id = 0;
        while !stop.load(Ordering::Relaxed) {
            id += 1;
            let insert = format!("INSERT INTO part (id) VALUES ({id})");
            let update = format!("UPDATE hot SET n = {id} WHERE id = 1");
            session.transaction(&[insert, update]).await.expect("load");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
}

/// Broken if a row that changes all the time were never read again, or written as it was before a
/// change; if waiting, or catching up, never ended while new rows are to be read again; or if rows
/// that came in part counted as missing.
async fn never_rests(source: Server, target: Server) {
    let options = Options::default().set("binlog_row_image", "MINIMAL");
    let Some(source) = require(source, options).await.expect("source") else { return };
    let Some(target) = require(target, Options::default()).await.expect("target") else { return };
    let pair = Arc::new(Pair::of(source, target).await);
    pair.create_space(SPACE).await;
    for server in [&pair.source, &pair.target] {
        let hot = "CREATE TABLE hot (id INT PRIMARY KEY, n INT, a VARCHAR(10))";
        execute_in(server, SPACE, hot).await;
        let part = "CREATE TABLE part (id INT PRIMARY KEY, n INT DEFAULT 7)";
        execute_in(server, SPACE, part).await;
    }
    let weir = Weir::new(&pair, SPACE, SPACE, "");
    weir.set_up().await;
    execute_in(&pair.source, SPACE, "INSERT INTO hot VALUES (1, 0, 'whole')").await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = load(&pair, &stop);
    let mut child = weir.spawn(&["run"]);
    for _ in 0..3 {
        execute_in(&pair.target, SPACE, "DELETE FROM hot").await;
        until("the busy row comes back", SOON, async || {
            query_in(&pair.target, SPACE, "SELECT a FROM {space}.hot").await == ["whole"]
        })
        .await;
        weir.run(&["wait", "left:right", "--timeout", "20s"]).await.expect_code(0);
    }
    child.start_kill().expect("killed");
    child.wait().await.expect("ended");
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    assert!(!writer.is_finished(), "the load has ended by itself");
    stop.store(true, Ordering::Relaxed);
    writer.await.expect("load");
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    for table in ["hot", "part"] {
        let sql = format!("SELECT * FROM {{space}}.{table} ORDER BY id");
        let expected = query_in(&pair.source, SPACE, &sql).await;
        assert_eq!(query_in(&pair.target, SPACE, &sql).await, expected, "{table}");
    }
    let notes = pair.target.query("SELECT count(*) FROM weir.missed").await.expect("notes");
    assert_eq!(notes, [[Some("0".to_owned())]]);
}

/// See [`never_rests`].
#[tokio::test]
async fn busy_rows_mysql_to_postgres() {
    never_rests(Server::MySql97, Server::Postgres18).await;
}

/// See [`never_rests`].
#[tokio::test]
async fn busy_rows_mariadb_to_mysql() {
    never_rests(Server::MariaDb1011, Server::MySql97).await;
}
