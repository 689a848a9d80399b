//! Copies as people ask for them: what is refused, what is written down for the link, and what becomes of it.

use std::time::Duration;

use serde_json::Value;
use weir::sandbox::Server;

use crate::harness::{HANG, Pair, Weir, execute_in, query_in, until};

const SPACE: &str = "copies";
const LINK: &str = "left:right";
/// Rows of each table.
const ROWS: u32 = 600;

/// Tables `t` and `u` at both ends, with rows at the source only, and a link that does not copy them by
/// itself; `apply` is more of `[apply]`.
async fn stage(source: Server, target: Server, apply: &str) -> Option<(Pair, Weir)> {
    let pair = Pair::start(source, target).await?;
    pair.create_space(SPACE).await;
    for table in ["t", "u"] {
        let make = format!("CREATE TABLE {table} (id int PRIMARY KEY, a varchar(40))");
        execute_in(&pair.source, SPACE, &make).await;
        execute_in(&pair.target, SPACE, &make).await;
        let rows: Vec<String> = (1..=ROWS).map(|id| format!("({id}, 'row {id}')")).collect();
        let fill = format!("INSERT INTO {table} VALUES {}", rows.join(", "));
        execute_in(&pair.source, SPACE, &fill).await;
    }
    let weir = Weir::new(&pair, "copies", SPACE, &format!("\n[apply]\nstart = \"now\"\n{apply}\n"));
    weir.grant().await;
    Some((pair, weir))
}

/// What is asked of a table.
async fn asked(pair: &Pair, table: &str) -> String {
    let sql =
        format!("SELECT coalesce(asked, '') FROM weir.snapshot WHERE table_name LIKE '%.{table}'");
    query_in(&pair.target, SPACE, &sql).await.join("\n")
}

fn snapshot<'a>(words: &[&'a str]) -> Vec<&'a str> {
    [&["snapshot", LINK], words].concat()
}

/// The copies of the link as `--status --json` has them.
async fn copies(weir: &Weir) -> Vec<Value> {
    let told = weir.run(&snapshot(&["--status", "--json"])).await.expect_code(0).stdout;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    told["copies"].as_array().expect("copies").clone()
}

/// Broken if what cannot be done were asked of the link, or what can be were not written down for a weir
/// that does not run.
async fn asking(source: Server, target: Server) {
    let Some((pair, weir)) = stage(source, target, "").await else { return };
    let refused = async |words: &[&str], phrase: &str| {
        weir.run(&snapshot(words)).await.expect_code(2).expect_phrase(phrase);
    };
    refused(&["copies.t"], "the link left:right has not begun").await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    refused(&[], "it is not said which tables to copy").await;
    refused(&["copies.tt"], "copies.tt is no table that left:right carries").await;
    refused(&["copies.x*"], "copies.x* matches no table").await;
    refused(&["copies.t", "--where", "nope > 1"], "the condition on rows of copies.t").await;
    refused(&["copies.t", "--where", "1 = 1) OR (1 = 1"], "the condition on rows of copies.t")
        .await;
    refused(&["copies.t", "--where", "id > 1 LIMIT 1"], "the condition on rows of copies.t").await;
    refused(&["copies.*", "--where", "id > 1"], "--where is for one table").await;
    refused(&["copies.t", "--where", "id > 1", "--delete-extra"], "cannot be used with").await;
    refused(&["copies.t", "--pause"], "copies.t is not being copied").await;
    refused(&["--resume"], "there is nothing to resume").await;
    let none = weir.run(&snapshot(&["--status"])).await.expect_code(0);
    none.expect_phrase("no table was copied");
    assert_eq!(asked(&pair, "t").await, "", "nothing was asked so far");

    let part = ["copies.t", "--where", "id > 590 -- the last ones"];
    let told = weir.run(&snapshot(&part)).await.expect_code(0);
    told.expect_phrase("weir is not running: its next start takes it up");
    assert!(asked(&pair, "t").await.contains("id > 590"), "{}", asked(&pair, "t").await);
    refused(&["copies.t"], "is to be copied already").await;
    refused(&["copies.t", "copies.u"], "copies.t is to be copied already").await;
    assert_eq!(asked(&pair, "u").await, "", "all or nothing");
    let status = weir.run(&snapshot(&["--status"])).await.expect_code(0);
    status.expect_phrase("copies.t  waiting").expect_phrase("a copy is asked for");
    weir.run(&snapshot(&["--cancel"])).await.expect_code(0).expect_phrase("asked for a cancel");
    assert!(asked(&pair, "t").await.contains("cancel"));
    let told = weir.run(&snapshot(&["copies.u", "--json"])).await.expect_code(0).stdout;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["tables"], serde_json::json!(["copies.u"]));
    assert_eq!(copies(&weir).await.len(), 2);
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    assert_eq!((rows(&pair, "t").await, rows(&pair, "u").await), (0, ROWS));
    let status = weir.run(&snapshot(&["--status"])).await.expect_code(0);
    status.expect_phrase("copies.t  cancelled").expect_phrase("copies.u  done  600 rows");
    assert_eq!(asked(&pair, "t").await, "", "it is answered");
}

