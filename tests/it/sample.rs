//! A database as one meets them: references, composite keys, many types, partitions and generated columns.
//! It is copied while it is used, and both sides are proven equal by weir itself.

use std::time::Duration;

use weir::sandbox::Server;

use crate::crash::{assert_log_is_calm, kill};
use crate::harness::{Pair, Weir, execute_in, query_in, until};
use crate::load::Session;

const SPACE: &str = "rental";

/// A film rental on PostgreSQL.
fn on_postgres() -> (String, String) {
    let create = "CREATE TYPE rating AS ENUM ('G', 'PG', 'R'); \
         CREATE TABLE language (id smallint PRIMARY KEY, name char(20) NOT NULL); \
         CREATE TABLE film (id serial PRIMARY KEY, title varchar(120) NOT NULL, plot text, \
           year smallint, language_id smallint NOT NULL REFERENCES language (id), \
           rate numeric(6,2) NOT NULL, length int, rated rating, cover bytea, extra jsonb, \
           uid uuid NOT NULL, \
           long boolean GENERATED ALWAYS AS (length > 120) STORED, changed timestamptz NOT NULL); \
         CREATE TABLE actor (id int PRIMARY KEY, name varchar(80) NOT NULL); \
         CREATE TABLE film_actor (film_id int REFERENCES film (id), actor_id int REFERENCES actor (id), \
           part varchar(60) NOT NULL, PRIMARY KEY (film_id, actor_id, part)); \
         CREATE TABLE payment (id int, paid_on date NOT NULL, film_id int NOT NULL, \
           amount numeric(8,2) NOT NULL, took double precision NOT NULL, at time(3), PRIMARY KEY (id, paid_on)) \
           PARTITION BY RANGE (paid_on); \
         CREATE TABLE payment_23 PARTITION OF payment FOR VALUES FROM ('2023-01-01') TO ('2024-01-01'); \
         CREATE TABLE payment_24 PARTITION OF payment FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')";
    let rows = "INSERT INTO language VALUES (1, 'english'), (2, 'français'); \
         INSERT INTO film (id, title, plot, year, language_id, rate, length, rated, cover, extra, uid, changed) \
           SELECT i, 'film ' || i, CASE WHEN i % 3 > 0 THEN repeat(chr(9731) || ' plot ', i % 50) END, \
             1950 + i % 70, 1 + i % 2, i % 100 / 7.0, i % 240, (ARRAY['G', 'PG', 'R'])[1 + i % 3]::rating, \
             decode(md5(i::text), 'hex'), jsonb_build_object('n', i, 'tags', ARRAY['a', 'b']), \
             md5(i::text)::uuid, '2024-02-03 04:05:06.789+00'::timestamptz + i * interval '1 minute' \
           FROM generate_series(1, 4000) i; \
         INSERT INTO actor SELECT i, 'actor ' || i FROM generate_series(1, 300) i; \
         INSERT INTO film_actor SELECT f, 1 + (f * 7 + p) % 300, 'part ' || p \
           FROM generate_series(1, 4000) f, generate_series(1, 3) p; \
         INSERT INTO payment SELECT i, date '2023-01-01' + i % 700, 1 + i % 4000, i / 100.0, \
           i / 3.0, time '08:09:10.123' FROM generate_series(1, 12000) i";
    (create.to_owned(), rows.to_owned())
}

