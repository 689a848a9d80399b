//! `weir status --watch`: the links again and again until Ctrl-C. On a terminal the lines are drawn
//! over the ones before; elsewhere they follow each other.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stdout};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::cli::copies::summary;
use crate::cli::output::{has_listener, say};
use crate::cli::signals::Signals;
use crate::cli::status::{Line, look};
use crate::cli::{exit, print_json};
use crate::config::Config;
use crate::error::Result;
use crate::link::status::now_us;

/// Clears the terminal and goes to its first line.
const CLEAR: &str = "\x1b[H\x1b[2J";
/// Characters of a position that a terminal shows, its end.
const POSITION_CHARS_MAX: usize = 40;

/// Runs until a signal, or until nobody reads.
pub(super) async fn run(config: &Config, every: Duration, json: bool) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let mut before: BTreeMap<String, (u64, Instant)> = BTreeMap::new();
    let redraw = stdout().is_terminal() && !json;
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while has_listener() {
        tokio::select! {
            biased;
            _ = signals.next() => break,
            _ = tick.tick() => {}
        }
        let (running, lines) = tokio::select! {
            biased;
            _ = signals.next() => break,
            looked = look(config) => looked?,
        };
        if json {
            print_json(&serde_json::json!({ "running": running, "links": lines }))?;
            continue;
        }
        let clear = if redraw { CLEAR } else { "" };
        say!("{clear}{}", HEADINGS);
        for line in &lines {
            let now = Instant::now();
            let known = before.insert(line.link.clone(), (line.changes, now));
            let rate = known.map(|(changes, at)| {
                let seconds = now.duration_since(at).as_secs_f64().max(0.001);
                line.changes.saturating_sub(changes) as f64 / seconds
            });
            say!("{}", row(line, rate, redraw));
        }
        if !running {
            say!("weir is not running; this is what its state directory remembers");
        }
    }
    Ok(ExitCode::from(exit::GOOD))
}

const HEADINGS: &str = "link                              state     for     lag s     lag bytes   lag tx  changes/s  position";

fn row(line: &Line, rate: Option<f64>, short: bool) -> String {
    let number = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let since = (now_us() - line.since_us).max(0) / 1_000_000;
    let position = line.position.as_deref().unwrap_or("none yet");
    let skip = position.chars().count().saturating_sub(POSITION_CHARS_MAX);
    let position: String = match short && skip > 0 {
        true => std::iter::once('…').chain(position.chars().skip(skip)).collect(),
        false => position.to_owned(),
    };
    let row = format!(
        "{:33} {:9} {:7} {:>5} {:>13} {:>8} {:>10}  {position}",
        line.link,
        line.state,
        super::status::duration(since),
        number(line.lag_seconds.map(|lag| format!("{lag:.1}"))),
        number(line.lag_bytes.map(|bytes| bytes.to_string())),
        number(line.lag_transactions.map(|count| count.to_string())),
        number(rate.map(|rate| format!("{rate:.0}"))),
    );
    let row = match &line.error {
        Some(trouble) => {
            format!("{row}\n  {}: {}\n  hint: {}", trouble.kind, trouble.text, trouble.hint)
        }
        None => row,
    };
    let copies = summary(&line.copies).into_iter().map(|copy| format!("  copies  {copy}"));
    let aside = line.set_aside.iter().map(ToString::to_string);
    [row].into_iter().chain(copies).chain(aside).collect::<Vec<_>>().join("\n")
}
