//! Changes of a source through gate and conversion.

use super::*;
use crate::config::{Deletes, Truncates};
use crate::model::{Before, Type};
use crate::plan::fixtures::{BIGINT, column, config, link, replicate, table};
use crate::plan::plan;

/// `t(id bigint, name text, born timestamptz)` from PostgreSQL to MySQL; `name` is VARCHAR(3).
fn link_plan(change: fn(&mut TablePlan)) -> LinkPlan {
    let instant = Type::Instant { digits: 6 };
    let text = |chars| Type::Text { chars, bytes: None };
    let columns = vec![
        column("id", BIGINT, "bigint"),
        column("name", text(None), "text"),
        column("born", instant, "timestamptz"),
    ];
    let mut target = columns.clone();
    target[1].ty = text(Some(3));
    target[1].native = "varchar(3)".to_owned();
    target[2].ty = Type::Timestamp { digits: 6 };
    // The target's order is its own.
    target.swap(1, 2);
    let tables = (table("public", "t", columns), table("my_db", "t", target));
    let config = config(vec![replicate("pg", "my", &["public.t"])], Vec::new());
    let mut plan = plan(&config, &link("pg", "my"), &[tables.0], &[tables.1]).unwrap();
    change(Arc::make_mut(&mut plan.tables[0]));
    plan
}

fn row(id: Value, name: Value) -> Row {
    vec![id, name, Value::Instant(7)].into()
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned().into())
}

fn prepared(plan: &LinkPlan, op: Op) -> Result<Option<Act>> {
    let change = Change { table: 0, op, reshaped: false };
    Ok(prepare(plan, &change, Beside::default())?.map(|prepared| prepared.act))
}

fn update(before: Option<Before>, after: Row) -> Op {
    Op::Update { before, after }
}

/// Broken if values stood under other columns than the target's, or crossed unconverted.
#[test]
fn inserts_follow_the_target_order_and_types() {
    let after = row(Value::Int(1), text("abc"));
    let act = prepared(&link_plan(|_| {}), Op::Insert { after }).unwrap();
    let expected = vec![Value::Int(1), Value::Timestamp(7), text("abc")].into();
    assert_eq!(act, Some(Act::Upsert { columns: None, row: expected }));
}

/// Broken if an unknown value were written, also in an insert logged before a column was added.
#[test]
fn unknown_values_are_left_out() {
    let plan = link_plan(|_| {});
    let after = row(Value::Int(1), Value::Unchanged);
    let act = prepared(&plan, update(None, after.clone())).unwrap();
    let columns: Arc<[usize]> = [0, 1].into();
    let expected = vec![Value::Int(1), Value::Timestamp(7)].into();
    assert_eq!(act, Some(Act::Update { columns: Some(columns), row: expected }));
    let act = prepared(&plan, Op::Insert { after: after.clone() }).unwrap();
    let expected = vec![Value::Int(1), Value::Timestamp(7)].into();
    let columns: Arc<[usize]> = [0, 1].into();
    assert_eq!(act, Some(Act::Upsert { columns: Some(columns), row: expected }));

    // A full image before knows what the row after does not repeat.
    let before = Before::Full(row(Value::Int(1), text("old")));
    let act = prepared(&plan, update(Some(before), after)).unwrap();
    let expected = vec![Value::Int(1), Value::Timestamp(7), text("old")].into();
    assert_eq!(act, Some(Act::Update { columns: None, row: expected }));
}

/// Broken if a changed key became an update of another row, or a kept key a rekey.
#[test]
fn keys_are_compared_as_the_target_holds_them() {
    let plan = link_plan(|_| {});
    let key = |id| Before::Key(row(Value::Int(id), Value::Unchanged));
    let after = row(Value::Int(2), text("x"));
    let act = prepared(&plan, update(Some(key(2)), after.clone())).unwrap();
    assert!(matches!(act, Some(Act::Update { columns: None, .. })), "{act:?}");
    let act = prepared(&plan, update(Some(key(1)), after)).unwrap();
    let Some(Act::Rekey { old, columns: None, row }) = act else { panic!("{act:?}") };
    assert_eq!((old, &row[0]), (Row::from(vec![Value::Int(1)]), &Value::Int(2)));

    // An unchanged large key is only in the image before.
    let act =
        prepared(&plan, update(Some(key(3)), self::row(Value::Unchanged, text("x")))).unwrap();
    let Some(Act::Update { columns: None, row }) = act else { panic!("{act:?}") };
    assert_eq!(row[0], Value::Int(3));
}

/// Broken if an event without the match key hit no row, or the wrong one.
#[test]
fn an_event_without_its_key_is_an_error() {
    let plan = link_plan(|_| {});
    let unknown = || row(Value::Unchanged, text("x"));
    for op in [
        update(None, unknown()),
        update(Some(Before::Key(unknown())), row(Value::Int(1), text("x"))),
        Op::Delete { before: Before::Key(unknown()) },
    ] {
        let error = prepared(&plan, op).unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed);
        assert!(error.operator_hint().contains("REPLICA IDENTITY"), "{}", error.operator_hint());
    }
    let short = Row::from(vec![Value::Int(1)]);
    let error = prepared(&plan, Op::Insert { after: short }).unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed);
}

/// Broken if an operator were not told where, or a value went to the log.
#[test]
fn a_value_error_names_all_but_the_value() {
    let after = row(Value::Int(1), text("secret"));
    let error = prepared(&link_plan(|_| {}), Op::Insert { after }).unwrap_err();
    assert_eq!(error.kind(), Kind::Value);
    let shown = format!("{error:?}");
    for part in ["public.t", "name", "varchar(3)", "too_long"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("secret"), "{shown}");
}

/// Broken if a policy were not followed.
#[test]
fn policies_decide_deletes_and_truncates() {
    let careful = link_plan(|table| table.deletes = Deletes::Ignore);
    let before = || Before::Key(row(Value::Int(1), Value::Unchanged));
    assert_eq!(prepared(&careful, Op::Delete { before: before() }).unwrap(), None);
    let error = prepared(&careful, Op::Truncate).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.operator_hint().contains("truncate = \"apply\""));
    let whole = link_plan(|table| table.truncate = Truncates::Apply);
    let key = vec![Value::Int(1)].into();
    assert_eq!(
        prepared(&whole, Op::Delete { before: before() }).unwrap(),
        Some(Act::Delete { key })
    );
    assert_eq!(prepared(&whole, Op::Truncate).unwrap(), Some(Act::Truncate));
}

/// Broken if a missed row were looked up by the target's value where the source holds another.
#[test]
fn keys_go_back_to_the_source() {
    let plan = link_plan(|_| {});
    let key = source_key(&plan.tables[0], &[Value::Int(5)]).unwrap();
    assert_eq!(key, Row::from(vec![Value::Int(5)]));
}
