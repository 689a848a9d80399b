//! What fits, what is refused and why.

use bytes::Bytes;
use bytestring::ByteString;

use super::convert;
use crate::config::Dialect::{Mariadb, Mysql, Postgres};
use crate::model::value::Special;
use crate::model::{Column, Type, Value};
use crate::transform::fixtures::*;
use crate::transform::{Reason, pair, reverse};

/// Broken if a value were bent, or refused for another reason than it is.
#[track_caller]
fn refused(source: &Side, target: &Side, cases: &[(Value, Reason)]) {
    let conversion = conversion(source, target);
    for (value, reason) in cases {
        assert_eq!(convert(&conversion, value), Err(*reason), "{value:?}");
    }
}

#[track_caller]
fn accepted(source: &Side, target: &Side, cases: &[(Value, Value)]) {
    let conversion = conversion(source, target);
    for (value, expected) in cases {
        assert_eq!(convert(&conversion, value).as_ref(), Ok(expected), "{value:?}");
    }
}

/// Broken if numbers left their target's range or lost digits.
#[test]
fn numbers_fit_or_are_refused() {
    let integer = (Postgres, int(32, false), "integer");
    refused(
        &integer,
        &(Mysql, int(32, true), "int unsigned"),
        &[(Value::Int(-1), Reason::OutOfRange)],
    );
    refused(
        &integer,
        &(Mysql, int(8, true), "tinyint unsigned"),
        &[(Value::Int(300), Reason::OutOfRange), (Value::Int(256), Reason::OutOfRange)],
    );
    let unsigned = (Mysql, int(64, true), "bigint unsigned");
    refused(
        &unsigned,
        &(Postgres, int(64, false), "bigint"),
        &[(Value::UInt(1 << 63), Reason::OutOfRange)],
    );
    let twenty = (Postgres, dec(20, 0), "numeric(20,0)");
    accepted(&unsigned, &twenty, &[(Value::UInt(u64::MAX), decimal("18446744073709551615"))]);
    accepted(&twenty, &unsigned, &[(decimal("18446744073709551615"), Value::UInt(u64::MAX))]);
    refused(
        &twenty,
        &unsigned,
        &[
            (decimal("18446744073709551616"), Reason::OutOfRange),
            (decimal("-1"), Reason::OutOfRange),
            (Value::DecimalSpecial(Special::NaN), Reason::NonFinite),
        ],
    );
    let year = (Mysql, Type::Year, "year");
    refused(
        &(Postgres, int(16, false), "smallint"),
        &year,
        &[(Value::Int(1900), Reason::OutOfRange), (Value::Int(2156), Reason::OutOfRange)],
    );
    let tiny = (Mysql, Type::Bool, "tinyint(1)");
    let boolean = (Postgres, Type::Bool, "boolean");
    refused(
        &tiny,
        &boolean,
        &[(Value::Int(2), Reason::NotBoolean), (Value::Int(-1), Reason::NotBoolean)],
    );
    accepted(&tiny, &boolean, &[(Value::Bool(true), Value::Bool(true))]);
    accepted(&tiny, &(Postgres, int(16, false), "smallint"), &[(Value::Int(2), Value::Int(2))]);
}

