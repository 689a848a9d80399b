//! Which pairs cross, what they promise, and that what crossed comes back as it was.

use proptest::prelude::*;

use super::*;
use crate::config::Dialect::{Mariadb, Mysql, Postgres};
use crate::model::Value;
use crate::transform::convert;
use crate::transform::fixtures::*;

/// Broken if a pair without a rule crossed: values would be guessed.
#[test]
fn pairs_without_a_rule_are_refused_in_words() {
    let sides: [(Side, Side); 11] = [
        (clock(Mysql, 0), moment(Postgres, 0)),
        (clock(Postgres, 0), moment(Mysql, 0)),
        (moment(Mysql, 0), clock(Postgres, 0)),
        (varchar(Mysql, 20), (Postgres, Type::Date, "date")),
        (varchar(Mysql, 20), (Postgres, int(32, false), "integer")),
        ((Mysql, Type::Bytes { bytes: Some(65_535) }, "blob"), PG_TEXT),
        ((Postgres, Type::Bytes { bytes: None }, "bytea"), varchar(Mysql, 10)),
        ((Postgres, Type::Bool, "boolean"), (Mysql, int(16, false), "smallint")),
        ((Mysql, Type::Bool, "bit(1)"), (Postgres, int(16, false), "smallint")),
        (JSONB, LONGTEXT),
        (NUMERIC, LONGTEXT),
    ];
    for (source, target) in &sides {
        let why = pair(&col(source), source.0, &col(target), target.0).unwrap_err();
        for part in [source.2, target.2, "pair_needs_rule"] {
            assert!(why.contains(part), "{part}: {why}");
        }
    }
}

/// Broken if `explain` promised that every value crosses where some are refused.
#[test]
fn loss_classes_promise_no_more_than_holds() {
    use LossClass::{Exact, RangeChecked, Widening};
    let cases: [(Side, Side, LossClass); 12] = [
        ((Postgres, int(32, false), "integer"), (Mysql, int(32, false), "int"), Exact),
        ((Postgres, int(32, false), "integer"), (Mysql, int(64, false), "bigint"), Widening),
        (
            (Postgres, int(32, false), "integer"),
            (Mysql, int(64, true), "bigint unsigned"),
            RangeChecked,
        ),
        ((Mysql, dec(10, 2), "decimal(10,2)"), (Postgres, dec(10, 2), "numeric(10,2)"), Exact),
        ((Mysql, dec(10, 2), "decimal(10,2)"), NUMERIC, Widening),
        (NUMERIC, (Mysql, dec(65, 30), "decimal(65,30)"), RangeChecked),
        (PG_TEXT, LONGTEXT, Widening),
        (varchar(Postgres, 20), varchar(Mysql, 20), Exact),
        (varchar(Mysql, 20), varchar(Postgres, 20), RangeChecked),
        ((Mysql, Type::F32, "float"), (Postgres, Type::F64, "double precision"), Widening),
        ((Postgres, Type::Date, "date"), (Mysql, Type::Date, "date"), RangeChecked),
        (PG_JSON, MA_JSON, RangeChecked),
    ];
    for (source, target, expected) in &cases {
        let (_, class) = pair(&col(source), source.0, &col(target), target.0).unwrap();
        assert_eq!(class, *expected, "{source:?} {target:?}");
    }
}

