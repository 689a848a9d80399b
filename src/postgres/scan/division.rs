//! Where a table is divided, so that several readers can walk it side by side.
//!
//! Keys are taken from a look at a few pages all over the table, whatever their types; places from the
//! sizes of the files. Nothing is sorted but what was looked at. A table that is small or empty is not
//! divided.

use tokio_postgres::Client;

use super::super::sql::{quote, quote_name};
use super::walk::{self, Member, Spot, Walk};
use super::{PostgresScan, simple, unexpected};
use crate::error::Result;
use crate::link::ports::Division;
use crate::plan::TablePlan;

/// A stretch has at least this many pages, or the table is not divided.
const STRETCH_PAGES_MIN: i64 = 64;
/// Pages that are looked at to find where a stretch ends.
const SAMPLED_PAGES: i64 = 30;

impl PostgresScan {
    pub(super) async fn divided(&mut self, table: &TablePlan, parts: usize) -> Result<Division> {
        let session = self.session().await?;
        simple(&session, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let (walk, by_match_key) = Walk::choose(&session, table).await?;
        let members = walk::members(&session, table, true).await?;
        let pages: i64 = members.iter().map(|member| member.pages).sum();
        let parts = i64::try_from(parts).unwrap_or(i64::MAX).min(pages / STRETCH_PAGES_MIN);
        let bounds = match &walk {
            _ if parts < 2 => Vec::new(),
            Walk::Key { columns, .. } => sampled(&session, table, columns, pages, parts).await?,
            Walk::Places { .. } => spots(&members, pages, parts)?,
        };
        let counted: Option<f64> = members.iter().map(|member| member.rows).sum();
        let rows = match counted {
            Some(rows) => rows,
            None => estimated(&session, table, pages).await?,
        };
        simple(&session, "COMMIT").await?;
        self.session = Some(session);
        let rows = Some(rows.max(0.0) as u64);
        Ok(Division { walk: walk.to_text()?, by_match_key, bounds, rows })
    }
}

/// Keys that divide the table into stretches of about the same size, by a look at some of its pages.
async fn sampled(
    session: &Client,
    table: &TablePlan,
    columns: &[String],
    pages: i64,
    parts: i64,
) -> Result<Vec<String>> {
    let named = columns.iter().enumerate();
    let named: Vec<String> = named.map(|(at, name)| format!("{} AS k{at}", quote(name))).collect();
    let keys: Vec<String> = (0..columns.len()).map(|at| format!("k{at}")).collect();
    let keys = keys.join(", ");
    let sql = format!(
        "SELECT {keys} FROM (SELECT {keys}, row_number() OVER (ORDER BY {keys}) AS n, \
         count(*) OVER () AS c FROM (SELECT {} FROM {} TABLESAMPLE SYSTEM ({:.6})) AS s) AS s \
         WHERE n < c AND n * {parts} / c <> (n - 1) * {parts} / c ORDER BY n",
        named.join(", "),
        quote_name(&table.source.name),
        percentage(parts.saturating_mul(SAMPLED_PAGES), pages),
    );
    let rows = simple(session, &sql).await?;
    rows.iter()
        .map(|row| {
            let key = (0..columns.len()).map(|at| row.get(at).map(str::to_owned));
            walk::key_text(&key.collect::<Option<Vec<_>>>().ok_or_else(unexpected)?)
        })
        .collect()
}

/// Places that divide the files into stretches of the same size.
fn spots(members: &[Member], pages: i64, parts: i64) -> Result<Vec<String>> {
    let mut bounds = Vec::new();
    for part in 1..parts {
        let mut before = i128::from(pages) * i128::from(part) / i128::from(parts);
        for member in members {
            let own = i128::from(member.pages);
            if before > own {
                before -= own;
                continue;
            }
            if let Ok(page) = u32::try_from(before - 1) {
                let (member, file) = (member.oid, member.file);
                bounds.push(Spot { member, file, page, item: u16::MAX });
            }
            break;
        }
    }
    bounds.dedup();
    bounds.into_iter().map(Spot::to_text).collect()
}

/// Rows of a table that the server has not counted yet, by a look at some of its pages.
async fn estimated(session: &Client, table: &TablePlan, pages: i64) -> Result<f64> {
    const PAGES: i64 = 300;
    let part = percentage(PAGES, pages);
    let name = quote_name(&table.source.name);
    let sql = format!("SELECT count(*) FROM {name} TABLESAMPLE SYSTEM ({part:.6})");
    let rows = simple(session, &sql).await?;
    let count = rows.first().and_then(|row| row.get(0)?.parse::<f64>().ok());
    Ok(count.ok_or_else(unexpected)? * 100.0 / part)
}

fn percentage(wanted: i64, of: i64) -> f64 {
    (100.0 * wanted as f64 / of.max(1) as f64).clamp(0.000_001, 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if stretches left pages out, or one began in a table that it does not reach.
    #[test]
    fn files_are_divided_by_their_pages() {
        let member = |oid, pages| Member { oid, file: 1, name: None, pages, rows: None };
        let members = [member(5, 10), member(6, 0), member(7, 30)];
        let bounds = spots(&members, 40, 4).expect("bounds");
        assert_eq!(bounds, ["[5,1,9,65535]", "[7,1,9,65535]", "[7,1,19,65535]"]);
        assert_eq!(spots(&members[1..2], 0, 4).expect("bounds"), [""; 0]);
    }
}
