//! sled's files: opened and read whole, or set aside.
//!
//! Guarantees: files that cannot be opened or read, also by a panic, are moved aside and replaced by
//! empty ones, loudly. sled reads its pages when they are asked for, so a file is known to be good
//! only once everything in it was read. A full disk or a missing right is an error instead.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use crate::config::LinkName;
use crate::error::{Error, Kind, Result};
use crate::link::ledger::Shape;
use crate::plan::Outline;

use super::checkpoint::{self, Stored};
use super::directory::{Directory, held, state_error};
use super::mirror::Contents;
use super::record::{self, Unreadable};
use super::schema;
use super::store::now_us;
use super::writer::INSTALLATION_KEY;

/// Memory of sled's cache, in bytes.
const CACHE_BYTES: u64 = 16 << 20;

/// Number of the newest checkpoint of each link.
pub(super) type Numbers = BTreeMap<LinkName, u64>;

/// sled, and everything that its files hold.
pub(super) struct Files {
    pub(super) database: sled::Db,
    pub(super) contents: Contents,
    pub(super) numbers: Numbers,
}

/// Why files cannot be used.
enum Failure {
    /// The disk or a right; the files may be good.
    Io(std::io::Error),
    Held,
    /// Written by a later weir.
    Newer(Error),
    Corrupt(String),
}

impl Files {
    /// Opens and reads the files; those that cannot be used are set aside and new ones made.
    pub(super) fn open(directory: &Directory) -> Result<Files> {
        let path = directory.database();
        let cause = match Files::read(&path) {
            Ok(files) => return Ok(files),
            Err(Failure::Corrupt(cause)) => cause,
            Err(other) => return Err(other.into_error(&path)),
        };
        let aside = directory.set_aside(now_us()).map_err(|cause| {
            state_error(format!("cannot move the corrupt {} aside", path.display()), cause)
        })?;
        tracing::error!(
            cause,
            aside = %aside.display(),
            "the state files are corrupt; they were moved aside and replaced from \
             checkpoints.json. Nothing is lost: each link goes on from the witness in its target"
        );
        Files::read(&path).map_err(|failure| failure.into_error(&path))
    }

    fn read(path: &Path) -> std::result::Result<Files, Failure> {
        let read = || {
            let database = sled::Config::new()
                .path(path)
                .mode(sled::Mode::LowSpace)
                .cache_capacity(CACHE_BYTES)
                .flush_every_ms(Some(500))
                .open()?;
            let (contents, numbers) = load(&database, path)?;
            Ok(Files { database, contents, numbers })
        };
        catch_unwind(AssertUnwindSafe(read))
            .unwrap_or_else(|_| Err(Failure::Corrupt("reading them panicked".to_owned())))
    }
}

impl From<sled::Error> for Failure {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(cause) => match cause.kind() {
                std::io::ErrorKind::PermissionDenied
                | std::io::ErrorKind::StorageFull
                | std::io::ErrorKind::FileTooLarge
                | std::io::ErrorKind::ReadOnlyFilesystem
                | std::io::ErrorKind::QuotaExceeded => Failure::Io(cause),
                _ if cause.to_string().starts_with("could not acquire lock") => Failure::Held,
                _ => Failure::Corrupt(cause.to_string()),
            },
            other => Failure::Corrupt(other.to_string()),
        }
    }
}

impl Failure {
    fn into_error(self, path: &Path) -> Error {
        match self {
            Failure::Io(cause) => state_error(format!("cannot open {}", path.display()), cause),
            Failure::Held => held(path),
            Failure::Newer(error) => error,
            Failure::Corrupt(_) => unusable(path),
        }
    }
}

/// The error of files that cannot be used.
pub(super) fn unusable(path: &Path) -> Error {
    Error::new(Kind::State, format!("the state files in {} cannot be used", path.display()))
}

/// Reads everything: per link the newest valid checkpoint.
fn load(database: &sled::Db, path: &Path) -> std::result::Result<(Contents, Numbers), Failure> {
    let mut contents = Contents::default();
    let mut numbers = Numbers::new();
    let mut shapes = Vec::new();
    let mut outlines = Vec::new();
    for entry in database.iter() {
        let (key, value) = entry?;
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
        } else if let Some(link) = schema::parse_outline_key(&key) {
            match readable::<Outline>(&value, path)? {
                Some(outline) => outlines.push((link, outline)),
                None => tracing::error!(%link, "the link's outline is torn and is not used"),
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
    for (link, outline) in outlines {
        if let Some(checkpoint) = contents.links.get_mut(&link) {
            checkpoint.outline = Some(Arc::new(outline));
        }
    }
    Ok((contents, numbers))
}

fn readable<T: serde::de::DeserializeOwned>(
    bytes: &[u8],
    path: &Path,
) -> std::result::Result<Option<T>, Failure> {
    match record::open(bytes) {
        Ok(value) => Ok(Some(value)),
        Err(newer @ Unreadable::Newer(_)) => Err(Failure::Newer(
            unusable(path).hint("start the weir that wrote them, or a later one").caused_by(newer),
        )),
        Err(Unreadable::Torn | Unreadable::Content(_)) => Ok(None),
    }
}
