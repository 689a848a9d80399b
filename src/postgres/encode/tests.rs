//! Forms of single values and of arrays, byte for byte.

use bytes::Bytes;
use bytestring::ByteString;

use super::*;
use crate::model::Type;
use crate::model::value::InvalidDate;
use crate::postgres::sql::tests::column;

fn text_column() -> Column {
    column("c", "text", Type::Text { chars: None, bytes: None })
}

fn encode(value: &Value, column: &Column) -> Result<Option<String>> {
    let table = TableName::new("shop", "orders");
    let mut out = BytesMut::new();
    let known = write_value(value, &Place { table: &table, column, key: false }, &mut out)?;
    Ok(known.then(|| String::from_utf8_lossy(&out).into_owned()))
}

fn text_of(value: Value) -> String {
    encode(&value, &text_column()).expect("encodes").expect("not null")
}

/// Broken if a value arrived as another one, or the server refused its form.
#[test]
fn values_have_the_form_the_server_reads_back() {
    let day = 86_400_000_000;
    for (value, expected) in [
        (Value::Bool(true), "t"),
        (Value::Int(i64::MIN), "-9223372036854775808"),
        (Value::UInt(u64::MAX), "18446744073709551615"),
        (Value::Decimal(ByteString::from_static("-0.50")), "-0.50"),
        (Value::DecimalSpecial(Special::NegativeInfinity), "-Infinity"),
        (Value::F32(0.1), "1e-1"),
        (Value::F32(f32::MAX), "3.4028235e38"),
        (Value::F64(-0.0), "-0e0"),
        (Value::F64(f64::NAN), "NaN"),
        (Value::F64(f64::NEG_INFINITY), "-Infinity"),
        (Value::Date(0), "2000-01-01"),
        (Value::Date(59), "2000-02-29"),
        (Value::Date(-730_119), "0001-01-01"),
        (Value::Date(-730_120), "0001-12-31 BC"),
        (Value::Date(2_921_940), "10000-01-01"),
        (Value::Time(0), "00:00:00"),
        (Value::Time(day), "24:00:00"),
        (Value::Time(45_296_000_001), "12:34:56.000001"),
        (Value::Timestamp(-1), "1999-12-31 23:59:59.999999"),
        (Value::Instant(day + 1_000_000), "2000-01-02 00:00:01+00"),
        (Value::Instant(-730_120 * day), "0001-12-31 00:00:00+00 BC"),
        (Value::Infinity, "infinity"),
        (
            Value::Uuid(*b"\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x14\x17\x40\x00"),
            "123e4567-e89b-12d3-a456-426614174000",
        ),
        (Value::Json(ByteString::from_static("{\"a\": 1}")), "{\"a\": 1}"),
    ] {
        assert_eq!(text_of(value), expected);
    }
}

/// Broken if extreme moments overflowed instead of printing some date.
#[test]
fn extreme_dates_do_not_panic() {
    for value in [Value::Date(i32::MIN), Value::Date(i32::MAX)] {
        assert!(!text_of(value).is_empty());
    }
    for us in [i64::MIN, i64::MAX] {
        assert!(!text_of(Value::Timestamp(us)).is_empty());
    }
}

/// Broken if something PostgreSQL cannot hold were sent, or bent to what it can.
#[test]
fn what_cannot_be_held_is_refused() {
    let none = InvalidDate { year: 0, month: 0, day: 0, time_us: 0 };
    for value in [
        Value::Text(ByteString::from_static("a\0b")),
        Value::InvalidDate(none),
        Value::EnumInvalid,
        Value::Time(-1),
        Value::Time(86_400_000_001),
        Value::Bytes(Bytes::from_static(b"x")),
    ] {
        let error = encode(&value, &text_column()).expect_err("refused");
        assert_eq!(error.kind(), Kind::Value, "{value:?}");
        assert!(error.to_string().starts_with("column c of shop.orders: "), "{error}");
    }
    let error = encode(&Value::Unchanged, &text_column()).expect_err("unknown is never written");
    assert_eq!(error.kind(), Kind::Internal);
    let table = TableName::new("shop", "orders");
    let column = text_column();
    let key = Place { table: &table, column: &column, key: true };
    let error = write_value(&Value::Null, &key, &mut BytesMut::new()).expect_err("no key");
    assert_eq!(error.kind(), Kind::Value);
}

/// Broken if NULL became an empty string, or an element's length were off and shifted the others.
#[test]
fn arrays_hold_nulls_and_lengths() {
    let table = TableName::new("shop", "orders");
    let column = text_column();
    let rows: Vec<Row> = [Value::Int(-7), Value::Null, Value::Text(ByteString::new())]
        .into_iter()
        .map(|value| Row::from(vec![value]))
        .collect();
    let place = Place { table: &table, column: &column, key: false };
    let array = ColumnArray { rows: &rows, at: 0, place };
    let mut out = BytesMut::new();
    array.to_sql(&Builtin::TEXT_ARRAY, &mut out).expect("encodes");
    let mut expected = Vec::new();
    for number in [1_i32, 1, 25, 3, 1] {
        expected.extend_from_slice(&number.to_be_bytes());
    }
    expected.extend_from_slice(b"\0\0\0\x02-7\xff\xff\xff\xff\0\0\0\0");
    assert_eq!(&out[..], &expected[..]);
}

proptest::proptest! {
    /// Broken if a float changed on its way.
    #[test]
    fn floats_read_back(bits: u64) {
        let number = f64::from_bits(bits);
        if number.is_finite() {
            let read: f64 = text_of(Value::F64(number)).parse().expect("a number");
            proptest::prop_assert_eq!(read.to_bits(), bits);
        }
        let small = f32::from_bits(bits as u32);
        if small.is_finite() {
            let read: f32 = text_of(Value::F32(small)).parse().expect("a number");
            proptest::prop_assert_eq!(read.to_bits(), small.to_bits());
        }
    }
}