/// The same on MySQL or MariaDB, as far as they have it.
fn on_mysql() -> (String, String) {
    let create = "CREATE TABLE language (id SMALLINT PRIMARY KEY, name CHAR(20) NOT NULL); \
         CREATE TABLE film (id INT AUTO_INCREMENT PRIMARY KEY, title VARCHAR(120) NOT NULL, plot TEXT, \
           year YEAR, language_id SMALLINT NOT NULL, rate DECIMAL(6,2) NOT NULL, length INT UNSIGNED, \
           rated ENUM('G', 'PG', 'R'), cover BLOB, extra JSON, \
           long_one TINYINT(1) GENERATED ALWAYS AS (length > 120) STORED, changed TIMESTAMP(3) NOT NULL, \
           FOREIGN KEY (language_id) REFERENCES language (id)) CHARACTER SET utf8mb4; \
         CREATE TABLE actor (id INT PRIMARY KEY, name VARCHAR(80) NOT NULL); \
         CREATE TABLE film_actor (film_id INT, actor_id INT, part VARCHAR(60) NOT NULL, \
           PRIMARY KEY (film_id, actor_id, part), FOREIGN KEY (film_id) REFERENCES film (id), \
           FOREIGN KEY (actor_id) REFERENCES actor (id)); \
         CREATE TABLE payment (id INT, paid_on DATE NOT NULL, film_id INT NOT NULL, \
           amount DECIMAL(8,2) NOT NULL, took TIME(3) NOT NULL, f DOUBLE, PRIMARY KEY (id, paid_on)) \
           PARTITION BY RANGE (YEAR(paid_on)) (PARTITION p23 VALUES LESS THAN (2024), \
             PARTITION rest VALUES LESS THAN MAXVALUE)";
    let mut rows = vec!["INSERT INTO language VALUES (1, 'english'), (2, 'français')".to_owned()];
    let list = |from: i64, to: i64, row: fn(i64) -> String| {
        (from..to).map(row).collect::<Vec<_>>().join(", ")
    };
    for from in (1..3_001).step_by(500) {
        let films = list(from, from + 500, |i| {
            let (plot, rated) =
                ("☃ plot ".repeat((i % 40) as usize), ["G", "PG", "R"][(i % 3) as usize]);
            format!(
                "({i}, 'film {i}', '{plot}', {}, {}, {}.5, {}, '{rated}', X'00FF{:04X}', \
                 '{{\"n\": {i}, \"tags\": [1, 2.50]}}', '2024-02-03 04:05:06.789')",
                1950 + i % 70,
                1 + i % 2,
                i % 100,
                i % 240,
                i
            )
        });
        rows.push(format!(
            "INSERT INTO film (id, title, plot, year, language_id, rate, length, rated, cover, extra, \
             changed) VALUES {films}"
        ));
        let pays = list(from, from + 500, |i| {
            format!("({i}, '202{}-03-04', {i}, {i}.25, '{}:01:02.5', {i}.125)", 3 + i % 3, i % 24)
        });
        rows.push(format!("INSERT INTO payment VALUES {pays}"));
    }
    rows.push(format!(
        "INSERT INTO actor VALUES {}",
        list(1, 301, |i| format!("({i}, 'actor {i}')"))
    ));
    let parts = list(1, 3_001, |i| format!("({i}, {}, 'part {}')", 1 + i % 300, i % 3));
    rows.push(format!("INSERT INTO film_actor VALUES {parts}"));
    (create.to_owned(), rows.join("; "))
}

/// Copies the sample while it is used, then has weir compare it.
async fn copied_and_verified(source: Server, target: Server) {
    let Some(pair) = Pair::start(source, target).await else { return };
    pair.create_space(SPACE).await;
    let (create, rows) = if source.is_postgres() { on_postgres() } else { on_mysql() };
    execute_in(&pair.source, SPACE, &create).await;
    execute_in(&pair.source, SPACE, &rows).await;
    let weir = Weir::new(&pair, "sample", SPACE, "");
    weir.let_look().await;
    let ddl = weir.run(&["ddl", "--foreign-keys"]).await.expect_code(0).stdout;
    execute_in(&pair.target, SPACE, &ddl).await;
    weir.grant().await;
    weir.run(&["check"]).await.expect_code(0);
    let mut child = weir.spawn(&["run"]);
    let mut session = Session::open(&pair.source, SPACE).await;
    for round in 0..40 {
        let film = 1 + round * 31;
        let changes = [
            format!("UPDATE film SET rate = rate + 1, length = {} WHERE id = {film}", 100 + round),
            format!("INSERT INTO actor VALUES ({}, 'new')", 1_000 + round),
            format!("INSERT INTO film_actor VALUES ({film}, {}, 'late')", 1_000 + round),
            format!("DELETE FROM payment WHERE id = {}", 50 + round),
        ];
        session.transaction(&changes).await.expect("changes");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let count = "SELECT count(*) FROM {space}.film_actor";
    let all = query_in(&pair.source, SPACE, count).await;
    let arrived = async || query_in(&pair.target, SPACE, count).await == all;
    until("everything is copied", Duration::from_secs(60), arrived).await;
    weir.run(&["wait", "left:right"]).await.expect_code(0);
    weir.run(&["verify", "left:right"]).await.expect_code(0).expect_phrase("payment");
    execute_in(&pair.target, SPACE, "UPDATE film SET rate = rate + 1 WHERE id = 77").await;
    let told = weir.run(&["verify", "left:right"]).await.expect_code(3);
    told.expect_phrase("77").expect_phrase("rate");
    kill(&mut child).await;
    assert_log_is_calm(&weir);
}

/// Broken if a database with references, composite keys, partitions, generated columns and many types could
/// not be copied as it is, or were not proven equal.
#[tokio::test]
async fn a_sample_of_postgres_to_mysql() {
    copied_and_verified(Server::Postgres18, Server::MySql97).await;
}

/// As above, to PostgreSQL.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn a_sample_of_postgres_to_postgres() {
    copied_and_verified(Server::Postgres15, Server::Postgres18).await;
}

/// As above, from MySQL.
#[tokio::test]
async fn a_sample_of_mysql_to_postgres() {
    copied_and_verified(Server::MySql97, Server::Postgres15).await;
}

/// As above, from MariaDB.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn a_sample_of_mariadb_to_mysql() {
    copied_and_verified(Server::MariaDb1011, Server::MySql97).await;
}
