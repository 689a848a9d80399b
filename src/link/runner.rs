//! The life of one link: attempt after attempt, with a backoff between those that may pass, and a
//! stop until a person has acted after those that may not, or where a person has paused it. Other
//! links are not concerned.
//!
//! What a person asks of a link that streams is done when it has drained, at a commit. Between two
//! attempts nothing of it is connected, so there it is paused, resumed and configured anew.

mod standing;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::error::{Disposition, Error, Kind, Result};
use crate::link::apply::Finish;
use crate::link::attempt::{self, Link, LinkSpec, Orders};
use crate::link::backoff::Backoff;
use crate::link::repeats::Repeats;
use crate::link::shutdown::Shutdown;
use crate::link::status::{LinkState, now_us};
use crate::link::trouble::Trouble;

/// Told what came of a command.
type Answer = oneshot::Sender<Result<()>>;

/// What a person asks of a link.
pub(super) enum Command {
    /// Go on after a halt or a pause, or at once instead of waiting.
    Resume {
        /// The schema was reviewed: accept it as it is.
        schema_reviewed: bool,
        /// Told what came of it.
        answer: Answer,
    },
    /// Drain, and stand still until resumed.
    Pause(Answer),
    /// Drain, and go on with another configuration.
    Configure {
        /// The link as it is configured now.
        spec: Box<LinkSpec>,
        /// Tables that may join although they hold rows.
        accepted: BTreeSet<String>,
        /// Told when it has drained.
        answer: Answer,
    },
}

/// A witness moved by someone else this often within [`FENCED_WITHIN`] is another weir.
const FENCED_MAX: usize = 5;
const FENCED_WITHIN: Duration = Duration::from_secs(600);
/// Waits after a refused login: servers lock accounts after a few wrong passwords.
const LOGIN_AGAIN: Duration = Duration::from_secs(5);
const LOGIN_AGAIN_MAX: Duration = Duration::from_secs(300);

/// How an attempt ended, and what was asked meanwhile that is to be done now.
type Ended = (Result<Finish>, Option<Command>);

struct Life {
    link: Link,
    commands: mpsc::Receiver<Command>,
    orders: Orders,
    backoff: Backoff,
    /// Waits where each try may count against weir.
    patience: Backoff,
    repeats: Repeats,
    fenced: VecDeque<Instant>,
    trouble: Trouble,
}

/// Lives until the link is stopped or, if it is to stop when caught up, until it has come to an end.
pub(super) async fn run(link: Link, commands: mpsc::Receiver<Command>, until_caught_up: bool) {
    let backoff = backoff(&link.spec);
    let orders = Orders { until_caught_up, ..Orders::default() };
    let (repeats, fenced) = (Repeats::default(), VecDeque::new());
    let patience = Backoff::new(LOGIN_AGAIN, LOGIN_AGAIN_MAX, fastrand::u64(..));
    let trouble = Trouble::default();
    let life = Life { link, commands, orders, backoff, patience, repeats, fenced, trouble };
    Box::pin(life.run()).await;
}

fn backoff(spec: &LinkSpec) -> Backoff {
    Backoff::new(spec.options.retry_initial, spec.options.retry_max, fastrand::u64(..))
}

impl Life {
    async fn run(mut self) {
        while self.once().await {}
        // A link that stands halted or paused stays shown so, also when it is stopped.
        let state = self.link.board.get().state;
        if !matches!(state, LinkState::Halted | LinkState::Paused) {
            self.link.board.enter(LinkState::Stopped, None);
        }
    }

    /// One attempt and what follows it; whether there is to be another.
    async fn once(&mut self) -> bool {
        if let Some(since_us) = self.link.checkpoint().paused_since_us
            && !self.stand_paused(since_us).await
        {
            return false;
        }
        let known = self.link.board.get();
        // Until it has come through, a try is part of the trouble that it follows.
        let tries_again = known.state == LinkState::Retrying;
        let state = if tries_again { LinkState::Retrying } else { LinkState::Starting };
        self.link.board.enter(state, known.error);
        let (ended, asked) = match self.link.space.require() {
            Ok(()) => self.attempt().await,
            Err(low) => (Err(low), None),
        };
        if let Some(asked) = asked
            && !self.link.shutdown.has_started()
            && !matches!(ended, Ok(Finish::CaughtUp))
        {
            let error = ended.err().map(|error| error.chain());
            tracing::info!(link = %self.link.name(), error, "the link was stopped for a moment");
            self.execute(asked).await;
            return true;
        }
        let error = match ended {
            Ok(finish) => return self.goes_on(finish),
            Err(error) => self.judge(error),
        };
        if self.link.shutdown.has_started() {
            tracing::info!(link = %self.link.name(), error = error.chain(), "stopped");
            return false;
        }
        self.link.observer.failed(self.link.name(), error.kind());
        let left = self.link.board.get();
        let got_on = known.seq.is_some() && left.seq != known.seq;
        if got_on {
            self.backoff.reset();
            self.orders.silences = 0;
        }
        let ran = left.state == LinkState::Running;
        let ran_us = if ran { now_us().saturating_sub(left.since_us) } else { 0 };
        self.trouble.after(got_on, ran_us);
        if self.orders.streamed {
            self.patience.reset();
            if error.kind() == Kind::Timeout {
                self.orders.silences = self.orders.silences.saturating_add(1);
            }
        }
        let go_on = match error.disposition() {
            Disposition::Retry => self.wait(&error).await,
            // What is to come to an end by itself waits for nobody.
            Disposition::Wait if !self.orders.until_caught_up => self.wait(&error).await,
            Disposition::Wait | Disposition::Park | Disposition::Halt => self.halt(&error).await,
        };
        if go_on {
            self.link.board.update(|status| status.counters.retries += 1);
        }
        go_on
    }

