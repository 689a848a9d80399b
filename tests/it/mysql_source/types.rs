//! Every base type with hostile values, from the log and from reads beside it.

use std::sync::Arc;

use weir::error::Kind;
use weir::model::value::InvalidDate;
use weir::model::{Before, Op, Value};
use weir::sandbox::{Options, Server};

use super::rig::{Rig, inserted};

const NUMBERS: &str = "CREATE TABLE numbers (
  id bigint PRIMARY KEY, t tinyint, tu tinyint unsigned, s smallint, y year, su smallint unsigned,
  m mediumint, mu mediumint unsigned, i int, iu int unsigned, b bigint, bu bigint unsigned,
  d decimal(10,2), dd decimal(20,10), dw decimal(65,30), du decimal(5,0) unsigned, f float,
  g double, bo boolean, bi bit(1), z int(8) unsigned zerofill,
  gen int GENERATED ALWAYS AS (i) STORED, virt int GENERATED ALWAYS AS (i) VIRTUAL)";

const LOW: &str = "(1, -128, 0, -32768, 0, 0, -1, 0, -2147483648, 0, -9223372036854775808, 0,
  -1234.56, -0.0000000001, -99999999999999999999999999999999999.999999999999999999999999999999,
  0, 16777216, -1.5e-300, 0, b'0', 0)";
const HIGH: &str = "(2, 127, 255, 32767, 2155, 65535, -8388608, 16777215, 2147483647, 4294967295,
  9223372036854775807, 18446744073709551615, 99999999.99, 0, 0.5, 99999, 3.4028234663852886e38, 0.1, 1,
  b'1', 42)";

fn decimal(text: &str) -> Value {
    Value::Decimal(text.to_owned().into())
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned().into())
}

async fn numbers(server: Server) {
    let Some(rig) = Rig::new(server, Options::default(), NUMBERS).await else { return };
    let mut stream = rig.begin().await;
    let columns = "(id, t, tu, s, y, su, m, mu, i, iu, b, bu, d, dd, dw, du, f, g, bo, bi, z)";
    rig.execute(&format!(
        "INSERT INTO numbers {columns} VALUES {LOW}, {HIGH}; INSERT INTO numbers (id, bo) VALUES (3, 7)"
    ))
    .await;
    let (changes, commit) = stream.transaction().await;
    assert!(commit.time_us > 1_700_000_000_000_000, "{}", commit.time_us);
    let low = inserted(&changes[0]).clone();
    let high = inserted(&changes[1]).clone();
    let wide = "99999999999999999999999999999999999.999999999999999999999999999999";
    let int = Value::Int;
    let expected = [
        vec![int(1), int(-128), int(0), int(-32768), int(0), int(0), int(-1), int(0)],
        vec![int(-2_147_483_648), int(0), int(i64::MIN), int(0), decimal("-1234.56")],
        vec![decimal("-0.0000000001"), decimal(&format!("-{wide}")), decimal("0")],
        vec![Value::F32(16_777_216.0), Value::F64(-1.5e-300), Value::Bool(false)],
        vec![Value::Bool(false), int(0), Value::Unchanged, Value::Unchanged],
    ];
    assert_eq!(low.to_vec(), expected.concat());
    let expected = [
        vec![int(2), int(127), int(255), int(32767), int(2155), int(65535), int(-8_388_608)],
        vec![int(16_777_215), int(2_147_483_647), int(4_294_967_295), int(i64::MAX)],
        vec![Value::UInt(u64::MAX), decimal("99999999.99"), decimal("0.0000000000")],
        vec![decimal("0.500000000000000000000000000000"), decimal("99999")],
        vec![Value::F32(f32::MAX), Value::F64(0.1), Value::Bool(true), Value::Bool(true)],
        vec![int(42), Value::Unchanged, Value::Unchanged],
    ];
    assert_eq!(high.to_vec(), expected.concat());
    let odd = stream.transaction().await.0;
    assert_eq!(inserted(&odd[0])[18], int(7));
    rig.same_beside(&[(int(1), &low), (int(2), &high), (int(3), inserted(&odd[0]))]).await;
    stream.stop().await;
}

/// Broken if a number came out bent: signed MEDIUMINT, YEAR 0, wide decimals, BIT(1).
#[tokio::test]
async fn numbers_arrive_exactly_mysql() {
    numbers(Server::MySql97).await;
}

/// As above.
#[tokio::test]
async fn numbers_arrive_exactly_mariadb() {
    numbers(Server::MariaDb1011).await;
}

const TIMES: &str = "CREATE TABLE times (
  id bigint PRIMARY KEY, d date, t0 time, t1 time(1), t2 time(2), t3 time(3), t6 time(6),
  dt datetime, dt3 datetime(3), dt6 datetime(6), ts timestamp NULL, ts1 timestamp(1) NULL,
  ts6 timestamp(6) NULL)";

