//! weir as a service: what it tells systemd, and the units that are shipped.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};
use weir::cli::{Cli, exit};

use crate::harness::{HANG, tree};

/// Two databases where nobody listens: the link starts, and tries again.
const CONFIG: &str = "name = 'x'\nstate_dir = 'state'\n\
    [database.a]\nurl = 'postgres://u@127.0.0.1:1/db'\n\
    [database.b]\nurl = 'mysql://u@127.0.0.1:2/db'\n\
    [[replicate]]\nfrom = 'a'\nto = 'b'\ntables = ['s.*']\n";

fn heard(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 1024];
    let count = socket.recv(&mut bytes).expect("weir tells nothing");
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

/// Broken if a unit of type notify never came up, came up before the links were started, or did not
/// hear of the end.
#[test]
fn systemd_is_told() {
    let dir = tempfile::Builder::new().prefix("weir-it-").tempdir().expect("temp dir");
    std::fs::write(dir.path().join("weir.toml"), CONFIG).expect("weir.toml");
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("bound");
    socket.set_read_timeout(Some(HANG)).expect("time-out");
    let log = std::fs::File::create(dir.path().join("weir.log")).expect("log");
    let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"))
        .arg("run")
        .current_dir(dir.path())
        .env("NOTIFY_SOCKET", &path)
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("weir starts");
    assert_eq!(heard(&socket), "READY=1\n");
    assert!(dir.path().join("state/weir.sock").exists(), "ready before it can be asked");
    assert_eq!(heard(&socket), "STATUS=0 of 1 links running\n");
    let pid = Pid::from_raw(weir.id().cast_signed()).expect("pid");
    kill_process(pid, Signal::TERM).expect("SIGTERM");
    assert!(heard(&socket).starts_with("STOPPING=1\n"));
    assert_eq!(weir.wait().expect("ends").code(), Some(0));
}

fn words<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let line = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {key}")).split_whitespace().collect()
}

/// Broken if a shipped unit started weir in a way it does not understand, restarted it where only a
/// person helps, or left its state directory open to others, which weir refuses.
#[test]
fn units_fit_weir() {
    for name in ["weir.service", "weir@.service"] {
        let unit = std::fs::read_to_string(tree("config/systemd").join(name)).expect(name);
        for key in ["ExecStart", "ExecReload"] {
            Cli::try_parse_from(words(&unit, key)).unwrap_or_else(|error| panic!("{error}"));
        }
        assert_eq!(words(&unit, "Type"), ["notify"]);
        assert_eq!(words(&unit, "StateDirectoryMode"), ["0700"]);
        let never = [exit::USAGE, exit::HALTED].map(|code| code.to_string());
        assert_eq!(words(&unit, "RestartPreventExitStatus"), never);
        let stop: u64 = words(&unit, "TimeoutStopSec")[0].parse().expect("seconds");
        assert!(Duration::from_secs(stop) > 2 * weir::link::shutdown::DRAIN_MAX);
        verified_by_systemd(name, &unit);
    }
}

/// What systemd itself says of the unit, on a machine that has it.
fn verified_by_systemd(name: &str, unit: &str) {
    let dir = tempfile::Builder::new().prefix("weir-it-").tempdir().expect("temp dir");
    // It looks for the program and the user.
    let unit = unit.replace("/usr/local/bin/weir ", "/bin/true ").replace("=weir\n", "=root\n");
    let file = dir.path().join(name);
    std::fs::write(&file, unit).expect("unit");
    let verify = |file: &Path| {
        Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(file).output()
    };
    let Ok(output) = verify(&file) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<_> = said.lines().filter(|line| line.contains("weir")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}
