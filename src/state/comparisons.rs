//! What comparisons have found, as files of the state directory: one per link, `verify/SOURCE_TARGET.json`,
//! replaced whole. Expendable: without it a comparison begins anew.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::config::LinkName;
use crate::error::{Error, Kind, Result};
use crate::link::ports::Pending;
use crate::verify::desk::Shelf;
use crate::verify::report::Report;

/// The folder, below the state directory.
const FOLDER: &str = "verify";

/// The files of a state directory that is held.
#[derive(Debug)]
pub struct Comparisons {
    folder: PathBuf,
}

impl Comparisons {
    /// Below this state directory.
    pub fn of(state_dir: &Path) -> Comparisons {
        Comparisons { folder: state_dir.join(FOLDER) }
    }

    fn file(&self, link: &LinkName) -> PathBuf {
        self.folder.join(format!("{}.json", link.slot_suffix()))
    }
}

impl Shelf for Comparisons {
    fn load(&self, link: &LinkName) -> Result<Option<Report>> {
        let path = self.file(link);
        let failed = |cause: io::Error| {
            Error::new(Kind::Io, format!("cannot read {}", path.display())).caused_by(cause)
        };
        match std::fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).map(Some).map_err(|cause| failed(cause.into()))
            }
            Err(missing) if missing.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(failed(cause)),
        }
    }

    fn keep<'a>(&'a self, link: &'a LinkName, report: &'a Report) -> Pending<'a, ()> {
        Box::pin(async move {
            let (folder, path) = (self.folder.clone(), self.file(link));
            let shown = path.display().to_string();
            let failed = |cause: io::Error| {
                Error::new(Kind::Io, format!("cannot write {shown}")).caused_by(cause)
            };
            let text = serde_json::to_vec(report).map_err(|cause| failed(cause.into()))?;
            let written = tokio::task::spawn_blocking(move || replace(&folder, &path, &text)).await;
            written.map_err(|cause| failed(io::Error::other(cause)))?.map_err(failed)
        })
    }
}

/// Replaces a file, so that it is always whole.
fn replace(folder: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let temporary = path.with_extension("json.new");
    let mut output =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
    output.write_all(text)?;
    output.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::link;
    use crate::verify::report::Order;

    /// Broken if what was found did not outlive the process, or was that of another link.
    #[tokio::test]
    async fn what_is_kept_is_found() {
        let place = tempfile::tempdir().expect("tempdir");
        let shelf = Comparisons::of(place.path());
        assert_eq!(shelf.load(&link("a", "b")).expect("nothing"), None);
        for at in [1, 2] {
            let report = Report::of(Order::default(), at);
            shelf.keep(&link("a", "b"), &report).await.expect("kept");
            assert_eq!(shelf.load(&link("a", "b")).expect("read"), Some(report));
        }
        assert_eq!(shelf.load(&link("b", "a")).expect("nothing"), None);
        std::fs::write(shelf.file(&link("a", "b")), "{").expect("written");
        assert!(shelf.load(&link("a", "b")).is_err(), "not ours");
    }
}
