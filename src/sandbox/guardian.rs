//! One small shell process per server (or other program) that outlives us just long enough to clean up.
//!
//! The guardian sits in its own process group (a Ctrl-C does not reach it) and reads a pipe whose only writer is this
//! process. When we end, in whatever way, the pipe closes, and it stops the server and removes the directory.
//! Commands are one word per line; each is answered by one line. What it cannot survive is being killed itself.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::str::FromStr;

use super::account::Account;
use super::{Error, Kind, Result};
use crate::sandbox::tell::tell;

const SCRIPT: &str = include_str!("guardian.sh");

/// A running guardian. Dropping it ends the server and removes the directory, and waits for both.
#[derive(Debug)]
pub(crate) struct Guardian {
    child: Child,
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    directory: PathBuf,
}

/// Signals in the shell's names: how a server is stopped cleanly, and how at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signals {
    /// For a clean stop.
    pub(crate) clean: &'static str,
    /// For an end without any care for the data.
    pub(crate) quick: &'static str,
}

impl Guardian {
    /// Starts a guardian for `directory`, which it will remove, and a server that is not started yet.
    pub(crate) fn new(
        account: Account,
        directory: &Path,
        data: &Path,
        signals: Signals,
        server: &[std::ffi::OsString],
    ) -> Result<Self> {
        let mut child = account
            .command(Path::new("/bin/sh"))
            .arg("-c")
            .arg(SCRIPT)
            .arg("weir-guardian")
            .arg(directory)
            .arg(data)
            .args([signals.clean, signals.quick])
            .args(server)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| Error::io("start the guardian of a throw-away server", e))?;
        let (Some(words), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::new(Kind::Io, "the guardian has no pipes"));
        };
        let answers = BufReader::new(answers);
        Ok(Self { child, words: Some(words), answers, directory: directory.to_owned() })
    }

    /// Starts the server; returns its process id.
    pub(crate) fn start(&mut self) -> Result<u32> {
        number(&self.ask("start")?, "started ")
    }

    /// Stops the server cleanly and waits for its end; after 30 s it is killed. Returns its exit code as
    /// the shell tells it.
    pub(crate) fn stop(&mut self) -> Result<i32> {
        number(&self.ask("stop")?, "stopped ")
    }

    /// Kills the server (SIGKILL, its children too) and waits for its end.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.ask("kill").map(drop)
    }

    fn ask(&mut self, word: &str) -> Result<String> {
        let lost = |e| Error::io("talk to the guardian of a throw-away server", e);
        let Some(words) = &mut self.words else {
            return Err(Error::new(Kind::Io, "the guardian has ended"));
        };
        writeln!(words, "{word}").and_then(|()| words.flush()).map_err(lost)?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).map_err(lost)?;
        match answer.trim_end() {
            "" => Err(Error::new(Kind::Io, "the guardian of a throw-away server is gone")),
            answer => Ok(answer.to_owned()),
        }
    }
}

fn number<T: FromStr>(answer: &str, word: &str) -> Result<T> {
    answer
        .strip_prefix(word)
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| Error::new(Kind::Io, format!("the guardian answered {answer:?}")))
}

/// Whether a process is there and not only waiting to be collected.
pub(crate) fn is_alive(pid: u32) -> bool {
    if !Path::new("/proc/self/stat").exists() {
        return true;
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| {
        rest.trim_start().starts_with(|state: char| state.is_alphabetic() && state != 'Z')
    })
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.words = None;
        if let Err(error) = self.child.wait() {
            tell!("weir: could not wait for the guardian of {:?}: {error}", self.directory);
        }
        // The guardian may lack the right to remove the last entry, or may have been killed itself.
        if self.directory.exists()
            && let Err(error) = std::fs::remove_dir_all(&self.directory)
        {
            tell!("weir: {:?} is left behind: {error}", self.directory);
        }
    }
}