    /// Whether a link whose attempt has ended without an error is to connect anew.
    fn goes_on(&mut self, finish: Finish) -> bool {
        let link = self.link.name();
        let goes_on = matches!(finish, Finish::Strictly | Finish::Anew);
        if !goes_on || self.link.shutdown.has_started() {
            tracing::info!(%link, ?finish, "the link has stopped");
            return false;
        }
        self.orders.strict = finish == Finish::Strictly;
        if self.orders.strict {
            tracing::warn!(
                %link,
                "a constraint refuses a large transaction at its end: it is applied once more, with \
                 every constraint judged at once"
            );
        } else {
            tracing::info!(%link, "connecting anew to try rows that are set aside");
        }
        true
    }

    /// One attempt. What is asked meanwhile ends it at a commit; what makes no sense is answered. What
    /// is asked while it drains waits its turn: draining is bounded. A disk that is about to fill up
    /// ends it at a commit too, with an error.
    async fn attempt(&mut self) -> Ended {
        let stop = self.link.shutdown.child();
        let (link, commands) = (&self.link, &mut self.commands);
        let streaming = attempt::run(link, &mut self.orders, &stop);
        let mut attempt = std::pin::pin!(streaming);
        let (mut asked, mut space, mut low) = (None, link.space.clone(), None);
        let finish = loop {
            tokio::select! {
                biased;
                finish = &mut attempt => break finish,
                () = stop.overdue() => {
                    tracing::warn!(
                        link = %link.name(),
                        "the queue was not applied in time; what is left comes again"
                    );
                    break Ok(Finish::Drained);
                }
                () = connecting_is_useless(link, &stop) => break Ok(Finish::Drained),
                refusal = space.low(), if low.is_none() => {
                    low = Some(refusal);
                    stop.start();
                }
                Some(command) = commands.recv(), if asked.is_none() => match command {
                    Command::Resume { answer, .. } => {
                        let _gone = answer.send(Err(nothing_to_resume(link)));
                    }
                    command => {
                        asked = Some(command);
                        stop.start();
                    }
                },
            }
        };
        let finish = match (finish, low) {
            (Ok(Finish::Drained), Some(low)) => Err(low),
            (finish, _) => finish,
        };
        (finish, asked)
    }

    /// A witness that someone else has moved may be our own older connection whose commit went
    /// through after all: it is read anew. If it moves again and again, another weir is at work.
    fn judge(&mut self, error: Error) -> Error {
        if error.kind() != Kind::Witness || !self.orders.streamed {
            return error;
        }
        let now = Instant::now();
        self.fenced.push_back(now);
        while self.fenced.front().is_some_and(|at| now.duration_since(*at) > FENCED_WITHIN) {
            self.fenced.pop_front();
        }
        if self.fenced.len() >= FENCED_MAX {
            return error.hint(
                "another weir with the same `name` and state writes this link: stop one of them",
            );
        }
        let text = error.to_string();
        Error::new(Kind::Contention, text)
            .hint("weir reads the witness again and goes on from it")
            .caused_by(error)
    }
}

/// A link that is still connecting when the stop is asked for has nothing to drain.
async fn connecting_is_useless(link: &Link, stop: &Shutdown) {
    stop.started().await;
    if link.board.get().state == LinkState::Running {
        std::future::pending::<()>().await;
    }
}

fn nothing_to_resume(link: &Link) -> Error {
    let context = format!("the link {} is neither halted nor paused", link.name());
    Error::new(Kind::Configuration, context).hint("there is nothing to resume; see `weir status`")
}
