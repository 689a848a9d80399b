//! `weir alert test`: sends a test alert by each way that is configured, waits, and prints what came
//! back. Neither links nor the running weir have a part in it.

use std::process::ExitCode;

use serde_json::json;

use crate::cli::args::{AlertArgs, AlertVerb, Global};
use crate::cli::context::load;
use crate::cli::exit;
use crate::cli::output::say;
use crate::error::{Error, Kind, Result};
use crate::observe::alert::watch::{self, Settings, Tested};

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &AlertArgs) -> Result<ExitCode> {
    let AlertVerb::Test { json } = &args.verb;
    let config = load(global)?;
    let tested = watch::test(&Settings::of(&config)).await;
    if tested.is_empty() {
        let error = Error::new(Kind::Configuration, "no alerts are configured");
        return Err(error.hint("write [alerts] with a `webhook` or a `command`: see README"));
    }
    if *json {
        let channels: Vec<_> = tested.iter().map(told).collect();
        crate::cli::print_json(&json!({ "channels": channels }))?;
    } else {
        tested.iter().for_each(print);
    }
    let failed = tested.iter().any(|one| one.outcome.is_err());
    Ok(ExitCode::from(if failed { exit::FAILED } else { exit::GOOD }))
}

fn told(one: &Tested) -> serde_json::Value {
    let error = one.outcome.as_ref().err().map(|failure| &failure.error);
    json!({
        "channel": one.channel.name(),
        "delivered": error.is_none(),
        "answer": one.outcome.as_ref().ok(),
        "error": error.map(Error::chain),
        "hint": error.map(Error::operator_hint),
        "elapsed_ms": u64::try_from(one.elapsed.as_millis()).unwrap_or(u64::MAX),
    })
}

fn print(one: &Tested) {
    let (channel, elapsed) = (one.channel.name(), one.elapsed.as_millis());
    match &one.outcome {
        Ok(answer) => say!("{channel}  ok    {answer} in {elapsed} ms"),
        Err(failure) => {
            say!("{channel}  FAIL  {} after {elapsed} ms", failure.error.chain());
            say!("         hint: {}", failure.error.operator_hint());
        }
    }
}
