//! The type vectors (`tests/fixtures/type-vectors.csv`, or the file that `WEIR_TYPE_VECTORS` names)
//! from end to end: every row of a type that this version carries arrives, prints exactly as
//! written and is compared as equal, or is refused with nothing written; every other type is refused in the plan by name.
//!
//! Rows that arrive share one link. Rows that are refused in the plan share one `weir check`. Rows
//! that halt have a link each, all in one weir, so that one's halt does not hide the next.
//! Rows that need a rule are counted and not run.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::prelude::Queryable;
use serde_json::Value;
use weir::sandbox::{self, Options, Running, Server};

use crate::harness::{Outcome, Pair, Weir, url_for};
use crate::load::Session;
use crate::rights::{READER, WRITER};

mod compared;
mod table;

use compared::compared;
use table::{Demand, Vector, vectors};

/// No table of these tests is copied.
const NOW: &str = "\n[apply]\nstart = \"now\"\n";

/// Runs statements in `space`.
async fn execute(server: &Running, space: &str, statements: &str) {
    let enter = if server.kind().is_postgres() {
        format!("SET search_path TO {space}, public; ")
    } else {
        format!("SET NAMES utf8mb4; USE {space}; ")
    };
    let sql = enter + statements;
    server.execute(&sql).await.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
}

fn create(server: &Running, vector: &Vector, ty: &str) -> String {
    let end = if server.kind().is_postgres() { "" } else { " DEFAULT CHARSET=utf8mb4" };
    let prelude = if ty.starts_with("TIMESTAMP") { "SET sql_mode=''; " } else { "" };
    format!("{prelude}CREATE TABLE {} (id INT PRIMARY KEY, c {ty}){end}; ", vector.name)
}

/// Makes the tables of both sides in a space of their own.
async fn tables(pair: &Pair, space: &str, vectors: &[&Vector]) {
    pair.create_space(space).await;
    let preludes = |pick: fn(&Vector) -> &str| -> String {
        let distinct: BTreeSet<_> = vectors.iter().map(|vector| pick(vector)).collect();
        distinct
            .iter()
            .filter(|text| text.starts_with("CREATE"))
            .map(|s| format!("{s}; "))
            .collect()
    };
    let mut source = preludes(|vector| &vector.source_prelude);
    let mut target = preludes(|vector| &vector.target_prelude);
    for vector in vectors {
        source += &create(&pair.source, vector, &vector.source);
        target += &create(&pair.target, vector, &vector.target);
    }
    execute(&pair.source, space, &source).await;
    execute(&pair.target, space, &target).await;
}

/// Writes the values at the source.
async fn fill(pair: &Pair, space: &str, vectors: &[&Vector]) {
    let mut together = String::new();
    for vector in vectors {
        let insert = format!("INSERT INTO {} VALUES (1, {}); ", vector.name, vector.literal);
        if vector.source_prelude.starts_with("SET") {
            execute(&pair.source, space, &format!("{}; {insert}", vector.source_prelude)).await;
        } else {
            together += &insert;
        }
    }
    execute(&pair.source, space, &together).await;
}

/// A session that prints values as the vectors do.
async fn reader(server: &Running, space: &str) -> Session {
    let mut session = Session::open(server, space).await;
    let settings: &[&str] = if server.kind().is_postgres() {
        &["SET TimeZone = 'UTC'", "SET DateStyle = 'ISO'", "SET bytea_output = 'hex'"]
    } else {
        &["SET time_zone = '+00:00'", "SET NAMES utf8mb4"]
    };
    let settings: Vec<_> = settings.iter().map(|text| (*text).to_owned()).collect();
    session.transaction(&settings).await.expect("settings");
    session
}

/// What `check` says of each table of `space`: messages by table name.
fn findings(outcome: &Outcome, space: &str) -> BTreeMap<String, String> {
    let report: Value = serde_json::from_str(&outcome.stdout).expect("JSON of check");
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for finding in report["links"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|link| link["findings"].as_array().cloned().unwrap_or_default())
    {
        let (subject, message) = (&finding["subject"], &finding["message"]);
        let (subject, message) =
            (subject.as_str().expect("subject"), message.as_str().expect("message"));
        let prefix = format!("{space}.");
        // That weir has no rights yet says nothing of the type.
        if finding["kind"] == "privilege" {
            continue;
        }
        if let Some((_, rest)) = subject.split_once(&prefix) {
            let name: String = rest
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                .collect();
            found.entry(name).or_default().push_str(&format!("{message}\n"));
        }
    }
    found
}

