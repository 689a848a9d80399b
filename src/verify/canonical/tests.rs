//! Values that are equal, and values that are not.

use proptest::prelude::*;

use super::*;
use crate::model::schema::JsonKind;
use crate::plan::fixtures::{BIGINT, TEXT, column, table};
use crate::plan::key::tests::value;
use crate::plan::{ColumnPlan, TablePlan};
use crate::transform::{Conversion, Fit};

fn of(form: Form, value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&form, value, &mut bytes).expect("a known value");
    bytes
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn decimal(text: &str) -> Value {
    Value::Decimal(text.into())
}

/// Broken if two spellings of one value were reported as a difference.
#[test]
fn spellings_of_one_value_are_equal() {
    let uuid = Value::Uuid(0x1234_5678_9abc_def0_1234_5678_9abc_def0_u128.to_be_bytes());
    for (form, one, other) in [
        (Form::Plain, Value::Bool(true), Value::Int(1)),
        (Form::Plain, Value::Int(100), decimal("100.00")),
        (Form::Plain, Value::UInt(u64::MAX), decimal("18446744073709551615")),
        (Form::Plain, decimal("1.10"), decimal("1.1")),
        (Form::Plain, decimal("-0.00"), decimal("0")),
        (Form::Plain, decimal("00.5"), decimal("0.50")),
        (Form::Plain, Value::F32(0.1), Value::F64(f64::from(0.1_f32))),
        (Form::Plain, Value::F64(-0.0), Value::F64(0.0)),
        (Form::Plain, Value::F64(f64::NAN), Value::F64(-f64::NAN)),
        (Form::Plain, Value::Enum("a".into()), text("a")),
        (Form::Padded, text("a  "), text("a")),
        (Form::Filled(3), Value::Bytes(vec![1].into()), Value::Bytes(vec![1, 0, 0].into())),
        (Form::Uuid, uuid.clone(), text("12345678-9ABC-def0-1234-56789abcdef0")),
        (Form::Json, Value::Json("[1.0]".into()), text("[1]")),
    ] {
        assert_eq!(of(form.clone(), &one), of(form, &other), "{one:?} and {other:?}");
    }
}

/// Broken if a value that was changed by hand passed for equal.
#[test]
fn different_values_differ() {
    for (form, one, other) in [
        (Form::Plain, Value::Null, text("")),
        (Form::Plain, Value::Bool(true), Value::Int(2)),
        (Form::Plain, decimal("1"), decimal("10")),
        (Form::Plain, decimal("0.1"), decimal("0.01")),
        (Form::Plain, decimal("-1"), decimal("1")),
        (Form::Plain, Value::F32(0.1), Value::F64(0.1)),
        (Form::Plain, text("a "), text("a")),
        (Form::Plain, text("a"), text("A")),
        (Form::Plain, text("é"), text("e\u{301}")),
        (Form::Padded, text("a\t"), text("a")),
        (Form::Plain, Value::Time(86_400_000_000), Value::Time(0)),
        (Form::Plain, Value::Timestamp(1), Value::Timestamp(0)),
        (Form::Plain, Value::Infinity, Value::NegativeInfinity),
        (Form::Plain, text("x"), Value::EnumInvalid),
        (Form::Plain, text(""), Value::EnumInvalid),
        (Form::Plain, Value::Bytes(vec![1].into()), Value::Bytes(vec![1, 0].into())),
        (Form::Json, text("[1]"), text("[2]")),
        (Form::Json, text("no json"), text("no  json")),
        (Form::Uuid, text("1234"), text("12345")),
    ] {
        assert_ne!(of(form.clone(), &one), of(form, &other), "{one:?} and {other:?}");
    }
}

/// Broken if a value that nobody read passed for equal to another one.
#[test]
fn what_was_not_read_is_not_compared() {
    assert!(write(&Form::Plain, &Value::Unchanged, &mut Vec::new()).is_err());
}

/// Broken if a pair of columns were compared by what does not count in it, or not by what does.
#[test]
fn a_pair_of_columns_has_its_form() {
    let char = Type::Char { chars: 36 };
    for (source, target, form) in [
        (TEXT, TEXT, Form::Plain),
        (TEXT, char.clone(), Form::Padded),
        (char.clone(), TEXT, Form::Plain),
        (Type::Uuid, char.clone(), Form::Uuid),
        (char, Type::Uuid, Form::Plain),
        (Type::Uuid, Type::Binary { bytes: 16 }, Form::Filled(16)),
        (Type::Json(JsonKind::Verbatim), TEXT, Form::Json),
        (TEXT, Type::Json(JsonKind::Verbatim), Form::Json),
    ] {
        assert_eq!(Form::of(&source, &target), form, "{source:?} into {target:?}");
    }
}

/// A plan that writes `b` from the source's second column and `a`, the key, from its first.
fn crossed() -> TablePlan {
    let types = || vec![column("a", BIGINT, "bigint"), column("b", TEXT, "text")];
    let source = table("public", "t", types());
    let mut target = table("shop", "t", types());
    target.columns[1].ty = Type::Char { chars: 9 };
    let to = |at| ColumnPlan::of(at, at, Conversion { nullable: true, fit: Fit::Same });
    TablePlan::alone(source, target, vec![to(1), to(0)], vec![1])
}

/// Broken if a difference were told of another column, or a key had two forms.
#[test]
fn columns_are_told_by_their_place_in_the_plan() {
    let plan = crossed();
    let forms = forms(&plan);
    assert_eq!(forms, [Form::Padded, Form::Plain]);
    let row = |b: &str, a: i64| -> Row { vec![text(b), Value::Int(a)].into() };
    assert_eq!(differing(&forms, &row("x ", 1), &row("x", 1)).expect("compared"), [0_usize; 0]);
    assert_eq!(differing(&forms, &row("y", 1), &row("x", 1)).expect("compared"), [0]);
    assert_eq!(differing(&forms, &row("y", 1), &row("x", 2)).expect("compared"), [0, 1]);
    assert!(differing(&forms, &row("y", 1), &Row::default()).is_err());
    let key = |value: Value| key_bytes(&plan, &forms, &vec![value].into()).expect("a key");
    assert_eq!(key(Value::Int(1)), key(decimal("1.0")));
    assert_ne!(key(Value::Int(1)), key(Value::Int(2)));
}

proptest! {
    /// Broken if decimals were equal where their values are not, or the reverse.
    #[test]
    fn decimals_are_equal_by_value(one in -2000_i64..2000, other in -2000_i64..2000, zeros in 0_usize..4) {
        // Tenths, so that both sides of the point are in play.
        let spell = |tenths: i64, zeros: usize| {
            let sign = if tenths < 0 { "-" } else { "" };
            let tenths = tenths.abs();
            let (whole, rest) = (tenths / 10, tenths % 10);
            format!("{sign}{}{whole}.{rest}{}", "0".repeat(zeros), "0".repeat(zeros))
        };
        let (left, right) = (decimal(&spell(one, zeros)), decimal(&spell(other, 0)));
        prop_assert_eq!(of(Form::Plain, &left) == of(Form::Plain, &right), one == other);
    }

    /// Broken if one value's bytes were the beginning of another's: values could then move over the
    /// border between two columns.
    #[test]
    fn no_value_is_the_beginning_of_another(one in value(), other in value()) {
        prop_assume!(one.is_known() && other.is_known());
        for form in [Form::Plain, Form::Json, Form::Padded, Form::Uuid, Form::Filled(4)] {
            let (left, right) = (of(form.clone(), &one), of(form.clone(), &other));
            prop_assert!(left == right || !left.starts_with(&right), "{form:?}");
        }
    }
}
