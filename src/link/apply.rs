//! The apply task of a link: forms batches from the queue and commits them with the witness.
//!
//! A batch is whatever is queued now, up to the limits, and ends at a source commit; a larger
//! transaction goes in slices into one open target transaction, so memory stays flat and nothing
//! is split over commits. Every commit moves the witness (compare-and-swap, DESIGN §4 invariant 2);
//! progress without changes is written on a timer only. Refetched rows go in between batches.
//! Dropping the task at any point loses nothing: an open transaction is rolled back by the server.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::ApplyOptions;
use crate::error::{Error, Kind, Result};
use crate::link::batch::Batch;
use crate::link::breaker::Breaker;
use crate::link::copying::Copying;
use crate::link::isolate::{Isolation, Replayed};
use crate::link::letter::LetterWork;
use crate::link::notes::OpenNotes;
use crate::link::ports::{MissedKey, Slice, Target};
use crate::link::queue::{PartReceiver, Queued};
use crate::link::refetch::Refetch;
use crate::link::report::Report;
use crate::link::retry::Look;
use crate::link::set_aside::Rows;
use crate::link::steps;
use crate::model::Witness;
use crate::plan::LinkPlan;
use crate::position::Position;

/// Why the apply task ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// The capture has ended, and all it handed on is applied.
    SourceEnded,
    /// The capture has ended in the middle of a transaction, of which nothing is kept.
    CutOff,
    /// What was queued when the stop was asked for is applied.
    Drained,
    /// The position that was the source's head at the start is applied.
    CaughtUp,
    /// A person asks for rows that are set aside, and may have altered the target for them: both ends
    /// are to be connected anew.
    Anew,
    /// A large transaction is refused as a whole by a constraint that was put off to its end: it is to
    /// be applied once more, with every constraint judged at once.
    Strictly,
}

/// How a target transaction came to its end.
enum Taken {
    /// Of so many parts.
    Parts(usize),
    /// The capture ended before the source's commit came.
    CutOff,
}

/// Everything the apply task owns.
pub(super) struct Applier {
    pub(super) plan: Arc<LinkPlan>,
    pub(super) options: ApplyOptions,
    pub(super) target: Box<dyn Target>,
    pub(super) parts: PartReceiver,
    /// Taken from there, and not to be in one target transaction with what came before it.
    pub(super) kept: Option<Queued>,
    /// As stored in the target.
    pub(super) witness: Witness,
    /// Everything up to here is applied; beyond the witness only without changes.
    pub(super) seen: Position,
    pub(super) refetch: Refetch,
    pub(super) copying: Copying,
    /// What is set aside, changes that are taken and not yet applied included.
    pub(super) rows: Rows,
    pub(super) breaker: Breaker,
    pub(super) report: Report,
    /// Judge every constraint of the next large transaction at once.
    pub(super) strict: bool,
    /// That is needed.
    pub(super) strictly: bool,
    /// Stop when this is reached.
    pub(super) until: Option<Position>,
    /// Stop when what is queued is applied.
    pub(super) drain: CancellationToken,
    /// When the witness was written last.
    pub(super) written_at: Instant,
}

impl Applier {
    /// Ends the apply task's part of everything but the queue, which stays open.
    pub(super) fn into_queue(self) -> PartReceiver {
        self.parts
    }

