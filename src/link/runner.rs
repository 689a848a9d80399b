//! The life of one link: attempt after attempt, with a backoff between those that may pass, and a
//! stop until a person has acted after those that may not. Other links are not concerned.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::error::{Disposition, Error, Kind, Result};
use crate::link::apply::Finish;
use crate::link::attempt::{self, Link, Orders};
use crate::link::backoff::Backoff;
use crate::link::ledger::HaltRecord;
use crate::link::repeats::Repeats;
use crate::link::side;
use crate::link::status::{LinkState, now_us};

/// What a person asks of a link.
#[derive(Debug)]
pub(super) enum Command {
    /// Go on after a halt, or at once instead of waiting.
    Resume {
        /// The schema was reviewed: accept it as it is.
        schema_reviewed: bool,
        /// Told what came of it.
        answer: oneshot::Sender<Result<()>>,
    },
}

/// A witness moved by someone else this often within [`FENCED_WITHIN`] is another weir.
const FENCED_MAX: usize = 5;
const FENCED_WITHIN: Duration = Duration::from_secs(600);

/// Lives until the link is stopped or, if it is to stop when caught up, until it has come to an end.
pub(super) async fn run(link: Link, mut commands: mpsc::Receiver<Command>, until_caught_up: bool) {
    let options = &link.options;
    let mut backoff = Backoff::new(options.retry_initial, options.retry_max, fastrand::u64(..));
    let mut orders = Orders { until_caught_up, ..Orders::default() };
    let mut fenced = VecDeque::new();
    let mut repeats = Repeats::default();
    loop {
        link.board.enter(LinkState::Starting, link.board.get().error);
        let before = link.board.get().seq;
        let error = match attempt_once(&link, &mut orders, &mut commands).await {
            Ok(finish) => {
                tracing::info!(link = %link.name(), ?finish, "the link has stopped");
                break;
            }
            Err(error) => judge(error, &orders, &mut fenced),
        };
        if link.shutdown.has_started() {
            tracing::info!(link = %link.name(), error = error.chain(), "stopped");
            break;
        }
        link.observer.failed(link.name(), error.kind());
        if before.is_some() && link.board.get().seq != before {
            backoff.reset();
            orders.silences = 0;
        }
        if orders.streamed && error.kind() == Kind::Timeout {
            orders.silences = orders.silences.saturating_add(1);
        }
        let go_on = match error.disposition() {
            Disposition::Retry => {
                wait(&link, &error, &mut backoff, &mut repeats, &mut commands, &mut orders).await
            }
            Disposition::Park | Disposition::Halt => {
                halt(&link, &error, &mut commands, &mut orders).await
            }
        };
        if !go_on {
            // A halted link stays shown as halted, also when it is stopped.
            if link.board.get().state == LinkState::Halted {
                return;
            }
            break;
        }
        link.board.update(|status| status.counters.retries += 1);
    }
    link.board.enter(LinkState::Stopped, None);
}

/// One attempt; commands that make no sense meanwhile are answered.
async fn attempt_once(
    link: &Link,
    orders: &mut Orders,
    commands: &mut mpsc::Receiver<Command>,
) -> Result<Finish> {
    let streaming = attempt::run(link, orders);
    let mut attempt = std::pin::pin!(streaming);
    loop {
        tokio::select! {
            biased;
            finish = &mut attempt => return finish,
            () = link.shutdown.overdue() => {
                tracing::warn!(
                    link = %link.name(),
                    "the queue was not applied in time; what is left comes again at the next start"
                );
                return Ok(Finish::Drained);
            }
            () = connecting_is_useless(link) => return Ok(Finish::Drained),
            Some(Command::Resume { answer, .. }) = commands.recv() => {
                // Whoever asked may have gone.
                let _gone = answer.send(Err(Error::new(
                    Kind::Configuration,
                    format!("the link {} is not halted", link.name()),
                )
                .hint("there is nothing to resume; see `weir status`")));
            }
        }
    }
}

