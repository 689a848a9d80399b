//! Following the log: frames in, parts to the queue, and the server kept informed.
//!
//! Guarantees: the server is never told a durable position beyond the frontier; it is told ours at
//! least every [`REPORT_EVERY`], and often enough for its time-out while the queue is full, so that
//! backpressure does not end the stream; a part is handed on exactly once and in order. Progress without
//! changes is folded into the newest such part. A transaction that came before its commit is handed
//! on at it, before anything else is read.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::poll;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::assemble::Assembler;
use super::members::Catalog;
use super::pgoutput::StreamCommit;
use super::source::lsn;
use super::spool::{Replay, Spool, Taken};
use super::stream::{Frame, Replication, Status};
use crate::error::{Error, Kind, Result};
use crate::link::queue::{Closed, PartSender};
use crate::model::{Commit, Part};
use crate::position::{Lsn, Position};

/// Messages of a transaction from the spool that are handed on before anything else is looked at.
const REPLAY_STEP: usize = 1_000;
/// How often time-outs and reports are looked at, at least.
const TICK: Duration = Duration::from_millis(200);
/// The server hears from us at least this often.
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// A new frontier is reported, and a blocked server is spoken to, at most this often.
const REPORT_SOON: Duration = Duration::from_secs(1);
/// After this much silence the server is asked for an answer.
const SILENCE_ASK: Duration = Duration::from_secs(30);
/// After this much silence the connection is dead, unless the attempts before ended the same way.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// However many did.
const SILENCE_LONGEST: Duration = Duration::from_secs(3600);
/// A server that asks again this soon, by its own clock, is shutting down: it waits until the slot
/// has everything, and asks at once after each answer. In microseconds.
const ASKED_AGAIN_US: i64 = 200_000;
/// As many times in a row.
const ASKED_AGAIN_MAX: u32 = 5;

/// Where parts go and what comes back.
#[derive(Debug)]
pub(super) struct Progress {
    /// Takes the parts.
    pub(super) queue: PartSender,
    /// The frontier: the only position that is ever acknowledged.
    pub(super) durable: watch::Receiver<Position>,
    /// Asks for an end in good order.
    pub(super) stop: CancellationToken,
}

/// How often the server is spoken to and how long it may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    report_soon: Duration,
    silence_max: Duration,
}

impl Pace {
    /// For a server that waits `report_limit` for a report. A server that replays a long stretch of
    /// which nothing is sent neither sends nor reads, so each of the `silences` of the attempts
    /// before doubles the patience.
    pub(super) fn new(report_limit: Option<Duration>, silences: u32) -> Self {
        let report_soon = report_limit.map_or(REPORT_SOON, |limit| REPORT_SOON.min(limit / 3));
        let silence_max = SILENCE_MAX.saturating_mul(2u32.saturating_pow(silences.min(16)));
        Pace { report_soon, silence_max: silence_max.min(SILENCE_LONGEST) }
    }
}

type Sending = Pin<Box<dyn Future<Output = Result<(), Closed>> + Send>>;

/// A started stream and all that is known about it.
pub(super) struct Follow {
    replication: Replication,
    assembler: Assembler,
    catalog: Catalog,
    progress: Progress,
    pace: Pace,
    /// Open transactions, if the server was asked for them.
    spool: Option<Spool>,
    /// A transaction of the spool that is being handed on.
    replay: Option<(StreamCommit, Box<Replay>)>,
    /// A part that waits for room in the queue.
    sending: Option<Sending>,
    /// Progress without changes, not yet handed on.
    idle: Option<Part>,
    /// Whether a part without a commit has been handed on.
    inside: bool,
    /// The newest position handed on or in `idle`.
    position: Lsn,
    /// The newest position the server has spoken of.
    received: Lsn,
    /// What was last reported as durable, and when.
    reported: (Lsn, Instant),
    /// When the last byte came, or reading went on after a wait for room.
    heard: Instant,
    /// Whether the server was asked for an answer since then.
    asked: bool,
    /// When the server asked last, by its clock in microseconds, and how many times in a row it
    /// asked again at once.
    server_asked: (i64, u32),
}

/// Why the loop ended without an error.
enum Ended {
    /// Asked to, or nobody listens any more.
    Stopped,
    /// An open transaction cannot be kept.
    NoRoom(Error),
}

/// How a stream ended without an error.
pub(super) enum Outcome {
    /// Asked to, or nobody listens any more.
    Stopped,
    /// An open transaction cannot be kept: read on without such, from where all is handed on.
    NoRoom(Error, Box<Resume>),
}

