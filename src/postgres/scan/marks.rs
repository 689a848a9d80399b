//! Where a snapshot lies in the log (correctness.md 8).
//!
//! `low` is the end of the log before the snapshot was taken. A transaction that committed at or
//! before `low` is visible *unless* it is in `in_progress`: its commit record is in the log, but it was
//! not yet finished for the snapshot, for instance because it waits for a synchronous standby. So `low`
//! may be used only together with `in_progress`. Nothing that commits after `high` is visible.

use tokio_postgres::{Client, SimpleQueryRow};

use super::{simple, unexpected};
use crate::error::{Error, Kind, Result};
use crate::position::Lsn;

/// The end of the log before the snapshot, and who holds a transaction id. Everybody who has one
/// holds the lock on it until after he is visible.
const BEFORE: &str = "SELECT pg_current_wal_insert_lsn();
     SELECT transactionid FROM pg_locks
     WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted";
const OPEN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
     SELECT pg_current_snapshot(); SELECT pg_current_wal_insert_lsn()";
/// The same on a standby. What was replayed before the snapshot is visible in it, and who is in
/// progress it cannot tell (correctness.md 8, k). The record that is being replayed may be visible
/// before it counts as replayed, so the upper mark is what was received.
const BEFORE_ON_STANDBY: &str = "SELECT pg_last_wal_replay_lsn()";
const OPEN_ON_STANDBY: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
     SELECT pg_current_snapshot();
     SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn());
     SELECT pg_is_in_recovery()";

/// What is asked of a server's log.
const SIZES: &str = "SELECT setting FROM pg_settings WHERE name = 'wal_block_size';
     SELECT setting FROM pg_settings WHERE name = 'wal_segment_size';
     SELECT pg_is_in_recovery()";

/// A server's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::postgres) struct Log {
    /// Whether the server is a standby.
    pub(super) standby: bool,
    /// Size of a page, in bytes.
    page: u64,
    /// Size of a file, in bytes.
    segment: u64,
}

/// What a snapshot sees.
#[derive(Debug)]
pub(in crate::postgres) struct Marks {
    /// What committed up to here, unless it is in progress.
    pub(super) low: Lsn,
    /// Nothing that committed after this.
    pub(super) high: Lsn,
    /// None of these transactions.
    pub(super) in_progress: Vec<u32>,
}

impl Marks {
    /// Whether it sees transaction `xid`, whose commit record begins at `commit`.
    pub(in crate::postgres) fn see(&self, xid: u32, commit: Lsn) -> bool {
        commit < self.low && !self.in_progress.contains(&xid)
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { standby: false, page: 8 << 10, segment: 16 << 20 }
    }
}

impl Log {
    /// As it is now.
    pub(in crate::postgres) async fn of(session: &Client) -> Result<Log> {
        let rows = simple(session, SIZES).await?;
        let size = |at: usize| -> Result<u64> {
            let text = rows.get(at).and_then(|row| row.get(0));
            text.and_then(|text| text.parse().ok()).filter(|size| *size > 0).ok_or_else(unexpected)
        };
        let standby = rows.get(2).and_then(|row| row.get(0)) == Some("t");
        Ok(Log { standby, page: size(0)?, segment: size(1)? })
    }

    /// Begins a transaction that sees one snapshot, and returns its marks.
    pub(in crate::postgres) async fn open_snapshot(self, session: &Client) -> Result<Marks> {
        let (before, open) = match self.standby {
            true => (BEFORE_ON_STANDBY, OPEN_ON_STANDBY),
            false => (BEFORE, OPEN),
        };
        let before = simple(session, before).await?;
        let low = lsn_in(before.first(), self)?;
        let holders = before.iter().skip(1).filter_map(|row| row.get(0)?.parse().ok());
        let opened = simple(session, open).await?;
        let snapshot = opened.first().and_then(|row| row.get(0)).ok_or_else(unexpected)?;
        let promoted = opened.get(2).and_then(|row| row.get(0)) == Some("f");
        let in_progress = match self.standby {
            true if promoted => {
                return Err(Error::new(Kind::Unavailable, "the source was promoted meanwhile"));
            }
            true => Vec::new(),
            false => in_progress(snapshot, holders).ok_or_else(unexpected)?,
        };
        let high = lsn_in(opened.get(1), self)?;
        Ok(Marks { low, high, in_progress })
    }

