//! Whatever weir cannot apply exactly stops the link with its name; what does not concern it does
//! not.

use weir::error::Kind;
use weir::model::{Before, Op, Value};
use weir::sandbox::{Options, Server};

use super::rig::{Rig, follow, inserted};

const TABLES: &str = "CREATE TABLE t (id int PRIMARY KEY, v varchar(600), j json);
    CREATE TABLE d (id int DEFAULT 5 PRIMARY KEY, v int);
    CREATE TABLE other_t (id int PRIMARY KEY, v longtext, j json);
    CREATE TABLE other_中 (id int);
    CREATE TABLE `ärger€` (id int PRIMARY KEY);
    INSERT INTO t VALUES (1, 'a', JSON_OBJECT('a', 1, 'b', REPEAT('x', 500)));
    INSERT INTO other_t VALUES (1, 'a', JSON_OBJECT('a', 1, 'b', REPEAT('x', 500)))";

/// Gives `t` a foreign key that acts, and takes it away again.
const ADD_KEY: &str = "CREATE TABLE other_p (id int PRIMARY KEY) SELECT id FROM t;
    ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES other_p (id) ON DELETE CASCADE";
const DROP_KEY: &str = "ALTER TABLE t DROP FOREIGN KEY k; DROP TABLE other_p";

/// What halts on both servers.
async fn shared(rig: &Rig) {
    let unsupported = Kind::Unsupported;
    rig.halts(
        "SET SESSION binlog_format = 'STATEMENT'; INSERT INTO other_t VALUES (2, 'x', '{}')",
        unsupported,
        "statement format",
    )
    .await;
    rig.halts(
        "SET SESSION binlog_row_image = 'MINIMAL'; INSERT INTO d (v) VALUES (1)",
        unsupported,
        "an insert without the match key",
    )
    .await;
    rig.halts(
        "ALTER TABLE t ADD COLUMN n int; INSERT INTO t VALUES (60, 'x', '{}', 1)",
        Kind::SchemaChanged,
        "column n is new",
    )
    .await;
    rig.execute("ALTER TABLE t DROP COLUMN n").await;
    let unlogged = "SET SESSION sql_log_bin = 0; ALTER TABLE t MODIFY v varchar(601);";
    rig.halts(
        &format!("{unlogged} SET SESSION sql_log_bin = 1; INSERT INTO t VALUES (61, 'x', '{{}}')"),
        Kind::SchemaChanged,
        "column v is no longer varchar(600)",
    )
    .await;
    for (back, clause) in
        [("MODIFY v varchar(600)", "MODIFY"), ("DROP v, ADD v varchar(600) AFTER id", "DROP")]
    {
        let changed = format!("ALTER TABLE changed app.t: {clause}");
        rig.halts(&format!("ALTER TABLE t {back}"), Kind::SchemaChanged, &changed).await;
    }
    rig.halts(
        "SET SESSION binlog_format = 'STATEMENT'; CREATE TEMPORARY TABLE t (id int); TRUNCATE TABLE t",
        unsupported,
        "temporary table with the name of app.t",
    )
    .await;
    rig.halts(
        "SET GLOBAL binlog_row_metadata = 'MINIMAL'; INSERT INTO t VALUES (62, 'x', '{}')",
        Kind::Setting,
        "does not name the columns",
    )
    .await;
    rig.execute("SET GLOBAL binlog_row_metadata = 'FULL'").await;
    rig.halts("DROP INDEX `PRIMARY` ON t", Kind::SchemaChanged, "changed app.t: DROP INDEX").await;
    rig.execute("ALTER TABLE t ADD PRIMARY KEY (id)").await;
    rig.halts("RENAME TABLE t TO u", Kind::SchemaChanged, "app.t was dropped, renamed").await;
    rig.execute("RENAME TABLE u TO t").await;
    rig.halts("DROP TABLE t", Kind::SchemaChanged, "app.t was dropped").await;
}

