//! Statements as a server that logs what its foreign keys do writes them, made up event by event around
//! a recorded table map.

use super::*;
use crate::error::Kind;
use crate::model::schema::Rule;
use crate::model::{ForeignKey, Unique};
use crate::mysql::binlog::RowsKind;
use crate::plan::Undone;

const END: u16 = 1;
const MARK: u16 = 2;
const PLANNED: u64 = 900;
const OTHER: u64 = 901;
const PLAIN: usize = 1;

/// A rows event: whether of the planned table, what it does, its flags, its rows.
type Rows = (bool, RowsKind, u16, &'static [(i32, &'static str)]);

use RowsKind::{Delete, Insert, Update};

fn event((planned, kind, flags, rows): Rows) -> (Header, Vec<u8>) {
    let code = match kind {
        Insert => 30,
        Update => 31,
        Delete => 32,
    };
    let mut body = if planned { PLANNED } else { OTHER }.to_le_bytes()[..6].to_vec();
    body.extend(flags.to_le_bytes());
    body.extend([2, 0, 2, 0xFF]);
    if kind == Update {
        body.push(0xFF);
    }
    for (id, v) in rows {
        body.push(0xFC);
        body.extend(id.to_le_bytes());
        body.push(u8::try_from(v.len()).expect("short"));
        body.extend(v.as_bytes());
    }
    (Header { kind: code, ..Header::default() }, body)
}

/// The recording's description of the format and of its table `plain`, and the same under another name.
fn prologue() -> Vec<(Header, Vec<u8>)> {
    let all = without_checksums(MYSQL);
    let name = |body: &[u8]| body.windows(5).position(|bytes| bytes == b"plain");
    let mut format = all.iter().filter(|(header, _)| header.kind == 15);
    let maps = || all.iter().filter(|(header, body)| header.kind == 19 && name(body).is_some());
    let mut renamed = maps().next().cloned().expect("a map");
    let mut plain = renamed.clone();
    let at = name(&renamed.1).expect("its name");
    renamed.1[at..at + 5].copy_from_slice(b"other");
    plain.1[..6].copy_from_slice(&PLANNED.to_le_bytes()[..6]);
    renamed.1[..6].copy_from_slice(&OTHER.to_le_bytes()[..6]);
    vec![format.next().cloned().expect("a format"), plain, renamed]
}

/// Reads one transaction of these events, `plain` planned otherwise.
fn read(
    change: impl FnOnce(&mut TablePlan),
    logs_cascades: bool,
    reviewed: bool,
    events: &[Rows],
) -> Result<Vec<Op>> {
    let mut tables = tables(Flavor::Mysql);
    change(Arc::make_mut(&mut tables[PLAIN]));
    let changes = read_of(tables, logs_cascades, reviewed, "", events)?;
    Ok(changes.into_iter().map(|change| change.op).collect())
}

/// As above, of these tables, after a statement if there is one.
fn read_of(
    tables: Vec<Arc<TablePlan>>,
    logs_cascades: bool,
    reviewed: bool,
    before: &str,
    events: &[Rows],
) -> Result<Vec<Change>> {
    let until = reviewed.then(|| empty_position(Flavor::Mysql));
    let mut assembler = assembler_of(Flavor::Mysql, tables, until);
    assembler.logs_cascades = logs_cascades;
    let mut ready = Vec::new();
    let prologue = prologue();
    let (header, body) = &prologue[0];
    assembler.take(header, body, &mut ready)?;
    let opening = Opening { time_us: None, begun: before.is_empty(), two_phase: false };
    assembler.begin(&Header::default(), &Gtid::None, opening)?;
    if !before.is_empty() {
        let query = Query::new("app", before.as_bytes(), 45, 0);
        assembler.query(&Header::default(), &query, &mut ready)?;
        assembler.begin(&Header::default(), &Gtid::None, Opening { begun: true, ..opening })?;
    }
    for (header, body) in prologue[1..].iter().cloned().chain(events.iter().copied().map(event)) {
        assembler.take(&header, &body, &mut ready)?;
    }
    assembler.take(&Header { kind: 16, ..Header::default() }, &[0; 8], &mut ready)?;
    assert!(ready.last().is_some_and(|part| part.commit.is_some()));
    Ok(changes(&ready))
}

