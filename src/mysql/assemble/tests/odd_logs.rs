//! The recordings, rearranged as servers write them in rare cases, or read by another plan.

use super::*;

const FORMAT: u8 = 15;
const TABLE_MAP: u8 = 19;
const XID: u8 = 16;
const FILLER: u64 = 0xFF_FFFF;

fn take_all(assembler: &mut Assembler, events: &[(Header, Vec<u8>)]) -> Result<Vec<Part>> {
    let mut ready = Vec::new();
    for (header, body) in events {
        assembler.take(header, body, &mut ready)?;
    }
    Ok(ready)
}

fn is_rows(kind: u8) -> bool {
    matches!(kind, 23..=25 | 30..=32)
}

fn with_id(body: &mut [u8], id: u64) {
    body[..6].copy_from_slice(&id.to_le_bytes()[..6]);
}

/// A transaction begins, with a BEGIN where it is `begun`.
fn begin(assembler: &mut Assembler, begun: bool) {
    let opening = Opening { time_us: None, begun, two_phase: false };
    assembler.begin(&Header::default(), &Gtid::None, opening).expect("a transaction");
}

/// Broken if the rows of a table were left out because it got the id that fillers have, or a
/// filler halted the link.
#[test]
fn a_table_may_have_the_id_of_fillers() {
    let mut events = without_checksums(MYSQL);
    let expected = take_all(&mut assembler(Flavor::Mysql), &events).expect("a good log");
    for (header, body) in &mut events {
        if header.kind == TABLE_MAP || is_rows(header.kind) {
            with_id(body, FILLER);
        }
    }
    let found = take_all(&mut assembler(Flavor::Mysql), &events).expect("a good log");
    assert_eq!(changes(&found), changes(&expected));

    let first = events.iter().position(|(header, _)| header.kind == TABLE_MAP).expect("a map");
    let header = Header { kind: 30, ..Header::default() };
    let mut filler = vec![0; 10];
    with_id(&mut filler, FILLER);
    filler[8] = 2;
    filler.extend([1, 1]);
    let mut assembler = assembler(Flavor::Mysql);
    take_all(&mut assembler, &events[..first]).expect("a good log");
    assembler.take(&header, &filler, &mut Vec::new()).expect("nothing to do");
    filler.push(0);
    let error = assembler.take(&header, &filler, &mut Vec::new()).expect_err("rows of no table");
    assert_eq!(error.kind(), Kind::Malformed, "{}", error.chain());
}

/// Broken if a file with very many tables halted the link between a table's map and its rows.
#[test]
fn very_many_tables_in_one_statement() {
    let events = without_checksums(MYSQL);
    let expected = take_all(&mut assembler(Flavor::Mysql), &events).expect("a good log");
    let at = events.iter().position(|(header, _)| is_rows(header.kind)).expect("rows");
    let (header, map) = events[..at].last().cloned().expect("a map");
    let others = (1_000_000..1_010_000).map(|id| {
        let mut map = map.clone();
        with_id(&mut map, id);
        (header, map)
    });
    let all: Vec<_> =
        events[..at].iter().cloned().chain(others).chain(events[at..].iter().cloned()).collect();
    let found = take_all(&mut assembler(Flavor::Mysql), &all).expect("a good log");
    assert_eq!(changes(&found), changes(&expected));
}

/// Broken if a transaction that the server gave up at a crash were applied, halted the link for
/// ever, or was left out after a part of it had been handed on.
#[test]
fn what_a_crash_left_unfinished_is_left_out() {
    let events = without_checksums(MARIADB);
    let whole = take_all(&mut assembler(Flavor::Mariadb), &events).expect("a good log");
    let end = events.iter().position(|(header, _)| header.kind == XID).expect("a commit");
    let mut format = events.iter().find(|(header, _)| header.kind == FORMAT).expect("one").clone();
    for (created, handed_on) in [(1, false), (0, false), (1, true)] {
        format.1[52..56].copy_from_slice(&u32::to_le_bytes(created));
        let mut assembler = assembler(Flavor::Mariadb);
        let before = take_all(&mut assembler, &events[..end]).expect("a good log");
        assembler.open.as_mut().expect("a transaction").handed_on = handed_on;
        let mut restarted = vec![format.clone()];
        restarted.extend_from_slice(&events[end + 1..]);
        let after = take_all(&mut assembler, &restarted);
        match (created, handed_on) {
            (1, false) => {
                let found = [changes(&before), changes(&after.expect("left out"))].concat();
                let expected = changes(&whole);
                assert!(!found.is_empty() && found.len() < expected.len());
                assert!(found.iter().all(|change| expected.contains(change)));
            }
            (_, handed_on) => {
                let error = after.expect_err("not understood");
                let kind = if handed_on { Kind::Unsupported } else { Kind::Malformed };
                assert_eq!(error.kind(), kind, "{}", error.chain());
            }
        }
    }
}