async fn times(server: Server) {
    let Some(rig) = Rig::new(server, Options::default(), TIMES).await else { return };
    let mut stream = rig.begin().await;
    rig.execute(
        "SET time_zone = 'SYSTEM', sql_mode = 'ALLOW_INVALID_DATES'; SET time_zone = '-07:00';
        INSERT INTO times VALUES
        (1, '2024-02-29', '-00:00:01', '-00:00:01.5', '-00:00:01.50', '-838:59:58.999',
         '-00:00:00.000001', '0001-01-01', '9999-12-31 23:59:59.999', '2024-02-29 12:00:00.000001',
         '2024-06-01 03:00:00', '1970-01-01 00:00:00.9', '2038-01-18 20:14:07.999999'),
        (2, '0000-00-00', '838:59:59', '24:00:00', '00:00:00.01', '12:34:56.78', '-12:34:56.78',
         '0000-00-00', '2024-02-30', '2024-05-00 10:00:00', '0000-00-00', '0000-00-00', NULL)",
    )
    .await;
    let (changes, _) = stream.transaction().await;
    let first = inserted(&changes[0]).clone();
    let second = inserted(&changes[1]).clone();
    let day = 86_400_000_000;
    let expected = vec![
        Value::Int(1),
        Value::Date(8825),
        Value::Time(-1_000_000),
        Value::Time(-1_500_000),
        Value::Time(-1_500_000),
        Value::Time(-3_020_398_999_000),
        Value::Time(-1),
        Value::Timestamp(-730_119 * day),
        Value::Timestamp(252_455_615_999_999_000),
        Value::Timestamp(8825 * day + 12 * 3_600_000_000 + 1),
        Value::Instant(8918 * day + 10 * 3_600_000_000),
        Value::Instant(-10_957 * day + 7 * 3_600_000_000 + 900_000),
        Value::Instant((2_147_483_647 - 946_684_800) * 1_000_000 + 999_999),
    ];
    assert_eq!(first.to_vec(), expected);
    let invalid =
        |year, month, day, time_us| Value::InvalidDate(InvalidDate { year, month, day, time_us });
    let expected = vec![
        Value::Int(2),
        invalid(0, 0, 0, 0),
        Value::Time(3_020_399_000_000),
        Value::Time(day),
        Value::Time(10_000),
        Value::Time(45_296_780_000),
        Value::Time(-45_296_780_000),
        invalid(0, 0, 0, 0),
        invalid(2024, 2, 30, 0),
        invalid(2024, 5, 0, 36_000_000_000),
        invalid(0, 0, 0, 0),
        invalid(0, 0, 0, 0),
        Value::Null,
    ];
    assert_eq!(second.to_vec(), expected);
    rig.same_beside(&[(Value::Int(1), &first), (Value::Int(2), &second)]).await;
    stream.stop().await;
}

/// Broken if a time lost its sign or fraction, a zero date became 1970, or the server's time zone
/// leaked in.
#[tokio::test]
async fn dates_and_times_arrive_exactly_mysql() {
    times(Server::MySql97).await;
}

/// As above.
#[tokio::test]
async fn dates_and_times_arrive_exactly_mariadb() {
    times(Server::MariaDb1011).await;
}

const STRINGS: &str = "CREATE TABLE strings (
  id bigint PRIMARY KEY, c char(5), l char(4) CHARACTER SET latin1, v varchar(300) CHARACTER SET utf8mb4,
  b4 binary(4), vb varbinary(10), tt tinytext, lt longtext CHARACTER SET utf8mb3, lb longblob,
  e enum('', 'a', 'ä,b') CHARACTER SET latin1, a varchar(10) CHARACTER SET ascii, s set('x','y'),
  wide char(255) CHARACTER SET utf8mb4, g geometry)";

