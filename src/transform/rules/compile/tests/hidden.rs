//! Steps of ciphers and into documents, on column pairs.

use super::*;
use crate::transform::rules::{KEY_BYTES, hexed};

const BYTEA: Side = (Postgres, Type::Bytes { bytes: None }, "bytea");

/// A step with a key, whose bytes the reader of the configuration has found.
fn ciphered(step: &str, key: &str, more: &str) -> String {
    let key = hexed(key.as_bytes());
    let name = KEY_BYTES.replace('\0', "\\u0000");
    format!(r#"{{"{step}":{{"key":{{"env":"K"}},"{name}":"{key}"{more}}}}}"#)
}

fn gcm(step: &str, more: &str) -> String {
    ciphered(step, &"1f".repeat(32), &format!(r#","algo":"aes_256_gcm_siv"{more}"#))
}

fn siv(step: &str, more: &str) -> String {
    ciphered(step, &"2e".repeat(64), &format!(r#","algo":"aes_256_siv"{more}"#))
}

/// Broken if what one server's column holds encrypted were another value once it is decrypted, be it text or
/// bytes, a key or not.
#[test]
fn what_is_encrypted_is_decrypted() {
    let (wide, double) = (varchar(Mysql, 400), (Mysql, Type::F64, "double"));
    let pg_wide = varchar(Postgres, 400);
    let narrow = (Postgres, Type::F32, "real");
    let stamp = (Postgres, Type::Timestamp { digits: 6 }, "timestamp");
    for (from, home, value) in [
        (&BIGINT, &BIGINT, Value::Int(-42)),
        (&PG_TEXT, &PG_TEXT, text("J\u{e4}ne\n")),
        (&PG_TEXT, &PG_TEXT, text("")),
        (&BYTEA, &BYTEA, Value::Bytes(vec![0, 255, 0].into())),
        (&NUMERIC, &NUMERIC, decimal("1234567890.12")),
        (&BOOL, &BOOL, Value::Bool(true)),
        (&UUID, &UUID, Value::Uuid([9; 16])),
        (&DATE, &DATE, Value::Date(-1)),
        (&stamp, &stamp, Value::Timestamp(-1)),
        (&DOUBLE, &double, Value::F64(0.1)),
        (&narrow, &narrow, Value::F32(0.1)),
        (&JSONB, &JSONB, Value::Json("{\"a\": 1.0}".into())),
        (&DATE, &DATE, Value::Null),
    ] {
        for (away, more) in [
            (&wide, ""),
            (&wide, r#","encoding":"hex","aad":["table","column"]"#),
            (&BYTEA, r#","aad":["column"]"#),
        ] {
            for cipher in [gcm, siv] {
                let list = format!("[{}]", cipher("encrypt", more));
                let there = turned((from, away), &list, &value).unwrap();
                assert_eq!(turned((from, away), &list, &value).unwrap(), there);
                assert!(there == Value::Null || there != value);
                let list = format!("[{}]", cipher("decrypt", more));
                assert_eq!(turned((away, home), &list, &there).as_ref(), Ok(&value), "{from:?}");
            }
        }
    }
    // Other steps go on with its text.
    let there = turned((&pg_wide, &wide), &format!("[{}]", siv("encrypt", "")), &text("1/2/24"));
    let read = r#","as":"text""#;
    let list = format!(
        r#"[{},{{"parse_date":{{"format":"%d/%m/%y","two_digit_year_pivot":2000}}}}]"#,
        siv("decrypt", read)
    );
    assert_eq!(turned((&wide, &DATE), &list, &there.unwrap()), Ok(Value::Date(8797)));
}

/// Broken if a row that is matched by an encrypted column were not found again.
#[test]
fn an_encrypted_key_has_its_way_back() {
    let wide = varchar(Mysql, 400);
    for cipher in [gcm, siv] {
        let list = format!("[{}]", cipher("encrypt", ""));
        let compiled = compiled_as((&BIGINT, &wide), &list, true, &[]).unwrap();
        let there = run(&compiled, &Value::Int(7)).unwrap();
        let back = convert(compiled.reverse.as_ref().unwrap(), &there).unwrap();
        assert_eq!(compiled.rules.as_ref().unwrap().back(back), Ok(Value::Int(7)));
        let list = format!("[{}]", cipher("decrypt", ""));
        let compiled = compiled_as((&wide, &BIGINT), &list, true, &[]).unwrap();
        assert_eq!(run(&compiled, &there), Ok(Value::Int(7)));
        let back = convert(compiled.reverse.as_ref().unwrap(), &Value::Int(7)).unwrap();
        assert_eq!(compiled.rules.as_ref().unwrap().back(back), Ok(there));
    }
}

/// Broken if what is not of the key were written, if a message held it, or if the key could be read in a plan.
#[test]
fn what_is_not_of_the_key_is_rejected() {
    let wide = varchar(Mysql, 400);
    let list = format!("[{}]", gcm("decrypt", ""));
    for foreign in ["plain", "", "AAAA", "cGxhaW4gdGV4dCwgbm90IGVuY3J5cHRlZCBhdCBhbGw="] {
        let why = turned((&wide, &PG_TEXT), &list, &text(foreign)).unwrap_err();
        assert!(why.starts_with("step 1 (decrypt): parse "), "{why}");
        assert!(foreign.is_empty() || !why.contains(foreign), "{why}");
    }
    let compiled = compiled_as((&wide, &PG_TEXT), &list, false, &[]).unwrap();
    let shown = compiled.rules.as_ref().unwrap().text();
    assert!(shown.contains("\"key_name\": ") && !shown.contains("1f1f"), "{shown}");
    // Another key is another list, so that a link sees the change.
    let other = ciphered("decrypt", &"3d".repeat(32), r#","algo":"aes_256_gcm_siv""#);
    let other = compiled_as((&wide, &PG_TEXT), &format!("[{other}]"), false, &[]).unwrap();
    assert_ne!(other.rules.as_ref().unwrap().text(), shown);
    let number = compiled_as((&BIGINT, &PG_TEXT), &list, false, &[]).err().unwrap_or_default();
    assert!(number.contains("takes text or bytes"), "{number}");
}

/// Broken if a document got a scalar that it cannot hold, lost the digits of others, or a row whose scalar the log
/// does not hold were written all the same.
#[test]
fn documents_get_a_scalar() {
    for (rules, value, expected) in [
        (r#"[{"json_set":{"path":"$.a","value":1.50}}]"#, r#"{"b":1e2}"#, r#"{"b":1e2, "a": 1.5}"#),
        (
            r#"[{"json_set":{"path":"$.b.c","value":"x"}}]"#,
            r#"{"b":{"c":0}}"#,
            r#"{"b":{"c":"x"}}"#,
        ),
        (r#"[{"json_set":{"path":"$.by","column":"first"}}]"#, "{}", r#"{"by": "Jane"}"#),
        (r#"[{"json_set":{"path":"$.by","column":"last"}}]"#, "{}", r#"{"by": null}"#),
    ] {
        let found = turned((&JSONB, &MY_JSON), rules, &Value::Json(value.into()));
        assert_eq!(found, Ok(Value::Json(expected.into())));
    }
    let rules = r#"[{"json_set":{"path":"$.a.b","value":true}}]"#;
    let why = turned((&JSONB, &MY_JSON), rules, &Value::Json("{}".into())).unwrap_err();
    assert!(why.starts_with("step 1 (json_set): parse "), "{why}");
    let rules = r#"[{"json_set":{"path":"$.a","column":"first"}}]"#;
    let compiled = compiled_as((&JSONB, &MY_JSON), rules, false, &[]).unwrap();
    let value = Value::Json("{}".into());
    let row = Row::from(vec![value.clone(), Value::Unchanged, Value::Null]);
    let rules = compiled.rules.as_ref().unwrap();
    let found = rules.apply(&compiled.conversion, &value, &Scope::of(&row));
    assert_eq!(found, Ok(Value::Unchanged));
}
