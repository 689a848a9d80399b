//! The one writer of the ledger: a thread that owns sled and makes records durable in groups.
//!
//! One cycle is `apply_batch`, `flush`, and `fdatasync` of sled's file (sled's own flush is none);
//! all requests that arrive within [`GROUP`] of the last cycle share the next one. It runs on a
//! thread of its own because every step blocks. The mirror follows every few seconds and at the end, and at
//! once where a link comes or goes: it is all that other verbs see of one that was killed soon after.
//! sled keeps its first write error for good, so after an error, or a panic of sled's, the files are
//! opened anew and what is known is written again.

use std::collections::BTreeMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::config::LinkName;
use crate::error::{Error, Kind, Result};
use crate::link::ledger::Checkpoint;
use crate::plan::Outline;

use super::checkpoint::{self, KEPT_PER_LINK, Stored};
use super::directory::{Directory, state_error};
use super::files::{Files, Numbers};
use super::mirror::{self, Contents};
use super::{record, schema};

/// Cycles are at least this far apart.
const GROUP: Duration = Duration::from_millis(50);
/// The mirror is written at most this often.
const MIRROR: Duration = Duration::from_secs(3);
/// Key of the installation id.
pub(super) const INSTALLATION_KEY: &[u8] = b"minstallation";

/// What is asked of the writer.
pub(super) enum Request {
    /// Make a checkpoint durable.
    Record {
        /// Whose.
        link: LinkName,
        /// What.
        checkpoint: Box<Checkpoint>,
        /// The installation id to keep now.
        installation: String,
        /// Told when it is durable.
        done: oneshot::Sender<Result<()>>,
    },
    /// Remove everything about a link.
    Forget {
        /// Which.
        link: LinkName,
        /// Told when it is durable.
        done: oneshot::Sender<Result<()>>,
    },
    /// Write everything and end.
    Close(oneshot::Sender<()>),
}

/// The thread's state.
pub(super) struct Writer {
    /// Held until the end.
    pub(super) directory: Directory,
    /// sled; `None` after an error, until it is opened anew.
    pub(super) database: Option<sled::Db>,
    /// As durable as the last cycle.
    pub(super) contents: Contents,
    /// Number of the newest checkpoint of each link.
    pub(super) numbers: Numbers,
}

/// Per link the newest checkpoint with the installation id; `None` to forget the link.
type Pending = BTreeMap<LinkName, Option<(Checkpoint, String)>>;
type Waiting = Vec<oneshot::Sender<Result<()>>>;

impl Writer {
    /// Serves requests until asked to close or all senders are gone.
    pub(super) fn run(mut self, requests: &Receiver<Request>) {
        let mut last_cycle: Option<Instant> = None;
        let mut mirrored = Instant::now();
        let mut mirror_due = true;
        let closed = loop {
            let mut pending = BTreeMap::new();
            let mut waiting = Waiting::new();
            let mut closing = None;
            let wait = if mirror_due { MIRROR.saturating_sub(mirrored.elapsed()) } else { MIRROR };
            match requests.recv_timeout(wait) {
                Ok(request) => take(request, &mut pending, &mut waiting, &mut closing),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break None,
            }
            while closing.is_none() && !pending.is_empty() {
                let rest =
                    last_cycle.map_or(Duration::ZERO, |at| GROUP.saturating_sub(at.elapsed()));
                match requests.recv_timeout(rest) {
                    Ok(request) => take(request, &mut pending, &mut waiting, &mut closing),
                    Err(_) => break,
                }
            }
            if !pending.is_empty() {
                let mirrored = self.comes_or_goes(&pending);
                self.cycle(pending, waiting, mirrored);
                last_cycle = Some(Instant::now());
                mirror_due = true;
            }
            if closing.is_some() {
                break closing;
            }
            if mirror_due && mirrored.elapsed() >= MIRROR {
                self.mirror();
                mirrored = Instant::now();
                mirror_due = false;
            }
        };
        self.mirror();
        if let Err(cause) = self.durably(&Pending::new()) {
            tracing::warn!(cause = cause.chain(), "the state could not be flushed at the end");
        }
        drop(self);
        if let Some(closed) = closed {
            let _gone = closed.send(());
        }
    }

    /// Whether a link is recorded for the first time, or forgotten.
    fn comes_or_goes(&self, pending: &Pending) -> bool {
        pending
            .iter()
            .any(|(link, record)| record.is_some() != self.contents.links.contains_key(link))
    }

    /// Makes what is pending durable, and then says so; with the mirror where that is not to wait.
    fn cycle(&mut self, pending: Pending, waiting: Waiting, mirrored: bool) {
        let outcome = self.durably(&pending);
        if outcome.is_ok() {
            for (link, record) in pending {
                match record {
                    Some((checkpoint, installation)) => {
                        self.contents.installation = installation;
                        self.contents.links.insert(link, checkpoint);
                    }
                    None => drop(self.contents.links.remove(&link)),
                }
            }
            if mirrored {
                self.mirror();
            }
        }
        for done in waiting {
            let answer = match &outcome {
                Ok(()) => Ok(()),
                Err(error) => Err(Error::new(error.kind(), error.chain())),
            };
            // A link that has gone needs no answer.
            let _gone = done.send(answer);
        }
    }

