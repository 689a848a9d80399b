//! What happens when the target refuses a merged slice because of a row: it is repeated unmerged
//! in source order, first at once, then change by change to find the one that is refused.
//!
//! Merging changes the order between keys, so a slice may be refused although the source's own
//! order passes (two unique values swapped by way of a third): then the unmerged repetition is
//! what is committed. The source may also have judged a constraint later than the target does: at
//! the end of a statement or of the transaction (PostgreSQL), or for a cascade that it logs before
//! the change that caused it (MySQL). So, change by change, one that a constraint refuses waits for
//! the others of its transaction, in order per key (`link/deferral.rs`); only what is refused
//! after them is poison. In a transaction of more than one slice it is carried into the next one.
//! Errors that end the whole transaction never come here.
//!
//! Poison is set aside with what follows it in its row, and the others go on; where the table's
//! `on_poison` does not let it, or the circuit breaker does not, the refused change is named. Changes
//! are tried in runs that halve where one is refused, so that one bad row among thousands is found in a
//! few steps. All of it happens within one target transaction.

use std::collections::HashSet;
use std::ops::Range;

use crate::error::{Error, Kind, Result};

use crate::config::OnPoison;
use crate::link::batch::{Aside, Batch};
use crate::link::breaker::Breaker;
use crate::link::deferral::{Deferral, Refused, Round};
use crate::link::letter::{Letter, LetterWork, Reason};
use crate::link::poison;
use crate::link::ports::{MissedKey, Slice, Target};
use crate::link::set_aside::Rows;
use crate::link::status::now_us;
use crate::link::steps::{self, Prepared};
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

/// Changes of one run at most.
const RUN_MAX: usize = 1024;

/// How a repetition ended.
pub(super) enum Replayed {
    /// It passed (and is committed, if `close` was given).
    Applied {
        /// Rows that are to be read again.
        missed: Vec<MissedKey>,
        /// What was done.
        steps: Vec<Step>,
        /// Every letter that was written.
        letters: Vec<Letter>,
        /// Changes that may pass with a later slice of their transaction, in order, with their numbers.
        carried: Vec<(Prepared, u64)>,
    },
    /// This change is refused in the source's own order too.
    Refused {
        /// Its index among the prepared changes.
        index: usize,
        /// The refusal, with table, key columns and place in the log.
        error: Error,
    },
    /// A constraint that is judged at the end refuses what the target transaction did; which change of
    /// it is not known.
    Together(Error),
}

/// A slice that was refused, and what it takes to repeat it.
pub(super) struct Isolation<'a> {
    pub(super) plan: &'a LinkPlan,
    pub(super) target: &'a mut dyn Target,
    pub(super) batch: &'a Batch,
    /// What is set aside, with what the batch sets aside already.
    pub(super) rows: &'a mut Rows,
    pub(super) breaker: &'a mut Breaker,
    /// For the hashes of secret values.
    pub(super) salt: &'a str,
    /// Whether every constraint of the whole transaction is judged at once.
    pub(super) strict: bool,
    /// Changes that may be carried into a later slice, at most.
    pub(super) carried_max: usize,
    /// As [`Slice::unnoted`].
    pub(super) unnoted: Vec<usize>,
}