/// What does not print at the target as written.
async fn misprinted(pair: &Pair, space: &str, vectors: &[&Vector]) -> Vec<String> {
    let mut reader = reader(&pair.target, space).await;
    let mut wrong = Vec::new();
    for vector in vectors {
        let sql = format!("SELECT {} FROM {} WHERE id = 1", vector.probe, vector.name);
        let found = reader.lines(&sql).await;
        if found != Ok(vec![vector.expected.clone()]) {
            wrong.push(format!("{vector:?}: printed {found:?}"));
        }
    }
    wrong
}

/// All rows that must arrive, over one link, and compared. Returns what went wrong.
async fn arriving(pair: &Pair, vectors: &[&Vector]) -> Vec<String> {
    let space = "arrives";
    tables(pair, space, vectors).await;
    let weir = Weir::new(pair, "arriving", space, NOW);
    weir.let_look().await;
    let mut wrong = Vec::new();
    let refused = findings(&weir.run(&["check", "--json"]).await, space);
    let mut kept = Vec::new();
    for vector in vectors {
        match refused.get(&vector.name) {
            Some(why) => {
                wrong.push(format!("{vector:?}: refused in the plan: {why}"));
                execute(&pair.source, space, &format!("DROP TABLE {}", vector.name)).await;
            }
            None => kept.push(*vector),
        }
    }
    weir.set_up().await;
    fill(pair, space, &kept).await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    wrong.extend(misprinted(pair, space, &kept).await);
    wrong.extend(compared(&weir, pair, space, &kept).await);
    wrong.extend(misprinted(pair, space, &kept).await);
    weir.tear_down().await;
    wrong
}

/// Which rows the plan refuses; those of types outside this version must be among them, by name.
/// Returns the rows that the plan lets pass, and what went wrong.
async fn planned<'a>(pair: &Pair, vectors: &[&'a Vector]) -> (Vec<&'a Vector>, Vec<String>) {
    let space = "planned";
    tables(pair, space, vectors).await;
    let weir = Weir::new(pair, "planned", space, NOW);
    weir.let_look().await;
    let refused = findings(&weir.run(&["check", "--json"]).await, space);
    let (mut passed, mut wrong) = (Vec::new(), Vec::new());
    for vector in vectors {
        let message = refused.get(&vector.name);
        match (vector.demand, message) {
            (Demand::Outside, None) => wrong.push(format!("{vector:?}: not refused")),
            (_, None) => passed.push(*vector),
            (_, Some(message)) if !message.contains("column c cannot be replicated") => {
                wrong.push(format!("{vector:?}: refused for another reason: {message}"));
            }
            (_, Some(message)) => {
                let named = [&vector.source, &vector.target].into_iter().any(|ty| {
                    let word = match ty.split([' ', '(', '[']).next().unwrap_or("") {
                        "timetz" => "time with time zone",
                        "varbit" => "bit varying",
                        word => word,
                    };
                    message.to_lowercase().contains(&word.to_lowercase())
                });
                if !named {
                    wrong.push(format!("{vector:?}: refused without its type's name: {message}"));
                }
            }
        }
    }
    (passed, wrong)
}

/// Rows whose value must be refused: databases and a link each, in one weir. Returns what went
/// wrong.
async fn halting(pair: &Pair, vectors: &[&Vector]) -> Vec<String> {
    let mut config = String::new();
    for (number, vector) in vectors.iter().enumerate() {
        let space = format!("halts_{number}");
        let place = if pair.source.kind().is_postgres() { "public" } else { space.as_str() };
        for (side, server, user) in
            [("left", &pair.source, READER), ("right", &pair.target, WRITER)]
        {
            server.execute(&format!("CREATE DATABASE {space}")).await.expect("database");
            config += &format!(
                "[database.{side}{number}]\nurl = \"{}\"\npassword = {{ env = \"{}_PASSWORD\" }}\n",
                url_for(user, &server.url_for(&space)),
                side.to_uppercase()
            );
            let (prelude, ty) = match side {
                "left" => (&vector.source_prelude, &vector.source),
                _ => (&vector.target_prelude, &vector.target),
            };
            let prelude = if prelude.starts_with("CREATE") { prelude.as_str() } else { "SELECT 1" };
            let table = create(server, vector, ty);
            execute_at(server, &space, &format!("{prelude}; {table}")).await;
        }
        config += &format!(
            "[[replicate]]\nfrom = \"left{number}\"\nto = \"right{number}\"\ntables = [\"{place}.*\"]\non_poison = \"halt\"\n"
        );
    }
    let weir = Weir::with_tables(pair, "halting", &format!("{config}{NOW}"));
    weir.set_up().await;
    for (number, vector) in vectors.iter().enumerate() {
        let prelude = &vector.source_prelude;
        let prelude = if prelude.starts_with("SET") { prelude.as_str() } else { "SELECT 1" };
        let insert =
            format!("{prelude}; INSERT INTO {} VALUES (1, {})", vector.name, vector.literal);
        execute_at(&pair.source, &format!("halts_{number}"), &insert).await;
    }
    let outcome = weir.run(&["run", "--until-caught-up"]).await.expect_code(4);
    let mut wrong = Vec::new();
    for (number, vector) in vectors.iter().enumerate() {
        let start = format!("weir: link left{number}:right{number} is halted: ");
        let halt = outcome.stderr.lines().find_map(|line| line.strip_prefix(&start));
        let named = |text: &&str| text.contains(&vector.name) && text.contains("column c");
        if halt.filter(named).is_none() {
            wrong.push(format!("{vector:?}: halted with {halt:?}"));
        }
        let probe = format!("DELETE FROM {} WHERE id = 1", vector.name);
        let rows = execute_at(&pair.target, &format!("halts_{number}"), &probe).await;
        if rows != 0 {
            wrong.push(format!("{vector:?}: wrote {rows:?}"));
        }
    }
    weir.tear_down().await;
    wrong
}

