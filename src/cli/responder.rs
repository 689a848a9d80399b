//! What the running weir answers to the other verbs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::cli::control::{Answer, Request, Respond};
use crate::cli::hint;
use crate::cli::reload::Asked;
use crate::cli::state;
use crate::cli::status::Line;
use crate::error::{Kind, Result};
use crate::link::ledger::Ledger;
use crate::link::status::now_us;
use crate::link::supervisor::{LinkHandle, Links};
use crate::position::Position;
use crate::state::Store;

/// How long a source is waited for to tell the end of its log; whoever asked asks again.
const HEAD_MAX: Duration = Duration::from_secs(2);

/// Answers the other verbs.
pub(super) struct Responder {
    pub(super) links: Links,
    pub(super) store: Arc<Store>,
    pub(super) reloads: mpsc::Sender<Asked>,
}

impl Respond for Responder {
    async fn respond(&self, request: Request) -> Answer {
        match request {
            Request::Status => {
                let links = self.links.borrow().clone();
                let lines: Vec<Line> = links.iter().map(line).collect();
                ok(serde_json::json!({ "running": true, "links": lines }))
            }
            Request::Outlines => {
                let links = self.links.borrow().clone();
                let known = links.iter().filter_map(|handle| {
                    let known = self.store.load(&handle.link)?;
                    Some((handle.link.to_string(), state::ran(&known)?))
                });
                match serde_json::to_value(known.collect::<BTreeMap<_, _>>()) {
                    Ok(known) => ok(known),
                    Err(cause) => {
                        Answer::failed(Kind::Internal, cause.to_string(), Kind::Internal.hint())
                    }
                }
            }
            Request::Reload { accept } => self.reload(accept).await,
            Request::Resume { link, schema_reviewed } => {
                self.with(&link, async |handle| done(handle.resume(schema_reviewed).await)).await
            }
            Request::Pause { link } => {
                self.with(&link, async |handle| done(handle.pause().await)).await
            }
            Request::Verify { link, order } => {
                let begin = async |handle: LinkHandle| {
                    compared(&handle, handle.desk().begin(order, now_us()))
                };
                self.with(&link, begin).await
            }
            Request::ResumeVerify { link } => {
                let resume = async |handle: LinkHandle| compared(&handle, handle.desk().resume());
                self.with(&link, resume).await
            }
            Request::Verified { link } => {
                self.with(&link, async |handle| compared(&handle, Ok(()))).await
            }
            Request::Head { link } => self.with(&link, async |handle| head(&handle).await).await,
            Request::Reached { link, position } => {
                self.with(&link, async |handle| reached(&handle, &position)).await
            }
        }
    }
}

impl Responder {
    async fn reload(&self, accept: bool) -> Answer {
        let busy = || {
            Answer::failed(Kind::Io, "weir is reloading, or about to stop", "ask again in a moment")
        };
        let (answer, answered) = oneshot::channel();
        match self.reloads.try_send(Asked { accept, answer: Some(answer) }) {
            Ok(()) => answered.await.unwrap_or_else(|_| busy()),
            Err(_) => busy(),
        }
    }

    async fn with(&self, link: &str, answer: impl AsyncFnOnce(LinkHandle) -> Answer) -> Answer {
        let links = self.links.borrow().clone();
        match links.iter().find(|handle| handle.link.to_string() == link) {
            Some(handle) => answer(handle.clone()).await,
            None => {
                let hint = "the running weir has another configuration: `weir reload`";
                Answer::failed(Kind::Io, format!("there is no link {link}"), hint)
            }
        }
    }
}

fn ok(value: serde_json::Value) -> Answer {
    Answer::Ok(value)
}

fn done(result: Result<()>) -> Answer {
    match result {
        Ok(()) => ok(serde_json::Value::Null),
        Err(error) => Answer::failed(error.kind(), error.chain(), hint(&error)),
    }
}

/// What is known of the link's last comparison, once `asked` is done.
fn compared(handle: &LinkHandle, asked: Result<()>) -> Answer {
    match asked {
        Ok(()) => {
            let known = handle.desk().known();
            ok(serde_json::json!({ "known": known, "link": line(handle) }))
        }
        Err(error) => done(Err(error)),
    }
}

fn line(handle: &LinkHandle) -> Line {
    Line::of(&handle.link, &handle.status())
}

/// The source's head, read after this was asked.
async fn head(handle: &LinkHandle) -> Answer {
    let asked = handle.ask_head();
    let mut status = handle.watch();
    let told =
        status.wait_for(|status| status.mark.as_ref().is_some_and(|(number, _)| *number >= asked));
    let head = match tokio::time::timeout(HEAD_MAX, told).await {
        Ok(Ok(status)) => status.mark.as_ref().map(|(_, head)| head.to_string()),
        Ok(Err(_)) | Err(_) => None,
    };
    ok(serde_json::json!({ "head": head, "link": line(handle) }))
}

/// Whether nothing up to `position` is missing on the target, rows that are read again and copies that go on
/// included.
fn reached(handle: &LinkHandle, position: &str) -> Answer {
    let position: Position = match position.parse() {
        Ok(position) => position,
        Err(cause) => {
            return Answer::failed(Kind::Internal, format!("{cause}"), Kind::Internal.hint());
        }
    };
    // In this order: what is taken up is in the status.
    let taken = handle.has_taken_orders();
    let status = handle.status();
    let reached = taken && status.has_reached(&position) && !status.is_copying();
    ok(serde_json::json!({ "reached": reached, "link": Line::of(&handle.link, &status) }))
}