impl Isolation<'_> {
    /// Repeats the slice. `open` is what it had: refused with it, the whole transaction is undone and
    /// is opened again here.
    pub(super) async fn replay(
        self,
        open: Option<&Witness>,
        close: Option<&Position>,
    ) -> Result<Replayed> {
        let batch = self.batch;
        let (all, emptied) = (steps::unmerged(self.plan, batch.prepared()), batch.emptied());
        let letters = batch.letters(Vec::new());
        let work = LetterWork { emptied: &emptied, new: &letters, ..LetterWork::default() };
        let (strict, flags) = (self.strict, batch.flags());
        let unnoted = &self.unnoted;
        let whole = Slice {
            open,
            steps: &all,
            unnoted,
            letters: work,
            flags: &flags,
            close,
            strict,
            ..Slice::default()
        };
        match self.target.apply(whole).await {
            Ok(applied) => {
                let (missed, carried) = (applied.missed, Vec::new());
                return Ok(Replayed::Applied { missed, steps: all, letters, carried });
            }
            Err(error) if error.is_about_a_row() => drop(all),
            Err(error) => return Err(error),
        }
        // What is put off to the end of the transaction would name no row. Earlier slices may wait for
        // rows that are yet to come: then nothing can be judged at once.
        let strict = Slice { open, strict: true, ..Slice::default() };
        match self.target.apply(strict).await {
            Err(error) if error.is_about_a_row() && open.is_none() => {}
            strict => drop(strict?),
        }
        let mut singly = Singly::new(self);
        if let Some((index, error)) = singly.all(close).await? {
            return Ok(Replayed::Refused { index, error });
        }
        singly.close(close, &emptied).await
    }
}

/// Applies changes in runs, each under a savepoint of the open transaction.
struct Singly<'a> {
    isolation: Isolation<'a>,
    missed: Vec<MissedKey>,
    steps: Vec<Step>,
    /// Changes that wait for later ones of their transaction.
    waiting: Deferral<'a>,
    /// Changes of the next run at most.
    run: usize,
    /// What is set aside here.
    asides: Vec<Aside>,
    /// Its rows.
    fresh: HashSet<(usize, String)>,
    /// What is left to a later slice.
    carried: Vec<usize>,
}

impl<'a> Singly<'a> {
    fn new(isolation: Isolation<'a>) -> Self {
        let run = isolation.batch.prepared().len().div_ceil(2).clamp(1, RUN_MAX);
        Singly {
            isolation,
            missed: Vec::new(),
            steps: Vec::new(),
            waiting: Deferral::default(),
            run,
            asides: Vec::new(),
            fresh: HashSet::new(),
            carried: Vec::new(),
        }
    }

