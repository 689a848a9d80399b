//! What comes of rows that were asked for: written, refused once more, or not tried.
//!
//! Each row is watched by its first letter: it goes when the row is written, and is asked for no longer
//! when the row was tried in vain. A link that is halted or paused tries nothing, so nobody waits for it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::letter::hint;
use super::reading::{Pages, excuse};
use crate::cli::args::RetryArgs;
use crate::cli::output::{complain, say};
use crate::cli::status::{Line, look};
use crate::config::{Config, LinkName, show_duration};
use crate::error::{Error, Kind, Result};
use crate::link::ports::Letters;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A row that was asked for.
pub(super) struct Asked {
    /// Its target table.
    pub(super) table: String,
    /// Its key, short.
    pub(super) row: String,
    /// What came of it.
    pub(super) came: Came,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(super) enum Came {
    /// Its letters are gone.
    Applied,
    /// It was tried in vain.
    Refused {
        /// Why.
        kind: String,
        /// Why, in words.
        error: String,
        /// What to do.
        hint: String,
    },
    /// Nothing yet.
    Waiting,
}

/// The rows of a link that were asked for.
pub(super) struct Waiting {
    pub(super) link: LinkName,
    pub(super) letters: Box<dyn Letters>,
    /// By each row's first letter.
    pub(super) asked: BTreeMap<u64, Asked>,
}

impl Waiting {
    fn open(&self) -> impl Iterator<Item = (&u64, &Asked)> {
        self.asked.iter().filter(|(_, asked)| asked.came == Came::Waiting)
    }

    fn is_open(&self) -> bool {
        self.open().next().is_some()
    }

    /// Looks at the letters that are waited for.
    async fn look(&mut self) -> Result<()> {
        let (Some(first), Some(last)) =
            (self.open().next().map(|(id, _)| *id), self.open().last().map(|(id, _)| *id))
        else {
            return Ok(());
        };
        let mut found: BTreeMap<u64, Came> =
            self.open().map(|(id, _)| (*id, Came::Applied)).collect();
        let mut pages = Pages::from(self.letters.as_mut(), first);
        'pages: while let Some(page) = pages.next().await? {
            for letter in page {
                if letter.id > last {
                    break 'pages;
                }
                if let Some(came) = found.get_mut(&letter.id) {
                    *came = match letter.asked {
                        true => Came::Waiting,
                        false => Came::Refused {
                            kind: letter.reason.kind.clone(),
                            error: letter.reason.text.clone(),
                            hint: hint(&self.link, &letter),
                        },
                    };
                }
            }
        }
        for (id, came) in found {
            if let Some(asked) = self.asked.get_mut(&id) {
                asked.came = came;
            }
        }
        Ok(())
    }
}

/// Waits for all of them; whether every row is written.
pub(super) async fn wait(
    config: &Config,
    waiting: &mut [Waiting],
    args: &RetryArgs,
) -> Result<bool> {
    let until = Instant::now() + args.timeout;
    let mut good = true;
    let mut given_up: Vec<LinkName> = Vec::new();
    while waiting.iter().any(|one| one.is_open() && !given_up.contains(&one.link)) {
        let now = tokio::time::timeout_at(until, look(config)).await;
        let Ok(now) = now else { break };
        let (running, lines) = now?;
        for one in waiting.iter_mut().filter(|one| one.is_open()) {
            if given_up.contains(&one.link) {
                continue;
            }
            // First what is at hand: a link may have halted after it was done with them.
            let looked = match tokio::time::timeout_at(until, one.look()).await {
                Ok(looked) => looked,
                Err(_) => Err(Error::new(Kind::Timeout, "its target did not answer in time")),
            };
            let given = match looked {
                Ok(()) => one.is_open() && !is_working(&one.link, running, &lines),
                Err(error) => {
                    excuse(&one.link, &error);
                    true
                }
            };
            if given {
                given_up.push(one.link.clone());
            }
        }
        if Instant::now() + LOOK_EVERY > until {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    for one in waiting.iter() {
        if !args.json {
            print(one, (!given_up.contains(&one.link)).then_some(args.timeout));
        }
        good &= one.asked.values().all(|asked| asked.came == Came::Applied);
    }
    Ok(good)
}

/// Whether somebody tries the link's rows; says who does and when, if not.
fn is_working(link: &LinkName, running: bool, lines: &[Line]) -> bool {
    let line = lines.iter().find(|line| line.link == link.to_string());
    match line {
        Some(line) if line.is_standing() => {
            complain!("weir: {link} is {} and tries none of them", line.describe());
            complain!("  hint: {}", line.way_on());
            false
        }
        _ if !running => {
            complain!("weir is not running: the next `weir run` tries them");
            false
        }
        None => {
            complain!("weir: {link} is not a link of the running weir");
            complain!("  hint: `weir reload`");
            false
        }
        Some(_) => true,
    }
}

/// What became of each row; `waited` where the link was waited for to the end.
fn print(one: &Waiting, waited: Option<Duration>) {
    let mut applied = 0;
    for asked in one.asked.values() {
        let Asked { table, row, came } = asked;
        match came {
            Came::Applied => {
                applied += 1;
                say!("{}  {table} {row}: applied", one.link);
            }
            Came::Refused { kind, error, hint } => {
                say!("{}  {table} {row}: refused again: {kind}: {error}", one.link);
                if !hint.is_empty() {
                    say!("  hint: {hint}");
                }
            }
            Came::Waiting => match waited {
                Some(time) => {
                    say!("{}  {table} {row}: not tried within {}", one.link, show_duration(time));
                }
                None => say!("{}  {table} {row}: not tried", one.link),
            },
        }
    }
    if !one.asked.is_empty() {
        say!("{}: {applied} of {} applied", one.link, one.asked.len());
    }
}
