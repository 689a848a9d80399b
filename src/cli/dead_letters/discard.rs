//! `weir dead-letters discard`: drops letters, with all that hangs on their rows. What they hold is lost;
//! the rows on the target stay as they are, and the link goes on from that.

use std::collections::HashSet;
use std::io::{BufRead, IsTerminal, Read, stdin};
use std::process::ExitCode;

use super::choose::{Alone, Chosen, Scope, chosen, concerned};
use super::letter::count;
use super::reading::{Pages, excuse};
use crate::cli::args::DiscardArgs;
use crate::cli::context::settled;
use crate::cli::output::{complain, say};
use crate::cli::{exit, print_json};
use crate::config::Config;
use crate::error::{Error, Kind, Result};

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 64;

/// Runs the verb. Exit code 1 where a person says no, or the letters of a link cannot be reached.
pub(super) async fn run(config: Config, args: &DiscardArgs) -> Result<ExitCode> {
    if !args.yes && !stdin().is_terminal() {
        return Err(Error::new(Kind::Configuration, "nobody can be asked whether to drop letters")
            .hint(
                "look with `weir dead-letters list`, keep them with `weir dead-letters export`, \
                   then say --yes",
            ));
    }
    let links = concerned(&config, &args.choice)?;
    let config = settled(config, &links).await;
    let (mut chosen, mut good) = chosen(&config, &args.choice, Alone::Nothing).await?;
    let mut documents = Vec::new();
    for one in &mut chosen {
        match discard(one, args.yes).await {
            Ok(Some((letters, rows))) => {
                documents.push(serde_json::json!({
                    "link": one.link.to_string(), "letters": letters, "rows": rows,
                }));
                if !args.json {
                    say!("{}", said(one, letters, rows));
                }
            }
            Ok(None) => good = false,
            Err(error) => {
                excuse(&one.link, &error);
                good = false;
            }
        }
    }
    if args.json {
        print_json(&serde_json::json!({ "links": documents }))?;
    }
    Ok(ExitCode::from(if good { exit::GOOD } else { exit::FAILED }))
}

fn said(chosen: &Chosen, letters: u64, rows: usize) -> String {
    if letters == 0 {
        return format!("{}: none", chosen.link);
    }
    let verb = if letters == 1 { "is" } else { "are" };
    format!(
        "{}: {} of {} {verb} dropped; what the target holds of them stays as it is",
        chosen.link,
        count(letters, "letter"),
        count(rows as u64, "row")
    )
}

/// Drops what is meant: how many letters and rows; `None` where a person does not want it.
async fn discard(chosen: &mut Chosen, unasked: bool) -> Result<Option<(u64, usize)>> {
    let scope = chosen.scope().await?;
    let rows = scope.with_letters();
    if rows == 0 {
        return Ok(Some((0, 0)));
    }
    if !unasked && !agreed(chosen, &scope, rows)? {
        complain!("{}: nothing is dropped", chosen.link);
        return Ok(None);
    }
    let (mut met, mut after, mut dropped) = (HashSet::new(), 0, 0);
    while met.len() < rows
        && let Some(page) = Pages::from(chosen.letters.as_mut(), after + 1).next().await?
    {
        after = page.last().map_or(after, |letter| letter.id);
        let first = scope.met(page, &mut met).into_iter();
        let rows: Vec<_> = first.map(|letter| (letter.table, letter.row)).collect();
        if !rows.is_empty() {
            dropped += chosen.letters.discard(&rows).await?;
        }
    }
    Ok(Some((dropped, met.len())))
}

/// Asks the person at the terminal.
fn agreed(chosen: &Chosen, scope: &Scope, rows: usize) -> Result<bool> {
    let letters = count(scope.families.letters(&scope.rows), "letter");
    let rows = count(rows as u64, "row");
    complain!(
        "drop {letters} of {rows} of {}? What they hold is lost, unless `weir dead-letters export` has \
         kept it; the target stays as it is. [y/N]",
        chosen.link
    );
    let mut answer = String::new();
    let read = stdin().lock().take(ANSWER_BYTES_MAX).read_line(&mut answer);
    read.map_err(|cause| Error::new(Kind::Io, "cannot read the answer").caused_by(cause))?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if anything but a plain yes dropped letters.
    #[test]
    fn only_yes_is_yes() {
        assert!(["y\n", "YES\n", " yes "].iter().all(|answer| is_yes(answer)));
        assert!(!["", "\n", "n\n", "ye\n", "yesno\n", "j\n"].iter().any(|answer| is_yes(answer)));
    }
}
