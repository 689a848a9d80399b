//! Recorded messages against plans of their tables, and against plans that no longer fit.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::config::{Dialect, LinkName};
use crate::model::Column;
use crate::model::Value;
use crate::model::schema::{DecimalSize, Type};
use crate::plan::fixtures::{self, column, one_to_one};
use crate::plan::{ColumnPlan, Wanted};
use crate::postgres::pgoutput::tests::recorded;

const INT4: Type = Type::Int { bits: 32, unsigned: false };
const TEXT: Type = Type::Text { chars: None, bytes: None };
const VARCHAR20: Type = Type::Text { chars: Some(20), bytes: None };

fn table(name: &str, columns: Vec<Column>, key: usize) -> TablePlan {
    one_to_one(fixtures::keyless("public", name, columns), &[key])
}

fn d() -> TablePlan {
    let mood = Type::Enum { labels: vec!["sad".to_owned(), "ok".to_owned()] };
    let decimal = |precision, scale| Type::Decimal(Some(DecimalSize { precision, scale }));
    let columns = vec![
        column("id", INT4, "integer"),
        column("v", VARCHAR20, "character varying(20)"),
        column("big", TEXT, "text"),
        column("m", mood, "public.mood"),
        column("p", decimal(10, 2), "numeric(10,2)"),
        column("n", decimal(12, 3), "numeric(12,3)"),
        column("at", Type::Instant { digits: 3 }, "timestamp(3) with time zone"),
    ];
    table("d", columns, 0)
}

fn f() -> TablePlan {
    let columns = vec![
        column("id", INT4, "integer"),
        column("v", VARCHAR20, "character varying(20)"),
        column("big", TEXT, "text"),
    ];
    table("f", columns, 0)
}

fn i() -> TablePlan {
    let columns = vec![
        column("id", INT4, "integer"),
        column("code", Type::Char { chars: 6 }, "character(6)"),
        column("v", TEXT, "text"),
    ];
    table("i", columns, 1)
}

fn assembler(tables: Vec<TablePlan>, reviewed: Option<Lsn>) -> Assembler {
    let plan = LinkPlan {
        link: LinkName { source: "a".to_owned(), target: "b".to_owned() },
        source_dialect: Dialect::Postgres,
        target_dialect: Dialect::Mysql,
        tables: tables.into_iter().map(Arc::new).collect(),
        wanted: Wanted::default(),
        overlap: Vec::new(),
        remarks: Vec::new(),
    };
    Assembler::new(Arc::new(plan), Members::default(), reviewed)
}

