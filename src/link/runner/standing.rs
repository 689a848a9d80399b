//! A link between two attempts: waiting for the next try, halted, or paused. What a person asks is
//! done here.

use std::time::Duration;

use tokio::time::Instant;

use super::{Answer, Command, Life, backoff};
use crate::error::{Disposition, Error, Kind, Result};
use crate::link::ledger::HaltRecord;
use crate::link::side;
use crate::link::status::{LinkState, now_us};
use crate::link::trouble::Trouble;

/// The log that the source's server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Log {
    /// As far as is known, the one that the link reads.
    Ours,
    /// Another server's, which says nothing of the link's.
    Foreign,
    /// Not known for a short time: who looks has to log in, and logins may be counted.
    Unwatched,
}

/// Waits for another password that are shorter leave the source's log unwatched.
const LOOK_AT_LOG_AFTER: Duration = Duration::from_secs(60);

impl Life {
    /// Waits for the backoff; false when the link is to stop.
    pub(super) async fn wait(&mut self, error: &Error) -> bool {
        let seldom = error.disposition() == Disposition::Wait;
        let backoff = if seldom { &mut self.patience } else { &mut self.backoff };
        let (pause, attempt) = (backoff.next_wait(), backoff.attempts());
        let text = error.chain();
        if let Some(kept_back) = self.repeats.say(&text, Instant::now()) {
            tracing::warn!(
                link = %self.link.name(),
                kind = error.kind().name(),
                error = text,
                hint = error.hint_for(self.link.name()),
                attempt,
                kept_back,
                wait_ms = pause.as_millis() as u64,
                "the link failed and will be tried again"
            );
        }
        let (since_us, kind_since_us) = self.trouble.met(error.kind(), now_us());
        self.link.board.enter(LinkState::Retrying, Some(self.record(error, kind_since_us)));
        self.link.board.update(|status| status.since_us = since_us);
        let log = if seldom && pause < LOOK_AT_LOG_AFTER { Log::Unwatched } else { Log::Ours };
        self.stand(Some(pause), log).await
    }

    /// Stands still until a person resumes the link; false when it is to stop.
    pub(super) async fn halt(&mut self, error: &Error) -> bool {
        tracing::error!(
            link = %self.link.name(),
            kind = error.kind().name(),
            error = error.chain(),
            hint = error.hint_for(self.link.name()),
            "the link has halted and needs a person"
        );
        self.trouble = Trouble::default();
        let record = self.record(error, now_us());
        let mut checkpoint = self.link.checkpoint();
        checkpoint.halt = Some(record.clone());
        if let Err(error) = self.link.record(&checkpoint).await {
            tracing::warn!(link = %self.link.name(), error = error.chain(), "the halt is not recorded");
        }
        self.link.board.enter(LinkState::Halted, Some(record));
        // What was said before was said of something else.
        self.orders.schema_reviewed = false;
        let log = if error.kind() == Kind::Identity { Log::Foreign } else { Log::Ours };
        !self.orders.until_caught_up && self.stand(None, log).await
    }

    /// What is shown of an error of this link.
    fn record(&self, error: &Error, since_us: i64) -> HaltRecord {
        HaltRecord { hint: error.hint_for(self.link.name()), ..HaltRecord::of(error, since_us) }
    }

    /// Stands still until a person resumes the link that one has paused; false when it is to stop.
    pub(super) async fn stand_paused(&mut self, since_us: i64) -> bool {
        self.show_paused(since_us);
        tracing::info!(link = %self.link.name(), "the link is paused");
        while !self.orders.until_caught_up && self.stand(None, Log::Ours).await {
            if self.link.checkpoint().paused_since_us.is_none() {
                return true;
            }
        }
        false
    }

    /// Until a command that lets the link go on, or for `limit`; false when it is to stop. Meanwhile
    /// the source's log is watched, if it is the link's.
    async fn stand(&mut self, limit: Option<Duration>, log: Log) -> bool {
        let until = limit.map(|limit| Instant::now() + limit);
        loop {
            let (ends, board) = (self.link.spec.ends.as_ref(), &self.link.board);
            let command = tokio::select! {
                biased;
                () = self.link.shutdown.started() => return false,
                command = self.commands.recv() => command,
                () = due(until) => return true,
                never = side::watch_the_log(ends, board), if log == Log::Ours => match never {},
            };
            let Some(command) = command else { return false };
            if self.execute(command).await {
                return true;
            }
        }
    }

    /// Does what was asked while nothing is connected; whether the link is to go on.
    pub(super) async fn execute(&mut self, command: Command) -> bool {
        match command {
            Command::Resume { schema_reviewed, answer } => {
                let resumed = match self.link.space.require() {
                    Ok(()) => self.mark_paused(None).await,
                    Err(low) => {
                        let hint = low.hint_for(self.link.name());
                        Err(low.hint(hint))
                    }
                };
                let done = resumed.is_ok();
                if done {
                    self.orders.schema_reviewed |= schema_reviewed;
                    tracing::info!(link = %self.link.name(), schema_reviewed, "the link is resumed");
                }
                tell(answer, resumed);
                done
            }
            Command::Pause(answer) => {
                let paused = self.mark_paused(Some(now_us())).await;
                let done = paused.is_ok();
                if let Some(since_us) = self.link.checkpoint().paused_since_us {
                    self.show_paused(since_us);
                }
                tell(answer, paused);
                done
            }
            Command::Configure { spec, accepted, answer } => {
                self.backoff = backoff(&spec);
                self.link.spec = *spec;
                self.orders.accepted = accepted;
                tracing::info!(link = %self.link.name(), "the link is configured anew");
                let known = self.link.board.get();
                if known.state != LinkState::Paused {
                    self.link.board.enter(LinkState::Starting, known.error);
                }
                tell(answer, Ok(()));
                true
            }
        }
    }

    /// Shown together with the trouble that it was paused with.
    fn show_paused(&self, since_us: i64) {
        let halt = self.link.checkpoint().halt;
        let error = self.link.board.get().error.or(halt);
        self.link.board.enter(LinkState::Paused, error);
        self.link.board.update(|status| status.since_us = since_us);
    }

    /// Makes durable since when the link is paused, or that it no longer is.
    async fn mark_paused(&self, since_us: Option<i64>) -> Result<()> {
        let mut checkpoint = self.link.checkpoint();
        if checkpoint.paused_since_us.is_some() == since_us.is_some() {
            return Ok(());
        }
        checkpoint.paused_since_us = since_us;
        self.link.record(&checkpoint).await
    }
}

/// Whoever asked may have gone.
fn tell(answer: Answer, result: Result<()>) {
    let _gone = answer.send(result);
}

async fn due(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
