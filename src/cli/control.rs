//! The control socket: while `weir run` holds the state directory, the other verbs talk to it here.
//!
//! One JSON object per line each way. The socket always lies in the state directory, whoever asks and
//! however long that path is; only its owner may connect.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind, Result};
use crate::state;
use crate::verify::report::Order;

/// The socket's name in the state directory.
const SOCKET: &str = "weir.sock";
/// Who asks at the same time, at most; further ones wait to be accepted.
const CLIENTS_MAX: usize = 16;
/// Longest path of a Unix socket, in bytes, with its closing NUL not counted.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Longest request, in bytes.
const REQUEST_BYTES_MAX: u64 = 1 << 20;
/// Longest answer, in bytes: what runs may be thousands of tables.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// How long a process may hold the state directory without listening.
const START_MAX: Duration = Duration::from_secs(5);
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How long either side waits for the other.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a reload may take: both servers of every link are looked at, and links drain.
const RELOAD_MAX: Duration = Duration::from_secs(600);

/// What a verb asks of the running weir.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Request {
    /// The state of every link.
    Status,
    /// Let a halted or paused link go on.
    Resume {
        /// `source:target`.
        link: String,
        /// Whether a schema change was reviewed.
        schema_reviewed: bool,
    },
    /// Drain a link and keep it paused.
    Pause {
        /// `source:target`.
        link: String,
    },
    /// The source's head as it is after this was asked; none while it cannot be told.
    Head {
        /// `source:target`.
        link: String,
    },
    /// Whether everything up to a position is applied.
    Reached {
        /// `source:target`.
        link: String,
        /// What [`Request::Head`] told.
        position: String,
    },
    /// Compare both sides of a link.
    Verify {
        /// `source:target`.
        link: String,
        /// What is asked for.
        order: Order,
    },
    /// Have the last comparison go on where it stands.
    ResumeVerify {
        /// `source:target`.
        link: String,
    },
    /// What the last comparison has found.
    Verified {
        /// `source:target`.
        link: String,
    },
    /// What runs, as it is kept with the checkpoint of each link.
    Outlines,
    /// Take up changed files.
    Reload {
        /// Changes that need a decision are decided.
        accept: bool,
    },
}

impl Request {
    /// How long an answer is waited for.
    fn patience(&self) -> Duration {
        match self {
            Request::Reload { .. } => RELOAD_MAX,
            _ => TIMEOUT * 2,
        }
    }

    /// The link that it is about.
    pub fn link(&self) -> &str {
        match self {
            Request::Status | Request::Outlines | Request::Reload { .. } => "",
            Request::Resume { link, .. }
            | Request::Pause { link }
            | Request::Head { link }
            | Request::Verify { link, .. }
            | Request::ResumeVerify { link }
            | Request::Verified { link }
            | Request::Reached { link, .. } => link,
        }
    }
}

/// The running weir's answer: a JSON value, or what went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Done.
    Ok(serde_json::Value),
    /// Not done, and what to do.
    Failed {
        /// The name of the error's kind.
        kind: String,
        /// What went wrong.
        text: String,
        /// The next step.
        hint: String,
    },
}

impl Answer {
    /// What was asked is not done.
    pub fn failed(kind: Kind, text: impl Into<String>, hint: impl Into<String>) -> Answer {
        Answer::Failed { kind: kind.name().to_owned(), text: text.into(), hint: hint.into() }
    }

    /// What was told; an error of the kind that the running weir met.
    pub fn told(self) -> Result<serde_json::Value> {
        match self {
            Answer::Ok(value) => Ok(value),
            Answer::Failed { kind, text, hint } => {
                Err(Error::new(Kind::of_name(&kind).unwrap_or(Kind::Io), text).hint(hint))
            }
        }
    }
}

/// Answers requests; implemented by `weir run`.
pub trait Respond: Send + Sync + 'static {
    /// One request.
    fn respond(&self, request: Request) -> impl Future<Output = Answer> + Send;
}

/// Where the socket of a state directory lies.
pub fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join(SOCKET)
}

/// The socket under a path that fits into a Unix address; valid as long as this lives.
struct Address {
    path: PathBuf,
    _directory: Option<File>,
}

