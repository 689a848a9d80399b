//! Rows whose key has no form at the target: they are known by their key at the source, with what
//! becomes of it.

use weir::sandbox::Server;

use super::{SOON, SPACE, letters};
use crate::crash::kill;
use crate::harness::{Pair, Weir, execute_in, query_in, until};

/// Above what the target's number holds.
const LARGE: &str = "18446744073709551610";
/// No text of PostgreSQL.
const NUL: &str = "'a\\0b'";
/// No character of its set.
const NONE: &str = "_cp1257 0xA1";

async fn prepare(pair: &Pair) -> Weir {
    pair.create_space(SPACE).await;
    let source = "CREATE TABLE number (id BIGINT UNSIGNED PRIMARY KEY, n INT);
        CREATE TABLE word (id VARCHAR(20) PRIMARY KEY, n INT);
        CREATE TABLE coded (id VARCHAR(20) CHARACTER SET cp1257 COLLATE cp1257_bin PRIMARY KEY, n INT)";
    execute_in(&pair.source, SPACE, source).await;
    let target = "CREATE TABLE number (id BIGINT PRIMARY KEY, n INT);
        CREATE TABLE word (id VARCHAR(20) PRIMARY KEY, n INT);
        CREATE TABLE coded (id VARCHAR(20) PRIMARY KEY, n INT)";
    execute_in(&pair.target, SPACE, target).await;
    let weir = Weir::parking(pair, "letters", SPACE, "\n[apply]\nstart = \"now\"\n");
    weir.let_look().await;
    weir.set_up().await;
    weir
}

async fn until_letters(pair: &Pair, expected: &[&str]) {
    let mut last = Vec::new();
    until(&format!("{expected:?}"), SOON, async || {
        last = letters(pair).await;
        last == expected
    })
    .await;
}

/// Changes of a table's row under a key that the target can not hold, and under two that it can.
async fn odd_key(pair: &Pair, weir: &Weir, table: &str, odd: &str, [one, other]: [&str; 2]) {
    let source = async |sql: &str| execute_in(&pair.source, SPACE, sql).await;
    let on_target = async || {
        query_in(&pair.target, SPACE, &format!("SELECT id, n FROM {{space}}.{table} ORDER BY id"))
            .await
    };
    let bare = |key: &str| key.trim_matches('\'').to_owned();
    let retry = ["dead-letters", "retry", "--all"];

    // It goes at the source: nothing is left.
    source(&format!("INSERT INTO {table} VALUES ({odd}, 1), ({one}, 1)")).await;
    source(&format!("UPDATE {table} SET n = 2 WHERE id = {odd}")).await;
    until_letters(pair, &["insert\tvalue", "update\tbehind"]).await;
    assert_eq!(on_target().await, [format!("{}\t1", bare(one))]);
    let refused = weir.run(&retry).await.expect_code(1);
    refused.expect_phrase("refused again: value");
    source(&format!("DELETE FROM {table} WHERE id = {odd}")).await;
    until_letters(pair, &["insert\tvalue", "update\tbehind", "delete\tbehind"]).await;
    weir.run(&retry).await.expect_code(0).expect_phrase("1 of 1 applied");
    until_letters(pair, &[]).await;

    // A key change from it: the row comes, under its new key.
    source(&format!("INSERT INTO {table} VALUES ({odd}, 3)")).await;
    source(&format!("UPDATE {table} SET id = {other} WHERE id = {odd}")).await;
    until_letters(pair, &["insert\tvalue", "rekey\tbehind"]).await;
    weir.run(&retry).await.expect_code(0);
    until_letters(pair, &[]).await;
    let both = [format!("{}\t1", bare(one)), format!("{}\t3", bare(other))];
    assert_eq!(on_target().await, both);

    // And onto it: the target keeps the row until the source's has a key that it can hold, or goes.
    source(&format!("UPDATE {table} SET id = {odd} WHERE id = {one}")).await;
    until_letters(pair, &["rekey\tvalue"]).await;
    weir.run(&retry).await.expect_code(1).expect_phrase("refused again: value");
    assert_eq!(on_target().await, both);
    source(&format!("DELETE FROM {table} WHERE id = {odd}")).await;
    until_letters(pair, &["rekey\tvalue", "delete\tbehind"]).await;
    weir.run(&retry).await.expect_code(0);
    until_letters(pair, &[]).await;
    assert_eq!(on_target().await, both[1..]);
}

/// Broken if a row whose key has no form at the target stopped the link, were mixed up with another, or
/// could not be ended; or if its text kept the letter from being written or read.
#[tokio::test]
async fn keys_without_a_form_at_the_target() {
    let Some(pair) = Pair::start(Server::MySql97, Server::Postgres15).await else { return };
    let weir = prepare(&pair).await;
    let mut child = weir.spawn(&["run"]);
    odd_key(&pair, &weir, "number", LARGE, ["5", "6"]).await;
    odd_key(&pair, &weir, "word", NUL, ["'one'", "'other'"]).await;
    odd_key(&pair, &weir, "coded", NONE, ["'one'", "'other'"]).await;
    assert!(!weir.log().contains("halted"), "{}", weir.log());
    kill(&mut child).await;
}
