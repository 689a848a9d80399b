//! Running the commands of the configuration: those that print a secret, and those that are told.
//!
//! A command runs without a shell, in a process group of its own that is ended as a whole, when the command
//! has ended and when it takes too long: nothing that it started is left behind, try after try. The
//! standard output of the first is the secret and is never repeated, that of the others is nobody's. Its standard error is for the operator: the
//! first 4 KiB in one line, without the lines that were printed as the secret.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::error::Elapsed;

use crate::error::{Error, Kind, Result};

/// How much of the standard error is kept, in bytes.
const SAID_BYTES_MAX: u64 = 4 * 1024;
/// Shorter lines of the output are no secret, and would be found everywhere.
const MASKED_BYTES_MIN: usize = 4;
/// Advice about a command that prints a secret.
const MUST_PRINT: &str =
    "run the command by hand as weir's user: it must print the password at once and end";

/// What `program` prints, at most one byte more than `bytes_max`, so that the caller sees that there
/// was more.
///
/// # Errors
/// `Configuration` where it cannot be started; `Unavailable` where it fails and `Timeout` where it
/// does not end within `limit`, which may pass; both with what it said on its standard error.
pub(super) async fn output(
    program: &str,
    arguments: &[String],
    limit: Duration,
    bytes_max: u64,
) -> Result<Vec<u8>> {
    let child = spawn(program, arguments, [Stdio::null(), Stdio::piped()])?;
    let (mut printed, mut said) = (Vec::new(), Vec::new());
    let running = run(child, &mut printed, bytes_max, &mut said);
    let ended = tokio::time::timeout(limit, running).await;
    // That it is ended for printing too much is not what is wrong with it.
    if printed.len() as u64 > bytes_max && matches!(ended, Ok(Ok(_))) {
        return Ok(printed);
    }
    judge(program, limit, ended, &said, &printed)
        .map_err(|error| error.hint(MUST_PRINT))
        .map(|()| printed)
}

/// Runs `program` and writes `input` to its standard input, as much of it as it reads.
///
/// # Errors
/// As for a command that prints a secret.
pub(crate) async fn feed(
    program: &str,
    arguments: &[String],
    input: &[u8],
    limit: Duration,
) -> Result<()> {
    let mut child = spawn(program, arguments, [Stdio::piped(), Stdio::null()])?;
    let (mut printed, mut said) = (Vec::new(), Vec::new());
    let stdin = child.stdin.take();
    let feeding = async {
        if let Some(mut stdin) = stdin {
            // Who does not want to read it all need not.
            let _unread = stdin.write_all(input).await;
        }
    };
    let running = async {
        let run = run(child, &mut printed, 0, &mut said);
        let mut run = std::pin::pin!(run);
        tokio::select! {
            ended = &mut run => ended,
            () = feeding => run.await,
        }
    };
    let ended = tokio::time::timeout(limit, running).await;
    judge(program, limit, ended, &said, &[])
}

fn spawn(program: &str, arguments: &[String], [stdin, stdout]: [Stdio; 2]) -> Result<Child> {
    Command::new(program)
        .args(arguments)
        .stdin(stdin)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|cause| {
            let context = format!("cannot start command `{program}`");
            Error::new(Kind::Configuration, context).caused_by(cause)
        })
}

/// Whether a command ended well, and what it said where not.
fn judge(
    program: &str,
    limit: Duration,
    ended: Result<std::io::Result<ExitStatus>, Elapsed>,
    said: &[u8],
    printed: &[u8],
) -> Result<()> {
    let (kind, what) = match ended {
        Ok(Ok(status)) if status.success() => return Ok(()),
        Ok(Ok(status)) => (Kind::Unavailable, format!("failed: {status}")),
        Ok(Err(cause)) => {
            let context = format!("cannot read from command `{program}`");
            return Err(Error::new(Kind::Io, context).caused_by(cause));
        }
        Err(_) => (Kind::Timeout, format!("did not end within {} s", limit.as_secs_f32())),
    };
    let said = match told(said, printed) {
        words if words.is_empty() => "it said nothing on its standard error".to_owned(),
        words => format!("it said: {words}"),
    };
    Err(Error::new(kind, format!("command `{program}` {what}; {said}"))
        .hint("run the command by hand as weir's user: it must end well, and at once"))
}

