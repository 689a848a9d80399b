//! The ledger on disk: opens (or rescues) the state directory and hands records to its one writer.
//!
//! Reads are answered from memory. What is in `checkpoints.json` and newer than sled's files is
//! taken from there; the witness in the target is the truth anyway.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use crate::config::LinkName;
use crate::error::{Error, Kind, Result};
use crate::link::ledger::{Checkpoint, Ledger};
use crate::link::ports::Pending;

use super::directory::{Directory, state_error};
use super::files::{self, Files};
use super::mirror::{self, Contents};
use super::writer::{INSTALLATION_KEY, Request, Writer, sealed};

/// Requests waiting for the writer at most.
const REQUESTS_MAX: usize = 1_024;

/// The ledger of one state directory, held until closed or dropped.
#[derive(Debug)]
pub struct Store {
    contents: Mutex<Contents>,
    fresh: bool,
    requests: mpsc::SyncSender<Request>,
}

impl Store {
    /// Opens `state_dir`, making it where it is missing. Errors are of kind `State`: held by
    /// another process (`weir run`), not writable, or written by a later weir.
    pub async fn open(state_dir: &Path) -> Result<Store> {
        let path = state_dir.to_owned();
        tokio::task::spawn_blocking(move || Store::open_blocking(&path)).await.map_err(|cause| {
            Error::new(Kind::State, "the state directory could not be opened").caused_by(cause)
        })?
    }

    /// Every link that is remembered.
    pub fn links(&self) -> Vec<LinkName> {
        self.contents().links.keys().cloned().collect()
    }

    /// Forgets a link that was torn down, so that it may start anew.
    pub async fn forget(&self, link: &LinkName) -> Result<()> {
        let (done, durable) = oneshot::channel();
        self.contents().links.remove(link);
        let request = Request::Forget { link: link.clone(), done };
        self.requests.try_send(request).map_err(|_| closed())?;
        durable.await.map_err(|_| closed())?
    }

    /// Writes everything, mirror included, and gives the directory free.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.requests.try_send(Request::Close(done)).is_ok() {
            // An error means that the writer has ended already.
            let _ended = closed.await;
        }
    }

    fn open_blocking(path: &Path) -> Result<Store> {
        let directory = Directory::hold(path)?;
        let mirrored = mirror::read(&directory);
        let files = Files::open(&directory)?;
        let stored = files.contents.clone();
        let mut contents = reconcile(files.contents, mirrored);
        let known = !contents.installation.is_empty();
        if !known {
            contents.installation = new_installation()?;
        }
        let sync = |cause| state_error(format!("cannot write to {}", path.display()), cause);
        files
            .database
            .insert(INSTALLATION_KEY, sealed(&contents.installation)?)
            .and_then(|_| files.database.flush())
            .map_err(|cause| files::unusable(path).caused_by(cause))?;
        Directory::restrict(&directory.database()).map_err(sync)?;
        directory.sync().map_err(sync)?;
        let fresh = !contents.links.values().any(|link| link.progress.is_some() || link.starting);
        let (requests, receiver) = mpsc::sync_channel(REQUESTS_MAX);
        let mut writer = Writer {
            directory,
            database: Some(files.database),
            contents: stored,
            numbers: files.numbers,
        };
        writer.adopt(&contents)?;
        std::thread::Builder::new()
            .name("weir-state".to_owned())
            .spawn(move || writer.run(&receiver))
            .map_err(sync)?;
        Ok(Store { contents: Mutex::new(contents), fresh, requests })
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for Store {
    fn installation(&self) -> String {
        self.contents().installation.clone()
    }

    fn is_fresh(&self) -> bool {
        self.fresh
    }

    fn load(&self, link: &LinkName) -> Option<Checkpoint> {
        self.contents().links.get(link).cloned()
    }

    fn record<'a>(&'a self, link: &'a LinkName, mut checkpoint: Checkpoint) -> Pending<'a, ()> {
        Box::pin(async move {
            checkpoint.recorded_at_us = now_us();
            let (done, durable) = oneshot::channel();
            let request = {
                let mut contents = self.contents();
                let own = &contents.installation;
                let unused = contents.links.values().all(|link| link.installation != *own);
                if self.fresh && unused && !checkpoint.installation.is_empty() {
                    contents.installation.clone_from(&checkpoint.installation);
                }
                contents.links.insert(link.clone(), checkpoint.clone());
                Request::Record {
                    link: link.clone(),
                    checkpoint: Box::new(checkpoint),
                    installation: contents.installation.clone(),
                    done,
                }
            };
            self.requests.try_send(request).map_err(|_| closed())?;
            durable.await.map_err(|_| closed())?
        })
    }
}

fn closed() -> Error {
    Error::new(Kind::State, "the state directory is closed")
}

pub(super) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn new_installation() -> Result<String> {
    let mut bytes = [0u8; 16];
    random_bytes(&mut bytes).map_err(|cause| {
        Error::new(Kind::Io, "cannot read random bytes for the installation id").caused_by(cause)
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn random_bytes(bytes: &mut [u8]) -> std::io::Result<()> {
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, bytes)
}

/// sled's contents, completed by what only the mirror has.
fn reconcile(mut stored: Contents, mirrored: Option<Contents>) -> Contents {
    let Some(mirrored) = mirrored else { return stored };
    let mut newer = stored.installation.is_empty();
    for (link, theirs) in mirrored.links {
        let seq = |checkpoint: &Checkpoint| checkpoint.progress.as_ref().map(|own| own.seq);
        match stored.links.get(&link) {
            Some(own) if own.recorded_at_us >= theirs.recorded_at_us => {}
            Some(own) if seq(own) >= seq(&theirs) => {}
            own => {
                tracing::warn!(
                    %link,
                    had = own.is_some(),
                    "the state of the link is taken from checkpoints.json, which is newer"
                );
                stored.links.insert(link, theirs);
                newer = true;
            }
        }
    }
    // Files that lost a link may have kept an id from before it was adopted.
    if newer {
        stored.installation = mirrored.installation;
    }
    stored
}

#[cfg(test)]
mod tests;
