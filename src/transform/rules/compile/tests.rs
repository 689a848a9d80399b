//! Whole lists of steps on column pairs: what comes out, what is rejected at which step, and which lists
//! are refused before the first row.

mod hidden;
mod looked_up;
mod made;

use proptest::prelude::*;

use super::*;
use crate::config::Dialect::{Mysql, Postgres};
use crate::model::shape::Shape;
use crate::model::value::{InvalidDate, Special};
use crate::model::{Row, Value};
use crate::plan::fixtures::{column, table};
use crate::transform::fixtures::{
    JSONB, LONGTEXT, MY_JSON, NUMERIC, PG_TEXT, Side, bytes, clock, decimal, int, label, labels,
    moment, text, unix, varchar,
};
use crate::transform::rules::{Beside, Lists, Literal, Outcome, Scope, build, settings};
use crate::transform::{Reason, convert};
use looked_up::lists;

fn literal(value: &serde_json::Value) -> Literal {
    match value {
        serde_json::Value::Bool(truth) => Literal::Bool(*truth),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => Literal::Int(whole),
            None => Literal::Number(number.to_string()),
        },
        serde_json::Value::String(text) => Literal::Text(text.clone()),
        serde_json::Value::Array(items) => Literal::List(items.iter().map(literal).collect()),
        serde_json::Value::Object(entries) => Literal::Table(
            entries.iter().map(|(name, value)| (name.clone(), literal(value))).collect(),
        ),
        serde_json::Value::Null => panic!("no literal"),
    }
}

fn steps(rules: &str) -> Result<Vec<Step>, String> {
    let list: serde_json::Value = serde_json::from_str(rules).unwrap();
    let one = |step: &serde_json::Value| {
        let (name, value) = step.as_object().unwrap().iter().next().unwrap();
        build(name, &literal(value)).map_err(|(message, _)| message)
    };
    list.as_array().unwrap().iter().map(one).collect()
}

/// The column `c` from one side to the other, beside columns `first` and `last` of text.
fn compiled_as(
    (from, to): (&Side, &Side),
    rules: &str,
    key: bool,
    layer: &[(&str, &str)],
) -> Result<Compiled, String> {
    let mut own = column("c", from.1.clone(), from.2);
    own.nullable = !key;
    let mut others = vec![own.clone()];
    for name in ["first", "last"] {
        others.push(column(name, PG_TEXT.1.clone(), "text"));
    }
    let source = table("s", "t", others);
    let column = column("c", to.1.clone(), to.2);
    let target = table("d", "t", vec![column.clone()]);
    let lists = lists();
    let (source, target) = ((&source, &own, from.0), (&target, &column, to.0));
    let site = Site { source, target, key, lists: &lists };
    let choices = layer.iter().map(|(name, word)| {
        let setting = settings::setting(name).unwrap();
        (setting.name, settings::choice(setting, word).unwrap())
    });
    compile(&site, &steps(rules)?, &Settings(choices.collect()))
}

fn run(compiled: &Compiled, value: &Value) -> Result<Value, String> {
    let row = Row::from(vec![value.clone(), text("Jane"), Value::Null]);
    let scope = Scope::of(&row);
    match &compiled.rules {
        Some(rules) => {
            rules.apply(&compiled.conversion, value, &scope).map_err(|failure| failure.to_string())
        }
        None => convert(&compiled.conversion, value).map_err(|reason| reason.to_string()),
    }
}

fn turned(pair: (&Side, &Side), rules: &str, value: &Value) -> Result<Value, String> {
    run(&compiled_as(pair, rules, false, &[]).unwrap(), value)
}

/// Sides of a pair, a setting, a value and what becomes of it.
type Mended<'a> = (&'a Side, &'a Side, (&'a str, &'a str), Value, Value);

const DATE: Side = (Postgres, Type::Date, "date");
const MY_DATE: Side = (Mysql, Type::Date, "date");
const BOOL: Side = (Postgres, Type::Bool, "boolean");
const UUID: Side = (Postgres, Type::Uuid, "uuid");
const BYTES16: Side = (Mysql, Type::Binary { bytes: 16 }, "binary(16)");
const INT: Side = (Postgres, int(32, false), "integer");
const MY_INT: Side = (Mysql, int(32, false), "int");
const BIGINT: Side = (Postgres, int(64, false), "bigint");
const DOUBLE: Side = (Postgres, Type::F64, "double precision");

