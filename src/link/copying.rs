//! Copies of tables as the apply task sees them: what is read next, by which reader, and which piece may
//! be written now. The apply task writes (`link/copied`); readers read and convert (`link/copyist`).
//!
//! Each piece has a window over its table from before it is read until it is written, by the rule of
//! `link/window`: the scan saw all that was applied, all that it may have seen is applied, and what has
//! changed since is laid over it. One piece of a stretch is under way at a time, a few of all together;
//! so memory is bounded, in bytes, by a few pieces besides one per reader.
//!
//! Tables come in the order of their references. A table that is not begun and holds nothing in the
//! target takes no changes: the copy reads what they leave. In one that is being copied, an update that
//! finds no row is about a row that is read later, unless rows may move within the walk.

mod flight;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::error::{Disposition, Error, Kind, Result};
use crate::link::attempt::answered;
use crate::link::batch::Batch;
use crate::link::copyist::{Brought, Errand, Return};
use crate::link::ends::Ends;
use crate::link::ports::{CopyNote, StoredCopy};
use crate::link::status::{CopyStatus, now_us};
use crate::model::TableName;
use crate::plan::LinkPlan;
use crate::position::Position;
use crate::snapshot::order;
use crate::snapshot::pace::Throttle;
use crate::snapshot::progress::{Progress, Stage};

pub(super) use self::flight::Ready;
use self::flight::{Flight, Leg};
pub(super) use self::table::asked;
use self::table::{Table, companions, parents};
use self::table::{knot, ties};

/// Longest time from a read until the stream has come up to it.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How often somebody's orders are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often a copy is looked at while the stream is far behind.
const BEHIND_EVERY: Duration = Duration::from_secs(1);

/// A reader, and whether it is at work.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) errands: mpsc::Sender<Errand>,
    pub(super) busy: bool,
}

/// The copies of a link.
pub(super) struct Copying {
    plan: Arc<LinkPlan>,
    ends: Arc<dyn Ends>,
    /// By index in the plan.
    tables: BTreeMap<usize, Table>,
    readers: Vec<Reader>,
    returns: mpsc::Receiver<Return>,
    flights: Vec<Flight>,
    last_id: u64,
    began: Instant,
    throttle: Throttle,
    look_at: Instant,
    /// Tables whose progress is not kept yet.
    unkept: BTreeSet<usize>,
    /// Copies of tables that are not planned any more, not kept yet.
    strays: Vec<CopyNote>,
    /// A piece was written: perhaps another one may be.
    again: bool,
}

impl Copying {
    /// Goes on with what is stored.
    ///
    /// # Errors
    /// `Witness` where it is not weir's.
    pub(super) fn new(
        plan: Arc<LinkPlan>,
        ends: Arc<dyn Ends>,
        stored: &[StoredCopy],
        readers: Vec<Reader>,
        returns: mpsc::Receiver<Return>,
        max_rows_per_second: Option<u32>,
    ) -> Result<Copying> {
        let (mut tables, mut strays) = (BTreeMap::new(), Vec::new());
        for StoredCopy { table, progress, .. } in stored {
            let index = plan.tables.iter().position(|one| one.target.name.to_string() == *table);
            let Some(mut progress) = progress.as_deref().map(Progress::of_text).transpose()? else {
                continue;
            };
            if let Some(index) = index {
                tables.insert(index, Table::new(progress));
            } else if !progress.stage.is_over() {
                // What changes meanwhile is not carried: what is copied is not the table any more.
                progress.cancel("the table has left the link".to_owned(), now_us());
                let (table, progress) = (table.clone(), progress.to_text()?);
                strays.push(CopyNote { table, progress, answers: None });
            }
        }
        Ok(Copying {
            plan,
            ends,
            tables,
            readers,
            returns,
            flights: Vec::new(),
            last_id: 0,
            began: Instant::now(),
            throttle: Throttle::new(max_rows_per_second),
            look_at: Instant::now(),
            unkept: BTreeSet::new(),
            strays,
            again: false,
        })
    }

    /// Whether no copy is under way or waits, but for those that a person has paused.
    pub(super) fn is_over(&self) -> bool {
        !self.tables.values().any(Table::is_going)
    }

    /// Whether changes of a table are left to its copy.
    pub(super) fn is_ahead(&self, table: usize) -> bool {
        self.tables.get(&table).is_some_and(Table::is_ahead)
    }

    /// The columns of a table that are left empty for now.
    pub(super) fn unlinked(&self, table: usize) -> Vec<usize> {
        let unlinked = self.tables.get(&table).is_some_and(|one| one.progress.unlinked);
        let plan = self.plan.tables.get(table).filter(|_| unlinked);
        plan.map(|plan| ties(&self.plan, plan)).unwrap_or_default()
    }

