//! Transactions that the server sends while they are still open, kept until it says how they end.
//!
//! Guarantees: nothing of a transaction is handed on before its Stream Commit; then it is handed on
//! whole and in order, as if it had been sent at its commit, without the subtransactions that were
//! rolled back. Descriptions of tables are kept among the changes and count from the commit on, in
//! its place in the order, as the protocol wants it. Memory stays flat: what does not fit into
//! [`BUFFERS_MAX`] is on disk (`held`), at most `bytes_max` of it. What is kept is expendable: a new
//! connection is sent all of it again.
//!
//! What a message inside a block means is not looked at here but when it is handed on. No room left,
//! or a disk that cannot be written, is no error: the caller reads on with a stream that brings whole
//! transactions only.
//! Source: PostgreSQL manual, "Streaming of Large Transactions for Logical Decoding".

mod held;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use hashbrown::HashMap;
use tokio::task::spawn_blocking;

use self::held::{CHUNK_BYTES, Held};
pub(super) use self::held::{Replay, entry};
use super::pgoutput::{self, Message, StreamCommit};
use crate::error::{Error, Kind, Result};
use crate::link::ports::SpoolPlace;

/// Memory of the beginnings and ends of all transactions that are not on disk, in bytes.
const BUFFERS_MAX: usize = 4 << 20;
/// Rolled back subtransactions of one transaction that are remembered at most.
const ABORTED_MAX: usize = 1_000_000;

/// The open transactions of one stream.
#[derive(Debug)]
pub(super) struct Spool {
    place: SpoolPlace,
    /// Bytes on disk, counted by all that hold a file.
    used: Arc<AtomicU64>,
    open: HashMap<u32, Held>,
    /// The transaction whose block is being sent.
    inside: Option<u32>,
}

/// What became of a message.
#[derive(Debug)]
pub(super) enum Taken {
    /// It is not of an open transaction.
    Pass,
    /// It is kept, or was about what is kept.
    Kept,
    /// A transaction that was kept has committed: now its messages come.
    Committed(StreamCommit, Box<Replay>),
    /// It cannot be kept, for the reason given. The spool is of no use any more.
    NoRoom(Error),
}

impl Spool {
    /// An empty spool at `place`; what an earlier one left there is removed.
    pub(super) async fn open(place: &SpoolPlace) -> Result<Self> {
        let directory = place.directory.clone();
        let emptied = spawn_blocking(move || held::make_empty(&directory)).await.map_err(failed)?;
        emptied.map_err(|cause| unusable(&place.directory, cause))?;
        let used = Arc::default();
        Ok(Spool { place: place.clone(), used, open: HashMap::new(), inside: None })
    }

    /// Whether a block is being sent.
    pub(super) fn is_inside(&self) -> bool {
        self.inside.is_some()
    }

    /// Takes the next message of the stream.
    ///
    /// Errors: `Malformed` where blocks, commits and what is kept do not fit together.
    pub(super) async fn take(&mut self, payload: &Bytes) -> Result<Taken> {
        match self.inside {
            Some(xid) if payload.first() == Some(&b'E') => {
                pgoutput::parse(payload)?;
                self.inside = None;
                self.end_block(xid).await
            }
            Some(xid) => self.keep(xid, payload).await,
            None if !pgoutput::frames_a_block(payload) => Ok(Taken::Pass),
            None => match pgoutput::parse(payload)? {
                Message::StreamStart { xid, first } => self.start(xid, first),
                Message::StreamCommit(commit) => {
                    let held = self.open.remove(&commit.xid);
                    let held = held.ok_or_else(|| out_of_order("a commit of what was not sent"))?;
                    Ok(Taken::Committed(commit, Box::new(held.replay())))
                }
                Message::StreamAbort { xid, subxid } => Ok(self.abort(xid, subxid)),
                _ => Err(out_of_order("a streamed block ends that did not begin")),
            },
        }
    }

    fn start(&mut self, xid: u32, first: bool) -> Result<Taken> {
        let known = self.open.contains_key(&xid);
        if known == first {
            return Err(out_of_order("a streamed block that does not go on from the one before"));
        }
        if first {
            tracing::debug!(xid, "a large transaction arrives before its commit");
            let path: PathBuf = self.place.directory.join(format!("{xid}.spool"));
            self.open.insert(xid, Held::new(xid, path, Arc::clone(&self.used)));
        }
        self.inside = Some(xid);
        Ok(Taken::Kept)
    }

    async fn keep(&mut self, xid: u32, payload: &[u8]) -> Result<Taken> {
        let (subxid, tag, body) = pgoutput::unframe(payload)?;
        let Some(held) = self.open.get_mut(&xid) else {
            return Err(out_of_order("a change of a transaction that is not open"));
        };
        held.push(subxid.unwrap_or(xid), tag, body)?;
        if held.buffered() < CHUNK_BYTES {
            return Ok(Taken::Kept);
        }
        self.write_out(xid).await
    }

    /// Between blocks a transaction keeps a little in memory, so that small ones need no file.
    async fn end_block(&mut self, xid: u32) -> Result<Taken> {
        let buffered: usize = self.open.values().map(Held::buffered).sum();
        if buffered > BUFFERS_MAX { self.write_out(xid).await } else { Ok(Taken::Kept) }
    }

    async fn write_out(&mut self, xid: u32) -> Result<Taken> {
        let most = self.place.bytes_max;
        let Some(held) = self.open.get_mut(&xid) else { return Ok(Taken::Kept) };
        if self.used.load(std::sync::atomic::Ordering::Relaxed) + held.buffered() as u64 > most {
            let context = format!(
                "transactions that are open at the source take more than {most} bytes \
                 (spool_bytes_max)"
            );
            return Ok(Taken::NoRoom(Error::new(Kind::DiskFull, context)));
        }
        match held.write_out().await? {
            Ok(()) => Ok(Taken::Kept),
            Err(cause) => Ok(Taken::NoRoom(unusable(&self.place.directory, cause))),
        }
    }

    /// Drops a transaction, or remembers which part of it not to hand on. Of one that was rolled
    /// back before anything was sent nothing is known here.
    fn abort(&mut self, xid: u32, subxid: u32) -> Taken {
        if subxid == xid {
            self.open.remove(&xid);
            return Taken::Kept;
        }
        let Some(held) = self.open.get_mut(&xid) else { return Taken::Kept };
        if held.abort(subxid) <= ABORTED_MAX {
            return Taken::Kept;
        }
        let context =
            format!("transaction {xid} rolled back more than {ABORTED_MAX} subtransactions");
        Taken::NoRoom(Error::new(Kind::TooLarge, context))
    }
}

/// The directory goes with the stream; each file goes with its transaction.
impl Drop for Spool {
    fn drop(&mut self) {
        self.open.clear();
        // Not empty while a transaction is handed on; the next start empties it.
        if let Err(error) = std::fs::remove_dir(&self.place.directory) {
            tracing::debug!(%error, "the spool's directory stays");
        }
    }
}

fn out_of_order(what: &str) -> Error {
    Error::new(Kind::Malformed, what)
}

fn failed(cause: tokio::task::JoinError) -> Error {
    Error::new(Kind::Internal, "a task of the spool failed").caused_by(cause)
}

fn unusable(directory: &std::path::Path, cause: std::io::Error) -> Error {
    let context = format!("the spool in {} cannot be used", directory.display());
    Error::new(Kind::Io, context).caused_by(cause)
}

#[cfg(test)]
mod tests;
