//! Runs every folder of `tests/cases/` end to end on real servers, in both directions.
//!
//! A case is data: `about.txt` (what would be broken), `source.<dialect>.sql` (tables, run on the
//! source before weir starts), optionally `target.<dialect>.sql` (else `weir ddl` makes the target's
//! tables), `changes.<dialect>.sql` (run while weir is set up), `check.<dialect>.sql` (one query a
//! line that must print the same rows on both sides; `{space}` is the schema), optionally
//! `weir.toml` (appended to the configuration) and `halts.txt`, or `halts.<dialect>.txt` for some
//! targets (weir must halt with this phrase, exit code 4), `expect.txt` (what the target's checks print, where the sides are meant to differ).
//! `<dialect>` is `postgres`, `mysql` or `mariadb`; MariaDB falls back to `mysql`.
//! A case without a source for a dialect is not run from it; one that makes the target's tables is
//! run only towards the dialects it makes them for. `only_<dialect>_…` are run between two servers of it. `WEIR_CASE=word` runs only the cases whose names
//! hold the word.

use std::fs;
use std::path::{Path, PathBuf};

use weir::sandbox::{Running, Server};

use crate::harness::{Pair, Weir, execute_in, query_in, tree};

fn cases() -> Vec<PathBuf> {
    let folders = fs::read_dir(tree("tests/cases")).expect("tests/cases");
    let mut cases: Vec<_> = folders.flatten().map(|entry| entry.path()).collect();
    cases.sort();
    if let Ok(only) = std::env::var("WEIR_CASE") {
        cases.retain(|case| case.to_string_lossy().contains(&only));
    }
    assert!(!cases.is_empty(), "no cases");
    cases
}

/// The file `stem.<dialect>.sql` of a case for this server, if there is one.
fn script(case: &Path, stem: &str, server: &Running) -> Option<String> {
    file(case, stem, "sql", server)
}

/// The phrase that weir must halt with towards this target, if it must.
fn halts(case: &Path, target: &Running) -> Option<String> {
    let every = fs::read_to_string(case.join("halts.txt")).ok();
    every.or_else(|| file(case, "halts", "txt", target))
}

fn file(case: &Path, stem: &str, extension: &str, server: &Running) -> Option<String> {
    let kind = server.kind();
    let dialects: &[&str] = match (kind.is_postgres(), kind.is_mariadb()) {
        (true, _) => &["postgres"],
        (_, true) => &["mariadb", "mysql"],
        _ => &["mysql"],
    };
    dialects
        .iter()
        .map(|dialect| case.join(format!("{stem}.{dialect}.{extension}")))
        .find_map(|path| fs::read_to_string(path).ok())
}

/// Whether the case makes the target's tables itself, for some dialects.
fn has_targets(case: &Path) -> bool {
    let mut files = fs::read_dir(case).expect("case").flatten();
    files.any(|file| file.file_name().to_string_lossy().starts_with("target."))
}

async fn run_case(pair: &Pair, case: &Path, number: usize) {
    let name = case.file_name().expect("case name").to_string_lossy().into_owned();
    let Some(source) = script(case, "source", &pair.source) else { return };
    if has_targets(case) && script(case, "target", &pair.target).is_none() {
        return;
    }
    let space = format!("case_{name}");
    pair.create_space(&space).await;
    execute_in(&pair.source, &space, &source).await;
    let extra = fs::read_to_string(case.join("weir.toml")).unwrap_or_default();
    let weir = Weir::new(pair, &format!("case{number}"), &space, &extra.replace("{space}", &space));
    let ddl = match script(case, "target", &pair.target) {
        Some(target) => target,
        None => {
            weir.let_look().await;
            weir.run(&["ddl"]).await.expect_code(0).stdout
        }
    };
    execute_in(&pair.target, &space, &ddl).await;
    weir.set_up().await;
    let changes = script(case, "changes", &pair.source).expect("changes");
    execute_in(&pair.source, &space, &changes).await;
    let halts = halts(case, &pair.target);
    let outcome = weir.run(&["run", "--until-caught-up"]).await;
    match halts {
        Some(phrase) => {
            outcome.expect_code(4).expect_phrase(phrase.trim());
        }
        None => {
            outcome.expect_code(0);
            compare(pair, case, &space).await;
        }
    }
    weir.tear_down().await;
}

