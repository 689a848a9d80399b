//! Misses: rows that updates did not find are read again at the source and written by the link's
//! own applier, under the window rule.
//!
//! The notes in `weir.missed` are the queue: they survive a restart, and a note is settled in the
//! transaction that writes its row (or finds it gone at the source). A key that was touched
//! meanwhile is noted anew, behind all others, so that busy rows hold up none. One window at a time, over at
//! most [`KEYS_MAX`] keys of one table, reads on the side connection while the stream goes on.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::error::{Disposition, Error, Kind, Result};
use crate::link::backoff::Backoff;
use crate::link::isolate;
use crate::link::ports::{MissedKey, Scanned, Target};
use crate::link::side::{Answer, Request};
use crate::link::steps::{self, Act, Prepared};
use crate::link::window::{HandedOn, Reading, Window};
use crate::model::{Change, Op, Verb};
use crate::plan::LinkPlan;
use crate::position::Position;

/// Keys read in one window at most.
const KEYS_MAX: usize = 500;
/// Pause before a scan that came too early is repeated.
const AGAIN: Duration = Duration::from_millis(50);
/// Scans of one window at most; then the notes wait for the backoff.
const SCANS_MAX: u32 = 200;

/// The refetching side of one applier.
pub(super) struct Refetch {
    requests: mpsc::Sender<Request>,
    answers: mpsc::Receiver<Answer>,
    handed_on: HandedOn,
    state: State,
    /// There may be notes in the target.
    notes: bool,
    due: Instant,
    backoff: Backoff,
    /// What the last look at the notes found: how many, and whether these were all.
    found: Option<(usize, bool)>,
}

enum State {
    Idle,
    Reading { window: Window, scans: u32, arrived: Option<Scanned> },
    Waiting { window: Window, scanned: Scanned },
}

/// A note's key with the row as it is at the source, or with a note where it must be read again;
/// `None` where it is gone there.
pub(super) type RefetchedRow = (Option<Prepared>, MissedKey);

/// Rows to write and notes to settle, all of one table.
pub(super) struct Refetched {
    pub(super) rows: Vec<RefetchedRow>,
    table: usize,
}

impl Refetched {
    /// Says which table's rows could not be written.
    pub(super) fn locate(&self, plan: &LinkPlan, error: Error) -> Error {
        match plan.tables.get(self.table) {
            Some(table) if isolate::is_about_a_row(&error) => error.within(format!(
                "{}, rows read again after updates that did not find them",
                isolate::describe(table)
            )),
            _ => error,
        }
    }
}

impl Refetch {
    /// Looks for notes at once: an earlier run may have left some.
    pub(super) fn new(
        requests: mpsc::Sender<Request>,
        answers: mpsc::Receiver<Answer>,
        unfinished: Vec<u32>,
        backoff: Backoff,
    ) -> Self {
        Refetch {
            requests,
            answers,
            handed_on: HandedOn::after(unfinished),
            state: State::Idle,
            notes: true,
            due: Instant::now(),
            backoff,
            found: None,
        }
    }

    /// An apply transaction noted misses.
    pub(super) fn notes_were_made(&mut self) {
        self.notes = true;
    }

    /// How many notes the last look found and whether these were all, told once.
    pub(super) fn take_found(&mut self) -> Option<(usize, bool)> {
        self.found.take()
    }

    /// Whether no note is known to be open.
    pub(super) fn is_done(&self) -> bool {
        !self.notes && matches!(self.state, State::Idle)
    }

    /// Transactions that go into the target now.
    pub(super) fn handed_on(&mut self, xids: impl Iterator<Item = u32>) {
        xids.for_each(|xid| self.handed_on.add(xid));
    }

    /// Changes that go into the target now: while a window is open its rows must know.
    pub(super) fn touch(&mut self, plan: &LinkPlan, prepared: &[Prepared]) -> Result<()> {
        let window = match &mut self.state {
            State::Idle => return Ok(()),
            State::Reading { window, .. } | State::Waiting { window, .. } => window,
        };
        let index = window.table;
        let table = steps::table(plan, index)?;
        for change in prepared.iter().filter(|change| change.table == index) {
            for step in steps::unmerged(plan, std::slice::from_ref(change)) {
                if step.verb == Verb::Truncate {
                    window.truncate();
                }
                for key in steps::keys(table, &step) {
                    window.touch(steps::key_text(&key));
                }
            }
        }
        Ok(())
    }

