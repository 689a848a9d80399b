//! The ownership table, row by row.

use super::*;

const ROWS: Policy =
    Policy { rows: true, columns: true, deletes: Deletes::Apply, truncate: Truncates::Apply };
const COLUMNS: Policy = Policy { rows: false, ..ROWS };
const NOTHING: Policy = Policy { columns: false, ..COLUMNS };

fn by(writer: Writer, event: Event, [owned, foreign]: [Changed; 2], policy: Policy) -> Ruling {
    judge(Facts { event, owned, foreign, writer }, policy)
}

/// Verdict and flag of what an application did.
fn judged(event: Event, changed: [Changed; 2], policy: Policy) -> (Verdict, Option<Flag>) {
    let ruling = by(Writer::Application, event, changed, policy);
    assert_eq!(ruling.standing, Standing::Plain, "{event:?}");
    (ruling.verdict, ruling.flag)
}

/// Broken if a row owner's change were treated otherwise than the table's first column says.
#[test]
fn a_row_owner_makes_changes_and_deletes_rows() {
    use {Changed::*, Event::*};
    for (event, changed, verdict, flag) in [
        (Insert, [Unknown, No], Verdict::InsertOrUpdate, None),
        (Insert, [Unknown, Yes], Verdict::InsertOrUpdate, Some(Flag::Initial)),
        (Update, [Yes, No], Verdict::Update, None),
        (Update, [Unknown, No], Verdict::Update, None),
        (Update, [No, No], Verdict::LeaveOut, None),
        (Update, [No, Yes], Verdict::LeaveOut, Some(Flag::Write)),
        (Update, [Yes, Yes], Verdict::Update, Some(Flag::Write)),
        (Update, [Unknown, Unknown], Verdict::Update, Some(Flag::Unproven)),
        (KeyChange, [No, No], Verdict::Rekey, None),
        (KeyChange, [Yes, Yes], Verdict::Rekey, Some(Flag::Write)),
        (KeyChange, [Unknown, Unknown], Verdict::Rekey, Some(Flag::Unproven)),
        (Delete, [Unknown, No], Verdict::Delete, None),
        (Truncate, [Unknown, No], Verdict::Truncate, None),
    ] {
        assert_eq!(judged(event, changed, ROWS), (verdict, flag), "{event:?} {changed:?}");
    }
}

/// Broken if deletes or a TRUNCATE of the row owner did not follow the policy.
#[test]
fn deletes_and_truncates_follow_the_policy() {
    let any = [Changed::Unknown, Changed::No];
    let with = |deletes, truncate| Policy { deletes, truncate, ..ROWS };
    let ignore = with(Deletes::Ignore, Truncates::Halt);
    let flag = with(Deletes::Flag, Truncates::Halt);
    assert_eq!(judged(Event::Delete, any, ignore), (Verdict::LeaveOut, None));
    assert_eq!(judged(Event::Delete, any, flag), (Verdict::LeaveOut, Some(Flag::Delete)));
    assert_eq!(judged(Event::Truncate, any, ignore), (Verdict::Halt, None));
}

/// Broken if a database that does not own the rows could make, move or delete one elsewhere, or did so
/// unrecorded; or if what it owns did not go out.
#[test]
fn others_change_their_own_columns_alone() {
    use {Changed::*, Event::*};
    for (event, changed, verdict, flag) in [
        (Insert, [Unknown, Unknown], Verdict::Update, Some(Flag::Insert)),
        (Update, [Yes, No], Verdict::Update, None),
        (Update, [No, No], Verdict::LeaveOut, None),
        (Update, [No, Yes], Verdict::LeaveOut, Some(Flag::Write)),
        (Update, [Yes, Yes], Verdict::Update, Some(Flag::Write)),
        (Update, [Unknown, Unknown], Verdict::Update, Some(Flag::Unproven)),
        (KeyChange, [Yes, Yes], Verdict::LeaveOut, Some(Flag::KeyChange)),
        (Delete, [Unknown, Unknown], Verdict::LeaveOut, Some(Flag::Delete)),
        (Truncate, [Unknown, Unknown], Verdict::LeaveOut, Some(Flag::Truncate)),
    ] {
        assert_eq!(judged(event, changed, COLUMNS), (verdict, flag), "{event:?} {changed:?}");
    }
}

