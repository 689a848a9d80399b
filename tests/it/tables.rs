//! Tables that come, go, or are hidden while a link is on its way: what was written to them is
//! never passed over in silence.

use std::time::Duration;

use weir::sandbox::{Running, Server};

use crate::harness::{Pair, Weir, execute_in, query_in, until};
use crate::load::Session;

const SPACE: &str = "tables";
const SOON: Duration = Duration::from_secs(30);
const T: &str = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10))";
const U: &str = "CREATE TABLE u (id INT PRIMARY KEY, a VARCHAR(10))";
const COUNT: &str = "SELECT count(*) FROM {space}.u";

/// Both sides with table `t`, and weir set up on every table of the space.
async fn ready(source: Server, target: Server) -> Option<(Pair, Weir)> {
    let pair = Pair::start(source, target).await?;
    pair.create_space(SPACE).await;
    execute_in(&pair.source, SPACE, T).await;
    execute_in(&pair.target, SPACE, T).await;
    let weir = Weir::new(&pair, "tables", SPACE, "");
    weir.set_up().await;
    Some((pair, weir))
}

async fn until_halted(weir: &Weir, phrase: &str) {
    until(&format!("weir says {phrase}"), SOON, async || {
        let status = weir.run(&["status"]).await;
        // One that is not up yet tells of the run before.
        let running = !status.stdout.contains("weir is not running");
        running && status.code == 4 && status.stdout.contains(phrase)
    })
    .await;
}

/// Broken if the rows of a table that is made under a pattern while weir runs were skipped, or did
/// not all come from the log once the table is on the target; or if a sequence, which MariaDB logs
/// like a table, halted the link.
async fn made_while_running(source: Server, target: Server) {
    let Some((pair, weir)) = ready(source, target).await else { return };
    if source.is_mariadb() {
        execute_in(&pair.source, SPACE, "CREATE SEQUENCE s; SELECT NEXTVAL(s)").await;
    }
    let mut child = weir.spawn(&["run"]);
    execute_in(&pair.source, SPACE, "INSERT INTO t VALUES (1, 'one')").await;
    until("the first row arrives", SOON, async || {
        query_in(&pair.target, SPACE, "SELECT count(*) FROM {space}.t").await == ["1"]
    })
    .await;
    let rows = "INSERT INTO u VALUES (1, 'a'), (2, 'b'); DELETE FROM u WHERE id = 1";
    execute_in(&pair.source, SPACE, &format!("{U}; {rows}")).await;
    until_halted(&weir, "tables.u").await;
    execute_in(&pair.target, SPACE, U).await;
    weir.grant().await;
    weir.run(&["resume", "left:right", "--schema-reviewed"]).await.expect_code(0);
    execute_in(&pair.source, SPACE, "INSERT INTO u VALUES (3, 'c')").await;
    until("all its rows arrive", SOON, async || {
        query_in(&pair.target, SPACE, "SELECT id, a FROM {space}.u ORDER BY id").await
            == ["2\tb", "3\tc"]
    })
    .await;
    if !source.is_postgres() {
        // Its rows are from before weir knew it, and are in no log.
        execute_in(&pair.source, SPACE, "CREATE TABLE v (id INT PRIMARY KEY); TRUNCATE v").await;
        until_halted(&weir, "tables.v").await;
    }
    assert!(child.try_wait().expect("state").is_none(), "weir ended:\n{}", weir.log());
}

/// See [`made_while_running`].
#[tokio::test]
async fn made_while_running_from_mysql() {
    made_while_running(Server::MySql97, Server::Postgres15).await;
}

/// See [`made_while_running`].
#[tokio::test]
async fn made_while_running_from_mariadb() {
    made_while_running(Server::MariaDb1011, Server::Postgres18).await;
}

