//! `weir verify …` as clap reads it.

use clap::Args;

use super::parse_link;
use crate::config::LinkName;
use crate::error::{Error, Kind, Result};
use crate::verify::report::Order;

/// `weir verify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 both sides are equal (or were mended), 1 failed or not compared to \
                        its end, 3 differences found, 4 a link waits for a person."
)]
pub struct VerifyArgs {
    /// Links, source:target, and tables of the link, schema.table [default: all]
    #[arg(value_name = "SOURCE:TARGET|TABLE")]
    pub what: Vec<String>,
    /// Have rows that differ read again at their owner and written; the link's own applier writes them
    #[arg(long)]
    pub repair: bool,
    /// Go on with the comparison that was cut off last
    #[arg(long, conflicts_with_all = ["repair", "limit", "max_rows_per_second"])]
    pub resume: bool,
    /// Read no more rows per second than this, over both sides
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_rows_per_second: Option<u32>,
    /// Differences of each table that are told one by one, with their keys
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: u16,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl VerifyArgs {
    /// The links that are named.
    ///
    /// # Errors
    /// `Configuration` for what looks like one and is none.
    pub fn links(&self) -> Result<Vec<LinkName>> {
        let named = self.what.iter().filter(|name| name.contains(':'));
        let link =
            |name: &String| parse_link(name).map_err(|why| Error::new(Kind::Configuration, why));
        named.map(link).collect()
    }

    /// The tables that are named.
    pub fn tables(&self) -> Vec<String> {
        self.what.iter().filter(|name| !name.contains(':')).cloned().collect()
    }

    /// What is asked for, under this name.
    pub fn order(&self, id: String) -> Order {
        Order {
            id,
            tables: self.tables(),
            repair: self.repair,
            rows_per_second: self.max_rows_per_second,
            listed_max: usize::from(self.limit),
        }
    }
}
