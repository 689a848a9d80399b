//! How weir, and the demo, end: on a signal at once, whoever holds a connection; never as if all were
//! done; and without anything left behind.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};
use weir::sandbox::Server;

use crate::crash::prepare;
use crate::harness::{Pair, until};

const SOON: Duration = Duration::from_secs(30);

async fn send(child: &mut Child, signal: Signal) -> Option<i32> {
    let pid = Pid::from_raw(child.id().expect("running").cast_signed()).expect("pid");
    kill_process(pid, signal).expect("signal");
    let ended = tokio::time::timeout(SOON, child.wait()).await.expect("hangs on a signal");
    ended.expect("waited").code()
}

/// Broken if one connection that is never finished kept weir from stopping, or a run that was to
/// catch up and did not passed for one that had.
#[tokio::test]
async fn signals_end_a_run() {
    let Some(mut pair) = Pair::start(Server::Postgres15, Server::MariaDb1011).await else { return };
    let mut weir = prepare(&pair, "stopping").await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("address").port();
    drop(listener);
    weir.append(&format!("\n[http]\nlisten = \"127.0.0.1:{port}\"\n"));
    let mut child = weir.spawn(&["run"]);
    until("weir runs", SOON, async || {
        weir.run(&["status", "--json"]).await.stdout.contains("\"state\": \"running\"")
    })
    .await;
    let mut half = TcpStream::connect(("127.0.0.1", port)).await.expect("http");
    half.write_all(b"GET /metrics HTTP/1.1\r\n").await.expect("half a request");
    let socket = weir.dir.path().join("state/weir.sock");
    let silent = UnixStream::connect(socket).await.expect("control socket");
    weir.run(&["status"]).await.expect_code(0);
    let started = Instant::now();
    assert_eq!(send(&mut child, Signal::TERM).await, Some(0), "{}", weir.log());
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    drop((half, silent));

    pair.target.kill().await.expect("target dies");
    let mut child = weir.spawn(&["run", "--until-caught-up"]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(send(&mut child, Signal::TERM).await, Some(1), "{}", weir.log());
    assert!(weir.log().contains("stopped by SIGTERM before every link had caught up"));
}

/// The demo as `make demo` starts it, in a folder of its own; and the directory that it names.
async fn demo(temp: &Path) -> (Child, PathBuf) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.arg("demo").env("TMPDIR", temp).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().expect("demo starts");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let named = async {
        while let Some(line) = lines.next_line().await.expect("line") {
            if let Some((_, rest)) = line.split_once("tail -f ") {
                return PathBuf::from(rest.strip_suffix("/log").expect("the log"));
            }
        }
        panic!("the demo names no directory");
    };
    let dir = tokio::time::timeout(Duration::from_secs(120), named).await.expect("demo is up");
    // Somebody has to read, or the demo would end by a closed pipe some day.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, dir)
}

/// Processes that name the demo's directory on their command line.
fn left(dir: &Path) -> usize {
    let dir = dir.to_string_lossy();
    let processes = std::fs::read_dir("/proc").expect("proc").flatten();
    let lines = processes.filter_map(|one| std::fs::read(one.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(&*dir)).count()
}

/// Broken if a demo that is stopped or killed left its replicator running or its directory behind, or
/// did not start in an odd temporary directory.
#[tokio::test]
async fn nothing_of_a_demo_is_left() {
    for server in [Server::Postgres15, Server::MariaDb1011] {
        let options = weir::sandbox::Options::default();
        if weir::sandbox::require(server, options).await.expect("server").is_none() {
            return;
        }
    }
    for (signal, temp, code) in
        [(Signal::TERM, "odd \"folder", Some(0)), (Signal::KILL, "/tmp", None)]
    {
        let (mut child, dir) = demo(Path::new(temp)).await;
        assert!(dir.is_absolute() && dir.exists() && left(&dir) > 0, "{}", dir.display());
        assert_eq!(send(&mut child, signal).await, code);
        until("nothing is left", SOON, async || !dir.exists() && left(&dir) == 0).await;
    }
}
