//! `weir dead-letters …` as clap reads it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{parse_link, parse_pattern, parse_period};
use crate::config::LinkName;
use crate::error::Kind;
use crate::link::letter::BEHIND;

/// `weir dead-letters`.
#[derive(Debug, Args)]
pub struct DeadLettersArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: DeadLettersVerb,
}

/// What is done with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLettersVerb {
    /// One line for each letter: which row, why it is set aside, and what waits behind it
    List(ListArgs),
    /// Everything about one letter, and about the others that hang together with its row
    Show(ShowArgs),
    /// Have rows read again at the source and written, and say what came of it
    #[command(
        after_help = "A LINK without anything else means all its letters. Exit code 0: every \
                            row that was chosen is written; 1: one is not, or not yet."
    )]
    Retry(RetryArgs),
    /// Drop letters: their rows stay on the target as they are there, and later changes go on from that
    Discard(DiscardArgs),
    /// Write every letter with all its fields, one JSON object a line
    Export(ExportArgs),
}

/// `weir dead-letters list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Links [default: all]
    #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link)]
    pub links: Vec<LinkName>,
    /// What is chosen
    #[command(flatten)]
    pub filter: Filter,
    /// Letters of each link at most; all of them are counted
    #[arg(long, default_value = "50", value_name = "NUMBER")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// Print JSON; what the changes hold is left out
    #[arg(long)]
    pub json: bool,
}

/// `weir dead-letters show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The letter's number as `list` has it; with its link before it where two links have that number
    #[arg(value_name = "ID", value_parser = parse_letter)]
    pub letter: LetterName,
    /// The link
    #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link)]
    pub link: Option<LinkName>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `weir dead-letters retry`.
#[derive(Debug, Args)]
pub struct RetryArgs {
    /// Which letters
    #[command(flatten)]
    pub choice: Choice,
    /// How long to wait for what comes of it, such as 500ms, 60s, 5m
    #[arg(long, default_value = "30s", value_parser = parse_period)]
    pub timeout: Duration,
    /// Ask only, and do not wait
    #[arg(long)]
    pub no_wait: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `weir dead-letters discard`.
#[derive(Debug, Args)]
pub struct DiscardArgs {
    /// Which letters
    #[command(flatten)]
    pub choice: Choice,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `weir dead-letters export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Links [default: all]
    #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link)]
    pub links: Vec<LinkName>,
    /// The file, which must not exist [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// It is always JSON
    #[arg(long, hide = true)]
    pub json: bool,
}

/// Which letters of a link.
#[derive(Clone, Debug, Default, Args)]
pub struct Filter {
    /// Those of tables that the pattern schema.table, with `*`, matches at the source or the target
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    pub table: Option<String>,
    /// Those of this kind, such as value, constraint, foreign_key, behind
    #[arg(long, value_name = "KIND", value_parser = parse_kind)]
    pub kind: Option<String>,
}

/// Letters by their numbers, or by what they have in common; with all that hangs on their rows.
#[derive(Clone, Debug, Args)]
pub struct Choice {
    /// Letters, 17 or LINK/17, and the links that they or the options mean [default: all links]
    #[arg(value_name = "ID|SOURCE:TARGET", value_parser = parse_word)]
    pub words: Vec<Word>,
    /// All letters
    #[arg(long, conflicts_with_all = ["table", "kind"])]
    pub all: bool,
    /// What is chosen
    #[command(flatten)]
    pub filter: Filter,
}

/// One word of a choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A link.
    Link(LinkName),
    /// A letter.
    Letter(LetterName),
}

/// A letter as people name it: its number, and the link where another one has that number too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterName {
    /// The link, where it is named.
    pub link: Option<LinkName>,
    /// The number.
    pub id: u64,
}

/// Reads `17` and `crm:billing/17`.
fn parse_letter(text: &str) -> Result<LetterName, String> {
    let (link, id) = match text.rsplit_once('/') {
        Some((link, id)) => (Some(parse_link(link)?), id),
        None => (None, text),
    };
    // A sign, which the parser takes, is not part of a number.
    let id = id.parse().ok().filter(|_| id.bytes().all(|byte| byte.is_ascii_digit()));
    let id = id.ok_or_else(|| "a letter is written 17 or crm:billing/17".to_owned())?;
    Ok(LetterName { link, id })
}

/// Reads a letter or a link.
fn parse_word(text: &str) -> Result<Word, String> {
    match parse_letter(text) {
        Ok(letter) => Ok(Word::Letter(letter)),
        Err(_) if !text.contains('/') && text.contains(':') => Ok(Word::Link(parse_link(text)?)),
        Err(_) => Err("write letters as 17 or crm:billing/17, links as crm:billing".to_owned()),
    }
}

/// Reads the name of a kind.
fn parse_kind(text: &str) -> Result<String, String> {
    let known = text == BEHIND || Kind::of_name(text).is_some();
    match known {
        true => Ok(text.to_owned()),
        false => {
            Err("there is no such kind; most are value, constraint, foreign_key, behind".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a letter of another link were meant than the one that is written, or a slip of the
    /// keyboard chose some.
    #[test]
    fn letters_and_links_are_told_apart() {
        let link = LinkName { source: "crm".to_owned(), target: "billing".to_owned() };
        let letter = |link, id| Word::Letter(LetterName { link, id });
        assert_eq!(parse_word("17"), Ok(letter(None, 17)));
        assert_eq!(parse_word("crm:billing/17"), Ok(letter(Some(link.clone()), 17)));
        assert_eq!(parse_word("crm:billing"), Ok(Word::Link(link)));
        for wrong in ["", "+17", "-1", "1.5", "17a", "crm", "crm:", "crm:billing/", "crm/17", "all"]
        {
            assert!(parse_word(wrong).is_err(), "{wrong}");
        }
        assert!(parse_letter("18446744073709551616").is_err());
        assert!(parse_pattern("shop.*").is_ok() && parse_pattern("shop").is_err());
        assert!(parse_kind("behind").is_ok() && parse_kind("value").is_ok());
        assert!(parse_kind("valeu").is_err());
    }
}
