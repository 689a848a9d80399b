//! Recorded binlog files of both servers (tests/fixtures/binlog), read whole, cut, and mutated.

mod odd_logs;
mod places;
mod statements;
mod two_phases;

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::config::{Deletes, Dialect, LinkName};
use crate::model::schema::{DecimalSize, JsonKind};
use crate::model::value::InvalidDate;
use crate::model::{Before, Column, Row, TableName, Type, Value};
use crate::mysql::binlog::{Checksum, Cursor};
use crate::plan::{ActingKey, TablePlan, Wanted, fixtures};
use crate::position::{MariadbGtidSet, MysqlGtidSet};

const MYSQL: &[u8] = include_bytes!("../../../tests/fixtures/binlog/mysql.bin");
const MARIADB: &[u8] = include_bytes!("../../../tests/fixtures/binlog/mariadb.bin");

/// The events of a file: header, and all bytes after it.
fn events(file: &[u8]) -> Vec<(Header, Vec<u8>)> {
    let mut cursor = Cursor::new(file.get(4..).unwrap_or_default());
    let mut events = Vec::new();
    while let Ok(header) = Header::read(&mut cursor) {
        let Some(bytes) = (header.size as usize).checked_sub(19) else { break };
        let Ok(body) = cursor.bytes(bytes) else { break };
        events.push((header, body.to_vec()));
    }
    events
}

/// The events of a file: header, and the bytes between it and the checksum.
fn without_checksums(file: &[u8]) -> Vec<(Header, Vec<u8>)> {
    let events = events(file).into_iter();
    events.map(|(header, bytes)| (header, bytes[..bytes.len() - 4].to_vec())).collect()
}

/// Feeds events to an assembler; checksums are verified where the bytes were not touched.
fn assemble(assembler: &mut Assembler, events: &[(Header, Vec<u8>)]) -> Result<Vec<Part>> {
    let mut ready = Vec::new();
    for (header, bytes) in events {
        let sum = if header.kind == 15 { Checksum::Unknown } else { Checksum::Crc32 };
        assembler.take(header, sum.strip(header, bytes)?, &mut ready)?;
    }
    Ok(ready)
}

fn empty_position(flavor: Flavor) -> Position {
    match flavor {
        Flavor::Mysql => Position::Mysql(MysqlGtidSet::default(), None),
        Flavor::Mariadb => Position::Mariadb(MariadbGtidSet::default(), None),
    }
}

fn column(name: &str, ty: Type) -> Column {
    fixtures::column(name, ty, "")
}

fn table(name: &str, columns: Vec<Column>) -> Arc<TablePlan> {
    let mut plan = fixtures::one_to_one(fixtures::keyless("app", name, columns), &[0]);
    let columns = &plan.source.columns;
    plan.columns.retain(|planned| columns[planned.source].ty != Type::Unsupported);
    Arc::new(plan)
}

fn int(bits: u8, unsigned: bool) -> Type {
    Type::Int { bits, unsigned }
}

fn odd(json: JsonKind) -> Arc<TablePlan> {
    let labels = ["", "a", "ä"].map(str::to_owned).to_vec();
    let columns = [
        ("id", int(64, false)),
        ("m", int(24, false)),
        ("mu", int(24, true)),
        ("y", Type::Year),
        ("t1", Type::Time { digits: 1 }),
        ("t2", Type::Time { digits: 2 }),
        ("t3", Type::Time { digits: 3 }),
        ("t6", Type::Time { digits: 6 }),
        ("d", Type::Date),
        ("dt", Type::Timestamp { digits: 6 }),
        ("ts", Type::Instant { digits: 3 }),
        ("c", Type::Char { chars: 5 }),
        ("v", Type::Text { chars: Some(300), bytes: None }),
        ("b", Type::Binary { bytes: 4 }),
        ("bi", Type::Bool),
        ("e", Type::Enum { labels }),
        ("n", Type::Decimal(Some(DecimalSize { precision: 20, scale: 10 }))),
        ("f", Type::F32),
        ("g", Type::F64),
        ("u", int(64, true)),
        ("s", Type::Unsupported),
        ("bits", Type::Unsupported),
        ("j", Type::Json(json)),
    ];
    table("odd", columns.map(|(name, ty)| column(name, ty)).to_vec())
}

