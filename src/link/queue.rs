//! The bounded queue between capture and apply, limited in bytes and in parts.
//!
//! A part larger than the whole limit passes when the queue is empty, so nothing can be stuck;
//! captures keep parts small (see [`PART_BYTES_MAX`]). Dropping either end wakes the other.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::model::Part;

/// Captures cut a transaction into parts of about this many bytes.
pub const PART_BYTES_MAX: usize = 1 << 20;

/// Captures cut a transaction into parts of at most this many changes.
pub const PART_CHANGES_MAX: usize = 2_000;

/// Parts in the queue at most, however small they are.
const PARTS_MAX: usize = 4_096;

/// One permit stands for this many bytes, so that limits fit a semaphore.
const PERMIT_BYTES: usize = 1_024;

/// The capture's end.
#[derive(Clone, Debug)]
pub struct PartSender {
    parts: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
    permits_max: u32,
}

/// The applier's end.
#[derive(Debug)]
pub struct PartReceiver {
    parts: mpsc::Receiver<Queued>,
}

/// A part and the room it takes; the room is free again when this is dropped.
#[derive(Debug)]
pub struct Queued {
    /// The part.
    pub part: Part,
    _room: OwnedSemaphorePermit,
}

/// Tells from outside how full a queue is.
#[derive(Clone, Debug)]
pub struct Fill {
    room: Arc<Semaphore>,
    permits_max: u32,
}

/// The applier is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the apply side has stopped")]
pub struct Closed;

/// A queue that holds at most `bytes_max` bytes of parts.
pub fn channel(bytes_max: usize) -> (PartSender, PartReceiver) {
    let permits_max = u32::try_from((bytes_max / PERMIT_BYTES).max(1)).unwrap_or(u32::MAX >> 4);
    let (sender, receiver) = mpsc::channel(PARTS_MAX);
    let room = Arc::new(Semaphore::new(permits_max as usize));
    (PartSender { parts: sender, room, permits_max }, PartReceiver { parts: receiver })
}

impl PartSender {
    /// Hands one part on, waiting for room. Not cancel-safe for the part: keep the future alive
    /// (poll it by reference beside other branches) until it is done.
    pub async fn send(&self, part: Part) -> Result<(), Closed> {
        let wanted = part.bytes / PERMIT_BYTES + 1;
        let permits = u32::try_from(wanted).unwrap_or(u32::MAX).min(self.permits_max);
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| Closed)?;
        self.parts.send(Queued { part, _room: room }).await.map_err(|_| Closed)
    }

    /// How full the queue is, for whoever watches.
    pub fn fill(&self) -> Fill {
        Fill { room: Arc::clone(&self.room), permits_max: self.permits_max }
    }

    /// Resolves when the applier is gone.
    pub async fn closed(&self) {
        self.parts.closed().await;
    }
}

impl Fill {
    /// Bytes queued now, each part rounded up to a KiB.
    pub fn bytes(&self) -> u64 {
        let taken = (self.permits_max as usize).saturating_sub(self.room.available_permits());
        (taken * PERMIT_BYTES) as u64
    }
}

impl PartReceiver {
    /// The next part; `None` when the capture is gone and the queue is empty. Cancel-safe.
    pub async fn receive(&mut self) -> Option<Queued> {
        self.parts.recv().await
    }

    /// The next part if one is there already.
    pub fn receive_now(&mut self) -> Option<Queued> {
        self.parts.try_recv().ok()
    }

    /// How many parts are queued now.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether nothing is queued now.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}
