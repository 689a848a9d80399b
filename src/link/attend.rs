//! Whether the target is still there while nothing is applied: a connection that leads nowhere any more
//! says nothing, and a statement may rightly take minutes. So the server is greeted on another one.

use std::time::Duration;

use tokio::time::{Instant, interval, timeout};

use crate::error::{Error, Kind, Result};
use crate::link::status::Board;

/// A batch that takes longer is looked after.
const QUIET_MAX: Duration = Duration::from_secs(20);
/// How often it is looked at what is applied, and a target greeted that did not answer.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Longest wait for an answer to a greeting.
const ANSWER_MAX: Duration = Duration::from_secs(8);
/// Greetings in a row without an answer, after which the connection is given up: a minute after the last
/// sign of life, at most.
const UNANSWERED_MAX: u32 = 3;

/// Returns once something waits to be applied, nothing is, and the target answers no greeting. A server
/// that refuses one is there.
pub(super) async fn attend<F>(mut greet: impl FnMut() -> F, board: Board) -> Error
where
    F: Future<Output = Result<()>>,
{
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut applied, mut since, mut unanswered) = (None, Instant::now(), 0);
    loop {
        tick.tick().await;
        let status = board.get();
        let waits = status.lag.oldest_unapplied_us.is_some() || status.queue_bytes > Some(0);
        if !waits || status.seq != applied {
            (applied, since, unanswered) = (status.seq, Instant::now(), 0);
        }
        if since.elapsed() < QUIET_MAX {
            continue;
        }
        let answer = timeout(ANSWER_MAX, greet()).await.unwrap_or_else(|_| {
            let seconds = ANSWER_MAX.as_secs();
            Err(Error::new(Kind::Timeout, format!("no answer to a greeting within {seconds} s")))
        });
        match answer {
            Err(error) if matches!(error.kind(), Kind::Connection | Kind::Timeout) => {
                tracing::debug!(error = error.chain(), "the target cannot be greeted");
                unanswered += 1;
                if unanswered >= UNANSWERED_MAX {
                    let seconds = since.elapsed().as_secs();
                    let context = format!("the target has not answered for {seconds} s");
                    return Error::new(Kind::Timeout, context).caused_by(error);
                }
            }
            Ok(()) | Err(_) => (since, unanswered) = (Instant::now(), 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How the wait ended, if it did within ten minutes, for a target that answers a greeting like this.
    async fn attended(waits: bool, commits: bool, answer: fn() -> Result<()>) -> Option<u64> {
        let (board, _status) = Board::new();
        board.update(|status| status.lag.oldest_unapplied_us = waits.then_some(1));
        let began = Instant::now();
        let work = async {
            for seq in 0.. {
                board.update(|status| status.seq = Some(if commits { seq } else { 0 }));
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        };
        tokio::select! {
            error = attend(async || answer(), board.clone()) => {
                assert_eq!(error.kind(), Kind::Timeout);
                Some(began.elapsed().as_secs())
            }
            () = work => None,
            () = tokio::time::sleep(Duration::from_secs(600)) => None,
        }
    }

    /// Broken if a target that is gone were waited for as long as a statement may take, or one that
    /// only takes its time, is full or has nothing to do were given up.
    #[tokio::test(start_paused = true)]
    async fn a_target_that_is_gone_is_given_up() {
        let gone = || Err(Error::new(Kind::Connection, "no route"));
        let full = || Err(Error::new(Kind::TooManyConnections, "full"));
        assert!(attended(true, false, gone).await.is_some_and(|seconds| seconds < 54));
        assert_eq!(attended(true, false, || Ok(())).await, None);
        assert_eq!(attended(true, false, full).await, None);
        assert_eq!(attended(true, true, gone).await, None);
        assert_eq!(attended(false, false, gone).await, None);
    }
}