/// A key of the target that acts on deletes and refers to `referred`.
fn acting(plan: &mut TablePlan, referred: usize) {
    plan.referred = vec![vec![Some(0)], vec![Some(referred)]];
    plan.source.uniques =
        [0, 1].map(|at| Unique { name: "u".into(), columns: vec![at], primary: at == 0 }).to_vec();
    plan.acting.push(ActingKey {
        name: "fk".into(),
        child: TableName::new("public", "child"),
        on_delete: true,
        columns: Vec::new(),
        pairs: Vec::new(),
    });
}

/// A key of the source by which rows of `plain` go with those of `parent`.
fn refers(plan: &mut TablePlan, parent: &str) {
    plan.source.foreign_keys.push(ForeignKey {
        name: "up".into(),
        parent: TableName::new("app", parent),
        columns: vec!["v".into()],
        parent_columns: vec!["id".into()],
        on_delete: Rule::Cascade,
        on_update: Rule::Refuse,
        logged: true,
    });
}

const fn gone(rows: &'static [(i32, &'static str)]) -> Rows {
    (true, Delete, 0, rows)
}

const fn new(flags: u16, rows: &'static [(i32, &'static str)]) -> Rows {
    (true, Insert, flags, rows)
}

const ONE: &[(i32, &str)] = &[(1, "a")];
const TWO: &[(i32, &str)] = &[(1, "a"), (2, "b")];
const THREE: &[(i32, &str)] = &[(1, "a"), (2, "b"), (3, "c")];

/// Broken if a change with the checks off were taken for a cascade, so that the target's keys removed
/// what the source kept, or if a cascade that the source logs halted the link.
#[test]
fn marks_are_judged_by_their_statement() {
    let root: Rows = (false, Delete, END, ONE);
    let other: Rows = (false, Insert, END, ONE);
    let child = |flags| -> Rows { (true, Delete, flags, ONE) };
    for (parent, events, halts) in [
        (Some("p"), vec![child(MARK), root], None),
        (Some("p"), vec![child(MARK), (false, Update, END, TWO)], None),
        (Some("p"), vec![child(MARK), root, child(MARK), root], None),
        (Some("p"), vec![child(END)], None),
        (Some("p"), vec![(true, Insert, MARK | END, ONE)], None),
        (Some("p"), vec![(true, Update, MARK | END, TWO)], None),
        (Some("p"), vec![child(MARK | END)], Some("made with foreign_key_checks = 0")),
        (Some("p"), vec![child(MARK), child(MARK | END)], Some("made with")),
        (Some("p"), vec![child(MARK), (false, Insert, END, ONE)], Some("made with")),
        (Some("p"), vec![(false, Delete, 0, ONE), child(MARK | END)], Some("made with")),
        (Some("p"), vec![child(MARK), (false, Delete, 0, ONE), child(MARK | END)], Some("made")),
        (Some("p"), vec![child(MARK | END), root], Some("made with")),
        (Some("p"), vec![child(MARK)], Some("made with")),
        (None, vec![child(MARK), root], Some("made with")),
        (Some("p"), vec![child(MARK), (false, Delete, 0, ONE), other], Some("go no further")),
        (Some("p"), vec![child(MARK), (false, Update, 0, TWO), other], None),
        (Some("p"), vec![child(MARK), root, other], None),
        (Some("plain"), vec![(true, Delete, MARK | END, TWO)], None),
        (Some("plain"), vec![(true, Delete, MARK, TWO), child(END)], None),
        (Some("plain"), vec![(true, Delete, END, TWO)], None),
    ] {
        let plan = |plan: &mut TablePlan| {
            acting(plan, 0);
            parent.into_iter().for_each(|parent| refers(plan, parent));
            plan.undone = (parent == Some("plain")).then(|| Undone::Untold(vec![0]));
        };
        read(plan, true, true, &events).expect("reviewed");
        match (read(plan, true, false, &events), halts) {
            (Ok(_), None) => {}
            (Err(error), Some(phrase)) => {
                assert!(error.chain().contains(phrase), "{events:?}: {}", error.chain());
                assert!(error.operator_hint().contains("--schema-reviewed"));
            }
            (found, _) => panic!("{parent:?} {events:?}: {found:?}"),
        }
    }
    let child_of_p = |plan: &mut TablePlan| {
        acting(plan, 0);
        refers(plan, "p");
    };
    let error = read(child_of_p, false, false, &[child(MARK), root]).expect_err("none is logged");
    assert!(error.chain().contains("made with foreign_key_checks = 0"), "{}", error.chain());
    let ignored = |plan: &mut TablePlan| {
        acting(plan, 0);
        plan.deletes = Deletes::Ignore;
    };
    read(ignored, true, false, &[child(MARK | END)]).expect("not applied");
}

