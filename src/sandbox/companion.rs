//! A program of weir's own in a fresh private directory: it runs as this process's account beside the
//! throw-away servers, and like them ends with this process in whatever way that ends.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::account::Account;
use super::guardian::{Guardian, Signals, is_alive};
use super::running::blocking;
use super::{Result, template, workdir};

/// The program and its directory; both are gone after drop. What it prints is in the file `log` there.
#[derive(Debug)]
pub struct Companion {
    guardian: Guardian,
    directory: PathBuf,
    pid: Option<u32>,
}

/// How a companion ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; 128 and more for a signal, as a shell tells it.
    pub code: i32,
    /// The last lines that it printed.
    pub log: String,
}

impl Companion {
    /// Makes the directory; `command` says what is started in it later: a program and its arguments.
    pub fn prepare(command: impl FnOnce(&Path) -> Vec<OsString>) -> Result<Companion> {
        let account = Account::own_process();
        let directory = workdir::create(account)?;
        let signals = Signals { clean: "TERM", quick: "KILL" };
        let command = command(&directory);
        let guardian = Guardian::new(account, &directory, &directory, signals, &command)?;
        Ok(Companion { guardian, directory, pid: None })
    }

    /// Its directory: an absolute path without characters that would need quoting.
    pub fn dir(&self) -> &Path {
        &self.directory
    }

    /// Starts the program.
    pub fn start(&mut self) -> Result<()> {
        self.pid = Some(self.guardian.start()?);
        Ok(())
    }

    /// Whether the program runs.
    pub fn is_alive(&self) -> bool {
        self.pid.is_some_and(is_alive)
    }

    /// The last lines that the program printed.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read(self.directory.join("log")).unwrap_or_default();
        template::tail(&String::from_utf8_lossy(&log))
    }

    /// Asks the program to stop (SIGTERM), and waits; after 30 s it is killed.
    pub async fn stop(mut self) -> Result<Ended> {
        blocking(move || {
            let code = self.guardian.stop()?;
            Ok(Ended { code, log: self.log_tail() })
        })
        .await
    }
}
