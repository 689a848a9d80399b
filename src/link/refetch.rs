//! Misses: rows that updates did not find are read again at the source and written by the link's
//! own applier, under the window rule.
//!
//! The notes in `weir.missed` are the queue: they survive a restart, and a note is settled in the
//! transaction that writes its row (or finds it gone). One window at a time, over at most
//! [`KEYS_MAX`] keys of one table, reads on the side connection while the stream goes on.
//!
//! New notes may come for ever, behind those that are there. So what is told of is not only that none
//! is open, but also up to which position none is: a mark is set at a position, and reached once
//! every note of then is settled.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::error::{Disposition, Error, Kind, Result};
use crate::link::backoff::Backoff;
use crate::link::isolate;
use crate::link::notes::OpenNotes;
use crate::link::ports::{MissedKey, Notes, Scanned, Target};
use crate::link::side::{Answer, Request};
use crate::link::steps::{self, Act, Prepared};
use crate::link::window::{HandedOn, Reading, Since, Window};
use crate::model::{Change, Op, Row, Value};
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
    /// What the last look at the notes found, and whether these were all.
    found: Option<(OpenNotes, bool)>,
    mark: Option<Mark>,
    /// Up to here no note is open, as far as marks tell.
    reached: Option<Position>,
}

/// A position, and the newest note of then.
#[derive(Debug)]
struct Mark {
    position: Position,
    newest: u64,
}

enum State {
    Idle,
    Reading { window: Window, scans: u32, arrived: Option<Scanned> },
    Waiting { window: Window, scanned: Scanned },
}

/// A note's key with the row as it is at the source; `None` where nothing is to be written.
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
            Some(table) if isolate::is_about_a_row(&error) => {
                error.within(format!("{}, rows read again at the source", isolate::describe(table)))
            }
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
            mark: None,
            reached: None,
        }
    }

    /// An apply transaction noted misses.
    pub(super) fn notes_were_made(&mut self) {
        self.notes = true;
    }

    /// Which notes the last look found and whether these were all, told once.
    pub(super) fn take_found(&mut self) -> Option<(OpenNotes, bool)> {
        self.found.take()
    }

    /// Up to where nothing is missing in the target, when everything up to `applied` is applied.
    /// `None`: not known yet.
    pub(super) fn settled<'a>(&'a self, applied: &'a Position) -> Option<&'a Position> {
        if self.is_done() { Some(applied) } else { self.reached.as_ref() }
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
    pub(super) fn changing(&mut self, plan: &LinkPlan, prepared: &[Prepared]) -> Result<()> {
        let window = match &mut self.state {
            State::Idle => return Ok(()),
            State::Reading { window, .. } | State::Waiting { window, .. } => window,
        };
        let index = window.table;
        let table = steps::table(plan, index)?;
        for change in prepared.iter().filter(|change| change.table == index) {
            window.change(table, change);
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
        let Notes { oldest, newest } = target.missed(KEYS_MAX).await?;
        let all = oldest.len() < KEYS_MAX;
        self.found = Some((OpenNotes::of(oldest.iter().map(|note| &note.missed)), all));
        let Some(first) = oldest.first() else {
            self.notes = false;
            return Ok(());
        };
        if self.mark.as_ref().is_none_or(|mark| first.id > mark.newest) {
            let mark = Mark { position: applied.clone(), newest };
            self.reached =
                self.mark.replace(mark).map(|mark| mark.position).or(self.reached.take());
        }
        let table = first.missed.table;
        let mut known = std::collections::HashSet::new();
        let notes = oldest
            .into_iter()
            .map(|note| note.missed)
            .filter(|note| note.table == table && known.insert(steps::key_text(&note.key)));
        let window = Window::open(table, notes.collect(), applied.clone(), self.handed_on.mark());
        self.request(plan, &window, Duration::ZERO).await?;
        self.state = State::Reading { window, scans: 1, arrived: None };
        Ok(())
    }

    async fn request(&self, plan: &LinkPlan, window: &Window, delay: Duration) -> Result<()> {
        let notes = window.notes.iter();
        let keys = notes.map(|note| steps::source_key(plan, window.table, &note.key));
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
                rows = window.notes.len(),
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
        if scanned.rows.len() != window.notes.len() {
            return Err(Error::new(Kind::Internal, "a scan answered for another number of keys"));
        }
        let table = window.table;
        let mut rows = Vec::with_capacity(window.notes.len());
        for (note, row) in window.notes.iter().zip(scanned.rows) {
            let prepared = match (window.since(&note.key), row) {
                (Some(Since::Laid(values)), Some(row)) => {
                    Some(laid_over(plan, table, row, values)?)
                }
                _ => None,
            };
            rows.push((prepared, note.clone()));
        }
        tracing::info!(
            table = %steps::table(plan, table)?.source.name,
            written = rows.iter().filter(|(row, _)| row.is_some()).count(),
            gone = rows.iter().filter(|(row, _)| row.is_none()).count(),
            "rows were read again at the source"
        );
        self.backoff.reset();
        self.due = Instant::now();
        Ok((!rows.is_empty()).then_some(Refetched { rows, table }))
    }
}

/// A row as it was read, under what has changed since.
fn laid_over(
    plan: &LinkPlan,
    table: usize,
    read: Row,
    newer: &BTreeMap<usize, Value>,
) -> Result<Prepared> {
    let change = Change { table, op: Op::Insert { after: read }, reshaped: false };
    let prepared = steps::prepare(plan, &change)
        .map_err(|error| error.within("a row read again at the source"))?;
    let Some(Prepared { act: Act::Upsert { columns: None, mut row }, .. }) = prepared else {
        return Err(Error::new(Kind::Internal, "a row read again at the source is not whole"));
    };
    for (column, value) in newer {
        if let Some(place) = row.0.get_mut(*column) {
            place.clone_from(value);
        }
    }
    Ok(Prepared { table, act: Act::Upsert { columns: None, row } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::ports::Why;
    use crate::plan::fixtures::{plan_of, row};
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

    /// Broken if a row that changes all the time were never written, were written as it was before
    /// its change, or if one that went came back.
    #[test]
    fn a_busy_row_is_written_as_it_is_now() {
        let plan = plan_of(&["id", "n"]);
        let at = || Position::Postgres(Lsn(1));
        let note = |key| MissedKey { table: 0, key: row(&[key]), why: Why::NoRow };
        let mut window = Window::open(0, [1, 2, 3, 4].map(note).into(), at(), 0);
        let update = Act::Update { columns: None, row: row(&[1, 9]) };
        let delete = Act::Delete { key: row(&[4]) };
        for act in [update, delete] {
            window.change(&plan.tables[0], &Prepared { table: 0, act });
        }
        let rows = vec![Some(row(&[1, 1])), Some(row(&[2, 2])), None, Some(row(&[4, 4]))];
        let scanned = Scanned { low: at(), high: at(), in_progress: Vec::new(), rows };
        let (mut refetch, ..) = reading();
        let found = refetch.finish(&plan, &window, scanned).expect("read").expect("rows");
        let written = found.rows.iter().map(|(written, note)| {
            let act = written.as_ref().map(|one| one.act.clone());
            (act, steps::key_text(&note.key))
        });
        let upsert = |values: &[i64]| Some(Act::Upsert { columns: None, row: row(values) });
        let key = |key: i64| steps::key_text(&row(&[key]));
        assert_eq!(
            written.collect::<Vec<_>>(),
            [(upsert(&[1, 9]), key(1)), (upsert(&[2, 2]), key(2)), (None, key(3)), (None, key(4))]
        );
    }
}
