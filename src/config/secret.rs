//! Reading a secret from where the configuration says it is.
//!
//! A secret is read anew at each connect, so rotated files and short-lived tokens work without a
//! restart. Reading is bounded: 10 s and 64 KiB. Errors name the source of the secret (variable,
//! path, program), never what was read and never a command's arguments. A command runs without a
//! shell, and its standard error is discarded, since it may repeat the secret. Nothing is cached.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::settings::Secret;
use crate::error::{Error, Kind, Result};

/// Longest time a file or command may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest secret, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// Permission bit that lets every user of the machine read a file.
const WORLD_READABLE: u32 = 0o004;

impl Secret {
    /// Reads the secret of `database`; at most 10 s.
    ///
    /// # Errors
    /// `Configuration` when the source is missing, empty, too large, not UTF-8, or a file that
    /// every user of the machine can read; `Timeout` and `Unavailable` when a command did not
    /// finish or failed, which may pass.
    pub async fn read(&self, database: &str) -> Result<SecretString> {
        self.read_within(READ_TIMEOUT)
            .await
            .map_err(|error| error.within(format_args!("password of database `{database}`")))
    }

    async fn read_within(&self, limit: Duration) -> Result<SecretString> {
        let reading = async {
            match self {
                Secret::Env(name) => read_env(name),
                Secret::File(path) => read_file(path).await,
                Secret::Command(words) => read_command(words).await,
            }
        };
        match tokio::time::timeout(limit, reading).await {
            Ok(read) => self.accept(read?),
            Err(_) => Err(Error::new(
                Kind::Timeout,
                format!("{self} did not answer within {} s", limit.as_secs_f32()),
            )
            .hint("read it by hand as weir's user: it must yield the password at once and end")),
        }
    }

    fn accept(&self, mut bytes: Vec<u8>) -> Result<SecretString> {
        if bytes.len() as u64 > SECRET_BYTES_MAX {
            return Err(wrong(format!("{self} yields more than {SECRET_BYTES_MAX} bytes")));
        }
        if !matches!(self, Secret::Env(_)) && bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if bytes.is_empty() {
            return Err(wrong(format!("{self} is empty")));
        }
        // The cause would repeat the bytes: it is left out on purpose.
        let text =
            String::from_utf8(bytes).map_err(|_| wrong(format!("{self} is not valid UTF-8")))?;
        Ok(SecretString::from(text))
    }
}

/// Names the source, for messages: the variable, the path, or the program without its arguments.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Env(name) => write!(f, "environment variable `{name}`"),
            Secret::File(path) => write!(f, "file `{}`", path.display()),
            Secret::Command(words) => {
                write!(f, "command `{}`", words.first().map_or("", String::as_str))
            }
        }
    }
}

fn wrong(context: String) -> Error {
    Error::new(Kind::Configuration, context)
}

fn read_env(name: &str) -> Result<Vec<u8>> {
    use std::os::unix::ffi::OsStringExt;
    std::env::var_os(name).map(OsStringExt::into_vec).ok_or_else(|| {
        wrong(format!("environment variable `{name}` is not set"))
            .hint("set it in the environment that weir is started with")
    })
}

async fn read_file(path: &Path) -> Result<Vec<u8>> {
    let name = path.display();
    let failed = |what: &str, cause: std::io::Error| {
        wrong(format!("cannot {what} file `{name}`")).caused_by(cause)
    };
    let file = tokio::fs::File::open(path).await.map_err(|cause| failed("open", cause))?;
    let metadata = file.metadata().await.map_err(|cause| failed("examine", cause))?;
    refuse_open(path, &metadata)?;
    read_bounded(file).await.map_err(|cause| failed("read", cause))
}

/// Refuses a file with a secret that every user of the machine may read.
///
/// # Errors
/// `Configuration`, with the command that closes it.
pub(crate) fn refuse_open(path: &Path, metadata: &Metadata) -> Result<()> {
    if !metadata.is_file() || metadata.permissions().mode() & WORLD_READABLE == 0 {
        return Ok(());
    }
    let name = path.display();
    Err(wrong(format!("file `{name}` can be read by every user of this machine"))
        .hint(format!("run `chmod 600 {name}`")))
}

