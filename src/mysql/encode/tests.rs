//! Wire forms by example.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn sent(form: Form, value: Value) -> String {
    match form.parameter(&value).expect("fits") {
        Parameter::Bytes(bytes) => String::from_utf8(bytes).expect("text"),
        other => format!("{other:?}"),
    }
}

/// Broken if a wall clock were printed in another calendar, or with other digits than the
/// column's, which the servers round or cut in silence.
#[test]
fn dates_and_times_print_just_the_columns_digits() {
    assert_eq!(sent(Form::Date, Value::Date(0)), "2000-01-01");
    assert_eq!(sent(Form::Date, Value::Date(59)), "2000-02-29");
    assert_eq!(sent(Form::Date, Value::Date(-730_119)), "0001-01-01");
    assert_eq!(sent(Form::Date, Value::Date(2_921_939)), "9999-12-31");
    assert_eq!(sent(Form::Time(0), Value::Time(86_400_000_000)), "24:00:00");
    assert_eq!(sent(Form::Time(6), Value::Time(-1)), "-00:00:00.000001");
    assert_eq!(sent(Form::Time(2), Value::Time(-45_296_780_000)), "-12:34:56.78");
    assert_eq!(sent(Form::DateTime(3), Value::Timestamp(-1_000)), "1999-12-31 23:59:59.999");
    assert_eq!(sent(Form::DateTime(0), Value::Instant(1_000_000)), "2000-01-01 00:00:01");
    assert!(Form::DateTime(3).parameter(&Value::Timestamp(1)).is_err());
    assert!(Form::Date.parameter(&Value::Date(2_921_940)).is_err());
    assert!(Form::Date.parameter(&Value::Date(i32::MIN)).is_err());
    assert!(Form::DateTime(6).parameter(&Value::Timestamp(i64::MAX)).is_err());
}

/// Broken if a column's parameters changed their variant with the value: bulk execution would
/// read the bytes of one type as another.
#[test]
fn one_variant_per_column() {
    assert_eq!(Form::UInt.parameter(&Value::Int(1)).ok(), Some(Parameter::UInt(1)));
    assert_eq!(Form::UInt.parameter(&Value::UInt(u64::MAX)).ok(), Some(Parameter::UInt(u64::MAX)));
    assert!(Form::UInt.parameter(&Value::Int(-1)).is_err());
    assert!(Form::Int.parameter(&Value::UInt(u64::MAX)).is_err());
    assert_eq!(Form::Int.parameter(&Value::Bool(true)).ok(), Some(Parameter::Int(1)));
    let widened = Form::Double.parameter(&Value::F32(0.1)).ok();
    assert_eq!(widened, Some(Parameter::Double(0.100_000_001_490_116_12)));
    let negative_zero = Form::Double.parameter(&Value::F64(-0.0)).ok();
    assert!(matches!(negative_zero, Some(Parameter::Double(zero)) if zero.is_sign_negative()));
}

/// Broken if a uuid were printed otherwise than both servers print it, or bytes became text.
#[test]
fn uuids_and_bytes() {
    let uuid = [
        0xA0, 0xEE, 0xBC, 0x99, 0x9C, 0x0B, 0x4E, 0xF8, 0xBB, 0x6D, 0x6B, 0xB9, 0xBD, 0x38, 0x0A,
        0x11,
    ];
    assert_eq!(sent(Form::Text, Value::Uuid(uuid)), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
    let raw = Form::Bytes.parameter(&Value::Bytes(Bytes::from_static(b"\0'\\\xff"))).ok();
    assert_eq!(raw, Some(Parameter::Bytes(b"\0'\\\xff".to_vec())));
}

/// Broken if an unknown value could reach a target as NULL or as text.
#[test]
fn what_is_not_a_value_of_the_column_is_refused_without_showing_it() {
    for value in [Value::Unchanged, Value::Infinity, Value::EnumInvalid] {
        let error = Form::Text.parameter(&value).expect_err("refused");
        assert_eq!(error.kind(), Kind::Internal);
    }
    let error = Form::Int.parameter(&Value::Text("secret".into())).expect_err("refused");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(Form::Int.parameter(&Value::Null).ok(), Some(Parameter::NULL));
}

proptest! {
    /// Broken if any day were printed as another one: days are counted back from the text.
    #[test]
    fn dates_are_the_days_they_count(days in -730_119i32..=2_921_939) {
        let text = date_text(i64::from(days)).expect("in range");
        let fields: Vec<i64> = text.split('-').map(|part| part.parse().expect("digits")).collect();
        let (year, month, day) = (fields[0], fields[1], fields[2]);
        let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let months: i64 = lengths.iter().take(month as usize - 1).sum();
        let before = year - 1;
        let counted = before * 365 + before / 4 - before / 100 + before / 400 + months + day - 1;
        prop_assert_eq!(counted - 730_119, i64::from(days));
    }
}
