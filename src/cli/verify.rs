//! `weir verify [LINK…] [TABLE…]`: whether both sides hold the same rows, and, where that is asked for,
//! making it so.
//!
//! The running weir compares, beside its stream; this asks for it, and may be gone meanwhile. Where none
//! runs, the links run here until the comparison is over.

mod tell;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::cli::args::{Global, RunArgs, VerifyArgs};
use crate::cli::context::{links, load};
use crate::cli::control::{Answer, Request, ask};
use crate::cli::output::complain;
use crate::cli::status::Line;
use crate::cli::{exit, print_json, run};
use crate::config::{Config, LinkName};
use crate::error::{Error, Kind, Result};
use crate::verify::desk::Known;
use crate::verify::report::{Order, Report};

/// Between two questions.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// Between two lines about how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// How long a weir that is gone may take to come back.
const GONE_MAX: Duration = Duration::from_secs(60);

/// What the running weir tells of a comparison.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Told {
    pub(super) known: Known,
    pub(super) link: Line,
}

/// How the comparison of a link has ended.
enum Outcome {
    /// With this.
    Over(Box<Report>),
    /// The link waits for a person.
    Standing(Box<Line>),
}

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &VerifyArgs) -> Result<ExitCode> {
    let config = load(global)?;
    let names = links(&config, &args.links()?)?;
    if names.len() > 1 && !args.tables().is_empty() {
        return Err(Error::new(Kind::Configuration, "tables of which link?")
            .hint("name the link too: `weir verify SOURCE:TARGET TABLE`"));
    }
    if ask(&config.state_dir, &Request::Status).await?.is_some() {
        return compare(&config, &names, args).await;
    }
    complain!("weir is not running: its links run here until the comparison is over");
    let enough = CancellationToken::new();
    let until_enough = enough.clone();
    let here = RunArgs { until_caught_up: false };
    let running = run::run_until(global, &here, enough);
    let comparing = async {
        let outcome = compare(&config, &names, args).await;
        until_enough.cancel();
        outcome
    };
    let (mut running, mut comparing) = (Box::pin(running), Box::pin(comparing));
    tokio::select! {
        // It cannot run, or somebody has stopped it.
        ran = &mut running => ran.map(|code| if code == exit::GOOD.into() { exit::FAILED.into() } else { code }),
        compared = &mut comparing => {
            running.await?;
            compared
        }
    }
}

/// Has the running weir compare every link, and tells of it.
async fn compare(config: &Config, names: &[LinkName], args: &VerifyArgs) -> Result<ExitCode> {
    let id = format!("{:016x}", fastrand::u64(..));
    let order = args.order(id);
    let compared = names.iter().map(|link| one(config, link, &order, args.resume));
    let outcomes = futures_util::future::join_all(compared).await;
    let (mut code, mut reports) = (exit::GOOD, BTreeMap::new());
    for (link, outcome) in names.iter().zip(outcomes) {
        match outcome? {
            Outcome::Over(report) => {
                code = code.max(verdict(&report));
                reports.insert(link.to_string(), report);
            }
            Outcome::Standing(line) => {
                complain!("weir: {link} is {} and cannot be compared", line.describe());
                complain!("  hint: {}", line.way_on());
                code = exit::HALTED;
            }
        }
    }
    if args.json {
        let value = serde_json::to_value(&reports).map_err(|cause| {
            Error::new(Kind::Internal, "cannot print what was found").caused_by(cause)
        })?;
        print_json(&value)?;
    } else {
        reports.iter().for_each(|(link, report)| tell::report(link, report));
    }
    Ok(ExitCode::from(code))
}

/// The exit code for what was found.
fn verdict(report: &Report) -> u8 {
    match report.total().differences() {
        0 if report.is_complete() => exit::GOOD,
        0 => exit::FAILED,
        _ => exit::DIFFERENT,
    }
}

/// Has the running weir compare one link; returns when that is over. A weir that is gone for a while is
/// asked to go on.
async fn one(config: &Config, link: &LinkName, order: &Order, resume: bool) -> Result<Outcome> {
    let name = link.to_string();
    let begin = match resume {
        true => Request::ResumeVerify { link: name.clone() },
        false => Request::Verify { link: name.clone(), order: order.clone() },
    };
    let go_on = |known: &Known| {
        known.going || known.report.as_ref().is_some_and(|one| one.ended_us.is_some())
    };
    let (mut begun, mut seen, mut told) = (false, Instant::now(), Instant::now());
    loop {
        let request = match begun {
            false => begin.clone(),
            true => Request::Verified { link: name.clone() },
        };
        match ask(&config.state_dir, &request).await {
            Ok(Some(answer)) => {
                seen = Instant::now();
                let Told { known, link: line } = read(answer)?;
                begun = go_on(&known);
                match known.report {
                    Some(report) if report.ended_us.is_some() => {
                        return Ok(Outcome::Over(Box::new(report)));
                    }
                    _ if line.is_standing() => return Ok(Outcome::Standing(Box::new(line))),
                    Some(report) if told.elapsed() >= TELL_EVERY => {
                        told = Instant::now();
                        tell::progress(link, &report);
                    }
                    _ => {}
                }
            }
            gone if seen.elapsed() < GONE_MAX => {
                if begun {
                    complain!("weir: the running weir is gone; waiting for it to come back");
                }
                begun = false;
                if let Err(error) = gone {
                    tracing::debug!(error = error.chain(), "the running weir does not answer");
                }
            }
            Ok(None) => {
                return Err(Error::new(Kind::Io, "weir is not running any more")
                    .hint(format!("go on with `weir verify {link} --resume`")));
            }
            Err(error) => return Err(error),
        }
        sleep(ASK_EVERY).await;
    }
}

fn read(answer: Answer) -> Result<Told> {
    serde_json::from_value(answer.told()?).map_err(|cause| {
        Error::new(Kind::Io, "the running weir is of another version").caused_by(cause)
    })
}
