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
pub(super) struct Contents {
    /// Of this installation; empty until known.
    pub(super) installation: String,
    /// Newest checkpoint of each link.
    pub(super) links: BTreeMap<LinkName, Checkpoint>,
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

/// Replaces the mirror.
pub(super) fn write(directory: &Directory, contents: &Contents) -> io::Result<()> {
    let links = contents.links.iter().map(|(link, checkpoint)| {
        let shapes = Arc::clone(&checkpoint.shapes);
        let outline = checkpoint.outline.clone();
        (link.to_string(), Entry { checkpoint: Stored::of(checkpoint), shapes, outline })
    });
    let file = File {
        version: VERSION,
        installation: contents.installation.clone(),
        links: links.collect(),
    };
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
    Ok(load(&path.join(NAME))?.map_or_else(BTreeMap::new, |contents| contents.links))
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
        let checkpoint = parse_link(&name).zip(entry.checkpoint.checkpoint());
        let Some((link, mut checkpoint)) = checkpoint else {
            tracing::warn!(link = name, "an entry of checkpoints.json cannot be read");
            continue;
        };
        checkpoint.shapes = entry.shapes;
        checkpoint.outline = entry.outline;
        links.insert(link, checkpoint);
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
            progress: Some(Progress { seq: 3, position: "mariadb:0-1-5".parse().expect("gtid") }),
            shapes: Arc::new(BTreeMap::from([("a.b".to_owned(), vec!["id int".to_owned()])])),
            outline: Some(Arc::default()),
            ..Checkpoint::default()
        };
        let link = parse_link("crm:billing").expect("link");
        let contents =
            Contents { installation: "a".repeat(32), links: BTreeMap::from([(link, checkpoint)]) };
        write(&directory, &contents).expect("written");
        assert_eq!(read(&directory), Some(contents));
    }
}
