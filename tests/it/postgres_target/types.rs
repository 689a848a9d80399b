//! Every base type, written and read back.

use bytes::Bytes;
use weir::config::Dialect;
use weir::link::ports::Room;
use weir::model::value::{Special, Value};
use weir::model::{TableName, Verb};
use weir::plan::Blueprint;
use weir::postgres::Postgres;

use super::fixture::{SERVERS, Site, apply, step, text};
use crate::rights;

const TABLE: &str = "
CREATE TYPE public.\"My mood\" AS ENUM ('sad', 'it''s, \"ok\"', 'NULL');
CREATE DOMAIN public.amount AS numeric(12, 3) NOT NULL CHECK (VALUE > -1e9);
CREATE TABLE public.every (
  id bigint PRIMARY KEY, flag boolean, small smallint, number integer, price numeric(10,2),
  free numeric, f4 real, f8 double precision, code char(5), name varchar(6), body text, raw bytea,
  day date, clock time(6), wall timestamp, moment timestamptz, ref uuid, doc json, docb jsonb,
  mood public.\"My mood\", amount public.amount DEFAULT 0)";

/// One column's values and how the server prints them.
fn cases() -> Vec<(&'static str, Value, &'static str)> {
    let day = 86_400_000_000;
    let decimal = |text: &'static str| Value::Decimal(text.into());
    let json = r#"{"b":1.10, "a":"\\\"{},"}"#;
    vec![
        ("flag", Value::Bool(true), "true"),
        ("flag", Value::Bool(false), "false"),
        ("small", Value::Int(-32768), "-32768"),
        ("number", Value::Int(2_147_483_647), "2147483647"),
        ("price", decimal("-12345678.90"), "-12345678.90"),
        (
            "free",
            decimal("123456789012345678901234567890.000100"),
            "123456789012345678901234567890.000100",
        ),
        ("free", Value::DecimalSpecial(Special::NaN), "NaN"),
        ("free", Value::DecimalSpecial(Special::NegativeInfinity), "-Infinity"),
        ("f4", Value::F32(0.1), "0.1"),
        ("f4", Value::F32(f32::MAX), "3.4028235e+38"),
        ("f4", Value::F32(f32::from_bits(1)), "1e-45"),
        ("f8", Value::F64(f64::MAX), "1.7976931348623157e+308"),
        ("f8", Value::F64(5e-324), "5e-324"),
        ("f8", Value::F64(-0.0), "-0"),
        ("f8", Value::F64(f64::NAN), "NaN"),
        ("f8", Value::F64(f64::INFINITY), "Infinity"),
        ("code", text("ab"), "ab"),
        ("name", text("zwölf "), "zwölf "),
        ("body", text(""), ""),
        ("body", text("NULL"), "NULL"),
        ("body", text("{\"a\",b}\\ 'x' \n\t\u{1F600}"), "{\"a\",b}\\ 'x' \n\t\u{1F600}"),
        ("raw", Value::Bytes(Bytes::from_static(b"\0\xff\\x5c'")), "\\x00ff5c78356327"),
        ("raw", Value::Bytes(Bytes::new()), "\\x"),
        ("day", Value::Date(8825), "2024-02-29"),
        ("day", Value::Date(-730_485), "0001-01-01 BC"),
        ("day", Value::Date(2_921_940), "10000-01-01"),
        ("day", Value::NegativeInfinity, "-infinity"),
        ("clock", Value::Time(day), "24:00:00"),
        ("clock", Value::Time(1), "00:00:00.000001"),
        ("wall", Value::Timestamp(-1), "1999-12-31 23:59:59.999999"),
        ("wall", Value::Infinity, "infinity"),
        ("moment", Value::Instant(day * 200), "2000-07-19 00:00:00+00"),
        ("moment", Value::Instant(-730_485 * day), "0001-01-01 00:00:00+00 BC"),
        ("ref", Value::Uuid([0xA5; 16]), "a5a5a5a5-a5a5-a5a5-a5a5-a5a5a5a5a5a5"),
        ("doc", Value::Json(json.into()), json),
        ("docb", Value::Json(json.into()), r#"{"a": "\\\"{},", "b": 1.10}"#),
        ("mood", Value::Enum("it's, \"ok\"".into()), "it's, \"ok\""),
        ("mood", Value::Enum("NULL".into()), "NULL"),
        ("amount", decimal("1.500"), "1.500"),
    ]
}

/// Broken if any value of a base type arrived as another one, by insert or by update.
#[tokio::test]
async fn every_base_type_is_written_exactly() {
    for server in SERVERS {
        let Some(site) = Site::start(server).await else { return };
        site.execute(TABLE).await;
        let table = site.tables("public.every").await.remove(0);
        assert_eq!(
            table.columns.iter().filter(|c| c.ty == weir::model::Type::Unsupported).count(),
            0
        );
        let all: Vec<usize> = (0..table.columns.len()).collect();
        let (mut target, mut witness) = site.fresh_target("public.every").await;
        let amount = table.column_index("amount").expect("amount");
        let rows = |known: bool| -> Vec<Vec<Value>> {
            let row = |(id, (name, value, _)): (usize, (&str, Value, &str))| {
                let mut row = vec![Value::Null; table.columns.len()];
                row[0] = Value::Int(id as i64);
                row[amount] = Value::Decimal("7".into());
                if known {
                    row[table.column_index(name).expect(name)] = value;
                }
                row
            };
            cases().into_iter().enumerate().map(row).collect()
        };
        for verb in [Verb::Upsert, Verb::Update] {
            if verb == Verb::Update {
                let blank = step(0, Verb::Upsert, &all, rows(false));
                apply(&mut target, &mut witness, &[blank]).await.expect("blank rows");
                assert_eq!(
                    site.query("SELECT count(*) FROM every WHERE flag IS NULL AND body IS NULL")
                        .await,
                    [cases().len().to_string()]
                );
            }
            let applied =
                apply(&mut target, &mut witness, &[step(0, verb, &all, rows(true))]).await;
            assert_eq!(applied.expect("rows are written").missed, []);
            for (id, (name, _, expected)) in cases().into_iter().enumerate() {
                let sql = format!(
                    "SET timezone = 'UTC'; SET extra_float_digits = 1; SELECT {name}::text FROM every WHERE id = {id}"
                );
                assert_eq!(
                    site.query(&sql).await,
                    [expected.trim_end_matches(if name == "code" { ' ' } else { '\0' })],
                    "{name} by {verb:?}"
                );
            }
        }
    }
}

/// Broken if a value too long for its column were cut instead of refused.
#[tokio::test]
async fn too_long_text_is_refused_not_cut() {
    let Some(site) = Site::start(SERVERS[0]).await else { return };
    site.execute("CREATE DOMAIN short AS varchar(3); CREATE TABLE public.t (id int PRIMARY KEY, a varchar(3), b short, c char(3))").await;
    let (mut target, mut witness) = site.fresh_target("public.t").await;
    for column in [1, 2, 3] {
        let mut row = vec![Value::Int(1), Value::Null, Value::Null, Value::Null];
        row[column] = text("abcd");
        let refused =
            apply(&mut target, &mut witness, &[step(0, Verb::Upsert, &[0, 1, 2, 3], vec![row])])
                .await;
        assert_eq!(refused.expect_err("too long").kind(), weir::error::Kind::Value, "{column}");
    }
    assert_eq!(site.query("SELECT count(*) FROM t").await, ["0"]);
}

/// Broken if `weir ddl` printed what the server refuses, or a table of other types.
#[tokio::test]
async fn created_tables_have_the_types_of_their_source() {
    for server in SERVERS {
        let Some(site) = Site::start(server).await else { return };
        site.execute(TABLE).await;
        site.execute("ALTER TABLE every ADD serial bigserial, ADD UNIQUE (ref, day)").await;
        let source = site.tables("public.every").await.remove(0);
        let name = TableName::new("copy", "every");
        let drawn = [Blueprint::of(&source, name)];
        for made in Postgres.create_tables(&drawn, Dialect::Postgres, Dialect::Postgres) {
            rights::give(&site.server, made.statements).await;
        }
        let copy = site.tables("copy.*").await.remove(0);
        assert_eq!(copy.uniques.len(), 2);
        for (source, copy) in source.columns.iter().zip(&copy.columns) {
            assert_eq!(
                (&source.name, &source.ty, source.nullable, source.auto_increment),
                (&copy.name, &copy.ty, copy.nullable, copy.auto_increment)
            );
        }
    }
}

/// Broken if some character or byte were taken for syntax on its way.
#[tokio::test]
async fn any_text_and_bytes_arrive_as_they_are() {
    const PIECES: &[char] = &[
        '{',
        '}',
        '"',
        '\\',
        ',',
        '\'',
        ' ',
        '\n',
        '\u{1}',
        'N',
        '\u{7F}',
        'ü',
        '\u{FFFF}',
        '\u{10FFFF}',
    ];
    let Some(site) = Site::start(SERVERS[1]).await else { return };
    site.execute("CREATE TABLE t (id int PRIMARY KEY, v text, b bytea)").await;
    let (mut target, mut witness) = site.fresh_target("public.t").await;
    let mut random = fastrand::Rng::with_seed(7);
    let mut rows = Vec::new();
    let mut expected = Vec::new();
    for id in 0..2000 {
        let length = random.usize(0..12);
        let value: String = (0..length).map(|_| PIECES[random.usize(0..PIECES.len())]).collect();
        let bytes: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        expected.push(format!("{value}|{hex}"));
        rows.push(vec![Value::Int(id), text(&value), Value::Bytes(bytes.into())]);
    }
    apply(&mut target, &mut witness, &[step(0, Verb::Upsert, &[0, 1, 2], rows)])
        .await
        .expect("writes");
    let read = site.query("SELECT v, encode(b, 'hex') FROM t ORDER BY id").await;
    assert!(read == expected, "{:?}", read.iter().zip(&expected).find(|(a, b)| a != b));
}