/// The tables of the recordings.
fn tables(flavor: Flavor) -> Vec<Arc<TablePlan>> {
    let json = if flavor == Flavor::Mysql { JsonKind::Mysql } else { JsonKind::Verbatim };
    let text = Type::Text { chars: Some(20), bytes: None };
    let plain = table("plain", vec![column("id", int(32, false)), column("v", text)]);
    let old = table(
        "old",
        vec![
            column("id", int(32, false)),
            column("t", Type::Time { digits: 0 }),
            column("dt", Type::Timestamp { digits: 0 }),
            column("ts", Type::Instant { digits: 0 }),
        ],
    );
    vec![odd(json), plain, old]
}

fn assembler(flavor: Flavor) -> Assembler {
    assembler_of(flavor, tables(flavor), None)
}

fn assembler_of(
    flavor: Flavor,
    tables: Vec<Arc<TablePlan>>,
    reviewed_until: Option<Position>,
) -> Assembler {
    let link = LinkName { source: "a".to_owned(), target: "b".to_owned() };
    let plan = LinkPlan {
        link,
        source_dialect: Dialect::Mysql,
        target_dialect: Dialect::Postgres,
        tables,
        wanted: Wanted::default(),
        overlap: Vec::new(),
        remarks: Vec::new(),
    };
    let server = Server { flavor, names_by_case: true, logs_cascades: false, by_place: false };
    let from = empty_position(flavor);
    Assembler::new(Arc::new(plan), server, from, reviewed_until).expect("a plan")
}

fn changes(parts: &[Part]) -> Vec<Change> {
    parts.iter().flat_map(|part| part.changes.clone()).collect()
}

fn first_row(id: i64, m: i64, json: &str) -> Row {
    let text = |text: &str| Value::Text(text.to_owned().into());
    let none =
        |year, month, day, time_us| Value::InvalidDate(InvalidDate { year, month, day, time_us });
    let values = vec![
        Value::Int(id),
        Value::Int(m),
        Value::Int(16_777_215),
        Value::Int(0),
        Value::Time(-1_500_000),
        Value::Time(-1_500_000),
        Value::Time(-3_020_398_999_000),
        Value::Time(-1),
        none(0, 0, 0, 0),
        none(2024, 5, 0, 36_000_000_000),
        none(0, 0, 0, 0),
        text("a€"),
        text("😀"),
        Value::Bytes(b"ab\0\0".to_vec().into()),
        Value::Bool(true),
        Value::Enum("ä".into()),
        Value::Decimal("-0.0000000001".into()),
        Value::F32(0.1),
        Value::F64(-1e300),
        Value::UInt(u64::MAX),
        Value::Unchanged,
        Value::Unchanged,
        Value::Json(json.to_owned().into()),
    ];
    values.into()
}

/// The part of the recording that both servers share.
fn shared(parts: &[Part], json: &str) -> Vec<Change> {
    let changes = changes(parts);
    let first = first_row(1, -1, json);
    let renamed = first_row(3, -8_388_607, json);
    assert_eq!(changes[0].op, Op::Insert { after: first.clone() });
    let Op::Insert { after: second } = &changes[1].op else { panic!("{:?}", changes[1]) };
    assert_eq!((&second[15], &second[1]), (&Value::EnumInvalid, &Value::Null));
    let update = Op::Update { before: Some(Before::Full(first)), after: renamed };
    assert_eq!(changes[2].op, update);
    assert_eq!(changes[3].op, Op::Delete { before: Before::Full(second.clone()) });
    let ops: Vec<_> = changes[4..8].iter().map(|change| (change.table, &change.op)).collect();
    assert!(matches!(
        ops[..],
        [(1, Op::Insert { .. }), (1, Op::Insert { .. }), (1, Op::Update { .. }), (1, Op::Truncate)]
    ));
    let commits: Vec<_> = parts.iter().filter_map(|part| part.commit.as_ref()).collect();
    for pair in commits.windows(2) {
        assert!(pair[1].position.reaches(&pair[0].position));
        assert!(!pair[0].position.reaches(&pair[1].position));
        assert!(pair[0].time_us > 1_700_000_000_000_000);
    }
    changes
}

