//! `weir wait LINK…`: returns once everything that was committed on the source before the call is
//! applied on the target, and every copy that goes on is done.
//!
//! The end of the source's log is read after the call began, by the running weir; the link has come
//! so far when nothing up to there is left to apply. Rows that are set aside, and copies that are paused, are
//! not waited for, and are told of. It is asked in short calls, so that many may
//! wait without holding the control socket.

use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use crate::cli::args::{Global, WaitArgs};
use crate::cli::context::{links, load};
use crate::cli::control::{Request, ask};
use crate::cli::copies::CopyLine;
use crate::cli::output::{complain, say};
use crate::cli::status::Line;
use crate::cli::{exit, state};
use crate::config::{Config, LinkName};
use crate::error::{Error, Kind, Result};

/// Between two questions, at first and at most.
const ASK_EVERY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// How waiting ended.
enum Outcome {
    /// Everything up to this position is applied, or set aside; the link as it is then.
    Reached(String, Box<Line>),
    /// The link waits for a person.
    Standing(Box<Line>),
    /// The time is up; where it stood, and what it was to reach.
    Late(Option<Box<Line>>, Option<String>),
}

/// What the running weir tells of a link that is waited for.
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    head: Option<String>,
    #[serde(default)]
    reached: bool,
    link: Line,
}

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &WaitArgs) -> Result<ExitCode> {
    let config = load(global)?;
    let names = links(&config, &args.links)?;
    let until = Instant::now() + args.timeout;
    let waits = names.iter().map(|link| wait(&config, link, until));
    let mut code = exit::GOOD;
    for (link, outcome) in names.iter().zip(futures_util::future::join_all(waits).await) {
        code = code.max(match outcome? {
            Outcome::Reached(position, line) => {
                say!("{link} has applied everything up to {position}");
                let paused = line.copies.iter().filter(|copy| copy.standing() == "paused");
                for CopyLine { table, .. } in paused {
                    complain!("weir: {link}: the copy of {table} is paused");
                    complain!("  hint: `weir snapshot {link} {table} --resume`");
                }
                if let Some(aside) = &line.set_aside {
                    complain!("weir: {link} has {} set aside", aside.count());
                    complain!("  hint: {}", aside.hint);
                }
                exit::GOOD
            }
            Outcome::Standing(line) => {
                complain!("weir: {link} is {} and applies nothing", line.describe());
                complain!("  hint: {}", line.way_on());
                exit::HALTED
            }
            Outcome::Late(line, head) => {
                let head = head.as_deref().unwrap_or("a position that its source has not told");
                let line = line.map_or_else(|| "silent".to_owned(), |line| line.describe());
                complain!("weir: {link} has not reached {head} in time; it is {line}");
                complain!("  hint: see `weir status`, or give it a longer --timeout");
                exit::FAILED
            }
        });
    }
    Ok(ExitCode::from(code))
}

async fn wait(config: &Config, link: &LinkName, until: Instant) -> Result<Outcome> {
    let mut pause = ASK_EVERY.0;
    let mut head: Option<String> = None;
    let mut last = None;
    loop {
        let link = link.to_string();
        let request = match &head {
            None => Request::Head { link },
            Some(position) => Request::Reached { link, position: position.clone() },
        };
        let answer = tokio::time::timeout_at(until, ask(&config.state_dir, &request)).await;
        let told: Told = match answer {
            Err(_) => return Ok(Outcome::Late(last, head)),
            Ok(answer) => match answer? {
                Some(answer) => serde_json::from_value(answer.told()?).map_err(|cause| {
                    Error::new(Kind::Io, "the running weir is of another version").caused_by(cause)
                })?,
                None => return stopped(config, request.link()),
            },
        };
        if told.reached
            && let Some(position) = head
        {
            return Ok(Outcome::Reached(position, Box::new(told.link)));
        }
        if told.link.is_standing() {
            return Ok(Outcome::Standing(Box::new(told.link)));
        }
        let new = head.is_none() && told.head.is_some();
        head = head.or(told.head);
        last = Some(Box::new(told.link));
        if new {
            continue;
        }
        if Instant::now() + pause >= until {
            tokio::time::sleep_until(until).await;
            return Ok(Outcome::Late(last, head));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(ASK_EVERY.1);
    }
}

/// Nobody applies anything: said as such, unless the link was left halted or paused.
fn stopped(config: &Config, link: &str) -> Result<Outcome> {
    let known = state::checkpoints(config)?;
    let known = known.into_iter().find(|(name, _)| name.to_string() == link);
    let line = known.map(|(link, checkpoint)| Line::remembered(&link, Some(&checkpoint)));
    match line {
        Some(line) if line.is_standing() => Ok(Outcome::Standing(Box::new(line))),
        _ => Err(Error::new(Kind::Io, "weir is not running: nothing is applied")
            .hint("start `weir run`")),
    }
}