/// Broken if a table that joins a link on its way left out the rows it holds already, or could not
/// join once they were copied, or when it is empty.
#[tokio::test]
async fn joining_with_rows_from_postgres() {
    let Some((pair, weir)) = ready(Server::Postgres18, Server::MySql97).await else { return };
    execute_in(&pair.source, SPACE, &format!("{U}; INSERT INTO u VALUES (1, 'a')")).await;
    execute_in(&pair.target, SPACE, U).await;
    weir.grant().await;
    let caught_up = ["run", "--until-caught-up"];
    weir.run(&caught_up).await.expect_code(4).expect_phrase("hold rows").expect_phrase("tables.u");
    execute_in(&pair.target, SPACE, "INSERT INTO u VALUES (1, 'a')").await;
    execute_in(&pair.source, SPACE, "UPDATE u SET a = 'aa'").await;
    let mut child = weir.spawn(&["run"]);
    until_halted(&weir, "hold rows").await;
    weir.run(&["resume", "left:right", "--schema-reviewed"]).await.expect_code(0);
    until("the update arrives", SOON, async || {
        query_in(&pair.target, SPACE, "SELECT a FROM {space}.u").await == ["aa"]
    })
    .await;
    child.kill().await.expect("stopped");
    let empty = "CREATE TABLE v (id INT PRIMARY KEY)";
    execute_in(&pair.source, SPACE, empty).await;
    execute_in(&pair.target, SPACE, empty).await;
    weir.grant().await;
    execute_in(&pair.source, SPACE, "INSERT INTO t VALUES (9, 'nine')").await;
    weir.run(&caught_up).await.expect_code(0);
}

/// Broken if a table that vanished from the source, or from weir's sight, left the link in silence
/// with changes unread; or if `check` called a link on its way new because its tables hold rows.
async fn gone(source: Server, target: Server) {
    let Some((pair, weir)) = ready(source, target).await else { return };
    execute_in(&pair.source, SPACE, U).await;
    execute_in(&pair.target, SPACE, U).await;
    weir.grant().await;
    execute_in(&pair.source, SPACE, "INSERT INTO t VALUES (1, 'one')").await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    weir.run(&["check"]).await.expect_code(0);
    execute_in(&pair.source, SPACE, "INSERT INTO u VALUES (1, 'unread')").await;
    let away = if source.is_postgres() {
        "CREATE SCHEMA archive; ALTER TABLE u SET SCHEMA archive"
    } else {
        "CREATE DATABASE archive; RENAME TABLE u TO archive.u"
    };
    execute_in(&pair.source, SPACE, away).await;
    let run = weir.run(&["run", "--until-caught-up"]).await;
    run.expect_code(4).expect_phrase("table tables.u is no longer there");
    assert_eq!(query_in(&pair.target, SPACE, COUNT).await, ["0"]);
}

/// See [`gone`].
#[tokio::test]
async fn gone_from_postgres() {
    gone(Server::Postgres15, Server::MariaDb1011).await;
}

/// See [`gone`].
#[tokio::test]
async fn gone_from_mysql() {
    gone(Server::MySql97, Server::Postgres18).await;
}

/// Broken if rows that were logged before a reviewed ALTER TABLE lost the columns that it renamed,
/// added or gave another type, or kept the link from going on: the source is asked for them again.
async fn reviewed_backlog(source: Server, target: Server) {
    let Some(pair) = Pair::start(source, target).await else { return };
    pair.create_space(SPACE).await;
    let table = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10), n INT, kept VARCHAR(10))";
    execute_in(&pair.source, SPACE, table).await;
    execute_in(&pair.target, SPACE, table).await;
    let weir = Weir::new(&pair, "backlog", SPACE, "");
    weir.set_up().await;
    let rows = "INSERT INTO t VALUES (1, 'one', 1, 'k'), (2, 'two', 2, 'k'), (3, 'three', 3, 'k')";
    execute_in(&pair.source, SPACE, rows).await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let backlog = "INSERT INTO t VALUES (4, 'four', 4, 'k'), (5, 'five', 5, 'k'); \
                   UPDATE t SET a = 'uno', n = 11 WHERE id = 1; UPDATE t SET id = 22 WHERE id = 2; \
                   DELETE FROM t WHERE id = 3; UPDATE t SET kept = 'changed' WHERE id = 5";
    execute_in(&pair.source, SPACE, backlog).await;
    for server in [&pair.source, &pair.target] {
        let retype = match server.kind().is_postgres() {
            true => "ALTER TABLE t ALTER COLUMN n TYPE VARCHAR(20) USING 'n' || n",
            false => "ALTER TABLE t MODIFY n VARCHAR(20)",
        };
        let alter = format!(
            "ALTER TABLE t RENAME COLUMN a TO b; {retype}; \
             ALTER TABLE t ADD COLUMN extra VARCHAR(10) DEFAULT 'x'"
        );
        execute_in(server, SPACE, &alter).await;
    }
    let after =
        "UPDATE t SET extra = 'y' WHERE id = 4; INSERT INTO t VALUES (6, 'six', '6', 'k', 'z')";
    execute_in(&pair.source, SPACE, after).await;
    let mut child = weir.spawn(&["run"]);
    until_halted(&weir, "schema_changed").await;
    weir.run(&["resume", "left:right", "--schema-reviewed"]).await.expect_code(0);
    let query = "SELECT id, b, n, kept, extra FROM {space}.t ORDER BY id";
    let expected = query_in(&pair.source, SPACE, query).await;
    let mut found = Vec::new();
    until("both sides are equal", SOON, async || {
        found = query_in(&pair.target, SPACE, query).await;
        found == expected || weir.run(&["status"]).await.code == 4
    })
    .await;
    assert_eq!(found, expected);
    until("notes are settled", SOON, async || {
        query_in(&pair.target, SPACE, "SELECT count(*) FROM weir.missed").await == ["0"]
    })
    .await;
    child.kill().await.expect("stopped");
}