async fn strings(server: Server) {
    let Some(rig) = Rig::new(server, Options::default(), STRINGS).await else { return };
    assert_eq!(rig.plan.tables[0].columns.len(), 14);
    let mut stream = rig.begin().await;
    rig.execute(
        "SET NAMES utf8mb4; SET sql_mode = '';
        INSERT INTO strings VALUES (1, 'ab ', 0x80E4, ' v  ', 'ab', 0x00FF00, '', REPEAT('ß', 300),
          0xFF00, 'ä,b', 'x', 'x,y', REPEAT('€', 255), ST_GeomFromText('POINT(1 2)')),
        (2, '', '', '😀', '', '', NULL, '', '', 'nope', '', '', '', NULL),
        (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', NULL, NULL, NULL, NULL)",
    )
    .await;
    let (changes, _) = stream.transaction().await;
    let coordinates = [1_f64.to_le_bytes(), 2_f64.to_le_bytes()].concat();
    let point = [&[1, 1, 0, 0, 0][..], &coordinates].concat();
    let expected = [
        vec![Value::Int(1), text("ab"), text("€ä"), text(" v  ")],
        vec![Value::Bytes(b"ab\0\0".to_vec().into()), Value::Bytes(vec![0, 255, 0].into())],
        vec![text(""), text(&"ß".repeat(300)), Value::Bytes(vec![255, 0].into())],
        vec![Value::Enum("ä,b".into()), text("x"), text("x,y"), text(&"€".repeat(255))],
        vec![Value::Bytes([&[0; 4][..], &point].concat().into())],
    ];
    assert_eq!(inserted(&changes[0]).to_vec(), expected.concat());
    let second = inserted(&changes[1]);
    assert_eq!((&second[3], &second[4]), (&text("😀"), &Value::Bytes(vec![0; 4].into())));
    assert_eq!((&second[5], &second[9]), (&Value::Bytes(Vec::new().into()), &Value::EnumInvalid));
    let third = inserted(&changes[2]);
    assert_eq!((&third[2], &third[9]), (&Value::Null, &Value::Enum("".into())));
    let rows: Vec<_> =
        changes.iter().map(|change| (inserted(change)[0].clone(), inserted(change))).collect();
    rig.same_beside(&rows).await;
    rig.execute("UPDATE strings SET id = 9, v = '' WHERE id = 1; DELETE FROM strings WHERE id = 3")
        .await;
    let (changes, _) = stream.transaction().await;
    let Op::Update { before: Some(Before::Full(before)), after } = &changes[0].op else {
        panic!("an update with a full before image: {changes:?}")
    };
    assert_eq!((&before[0], &before[3]), (&Value::Int(1), &text(" v  ")));
    assert_eq!((&after[0], &after[3], &after[8]), (&Value::Int(9), &text(""), &before[8]));
    let (changes, _) = stream.transaction().await;
    assert!(
        matches!(&changes[0].op, Op::Delete { before: Before::Full(row) } if row[0] == Value::Int(3))
    );
    stream.stop().await;
}

/// Broken if text came in the wrong character set, BINARY lost its zeros, or an enum its label.
#[tokio::test]
async fn strings_arrive_exactly_mysql() {
    strings(Server::MySql97).await;
}

/// As above.
#[tokio::test]
async fn strings_arrive_exactly_mariadb() {
    strings(Server::MariaDb1011).await;
}

/// Documents whose text has a trap each.
const DOCUMENTS: &[&str] = &[
    r#"'{"b": 1, "a": [true, false, null], "c": {"": "\\u0001\\u001f\\"\\\\/\\b\\f\\n\\r\\t\\u007fä😀"}}'"#,
    "'[0, -1, 32767, 32768, -32768, -32769, 2147483648, 9223372036854775807, 18446744073709551615]'",
    "'[1.0, 1e2, 1.1, -0.0, 1e14, 1e15, 1e16, 123456789012345678, 1e-14, 1e-15, 1e-16, 1.5e300, 5e-324]'",
    "'[0.1, 123456789.12345678, 1234567890123456.7, 12345678901234567e10, 0.00001234, 2.5e-10]'",
    "'\"just text\"'",
    "'null'",
    "'{}'",
    "'[]'",
    "JSON_ARRAY(CAST(1.10 AS DECIMAL(5,2)), CAST(-0.5 AS DECIMAL(3,2)), CAST('12345678901234567890.123' AS DECIMAL(30,3)))",
    "JSON_OBJECT('d', DATE '2024-02-29', 't', TIME '-12:34:56.78', 'dt', TIMESTAMP '2024-02-29 12:00:00.5')",
    "JSON_OBJECT('t', TIME '100:00:00', 'y', CAST(2024 AS YEAR))",
    "JSON_ARRAY(CAST(0x00FF AS BINARY), REPEAT(CAST(0x01 AS BINARY), 100), b'101')",
    "JSON_OBJECT('big', REPEAT('x', 70000), 'after', JSON_ARRAY(1, 70000, -70000))",
];

/// Broken if a JSON document's text differed from what the server prints.
#[tokio::test]
async fn json_is_printed_like_the_server() {
    let ddl = "CREATE TABLE j (id bigint PRIMARY KEY, j json)";
    let Some(rig) = Rig::new(Server::MySql97, Options::default(), ddl).await else { return };
    let mut stream = rig.begin().await;
    let rows: Vec<String> = DOCUMENTS
        .iter()
        .enumerate()
        .map(|(id, document)| format!("({id}, {})", document))
        .collect();
    rig.execute(&format!("INSERT INTO j VALUES {}", rows.join(", "))).await;
    let (changes, _) = stream.transaction().await;
    let printed = rig.server.query("SELECT id, CAST(j AS CHAR) FROM j ORDER BY id").await.unwrap();
    assert_eq!(changes.len(), DOCUMENTS.len());
    for (change, row) in changes.iter().zip(&printed) {
        let expected = Value::Json(row[1].clone().unwrap().into());
        assert_eq!(inserted(change)[1], expected, "document {:?}", row[0]);
    }
    let rows: Vec<_> =
        changes.iter().map(|change| (inserted(change)[0].clone(), inserted(change))).collect();
    rig.same_beside(&rows).await;
    stream.stop().await;
}

/// Rows of one transaction keep their order, whole, through parts of bounded size.
#[tokio::test]
async fn large_transactions_come_in_parts() {
    let ddl = "CREATE TABLE t (id int PRIMARY KEY, v varchar(200));
        CREATE TABLE other_heap (id int PRIMARY KEY, v json)";
    for server in [Server::MySql97, Server::MariaDb1011] {
        let Some(rig) = Rig::new(server, Options::default(), ddl).await else { return };
        let mut stream = rig.begin().await;
        rig.execute("INSERT INTO other_heap VALUES (1, '{}');").await;
        let numbers =
            "WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n WHERE i < 900)";
        rig.execute(&format!(
            "BEGIN; INSERT INTO t {numbers} SELECT i, REPEAT('x', 200) FROM n;
             INSERT INTO t SELECT id + 1000, v FROM t ORDER BY id;
             INSERT INTO t SELECT id + 2000, v FROM t ORDER BY id; COMMIT"
        ))
        .await;
        let (mut ids, mut parts) = (Vec::new(), 0);
        loop {
            let queued = stream.parts.receive().await.unwrap();
            assert!(queued.part.bytes <= (1 << 20) + 1000 && queued.part.changes.len() <= 2000);
            ids.extend(queued.part.changes.iter().map(|change| inserted(change)[0].clone()));
            parts += usize::from(!queued.part.changes.is_empty());
            if queued.part.commit.is_some() && !ids.is_empty() {
                break;
            }
        }
        assert!(parts > 1 && ids.len() == 3600, "{parts} parts, {} rows", ids.len());
        let expected: Vec<Value> =
            (0..4).flat_map(|lap| (1..=900).map(move |id| Value::Int(lap * 1000 + id))).collect();
        assert_eq!(ids, expected);
        stream.stop().await;
    }
}

/// Broken if an enum whose labels the catalog does not show looked like a changed table for ever,
/// or a label that is a question mark were refused.
#[tokio::test]
async fn an_enum_with_an_emoji_is_refused_by_name() {
    let ddl = "CREATE TABLE e (id int PRIMARY KEY, c enum('a😀', '?') CHARACTER SET utf8mb4);
        CREATE TABLE q (id int PRIMARY KEY, c enum('?', 'COMPRESSED') CHARACTER SET utf8mb4)";
    for server in [Server::MySql97, Server::MariaDb1011] {
        let Some(rig) = Rig::new(server, Options::default(), ddl).await else { return };
        rig.halts("INSERT INTO e VALUES (1, 1)", Kind::Unsupported, "app.e.c: ").await;
        let mut stream = rig.begin().await;
        rig.execute("INSERT INTO q VALUES (1, '?'), (2, 'COMPRESSED')").await;
        let (changes, _) = stream.transaction().await;
        assert_eq!(inserted(&changes[0])[1], Value::Enum("?".into()));
        assert_eq!(inserted(&changes[1])[1], Value::Enum("COMPRESSED".into()));
        stream.stop().await;
    }
}

/// Broken if a column of the temporal format before 5.6, with a fraction, were passed over by the
/// width of one without: the columns behind it would be read from its bytes.
#[tokio::test]
async fn an_ignored_time_of_the_old_format_is_refused() {
    let ddl = "SET GLOBAL mysql56_temporal_format = OFF;
        CREATE TABLE t (id int PRIMARY KEY, d time(3), n int);
        CREATE TABLE w (id int PRIMARY KEY, d time, n int)";
    let Some(mut rig) = Rig::new(Server::MariaDb1011, Options::default(), ddl).await else {
        return;
    };
    let mut plan = weir::plan::LinkPlan::clone(&rig.plan);
    for table in &mut plan.tables {
        Arc::make_mut(table).columns.retain(|column| column.source != 1);
    }
    rig.plan = Arc::new(plan);
    rig.halts("INSERT INTO t VALUES (1, '01:02:03.456', 7)", Kind::Unsupported, "before 5.6").await;
    let mut stream = rig.begin().await;
    rig.execute("INSERT INTO w VALUES (1, '01:02:03', 7)").await;
    let (changes, _) = stream.transaction().await;
    assert_eq!(inserted(&changes[0]).to_vec(), [Value::Int(1), Value::Unchanged, Value::Int(7)]);
    stream.stop().await;
}