    /// Applies until an error, or until there is a reason to finish.
    pub(super) async fn run(&mut self) -> Result<Finish> {
        let mut draining: Option<usize> = None;
        loop {
            if self.reread_between_batches().await? == Look::Asked {
                self.write_progress().await?;
                return Ok(Finish::Anew);
            }
            self.copy_between_batches().await?;
            self.report.settled(self.refetch.settled(&self.seen), self.refetch.is_done());
            if let Some(finish) = self.finished(draining) {
                // Nobody is told that all is done who has just asked for a copy.
                if finish == Finish::CaughtUp && self.take_orders().await? {
                    continue;
                }
                self.write_progress().await?;
                return Ok(finish);
            }
            let drain = self.drain.clone();
            let (progress_due, lag) = (self.progress_due(), self.report.lag());
            let holds = self.refetch.holds() || self.copying.holds();
            tokio::select! {
                biased;
                () = drain.cancelled(), if draining.is_none() => {
                    draining = Some(self.parts.len());
                }
                part = self.parts.receive(), if !holds => match part {
                    Some(part) => match self.transactions(part).await {
                        Ok(Taken::Parts(taken)) => {
                            draining = draining.map(|left| left.saturating_sub(taken));
                        }
                        Ok(Taken::CutOff) => return Ok(Finish::CutOff),
                        Err(_) if self.strictly => return Ok(Finish::Strictly),
                        Err(error) => return Err(error),
                    },
                    None => {
                        self.write_progress().await?;
                        return Ok(Finish::SourceEnded);
                    }
                },
                woken = self.refetch.wake() => woken?,
                woken = self.copying.wake(lag) => woken?,
                () = tokio::time::sleep_until(progress_due), if self.seen != self.witness.position => {
                    self.write_progress().await?;
                }
            }
        }
    }

    fn finished(&self, draining: Option<usize>) -> Option<Finish> {
        let settled = self.refetch.settled(&self.seen);
        let reached = |until: &Position| settled.is_some_and(|settled| settled.reaches(until));
        let busy = self.refetch.is_retrying() || !self.copying.is_over();
        if self.until.as_ref().is_some_and(reached) && !busy {
            return Some(Finish::CaughtUp);
        }
        (draining == Some(0)).then_some(Finish::Drained)
    }

    fn progress_due(&self) -> Instant {
        self.written_at + self.options.idle_witness_every.max(Duration::from_millis(100))
    }

    /// A target transaction, and those after it that had to be others.
    async fn transactions(&mut self, first: Queued) -> Result<Taken> {
        let (mut taken, mut next) = (0, Some(first));
        while let Some(first) = next {
            match self.transaction(first).await? {
                Taken::Parts(more) => taken += more,
                Taken::CutOff => return Ok(Taken::CutOff),
            }
            next = self.kept.take();
        }
        Ok(Taken::Parts(taken))
    }

    /// What was passed on so often is in no target transaction with what was not: keeps a part for the next
    /// one where a transaction begins, and commits those before it where one goes on.
    async fn set_apart(&mut self, batch: &mut Batch, queued: Queued) -> Result<Option<Queued>> {
        let Some(hops) = self.hops(&queued.part) else { return Ok(Some(queued)) };
        if batch.is_apart_from(hops) {
            if batch.at_commit() {
                self.kept = Some(queued);
                return Ok(None);
            }
            if let Some(whole) = batch.split_whole() {
                self.close(whole).await?;
                self.sift(batch)?;
            }
        }
        batch.pass_on(hops);
        Ok(Some(queued))
    }

    /// One target transaction's worth of parts, from `first` on; how many parts it took.
    async fn transaction(&mut self, first: Queued) -> Result<Taken> {
        let mut batch = Batch::default();
        let mut taken = 1;
        let mut next = Some(first);
        loop {
            if let Some(queued) = next.take() {
                let Some(queued) = self.set_apart(&mut batch, queued).await? else {
                    self.close(batch).await?;
                    return Ok(Taken::Parts(taken - 1));
                };
                if let Err(error) = self.take(&mut batch, queued.part) {
                    return Err(self.stop_before(batch, error).await);
                }
            }
            let full = batch.is_full(self.options.batch_rows_max, self.options.batch_bytes_max);
            let ends = batch.at_commit() && (batch.sliced || self.is_awaited(&batch));
            if !full
                && !ends
                && let Some(queued) = self.parts.receive_now()
            {
                (next, taken) = (Some(queued), taken + 1);
                continue;
            }
            if batch.at_commit() {
                self.close(batch).await?;
                return Ok(Taken::Parts(taken));
            }
            if full {
                match batch.split_whole() {
                    // A large transaction begins: it does not hold up those before it.
                    Some(whole) => {
                        self.close(whole).await?;
                        self.sift(&mut batch)?;
                        self.report.begin(None);
                    }
                    None => self.slice(&mut batch, None).await?,
                }
            }
            let Some(queued) = self.parts.receive().await else {
                self.target.rollback().await?;
                return Ok(Taken::CutOff);
            };
            (next, taken) = (Some(queued), taken + 1);
        }
    }

