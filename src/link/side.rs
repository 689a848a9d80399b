//! The side connection to the source: reads missed rows again, looks at the log for the lag and for
//! how long it is kept, and at the origins of the tables, which must not change. Runs beside the
//! stream as a task of its own, so neither waits for the other. The log is looked at without a stream
//! too, while a link waits or is halted: then above all it must not run out unnoticed.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::error::{Disposition, Error, Kind, Result};
use crate::link::ends::Ends;
use crate::link::ports::{Origin, Retention, Scan, Scanned};
use crate::link::queue::Fill;
use crate::link::review;
use crate::link::status::{Board, LinkStatus, now_us};
use crate::link::steps;
use crate::model::Row;
use crate::plan::LinkPlan;

/// How often the source's log is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Of so many looks one is for how long the log is kept.
const RETENTION_EVERY: u32 = 6;
/// Pause before the first look of a link that waits: most waits are shorter.
const LOOK_FIRST: Duration = Duration::from_secs(1);
/// Longest pause after looks that failed, while the link does not run.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(300);
/// Longest look while the link does not run.
const LOOK_MAX: Duration = Duration::from_secs(30);
/// Tries to read the same rows, and the pause that is doubled between them.
const READS_MAX: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Rows to read.
#[derive(Debug)]
pub(super) struct Request {
    /// Of this table.
    pub(super) table: usize,
    /// Match keys with the source's values.
    pub(super) keys: Vec<Row>,
    /// To be waited first.
    pub(super) delay: Duration,
}

/// The cause of an attempt's end: the source was a standby and is none any more.
#[derive(Debug)]
struct Promoted;

impl fmt::Display for Promoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a standby became a primary")
    }
}

impl std::error::Error for Promoted {}

/// Whether an attempt ended because its source was promoted.
pub(super) fn is_promotion(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<Promoted>())
}

/// What was read.
pub(super) type Answer = Result<Scanned>;

/// What the side task owns.
pub(super) struct Side {
    pub(super) scan: Box<dyn Scan>,
    pub(super) plan: Arc<LinkPlan>,
    /// Of the planned tables, when the attempt began.
    pub(super) origins: Vec<Origin>,
    pub(super) board: Board,
    /// Of the queue between reading and applying.
    pub(super) fill: Fill,
    /// How many times somebody has asked for the source's head.
    pub(super) marks: watch::Receiver<u64>,
}

impl Side {
    /// Serves requests and looks around until the applier is gone or changes may be missing.
    pub(super) async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        answers: mpsc::Sender<Answer>,
    ) -> Result<()> {
        let (mut look, mut looks) = (tokio::time::interval(LOOK_EVERY), Looks::default());
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // What was asked of an attempt before is answered by this one.
        self.marks.mark_changed();
        loop {
            tokio::select! {
                biased;
                request = requests.recv() => {
                    let Some(request) = request else { return Ok(()) };
                    let answer = read(self.scan.as_mut(), &self.plan, request).await;
                    if answers.send(answer).await.is_err() {
                        return Ok(());
                    }
                }
                Ok(()) = self.marks.changed() => self.mark().await,
                _ = look.tick() => {
                    let queued = self.fill.bytes();
                    self.board.update(|status| status.queue_bytes = Some(queued));
                    if let Err(refused) = looks.look(self.scan.as_mut(), &self.board).await {
                        let (error, hint) = (refused.chain(), refused.operator_hint());
                        tracing::warn!(error, hint, "the source's log is not looked at for a while");
                        look.reset_after(LOOK_AGAIN_MAX);
                        continue;
                    }
                    self.beat().await;
                    self.look_at_origins().await?;
                    self.look_for_promotion().await?;
                }
            }
        }
    }

    /// Tells the source's head to whoever asked. One that cannot be read now is asked for again.
    async fn mark(&mut self) {
        let asked = *self.marks.borrow_and_update();
        if asked == 0 {
            return;
        }
        match self.scan.head().await {
            Ok(head) => self.board.update(|status| status.mark = Some((asked, head))),
            Err(error) => tracing::debug!(error = error.chain(), "the head cannot be told"),
        }
    }

    /// A source that is promoted is another one from there on, which the next attempt writes down.
    async fn look_for_promotion(&mut self) -> Result<()> {
        match self.scan.promoted().await {
            Ok(true) => {
                Err(Error::new(Kind::Unavailable, "the source was promoted; connecting anew")
                    .caused_by(Promoted))
            }
            Ok(false) => Ok(()),
            Err(error) => {
                tracing::debug!(error = error.chain(), "the source does not say what it is");
                Ok(())
            }
        }
    }

    /// Not being able to write a heartbeat stops no link: it only helps the log along.
    async fn beat(&mut self) {
        let Some(seen) = self.board.get().seen else { return };
        if let Err(error) = self.scan.heartbeat(&seen).await {
            tracing::debug!(error = error.chain(), "no heartbeat was written");
        }
    }

    /// Not being able to look stops no link: the next attempt looks again before it begins.
    async fn look_at_origins(&mut self) -> Result<()> {
        match self.scan.origins().await {
            Ok(now) => {
                if let Some(moved) = review::moved(&self.plan, &self.origins, &now) {
                    return Err(moved);
                }
                if now != self.origins {
                    self.look_at_partitions(&now).await?;
                    self.origins = now;
                }
                Ok(())
            }
            Err(error) => {
                tracing::debug!(error = error.chain(), "the tables' origins cannot be read");
                Ok(())
            }
        }
    }

    /// Partitions that joined since the last look must not have brought rows along.
    async fn look_at_partitions(&mut self, now: &[Origin]) -> Result<()> {
        let before = review::shapes(&self.plan, &self.origins);
        for (table, joined) in review::joined(&self.plan, &before, now) {
            let strays = self.scan.strays(table, &joined).await?;
            if let Some(refused) = review::refuse_strays(&self.plan, table, &strays) {
                return Err(refused);
            }
        }
        Ok(())
    }
}

