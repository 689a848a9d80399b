//! Every base type written by insert, by update and by key, and read back by the server's own
//! exact text.

use bytes::Bytes;
use weir::config::Dialect;
use weir::model::{Value, Verb};
use weir::plan::UpsertStrategy;

use super::{Bench, TestResult, commit, step};

/// A column: definition, how to read it exactly, and values with what is read then.
pub(super) struct Case {
    pub(super) definition: &'static str,
    pub(super) read: &'static str,
    pub(super) values: Vec<(Value, String)>,
}

fn case(
    definition: &'static str,
    read: &'static str,
    values: Vec<(Value, impl Into<String>)>,
) -> Case {
    let values = values.into_iter().map(|(value, text)| (value, text.into())).collect();
    Case { definition, read, values }
}

fn decimal(text: &str) -> (Value, String) {
    (Value::Decimal(text.into()), text.to_owned())
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

fn words(text: &str) -> (Value, String) {
    (Value::Text(text.into()), hex(text))
}

fn double(number: f64) -> (Value, String) {
    // The server's own JSON printer shows the shortest text of a double on both servers alike.
    (Value::F64(number), format!("{number:e}"))
}

pub(super) fn cases(dialect: Dialect) -> Vec<Case> {
    let mut cases = numbers();
    cases.extend(texts());
    cases.extend(times());
    cases.extend(others(dialect));
    for case in &mut cases {
        case.values.push((Value::Null, "NULL".to_owned()));
    }
    cases
}

fn numbers() -> Vec<Case> {
    vec![
        case("tinyint(1)", "c", vec![(Value::Bool(true), "1"), (Value::Bool(false), "0")]),
        case("bit(1)", "c+0", vec![(Value::Bool(true), "1"), (Value::Bool(false), "0")]),
        case("tinyint", "c", vec![(Value::Int(-128), "-128"), (Value::Int(127), "127")]),
        case("mediumint unsigned", "c", vec![(Value::Int(16_777_215), "16777215")]),
        case(
            "bigint",
            "c",
            vec![
                (Value::Int(i64::MIN), i64::MIN.to_string()),
                (Value::Int(i64::MAX), i64::MAX.to_string()),
            ],
        ),
        case(
            "bigint unsigned",
            "c",
            vec![(Value::UInt(u64::MAX), u64::MAX.to_string()), (Value::Int(0), "0".into())],
        ),
        case(
            "decimal(65,30)",
            "c",
            vec![
                decimal("12345678901234567890123456789012345.123456789012345678901234567890"),
                decimal("-0.000000000000000000000000000001"),
            ],
        ),
        case("decimal(20,0)", "c", vec![decimal("18446744073709551617")]),
        case(
            "double",
            "c",
            vec![double(0.1), double(-1.797_693_134_862_315_7e308), double(5e-324), double(1e15)],
        ),
        case(
            "float",
            "cast(c as double)",
            vec![
                (Value::F32(f32::MAX), format!("{:e}", f64::from(f32::MAX))),
                (Value::F32(0.1), format!("{:e}", f64::from(0.1_f32))),
                (Value::F32(16_777_216.0), format!("{:e}", 16_777_216.0_f64)),
            ],
        ),
    ]
}

fn texts() -> Vec<Case> {
    let long = "wörld ".repeat(40_000);
    let every: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let raw = |bytes: &[u8]| {
        let text: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        (Value::Bytes(Bytes::copy_from_slice(bytes)), text)
    };
    vec![
        case("char(10) character set latin1", "hex(convert(c using utf8mb4))", vec![words("é€ x")]),
        case(
            "varchar(30) character set utf8mb4",
            "hex(c)",
            vec![words("a' \\ \" trailing  "), words(""), words("😀\u{0}\n")],
        ),
        case(
            "longtext character set utf8mb4",
            "hex(c)",
            vec![words("short"), words(&long), words("")],
        ),
        case("binary(4)", "hex(c)", vec![raw(b"\0\xff\0\0")]),
        case("varbinary(9)", "hex(c)", vec![raw(b"\xff\xfe'\\\0"), raw(b"")]),
        case("longblob", "hex(c)", vec![raw(b"\xc3\x28\0\x1a"), raw(&every), raw(b"")]),
    ]
}

fn times() -> Vec<Case> {
    let time = |us: i64, text: &str| (Value::Time(us), text.to_owned());
    let clock = |us: i64, text: &str| (Value::Timestamp(us), text.to_owned());
    let moment = |us: i64, text: &str| (Value::Instant(us), text.to_owned());
    vec![
        case(
            "date",
            "c",
            vec![
                (Value::Date(59), "2000-02-29"),
                (Value::Date(-730_119), "0001-01-01"),
                (Value::Date(2_921_939), "9999-12-31"),
            ],
        ),
        case(
            "time",
            "c",
            vec![time(86_400_000_000, "24:00:00"), time(-3_020_399_000_000, "-838:59:59")],
        ),
        case(
            "time(6)",
            "c",
            vec![time(86_399_999_999, "23:59:59.999999"), time(-1, "-00:00:00.000001")],
        ),
        case("datetime", "c", vec![clock(-1_000_000, "1999-12-31 23:59:59")]),
        case(
            "datetime(6)",
            "c",
            vec![
                clock(252_455_615_999_999_999, "9999-12-31 23:59:59.999999"),
                clock(1, "2000-01-01 00:00:00.000001"),
            ],
        ),
        case(
            "timestamp(3) null",
            "c",
            vec![
                moment(-946_684_799_000_000, "1970-01-01 00:00:01.000"),
                moment(1_200_798_847_999_000, "2038-01-19 03:14:07.999"),
            ],
        ),
        case(
            "year",
            "c",
            vec![(Value::Int(0), "0000"), (Value::Int(1901), "1901"), (Value::Int(2155), "2155")],
        ),
    ]
}

fn others(dialect: Dialect) -> Vec<Case> {
    let uuid = || vec![(Value::Uuid([0xAB; 16]), "abababab-abab-abab-abab-abababababab")];
    let mut cases = vec![
        case("char(36) character set ascii collate ascii_bin", "c", uuid()),
        case(
            "json",
            "c",
            vec![(Value::Json(r#"{"a": [1, "ü", null]}"#.into()), r#"{"a": [1, "ü", null]}"#)],
        ),
        case(
            "enum('a','b''c','1','') character set utf8mb4",
            "concat(c, '/', c+0)",
            vec![
                (Value::Enum("b'c".into()), "b'c/2"),
                (Value::Enum("1".into()), "1/3"),
                (Value::Enum("".into()), "/4"),
            ],
        ),
    ];
    if dialect == Dialect::Mariadb {
        cases.push(case("uuid", "c", uuid()));
    }
    cases
}

/// Doubles are compared as doubles, since the servers print them in several ways.
fn same(read: &str, expected: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok().map(f64::to_bits);
    read == expected || (expected.contains('e') && number(read) == number(expected))
}

pub(super) async fn check(bench: &Bench, case: &Case, shift: usize) {
    for (at, (_, _)) in case.values.iter().enumerate() {
        let (_, expected) = &case.values[(at + shift) % case.values.len()];
        let read = bench.text(&format!("SELECT {} FROM t WHERE id = {at}", case.read)).await;
        let (start, wanted) = (&read[..read.len().min(80)], &expected[..expected.len().min(80)]);
        assert!(same(&read, expected), "{}: {start} is not {wanted}", case.definition);
    }
}

/// Broken if any value changed on its way: by the parameter's form, by the type of a derived
/// table's column, by a character set, or by the text of a float.
pub(super) async fn every_base_type_is_written_exactly(bench: &Bench) -> TestResult {
    for case in cases(bench.database.dialect) {
        let body = format!("id int primary key, c {}", case.definition);
        let plan = bench.table("t", &body, UpsertStrategy::Native).await;
        let (mut target, mut witness) = bench.begin(&plan).await;
        let rows = |shift: usize| {
            let count = case.values.len();
            let row = |at: usize| {
                vec![Value::Int(at as i64), case.values[(at + shift) % count].0.clone()]
            };
            (0..count).map(row).collect::<Vec<_>>()
        };
        let failed = |error| format!("{}: {error:?}", case.definition);
        let insert = [step(Verb::Upsert, &[0, 1], rows(0))];
        commit(&mut target, &mut witness, &insert).await.map_err(failed)?;
        check(bench, &case, 0).await;
        let again = [step(Verb::Upsert, &[0, 1], rows(1))];
        commit(&mut target, &mut witness, &again).await.map_err(failed)?;
        check(bench, &case, 1).await;
        let update = [step(Verb::Update, &[0, 1], rows(2))];
        let missed = commit(&mut target, &mut witness, &update).await.map_err(failed)?;
        assert!(missed.is_empty(), "{}", case.definition);
        check(bench, &case, 2).await;
    }
    every_key_type_finds_its_row(bench).await
}

/// Broken if a key were compared as another type: rounded as a double, cut, or by a text that the
/// server spells otherwise.
async fn every_key_type_finds_its_row(bench: &Bench) -> TestResult {
    let keyless = ["double", "float", "json", "longtext", "longblob"];
    for case in cases(bench.database.dialect) {
        if keyless.iter().any(|ty| case.definition.starts_with(ty)) {
            continue;
        }
        let definition = case.definition.trim_end_matches(" null");
        // Alone, and with a second column: the two take different statements.
        for key in ["c", "c, d"] {
            let body =
                format!("c {definition} not null, d int not null, n int, primary key ({key})");
            let plan = bench.table("t", &body, UpsertStrategy::UpdateThenInsert).await;
            let (mut target, mut witness) = bench.begin(&plan).await;
            let keys: Vec<Value> = case
                .values
                .iter()
                .map(|(value, _)| value.clone())
                .filter(|value| *value != Value::Null)
                .collect();
            let rows = |n: i64| {
                keys.iter()
                    .map(|key| vec![key.clone(), Value::Int(1), Value::Int(n)])
                    .collect::<Vec<_>>()
            };
            let failed = |error| format!("key {}: {error:?}", case.definition);
            for n in 1..3 {
                let steps = [step(Verb::Upsert, &[0, 1, 2], rows(n))];
                commit(&mut target, &mut witness, &steps).await.map_err(failed)?;
            }
            let steps = [step(Verb::Update, &[0, 1, 2], rows(9))];
            let missed = commit(&mut target, &mut witness, &steps).await.map_err(failed)?;
            assert!(missed.is_empty(), "{}", case.definition);
            let count = format!("{},9,9", keys.len());
            assert_eq!(
                bench.text("SELECT count(*), min(n), max(n) FROM t").await,
                count,
                "{}",
                case.definition
            );
            let gone = keys
                .iter()
                .map(|value| {
                    if key == "c" {
                        vec![value.clone()]
                    } else {
                        vec![value.clone(), Value::Int(1)]
                    }
                })
                .collect();
            commit(&mut target, &mut witness, &[step(Verb::Delete, &[0], gone)])
                .await
                .map_err(failed)?;
            assert_eq!(bench.text("SELECT count(*) FROM t").await, "0", "{}", case.definition);
        }
    }
    Ok(())
}
