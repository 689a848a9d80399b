//! Wire forms one by one: the values that a library got wrong, the borders of each type, and
//! bytes that are none.

use proptest::prelude::*;

use super::{decimal, json, shape, temporal};
use crate::model::Value;
use crate::model::value::InvalidDate;
use crate::mysql::binlog::Cursor;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect(text))
        .collect()
}

fn time(bytes: &str, digits: u8) -> Value {
    temporal::read_time(&mut Cursor::new(&hex(bytes)), digits).expect(bytes)
}

fn none(year: u16, month: u8, day: u8) -> Value {
    Value::InvalidDate(InvalidDate { year, month, day, time_us: 0 })
}

/// Broken if a negative time lost its sign or fraction.
#[test]
fn times_with_negative_fractions() {
    assert_eq!(time("7fe880", 0), Value::Time(-5_400_000_000));
    assert_eq!(time("7fffffffffff", 6), Value::Time(-1));
    assert_eq!(time("7f3747b2", 2), Value::Time(-45_296_780_000));
    assert_eq!(time("7ffffece", 2), Value::Time(-1_500_000));
    assert_eq!(time("7ffffece", 1), Value::Time(-1_500_000));
    assert_eq!(time("800000", 0), Value::Time(0));
    assert_eq!(time("800000270f", 4), Value::Time(999_900));
    assert!(temporal::read_time(&mut Cursor::new(&hex("80003c")), 0).is_err(), "60 seconds");
}

/// Broken if zero, partial or impossible dates became days of the calendar.
#[test]
fn dates_of_the_calendar_and_others() {
    let date = |bytes: &str| temporal::read_date(&mut Cursor::new(&hex(bytes))).expect(bytes);
    assert_eq!(date("5dd00f"), Value::Date(8825));
    assert_eq!(date("000000"), none(0, 0, 0));
    assert_eq!(date("a0d00f"), none(2024, 5, 0));
    assert_eq!(temporal::date(2023, 2, 29), none(2023, 2, 29));
    assert_eq!(temporal::date(0, 5, 5), none(0, 5, 5));
    assert_eq!(temporal::date(2000, 1, 1), Value::Date(0));
    assert_eq!(temporal::date(1, 1, 1), Value::Date(-730_119));
    assert_eq!(temporal::date(9999, 12, 31), Value::Date(2_921_939));
    let stamp = |bytes: &str, digits| {
        temporal::read_timestamp(&mut Cursor::new(&hex(bytes)), digits).expect(bytes)
    };
    assert_eq!(stamp("665af120", 0), Value::Instant(770_551_200_000_000));
    assert_eq!(stamp("00000000", 0), none(0, 0, 0));
    let clock =
        |bytes: &str| temporal::read_datetime(&mut Cursor::new(&hex(bytes)), 0).expect(bytes);
    assert_eq!(clock("99b2bac000"), Value::Timestamp(762_523_200_000_000));
    assert_eq!(clock("8000000000"), none(0, 0, 0));
    // 24:00:00 is no time of a day: it must not become the next one.
    let beyond = temporal::read_datetime(&mut Cursor::new(&hex("99b2bb8000")), 0);
    assert!(beyond.is_err(), "{beyond:?}");
}

/// Broken if a decimal lost its sign, scale or digits.
#[test]
fn decimals_are_exact() {
    let read = |bytes: &str, precision, scale| {
        decimal::read(&mut Cursor::new(&hex(bytes)), precision, scale).expect(bytes).to_string()
    };
    assert_eq!(read("800004d238", 10, 2), "1234.56");
    assert_eq!(read("7ffffffffffffffffffe", 20, 10), "-0.0000000001");
    assert_eq!(read("8000000000", 10, 2), "0.00");
    assert_eq!(read("7fffffffff", 10, 2), "0.00", "zero has no sign");
    assert_eq!(read("b2", 2, 2), "0.50");
    assert_eq!(read("89", 1, 0), "9");
    assert!(decimal::read(&mut Cursor::new(&hex("e3")), 1, 0).is_err(), "two digits in one");
}

/// Broken if the document nobody wrote (an empty value) or nesting without end were let through.
#[test]
fn json_documents_at_the_border() {
    assert_eq!(json::text(&[]).expect("empty"), "null");
    assert_eq!(json::text(&[4, 1]).expect("a literal"), "true");
    // What is no number in JSON must not become one.
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let document = [&[11][..], &number.to_le_bytes()].concat();
        assert!(json::text(&document).is_err(), "{number}");
    }
    // An array whose only element is the array itself.
    let endless = hex("0201000700020000");
    assert!(json::text(&endless).is_err());
    // An array of 200 elements that all are one long string.
    let mut wide = vec![2];
    wide.extend(200u16.to_le_bytes());
    wide.extend(1604u16.to_le_bytes());
    for _ in 0..200 {
        wide.extend([12, 0x5C, 0x02]);
    }
    wide.extend([0xE6, 0x07]);
    wide.resize(1605, b'x');
    assert!(json::text(&wide).is_err());
}

proptest! {
    /// Broken if bytes that are no document could panic or take memory without end.
    #[test]
    fn json_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..16) {
        let mut document = bytes;
        if let Some(first) = document.first_mut() {
            *first = kind;
        }
        if let Ok(text) = json::text(&document) {
            prop_assert!(text.len() <= document.len() * 110 + 4096);
        }
    }

    /// Broken if any packed date, time or decimal could panic.
    #[test]
    fn scalars_never_panic(bytes in any::<[u8; 40]>(), digits in 0u8..7, precision in 1u8..66) {
        let cursor = || Cursor::new(&bytes);
        let _ = temporal::read_time(&mut cursor(), digits);
        let _ = temporal::read_datetime(&mut cursor(), digits);
        let _ = temporal::read_timestamp(&mut cursor(), digits);
        let _ = temporal::read_date(&mut cursor());
        let _ = temporal::read_old_time(&mut cursor());
        let _ = temporal::read_old_datetime(&mut cursor());
        let _ = temporal::read_old_timestamp(&mut cursor());
        for scale in 0..=precision {
            let _ = decimal::read(&mut cursor(), precision, scale);
        }
    }
}

/// Broken if an emoji in an enum looked like a changed table for ever, or a label that is a
/// question mark like an emoji.
#[test]
fn labels_that_the_catalog_does_not_show() {
    for (catalog, log, hidden) in [
        (["a?", "?"], ["a😀", "?"], true),
        (["?", "?"], ["?", "?"], false),
        (["?", "b"], ["ß", "b"], false),
        (["?", "b"], ["😀", "c"], false),
        (["😀", "b"], ["😀", "b"], false),
    ] {
        let found = shape::only_hidden(&catalog.map(str::to_owned), &log.map(Into::into));
        assert_eq!(found, hidden, "{catalog:?} {log:?}");
    }
}