impl Address {
    /// By its own path where that is short enough; else by way of the open directory.
    fn of(state_dir: &Path) -> std::io::Result<Address> {
        let path = socket_path(state_dir);
        if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
            return Ok(Address { path, _directory: None });
        }
        if !cfg!(target_os = "linux") {
            let long = "its path is too long for a socket: choose a shorter state_dir";
            return Err(std::io::Error::new(ErrorKind::InvalidFilename, long));
        }
        let directory = File::open(state_dir)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd()));
        Ok(Address { path, _directory: Some(directory) })
    }
}

/// The socket of a weir that is about to run: who connects now waits for [`Socket::serve`].
pub struct Socket {
    path: PathBuf,
    listener: UnixListener,
}

/// Takes the socket; a left-over one of a dead process is replaced (the caller holds the lock of the
/// state directory).
pub fn bind(state_dir: &Path) -> Result<Socket> {
    let path = socket_path(state_dir);
    let failed = |cause| {
        Error::new(Kind::Io, format!("cannot listen on the control socket {}", path.display()))
            .caused_by(cause)
    };
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(missing) if missing.kind() == ErrorKind::NotFound => {}
        Err(cause) => return Err(failed(cause)),
    }
    let address = Address::of(state_dir).map_err(failed)?;
    let listener = UnixListener::bind(&address.path).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(Socket { path, listener })
}

impl Socket {
    /// Answers until `stop`, which cuts off who is being answered. A client that is slow keeps no
    /// other from being answered.
    pub async fn serve<R: Respond>(self, responder: Arc<R>, stop: CancellationToken) {
        let mut clients = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(_) = clients.join_next(), if !clients.is_empty() => continue,
                accepted = self.listener.accept(), if clients.len() < CLIENTS_MAX => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let responder = Arc::clone(&responder);
                    clients.spawn(async move {
                        if let Err(cause) = answer(stream, responder.as_ref()).await {
                            tracing::debug!(%cause, "a control request broke off");
                        }
                    });
                }
                Err(cause) => {
                    tracing::warn!(%cause, "the control socket failed");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
        clients.shutdown().await;
        if let Err(cause) = std::fs::remove_file(&self.path) {
            tracing::debug!(%cause, "the control socket was gone already");
        }
    }
}

async fn answer<R: Respond>(stream: UnixStream, responder: &R) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(read.take(REQUEST_BYTES_MAX));
    tokio::time::timeout(TIMEOUT, reader.read_line(&mut line)).await??;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => responder.respond(request).await,
        Err(cause) => Answer::failed(
            Kind::Io,
            format!("not a request of this version: {cause}"),
            "use the same version of weir as the one that runs",
        ),
    };
    let mut text = serde_json::to_string(&answer).map_err(std::io::Error::other)?;
    text.push('\n');
    tokio::time::timeout(TIMEOUT, write.write_all(text.as_bytes())).await??;
    Ok(())
}

