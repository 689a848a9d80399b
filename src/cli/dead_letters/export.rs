//! `weir dead-letters export`: every letter with all its fields, one JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use super::letter::{Fields, count};
use super::reading::{Pages, excuse, open};
use crate::cli::args::ExportArgs;
use crate::cli::context::{links, settled};
use crate::cli::exit;
use crate::cli::output::{has_listener, say};
use crate::config::{Config, LinkName};
use crate::error::{Error, Kind, Result};

/// Where letters go.
enum Output<'a> {
    /// Standard output.
    Standard,
    /// A new file, and why it is incomplete.
    File(&'a Path, BufWriter<File>, Option<std::io::Error>),
}

/// Runs the verb. Exit code 1 where the letters of a link cannot be read; all others are written.
pub(super) async fn run(config: Config, args: &ExportArgs) -> Result<ExitCode> {
    let links = links(&config, &args.links)?;
    let config = settled(config, &links).await;
    let mut output = Output::open(args.output.as_deref())?;
    let (mut code, mut letters) = (exit::GOOD, 0);
    for link in &links {
        match write(&config, link, &mut output).await {
            Ok(written) => letters += written,
            Err(error) => {
                excuse(link, &error);
                code = exit::FAILED;
            }
        }
    }
    if let Some(path) = output.finish()? {
        say!("{} in {}", count(letters, "letter"), path.display());
    }
    Ok(ExitCode::from(code))
}

async fn write(config: &Config, link: &LinkName, output: &mut Output<'_>) -> Result<u64> {
    let mut letters = open(config, link).await?;
    let mut pages = Pages::of(letters.as_mut());
    let mut written = 0;
    while let Some(page) = pages.next().await? {
        for letter in &page {
            let line = serde_json::to_string(&Fields::whole(link, letter)).map_err(|cause| {
                Error::new(Kind::Internal, "cannot write a letter as JSON").caused_by(cause)
            })?;
            output.line(&line);
            written += 1;
        }
        if !output.takes_more() {
            break;
        }
    }
    Ok(written)
}

impl<'a> Output<'a> {
    /// A file that is there already is not weir's to replace; in a new one are values of rows.
    fn open(path: Option<&'a Path>) -> Result<Output<'a>> {
        let Some(path) = path else { return Ok(Output::Standard) };
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
        let file = file.map_err(|cause| unwritten(path, cause))?;
        Ok(Output::File(path, BufWriter::new(file), None))
    }

    fn line(&mut self, line: &str) {
        match self {
            Output::Standard => say!("{line}"),
            Output::File(_, file, failed @ None) => *failed = writeln!(file, "{line}").err(),
            Output::File(_, _, Some(_)) => {}
        }
    }

    /// Whether there is a reader, or a file that is whole so far.
    fn takes_more(&self) -> bool {
        match self {
            Output::Standard => has_listener(),
            Output::File(_, _, failed) => failed.is_none(),
        }
    }

    /// Makes sure that all of it is written; to which file.
    fn finish(self) -> Result<Option<&'a Path>> {
        let Output::File(path, mut file, failed) = self else { return Ok(None) };
        let failed = failed.map_or(Ok(()), Err);
        let written = failed.and_then(|()| file.flush()).and_then(|()| file.get_ref().sync_all());
        written.map(|()| Some(path)).map_err(|cause| unwritten(path, cause))
    }
}

fn unwritten(path: &Path, cause: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("cannot write {}", path.display())).caused_by(cause)
}
