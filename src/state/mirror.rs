//! `checkpoints.json`: everything in the ledger once more, in one file a person can read.
//!
//! It is replaced whole (temporary file, fsync, rename, fsync of the directory), so it is always
//! one state or the next. It is the rescue when sled's files cannot be opened, and what may be read
//! without holding the directory.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::LinkName;
use crate::error::{Error, Kind, Result};
use crate::link::ledger::{Checkpoint, Shape};
use crate::plan::Outline;

use super::checkpoint::{Stored, parse_link};
use super::directory::{Directory, state_error};

/// What a ledger holds, in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// Of this installation; empty until known.
    pub installation: String,
    /// Newest checkpoint of each link.
    pub links: BTreeMap<LinkName, Checkpoint>,
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u16,
    installation: String,
    links: BTreeMap<String, Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    checkpoint: Stored,
    #[serde(default)]
    shapes: Arc<BTreeMap<String, Shape>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outline: Option<Arc<Outline>>,
}

const VERSION: u16 = 1;
/// The file's name.
pub(super) const NAME: &str = "checkpoints.json";

impl File {
    fn of(contents: &Contents) -> File {
        let links = contents.links.iter().map(|(link, checkpoint)| {
            let shapes = Arc::clone(&checkpoint.shapes);
            let outline = checkpoint.outline.clone();
            (link.to_string(), Entry { checkpoint: Stored::of(checkpoint), shapes, outline })
        });
        let (version, installation) = (VERSION, contents.installation.clone());
        File { version, installation, links: links.collect() }
    }
}

impl Contents {
    /// As JSON, in the mirror's form.
    pub fn to_value(&self) -> Result<serde_json::Value> {
        serde_json::to_value(File::of(self)).map_err(|cause| {
            Error::new(Kind::Internal, "a checkpoint cannot be written down").caused_by(cause)
        })
    }

    /// Reads [`Contents::to_value`]; an entry that cannot be read is an error.
    pub fn of_value(value: serde_json::Value) -> Result<Contents> {
        let unusable = |what: &str| Error::new(Kind::State, format!("{what} cannot be read"));
        let file: File = serde_json::from_value(value)
            .map_err(|cause| unusable("the checkpoints").caused_by(cause))?;
        if file.version != VERSION {
            let context = format!("the checkpoints have version {}, not {VERSION}", file.version);
            return Err(Error::new(Kind::State, context).hint("use the weir that wrote them"));
        }
        let mut links = BTreeMap::new();
        for (name, entry) in file.links {
            let known = entry.read(&name);
            let (link, checkpoint) = known.ok_or_else(|| unusable(&format!("the entry {name}")))?;
            links.insert(link, checkpoint);
        }
        Ok(Contents { installation: file.installation, links })
    }
}

impl Entry {
    fn read(self, name: &str) -> Option<(LinkName, Checkpoint)> {
        let (link, mut checkpoint) = parse_link(name).zip(self.checkpoint.checkpoint())?;
        checkpoint.shapes = self.shapes;
        checkpoint.outline = self.outline;
        Some((link, checkpoint))
    }
}

/// Replaces the mirror.
pub(super) fn write(directory: &Directory, contents: &Contents) -> io::Result<()> {
    let file = File::of(contents);
    let path = directory.mirror();
    let temporary = path.with_extension("json.new");
    let mut output =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
    output.write_all(&serde_json::to_vec_pretty(&file)?)?;
    output.sync_all()?;
    std::fs::rename(&temporary, &path)?;
    directory.sync()
}

/// Reads the mirror for a rescue; `None` where there is none, or none that can be used.
pub(super) fn read(directory: &Directory) -> Option<Contents> {
    load(&directory.mirror()).unwrap_or_else(|error| {
        tracing::warn!(error = error.chain(), "checkpoints.json is not used");
        None
    })
}

/// What is remembered of every link by the state directory `path`, read without holding it and
/// without writing anything; empty if weir has never run there.
pub fn remembered(path: &Path) -> Result<BTreeMap<LinkName, Checkpoint>> {
    Ok(memory(path)?.map_or_else(BTreeMap::new, |contents| contents.links))
}

/// The same with the installation; `None` if weir has never run there.
pub fn memory(path: &Path) -> Result<Option<Contents>> {
    load(&path.join(NAME))
}

/// The contents of a mirror; `None` where there is none.
fn load(path: &Path) -> Result<Option<Contents>> {
    let unusable = || format!("cannot read {}", path.display());
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(state_error(unusable(), cause)),
    };
    let file: File = serde_json::from_slice(&bytes)
        .map_err(|cause| Error::new(Kind::State, unusable()).caused_by(cause))?;
    if file.version != VERSION {
        return Err(Error::new(
            Kind::State,
            format!("{} has version {}, not {VERSION}", path.display(), file.version),
        )
        .hint("use the weir that wrote it"));
    }
    let mut links = BTreeMap::new();
    for (name, entry) in file.links {
        match entry.read(&name) {
            Some((link, checkpoint)) => drop(links.insert(link, checkpoint)),
            None => tracing::warn!(link = name, "an entry of checkpoints.json cannot be read"),
        }
    }
    Ok(Some(Contents { installation: file.installation, links }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::ledger::Progress;

    /// Broken if the rescue file lost what it is there to rescue.
    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().expect("folder");
        let directory = Directory::hold(&folder.path().join("state")).expect("held");
        assert_eq!(read(&directory), None);
        let checkpoint = Checkpoint {
            installation: "a".repeat(32),
            progress: Some(Progress {
                seq: 3,
                position: "mariadb:0-1-5".parse().expect("gtid"),
                applied_us: Some(4),
            }),
            shapes: Arc::new(BTreeMap::from([("a.b".to_owned(), vec!["id int".to_owned()])])),
            outline: Some(Arc::default()),
            ..Checkpoint::default()
        };
        let link = parse_link("crm:billing").expect("link");
        let contents =
            Contents { installation: "a".repeat(32), links: BTreeMap::from([(link, checkpoint)]) };
        write(&directory, &contents).expect("written");
        assert_eq!(Contents::of_value(contents.to_value().expect("JSON")).expect("read"), contents);
        assert_eq!(read(&directory), Some(contents));
    }
}
