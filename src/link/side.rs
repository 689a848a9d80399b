//! The side connection to the source: reads missed rows again, looks at the head of the log for the
//! lag, and at the origins of the tables, which must not change. Runs beside the stream as a task of
//! its own, so neither waits for the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::error::{Disposition, Result};
use crate::link::ports::{Origin, Scan, Scanned};
use crate::link::review;
use crate::link::status::{Board, now_us};
use crate::link::steps;
use crate::model::Row;
use crate::plan::LinkPlan;

/// How often the head is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
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

/// What was read.
pub(super) type Answer = Result<Scanned>;

/// What the side task owns.
pub(super) struct Side {
    pub(super) scan: Box<dyn Scan>,
    pub(super) plan: Arc<LinkPlan>,
    /// Of the planned tables, when the attempt began.
    pub(super) origins: Vec<Origin>,
    pub(super) board: Board,
}

impl Side {
    /// Serves requests and looks around until the applier is gone or changes may be missing.
    pub(super) async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        answers: mpsc::Sender<Answer>,
    ) -> Result<()> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
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
                _ = look.tick() => {
                    look_at_head(self.scan.as_mut(), &self.board).await;
                    self.look_at_origins().await?;
                }
            }
        }
    }

    /// Not being able to look stops no link: the next attempt looks again before it begins.
    async fn look_at_origins(&mut self) -> Result<()> {
        match self.scan.origins().await {
            Ok(now) => review::moved(&self.plan, &self.origins, &now).map_or(Ok(()), Err),
            Err(error) => {
                tracing::debug!(error = error.chain(), "the tables' origins cannot be read");
                Ok(())
            }
        }
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

async fn look_at_head(scan: &mut dyn Scan, board: &Board) {
    let Some(seen) = board.get().seen else { return };
    let looked_us = now_us();
    let looked = match scan.head().await {
        Ok(head) => scan.lag_bytes(&seen).await.map(|bytes| (head, bytes)),
        Err(error) => Err(error),
    };
    match looked {
        Ok((head, bytes)) => board.update(|status| {
            status.lag_bytes = bytes;
            let all_seen = status.seen.as_ref().is_some_and(|seen| seen.reaches(&head));
            if all_seen && status.lag.oldest_unapplied_us.is_none() {
                status.lag.caught_up_at_us = status.lag.caught_up_at_us.max(Some(looked_us));
            }
        }),
        // Not being able to tell the lag in bytes stops no link; the lag in seconds grows.
        Err(error) => {
            tracing::debug!(error = error.chain(), "the head of the log cannot be read");
            board.update(|status| status.lag_bytes = None);
        }
    }
}
