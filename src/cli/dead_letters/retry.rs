//! `weir dead-letters retry`: asks for rows to be read again at the source and written. The running link
//! finds that by itself; what comes of it is waited for in `wait`.

use std::collections::{BTreeMap, HashSet};
use std::process::ExitCode;

use serde::Serialize;

use super::choose::{Alone, Chosen, chosen, concerned};
use super::letter::{count, short_key};
use super::reading::{Pages, excuse};
use super::wait::{Asked, Came, Waiting, wait};
use crate::cli::args::RetryArgs;
use crate::cli::context::settled;
use crate::cli::output::say;
use crate::cli::{exit, print_json};
use crate::config::Config;
use crate::error::Result;
use crate::link::ports::StoredLetter;

/// What became of a row, as JSON.
#[derive(Serialize)]
struct Told<'a> {
    link: String,
    table: &'a str,
    row: &'a str,
    letter: u64,
    #[serde(flatten)]
    came: &'a Came,
}

/// Runs the verb. Exit code 0 if every row that was chosen is written, or, with `--no-wait`, asked for.
pub(super) async fn run(config: Config, args: &RetryArgs) -> Result<ExitCode> {
    let links = concerned(&config, &args.choice)?;
    let config = settled(config, &links).await;
    let (chosen, mut good) = chosen(&config, &args.choice, Alone::All).await?;
    let mut waiting = Vec::new();
    for mut one in chosen {
        match ask(&mut one).await {
            Ok(asked) => {
                let Chosen { link, letters, .. } = one;
                waiting.push(Waiting { link, letters, asked });
            }
            Err(error) => {
                excuse(&one.link, &error);
                good = false;
            }
        }
    }
    if !args.json {
        for one in &waiting {
            match one.asked.len() as u64 {
                0 => say!("{}: none", one.link),
                rows => say!("{}: asked for {}", one.link, count(rows, "row")),
            }
        }
    }
    if !args.no_wait {
        good &= wait(&config, &mut waiting, args).await?;
    }
    if args.json {
        let told: Vec<_> = waiting.iter().flat_map(told).collect();
        print_json(&serde_json::json!({ "rows": told }))?;
    }
    Ok(ExitCode::from(if good { exit::GOOD } else { exit::FAILED }))
}

fn told(waiting: &Waiting) -> impl Iterator<Item = Told<'_>> {
    waiting.asked.iter().map(|(letter, asked)| Told {
        link: waiting.link.to_string(),
        table: &asked.table,
        row: &asked.row,
        letter: *letter,
        came: &asked.came,
    })
}

/// Asks for every row that is meant: what is waited for, by each row's first letter.
async fn ask(chosen: &mut Chosen) -> Result<BTreeMap<u64, Asked>> {
    let scope = chosen.scope().await?;
    let mut asked = BTreeMap::new();
    let (mut met, mut after) = (HashSet::new(), 0);
    while met.len() < scope.with_letters()
        && let Some(page) = Pages::from(chosen.letters.as_mut(), after + 1).next().await?
    {
        after = page.last().map_or(after, |letter| letter.id);
        let mut rows = Vec::new();
        for StoredLetter { id, table, row, .. } in scope.met(page, &mut met) {
            let shown = Asked { table: table.clone(), row: short_key(&row), came: Came::Waiting };
            asked.insert(id, shown);
            rows.push((table, row));
        }
        if !rows.is_empty() {
            chosen.letters.ask(&rows).await?;
        }
    }
    Ok(asked)
}
