//! The streaming part of an attempt: capture, apply, settle and the side reader as tasks around
//! one queue, and how they end together.
//!
//! An error of the capture lets the apply task finish what was captured before it; an error of the
//! apply task ends everything at once. Tasks are aborted when the attempt is dropped.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind, Result};
use crate::link::apply::{Applier, Finish};
use crate::link::attempt::Link;
use crate::link::backoff::Backoff;
use crate::link::breaker::Breaker;
use crate::link::capture::{self, Capture};
use crate::link::copying::{Copying, Reader};
use crate::link::copyist::Copyist;
use crate::link::ledger::{Checkpoint, Progress};
use crate::link::ports::{Origin, Scan, Source, StoredCopy, Target};
use crate::link::question::Question;
use crate::link::refetch::Refetch;
use crate::link::report::Report;
use crate::link::set_aside::Rows;
use crate::link::shutdown::Shutdown;
use crate::link::side::Side;
use crate::link::status::LinkState;
use crate::link::{attend, queue, settle};
use crate::model::Witness;
use crate::plan::LinkPlan;
use crate::position::Position;
use crate::verify::task as comparing;

/// How long the source is given to acknowledge and to leave.
const LEAVE_MAX: Duration = Duration::from_secs(3);
/// The same after an error.
const LEAVE_FAILED_MAX: Duration = Duration::from_secs(1);
/// How long the source is given to send the last acknowledgement.
const ACK_GRACE: Duration = Duration::from_millis(200);
/// Waits after windows that came to nothing.
const WINDOW_WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// Everything a stream starts from.
pub(super) struct Streaming {
    pub(super) plan: Arc<LinkPlan>,
    pub(super) source: Box<dyn Source>,
    pub(super) scan: Box<dyn Scan>,
    pub(super) target: Box<dyn Target>,
    /// Of the planned tables, when the attempt began.
    pub(super) origins: Vec<Origin>,
    /// Transactions that may be applied already although the source does not show them yet.
    pub(super) unfinished: Vec<u32>,
    pub(super) witness: Witness,
    /// What is set aside.
    pub(super) rows: Rows,
    /// How far copies are.
    pub(super) copies: Vec<StoredCopy>,
    /// Judge every constraint of the first large transaction at once.
    pub(super) strict: bool,
    pub(super) checkpoint: Checkpoint,
    pub(super) head: Option<Position>,
}

/// The tasks around the apply task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    Capture,
    Settle,
    Side,
    Attend,
    Copy,
    Compare,
}

type Tasks = JoinSet<(Task, Result<()>)>;

/// Streams until an error or a reason to finish.
pub(super) async fn run(link: &Link, streaming: Streaming, ordered: &Shutdown) -> Result<Finish> {
    let mut tasks = Tasks::new();
    let stop = CancellationToken::new();
    let (mut applier, side) = start(link, streaming, ordered, &mut tasks, &stop)?;
    let attend = attend(link, &mut tasks);
    link.board.enter(LinkState::Running, None);
    let outcome = drive(&mut applier, &mut tasks).await;
    // The apply task's end of the progress channel goes with it: settling then comes to its end.
    // The queue stays open until then, or the capture would leave before the last acknowledgement.
    let parts = applier.into_queue();
    side.abort();
    attend.abort();
    let finish = match outcome {
        Ok(finish) => leave(&mut tasks, &stop).await.map(|()| finish),
        Err(error) => {
            // The next attempt needs the slot or server id that the capture holds.
            end(&mut tasks, &stop, LEAVE_FAILED_MAX).await;
            Err(error)
        }
    };
    drop(parts);
    finish
}

/// Looks after the target while something is applied.
fn attend(link: &Link, tasks: &mut Tasks) -> AbortHandle {
    let (ends, board) = (Arc::clone(&link.spec.ends), link.board.clone());
    let greet = move || {
        let ends = Arc::clone(&ends);
        async move { ends.greet_target().await }
    };
    tasks.spawn(async move { (Task::Attend, Err(attend::attend(greet, board).await)) })
}