/// Broken if MySQL's log were read wrongly: each value is one that a library got wrong or could.
#[test]
fn a_recorded_mysql_log() {
    let mut assembler = assembler(Flavor::Mysql);
    let parts = assemble(&mut assembler, &events(MYSQL)).expect("a good log");
    let changes = shared(&parts, r#"{"a": 1.10, "d": "2024-02-29", "f": 1e16}"#);
    assert_eq!(changes.len(), 9);
    let tagged = parts.last().and_then(|part| part.commit.clone()).expect("a commit");
    assert!(tagged.position.to_string().contains(":mytag:1"), "{}", tagged.position);
}

/// As above for MariaDB, with the temporal types of before MySQL 5.6.
#[test]
fn a_recorded_mariadb_log() {
    let mut assembler = assembler(Flavor::Mariadb);
    let parts = assemble(&mut assembler, &events(MARIADB)).expect("a good log");
    let changes = shared(&parts, r#"{"a": 1.10, "d": "2024-02-29", "f": 1e16}"#);
    let row = |at: usize| match &changes[at].op {
        Op::Insert { after } => after.to_vec(),
        other => panic!("an insert, not {other:?}"),
    };
    let zero = Value::InvalidDate(InvalidDate { year: 0, month: 0, day: 0, time_us: 0 });
    let day = 86_400_000_000;
    assert_eq!(
        row(8),
        [
            Value::Int(1),
            Value::Time(-360_001_000_000),
            Value::Timestamp(8825 * day + day / 2),
            Value::Instant(8918 * day + 10 * 3_600_000_000),
        ]
    );
    assert_eq!(row(9), [Value::Int(2), Value::Time(0), zero.clone(), zero]);
}

/// Broken if a flipped bit on the way were applied.
#[test]
fn a_flipped_bit_is_found_by_the_checksum() {
    for at in 0..MYSQL.len() / 97 {
        let mut events = events(MYSQL);
        let count = events.len();
        let (header, bytes) = &mut events[at % count];
        let place = at * 31 % bytes.len().max(1);
        bytes[place] ^= 1 << (at % 8);
        if header.kind != 15 {
            let error = Checksum::Crc32.strip(header, bytes).expect_err("found");
            assert_eq!(error.kind(), Kind::Malformed);
        }
    }
}

/// Broken if a change of the log were applied outside of a transaction, or one inside another.
#[test]
fn events_out_of_order_are_refused() {
    let all = events(MYSQL);
    let gtids: Vec<usize> =
        (0..all.len()).filter(|at| matches!(all[*at].0.kind, 33 | 42)).collect();
    for gtid in gtids {
        let mut without = all.clone();
        without.remove(gtid);
        let error = assemble(&mut assembler(Flavor::Mysql), &without).expect_err("no GTID");
        assert_eq!(error.kind(), Kind::Malformed, "{}", error.chain());
        let mut twice = all.clone();
        twice.insert(gtid, all[gtid].clone());
        let error = assemble(&mut assembler(Flavor::Mysql), &twice).expect_err("two GTIDs");
        assert_eq!(error.kind(), Kind::Malformed, "{}", error.chain());
    }
}

proptest! {
    /// Broken if damaged bytes could bring the capture down: any event may be cut or changed at
    /// any place, behind a checksum that (by chance) matches.
    #[test]
    fn damaged_events_never_panic(
        mysql in any::<bool>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        victim in any::<prop::sample::Index>(),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let (file, flavor) =
            if mysql { (MYSQL, Flavor::Mysql) } else { (MARIADB, Flavor::Mariadb) };
        let mut events = without_checksums(file);
        let victim = victim.index(events.len());
        let bytes = &mut events[victim].1;
        for (place, byte) in &damage {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        let mut assembler = assembler(flavor);
        let mut ready = Vec::new();
        for (header, bytes) in &events {
            if assembler.take(header, bytes, &mut ready).is_err() {
                break;
            }
        }
    }
}
