//! What the apply task tells: status, observer, log, and the progress that is to be made durable.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::LinkName;
use crate::error::Error;
use crate::link::batch::Batch;
use crate::link::copying::{Copying, Standing};
use crate::link::flag::{FlagRecord, kind_name};
use crate::link::ledger::Progress;
use crate::link::letter::{BEHIND, Letter};
use crate::link::notes::OpenNotes;
use crate::link::observer::{BatchReport, Observer, RowCount, RuleCount};
use crate::link::status::{Board, SetAside, now_us};
use crate::model::{Step, Verb, Witness};
use crate::plan::{ColumnPlan, LinkPlan};
use crate::position::Position;
use crate::transform::rules::{Outcome, Outcomes};

/// The apply task's voice.
pub(super) struct Report {
    link: LinkName,
    observer: Arc<dyn Observer>,
    board: Board,
    progress: watch::Sender<Progress>,
    rows: Vec<RowCount>,
    began: Instant,
    /// What was told last of rows that are read again.
    settled: Option<(Option<Position>, bool)>,
    /// When copies were told of last, and where each stood.
    copies: Option<(Instant, Vec<Standing>)>,
    plan: Arc<LinkPlan>,
}

impl Report {
    /// Tells of `link`, which goes by `plan`; `progress` goes to the settling task.
    pub(super) fn new(
        link: LinkName,
        plan: Arc<LinkPlan>,
        observer: Arc<dyn Observer>,
        board: Board,
        progress: watch::Sender<Progress>,
    ) -> Self {
        let (rows, began) = (Vec::new(), Instant::now());
        let (settled, copies) = (None, None);
        let mut report =
            Report { link, observer, board, progress, rows, began, settled, copies, plan };
        // Notes of an earlier run may be open: not until they are read is everything there.
        report.settled(None, false);
        report
    }

    /// What validations did to values that are committed.
    pub(super) fn ruled(&self, outcomes: &Outcomes) {
        let count = |(place, values): (&(usize, usize, usize, Outcome), &u64)| {
            let (table, column, number, outcome) = place;
            let table = self.plan.tables.get(*table)?;
            let column: &ColumnPlan = table.columns.get(*column)?;
            Some(RuleCount {
                table: table.source.name.clone(),
                column: table.source.columns.get(column.source)?.name.clone(),
                rule: format!("{number} validate"),
                outcome: outcome.name(),
                values: *values,
            })
        };
        let counts: Vec<_> = outcomes.0.iter().filter_map(count).collect();
        if !counts.is_empty() {
            self.observer.ruled(&self.link, &counts);
        }
    }

    /// A batch begins; its oldest commit is not later than now.
    pub(super) fn begin(&mut self, commit_time_us: Option<i64>) {
        self.began = Instant::now();
        self.rows.clear();
        self.unapplied(commit_time_us.unwrap_or_else(now_us));
    }

    /// The oldest transaction received and not applied was committed at `time_us`.
    pub(super) fn unapplied(&self, time_us: i64) {
        self.board.update(|status| status.lag.unapplied(time_us, now_us()));
    }

    /// Progress without changes, past source transactions of which the newest was committed at
    /// `newest_us`.
    pub(super) fn seen(&self, position: &Position, newest_us: Option<i64>, queue_is_empty: bool) {
        self.board.update(|status| {
            status.reached(position.clone());
            status.lag.reached(newest_us, now_us());
            if queue_is_empty {
                status.lag.oldest_unapplied_us = None;
            }
        });
    }

    /// Steps that were executed.
    pub(super) fn steps(&mut self, plan: &LinkPlan, steps: &[Step]) {
        for step in steps {
            let Some(table) = plan.tables.get(step.table) else { continue };
            if step.verb == Verb::Note {
                continue;
            }
            let rows = if step.verb == Verb::Truncate { 1 } else { step.rows.len() as u64 };
            let known = self
                .rows
                .iter_mut()
                .find(|count| count.verb == step.verb && count.table == table.source.name);
            match known {
                Some(count) => count.rows += rows,
                None => self.rows.push(RowCount {
                    table: table.source.name.clone(),
                    verb: step.verb,
                    rows,
                }),
            }
        }
    }