/// Broken if a type did not cross as it is between servers that both have it, or if `explain` told of
/// refusals that there are none of.
#[test]
fn one_type_on_both_sides_crosses_whole() {
    use LossClass::{Exact, RangeChecked, Widening};
    let (tiny, bit) = ((Mysql, Type::Bool, "tinyint(1)"), (Mysql, Type::Bool, "bit(1)"));
    let float = (Mysql, Type::F32, "float(7,4)");
    let unsigned = (Mysql, Type::F64, "double unsigned");
    let cases = [
        (tiny.clone(), (Mariadb, Type::Bool, "tinyint(1)"), Exact),
        (tiny.clone(), (Mysql, int(8, false), "tinyint"), Exact),
        ((Mysql, int(8, false), "tinyint"), tiny.clone(), Exact),
        ((Mysql, int(16, false), "smallint"), tiny.clone(), RangeChecked),
        (tiny.clone(), bit.clone(), RangeChecked),
        (bit, tiny.clone(), Exact),
        (float.clone(), (Mariadb, Type::F32, "float(7,4)"), Exact),
        (unsigned.clone(), unsigned, Exact),
        ((Mysql, Type::Date, "date"), (Mariadb, Type::Date, "date"), Exact),
        ((Postgres, Type::Date, "date"), (Postgres, Type::Date, "date"), Exact),
        (clock(Mysql, 3), clock(Mariadb, 6), Widening),
        (clock(Postgres, 6), clock(Postgres, 0), RangeChecked),
        (moment(Mysql, 6), moment(Mariadb, 6), Exact),
        (moment(Postgres, 6), moment(Postgres, 6), Exact),
    ];
    for (source, target, expected) in &cases {
        let (_, class) = pair(&col(source), source.0, &col(target), target.0).unwrap();
        assert_eq!(class, *expected, "{source:?} {target:?}");
    }
    let other = (Mariadb, Type::F32, "float(7,3)");
    assert!(pair(&col(&float), Mysql, &col(&other), Mariadb).is_err(), "it would be rounded");
    for number in [-128, -1, 2, 127] {
        let (conversion, _) = pair(&col(&tiny), Mysql, &col(&tiny), Mariadb).unwrap();
        assert_eq!(convert(&conversion, &Value::Int(number)), Ok(Value::Int(number)));
    }

    let with = |charset: &str| Column { charset: Some(charset.into()), ..col(&varchar(Mysql, 9)) };
    for (source, target, expected) in [
        ("latin1", "latin1", Exact),
        ("ascii", "latin1", Exact),
        ("utf8mb3", "utf8mb3", Exact),
        ("utf8mb3", "latin1", RangeChecked),
        ("utf8mb4", "utf8mb3", RangeChecked),
    ] {
        let (_, class) = pair(&with(source), Mysql, &with(target), Mariadb).unwrap();
        assert_eq!(class, expected, "{source} {target}");
    }
}

type RoundTrip = (Side, Side, BoxedStrategy<Value>);

/// Pairs that cross both ways, with a strategy for values of the first.
fn round_trips() -> Vec<RoundTrip> {
    let mut pairs = round_trips_of_numbers();
    pairs.extend(round_trips_of_the_rest());
    pairs
}

fn round_trips_of_numbers() -> Vec<RoundTrip> {
    let ints = || any::<i64>().prop_map(Value::Int).boxed();
    vec![
        (
            (Postgres, Type::Bool, "boolean"),
            (Mysql, Type::Bool, "tinyint(1)"),
            any::<bool>().prop_map(Value::Bool).boxed(),
        ),
        ((Postgres, int(64, false), "bigint"), (Mysql, int(32, true), "int unsigned"), ints()),
        (
            (Postgres, int(16, false), "smallint"),
            (Mysql, Type::Year, "year"),
            (1890_i64..2160).prop_map(Value::Int).boxed(),
        ),
        (
            (Mysql, int(64, true), "bigint unsigned"),
            (Postgres, dec(20, 0), "numeric(20,0)"),
            any::<u64>().prop_map(Value::from_u64).boxed(),
        ),
        (
            (Postgres, dec(12, 3), "numeric(12,3)"),
            (Mysql, dec(10, 4), "decimal(10,4)"),
            "-?[0-9]{1,9}\\.[0-9]{3}".prop_map(|value| decimal(&value)).boxed(),
        ),
        (
            (Postgres, Type::F64, "double precision"),
            (Mariadb, Type::F64, "double"),
            any::<f64>().prop_map(Value::F64).boxed(),
        ),
        (
            (Postgres, Type::F32, "real"),
            (Mysql, Type::F64, "double"),
            any::<f32>().prop_map(Value::F32).boxed(),
        ),
    ]
}

