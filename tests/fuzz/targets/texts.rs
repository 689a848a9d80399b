//! Texts: configuration files, positions and sets of GTIDs, stored keys, JSON.

use std::collections::BTreeSet;
use std::path::Path;

use weir::model::Value;
use weir::plan::{key_text, parse_key};
use weir::position::{Lsn, MariadbGtidSet, MysqlGtidSet, Position};
use weir::transform::conversion::{JsonFit, Numbers};
use weir::transform::{Conversion, Fit, convert};

use super::hold;
use crate::{MEMORY, Target};

/// Each byte may be a mistake, with a message.
pub(super) const CONFIGURATION: Target = Target {
    name: "configuration",
    seeds: configurations,
    words: &[
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ".",
        "\"",
        "'",
        "\"\"\"",
        "'''",
        "\\e",
        "\\x41",
        "\n",
        ", ",
        "table",
        "replicate",
        "database",
        "in.",
        "column",
        "owner",
        "# ",
        "true",
        "1",
        "07:32",
        "é",
        "\n[table.a]\n",
        "\n[[replicate]]\n",
        "apply",
        "http",
        "alerts",
    ],
    bytes_max: 20_000,
    memory: (2048, 8 << 20),
    run: configuration,
};

pub(super) const POSITIONS: Target = Target {
    name: "positions",
    seeds: positions,
    words: &[
        "3e11fa47-71ca-11e1-9e33-c80aa9429562",
        ":",
        "-",
        ",",
        "@",
        "~",
        "#",
        "lsn:",
        "mysql:",
        "mariadb:",
        "mysql-place:",
        "18446744073709551615",
        "0-1-",
        "[\"",
        "\"]",
        "\"text\"",
        "\"int\"",
        "\"uuid\"",
    ],
    bytes_max: 4_000,
    memory: MEMORY,
    run: position,
};

pub(super) const JSON: Target = Target {
    name: "json",
    seeds: documents,
    words: &[
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\u0000",
        "\\ud800",
        "\\udc00",
        "\\",
        "1e400",
        "-0",
        "0.0",
        "true",
        "false",
        "null",
        "\"a\":",
        "99999999999999999999",
    ],
    bytes_max: 20_000,
    memory: MEMORY,
    run: json,
};

fn configuration(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    let lines = text.lines().count() + 1;
    match weir::config::parse(&[("weir.toml", &text)], Path::new("/etc/weir")) {
        Ok(config) => {
            Ok(format!("ok {} {}", config.databases.len().min(3), config.tables.len().min(3)))
        }
        Err(problems) => {
            let mut words = BTreeSet::new();
            for problem in problems.iter() {
                hold!(problem.line <= lines, "line {} of {lines}", problem.line);
                words.insert(problem.message.split_whitespace().last().unwrap_or_default());
            }
            Ok(words.into_iter().take(2).collect())
        }
    }
}

/// What is read and written is the same again.
fn position(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    let mut way = String::new();
    if let Ok(position) = text.parse::<Position>() {
        let again = position.to_string().parse();
        hold!(again.as_ref() == Ok(&position), "{position} comes back as {again:?}");
        hold!(position.reaches(&position), "{position} does not reach itself");
        way = format!("{:?}", std::mem::discriminant(&position));
    }
    if let Ok(set) = text.parse::<MysqlGtidSet>() {
        let again = set.to_string().parse();
        hold!(again.as_ref() == Ok(&set), "{set} comes back as {again:?}");
        hold!(set.contains_set(&set) && set.minus(&set).is_empty(), "{set} is not in itself");
        way += &format!("mysql {}", set.iter().count().min(3));
    }
    if let Ok(set) = text.parse::<MariadbGtidSet>() {
        let again = set.to_string().parse();
        hold!(again.as_ref() == Ok(&set), "{set} comes back as {again:?}");
        way += &format!("mariadb {}", set.iter().count().min(3));
    }
    if let Ok(lsn) = text.parse::<Lsn>() {
        let again = lsn.to_string().parse();
        hold!(again.as_ref() == Ok(&lsn), "{lsn} comes back as {again:?}");
        way += "lsn";
    }
    if let Ok(key) = parse_key(&text) {
        let written = key_text(&key);
        let again = parse_key(&written).map(|again| key_text(&again));
        hold!(again.is_ok_and(|again| again == written), "{written} does not come back");
        way += &format!("key {:?}", key.first().map(std::mem::discriminant));
    }
    Ok(way)
}

