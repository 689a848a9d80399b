//! Duplicates of match keys that `weir check` lists: of keys that no unique index proves, at either
//! end, and of keys that only the source tells apart.

use weir::sandbox::Server;

use crate::harness::{Outcome, Pair, Weir, execute_in};
use crate::rights::READER;
use crate::settings::findings;

/// What `check` says once weir may read: before the keys are in order `setup` has no plan to print
/// rights for, so that `check` itself must name those that it lacks.
async fn checked(pair: &Pair, weir: &Weir) -> Outcome {
    weir.let_look().await;
    let found = findings(&weir.run(&["check", "--json"]).await);
    let grants =
        found.iter().filter(|one| one.text.starts_with("table ")).flat_map(|one| &one.mend);
    let grants: Vec<_> = grants.filter(|sql| sql.starts_with("GRANT ")).collect();
    assert!(grants.len() >= 2, "{found:#?}");
    for sql in grants {
        let server = if sql.contains(READER) { &pair.source } else { &pair.target };
        server.execute(sql).await.expect("a grant");
    }
    weir.run(&["check"]).await.expect_code(1)
}

/// Rows with a key that no index proves, and one key beside them that only one row has.
async fn fill(pair: &Pair, identity: &str) -> Outcome {
    pair.create_space("twice").await;
    let table = "CREATE TABLE t (id INT NOT NULL, a VARCHAR(10) NOT NULL, n INT)";
    let rows =
        "INSERT INTO t VALUES (1, 'x', 1), (1, 'x', 2), (1, 'x', 3), (1, 'y', 4), (2, 'x', 5)";
    execute_in(&pair.source, "twice", &format!("{table}; {identity} {rows}")).await;
    let rows = "INSERT INTO t VALUES (7, 'x', 1), (7, 'x', 2), (8, 'y', 3)";
    execute_in(&pair.target, "twice", &format!("{table}; {rows}")).await;
    let keyed = "[table.t]\nin.left = \"twice.t\"\nin.right = \"twice.t\"\nowner = \"left\"\n\
                 key = [\"id\", \"a\"]\n\n[apply]\nstart = \"now\"\n";
    checked(pair, &Weir::with_tables(pair, "twice", keyed)).await
}

fn expect_both_sides(check: Outcome) {
    let check = check
        .expect_phrase(
            "rows of the source table twice.t have one match key (id, a): (\"1\", \"x\") in 3 rows\n",
        )
        .expect_phrase(
            "rows of the target table twice.t have one match key (id, a): (\"7\", \"x\") in 2 rows\n",
        )
        .expect_phrase("let each key be that of one row");
    assert_eq!(check.stdout.matches("ADD UNIQUE").count(), 2, "{}", check.stdout);
}

/// Keys that only differ in case, accents or blanks at the end, against a target that takes some of
/// them for one; `exact` tells them apart.
async fn merge(pair: &Pair, exact: &str) -> String {
    pair.create_space("words").await;
    let source = format!(
        "CREATE TABLE accents (w VARCHAR(20){exact} PRIMARY KEY, n INT);
         CREATE TABLE blind (w VARCHAR(20){exact} PRIMARY KEY, n INT);
         INSERT INTO accents VALUES ('abc', 1), ('ABC', 2), ('r\u{e9}sum\u{e9}', 3), ('resume', 4), ('x', 5);
         INSERT INTO blind SELECT * FROM accents"
    );
    execute_in(&pair.source, "words", &source).await;
    let target = "CREATE TABLE accents
          (w VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_as_ci PRIMARY KEY, n INT);
         CREATE TABLE blind
          (w VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, n INT)";
    execute_in(&pair.target, "words", target).await;
    let weir = Weir::new(pair, "words", "words", "\n[apply]\nstart = \"now\"\n");
    checked(pair, &weir).await.stdout
}

fn expect_merged(said: &str) {
    let words = "keys of the source are one match key (w)";
    let case = "(\"ABC\") and (\"abc\")";
    let accents = "(\"resume\") and (\"r\u{e9}sum\u{e9}\")";
    let line = |table: &str| {
        let line = said.lines().find(|line| line.contains(&format!("table words.{table} {words}")));
        line.unwrap_or_else(|| panic!("{table}: {said}")).to_owned()
    };
    assert!(line("accents").contains(case) && !line("accents").contains("resume"), "{said}");
    assert!(line("blind").contains(case) && line("blind").contains(accents), "{said}");
    assert!(!said.contains("\"x\""), "{said}");
}

/// Broken if duplicates were not listed before a link starts, or keys that are one to MySQL only.
#[tokio::test]
async fn postgres_to_mysql() {
    let Some(pair) = Pair::start(Server::Postgres15, Server::MySql97).await else { return };
    expect_both_sides(fill(&pair, "ALTER TABLE t REPLICA IDENTITY FULL;").await);
    expect_merged(&merge(&pair, "").await);
}

/// As above, from MySQL's dialect.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn mariadb_to_mysql() {
    let Some(pair) = Pair::start(Server::MariaDb1011, Server::MySql97).await else { return };
    expect_both_sides(fill(&pair, "").await);
    let exact = " CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";
    expect_merged(&merge(&pair, exact).await);
}
