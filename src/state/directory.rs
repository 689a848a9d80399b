//! The state directory on disk: made with mode 0700, held by one process at a time through a lock
//! file, and made durable by fsync of the directory where a file appears in it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::error::{Error, Kind, Result};

/// A state directory held by this process.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    _lock: File,
}

/// A verb that only looks holds the lock for a moment: `weir run` must not fail for it.
const LOCK_WAIT: Duration = Duration::from_secs(3);
const LOCK_TRY_EVERY: Duration = Duration::from_millis(50);

impl Directory {
    /// Makes the directory where it is missing, and takes its lock. Blocks the thread while another
    /// process holds it, for a short time.
    pub(super) fn hold(path: &Path) -> Result<Self> {
        let failed = |what: &str, cause: io::Error| {
            state_error(format!("{what} state directory {}", path.display()), cause)
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|cause| failed("cannot create the", cause))?;
        std::fs::set_permissions(path, Permissions::from_mode(0o700))
            .map_err(|cause| failed("cannot restrict the", cause))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(|cause| failed("cannot write to the", cause))?;
        let until = Instant::now() + LOCK_WAIT;
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Directory { path: path.to_owned(), _lock: lock }),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                    std::thread::sleep(LOCK_TRY_EVERY);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(held(path)),
                Err(cause) => return Err(failed("cannot lock the", cause.into())),
            }
        }
    }

    /// The directory of sled's files.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join("ledger")
    }

    /// The mirror of everything in one readable file.
    pub(super) fn mirror(&self) -> PathBuf {
        self.path.join("checkpoints.json")
    }

    /// Moves sled's files out of the way; returns where they are now.
    pub(super) fn set_aside(&self, now_us: i64) -> io::Result<PathBuf> {
        let aside = self.path.join(format!("ledger.corrupt-{}", now_us / 1_000_000));
        std::fs::rename(self.database(), &aside)?;
        self.sync()?;
        Ok(aside)
    }

    /// Makes names in the directory durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Takes the rights of others from every file below `path`.
    pub(super) fn restrict(path: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let is_dir = entry.file_type()?.is_dir();
            let mode = if is_dir { 0o700 } else { 0o600 };
            std::fs::set_permissions(entry.path(), Permissions::from_mode(mode))?;
            if is_dir {
                Directory::restrict(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// The error of a file operation in the state directory.
pub(super) fn state_error(context: String, cause: io::Error) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Kind::DiskFull
        }
        _ => Kind::State,
    };
    Error::new(kind, context).caused_by(cause)
}

/// The error of a directory that another process holds.
pub(super) fn held(path: &Path) -> Error {
    Error::new(
        Kind::State,
        format!("the state directory {} is held by another process", path.display()),
    )
    .hint("`weir run` holds it: use `weir status` or `weir resume`, or stop that process first")
}
