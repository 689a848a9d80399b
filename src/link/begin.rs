//! The first start of a link: where it begins, and that no row is missing from then on.

use crate::config::{LinkName, Start};
use crate::error::{Error, Kind, Result};
use crate::link::accepted;
use crate::link::attempt::{Connected, Link, answered};
use crate::link::ledger::Checkpoint;
use crate::model::{TableName, Witness};
use crate::plan::LinkPlan;

/// The first start: intent in the ledger, slot at the source, witness in the target, in this order.
pub(super) async fn begin(
    link: &Link,
    ends: &mut Connected,
    checkpoint: &mut Checkpoint,
) -> Result<Witness> {
    let empty = link.spec.options.start != Some(Start::Now);
    if empty {
        refuse_rows(link, filled(link, planned(&ends.plan)).await?)?;
    }
    if !checkpoint.starting {
        ends.source.check_untouched().await?;
    }
    checkpoint.installation = link.ledger.installation();
    checkpoint.starting = true;
    checkpoint.halt = None;
    link.record(checkpoint).await?;
    let position = ends.source.begin().await?;
    if empty && let Err(refused) = refuse_rows_before(link, ends).await {
        if let Err(error) = answered("undo the start", ends.source.abandon()).await {
            let (error, hint) = (error.chain(), format!("`weir teardown {} --apply`", link.name()));
            tracing::warn!(link = %link.name(), error, hint, "the start is not undone");
        }
        return Err(refused);
    }
    let witness = Witness {
        name: link.spec.context.name.clone(),
        link: link.name().to_string(),
        part: 0,
        installation: checkpoint.installation.clone(),
        seq: 1,
        position,
        restart: None,
        hops: 0,
        pending: None,
        source_identity: ends.source.identity().to_owned(),
        target_identity: ends.target.identity().to_owned(),
    };
    accepted::keep(ends.target.as_mut(), &witness, checkpoint).await?;
    ends.target.create_witness(&witness).await?;
    tracing::info!(link = %link.name(), position = %witness.position, "the link starts from now");
    Ok(witness)
}

fn planned(plan: &LinkPlan) -> Vec<TableName> {
    plan.tables.iter().map(|table| table.source.name.clone()).collect()
}

/// Which of these source tables hold rows.
pub(super) async fn filled(link: &Link, names: Vec<TableName>) -> Result<Vec<TableName>> {
    if names.is_empty() {
        return Ok(names);
    }
    answered("look for rows", link.spec.ends.non_empty(&names)).await
}

/// Looks once more: rows of transactions that ended before the position was fixed are not in the log
/// that follows it.
async fn refuse_rows_before(link: &Link, ends: &mut Connected) -> Result<()> {
    let before = answered("look for rows", ends.source.rows_before()).await?;
    let before = match before {
        Some(before) => before,
        None => filled(link, planned(&ends.plan)).await?,
    };
    refuse_rows(link, before)
}

/// Without `start`, only empty tables may begin: rows that are there already would be missing.
fn refuse_rows(link: &Link, filled: Vec<TableName>) -> Result<()> {
    if filled.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = filled.iter().map(ToString::to_string).collect();
    let LinkName { source, target } = link.name();
    Err(Error::new(
        Kind::Configuration,
        format!("it is not said how to start, and tables hold rows already: {}", names.join(", ")),
    )
    .hint(format!(
        "weir carries what changes from its first start on: write start = \"now\" under \
         [link.{source}.{target}] or [apply], start it, `weir pause {source}:{target}`, copy their \
         rows, `weir resume {source}:{target}`"
    )))
}
