//! Where a link goes on: the decision over witness, checkpoint and the servers' identities. Pure.
//!
//! The witness in the target is the truth; the checkpoint only helps to recognise that the target
//! was replaced or set back. Every disagreement is named with the next step (DESIGN §4, invariants
//! 2 and 3). Whether the source's log still reaches back is for
//! [`Source::check_resume`](crate::link::ports::Source::check_resume) to say.

use crate::config::Dialect;
use crate::error::{Error, Kind};
use crate::link::ledger::Checkpoint;
use crate::model::Witness;
use crate::position::Position;

/// What is known when both ends are connected.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The link's row in the target.
    pub witness: Option<&'a Witness>,
    /// What the state directory remembers.
    pub checkpoint: Option<&'a Checkpoint>,
    /// This installation.
    pub installation: &'a str,
    /// The state directory held no link's progress when it was opened.
    pub fresh: bool,
    /// Dialect of the source.
    pub source_dialect: Dialect,
    /// Identity of the source server now.
    pub source_identity: &'a str,
    /// Identity of the target server now.
    pub target_identity: &'a str,
}

/// What to do.
#[derive(Debug)]
pub enum Decision {
    /// No witness and no trace of one: a first start.
    Begin,
    /// Go on from the witness.
    Resume(Resume),
    /// A person is needed.
    Halt(Error),
}

/// How a link goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Something that did not match but is understood; to be logged.
    pub note: Option<Note>,
    /// Another server than the witness knows answers as the source: the link goes on only if that
    /// server proves to be a successor
    /// ([`Source::successor`](crate::link::ports::Source::successor)).
    pub moved: bool,
}

/// What was found on the way, none of it a reason to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// The state directory was empty; its memory is rebuilt from the witness.
    StateLost,
    /// The state directory knew other links, but not this one's progress.
    CheckpointLost,
    /// The target is older than the checkpoint: it was restored, or lost commits.
    TargetOlder,
    /// Same `seq`, other position: the witness is taken.
    PositionDiffers,
}

impl Note {
    /// For the log and for errors.
    pub fn text(self) -> &'static str {
        match self {
            Note::StateLost => "the state directory is empty; going on from the target's witness",
            Note::CheckpointLost => {
                "the state directory does not know this link's progress; going on from the \
                 target's witness"
            }
            Note::TargetOlder => {
                "the target was restored to an older time, or lost commits; going on from its \
                 witness"
            }
            Note::PositionDiffers => {
                "checkpoint and witness differ in position; going on from the target's witness"
            }
        }
    }
}

/// The decision table.
pub fn decide(facts: Facts<'_>) -> Decision {
    let Some(witness) = facts.witness else { return without_witness(facts) };
    if let Some(error) = foreign(facts, witness).or_else(|| elsewhere(facts, witness)) {
        return Decision::Halt(error);
    }
    if let Some(pending) = &witness.pending {
        return Decision::Halt(
            Error::new(Kind::Unsupported, format!("the witness has a pending DDL: {pending}"))
                .hint("it was written by a later weir; start that one"),
        );
    }
    let progress = facts.checkpoint.and_then(|checkpoint| checkpoint.progress.as_ref());
    let note = match progress {
        None if facts.fresh => Some(Note::StateLost),
        // A first start that was cut off after its witness was made.
        None if facts.checkpoint.is_some_and(|checkpoint| checkpoint.starting) => None,
        None => Some(Note::CheckpointLost),
        Some(progress) if progress.seq > witness.seq => Some(Note::TargetOlder),
        Some(progress) if progress.seq == witness.seq && progress.position != witness.position => {
            Some(Note::PositionDiffers)
        }
        Some(_) => None,
    };
    let moved = witness.source_identity != facts.source_identity;
    Decision::Resume(Resume { note, moved })
}

fn without_witness(facts: Facts<'_>) -> Decision {
    match facts.checkpoint.and_then(|checkpoint| checkpoint.progress.as_ref()) {
        None => Decision::Begin,
        Some(progress) => Decision::Halt(
            Error::new(
                Kind::Witness,
                format!(
                    "the target has no witness of this link, but the state directory remembers \
                     position {} (seq {})",
                    progress.position, progress.seq
                ),
            )
            .hint(
                "the target was replaced or restored to a time before weir, or its `weir` tables \
                 were emptied: bring that database back, or `weir teardown LINK --apply`, then start anew with start = \"snapshot\"",
            ),
        ),
    }
}

/// The witness belongs to another installation.
fn foreign(facts: Facts<'_>, witness: &Witness) -> Option<Error> {
    let own = match facts.checkpoint {
        Some(checkpoint) if !checkpoint.installation.is_empty() => &checkpoint.installation,
        _ => facts.installation,
    };
    let unknown = facts.checkpoint.is_none_or(|checkpoint| checkpoint.progress.is_none());
    if witness.installation == own || (facts.fresh && unknown) {
        return None;
    }
    Some(
        Error::new(
            Kind::Witness,
            format!(
                "the witness in the target was written by another weir installation ({}, this one \
                 is {own})",
                witness.installation
            ),
        )
        .hint(
            "another weir with the same `name` writes this link: stop one of them; or the state \
             directory is of another weir: give this one its own, empty `state_dir`, which takes \
             the link over from the witness",
        ),
    )
}

/// Another server answers at one of the ends.
pub fn differs(end: &str, was: &str, is: &str) -> Error {
    Error::new(
        Kind::Identity,
        format!("another server answers as the {end}: it was {was} and is now {is}"),
    )
}

/// Another server answers as the target, or one that cannot be a successor as the source.
fn elsewhere(facts: Facts<'_>, witness: &Witness) -> Option<Error> {
    if witness.target_identity != facts.target_identity {
        let hint = format!(
            "point the database back at its own server. If the target was moved with its data, or \
             this is a promoted replica of it, the witness there goes on exactly; say so with: \
             {}; then `weir resume {}`",
            adoption(witness, facts.target_identity),
            witness.link
        );
        return Some(differs("target", &witness.target_identity, facts.target_identity).hint(hint));
    }
    let same_log = matches!(
        (witness.position.applied(), facts.source_dialect),
        (Position::Postgres(_), Dialect::Postgres)
            | (Position::Mysql(..) | Position::MysqlPlace(..), Dialect::Mysql)
            | (Position::Mariadb(..), Dialect::Mariadb)
    );
    if same_log {
        return None;
    }
    let is = facts.source_dialect.to_string();
    Some(differs("source", &format!("one with positions like {}", witness.position), &is))
}

/// The statement by which a person says that a server is the target now. It holds in both dialects.
fn adoption(witness: &Witness, identity: &str) -> String {
    let [identity, name, link] =
        [identity, &witness.name, &witness.link].map(|text| text.replace('\'', "''"));
    format!(
        "UPDATE weir.witness SET target_identity = '{identity}' \
         WHERE name = '{name}' AND link = '{link}'"
    )
}

/// What a gap means, given how the decision was made.
pub fn explain_gap(error: Error, note: Option<Note>) -> Error {
    match note {
        Some(Note::TargetOlder) if error.kind() == Kind::Gap => error.within(
            "the target was restored to an older time, and the source's log no longer reaches \
             back to it",
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests;
