//! What foreign keys do where one end is a MySQL that carries them out above its storage engine
//! (`innodb_native_foreign_keys = OFF`): cascades that it does not carry out to their end.

use weir::sandbox::Server;

use crate::harness::{Pair, Weir, execute_in, query_in};

const CAUGHT_UP: [&str; 2] = ["run", "--until-caught-up"];

/// A link over the same tables on both sides.
async fn linked(pair: &Pair, space: &str, source: &str, target: &str) -> Weir {
    pair.create_space(space).await;
    execute_in(&pair.source, space, source).await;
    execute_in(&pair.target, space, target).await;
    let weir = Weir::new(pair, space, space, "");
    weir.set_up().await;
    weir
}

async fn count(pair: &Pair, space: &str, table: &str) -> [Vec<String>; 2] {
    let sql = format!("SELECT count(*) FROM {{space}}.{table}");
    [query_in(&pair.source, space, &sql).await, query_in(&pair.target, space, &sql).await]
}

async fn assert_equal(pair: &Pair, space: &str, tables: &[&str]) {
    for table in tables {
        let sql = format!("SELECT * FROM {{space}}.{table} ORDER BY id");
        let expected = query_in(&pair.source, space, &sql).await;
        assert!(!expected.is_empty(), "{space}.{table} is empty");
        let found = query_in(&pair.target, space, &sql).await;
        let differing = expected.iter().zip(&found).find(|(one, other)| one != other);
        assert!(
            found == expected,
            "{space}.{table}: {} of {} rows, first {differing:?}",
            found.len(),
            expected.len()
        );
    }
}

const WAYS: &str = "CREATE TABLE p (id INT PRIMARY KEY);
    CREATE TABLE a (id INT PRIMARY KEY, p INT, CONSTRAINT a_p FOREIGN KEY (p) REFERENCES p (id)
        ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE b (id INT PRIMARY KEY, p INT, CONSTRAINT b_p FOREIGN KEY (p) REFERENCES p (id)
        ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE x (id INT PRIMARY KEY, a INT, b INT,
        CONSTRAINT x_a FOREIGN KEY (a) REFERENCES a (id) ON DELETE CASCADE,
        CONSTRAINT x_b FOREIGN KEY (b) REFERENCES b (id) ON DELETE CASCADE);
    CREATE TABLE leaf (id INT PRIMARY KEY, x INT, CONSTRAINT leaf_x FOREIGN KEY (x) REFERENCES x (id)
        ON DELETE CASCADE)";

/// A link over tables that a delete comes to on several ways. What comes on one way has arrived, and a
/// row was deleted from which there are two.
async fn several_ways(pair: &Pair, space: &str) -> Weir {
    let weir = linked(pair, space, WAYS, WAYS).await;
    let rows = "INSERT INTO p VALUES (1), (2), (3); INSERT INTO a VALUES (1, 1), (2, 2), (3, 3);
        INSERT INTO b VALUES (1, 1), (2, 2), (3, 3);
        INSERT INTO x VALUES (1, 1, NULL), (2, NULL, 1), (3, 2, NULL), (4, NULL, 2), (5, 3, 3);
        INSERT INTO leaf VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)";
    execute_in(&pair.source, space, rows).await;
    execute_in(&pair.source, space, "DELETE FROM a WHERE id = 2; DELETE FROM x WHERE id = 4").await;
    execute_in(&pair.source, space, "UPDATE p SET id = 30 WHERE id = 3").await;
    weir.run(&CAUGHT_UP).await.expect_code(0);
    assert_equal(pair, space, &["p", "a", "b", "x", "leaf"]).await;
    execute_in(&pair.source, space, "DELETE FROM p WHERE id = 1; INSERT INTO p VALUES (4)").await;
    weir
}

/// Broken if a MySQL that follows the keys below a row on one way only kept, as the target, rows that
/// are gone at a source which does not log its cascades; or if deletes that it carries out halted.
#[tokio::test]
async fn cascades_left_undone_by_the_target() {
    const SPACE: &str = "undone";
    let Some(pair) = Pair::start(Server::MariaDb1011, Server::MySql97).await else { return };
    let weir = several_ways(&pair, SPACE).await;
    weir.run(&["check"]).await.expect_phrase("come to undone.x on several ways");
    let halted = weir.run(&CAUGHT_UP).await.expect_code(4);
    halted.expect_phrase("a row of undone.p was deleted: the source does not log");
    assert_eq!(count(&pair, SPACE, "leaf").await, [["1"], ["3"]].map(|one| one.map(str::to_owned)));
    execute_in(&pair.target, SPACE, "DELETE FROM x WHERE id IN (1, 2)").await;
    weir.run(&["resume", "left:right", "--schema-reviewed"]).await.expect_code(0);
    weir.run(&CAUGHT_UP).await.expect_code(0);
    assert_equal(&pair, SPACE, &["p", "a", "b", "x", "leaf"]).await;
}

/// Broken if keys of the target removed rows that such a MySQL, as the source, leaves without parents.
#[tokio::test]
async fn cascades_left_undone_by_the_source() {
    const SPACE: &str = "undone";
    let Some(pair) = Pair::start(Server::MySql97, Server::Postgres15).await else { return };
    let weir = several_ways(&pair, SPACE).await;
    weir.run(&["check"]).await.expect_phrase("come to undone.x on several ways");
    let halted = weir.run(&CAUGHT_UP).await.expect_code(4);
    halted.expect_phrase("foreign keys come to undone.x on several ways");
    assert_eq!(count(&pair, SPACE, "leaf").await, [["2"], ["3"]].map(|one| one.map(str::to_owned)));
    let drop = "ALTER TABLE a DROP CONSTRAINT a_p; ALTER TABLE b DROP CONSTRAINT b_p;
        ALTER TABLE x DROP CONSTRAINT x_a, DROP CONSTRAINT x_b; ALTER TABLE leaf DROP CONSTRAINT leaf_x";
    execute_in(&pair.target, SPACE, drop).await;
    weir.run(&CAUGHT_UP).await.expect_code(0);
    assert_equal(&pair, SPACE, &["p", "a", "b", "x", "leaf"]).await;
}
