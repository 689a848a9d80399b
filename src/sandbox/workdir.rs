//! Places and numbers a server needs for itself: a fresh directory, a free port, a password.
//!
//! The directory path is kept short, because a unix socket's path is limited to about 100 bytes. Ports are taken
//! below the range that outgoing connections use, so that a stopped server finds its port free again, and never are
//! 5432, 3306 or 33060, where a real server would be.

use std::fs::{self, DirBuilder};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::account::Account;
use super::{Error, Kind, Result};

const TEMP_PATH_BYTES_MAX: usize = 60;
const PORTS: std::ops::Range<u16> = 15_000..32_000;
const PORT_TRIES: usize = 200;
const PORTS_FORBIDDEN: [u16; 3] = [5432, 3306, 33060];

/// A fresh private directory that belongs to `account`.
pub(crate) fn create(account: Account) -> Result<PathBuf> {
    let base = base(account);
    for _ in 0..20 {
        let path = base.join(format!("weir-{:08x}", fastrand::u32(..)));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {
                account.own(&path)?;
                return Ok(path);
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io(format!("create {}", path.display()), e)),
        }
    }
    Err(Error::new(Kind::Io, format!("no free directory name in {}", base.display())))
}

/// A port on loopback that nothing listens on now.
pub(crate) fn free_port() -> Result<u16> {
    for _ in 0..PORT_TRIES {
        let port = fastrand::u16(PORTS);
        if !PORTS_FORBIDDEN.contains(&port)
            && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        {
            return Ok(port);
        }
    }
    Err(Error::new(Kind::Io, "no free port on loopback"))
}

/// 32 hexadecimal digits from the system's random source.
pub(crate) fn password() -> Result<String> {
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|e| Error::io("read /dev/urandom", e))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// TMPDIR where the server's user can live in it and the path is short and plain, else /tmp.
fn base(account: Account) -> PathBuf {
    let temp = std::env::temp_dir();
    let usable = temp.is_absolute()
        && is_plain(&temp)
        && temp.as_os_str().len() <= TEMP_PATH_BYTES_MAX
        && account.reaches(&temp)
        && (!account.switch || world_writable(&temp));
    if usable { temp } else { PathBuf::from("/tmp") }
}

/// Whether a path needs no quoting, in whatever file or script it ends up.
fn is_plain(path: &Path) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(byte);
    path.as_os_str().as_encoded_bytes().iter().all(plain)
}

fn world_writable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o002 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_and_not_a_real_servers() {
        for _ in 0..50 {
            let port = free_port().unwrap();
            assert!(PORTS.contains(&port) && !PORTS_FORBIDDEN.contains(&port));
        }
    }

    #[test]
    fn passwords_differ() {
        assert_ne!(password().unwrap(), password().unwrap());
    }
}
