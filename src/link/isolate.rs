//! What happens when the target refuses a merged slice because of a row: it is repeated unmerged
//! in source order, first at once, then change by change to find the one that is refused.
//!
//! Merging changes the order between keys, so a slice may be refused although the source's own
//! order passes (two unique values swapped by way of a third): then the unmerged repetition is
//! what is committed. Errors that end the whole transaction never come here.

use std::ops::Range;

use crate::error::{Error, Kind, Result};
use crate::link::batch::Batch;
use crate::link::ports::{Slice, Target};
use crate::link::steps;
use crate::model::{Step, Witness};
use crate::plan::LinkPlan;
use crate::position::Position;

/// How a repetition ended.
pub(super) enum Replayed {
    /// It passed (and is committed, if `close` was given).
    Applied {
        /// Rows that updates did not find.
        missed: usize,
        /// What was done.
        steps: Vec<Step>,
    },
    /// This change is refused in the source's own order too.
    Refused {
        /// Its index among the prepared changes.
        index: usize,
        /// The refusal, with table, key columns and place in the log.
        error: Error,
    },
}

/// Whether the error speaks of one row, so that looking for the row makes sense.
pub(super) fn is_about_a_row(error: &Error) -> bool {
    matches!(error.kind(), Kind::Constraint | Kind::Value)
}

/// Repeats a refused slice. `open` is what the slice had: refused with it, the whole transaction
/// is undone and is opened again here.
pub(super) async fn replay(
    plan: &LinkPlan,
    target: &mut dyn Target,
    batch: &Batch,
    open: Option<&Witness>,
    close: Option<&Position>,
) -> Result<Replayed> {
    let prepared = batch.prepared();
    let all = steps::unmerged(plan, prepared);
    match target.apply(Slice { open, steps: &all, settled: &[], close }).await {
        Ok(applied) => {
            return Ok(Replayed::Applied { missed: applied.missed.len(), steps: all });
        }
        Err(error) if is_about_a_row(&error) => {}
        Err(error) => return Err(error),
    }
    let mut open = open;
    let mut missed = 0;
    for index in 0..prepared.len() {
        let one = steps::unmerged(plan, prepared.get(index..=index).unwrap_or_default());
        if one.is_empty() {
            continue;
        }
        match target.apply(Slice { open, steps: &one, settled: &[], close: None }).await {
            Ok(applied) => (open, missed) = (None, missed + applied.missed.len()),
            Err(error) if is_about_a_row(&error) => {
                tracing::debug!(?one, "the refused change");
                return Ok(Replayed::Refused { index, error: locate(plan, batch, index, error) });
            }
            Err(error) => return Err(error),
        }
    }
    match target.apply(Slice { open, steps: &[], settled: &[], close }).await {
        Ok(applied) => Ok(Replayed::Applied { missed: missed + applied.missed.len(), steps: all }),
        Err(error) if is_about_a_row(&error) => Ok(Replayed::Refused {
            index: 0,
            error: error.within(format!(
                "changes {} together, at their commit",
                places(batch, 0..prepared.len())
            )),
        }),
        Err(error) => Err(error),
    }
}

fn locate(plan: &LinkPlan, batch: &Batch, index: usize, error: Error) -> Error {
    let one = steps::unmerged(plan, batch.prepared().get(index..=index).unwrap_or_default());
    let table = one.first().and_then(|step| plan.tables.get(step.table));
    let row = table.map_or_else(|| "a row".to_owned(), |table| describe(table));
    error.within(format!("{row}, change {}", places(batch, index..index + 1)))
}

/// `table a.b (key id)`.
pub(super) fn describe(table: &crate::plan::TablePlan) -> String {
    let key = table.key.iter().filter_map(|key| {
        let column = table.columns.get(*key)?;
        Some(table.source.columns.get(column.source)?.name.as_str())
    });
    format!("table {} (key {})", table.source.name, key.collect::<Vec<_>>().join(", "))
}

/// `3 of the transaction that ends at lsn:0/1`.
fn places(batch: &Batch, range: Range<usize>) -> String {
    let origin = batch.origin(range.start);
    let last = batch.origin(range.end.saturating_sub(1)).ordinal;
    let numbers = match range.len() {
        1 => origin.ordinal.to_string(),
        _ => format!("{} to {last}", origin.ordinal),
    };
    match origin.position {
        Some(position) => format!("{numbers} of the transaction that ends at {position}"),
        None => format!("{numbers} of a large transaction"),
    }
}