    /// Where the last record ended. The insert position skips the header of a fresh page, while
    /// the walsender reports the page's start when nothing has been written on it; without this
    /// a link that has everything would seem 24 or 40 bytes behind for ever.
    fn end_of_record(self, at: Lsn) -> Lsn {
        const PAGE_HEADER: u64 = 24;
        const SEGMENT_HEADER: u64 = 40;
        if at.0 % self.segment == SEGMENT_HEADER {
            return Lsn(at.0 - SEGMENT_HEADER);
        }
        if at.0 % self.page == PAGE_HEADER && at.0 % self.segment != PAGE_HEADER {
            return Lsn(at.0 - PAGE_HEADER);
        }
        at
    }
}

/// A place in the log that was asked for.
pub(super) fn lsn_in(row: Option<&SimpleQueryRow>, log: Log) -> Result<Lsn> {
    let text = row.and_then(|row| row.get(0)).ok_or_else(unexpected)?;
    text.parse().map(|at| log.end_of_record(at)).map_err(|_| unexpected())
}

/// Transactions not finished for a snapshot `xmin:xmax:xip,…`: its list, and those holders of a
/// transaction id that it is too old to list. Ids are compared on the circle, as the server does.
fn in_progress(snapshot: &str, holders: impl Iterator<Item = u32>) -> Option<Vec<u32>> {
    let mut fields = snapshot.split(':');
    let (_, xmax, listed) = (fields.next()?, fields.next()?, fields.next()?);
    let narrow = |xid: &str| xid.parse::<u64>().ok().map(|xid| (xid & 0xFFFF_FFFF) as u32);
    let xmax = narrow(xmax)?;
    let listed = listed.split(',').filter(|xid| !xid.is_empty());
    let mut found = listed.map(narrow).collect::<Option<Vec<u32>>>()?;
    found.extend(holders.filter(|xid| xid.wrapping_sub(xmax) < 1 << 31));
    found.sort_unstable();
    found.dedup();
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if an idle link never counted as caught up after a record that filled its page.
    #[test]
    fn a_fresh_page_is_the_end_of_the_last_record() {
        let log = Log::default();
        for (insert, end) in [
            (8192 + 24, 8192),
            (8192 + 25, 8192 + 25),
            (8192, 8192),
            ((16 << 20) + 40, 16 << 20),
            ((16 << 20) + 24, (16 << 20) + 24),
            (3 * 8192 + 40, 3 * 8192 + 40),
        ] {
            assert_eq!(log.end_of_record(Lsn(insert)), Lsn(end));
        }
    }

    /// Broken if what a transaction did were taken for known before the snapshot could see it.
    #[test]
    fn a_snapshot_sees_what_has_ended() {
        let marks = Marks { low: Lsn(100), high: Lsn(120), in_progress: vec![7] };
        assert!(marks.see(6, Lsn(99)));
        assert!(!marks.see(7, Lsn(99)), "it waits for a standby");
        assert!(!marks.see(6, Lsn(100)), "its commit is not in the log yet");
    }

    /// Broken if a row were taken as fresh although a streamed transaction is not in it.
    #[test]
    fn a_transaction_newer_than_the_snapshot_counts_as_in_progress() {
        let held = |snapshot, holders: &[u32]| in_progress(snapshot, holders.iter().copied());
        assert_eq!(held("726:728:726", &[726]), Some(vec![726]));
        assert_eq!(held("726:726:", &[726, 725]), Some(vec![726]));
        assert_eq!(held("4294967299:4294967300:4294967299", &[2, 5]), Some(vec![3, 5]));
        assert_eq!(held("4294967290:4294967295:", &[1]), Some(vec![1]));
        assert_eq!(held("garbage", &[]), None);
    }
}
