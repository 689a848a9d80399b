//! What the service manager is told: ready, how the links are, stopping.
//!
//! The protocol of sd_notify(3): a datagram of lines to the socket named by `NOTIFY_SOCKET`, a path or
//! an abstract name that begins with `@`. Without that variable nobody is told. There is no watchdog:
//! a process that is alive says nothing of its links; `weir_lag_seconds` and `weir_link_state` do.

use std::ffi::{OsStr, OsString};
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::link::status::LinkState;
use crate::link::supervisor::LinkHandle;

/// Longest wait for a manager that does not read.
const SEND_MAX: Duration = Duration::from_secs(1);

/// Who started weir, if it wants to hear of it.
#[derive(Debug)]
pub(super) struct Notify {
    socket: Option<OsString>,
    /// What was said last of the links.
    status: String,
}

impl Notify {
    /// As the environment says.
    pub(super) fn from_environment() -> Notify {
        let socket = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        Notify { socket, status: String::new() }
    }

    /// Everything is taken and every link started.
    pub(super) fn ready(&self) {
        self.tell("READY=1\n");
    }

    /// The links are drained, then weir ends.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=stopping: what is queued is applied first\n");
    }

    /// How the links are, if that has changed.
    pub(super) fn links(&mut self, handles: &[LinkHandle]) {
        if self.socket.is_none() {
            return;
        }
        let states: Vec<_> =
            handles.iter().map(|handle| (&handle.link, handle.status().state)).collect();
        let running = states.iter().filter(|(_, state)| *state == LinkState::Running).count();
        let mut status = format!("{running} of {} links running", states.len());
        for (link, state) in states.iter().filter(|(_, state)| *state == LinkState::Halted) {
            status.push_str(&format!(", {link} {}", state.name()));
        }
        if status != self.status {
            self.tell(&format!("STATUS={status}\n"));
            self.status = status;
        }
    }

    /// Not being heard is no reason to stop.
    fn tell(&self, lines: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(cause) = send(socket, lines) {
            tracing::warn!(%cause, socket = %socket.display(), "the service manager is not told");
        }
    }
}

fn send(socket: &OsStr, lines: &str) -> std::io::Result<()> {
    let address = match socket.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let datagram = UnixDatagram::unbound()?;
    datagram.set_write_timeout(Some(SEND_MAX))?;
    datagram.send_to_addr(lines.as_bytes(), &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(receiver: &UnixDatagram) -> String {
        receiver.set_read_timeout(Some(Duration::from_secs(5))).expect("time-out");
        let mut bytes = [0; 256];
        let count = receiver.recv(&mut bytes).expect("a datagram");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    #[cfg(target_os = "linux")]
    /// Broken if systemd never heard of a start because its socket has an abstract name, or if nobody
    /// who listens were a failure.
    #[test]
    fn sockets_with_and_without_a_path() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let receiver = UnixDatagram::bind(&path).expect("bound");
        let to = |socket: OsString| Notify { socket: Some(socket), status: String::new() };
        to(path.into_os_string()).ready();
        assert_eq!(heard(&receiver), "READY=1\n");

        let name = format!("weir-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let receiver = UnixDatagram::bind_addr(&address).expect("bound");
        to(format!("@{name}").into()).stopping();
        assert!(heard(&receiver).starts_with("STOPPING=1\n"));

        to(directory.path().join("nobody").into_os_string()).ready();
        Notify { socket: None, status: String::new() }.ready();
    }
}