/// Where a stream begins, and who listens.
pub(super) struct Resume {
    /// The newest position handed on or in `idle`.
    pub(super) from: Lsn,
    /// Progress without changes, not yet handed on.
    pub(super) idle: Option<Part>,
    /// Who listens.
    pub(super) progress: Progress,
}

impl Follow {
    /// A stream that was started at `resume.from`; `spool` keeps open transactions, where they come.
    pub(super) fn new(
        replication: Replication,
        assembler: Assembler,
        catalog: Catalog,
        spool: Option<Spool>,
        pace: Pace,
        resume: Resume,
    ) -> Self {
        let now = Instant::now();
        let Resume { from, idle, progress } = resume;
        Follow {
            replication,
            assembler,
            catalog,
            progress,
            pace,
            spool,
            replay: None,
            sending: None,
            idle,
            inside: false,
            position: from,
            received: from,
            reported: (Lsn::INVALID, now),
            heard: now,
            asked: false,
            server_asked: (0, 0),
        }
    }

    /// Follows until a stop, the end of the applier, the end of the spool, or an error.
    pub(super) async fn run(mut self) -> Result<Outcome> {
        let ended = self.follow().await?;
        self.report(false).await?;
        self.replication.finish().await;
        Ok(match ended {
            Ended::Stopped => Outcome::Stopped,
            Ended::NoRoom(why) => {
                let (from, idle, progress) = (self.position, self.idle, self.progress);
                Outcome::NoRoom(why, Box::new(Resume { from, idle, progress }))
            }
        })
    }