/// The tables of a recording, the table at `index` planned otherwise.
fn otherwise(
    flavor: Flavor,
    index: usize,
    change: impl FnOnce(&mut TablePlan),
) -> Vec<Arc<TablePlan>> {
    let mut tables = tables(flavor);
    change(Arc::make_mut(&mut tables[index]));
    tables
}

/// Broken if a small value kept the memory of a large one that nobody replicates.
#[test]
fn values_do_not_pin_what_is_passed_over() {
    const CHAR: usize = 11;
    const VARCHAR: usize = 12;
    let events = without_checksums(MYSQL);
    let tables = otherwise(Flavor::Mysql, 0, |odd| odd.columns.retain(|one| one.source != VARCHAR));
    let parts = take_all(&mut assembler_of(Flavor::Mysql, tables, None), &events);
    let parts = parts.expect("a good log");
    let row = match &parts.iter().find_map(|part| part.changes.first()).expect("one").op {
        Op::Insert { after } => after,
        other => panic!("an insert, not {other:?}"),
    };
    assert_eq!(row[VARCHAR], Value::Unchanged);
    let Value::Text(text) = &row[CHAR] else { panic!("text") };
    assert!(text.as_bytes().is_unique(), "it shares the memory of the event");
}

/// Broken if rows from before a reviewed change were taken for whole although a planned column had
/// another name or type, or were read again without need.
#[test]
fn rows_from_before_a_reviewed_change() {
    let events = without_checksums(MYSQL);
    let whole = take_all(&mut assembler(Flavor::Mysql), &events).expect("a good log");
    let until = whole.iter().filter_map(|part| part.commit.clone()).next_back().expect("one");
    let read = |change: fn(&mut TablePlan)| {
        let tables = otherwise(Flavor::Mysql, 1, change);
        let until = Some(until.position.clone());
        let parts = take_all(&mut assembler_of(Flavor::Mysql, tables, until), &events)?;
        Ok::<_, Error>(changes(&parts).into_iter().filter(|one| one.table == 1).collect::<Vec<_>>())
    };
    let renamed = read(|plain| plain.source.columns[1].name = "w".to_owned());
    let retyped = read(|plain| plain.source.columns[1].ty = Type::Date);
    for found in [renamed.expect("renamed"), retyped.expect("retyped")] {
        let Op::Insert { after } = &found[0].op else { panic!("an insert: {found:?}") };
        assert_eq!(after[1], Value::Unchanged);
        let again = |change: &Change| matches!(change.op, Op::Insert { .. } | Op::Update { .. });
        assert!(found.iter().all(|change| change.reshaped == again(change)), "{found:?}");
    }
    let ignored = read(|plain| {
        plain.source.columns[1].name = "w".to_owned();
        plain.columns.truncate(1);
    });
    assert!(ignored.expect("of no concern").iter().all(|change| !change.reshaped));
    let error = read(|plain| plain.source.columns[0].name = "key".to_owned()).expect_err("no key");
    assert_eq!(error.kind(), Kind::Unsupported, "{}", error.chain());
    assert!(error.chain().contains("do not hold key of the match key"), "{}", error.chain());
}

/// Broken if two columns that changed places were taken for each other.
#[test]
fn columns_in_another_order_are_a_change() {
    let tables = otherwise(Flavor::Mysql, 1, |plain| plain.source.columns.swap(0, 1));
    let error = take_all(&mut assembler_of(Flavor::Mysql, tables, None), &without_checksums(MYSQL));
    let error = error.expect_err("changed");
    assert_eq!(error.kind(), Kind::SchemaChanged, "{}", error.chain());
    assert!(error.chain().contains("another order"), "{}", error.chain());
}

/// Broken if a column of the old temporal format, whose width the log does not tell, were passed
/// over by the wrong width: the columns behind it would shift.
#[test]
fn an_old_temporal_column_with_a_fraction_is_refused_even_if_ignored() {
    let events = without_checksums(MARIADB);
    for fraction in [0, 3] {
        let tables = otherwise(Flavor::Mariadb, 2, |old| {
            old.source.columns[1].ty = Type::Time { digits: fraction };
            old.columns.retain(|one| one.source != 1);
        });
        let parts = take_all(&mut assembler_of(Flavor::Mariadb, tables, None), &events);
        match parts {
            Ok(_) => assert_eq!(fraction, 0),
            Err(error) => {
                assert_eq!((fraction, error.kind()), (3, Kind::Unsupported), "{}", error.chain());
                assert!(error.chain().contains("app.old.t"), "{}", error.chain());
            }
        }
    }
}

