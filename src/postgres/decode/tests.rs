//! Texts to values and back by an independent formatter, and what must be refused.

use proptest::prelude::*;

use super::*;
use crate::model::schema::JsonKind;

const INT8: Type = Type::Int { bits: 64, unsigned: false };
const TEXT: Type = Type::Text { chars: None, bytes: None };
const BYTEA: Type = Type::Bytes { bytes: None };
const STAMP: Type = Type::Timestamp { digits: 6 };
const INSTANT: Type = Type::Instant { digits: 6 };
const TIME: Type = Type::Time { digits: 6 };

fn read(ty: &Type, text: &str) -> Decoded {
    decode(ty, text.as_bytes(), Bytes::copy_from_slice)
}

/// Broken if a text of the server were read as another value. The day and microsecond counts are
/// PostgreSQL's own (`date - date`, `extract(epoch …)`).
#[test]
fn known_texts() {
    let second = 1_000_000;
    for (ty, text, value) in [
        (&Type::Bool, "t", Value::Bool(true)),
        (&INT8, "-9223372036854775808", Value::Int(i64::MIN)),
        (&Type::Int { bits: 64, unsigned: true }, "18446744073709551615", Value::UInt(u64::MAX)),
        (&Type::Int { bits: 16, unsigned: false }, "-32768", Value::Int(-32768)),
        (&Type::Decimal(None), "-0.000001", Value::Decimal("-0.000001".into())),
        (&Type::Decimal(None), "-Infinity", Value::DecimalSpecial(Special::NegativeInfinity)),
        (&Type::F32, "3.4028235e+38", Value::F32(f32::MAX)),
        (&Type::F64, "5e-324", Value::F64(5e-324)),
        (&Type::F64, "Infinity", Value::F64(f64::INFINITY)),
        (&Type::Char { chars: 5 }, "ab   ", Value::Text("ab".into())),
        (&Type::Char { chars: 5 }, "     ", Value::Text("".into())),
        (&Type::Char { chars: 5 }, "a\t   ", Value::Text("a\t".into())),
        (&TEXT, "ab   ", Value::Text("ab   ".into())),
        (&BYTEA, "\\x", Value::Bytes(Bytes::new())),
        (&BYTEA, "\\x00ff", Value::Bytes(Bytes::from_static(&[0, 255]))),
        (&Type::Date, "2000-01-01", Value::Date(0)),
        (&Type::Date, "1970-01-01", Value::Date(-10_957)),
        (&Type::Date, "4713-01-01 BC", Value::Date(-2_451_507)),
        (&Type::Date, "5874897-12-31", Value::Date(2_145_031_948)),
        (&Type::Date, "infinity", Value::Infinity),
        (&Type::Date, "-infinity", Value::NegativeInfinity),
        (&TIME, "24:00:00", Value::Time(DAY_US)),
        (&TIME, "13:45:30.1", Value::Time(49_530 * second + 100_000)),
        (&STAMP, "1999-12-31 23:59:59.999999", Value::Timestamp(-1)),
        (&STAMP, "10000-01-01 00:00:00", Value::Timestamp(252_455_616_000 * second)),
        (&INSTANT, "1970-01-01 00:00:00+00", Value::Instant(-946_684_800 * second)),
        (&INSTANT, "0001-12-31 00:00:00+00 BC", Value::Instant(-63_082_368_000 * second)),
        (&Type::Json(JsonKind::Binary), "{\"a\": 1.10}", Value::Json("{\"a\": 1.10}".into())),
        (&Type::Enum { labels: Vec::new() }, "x y", Value::Enum("x y".into())),
    ] {
        assert_eq!(read(ty, text), Ok(value), "{text}");
    }
    let Ok(Value::F64(zero)) = read(&Type::F64, "-0") else { panic!("a float") };
    assert!(zero.is_sign_negative());
    let Ok(Value::F32(nan)) = read(&Type::F32, "NaN") else { panic!("a float") };
    assert!(nan.is_nan());
}

