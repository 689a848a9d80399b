//! Changes as JSON.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::model::{Before, Type};
use crate::plan::fixtures::{BIGINT, TEXT, column, one_to_one, table};
use crate::plan::key::tests::value;

/// `s.t(id, name, secret)`; the target calls its columns otherwise, and `secret` is sensitive.
fn plan() -> TablePlan {
    let columns = |names: [&str; 3]| {
        let types = [BIGINT, TEXT, TEXT].into_iter();
        names.iter().zip(types).map(|(name, ty): (&&str, Type)| column(name, ty, "x")).collect()
    };
    let mut plan = one_to_one(table("s", "t", columns(["id", "name", "secret"])), &[0]);
    plan.target = table("d", "t", columns(["nr", "label", "hidden"]));
    plan.columns[2].sensitive = true;
    plan
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned().into())
}

fn change(op: Op) -> Change {
    Change { table: 0, op, reshaped: false }
}

/// An insert of these values, as recorded.
fn inserted(plan: &TablePlan, values: &[Value]) -> String {
    let after = values.iter().cloned().collect();
    recorded(plan, &change(Op::Insert { after }), "salt")
}

/// The JSON of one value.
fn one(value: Value) -> String {
    let mut plan = plan();
    plan.columns.remove(2);
    let record = inserted(&plan, &[Value::Int(1), value, Value::Null]);
    let start = r#"{"of":"source","after":{"id":1,"name":"#;
    record.strip_prefix(start).unwrap().strip_suffix("}}").unwrap().to_owned()
}

