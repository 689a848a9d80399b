//! The state directory on disk: weir's alone (made with mode 0700, or found with no rights for
//! others and never changed), held by one process at a time through a lock file, and made durable by
//! fsync of the directory where a file appears in it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
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

/// `weir resume` and its like hold the lock for a moment, and a look at it takes a shared one for less:
/// `weir run` must not fail for that.
const LOCK_WAIT: Duration = Duration::from_secs(3);
const LOCK_TRY_EVERY: Duration = Duration::from_millis(50);
/// The lock file's name.
const LOCK: &str = "lock";
/// Rights of anybody but the owner.
const OTHERS: u32 = 0o077;

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
        let found = std::fs::metadata(path).map_err(|cause| failed("cannot look at the", cause))?;
        require_private(path, found.uid(), found.mode(), rustix::process::geteuid().as_raw())?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK))
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
        self.path.join(super::mirror::NAME)
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

/// Refuses a directory that weir must not write to: what root wrote into another user's would lock
/// that user out, and one that others may enter is not weir's alone.
fn require_private(path: &Path, owner: u32, mode: u32, user: u32) -> Result<()> {
    let refused = |what: &str| {
        Error::new(Kind::State, format!("the state directory {} {what}", path.display()))
    };
    if owner != user {
        return Err(refused(&format!("belongs to the user with id {owner}, weir runs as {user}"))
            .hint(format!("run weir as its owner: `sudo -u '#{owner}' weir …`")));
    }
    if mode & OTHERS != 0 {
        let mode = mode & 0o777;
        return Err(refused(&format!("is open to other users (mode {mode:04o})")).hint(format!(
            "if it is weir's alone, run `chmod 700 {}`; else set state_dir to a directory of its own",
            path.display()
        )));
    }
    Ok(())
}

/// The error of a file operation in the state directory.
pub(super) fn state_error(context: String, cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Error::new(Kind::DiskFull, context).caused_by(cause)
        }
        io::ErrorKind::PermissionDenied => Error::new(Kind::State, context)
            .hint("run weir as the user that the state directory and the files in it belong to")
            .caused_by(cause),
        _ => Error::new(Kind::State, context).caused_by(cause),
    }
}

/// Whether a process holds the state directory `path`; looked at without writing anything.
pub fn is_held(path: &Path) -> Result<bool> {
    let failed = |cause| {
        state_error(
            format!("cannot look at the lock of the state directory {}", path.display()),
            cause,
        )
    };
    let lock = match File::open(path.join(LOCK)) {
        Ok(lock) => lock,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(cause) => return Err(failed(cause)),
    };
    match flock(&lock, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(cause) => Err(failed(cause.into())),
    }
}

/// The error of a directory that another process holds.
pub fn held(path: &Path) -> Error {
    Error::new(
        Kind::State,
        format!("the state directory {} is held by another process", path.display()),
    )
    .hint("`weir run` holds it: use `weir status` or `weir resume`, or stop that process first")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a look at a state directory closed a directory to everybody else that is not
    /// weir's, such as /tmp.
    #[test]
    fn a_directory_of_others_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().expect("folder");
        for mode in [0o1777, 0o755, 0o750, 0o701] {
            std::fs::set_permissions(folder.path(), Permissions::from_mode(mode)).expect("mode");
            let error = Directory::hold(folder.path()).expect_err("open to others");
            assert!(error.operator_hint().contains("chmod 700"), "{error}");
            let now = std::fs::metadata(folder.path()).expect("there").permissions().mode();
            assert_eq!(now & 0o7777, mode);
            assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
        }
        let made = folder.path().join("deep/state");
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("mode");
        Directory::hold(&made).expect("made");
        let mode = std::fs::metadata(&made).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    /// Broken if root could write into the directory of weir's own user, which could then not
    /// start any more.
    #[test]
    fn only_the_owner_writes() {
        let path = Path::new("/var/lib/weir");
        for user in [0, 1000] {
            let error = require_private(path, 998, 0o40700, user).expect_err("not the owner");
            assert!(error.operator_hint().contains("sudo -u '#998'"), "{error}");
        }
        require_private(path, 998, 0o40700, 998).expect("the owner");
    }
}
