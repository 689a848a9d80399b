//! Starts the links, each in a task of its own, and hands out what is needed to watch, resume and
//! stop them. One link's trouble never reaches another.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::config::{ApplyOptions, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::attempt::Link;
use crate::link::ends::Ends;
use crate::link::ledger::{HaltRecord, Ledger};
use crate::link::observer::Observer;
use crate::link::ports::LinkContext;
use crate::link::runner::{self, Command};
use crate::link::shutdown::Shutdown;
use crate::link::status::{Board, LinkState, LinkStatus, now_us};

/// One link to run.
pub struct LinkSpec {
    /// Who it is.
    pub context: LinkContext,
    /// Its options.
    pub options: ApplyOptions,
    /// What it connects.
    pub ends: Arc<dyn Ends>,
}

/// What all links share.
pub struct Shared {
    /// The state directory.
    pub ledger: Arc<dyn Ledger>,
    /// Who counts.
    pub observer: Arc<dyn Observer>,
    /// Stop each link once it has applied what was in the log at its start.
    pub until_caught_up: bool,
}

/// A running link, from outside. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LinkHandle {
    /// The link.
    pub link: LinkName,
    status: watch::Receiver<LinkStatus>,
    commands: mpsc::Sender<Command>,
}

impl LinkHandle {
    /// Its status now.
    pub fn status(&self) -> LinkStatus {
        self.status.borrow().clone()
    }

    /// Its status as it changes.
    pub fn watch(&self) -> watch::Receiver<LinkStatus> {
        self.status.clone()
    }

    /// Lets a halted link go on; with `schema_reviewed`, the tables are accepted as they are now.
    /// An error says that there is nothing to resume.
    pub async fn resume(&self, schema_reviewed: bool) -> Result<()> {
        let ended = || {
            Error::new(Kind::Configuration, format!("the link {} has ended", self.link))
                .hint("start weir again")
        };
        let (answer, answered) = oneshot::channel();
        let command = Command::Resume { schema_reviewed, answer };
        self.commands.send(command).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

/// All links of a process.
#[derive(Debug)]
pub struct Supervisor {
    handles: Vec<LinkHandle>,
    boards: Vec<(tokio::task::Id, Board)>,
    tasks: JoinSet<()>,
    shutdown: Shutdown,
}

impl Supervisor {
    /// Starts every link.
    pub fn start(links: Vec<LinkSpec>, shared: Shared) -> Supervisor {
        let shutdown = Shutdown::default();
        let mut tasks = JoinSet::new();
        let (mut handles, mut boards) = (Vec::new(), Vec::new());
        for LinkSpec { context, options, ends } in links {
            let (board, status) = Board::new();
            let (commands, received) = mpsc::channel(4);
            handles.push(LinkHandle { link: context.link.clone(), status, commands });
            let link = Link {
                context,
                options,
                ends,
                ledger: Arc::clone(&shared.ledger),
                observer: Arc::clone(&shared.observer),
                board: board.clone(),
                shutdown: shutdown.clone(),
            };
            link.recall();
            let task = tasks.spawn(runner::run(link, received, shared.until_caught_up));
            boards.push((task.id(), board));
        }
        Supervisor { handles, boards, tasks, shutdown }
    }

    /// The links, in the order given.
    pub fn links(&self) -> &[LinkHandle] {
        &self.handles
    }

    /// Asks every link to drain and stop; [`Supervisor::finished`] says when they have.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Resolves when every link has ended: stopped, caught up, or (if they are to stop when caught
    /// up) halted. Cancel-safe.
    pub async fn finished(&mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            let Err(cause) = ended else { continue };
            let board = self.boards.iter().find(|(id, _)| *id == cause.id());
            let error = Error::new(Kind::Internal, "the link's task failed").caused_by(cause);
            tracing::error!(error = error.chain(), hint = error.operator_hint(), "a link is gone");
            if let Some((_, board)) = board {
                board.enter(LinkState::Halted, Some(HaltRecord::of(&error, now_us())));
            }
        }
    }
}
