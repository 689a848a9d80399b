//! The decision table, case by case.

use super::*;
use crate::link::ledger::Progress;

const OURS: &str = "11111111111111111111111111111111";
const THEIRS: &str = "22222222222222222222222222222222";

fn witness(seq: u64) -> Witness {
    Witness {
        name: "prod".to_owned(),
        link: "crm:billing".to_owned(),
        part: 0,
        installation: OURS.to_owned(),
        seq,
        position: format!("lsn:0/{seq:X}").parse().expect("lsn"),
        restart: None,
        hops: 0,
        pending: None,
        source_identity: "source".to_owned(),
        target_identity: "target".to_owned(),
    }
}

fn checkpoint(seq: Option<u64>) -> Checkpoint {
    Checkpoint {
        installation: OURS.to_owned(),
        progress: seq.map(|seq| Progress::of(&witness(seq), None)),
        ..Checkpoint::default()
    }
}

fn decide_for(witness: Option<Witness>, checkpoint: Option<Checkpoint>, fresh: bool) -> Decision {
    decide(Facts {
        witness: witness.as_ref(),
        checkpoint: checkpoint.as_ref(),
        installation: OURS,
        fresh,
        source_dialect: Dialect::Postgres,
        source_identity: "source",
        target_identity: "target",
    })
}

fn note(decision: Decision) -> Option<Note> {
    match decision {
        Decision::Resume(resume) => resume.note,
        other => panic!("does not resume: {other:?}"),
    }
}

fn halt(decision: Decision) -> Error {
    match decision {
        Decision::Halt(error) => error,
        other => panic!("does not halt: {other:?}"),
    }
}

/// Broken if a first start, or one that was cut off before its witness, were refused.
#[test]
fn nothing_anywhere_is_a_first_start() {
    assert!(matches!(decide_for(None, None, true), Decision::Begin));
    assert!(matches!(decide_for(None, None, false), Decision::Begin));
    let cut_off = Checkpoint { starting: true, ..checkpoint(None) };
    assert!(matches!(decide_for(None, Some(cut_off), false), Decision::Begin));
}

/// Broken if weir started anew, with a silent gap, on a target that lost its witness.
#[test]
fn a_lost_witness_halts() {
    let error = halt(decide_for(None, Some(checkpoint(Some(7))), false));
    assert_eq!(error.kind(), Kind::Witness);
    assert!(error.to_string().contains("lsn:0/7"), "{error}");
}

/// Broken if a checkpoint that lags behind (it may) were taken for a disagreement.
#[test]
fn the_witness_may_be_ahead() {
    for known in [1, 6, 7] {
        assert_eq!(note(decide_for(Some(witness(7)), Some(checkpoint(Some(known))), false)), None);
    }
    let cut_off = Checkpoint { starting: true, ..checkpoint(None) };
    assert_eq!(note(decide_for(Some(witness(1)), Some(cut_off), false)), None);
}

/// Broken if a restored target were not recognised.
#[test]
fn an_older_target_resumes_from_its_witness_and_says_so() {
    let found = note(decide_for(Some(witness(7)), Some(checkpoint(Some(8))), false));
    assert_eq!(found, Some(Note::TargetOlder));
    let gap = explain_gap(Error::new(Kind::Gap, "wal is gone"), found);
    assert!(gap.to_string().starts_with("the target was restored"), "{gap}");
    let mut moved = checkpoint(Some(7));
    moved.progress = Some(Progress { seq: 7, ..Progress::of(&witness(9), None) });
    let found = note(decide_for(Some(witness(7)), Some(moved), false));
    assert_eq!(found, Some(Note::PositionDiffers));
}

/// Broken if a lost state directory lost the link, or if it were taken over with other servers.
#[test]
fn an_empty_state_takes_the_link_over() {
    let theirs = Witness { installation: THEIRS.to_owned(), ..witness(7) };
    assert_eq!(note(decide_for(Some(theirs.clone()), None, true)), Some(Note::StateLost));
    assert_eq!(note(decide_for(Some(witness(7)), None, false)), Some(Note::CheckpointLost));
    let moved = Witness { target_identity: "other".to_owned(), ..theirs };
    assert_eq!(halt(decide_for(Some(moved), None, true)).kind(), Kind::Identity);
}

/// Broken if two installations could write one link by turns.
#[test]
fn a_foreign_witness_halts() {
    let theirs = Witness { installation: THEIRS.to_owned(), ..witness(7) };
    for known in [None, Some(checkpoint(None)), Some(checkpoint(Some(7)))] {
        let error = halt(decide_for(Some(theirs.clone()), known, false));
        assert_eq!(error.kind(), Kind::Witness);
        assert!(error.to_string().contains(THEIRS), "{error}");
    }
    // Also with a state directory that was empty when it was opened, but has progress since.
    let error = halt(decide_for(Some(theirs.clone()), Some(checkpoint(Some(7))), true));
    assert_eq!(error.kind(), Kind::Witness);
    // A link that was taken over keeps the id it took.
    let taken = Checkpoint { installation: THEIRS.to_owned(), ..checkpoint(Some(7)) };
    assert_eq!(note(decide_for(Some(theirs), Some(taken), false)), None);
}

/// Broken if another server behind an address were read or written.
#[test]
fn other_servers_halt() {
    let moved = Witness { target_identity: "other".to_owned(), ..witness(7) };
    let error = halt(decide_for(Some(moved), Some(checkpoint(Some(7))), false));
    assert_eq!(error.kind(), Kind::Identity);
    assert!(error.to_string().contains("as the target"), "{error}");
    let statement = "UPDATE weir.witness SET target_identity = 'target' WHERE name = ";
    assert!(error.operator_hint().contains(statement), "{}", error.operator_hint());
    let mysql = Witness { position: "mysql:".parse().expect("empty set"), ..witness(7) };
    assert_eq!(halt(decide_for(Some(mysql), None, false)).kind(), Kind::Identity);
}

/// Broken if another server were read as the source without a proof that it may be.
#[test]
fn another_source_must_prove_itself() {
    for (source, moved) in [("source", false), ("other", true)] {
        let witness = Witness { source_identity: source.to_owned(), ..witness(7) };
        match decide_for(Some(witness), Some(checkpoint(Some(7))), false) {
            Decision::Resume(resume) => assert_eq!(resume, Resume { note: None, moved }),
            other => panic!("does not resume: {other:?}"),
        }
    }
}

/// Broken if a DDL left half done by a later weir were stepped over.
#[test]
fn a_pending_ddl_halts() {
    let pending = Witness { pending: Some("alter table".to_owned()), ..witness(7) };
    let error = halt(decide_for(Some(pending), Some(checkpoint(Some(7))), false));
    assert_eq!(error.kind(), Kind::Unsupported);
}