    /// Tables of which an update that finds no row is not noted.
    pub(super) fn unnoted(&self) -> Vec<usize> {
        let reads = self.tables.iter().filter(|(_, table)| table.reads_misses());
        reads.map(|(index, _)| *index).collect()
    }

    /// How far a table is, if it is copied.
    pub(super) fn progress(&self, table: usize) -> Option<&Progress> {
        self.tables.get(&table).map(|table| &table.progress)
    }

    /// As it is told, in the order of the tables.
    pub(super) fn status(&self, lag: Duration) -> Vec<CopyStatus> {
        let told = self.tables.iter().filter_map(|(index, table)| {
            let plan = self.plan.tables.get(*index)?;
            Some(table.status(plan, self.waits_for(*index, table, lag)))
        });
        told.collect()
    }

    fn waits_for(&self, index: usize, table: &Table, lag: Duration) -> Option<String> {
        if table.is_going() && self.throttle.wait(self.began.elapsed(), lag).is_none() {
            return Some("the stream, which is far behind".to_owned());
        }
        if !table.is_going() || table.progress.stage != Stage::Waiting {
            return None;
        }
        let parent = self.parent_of(index)?;
        self.plan.tables.get(parent).map(|parent| parent.source.name.to_string())
    }

    /// A table that is to be copied before this one and is not yet.
    fn parent_of(&self, index: usize) -> Option<usize> {
        let plan = self.plan.tables.get(index)?;
        let open = |at: &usize| {
            let parent = self.tables.get(at).map(|table| &table.progress);
            parent.is_some_and(|parent| match parent.stage {
                Stage::Waiting => true,
                Stage::Copying => !parent.second,
                Stage::Checking | Stage::Done | Stage::Cancelled => false,
            })
        };
        parents(&self.plan, plan).find(open)
    }

    /// The columns by which only rows of a table are chosen that is copied for the second time.
    pub(super) fn tied(&self, table: usize) -> Option<Vec<usize>> {
        self.tables.get(&table).filter(|one| one.progress.second)?;
        Some(ties(&self.plan, self.plan.tables.get(table)?))
    }

    /// Whether target tables hold no row.
    pub(super) async fn holds_nothing(&self, names: &[TableName]) -> Result<bool> {
        let filled = answered("look for rows", self.ends.non_empty_targets(names)).await?;
        Ok(filled.is_empty())
    }

    /// A copy begins anew, in place of one that may be there.
    pub(super) fn begin(&mut self, table: usize, progress: Progress) {
        self.flights.retain(|flight| flight.table != table);
        self.tables.insert(table, Table::new(progress));
    }

