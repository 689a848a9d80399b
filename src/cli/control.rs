//! The control socket: while `weir run` holds the state directory, the other verbs talk to it here.
//!
//! One JSON object per line each way. The socket lies in the state directory, or in the runtime
//! directory where that path is too long for a Unix socket; only its owner may connect.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind, Result};

/// Longest path of a Unix socket, in bytes, with its closing NUL not counted.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Longest request or answer, in bytes.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// How long either side waits for the other.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What a verb asks of the running weir.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Request {
    /// The state of every link.
    Status,
    /// Let a halted link go on.
    Resume {
        /// `source:target`.
        link: String,
        /// Whether a schema change was reviewed.
        schema_reviewed: bool,
    },
}

/// The running weir's answer: a JSON value, or what went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Done.
    Ok(serde_json::Value),
    /// Not done, and what to do.
    Failed {
        /// What went wrong.
        text: String,
        /// The next step.
        hint: String,
    },
}

impl Answer {
    /// An answer to a question that was wrong.
    pub fn failed(text: impl Into<String>, hint: impl Into<String>) -> Answer {
        Answer::Failed { text: text.into(), hint: hint.into() }
    }
}

/// Answers requests; implemented by `weir run`.
pub trait Respond: Send + Sync + 'static {
    /// One request.
    fn respond(&self, request: Request) -> impl Future<Output = Answer> + Send;
}

/// Where the socket of a state directory lies.
pub fn socket_path(state_dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(state_dir).unwrap_or_else(|_| state_dir.to_owned());
    let inside = absolute.join("weir.sock");
    if inside.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return inside;
    }
    let hash = crc32fast::hash(absolute.as_os_str().as_encoded_bytes());
    let runtime =
        std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    runtime.join(format!("weir-{hash:08x}.sock"))
}

/// Listens until `stop`; a left-over socket of a dead process is replaced (the caller holds the
/// lock of the state directory).
pub async fn serve<R: Respond>(
    state_dir: &Path,
    responder: Arc<R>,
    stop: CancellationToken,
) -> Result<impl Future<Output = ()> + use<R>> {
    let path = socket_path(state_dir);
    let failed = |cause| {
        Error::new(Kind::Io, format!("cannot listen on the control socket {}", path.display()))
            .caused_by(cause)
    };
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {}
        Err(cause) => return Err(failed(cause)),
    }
    let listener = UnixListener::bind(&path).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(async move {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            // One request at a time: the verbs are few and quick, and need no task of their own.
            match accepted {
                Ok((stream, _)) => {
                    if let Err(cause) = answer(stream, responder.as_ref()).await {
                        tracing::debug!(%cause, "a control request broke off");
                    }
                }
                Err(cause) => {
                    tracing::warn!(%cause, "the control socket failed");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
        if let Err(cause) = std::fs::remove_file(&path) {
            tracing::debug!(%cause, "the control socket was gone already");
        }
    })
}

async fn answer<R: Respond>(stream: UnixStream, responder: &R) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(read.take(LINE_BYTES_MAX));
    tokio::time::timeout(TIMEOUT, reader.read_line(&mut line)).await??;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => responder.respond(request).await,
        Err(cause) => Answer::failed(
            format!("not a request of this version: {cause}"),
            "use the same version of weir as the one that runs",
        ),
    };
    let mut text = serde_json::to_string(&answer).map_err(std::io::Error::other)?;
    text.push('\n');
    tokio::time::timeout(TIMEOUT, write.write_all(text.as_bytes())).await??;
    Ok(())
}

/// Asks the running weir. `None` when none runs on this state directory.
pub async fn ask(state_dir: &Path, request: &Request) -> Result<Option<Answer>> {
    let path = socket_path(state_dir);
    let stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(cause) if is_absent(&cause) => return Ok(None),
        Err(cause) => return Err(broken(&path).caused_by(cause)),
    };
    let exchange = async {
        let (read, mut write) = stream.into_split();
        let mut text = serde_json::to_string(request).map_err(std::io::Error::other)?;
        text.push('\n');
        write.write_all(text.as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(read.take(LINE_BYTES_MAX)).read_line(&mut line).await?;
        serde_json::from_str(&line).map_err(std::io::Error::other)
    };
    match tokio::time::timeout(TIMEOUT * 2, exchange).await {
        Ok(Ok(answer)) => Ok(Some(answer)),
        Ok(Err(cause)) => Err(broken(&path).caused_by(cause)),
        Err(_) => Err(broken(&path)),
    }
}

fn is_absent(cause: &std::io::Error) -> bool {
    matches!(cause.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused)
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
                Request::Resume { link, .. } => Answer::failed(link, "do this"),
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
            assert!(socket_path(dir).as_os_str().len() <= SOCKET_PATH_BYTES_MAX);
            assert_eq!(ask(dir, &Request::Status).await.expect("nobody there"), None);
            let stop = CancellationToken::new();
            let server = serve(dir, Arc::new(Echo), stop.clone()).await.expect("listens");
            let server = tokio::spawn(server);
            let status = ask(dir, &Request::Status).await.expect("answers");
            assert_eq!(status, Some(Answer::Ok(serde_json::json!({"links": 1}))));
            let resume = Request::Resume { link: "a:b".to_owned(), schema_reviewed: true };
            let refused = ask(dir, &resume).await.expect("answers");
            assert_eq!(refused, Some(Answer::failed("a:b", "do this")));
            stop.cancel();
            server.await.expect("joined");
            assert!(!socket_path(dir).exists());
        }
    }
}
