//! Replica identities that change under a running link, and what `weir setup` puts into a publication.

use std::time::Duration;

use weir::sandbox::{Running, Server};

use crate::harness::{Pair, Weir, execute_in, query_in, until};

const SOON: Duration = Duration::from_secs(30);
const T: &str = "CREATE TABLE t (id int PRIMARY KEY, code int NOT NULL UNIQUE, v varchar(10))";
const ROWS: &str = "SELECT id, code, v FROM {space}.t ORDER BY id";

async fn until_halted(weir: &Weir, phrase: &str) {
    until(&format!("weir halts with {phrase}"), SOON, async || {
        let status = weir.run(&["status"]).await;
        status.code == 4 && status.stdout.contains(phrase)
    })
    .await;
}

async fn until_rows(pair: &Pair, space: &str, expected: &[&str]) {
    until(&format!("the target holds {expected:?}"), SOON, async || {
        query_in(&pair.target, space, ROWS).await == expected
    })
    .await;
}

/// Broken if a replica identity that is changed while weir runs lost a delete or a key change
/// without a sign, or if one that holds all that is needed halted the link.
#[tokio::test]
async fn identities_that_change_under_a_running_link() {
    let Some(pair) = Pair::start(Server::Postgres18, Server::MariaDb1011).await else { return };
    let space = "identity";
    pair.create_space(space).await;
    execute_in(&pair.source, space, T).await;
    execute_in(&pair.target, space, T).await;
    let weir = Weir::new(&pair, "identity", space, "");
    weir.set_up().await;
    let mut child = weir.spawn(&["run"]);
    let identity = |what: &str| format!("ALTER TABLE t REPLICA IDENTITY {what}");
    let at_source = async |sql: &str| execute_in(&pair.source, space, sql).await;
    at_source("INSERT INTO t VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')").await;
    at_source(&identity("FULL")).await;
    at_source("UPDATE t SET id = 10 WHERE id = 1; DELETE FROM t WHERE id = 2").await;
    at_source(&identity("DEFAULT")).await;
    at_source("UPDATE t SET id = 11, v = 'z' WHERE id = 10").await;
    until_rows(&pair, space, &["3\t3\tc", "11\t1\tz"]).await;
    at_source(&identity("USING INDEX t_code_key")).await;
    at_source("UPDATE t SET v = 'y' WHERE id = 3").await;
    until_halted(&weir, "does not hold `id` of the match key").await;
    at_source(&identity("DEFAULT")).await;
    weir.run(&["resume", "left:right", "--schema-reviewed"]).await.expect_code(0);
    until_rows(&pair, space, &["3\t3\ty", "11\t1\tz"]).await;
    at_source(&identity("NOTHING")).await;
    let refused = pair.source.execute("UPDATE identity.t SET v = 'x'").await;
    assert!(refused.is_err(), "the server takes updates that it does not log");
    at_source("INSERT INTO t VALUES (4, 4, 'd')").await;
    until_halted(&weir, "does not hold `id` of the match key").await;
    weir.run(&["check"]).await.expect_code(1).expect_phrase("REPLICA IDENTITY");
    at_source(&identity("DEFAULT")).await;
    weir.run(&["resume", "left:right", "--schema-reviewed"]).await.expect_code(0);
    until_rows(&pair, space, &["3\t3\ty", "4\t4\td", "11\t1\tz"]).await;
    assert!(child.try_wait().expect("state").is_none(), "weir ended:\n{}", weir.log());
}

/// Tables of the link's publication.
async fn published(server: &Running) -> Vec<String> {
    let sql = "SELECT schemaname || '.' || tablename FROM pg_publication_tables ORDER BY 1";
    query_in(server, "", sql).await
}

/// Broken if `weir setup` published a table whose updates the server then refuses to the
/// application, or left a publication half made; or if one link could not carry several schemas.
#[tokio::test]
async fn no_statement_of_the_application_fails_by_a_publication() {
    let Some(pair) = Pair::start(Server::Postgres18, Server::MySql97).await else { return };
    for space in ["one", "two"] {
        pair.create_space(space).await;
        let quoted = T.replace("TABLE t", if space == "one" { "TABLE t" } else { "TABLE t2" });
        execute_in(&pair.source, space, &quoted).await;
        execute_in(&pair.target, space, &quoted).await;
    }
    let weir = Weir::with_tables(
        &pair,
        "schemas",
        "[[replicate]]\nfrom = \"left\"\nto = \"right\"\ntables = [\"one.*\", \"two.t*\"]\n",
    );
    weir.set_up().await;
    assert_eq!(published(&pair.source).await, ["one.t", "two.t2"]);
    for (table, columns, identity) in [
        ("keyless", "a int, b int", "DEFAULT"),
        ("none", "a int PRIMARY KEY, b int", "NOTHING"),
        ("late", "a int PRIMARY KEY DEFERRABLE, b int", "DEFAULT"),
        ("computed", "a int PRIMARY KEY, b int, c int GENERATED ALWAYS AS (b) STORED", "FULL"),
        ("virtually", "a int PRIMARY KEY, b int, c int GENERATED ALWAYS AS (b) VIRTUAL", "FULL"),
    ] {
        let ddl = format!(
            "CREATE TABLE {table} ({columns}); ALTER TABLE {table} REPLICA IDENTITY {identity};
             INSERT INTO {table} (a, b) VALUES (1, 1)"
        );
        execute_in(&pair.source, "one", &ddl).await;
        execute_in(
            &pair.target,
            "one",
            &format!("CREATE TABLE {table} (a int PRIMARY KEY, b int, c int)"),
        )
        .await;
        weir.run(&["setup", "--apply"]).await.expect_code(1).expect_phrase(&format!("one.{table}"));
        assert_eq!(published(&pair.source).await, ["one.t", "two.t2"], "{table}");
        execute_in(&pair.source, "one", &format!("UPDATE {table} SET b = 2; DROP TABLE {table}"))
            .await;
    }
    execute_in(&pair.source, "one", "INSERT INTO t VALUES (1, 1, 'a')").await;
    execute_in(&pair.source, "two", "INSERT INTO t2 VALUES (2, 2, 'b')").await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    assert_eq!(query_in(&pair.target, "one", ROWS).await, ["1\t1\ta"]);
    let second = query_in(&pair.target, "two", "SELECT id FROM {space}.t2").await;
    assert_eq!(second, ["2"]);
}
