//! What of a change is another database's, by images that hold all, the key alone, or nothing of before.

use bytestring::ByteString;

use super::*;
use crate::config::OnFlagged;
use crate::model::Change;
use crate::ownership::{Standing, Verdict};
use crate::plan::fixtures::{BIGINT, TEXT, column, one_to_one, table};

/// `id`, `own`, `other`: the last is another database's.
fn shared(owns_rows: bool) -> TablePlan {
    let columns = vec![
        column("id", BIGINT, "bigint"),
        column("own", TEXT, "text"),
        column("other", TEXT, "text"),
    ];
    let mut plan = one_to_one(table("s", "t", columns), &[0]);
    plan.columns.truncate(2);
    plan.owns_rows = owns_rows;
    plan.entry = Some("t".into());
    plan.foreign.push(ForeignColumn {
        source: 2,
        target: Some(2),
        owner: "b".into(),
        on_flagged: OnFlagged::Flag,
        comes_first: false,
        sensitive: false,
    });
    plan.columns.iter_mut().for_each(|column| {
        column.conversion =
            crate::transform::Conversion { nullable: true, fit: crate::transform::Fit::Same };
    });
    plan
}

fn values(id: i64, own: &str, other: &str) -> Row {
    let text = |text: &str| match text {
        "?" => Value::Unchanged,
        "" => Value::Null,
        text => Value::Text(ByteString::from(text)),
    };
    vec![Value::Int(id), text(own), text(other)].into()
}

fn change(op: Op) -> Change {
    Change { table: 0, op, reshaped: false }
}

fn update(before: Option<Before>, after: Row) -> Change {
    change(Op::Update { before, after })
}

fn judge_of(owns_rows: bool, change: &Change, writer: Writer) -> Judged {
    judged(&shared(owns_rows), change, writer).expect("judged")
}

fn flags(judged: &Judged) -> Vec<(Flag, usize, Value, Value)> {
    let flagged = judged.flagged.iter();
    flagged
        .flat_map(|flagged| {
            let of = |one: &FlaggedColumn| {
                (flagged.flag, one.column, one.before.clone(), one.after.clone())
            };
            flagged.columns.iter().map(of)
        })
        .collect()
}

/// Broken if a foreign write were not recorded with its values, or an own one were.
#[test]
fn full_images_tell_exactly() {
    let text = |text: &str| Value::Text(ByteString::from(text));
    let full = |own: &str, other: &str| Some(Before::Full(values(1, own, other)));
    for (before, after, verdict, expected) in [
        (full("a", "x"), values(1, "b", "x"), Verdict::Update, vec![]),
        (full("a", "x"), values(1, "a", "x"), Verdict::LeaveOut, vec![]),
        (
            full("a", "x"),
            values(1, "a", "y"),
            Verdict::LeaveOut,
            vec![(Flag::Write, 0, text("x"), text("y"))],
        ),
        (
            full("a", "x"),
            values(1, "b", ""),
            Verdict::Update,
            vec![(Flag::Write, 0, text("x"), Value::Null)],
        ),
    ] {
        for owns_rows in [true, false] {
            let judged =
                judge_of(owns_rows, &update(before.clone(), after.clone()), Writer::Application);
            assert_eq!(judged.ruling.verdict, verdict, "{after:?}");
            assert_eq!(flags(&judged), expected, "{after:?}");
        }
    }
}

/// Broken if what the log does not hold were taken for unchanged, or for changed.
#[test]
fn what_was_before_is_not_guessed() {
    let key = Some(Before::Key(values(1, "?", "?")));
    for before in [None, key] {
        let judged =
            judge_of(true, &update(before.clone(), values(1, "a", "x")), Writer::Application);
        assert_eq!(judged.ruling.verdict, Verdict::Update);
        let text = Value::Text(ByteString::from("x"));
        assert_eq!(flags(&judged), [(Flag::Unproven, 0, Value::Unchanged, text)]);
        // What an update does not repeat did not change.
        let judged = judge_of(true, &update(before, values(1, "a", "?")), Writer::Application);
        assert_eq!((judged.ruling.verdict, flags(&judged)), (Verdict::Update, vec![]));
    }
}

/// Broken if weir's own writing were flagged, or came back.
#[test]
fn own_transactions_are_not_flagged() {
    let before = Some(Before::Full(values(1, "a", "x")));
    let writer = Writer::Weir { hops: 0 };
    let judged = judge_of(false, &update(before.clone(), values(1, "a", "y")), writer);
    assert_eq!((judged.ruling.verdict, judged.flagged), (Verdict::LeaveOut, None));
    let derived = judge_of(false, &update(before, values(1, "b", "y")), writer);
    assert_eq!(derived.ruling.standing, Standing::Derived);
    let born = judge_of(false, &change(Op::Insert { after: values(2, "a", "x") }), writer);
    assert_eq!((born.ruling.verdict, born.ruling.standing), (Verdict::Update, Standing::Birth));
}

/// Broken if rows that a database may not make, move or delete were not recorded under their keys.
#[test]
fn rows_of_others_are_recorded_whole() {
    let insert = change(Op::Insert { after: values(7, "a", "x") });
    let moved = update(Some(Before::Full(values(7, "a", "x"))), values(8, "a", "x"));
    let gone = change(Op::Delete { before: Before::Key(values(7, "?", "?")) });
    let emptied = change(Op::Truncate);
    let id = |id: i64| Row::from(vec![Value::Int(id)]);
    for (change, flag, key, new_key) in [
        (insert, Flag::Insert, id(7), None),
        (moved, Flag::KeyChange, id(7), Some(id(8))),
        (gone, Flag::Delete, id(7), None),
        (emptied, Flag::Truncate, Row::default(), None),
    ] {
        let flagged = judge_of(false, &change, Writer::Application).flagged.expect("a flag");
        assert_eq!((flagged.flag, flagged.key, flagged.new_key), (flag, key, new_key));
        assert!(flagged.columns.is_empty());
    }
}

/// Broken if a first value that is not to come with the insert were not recorded.
#[test]
fn first_values_are_recorded_where_they_are_left_out() {
    let insert = change(Op::Insert { after: values(1, "a", "x") });
    let judged = judge_of(true, &insert, Writer::Application);
    let text = Value::Text(ByteString::from("x"));
    assert_eq!(judged.ruling.verdict, Verdict::InsertOrUpdate);
    assert_eq!(flags(&judged), [(Flag::Initial, 0, Value::Null, text)]);
    let empty = change(Op::Insert { after: values(1, "a", "") });
    assert_eq!(judge_of(true, &empty, Writer::Application).flagged, None);
}

/// Broken if a table of one master were judged otherwise than before: every change goes on.
#[test]
fn a_table_of_one_master_is_not_looked_at() {
    let columns = vec![column("id", BIGINT, "bigint"), column("own", TEXT, "text")];
    let mut plan = one_to_one(table("s", "t", columns), &[0]);
    plan.columns.iter_mut().for_each(|column| {
        column.conversion =
            crate::transform::Conversion { nullable: true, fit: crate::transform::Fit::Same };
    });
    let row = || Row::from(vec![Value::Int(1), Value::Null]);
    let same = update(Some(Before::Full(row())), row());
    for writer in [Writer::Application, Writer::Weir { hops: 3 }] {
        let judged = judged(&plan, &same, writer).expect("judged");
        assert_eq!((judged.ruling.verdict, judged.flagged), (Verdict::Update, None));
    }
}