/// What changes no planned row passes, and TRUNCATE arrives.
async fn passes(rig: &Rig, foreign: &str) {
    let mut stream = rig.begin().await;
    rig.execute(foreign).await;
    rig.execute(
        "CREATE TABLE other_x (id int); DROP TABLE other_x; CREATE INDEX i ON t (v(10));
        ALTER TABLE t DROP INDEX i; ANALYZE TABLE t; FLUSH TABLES;
        ALTER TABLE t ADD UNIQUE u (id), COMMENT 'x', ALGORITHM=INPLACE; ALTER TABLE t DROP KEY u;
        ALTER TABLE t DEFAULT CHARACTER SET latin1 COLLATE latin1_bin, MAX_ROWS 9, ORDER BY id, v;
        ALTER TABLE t COMMENT 'y' PARTITION BY HASH (id) PARTITIONS 2;
        ALTER TABLE t FORCE REMOVE PARTITIONING;
        SET @s = 'CREATE VIEW v AS SELECT 1 AS `中`'; SET NAMES gbk; PREPARE p FROM @s; EXECUTE p;
        SET NAMES utf8mb4; SET @s = 'TRUNCATE TABLE `other_中`'; SET NAMES gbk; PREPARE p FROM @s;
        EXECUTE p; SET NAMES utf8mb4;
        CREATE TEMPORARY TABLE tmp (id int); INSERT INTO tmp VALUES (1); DROP TABLE tmp;
        CREATE USER 'someone'@'localhost'; DROP USER 'someone'@'localhost';
        CREATE PROCEDURE p() INSERT INTO t VALUES (70, 'p', '{}'); CALL p();
        BEGIN; SAVEPOINT s; INSERT INTO t VALUES (71, 'x', '{}'); ROLLBACK TO s; COMMIT;
        SET SESSION binlog_row_image = 'MINIMAL'; UPDATE t SET v = 'b' WHERE id = 1;
        DELETE FROM t WHERE id = 70; TRUNCATE TABLE t",
    )
    .await;
    let (changes, _) = stream.transaction().await;
    assert_eq!(inserted(&changes[0])[0], Value::Int(70));
    let (changes, _) = stream.transaction().await;
    let Op::Update { before: Some(Before::Key(before)), after } = &changes[0].op else {
        panic!("an update that knows its key: {changes:?}")
    };
    assert_eq!(before.to_vec(), [Value::Int(1), Value::Unchanged, Value::Unchanged]);
    assert_eq!(after.to_vec(), [Value::Int(1), Value::Text("b".into()), Value::Unchanged]);
    let (changes, _) = stream.transaction().await;
    assert!(
        matches!(&changes[0].op, Op::Delete { before: Before::Key(row) } if row[0] == Value::Int(70))
    );
    let (changes, _) = stream.transaction().await;
    assert_eq!(changes[0].op, Op::Truncate);
    for (session, name) in [("utf8mb4", "ärger€"), ("latin1", "`ärger€`")] {
        rig.execute(&format!(
            "SET @s = 'TRUNCATE TABLE {name}'; SET NAMES {session}; PREPARE p FROM @s; EXECUTE p"
        ))
        .await;
        let (changes, _) = stream.transaction().await;
        assert_eq!(changes[0].op, Op::Truncate);
        assert_eq!(rig.plan.tables[changes[0].table].source.name.table, "ärger€", "{session}");
    }
    stream.stop().await;
}

/// A schema change that the operator has reviewed: rows until there are matched by name.
async fn reviewed(rig: &Rig) {
    let mut source = rig.source().await;
    let from = source.begin().await.unwrap();
    rig.execute(
        "ALTER TABLE t ADD COLUMN n int FIRST; INSERT INTO t VALUES (9, 80, 'x', '{}');
        ALTER TABLE t DROP COLUMN n",
    )
    .await;
    let until = rig.source().await.begin().await.unwrap();
    let mut stream = follow(source, from, Some(until));
    rig.execute("INSERT INTO t VALUES (81, 'y', '{}')").await;
    let (changes, _) = stream.transaction().await;
    assert_eq!(inserted(&changes[0])[..2], [Value::Int(80), Value::Text("x".into())]);
    let (changes, _) = stream.transaction().await;
    assert_eq!(inserted(&changes[0])[0], Value::Int(81));
    stream.stop().await;
}

/// Broken if a change that MySQL logs in a form that weir does not read were skipped.
#[tokio::test]
async fn what_is_not_understood_halts_mysql() {
    let Some(rig) = Rig::new(Server::MySql97, Options::default(), TABLES).await else { return };
    let partial = "SET SESSION binlog_row_value_options = 'PARTIAL_JSON';
        SET SESSION binlog_row_image = 'MINIMAL';";
    let vector = "CREATE TABLE other_v (id int PRIMARY KEY, v vector(3));
        INSERT INTO other_v VALUES (1, STRING_TO_VECTOR('[1,2,3]'));";
    let vector = format!("{ADD_KEY}; {DROP_KEY}; {vector}");
    passes(&rig, &format!("{vector} {partial} UPDATE other_t SET j = JSON_SET(j, '$.a', 2)")).await;
    reviewed(&rig).await;
    shared(&rig).await;
}

/// As above for MariaDB.
#[tokio::test]
async fn what_is_not_understood_halts_mariadb() {
    let Some(rig) = Rig::new(Server::MariaDb1011, Options::default(), TABLES).await else { return };
    passes(
        &rig,
        "SET GLOBAL log_bin_compress = ON; UPDATE other_t SET v = REPEAT('y', 600);
        SET GLOBAL log_bin_compress = OFF",
    )
    .await;
    reviewed(&rig).await;
    rig.halts(ADD_KEY, Kind::SchemaChanged, "gave app.t a foreign key that changes rows").await;
    rig.execute(DROP_KEY).await;
    rig.halts("ALTER IGNORE TABLE t ADD UNIQUE (v)", Kind::Unsupported, "moved or dropped rows")
        .await;
    rig.execute("ALTER TABLE t DROP INDEX v").await;
    rig.halts(
        "SET @s = 'CREATE OR REPLACE TABLE `ärger€` SELECT 1 AS id'; SET NAMES latin1;
        PREPARE p FROM @s; EXECUTE p",
        Kind::Unsupported,
        "in one of two possible character sets",
    )
    .await;
    shared(&rig).await;
}

/// Broken if a database that MariaDB dropped to make it anew left the target as it was.
#[tokio::test]
async fn a_replaced_database_halts() {
    let Some(rig) = Rig::new(Server::MariaDb1011, Options::default(), TABLES).await else { return };
    rig.halts("CREATE OR REPLACE SCHEMA app", Kind::SchemaChanged, "was dropped").await;
}
