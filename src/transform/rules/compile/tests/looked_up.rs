//! Steps that look into a table of another place: what its rows make of values, and what is refused.

use super::*;
use crate::plan::fixtures::BIGINT as WHOLE;
use crate::transform::rules::{List, Look};

/// `s.country`: keys of text and whole numbers, one to one and not.
pub(super) fn lists() -> Lists {
    let columns = vec![
        column("code", PG_TEXT.1.clone(), "text"),
        column("id", WHOLE, "bigint"),
        column("zone", PG_TEXT.1.clone(), "text"),
        column("raw", Type::Bytes { bytes: None }, "bytea"),
    ];
    let country = table("s", "country", columns);
    let rows = [("DE", 1, Some("eu")), ("FR", 2, Some("eu")), ("XX", 3, None)];
    let mut lists = Lists::default();
    for (key, value) in [
        ("code", Some("id")),
        ("id", Some("code")),
        ("code", Some("zone")),
        ("code", None),
        ("id", None),
        ("raw", None),
        ("code", Some("raw")),
    ] {
        let value = value.map(str::to_owned);
        let look = Look { database: None, table: country.name.clone(), key: key.to_owned(), value };
        let cell = |row: &(&str, i64, Option<&str>), name: &str| match name {
            "code" => text(row.0),
            "id" => Value::Int(row.1),
            "zone" => row.2.map_or(Value::Null, text),
            _ => Value::Null,
        };
        let of_row = |row| {
            let value = look.value.as_deref().map_or(Value::Null, |name| cell(row, name));
            (cell(row, key), value)
        };
        let list = List::of(&look, &country).and_then(|list| list.filled(rows.iter().map(of_row)));
        lists.0.insert(look, list);
    }
    let gone = Look {
        database: None,
        table: crate::model::TableName::new("s", "gone"),
        key: "k".into(),
        value: Some("v".into()),
    };
    lists.0.insert(gone, Err("there is no table s.gone at right".to_owned()));
    lists
}

