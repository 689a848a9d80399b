//! The ledger on disk: opens (or rescues) the state directory and hands records to its one writer.
//!
//! Reads are answered from memory. Files that sled cannot open, also by a panic, are moved aside
//! and replaced from `checkpoints.json`, loudly; the witness in the target is the truth anyway.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use crate::config::LinkName;
use crate::error::{Error, Kind, Result};
use crate::link::ledger::{Checkpoint, Ledger, Shape};
use crate::link::ports::Pending;

use super::checkpoint::{self, Stored};
use super::directory::{Directory, held, state_error};
use super::mirror::{self, Contents};
use super::record::{self, Unreadable};
use super::schema;
use super::writer::{INSTALLATION_KEY, Request, Writer, sealed};

/// Memory of sled's cache, in bytes.
const CACHE_BYTES: u64 = 16 << 20;
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

    /// What is remembered of every link; for `weir status` without a running weir.
    pub fn links(&self) -> BTreeMap<LinkName, Checkpoint> {
        self.contents().links.clone()
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
        let database = open_or_rescue(&directory)?;
        let mirrored = mirror::read(&directory);
        let (stored, numbers) = load(&database, path)?;
        let mut contents = reconcile(stored, mirrored);
        let known = !contents.installation.is_empty();
        if !known {
            contents.installation = new_installation()?;
        }
        let sync = |cause| state_error(format!("cannot write to {}", path.display()), cause);
        database
            .insert(INSTALLATION_KEY, sealed(&contents.installation)?)
            .and_then(|_| database.flush())
            .map_err(|cause| unusable(path).caused_by(cause))?;
        Directory::restrict(&directory.database()).map_err(sync)?;
        directory.sync().map_err(sync)?;
        let fresh = !contents.links.values().any(|link| link.progress.is_some() || link.starting);
        let (requests, receiver) = mpsc::sync_channel(REQUESTS_MAX);
        let writer = Writer { directory, database, contents: contents.clone(), numbers };
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

fn now_us() -> i64 {
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

/// Opens sled; files that cannot be used are set aside and new ones made.
fn open_or_rescue(directory: &Directory) -> Result<sled::Db> {
    let path = directory.database();
    let cause = match try_open(&path) {
        Ok(database) => return Ok(database),
        Err(Failure::Io(cause)) => {
            return Err(state_error(format!("cannot open {}", path.display()), cause));
        }
        Err(Failure::Held) => return Err(held(&path)),
        Err(Failure::Corrupt(cause)) => cause,
    };
    let aside = directory.set_aside(now_us()).map_err(|cause| {
        state_error(format!("cannot move the corrupt {} aside", path.display()), cause)
    })?;
    tracing::error!(
        cause,
        aside = %aside.display(),
        "the state files are corrupt; they were moved aside and replaced from checkpoints.json. \
         Nothing is lost: each link goes on from the witness in its target"
    );
    match try_open(&path) {
        Ok(database) => Ok(database),
        Err(_) => Err(unusable(&path)),
    }
}

fn unusable(path: &Path) -> Error {
    Error::new(Kind::State, format!("the state files in {} cannot be used", path.display()))
}

enum Failure {
    Io(std::io::Error),
    Held,
    Corrupt(String),
}

fn try_open(path: &Path) -> std::result::Result<sled::Db, Failure> {
    let config = sled::Config::new()
        .path(path)
        .mode(sled::Mode::LowSpace)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(Some(500));
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(sled::Error::Io(cause))) => Err(match cause.kind() {
            std::io::ErrorKind::PermissionDenied
            | std::io::ErrorKind::StorageFull
            | std::io::ErrorKind::ReadOnlyFilesystem
            | std::io::ErrorKind::QuotaExceeded => Failure::Io(cause),
            _ if cause.to_string().starts_with("could not acquire lock") => Failure::Held,
            _ => Failure::Corrupt(cause.to_string()),
        }),
        Ok(Err(other)) => Err(Failure::Corrupt(other.to_string())),
        Err(_) => Err(Failure::Corrupt("opening panicked".to_owned())),
    }
}

type Numbers = BTreeMap<LinkName, u64>;

/// Reads everything: per link the newest valid checkpoint.
fn load(database: &sled::Db, path: &Path) -> Result<(Contents, Numbers)> {
    let mut contents = Contents::default();
    let mut numbers = Numbers::new();
    let mut shapes = Vec::new();
    for entry in database.iter() {
        let (key, value) = entry.map_err(|cause| unusable(path).caused_by(cause))?;
        if let Some((link, number)) = checkpoint::parse_key(&key) {
            numbers.insert(link.clone(), number);
            let stored = readable::<Stored>(&value, path)?.and_then(Stored::checkpoint);
            match stored {
                // Keys ascend, so a later valid record replaces an earlier one.
                Some(checkpoint) => drop(contents.links.insert(link, checkpoint)),
                None => tracing::error!(%link, number, "a checkpoint is torn and is not used"),
            }
        } else if let Some((link, table)) = schema::parse_key(&key) {
            match readable::<Shape>(&value, path)? {
                Some(shape) => shapes.push((link, table, shape)),
                None => tracing::error!(%link, table, "an accepted shape is torn and is not used"),
            }
        } else if &*key == INSTALLATION_KEY {
            contents.installation = readable(&value, path)?.unwrap_or_default();
        }
    }
    for (link, table, shape) in shapes {
        if let Some(checkpoint) = contents.links.get_mut(&link) {
            Arc::make_mut(&mut checkpoint.shapes).insert(table, shape);
        }
    }
    Ok((contents, numbers))
}

fn readable<T: serde::de::DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<Option<T>> {
    match record::open(bytes) {
        Ok(value) => Ok(Some(value)),
        Err(newer @ Unreadable::Newer(_)) => Err(unusable(path)
            .hint("start the weir that wrote them, or a later one")
            .caused_by(newer)),
        Err(Unreadable::Torn | Unreadable::Content(_)) => Ok(None),
    }
}

/// sled's contents, completed by what only the mirror has.
fn reconcile(mut stored: Contents, mirrored: Option<Contents>) -> Contents {
    let Some(mirrored) = mirrored else { return stored };
    if stored.installation.is_empty() {
        stored.installation = mirrored.installation;
    }
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
            }
        }
    }
    stored
}

#[cfg(test)]
mod tests;
