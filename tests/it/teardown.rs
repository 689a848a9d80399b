//! `weir teardown` on real servers: never under a weir that runs, and always a way to the end.

use std::time::Duration;

use weir::sandbox::Server;

use crate::crash::{kill, prepare};
use crate::harness::{Pair, Weir, execute_in, until};

const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10))";
const SLOTS: &str = "SELECT count(*)::text FROM pg_replication_slots";
const PUBLICATIONS: &str = "SELECT count(*)::text FROM pg_publication";
const WITNESSES: &str = "SELECT CAST(count(*) AS CHAR) FROM weir.witness";

async fn counts(pair: &Pair) -> [String; 3] {
    let mut found = Vec::new();
    for (server, sql) in
        [(&pair.source, SLOTS), (&pair.source, PUBLICATIONS), (&pair.target, WITNESSES)]
    {
        let rows = server.query(sql).await.expect("count");
        found.push(rows[0][0].clone().expect("a number"));
    }
    found.try_into().expect("three counts")
}

/// Broken if the witness of a running link were deleted under it, also by who has another state
/// directory, or what one link has left took all of them with it.
#[tokio::test]
async fn a_running_weir_is_not_torn_down() {
    let Some(pair) = Pair::start(Server::Postgres15, Server::MariaDb1011).await else { return };
    let weir = prepare(&pair, "alive").await;
    let mut child = weir.spawn(&["run"]);
    until("weir runs", Duration::from_secs(30), async || {
        weir.run(&["status", "--json"]).await.stdout.contains("\"state\": \"running\"")
    })
    .await;
    weir.run(&["teardown", "--all", "--apply"])
        .await
        .expect_code(1)
        .expect_phrase("held by another");
    assert_eq!(counts(&pair).await, ["1", "1", "2"]);
    let own = std::fs::read_to_string(weir.config()).expect("weir.toml");
    let elsewhere = own.replace("/state\"", "/elsewhere\"");
    std::fs::write(weir.config(), elsewhere).expect("weir.toml");
    let link = ["teardown", "left:right", "--apply"];
    weir.run(&link).await.expect_code(1).expect_phrase("nothing is remembered of it");
    weir.run(&["teardown"]).await.expect_code(1).expect_phrase("--force");
    let forced = weir.run(&["teardown", "left:right", "--apply", "--force"]).await;
    forced.expect_code(1).expect_phrase("is active for PID").expect_phrase("stop it, then run");
    std::fs::write(weir.config(), own).expect("weir.toml");
    weir.run(&["teardown", "--apply"]).await.expect_code(2).expect_phrase("or say --all");
    assert_eq!(counts(&pair).await, ["1", "1", "2"]);
    kill(&mut child).await;
    until("the slot is free", Duration::from_secs(30), async || {
        let sql = "SELECT count(*)::text FROM pg_replication_slots WHERE active";
        pair.source.query(sql).await.expect("slots")[0][0].as_deref() == Some("0")
    })
    .await;
    weir.tear_down().await;
    assert_eq!(counts(&pair).await, ["0", "0", "0"]);
}

/// Broken if a publication that an administrator made, as README advises, kept the target's witness
/// and weir's own memory from being removed, or if the way on were not said.
#[tokio::test]
async fn what_an_administrator_made_is_no_dead_end() {
    let Some(pair) = Pair::start(Server::Postgres15, Server::MariaDb1011).await else { return };
    pair.create_space("made").await;
    execute_in(&pair.source, "made", TABLE).await;
    execute_in(&pair.target, "made", TABLE).await;
    let weir = Weir::new(&pair, "made", "made", "\n[apply]\nstart = \"now\"\n");
    weir.set_up().await;
    assert_eq!(counts(&pair).await, ["1", "1", "2"]);

    let refused = weir.run(&["teardown", "--all", "--apply"]).await.expect_code(1);
    refused.expect_phrase("DROP PUBLICATION").expect_phrase("`weir teardown --on left | psql");
    assert_eq!(counts(&pair).await, ["0", "1", "0"]);
    let status = weir.run(&["status", "--json"]).await.expect_code(0);
    status.expect_phrase("\"position\": null");
    let printed = weir.run(&["teardown", "--on", "left"]).await.expect_code(0);
    pair.source.execute(&printed.stdout).await.expect("teardown by the administrator");
    weir.run(&["teardown", "--all", "--apply"]).await.expect_code(0);
    assert_eq!(counts(&pair).await, ["0", "0", "0"]);
}

/// Broken if a link that was killed as soon as it had begun could not be torn down by who had begun it.
#[tokio::test]
async fn a_link_that_has_only_begun_is_torn_down() {
    let Some(pair) = Pair::start(Server::Postgres15, Server::MariaDb1011).await else { return };
    pair.create_space("begun").await;
    execute_in(&pair.source, "begun", TABLE).await;
    execute_in(&pair.source, "begun", "INSERT INTO t VALUES (1, 'a')").await;
    execute_in(&pair.target, "begun", TABLE).await;
    let weir = Weir::new(&pair, "begun", "begun", "");
    weir.grant().await;
    let mut child = weir.spawn(&["run"]);
    let begun = async || weir.log().contains("the link starts");
    until("the link starts", Duration::from_secs(30), begun).await;
    kill(&mut child).await;
    until("the slot is free", Duration::from_secs(30), async || {
        let sql = "SELECT count(*)::text FROM pg_replication_slots WHERE active";
        pair.source.query(sql).await.expect("slots")[0][0].as_deref() == Some("0")
    })
    .await;
    weir.tear_down().await;
    assert_eq!(counts(&pair).await, ["0", "0", "0"]);
}
