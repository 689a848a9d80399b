//! Whether rows are in the target as they should be, asked of the apply task, which knows: it has the
//! rows read at the source under the window rule, lays over them what has changed since, and stands
//! still while whoever asks looks at the target. So the answer is exact, however busy the rows are, and
//! what is to be mended is mended at once, in the order of the stream.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::{Error, Kind, Result};
use crate::link::apply::Applier;
use crate::link::notes::{MissedKey, Why};
use crate::link::ports::{Scanned, Slice};
use crate::link::refetched::laid_over;
use crate::link::set_aside::Rows;
use crate::link::steps::{self, Act, Prepared};
use crate::link::window::{Since, Window};
use crate::model::Row;
use crate::plan::LinkPlan;
use crate::transform::rules::Beside;

/// Keys of one question at most.
pub const KEYS_MAX: usize = 500;
/// Longest time that the apply task stands still for whoever asks.
pub const STAND_STILL_MAX: Duration = Duration::from_secs(5);

/// A question about rows of one table.
#[derive(Debug)]
pub struct Question {
    /// Index of the table in the link's plan.
    pub table: usize,
    /// Match keys as the target has them, in key order; at most [`KEYS_MAX`], none twice.
    pub keys: Vec<Row>,
    /// Where the answer goes. Dropped where it cannot be told now: to be asked again later.
    pub answer: oneshot::Sender<Standing>,
}

/// What a row should be in the target.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// This: every column of the plan, converted.
    Row(Row),
    /// Absent.
    Absent,
    /// Not known: it went or came anew while it was read. To be asked again.
    Busy,
    /// Its changes are set aside: the target has what it had before.
    SetAside,
    /// It has no form at the target.
    Unfit,
}

/// What is to be done with a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Mend {
    /// Nothing.
    Leave,
    /// Write it as it is expected: whole, or deleted where it should be absent.
    Mend,
    /// Write it over the row of this key, which the target takes for its own.
    Over(Row),
}

/// The answer. As long as `verdict` is open, but no longer than [`STAND_STILL_MAX`], nothing is applied,
/// so what the target has is what it should have.
#[derive(Debug)]
pub struct Standing {
    /// One per key, in order.
    pub expected: Vec<Expected>,
    /// One per key, in order; or dropped where nothing is to be done.
    pub verdict: oneshot::Sender<Vec<Mend>>,
    /// How many rows were mended; closed where the verdict came too late.
    pub done: oneshot::Receiver<Result<usize>>,
}

impl Question {
    /// Its rows, as windows have them.
    pub(super) fn notes(&self) -> Vec<MissedKey> {
        let note = |key: &Row| MissedKey { table: self.table, key: key.clone(), why: Why::NoRow };
        self.keys.iter().map(note).collect()
    }
}

/// What was read for a question, with what has changed since.
pub(super) fn expected(
    plan: &LinkPlan,
    window: &Window,
    scanned: Scanned,
    rows: &Rows,
) -> Result<Vec<Expected>> {
    if scanned.rows.len() != window.notes.len() {
        return Err(Error::new(Kind::Internal, "a scan answered for another number of keys"));
    }
    let mut expected = Vec::with_capacity(window.notes.len());
    for (note, read) in window.notes.iter().zip(scanned.rows) {
        let name = note.text();
        expected.push(match (window.since(&name), read) {
            _ if rows.holds(note.table, &name) => Expected::SetAside,
            (Some(Since::Laid(values)), Some(row)) => {
                match laid_over(plan, note.table, row, values, Beside::default()) {
                    Ok(Prepared {
                        act: Act::Upsert { row, .. } | Act::Update { row, .. }, ..
                    }) => Expected::Row(row),
                    Err(error) if error.is_about_a_row() => Expected::Unfit,
                    Ok(_) => Expected::Busy,
                    Err(error) => return Err(error),
                }
            }
            (Some(Since::Laid(values)), None) if values.is_empty() => Expected::Absent,
            _ => Expected::Busy,
        });
    }
    Ok(expected)
}

impl Applier {
    /// Stands still until whoever asked has looked at the target, and mends what is to be mended.
    pub(super) async fn answer(
        &mut self,
        question: Question,
        expected: Vec<Expected>,
    ) -> Result<()> {
        let Question { table, keys, answer } = question;
        let (verdict, judged) = oneshot::channel();
        let (told, done) = oneshot::channel();
        if answer.send(Standing { expected: expected.clone(), verdict, done }).is_err() {
            return Ok(());
        }
        let Ok(Ok(mends)) = timeout(STAND_STILL_MAX, judged).await else { return Ok(()) };
        let wanted = keys.into_iter().zip(expected).zip(mends);
        let owns_rows = steps::table(&self.plan, table)?.owns_rows;
        let acts = wanted.filter_map(|((key, expected), mend)| match (mend, expected) {
            (Mend::Mend, Expected::Row(row)) if owns_rows => {
                Some(Act::Upsert { columns: None, row })
            }
            (Mend::Mend | Mend::Over(_), Expected::Row(row)) if !owns_rows => {
                Some(Act::Update { columns: None, row })
            }
            (Mend::Over(old), Expected::Row(row)) => Some(Act::Rekey { old, columns: None, row }),
            (Mend::Mend, Expected::Absent) if owns_rows => Some(Act::Delete { key }),
            (Mend::Leave | Mend::Mend | Mend::Over(_), _) => None,
        });
        let changes: Vec<_> = acts.map(|act| Prepared { table, act }).collect();
        let mended = self.mend(&changes).await;
        match mended {
            Err(error) if !error.is_about_a_row() => Err(error),
            mended => {
                // Who does not wait for it does not want to know.
                drop(told.send(mended));
                Ok(())
            }
        }
    }

    async fn mend(&mut self, changes: &[Prepared]) -> Result<usize> {
        if changes.is_empty() {
            return Ok(0);
        }
        let steps = steps::unmerged(&self.plan, changes);
        self.write(Slice { steps: &steps, strict: true, ..Slice::default() }).await?;
        self.report.moved(&self.witness);
        Ok(changes.len())
    }
}