async fn read_command(words: &[String]) -> Result<Vec<u8>> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(wrong("the password command is empty".to_owned()));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|cause| wrong(format!("cannot start command `{program}`")).caused_by(cause))?;
    let failed = |cause: std::io::Error| {
        Error::new(Kind::Io, format!("cannot read from command `{program}`")).caused_by(cause)
    };
    let output = match child.stdout.take() {
        Some(stdout) => read_bounded(stdout).await.map_err(failed)?,
        None => Vec::new(),
    };
    if output.len() as u64 > SECRET_BYTES_MAX {
        // It goes on writing to nobody; that it is killed for that is not what is wrong with it.
        return Ok(output);
    }
    let status = child.wait().await.map_err(failed)?;
    if status.success() {
        return Ok(output);
    }
    Err(Error::new(Kind::Unavailable, format!("command `{program}` failed: {status}"))
        .hint("run the command by hand as weir's user; its error output is not shown here"))
}

/// Reads one byte more than allowed at most, so that the caller sees that there was more.
async fn read_bounded(source: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use secrecy::ExposeSecret;

    use super::*;

    fn file_with(content: &[u8], mode: u32) -> (tempfile::TempDir, Secret) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (dir, Secret::File(path))
    }

    fn command(words: &[&str]) -> Secret {
        Secret::Command(words.iter().map(|word| (*word).to_owned()).collect())
    }

    /// Broken if an editor's final line break became part of the password, or blanks were cut.
    #[tokio::test]
    async fn only_the_last_line_break_is_cut() {
        for (content, expected) in
            [("s3 \n", "s3 "), ("s3\r\n", "s3"), ("s3\n\n", "s3\n"), ("s3", "s3")]
        {
            let (_dir, secret) = file_with(content.as_bytes(), 0o600);
            assert_eq!(secret.read("crm").await.unwrap().expose_secret(), expected);
        }
        let printed = command(&["printf", "tok'en $HOME\n"]).read("crm").await.unwrap();
        assert_eq!(printed.expose_secret(), "tok'en $HOME", "no shell may look at it");
    }

    /// Broken if weir used a password that every user of the machine can read.
    #[tokio::test]
    async fn world_readable_file_is_refused_without_its_content() {
        let (_dir, secret) = file_with(b"hunter2", 0o644);
        let error = secret.read("crm").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Configuration);
        let shown = format!("{error} {error:?} {}", error.operator_hint());
        assert!(shown.contains("database `crm`") && shown.contains("chmod 600"), "{shown}");
        assert!(!shown.contains("hunter2"));
    }

    /// Broken if a missing, empty, binary or huge secret reached a server as a wrong password.
    #[tokio::test]
    async fn useless_sources_are_named() {
        let (_a, empty) = file_with(b"\n", 0o600);
        let (_b, binary) = file_with(b"\xff\xfehunter2", 0o600);
        let (_c, huge) = file_with(&[b'a'; 70_000], 0o600);
        for secret in [
            empty,
            binary,
            huge,
            Secret::File("/nonexistent/secret".into()),
            Secret::Env("WEIR_TEST_NO_SUCH_VARIABLE".to_owned()),
            command(&["/nonexistent/program", "hunter2"]),
        ] {
            let error = secret.read("crm").await.unwrap_err();
            assert_eq!(error.kind(), Kind::Configuration, "{error:?}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        let error = command(&["cat", "/dev/zero"]).read("crm").await.unwrap_err();
        assert!(error.to_string().ends_with("yields more than 65536 bytes"), "{error}");
    }

    /// Broken if a command that hangs or fails for a moment stopped a link for good.
    #[tokio::test]
    async fn command_failures_are_retried() {
        let error = command(&["false"]).read("crm").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        let hanging = command(&["sleep", "60"]).read_within(Duration::from_millis(50)).await;
        assert_eq!(hanging.unwrap_err().kind(), Kind::Timeout);
    }

    /// Broken if an environment variable could not be read.
    #[tokio::test]
    async fn environment_is_read() {
        let path = Secret::Env("PATH".to_owned()).read("crm").await.unwrap();
        assert_eq!(path.expose_secret(), std::env::var("PATH").unwrap());
    }
}
