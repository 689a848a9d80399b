//! The type vectors (`tests/fixtures/type-vectors.csv`, or the file that `WEIR_TYPE_VECTORS` names)
//! from end to end: every row arrives, prints exactly as written and is compared as equal, or is refused
//! with nothing written, in the plan by the name of its type or by its value.
//!
//! Rows that arrive share a link that streams them and one that copies them. Rows that are refused in the
//! plan share one `weir check`; those that are refused by their value share a link that copies and then
//! streams them, where each is set aside with a reason code. Rows that need a rule are counted, and run in
//! `rules`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use weir::sandbox::{Running, Server};
use weir::transform::Reason;

use crate::harness::{Outcome, Pair, Weir, query_in};
use crate::load::Session;

mod compared;
mod rules;
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
async fn fill(pair: &Pair, space: &str, vectors: &[&Vector], id: u32) {
    let mut together = String::new();
    for vector in vectors {
        let insert = format!("INSERT INTO {} VALUES ({id}, {}); ", vector.name, vector.literal);
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
        &[
            "SET TimeZone = 'UTC'",
            "SET DateStyle = 'ISO'",
            "SET IntervalStyle = 'iso_8601'",
            "SET bytea_output = 'hex'",
        ]
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
    fill(pair, space, &kept, 1).await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    wrong.extend(misprinted(pair, space, &kept).await);
    wrong.extend(compared(&weir, pair, space, &kept).await);
    wrong.extend(misprinted(pair, space, &kept).await);
    weir.tear_down().await;
    wrong
}

/// Which rows the plan refuses, each by the name of its type. Returns the rows that the plan lets pass, and what went wrong.
async fn planned<'a>(pair: &Pair, vectors: &[&'a Vector]) -> (Vec<&'a Vector>, Vec<String>) {
    let space = "planned";
    tables(pair, space, vectors).await;
    let weir = Weir::new(pair, "planned", space, NOW);
    weir.let_look().await;
    let refused = findings(&weir.run(&["check", "--json"]).await, space);
    let (mut passed, mut wrong) = (Vec::new(), Vec::new());
    for vector in vectors {
        let message = refused.get(&vector.name);
        match message {
            None => passed.push(*vector),
            Some(message) if !message.contains("column c cannot be replicated") => {
                wrong.push(format!("{vector:?}: refused for another reason: {message}"));
            }
            Some(message) => {
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

/// All rows that must arrive, copied. Returns what went wrong.
async fn copied(pair: &Pair, vectors: &[&Vector]) -> Vec<String> {
    let space = "copied";
    tables(pair, space, vectors).await;
    fill(pair, space, vectors, 1).await;
    let weir = Weir::new(pair, "copying", space, "");
    weir.set_up().await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let wrong = misprinted(pair, space, vectors).await;
    weir.tear_down().await;
    wrong.into_iter().map(|one| format!("copied: {one}")).collect()
}

/// Rows whose value must be refused, copied and streamed: each is set aside, and nothing is written. Returns
/// what went wrong.
async fn refused(pair: &Pair, vectors: &[&Vector]) -> Vec<String> {
    let space = "refused";
    tables(pair, space, vectors).await;
    fill(pair, space, vectors, 1).await;
    let apply = "\n[apply]\ndead_letters_rate_max = \"100000/min\"\n";
    let weir = Weir::parking(pair, "refusing", space, apply);
    weir.set_up().await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    fill(pair, space, vectors, 2).await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let letters = "SELECT source_table, row_name, error FROM weir.dead_letter";
    let letters = query_in(&pair.target, space, letters).await;
    let mut wrong = Vec::new();
    for vector in vectors {
        let of = |line: &&String| line.starts_with(&format!("{space}.{}\t", vector.name));
        let own: Vec<&String> = letters.iter().filter(of).collect();
        let says_why = |line: &&String| {
            line.contains("column c")
                && Reason::ALL.iter().any(|reason| line.contains(&reason.to_string()))
        };
        if own.len() != 2 || !own.iter().all(says_why) {
            wrong.push(format!("{vector:?}: set aside as {own:?}"));
        }
        let rows = format!("SELECT count(*) FROM {{space}}.{}", vector.name);
        let rows = query_in(&pair.target, space, &rows).await;
        if rows != ["0"] {
            wrong.push(format!("{vector:?}: wrote {rows:?} rows"));
        }
    }
    weir.tear_down().await;
    wrong
}

/// Where the vectors are.
fn file() -> std::path::PathBuf {
    std::env::var_os("WEIR_TYPE_VECTORS")
        .map_or_else(|| crate::harness::tree("tests/fixtures/type-vectors.csv"), Into::into)
}

async fn run(source: Server, target: Server) {
    let Some(pair) = Pair::start(source, target).await else { return };
    let text = std::fs::read_to_string(file()).expect("vectors");
    let all = vectors(&text, source, target);
    let of = |demands: &[Demand]| -> Vec<&Vector> {
        all.iter().filter(|vector| demands.contains(&vector.demand)).collect()
    };
    if source.is_postgres() {
        let extensions = "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree";
        pair.source.execute(extensions).await.expect("extensions");
    }
    let mut wrong = arriving(&pair, &of(&[Demand::Arrives])).await;
    wrong.extend(copied(&pair, &of(&[Demand::Arrives])).await);
    let (passed, unplanned) = planned(&pair, &of(&[Demand::Refused])).await;
    wrong.extend(unplanned);
    wrong.extend(refused(&pair, &passed).await);
    eprintln!(
        "{source:?} -> {target:?}: {} arrive, {} refused (of these {} set aside), {} need rules",
        of(&[Demand::Arrives]).len(),
        of(&[Demand::Refused]).len(),
        passed.len(),
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