/// Asks the running weir, waiting for one that starts or ends just now. `None` when none runs on this
/// state directory.
pub async fn ask(state_dir: &Path, request: &Request) -> Result<Option<Answer>> {
    let until = Instant::now() + START_MAX;
    loop {
        let answer = ask_once(state_dir, request).await?;
        if answer.is_some() || !state::is_held(state_dir)? {
            return Ok(answer);
        }
        if Instant::now() > until {
            return Err(state::held(state_dir));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

async fn ask_once(state_dir: &Path, request: &Request) -> Result<Option<Answer>> {
    let path = socket_path(state_dir);
    let stream = match connect(state_dir).await {
        Ok(stream) => stream,
        Err(cause) if is_absent(&cause) => return Ok(None),
        Err(cause) if cause.kind() == ErrorKind::PermissionDenied => {
            let hint = "run it as the user that weir runs as";
            return Err(broken(&path).hint(hint).caused_by(cause));
        }
        Err(cause) => return Err(broken(&path).caused_by(cause)),
    };
    let exchange = async {
        let (read, mut write) = stream.into_split();
        let mut text = serde_json::to_string(request).map_err(std::io::Error::other)?;
        text.push('\n');
        write.write_all(text.as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(read.take(ANSWER_BYTES_MAX)).read_line(&mut line).await?;
        serde_json::from_str(&line).map_err(std::io::Error::other)
    };
    match tokio::time::timeout(request.patience(), exchange).await {
        Ok(Ok(answer)) => Ok(Some(answer)),
        Ok(Err(cause)) => Err(broken(&path).caused_by(cause)),
        Err(_) => Err(broken(&path)),
    }
}

async fn connect(state_dir: &Path) -> std::io::Result<UnixStream> {
    let address = Address::of(state_dir)?;
    UnixStream::connect(&address.path).await
}

fn is_absent(cause: &std::io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

fn broken(path: &Path) -> Error {
    Error::new(Kind::Io, format!("the running weir does not answer on {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl Respond for Echo {
        async fn respond(&self, request: Request) -> Answer {
            match request {
                Request::Status => Answer::Ok(serde_json::json!({"links": 1})),
                other => Answer::failed(Kind::Contention, other.link(), "do this"),
            }
        }
    }

    /// Broken if a verb could not reach a running weir whose state directory lies deep: Unix
    /// socket paths end at 107 bytes.
    #[tokio::test]
    async fn deep_state_directories_are_reached() {
        let base = tempfile::tempdir().expect("tempdir");
        let deep = base.path().join("d".repeat(90)).join("e".repeat(60));
        std::fs::create_dir_all(&deep).expect("deep folder");
        for dir in [base.path(), deep.as_path()] {
            assert_eq!(ask(dir, &Request::Status).await.expect("nobody there"), None);
            let stop = CancellationToken::new();
            let socket = bind(dir).expect("listens");
            assert!(socket_path(dir).starts_with(dir) && socket_path(dir).exists());
            let server = tokio::spawn(socket.serve(Arc::new(Echo), stop.clone()));
            let status = ask(dir, &Request::Status).await.expect("answers");
            assert_eq!(status, Some(Answer::Ok(serde_json::json!({"links": 1}))));
            let resume = Request::Resume { link: "a:b".to_owned(), schema_reviewed: true };
            let refused = ask(dir, &resume).await.expect("answers");
            let error = refused.expect("somebody there").told().expect_err("refused");
            assert_eq!((error.kind(), error.to_string()), (Kind::Contention, "a:b".to_owned()));
            assert_eq!(error.operator_hint(), "do this");
            stop.cancel();
            server.await.expect("joined");
            assert!(!socket_path(dir).exists());
        }
    }

    /// Broken if a client that connects and says nothing kept the operator from asking, or weir from
    /// stopping.
    #[tokio::test]
    async fn a_silent_client_holds_nobody_up() {
        let base = tempfile::tempdir().expect("tempdir");
        let stop = CancellationToken::new();
        let socket = bind(base.path()).expect("listens");
        let server = tokio::spawn(socket.serve(Arc::new(Echo), stop.clone()));
        let silent = connect(base.path()).await.expect("connected");
        let asked = tokio::time::timeout(TIMEOUT / 6, ask(base.path(), &Request::Status)).await;
        assert!(asked.expect("answered at once").expect("answers").is_some());
        stop.cancel();
        tokio::time::timeout(TIMEOUT / 6, server).await.expect("stops at once").expect("joined");
        drop(silent);
    }

    /// Broken if a weir that is just starting were taken for none: `weir status` would tell of the run
    /// before, and `weir resume` fail at the lock.
    #[tokio::test]
    async fn a_starting_weir_is_waited_for() {
        let base = tempfile::tempdir().expect("tempdir");
        let dir = base.path().join("state");
        let store = state::Store::open(&dir).await.expect("held");
        let stop = CancellationToken::new();
        let (place, stopped) = (dir.clone(), stop.clone());
        let server = tokio::spawn(async move {
            tokio::time::sleep(ASK_EVERY * 4).await;
            bind(&place).expect("listens").serve(Arc::new(Echo), stopped).await;
        });
        assert!(ask(&dir, &Request::Status).await.expect("answers").is_some());
        stop.cancel();
        server.await.expect("joined");
        store.close().await;
        assert_eq!(ask(&dir, &Request::Status).await.expect("nobody there"), None);
    }
}
