//! `weir plan` and `weir reload`: what the files would change of what runs, and to change it.

use std::process::ExitCode;

use crate::cli::args::{Global, PlanArgs, ReloadArgs};
use crate::cli::context::load;
use crate::cli::control::{Answer, Request, ask};
use crate::cli::output::{complain, say};
use crate::cli::prospect::{Prospect, Standing, prospects};
use crate::cli::{exit, print_json, state};
use crate::error::{Error, Kind, Result};

/// `weir plan`. Exit code 3 where anything differs, 1 where something cannot be compared.
pub(super) async fn plan(global: &Global, args: &PlanArgs) -> Result<ExitCode> {
    let config = load(global)?;
    let (running, known) = match ask(&config.state_dir, &Request::Outlines).await? {
        Some(Answer::Ok(known)) => (true, state::known(known)?),
        Some(Answer::Failed { text, hint }) => return Err(Error::new(Kind::Io, text).hint(hint)),
        None => (false, state::begun(&config)?),
    };
    let prospects = prospects(&config, &known, false).await;
    if args.json {
        print_json(&serde_json::json!({ "running": running, "links": prospects }))?;
    } else {
        prospects.iter().for_each(Prospect::print);
        say!("{}", next_step(running, &prospects));
    }
    let code = match () {
        () if prospects.iter().any(|one| one.standing.is_changed()) => exit::DIFFERENT,
        () if prospects.iter().any(|one| one.standing != Standing::Same) => exit::FAILED,
        () => exit::GOOD,
    };
    Ok(ExitCode::from(code))
}

fn next_step(running: bool, prospects: &[Prospect]) -> &'static str {
    let differs = prospects.iter().any(|one| one.standing.is_changed());
    let unknown = prospects.iter().any(|one| one.standing == Standing::Unknown);
    match (differs, running) {
        (false, _) if unknown => "`weir reload` is refused: see above",
        (false, _) => "the files are what runs",
        (true, true) => "`weir reload` makes these changes, each link at a commit",
        (true, false) => "weir is not running: `weir run` starts with these changes",
    }
}

/// `weir reload`.
pub(super) async fn reload(global: &Global, args: &ReloadArgs) -> Result<ExitCode> {
    let config = load(global)?;
    let answer = ask(&config.state_dir, &Request::Reload { accept: args.accept }).await?;
    let mut answer = match answer {
        Some(Answer::Ok(answer)) => answer,
        Some(Answer::Failed { text, hint }) => {
            return Err(Error::new(Kind::Configuration, text).hint(hint));
        }
        None => {
            let context = format!("weir is not running on {}", config.state_dir.display());
            return Err(Error::new(Kind::Io, context)
                .hint("start `weir run`; a changed `state_dir` needs a restart too"));
        }
    };
    if args.json {
        print_json(&answer)?;
    } else {
        let prospects: Vec<Prospect> =
            serde_json::from_value(answer["links"].take()).map_err(|cause| {
                Error::new(Kind::Io, "the running weir is of another version").caused_by(cause)
            })?;
        prospects.iter().for_each(Prospect::print);
    }
    if answer["applied"] == serde_json::Value::Bool(true) {
        if !args.json {
            say!("the files are what runs");
        }
        let halted = answer["halted"].as_array().into_iter().flatten();
        let halted: Vec<&str> = halted.filter_map(serde_json::Value::as_str).collect();
        if halted.is_empty() {
            return Ok(ExitCode::from(exit::GOOD));
        }
        complain!("weir: halted with them: {}", halted.join(", "));
        complain!("  hint: see `weir status`");
        return Ok(ExitCode::from(exit::HALTED));
    }
    let why = answer["why"].as_str().unwrap_or_default();
    complain!("weir: nothing is changed, weir goes on as before: {why}");
    if let Some(hint) = answer["hint"].as_str() {
        complain!("  hint: {hint}");
    }
    Ok(ExitCode::from(exit::FAILED))
}
