//! `checkpoints.json`: everything in the ledger once more, in one file a person can read.
//!
//! It is replaced whole (temporary file, fsync, rename, fsync of the directory), so it is always
//! one state or the next. It is the rescue when sled's files cannot be opened.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::LinkName;
use crate::link::ledger::{Checkpoint, Shape};

use super::checkpoint::{Stored, parse_link};
use super::directory::Directory;

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
}

const VERSION: u16 = 1;

/// Replaces the mirror.
pub(super) fn write(directory: &Directory, contents: &Contents) -> io::Result<()> {
    let links = contents.links.iter().map(|(link, checkpoint)| {
        let shapes = Arc::clone(&checkpoint.shapes);
        (link.to_string(), Entry { checkpoint: Stored::of(checkpoint), shapes })
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

/// Reads the mirror; `None` where there is none or it is not of this version.
pub(super) fn read(directory: &Directory) -> Option<Contents> {
    let bytes = std::fs::read(directory.mirror()).ok()?;
    let file: File = match serde_json::from_slice(&bytes) {
        Ok(file) => file,
        Err(cause) => {
            tracing::warn!(%cause, "checkpoints.json cannot be read and is not used");
            return None;
        }
    };
    if file.version != VERSION {
        tracing::warn!(version = file.version, "checkpoints.json is of another version");
        return None;
    }
    let mut links = BTreeMap::new();
    for (name, entry) in file.links {
        let checkpoint = parse_link(&name).zip(entry.checkpoint.checkpoint());
        let Some((link, mut checkpoint)) = checkpoint else {
            tracing::warn!(link = name, "an entry of checkpoints.json cannot be read");
            continue;
        };
        checkpoint.shapes = entry.shapes;
        links.insert(link, checkpoint);
    }
    Some(Contents { installation: file.installation, links })
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
            ..Checkpoint::default()
        };
        let link = parse_link("crm:billing").expect("link");
        let contents =
            Contents { installation: "a".repeat(32), links: BTreeMap::from([(link, checkpoint)]) };
        write(&directory, &contents).expect("written");
        assert_eq!(read(&directory), Some(contents));
    }
}