/// Broken if a delete passed whose cascades the source left undone and the target would not, or if one
/// halted here that the target is to look at.
#[test]
fn deletes_that_differ_on_the_two_sides_halt() {
    let table = TableName::new("public", "x");
    let by_target = Undone::ByTarget(table.clone());
    let plan = |plan: &mut TablePlan| plan.undone = Some(by_target.clone());
    read(plan, false, false, &[(true, Delete, END, ONE)]).expect("the target looks");
    let by_source = Undone::BySource(table);
    let plan = |plan: &mut TablePlan| plan.undone = Some(by_source.clone());
    let error = read(plan, false, false, &[(true, Delete, END, ONE)]).expect_err("differs");
    let told = error.chain();
    assert!(told.contains("a row of app.plain was deleted") && told.contains("public.x"), "{told}");
    assert!(error.operator_hint().contains("--schema-reviewed"));
    read(plan, false, true, &[(true, Delete, END, ONE)]).expect("reviewed");
    read(plan, false, false, &[(true, Update, END, TWO)]).expect("no delete");
    let in_place = |found: &mut TablePlan| {
        acting(found, 0);
        plan(found);
    };
    let replaced = [gone(ONE), new(END, &[(1, "z")])];
    read(in_place, true, false, &replaced).expect("an update in place");
    let other = [gone(ONE), new(END, &[(9, "a")])];
    read(in_place, true, false, &other).expect_err("a delete");
}

/// Broken if the rows that refer to a replaced row, which the source let alone, went on the target; or
/// if a delete were lost, or came after an insert of its key.
#[test]
fn replaced_rows_are_updated_in_place() {
    let ops = |referred: usize, logs_cascades, events: &[Rows]| {
        let found = read(|plan| acting(plan, referred), logs_cascades, false, events);
        let text = |row: &Row| match (&row[0], &row[1]) {
            (Value::Int(id), Value::Text(v)) => format!("{id}{v}"),
            other => panic!("{other:?}"),
        };
        let text = |op: &Op| match op {
            Op::Insert { after } => format!("+{}", text(after)),
            Op::Delete { before } => format!("-{}", text(before.row())),
            Op::Update { before: Some(before), after } => {
                format!("{}>{}", text(before.row()), text(after))
            }
            other => panic!("{other:?}"),
        };
        found.map(|ops| ops.iter().map(text).collect::<Vec<_>>().join(" "))
    };
    let other = |kind| -> Rows { (false, kind, 0, ONE) };
    for (referred, events, found) in [
        (0, vec![gone(ONE), new(END, &[(1, "z")])], "1a>1z"),
        (0, vec![gone(ONE), other(Insert), other(Delete), new(END, &[(1, "z")])], "1a>1z"),
        (0, vec![gone(ONE), new(END, &[(1, "z"), (2, "b")])], "1a>1z +2b"),
        (
            0,
            vec![gone(ONE), new(0, &[(1, "z")]), gone(&[(2, "b")]), new(END, &[(2, "y")])],
            "1a>1z 2b>2y",
        ),
        (1, vec![gone(ONE), new(END, &[(9, "a")])], "1a>9a"),
        (0, vec![gone(ONE), new(END, &[(9, "a")])], "-1a +9a"),
        (1, vec![gone(ONE), new(END, &[(9, "z")])], "-1a +9z"),
        (0, vec![gone(&[(2, "b"), (1, "a")]), new(END, &[(1, "b")])], "-2b 1a>1b"),
        (0, vec![gone(THREE), other(Insert), (false, Delete, END, ONE)], "-1a -2b -3c"),
        (0, vec![gone(THREE)], "-1a -2b -3c"),
        (0, vec![(true, Delete, END, ONE), new(END, &[(1, "z")])], "-1a +1z"),
        (
            0,
            vec![gone(ONE), (true, Update, 0, &[(2, "b"), (3, "b")]), new(END, &[(1, "z")])],
            "-1a 2b>3b +1z",
        ),
    ] {
        let read = ops(referred, true, &events).expect("a good log");
        assert_eq!(read, found, "{events:?}");
    }
    let replaced = [gone(ONE), new(END, &[(1, "z")])];
    assert_eq!(ops(0, false, &replaced).expect("a good log"), "-1a +1z", "its keys act");
    // Rows refer to the key of one and to the other column of the other.
    let several = [gone(&[(1, "a"), (2, "b")]), new(END, &[(1, "b")])];
    let error = ops(1, true, &several).expect_err("which one");
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.chain().contains("in the place of several"), "{}", error.chain());
    let plan = |plan: &mut TablePlan| acting(plan, 1);
    let ops = read(plan, true, true, &several).expect("reviewed");
    assert!(matches!(ops[..], [Op::Delete { .. }, Op::Update { .. }]), "{ops:?}");
}

