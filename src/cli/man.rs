//! `weir man`: the manual page weir(1) on standard output, or one page per verb, and for each part of
//! one that has parts, in a directory.
//!
//! The pages say what `--help` says: they come from the same definitions.

use std::fs;
use std::io;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::cli::args::{Cli, ManArgs};
use crate::cli::exit;
use crate::cli::output::say;
use crate::error::{Error, Kind, Result};

/// Runs the verb.
pub(super) fn run(args: &ManArgs) -> Result<ExitCode> {
    let mut weir = Cli::command().disable_help_subcommand(true);
    weir.build();
    let Some(directory) = &args.dir else {
        let page = page(weir).map_err(|cause| failed("the page", cause))?;
        say!("{}", String::from_utf8_lossy(&page).trim_end());
        return Ok(ExitCode::from(exit::GOOD));
    };
    let mut commands = vec![weir];
    while let Some(command) = commands.pop() {
        commands.extend(command.get_subcommands().cloned());
        // `weir-check`, as weir(1) refers to it.
        let name = command.get_display_name().unwrap_or_else(|| command.get_name());
        let path = directory.join(format!("{name}.1"));
        page(command)
            .and_then(|page| fs::write(&path, page))
            .map_err(|cause| failed(&path.display().to_string(), cause))?;
        say!("{}", path.display());
    }
    Ok(ExitCode::from(exit::GOOD))
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(page)
}

fn failed(what: &str, cause: io::Error) -> Error {
    Error::new(Kind::Io, format!("cannot write {what}")).caused_by(cause)
}
