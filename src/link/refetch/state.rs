//! Where refetching stands: idle, reading for a window, or waiting for the stream to come up to what was read.

use tokio::time::Instant;

use crate::link::ports::Scanned;
use crate::link::window::Window;
use crate::position::Position;

/// A position, and the newest note of then.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) position: Position,
    pub(super) newest: u64,
}

/// What was read for a window.
pub(super) struct Read {
    pub(super) window: Window,
    pub(super) scanned: Scanned,
    pub(super) give_up_at: Instant,
}

/// Where refetching stands.
pub(super) enum State {
    Idle,
    Reading {
        window: Window,
        scans: u32,
        /// Until then nothing is to be applied.
        held_until: Option<Instant>,
        arrived: Option<Scanned>,
    },
    /// For the stream to come up to what was read.
    Waiting(Read),
}

impl State {
    /// The open window.
    pub(super) fn window(&mut self) -> Option<&mut Window> {
        match self {
            State::Idle => None,
            State::Reading { window, .. } | State::Waiting(Read { window, .. }) => Some(window),
        }
    }
}

/// Until a moment; for ever where there is none.
pub(super) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