/// Broken if a decimal were rounded, or had two spellings on one target.
#[test]
fn decimals_are_exact_and_have_one_spelling() {
    let ten_two = (Mysql, dec(10, 2), "decimal(10,2)");
    accepted(
        &NUMERIC,
        &ten_two,
        &[
            (decimal("1.1"), decimal("1.10")),
            (decimal("1.1000"), decimal("1.10")),
            (decimal("-0"), decimal("0.00")),
            (decimal("-0.5"), decimal("-0.50")),
            (decimal("99999999.99"), decimal("99999999.99")),
        ],
    );
    refused(
        &NUMERIC,
        &ten_two,
        &[
            (decimal("1.235"), Reason::PrecisionLoss),
            (decimal("100000000"), Reason::OutOfRange),
            (decimal("1e5"), Reason::Parse),
            (Value::DecimalSpecial(Special::NaN), Reason::NonFinite),
            (Value::DecimalSpecial(Special::Infinity), Reason::NonFinite),
        ],
    );
    accepted(
        &ten_two,
        &NUMERIC,
        &[(decimal("1.10"), decimal("1.1")), (decimal("100.00"), decimal("100"))],
    );
    refused(
        &ten_two,
        &(Mysql, dec(10, 2), "decimal(10,2) unsigned"),
        &[(decimal("-0.01"), Reason::OutOfRange)],
    );
    let hundreds = (Postgres, dec(3, -2), "numeric(3,-2)");
    accepted(&ten_two, &hundreds, &[(decimal("12300.00"), decimal("12300"))]);
    refused(
        &ten_two,
        &hundreds,
        &[(decimal("12350.00"), Reason::PrecisionLoss), (decimal("123400.00"), Reason::OutOfRange)],
    );
    let small = (Postgres, dec(3, 5), "numeric(3,5)");
    accepted(&NUMERIC, &small, &[(decimal("0.00123"), decimal("0.00123"))]);
    refused(&NUMERIC, &small, &[(decimal("0.0123"), Reason::OutOfRange)]);
    let wide = (Postgres, dec(70, 0), "numeric(70,0)");
    accepted(
        &wide,
        &varchar(Mysql, 72),
        &[(Value::DecimalSpecial(Special::NaN), text("NaN")), (decimal("12"), text("12"))],
    );
    refused(&wide, &varchar(Mysql, 3), &[(decimal("1234"), Reason::TooLong)]);
}

/// Broken if a float were rounded on its way, or sent where it cannot be stored.
#[test]
fn floats_keep_their_value() {
    let real = (Postgres, Type::F32, "real");
    let double = (Postgres, Type::F64, "double precision");
    let (my_float, ma_double) = ((Mysql, Type::F32, "float"), (Mariadb, Type::F64, "double"));
    accepted(&double, &my_float, &[(Value::F64(0.5), Value::F32(0.5))]);
    refused(
        &double,
        &my_float,
        &[
            (Value::F64(0.1), Reason::PrecisionLoss),
            (Value::F64(1e300), Reason::OutOfRange),
            (Value::F64(f64::NAN), Reason::NonFinite),
            (Value::F64(f64::INFINITY), Reason::NonFinite),
        ],
    );
    accepted(&real, &ma_double, &[(Value::F32(0.3), Value::F64(f64::from(0.3_f32)))]);
    let zero = convert(&conversion(&double, &ma_double), &Value::F64(-0.0)).unwrap();
    assert!(matches!(zero, Value::F64(zero) if zero.is_sign_positive()), "MariaDB has no -0");
    refused(
        &double,
        &(Mysql, Type::F64, "double unsigned"),
        &[(Value::F64(-1.0), Reason::OutOfRange)],
    );
    let rounding = pair(&col(&real), Postgres, &col(&(Mysql, Type::F32, "float(7,4)")), Mysql);
    assert!(rounding.unwrap_err().contains("pair_needs_rule"));
}

