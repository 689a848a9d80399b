//! How a read is placed in the log: its low and its high mark (correctness.md 8).
//!
//! MySQL by GTID: `gtid_executed` before the snapshot opens is low; once it is open it is high together
//! with the GTIDs of commits that were on their way, since a commit is visible a moment before it counts
//! as executed. The two lie close together, however many rows are read: what is committed between them
//! may have been seen or not. Without GTIDs: places run ahead of what is visible, so each row is read with
//! a share lock, which waits for transactions that are in the log and not yet visible; the place before
//! is low, the one after is high. MariaDB: the snapshot is opened together with the log's coordinates,
//! whose GTIDs are both low and high; but it may miss a second phase (XA COMMIT) that is in the log by
//! then (seen on 10.11), so that rows are locked there once the server has run one.
//!
//! MariaDB tells the GTIDs of a place by reading its file from the start, as long as that may be. So they
//! are remembered while the place stays, and taken from the end of the log where the snapshot is there: a
//! snapshot costs little, so a few are opened until one is. Only where commits never pause for a
//! millisecond is the file read.

use super::super::history;
use super::super::session::{Flavor, Session};
use crate::error::{Error, Kind, Result};
use crate::position::{Coordinates, MariadbGtidSet, MysqlGtidSet, Position};

/// What is done, for errors.
const OPEN: &str = "open a snapshot";
/// Snapshots opened in the hope that one lies at the end of the log.
const SNAPSHOTS_MAX: u32 = 16;
/// Up to here a file of the log is read faster than other snapshots are opened.
const SHORT_BYTES: u64 = 256 << 10;

/// How a read is placed in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marks {
    /// MySQL: executed GTIDs around a snapshot.
    Gtids,
    /// MySQL without GTIDs, MariaDB with two-phase transactions: places around reads that lock each row
    /// for a moment.
    Locks,
    /// MariaDB: the snapshot knows its place.
    Snapshot,
    /// Not at all: the log is not looked at.
    Forgone,
}

impl Marks {
    /// How rows are read now, and the low mark; what is read next sees everything up to it.
    pub(super) async fn open(
        session: &mut Session,
        placed: &mut Placed,
    ) -> Result<(Marks, Position)> {
        if session.flavor() == Flavor::Mariadb {
            let low = placed.snapshot(session).await?;
            // Asked last: the commit that the snapshot misses has begun before.
            if !history::commits_in_two_phases(session).await? {
                return Ok((Marks::Snapshot, low));
            }
            session.run("end a snapshot", "COMMIT").await?;
        } else if history::has_gtids(session).await? {
            let low = executed(session).await?;
            let sql = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
            session.run(OPEN, sql).await?;
            return Ok((Marks::Gtids, low));
        }
        Ok((Marks::Locks, history::head(session).await?))
    }

    /// Opens a snapshot of which no place is asked; the mark is that of an empty log.
    pub(super) async fn forgo(session: &mut Session) -> Result<(Marks, Position)> {
        let sql = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
        session.run(OPEN, sql).await?;
        let nowhere = match session.flavor() {
            Flavor::Mysql => Position::Mysql(MysqlGtidSet::default(), None),
            Flavor::Mariadb => Position::Mariadb(MariadbGtidSet::default(), None),
        };
        Ok((Marks::Forgone, nowhere))
    }
}

/// What a SELECT ends with that reads under share locks.
pub(super) const fn share_lock(flavor: Flavor) -> &'static str {
    match flavor {
        Flavor::Mysql => "FOR SHARE",
        Flavor::Mariadb => "LOCK IN SHARE MODE",
    }
}

/// MariaDB: the GTIDs of the place where the last snapshot lay.
#[derive(Debug, Default)]
pub(super) struct Placed(Option<(Coordinates, MariadbGtidSet)>);

impl Placed {
    /// Opens a snapshot and tells its place, to which it shows everything, and nothing after.
    async fn snapshot(&mut self, session: &mut Session) -> Result<Position> {
        let mut opened = 0;
        loop {
            session.run(OPEN, "START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
            opened += 1;
            let at = history::snapshot(session).await?;
            let known = self.0.take().filter(|(known, _)| *known == at).map(|(_, set)| set);
            let set = match known {
                Some(set) => Some(set),
                None if at.position <= SHORT_BYTES || opened >= SNAPSHOTS_MAX => {
                    Some(history::snapshot_gtids(session, &at).await?)
                }
                None => history::gtids_of_end(session, &at).await?,
            };
            if let Some(set) = set {
                self.0 = Some((at.clone(), set.clone()));
                return Ok(Position::Mariadb(set, Some(at)));
            }
        }
    }
}

/// MySQL: the transactions that are visible to whatever reads from now on.
pub(super) async fn executed(session: &mut Session) -> Result<Position> {
    let set = gtids(session, "SELECT @@GLOBAL.gtid_executed").await?;
    Ok(Position::Mysql(set, None))
}

/// MySQL: no fewer than the transactions that a snapshot which is open now can see. Those that leave
/// the first of the two sets meanwhile are in the second.
pub(super) async fn begun(session: &mut Session) -> Result<Position> {
    let committing = gtids(session, "SELECT @@GLOBAL.gtid_owned").await?;
    let mut set = gtids(session, "SELECT @@GLOBAL.gtid_executed").await?;
    set.add_set(&committing);
    Ok(Position::Mysql(set, None))
}

/// A set of the server's; each GTID that is owned names its thread, `uuid:7#12:8#13`.
async fn gtids(session: &mut Session, sql: &str) -> Result<MysqlGtidSet> {
    let text = session.text("read the server's GTIDs", sql).await?.unwrap_or_default();
    without_threads(&text)
        .parse()
        .map_err(|error| Error::new(Kind::Malformed, "the GTIDs of the server").caused_by(error))
}

fn without_threads(owned: &str) -> String {
    let mut pieces = owned.split('#');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.trim_start_matches(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a commit on its way were not understood: a row that is read with it would be written
    /// before what comes before it in the log.
    #[test]
    fn owned_gtids_are_gtids() {
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        for (owned, set) in [
            (String::new(), String::new()),
            (format!("{uuid}:7#12:9#13"), format!("{uuid}:7:9")),
            (format!("{uuid}:7#12,\n{uuid}:tag:1#3"), format!("{uuid}:7:tag:1")),
        ] {
            let parsed: MysqlGtidSet = without_threads(&owned).parse().expect("a set");
            assert_eq!(parsed, set.parse().expect("a set"), "{owned}");
        }
    }
}