/// Broken if a database that owns nothing could change anything elsewhere, or did so unrecorded.
#[test]
fn who_owns_nothing_changes_nothing() {
    use {Changed::*, Event::*};
    for (event, changed, flag) in [
        (Insert, [No, Unknown], Some(Flag::Insert)),
        (Update, [No, Yes], Some(Flag::Write)),
        (Update, [No, No], None),
        (Update, [No, Unknown], Some(Flag::Unproven)),
        (KeyChange, [No, Yes], Some(Flag::KeyChange)),
        (Delete, [No, Unknown], Some(Flag::Delete)),
        (Truncate, [No, Unknown], Some(Flag::Truncate)),
    ] {
        assert_eq!(judged(event, changed, NOTHING), (Verdict::LeaveOut, flag), "{event:?}");
    }
}

/// Broken if what weir wrote came back, or were taken for a foreign write.
#[test]
fn what_weir_wrote_comes_back_to_nobody() {
    use {Changed::*, Event::*};
    let left_out = Ruling::plain(Verdict::LeaveOut);
    for hops in [0, 1] {
        let writer = Writer::Weir { hops };
        for (event, changed, policy) in [
            // The row owner's columns, written here by its link.
            (Update, [No, Yes], COLUMNS),
            (Update, [Unknown, Unknown], COLUMNS),
            (Delete, [Unknown, Unknown], COLUMNS),
            (Truncate, [Unknown, Unknown], COLUMNS),
            // A column owner's, written here at the row owner.
            (Update, [No, Yes], ROWS),
            (Update, [Unknown, Unknown], ROWS),
        ] {
            assert_eq!(by(writer, event, changed, policy), left_out, "{event:?} {hops}");
        }
    }
}

/// Broken if a column owner's first value of a row that weir brought stayed unknown elsewhere.
#[test]
fn births_go_out_from_whoever_owns_the_columns() {
    use Changed::{No, Unknown, Yes};
    for (event, changed) in [
        (Event::Insert, [Unknown, Unknown]),
        (Event::KeyChange, [Unknown, Unknown]),
        // What was written under the former key may be on its way still.
        (Event::KeyChange, [No, Yes]),
    ] {
        let ruling = by(Writer::Weir { hops: 1 }, event, changed, COLUMNS);
        let birth = Ruling { verdict: Verdict::Update, flag: None, standing: Standing::Birth };
        assert_eq!(ruling, birth, "{event:?}");
        let none = by(Writer::Weir { hops: 0 }, event, [No, Unknown], NOTHING);
        assert_eq!((none.verdict, none.flag), (Verdict::LeaveOut, None), "{event:?}");
    }
}

/// Broken if a trigger's work in weir's own transaction were lost, or went round for ever.
#[test]
fn what_triggers_add_goes_on_once() {
    use {Changed::*, Event::*};
    for (event, changed, policy, verdict) in [
        (Update, [Yes, No], COLUMNS, Verdict::Update),
        (Update, [Yes, Yes], ROWS, Verdict::Update),
        (Insert, [Unknown, No], ROWS, Verdict::InsertOrUpdate),
        (KeyChange, [Yes, No], ROWS, Verdict::Rekey),
        (Delete, [Unknown, No], ROWS, Verdict::Delete),
        (Truncate, [Unknown, No], ROWS, Verdict::Truncate),
    ] {
        let once = by(Writer::Weir { hops: 0 }, event, changed, policy);
        assert_eq!((once.verdict, once.standing), (verdict, Standing::Derived), "{event:?}");
        let again = by(Writer::Weir { hops: 1 }, event, changed, policy);
        assert_eq!((again.verdict, again.standing), (Verdict::LeaveOut, Standing::Loop));
    }
    // By policy nothing goes out, so nothing can loop.
    let careful = Policy { deletes: Deletes::Ignore, ..ROWS };
    let kept = by(Writer::Weir { hops: 3 }, Delete, [Unknown, No], careful);
    assert_eq!(kept, Ruling::plain(Verdict::LeaveOut));
}

/// Broken if the state of two parts of a row were told wrongly from the two.
#[test]
fn one_changed_part_makes_a_changed_whole() {
    use Changed::*;
    for (one, other, whole) in
        [(Yes, Unknown, Yes), (No, Yes, Yes), (Unknown, No, Unknown), (No, No, No)]
    {
        assert_eq!((one.or(other), other.or(one)), (whole, whole));
    }
}