/// Broken if a row went before those that refer to it, or if a REPLACE, a trigger of which deletes rows
/// that refer to others, were no update in place.
#[test]
fn what_waits_goes_before_what_it_refers_to() {
    let gone_at = |rank: u32, other_rank: u32, events: &[Rows]| {
        let mut tables = tables(Flavor::Mysql);
        let mut other = TablePlan { rank: other_rank, ..(*tables[PLAIN]).clone() };
        other.source.name = TableName::new("app", "other");
        other.referred = vec![vec![Some(0)]];
        let plain = Arc::make_mut(&mut tables[PLAIN]);
        plain.rank = rank;
        acting(plain, 0);
        tables.push(Arc::new(other));
        let other = tables.len() - 1;
        let found = read_of(tables, true, false, "", events).expect("a good log");
        let name = |change: &Change| match (&change.op, change.table == other) {
            (Op::Delete { .. }, true) => "other",
            (Op::Delete { .. }, false) => "plain",
            _ => "kept",
        };
        found.iter().map(name).collect::<Vec<_>>().join(" ")
    };
    let other = |flags| -> Rows { (false, Delete, flags, TWO) };
    for flags in [0, MARK] {
        let events = [gone(THREE), other(flags), (true, Delete, END, ONE)];
        assert_eq!(gone_at(1, 0, &events), "plain plain plain other other plain", "{flags}");
    }
    assert_eq!(gone_at(0, 1, &[other(0), (true, Delete, END, ONE)]), "other other plain");
    let replaced = [gone(ONE), other(0), new(END, &[(1, "z")])];
    assert_eq!(gone_at(0, 1, &replaced), "other kept other");
}

/// Broken if rows that go by a key which the table was given while the link streams were taken for
/// changes with the checks off; or if those passed because of it.
#[test]
fn keys_that_come_later_are_known() {
    let events = [(true, Delete, MARK, ONE), (false, Delete, END, ONE)];
    let read = |before: &str, events: &[Rows]| {
        let mut tables = tables(Flavor::Mysql);
        acting(Arc::make_mut(&mut tables[PLAIN]), 0);
        read_of(tables, true, false, before, events)
    };
    let key = |table| {
        format!("ALTER TABLE {table} ADD FOREIGN KEY (v) REFERENCES p (id) ON DELETE CASCADE")
    };
    assert_eq!(read(&key("plain"), &events).expect("what the key did").len(), 1);
    read(&key("other"), &events).expect_err("another table's key");
    read(&key("plain"), &events[..1]).expect_err("nothing that the key followed");
}
