//! What people do to rows that are set aside, at both sides and by `weir dead-letters`: hold locks, delete
//! rows, empty tables, drop letters.

use weir::sandbox::Server;

use super::{SOON, SPACE, letters, prepare_with, rows, until_alike, until_arrived};
use crate::crash::kill;
use crate::harness::{Pair, Weir, execute_in, query_in, until};
use crate::load::Session;

async fn until_letters(pair: &Pair, expected: &[&str]) {
    until(&format!("{expected:?}"), SOON, async || letters(pair).await == expected).await;
}

/// Broken if a lock that somebody holds on a row that is tried stopped the link, or if the row did not
/// come once it is free.
async fn locked(pair: &Pair, weir: &Weir) {
    execute_in(&pair.source, SPACE, "UPDATE account SET n = 502 WHERE id = 2").await;
    let mut holder = Session::open(&pair.target, SPACE).await;
    holder.lines("BEGIN").await.expect("begin");
    holder.lines("SELECT n FROM account WHERE id = 2 FOR UPDATE").await.expect("lock");
    weir.run(&["dead-letters", "retry", "--all", "--no-wait"]).await.expect_code(0);
    let phrase = "rows that are set aside are locked on the target";
    until("the lock is met", SOON, async || weir.log().contains(phrase)).await;
    execute_in(&pair.source, SPACE, "INSERT INTO account VALUES (50, 'x', 50)").await;
    until_arrived(pair, 50).await;
    assert!(!letters(pair).await.is_empty(), "it is locked");
    holder.lines("COMMIT").await.expect("commit");
    until_alike(pair).await;
    until_letters(pair, &[]).await;
}

/// Broken if a row that is gone at the source stayed at the target.
async fn gone(pair: &Pair, weir: &Weir) {
    execute_in(&pair.source, SPACE, "UPDATE account SET name = 'much too long' WHERE id = 3").await;
    execute_in(&pair.source, SPACE, "DELETE FROM account WHERE id = 3").await;
    until_letters(pair, &["update\tvalue", "delete\tbehind"]).await;
    assert_eq!(rows(pair).await[1].len(), rows(pair).await[0].len() + 1);
    weir.run(&["dead-letters", "retry", "--kind", "value", "left:right"]).await.expect_code(0);
    until_alike(pair).await;
    until_letters(pair, &[]).await;
}

/// Broken if letters outlived a TRUNCATE of their table, or a row of it were taken for set aside.
async fn emptied(pair: &Pair) {
    let low = "ALTER TABLE entry ADD CONSTRAINT low CHECK (account < 500)";
    execute_in(&pair.target, SPACE, low).await;
    execute_in(&pair.source, SPACE, "INSERT INTO entry VALUES (1, 900)").await;
    execute_in(&pair.source, SPACE, "UPDATE account SET n = 8000 WHERE id = 1").await;
    until_letters(pair, &["insert\tconstraint", "update\tconstraint"]).await;
    execute_in(&pair.source, SPACE, "TRUNCATE TABLE entry").await;
    until_letters(pair, &["update\tconstraint"]).await;
    execute_in(&pair.source, SPACE, "INSERT INTO entry VALUES (1, 1)").await;
    let entries = "SELECT count(*) FROM {space}.entry";
    until("it arrives", SOON, async || query_in(&pair.target, SPACE, entries).await == ["1"]).await;
    execute_in(&pair.source, SPACE, "UPDATE account SET n = 1 WHERE id = 1").await;
}

/// Broken if a row whose letters are dropped were changed by that, or were never changed again.
async fn dropped(pair: &Pair, weir: &Weir) {
    execute_in(&pair.source, SPACE, "UPDATE account SET n = 7000 WHERE id = 4").await;
    until_letters(pair, &["update\tconstraint"]).await;
    let waited = weir.run(&["wait", "left:right"]).await.expect_code(0);
    assert!(waited.stderr.contains("weir: left:right has 1 row set aside"), "{}", waited.stderr);
    assert!(waited.stderr.contains("weir dead-letters list left:right"), "{}", waited.stderr);
    weir.run(&["dead-letters", "discard", "--all", "--yes"]).await.expect_code(0);
    let row = "SELECT n FROM {space}.account WHERE id = 4";
    assert_eq!(query_in(&pair.target, SPACE, row).await, ["4"]);
    execute_in(&pair.source, SPACE, "UPDATE account SET n = 44 WHERE id = 4").await;
    until_alike(pair).await;
    until_letters(pair, &[]).await;
    let waited = weir.run(&["wait", "left:right"]).await.expect_code(0);
    assert!(!waited.stderr.contains("set aside"), "{}", waited.stderr);
}

async fn everything(source: Server, target: Server) {
    let Some(pair) = Pair::start(source, target).await else { return };
    let apply = "lock_timeout = \"1s\"\n";
    let weir = prepare_with(&pair, "truncate = \"apply\"\n", apply).await;
    let mut child = weir.spawn(&["run"]);
    for id in 1..=9 {
        let sql = format!("INSERT INTO account VALUES ({id}, 'x', {id})");
        execute_in(&pair.source, SPACE, &sql).await;
    }
    until_alike(&pair).await;
    execute_in(&pair.source, SPACE, "UPDATE account SET n = 5000 WHERE id = 2").await;
    until_letters(&pair, &["update\tconstraint"]).await;
    locked(&pair, &weir).await;
    gone(&pair, &weir).await;
    emptied(&pair).await;
    weir.run(&["dead-letters", "retry", "--all"]).await.expect_code(0);
    until_alike(&pair).await;
    dropped(&pair, &weir).await;
    assert!(!weir.log().contains("halted"), "{}", weir.log());
    kill(&mut child).await;
}

/// See the functions above.
#[tokio::test]
async fn people_work_beside_it_on_postgres() {
    everything(Server::MariaDb1011, Server::Postgres18).await;
}

/// See the functions above.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn people_work_beside_it_on_mysql() {
    everything(Server::Postgres15, Server::MySql97).await;
}