/// Runs the check queries of both sides, line by line, and compares what they print.
async fn compare(pair: &Pair, case: &Path, space: &str) {
    let target = script(case, "check", &pair.target).expect("check for the target");
    if let Ok(expected) = fs::read_to_string(case.join("expect.txt")) {
        let mut found = Vec::new();
        for query in target.lines() {
            found.extend(query_in(&pair.target, space, query).await);
        }
        let expected: Vec<_> = expected.lines().map(str::to_owned).collect();
        assert_eq!(found, expected, "{}", case.display());
        return;
    }
    let source = script(case, "check", &pair.source).expect("check for the source");
    assert_eq!(source.lines().count(), target.lines().count(), "check scripts pair up by line");
    for (left, right) in source.lines().zip(target.lines()) {
        let expected = query_in(&pair.source, space, left).await;
        let found = query_in(&pair.target, space, right).await;
        assert_eq!(found, expected, "{}: {right}", case.display());
        assert!(!expected.is_empty(), "{}: {left} prints nothing", case.display());
    }
}

async fn run_all(source: Server, target: Server) {
    run_some(source, target, |name| !name.starts_with("only_")).await;
}

async fn run_some(source: Server, target: Server, wanted: impl Fn(&str) -> bool) {
    let Some(pair) = Pair::start(source, target).await else { return };
    let mut cases = cases();
    cases.retain(|case| wanted(&case.file_name().unwrap_or_default().to_string_lossy()));
    for (number, case) in cases.iter().enumerate() {
        eprintln!("{source:?} -> {target:?}: {}", case.display());
        run_case(&pair, case, number).await;
    }
}

/// Broken if any case of `tests/cases/` is not carried from PostgreSQL 15 to MySQL.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn cases_postgres15_to_mysql() {
    run_all(Server::Postgres15, Server::MySql97).await;
}

/// Broken if any case of `tests/cases/` is not carried from PostgreSQL 18 to MariaDB.
#[tokio::test]
async fn cases_postgres18_to_mariadb() {
    run_all(Server::Postgres18, Server::MariaDb1011).await;
}

/// Broken if any case of `tests/cases/` is not carried from MySQL to PostgreSQL 18.
#[tokio::test]
async fn cases_mysql_to_postgres18() {
    run_all(Server::MySql97, Server::Postgres18).await;
}

/// Broken if any case of `tests/cases/` is not carried from MariaDB to PostgreSQL 15.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn cases_mariadb_to_postgres15() {
    run_all(Server::MariaDb1011, Server::Postgres15).await;
}

/// Broken if any case of `tests/cases/` is not carried from PostgreSQL to a newer PostgreSQL.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn cases_postgres15_to_postgres18() {
    run_all(Server::Postgres15, Server::Postgres18).await;
}

/// Broken if any case of `tests/cases/` is not carried from MySQL to MariaDB.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn cases_mysql_to_mariadb() {
    run_all(Server::MySql97, Server::MariaDb1011).await;
}

/// Broken if a type that only MySQL has, or a row image, were not carried between two MySQL servers.
#[tokio::test]
async fn cases_mysql_to_mysql() {
    let wanted = ["only_mysql_types", "alike_types", "row_images"];
    run_some(Server::MySql97, Server::MySql97, |name| wanted.contains(&name)).await;
}

/// Broken if a type that only MariaDB has were not carried between two MariaDB servers.
#[tokio::test]
async fn cases_mariadb_to_mariadb() {
    let wanted = ["only_mariadb_types", "alike_types", "row_images"];
    run_some(Server::MariaDb1011, Server::MariaDb1011, |name| wanted.contains(&name)).await;
}

/// Broken if any case of `tests/cases/` is not carried from MariaDB to MySQL.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn cases_mariadb_to_mysql() {
    run_all(Server::MariaDb1011, Server::MySql97).await;
}