/// A document that a target takes is one for every parser.
fn json(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input).into_owned();
    let mut way = String::new();
    for (numbers, strict) in
        [(Numbers::Any, false), (Numbers::Numeric, true), (Numbers::Mysql, true)]
    {
        let fit = Fit::Json(JsonFit {
            into_text: false,
            unchecked: false,
            depth_max: 100,
            unique_names: strict,
            no_nul: strict,
            no_lone_surrogates: true,
            numbers,
            bytes_max: None,
        });
        let value = Value::Json(text.as_str().into());
        match convert(&Conversion { nullable: true, fit }, &value) {
            Ok(taken) => {
                hold!(taken == value, "{text} became another document");
                let parsed: Result<&serde_json::value::RawValue, _> = serde_json::from_str(&text);
                hold!(parsed.is_ok(), "taken, and none ({parsed:?}): {text}");
                way += "ok ";
            }
            Err(reason) => way += &format!("{reason:?} "),
        }
    }
    Ok(format!("{way} {}", text.len().min(256) / 32))
}

fn configurations() -> Vec<Vec<u8>> {
    let reference = include_str!("../../../config/reference.toml");
    let code = reference.lines().filter(|line| !line.starts_with('#'));
    let small = "name = \"x\"\nstate_dir = \"s\"\n[database.a]\nurl = \"mysql://u@127.0.0.1/d\"\n\
                 [database.b]\nurl = \"postgres://u@127.0.0.1/d\"\n[[replicate]]\nfrom = \"a\"\nto = \"b\"\n\
                 tables = [\"d.*\"]\n[table.t]\nin.a = \"d.t\"\nin.b = \"public.t\"\nowner = \"a\"\n";
    // Mistakes without end on one line.
    let line = format!("a = [{}", "\"\\e\",".repeat(3_000));
    let texts = [code.collect::<Vec<_>>().join("\n"), small.to_owned(), line];
    texts.map(String::into_bytes).to_vec()
}

fn positions() -> Vec<Vec<u8>> {
    let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    let texts = [
        "lsn:16/B374D848".to_owned(),
        format!("mysql:{uuid}:1-5:11-18@binlog.000003:1234"),
        format!("mysql-place:{uuid}:1-5@binlog.000003:1234#1764100000"),
        "mariadb:0-1-100,5-2-7@m-bin.000009:77".to_owned(),
        format!("mysql:{uuid}:1-9@b.000003:99#7~mysql:@b.000001:4#7~X'61',X'',1@1764100000"),
        format!("{uuid}:1-5:tag:7-9:11"),
        "0-1-100,5-2-7".to_owned(),
        "0/16B3748".to_owned(),
        "[[\"int\",\"-5\"],[\"text\",\"a\"],[\"uuid\",\"a0eebc999c0b4ef8bb6d6bb9bd380a11\"]]"
            .to_owned(),
        "[[\"bytes\",\"00ff\"],[\"f64\",\"7ff8000000000000\"],[\"invalid_date\",\"0 0 0 0\"]]"
            .to_owned(),
    ];
    texts.map(String::into_bytes).to_vec()
}

fn documents() -> Vec<Vec<u8>> {
    let texts = [
        "{\"a\": [1, 2.50, -0, 1e5, 18446744073709551616], \"b\": \"\\u00e4\\ud83d\\ude00\"}"
            .to_owned(),
        "[[[[]]], {\"a\": {}}, null, true, false]".to_owned(),
        "\"\\ud800\"".to_owned(),
        format!("{}{}", "[".repeat(99), "]".repeat(99)),
        "1e-400".to_owned(),
        format!("0.{}1e{}", "0".repeat(2000), 2000),
    ];
    texts.map(String::into_bytes).to_vec()
}