/// See [`reviewed_backlog`].
#[tokio::test]
async fn reviewed_backlog_from_postgres() {
    reviewed_backlog(Server::Postgres15, Server::MySql97).await;
}

async fn out_of_the_publication(source: Server) {
    let Some((pair, weir)) = ready(source, Server::MariaDb1011).await else { return };
    let rows = async |server: &Running| query_in(server, SPACE, "SELECT id FROM {space}.t").await;
    let equal = async |what: &str| {
        until(what, SOON, async || rows(&pair.source).await == rows(&pair.target).await).await;
    };
    let mut child = weir.spawn(&["run"]);
    execute_in(&pair.source, SPACE, "INSERT INTO t VALUES (1)").await;
    equal("the first row").await;
    let alter = "ALTER PUBLICATION weir_tables_left_right";
    let hole = format!("{alter} DROP TABLE t; INSERT INTO t VALUES (2); {alter} ADD TABLE t");
    execute_in(&pair.source, SPACE, &hole).await;
    until_halted(&weir, "changes of table tables.t may be missing").await;
    assert!(child.try_wait().expect("state").is_none(), "weir ended:\n{}", weir.log());
    // The operator copies the table.
    execute_in(&pair.target, SPACE, "INSERT INTO t VALUES (2, NULL)").await;
    weir.run(&["resume", "left:right", "--schema-reviewed"]).await.expect_code(0);
    execute_in(&pair.source, SPACE, "INSERT INTO t VALUES (3)").await;
    equal("the row after the copy").await;
    child.kill().await.expect("killed");

    weir.grant().await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    // While weir is down; what `weir setup` mends is not taken for whole.
    let hole = format!("{alter} DROP TABLE t; INSERT INTO t VALUES (4)");
    execute_in(&pair.source, SPACE, &hole).await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(4).expect_phrase("weir setup");
    weir.grant().await;
    let run = weir.run(&["run", "--until-caught-up"]).await.expect_code(4);
    run.expect_phrase("changes of table tables.t may be missing").expect_phrase("copy");
}

/// Broken if a table that left the publication for a while lost its changes of that time without a
/// word; or if `weir setup`, run again, looked like such a time.
#[tokio::test]
async fn a_while_out_of_the_publication_is_a_gap() {
    out_of_the_publication(Server::Postgres15).await;
    out_of_the_publication(Server::Postgres18).await;
}

/// Broken if a table dropped and made anew while weir was down were followed as the same, or if a
/// label renamed in the catalog alone went unseen, or one added at the end did not pass.
#[tokio::test]
async fn what_only_the_catalog_tells_is_seen() {
    let Some((pair, weir)) = ready(Server::Postgres18, Server::MariaDb1011).await else { return };
    let altered = async |sql: &str, code: i32, phrase: &str| {
        execute_in(&pair.source, SPACE, sql).await;
        weir.grant().await;
        weir.run(&["run", "--until-caught-up"]).await.expect_code(code).expect_phrase(phrase);
    };
    let made =
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE m (id INT PRIMARY KEY, m mood)";
    execute_in(
        &pair.target,
        SPACE,
        "CREATE TABLE m (id INT PRIMARY KEY, m ENUM('sad', 'ok', 'merry', 'blue'))",
    )
    .await;
    altered(made, 0, "").await;
    altered("ALTER TYPE mood ADD VALUE 'merry'", 0, "").await;
    altered("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'", 4, "no more label \"sad\" of column m")
        .await;
    altered("ALTER TYPE mood RENAME VALUE 'blue' TO 'sad'", 0, "").await;
    let again = "ALTER TABLE m DROP COLUMN m; ALTER TABLE m ADD COLUMN m mood";
    altered(again, 4, "no more place 2 of column m").await;
    altered("DROP TABLE t; CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10))", 4, "made anew")
        .await;
}

