//! One bad row among many: it is in the list soon, the others do not wait for it, and it comes back.

use std::time::{Duration, Instant};

use weir::sandbox::{Running, Server};

use crate::crash::{SPACE, kill};
use crate::harness::{execute_in, query_in, until};
use crate::load::{Session, insert_accounts, until_equal};
use crate::million::start;

/// Rows of one statement.
const ROWS: u64 = 1_000;

async fn count(server: &Running, sql: &str) -> u64 {
    let rows = query_in(server, SPACE, sql).await;
    rows.first().and_then(|text| text.parse().ok()).expect("a count")
}

/// Broken if one bad row in a transaction of `rows` stopped the others, or a later change of it were
/// applied over it; if it were lost by a kill -9, or did not come back once it is let in.
pub async fn one_among_many(source: Server, target: Server, rows: u64, kills: u64) {
    let (pair, weir) = start(source, target, "poison").await;
    let config = std::fs::read_to_string(weir.config()).expect("weir.toml");
    let parking = config.replace("on_poison = \"halt\"\n", "");
    std::fs::write(weir.config(), parking).expect("weir.toml");
    let rule = "ALTER TABLE account ADD CONSTRAINT no_bad CHECK (body <> 'bad')";
    execute_in(&pair.target, SPACE, rule).await;
    let mut child = weir.spawn(&["run"]);
    until_equal(&pair, SPACE, Duration::from_secs(60)).await;
    let bad = 501 + rows / 2 + rows % 97;
    let mut statements: Vec<String> =
        (0..rows / ROWS).map(|part| insert_accounts(501 + part * ROWS, ROWS)).collect();
    statements.push(format!("UPDATE account SET body = 'bad' WHERE id = {bad}"));
    let mut session = Session::open(&pair.source, SPACE).await;
    session.transaction(&statements).await.expect("rows");
    let started = Instant::now();
    let letters = "SELECT count(*) FROM weir.dead_letter";
    let arrived = format!("SELECT count(*) FROM {SPACE}.account WHERE id > 500 AND id <> {bad}");
    until("the others are there", Duration::from_secs(60), async || {
        count(&pair.target, &arrived).await == rows - 1
    })
    .await;
    let (after, noted) = (started.elapsed(), count(&pair.target, letters).await);
    assert_eq!(noted, 1, "letters");
    let is_bad = format!("SELECT count(*) FROM {SPACE}.account WHERE id = {bad} AND body = 'bad'");
    assert_eq!(count(&pair.target, &is_bad).await, 0);
    for round in 0..kills {
        let change = format!("UPDATE account SET n = {round} WHERE id IN (1, {bad})");
        session.transaction(&[change]).await.expect("a change");
        tokio::time::sleep(Duration::from_millis(100 * round)).await;
        kill(&mut child).await;
        child = weir.spawn(&["run"]);
    }
    let behind = 1 + kills;
    until("all changes of it wait", Duration::from_secs(60), async || {
        count(&pair.target, letters).await == behind
    })
    .await;
    let drop = match pair.target.kind() {
        Server::MySql97 => "ALTER TABLE account DROP CHECK no_bad",
        _ => "ALTER TABLE account DROP CONSTRAINT no_bad",
    };
    execute_in(&pair.target, SPACE, drop).await;
    weir.run(&["dead-letters", "retry", "--all"]).await.expect_code(0);
    until_equal(&pair, SPACE, Duration::from_secs(60)).await;
    assert_eq!(count(&pair.target, letters).await, 0, "letters");
    println!(
        "{source:?} -> {target:?}: one bad row among {rows} of one transaction: set aside, and the \
         others there, {:.2} s after its commit; back after {kills} kills",
        after.as_secs_f64()
    );
    kill(&mut child).await;
}