    /// What a person asks of a copy; gives why it cannot be done.
    pub(super) fn obey(&mut self, table: usize, what: &order::What) -> Option<&'static str> {
        match self.tables.get_mut(&table) {
            Some(table) => table.obey(what),
            None => Some("it is not copied"),
        }
    }

    /// How far a copy is once a piece is written.
    pub(super) fn after(&self, ready: &Ready, rows: u64, set_aside: u64) -> Result<Progress> {
        let table = self.tables.get(&ready.table);
        let table = table.ok_or_else(|| Error::new(Kind::Internal, "a piece of no copy"))?;
        Ok(table.after(ready.stretch, &ready.piece, rows, set_aside))
    }

    /// It is, and that is kept.
    pub(super) fn wrote(&mut self, table: usize, progress: Progress) {
        if let Some(table) = self.tables.get_mut(&table) {
            table.wrote(progress.rows.saturating_sub(table.progress.rows));
            table.progress = progress;
            (table.trouble, table.failures) = (None, 0);
        }
    }

    /// How long a piece took.
    pub(super) fn timed(&mut self, table: usize, rows: usize, read: Duration, write: Duration) {
        if let Some(table) = self.tables.get_mut(&table) {
            table.pace.wrote(rows, read, write);
        }
        self.throttle.wrote(rows, write, self.began.elapsed());
        self.again = true;
    }

    /// A piece could not be written now.
    pub(super) fn put_off(&mut self, table: usize, why: String) {
        if let Some(table) = self.tables.get_mut(&table) {
            table.put_off(why);
        }
    }

    /// Progress that is to be kept.
    pub(super) fn unkept(&mut self) -> Result<Vec<CopyNote>> {
        let unkept = std::mem::take(&mut self.unkept);
        let notes = unkept.iter().filter_map(|index| {
            let (plan, table) = (self.plan.tables.get(*index)?, self.tables.get(index)?);
            Some(table.progress.to_text().map(|progress| CopyNote {
                table: plan.target.name.to_string(),
                progress,
                answers: None,
            }))
        });
        std::mem::take(&mut self.strays).into_iter().map(Ok).chain(notes).collect()
    }

    /// A table that is written to its end and can be brought to its close.
    pub(super) fn written(&mut self) -> Option<usize> {
        let done = |index: &usize, table: &Table| {
            table.is_written() && !self.flights.iter().any(|flight| flight.table == *index)
        };
        let written = self.tables.iter().filter(|(index, table)| done(index, table));
        let written: Vec<usize> = written.map(|(index, _)| *index).collect();
        for index in &written {
            let unlinked = self.tables.get(index).is_some_and(|table| table.progress.unlinked);
            if !unlinked {
                return Some(*index);
            }
            if self.circle(*index).all(|other| written.contains(&other) || !self.is_unlinked(other))
            {
                self.begin_second(*index);
            }
        }
        None
    }

    fn is_unlinked(&self, index: usize) -> bool {
        let table = self.tables.get(&index);
        table.is_some_and(|table| match table.progress.stage {
            Stage::Waiting => true,
            Stage::Copying => table.progress.unlinked,
            Stage::Checking | Stage::Done | Stage::Cancelled => false,
        })
    }

    /// The tables that its rows refer to in a circle, itself not counted.
    fn circle(&self, index: usize) -> impl Iterator<Item = usize> {
        let plan = self.plan.tables.get(index);
        let others = plan.into_iter().flat_map(|plan| companions(&self.plan, plan));
        let others: Vec<usize> = others.filter(|other| *other != index).collect();
        others.into_iter()
    }

    fn begin_second(&mut self, index: usize) {
        if let Some(table) = self.tables.get_mut(&index) {
            table.begin_second();
            self.unkept.insert(index);
        }
    }

    /// All is written: what comes next.
    pub(super) fn close(&mut self, index: usize) -> Result<Progress> {
        let table = self.tables.get_mut(&index);
        let table = table.ok_or_else(|| Error::new(Kind::Internal, "the end of no copy"))?;
        table.close();
        self.unkept.insert(index);
        Ok(table.progress.clone())
    }

    /// Changes that go into the target now.
    pub(super) fn changing(&mut self, plan: &LinkPlan, batch: &Batch) {
        self.flights.iter_mut().for_each(|flight| flight.window.change_by(plan, batch));
    }

    /// Whether a piece waits for `position`.
    pub(super) fn awaits(&self, position: &Position) -> bool {
        let reaches = |flight: &Flight| match &flight.leg {
            Leg::Back { piece, .. } => position.reaches(piece.sight().high),
            Leg::Out | Leg::Again => false,
        };
        self.flights.iter().any(reaches)
    }

    /// Whether nothing is to be applied now.
    pub(super) fn holds(&self) -> bool {
        let now = Instant::now();
        let held = |flight: &Flight| {
            matches!(flight.leg, Leg::Out) && flight.held_until.is_some_and(|until| now < until)
        };
        self.flights.iter().any(held)
    }

    /// Whether orders are to be looked for.
    pub(super) fn looks(&mut self) -> bool {
        let now = Instant::now();
        let due = now >= self.look_at;
        if due {
            self.look_at = now + LOOK_EVERY;
        }
        due
    }

    /// Resolves when there is something to do that no part of the queue will bring about. Cancel-safe.
    pub(super) async fn wake(&mut self, lag: Duration) -> Result<()> {
        if std::mem::take(&mut self.again) {
            return Ok(());
        }
        let due = self.due(lag);
        tokio::select! {
            back = self.returns.recv(), if !self.readers.is_empty() => match back {
                Some(back) => self.take_back(back),
                None => Err(Error::new(Kind::Connection, "the readers of tables have ended")),
            },
            () = tokio::time::sleep_until(due) => Ok(()),
        }
    }

    /// The next moment at which something may be due.
    fn due(&self, lag: Duration) -> Instant {
        let mut due = self.look_at;
        let now = Instant::now();
        if self.flights.iter().any(|flight| !matches!(flight.leg, Leg::Out)) {
            let wait = self.throttle.wait(self.began.elapsed(), lag);
            due = due.min(now + wait.unwrap_or(BEHIND_EVERY).max(Duration::from_millis(5)));
        }
        let held = self.flights.iter().filter_map(|flight| flight.held_until);
        let waits = self.tables.values().filter(|table| table.is_going()).map(|table| table.due);
        held.chain(waits).filter(|at| *at > now).fold(due, Instant::min)
    }

    /// Takes what readers have brought meanwhile.
    pub(super) fn take_all_back(&mut self) -> Result<()> {
        while let Ok(back) = self.returns.try_recv() {
            self.take_back(back)?;
        }
        Ok(())
    }

    fn take_back(&mut self, back: Return) -> Result<()> {
        if let Some(reader) = self.readers.get_mut(back.reader) {
            reader.busy = false;
        }
        match back.brought {
            Ok(Brought::Division(division)) => {
                let index = usize::try_from(back.id).unwrap_or(usize::MAX);
                let ties = self.plan.tables.get(index).map(|plan| ties(&self.plan, plan));
                let Some(table) = self.tables.get_mut(&index).filter(|table| table.dividing) else {
                    return Ok(());
                };
                match table.progress.stage {
                    Stage::Checking => table.target_divided(division),
                    _ => table.divided(division, ties.is_some_and(|ties| !ties.is_empty())),
                }
                table.trouble = None;
                table.failures = 0;
                self.unkept.insert(index);
            }
            Ok(Brought::Piece(piece)) => {
                let Some(at) = self.flights.iter().position(|one| one.id == back.id) else {
                    return Ok(());
                };
                let Some(piece) = piece else {
                    let table = self.flights.get(at).map(|one| one.table);
                    return table.map_or(Ok(()), |table| self.begin_anew(table));
                };
                if let Some(flight) = self.flights.get_mut(at) {
                    let give_up_at = Instant::now() + WAIT_MAX;
                    let (piece, took) = (Box::new(piece), back.took);
                    flight.leg = Leg::Back { piece, took, give_up_at };
                }
            }
            Ok(Brought::Checked(checked)) => {
                let index = usize::try_from(back.id).unwrap_or(usize::MAX);
                let Some(table) = self.tables.get_mut(&index).filter(|table| table.checking) else {
                    return Ok(());
                };
                match checked {
                    Some(checked) => table.checked(checked),
                    None => table.close(),
                }
                table.checking = false;
                self.unkept.insert(index);
            }
            Err(error) => return self.fail(back.id, error),
        }
        Ok(())
    }

    /// The table's rows were moved, or its index is gone: what is written stays, and is written again.
    fn begin_anew(&mut self, index: usize) -> Result<()> {
        self.flights.retain(|flight| flight.table != index);
        if let (Some(table), Some(plan)) =
            (self.tables.get_mut(&index), self.plan.tables.get(index))
        {
            let name = &plan.source.name;
            tracing::warn!(table = %name, "the table was rewritten while it was copied; it is copied anew");
            table.anew();
            self.unkept.insert(index);
        }
        Ok(())
    }

    /// A read failed. What may pass is tried again, later and later; a condition that the source refuses
    /// ends its copy; all else ends the attempt.
    fn fail(&mut self, id: u64, error: Error) -> Result<()> {
        let flight = self.flights.iter().position(|flight| flight.id == id);
        let index = match flight {
            Some(at) => self.flights.remove(at).table,
            None => usize::try_from(id).unwrap_or(usize::MAX),
        };
        let Some(table) = self.tables.get_mut(&index) else { return Ok(()) };
        let name = self.plan.tables.get(index).map(|plan| plan.source.name.to_string());
        let name = name.unwrap_or_default();
        (table.dividing, table.checking) = (false, false);
        if error.disposition() == Disposition::Retry {
            table.put_off(error.chain());
            let hint = error.operator_hint();
            tracing::warn!(table = name, error = error.chain(), hint, "a copy waits");
            return Ok(());
        }
        let refused = matches!(error.kind(), Kind::Configuration | Kind::Mapping | Kind::Value);
        if refused && table.progress.scope.condition.is_some() && table.is_going() {
            tracing::error!(table = name, error = error.chain(), "a copy is cancelled");
            table.cancel(Some(error.chain()));
            self.unkept.insert(index);
            return Ok(());
        }
        Err(error.within(format!("copy {name}")))
    }
}

/// Tables of which rows refer to each other in a way that no piece of them can be written alone, each
/// with its reason.
pub fn knots(plan: &LinkPlan) -> Vec<String> {
    let knots = plan.tables.iter().filter_map(|table| {
        let key = knot(plan, table)?;
        let (name, parent) = (&table.source.name, &key.parent);
        Some(format!(
            "{name}: foreign key {} of the target refers to {parent} in a circle, and none of its columns \
             may be NULL",
            key.name
        ))
    });
    knots.collect()
}
