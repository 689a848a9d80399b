//! A message into a log that grows while the link's position stands still, where it is configured.
//!
//! Nothing of it is applied anywhere, nor even sent: it only has the server read, flush and tell on.
//! A message is never the reason for the next one, nor are the records that a server writes because
//! of it (a snapshot for standbys, a checkpoint): until the link has got past a message another would
//! not help, and less than a page is no growth. Nothing is written on a standby.
//! Source: PostgreSQL manual, "System Administration Functions", `pg_logical_emit_message`.

use std::time::{Duration, Instant};

use super::{PostgresScan, simple};
use crate::error::{Kind, Result};
use crate::position::Lsn;

/// A message of its own would not be flushed; the transaction is, and waits for no standby.
const WRITE: &str =
    "SET synchronous_commit = 'local'; SELECT pg_logical_emit_message(true, 'weir', '')";
/// In bytes: a log that has not grown by this is idle.
const IDLE_MAX: u64 = 8 << 10;

/// When a message is due.
#[derive(Debug)]
pub(super) struct Heartbeat {
    /// How long the position may stand still; never written when absent.
    every: Option<Duration>,
    /// Where the link stands, and since when.
    still: Option<(Lsn, Instant)>,
    /// The end of the log after the last message.
    written: Lsn,
}

impl Heartbeat {
    pub(super) fn new(every: Option<Duration>) -> Self {
        Heartbeat { every, still: None, written: Lsn::INVALID }
    }

    /// Whether the link has stood at `seen` for long and is past the last message.
    fn is_due(&mut self, seen: Lsn, now: Instant) -> bool {
        let Some(every) = self.every else { return false };
        match self.still {
            Some((still, since)) if still == seen => {
                seen >= self.written && now.saturating_duration_since(since) >= every
            }
            _ => {
                self.still = Some((seen, now));
                false
            }
        }
    }
}

impl PostgresScan {
    /// Writes a message if one is due and the log has grown.
    pub(super) async fn beat(&mut self, seen: Lsn) -> Result<()> {
        if !self.heartbeat.is_due(seen, Instant::now()) {
            return Ok(());
        }
        let head = self.insert_lsn().await?;
        if self.log.standby || head.0.saturating_sub(seen.0) < IDLE_MAX {
            return Ok(());
        }
        let session = self.session().await?;
        match simple(&session, WRITE).await {
            Err(error) if error.kind() == Kind::Privilege => {
                self.heartbeat.every = None;
                tracing::warn!(
                    database = self.database.name,
                    error = error.chain(),
                    hint = "`weir check` prints the GRANT",
                    "no heartbeats are written"
                );
                self.session = Some(session);
            }
            written => {
                written?;
                self.session = Some(session);
                self.heartbeat.written = self.insert_lsn().await?;
                tracing::debug!(database = self.database.name, "wrote a heartbeat");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a message were written before its time, while the one before is still ahead of the
    /// link, or where none is configured.
    #[test]
    fn one_is_due_where_the_position_stands_and_the_last_is_passed() {
        let every = Duration::from_secs(60);
        let start = Instant::now();
        let mut beat = Heartbeat::new(Some(every));
        assert!(!beat.is_due(Lsn(5), start));
        assert!(!beat.is_due(Lsn(5), start + every / 2));
        assert!(!beat.is_due(Lsn(6), start + every), "it has moved");
        assert!(!beat.is_due(Lsn(6), start + every * 3 / 2));
        assert!(beat.is_due(Lsn(6), start + every * 2));
        beat.written = Lsn(9);
        assert!(!beat.is_due(Lsn(6), start + every * 9), "the last is ahead");
        assert!(!beat.is_due(Lsn(9), start + every * 10));
        assert!(beat.is_due(Lsn(9), start + every * 11));
        let mut never = Heartbeat::new(None);
        assert!(!never.is_due(Lsn(5), start) && !never.is_due(Lsn(5), start + every));
    }
}
