//! Tables that join a link on its way, and other changes of what it carries: whether it may go on
//! with them. One rule for a link that starts with changed files and for `weir reload`.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;

use crate::error::{Error, Kind, Result};
use crate::link::ports::Scan;
use crate::model::TableName;
use crate::plan::{Difference, LinkPlan, Verdict};

/// How long transactions that are open are waited for.
const OPEN_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Waits until the transactions that are open now have ended. They may have written to a table
/// before its changes came into the log (on PostgreSQL: before it joined the publication), which the
/// log then never tells; afterwards what they wrote is there to be seen (correctness.md 8).
pub async fn outlast(scan: &mut dyn Scan) -> Result<()> {
    let open = scan.unfinished().await?;
    let horizon = scan.horizon().await?;
    let ended = async {
        // The standby has seen the table join, so who may have written before is below its mark.
        if let Some((_, begun)) = horizon {
            while scan.horizon().await?.is_some_and(|(oldest, _)| oldest < begun) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        while scan.unfinished().await?.iter().any(|xid| open.contains(xid)) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    };
    timeout(OPEN_MAX, ended).await.unwrap_or_else(|_| {
        let xids: Vec<String> = match horizon {
            Some((_, begun)) => vec![format!("those before {begun} on its primary")],
            None => open.iter().map(u32::to_string).collect(),
        };
        let context = format!(
            "tables join the link, and transactions that may have written to them before are open \
             at the source (some of {})",
            xids.join(", ")
        );
        Err(Error::new(Kind::Timeout, context)
            .hint("end them (pg_stat_activity, pg_prepared_xacts); weir waits for that"))
    })
}

/// The plan's tables of these names.
pub fn named(plan: &LinkPlan, names: &BTreeSet<String>) -> Vec<TableName> {
    let tables = plan.tables.iter().map(|table| &table.source.name);
    tables.filter(|name| names.contains(&name.to_string())).cloned().collect()
}

/// What keeps a link from going on with these differences. `accepted`: tables of which a person has
/// decided so.
pub fn refusal(differences: &[Difference], accepted: &BTreeSet<String>) -> Option<Error> {
    let of = |verdict| {
        let found = differences.iter().filter(move |one| one.verdict == verdict);
        let undecided = found.filter(move |one| {
            verdict == Verdict::Refused
                || !one.table.as_ref().is_some_and(|table| accepted.contains(table))
        });
        undecided.map(ToString::to_string).collect::<Vec<String>>()
    };
    let (refused, undecided) = (of(Verdict::Refused), of(Verdict::Decision));
    if let [_, ..] = refused.as_slice() {
        let context = format!("the mapping has changed: {}", refused.join(". "));
        return Some(Error::new(Kind::SchemaChanged, context).hint(
            "take the change back; or copy the table again, then `weir resume LINK \
             --schema-reviewed`",
        ));
    }
    if undecided.is_empty() {
        return None;
    }
    let context =
        format!("the mapping has changed, of tables that hold rows: {}", undecided.join(". "));
    Some(Error::new(Kind::SchemaChanged, context).hint(
        "copy what is missing to the target, then `weir resume LINK --schema-reviewed`; or take the \
         change back",
    ))
}
