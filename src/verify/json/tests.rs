//! Documents that are equal, and documents that are not.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn canonical(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    write(text, &mut out).map(|()| out)
}

/// Broken if a document that a server spelled anew were reported as different.
#[test]
fn spellings_of_one_document_are_equal() {
    for (one, other) in [
        (r#"{"b": 1, "a": [1.0, true]}"#, r#" {"a":[1,true],"b":1e0} "#),
        ("1.10e1", "11"),
        ("0.00012", "1.2E-4"),
        ("-0.0", "0"),
        ("0e99", "0"),
        ("100000000000000000000", "1e20"),
        (r#""a\u00e9\n\/\ud83d\ude00""#, "\"aé\\u000a/😀\""),
        (r#"{"aa":1,"b":{"d":2,"c":[]}}"#, r#"{"b":{"c":[ ],"d":2},"a\u0061":1}"#),
        ("{}", " { } "),
    ] {
        assert!(canonical(one).is_some(), "{one}");
        assert_eq!(canonical(one), canonical(other), "{one} and {other}");
    }
}

/// Broken if a changed document passed for the same.
#[test]
fn different_documents_differ() {
    let all = [
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "10",
        "0.1",
        "\"1\"",
        "\"\"",
        "[]",
        "{}",
        "[[]]",
        "[1]",
        "[1,1]",
        "[11]",
        r#"{"a":1}"#,
        r#"{"a":2}"#,
        r#"{"b":1}"#,
        r#"{"a":{"b":1}}"#,
        r#"[{"a":1}]"#,
        r#"{"a":1,"b":1}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"a":2,"a":1}"#,
        r#""\ud83d""#,
        r#""\ude00""#,
        r#""\ud83d\ude00""#,
        "0.30000000000000004",
        "0.3",
        "1e400",
        "1e401",
        "12345678901234567890",
        "12345678901234567891",
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(canonical(one).is_some(), "{one}");
        for other in &all[at + 1..] {
            assert_ne!(canonical(one), canonical(other), "{one} and {other}");
        }
    }
}

/// Broken if damaged text were compared by half.
#[test]
fn what_is_no_document_has_no_form() {
    for text in [
        "",
        " ",
        "{",
        "[1",
        "[1,]",
        "{\"a\"}",
        "{\"a\":}",
        "{1:2}",
        "01",
        "1.",
        ".5",
        "1e",
        "tru",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "1 2",
        "[1}",
        "{\"a\":1]",
        "-",
        "1e99999999999999999999999999999999999999999",
    ] {
        assert_eq!(canonical(text), None, "{text}");
    }
}

/// Broken if a document nested as deep as PostgreSQL takes it ended the process.
#[test]
fn depth_takes_no_stack() {
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    assert!(canonical(&deep).is_some());
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::hash_map(any::<String>(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The document with its members the other way round, escaped and with blanks.
fn respelled(document: &Value) -> String {
    let escaped = |text: &str| -> String {
        let units = text.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
        format!("\"{}\"", units.collect::<String>())
    };
    match document {
        Value::String(text) => escaped(text),
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(respelled).collect();
            format!("[ {} ]", values.join(" ,\t"))
        }
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                format!("{}\n:{}", escaped(name), respelled(value))
            };
            let members: Vec<_> = members.iter().rev().map(member).collect();
            format!("{{{}}}", members.join(" , "))
        }
        Value::Number(number) => format!("{number}.000e0"),
        other => other.to_string(),
    }
}

proptest! {
    /// Broken if equal documents had two forms, or two documents one.
    #[test]
    fn one_form_per_document(one in document(), other in document()) {
        let form = |text: &str| canonical(text);
        prop_assert_eq!(form(&one.to_string()), form(&respelled(&one)));
        let equal = form(&one.to_string()) == form(&other.to_string());
        prop_assert_eq!(equal, one == other);
    }

    /// Broken if a text could end the process.
    #[test]
    fn no_text_panics(text in "[\\[\\]{}\",:0-9eE.+\\\\u-]{0,40}") {
        let _ = canonical(&text);
    }
}
