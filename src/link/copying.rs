//! Copies of tables as the apply task sees them: what is read next, by which reader, and which piece may
//! be written now. The apply task writes (`link/copied`); readers read and convert (`link/copyist`).
//!
//! Each piece has a window over its table from before it is read until it is written, by the rule of
//! `link/window`: the scan saw all that was applied, all that it may have seen is applied, and what has
//! changed since is laid over it. Within a stretch pieces are written in order, and read ahead, a few of all together;
//! so memory is bounded, in bytes, by a few pieces besides one per reader.
//!
//! Tables come in the order of their references. A table that is not begun and holds nothing in the
//! target takes no changes: the copy reads what they leave. In one that is being copied, an update that
//! finds no row is about a row that is read later, unless rows may move within the walk.

mod flight;
mod returns;
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::error::{Error, Kind, Result};
use crate::link::attempt::answered;
use crate::link::batch::Batch;
use crate::link::copyist::{Errand, Return};
use crate::link::ends::Ends;
use crate::link::ports::{CopyNote, StoredCopy};
use crate::link::status::{CopyStatus, now_us};
use crate::link::steps::{self, Prepared};
use crate::model::{TableName, Verb};
use crate::plan::LinkPlan;
use crate::position::Position;
use crate::snapshot::order::{Scope, What};
use crate::snapshot::pace::Throttle;
use crate::snapshot::progress::{Progress, Stage};

pub(super) use self::flight::Ready;
use self::flight::{Flight, Leg};
pub(super) use self::table::asked;
pub use self::table::{Knot, UNTIE, knots};
use self::table::{Table, companions, parents, ties};

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

/// Where the copy of a table stands: the table's index, the stage, and whether it is paused.
pub(super) type Standing = (usize, Stage, bool);