/// Reads both streams side by side until the command has ended.
async fn run(
    mut child: Child,
    printed: &mut Vec<u8>,
    bytes_max: u64,
    said: &mut Vec<u8>,
) -> std::io::Result<ExitStatus> {
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let printing = async {
        if let Some(stdout) = stdout {
            stdout.take(bytes_max + 1).read_to_end(printed).await?;
        }
        if printed.len() as u64 > bytes_max {
            group.end();
        }
        Ok(())
    };
    let saying = async {
        match stderr {
            Some(stderr) => listen(stderr, said).await,
            None => Ok(()),
        }
    };
    let ending = async {
        let status = child.wait().await;
        // What it left running may hold the streams open.
        group.end();
        status
    };
    let ((), (), status) = tokio::try_join!(printing, saying, ending)?;
    Ok(status)
}

/// Keeps the beginning and reads on, so that who speaks much is not held up.
async fn listen(mut stderr: impl AsyncRead + Unpin, said: &mut Vec<u8>) -> std::io::Result<()> {
    (&mut stderr).take(SAID_BYTES_MAX).read_to_end(said).await?;
    tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
    Ok(())
}

/// The process group of a command; ends with its holder.
struct Group(Option<Pid>);

impl Group {
    fn end(&self) {
        if let Some(leader) = self.0 {
            // An error says that nothing of it is left.
            let _gone = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a command said, as one line for the operator.
fn told(said: &[u8], printed: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(said).into_owned();
    for line in String::from_utf8_lossy(printed).lines().map(str::trim) {
        if line.len() >= MASKED_BYTES_MIN {
            text = text.replace(line, "***");
        }
    }
    let text = text.replace(char::is_control, " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of_shell(script: &str, limit: Duration) -> Result<Vec<u8>> {
        output("sh", &["-c".to_owned(), script.to_owned()], limit, 1024).await
    }

    /// Broken if an operator were not told why a command fails, or were shown what it printed.
    #[tokio::test]
    async fn a_failure_says_why_and_no_secret() {
        let script =
            "echo hunter2; printf 'token \\033[31mexpired\\n+ echo hunter2\\n' >&2; exit 7";
        let error = of_shell(script, Duration::from_secs(10)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        let expected = "command `sh` failed: exit status: 7; it said: token [31mexpired + echo ***";
        assert_eq!(error.to_string(), expected);
        let silent = of_shell("exit 1", Duration::from_secs(10)).await.unwrap_err().to_string();
        assert!(silent.ends_with("it said nothing on its standard error"), "{silent}");
    }

    /// Broken if a command that speaks much were held up by it, or filled an operator's screen.
    #[tokio::test]
    async fn much_is_cut() {
        let script = "head -c 1000000 /dev/zero | tr '\\0' x >&2; echo s3";
        let printed = of_shell(script, Duration::from_secs(10)).await.unwrap();
        assert_eq!(printed, b"s3\n");
        let script = format!("{script}; exit 1");
        let error = of_shell(&script, Duration::from_secs(10)).await.unwrap_err().to_string();
        assert!(error.len() < 4300, "{}", error.len());
    }

    /// Broken if a command that is told something did not get all of it, were held up by not reading
    /// it, or failed in silence.
    #[tokio::test]
    async fn a_command_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("told");
        let long = vec![b'x'; 300_000];
        let told = async |script: &str| {
            let words = ["-c".to_owned(), script.to_owned()];
            feed("sh", &words, &long, Duration::from_secs(10)).await
        };
        told(&format!("cat > {}; seq 100000", file.display())).await.unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), long);
        told("exit 0").await.unwrap();
        let error = told("echo no pager >&2; exit 3").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.to_string().ends_with("exit status: 3; it said: no pager"), "{error}");
        let words = ["60".to_owned()];
        let hangs = feed("sleep", &words, &long, Duration::from_millis(100)).await.unwrap_err();
        assert_eq!(hangs.kind(), Kind::Timeout);
    }

    /// Broken if what a command starts outlived it: each try would leave one more behind.
    #[tokio::test]
    async fn nothing_is_left_running() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; echo stuck >&2; wait", file.display());
        let error = of_shell(&script, Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout);
        assert!(error.to_string().ends_with("did not end within 1 s; it said: stuck"), "{error}");
        assert_gone(&file).await;
        let script = format!("sleep 600 & echo $! > {}; echo s3", file.display());
        assert_eq!(of_shell(&script, Duration::from_secs(10)).await.unwrap(), b"s3\n");
        assert_gone(&file).await;
    }

    async fn assert_gone(file: &std::path::Path) {
        let pid = std::fs::read_to_string(file).unwrap();
        let stat = format!("/proc/{}/stat", pid.trim());
        for _ in 0..100 {
            // Nobody may have buried it here: a zombie has ended.
            match std::fs::read_to_string(&stat) {
                Ok(stat) if !stat.contains(") Z ") => {}
                _ => return,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("process {pid} still runs");
    }
}
