//! What happens when the target refuses a merged slice because of a row: it is repeated unmerged
//! in source order, first at once, then change by change to find the one that is refused.
//!
//! Merging changes the order between keys, so a slice may be refused although the source's own
//! order passes (two unique values swapped by way of a third): then the unmerged repetition is
//! what is committed. The source may also have judged a constraint later than the target does: at
//! the end of a statement or of the transaction (PostgreSQL), or for a cascade that it logs before
//! the change that caused it (MySQL). So, change by change, one that a constraint refuses waits for
//! the others of its transaction, in order per key (`link/deferral.rs`); only what is refused
//! after them is poison. A transaction of more than one slice is looked at slice by slice.
//! Errors that end the whole transaction never come here.

use std::ops::Range;

use crate::error::{Error, Kind, Result};
use crate::link::batch::Batch;
use crate::link::deferral::{Deferral, Round};
use crate::link::ports::{MissedKey, Slice, Target};
use crate::link::steps;
use crate::model::{Step, Verb, Witness};
use crate::plan::LinkPlan;
use crate::position::Position;

/// The way on where a slice of a large transaction is refused.
const SLICED: &str = "correct the row on the target, then start weir again; if a later row of the \
    same transaction would satisfy the constraint, raise batch_rows_max and batch_bytes_max above \
    the transaction's size";

/// The way on where foreign keys of the target keep a table from being emptied: in a ring, or by rows
/// that refer to rows of the same table and must.
const REFERRED: &str = "rows refer to what TRUNCATE removes: drop the foreign key on the target, or \
    let it delete the rows that refer (ON DELETE CASCADE), then start weir again";

/// The way on where a table that refers to others refuses a row: it may be a unique key too.
const ORPHAN: &str = "correct the row on the target, then start weir again; where a foreign key refuses \
    it, the row that it refers to is not on the target, and the source may have taken it with \
    foreign_key_checks = 0 (MySQL, MariaDB) or session_replication_role = replica (PostgreSQL): bring \
    that row to the target, or drop the foreign key there";

/// How a repetition ended.
pub(super) enum Replayed {
    /// It passed (and is committed, if `close` was given).
    Applied {
        /// Rows that are to be read again.
        missed: Vec<MissedKey>,
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
    error.is_about_a_row()
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
    let all = steps::unmerged(plan, batch.prepared());
    match target.apply(Slice { open, steps: &all, settled: &[], close, ..Slice::default() }).await {
        Ok(applied) => {
            return Ok(Replayed::Applied { missed: applied.missed, steps: all });
        }
        Err(error) if is_about_a_row(&error) => {}
        Err(error) => return Err(error),
    }
    if open.is_some() {
        target
            .apply(Slice { open, steps: &[], settled: &[], close: None, ..Slice::default() })
            .await?;
    }
    let mut singly =
        Singly { plan, target, batch, missed: Vec::new(), waiting: Deferral::default() };
    for transaction in batch.transactions() {
        if let Some((index, error)) = singly.transaction(transaction).await? {
            let mut error = locate(plan, batch, index, error);
            if matches!(error.kind(), Kind::Constraint | Kind::ForeignKey)
                && let Some(hint) = way_on(plan, batch, index, close)
            {
                error = error.hint(hint);
            }
            return Ok(Replayed::Refused { index, error });
        }
    }
    let mut missed = singly.missed;
    match target
        .apply(Slice { open: None, steps: &[], settled: &[], close, ..Slice::default() })
        .await
    {
        Ok(applied) => {
            missed.extend(applied.missed);
            Ok(Replayed::Applied { missed, steps: all })
        }
        Err(error) if is_about_a_row(&error) => Ok(Replayed::Refused {
            index: 0,
            error: error.within(format!(
                "changes {} together, at their commit",
                places(batch, 0..batch.prepared().len())
            )),
        }),
        Err(error) => Err(error),
    }
}

/// Applies changes one by one, each under a savepoint of the open transaction.
struct Singly<'a> {
    plan: &'a LinkPlan,
    target: &'a mut dyn Target,
    batch: &'a Batch,
    missed: Vec<MissedKey>,
    /// Changes that wait for later ones of their transaction.
    waiting: Deferral<'a>,
}

impl Singly<'_> {
    /// Applies the changes of one transaction; gives the change that is refused whatever the
    /// others did, with its refusal.
    async fn transaction(&mut self, changes: Range<usize>) -> Result<Option<(usize, Error)>> {
        for index in changes {
            let Some(change) = self.batch.prepared().get(index) else { continue };
            if self.waiting.must_wait(self.plan, change) {
                self.waiting.queue(self.plan, index, change);
                continue;
            }
            if self.waiting.is_held(self.plan, change) {
                self.waiting.hold(self.plan, index, change);
                continue;
            }
            match self.one(index).await? {
                None if change.verb() == Verb::Rekey => {
                    self.round(Round::After(change.table)).await?;
                }
                None => {}
                Some(error) if Deferral::may_pass(change, &error) => {
                    self.waiting.begin(self.plan, index, change, error);
                }
                Some(error) => return Ok(Some((index, error))),
            }
        }
        while self.waiting.may_move() {
            self.round(Round::AtEnd).await?;
        }
        Ok(std::mem::take(&mut self.waiting).into_refusal())
    }

    /// Tries what waits once: at the end of the transaction, and after a key change, whose cascades
    /// may stand before it in the log and must be in before the key changes again.
    async fn round(&mut self, round: Round) -> Result<()> {
        for place in self.waiting.next_round(self.plan, round) {
            let mut next = self.waiting.front(place);
            while let Some(index) = next.take() {
                match self.one(index).await? {
                    None => next = self.waiting.passed(place),
                    Some(error) => self.waiting.refused(place, error),
                }
            }
        }
        Ok(())
    }

    /// Applies one change; gives the refusal, if it is about the row.
    async fn one(&mut self, index: usize) -> Result<Option<Error>> {
        let prepared = self.batch.prepared();
        let one = steps::unmerged(self.plan, prepared.get(index..=index).unwrap_or_default());
        if one.is_empty() {
            return Ok(None);
        }
        let slice =
            Slice { open: None, steps: &one, settled: &[], close: None, ..Slice::default() };
        match self.target.apply(slice).await {
            Ok(applied) => {
                self.missed.extend(applied.missed);
                Ok(None)
            }
            Err(error) if is_about_a_row(&error) => {
                tracing::debug!(?one, "a refused change");
                Ok(Some(error))
            }
            Err(error) => Err(error),
        }
    }
}

fn locate(plan: &LinkPlan, batch: &Batch, index: usize, error: Error) -> Error {
    let one = steps::unmerged(plan, batch.prepared().get(index..=index).unwrap_or_default());
    let table = one.first().and_then(|step| plan.tables.get(step.table));
    let row = table.map_or_else(|| "a row".to_owned(), |table| describe(table));
    error.within(format!("{row}, change {}", places(batch, index..index + 1)))
}

/// What helps against a constraint that refuses a change, where more is known than that.
fn way_on(
    plan: &LinkPlan,
    batch: &Batch,
    index: usize,
    close: Option<&Position>,
) -> Option<&'static str> {
    let change = batch.prepared().get(index)?;
    let refers =
        plan.tables.get(change.table).is_some_and(|table| !table.target.foreign_keys.is_empty());
    match change.verb() {
        Verb::Truncate => Some(REFERRED),
        _ if close.is_none() => Some(SLICED),
        Verb::Upsert | Verb::Update | Verb::Rekey if refers => Some(ORPHAN),
        _ => None,
    }
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