fn round_trips_of_the_rest() -> Vec<RoundTrip> {
    let any_text = || any::<String>().prop_map(|value| text(&value)).boxed();
    let micros = |range: std::ops::Range<i64>| range.prop_map(Value::Timestamp).boxed();
    vec![
        (PG_TEXT, LONGTEXT, any_text()),
        (char(Mysql, 9), char(Postgres, 9), any_text()),
        (varchar(Mysql, 5), varchar(Postgres, 5), any_text()),
        (
            (Mysql, Type::Binary { bytes: 4 }, "binary(4)"),
            (Postgres, Type::Bytes { bytes: None }, "bytea"),
            any::<[u8; 4]>().prop_map(|value| Value::Bytes(value.to_vec().into())).boxed(),
        ),
        (
            (Postgres, Type::Date, "date"),
            (Mysql, Type::Date, "date"),
            (-740_000_i32..2_930_000).prop_map(Value::Date).boxed(),
        ),
        (
            time_of(Mysql, 3),
            time_of(Postgres, 6),
            any::<i32>().prop_map(|value| Value::Time(i64::from(value) * 1000)).boxed(),
        ),
        (
            clock(Postgres, 6),
            clock(Mysql, 6),
            micros(-320_000_000_000_000_000..320_000_000_000_000_000),
        ),
        (clock(Postgres, 3), clock(Mysql, 3), micros(-1_000_000..1_000_000)),
        (
            moment(Postgres, 6),
            moment(Mariadb, 6),
            (unix(-9)..unix(1 << 32)).prop_map(Value::Instant).boxed(),
        ),
        (
            moment(Postgres, 6),
            clock(Mysql, 6),
            (-64_000_000_000_000_000_i64..260_000_000_000_000_000).prop_map(Value::Instant).boxed(),
        ),
        (
            (Postgres, Type::Uuid, "uuid"),
            char(Mysql, 36),
            any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        ),
        (
            (Postgres, Type::Uuid, "uuid"),
            (Mysql, Type::Binary { bytes: 16 }, "binary(16)"),
            any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        ),
        (JSONB, MY_JSON, documents()),
        (MA_JSON, JSONB, documents()),
        (
            labels(Postgres, &["a", "b"]),
            labels(Mysql, &["b", "a"]),
            prop_oneof![Just(label("a")), Just(label("b"))].boxed(),
        ),
    ]
}

fn documents() -> BoxedStrategy<Value> {
    prop_oneof![
        "-?[0-9]{1,25}(\\.[0-9]{1,20})?(e[0-9]{1,2})?".prop_map(|value| json(&value)),
        any::<String>().prop_map(|value| json(&serde_json::Value::from(value).to_string())),
        Just(json(r#"{"a": [1, {"b": null}], "c": {}}"#)),
    ]
    .boxed()
}

/// Equality up to what the canonical form leaves out: trailing zeros and the sign of zero.
fn canonical(value: &Value) -> Value {
    match value {
        Value::F64(float) if *float == 0.0 => Value::F64(0.0),
        Value::F32(float) if *float == 0.0 => Value::F32(0.0),
        Value::Text(text) => Value::Text(text.trim_end_matches(' ').to_owned().into()),
        Value::Decimal(text) => {
            let trimmed = text.trim_start_matches('-').trim_matches('0');
            let sign = if text.starts_with('-') && trimmed != "." { "-" } else { "" };
            decimal(&format!("{sign}{trimmed}"))
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Broken if what crossed came back as something else (values would swing to and fro), or if
    /// the second lap still changed anything.
    #[test]
    fn what_crosses_comes_back(
        (index, value) in (0..round_trips().len()).prop_flat_map(|index| {
            (Just(index), round_trips().swap_remove(index).2)
        })
    ) {
        let (source, target, _) = round_trips().swap_remove(index);
        let forth = conversion(&source, &target);
        let back = reverse(&col(&source), source.0, &col(&target), target.0).unwrap();
        if let Ok(crossed) = convert(&forth, &value) {
            let home = convert(&back, &crossed);
            prop_assert!(home.is_ok(), "{:?} -> {:?} -> {:?}", value, crossed, home);
            let home = home.unwrap();
            prop_assert_eq!(canonical(&home), canonical(&value));
            prop_assert_eq!(convert(&forth, &home), Ok(crossed));
        }
    }

    /// Broken if the JSON check accepted what no parser does, or refused what every parser takes.
    #[test]
    fn json_syntax_agrees_with_a_parser(document in "[\\[\\]{}\",:0-9eE.+tfn \\\\u-]{0,12}") {
        let accepted = convert(&conversion(&LONGTEXT, &PG_JSON), &text(&document)).is_ok();
        let parsed = serde_json::from_str::<Box<serde_json::value::RawValue>>(&document).is_ok();
        prop_assert_eq!(accepted, parsed, "{}", document);
    }
}