fn start(
    link: &Link,
    streaming: Streaming,
    ordered: &Shutdown,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) -> Result<(Applier, AbortHandle)> {
    let Streaming { plan, source, scan, target, origins, unfinished, .. } = streaming;
    let Streaming { witness, rows, copies, strict, checkpoint, head, .. } = streaming;
    let (asking, questions) = mpsc::channel(1);
    let copying = copying(link, &plan, &witness, &copies, &asking, tasks)?;
    let (sender, parts) = queue::channel(link.spec.options.queue_bytes_max);
    let (frontier, durable) = watch::channel(witness.position.clone());
    let newest = Progress::of(&witness, link.board.get().lag.last_applied_us);
    let (progress, settled) = watch::channel(newest);
    let observer = Arc::clone(&link.observer);
    let name = link.name().clone();
    let report = Report::new(name, Arc::clone(&plan), observer, link.board.clone(), progress);
    report.moved(&witness);
    report.rows_set_aside(rows.status());
    let (requests, requested) = mpsc::channel(1);
    let (answer, answers) = mpsc::channel(1);
    compare(link, &plan, asking, tasks);
    let fill = sender.fill();
    let capture = Capture {
        from: witness.restart.clone().unwrap_or_else(|| witness.position.clone()),
        reviewed_until: checkpoint.reviewed_until.clone(),
        queue: sender,
        frontier: durable,
        stop: stop.clone(),
    };
    let capture = capture::run(source, capture);
    tasks.spawn(async move { (Task::Capture, capture.await) });
    let ledger = Arc::clone(&link.ledger);
    let settle = settle::run(ledger, link.name().clone(), checkpoint, settled, frontier);
    tasks.spawn(async move { (Task::Settle, settle.await) });
    let (board, marks) = (link.board.clone(), link.marks.clone());
    let side = Side { scan, plan: Arc::clone(&plan), origins, board, fill, marks };
    let side = side.run(requested, answer);
    let side = tasks.spawn(async move { (Task::Side, side.await) });
    let backoff = Backoff::new(WINDOW_WAIT.0, WINDOW_WAIT.1, fastrand::u64(..));
    let mut refetch = Refetch::new(requests, answers, questions, unfinished, backoff);
    if plan.is_marked() {
        refetch.look_for_asked();
    }
    let applier = Applier {
        plan,
        options: link.spec.options.clone(),
        target,
        parts,
        kept: None,
        seen: witness.position.clone(),
        witness: Witness { hops: 0, ..witness },
        refetch,
        copying,
        rows,
        breaker: Breaker::new(&link.spec.options),
        strict,
        strictly: false,
        report,
        until: head,
        drain: ordered.drain(),
        written_at: Instant::now(),
    };
    Ok((applier, side))
}

/// Has both sides compared whenever that is asked for. Ends with the apply task.
fn compare(
    link: &Link,
    plan: &Arc<LinkPlan>,
    questions: mpsc::Sender<Question>,
    tasks: &mut Tasks,
) {
    let task = comparing::Task {
        plan: Arc::clone(plan),
        ends: Arc::clone(&link.spec.ends),
        questions,
        desk: Arc::clone(&link.desk),
        status: link.board.watch(),
    };
    tasks.spawn(async move {
        task.run().await;
        (Task::Compare, Ok(()))
    });
}

/// Goes on with copies; the readers connect when there is something to read.
fn copying(
    link: &Link,
    plan: &Arc<LinkPlan>,
    witness: &Witness,
    stored: &[StoredCopy],
    asking: &mpsc::Sender<Question>,
    tasks: &mut Tasks,
) -> Result<Copying> {
    let options = &link.spec.options;
    let (returns, returned) = mpsc::channel(options.copy_readers.max(1));
    let readers = (0..options.copy_readers.max(1)).map(|number| {
        let (errands, asked) = mpsc::channel(1);
        let (ends, plan) = (Arc::clone(&link.spec.ends), Arc::clone(plan));
        let (identity, questions) = (witness.source_identity.clone(), asking.clone());
        let copyist = Copyist { number, ends, plan, identity, questions };
        let run = copyist.run(asked, returns.clone());
        tasks.spawn(async move { (Task::Copy, run.await) });
        Reader { errands, busy: false }
    });
    let (readers, ends) = (readers.collect(), Arc::clone(&link.spec.ends));
    let (limit, mut waits) = (options.max_rows_per_second, link.marks.clone());
    // What was asked of an attempt before is answered by this one.
    waits.mark_changed();
    Copying::new(Arc::clone(plan), ends, stored, readers, returned, limit, waits)
}

