//! The capture task: runs the source's stream into the queue until it is stopped or fails.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::Result;
use crate::link::ports::Source;
use crate::link::queue::PartSender;
use crate::position::Position;

/// What a stream needs besides its source.
pub(super) struct Capture {
    /// Where to go on.
    pub(super) from: Position,
    /// Shapes up to here were reviewed.
    pub(super) reviewed_until: Option<Position>,
    /// To the apply task.
    pub(super) queue: PartSender,
    /// What may be acknowledged.
    pub(super) frontier: watch::Receiver<Position>,
    /// Ends the stream.
    pub(super) stop: CancellationToken,
}

/// Streams. The end of the queue tells the apply task that the capture is gone.
pub(super) async fn run(mut source: Box<dyn Source>, capture: Capture) -> Result<()> {
    let Capture { from, reviewed_until, queue, frontier, stop } = capture;
    source.stream(from, reviewed_until, queue, frontier, stop).await
}