    /// A batch is committed; the newest of its transactions was at the source at `newest_us`.
    pub(super) fn committed(
        &mut self,
        batch: &Batch,
        newest_us: Option<i64>,
        queue_is_empty: bool,
        witness: &Witness,
    ) {
        let now = now_us();
        let latency = |at: &i64| {
            Duration::from_micros(u64::try_from(now.saturating_sub(*at)).unwrap_or_default())
        };
        let report = BatchReport {
            transactions: batch.committed_us.len() as u64,
            changes: batch.changes,
            rows: std::mem::take(&mut self.rows),
            elapsed: self.began.elapsed(),
            latencies: batch.committed_us.iter().map(latency).collect(),
        };
        self.observer.applied(&self.link, &report);
        self.ruled(&batch.outcomes);
        let rows: u64 = report.rows.iter().map(|count| count.rows).sum();
        tracing::debug!(
            link = %self.link,
            position = %witness.position,
            transactions = report.transactions,
            changes = report.changes,
            rows,
            elapsed_us = report.elapsed.as_micros() as u64,
            "committed"
        );
        self.board.update(|status| {
            status.counters.transactions += report.transactions;
            status.counters.changes += report.changes;
            status.counters.rows += rows;
            status.counters.batches += 1;
            status.lag.last_applied_us = newest_us.or(status.lag.last_applied_us);
            // What is queued was committed after it.
            status.lag.oldest_unapplied_us = newest_us.filter(|_| !queue_is_empty);
            status.lag.reached(newest_us, now);
        });
        self.moved(witness);
    }

    /// The witness moved.
    pub(super) fn moved(&self, witness: &Witness) {
        let mut applied_us = None;
        self.board.update(|status| {
            status.applied = Some(witness.position.clone());
            status.reached(witness.position.clone());
            status.seq = Some(witness.seq);
            applied_us = status.lag.last_applied_us;
        });
        self.progress.send_replace(Progress::of(witness, applied_us));
    }

    /// How far the stream is behind.
    pub(super) fn lag(&self) -> Duration {
        let seconds = self.board.lag_seconds().unwrap_or_default();
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default()
    }

    /// How far copies are: told a few times a second, and at once where one comes to stand elsewhere, so
    /// that nobody takes one for done that has begun.
    pub(super) fn copies(&mut self, copying: &Copying) {
        const EVERY: Duration = Duration::from_millis(250);
        let is_told = self.copies.as_ref().is_some_and(|(at, told)| {
            at.elapsed() < EVERY && copying.standings().eq(told.iter().copied())
        });
        if is_told {
            return;
        }
        self.copies = Some((Instant::now(), copying.standings().collect()));
        let copies = copying.status(self.lag());
        self.board.update(|status| status.copies = copies);
    }

    /// What had been asked of copies when the source's head was asked for the `asked`th time is taken up.
    pub(super) fn took_orders(&self, asked: u64) {
        self.board.update(|status| status.orders_taken = status.orders_taken.max(asked));
    }

    /// A merged slice was refused; what happens next is in the log only.
    pub(super) fn refused(&self, error: &Error) {
        tracing::warn!(
            link = %self.link,
            error = error.chain(),
            "the target refused a merged batch; repeating it in the source's order"
        );
    }

