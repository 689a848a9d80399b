//! Reading a secret from where the configuration says it is.
//!
//! A secret is read anew at each connect, so rotated files and short-lived tokens work without a
//! restart. Reading is bounded: 10 s and 64 KiB. Errors name the source of the secret (variable,
//! path, program), never what was read and never a command's arguments; of a command that fails they
//! hold what it says on its standard error. A file may be looked at while it is being replaced: one
//! that is missing, empty or open to all is looked at again for a second. Nothing is cached.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::command;
use super::settings::{Database, Secret};
use crate::error::{Error, Kind, Result};

/// Longest time a file or command may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Looks at a file that cannot be used as it is, and the pause between them.
const LOOKS_MAX: u32 = 5;
const LOOK_AGAIN: Duration = Duration::from_millis(200);
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
    /// finish, failed or printed nothing, which may pass.
    pub async fn read(&self, database: &str) -> Result<SecretString> {
        self.read_as(&format!("password of database `{database}`")).await
    }

    /// Reads the secret, which is `what`; at most 10 s.
    ///
    /// # Errors
    /// The same.
    pub(crate) async fn read_as(&self, what: &str) -> Result<SecretString> {
        self.read_within(READ_TIMEOUT).await.map_err(|error| error.within(what))
    }

    async fn read_within(&self, limit: Duration) -> Result<SecretString> {
        let bytes = match self {
            Secret::Env(name) => read_env(name)?,
            Secret::File(path) => {
                let reading = tokio::time::timeout(limit, self.settled(path));
                return reading.await.unwrap_or_else(|_| Err(no_answer(self, limit)));
            }
            Secret::Command(words) => {
                let (program, arguments) = words
                    .split_first()
                    .ok_or_else(|| wrong("the password command is empty".to_owned()))?;
                command::output(program, arguments, limit, SECRET_BYTES_MAX).await?
            }
        };
        self.accept(bytes)
    }

    /// What the file holds once nobody is in the middle of replacing it.
    async fn settled(&self, path: &Path) -> Result<SecretString> {
        let mut looks = 1;
        loop {
            let read = read_file(path).await.and_then(|bytes| self.accept(bytes));
            if read.is_ok() || looks == LOOKS_MAX {
                return read;
            }
            looks += 1;
            tokio::time::sleep(LOOK_AGAIN).await;
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
            return Err(match self {
                Secret::Command(_) => {
                    Error::new(Kind::Unavailable, format!("{self} printed nothing"))
                        .hint("run the command by hand as weir's user: it must print the password")
                }
                Secret::Env(_) | Secret::File(_) => wrong(format!("{self} is empty")),
            });
        }
        if matches!(self, Secret::Command(_)) && bytes.contains(&b'\n') {
            return Err(wrong(format!("{self} printed several lines"))
                .hint("have the command print the password alone, in one line"));
        }
        // The cause would repeat the bytes: it is left out on purpose.
        let text =
            String::from_utf8(bytes).map_err(|_| wrong(format!("{self} is not valid UTF-8")))?;
        Ok(SecretString::from(text))
    }
}

impl Database {
    /// What it means that the server refuses the login. A password that is read anew at each connect
    /// may be about to change, here or at the server: such a refusal is waited out.
    pub(crate) fn login_refused(&self, error: Error) -> Error {
        let Some(secret @ (Secret::File(_) | Secret::Command(_))) = &self.password else {
            return error;
        };
        if error.kind() != Kind::Authentication {
            return error;
        }
        let hint = format!(
            "the password is that of {secret}, which weir reads again at each try; {}",
            error.operator_hint()
        );
        error.turned(Kind::PasswordRefused).hint(hint)
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

fn no_answer(secret: &Secret, limit: Duration) -> Error {
    let context = format!("{secret} did not answer within {} s", limit.as_secs_f32());
    Error::new(Kind::Timeout, context).hint("read it by hand as weir's user: it must come at once")
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

    /// Broken if a file that is being replaced stopped a link for good.
    #[tokio::test]
    async fn a_file_is_looked_at_again_while_it_is_replaced() {
        let (dir, secret) = file_with(b"", 0o644);
        let path = dir.path().join("secret");
        let replacing = async {
            tokio::time::sleep(LOOK_AGAIN / 2).await;
            fs::remove_file(&path).unwrap();
            tokio::time::sleep(LOOK_AGAIN).await;
            fs::write(&path, "new\n").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        };
        let (read, ()) = tokio::join!(secret.read("crm"), replacing);
        assert_eq!(read.unwrap().expose_secret(), "new");
    }

    /// Broken if a refused password that nobody can change while weir runs were tried for ever, or one
    /// that is being changed stopped a link for good.
    #[test]
    fn a_refused_password_is_waited_for_where_it_can_change() {
        let mut database = crate::plan::fixtures::database("crm", super::super::Dialect::Postgres);
        let refused = |database: &Database| {
            database.login_refused(Error::new(Kind::Authentication, "login")).kind()
        };
        assert_eq!(refused(&database), Kind::Authentication);
        database.password = Some(Secret::Env("PASSWORD".to_owned()));
        assert_eq!(refused(&database), Kind::Authentication);
        for secret in [Secret::File("/secret".into()), command(&["vault"])] {
            database.password = Some(secret);
            assert_eq!(refused(&database), Kind::PasswordRefused);
            let other = database.login_refused(Error::new(Kind::Transport, "login"));
            assert_eq!(other.kind(), Kind::Transport);
        }
    }

    /// Broken if a command that hangs or fails for a moment stopped a link for good, or one that prints
    /// more than a password were taken at its word.
    #[tokio::test]
    async fn command_failures_are_retried() {
        let error = command(&["false"]).read("crm").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        let error = command(&["true"]).read("crm").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.to_string().ends_with("command `true` printed nothing"), "{error}");
        let error = command(&["printf", "hunter2\nuser\n"]).read("crm").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Configuration);
        assert!(error.to_string().ends_with("`printf` printed several lines"), "{error:?}");
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
