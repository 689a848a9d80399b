//! `weir flagged …` as clap reads it.

use clap::{Args, Subcommand};

use super::{parse_link, parse_pattern};
use crate::config::LinkName;

/// `weir flagged`.
#[derive(Debug, Args)]
pub struct FlaggedArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: FlaggedVerb,
}

/// What is done with records of flagged writes.
#[derive(Debug, Subcommand)]
pub enum FlaggedVerb {
    /// One line for each record: which row and column, what was written, and what the owner has
    List(FlaggedListArgs),
    /// Everything about one record
    Show(FlaggedShowArgs),
    /// Have the owner's values written back to the database that wrote
    Revert(FlaggedDecideArgs),
    /// Have the owner take over the values that were written
    Accept(FlaggedDecideArgs),
    /// Want nothing done about records
    Dismiss(FlaggedDecideArgs),
    /// Write every record with all its fields, one JSON object a line
    Export(FlaggedExportArgs),
}

/// `weir flagged list`.
#[derive(Debug, Args)]
pub struct FlaggedListArgs {
    /// Links, from the database that wrote [default: all]
    #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link)]
    pub links: Vec<LinkName>,
    /// Those of tables that the pattern schema.table, with `*`, matches at the source or the target
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    pub table: Option<String>,
    /// Those of this kind, such as write, insert, delete, key_change
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Those too about which something was decided
    #[arg(long)]
    pub all: bool,
    /// Records of each link at most; all of them are counted
    #[arg(long, default_value = "50", value_name = "NUMBER")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub limit: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `weir flagged show`.
#[derive(Debug, Args)]
pub struct FlaggedShowArgs {
    /// The link, from the database that wrote
    #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link)]
    pub link: LinkName,
    /// The record's number as `list` has it
    #[arg(value_name = "ID")]
    pub id: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `weir flagged revert`, `weir flagged accept` and `weir flagged dismiss`.
#[derive(Debug, Args)]
pub struct FlaggedDecideArgs {
    /// The link, from the database that wrote
    #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link)]
    pub link: LinkName,
    /// The records' numbers as `list` has them
    #[arg(value_name = "ID", required_unless_present = "all")]
    pub ids: Vec<u64>,
    /// All open records of the link
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// Why, for whoever reads the record later
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `weir flagged export`.
#[derive(Debug, Args)]
pub struct FlaggedExportArgs {
    /// Links, from the database that wrote [default: all]
    #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link)]
    pub links: Vec<LinkName>,
    /// It is always JSON
    #[arg(long, hide = true)]
    pub json: bool,
}
