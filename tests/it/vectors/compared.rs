//! What has arrived of the vectors, compared by `weir verify`: all of it is equal; each value that is
//! changed in the target is told of, in its column and no other; a repair writes it as it was.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::execute;
use super::table::Vector;
use crate::harness::{Pair, Weir};

/// Compares, changes values, compares again and mends. Returns what went wrong.
pub async fn compared(weir: &Weir, pair: &Pair, space: &str, vectors: &[&Vector]) -> Vec<String> {
    let told = verify(weir, &[], 0).await;
    let mut wrong = judged("whole", &told, vectors, &BTreeSet::new());
    for (how, changes) in [("with another's value", others(vectors)), ("emptied", nulls(vectors))] {
        let statements: Vec<&str> = changes.values().map(String::as_str).collect();
        execute(&pair.target, space, &statements.join("; ")).await;
        let damaged = changes.keys().copied().collect();
        wrong.extend(judged(how, &verify(weir, &[], 3).await, vectors, &damaged));
        verify(weir, &["--repair"], 0).await;
        let told = verify(weir, &[], 0).await;
        wrong.extend(judged("mended", &told, vectors, &BTreeSet::new()));
        eprintln!("{} of {} values {how}, found and mended", damaged.len(), vectors.len());
    }
    wrong
}

/// Statements that give a row the value of another one of its type, by table. The others stay as they are.
fn others<'a>(vectors: &[&'a Vector]) -> BTreeMap<&'a str, String> {
    let (mut changes, mut givers) = (BTreeMap::new(), BTreeSet::new());
    for vector in vectors.iter().filter(|vector| !is_null(vector)) {
        let fits = |other: &&&Vector| {
            let is_whole = !changes.contains_key(other.name.as_str()) && !is_null(other);
            is_whole && is_alike(vector, other) && vector.expected != other.expected
        };
        let giver = vectors.iter().find(fits).filter(|_| !givers.contains(vector.name.as_str()));
        if let Some(giver) = giver {
            let change = format!("UPDATE {} SET c = (SELECT c FROM {})", vector.name, giver.name);
            givers.insert(giver.name.as_str());
            changes.insert(vector.name.as_str(), change);
        }
    }
    changes
}

/// Statements that empty rows, or shift what a server does not let be empty, by table.
fn nulls<'a>(vectors: &[&'a Vector]) -> BTreeMap<&'a str, String> {
    let may_change = |vector: &&&Vector| !is_null(vector) && !vector.target.contains("NOT NULL");
    let change = |vector: &Vector| {
        let value = match vector.target.as_str() {
            // Of MySQL and MariaDB, never empty.
            ty if ty.starts_with("TIMESTAMP") => "c + INTERVAL 1 SECOND",
            ty if ty.contains("AUTO_INCREMENT") => "c + 1",
            _ => "NULL",
        };
        format!("UPDATE {} SET c = {value}", vector.name)
    };
    let changed = vectors.iter().filter(may_change);
    changed.map(|vector| (vector.name.as_str(), change(vector))).collect()
}

fn is_null(vector: &Vector) -> bool {
    vector.expected == "\\N"
}

/// Whether what is expected of both says whether they are the same value.
fn is_alike(one: &Vector, other: &Vector) -> bool {
    one.target == other.target
        && one.probe == other.probe
        && one.target_prelude == other.target_prelude
}

/// The report's tables, by name.
async fn verify(weir: &Weir, arguments: &[&str], code: i32) -> BTreeMap<String, Value> {
    let arguments: Vec<&str> = ["verify", "--json"].iter().chain(arguments).copied().collect();
    let outcome = weir.run(&arguments).await.expect_code(code);
    let report: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let tables = report["left:right"]["tables"].as_array().cloned().expect("tables");
    let named = |table: Value| {
        let source = table["source"].as_str().expect("a name");
        (source.rsplit('.').next().unwrap_or(source).to_owned(), table)
    };
    tables.into_iter().map(named).collect()
}

/// Tables of which something else was told than that exactly these are damaged.
fn judged(
    when: &str,
    told: &BTreeMap<String, Value>,
    vectors: &[&Vector],
    damaged: &BTreeSet<&str>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for vector in vectors {
        let table = told.get(&vector.name).cloned().unwrap_or_default();
        let differs = damaged.contains(vector.name.as_str());
        let counts = ["equal", "differing"].map(|kind| table["counts"][kind].as_u64());
        let found = &table["listed"][0];
        let is_right = match differs {
            true => counts == [Some(0), Some(1)] && found["columns"] == json!(["c"]),
            false => counts == [Some(1), Some(0)] && found.is_null(),
        };
        if !is_right || table["counts"]["compared"] != json!(1) {
            wrong.push(format!("{vector:?}, {when}: told {table}"));
        }
    }
    wrong
}
