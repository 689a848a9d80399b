//! The witness: weir's row in the target, written in the data transaction. It is the truth about
//! how far a link has come; the state directory only mirrors it.

use crate::position::Position;

/// One row of `weir.witness` (DESIGN §4, invariant 2).
#[derive(Clone, Debug, PartialEq)]
pub struct Witness {
    /// `name` of the configuration.
    pub name: String,
    /// The link, `source:target`.
    pub link: String,
    /// Part of a parallel apply; 0. Row 1 beside it holds what was accepted of the tables (`link::accepted`).
    pub part: u32,
    /// Random id of this installation (32 hex digits), kept in the state directory too.
    pub installation: String,
    /// Raised by one in every apply transaction, so that each write is visible in every log.
    pub seq: u64,
    /// The position up to which the target holds everything; always at a source commit.
    pub position: Position,
    /// Where to restart reading if before `position`; none in this version, whose positions say so
    /// themselves ([`Position::restart`]).
    pub restart: Option<Position>,
    /// 0 for application changes.
    pub hops: u32,
    /// A DDL being applied, in words; none in this version.
    pub pending: Option<String>,
    /// Identity of the source server (system id and timeline, server uuid, …).
    pub source_identity: String,
    /// Identity of the target server.
    pub target_identity: String,
}