/// Feeds recorded messages; returns the parts and the error that ended it.
fn feed(assembler: &mut Assembler, messages: &[Bytes]) -> (Vec<Part>, Option<Error>) {
    let mut parts = Vec::new();
    for message in messages {
        match assembler.push(message) {
            Ok(part) => parts.extend(part),
            Err(error) => return (parts, Some(error)),
        }
    }
    (parts, None)
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// Broken if a recorded change were read as another, of either server version.
#[test]
fn recorded_transactions_become_changes() {
    for version in ["15", "18"] {
        let mut assembler = assembler(vec![d(), f(), i()], None);
        let (parts, error) = feed(&mut assembler, &recorded(version));
        let error = error.expect("the added column");
        assert_eq!(error.kind(), Kind::SchemaChanged);
        assert!(error.to_string().contains("column `extra` is new"), "{error}");
        let sizes: Vec<usize> = parts.iter().map(|part| part.changes.len()).collect();
        assert_eq!(sizes, [3, 3, 2, 0], "{version}");
        assert!(parts.iter().all(|part| part.commit.is_some() && !part.idle));
        let Op::Insert { after } = &parts[0].changes[0].op else { panic!("an insert") };
        assert_eq!(after[..2], [Value::Int(1), text("one")]);
        let known = [
            Value::Enum("ok".into()),
            Value::Decimal("12.50".into()),
            Value::Decimal("1.100".into()),
            Value::Instant(770_544_000_000_000),
        ];
        assert_eq!(after[3..], known);
        let Op::Update { before: None, after } = &parts[1].changes[0].op else { panic!() };
        assert_eq!(after[..3], [Value::Int(1), text("two"), Value::Unchanged]);
        let Op::Update { before: Some(Before::Full(before)), after } = &parts[1].changes[1].op
        else {
            panic!("a full image")
        };
        assert!(before[2].is_known() && before[2] == after[2], "TOAST of the old row is lost");
        let Op::Update { before: Some(Before::Key(key)), .. } = &parts[2].changes[1].op else {
            panic!("a key image")
        };
        assert_eq!(**key, [Value::Unchanged, text("ab"), Value::Unchanged]);
    }
}

/// Broken if a table that nobody replicates stopped a link, or a truncate of several tables lost
/// one.
#[test]
fn only_planned_tables_matter() {
    let (parts, error) = feed(&mut assembler(vec![f(), i()], None), &recorded("15"));
    assert!(error.is_none(), "{error:?}");
    let sizes: Vec<usize> = parts.iter().map(|part| part.changes.len()).collect();
    assert_eq!(sizes, [2, 2, 1, 0, 0, 1, 2]);
    assert_eq!(parts[6].changes[1], Change { table: 0, op: Op::Truncate, reshaped: false });
    let positions = parts.iter().filter_map(|part| part.commit.as_ref());
    let positions: Vec<_> = positions.map(|commit| &commit.position).collect();
    assert!(positions.windows(2).all(|pair| pair[1].reaches(pair[0])));
}

/// Broken if a person's review did not let the log pass, or let through what came after it.
#[test]
fn a_review_reaches_up_to_its_position() {
    let messages = recorded("15");
    let (parts, error) = feed(&mut assembler(vec![d()], Some(Lsn(u64::MAX))), &messages);
    assert!(error.is_none(), "{error:?}");
    let Op::Insert { after } = &parts[4].changes[0].op else { panic!("an insert") };
    assert_eq!(after[..2], [Value::Int(3), text("three")]);
    let special = Value::DecimalSpecial(crate::model::value::Special::NaN);
    assert_eq!(after[5..], [special, Value::Infinity]);

    let mut narrow = d();
    narrow.source.columns.push(column("later", INT4, "integer"));
    narrow.columns.push(ColumnPlan { source: 7, ..narrow.columns[0].clone() });
    let Ok(Message::Commit { end_lsn, .. }) = pgoutput::parse(&messages[11]) else { panic!() };
    let (parts, error) = feed(&mut assembler(vec![narrow], Some(end_lsn)), &messages);
    let Op::Insert { after } = &parts[0].changes[0].op else { panic!("an insert") };
    assert_eq!(after[7], Value::Unchanged, "a column the log did not have yet");
    let error = error.expect("the next transaction is not reviewed");
    assert!(error.to_string().contains("column `later` is gone"), "{error}");
    assert_eq!(parts.len(), 1);
}

fn difference(tables: Vec<TablePlan>, by_oid: HashMap<u32, usize>) -> String {
    let mut assembler = assembler(tables, None);
    assembler.members.planned = by_oid;
    let (_, error) = feed(&mut assembler, &recorded("15"));
    let error = error.expect("a difference");
    assert_eq!(error.kind(), Kind::SchemaChanged, "{error:?}");
    error.to_string()
}

/// Broken if a table dropped and made again under its name were read as the one that was planned.
#[test]
fn a_table_made_again_is_named() {
    let text = difference(vec![d(), f()], HashMap::from([(1, 0), (2, 1)]));
    assert!(text.contains("it was dropped and made again"), "{text}");
}

/// Broken if a review of something else passed over rows of a partition that nobody knows, or if one of
/// that very halt did not get beyond it.
#[test]
fn a_review_settles_what_it_was_told() {
    let met = |told: Vec<String>| {
        let mut assembler = assembler(vec![i()], Some(Lsn(u64::MAX)));
        assembler.members.partitions.insert(0, Default::default());
        assembler.settle(told);
        feed(&mut assembler, &recorded("15")).1.map(|error| error.chain())
    };
    let first = met(Vec::new()).expect("a stranger");
    assert!(first.contains("is not known"), "{first}");
    assert_eq!(met(vec!["something else".to_owned()]), Some(first.clone()));
    assert_ne!(met(vec![first.clone()]), Some(first));
}

/// Broken if rows of a table that became a partition after weir had looked at the catalog were taken for
/// those of a table that nobody wants.
#[test]
fn what_the_catalog_could_not_tell_is_asked_again() {
    let messages = recorded("15");
    let described = || {
        let mut assembler = assembler(vec![i()], None);
        assembler.members.partitions.insert(0, Default::default());
        let at = messages.iter().position(|message| {
            assembler.push(message).expect("no rows yet");
            assembler.is_unsettled()
        });
        (assembler, &messages[at.expect("a relation") + 1])
    };
    let (mut assembler, rows) = described();
    let oid = assembler.unsettled[0].0;
    let mut joined = Members::other_tables(&[]);
    joined.planned.insert(oid, 0);
    assert_eq!(assembler.renew(joined).expect_err("anew").kind(), Kind::Unavailable);
    assembler.renew(Members::other_tables(&[oid])).expect("still a table");
    assert!(!assembler.is_unsettled());
    assembler.push(rows).expect("rows of a table that nobody wants");
    let (mut assembler, rows) = described();
    assembler.renew(Members::default()).expect("gone");
    assert!(assembler.push(rows).expect_err("a stranger").to_string().contains("not there"));
}

/// Broken if a few wanted bytes held a whole buffer that no bound counts, or a large value were
/// copied without need.
#[test]
fn only_what_is_kept_is_held() {
    let row = |id: &str, large: usize| {
        let mut bytes = b"I\0\0\0\x07N\0\x03".to_vec();
        for cell in [id, "short", &"x".repeat(large)] {
            bytes.push(b't');
            bytes.extend(u32::try_from(cell.len()).expect("length").to_be_bytes());
            bytes.extend(cell.as_bytes());
        }
        Bytes::from(bytes)
    };
    let relation = Relation {
        oid: 7,
        schema: "public",
        table: "f",
        identity: b'f',
        columns: ["id", "v", "big"]
            .map(|name| pgoutput::RelationColumn {
                key: true,
                name,
                type_oid: if name == "id" { 23 } else { 25 },
                type_modifier: -1,
            })
            .to_vec(),
    };
    let held = |columns: usize, large: usize| {
        let mut plan = f();
        plan.source.columns[1].ty = TEXT;
        plan.columns.truncate(columns);
        let mut assembler = assembler(vec![plan], None);
        assembler.describe(&relation);
        let open =
            Transaction { final_lsn: Lsn(1), xid: 1, time_us: 0, changed: false, mark: None };
        assembler.open = Some(open);
        let payload = row("1", large);
        let part = assembler.push(&payload).expect("a row");
        let bytes = part.as_ref().map_or(assembler.part.bytes, |part| part.bytes);
        (payload.is_unique(), bytes > large)
    };
    assert_eq!(held(3, 1 << 20), (false, true), "shared and counted");
    assert_eq!(held(3, 1 << 10), (true, true), "copied and counted");
    assert_eq!(held(2, 1 << 20), (true, false), "neither held nor counted");
}

/// Broken if an ALTER that bends data went unnoticed.
#[test]
fn every_kind_of_difference_is_named() {
    let changed = |at: usize, ty: Type, native: &str| {
        let mut plan = d();
        plan.source.columns[at].ty = ty;
        plan.source.columns[at].native = native.to_owned();
        difference(vec![plan], HashMap::new())
    };
    let wider = changed(1, Type::Text { chars: Some(30), bytes: None }, "character varying(30)");
    assert!(wider.contains("column `v` was character varying(30)"), "{wider}");
    let mood = Type::Enum { labels: Vec::new() };
    assert!(changed(3, mood, "public.other").contains("`m` was public.other and is mood"));
    assert!(changed(4, INT4, "integer").contains("`p` was integer and is numeric"));
    let digits = Type::Instant { digits: 6 };
    assert!(changed(6, digits, "timestamp with time zone").contains("`at`"));
    let mut keyed = d();
    keyed.key = vec![1];
    let identity = difference(vec![keyed], HashMap::new());
    assert!(identity.contains("replica identity does not hold `v`"), "{identity}");
    let mut renamed = f();
    renamed.source.name.table = "before".to_owned();
    let messages = recorded("15");
    let Ok(Message::Relation(relation)) = pgoutput::parse(&messages[5]) else { panic!() };
    let renamed = difference(vec![renamed], HashMap::from_iter([(relation.oid, 0)]));
    assert!(renamed.contains("it is called public.f"), "{renamed}");
}

/// Broken if a large transaction were held in memory as a whole, or its end were lost.
#[test]
fn a_large_transaction_travels_in_parts() {
    let messages = recorded("15");
    let mut assembler = assembler(vec![f()], None);
    let (mut parts, _) = feed(&mut assembler, &messages[..6]);
    for _ in 0..2 * PART_CHANGES_MAX {
        parts.extend(assembler.push(&messages[6]).expect("an insert"));
    }
    parts.extend(assembler.push(&messages[11]).expect("the commit"));
    assert!(parts.len() > 2);
    assert!(parts.iter().all(|part| part.bytes < PART_BYTES_MAX + (1 << 17)));
    assert!(parts.iter().all(|part| part.changes.len() <= PART_CHANGES_MAX));
    let total: usize = parts.iter().map(|part| part.changes.len()).sum();
    assert_eq!(total, 2 * PART_CHANGES_MAX);
    let ends: Vec<bool> = parts.iter().map(|part| part.commit.is_some()).collect();
    assert_eq!(ends.iter().filter(|end| **end).count(), 1);
    assert_eq!(ends.last(), Some(&true));
}

/// Broken if messages out of order were applied as they come.
#[test]
fn order_is_checked() {
    let messages = recorded("15");
    for order in [&[6][..], &[11], &[0, 0], &[0, 6], &[0, 17]] {
        let mut assembler = assembler(vec![f()], None);
        let chosen: Vec<Bytes> = order.iter().map(|at| messages[*at].clone()).collect();
        let (_, error) = feed(&mut assembler, &chosen);
        assert_eq!(error.expect("out of order").kind(), Kind::Malformed, "{order:?}");
    }
}

proptest! {
    /// Broken if damaged messages could stop weir, in whatever state it is.
    #[test]
    fn damage_never_panics(
        damage in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()),
            1..8,
        ),
    ) {
        let mut messages = recorded("18");
        for (pick, at, byte) in damage {
            let pick = pick.index(messages.len());
            let mut message = messages[pick].to_vec();
            let at = at.index(message.len().min(200));
            message[at] = byte;
            messages[pick] = message.into();
        }
        let mut assembler = assembler(vec![d(), f(), i()], Some(Lsn(u64::MAX)));
        for message in &messages {
            let _ = assembler.push(message);
        }
    }
}