    /// Whether rows that were read beside the stream are to be written after this batch as it is.
    fn is_awaited(&self, batch: &Batch) -> bool {
        let awaits = |at: &Position| self.refetch.awaits(at) || self.copying.awaits(at);
        batch.last_commit().is_some_and(|commit| awaits(&commit.position))
    }

    /// Applies the last slice and commits, or only notes the progress if nothing is to be written.
    async fn close(&mut self, mut batch: Batch) -> Result<()> {
        let Some(commit) = batch.last_commit().cloned() else {
            return Err(Error::new(Kind::Internal, "a batch ended without a commit"));
        };
        let newest_us = batch.newest_us();
        if batch.is_empty() && !batch.sliced {
            self.refetch.handed_on(batch.xids());
            if commit.position.reaches(&self.seen) {
                self.seen = commit.position;
            }
            self.report.seen(&self.seen, newest_us, self.parts.is_empty());
            return Ok(());
        }
        if !commit.position.reaches(&self.seen) {
            return Err(Error::new(
                Kind::Internal,
                format!("the log went back: {} after {}", commit.position, self.seen),
            ));
        }
        let sliced = batch.sliced;
        self.slice(&mut batch, Some(&commit.position)).await?;
        self.strict &= !sliced;
        self.committed(commit.position);
        self.report.committed(&batch, newest_us, self.parts.is_empty(), &self.witness);
        Ok(())
    }

    /// Applies what is in the batch as one slice of its target transaction.
    async fn slice(&mut self, batch: &mut Batch, close: Option<&Position>) -> Result<()> {
        self.refetch.handed_on(batch.xids());
        if let Some(oldest_us) = batch.oldest_us() {
            self.report.unapplied(oldest_us);
        }
        self.refetch.changing(&self.plan, batch);
        self.copying.changing(&self.plan, batch);
        let steps = steps::merge(&self.plan, batch.prepared());
        if !batch.sliced {
            self.witness.hops = batch.hops();
        }
        let flags = batch.flags();
        let open = (!batch.sliced).then_some(&self.witness);
        let (letters, emptied) = (batch.letters(Vec::new()), batch.emptied());
        let work = LetterWork { emptied: &emptied, new: &letters, ..LetterWork::default() };
        let strict = self.strict && open.is_some();
        let unnoted = self.copying.unnoted();
        let slice = Slice {
            open,
            steps: &steps,
            unnoted: &unnoted,
            letters: work,
            flags: &flags,
            close,
            strict,
            ..Slice::default()
        };
        let applied = match self.target.apply(slice).await {
            Ok(applied) => applied,
            Err(error) if error.is_about_a_row() => {
                self.report.refused(&error);
                drop(steps);
                return self.replay(batch, close).await;
            }
            Err(error) => return Err(error),
        };
        self.report.steps(&self.plan, &steps);
        self.noted(&applied.missed);
        self.report.set_aside(&self.plan, &letters, self.rows.status());
        self.report.flagged(&self.plan, &flags);
        batch.slice_applied();
        Ok(())
    }

