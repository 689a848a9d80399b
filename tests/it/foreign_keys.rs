//! What foreign keys do where one end is a MySQL that carries them out above its storage engine
//! (`innodb_native_foreign_keys = OFF`): statements with the checks off, cascades in its log, REPLACE,
//! a table that refers to itself, and cascades that it does not carry out to their end.

use weir::sandbox::Server;

use crate::harness::{Pair, Weir, execute_in, query_in};
use crate::rights::WRITER;

const CAUGHT_UP: [&str; 2] = ["run", "--until-caught-up"];

const FAMILY: &str = "CREATE TABLE parent (id INT PRIMARY KEY, no INT UNIQUE, name VARCHAR(20));
    CREATE TABLE child (id INT PRIMARY KEY, parent_id INT,
        FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE leaf (id INT PRIMARY KEY, child_id INT,
        FOREIGN KEY (child_id) REFERENCES child (id) ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE note (id INT PRIMARY KEY, no INT,
        FOREIGN KEY (no) REFERENCES parent (no) ON DELETE SET NULL)";

/// More rows than a part of a transaction holds.
const ROWS: &str = "SET cte_max_recursion_depth = 5000;
    INSERT INTO parent WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4500)
        SELECT i, i, 'p' FROM n;
    INSERT INTO child SELECT id, id FROM parent WHERE id % 2 = 0;
    INSERT INTO leaf SELECT id, id FROM child;
    INSERT INTO note SELECT id, no FROM parent WHERE id % 5 = 0";

/// A trigger writes beside.
const AUDIT: &str = "CREATE TABLE audit (id INT PRIMARY KEY AUTO_INCREMENT, parent INT);
    CREATE TRIGGER gone AFTER DELETE ON parent FOR EACH ROW INSERT INTO audit (parent) VALUES (OLD.id)";

/// The checks are off for a part of the statement only.
const FUNCTION: &str = "CREATE FUNCTION drops (which INT) RETURNS INT MODIFIES SQL DATA BEGIN
        SET foreign_key_checks = 0; DELETE FROM parent WHERE id = which; SET foreign_key_checks = 1;
        INSERT INTO audit (parent) VALUES (which); RETURN which; END";

const TABLES: [&str; 4] = ["parent", "child", "leaf", "note"];

/// A link over the same tables on both sides.
async fn linked(pair: &Pair, space: &str, source: &str, target: &str) -> Weir {
    pair.create_space(space).await;
    execute_in(&pair.source, space, source).await;
    execute_in(&pair.target, space, target).await;
    let exclude = format!("exclude = [\"{space}.audit\"]\n");
    let weir = Weir::new(pair, space, space, &exclude);
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

/// Broken if a statement with the checks off, whatever else is in it and however it is logged, let the
/// target's keys remove rows that the source kept; or if a part of it stayed on the target.
async fn checks_off(target: Server) {
    let Some(pair) = Pair::start(Server::MySql97, target).await else { return };
    pair.source.execute("SET GLOBAL log_bin_trust_function_creators = 1").await.expect("set");
    let source = format!("{FAMILY}; {AUDIT}; {FUNCTION}");
    for (space, statements) in [
        ("large", "SET foreign_key_checks = 0; DELETE FROM parent"),
        // More than a part of the transaction is at the target before its statement ends.
        ("late", "SET foreign_key_checks = 0; DELETE FROM child"),
        (
            "packed",
            "SET binlog_transaction_compression = 1; SET foreign_key_checks = 0;
             DELETE FROM parent WHERE id = 4",
        ),
        (
            "several",
            "SET foreign_key_checks = 0;
             DELETE parent, leaf FROM parent JOIN leaf ON leaf.id = parent.id WHERE parent.id = 4",
        ),
        ("moved", "SET foreign_key_checks = 0; UPDATE parent SET id = 9004 WHERE id = 4"),
        (
            "middle",
            "BEGIN; DELETE FROM parent WHERE id = 6; SET foreign_key_checks = 0;
             DELETE FROM child WHERE id = 4; COMMIT",
        ),
        ("called", "SELECT drops(4)"),
        (
            "phases",
            "SET foreign_key_checks = 0; XA START 'x'; DELETE FROM parent WHERE id = 4; XA END 'x';
             XA PREPARE 'x'; XA COMMIT 'x'",
        ),
    ] {
        let weir = linked(&pair, space, &source, FAMILY).await;
        execute_in(&pair.source, space, ROWS).await;
        weir.run(&CAUGHT_UP).await.expect_code(0);
        execute_in(&pair.source, space, statements).await;
        let outcome = weir.run(&CAUGHT_UP).await.expect_code(4);
        outcome.expect_phrase("made with foreign_key_checks = 0, and foreign key");
        for (table, all) in TABLES.into_iter().zip(["4500", "2250", "2250", "900"]) {
            assert_eq!(count(&pair, space, table).await[1], [all], "{space}.{table}");
        }
        weir.tear_down().await;
    }
}

/// See [`checks_off`].
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn checks_off_to_postgres() {
    checks_off(Server::Postgres15).await;
}

/// See [`checks_off`].
#[tokio::test]
async fn checks_off_to_mariadb() {
    checks_off(Server::MariaDb1011).await;
}

/// Broken if what the source's keys did halted a link although its log holds it, or were done twice;
/// or if rows that a REPLACE let alone went on the target.
async fn cascades_in_the_log(target: Server) {
    const SPACE: &str = "logged";
    let Some(pair) = Pair::start(Server::MySql97, target).await else { return };
    let weir = linked(&pair, SPACE, &format!("{FAMILY}; {AUDIT}"), FAMILY).await;
    execute_in(&pair.source, SPACE, ROWS).await;
    for statements in [
        "DELETE FROM parent WHERE id BETWEEN 1 AND 3000",
        "SET binlog_transaction_compression = 1; DELETE FROM parent WHERE id BETWEEN 3001 AND 3100",
        "DELETE parent, child FROM parent JOIN child ON child.parent_id = parent.id
             WHERE parent.id BETWEEN 3101 AND 3200",
        "DELETE child, parent FROM parent JOIN child ON child.parent_id = parent.id
             WHERE parent.id BETWEEN 3201 AND 3300",
        "UPDATE parent SET id = id + 10000 WHERE id BETWEEN 3301 AND 3400",
        "UPDATE child SET id = id + 20000 WHERE id BETWEEN 3401 AND 3500",
        "XA START 'x'; DELETE FROM parent WHERE id BETWEEN 3501 AND 3600; XA END 'x';
             XA PREPARE 'x'; XA COMMIT 'x'",
        "INSERT INTO parent VALUES (3602, 3602, 'x'), (3606, 9, 'x') ON DUPLICATE KEY UPDATE id = id + 20000",
        // The rows stay that refer to what stays the same: to the key, to the number, to both.
        "REPLACE INTO parent VALUES (3702, 3702, 'new'), (3703, 3703, 'new'), (3705, 3705, 'new'), (3710, 3710, 'new')",
        "REPLACE INTO parent VALUES (3712, 13712, 'new'), (3715, 13715, 'new'), (3720, 13720, 'new')",
        "REPLACE INTO parent VALUES (13723, 3723, 'new'), (13725, 3725, 'new'), (13735, 3735, 'new')",
        "REPLACE INTO parent SELECT id, no, 'again' FROM parent WHERE id BETWEEN 3800 AND 3900",
        "SET foreign_key_checks = 0; REPLACE INTO leaf VALUES (3904, 3906);
             UPDATE parent SET name = 'off' WHERE id = 3908; DELETE FROM leaf WHERE id = 3908",
    ] {
        execute_in(&pair.source, SPACE, statements).await;
    }
    weir.run(&CAUGHT_UP).await.expect_code(0);
    assert_equal(&pair, SPACE, &TABLES).await;
    // Its children go, and what refers to those stays at the source.
    execute_in(&pair.source, SPACE, "REPLACE INTO parent VALUES (13740, 3740, 'new')").await;
    weir.run(&CAUGHT_UP).await.expect_code(4).expect_phrase("go no further");
    weir.run(&["resume", "left:right", "--schema-reviewed"]).await.expect_code(0);
    weir.run(&CAUGHT_UP).await.expect_code(0);
    // One row in the place of two, to which others refer by different columns.
    let several =
        "INSERT INTO parent VALUES (1, 1, 'a'), (2, 2, 'b'); INSERT INTO child VALUES (1, 1);
        INSERT INTO note VALUES (2, 2); REPLACE INTO parent VALUES (1, 2, 'c')";
    execute_in(&pair.source, SPACE, several).await;
    weir.run(&CAUGHT_UP).await.expect_code(4).expect_phrase("in the place of several");
}

/// See [`cascades_in_the_log`].
#[tokio::test]
async fn cascades_in_the_log_to_postgres() {
    cascades_in_the_log(Server::Postgres15).await;
}

/// See [`cascades_in_the_log`].
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn cascades_in_the_log_to_mariadb() {
    cascades_in_the_log(Server::MariaDb1011).await;
}

/// Broken if an ordinary delete from a table that refers to itself halted, or if one with the checks off,
/// of which the log is the same, took rows along on the target that the source kept; or if the way on
/// that weir names were none.
async fn a_table_that_refers_to_itself(target: Server) {
    const SPACE: &str = "tree";
    let Some(pair) = Pair::start(Server::MySql97, target).await else { return };
    let tree = "CREATE TABLE t (id INT PRIMARY KEY, up INT,
        CONSTRAINT above FOREIGN KEY (up) REFERENCES t (id) ON DELETE CASCADE)";
    let weir = linked(&pair, SPACE, tree, tree).await;
    let own = "CREATE TABLE own (t INT, CONSTRAINT mine FOREIGN KEY (t) REFERENCES t (id)
        ON DELETE CASCADE)";
    execute_in(&pair.target, SPACE, own).await;
    let rows = "INSERT INTO t VALUES (1, NULL), (2, 1), (3, 2), (4, NULL), (5, 4), (6, 5),
        (100, NULL), (101, 100), (102, 100), (103, 100),
        (110, NULL), (111, 110), (112, 111)";
    execute_in(&pair.source, SPACE, rows).await;
    weir.run(&CAUGHT_UP).await.expect_code(0);
    execute_in(&pair.target, SPACE, "INSERT INTO own VALUES (1), (100)").await;
    let deletes = "DELETE FROM t WHERE id = 3; DELETE FROM t WHERE id = 100; DELETE FROM t WHERE id = 110;
        START TRANSACTION; INSERT INTO t VALUES (8, NULL), (9, 8); DELETE FROM t WHERE id IN (1, 8); COMMIT";
    execute_in(&pair.source, SPACE, deletes).await;
    weir.run(&CAUGHT_UP).await.expect_code(0);
    assert_equal(&pair, SPACE, &["t"]).await;
    assert_eq!(count(&pair, SPACE, "t").await[1], ["3"]);
    // In the log it is the same as that of row 4 alone with the checks on, but row 6 stays.
    let off = "SET foreign_key_checks = 0; DELETE FROM t WHERE id IN (4, 5) ORDER BY id DESC";
    execute_in(&pair.source, SPACE, off).await;
    let halted = weir.run(&CAUGHT_UP).await.expect_code(4);
    halted.expect_phrase("refer to a row by above").expect_phrase("does not tell");
    assert_eq!(count(&pair, SPACE, "t").await[1], ["3"]);
    let off = match target.is_postgres() {
        true => "SET session_replication_role = replica",
        false => "SET foreign_key_checks = 0",
    };
    execute_in(&pair.target, SPACE, &format!("{off}; DELETE FROM t WHERE id = 5")).await;
    weir.run(&CAUGHT_UP).await.expect_code(0);
    assert_equal(&pair, SPACE, &["t"]).await;
    assert_eq!(count(&pair, SPACE, "t").await[1], ["1"]);
}