    /// Resolves when [`Refetch::between_batches`] has something to do that no part of the queue
    /// will bring about. Cancel-safe.
    pub(super) async fn wake(&mut self) -> Result<()> {
        match &mut self.state {
            State::Idle if self.notes => tokio::time::sleep_until(self.due).await,
            State::Reading { arrived: None, .. } => match self.answers.recv().await {
                Some(answer) => self.receive(answer)?,
                None => return Err(Error::new(Kind::Connection, "the side reader has ended")),
            },
            State::Idle | State::Reading { .. } | State::Waiting { .. } => {
                std::future::pending().await
            }
        }
        Ok(())
    }

    /// Opens a window or brings the open one on. To be called with no target transaction open and
    /// everything up to `applied` in the target.
    pub(super) async fn between_batches(
        &mut self,
        plan: &LinkPlan,
        target: &mut dyn Target,
        applied: &Position,
    ) -> Result<Option<Refetched>> {
        if matches!(self.state, State::Idle) && self.notes && Instant::now() >= self.due {
            self.open(plan, target, applied).await?;
        }
        if let State::Reading { arrived: None, .. } = &self.state
            && let Ok(answer) = self.answers.try_recv()
        {
            self.receive(answer)?;
        }
        self.state = match std::mem::replace(&mut self.state, State::Idle) {
            State::Reading { window, scans, arrived: Some(scanned) } => {
                match window.judge(&scanned, &self.handed_on, applied) {
                    Reading::TooEarly => self.read_again(plan, window, scans).await?,
                    Reading::Ahead | Reading::Ready => State::Waiting { window, scanned },
                }
            }
            other => other,
        };
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Waiting { window, scanned } if applied.reaches(&scanned.high) => {
                self.finish(plan, &window, scanned)
            }
            other => {
                self.state = other;
                Ok(None)
            }
        }
    }

    /// Takes what was read. A trouble of the source that may pass, such as a locked table, leaves the
    /// notes for later and the stream as it is.
    fn receive(&mut self, answer: Answer) -> Result<()> {
        match (answer, &mut self.state) {
            (Ok(scanned), State::Reading { arrived, .. }) => *arrived = Some(scanned),
            (Err(error), _) if error.disposition() == Disposition::Retry => {
                tracing::warn!(
                    error = error.chain(),
                    hint = error.operator_hint(),
                    "rows to be read again cannot be read now; trying later"
                );
                self.due = Instant::now() + self.backoff.next_wait();
                self.state = State::Idle;
            }
            (answer, _) => drop(answer?),
        }
        Ok(())
    }

    async fn open(
        &mut self,
        plan: &LinkPlan,
        target: &mut dyn Target,
        applied: &Position,
    ) -> Result<()> {
        let notes = target.missed(KEYS_MAX).await?;
        self.found = Some((notes.len(), notes.len() < KEYS_MAX));
        let Some(first) = notes.first() else {
            self.notes = false;
            return Ok(());
        };
        let table = first.table;
        let mut keys = Vec::new();
        let mut known = std::collections::HashSet::new();
        for note in notes.into_iter().filter(|note| note.table == table) {
            if known.insert(steps::key_text(&note.key)) {
                keys.push(note.key);
            }
        }
        let window = Window::open(table, keys, applied.clone(), self.handed_on.mark());
        self.request(plan, &window, Duration::ZERO).await?;
        self.state = State::Reading { window, scans: 1, arrived: None };
        Ok(())
    }

    async fn request(&self, plan: &LinkPlan, window: &Window, delay: Duration) -> Result<()> {
        let keys = window.keys.iter().map(|key| steps::source_key(plan, window.table, key));
        let request = Request { table: window.table, keys: keys.collect::<Result<_>>()?, delay };
        self.requests
            .send(request)
            .await
            .map_err(|_| Error::new(Kind::Connection, "the side reader has ended"))
    }

    async fn read_again(&mut self, plan: &LinkPlan, window: Window, scans: u32) -> Result<State> {
        if scans >= SCANS_MAX {
            let table = steps::table(plan, window.table)?;
            tracing::warn!(
                table = %table.source.name,
                rows = window.keys.len(),
                "rows to be read again are still hidden by transactions at the source; trying later"
            );
            self.due = Instant::now() + self.backoff.next_wait();
            return Ok(State::Idle);
        }
        self.request(plan, &window, AGAIN).await?;
        Ok(State::Reading { window, scans: scans + 1, arrived: None })
    }

    fn finish(
        &mut self,
        plan: &LinkPlan,
        window: &Window,
        scanned: Scanned,
    ) -> Result<Option<Refetched>> {
        if scanned.rows.len() != window.keys.len() {
            return Err(Error::new(Kind::Internal, "a scan answered for another number of keys"));
        }
        let table = window.table;
        let (mut rows, mut again) = (Vec::new(), Vec::new());
        for (key, row) in window.keys.iter().zip(scanned.rows) {
            let note = MissedKey { table, key: key.clone() };
            if window.is_touched(&steps::key_text(key)) {
                let anew = Prepared { table, act: Act::Note { key: key.clone() } };
                again.push((Some(anew), note));
                continue;
            }
            let prepared = match row {
                Some(after) => {
                    let change = Change { table, op: Op::Insert { after }, reshaped: false };
                    steps::prepare(plan, &change)
                        .map_err(|error| error.within("a row read again at the source"))?
                }
                None => None,
            };
            rows.push((prepared, note));
        }
        tracing::info!(
            table = %steps::table(plan, table)?.source.name,
            present = rows.iter().filter(|(row, _)| row.is_some()).count(),
            gone = rows.iter().filter(|(row, _)| row.is_none()).count(),
            touched = again.len(),
            "rows that updates did not find were read again"
        );
        if rows.is_empty() {
            self.due = Instant::now() + self.backoff.next_wait();
        } else {
            self.backoff.reset();
            self.due = Instant::now();
        }
        rows.append(&mut again);
        Ok((!rows.is_empty()).then_some(Refetched { rows, table }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Row, Value};
    use crate::plan::fixtures;
    use crate::position::Lsn;

    fn reading() -> (Refetch, mpsc::Sender<Answer>, mpsc::Receiver<Request>) {
        let (requests, requested) = mpsc::channel(1);
        let (answer, answers) = mpsc::channel(1);
        let backoff = Backoff::new(Duration::from_secs(60), Duration::from_secs(60), 1);
        let mut refetch = Refetch::new(requests, answers, Vec::new(), backoff);
        let window = Window::open(0, Vec::new(), Position::Postgres(Lsn(1)), 0);
        refetch.state = State::Reading { window, scans: 1, arrived: None };
        (refetch, answer, requested)
    }

    /// Broken if a table that is locked at the source for a while tore the stream down, if its notes
    /// were forgotten, or if an error that stays were passed over.
    #[tokio::test]
    async fn a_locked_table_is_read_later() {
        let (mut refetch, answer, _requested) = reading();
        answer.send(Err(Error::new(Kind::Contention, "lock time-out"))).await.expect("sent");
        refetch.wake().await.expect("the stream goes on");
        assert!(matches!(refetch.state, State::Idle) && !refetch.is_done());
        assert!(refetch.due > Instant::now() + Duration::from_secs(1), "at once again");

        let (mut refetch, answer, _requested) = reading();
        answer.send(Err(Error::new(Kind::Privilege, "no SELECT"))).await.expect("sent");
        assert_eq!(refetch.wake().await.expect_err("halts").kind(), Kind::Privilege);
    }

    /// Broken if a row that changes all the time kept the notes of all others from being served, or
    /// were written as it was before its change.
    #[test]
    fn a_busy_row_goes_behind_the_others() {
        let columns = || vec![fixtures::column("id", fixtures::BIGINT, "bigint")];
        let tables = ["public", "my_db"].map(|schema| fixtures::table(schema, "t", columns()));
        let config = fixtures::config(vec![fixtures::replicate("pg", "my", &["public.t"])], vec![]);
        let link = fixtures::link("pg", "my");
        let plan = crate::plan::plan(&config, &link, &tables[..1], &tables[1..]).expect("a plan");
        let row = |id| Row::from(vec![Value::Int(id)]);
        let at = || Position::Postgres(Lsn(1));
        let mut window = Window::open(0, vec![row(1), row(2), row(3)], at(), 0);
        window.touch(steps::key_text(&row(1)));
        let rows = vec![Some(row(1)), Some(row(2)), None];
        let scanned = Scanned { low: at(), high: at(), in_progress: Vec::new(), rows };
        let (mut refetch, ..) = reading();
        let found = refetch.finish(&plan, &window, scanned).expect("read").expect("rows");
        let verbs = found
            .rows
            .iter()
            .map(|(row, note)| (row.as_ref().map(Prepared::verb), steps::key_text(&note.key)));
        assert_eq!(
            verbs.collect::<Vec<_>>(),
            [
                (Some(Verb::Upsert), steps::key_text(&row(2))),
                (None, steps::key_text(&row(3))),
                (Some(Verb::Note), steps::key_text(&row(1))),
            ]
        );
    }
}