/// Broken if text were cut, padded, re-coded or cut at a NUL.
#[test]
fn text_fits_or_is_refused() {
    refused(
        &PG_TEXT,
        &varchar(Mysql, 3),
        &[(text("abcd"), Reason::TooLong), (text("abc "), Reason::TooLong)],
    );
    accepted(
        &PG_TEXT,
        &varchar(Mysql, 3),
        &[(text("äöü"), text("äöü")), (text("a  "), text("a  "))],
    );
    refused(&PG_TEXT, &char(Mysql, 3), &[(text("a "), Reason::LengthChange)]);
    accepted(&char(Postgres, 5), &varchar(Mysql, 5), &[(text("ab   "), text("ab"))]);
    let tiny = (Mysql, Type::Text { chars: None, bytes: Some(255) }, "tinytext");
    refused(&PG_TEXT, &tiny, &[(text(&"ä".repeat(128)), Reason::TooLong)]);
    refused(&varchar(Mysql, 5), &varchar(Postgres, 5), &[(text("a\0b"), Reason::NulChar)]);
    accepted(&varchar(Mysql, 5), &varchar(Mariadb, 5), &[(text("a\0b"), text("a\0b"))]);
    for (charset, fits, lacks) in [
        ("utf8mb3", "ж€", "😀"),
        ("latin1", "€é\u{81}", "ж"),
        ("latin1", "", "\u{80}"),
        ("gbk", "你好", "가"),
        ("ucs2", "你", "😀"),
        ("ascii", "a", "é"),
    ] {
        let target = Column { charset: Some(charset.into()), ..col(&varchar(Mysql, 9)) };
        let (conversion, _) = pair(&col(&PG_TEXT), Postgres, &target, Mysql).unwrap();
        assert_eq!(convert(&conversion, &text(fits)), Ok(text(fits)), "{charset}");
        assert_eq!(convert(&conversion, &text(lacks)), Err(Reason::Charset), "{charset}");
    }
    let unknown = Column { charset: Some("klingon".into()), ..col(&varchar(Mysql, 9)) };
    let why = pair(&col(&PG_TEXT), Postgres, &unknown, Mysql).unwrap_err();
    assert!(why.contains("character set klingon"), "{why}");
    // What a text column holds that is no text of its character set.
    refused(&varchar(Mysql, 5), &varchar(Postgres, 5), &[(bytes(b"\xff"), Reason::Charset)]);
}

/// Broken if a text that fits were copied: that is most of the work of a text-heavy table.
#[test]
fn fitting_text_is_not_copied() {
    let value = ByteString::from("some text that is long enough".to_owned());
    let passed = convert(&conversion(&PG_TEXT, &LONGTEXT), &Value::Text(value.clone())).unwrap();
    let Value::Text(passed) = passed else { panic!("text") };
    assert_eq!(passed.as_bytes().as_ptr(), value.as_bytes().as_ptr());
}

/// Broken if bytes were padded without anyone noticing, or lost the zeros that the log cuts.
#[test]
fn bytes_keep_their_length() {
    let bytea = (Postgres, Type::Bytes { bytes: None }, "bytea");
    let four = (Mysql, Type::Binary { bytes: 4 }, "binary(4)");
    refused(
        &bytea,
        &four,
        &[(bytes(b"abc"), Reason::LengthChange), (bytes(b"abcde"), Reason::TooLong)],
    );
    accepted(&four, &bytea, &[(bytes(b"ab"), bytes(b"ab\0\0")), (bytes(b""), bytes(b"\0\0\0\0"))]);
    let blob = (Mysql, Type::Bytes { bytes: Some(2) }, "varbinary(2)");
    refused(&bytea, &blob, &[(bytes(b"abc"), Reason::TooLong)]);
}