    async fn follow(&mut self) -> Result<Ended> {
        let mut tick = interval(TICK.min(self.pace.report_soon).max(Duration::from_millis(1)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.sending.is_none()
                && let Some(ended) = self.advance().await?
            {
                return Ok(ended);
            }
            let blocked = self.sending.is_some();
            let replaying = self.replay.is_some();
            tokio::select! {
                biased;
                () = self.progress.stop.cancelled() => return Ok(Ended::Stopped),
                () = self.progress.queue.closed() => return Ok(Ended::Stopped),
                _ = tick.tick() => self.on_tick().await?,
                sent = room(&mut self.sending), if blocked => {
                    self.sending = None;
                    self.heard = Instant::now();
                    if sent.is_err() {
                        return Ok(Ended::Stopped);
                    }
                }
                () = std::future::ready(()), if replaying && !blocked => {}
                filled = self.replication.fill(), if !blocked => {
                    filled?;
                    self.heard = Instant::now();
                    self.asked = false;
                }
            }
        }
    }

    /// Takes what is here until a part has to wait for room: first of the spool, then of the wire.
    async fn advance(&mut self) -> Result<Option<Ended>> {
        if self.replay.is_some() {
            return self.advance_replay().await;
        }
        while let Some(frame) = self.replication.buffered()? {
            match frame {
                Frame::Wal { start, payload } => {
                    self.received = self.received.max(start);
                    let taken = match &mut self.spool {
                        Some(spool) => spool.take(&payload).await?,
                        None => Taken::Pass,
                    };
                    match taken {
                        Taken::Pass => {
                            let Some(part) = self.assemble(&payload).await? else { continue };
                            if let Some(ended) = self.take(part).await? {
                                return Ok(Some(ended));
                            }
                        }
                        Taken::Kept => {}
                        Taken::Committed(commit, replay) => {
                            self.assembler.begin(commit.commit_lsn, commit.xid, commit.time_us)?;
                            self.replay = Some((commit, replay));
                            return self.advance_replay().await;
                        }
                        Taken::NoRoom(why) => return Ok(Some(Ended::NoRoom(why))),
                    }
                }
                Frame::Keepalive { end, time_us, reply } => {
                    self.on_keepalive(end, time_us, reply).await?;
                }
            }
            if self.sending.is_some() {
                break;
            }
        }
        Ok(None)
    }

    /// Takes one message, and looks at the catalog where that could not tell of what it describes.
    async fn assemble(&mut self, payload: &Bytes) -> Result<Option<Part>> {
        let part = self.assembler.push(payload)?;
        if self.assembler.is_unsettled() {
            self.assembler.renew(self.catalog.look().await?)?;
        }
        Ok(part)
    }

    /// Hands on a piece of the transaction from the spool.
    async fn advance_replay(&mut self) -> Result<Option<Ended>> {
        for _ in 0..REPLAY_STEP {
            let Some((commit, replay)) = &mut self.replay else { break };
            let part = match replay.next().await? {
                Some(payload) => self.assemble(&payload).await?,
                None => {
                    let StreamCommit { commit_lsn, end_lsn, time_us, .. } = *commit;
                    self.replay = None;
                    self.heard = Instant::now();
                    Some(self.assembler.commit(commit_lsn, end_lsn, time_us)?)
                }
            };
            let Some(part) = part else { continue };
            if let Some(ended) = self.take(part).await? {
                return Ok(Some(ended));
            }
            if self.sending.is_some() {
                break;
            }
        }
        Ok(None)
    }

    /// Hands a part on, or keeps it as progress if it holds nothing else.
    async fn take(&mut self, part: Part) -> Result<Option<Ended>> {
        if let Some(commit) = &part.commit {
            self.position = self.position.max(lsn(&commit.position)?);
            self.received = self.received.max(self.position);
            if part.changes.is_empty() && !self.inside {
                self.idle = Some(part);
                return Ok(None);
            }
        }
        self.inside = part.commit.is_none();
        self.idle = None;
        self.send(part).await
    }

    async fn send(&mut self, part: Part) -> Result<Option<Ended>> {
        let queue = self.progress.queue.clone();
        let mut sending: Sending = Box::pin(async move { queue.send(part).await });
        match poll!(&mut sending) {
            std::task::Poll::Ready(Ok(())) => Ok(None),
            std::task::Poll::Ready(Err(Closed)) => Ok(Some(Ended::Stopped)),
            std::task::Poll::Pending => {
                self.sending = Some(sending);
                Ok(None)
            }
        }
    }

    /// Whether a transaction, or a block of an open one, is being sent.
    fn in_transaction(&self) -> bool {
        self.assembler.in_transaction() || self.spool.as_ref().is_some_and(Spool::is_inside)
    }

    /// Everything that commits before `end` has been sent. Outside a transaction that makes `end`
    /// a position, so that the slot of an idle database moves.
    async fn on_keepalive(&mut self, end: Lsn, time_us: i64, reply: bool) -> Result<()> {
        self.received = self.received.max(end);
        if end > self.position && !self.in_transaction() {
            self.position = end;
            let commit = Commit { position: Position::Postgres(end), time_us: 0, xid: None };
            self.idle = Some(Part { commit: Some(commit), idle: true, ..Part::default() });
        }
        if !reply {
            return Ok(());
        }
        let (last, times) = self.server_asked;
        let again = time_us.saturating_sub(last) < ASKED_AGAIN_US;
        self.server_asked = (time_us, if again { times + 1 } else { 0 });
        if self.server_asked.1 >= ASKED_AGAIN_MAX {
            return Err(Error::new(Kind::Unavailable, "the source is shutting down"));
        }
        self.report(false).await
    }

    async fn on_tick(&mut self) -> Result<()> {
        if self.sending.is_none()
            && let Some(part) = self.idle.take()
        {
            // Closed is seen by the loop.
            self.send(part).await?;
        }
        let since = self.reported.1.elapsed();
        let durable = lsn(&self.progress.durable.borrow())?;
        let busy = self.sending.is_some() || self.replay.is_some();
        let soon = busy || durable > self.reported.0;
        let silent = if busy { Duration::ZERO } else { self.heard.elapsed() };
        if silent >= self.pace.silence_max {
            return Err(Error::new(Kind::Timeout, "the source did not answer in the stream"));
        }
        if silent >= SILENCE_ASK && !self.asked {
            self.asked = true;
            return self.report(true).await;
        }
        if since >= REPORT_EVERY {
            // A server that is never done reading does not tell by itself how far it is.
            return self.report(!busy).await;
        }
        if soon && since >= self.pace.report_soon {
            return self.report(false).await;
        }
        Ok(())
    }

    /// Tells the server how far we are; durable is the frontier and nothing else.
    async fn report(&mut self, reply: bool) -> Result<()> {
        let flush = lsn(&self.progress.durable.borrow())?;
        let write = self.received.max(flush);
        self.reported = (flush, Instant::now());
        self.replication.status(Status { write, flush, reply }).await
    }
}

/// Waits for the part that is being sent.
async fn room(sending: &mut Option<Sending>) -> Result<(), Closed> {
    match sending {
        Some(sending) => sending.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a server with a short time-out cut the stream while the target is slow, or one that
    /// is silent for long were given up after the same time for ever.
    #[test]
    fn the_pace_is_the_servers() {
        let soon = |limit: Option<u64>| Pace::new(limit.map(Duration::from_millis), 0).report_soon;
        assert_eq!(soon(None), REPORT_SOON);
        assert_eq!(soon(Some(60_000)), REPORT_SOON);
        assert_eq!(soon(Some(900)), Duration::from_millis(300));
        let patience = |silences| Pace::new(None, silences).silence_max;
        assert_eq!(patience(0), SILENCE_MAX);
        assert_eq!(patience(2), 4 * SILENCE_MAX);
        assert_eq!(patience(u32::MAX), SILENCE_LONGEST);
    }
}