/// Broken if a text in another style, or a damaged one, were bent into a value.
#[test]
fn other_forms_are_refused() {
    for (ty, text) in [
        (&Type::Bool, "true"),
        (&INT8, "+1"),
        (&INT8, ""),
        (&INT8, "9223372036854775808"),
        (&Type::Int { bits: 16, unsigned: false }, "32768"),
        (&Type::Int { bits: 32, unsigned: true }, "4294967296"),
        (&Type::Int { bits: 32, unsigned: true }, "-1"),
        (&Type::Decimal(None), "1e5"),
        (&Type::Decimal(None), "1."),
        (&Type::Decimal(None), "1.2.3"),
        (&Type::F64, "inf"),
        (&Type::F64, "nan"),
        (&BYTEA, "\\x0"),
        (&BYTEA, "\\000"),
        (&BYTEA, "\\x0g"),
        (&Type::Date, "29.02.2024"),
        (&Type::Date, "2023-02-29"),
        (&Type::Date, "0000-01-01"),
        (&Type::Date, "2024-13-01"),
        (&TIME, "24:00:01"),
        (&TIME, "12:60:00"),
        (&TIME, "12:00:00.1234567"),
        (&STAMP, "2024-01-01T00:00:00"),
        (&STAMP, "2024-01-01 24:00:00"),
        (&INSTANT, "2024-01-01 00:00:00"),
        (&INSTANT, "2024-01-01 00:00:00+02"),
        (&Type::Uuid, "a0eebc999c0b4ef8bb6d6bb9bd380a11"),
        (&Type::Uuid, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1"),
        (&Type::Unsupported, "x"),
    ] {
        assert!(read(ty, text).is_err(), "{text}");
    }
    let broken = decode(&TEXT, &[0xff], Bytes::copy_from_slice);
    assert_eq!(broken, Err(Undecodable("not UTF-8")));
}

/// The calendar as the server prints it, by counting days; slow and simple.
fn print_date(days: i64) -> (String, &'static str) {
    // From a 400-year cycle near the day, so that the walk is short.
    let cycles = days.div_euclid(146_097);
    let (mut year, mut rest) = (2000 + 400 * cycles, days - 146_097 * cycles);
    let leap = |year: i64| year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
    while rest >= 365 + i64::from(leap(year)) {
        rest -= 365 + i64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while rest >= lengths[month] {
        rest -= lengths[month];
        month += 1;
    }
    let (shown, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    (format!("{shown:04}-{:02}-{:02}", month + 1, rest + 1), era)
}

fn print_time(us: i64) -> String {
    let (seconds, fraction) = (us / 1_000_000, us % 1_000_000);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = format!(".{fraction:06}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{clock}{fraction}")
}

proptest! {
    /// Broken if any day of the server's range came out as another.
    #[test]
    fn dates_go_round(days in -2_451_507i32..2_145_031_949) {
        let (date, era) = print_date(i64::from(days));
        prop_assert_eq!(read(&Type::Date, &format!("{date}{era}")), Ok(Value::Date(days)));
    }

    /// Broken if a moment were off by as little as a microsecond, before or after the zero.
    #[test]
    fn moments_go_round(us in -211_813_488_000_000_000i64..9_223_371_331_200_000_000) {
        let (date, era) = print_date(us.div_euclid(DAY_US));
        let text = format!("{date} {}", print_time(us.rem_euclid(DAY_US)));
        prop_assert_eq!(read(&STAMP, &format!("{text}{era}")), Ok(Value::Timestamp(us)));
        prop_assert_eq!(read(&INSTANT, &format!("{text}+00{era}")), Ok(Value::Instant(us)));
    }

    /// Broken if a number lost a digit.
    #[test]
    fn numbers_go_round(int in any::<i64>(), f4 in any::<f32>(), f8 in any::<f64>()) {
        prop_assert_eq!(read(&INT8, &int.to_string()), Ok(Value::Int(int)));
        let Ok(Value::F32(read4)) = read(&Type::F32, &special4(f4)) else { panic!("{f4}") };
        let Ok(Value::F64(read8)) = read(&Type::F64, &special8(f8)) else { panic!("{f8}") };
        prop_assert!(read4.to_bits() == f4.to_bits() || f4.is_nan() && read4.is_nan());
        prop_assert!(read8.to_bits() == f8.to_bits() || f8.is_nan() && read8.is_nan());
    }

    /// Broken if bytes came out as others.
    #[test]
    fn bytes_go_round(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert_eq!(read(&BYTEA, &format!("\\x{digits}")), Ok(Value::Bytes(bytes.into())));
    }

    /// Broken if any bytes at all could stop weir.
    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        for ty in [
            Type::Bool, INT8, Type::Decimal(None), Type::F32, Type::F64, Type::Char { chars: 3 },
            TEXT, BYTEA, Type::Date, TIME, STAMP, INSTANT, Type::Year, Type::Uuid,
            Type::Json(JsonKind::Verbatim),
        ] {
            let _ = decode(&ty, &bytes, Bytes::copy_from_slice);
        }
    }

    /// As above, with texts that look like dates.
    #[test]
    fn nothing_like_a_date_panics(text in "[0-9]{0,9}-[0-9]{1,3}-[0-9]{1,3}( [0-9:.]{0,16}(\\+00)?( BC)?)?") {
        for ty in [Type::Date, STAMP, INSTANT] {
            let _ = read(&ty, &text);
        }
    }
}

fn special4(number: f32) -> String {
    if number.is_finite() { format!("{number:e}") } else { special8(f64::from(number)) }
}

fn special8(number: f64) -> String {
    match number {
        number if number.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        number => format!("{number:e}"),
    }
}