/// A link that is still connecting when the stop is asked for has nothing to drain.
async fn connecting_is_useless(link: &Link) {
    link.shutdown.started().await;
    if link.board.get().state == LinkState::Running {
        std::future::pending::<()>().await;
    }
}

/// A witness that someone else has moved may be our own older connection whose commit went through
/// after all: look again, a few times.
fn judge(error: Error, orders: &Orders, fenced: &mut VecDeque<Instant>) -> Error {
    if error.kind() != Kind::Witness || !orders.streamed {
        return error;
    }
    let now = Instant::now();
    fenced.push_back(now);
    while fenced.front().is_some_and(|at| now.duration_since(*at) > FENCED_WITHIN) {
        fenced.pop_front();
    }
    if fenced.len() >= FENCED_MAX {
        return error.hint(
            "another weir with the same `name` and state writes this link: stop one of them",
        );
    }
    let text = error.to_string();
    Error::new(Kind::Contention, text)
        .hint("weir reads the witness again and goes on from it")
        .caused_by(error)
}

/// Waits for the backoff; false when the link is to stop.
async fn wait(
    link: &Link,
    error: &Error,
    backoff: &mut Backoff,
    repeats: &mut Repeats,
    commands: &mut mpsc::Receiver<Command>,
    orders: &mut Orders,
) -> bool {
    let pause = backoff.next_wait();
    let text = error.chain();
    if let Some(kept_back) = repeats.say(&text, Instant::now()) {
        tracing::warn!(
            link = %link.name(),
            kind = error.kind().name(),
            error = text,
            hint = error.operator_hint(),
            attempt = backoff.attempts(),
            kept_back,
            wait_ms = pause.as_millis() as u64,
            "the link failed and will be tried again"
        );
    }
    // A trouble that lasts shows since when.
    let known = link.board.get().error.filter(|known| known.kind == error.kind());
    let since_us = known.map_or_else(now_us, |known| known.since_us);
    link.board.enter(LinkState::Retrying, Some(HaltRecord::of(error, since_us)));
    let watch = side::watch_the_log(link.ends.as_ref(), orders.plan.clone(), &link.board);
    tokio::select! {
        biased;
        () = link.shutdown.started() => false,
        Some(Command::Resume { schema_reviewed, answer }) = commands.recv() => {
            orders.schema_reviewed |= schema_reviewed;
            let _gone = answer.send(Ok(()));
            true
        }
        () = tokio::time::sleep(pause) => true,
        never = watch => match never {},
    }
}

/// Stands still until a person resumes the link; false when it is to stop.
async fn halt(
    link: &Link,
    error: &Error,
    commands: &mut mpsc::Receiver<Command>,
    orders: &mut Orders,
) -> bool {
    tracing::error!(
        link = %link.name(),
        kind = error.kind().name(),
        error = error.chain(),
        hint = error.operator_hint(),
        "the link has halted and needs a person"
    );
    let record = HaltRecord::of(error, now_us());
    let mut checkpoint = link.checkpoint();
    checkpoint.halt = Some(record.clone());
    if let Err(error) = link.record(&checkpoint).await {
        tracing::warn!(link = %link.name(), error = error.chain(), "the halt is not recorded");
    }
    link.board.enter(LinkState::Halted, Some(record));
    if orders.until_caught_up {
        return false;
    }
    // Another server's log says nothing of the link's.
    let plan = orders.plan.clone().filter(|_| error.kind() != Kind::Identity);
    let watch = side::watch_the_log(link.ends.as_ref(), plan, &link.board);
    tokio::select! {
        biased;
        () = link.shutdown.started() => false,
        never = watch => match never {},
        command = commands.recv() => {
            let Some(Command::Resume { schema_reviewed, answer }) = command else { return false };
            orders.schema_reviewed = schema_reviewed;
            let _gone = answer.send(Ok(()));
            tracing::info!(link = %link.name(), schema_reviewed, "the link is resumed");
            true
        }
    }
}
