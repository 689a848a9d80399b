//! `weir plan` and `weir reload`: what the files would change of what runs, and to change it.

use std::process::ExitCode;

use crate::cli::args::{Global, PlanArgs, ReloadArgs};
use crate::cli::context::load;
use crate::cli::control::{Request, ask};
use crate::cli::output::{complain, say};
use crate::cli::prospect::{Prospect, Standing, prospects};
use crate::cli::{exit, print_json, state};
use crate::error::{Error, Kind, Result};
use crate::plan::Verdict;

/// `weir plan`. Exit code 1 where a link cannot be compared, else 3 where anything differs.
pub(super) async fn plan(global: &Global, args: &PlanArgs) -> Result<ExitCode> {
    let config = load(global)?;
    let (running, known) = match ask(&config.state_dir, &Request::Outlines).await? {
        Some(answer) => (true, state::known(answer.told()?)?),
        None => (false, state::begun(&config)?),
    };
    let prospects = prospects(&config, &known, false).await;
    if args.json {
        print_json(&serde_json::json!({ "running": running, "links": prospects }))?;
    } else {
        prospects.iter().for_each(Prospect::print);
        say!("{}", next_step(running, &prospects));
    }
    Ok(ExitCode::from(code(&prospects)))
}

/// A link that cannot be compared may differ too: that is told before what does.
fn code(prospects: &[Prospect]) -> u8 {
    match () {
        () if prospects.iter().any(|one| one.standing == Standing::Unknown) => exit::FAILED,
        () if prospects.iter().any(|one| one.standing.is_changed()) => exit::DIFFERENT,
        () if prospects.iter().any(|one| one.standing != Standing::Same) => exit::FAILED,
        () => exit::GOOD,
    }
}

fn next_step(running: bool, prospects: &[Prospect]) -> &'static str {
    let differs = prospects.iter().any(|one| one.standing.is_changed());
    let unknown = prospects.iter().any(|one| one.standing == Standing::Unknown);
    let worst = prospects.iter().map(Prospect::verdict).max().unwrap_or(Verdict::FromNow);
    match (differs, running, worst) {
        (false, ..) if unknown => "`weir reload` is refused: see above",
        (false, ..) => "the files are what runs",
        (true, true, Verdict::FromNow) => {
            "`weir reload` makes these changes, each link at a commit"
        }
        (true, true, Verdict::Decision) => {
            "`weir reload` wants a decision: it says what is to be done before `weir reload --accept`"
        }
        (true, true, Verdict::Refused) => "`weir reload` is refused: it says what is left to do",
        (true, false, Verdict::FromNow) => {
            "weir is not running: `weir run` starts with these changes"
        }
        (true, false, Verdict::Decision | Verdict::Refused) => {
            "weir is not running: `weir run` will halt for what needs a decision or is refused, and \
             say what is to be done before `weir resume LINK --schema-reviewed`"
        }
    }
}

/// `weir reload`.
pub(super) async fn reload(global: &Global, args: &ReloadArgs) -> Result<ExitCode> {
    let config = load(global)?;
    let answer = ask(&config.state_dir, &Request::Reload { accept: args.accept }).await?;
    let mut answer = match answer {
        Some(answer) => answer.told()?,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn prospect(standing: &str, verdict: &str) -> Prospect {
        let difference =
            serde_json::json!({ "table": "s.t", "verdict": verdict, "what": "", "effect": "" });
        let prospect = serde_json::json!({
            "link": "a:b", "standing": standing, "differences": [difference],
            "before": [], "after": [], "problems": [],
        });
        serde_json::from_value(prospect).expect("a prospect")
    }

    /// Broken if a script took a plan that could not be made for one that only differs.
    #[test]
    fn what_cannot_be_compared_fails_first() {
        let (same, changed) = (prospect("same", "from_now"), prospect("changed", "from_now"));
        let unknown = prospect("unknown", "from_now");
        assert_eq!(code(&[]), exit::GOOD);
        assert_eq!(code(&[same.clone(), changed.clone()]), exit::DIFFERENT);
        assert_eq!(code(&[same, changed, unknown]), exit::FAILED);
    }

    /// Broken if a plan promised that weir starts, or reloads, with what it will halt for.
    #[test]
    fn what_needs_a_decision_is_not_promised() {
        for (running, promise) in [(false, "starts with"), (true, "makes these changes")] {
            let step = |verdict| next_step(running, &[prospect("changed", verdict)]);
            assert!(step("from_now").contains(promise));
            for verdict in ["decision", "refused"] {
                assert!(!step(verdict).contains(promise), "{}", step(verdict));
            }
        }
    }
}