/// Runs statements in a database (of PostgreSQL: in its schema `public`); the number of rows that
/// the last one touched.
async fn execute_at(server: &Running, space: &str, sql: &str) -> u64 {
    if !server.kind().is_postgres() {
        let mut conn = server.connect_mysql().await.expect("connect");
        conn.query_drop(format!("SET NAMES utf8mb4; USE {space}; {sql}"))
            .await
            .unwrap_or_else(|error| panic!("{error}\n{sql}"));
        return conn.affected_rows();
    }
    let mut config = server.pg_config();
    config.dbname(space);
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("connect");
    let driver = tokio::spawn(connection);
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{error}\n{sql}"));
    drop(client);
    driver.await.expect("driver").expect("connection");
    messages
        .iter()
        .rev()
        .find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
            _ => None,
        })
        .unwrap_or(0)
}

/// A pair that takes a link for each of the rows that halt.
async fn start(source: Server, target: Server) -> Option<Pair> {
    let options = |server: Server| {
        let options = Options::default().set("max_connections", "300");
        if !server.is_postgres() {
            return options;
        }
        options.set("max_replication_slots", "64").set("max_wal_senders", "64")
    };
    let source = sandbox::require(source, options(source)).await.expect("source server")?;
    let target = sandbox::require(target, options(target)).await.expect("target server")?;
    Some(Pair::of(source, target).await)
}

async fn run(source: Server, target: Server) {
    let Some(pair) = start(source, target).await else { return };
    let file = std::env::var_os("WEIR_TYPE_VECTORS")
        .map_or_else(|| crate::harness::tree("tests/fixtures/type-vectors.csv"), Into::into);
    let text = std::fs::read_to_string(file).expect("vectors");
    let all = vectors(&text, source, target);
    let of = |demands: &[Demand]| -> Vec<&Vector> {
        all.iter().filter(|vector| demands.contains(&vector.demand)).collect()
    };
    if source.is_postgres() {
        let extensions = "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree";
        pair.source.execute(extensions).await.expect("extensions");
    }
    let mut wrong = arriving(&pair, &of(&[Demand::Arrives])).await;
    let (passed, unplanned) = planned(&pair, &of(&[Demand::Refused, Demand::Outside])).await;
    wrong.extend(unplanned);
    wrong.extend(halting(&pair, &passed).await);
    eprintln!(
        "{source:?} -> {target:?}: {} arrive, {} refused (of these {} by a halt), {} of types outside \
         this version, {} need rules",
        of(&[Demand::Arrives]).len(),
        of(&[Demand::Refused]).len(),
        passed.len(),
        of(&[Demand::Outside]).len(),
        of(&[Demand::Rule]).len()
    );
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Broken if a value of PostgreSQL 15 reached MySQL other than the type mapping says.
#[tokio::test]
async fn type_vectors_postgres15_to_mysql() {
    run(Server::Postgres15, Server::MySql97).await;
}

/// Broken if a value of PostgreSQL 18 reached MariaDB other than the type mapping says.
#[tokio::test]
async fn type_vectors_postgres18_to_mariadb() {
    run(Server::Postgres18, Server::MariaDb1011).await;
}

/// Broken if a value of MySQL reached PostgreSQL 18 other than the type mapping says.
#[tokio::test]
async fn type_vectors_mysql_to_postgres18() {
    run(Server::MySql97, Server::Postgres18).await;
}

/// Broken if a value of MariaDB reached PostgreSQL 15 other than the type mapping says.
#[tokio::test]
async fn type_vectors_mariadb_to_postgres15() {
    run(Server::MariaDb1011, Server::Postgres15).await;
}
