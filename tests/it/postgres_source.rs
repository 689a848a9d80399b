//! The PostgreSQL capture on real servers: what the log holds arrives exactly, the slot moves only
//! as far as the target is durable, and every way to lose changes is an error.

mod chunks;
mod chunks_under_load;
mod gaps;
mod given;
mod rig;
mod streamed;

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir::config::Secret;
use weir::error::{Disposition, Error, Kind};
use weir::link::ports::Reach;
use weir::model::value::Special;
use weir::model::{Before, Commit, Op, Row, Value};
use weir::position::{Lsn, Position};
use weir::postgres::source;
use weir::sandbox::{Options, Server};

use self::rig::{PATIENCE, Rig, SLOT, follow, inserted, text};
use crate::rights::READER;

const BASE_TYPES: &str = "
CREATE TYPE mood AS ENUM ('sad', 'ok', 'a ''quoted'' one');
CREATE DOMAIN positive AS numeric(10,2) CHECK (VALUE > 0);
CREATE TABLE base (
  id bigint PRIMARY KEY, b boolean, i2 smallint, i4 integer, n numeric(12,3), nu numeric, f4 real,
  f8 double precision, c char(5), v varchar(20), t text, by bytea, d date, ti time(3),
  ts timestamp, tz timestamptz, u uuid, j json, jb jsonb, e mood, p positive)";