fn step(parameters: &str) -> String {
    format!(r#"[{{"lookup":{{"table":"s.country",{parameters}}}}}]"#)
}

/// Broken if a value became that of another row, a miss passed in silence, or a value that is NULL there
/// were taken for a miss.
#[test]
fn values_are_looked_up() {
    let ids = step(r#""key":"code","value":"id""#);
    let pair = (&(Postgres, PG_TEXT.1, "text"), &MY_INT);
    assert_eq!(turned(pair, &ids, &text("FR")), Ok(Value::Int(2)));
    let missed = turned(pair, &ids, &text("fr")).expect_err("a miss");
    assert!(missed.starts_with("step 1 (lookup): validation"), "{missed}");
    assert_eq!(turned(pair, &ids, &Value::Null), Ok(Value::Null));
    assert_eq!(turned(pair, &ids, &Value::Unchanged), Ok(Value::Unchanged));
    for (miss, becomes) in [(r#""null""#, Value::Null), (r#"{"default":9}"#, Value::Int(9))] {
        let rules = step(&format!(r#""key":"code","value":"id","miss":{miss}"#));
        assert_eq!(turned(pair, &rules, &text("YY")), Ok(becomes), "{miss}");
    }
    let words = (&(Postgres, PG_TEXT.1, "text"), &varchar(Mysql, 10));
    let zones = step(r#""key":"code","value":"zone","miss":"passthrough""#);
    assert_eq!(turned(words, &zones, &text("YY")), Ok(text("YY")));
    assert_eq!(turned(words, &zones, &text("XX")), Ok(Value::Null));
    let codes = (&BIGINT, &varchar(Mysql, 10));
    assert_eq!(
        turned(codes, &step(r#""key":"id","value":"code""#), &Value::Int(1)),
        Ok(text("DE"))
    );
}

/// Broken if rows were matched by what several keys become, or were not found again by what they became.
#[test]
fn a_key_is_looked_up_where_it_leads_back() {
    let pair = (&varchar(Postgres, 2), &MY_INT);
    let compiled = compiled_as(pair, &step(r#""key":"code","value":"id""#), true, &[]).unwrap();
    assert_eq!(run(&compiled, &text("DE")), Ok(Value::Int(1)));
    assert_eq!(compiled.rules.as_ref().unwrap().back(Value::Int(2)), Ok(text("FR")));
    let words = (&varchar(Postgres, 2), &varchar(Mysql, 10));
    for (pair, rules) in [
        (words, step(r#""key":"code","value":"zone""#)),
        (pair, step(r#""key":"code","value":"id","miss":{"default":9}"#)),
    ] {
        let why = compiled_as(pair, &rules, true, &[]).err().unwrap();
        assert!(why.contains("no way back"), "{why}");
    }
}

/// Broken if a list that can never match, or whose values the target cannot hold, were found out by rows.
#[test]
fn what_cannot_be_looked_up_is_refused() {
    let pg = |side: &Side| (side.0, side.1.clone(), side.2);
    let text = pg(&(Postgres, PG_TEXT.1, "text"));
    for (from, to, rules, expected) in [
        (
            &text,
            &MY_INT,
            r#"[{"lookup":{"table":"s.gone","key":"k","value":"v"}}]"#.to_owned(),
            "no table s.gone",
        ),
        (&text, &MY_INT, step(r#""key":"code","value":"other""#), "was not read"),
        (
            &DATE,
            &MY_INT,
            step(r#""key":"id","value":"code""#),
            "gets a date, and column id of s.country is a whole",
        ),
        (
            &text,
            &MY_DATE,
            step(r#""key":"code","value":"id""#),
            "after the last step, which makes a whole number",
        ),
        (
            &text,
            &MY_INT,
            step(r#""key":"code","value":"id","miss":"passthrough""#),
            "passthrough would mix",
        ),
        (
            &text,
            &MY_INT,
            step(r#""key":"code","value":"id","miss":{"default":"x"}"#),
            "is not a whole number",
        ),
        (
            &text,
            &MY_INT,
            r#"[{"validate":{"references":{"table":"s.country","column":"raw"}}}]"#.to_owned(),
            "bytes has none",
        ),
    ] {
        let why =
            compiled_as((from, to), &rules, false, &[]).err().unwrap_or_else(|| panic!("{rules}"));
        assert!(why.contains(expected), "{rules}: {why}");
    }
    for (rules, expected) in [
        (r#"[{"lookup":{"table":"country","key":"a","value":"b"}}]"#, "schema.table"),
        (r#"[{"lookup":{"table":"s.*","key":"a","value":"b"}}]"#, "schema.table"),
        (r#"[{"lookup":{"table":"s.t","key":"a"}}]"#, "`value` is missing"),
        (r#"[{"lookup":{"table":"s.t","key":"a","value":"b","miss":"x"}}]"#, "`miss` is"),
        (
            r#"[{"lookup":{"table":"s.t","key":"a","value":"b","else":"null"}}]"#,
            "unknown parameter",
        ),
    ] {
        let why = steps(rules).unwrap_err();
        assert!(why.contains(expected), "{rules}: {why}");
    }
}

/// Broken if a value that is nowhere passed, one that is there did not, or an outcome were another than that
/// of other checks.
#[test]
fn what_must_be_there_is_looked_for() {
    let text_side = (Postgres, PG_TEXT.1, "text");
    let pair = (&text_side, &varchar(Mysql, 10));
    let check = |rest: &str| {
        format!(
            r#"[{{"validate":{{"references":{{"table":"s.country","column":"code"}}{rest}}}}}]"#
        )
    };
    assert_eq!(turned(pair, &check(""), &text("DE")), Ok(text("DE")));
    assert_eq!(turned(pair, &check(""), &Value::Null), Ok(Value::Null));
    assert!(turned(pair, &check(""), &text("YY")).unwrap_err().contains("step 1 (validate)"));
    assert_eq!(turned(pair, &check(r#","else":"null""#), &text("YY")), Ok(Value::Null));
    let default = check(r#","else":{"default":"XX"}"#);
    assert_eq!(turned(pair, &default, &text("YY")), Ok(text("XX")));
    let lost = check(r#","else":{"default":"YY"}"#);
    let why = compiled_as(pair, &lost, false, &[]).err().unwrap();
    assert!(why.contains("does not pass the check"), "{why}");
    let whole = r#"[{"validate":{"references":{"table":"s.country","column":"id"}}}]"#;
    assert_eq!(turned((&BIGINT, &MY_INT), whole, &Value::Int(3)), Ok(Value::Int(3)));
    assert!(turned((&BIGINT, &MY_INT), whole, &Value::Int(4)).is_err());
}