/// The copies of a link.
pub(super) struct Copying {
    plan: Arc<LinkPlan>,
    ends: Arc<dyn Ends>,
    /// By index in the plan; those that are over are kept to be told of.
    tables: BTreeMap<usize, Table>,
    /// Those that were not over when they were looked at last: most links have none for most of the time.
    open: BTreeSet<usize>,
    readers: Vec<Reader>,
    returns: mpsc::Receiver<Return>,
    flights: Vec<Flight>,
    last_id: u64,
    began: Instant,
    throttle: Throttle,
    look_at: Instant,
    /// How many times somebody who waits has asked for the source's head.
    waits: watch::Receiver<u64>,
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
        waits: watch::Receiver<u64>,
    ) -> Result<Copying> {
        let places = plan.tables.iter().enumerate();
        let places: HashMap<String, usize> =
            places.map(|(index, one)| (one.target.name.to_string(), index)).collect();
        let (mut tables, mut strays) = (BTreeMap::new(), Vec::new());
        for StoredCopy { table, progress, .. } in stored {
            let Some(mut progress) = progress.as_deref().map(Progress::of_text).transpose()? else {
                continue;
            };
            if let Some(index) = places.get(table) {
                tables.insert(*index, Table::new(progress));
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
            open: tables.keys().copied().collect(),
            tables,
            readers,
            returns,
            flights: Vec::new(),
            last_id: 0,
            began: Instant::now(),
            throttle: Throttle::new(max_rows_per_second),
            look_at: Instant::now(),
            waits,
            unkept: BTreeSet::new(),
            strays,
            again: false,
        })
    }

    /// Whether no copy is under way or waits, but for those that a person has paused.
    pub(super) fn is_over(&self) -> bool {
        let mut going = self.open().filter(|(_, table)| table.is_going());
        going.all(|(index, _)| self.stands(index))
    }

    /// Copies that are not over, and perhaps some that have just come to be.
    fn open(&self) -> impl Iterator<Item = (usize, &Table)> {
        self.open.iter().filter_map(|index| Some((*index, self.tables.get(index)?)))
    }

    /// Whether a table waits for one that a person has paused or cancelled.
    fn stands(&self, index: usize) -> bool {
        let Some(parent) = self.parent_of(index) else { return false };
        let waits =
            self.tables.get(&index).is_some_and(|table| table.progress.stage == Stage::Waiting);
        let goes = self.tables.get(&parent).is_some_and(Table::is_going);
        waits && (!goes || self.stands(parent))
    }

    /// Whether changes of a table are left to its copy.
    pub(super) fn is_ahead(&self, table: usize) -> bool {
        self.tables.get(&table).is_some_and(Table::is_ahead)
    }

    /// The columns of a table that are left empty for now.
    pub(super) fn unlinked(&self, table: usize) -> Vec<usize> {
        let is_open = |one: &Table| one.progress.unlinked && one.progress.stage == Stage::Copying;
        let unlinked = self.tables.get(&table).is_some_and(is_open);
        let plan = self.plan.tables.get(table).filter(|_| unlinked);
        plan.map(|plan| ties(&self.plan, plan)).unwrap_or_default()
    }

    /// Tables of which an update that finds no row is not noted.
    pub(super) fn unnoted(&self) -> Vec<usize> {
        let reads = self.open().filter(|(_, table)| table.reads_misses());
        reads.map(|(index, _)| index).collect()
    }

    /// How far a table is, if it is copied.
    pub(super) fn progress(&self, table: usize) -> Option<&Progress> {
        self.tables.get(&table).map(|table| &table.progress)
    }

    /// Where each copy stands, in the order of the tables.
    pub(super) fn standings(&self) -> impl Iterator<Item = Standing> {
        let standing = |(index, table): (&usize, &Table)| {
            (*index, table.progress.stage, table.progress.paused)
        };
        self.tables.iter().map(standing)
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
        let stage = self.tables.get(&parent).map(|parent| &parent.progress);
        let how = match stage {
            Some(parent) if parent.paused => ", which is paused",
            Some(parent) if parent.stage == Stage::Cancelled => ", whose copy was cancelled",
            _ => "",
        };
        self.plan.tables.get(parent).map(|parent| format!("{}{how}", parent.source.name))
    }

    /// A table that is to be copied before this one and is not yet.
    fn parent_of(&self, index: usize) -> Option<usize> {
        let plan = self.plan.tables.get(index)?;
        let open = |at: &usize| {
            let parent = self.tables.get(at).map(|table| &table.progress);
            parent.is_some_and(|parent| match parent.stage {
                Stage::Waiting => true,
                Stage::Copying => !parent.second,
                // Most of its rows are missing.
                Stage::Cancelled => parent.fresh,
                Stage::Checking | Stage::Done => false,
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
        self.open.insert(table);
    }

    /// What a person asks of a copy; gives why it cannot be done.
    pub(super) fn obey(&mut self, table: usize, what: &What) -> Option<&'static str> {
        if matches!(what, What::Cancel) {
            self.flights.retain(|flight| flight.table != table);
        }
        if let Some(table) = self.tables.get_mut(&table) {
            return table.obey(what);
        }
        // Asked and taken back before the link saw it: the answer is that it has ended.
        let mut never = Table::new(asked(Scope::default(), false));
        never.cancel(None);
        self.tables.insert(table, never);
        Some("it had not begun")
    }

    /// References of a table turn out to be for rows that are not there yet: from here on they are left
    /// empty, and written the second time. Whether that may help.
    pub(super) fn unlink(&mut self, index: usize) -> bool {
        let has_ties =
            self.plan.tables.get(index).is_some_and(|plan| !ties(&self.plan, plan).is_empty());
        let table = self.tables.get_mut(&index).filter(|table| {
            let progress = &table.progress;
            has_ties && !progress.unlinked && !progress.second && progress.scope.condition.is_none()
        });
        table.map(|table| table.progress.unlinked = true).is_some()
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
            // With a condition, most of the time may go into rows that it passes over.
            let is_whole = table.progress.scope.condition.is_none();
            table.pace.wrote(rows, if is_whole { read } else { Duration::ZERO }, write);
        }
        self.throttle.wrote(rows, write, self.began.elapsed());
        self.again = true;
    }

    /// A piece could not be written now.
    pub(super) fn put_off(&mut self, table: usize, why: String) {
        self.flights.retain(|flight| flight.table != table);
        if let Some(table) = self.tables.get_mut(&table) {
            table.put_off(why);
        }
    }

    /// Progress that is to be kept.
    pub(super) fn unkept(&mut self) -> Result<Vec<CopyNote>> {
        let Copying { tables, open, .. } = self;
        open.retain(|index| tables.get(index).is_some_and(|one| !one.progress.stage.is_over()));
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
        let done = |index: usize, table: &Table| {
            table.is_written() && !self.flights.iter().any(|flight| flight.table == index)
        };
        let written = self.open().filter(|(index, table)| done(*index, table));
        let written: Vec<usize> = written.map(|(index, _)| index).collect();
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
        let owns_rows = self.plan.tables.get(index).is_none_or(|table| table.owns_rows);
        let table = self.tables.get_mut(&index);
        let table = table.ok_or_else(|| Error::new(Kind::Internal, "the end of no copy"))?;
        table.close(owns_rows);
        self.unkept.insert(index);
        Ok(table.progress.clone())
    }

    /// Changes that go into the target now.
    pub(super) fn changing(&mut self, plan: &LinkPlan, batch: &Batch) {
        self.flights.iter_mut().for_each(|flight| flight.window.change_by(plan, batch));
        let copied = self.open().filter(|(_, table)| table.progress.stage == Stage::Copying);
        let copied = copied.map(|(index, _)| index);
        let moves: Vec<usize> =
            copied.filter(|index| steps::key_changes_unseen(plan, *index)).collect();
        for index in moves {
            let moves = |change: &Prepared| {
                matches!(change.verb(), Verb::Rekey | Verb::Update)
                    && steps::acts_unseen(plan, change, index)
            };
            // Rows may have moved from what is not read to what is, and no log tells which.
            if batch.prepared().iter().any(moves) {
                self.begin_anew(index);
            }
        }
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

    /// Whether orders are to be looked for; then how many times somebody has asked for the head.
    pub(super) fn looks(&mut self) -> Option<u64> {
        let now = Instant::now();
        let due = now >= self.look_at || self.waits.has_changed().unwrap_or_default();
        due.then(|| {
            self.look_at = now + LOOK_EVERY;
            *self.waits.borrow_and_update()
        })
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
            Ok(()) = self.waits.changed() => {
                self.waits.mark_changed();
                Ok(())
            }
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
        let waits = self.open().filter(|(_, table)| table.is_going()).map(|(_, table)| table.due);
        held.chain(waits).filter(|at| *at > now).fold(due, Instant::min)
    }
}