async fn base_types(server: Server) {
    let Some(rig) = Rig::new(server, Options::default(), BASE_TYPES).await else { return };
    let mut stream = rig.begin(1 << 20).await;
    let rows = "
        (1, true, -32768, 2147483647, 1.10, 'NaN', 0.1, '-Infinity', 'ab', 'ä ', '', '\\x00ff',
         '0044-03-15 BC', '24:00:00', '294276-12-31 23:59:59.999999', '2024-06-01 10:00:00+02',
         'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"b\" : 1}', '{\"b\": 1.10, \"a\": 2}',
         'a ''quoted'' one', 12.5)";
    rig.server.execute(&format!("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German';
        INSERT INTO base VALUES {rows}; INSERT INTO base (id, d, ts, tz) VALUES (2, 'infinity', '-infinity', 'infinity')"))
        .await.unwrap();
    let (changes, _) = stream.transaction().await;
    let (nulls, _) = match changes.len() {
        1 => stream.transaction().await,
        _ => {
            (changes[1..].to_vec(), Commit { position: stream.from.clone(), time_us: 0, xid: None })
        }
    };
    let row = inserted(&changes[0]).clone();
    let ides = rig.text("SELECT date '0044-03-15 BC' - date '2000-01-01'").await;
    let uuid = 0xa0ee_bc99_9c0b_4ef8_bb6d_6bb9_bd38_0a11_u128;
    let expected = [
        Value::Int(1),
        Value::Bool(true),
        Value::Int(-32768),
        Value::Int(2_147_483_647),
        Value::Decimal("1.100".into()),
        Value::DecimalSpecial(Special::NaN),
        Value::F32(0.1),
        Value::F64(f64::NEG_INFINITY),
        text("ab"),
        text("ä "),
        text(""),
        Value::Bytes(vec![0, 0xff].into()),
        Value::Date(ides.parse().unwrap()),
        Value::Time(86_400_000_000),
        Value::Timestamp(9_223_371_331_199_999_999),
        Value::Instant(770_544_000_000_000),
        Value::Uuid(uuid.to_be_bytes()),
        Value::Json("{\"b\" : 1}".into()),
        Value::Json("{\"a\": 2, \"b\": 1.10}".into()),
        Value::Enum("a 'quoted' one".into()),
        Value::Decimal("12.50".into()),
    ];
    assert_eq!(*row, expected);
    let nulls = inserted(&nulls[0]);
    assert_eq!((&nulls[12], &nulls[14]), (&Value::Infinity, &Value::NegativeInfinity));
    assert_eq!((&nulls[15], &nulls[10]), (&Value::Infinity, &Value::Null));
    read_beside(&rig, &row).await;
    stream.stop().await;
}

/// A row read beside the stream is the row of the stream.
async fn read_beside(rig: &Rig, streamed: &Row) {
    let mut scan = rig.scan().await;
    let keys = [Row::from(vec![Value::Int(7)]), Row::from(vec![Value::Int(1)])];
    let scanned = scan.read_rows(&rig.plan.tables[0], &keys).await.unwrap();
    assert_eq!(scanned.rows, [None, Some(streamed.clone())]);
    assert!(scanned.high.reaches(&scanned.low));
    assert_eq!(scanned.in_progress, Vec::<u32>::new());
    let walk = scan.divide(&rig.plan.tables[0], 1).await.unwrap().walk;
    let (rows_max, bytes_max) = (1, 1 << 20);
    let reach = Reach { walk, condition: None, after: None, until: None, rows_max, bytes_max };
    let chunk = scan.read_chunk(&rig.plan.tables[0], &reach).await.unwrap().unwrap();
    assert_eq!(chunk.rows, std::slice::from_ref(streamed));
}

/// Broken if a type arrived changed, or the server's own settings leaked into the text, or a row
/// read beside the stream differed from the streamed one.
#[tokio::test]
async fn every_base_type_arrives_exactly_15() {
    base_types(Server::Postgres15).await;
}

/// As above.
#[tokio::test]
async fn every_base_type_arrives_exactly_18() {
    base_types(Server::Postgres18).await;
}

async fn images(server: Server) {
    let ddl = "CREATE TABLE d (id int PRIMARY KEY, v text, big text);
        CREATE TABLE f (id int PRIMARY KEY, v text, big text); ALTER TABLE f REPLICA IDENTITY FULL";
    let Some(rig) = Rig::new(server, Options::default(), ddl).await else { return };
    let mut stream = rig.begin(1 << 20).await;
    // Random, so that it is stored out of line even when compressed.
    let big = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 500) i)";
    rig.server
        .execute(&format!("BEGIN; INSERT INTO d VALUES (1, 'a', {big}); INSERT INTO f VALUES (1, 'a', {big}); COMMIT"))
        .await
        .unwrap();
    let (changes, commit) = stream.transaction().await;
    let big = inserted(&changes[0])[2].clone();
    assert_eq!((changes.len(), big.heap_bytes()), (2, 16_000));
    assert!(commit.xid.is_some() && commit.time_us > 1_700_000_000_000_000);
    rig.server
        .execute(
            "BEGIN; UPDATE d SET v = 'b'; UPDATE f SET v = 'b'; UPDATE d SET id = 2;
                  DELETE FROM d; DELETE FROM f; TRUNCATE d, f; COMMIT",
        )
        .await
        .unwrap();
    let (changes, next) = stream.transaction().await;
    assert!(next.position.reaches(&commit.position) && next.position != commit.position);
    let key = |id| Row::from(vec![Value::Int(id), Value::Unchanged, Value::Unchanged]);
    let row = |id, v, big: &Value| Row::from(vec![Value::Int(id), text(v), big.clone()]);
    let ops: Vec<Op> = changes.into_iter().map(|change| change.op).collect();
    assert_eq!(
        ops,
        [
            Op::Update { before: None, after: row(1, "b", &Value::Unchanged) },
            Op::Update { before: Some(Before::Full(row(1, "a", &big))), after: row(1, "b", &big) },
            Op::Update { before: Some(Before::Key(key(1))), after: row(2, "b", &Value::Unchanged) },
            Op::Delete { before: Before::Key(key(2)) },
            Op::Delete { before: Before::Full(row(1, "b", &big)) },
            Op::Truncate,
            Op::Truncate,
        ]
    );
    stream.stop().await;
}

/// Broken if unchanged TOAST became NULL, a key change or a delete lost its old key, or one
/// transaction fell apart.
#[tokio::test]
async fn images_say_what_the_log_knows() {
    images(Server::Postgres15).await;
    images(Server::Postgres18).await;
}

/// Broken if a slow target made the source cut the stream.
#[tokio::test]
async fn a_full_queue_keeps_the_stream_alive() {
    let ddl = "CREATE TABLE t (id int PRIMARY KEY, v text)";
    let options = Options::default().set("wal_sender_timeout", "2s");
    let Some(rig) = Rig::new(Server::Postgres15, options, ddl).await else { return };
    let mut stream = rig.begin(64 << 10).await;
    let rows = 50_000;
    rig.server
        .execute(&format!(
            "INSERT INTO t SELECT i, repeat('x', 200) FROM generate_series(1, {rows}) i"
        ))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(!stream.task.is_finished(), "{:?}", stream.task.await);
    let (changes, _) = stream.transaction().await;
    assert_eq!(changes.len(), rows);
    assert_eq!(inserted(&changes[rows - 1])[0], Value::Int(50_000));
    rig.server.execute("INSERT INTO t VALUES (0, 'after')").await.unwrap();
    assert_eq!(stream.transaction().await.0.len(), 1);
    stream.stop().await;
}

