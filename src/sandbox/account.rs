//! The operating-system account the servers run as.
//!
//! PostgreSQL and MySQL refuse to run as root, so as root everything of a server (its guardian, its directory, its
//! template) belongs to `nobody`. An account of an installed database (`postgres`, `mysql`) is avoided on purpose:
//! a throw-away server must not be able to touch a production server's files or processes.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::{Error, Result};

/// Who runs the servers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    /// User id the servers run with.
    pub(crate) uid: u32,
    /// Group id the servers run with.
    pub(crate) gid: u32,
    /// Whether this process is root and has to switch.
    pub(crate) switch: bool,
}

impl Account {
    /// The account of this process, or `nobody` when that is root.
    pub(crate) fn current() -> Self {
        let uid = rustix::process::geteuid();
        if uid.is_root() {
            let (uid, gid) = nobody();
            return Self { uid, gid, switch: true };
        }
        Self { uid: uid.as_raw(), gid: rustix::process::getegid().as_raw(), switch: false }
    }

    /// The account of this process, root or not: for programs that take root.
    pub(crate) fn own_process() -> Self {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        Self { uid: uid.as_raw(), gid: gid.as_raw(), switch: false }
    }

    /// Makes `command` run as this account, in a small fixed environment.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .current_dir("/");
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Hands `path` over to this account; does nothing when it is ours already.
    pub(crate) fn own(&self, path: &Path) -> Result<()> {
        if !self.switch {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .map_err(|e| Error::io(format!("give {} to the server's user", path.display()), e))
    }

    /// Whether this account can walk into `path`, judged by the mode bits of it and everything above it.
    pub(crate) fn reaches(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        !self.switch
            || path.ancestors().filter(|p| p.is_dir()).all(|p| {
                fs::metadata(p).is_ok_and(|m| {
                    m.mode() & 0o001 != 0 || (m.uid() == self.uid && m.mode() & 0o100 != 0)
                })
            })
    }
}

fn nobody() -> (u32, u32) {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    passwd.lines().find_map(parse_nobody).unwrap_or((65534, 65534))
}

fn parse_nobody(line: &str) -> Option<(u32, u32)> {
    let mut fields = line.split(':');
    if fields.next()? != "nobody" {
        return None;
    }
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    (uid != 0).then_some((uid, gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_read_from_passwd_and_never_root() {
        assert_eq!(parse_nobody("nobody:x:99:98:Nobody:/:/sbin/nologin"), Some((99, 98)));
        assert_eq!(parse_nobody("nobody:x:0:0::/:/bin/sh"), None);
        assert_eq!(parse_nobody("root:x:0:0:root:/root:/bin/bash"), None);
        assert_eq!(parse_nobody("nobody"), None);
    }
}
