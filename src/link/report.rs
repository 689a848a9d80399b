//! What the apply task tells: status, observer, log, and the progress that is to be made durable.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::LinkName;
use crate::error::Error;
use crate::link::batch::Batch;
use crate::link::ledger::Progress;
use crate::link::observer::{BatchReport, Observer, RowCount};
use crate::link::status::{Board, now_us};
use crate::model::{Step, Verb, Witness};
use crate::plan::LinkPlan;
use crate::position::Position;

/// The apply task's voice.
pub(super) struct Report {
    link: LinkName,
    observer: Arc<dyn Observer>,
    board: Board,
    progress: watch::Sender<Progress>,
    rows: Vec<RowCount>,
    began: Instant,
    refetching: Option<bool>,
}

impl Report {
    /// Tells of `link`; `progress` goes to the settling task.
    pub(super) fn new(
        link: LinkName,
        observer: Arc<dyn Observer>,
        board: Board,
        progress: watch::Sender<Progress>,
    ) -> Self {
        let (rows, began) = (Vec::new(), Instant::now());
        Report { link, observer, board, progress, rows, began, refetching: None }
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

    /// A merged slice was refused; what happens next is in the log only.
    pub(super) fn refused(&self, error: &Error) {
        tracing::warn!(
            link = %self.link,
            error = error.chain(),
            "the target refused a merged batch; repeating it in the source's order"
        );
    }

    /// Whether rows that updates did not find may be missing still.
    pub(super) fn refetching(&mut self, now: bool) {
        if self.refetching != Some(now) {
            self.refetching = Some(now);
            self.board.update(|status| status.refetching = now);
        }
    }

    /// Updates found no row. Told before the commit that leaves them out.
    pub(super) fn missed(&mut self, rows: usize) {
        self.refetching(true);
        self.observer.missed(&self.link, rows as u64);
        self.board.update(|status| {
            status.counters.missed += rows as u64;
            let open = status.missed_open.unwrap_or_default();
            status.missed_open = Some(open.saturating_add(rows as u64));
        });
        tracing::info!(link = %self.link, rows, "updates found no row; reading them again");
    }

    /// Missed rows were written or found gone.
    pub(super) fn refetched(&mut self, rows: usize, witness: &Witness) {
        self.rows.clear();
        self.observer.refetched(&self.link, rows as u64);
        self.board.update(|status| {
            status.counters.refetched += rows as u64;
            status.missed_open = status.missed_open.map(|open| open.saturating_sub(rows as u64));
        });
        self.moved(witness);
    }

    /// The open notes were read, `rows` of them; `all` unless there may be more.
    pub(super) fn open_notes(&self, rows: usize, all: bool) {
        self.board.update(|status| {
            let known = status.missed_open.filter(|_| !all).unwrap_or_default();
            status.missed_open = Some(known.max(rows as u64));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::observer::Unobserved;
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
        let mut report = Report::new(link, Arc::new(Unobserved), board, progress);
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