/// Broken if a person read another change than the one that was set aside, or a value that nobody knew.
#[test]
fn changes_have_the_source_s_names() {
    let plan = plan();
    let row = |id, name| -> Row { vec![Value::Int(id), name, Value::Null].into() };
    let before = Before::Key(row(1, Value::Unchanged));
    let update = Op::Update { before: Some(before), after: row(2, text("a\"b")) };
    assert_eq!(
        recorded(&plan, &change(update), ""),
        r#"{"of":"source","before":{"id":1,"secret":null},"after":{"id":2,"name":"a\"b","secret":null}}"#
    );
    let delete = Op::Delete { before: Before::Full(row(3, text("c"))) };
    assert_eq!(
        recorded(&plan, &change(delete), ""),
        r#"{"of":"source","before":{"id":3,"name":"c","secret":null}}"#
    );
    assert_eq!(recorded(&plan, &change(Op::Truncate), ""), r#"{"of":"source"}"#);
}

/// Broken if what was to be done were told under names that the target does not have, or without the
/// key by which the row is found there.
#[test]
fn acts_have_the_target_s_names() {
    let plan = plan();
    let row: Row = vec![Value::Int(2), text("b")].into();
    let columns: Option<Arc<[usize]>> = Some([0, 1].into());
    for (act, expected) in [
        (
            Act::Upsert { columns: columns.clone(), row: row.clone() },
            r#"{"of":"target","values":{"nr":2,"label":"b"}}"#,
        ),
        (
            Act::Update { columns: columns.clone(), row: row.clone() },
            r#"{"of":"target","values":{"nr":2,"label":"b"}}"#,
        ),
        (
            Act::Rekey { old: vec![Value::Int(1)].into(), columns, row },
            r#"{"of":"target","key":{"nr":1},"values":{"nr":2,"label":"b"}}"#,
        ),
        (Act::Delete { key: vec![Value::Int(1)].into() }, r#"{"of":"target","key":{"nr":1}}"#),
        (Act::Note { key: vec![Value::Int(1)].into() }, r#"{"of":"target","key":{"nr":1}}"#),
        (Act::Truncate, r#"{"of":"target"}"#),
    ] {
        assert_eq!(recorded_act(&plan, &act, ""), expected);
    }
    let whole: Row = vec![Value::Int(2), text("b"), Value::Null].into();
    let whole = recorded_act(&plan, &Act::Upsert { columns: None, row: whole }, "");
    assert_eq!(whole, r#"{"of":"target","values":{"nr":2,"label":"b","hidden":null}}"#);
}

/// Broken if a value could not be told by eye from another one, or a reader of JSON rounded it.
#[test]
fn values_are_readable() {
    for (value, expected) in [
        (Value::Null, "null"),
        (Value::Bool(true), "true"),
        (Value::Int(-9_007_199_254_740_991), "-9007199254740991"),
        (Value::Int(9_007_199_254_740_992), r#""9007199254740992""#),
        (Value::Int(i64::MIN), r#""-9223372036854775808""#),
        (Value::UInt(u64::MAX), r#""18446744073709551615""#),
        (Value::Decimal("-0.50".into()), "-0.50"),
        (Value::Decimal("12345678901234.56".into()), r#""12345678901234.56""#),
        (Value::DecimalSpecial(Special::NaN), r#""NaN""#),
        (Value::F32(0.1), "0.1"),
        (Value::F64(1e300), "1e+300"),
        (Value::F64(f64::NEG_INFINITY), r#""-Infinity""#),
        (text("Grüße\n"), r#""Grüße\n""#),
        (Value::Bytes(Bytes::from_static(b"\0\xff")), r#""\\x00ff""#),
        (Value::Date(59), r#""2000-02-29""#),
        (Value::Time(-1), r#""-00:00:00.000001""#),
        (Value::Timestamp(-1), r#""1999-12-31 23:59:59.999999""#),
        (Value::Instant(0), r#""2000-01-01 00:00:00+00""#),
        (Value::Infinity, r#""infinity""#),
        (Value::Uuid([0xab; 16]), r#""abababab-abab-abab-abab-abababababab""#),
        (Value::Json("{\"a\":1}".into()), r#""{\"a\":1}""#),
        (Value::EnumInvalid, r#""""#),
    ] {
        assert_eq!(one(value), expected);
    }
    let zero = |day, time_us| crate::model::value::InvalidDate { year: 0, month: 0, day, time_us };
    assert_eq!(one(Value::InvalidDate(zero(0, 0))), r#""0000-00-00""#);
    assert_eq!(one(Value::InvalidDate(zero(1, 1_000_000))), r#""0000-00-01 00:00:01""#);
}

/// Broken if one value filled the record of a row, if a cut went through a character, or if nobody
/// could see that something is missing.
#[test]
fn long_values_are_cut_and_say_so() {
    let cut = one(text(&"ü".repeat(3_000)));
    assert_eq!(cut, format!("\"{}… (6000 bytes)\"", "ü".repeat(2_048)));
    let odd = one(text(&format!("a{}", "ü".repeat(3_000))));
    assert_eq!(odd, format!("\"a{}… (6001 bytes)\"", "ü".repeat(2_047)));
    assert_eq!(one(text(&"a".repeat(4_096))), format!("\"{}\"", "a".repeat(4_096)));
    let bytes = one(Value::Bytes(vec![7; 1 << 20].into()));
    assert!(bytes.ends_with("07… (1048576 bytes)\"") && bytes.len() < 4_200, "{}", bytes.len());
}

/// Broken if a row of many columns made a record without bounds, or left columns out in silence.
#[test]
fn what_has_no_room_is_counted() {
    let columns = (0..200).map(|at| column(&format!("c{at}"), TEXT, "text")).collect();
    let plan = one_to_one(table("s", "t", columns), &[0]);
    let row: Row = (0..200).map(|_| text(&"x".repeat(4_000))).collect();
    let update = Op::Update { before: Some(Before::Full(row.clone())), after: row };
    let record = recorded(&plan, &change(update), "");
    assert!(record.len() <= RECORD_BYTES_MAX, "{}", record.len());
    let read: serde_json::Value = serde_json::from_str(&record).unwrap();
    let kept = |image: &str| read[image].as_object().unwrap().len();
    assert!(kept("before") > 25 && kept("after") > 25);
    assert_eq!(read["cut"], 400 - kept("before") - kept("after"));
}

/// Broken if a secret stood in a record, if two equal ones could not be told, or if the hash could not
/// be compared with a value that one has.
#[test]
fn secrets_are_hashed() {
    let plan = plan();
    let record = inserted(&plan, &[Value::Int(1), Value::Null, text("hunter2")]);
    // printf salthunter2 | sha256sum
    let expected = "sha256:6efb3088c88aa6ff4ec91880bd1a4953fb0713dbc0229960fde3a8f053b76843";
    assert!(record.contains("\"secret\":\"sha256:"), "{record}");
    assert_eq!(expected.len(), "sha256:".len() + 64);
    assert!(record.contains(expected), "{record}");
    let long = |end: &str| text(&format!("{}{end}", "x".repeat(10_000)));
    let of = |value| inserted(&plan, &[Value::Int(1), Value::Null, value]);
    assert_ne!(of(long("a")), of(long("b")));
    let after: Row = vec![Value::Int(1), Value::Null, text("hunter2")].into();
    assert_ne!(recorded(&plan, &change(Op::Insert { after }), "pepper"), record);
}

proptest! {
    /// Broken if some value made a record that is no JSON, exceeds its bound, or brings weir down.
    #[test]
    fn every_record_is_bounded_json(
        names in prop::collection::vec("\\PC{1,64}", 1..40),
        values in prop::collection::vec(value(), 40),
        before in prop::collection::vec(value(), 0..40),
        repeat in 1..3_000_usize,
        salt in any::<String>(),
        secret in any::<u64>(),
    ) {
        let columns = names.iter().map(|name| column(name, TEXT, "text")).collect();
        let mut plan = one_to_one(table("s", "t", columns), &[0]);
        for (at, column) in plan.columns.iter_mut().enumerate() {
            column.sensitive = secret >> (at % 64) & 1 == 1;
        }
        let long = |value: &Value| match value {
            Value::Text(text) => Value::Text(text.repeat(repeat).into()),
            Value::Bytes(bytes) => Value::Bytes(bytes.repeat(repeat).into()),
            other => other.clone(),
        };
        let after: Row = values.iter().map(long).collect();
        let before: Row = before.into();
        let update = Op::Update { before: Some(Before::Full(before.clone())), after: after.clone() };
        let act = Act::Rekey { old: before, columns: None, row: after };
        for record in [recorded(&plan, &change(update), &salt), recorded_act(&plan, &act, &salt)] {
            prop_assert!(record.len() <= RECORD_BYTES_MAX);
            let read: serde_json::Value = serde_json::from_str(&record).unwrap();
            prop_assert!(read["of"].is_string() && !record.contains('\0'));
        }
    }

    /// Broken if some secret could be read in a record, of whatever kind it is and wherever it stands.
    #[test]
    fn no_record_tells_a_secret(secret in "[g-z]{8,5000}") {
        let plan = plan();
        let values = [text(&secret), Value::Json(secret.as_str().into()), Value::Enum(secret.as_str().into())];
        for value in values {
            let row: Row = vec![Value::Int(1), Value::Null, value].into();
            let op = Op::Update { before: Some(Before::Full(row.clone())), after: row.clone() };
            let act = Act::Rekey { old: vec![Value::Int(1)].into(), columns: None, row };
            for record in [recorded(&plan, &change(op), "s"), recorded_act(&plan, &act, "s")] {
                prop_assert!(!record.contains(&secret) && !record.contains(&secret[..8]));
                prop_assert!(record.contains("sha256:"));
            }
        }
    }
}