/// Broken if weir streamed on over a hole, or took a slot from somebody else.
#[tokio::test]
async fn a_slot_in_use_waits_and_a_lost_one_is_a_gap() {
    let ddl = "CREATE TABLE t (id int PRIMARY KEY)";
    let Some(rig) = Rig::new(Server::Postgres18, Options::default(), ddl).await else { return };
    let stream = rig.begin(1 << 20).await;
    while rig.text("SELECT active FROM pg_replication_slots").await != "t" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let witness = stream.from.clone();
    let mut second = rig.source().await;
    assert_eq!(second.identity().split('/').count(), 2);
    let busy = second.check_resume(&witness).await.unwrap_err();
    assert_eq!(busy.kind(), Kind::SourceBusy, "{busy:?}");
    let busy =
        follow(rig.source().await, witness.clone(), 1 << 20).task.await.unwrap().unwrap_err();
    assert_eq!(busy.kind(), Kind::SourceBusy, "{busy:?}");
    assert_eq!(second.begin().await.unwrap_err().kind(), Kind::SourceBusy);
    let before = Position::Postgres(Lsn(1));
    assert_eq!(second.check_resume(&before).await.unwrap_err().kind(), Kind::Gap);
    stream.stop().await;
    second.check_resume(&witness).await.unwrap();
    rig.server.execute(&format!("SELECT pg_drop_replication_slot('{SLOT}')")).await.unwrap();
    let gone = second.check_resume(&witness).await.unwrap_err();
    assert_eq!(gone.kind(), Kind::Gap, "{gone:?}");
    let gone = follow(rig.source().await, witness, 1 << 20).task.await.unwrap().unwrap_err();
    assert_eq!(gone.kind(), Kind::Gap, "{gone:?}");
    rig.server.execute(&format!("DROP PUBLICATION {SLOT}")).await.unwrap();
    assert_eq!(second.begin().await.unwrap_err().kind(), Kind::Setting);
}

/// Broken if a row that the scan cannot see yet were taken as the present one: a commit that waits
/// for a standby is in the stream before anybody sees it (correctness.md 8).
#[tokio::test]
async fn a_commit_that_waits_for_a_standby_is_in_progress_for_the_scan() {
    let ddl = "CREATE TABLE t (id int PRIMARY KEY)";
    let Some(rig) = Rig::new(Server::Postgres18, Options::default(), ddl).await else { return };
    let mut stream = rig.begin(1 << 20).await;
    let mut scan = rig.scan().await;
    let client = rig.server.connect_pg().await.unwrap();
    client.batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let waiting = rig.server.connect_pg().await.unwrap();
    let insert = tokio::spawn(async move {
        waiting
            .batch_execute("SET synchronous_commit = 'on'; INSERT INTO t VALUES (1)")
            .await
            .unwrap();
    });
    let (_, commit) = stream.transaction().await;
    assert!(!insert.is_finished(), "the commit does not wait");
    let key = [Row::from(vec![Value::Int(1)])];
    let scanned = scan.read_rows(&rig.plan.tables[0], &key).await.unwrap();
    assert_eq!(scanned.rows, [None]);
    assert!(scanned.low.reaches(&commit.position));
    assert_eq!(scanned.in_progress, [commit.xid.unwrap()]);
    let walk = scan.divide(&rig.plan.tables[0], 1).await.unwrap().walk;
    let (rows_max, bytes_max) = (10, 1 << 20);
    let reach = Reach { walk, condition: None, after: None, until: None, rows_max, bytes_max };
    let chunk = scan.read_chunk(&rig.plan.tables[0], &reach).await.unwrap().unwrap();
    assert_eq!((chunk.rows.len(), chunk.last, chunk.ended), (0, None, true));
    assert!(chunk.low.reaches(&commit.position));
    assert_eq!(chunk.in_progress, [commit.xid.unwrap()]);
    client.batch_execute("ALTER SYSTEM RESET synchronous_standby_names").await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    tokio::time::timeout(PATIENCE, insert).await.unwrap().unwrap();
    let scanned = scan.read_rows(&rig.plan.tables[0], &key).await.unwrap();
    assert_eq!((scanned.rows[0].is_some(), scanned.in_progress.len()), (true, 0));
    stream.stop().await;
}

