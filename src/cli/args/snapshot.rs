//! `weir snapshot` as clap reads it.

use clap::{ArgGroup, Args};

use super::{parse_link, parse_pattern};
use crate::config::LinkName;

/// `weir snapshot`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without one of --pause, --resume, --cancel, --status, the tables are copied: what the source \
                  has is written over what the target has, while the link goes on. A running weir takes up \
                  what is asked within seconds, a stopped one at its next start.\n\n\
                  Exit codes: 0 asked for, or with --wait all copied; 1 a copy was cancelled; 4 the link is \
                  halted or paused, or a copy is."
)]
#[command(group = ArgGroup::new("order").args(["pause", "resume", "cancel", "status"]))]
pub struct SnapshotArgs {
    /// The link
    #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link)]
    pub link: LinkName,
    /// Source tables, schema.table with `*` [default: all, but for a copy, which wants them named, or --all]
    #[arg(value_name = "TABLE", value_parser = parse_pattern)]
    pub tables: Vec<String>,
    /// Every table of the link
    #[arg(long, conflicts_with = "tables")]
    pub all: bool,
    /// Copy only rows for which this is true, of one table, in the source's SQL
    #[arg(long = "where", value_name = "SQL", conflicts_with = "order")]
    pub condition: Option<String>,
    /// Then delete rows that only the target has; not with --where, which says nothing of other rows
    #[arg(long, conflicts_with_all = ["condition", "order"])]
    pub delete_extra: bool,
    /// Have copies wait; what they have written stays
    #[arg(long)]
    pub pause: bool,
    /// Let them go on where they were
    #[arg(long)]
    pub resume: bool,
    /// End them before their time: rows will be missing
    #[arg(long)]
    pub cancel: bool,
    /// Show how far copies are
    #[arg(long)]
    pub status: bool,
    /// Show how far they are until they are over
    #[arg(long, conflicts_with_all = ["pause", "cancel"])]
    pub wait: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
