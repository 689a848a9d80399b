//! A source's stream under way in a task, for the tests of the rooms.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weir::error::Error;
use weir::link::ports::Source;
use weir::link::queue::{PartReceiver, channel};
use weir::model::{Change, Commit};
use weir::position::Position;

/// A stream under way.
pub struct Stream {
    pub parts: PartReceiver,
    pub from: Position,
    /// What the source is told to be durable.
    pub durable: watch::Sender<Position>,
    pub stop: CancellationToken,
    pub task: JoinHandle<Result<(), Error>>,
    /// Nothing that is waited for takes this long.
    patience: Duration,
}

/// Streams from a position on; schema changes up to `reviewed` pass.
pub fn follow(
    mut source: Box<dyn Source>,
    from: Position,
    reviewed: Option<Position>,
    queue_bytes: usize,
    patience: Duration,
) -> Stream {
    let (queue, parts) = channel(queue_bytes);
    let (durable, frontier) = watch::channel(from.clone());
    let stop = CancellationToken::new();
    let (start, token) = (from.clone(), stop.clone());
    let task =
        tokio::spawn(async move { source.stream(start, reviewed, queue, frontier, token).await });
    Stream { parts, from, durable, stop, task, patience }
}

impl Stream {
    /// The changes of the next transaction that has any.
    pub async fn transaction(&mut self) -> (Vec<Change>, Commit) {
        let mut changes = Vec::new();
        loop {
            let part = tokio::time::timeout(self.patience, self.parts.receive()).await;
            let Some(queued) = part.expect("a part in time") else {
                panic!("stream ended: {:?}", (&mut self.task).await)
            };
            changes.extend(queued.part.changes.clone());
            match &queued.part.commit {
                Some(commit) if !changes.is_empty() => return (changes, commit.clone()),
                _ => {}
            }
        }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(self.patience, self.task).await.unwrap().unwrap().unwrap();
    }

    /// The error that ends the stream; parts before it are read and dropped.
    pub async fn error(mut self) -> Error {
        let draining = async { while self.parts.receive().await.is_some() {} };
        tokio::time::timeout(self.patience, draining).await.expect("an end in time");
        self.task.await.unwrap().expect_err("the stream should halt")
    }
}
