//! Free space of the state directory's file system, as a gauge that every link looks at: below the
//! least that weir wants, links halt at a commit, before their state can fill it. Who measures it is
//! not here.

use std::fmt;

use tokio::sync::watch;

use crate::error::{Error, Kind, Result};

/// What was measured last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes that weir may still write; unknown before the first look, and where it cannot be told.
    pub free: Option<u64>,
    /// Fewer are too few; absent where that is switched off.
    pub min: Option<u64>,
}

impl Room {
    fn refusal(self) -> Option<Error> {
        let (free, min) = self.free.zip(self.min).filter(|(free, min)| free < min)?;
        let (free, min) = (InMib(free), InMib(min));
        let context =
            format!("the file system of the state directory has {free} left, and weir wants {min}");
        Some(Error::new(Kind::DiskLow, context))
    }
}

/// The gauge. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Space(watch::Receiver<Room>);

impl Space {
    /// A gauge, and the end by which it is set.
    pub fn new() -> (watch::Sender<Room>, Space) {
        let (sender, receiver) = watch::channel(Room::default());
        (sender, Space(receiver))
    }

    /// What was measured last.
    pub fn now(&self) -> Room {
        *self.0.borrow()
    }

    /// Why no link may write now, if none may.
    ///
    /// # Errors
    /// `DiskLow`, with what is free and what is wanted.
    pub(super) fn require(&self) -> Result<()> {
        self.now().refusal().map_or(Ok(()), Err)
    }

    /// Resolves when there is too little, with what [`Space::require`] says then. Cancel-safe.
    pub(super) async fn low(&mut self) -> Error {
        loop {
            let room = *self.0.borrow_and_update();
            if let Some(refusal) = room.refusal() {
                return refusal;
            }
            if self.0.changed().await.is_err() {
                // Nobody measures any more: weir ends.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Bytes as a person reads them.
struct InMib(u64);

impl fmt::Display for InMib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0 >> 20)
    }
}