/// Broken if weir held up the source's shutdown, or did not come back after it.
#[tokio::test]
async fn a_restart_of_the_source_is_quick_and_survived() {
    for server in [Server::Postgres15, Server::Postgres18] {
        let ddl = "CREATE TABLE t (id int PRIMARY KEY)";
        let Some(mut rig) = Rig::new(server, Options::default(), ddl).await else { return };
        let mut stream = rig.begin(1 << 20).await;
        rig.server.execute("INSERT INTO t VALUES (1)").await.unwrap();
        assert_eq!(stream.transaction().await.0.len(), 1);
        let start = Instant::now();
        rig.server.restart().await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(10), "shutdown waited for the slot");
        let ended = tokio::time::timeout(PATIENCE, stream.task).await.unwrap().unwrap();
        let error = ended.unwrap_err();
        assert_eq!(error.disposition(), Disposition::Retry, "{error:?}");
        let mut source = rig.source().await;
        source.check_resume(&stream.from).await.unwrap();
        let mut again = follow(source, stream.from, 1 << 20);
        assert_eq!(again.transaction().await.0.len(), 1, "the unacknowledged row comes again");
        again.stop().await;
    }
}

/// Broken if a login method that servers use were not known, or a wrong password were not told from
/// what may pass by itself.
#[tokio::test]
async fn every_login_method_works_and_a_wrong_password_is_told() {
    let ddl = "CREATE TABLE t (id int PRIMARY KEY);
        SET password_encryption = 'md5'; CREATE ROLE md REPLICATION LOGIN PASSWORD 'p w';
        CREATE ROLE clear REPLICATION LOGIN PASSWORD 'p w'; CREATE ROLE trusted REPLICATION LOGIN;
        CREATE ROLE plain LOGIN PASSWORD 'p w';
        GRANT CONNECT ON DATABASE app TO md, clear, trusted, plain;
        GRANT USAGE ON SCHEMA public TO plain";
    let Some(mut rig) = Rig::new(Server::Postgres18, Options::default(), ddl).await else { return };
    let methods = "host all md,plain 127.0.0.1/32 md5\nhost all clear 127.0.0.1/32 password\n\
                   host all trusted 127.0.0.1/32 trust\n";
    let file = rig.text("SHOW hba_file").await;
    let old = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{methods}{old}")).unwrap();
    rig.server.execute("SELECT pg_reload_conf()").await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let secret =
        |text: &str| Some(Secret::Command(["printf", "%s", text].map(str::to_owned).into()));
    // The last one has too few rights, and goes on with just enough.
    for (user, password, outcome) in [
        ("md", secret("p w"), None),
        ("clear", secret("p w"), None),
        ("trusted", None, None),
        ("md", secret("wrong"), Some(Kind::PasswordRefused)),
        ("md", None, Some(Kind::Authentication)),
        (READER, secret("wrong"), Some(Kind::PasswordRefused)),
        ("plain", secret("p w"), Some(Kind::Privilege)),
    ] {
        rig.database.user = user.to_owned();
        rig.database.password = password;
        let opened = source::open(&rig.context, &rig.database, Arc::clone(&rig.plan)).await;
        let error = opened.err();
        assert_eq!(error.as_ref().map(Error::kind), outcome, "{user}: {error:?}");
    }
    rig.server.execute("ALTER ROLE plain REPLICATION; GRANT SELECT ON t TO plain").await.unwrap();
    let mut stream = rig.begin(1 << 20).await;
    rig.server.execute("INSERT INTO t VALUES (1)").await.unwrap();
    let (changes, _) = stream.transaction().await;
    read_beside(&rig, inserted(&changes[0])).await;
    stream.stop().await;
    rig.database.port = 1;
    let opened = source::open(&rig.context, &rig.database, Arc::clone(&rig.plan)).await;
    assert_eq!(opened.err().map(|error| error.kind()), Some(Kind::Connection));
}
