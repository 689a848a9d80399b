//! The vectors with a rule: copied and streamed through their steps, each prints exactly as written and is
//! compared as equal, or is set aside at its step.

use serde_json::Value;
use weir::sandbox::Server;

use super::table::{Vector, vectors};
use super::{execute, fill, reader, tables};
use crate::harness::{Pair, Weir};

/// JSON as TOML has it in one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Value::Object(entries) => {
            let entry = |(name, value): (&String, &Value)| {
                format!("{} = {}", Value::from(name.as_str()), inline(value))
            };
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// weir with the rule of each vector.
fn weir(pair: &Pair, name: &str, space: &str, vectors: &[&Vector]) -> Weir {
    let mut config = "\n[apply]\nstart = \"snapshot\"\n".to_owned();
    for vector in vectors {
        let rule: Value = serde_json::from_str(&vector.rule).expect("a rule is JSON");
        config += &format!(
            "[table.{0}]\nin.left = \"{space}.{0}\"\n[table.{0}.column]\nc = {{ to.right = {1} }}\n",
            vector.name,
            inline(&rule)
        );
    }
    Weir::parking(pair, name, space, &config)
}

/// The second row of each, with the first one's value.
async fn again(pair: &Pair, space: &str, vectors: &[&Vector]) {
    for vector in vectors {
        let set = vector.source_prelude.strip_prefix("SET").map(|rest| format!("SET{rest}; "));
        let insert = format!("INSERT INTO {} VALUES (2, {})", vector.name, vector.literal);
        execute(&pair.source, space, &(set.unwrap_or_default() + &insert)).await;
    }
}

/// What does not print at the target as written, copied or streamed.
async fn misprinted(pair: &Pair, space: &str, vectors: &[&Vector]) -> Vec<String> {
    let mut reader = reader(&pair.target, space).await;
    let mut wrong = Vec::new();
    for vector in vectors {
        let sql = format!("SELECT {} FROM {} ORDER BY id", vector.probe, vector.name);
        let found = reader.lines(&sql).await;
        if found != Ok(vec![vector.expected.clone(), vector.expected.clone()]) {
            wrong.push(format!("{vector:?}: printed {found:?}"));
        }
    }
    wrong
}

/// Rows that come through their steps. Returns what went wrong.
async fn arriving(pair: &Pair, vectors: &[&Vector]) -> Vec<String> {
    let space = "ruled";
    tables(pair, space, vectors).await;
    let weir = weir(pair, "ruled", space, vectors);
    weir.set_up().await;
    fill(pair, space, vectors, 1).await;
    weir.run(&["check"]).await.expect_code(0);
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    again(pair, space, vectors).await;
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
    let mut wrong = misprinted(pair, space, vectors).await;
    let told = weir.run(&["verify", "--json"]).await;
    if told.code != 0 {
        wrong.push(format!("compared as different: {}", told.stdout));
    }
    weir.tear_down().await;
    wrong
}

/// Rows that their steps reject. Returns what went wrong.
async fn rejected(pair: &Pair, vectors: &[&Vector]) -> Vec<String> {
    let space = "rejected";
    tables(pair, space, vectors).await;
    let weir = weir(pair, "rejected", space, vectors);
    weir.set_up().await;
    fill(pair, space, vectors, 1).await;
    weir.run(&["run", "--until-caught-up"]).await;
    again(pair, space, vectors).await;
    weir.run(&["run", "--until-caught-up"]).await;
    let letters = weir.run(&["dead-letters", "list", "--json"]).await.stdout;
    let mut reader = reader(&pair.target, space).await;
    let mut wrong = Vec::new();
    for vector in vectors {
        let found = reader.lines(&format!("SELECT id FROM {}", vector.name)).await;
        let at = letters.matches(&format!("{}, column c into", vector.name)).count();
        if found != Ok(Vec::new()) || at == 0 {
            wrong.push(format!("{vector:?}: wrote {found:?}, letters {letters}"));
        }
    }
    if !letters.contains("step 1 (") {
        wrong.push(format!("no letter names a step: {letters}"));
    }
    weir.tear_down().await;
    wrong
}

/// Broken if a rule of the contract made another value than is written there, by copy or by stream, was
/// compared as different, or wrote what it should have set aside.
#[tokio::test]
async fn type_vectors_with_rules() {
    let text = std::fs::read_to_string(super::file()).expect("type-vectors.csv");
    let mut wrong = Vec::new();
    for (source, target) in [
        (Server::Postgres18, Server::MySql97),
        (Server::Postgres15, Server::MariaDb1011),
        (Server::MySql97, Server::Postgres15),
        (Server::MariaDb1011, Server::Postgres18),
    ] {
        let Some(pair) = Pair::start(source, target).await else { return };
        let all = vectors(&text, source, target);
        let ruled: Vec<&Vector> = all.iter().filter(|vector| !vector.rule.is_empty()).collect();
        let (refused, kept): (Vec<&Vector>, Vec<&Vector>) =
            ruled.iter().partition(|vector| vector.outcome == "reject");
        wrong.extend(arriving(&pair, &kept).await);
        wrong.extend(rejected(&pair, &refused).await);
        eprintln!(
            "{source:?} to {target:?}: {} arrive by rule, {} are set aside",
            kept.len(),
            refused.len()
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
