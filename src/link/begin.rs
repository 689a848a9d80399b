//! The first start of a link: where it begins, and that no row is missing from then on.

use std::sync::Arc;

use crate::config::{LinkName, Start};
use crate::error::{Error, Kind, Result};
use crate::link::attempt::{Connected, Link, answered};
use crate::link::ledger::Checkpoint;
use crate::link::ports::{CopyNote, StoredCopy};
use crate::link::status::now_us;
use crate::link::{accepted, copying};
use crate::model::{TableName, Witness};
use crate::plan::LinkPlan;
use crate::snapshot::order::Scope;
use crate::snapshot::progress::Progress;

/// The first start: intent in the ledger, slot at the source, what is to be copied and then the witness
/// in the target, in this order.
pub(super) async fn begin(
    link: &Link,
    ends: &mut Connected,
    checkpoint: &mut Checkpoint,
) -> Result<Witness> {
    let plan = Arc::clone(&ends.plan);
    let mut copies = copies(link, &plan).await?;
    let stored = answered("read how far copies are", ends.target.copies()).await?;
    copies.extend(leftovers(&copies, stored)?);
    // Whoever gives the place has made the slot beforehand.
    let is_given = matches!(link.spec.options.start, Some(Start::At(_)));
    if !checkpoint.starting && !is_given {
        ends.source.check_untouched().await?;
    }
    checkpoint.installation = link.ledger.installation();
    checkpoint.starting = true;
    checkpoint.halt = None;
    link.record(checkpoint).await?;
    let position = match &link.spec.options.start {
        Some(Start::At(position)) => ends.source.begin_at(position).await?,
        Some(Start::Now | Start::Snapshot) | None => ends.source.begin().await?,
    };
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
    if !copies.is_empty() {
        answered("write down what is to be copied", ends.target.begin_copies(&copies)).await?;
    }
    ends.target.create_witness(&witness).await?;
    let (position, copied) = (&witness.position, copies.len());
    tracing::info!(link = %link.name(), %position, tables = copied, "the link starts; tables are copied");
    Ok(witness)
}

/// What is to be copied at the first start: every table, unless it is said otherwise.
///
/// # Errors
/// `Configuration` where it is not said how to start and the target holds rows, or where a table cannot
/// be copied; then nothing is written yet.
async fn copies(link: &Link, plan: &LinkPlan) -> Result<Vec<CopyNote>> {
    let start = link.spec.options.start.as_ref();
    if matches!(start, Some(Start::Now | Start::At(_))) {
        return Ok(Vec::new());
    }
    let targets: Vec<TableName> =
        plan.tables.iter().map(|table| table.target.name.clone()).collect();
    let held = link.spec.ends.non_empty_targets(&targets);
    let held = match targets.is_empty() {
        true => Vec::new(),
        false => answered("look for rows", held).await?,
    };
    if start.is_none() && !held.is_empty() {
        refuse_rows(link, filled(link, planned(plan)).await?, &held)?;
    }
    refuse_knots(link, plan).await?;
    let notes = plan.tables.iter().map(|table| {
        let fresh = !held.contains(&table.target.name);
        let progress = copying::asked(Scope::default(), fresh).to_text()?;
        Ok(CopyNote { table: table.target.name.to_string(), progress, answers: None })
    });
    notes.collect()
}

/// What a first start that did not finish has left behind is not to be copied by this one.
fn leftovers(copies: &[CopyNote], stored: Vec<StoredCopy>) -> Result<Vec<CopyNote>> {
    let is_again = |stored: &StoredCopy| copies.iter().any(|copy| copy.table == stored.table);
    let mut left = Vec::new();
    for stored in stored.into_iter().filter(|stored| !is_again(stored)) {
        let Some(progress) = stored.progress else { continue };
        let mut progress = Progress::of_text(&progress)?;
        if !progress.stage.is_over() {
            progress.cancel("the link has started anew".to_owned(), now_us());
            let (table, answers) = (stored.table, None);
            left.push(CopyNote { table, progress: progress.to_text()?, answers });
        }
    }
    Ok(left)
}

/// Tables of which rows can only be written together; of those that hold none there is nothing to copy.
async fn refuse_knots(link: &Link, plan: &LinkPlan) -> Result<()> {
    let knots = copying::knots(plan);
    let tables = knots.iter().map(|knot| knot.table.clone()).collect();
    let filled = filled(link, tables).await?;
    let knots = knots.iter().filter(|knot| filled.contains(&knot.table));
    let knots: Vec<String> = knots.map(|knot| format!("{}: {}", knot.table, knot.why)).collect();
    if knots.is_empty() {
        return Ok(());
    }
    let context = format!("tables cannot be copied: {}", knots.join("; "));
    Err(Error::new(Kind::Configuration, context).hint(copying::UNTIE))
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

/// Without `start`, a link begins by itself only where it is clear what is to be in the target.
fn refuse_rows(link: &Link, filled: Vec<TableName>, held: &[TableName]) -> Result<()> {
    if filled.is_empty() {
        return Ok(());
    }
    let names =
        |names: &[TableName]| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let LinkName { source, target } = link.name();
    Err(Error::new(
        Kind::Configuration,
        format!(
            "it is not said how to start, and tables hold rows on both sides: {} at the source, {} at \
             the target",
            names(&filled),
            names(held)
        ),
    )
    .hint(format!(
        "write start = \"snapshot\" under [link.{source}.{target}] to have the source's rows copied over \
         those of the target, or start = \"now\" if both sides are equal already and only changes are to \
         be carried"
    )))
}