    /// The merged slice was refused and undone: unmerged in source order it may pass; if not, the
    /// refused row is found, whole transactions before it are committed, and it is named.
    async fn replay(&mut self, batch: &mut Batch, close: Option<&Position>) -> Result<()> {
        let open = (!batch.sliced).then_some(self.witness.clone());
        match self.isolation(batch).replay(open.as_ref(), close).await? {
            Replayed::Applied { missed, steps, letters, carried } => {
                self.report.steps(&self.plan, &steps);
                self.noted(&missed);
                self.report.set_aside(&self.plan, &letters, self.rows.status());
                self.report.flagged(&self.plan, &batch.flags());
                batch.slice_applied();
                batch.carry(carried);
                Ok(())
            }
            Replayed::Refused { index, error } => {
                self.target.rollback().await?;
                let whole = std::mem::take(batch).whole_before(index);
                if let Some(whole) = whole {
                    self.close_quietly(whole).await?;
                }
                self.recall_letters().await?;
                Err(error)
            }
            Replayed::Together(error) => {
                self.target.rollback().await?;
                self.strictly = batch.sliced && !self.strict;
                Err(error)
            }
        }
    }

    fn isolation<'a>(&'a mut self, batch: &'a Batch) -> Isolation<'a> {
        Isolation {
            plan: &self.plan,
            target: self.target.as_mut(),
            batch,
            rows: &mut self.rows,
            breaker: &mut self.breaker,
            salt: &self.witness.installation,
            strict: self.strict,
            carried_max: self.options.batch_rows_max / 2,
            unnoted: self.copying.unnoted(),
        }
    }

    /// Before a change that cannot be prepared stops the link: whole transactions before it go on.
    async fn stop_before(&mut self, batch: Batch, error: Error) -> Error {
        match self.go_back(batch).await {
            Ok(()) => error,
            Err(other) => other,
        }
    }

    /// Commits the whole transactions of a batch; the open one is undone.
    async fn go_back(&mut self, batch: Batch) -> Result<()> {
        let end = batch.prepared().len();
        if batch.sliced {
            self.target.rollback().await?;
        } else if let Some(whole) = batch.whole_before(end) {
            self.close_quietly(whole).await?;
        }
        self.recall_letters().await
    }

    /// What was to be set aside may have been undone: the target knows what is.
    async fn recall_letters(&mut self) -> Result<()> {
        if !self.rows.is_empty() {
            self.rows = Rows::of(&self.target.letters().await?);
            self.report.rows_set_aside(self.rows.status());
        }
        Ok(())
    }

    /// Commits whole transactions in the source's order; a refusal among them is located too.
    async fn close_quietly(&mut self, batch: Batch) -> Result<()> {
        let Some(commit) = batch.last_commit().cloned() else { return Ok(()) };
        self.refetch.changing(&self.plan, &batch);
        self.copying.changing(&self.plan, &batch);
        self.witness.hops = batch.hops();
        let open = self.witness.clone();
        match self.isolation(&batch).replay(Some(&open), Some(&commit.position)).await? {
            Replayed::Applied { missed, steps, letters, .. } => {
                self.noted(&missed);
                self.report.steps(&self.plan, &steps);
                self.report.set_aside(&self.plan, &letters, self.rows.status());
                self.report.flagged(&self.plan, &batch.flags());
            }
            Replayed::Refused { error, .. } | Replayed::Together(error) => {
                self.target.rollback().await?;
                return Err(error);
            }
        }
        self.committed(commit.position);
        self.report.committed(&batch, batch.newest_us(), false, &self.witness);
        Ok(())
    }

    /// Writes the witness where it is behind what was seen.
    async fn write_progress(&mut self) -> Result<()> {
        if self.seen == self.witness.position {
            return Ok(());
        }
        let seen = self.seen.clone();
        let slice = Slice { open: Some(&self.witness), close: Some(&seen), ..Slice::default() };
        self.target.apply(slice).await?;
        self.committed(seen);
        self.report.moved(&self.witness);
        Ok(())
    }

    pub(super) fn committed(&mut self, position: Position) {
        self.witness.seq += 1;
        self.witness.hops = 0;
        self.witness.position = position.clone();
        self.seen = position;
        self.written_at = Instant::now();
    }

    pub(super) fn noted(&mut self, missed: &[MissedKey]) {
        if !missed.is_empty() {
            self.refetch.notes_were_made();
            self.report.noted(OpenNotes::of(missed.iter()));
        }
    }
}
