//! The rows of `tests/fixtures/type-vectors.csv` and what is demanded of each.
//!
//! A row is a source type, a literal, a target type and what must come of it.

use weir::sandbox::Server;

/// One row.
#[derive(Clone, Debug)]
pub struct Vector {
    /// The id as a name: `t001_my`.
    pub name: String,
    pub source: String,
    pub literal: String,
    pub target: String,
    pub expected: String,
    pub probe: String,
    pub source_prelude: String,
    pub target_prelude: String,
    /// The steps that the column goes through, as JSON; empty for most.
    pub rule: String,
    /// `ok`, `reject` or `rule_needed`.
    pub outcome: String,
    pub demand: Demand,
}

/// What must come of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// It arrives and prints as written.
    Arrives,
    /// It is refused, in the plan or by a halt.
    Refused,
    /// It needs a rule.
    Rule,
}

fn demand(row: &impl Fn(&str) -> String) -> Demand {
    match row("outcome").as_str() {
        _ if !row("rule").is_empty() => Demand::Rule,
        "ok" => Demand::Arrives,
        "reject" => Demand::Refused,
        "rule_needed" => Demand::Rule,
        other => panic!("outcome {other}"),
    }
}

/// The rows from one server to another.
pub fn vectors(text: &str, source: Server, target: Server) -> Vec<Vector> {
    let dialect = |server: Server| match (server.is_postgres(), server.is_mariadb()) {
        (true, _) => "postgres",
        (_, true) => "mariadb",
        _ => "mysql",
    };
    let mut records = records(text).into_iter();
    let names = records.next().expect("header");
    let mut found = Vec::new();
    for record in records {
        assert_eq!(record.len(), names.len(), "{record:?}");
        let cell = |name: &str| -> String {
            record[names.iter().position(|other| other == name).expect("column")].clone()
        };
        if cell("source_dialect") != dialect(source) || cell("target_dialect") != dialect(target) {
            continue;
        }
        found.push(Vector {
            name: cell("id").to_lowercase().replace('-', "_"),
            source: cell("source_type"),
            literal: cell("source_sql_literal"),
            target: cell("target_type"),
            expected: cell("expected_text"),
            probe: cell("probe_sql"),
            source_prelude: cell("source_prelude"),
            target_prelude: cell("target_prelude"),
            rule: cell("rule"),
            outcome: cell("outcome"),
            demand: demand(&cell),
        });
    }
    assert!(!found.is_empty(), "no vectors from {source:?} to {target:?}");
    found
}

/// The records of a CSV text (RFC 4180).
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut text) = (false, text.chars().peekable());
    while let Some(letter) = text.next() {
        match letter {
            '"' if quoted && text.peek() == Some(&'"') => {
                text.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field).trim_end_matches('\r').to_owned());
                records.push(std::mem::take(&mut record));
            }
            other => field.push(other),
        }
    }
    assert!(field.is_empty() && record.is_empty(), "the last line has no end");
    records
}
