//! Columns whose values are looked up in tables of the target or of the source, and checks of what must be
//! there: in copies, in the stream, in what is told before, and after such a table has changed.

use std::time::Duration;

use weir::sandbox::Server;

use crate::harness::{Pair, Weir, execute_in, query_in, until};

const SPACE: &str = "lookups";
const SOON: Duration = Duration::from_secs(30);

const TABLES: &str = "
[table.customer]
in.left = \"lookups.customer\"
in.right = \"lookups.customer\"
owner = \"left\"
[table.customer.column]
country = { to.right = [{ lookup = { table = \"lookups.country\", key = \"code\", value = \"id\" } }] }
segment = { to.right = [{ lookup = { table = \"lookups.segment\", key = \"code\", value = \"name\", database = \"left\", miss = { default = \"none\" } } }] }
zip = { to.right = [{ validate = { references = { table = \"lookups.place\", column = \"zip\" }, else = \"null\" } }] }

[apply]
start = \"snapshot\"
";

async fn rows(pair: &Pair) -> Vec<String> {
    let sql = "SELECT id, country, segment, zip FROM {space}.customer ORDER BY id";
    query_in(&pair.target, SPACE, sql).await
}

async fn stand(pair: &Pair) {
    pair.create_space(SPACE).await;
    for sql in [
        "CREATE TABLE customer (id INT PRIMARY KEY, country VARCHAR(2), segment INT, zip INT)",
        "CREATE TABLE segment (code INT PRIMARY KEY, name VARCHAR(10), more TEXT)",
        "INSERT INTO segment VALUES (1, 'gold', 'x'), (2, 'basic', NULL)",
        "INSERT INTO customer VALUES (1, 'DE', 1, 10115), (2, NULL, 7, 99999), (3, 'YY', 2, NULL)",
    ] {
        execute_in(&pair.source, SPACE, sql).await;
    }
    for sql in [
        "CREATE TABLE customer (id INT PRIMARY KEY, country INT, segment VARCHAR(10), zip INT)",
        "CREATE TABLE country (nr INT PRIMARY KEY, code VARCHAR(2), id INT)",
        "INSERT INTO country VALUES (1, 'DE', 276), (2, 'FR', 250), (3, 'FR', 250), (4, NULL, 1)",
        "CREATE TABLE place (zip VARCHAR(9) PRIMARY KEY)",
        "INSERT INTO place VALUES ('10115'), ('20095')",
    ] {
        execute_in(&pair.target, SPACE, sql).await;
    }
}

async fn letters(pair: &Pair) -> Vec<String> {
    let sql = "SELECT kind FROM weir.dead_letter ORDER BY id";
    query_in(&pair.target, SPACE, sql).await
}

/// Broken if a value were taken from another row or database, a miss passed unseen, a copy or a comparison
/// looked elsewhere than the stream, or a table that has changed were never looked into again.
#[tokio::test]
async fn values_are_looked_up_in_both_dialects() {
    for (source, target) in
        [(Server::Postgres18, Server::MySql97), (Server::MariaDb1011, Server::Postgres15)]
    {
        let Some(pair) = Pair::start(source, target).await else { return };
        stand(&pair).await;
        let weir = Weir::with_tables(&pair, "lookups", TABLES);
        weir.grant().await;
        let printed = weir.run(&["setup"]).await.expect_code(0).stdout;
        let granted = printed.lines().filter(|line| line.starts_with("GRANT SELECT ON"));
        assert_eq!(granted.filter(|line| !line.contains("customer")).count(), 3, "{printed}");
        weir.run(&["check"]).await.expect_code(0);
        let tried = weir.run(&["try", "customer"]).await.expect_code(3);
        tried.expect_phrase("3 rows, 1 rejected").expect_phrase("step 1 (lookup)");
        weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
        let copied = ["1\t276\tgold\t10115", "2\t\\N\tnone\t\\N"];
        assert_eq!(rows(&pair).await, copied);
        assert_eq!(letters(&pair).await, ["value"]);
        let mut running = weir.spawn(&["run"]);
        let change = "INSERT INTO customer VALUES (4, 'FR', 2, 20095); \
                      UPDATE customer SET country = 'FR', zip = 20095 WHERE id = 1";
        execute_in(&pair.source, SPACE, change).await;
        let streamed = ["1\t250\tgold\t20095", "2\t\\N\tnone\t\\N", "4\t250\tbasic\t20095"];
        until("changes arrive", SOON, async || rows(&pair).await == streamed).await;
        // What it looks into has changed: that is seen by the next reload.
        execute_in(&pair.target, SPACE, "INSERT INTO country VALUES (9, 'YY', 9)").await;
        let plan = weir.run(&["plan"]).await.expect_code(3);
        plan.expect_phrase("column country is looked up in other rows");
        weir.run(&["reload"]).await.expect_code(0);
        weir.run(&["dead-letters", "retry", "left:right", "--all"]).await.expect_code(0);
        let all = [
            "1\t250\tgold\t20095",
            "2\t\\N\tnone\t\\N",
            "3\t9\tbasic\t\\N",
            "4\t250\tbasic\t20095",
        ];
        until("the row is tried again", SOON, async || rows(&pair).await == all).await;
        weir.run(&["verify"]).await.expect_code(0);
        weir.run(&["plan"]).await.expect_code(0);
        running.kill().await.expect("weir ends");
        if target.is_postgres() {
            refused(&pair, &weir).await;
        }
    }
}

/// What a table holds that cannot be looked into.
async fn refused(pair: &Pair, weir: &Weir) {
    execute_in(&pair.target, SPACE, "INSERT INTO country VALUES (10, 'DE', 1)").await;
    let twice = weir.run(&["run", "--until-caught-up"]).await;
    assert_ne!(twice.code, 0, "{}", twice.stderr);
    twice.expect_phrase("code holds a value several times, with different id");
    execute_in(&pair.target, SPACE, "DELETE FROM country WHERE nr = 10").await;
    let many = "INSERT INTO country SELECT g, NULL, g FROM generate_series(100, 100101) AS g";
    execute_in(&pair.target, SPACE, many).await;
    let many = weir.run(&["check"]).await;
    assert_ne!(many.code, 0, "{}", many.stdout);
    many.expect_phrase("it holds more than 100000 rows");
}
