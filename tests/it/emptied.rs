//! TRUNCATE where the target's own foreign keys are in the way for good: weir says what to do.

use weir::sandbox::Server;

use crate::harness::{Pair, Weir, execute_in, query_in};

const SPACE: &str = "emptied";
const TABLES: &str = "CREATE TABLE a (id INT PRIMARY KEY, b INT);
     CREATE TABLE b (id INT PRIMARY KEY, a INT, CONSTRAINT b_a FOREIGN KEY (a) REFERENCES a (id));
     ALTER TABLE a ADD CONSTRAINT a_b FOREIGN KEY (b) REFERENCES b (id);
     CREATE TABLE node (id INT PRIMARY KEY, up INT NOT NULL,
         CONSTRAINT up FOREIGN KEY (up) REFERENCES node (id))";
const ROWS: &str = "INSERT INTO a VALUES (1, NULL), (2, NULL); INSERT INTO b VALUES (1, 1), (2, 2);
     UPDATE a SET b = 3 - id; INSERT INTO node VALUES (1, 1), (2, 1), (3, 2)";

async fn cycle(source: Server, target: Server, changes: &str, way_on: &str) {
    let Some(pair) = Pair::start(source, target).await else { return };
    pair.create_space(SPACE).await;
    execute_in(&pair.source, SPACE, TABLES).await;
    execute_in(&pair.target, SPACE, TABLES).await;
    let weir = Weir::new(&pair, SPACE, SPACE, "truncate = \"apply\"\n");
    weir.set_up().await;
    execute_in(&pair.source, SPACE, ROWS).await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    execute_in(&pair.source, SPACE, changes).await;
    let halted = weir.run(&["run", "--until-caught-up"]).await;
    halted.expect_code(4).expect_phrase("drop the foreign key on the target");
    execute_in(&pair.target, SPACE, way_on).await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    for table in ["a", "b", "node"] {
        let query = format!("SELECT * FROM {{space}}.{table} ORDER BY id");
        let expected = query_in(&pair.source, SPACE, &query).await;
        assert_eq!(query_in(&pair.target, SPACE, &query).await, expected, "{target:?}: {table}");
    }
}

/// Broken if tables that refer to each other, or rows that must refer to rows of their own table, were
/// left as they are by a TRUNCATE without a word, or if what weir tells to do did not help.
#[tokio::test]
async fn a_truncate_against_the_targets_keys_has_a_way_on() {
    let ring = "TRUNCATE a, b; INSERT INTO a VALUES (7, NULL); INSERT INTO b VALUES (8, 7)";
    let cascade = "ALTER TABLE b DROP CONSTRAINT b_a; ALTER TABLE b ADD CONSTRAINT b_a
         FOREIGN KEY (a) REFERENCES a (id) ON DELETE CASCADE";
    let node = "TRUNCATE node; INSERT INTO node VALUES (5, 5)";
    let drop = "ALTER TABLE node DROP FOREIGN KEY up";
    tokio::join!(
        cycle(Server::Postgres15, Server::Postgres18, ring, cascade),
        cycle(Server::Postgres18, Server::MySql97, node, drop),
    );
}
