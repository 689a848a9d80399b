//! Copies as people ask for them: what is refused, what is written down for the link, and what becomes of it.

use serde_json::Value;
use weir::sandbox::Server;

use crate::harness::{Pair, Weir, execute_in, query_in};

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
}

/// See [`asking`].
#[tokio::test]
async fn asking_from_postgres_to_mysql() {
    asking(Server::Postgres18, Server::MySql97).await;
}

/// See [`asking`].
#[tokio::test]
async fn asking_from_mariadb_to_postgres() {
    asking(Server::MariaDb1011, Server::Postgres15).await;
}

/// See [`asking`].
#[tokio::test]
async fn asking_from_mysql_to_mariadb() {
    asking(Server::MySql97, Server::MariaDb1011).await;
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