/// Reads rows; an error that may pass is tried again a few times, since the side reader connects
/// anew by itself, and the stream need not suffer for it.
async fn read(scan: &mut dyn Scan, plan: &LinkPlan, request: Request) -> Answer {
    let table = steps::table(plan, request.table)?;
    let mut pause = request.delay;
    let mut tries = 0;
    loop {
        tokio::time::sleep(pause).await;
        tries += 1;
        match scan.read_rows(table, &request.keys).await {
            Err(error) if error.disposition() == Disposition::Retry && tries < READS_MAX => {
                tracing::debug!(error = error.chain(), tries, "reading rows again failed");
                pause = FIRST_PAUSE * 2u32.pow(tries);
            }
            answer => return answer,
        }
    }
}

/// While a link waits or is halted its source goes on writing, and keeping, log: that is looked at
/// all the same, on a connection of its own. Never ends; a source that cannot be reached is asked
/// less and less often.
pub(super) async fn watch_the_log(ends: &dyn Ends, board: &Board) -> Infallible {
    let (mut scan, mut looks) = (None, Looks::default());
    let mut pause = LOOK_FIRST;
    loop {
        tokio::time::sleep(pause).await;
        if scan.is_none() {
            scan = match timeout(LOOK_MAX, ends.log()).await {
                Ok(Err(error)) if is_refusal(&error) => {
                    board.update(LinkStatus::forget_the_log);
                    return std::future::pending().await;
                }
                opened => opened.ok().and_then(Result::ok),
            };
        }
        let Some(open) = scan.as_mut() else {
            board.update(LinkStatus::forget_the_log);
            pause = (pause * 2).min(LOOK_AGAIN_MAX);
            continue;
        };
        pause = LOOK_EVERY;
        if !matches!(timeout(LOOK_MAX, looks.look(open.as_mut(), board)).await, Ok(Ok(()))) {
            board.update(LinkStatus::forget_the_log);
            (scan, looks) = (None, Looks::default());
        }
    }
}

/// Whether a server lets weir in no more.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), Kind::Authentication | Kind::PasswordRefused)
}

/// Looks at the source's log for the lag, and less often for how long it is kept, which makes the
/// server list the files of its log.
#[derive(Debug, Default)]
struct Looks(u32);

impl Looks {
    /// Not being able to look stops no link: what is not known is not shown, and the lag in seconds
    /// grows. Only a refused login is an error: asking as often as that might lock the account.
    async fn look(&mut self, scan: &mut dyn Scan, board: &Board) -> Result<()> {
        let status = board.get();
        let Some(seen) = status.seen else { return Ok(()) };
        let looked_us = now_us();
        let looked = match scan.head().await {
            Ok(head) => scan.lag_bytes(&seen).await.map(|bytes| (head, bytes)),
            Err(error) => Err(error),
        };
        let (head, lag_bytes) = match looked {
            Ok(looked) => looked,
            Err(error) => {
                tracing::debug!(error = error.chain(), "the source's log cannot be looked at");
                self.0 = 0;
                let queued = status.queue_bytes;
                board.update(|status| {
                    status.forget_the_log();
                    status.queue_bytes = queued;
                });
                return if is_refusal(&error) { Err(error) } else { Ok(()) };
            }
        };
        let all_seen = seen.reaches(&head);
        board.update(|status| {
            status.lag_bytes = lag_bytes;
            status.lag_transactions = head.transactions_since(&seen);
            status.looked(head.clone(), looked_us);
        });
        if self.0.is_multiple_of(RETENTION_EVERY) {
            // What lies between is nothing that the link still reads, unless it must be read again.
            let next = if all_seen && seen.held_by().is_none() { &head } else { &seen };
            let retention = scan.retention(next, status.lag.last_applied_us).await;
            let retention = retention.unwrap_or_else(|error| {
                tracing::debug!(error = error.chain(), "how long the log is kept cannot be told");
                Retention::default()
            });
            board.update(|status| status.retention = retention);
        }
        self.0 = self.0.wrapping_add(1);
        Ok(())
    }
}
