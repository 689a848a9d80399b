//! The command line: one file per verb. Everything printed for people goes to standard output,
//! logs and errors to standard error.

mod alert;
mod args;
mod check;
mod checkpoint;
mod columns;
mod completions;
mod context;
pub mod control;
mod copies;
mod ddl;
mod dead_letters;
mod demo;
mod duplicates;
pub mod exit;
mod explain;
mod flagged;
mod init;
mod lists;
mod man;
mod notify;
mod output;
mod plan;
mod prospect;
mod reload;
mod responder;
mod resume;
mod run;
mod setup;
mod signals;
mod snapshot;
mod spec;
mod state;
mod status;
mod survey;
mod teardown;
mod telling;
mod trial;
mod verify;
mod wait;
mod watch;

use std::process::ExitCode;

use crate::error::{Error, Kind, Result};
use crate::observe::logging;
use output::{complain, say};

pub use args::{Cli, Global, Verb};

/// Runs a verb and returns the exit code of the process. Errors end here: the message with its
/// causes and the hint, on standard error.
pub async fn main(cli: Cli) -> ExitCode {
    if let Err(problem) = logging::install(cli.global.log_format, cli.global.log.as_deref()) {
        complain!("weir: {problem}");
        return ExitCode::from(exit::USAGE);
    }
    let outcome = dispatch(&cli).await;
    match outcome.and_then(|code| output::finish().map(|()| code)) {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::from(exit::after([error.kind()], exit::FAILED))
        }
    }
}

async fn dispatch(cli: &Cli) -> Result<ExitCode> {
    let global = &cli.global;
    match &cli.verb {
        Verb::Init(args) => Box::pin(init::run(global, args)).await,
        Verb::Check(args) => check::run(global, args).await,
        Verb::Try(args) => Box::pin(trial::run(global, args)).await,
        Verb::Explain(args) => explain::run(global, args).await,
        Verb::Ddl(args) => ddl::run(global, args).await,
        Verb::Setup(args) => setup::run(global, args).await,
        Verb::Teardown(args) => teardown::run(global, args).await,
        Verb::Run(args) => Box::pin(run::run(global, args)).await,
        Verb::Status(args) => status::run(global, args).await,
        Verb::Plan(args) => plan::plan(global, args).await,
        Verb::Reload(args) => plan::reload(global, args).await,
        Verb::Pause(args) => resume::pause(global, args).await,
        Verb::Resume(args) => resume::resume(global, args).await,
        Verb::Snapshot(args) => Box::pin(snapshot::run(global, args)).await,
        Verb::DeadLetters(args) => Box::pin(dead_letters::run(global, args)).await,
        Verb::Flagged(args) => Box::pin(flagged::run(global, args)).await,
        Verb::Verify(args) => Box::pin(verify::run(global, args)).await,
        Verb::Checkpoint(args) => checkpoint::run(global, args).await,
        Verb::Alert(args) => alert::run(global, args).await,
        Verb::Wait(args) => wait::run(global, args).await,
        Verb::Completions(args) => completions::run(args),
        Verb::Man(args) => man::run(args),
        Verb::Demo(args) => Box::pin(demo::run(args)).await,
    }
}

/// Prints an error for a person.
fn report(error: &Error) {
    complain!("weir: {}", error.chain());
    complain!("  hint: {}", hint(error));
}

/// What to do about an error that ends a verb. A link would try again by itself, as the hints of kinds
/// that pass say; here nobody does.
fn hint(error: &Error) -> &str {
    match (error.own_hint(), error.kind()) {
        (None, Kind::Connection | Kind::Timeout | Kind::Unavailable) => {
            "make sure that the server is up and reachable"
        }
        (None, Kind::Contention) => {
            "look for long transactions and locks on the server, then run it again"
        }
        (None, Kind::DiskFull) => "free space on the server, then run it again",
        (None, Kind::SourceBusy) => {
            "another process reads with the same slot or server id: stop it"
        }
        _ => error.operator_hint(),
    }
}

/// Prints JSON for machines, one document.
fn print_json(value: &serde_json::Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|cause| {
        Error::new(Kind::Internal, "cannot print the answer as JSON").caused_by(cause)
    })?;
    say!("{text}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Disposition;

    /// Broken if a verb that has ended said that weir will try again.
    #[test]
    fn nobody_tries_again_for_a_verb() {
        let passing = Kind::ALL.iter().filter(|kind| kind.disposition() == Disposition::Retry);
        for kind in passing {
            let error = Error::new(*kind, "it failed");
            let hint = hint(&error);
            assert!(!hint.contains("by itself") && !hint.contains("weir tries"), "{hint}");
        }
    }
}