/// See [`a_table_that_refers_to_itself`].
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn a_table_that_refers_to_itself_to_postgres() {
    a_table_that_refers_to_itself(Server::Postgres15).await;
}

/// See [`a_table_that_refers_to_itself`].
#[tokio::test]
async fn a_table_that_refers_to_itself_to_mariadb() {
    a_table_that_refers_to_itself(Server::MariaDb1011).await;
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
/// are gone at a source which does not log its cascades; or if deletes that it carries out halted, or
/// nobody were told of a right that is missing to tell them.
#[tokio::test]
async fn cascades_left_undone_by_the_target() {
    const SPACE: &str = "undone";
    let Some(pair) = Pair::start(Server::MariaDb1011, Server::MySql97).await else { return };
    let weir = several_ways(&pair, SPACE).await;
    weir.run(&["check"]).await.expect_phrase("come to undone.x on several ways");
    // Rows of tables that the link does not write may refer to a row too.
    let audit = "CREATE TABLE audit (p INT PRIMARY KEY, FOREIGN KEY (p) REFERENCES p (id)
        ON DELETE CASCADE)";
    execute_in(&pair.target, SPACE, audit).await;
    let halted = weir.run(&CAUGHT_UP).await.expect_code(4);
    halted.expect_phrase(
        "GRANT SELECT ON `undone`.`a` TO weir's user; GRANT SELECT ON `undone`.`audit`",
    );
    let grant = format!("GRANT SELECT ON undone.audit TO {WRITER}");
    pair.target.execute(&grant).await.expect("granted");
    let halted = weir.run(&CAUGHT_UP).await.expect_code(4);
    halted.expect_phrase("rows of undone.a refer to a row by a_p, and the source does not log");
    assert_eq!(count(&pair, SPACE, "leaf").await, [["1"], ["3"]].map(|one| one.map(str::to_owned)));
    let by_hand = "DELETE FROM leaf WHERE x IN (1, 2); DELETE FROM x WHERE id IN (1, 2);
        DELETE FROM a WHERE p = 1; DELETE FROM b WHERE p = 1";
    execute_in(&pair.target, SPACE, by_hand).await;
    weir.run(&CAUGHT_UP).await.expect_code(0);
    // What no row refers to goes, and so does what the application takes away from the last to the first.
    let alone =
        "INSERT INTO p VALUES (7), (8); INSERT INTO a VALUES (8, 8); DELETE FROM p WHERE id = 7;
        START TRANSACTION; DELETE FROM a WHERE id = 8; DELETE FROM p WHERE id = 8; COMMIT";
    execute_in(&pair.source, SPACE, alone).await;
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

/// The same tables, the keys without an action.
fn without_actions(tables: &str) -> String {
    ["CASCADE", "SET NULL"].iter().fold(tables.to_owned(), |tables, action| {
        tables
            .replace(&format!(" ON DELETE {action}"), "")
            .replace(&format!(" ON UPDATE {action}"), "")
    })
}

/// Broken if a row went at the target before those that refer to it, where one statement deletes from
/// both tables and is larger than what is written at once; or if a row that keeps what others refer to
/// were refused.
#[tokio::test]
async fn rows_go_before_those_they_refer_to() {
    const SPACE: &str = "ordered";
    let Some(pair) = Pair::start(Server::MySql97, Server::Postgres15).await else { return };
    let weir = linked(&pair, SPACE, FAMILY, &without_actions(FAMILY)).await;
    // The last child that goes refers to the first parent that does.
    let rows = "SET cte_max_recursion_depth = 20000;
        INSERT INTO parent WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
            SELECT i, i, 'p' FROM n;
        INSERT INTO child SELECT 20000 - id, id FROM parent; INSERT INTO parent VALUES (0, 0, 'stays')";
    execute_in(&pair.source, SPACE, rows).await;
    weir.run(&CAUGHT_UP).await.expect_code(0);
    let delete =
        "DELETE child, parent FROM child STRAIGHT_JOIN parent ON parent.id = child.parent_id";
    execute_in(&pair.source, SPACE, delete).await;
    weir.run(&CAUGHT_UP).await.expect_code(0);
    assert_equal(&pair, SPACE, &["parent"]).await;
    assert_eq!(
        count(&pair, SPACE, "child").await,
        [["0"], ["0"]].map(|one| one.map(str::to_owned))
    );
    let replace = "INSERT INTO note VALUES (1, 0); REPLACE INTO parent VALUES (20001, 0, 'new')";
    execute_in(&pair.source, SPACE, replace).await;
    weir.run(&CAUGHT_UP).await.expect_code(0);
    assert_equal(&pair, SPACE, &["parent", "note"]).await;
}
