//! The cache folder, and locks in it.
//!
//! `$XDG_CACHE_HOME/weir`, else `~/.cache/weir`. The servers' user must be able to read it: root's home usually is
//! closed, so as root `/var/cache/weir` takes its place when the first choice cannot be reached by `nobody`.
//! A lock is an advisory file lock: it ends with the process that holds it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::sandbox::account::Account;
use crate::sandbox::tell::tell;
use crate::sandbox::{Error, Kind, Result};

/// The cache folder; it exists after the call.
pub(crate) fn cache_dir(account: Account) -> Result<PathBuf> {
    let variable =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let choice = variable("XDG_CACHE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .filter(|path| account.reaches(path))
        .or_else(|| account.switch.then(|| PathBuf::from("/var/cache")))
        .ok_or_else(|| {
            Error::new(Kind::Io, "no place for the cache of servers")
                .with_hint("set XDG_CACHE_HOME or HOME")
        })?;
    let path = choice.join("weir");
    create(&path)?;
    Ok(path)
}

/// Creates a directory that everybody can read, and those above it, whatever the umask is.
pub(crate) fn create(path: &Path) -> Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
            made => made.and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o755))),
        }
        .map_err(|e| refused(format!("create {}", folder.display()), e))?;
    }
    Ok(())
}

fn refused(context: String, cause: io::Error) -> Error {
    let kind = cause.kind();
    let error = Error::io(context, cause);
    match kind {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotADirectory => {
            error.with_hint("set XDG_CACHE_HOME to a directory that can be written")
        }
        _ => error,
    }
}

/// Removes a directory if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", path.display()), e))
        }
        _ => Ok(()),
    }
}

/// Only one process at a time; released on drop and at the end of the process.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock called `name` in the folder `cache`, and says so.
    pub(crate) fn take(cache: &Path, name: &str) -> Result<Self> {
        let path = cache.join(format!("{name}.lock"));
        let lost = |e| refused(format!("lock {}", path.display()), e);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(lost)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => {
                tell!("weir: waiting for another weir that holds {}", path.display());
                rustix::fs::flock(&file, FlockOperation::LockExclusive)
            }
            taken => taken,
        }
        .map_err(|e| lost(e.into()))?;
        Ok(Self { _file: file })
    }
}