/// Broken if a date that is none, or one beyond the target's calendar, were sent.
#[test]
fn dates_and_times_fit_or_are_refused() {
    let (date, my_date) = ((Postgres, Type::Date, "date"), (Mysql, Type::Date, "date"));
    refused(
        &date,
        &my_date,
        &[
            (Value::Date(2_921_940), Reason::OutOfRange),
            (Value::Date(-730_120), Reason::OutOfRange),
            (Value::Infinity, Reason::Infinity),
            (Value::NegativeInfinity, Reason::Infinity),
        ],
    );
    let invalid_dates = [
        (invalid(0, 0, 0), Reason::ZeroDate),
        (invalid(2024, 0, 15), Reason::PartialDate),
        (invalid(2024, 5, 0), Reason::PartialDate),
        (invalid(2024, 2, 31), Reason::InvalidDate),
        (invalid(0, 5, 5), Reason::OutOfRange),
    ];
    refused(&my_date, &date, &invalid_dates);
    refused(&clock(Mysql, 0), &clock(Postgres, 0), &invalid_dates);
    refused(
        &moment(Mysql, 0),
        &moment(Postgres, 0),
        &[(Value::Instant(unix(0)), Reason::ZeroDate), (invalid(0, 0, 0), Reason::ZeroDate)],
    );
    refused(
        &moment(Postgres, 6),
        &moment(Mysql, 6),
        &[
            (Value::Instant(unix(0)), Reason::OutOfRange),
            (Value::Instant(unix(1 << 31)), Reason::OutOfRange),
        ],
    );
    accepted(
        &moment(Postgres, 6),
        &moment(Mysql, 6),
        &[(Value::Instant(unix(1)), Value::Instant(unix(1)))],
    );
    accepted(&moment(Postgres, 6), &clock(Mysql, 6), &[(Value::Instant(5), Value::Timestamp(5))]);
    refused(
        &clock(Postgres, 6),
        &clock(Mysql, 3),
        &[(Value::Timestamp(1_500), Reason::PrecisionLoss)],
    );
    accepted(
        &clock(Postgres, 6),
        &clock(Mysql, 3),
        &[(Value::Timestamp(-2_000), Value::Timestamp(-2_000))],
    );
    let day = 86_400_000_000;
    refused(
        &time_of(Mysql, 0),
        &time_of(Postgres, 0),
        &[(Value::Time(-1), Reason::NotTimeOfDay), (Value::Time(day + 1), Reason::NotTimeOfDay)],
    );
    accepted(&time_of(Postgres, 6), &time_of(Mysql, 6), &[(Value::Time(day), Value::Time(day))]);
    refused(&time_of(Postgres, 6), &time_of(Mysql, 0), &[(Value::Time(1), Reason::PrecisionLoss)]);
}

