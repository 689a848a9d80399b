//! The signals that ask a verb to stop.

use std::future::poll_fn;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Error, Kind, Result};

/// Caught from the moment of [`Signals::listen`] on.
pub(super) struct Signals(Vec<(&'static str, Signal)>);

impl Signals {
    /// SIGTERM and SIGINT.
    pub(super) fn listen() -> Result<Signals> {
        Signals(Vec::new())
            .and("SIGTERM", SignalKind::terminate())?
            .and("SIGINT", SignalKind::interrupt())
    }

    /// SIGHUP too: the terminal is gone.
    pub(super) fn and_hangup(self) -> Result<Signals> {
        self.and("SIGHUP", SignalKind::hangup())
    }

    /// SIGHUP alone: the files are to be loaded again.
    pub(super) fn hangup() -> Result<Signals> {
        Signals(Vec::new()).and_hangup()
    }

    fn and(mut self, name: &'static str, kind: SignalKind) -> Result<Signals> {
        let listening = signal(kind).map_err(|cause| {
            Error::new(Kind::Io, format!("cannot listen for {name}")).caused_by(cause)
        })?;
        self.0.push((name, listening));
        Ok(self)
    }

    /// The name of the next one. Cancel-safe.
    pub(super) async fn next(&mut self) -> &'static str {
        poll_fn(|context| {
            for (name, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(*name);
                }
            }
            Poll::Pending
        })
        .await
    }
}