/// See [`asking`].
#[tokio::test]
async fn asking_from_postgres_to_mysql() {
    asking(Server::Postgres18, Server::MySql97).await;
}

/// See [`asking`].
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn asking_from_mariadb_to_postgres() {
    asking(Server::MariaDb1011, Server::Postgres15).await;
}

/// See [`asking`].
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn asking_from_mysql_to_mariadb() {
    asking(Server::MySql97, Server::MariaDb1011).await;
}

/// What a copy's line says, by its key.
async fn copy_of(weir: &Weir, table: &str, key: &str) -> Value {
    let all = copies(weir).await;
    let line = all.iter().find(|line| line["table"] == format!("{SPACE}.{table}"));
    line.map(|line| line[key].clone()).unwrap_or_default()
}

/// `weir status` comes to say this.
async fn until_status(weir: &Weir, phrase: &str) {
    until(phrase, HANG, async || weir.run(&["status"]).await.stdout.contains(phrase)).await;
}

async fn rows(pair: &Pair, table: &str) -> u32 {
    let sql = format!("SELECT count(*) FROM {{space}}.{table}");
    query_in(&pair.target, SPACE, &sql).await[0].parse().expect("a number")
}

/// Broken if a table could not be copied into a running link, a part of one were more or less than that
/// part, or rows that only the target has stayed or went unasked.
async fn into_a_running_link(source: Server, target: Server) {
    let Some((pair, weir)) = stage(source, target, "").await else { return };
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let _child = weir.spawn(&["run"]);
    let done = weir.run(&snapshot(&["copies.t", "--wait"])).await.expect_code(0);
    done.expect_phrase("copies.t  done  600 rows");
    assert_eq!((rows(&pair, "t").await, rows(&pair, "u").await), (ROWS, 0));
    let part = ["copies.u", "--where", "id <= 5 OR a = 'row 9' -- few", "--wait", "--json"];
    let told = weir.run(&snapshot(&part)).await.expect_code(0).stdout;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&told["copies"][0]["rows"], rows(&pair, "u").await), (&6.into(), 6));
    execute_in(&pair.target, SPACE, "INSERT INTO t VALUES (9001, 'extra'), (-1, 'extra')").await;
    execute_in(&pair.target, SPACE, "UPDATE t SET a = 'other' WHERE id = 7").await;
    let told = weir.run(&snapshot(&["copies.t", "--wait"])).await.expect_code(0);
    told.expect_phrase("2 only on the target ([-1], [9001])");
    assert_eq!(rows(&pair, "t").await, ROWS + 2, "nobody asked to delete them");
    let seven = "SELECT a FROM {space}.t WHERE id = 7";
    assert_eq!(query_in(&pair.target, SPACE, seven).await, ["row 7"]);
    let clean = weir.run(&snapshot(&["copies.t", "--delete-extra", "--wait"])).await;
    clean.expect_code(0).expect_phrase("2 deleted from the target");
    assert_eq!(rows(&pair, "t").await, ROWS);
    until_status(&weir, "copies    2 done").await;
    weir.run(&snapshot(&["copies.u"])).await.expect_code(0);
    weir.run(&["wait", LINK]).await.expect_code(0);
    assert_eq!(rows(&pair, "u").await, ROWS, "who waits sees what was asked before");
}

/// See [`into_a_running_link`].
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn into_a_running_link_from_postgres_to_postgres() {
    into_a_running_link(Server::Postgres18, Server::Postgres15).await;
}

/// See [`into_a_running_link`].
#[tokio::test]
async fn into_a_running_link_from_mysql_to_postgres() {
    into_a_running_link(Server::MySql97, Server::Postgres18).await;
}