async fn open_at_the_start(source: Server, target: Server) {
    let Some(pair) = Pair::start(source, target).await else { return };
    pair.create_space(SPACE).await;
    execute_in(&pair.source, SPACE, T).await;
    execute_in(&pair.target, SPACE, T).await;
    let weir = Weir::new(&pair, "open", SPACE, "");
    weir.grant().await;
    let mut session = Session::open(&pair.source, SPACE).await;
    session.lines("BEGIN").await.expect("begin");
    session.lines("INSERT INTO t VALUES (1, 'a')").await.expect("insert");
    let run = weir.run(&["run", "--until-caught-up"]);
    let commit = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        session.lines("COMMIT").await.expect("commit");
    };
    let (run, ()) = tokio::join!(run, commit);
    run.expect_code(0);
    if !source.is_postgres() {
        // The commit comes after the log's end as it was then.
        weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    }
    assert_eq!(query_in(&pair.target, SPACE, "SELECT a FROM {space}.t").await, ["a"]);
}

/// Broken if rows of a transaction that was open at the first start were in no log and not copied
/// either.
#[tokio::test]
async fn rows_of_a_transaction_open_at_the_start_arrive() {
    open_at_the_start(Server::Postgres15, Server::MariaDb1011).await;
    open_at_the_start(Server::Postgres18, Server::MySql97).await;
    open_at_the_start(Server::MySql97, Server::Postgres15).await;
    open_at_the_start(Server::MariaDb1011, Server::Postgres15).await;
}

/// See [`reviewed_backlog`].
#[tokio::test]
async fn reviewed_backlog_from_mysql() {
    reviewed_backlog(Server::MySql97, Server::Postgres18).await;
}

/// See [`reviewed_backlog`].
#[tokio::test]
async fn reviewed_backlog_from_mariadb() {
    reviewed_backlog(Server::MariaDb1011, Server::Postgres15).await;
}

/// Broken if rows of a reviewed backlog that are to be read again were not there for the rows that
/// refer to them, or kept unique values that they had given up: the link could not go on at all.
async fn reviewed_family(source: Server, target: Server) {
    let Some(pair) = Pair::start(source, target).await else { return };
    pair.create_space(SPACE).await;
    let tables = "CREATE TABLE parent (id INT PRIMARY KEY, mail VARCHAR(10) UNIQUE); \
                  CREATE TABLE child (id INT PRIMARY KEY, parent_id INT, \
                  FOREIGN KEY (parent_id) REFERENCES parent (id))";
    for server in [&pair.source, &pair.target] {
        execute_in(server, SPACE, tables).await;
    }
    let weir = Weir::new(&pair, "family", SPACE, "");
    weir.set_up().await;
    execute_in(&pair.source, SPACE, "INSERT INTO parent VALUES (1, 'a')").await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let backlog = "INSERT INTO parent VALUES (2, 'b'); UPDATE parent SET mail = 'c' WHERE id = 1";
    execute_in(&pair.source, SPACE, backlog).await;
    for server in [&pair.source, &pair.target] {
        let alter = "ALTER TABLE parent ADD COLUMN extra INT NOT NULL DEFAULT 7";
        execute_in(server, SPACE, alter).await;
    }
    let after = "INSERT INTO child VALUES (10, 2); INSERT INTO parent VALUES (3, 'a', 8)";
    execute_in(&pair.source, SPACE, after).await;
    let mut child = weir.spawn(&["run"]);
    until_halted(&weir, "schema_changed").await;
    weir.run(&["resume", "left:right", "--schema-reviewed"]).await.expect_code(0);
    for query in ["SELECT * FROM {space}.parent ORDER BY id", "SELECT * FROM {space}.child"] {
        let expected = query_in(&pair.source, SPACE, query).await;
        until(query, SOON, async || query_in(&pair.target, SPACE, query).await == expected).await;
    }
    child.kill().await.expect("stopped");
}

/// See [`reviewed_family`].
#[tokio::test]
async fn reviewed_family_from_both() {
    reviewed_family(Server::Postgres15, Server::MySql97).await;
    reviewed_family(Server::MariaDb1011, Server::Postgres18).await;
}