/// Broken if a JSON document changed its value on the target, or one that fits were refused.
#[test]
fn json_keeps_its_value() {
    let deep = format!("{}1{}", "[".repeat(101), "]".repeat(101));
    refused(
        &JSONB,
        &MY_JSON,
        &[
            (json("12345678901234567890123"), Reason::JsonNumber),
            (json("[1e400]"), Reason::JsonNumber),
            (json("1e-400"), Reason::JsonNumber),
            (json("0.1000000000000000055511151231257827"), Reason::JsonNumber),
            (json(&deep), Reason::JsonDepth),
        ],
    );
    for fits in [
        "18446744073709551615",
        "-9223372036854775808",
        "0.1",
        "1.10",
        "-0.0",
        "1e22",
        "10000000000000000000000",
        "1.7976931348623157e308",
        "5e-324",
        "\"\\u0000\"",
        r#"{"b": [1, null, true, {"ä": "😀\ud83d\ude00"}]}"#,
        " [ ] ",
    ] {
        accepted(&JSONB, &MY_JSON, &[(json(fits), json(fits))]);
    }
    refused(
        &PG_JSON,
        &MY_JSON,
        &[
            (json(r#"{"a":1,"a":2}"#), Reason::JsonDuplicateKey),
            (json(r#"[{"a":1,"\u0061":2}]"#), Reason::JsonDuplicateKey),
            (json(r#""\ud800x""#), Reason::JsonSurrogate),
        ],
    );
    accepted(
        &PG_JSON,
        &MY_JSON,
        &[(json(r#"{"a":{"a":1},"b":{"a":2}}"#), json(r#"{"a":{"a":1},"b":{"a":2}}"#))],
    );
}

/// Broken if jsonb were sent what it cannot hold, or broken text were taken for JSON.
#[test]
fn json_of_mysql_and_mariadb_fits_or_is_refused() {
    refused(
        &MA_JSON,
        &JSONB,
        &[
            (json(r#""a\u0000""#), Reason::JsonNul),
            (json(r#""\udc00""#), Reason::JsonSurrogate),
            (json(r#""\ud800\u0041""#), Reason::JsonSurrogate),
            (json("1e200000"), Reason::JsonNumber),
            (json(r#"{"a":1,"a":1}"#), Reason::JsonDuplicateKey),
        ],
    );
    refused(&MY_JSON, &JSONB, &[(json(r#""\u0000""#), Reason::JsonNul)]);
    accepted(&MY_JSON, &PG_JSON, &[(json(r#""\u0000""#), json(r#""\u0000""#))]);
    for broken in [
        "",
        "[1,]",
        "{\"a\" 1}",
        "01",
        "1.",
        "nul",
        "[1}",
        "\"\u{1}\"",
        "\"\\x\"",
        "1 2",
        "{1:2}",
        "[",
        "-",
        "\"\\u12",
        "{\"a\":1,}",
        "]",
    ] {
        refused(&LONGTEXT, &PG_JSON, &[(text(broken), Reason::Parse)]);
        assert!(serde_json::from_str::<serde_json::Value>(broken).is_err(), "{broken}");
    }
    accepted(&PG_JSON, &LONGTEXT, &[(json(" {} "), text(" {} "))]);
}

/// Broken if an enum's value were guessed.
#[test]
fn enums_cross_by_label() {
    let (mood, mine) = (labels(Postgres, &["ok", "new"]), labels(Mysql, &["sad", "ok", ""]));
    accepted(&mood, &mine, &[(label("ok"), label("ok"))]);
    refused(&mood, &mine, &[(label("new"), Reason::EnumUnknown)]);
    refused(
        &mine,
        &mood,
        &[(Value::EnumInvalid, Reason::EnumInvalid), (label(""), Reason::EnumUnknown)],
    );
    accepted(&mine, &PG_TEXT, &[(label(""), text(""))]);
    refused(&mine, &PG_TEXT, &[(Value::EnumInvalid, Reason::EnumInvalid)]);
    refused(&PG_TEXT, &mine, &[(text("OK"), Reason::EnumUnknown)]);
}

/// Broken if NULL or an unknown value were written as something else.
#[test]
fn null_and_unknown_are_themselves() {
    let mut open = conversion(&PG_TEXT, &LONGTEXT);
    assert_eq!(convert(&open, &Value::Null), Ok(Value::Null));
    assert_eq!(convert(&open, &Value::Unchanged), Ok(Value::Unchanged));
    open.nullable = false;
    assert_eq!(convert(&open, &Value::Null), Err(Reason::NullNotAllowed));
    assert_eq!(convert(&open, &Value::Int(1)), Err(Reason::PairNeedsRule));
}

/// Broken if a uuid changed on its way, or a malformed one were accepted.
#[test]
fn uuids_cross_in_all_their_forms() {
    let uuid = (Postgres, Type::Uuid, "uuid");
    let value = Value::Uuid(*b"\xa0\xee\xbc\x99\x9c\x0b\x4e\xf8\xbb\x6d\x6b\xb9\xbd\x38\x0a\x00");
    let spelled = text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a00");
    accepted(&uuid, &char(Mysql, 36), &[(value.clone(), spelled.clone())]);
    accepted(
        &char(Mysql, 36),
        &uuid,
        &[(spelled, value.clone()), (text("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A00"), value.clone())],
    );
    refused(
        &char(Mysql, 36),
        &uuid,
        &[
            (text("a0eebc999c0b4ef8bb6d6bb9bd380a00"), Reason::Parse),
            (text("g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a00"), Reason::Parse),
            (text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380aä"), Reason::Parse),
        ],
    );
    let sixteen = (Mysql, Type::Binary { bytes: 16 }, "binary(16)");
    let why = pair(&col(&sixteen), Mysql, &col(&uuid), Postgres).unwrap_err();
    assert!(
        why.contains("binary(16)") && why.contains("uuid") && why.contains("pair_needs_rule"),
        "{why}"
    );
    let back = reverse(&col(&uuid), Postgres, &col(&sixteen), Mysql).unwrap();
    let cut = Bytes::from_static(b"\xa0\xee\xbc\x99\x9c\x0b\x4e\xf8\xbb\x6d\x6b\xb9\xbd\x38\x0a");
    assert_eq!(convert(&back, &Value::Bytes(cut)), Ok(value));
}