fn dec(precision: u16, scale: i16) -> Side {
    (Mysql, crate::transform::fixtures::dec(precision, scale), "decimal")
}

/// Broken if a value that no step can carry were written, or the wrong step were named for it.
#[test]
fn values_are_rejected_at_their_step() {
    let my = varchar(Mysql, 40);
    let pg = varchar(Postgres, 3);
    for (from, to, rules, value, expected) in [
        (
            &my,
            &DATE,
            r#"[{"trim":"both"},{"parse_date":"%d/%m/%Y"}]"#,
            text("31/13/2024"),
            "step 2 (parse_date): parse ",
        ),
        (
            &my,
            &BOOL,
            r#"[{"bool_words":{"true":["Y"]}}]"#,
            text("maybe"),
            "step 1 (bool_words): not_boolean ",
        ),
        (
            &my,
            &INT,
            r#"[{"map":{"values":{"US":1},"else":"reject"}}]"#,
            text("XX"),
            "step 1 (map): validation ",
        ),
        (
            &my,
            &pg,
            r#"[{"validate":{"regex":"^\\+[1-9][0-9]{6,14}$"}}]"#,
            text("030"),
            "step 1 (validate): validation ",
        ),
        (&my, &pg, r#"[{"case":"lower"}]"#, text("LONG"), "too_long "),
        (&my, &INT, r#"[{"null_if":"x"}]"#, text("1e3"), "parse "),
        (&my, &INT, r#"[{"null_if":"x"}]"#, text("99999999999"), "out_of_range "),
        (
            &my,
            &pg,
            r#"[{"split":{"separator":",","index":3}}]"#,
            text("a,b"),
            "step 1 (split): parse ",
        ),
        (
            &my,
            &DOUBLE,
            r#"[{"parse_number":{}}]"#,
            text("0.12345678901234567890"),
            "precision_loss ",
        ),
    ] {
        let found = turned((from, to), rules, &value).unwrap_err();
        assert!(found.starts_with(expected), "{rules}: {found}");
    }
}

/// Broken if a mend touched a value that crosses, failed one that it is for, or reached a match key.
#[test]
fn settings_mend_what_no_type_carries() {
    let my = varchar(Mysql, 40);
    let pg = varchar(Postgres, 3);
    let zero = Value::InvalidDate(InvalidDate { year: 0, month: 0, day: 0, time_us: 0 });
    let partial = Value::InvalidDate(InvalidDate { year: 2024, month: 2, day: 0, time_us: 0 });
    let nan = Value::DecimalSpecial(Special::NaN);
    let small = dec(4, 2);
    let cases: &[Mended<'_>] = &[
        (&MY_DATE, &DATE, ("zero_date", "null"), zero.clone(), Value::Null),
        (&MY_DATE, &DATE, ("zero_date", "1970-01-01"), zero.clone(), Value::Date(-10_957)),
        (
            &clock(Mysql, 0),
            &clock(Postgres, 0),
            ("zero_date", "1970-01-01"),
            zero,
            Value::Timestamp(unix(0)),
        ),
        (&MY_DATE, &DATE, ("partial_date", "first"), partial, Value::Date(8797)),
        (&DATE, &MY_DATE, ("infinity", "clamp"), Value::Infinity, Value::Date(2_921_939)),
        (
            &clock(Postgres, 6),
            &clock(Mysql, 3),
            ("infinity", "clamp"),
            Value::Infinity,
            Value::Timestamp(252_455_615_999_999_000),
        ),
        (&NUMERIC, &small, ("non_finite", "null"), nan.clone(), Value::Null),
        (&NUMERIC, &small, ("non_finite", "0"), nan, decimal("0.00")),
        (&NUMERIC, &small, ("out_of_range", "clamp"), decimal("-100"), decimal("-99.99")),
        (
            &BIGINT,
            &MY_INT,
            ("out_of_range", "clamp"),
            Value::Int(3_000_000_000),
            Value::Int(2_147_483_647),
        ),
        (&my, &pg, ("too_long", "truncate"), text("äbcd"), text("äbc")),
        (&my, &pg, ("nul_char", "strip"), text("a\0b"), text("ab")),
        (
            &labels(Mysql, &["a", "b"]),
            &labels(Postgres, &["a", "b"]),
            ("enum_invalid", "b"),
            Value::EnumInvalid,
            label("b"),
        ),
        (
            &MY_JSON,
            &MY_JSON,
            ("json_duplicate_keys", "last"),
            Value::Json("{}".into()),
            Value::Json("{}".into()),
        ),
    ];
    for (from, to, (name, word), value, expected) in cases {
        let compiled = compiled_as((from, to), "[]", false, &[(name, word)]).unwrap();
        assert_eq!(run(&compiled, value).as_ref(), Ok(expected), "{name} {word}");
        let step = format!("[{{\"{name}\":\"{word}\"}}]");
        let stepped = compiled_as((from, to), &step, false, &[(name, "reject")]).unwrap();
        assert_eq!(run(&stepped, value).as_ref(), Ok(expected), "{name} {word} as a step");
    }
    let plain = compiled_as((&my, &my), "[]", false, &[("zero_date", "null")]).unwrap();
    assert!(plain.rules.is_none(), "a column that cannot meet a setting has no rules");
    let key = compiled_as((&MY_DATE, &DATE), "[]", true, &[("zero_date", "1970-01-01")]).unwrap();
    assert!(key.rules.is_none(), "keys are as they are");
    // A zero date meets the setting also where a step would have refused it.
    let rules = r#"[{"format_date":"%d/%m/%Y"},{"if_null":"never"}]"#;
    let compiled = compiled_as((&MY_DATE, &my), rules, false, &[("zero_date", "null")]).unwrap();
    let zero = Value::InvalidDate(InvalidDate { year: 0, month: 0, day: 0, time_us: 0 });
    assert_eq!(run(&compiled, &zero), Ok(text("never")));
}

/// Broken if a list that cannot work were found out by the first row.
#[test]
fn lists_that_cannot_work_are_refused() {
    let my = varchar(Mysql, 40);
    for (from, to, rules, key, expected) in [
        (&MY_INT, &INT, r#"[{"trim":"both"}]"#, false, "step 1 (`trim`"),
        (&my, &DATE, r#"[{"trim":"both"}]"#, false, "after the last step, which makes text"),
        (&my, &INT, r#"[{"digits_only":true}]"#, false, "keeps no zeros"),
        (&my, &my, r#"[{"case":"lower"}]"#, true, "no way back"),
        (&my, &my, r#"[{"constant":"x"}]"#, true, "one key"),
        (&my, &my, r#"[{"too_long":"truncate"}]"#, true, "rows are matched"),
        (&my, &my, r#"[{"concat":{"columns":["none"]}}]"#, false, "no column none"),
        (
            &MY_INT,
            &INT,
            r#"[{"validate":{"range":[0,1],"else":"null"}}]"#,
            true,
            "can only be \"reject\"",
        ),
        (&my, &my, r#"[{"zero_date":"null"}]"#, false, "no value of the column needs it"),
        (
            &my,
            &my,
            r#"[{"validate":{"one_of":["a"],"else":{"default":"b"}}}]"#,
            false,
            "does not pass",
        ),
        (
            &my,
            &my,
            r#"[{"timezone":{"from":"Europe/Berlin"}}]"#,
            false,
            "takes a timestamp without zone",
        ),
    ] {
        let found = compiled_as((from, to), rules, key, &[]).err().unwrap_or_default();
        assert!(found.contains(expected), "{rules}: {found}");
    }
    for (rules, expected) in [
        (r#"[{"trimm":"both"}]"#, "there is no step `trimm`"),
        (r#"[{"phone":{"e164":"XX"}}]"#, "numbers of \"XX\" are written; it knows AE, AL"),
        (r#"[{"trim":"all"}]"#, "is one of \"both\""),
        (r#"[{"round":{"scal":2}}]"#, "unknown parameter `scal`"),
        (r#"[{"parse_date":"%d/%m/%y"}]"#, "two_digit_year_pivot"),
        (r#"[{"regex_replace":{"pattern":"(","with":""}}]"#, "not a pattern"),
        (r#"[{"timezone":{"from":"Mars"}}]"#, "is no time zone"),
        (r#"[{"hash":{"algo":"hmac_sha256"}}]"#, "wants a `key`"),
        (r#"[{"encrypt":{"algo":"aes_256_siv"}}]"#, "`key` is missing"),
        (r#"[{"decrypt":{"algo":"aes_256_siv","key":"k"}}]"#, "`key` is { env"),
        (r#"[{"json_set":{"path":"$.a"}}]"#, "either `value` or `column`"),
        (r#"[{"json_set":{"path":"$","value":1}}]"#, "a place within the document"),
        (r#"[{"json_set":{"path":"$.a","value":[1]}}]"#, "a scalar, not a list"),
        (r#"[{"expr":"row.a +"}]"#, "not an expression"),
        (r#"[{"expr":"other + 1"}]"#, "`other` is not known"),
        (r#"[{"expr":"[1].map(x, x)"}]"#, "loops over lists"),
        (r#"[{"expr":"now()"}]"#, "no function `now`"),
        (r#"[{"expr":"regex(row.a, row.b)"}]"#, "text in quotes"),
        (r#"[{"validate":{"references":{"table":"t"}}}]"#, "`table` is \"schema.table\""),
    ] {
        let found = steps(rules).unwrap_err();
        assert!(found.contains(expected), "{rules}: {found}");
    }
}

/// Broken if two keys of the source became one at the target, or a key's row could not be read again.
#[test]
fn keys_come_back_or_are_rejected() {
    let (my, pg) = (varchar(Mysql, 40), DATE);
    let compiled = compiled_as((&my, &pg), r#"[{"parse_date":"%d/%m/%Y"}]"#, true, &[]).unwrap();
    let rules = compiled.rules.as_ref().unwrap();
    assert!(rules.has_way_back());
    let there = run(&compiled, &text("03/04/2024")).unwrap();
    let back = convert(compiled.reverse.as_ref().unwrap(), &there).unwrap();
    assert_eq!(rules.back(back), Ok(text("03/04/2024")));
    // Another spelling of the same day would be the same key.
    let twin = run(&compiled, &text("3/4/2024")).unwrap_err();
    assert!(twin.contains("way back of the match key"), "{twin}");
}

/// Broken if validations were not counted, or as something else.
#[test]
fn outcomes_are_counted() {
    let rules = r#"[{"validate":{"range":[0,9],"else":"clamp"}},{"validate":{"one_of":[9,1]}}]"#;
    let compiled = compiled_as((&MY_INT, &INT), rules, false, &[]).unwrap();
    let noted = std::cell::RefCell::default();
    let beside = Beside { committed_us: None, outcomes: Some(&noted) };
    for value in [1, 99, 100, 5] {
        let value = Value::Int(value);
        let row = Row::from(vec![value.clone(), text("Jane"), Value::Null]);
        let scope = Scope { beside, place: (3, 4), ..Scope::of(&row) };
        let rules = compiled.rules.as_ref().unwrap();
        let _ = rules.apply(&compiled.conversion, &value, &scope);
    }
    let seen: Vec<_> = noted.into_inner().0.into_iter().collect();
    let expected = [((3, 4, 1, Outcome::Clamp), 2), ((3, 4, 2, Outcome::Reject), 1)];
    assert_eq!(seen, expected);
}

proptest! {
    /// Broken if a step whose way back a plan relies on did not lead back.
    #[test]
    fn ways_back_lead_back(days in -700_000_i32..2_900_000, number in any::<i32>(), places in -9_i64..9, uuid in any::<u128>()) {
        let my = varchar(Mysql, 40);
        let big = dec(65, 30);
        let plain = (Postgres, crate::transform::fixtures::dec(40, 10), "numeric");
        let seconds = Value::Int(i64::from(number));
        let scaled = format!("[{{\"scale_by_power_of_ten\":{places}}}]");
        for (from, to, rules, value) in [
            (&DATE, &my, r#"[{"format_date":"%A %d.%m.%Y"}]"#, Value::Date(days)),
            (&BIGINT, &moment(Postgres, 6), r#"[{"epoch":{"unit":"s"}}]"#, seconds.clone()),
            (&plain, &big, scaled.as_str(), decimal(&number.to_string())),
            (&UUID, &BYTES16, r#"[{"uuid":{"layout":"time_swapped"}}]"#, Value::Uuid(uuid.to_be_bytes())),
        ] {
            let compiled = compiled_as((from, to), rules, true, &[]).unwrap();
            let there = run(&compiled, &value).unwrap();
            let back = convert(compiled.reverse.as_ref().unwrap(), &there).unwrap();
            prop_assert_eq!(compiled.rules.as_ref().unwrap().back(back).map(|back| crate::transform::rules::values::text_of(&back)), Ok(crate::transform::rules::values::text_of(&value)));
        }
    }
}
