//! `weir dead-letters list`: one line a letter, and for each link how many rows are set aside.

use std::process::ExitCode;

use super::choose::meets;
use super::family::{Families, RowLetters};
use super::letter::{Fields, age, count, short_error, short_key};
use super::reading::{Pages, excuse, open};
use crate::cli::args::{Filter, ListArgs};
use crate::cli::columns::columns;
use crate::cli::context::{links, settled};
use crate::cli::output::say;
use crate::cli::{exit, print_json};
use crate::config::{Config, LinkName};
use crate::error::Result;
use crate::link::ports::{BEHIND, StoredLetter};
use crate::link::status::now_us;

/// Cells of a line.
const CELLS: usize = 10;
const HEADS: [&str; CELLS] =
    ["ID", "LINK", "TABLE", "ROW", "OPERATION", "KIND", "ATTEMPTS", "AGE", "CHANGES", "ERROR"];

/// What is found of a link.
struct Found {
    families: Families,
    /// The first that the filter lets pass, without their changes.
    listed: Vec<StoredLetter>,
    /// How many it lets pass.
    met: u64,
}

/// Runs the verb. Exit code 1 where the letters of a link cannot be read; all others are listed.
pub(super) async fn run(config: Config, args: &ListArgs) -> Result<ExitCode> {
    let links = links(&config, &args.links)?;
    let config = settled(config, &links).await;
    let mut code = exit::GOOD;
    let mut documents = Vec::new();
    for link in &links {
        match look(&config, link, args).await {
            Ok(found) if args.json => documents.push(found.document(link)),
            Ok(found) => found.print(link, &args.filter),
            Err(error) => {
                excuse(link, &error);
                documents.push(serde_json::json!({
                    "link": link.to_string(), "error": error.chain(),
                }));
                code = exit::FAILED;
            }
        }
    }
    if args.json {
        print_json(&serde_json::json!({ "links": documents }))?;
    }
    Ok(ExitCode::from(code))
}

async fn look(config: &Config, link: &LinkName, args: &ListArgs) -> Result<Found> {
    let mut letters = open(config, link).await?;
    let mut pages = Pages::of(letters.as_mut());
    let mut found = Found { families: Families::default(), listed: Vec::new(), met: 0 };
    while let Some(page) = pages.next().await? {
        for letter in page {
            found.families.add(&letter);
            if !meets(&args.filter, &letter) {
                continue;
            }
            found.met += 1;
            if found.met <= u64::from(args.limit) {
                found.listed.push(StoredLetter { change: String::new(), ..letter });
            }
        }
    }
    Ok(found)
}

impl Found {
    fn document(&self, link: &LinkName) -> serde_json::Value {
        let (letters, changes) = self.families.totals();
        let listed: Vec<_> = self.listed.iter().map(|one| Fields::brief(link, one)).collect();
        serde_json::json!({
            "link": link.to_string(),
            "rows": self.families.rows(),
            "letters": letters,
            "changes": changes,
            "listed": listed,
        })
    }

    fn print(&self, link: &LinkName, filter: &Filter) {
        if self.families.rows() == 0 {
            say!("{link}: none");
            return;
        }
        let now = now_us();
        let lines =
            self.listed.iter().map(|letter| cells(link, letter, self.families.row(letter), now));
        columns(HEADS, lines.collect()).iter().for_each(|line| say!("{line}"));
        let filtered = filter.table.is_some() || filter.kind.is_some();
        match self.met.saturating_sub(self.listed.len() as u64) {
            more @ 1.. => say!("and {more} more: --limit"),
            0 if self.met == 0 && filtered => say!("{link}: none that is meant"),
            0 => {}
        }
        let (letters, changes) = self.families.totals();
        let rows = count(self.families.rows() as u64, "row");
        say!(
            "{link}: {rows} set aside: {} of {}",
            count(letters, "letter"),
            count(changes, "change")
        );
        say!(
            "  hint: `weir dead-letters show ID` has all of a letter; correct what it names, then \
             `weir dead-letters retry {link}`"
        );
    }
}

/// The cells of a letter: its row's first one tells what waits behind it, the others for which they
/// wait.
fn cells(
    link: &LinkName,
    letter: &StoredLetter,
    row: Option<RowLetters>,
    now_us: i64,
) -> [String; CELLS] {
    let row = row.unwrap_or(RowLetters { first: letter.id, letters: 1, changes: letter.changes });
    let behind = row.changes.saturating_sub(letter.changes);
    let changes = match (letter.id == row.first, behind) {
        (true, 1..) => format!("{} + {behind} behind", letter.changes),
        _ => letter.changes.to_string(),
    };
    let error = match letter.reason.kind == BEHIND && letter.id != row.first {
        true => format!("waits for {}", row.first),
        false => short_error(letter),
    };
    [
        letter.id.to_string(),
        link.to_string(),
        letter.table.clone(),
        short_key(&letter.row),
        letter.operation.clone(),
        letter.reason.kind.clone(),
        format!("{}{}", letter.attempts, if letter.asked { ", asked" } else { "" }),
        age(letter.made_us, now_us),
        changes,
        error,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dead_letters::letter::tests::letter;
    use crate::link::ports::Reason;

    /// Broken if what waits behind a letter could not be seen, or which one it waits for.
    #[test]
    fn what_waits_is_visible() {
        let link = LinkName { source: "shop".to_owned(), target: "dwh".to_owned() };
        let first = StoredLetter { asked: true, attempts: 3, ..letter(17, r#"[["int","5"]]"#) };
        let behind = StoredLetter {
            changes: 12,
            attempts: 0,
            reason: Reason::behind(),
            ..letter(18, r#"[["int","5"]]"#)
        };
        let mut families = Families::default();
        let other = letter(19, r#"[["text","ü"]]"#);
        let all = [first, behind, other];
        all.iter().for_each(|one| families.add(one));
        let lines = all.iter().map(|one| cells(&link, one, families.row(one), 301_000_000));
        assert_eq!(
            columns(HEADS, lines.collect()),
            [
                "ID  LINK      TABLE  ROW  OPERATION  KIND    ATTEMPTS  AGE    CHANGES        ERROR",
                "17  shop:dwh  d.t    5    update     value   3, asked  5 min  1 + 12 behind  table s.t, column a into int: out_of_range",
                "18  shop:dwh  d.t    5    update     behind  0         5 min  12             waits for 17",
                "19  shop:dwh  d.t    \"ü\"  update     value   1         5 min  1              table s.t, column a into int: out_of_range",
            ]
        );
        assert!(columns(HEADS, Vec::new()).is_empty());
    }
}