/// Broken if a statement that cannot be applied passed, or went on to halt the link after a person
/// had seen to it.
#[test]
fn a_review_lets_statements_pass() {
    let take = |text: &str, reviewed: bool, logs_cascades: bool| {
        let until = reviewed.then(|| empty_position(Flavor::Mysql));
        let mut assembler = assembler_of(Flavor::Mysql, tables(Flavor::Mysql), until);
        assembler.logs_cascades = logs_cascades;
        begin(&mut assembler, false);
        let query = Query::new("app", text.as_bytes(), 45, 0);
        assembler.query(&Header::default(), &query, &mut Vec::new())
    };
    let key = "ALTER TABLE plain ADD FOREIGN KEY (id) REFERENCES p (id) ON DELETE CASCADE";
    for (text, kind) in [
        ("FROBNICATE plain", Kind::Unsupported),
        ("DROP TABLE other, `plain", Kind::Unsupported),
        ("CREATE TEMPORARY TABLE plain (id int)", Kind::Unsupported),
        (key, Kind::SchemaChanged),
        ("DROP INDEX `PRIMARY` ON plain", Kind::SchemaChanged),
    ] {
        let error = take(text, false, false).expect_err(text);
        assert_eq!(error.kind(), kind, "{text}: {}", error.chain());
        assert!(
            error.operator_hint().contains("--schema-reviewed"),
            "{text}: {}",
            error.operator_hint()
        );
        take(text, true, false).expect(text);
    }
    take("CREATE TEMPORARY TABLE other (id int)", false, false).expect("not planned");
    take(key, false, true).expect("what it does is logged");
}

/// Broken if values that an ALTER converted stayed as they were on the target, or if one of columns
/// that are not replicated halted the link.
#[test]
fn other_types_of_columns_that_are_not_written() {
    const V: usize = 1;
    let take = |text: &str, change: fn(&mut TablePlan)| {
        let tables = otherwise(Flavor::Mysql, 1, change);
        let mut assembler = assembler_of(Flavor::Mysql, tables, None);
        begin(&mut assembler, false);
        let query = Query::new("app", text.as_bytes(), 45, 0);
        assembler.query(&Header::default(), &query, &mut Vec::new())
    };
    let ignored: fn(&mut TablePlan) = |plain| plain.columns.retain(|one| one.source != V);
    let computed: fn(&mut TablePlan) = |plain| {
        plain.columns.retain(|one| one.source != V);
        plain.source.columns[0].generated = true;
    };
    let retyped = "ALTER TABLE plain MODIFY V date";
    take(retyped, ignored).expect("not written");
    for (text, change) in [
        (retyped, (|_| {}) as fn(&mut TablePlan)),
        (retyped, computed),
        ("ALTER TABLE plain MODIFY v date, CHANGE id id bigint", ignored),
        ("ALTER TABLE plain MODIFY v date, DROP z", ignored),
    ] {
        let error = take(text, change).expect_err(text);
        assert_eq!(error.kind(), Kind::SchemaChanged, "{text}: {}", error.chain());
    }
}

/// Broken if a foreign key of the target did what the source's, switched off, had not done; or if a
/// change on which none acts, or one that a person has seen to, halted the link.
#[test]
fn keys_that_were_switched_off() {
    let row = |id, v: &str| Row::from(vec![Value::Int(id), Value::Text(v.to_owned().into())]);
    let key = |on_delete, columns: &[usize]| ActingKey {
        name: "fk".into(),
        child: TableName::new("public", "child"),
        on_delete,
        columns: columns.to_vec(),
        pairs: Vec::new(),
    };
    let update = |before, after| Op::Update { before: Some(before), after };
    let delete = || Op::Delete { before: Before::Full(row(1, "a")) };
    let moved = || update(Before::Full(row(1, "a")), row(2, "a"));
    let partial = |v| Before::Key(Row::from(vec![Value::Int(1), v]));
    for (key, op, acts) in [
        (key(true, &[]), delete(), true),
        (key(true, &[]), Op::Truncate, true),
        (key(true, &[]), moved(), false),
        (key(true, &[0, 1]), Op::Insert { after: row(1, "a") }, false),
        (key(false, &[0]), delete(), false),
        (key(false, &[0]), moved(), true),
        (key(false, &[1]), moved(), false),
        (key(false, &[1]), update(partial(Value::Unchanged), row(1, "b")), true),
        (key(false, &[0]), update(partial(Value::Unchanged), row(1, "b")), false),
    ] {
        let take = |reviewed: bool| {
            let tables = otherwise(Flavor::Mysql, 1, |plain| plain.acting = vec![key.clone()]);
            let until = reviewed.then(|| empty_position(Flavor::Mysql));
            let mut assembler = assembler_of(Flavor::Mysql, tables, until);
            begin(&mut assembler, true);
            assembler.refuse_unchecked(1, &op)
        };
        take(true).expect("reviewed");
        match take(false) {
            Ok(()) => assert!(!acts, "{key:?} {op:?}"),
            Err(error) => {
                assert!(acts, "{key:?} {op:?}");
                assert!(error.chain().contains("key fk of the target's table public.child"));
                assert!(error.operator_hint().contains("--schema-reviewed"));
            }
        }
    }
}