    /// Applies every change, or sets it aside; gives one that is refused whatever the others did and
    /// cannot be set aside, with its refusal.
    async fn all(&mut self, close: Option<&Position>) -> Result<Option<(usize, Error)>> {
        let batch = self.isolation.batch;
        let ends: Vec<usize> = batch.transactions().map(|range| range.end).collect();
        let mut next = 0;
        for end in ends {
            while next < end {
                match self.onwards(next, end).await? {
                    Ok(done) => next = done,
                    Err(error) => return Ok(Some(self.locate(next, error, close))),
                }
            }
            while self.waiting.may_move() {
                self.round(Round::AtEnd).await?;
            }
            for refused in std::mem::take(&mut self.waiting).into_refusals() {
                let Refused { index, error, behind } = refused;
                let room = self.isolation.carried_max.saturating_sub(self.carried.len());
                if close.is_none() && behind.len() < room {
                    self.carried.extend([index].into_iter().chain(behind));
                    continue;
                }
                if let Err(error) = self.set_aside(index, error)? {
                    return Ok(Some(self.locate(index, error, close)));
                }
                for index in behind {
                    if let Err(error) = self.follow(index)? {
                        return Ok(Some(self.locate(index, error, close)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Brings the change at `next`, and perhaps some after it, to where it goes. `end` is that of its
    /// transaction. Gives the next index, or why the link halts.
    async fn onwards(&mut self, next: usize, end: usize) -> Result<Result<usize, Error>> {
        let (plan, batch) = (self.isolation.plan, self.isolation.batch);
        let Some(change) = batch.prepared().get(next) else { return Ok(Ok(end)) };
        if self.is_behind(next) {
            return Ok(self.follow(next)?.map(|()| next + 1));
        }
        if change.verb() == Verb::Truncate {
            // What waits in its table would go with all other rows.
            self.waiting.forget(change.table);
        }
        if self.waiting.must_wait(plan, change) {
            self.waiting.queue(plan, next, change);
            return Ok(Ok(next + 1));
        }
        if self.waiting.is_held(plan, change) {
            self.waiting.hold(plan, next, change);
            return Ok(Ok(next + 1));
        }
        let run = self.run_from(next, end);
        match self.apply(run.clone()).await? {
            None => {
                self.run = self.run.saturating_mul(2).min(RUN_MAX);
                self.passed(run.clone()).await?;
                Ok(Ok(run.end))
            }
            Some(_) if run.len() > 1 => {
                self.run = run.len() / 2;
                Ok(Ok(next))
            }
            Some(error) if Deferral::may_pass(change, &error) => {
                self.waiting.begin(plan, next, change, error);
                Ok(Ok(next + 1))
            }
            Some(error) => Ok(self.set_aside(next, error)?.map(|()| next + 1)),
        }
    }

    /// The changes from `next` on that are tried together: beyond the transaction only where nothing
    /// of it waits.
    fn run_from(&self, next: usize, end: usize) -> Range<usize> {
        let (plan, prepared) = (self.isolation.plan, self.isolation.batch.prepared());
        let waits = !self.waiting.is_empty();
        let limit = if waits { end } else { prepared.len() };
        let mut last = next + 1;
        while last < limit.min(next + self.run) {
            let Some(change) = prepared.get(last) else { break };
            let after_rekey =
                waits && prepared.get(last - 1).is_some_and(|one| one.verb() == Verb::Rekey);
            if after_rekey
                || self.is_behind(last)
                || self.waiting.must_wait(plan, change)
                || self.waiting.is_held(plan, change)
                || waits && change.verb() == Verb::Truncate
            {
                break;
            }
            last += 1;
        }
        next..last
    }

    /// After a run: its key changes may let rows in that wait, and its truncates end letters.
    async fn passed(&mut self, run: Range<usize>) -> Result<()> {
        let batch = self.isolation.batch;
        for (index, change) in batch.prepared().iter().enumerate().take(run.end).skip(run.start) {
            match change.verb() {
                Verb::Truncate => {
                    self.asides
                        .retain(|aside| aside.letter.table != change.table || aside.at > index);
                    self.forget(change.table);
                }
                Verb::Rekey if !self.waiting.is_empty() => {
                    self.round(Round::After(change.table)).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// All rows of a table went, and with them what was set aside here.
    fn forget(&mut self, table: usize) {
        let known = self.fresh.len();
        self.fresh.retain(|(other, _)| *other != table);
        if self.fresh.len() < known {
            let later = self.isolation.batch.asides_left(table).map(|aside| &aside.letter);
            self.isolation.rows.empty_before(table, later, now_us());
        }
    }

    /// Tries what waits once: at the end of the transaction, and after a key change, whose cascades
    /// may stand before it in the log and must be in before the key changes again.
    async fn round(&mut self, round: Round) -> Result<()> {
        for place in self.waiting.next_round(self.isolation.plan, round) {
            let mut next = self.waiting.front(place);
            while let Some(index) = next.take() {
                match self.apply(index..index + 1).await? {
                    None => next = self.waiting.passed(place),
                    Some(error) => self.waiting.refused(place, error),
                }
            }
        }
        Ok(())
    }

    /// Applies a run of changes; gives the refusal, if it is about a row.
    async fn apply(&mut self, run: Range<usize>) -> Result<Option<Error>> {
        let prepared = self.isolation.batch.prepared();
        let run = steps::unmerged(self.isolation.plan, prepared.get(run).unwrap_or_default());
        if run.is_empty() {
            return Ok(None);
        }
        let unnoted = &self.isolation.unnoted;
        let slice = Slice { steps: &run, unnoted, ..Slice::default() };
        match self.isolation.target.apply(slice).await {
            Ok(applied) => {
                self.missed.extend(applied.missed);
                self.steps.extend(run);
                Ok(None)
            }
            Err(error) if error.is_about_a_row() => {
                tracing::debug!(?run, "refused changes");
                Ok(Some(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a change comes after one of its row that is set aside here.
    fn is_behind(&self, index: usize) -> bool {
        if self.fresh.is_empty() {
            return false;
        }
        let plan = self.isolation.plan;
        let Some(change) = self.isolation.batch.prepared().get(index) else { return false };
        let names = poison::names(plan, change);
        names.into_iter().any(|row| self.fresh.contains(&(change.table, row)))
    }

    /// Sets a change aside that follows another one of its row.
    fn follow(&mut self, index: usize) -> Result<Result<(), Error>> {
        self.put(index, poison::behind(), Reason::behind())
    }

    /// Sets a refused change aside; gives the refusal back where the link is to halt instead.
    fn set_aside(&mut self, index: usize, error: Error) -> Result<Result<(), Error>> {
        let Isolation { plan, batch, .. } = self.isolation;
        let change = batch.prepared().get(index);
        let table = change.and_then(|change| plan.tables.get(change.table));
        let parks = table.is_some_and(|table| table.on_poison == OnPoison::Park)
            && change.is_some_and(|change| change.verb() != Verb::Truncate);
        if !parks {
            return Ok(Err(error));
        }
        let reason = Reason::of(&error);
        self.put(index, error, reason)
    }

    fn put(&mut self, index: usize, error: Error, reason: Reason) -> Result<Result<(), Error>> {
        let Isolation { plan, batch, salt, .. } = self.isolation;
        let Some(change) = batch.prepared().get(index) else { return Ok(Ok(())) };
        let Some(mut letter) = poison::letter(plan, change, reason, salt) else {
            // The row of a note is read again when its letters end.
            return Ok(if change.verb() == Verb::Note { Ok(()) } else { Err(error) });
        };
        let origin = batch.origin(index);
        (letter.position, letter.ordinal) = (origin.position, origin.ordinal);
        let (rows, breaker) = (&mut *self.isolation.rows, &mut *self.isolation.breaker);
        if let Err(tripped) = poison::admit(rows, breaker, &mut letter, error) {
            return Ok(Err(tripped));
        }
        let names = [Some(letter.row.clone()), letter.old_row.clone()].into_iter().flatten();
        self.fresh.extend(names.map(|row| (letter.table, row)));
        self.asides.push(Aside::new(letter, index, None));
        Ok(Ok(()))
    }

    /// Writes the letters and the records of flagged writes, and commits if `close` is given.
    async fn close(mut self, close: Option<&Position>, emptied: &[usize]) -> Result<Replayed> {
        let batch = self.isolation.batch;
        let letters = batch.letters(self.asides);
        let work = LetterWork { emptied, new: &letters, ..LetterWork::default() };
        let flags = batch.flags();
        let slice = Slice { letters: work, flags: &flags, close, ..Slice::default() };
        match self.isolation.target.apply(slice).await {
            Ok(applied) => {
                self.missed.extend(applied.missed);
                self.carried.sort_unstable();
                let carried = self.carried.into_iter().filter_map(|index| {
                    let change = batch.prepared().get(index)?.clone();
                    Some((change, batch.origin(index).ordinal))
                });
                let carried = carried.collect();
                let (missed, steps) = (self.missed, self.steps);
                Ok(Replayed::Applied { missed, steps, letters, carried })
            }
            Err(error) if error.is_about_a_row() => {
                let places = places(batch, 0..batch.prepared().len());
                let context = format!("changes {places} together, at their commit");
                Ok(Replayed::Together(error.within(context)))
            }
            Err(error) => Err(error),
        }
    }

    /// A refusal with its place in the log and the way on.
    fn locate(&self, index: usize, error: Error, close: Option<&Position>) -> (usize, Error) {
        let Isolation { plan, batch, .. } = self.isolation;
        let mut error = locate(plan, batch, index, error);
        let constraint = matches!(error.kind(), Kind::Constraint | Kind::ForeignKey);
        if constraint && let Some(hint) = way_on(plan, batch, index, close) {
            error = error.hint(hint);
        }
        (index, error)
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
