//! Misses: rows that updates did not find are read again at the source and written by the link's
//! own applier, under the window rule. Rows that are set aside are tried again by the same way.
//!
//! The notes in `weir.missed` are the queue: they survive a restart, and a note is settled in the
//! transaction that writes its row (or finds it gone). One window at a time, over at most
//! [`KEYS_MAX`] keys of one table, reads on the side connection while the stream goes on; after
//! windows that came to nothing it may stand still for that long (`care`). A window waits for the
//! stream and grows with it only so far; then it is given up, and the notes are for a later one.
//!
//! New notes may come for ever, behind those that are there. So what is told of is not only that none
//! is open, but also up to which position none is: a mark is set at a position, and reached once
//! every note of then is settled.

mod state;

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::error::{Disposition, Error, Kind, Result};
use crate::link::again::Again;
use crate::link::backoff::Backoff;
use crate::link::batch::Batch;
use crate::link::care::{Care, KEYS_MAX};
use crate::link::notes::OpenNotes;
use crate::link::ports::{MissedKey, Notes, Target};
use crate::link::question::{self, Expected, Question};
use crate::link::refetched::Refetched;
use crate::link::retry::{Look, Retry};
use crate::link::set_aside::{Group, Rows};
use crate::link::side::{Answer, Request};
use crate::link::steps;
use crate::link::window::{HandedOn, Reading, Window};
use crate::plan::LinkPlan;
use crate::position::Position;
use state::{Mark, Read, State, until};

/// Pause before a scan that came too early is repeated.
const AGAIN: Duration = Duration::from_millis(50);
/// Scans of one window at most; then the notes wait for the backoff.
const SCANS_MAX: u32 = 200;
/// Longest time that the applier stands still for a read.
const HOLD_MAX: Duration = Duration::from_secs(5);
/// Pauses between looks at rows that the owner has not made yet: the first, and the longest.
const OWNER_WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often notes that people make are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Longest time from the read until the stream has come up to it.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The refetching side of one applier.
pub(super) struct Refetch {
    requests: mpsc::Sender<Request>,
    answers: mpsc::Receiver<Answer>,
    handed_on: HandedOn,
    state: State,
    /// There may be notes in the target.
    notes: bool,
    due: Instant,
    /// The next pause before rows are looked at again that their owner has not made yet.
    owner_wait: Duration,
    backoff: Backoff,
    care: Care,
    /// What the last look at the notes found, and whether these were all.
    found: Option<(OpenNotes, bool)>,
    mark: Option<Mark>,
    /// Up to here no note is open, as far as marks tell.
    reached: Option<Position>,
    retry: Retry,
    /// The groups of rows that are set aside that the open window is about; none of one over notes.
    tried: Vec<u64>,
    /// The last window was about such rows.
    was_retry: bool,
    questions: mpsc::Receiver<Question>,
    /// When the notes are looked at next for what people ask for; never where nobody can.
    look_at: Option<Instant>,
    /// A question that waits for its window, or that the open window is about.
    question: Option<Question>,
}

/// What a window has brought.
pub(super) enum Brought {
    /// Rows of notes.
    Missed(Refetched),
    /// Rows that are set aside, of these groups.
    SetAside(Again, Vec<u64>),
    /// Rows that somebody asks about, as they should be.
    Asked(Question, Vec<Expected>),
}