/// See [`into_a_running_link`].
#[tokio::test]
async fn into_a_running_link_from_postgres_to_mariadb() {
    into_a_running_link(Server::Postgres15, Server::MariaDb1011).await;
}

/// Broken if a copy could not be made to wait, did not wait over a kill -9, did not go on where it was, or
/// could not be ended; or if whoever watches were told something else.
async fn held_and_let_go(source: Server, target: Server) {
    let slow = "max_rows_per_second = 60";
    let Some((pair, weir)) = stage(source, target, slow).await else { return };
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let mut child = weir.spawn(&["run"]);
    until("weir is up", HANG, async || weir.log().contains("weir is up")).await;
    let asked = weir.run(&snapshot(&["copies.t"])).await.expect_code(0);
    asked.expect_phrase("the running link takes it up within seconds");
    let begun = async |table: &str| copy_of(&weir, table, "rows").await.as_u64() > Some(0);
    until("rows are copied", HANG, async || begun("t").await).await;
    until_status(&weir, "copies.t  copying").await;
    let late = weir.run(&["wait", LINK, "--timeout", "1s"]).await.expect_code(1);
    late.expect_phrase("1 table is being copied");
    let twice = weir.run(&snapshot(&["copies.t"])).await.expect_code(2);
    twice.expect_phrase("copies.t is being copied already");

    weir.run(&snapshot(&["--pause"])).await.expect_code(0);
    let paused = async || copy_of(&weir, "t", "paused").await == true;
    until("it waits", HANG, paused).await;
    child.kill().await.expect("killed");
    let before = rows(&pair, "t").await;
    assert!(before < ROWS, "{before}");
    let mut child = weir.spawn(&["run"]);
    until_status(&weir, "left:right  running").await;
    let told = weir.run(&["wait", LINK]).await.expect_code(0);
    told.expect_phrase("the copy of copies.t is paused");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(rows(&pair, "t").await, before, "it waits");
    let watched = weir.run(&snapshot(&["--status", "--wait"])).await.expect_code(4);
    watched.expect_phrase("copies.t --resume");
    weir.run(&snapshot(&["--resume"])).await.expect_code(0);
    until("it goes on", HANG, async || rows(&pair, "t").await > before).await;
    child.kill().await.expect("killed");
    let _child = weir.spawn(&["run"]);
    let done = weir.run(&snapshot(&["copies.t", "--status", "--wait"])).await.expect_code(0);
    done.expect_phrase("copies.t  done  600 rows");
    assert_eq!(rows(&pair, "t").await, ROWS);

    weir.run(&snapshot(&["copies.u"])).await.expect_code(0);
    until("rows are copied", HANG, async || begun("u").await).await;
    weir.run(&snapshot(&["copies.u", "--cancel"])).await.expect_code(0);
    let watched = weir.run(&snapshot(&["copies.u", "--status", "--wait"])).await.expect_code(1);
    watched.expect_phrase("copies.u  cancelled");
    weir.run(&["wait", LINK]).await.expect_code(0);
    assert!((1..ROWS).contains(&rows(&pair, "u").await));
}

/// See [`held_and_let_go`].
#[tokio::test]
async fn held_and_let_go_from_mariadb_to_mysql() {
    held_and_let_go(Server::MariaDb1011, Server::MySql97).await;
}

/// See [`held_and_let_go`].
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn held_and_let_go_from_postgres_to_postgres() {
    held_and_let_go(Server::Postgres15, Server::Postgres18).await;
}

/// Broken if copies were read where there is no replica of the source, or `check` did not tell of it.
#[tokio::test]
async fn a_replica_is_looked_at() {
    let Some((pair, weir)) = stage(Server::Postgres15, Server::Postgres18, "").await else {
        return;
    };
    let with = |port: u16| {
        let text = std::fs::read_to_string(weir.config()).expect("weir.toml");
        let url = format!("[database.left]\nread_url = \"postgres://localhost:{port}\"\n");
        let plain: String = text
            .lines()
            .filter(|line| !line.starts_with("read_url"))
            .map(|l| format!("{l}\n"))
            .collect();
        std::fs::write(weir.config(), plain.replace("[database.left]\n", &url)).expect("weir.toml");
    };
    with(pair.source.port());
    let check = weir.run(&["check"]).await.expect_code(0);
    check.expect_phrase("copies  left (read_url): PostgreSQL at localhost:");
    with(pair.target.port());
    let check = weir.run(&["check"]).await;
    assert_ne!(check.code, 0, "another server");
    check.expect_phrase("database left (read_url)");
}