    /// Writes and syncs. Whatever went wrong, the next try starts with the files opened anew.
    fn durably(&mut self, pending: &Pending) -> Result<()> {
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            self.reopen()?;
            self.write(pending)?;
            self.sync()
        }));
        let outcome =
            attempt.unwrap_or_else(|_| Err(Error::new(Kind::State, "writing the state panicked")));
        if outcome.is_err() {
            self.give_up();
        }
        outcome
    }

    /// Makes what came from elsewhere (the mirror) durable in sled too, before anything else.
    pub(super) fn adopt(&mut self, contents: &Contents) -> Result<()> {
        let mut pending = records(contents);
        pending.retain(|link, _| self.contents.links.get(link) != contents.links.get(link));
        if !pending.is_empty() {
            self.durably(&pending)?;
        }
        self.contents = contents.clone();
        Ok(())
    }

    /// Closes sled, which may fail again or panic while it does.
    fn give_up(&mut self) {
        let database = self.database.take();
        if catch_unwind(AssertUnwindSafe(|| drop(database))).is_err() {
            tracing::warn!("sled panicked while it was closed");
        }
    }

    /// Opens the files again after an error, and writes again what is known to have been durable.
    fn reopen(&mut self) -> Result<()> {
        if self.database.is_some() {
            return Ok(());
        }
        let files = Files::open(&self.directory)?;
        self.database = Some(files.database);
        for (link, number) in files.numbers {
            let known = self.numbers.entry(link).or_default();
            *known = number.max(*known);
        }
        let known = std::mem::take(&mut self.contents);
        let again = records(&known);
        let written = self.write(&again);
        self.contents = known;
        written
    }

    fn sled(&self) -> Result<&sled::Db> {
        self.database.as_ref().ok_or_else(|| Error::new(Kind::State, "the state files are closed"))
    }

    fn write(&mut self, pending: &Pending) -> Result<()> {
        let mut batch = sled::Batch::default();
        for (link, record) in pending {
            match record {
                Some((checkpoint, installation)) => {
                    if *installation != self.contents.installation {
                        batch.insert(INSTALLATION_KEY, sealed(installation)?);
                    }
                    self.write_one(link, checkpoint, &mut batch)?;
                }
                None => self.remove_one(link, &mut batch)?,
            }
        }
        self.sled()?.apply_batch(batch).map_err(broken)
    }

    fn write_one(
        &mut self,
        link: &LinkName,
        checkpoint: &Checkpoint,
        batch: &mut sled::Batch,
    ) -> Result<()> {
        let number = self.numbers.entry(link.clone()).or_default();
        *number += 1;
        batch.insert(checkpoint::key(link, *number), sealed(&Stored::of(checkpoint))?);
        if let Some(oldest) = number.checked_sub(KEPT_PER_LINK) {
            batch.remove(checkpoint::key(link, oldest));
        }
        let old = self.contents.links.get(link);
        let same = |old: &Arc<Outline>, new| Arc::ptr_eq(old, new) || old == new;
        match (old.and_then(|old| old.outline.as_ref()), &checkpoint.outline) {
            (Some(old), Some(new)) if same(old, new) => {}
            (_, Some(new)) => batch.insert(schema::outline_key(link), sealed(new)?),
            (_, None) => batch.remove(schema::outline_key(link)),
        }
        let old = old.map(|old| Arc::clone(&old.shapes)).unwrap_or_default();
        if Arc::ptr_eq(&old, &checkpoint.shapes) {
            return Ok(());
        }
        for (table, shape) in schema::difference(&old, &checkpoint.shapes) {
            match shape {
                Some(shape) => batch.insert(schema::key(link, table), sealed(shape)?),
                None => batch.remove(schema::key(link, table)),
            }
        }
        Ok(())
    }

    fn remove_one(&mut self, link: &LinkName, batch: &mut sled::Batch) -> Result<()> {
        self.numbers.remove(link);
        batch.remove(schema::outline_key(link));
        for prefix in [checkpoint::prefix(link), schema::key(link, "")] {
            for key in self.sled()?.scan_prefix(prefix).keys() {
                batch.remove(key.map_err(broken)?);
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.sled()?.flush().map_err(broken)?;
        let path = self.directory.database().join("db");
        File::open(&path)
            .and_then(|file| file.sync_data())
            .map_err(|cause| state_error(format!("cannot sync {}", path.display()), cause))
    }

    fn mirror(&self) {
        if let Err(cause) = mirror::write(&self.directory, &self.contents) {
            tracing::warn!(%cause, "checkpoints.json could not be written");
        }
    }
}

/// A record of every link.
fn records(contents: &Contents) -> Pending {
    let record = |checkpoint: &Checkpoint| (checkpoint.clone(), contents.installation.clone());
    let links = contents.links.iter();
    links.map(|(link, checkpoint)| (link.clone(), Some(record(checkpoint)))).collect()
}

fn take(
    request: Request,
    pending: &mut Pending,
    waiting: &mut Waiting,
    closing: &mut Option<oneshot::Sender<()>>,
) {
    match request {
        Request::Record { link, checkpoint, installation, done } => {
            pending.insert(link, Some((*checkpoint, installation)));
            waiting.push(done);
        }
        Request::Forget { link, done } => {
            pending.insert(link, None);
            waiting.push(done);
        }
        Request::Close(done) => *closing = Some(done),
    }
}

/// A record's bytes.
pub(super) fn sealed(payload: &impl serde::Serialize) -> Result<Vec<u8>> {
    record::seal(payload).map_err(|cause| {
        Error::new(Kind::Internal, "a checkpoint cannot be written down").caused_by(cause)
    })
}

fn broken(cause: sled::Error) -> Error {
    match cause {
        sled::Error::Io(cause) => state_error("cannot write the state".to_owned(), cause),
        other => Error::new(Kind::State, "cannot write the state").caused_by(other),
    }
}