impl Refetch {
    /// Looks for notes at once: an earlier run may have left some.
    pub(super) fn new(
        requests: mpsc::Sender<Request>,
        answers: mpsc::Receiver<Answer>,
        questions: mpsc::Receiver<Question>,
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
            owner_wait: OWNER_WAIT.0,
            backoff,
            care: Care::default(),
            found: None,
            mark: None,
            reached: None,
            retry: Retry::new(),
            tried: Vec::new(),
            was_retry: false,
            questions,
            look_at: None,
            question: None,
        }
    }

    /// People may ask for rows, by notes of their own.
    pub(super) fn look_for_asked(&mut self) {
        self.look_at = Some(Instant::now() + LOOK_EVERY);
    }

    /// An apply transaction noted misses.
    pub(super) fn notes_were_made(&mut self) {
        self.notes = true;
    }

    /// Rows were read again of a table whose rows another database makes; `absent`: some are not in the target,
    /// and their notes wait for that one.
    pub(super) fn waits_for_owner(&mut self, absent: bool) {
        if !absent {
            self.owner_wait = OWNER_WAIT.0;
            return;
        }
        self.notes = true;
        self.due = Instant::now() + self.owner_wait;
        self.owner_wait = (self.owner_wait * 2).min(OWNER_WAIT.1);
    }

    /// A row that was set aside was missed: its note is about a change before every mark.
    pub(super) fn older_notes_were_made(&mut self) {
        self.notes = true;
        (self.mark, self.reached) = (None, None);
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
        let is_other = !self.tried.is_empty() || self.question.is_some();
        !self.notes && (matches!(self.state, State::Idle) || is_other)
    }

    /// Whether rows that are set aside are being read.
    pub(super) fn is_retrying(&self) -> bool {
        !self.tried.is_empty()
    }

    /// When rows that are set aside are tried again.
    pub(super) fn retry(&mut self) -> &mut Retry {
        &mut self.retry
    }

    /// Takes up what somebody else has done to the letters, as [`Retry::look`]; not while a window is
    /// open.
    pub(super) async fn look_at_letters(
        &mut self,
        target: &mut dyn Target,
        rows: &mut Rows,
    ) -> Result<Look> {
        match self.state {
            State::Idle => self.retry.look(target, rows).await,
            State::Reading { .. } | State::Waiting(_) => Ok(Look::Same),
        }
    }

    /// Whether nothing is to be applied now. Not for longer than [`HOLD_MAX`] in a row, of which
    /// [`Refetch::wake`] tells the end.
    pub(super) fn holds(&self) -> bool {
        matches!(self.state, State::Reading { held_until: Some(_), .. })
    }

    /// Whether a window waits for `position`: the sooner it is written, the less can have changed.
    pub(super) fn awaits(&self, position: &Position) -> bool {
        match &self.state {
            State::Waiting(read) => position.reaches(&read.scanned.high),
            State::Idle | State::Reading { .. } => false,
        }
    }

    /// Transactions that go into the target now.
    pub(super) fn handed_on(&mut self, xids: impl Iterator<Item = u32>) {
        xids.for_each(|xid| self.handed_on.add(xid));
    }

    /// Changes that go into the target now: while a window is open its rows must know.
    pub(super) fn changing(&mut self, plan: &LinkPlan, batch: &Batch) {
        if let Some(window) = self.state.window() {
            window.change_by(plan, batch);
        }
    }

    /// The transactions that were handed on, for windows of others.
    pub(super) fn handed(&self) -> &HandedOn {
        &self.handed_on
    }

    /// Resolves when [`Refetch::between_batches`] has something to do that no part of the queue
    /// will bring about. Cancel-safe.
    pub(super) async fn wake(&mut self) -> Result<()> {
        match &mut self.state {
            // Who asks may be gone: then nobody does any more.
            State::Idle if self.question.is_none() => tokio::select! {
                () = tokio::time::sleep_until(self.due), if self.notes => {}
                () = until(self.look_at), if !self.notes => {
                    self.notes = true;
                    self.look_at = Some(Instant::now() + LOOK_EVERY);
                }
                () = self.retry.wake() => {}
                Some(question) = self.questions.recv() => self.question = Some(question),
            },
            State::Idle => {}
            State::Reading { arrived: None, held_until, .. } => {
                let answer = match held_until {
                    Some(until) => timeout_at(*until, self.answers.recv()).await,
                    None => Ok(self.answers.recv().await),
                };
                match answer {
                    Ok(Some(answer)) => self.receive(answer)?,
                    Ok(None) => return Err(no_side_reader()),
                    Err(_) => *held_until = None,
                }
            }
            State::Waiting(read) => tokio::time::sleep_until(read.give_up_at).await,
            State::Reading { .. } => std::future::pending().await,
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
        rows: &Rows,
    ) -> Result<Option<Brought>> {
        if matches!(self.state, State::Idle) {
            let due = self.notes && Instant::now() >= self.due;
            let retry = !due || !self.was_retry;
            if !(retry && self.open_retry(plan, applied, rows).await?) && due {
                self.open(plan, target, applied).await?;
            }
        }
        if matches!(self.state, State::Idle) {
            self.open_question(plan, applied).await?;
        }
        if let State::Reading { arrived: None, .. } = &self.state
            && let Ok(answer) = self.answers.try_recv()
        {
            self.receive(answer)?;
        }
        if let Some(window) = self.state.window() {
            window.applied(applied);
        }
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Reading { window, scans, held_until, arrived: Some(scanned) } => {
                match window.judge(&scanned, &self.handed_on, applied) {
                    Reading::TooEarly => {
                        self.state = self.read_again(plan, window, scans, held_until).await?;
                        Ok(None)
                    }
                    _ => {
                        let give_up_at = Instant::now() + WAIT_MAX;
                        self.bring_on(plan, Read { window, scanned, give_up_at }, applied, rows)
                    }
                }
            }
            State::Waiting(read) => self.bring_on(plan, read, applied, rows),
            other => {
                self.state = other;
                Ok(None)
            }
        }
    }

    /// Writes what was read, waits on, or gives it up.
    fn bring_on(
        &mut self,
        plan: &LinkPlan,
        read: Read,
        applied: &Position,
        rows: &Rows,
    ) -> Result<Option<Brought>> {
        match read.window.judge(&read.scanned, &self.handed_on, applied) {
            Reading::Ready => return self.finish(plan, read, rows),
            Reading::TooEarly | Reading::Ahead if Instant::now() < read.give_up_at => {
                self.state = State::Waiting(read);
            }
            Reading::TooEarly | Reading::Ahead => {
                self.put_off(plan, &read.window, "the stream does not come up to what was read")?;
            }
            Reading::TooLarge => self.lose(plan, &read.window, "too much changes meanwhile")?,
            Reading::Unseen => {
                let why = "foreign keys change rows meanwhile that the source does not log";
                self.lose(plan, &read.window, why)?;
            }
        }
        Ok(None)
    }

    /// The rows are for another window, at once and with more care, or later after many of them.
    fn lose(&mut self, plan: &LinkPlan, window: &Window, why: &str) -> Result<()> {
        if self.care.lose() {
            return self.put_off(plan, window, why);
        }
        let table = &steps::table(plan, window.table)?.source.name;
        tracing::debug!(%table, rows = window.notes.len(), why, "rows are to be read once more");
        self.due = Instant::now();
        self.end_retry(Retry::soon);
        Ok(())
    }

    /// The notes are for a later window.
    fn put_off(&mut self, plan: &LinkPlan, window: &Window, why: &str) -> Result<()> {
        let table = &steps::table(plan, window.table)?.source.name;
        let rows = window.notes.len();
        tracing::warn!(%table, rows, why, "rows cannot be read again now; trying later");
        self.due = Instant::now() + self.backoff.next_wait();
        self.end_retry(Retry::later);
        Ok(())
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
                self.end_retry(Retry::later);
            }
            (answer, _) => drop(answer?),
        }
        Ok(())
    }

    /// The open window came to nothing: the groups that it was about wait, and who asked asks again.
    fn end_retry(&mut self, wait: fn(&mut Retry, u64)) {
        self.question = None;
        std::mem::take(&mut self.tried).into_iter().for_each(|place| wait(&mut self.retry, place));
    }

    /// Opens a window over rows that are set aside, if some are due.
    async fn open_retry(
        &mut self,
        plan: &LinkPlan,
        applied: &Position,
        rows: &Rows,
    ) -> Result<bool> {
        let groups = self.retry.choose(plan, rows, self.care.keys_max());
        let chosen = groups.iter().filter_map(|place| rows.group(*place));
        let keys =
            chosen.flat_map(Group::names).map(|name| MissedKey::set_aside(name.table, &name.row));
        let keys: Vec<MissedKey> = keys.collect::<Result<_>>()?;
        let Some(first) = keys.first() else { return Ok(false) };
        self.tried = groups;
        self.was_retry = true;
        self.read(plan, first.table, keys, applied).await?;
        Ok(true)
    }

    /// Opens a window over rows that somebody asks about.
    async fn open_question(&mut self, plan: &LinkPlan, applied: &Position) -> Result<()> {
        if self.question.is_none() {
            self.question = self.questions.try_recv().ok();
        }
        let Some(question) = &self.question else { return Ok(()) };
        let (table, keys) = (question.table, question.notes());
        self.was_retry = false;
        self.read(plan, table, keys, applied).await
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
            self.care = Care::default();
            return Ok(());
        };
        if self.mark.as_ref().is_none_or(|mark| first.id > mark.newest) {
            let mark = Mark { position: applied.clone(), newest };
            self.reached =
                self.mark.replace(mark).map(|mark| mark.position).or(self.reached.take());
        }
        let table = first.missed.table;
        let mut known = HashSet::new();
        let notes = oldest
            .into_iter()
            .map(|note| note.missed)
            .filter(|note| note.table == table && known.insert(steps::key_text(&note.key)))
            .take(self.care.keys_max());
        self.was_retry = false;
        self.read(plan, table, notes.collect(), applied).await
    }

    /// Opens a window and asks for its rows.
    async fn read(
        &mut self,
        plan: &LinkPlan,
        table: usize,
        keys: Vec<MissedKey>,
        applied: &Position,
    ) -> Result<()> {
        let window = Window::open(table, keys, applied.clone(), self.handed_on.mark());
        let holds = self.care.holds() && steps::changes_unseen(plan, table);
        let held_until = holds.then(|| Instant::now() + HOLD_MAX);
        self.request(plan, &window, Duration::ZERO).await?;
        self.state = State::Reading { window, scans: 1, held_until, arrived: None };
        Ok(())
    }

    async fn request(&self, plan: &LinkPlan, window: &Window, delay: Duration) -> Result<()> {
        let keys = window.notes.iter().map(|note| note.source_key(plan));
        let request = Request { table: window.table, keys: keys.collect::<Result<_>>()?, delay };
        self.requests.send(request).await.map_err(|_| no_side_reader())
    }

    async fn read_again(
        &mut self,
        plan: &LinkPlan,
        window: Window,
        scans: u32,
        held_until: Option<Instant>,
    ) -> Result<State> {
        if scans >= SCANS_MAX {
            self.put_off(plan, &window, "transactions at the source still hide them")?;
            return Ok(State::Idle);
        }
        self.request(plan, &window, AGAIN).await?;
        Ok(State::Reading { window, scans: scans + 1, held_until, arrived: None })
    }

    fn finish(&mut self, plan: &LinkPlan, read: Read, rows: &Rows) -> Result<Option<Brought>> {
        let Read { window, scanned, .. } = read;
        let groups = std::mem::take(&mut self.tried);
        let brought = if let Some(question) = self.question.take() {
            Brought::Asked(question, question::expected(plan, &window, scanned, rows)?)
        } else if groups.is_empty() {
            Brought::Missed(Refetched::of(plan, &window, scanned)?)
        } else {
            Brought::SetAside(Again::of(plan, &window, scanned)?, groups)
        };
        self.care.win(window.is_calm());
        self.backoff.reset();
        self.due = Instant::now();
        Ok(Some(brought))
    }
}

fn no_side_reader() -> Error {
    Error::new(Kind::Connection, "the side reader has ended")
}

#[cfg(test)]
mod tests;