/// Runs the apply task beside the others until one of them decides the end.
async fn drive(applier: &mut Applier, tasks: &mut Tasks) -> Result<Finish> {
    let apply = applier.run();
    tokio::pin!(apply);
    let mut captured: Option<Result<()>> = None;
    let finish = loop {
        tokio::select! {
            biased;
            finish = &mut apply => break finish,
            ended = tasks.join_next(), if !tasks.is_empty() => match ended {
                Some(Ok((Task::Capture, result))) => captured = Some(result),
                Some(Ok((Task::Settle | Task::Side | Task::Attend | Task::Copy | Task::Compare, Err(error)))) => {
                    return Err(error);
                }
                Some(Ok((task, Ok(())))) => tracing::debug!(?task, "ended"),
                Some(Err(cause)) => {
                    return Err(Error::new(Kind::Internal, "a task of the link failed")
                        .caused_by(cause));
                }
                None => {}
            },
        }
    };
    if matches!(finish, Ok(Finish::SourceEnded | Finish::CutOff)) && captured.is_none() {
        captured = timeout(LEAVE_MAX, capture_result(tasks)).await.ok().flatten();
    }
    match (finish, captured) {
        (Ok(Finish::SourceEnded | Finish::CutOff), Some(Err(error))) => Err(error),
        (Ok(Finish::SourceEnded | Finish::CutOff), _) => {
            Err(Error::new(Kind::Connection, "the source's stream ended"))
        }
        (finish, _) => finish,
    }
}

async fn capture_result(tasks: &mut Tasks) -> Option<Result<()>> {
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok((Task::Capture, result)) => return Some(result),
            Ok((
                Task::Settle | Task::Side | Task::Attend | Task::Copy | Task::Compare,
                Err(error),
            )) => {
                return Some(Err(error));
            }
            Ok(_) => {}
            Err(cause) => {
                let error = Error::new(Kind::Internal, "a task of the link failed");
                return Some(Err(error.caused_by(cause)));
            }
        }
    }
    None
}

/// After a clean end: the last progress is made durable, the source is given a moment to hear of
/// it, then the capture is stopped. All bounded; what is not acknowledged comes again and is known.
async fn leave(tasks: &mut Tasks, stop: &CancellationToken) -> Result<()> {
    let settled = async {
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok((Task::Settle, result)) => return result,
                Ok((Task::Capture, Err(error))) => {
                    tracing::debug!(error = error.chain(), "the capture ended while leaving");
                }
                Ok(_) => {}
                Err(cause) if cause.is_cancelled() => {}
                Err(cause) => {
                    return Err(
                        Error::new(Kind::Internal, "a task of the link failed").caused_by(cause)
                    );
                }
            }
        }
        Ok(())
    };
    match timeout(LEAVE_MAX, settled).await {
        Ok(settled) => settled?,
        // What is applied is in the witness: the next start reads it there.
        Err(_) => tracing::warn!(
            waited_s = LEAVE_MAX.as_secs(),
            "the last checkpoint is not durable yet: the disk of the state directory is slow"
        ),
    }
    tokio::time::sleep(ACK_GRACE).await;
    end(tasks, stop, LEAVE_MAX).await;
    Ok(())
}

/// Stops the capture and waits for the tasks, in bounded time.
async fn end(tasks: &mut Tasks, stop: &CancellationToken, bound: Duration) {
    stop.cancel();
    let gone = timeout(bound, async { while tasks.join_next().await.is_some() {} }).await;
    if gone.is_err() {
        tracing::debug!("the capture did not leave in time and is dropped");
    }
}