    /// Writes of databases that are not the owner were recorded.
    pub(super) fn flagged(&self, plan: &LinkPlan, flags: &[FlagRecord]) {
        let mut counts: BTreeMap<(usize, &'static str), u64> = BTreeMap::new();
        for flag in flags {
            *counts.entry((flag.table, kind_name(flag.flag))).or_default() += 1;
        }
        for ((table, kind), writes) in counts {
            let Some(table) = plan.tables.get(table) else { continue };
            let table = &table.source.name;
            self.observer.flagged(&self.link, table, kind, writes);
            self.board.update(|status| {
                status.counters.flagged += writes;
                status.flagged_us = Some(now_us());
            });
            tracing::warn!(
                link = %self.link,
                %table,
                kind,
                writes,
                "a database that is not the owner wrote; `weir flagged list` shows what"
            );
        }
    }

    /// What weir had passed on caused something again where it was written.
    pub(super) fn looped(&self) {
        self.board.update(|status| status.counters.looped += 1);
    }

    /// Changes were set aside, and so many rows are now.
    pub(super) fn set_aside(&self, plan: &LinkPlan, letters: &[Letter], now: SetAside) {
        if letters.is_empty() {
            return;
        }
        self.observer.set_aside(&self.link, letters.len() as u64);
        self.board.update(|status| status.counters.dead_letters += letters.len() as u64);
        for letter in letters.iter().filter(|letter| letter.reason.kind != BEHIND) {
            let table = plan.tables.get(letter.table);
            tracing::warn!(
                link = %self.link,
                table = table.map(|table| table.source.name.to_string()).unwrap_or_default(),
                operation = letter.operation.name(),
                kind = letter.reason.kind,
                error = letter.reason.text,
                hint = letter.reason.hint,
                rows = now.rows,
                "a change is set aside; others go on"
            );
        }
        self.rows_set_aside(now);
    }

    /// So many rows are set aside.
    pub(super) fn rows_set_aside(&self, now: SetAside) {
        self.board.update(|status| status.set_aside = now);
    }

    /// Rows that were set aside are as they are at the source.
    pub(super) fn taken_back(&self, rows: u64, now: SetAside, witness: &Witness) {
        tracing::info!(
            link = %self.link,
            rows,
            left = now.rows,
            "rows that were set aside are as at the source"
        );
        self.rows_set_aside(now);
        self.moved(witness);
    }

    /// Up to where no row is missing; `done`: up to everything that is seen.
    pub(super) fn settled(&mut self, position: Option<&Position>, done: bool) {
        // What is seen tells it then.
        let position = position.filter(|_| !done);
        if self.settled.as_ref().is_some_and(|(at, was)| at.as_ref() == position && *was == done) {
            return;
        }
        self.settled = Some((position.cloned(), done));
        self.board.update(|status| {
            let goes_on = status.refetching && status.settled.as_ref() == position;
            let since_us = status.noted_since_us.filter(|_| goes_on).unwrap_or_else(now_us);
            status.noted_since_us = (!done).then_some(since_us);
            status.refetching = !done;
            status.settled = position.cloned();
        });
    }

    /// Rows are to be read again. Told before the commit that leaves them out.
    pub(super) fn noted(&mut self, notes: OpenNotes) {
        let known = self.settled.take().and_then(|(position, _)| position);
        self.settled(known.as_ref(), false);
        let OpenNotes { missed, partial } = notes;
        self.observer.missed(&self.link, missed);
        self.observer.partial(&self.link, partial);
        self.board.update(|status| {
            status.counters.missed += missed;
            status.counters.partial += partial;
            let open = status.open_notes.unwrap_or_default();
            status.open_notes = Some(open.with(notes, u64::saturating_add));
        });
        if missed > 0 {
            tracing::info!(link = %self.link, rows = missed, "updates found no row; reading them again");
        }
        tracing::debug!(link = %self.link, rows = partial, "rows came in part; reading them again");
    }

    /// Rows were read again, and written or found gone.
    pub(super) fn refetched(&mut self, notes: OpenNotes, witness: &Witness) {
        self.rows.clear();
        self.observer.refetched(&self.link, notes.missed + notes.partial);
        self.board.update(|status| {
            status.counters.refetched += notes.missed + notes.partial;
            status.open_notes = status.open_notes.map(|open| open.with(notes, u64::saturating_sub));
        });
        self.moved(witness);
    }

    /// The open notes were read; `all` unless there may be more.
    pub(super) fn open_notes(&self, found: OpenNotes, all: bool) {
        self.board.update(|status| {
            let known = status.open_notes.filter(|_| !all).unwrap_or_default();
            status.open_notes = Some(known.with(found, u64::max));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::observer::Unobserved;
    use crate::plan::fixtures::plan_of;
    use crate::position::Lsn;

    fn witness() -> Witness {
        Witness {
            name: "n".to_owned(),
            link: "a:b".to_owned(),
            part: 0,
            installation: String::new(),
            seq: 7,
            position: Position::Postgres(Lsn(7)),
            restart: None,
            hops: 0,
            pending: None,
            source_identity: String::new(),
            target_identity: String::new(),
        }
    }

    /// Broken if an empty queue were taken for a source that has nothing more, or the checkpoint did
    /// not hold the time of a commit.
    #[test]
    fn an_empty_queue_is_not_the_end_of_the_log() {
        let (board, status) = Board::new();
        let (progress, recorded) = watch::channel(Progress {
            seq: 1,
            position: Position::Postgres(Lsn(1)),
            applied_us: None,
        });
        let link = LinkName { source: "a".to_owned(), target: "b".to_owned() };
        let mut report =
            Report::new(link, Arc::new(plan_of(&["id"])), Arc::new(Unobserved), board, progress);
        report.seen(&Position::Postgres(Lsn(2)), None, true);
        assert_eq!(status.borrow().lag.caught_up_at_us, None, "a keep-alive");
        report.seen(&Position::Postgres(Lsn(3)), Some(5), true);
        assert_eq!(status.borrow().lag.caught_up_at_us, Some(5));
        report.begin(Some(6));
        report.committed(&Batch::default(), Some(6), true, &witness());
        let lag = status.borrow().lag;
        assert_eq!((lag.caught_up_at_us, lag.oldest_unapplied_us), (Some(6), None));
        assert_eq!(recorded.borrow().applied_us, Some(6));
    }
}
