//! Starts the links, each in a task of its own, and hands out what is needed to watch, command and
//! stop them. One link's trouble never reaches another. Links may come and go while others run.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::config::LinkName;
use crate::error::{Error, Kind, Result};
use crate::link::attempt::Link;
pub use crate::link::attempt::LinkSpec;
use crate::link::claims::Claims;
use crate::link::ledger::{HaltRecord, Ledger};
use crate::link::observer::Observer;
use crate::link::runner::{self, Command};
use crate::link::shutdown::Shutdown;
use crate::link::space::Space;
use crate::link::status::{Board, LinkState, LinkStatus, now_us};
use crate::verify::desk::{Desk, Known, Shelf};

/// What all links share.
pub struct Shared {
    /// The state directory.
    pub ledger: Arc<dyn Ledger>,
    /// Who counts.
    pub observer: Arc<dyn Observer>,
    /// Where it is kept what comparisons have found.
    pub shelf: Arc<dyn Shelf>,
    /// Free space of the state directory.
    pub space: Space,
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
    marks: watch::Sender<u64>,
    stop: Shutdown,
    claims: Arc<Claims>,
    desk: Arc<Desk>,
}

impl LinkHandle {
    /// Where comparisons of both sides are asked for.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Its status now.
    pub fn status(&self) -> LinkStatus {
        self.status.borrow().clone()
    }

    /// Its status as it changes.
    pub fn watch(&self) -> watch::Receiver<LinkStatus> {
        self.status.clone()
    }

    /// Lets a halted or paused link go on; with `schema_reviewed`, the tables are accepted as they
    /// are now. An error says that there is nothing to resume.
    pub async fn resume(&self, schema_reviewed: bool) -> Result<()> {
        self.command(|answer| Command::Resume { schema_reviewed, answer }).await
    }

    /// Drains the link and pauses it, durably, until it is resumed.
    pub async fn pause(&self) -> Result<()> {
        self.command(Command::Pause).await
    }

    /// Drains the link, and lets it go on as `spec` says; of the tables that join it, `accepted` may
    /// hold rows. Whether it can go on is seen in its status.
    pub async fn configure(&self, spec: LinkSpec, accepted: BTreeSet<String>) -> Result<()> {
        let spec = Box::new(spec);
        self.command(|answer| Command::Configure { spec, accepted, answer }).await
    }

    /// Drains the link and ends it; returns when it has ended.
    pub async fn end(&self) {
        self.stop.start();
        self.commands.closed().await;
        self.release();
    }

    /// Lets other links have the tables that this one reads and writes, until its next attempt:
    /// before links are configured anew, so that a table can go from one to another.
    pub fn release(&self) {
        self.claims.release(&self.link);
    }

    /// Asks for the source's head: [`LinkStatus::mark`] with this number or a later one is a head
    /// that was read after this call. What is asked of copies by then is taken up at once.
    pub fn ask_head(&self) -> u64 {
        let mut number = 0;
        self.marks.send_modify(|asked| {
            *asked += 1;
            number = *asked;
        });
        number
    }

    /// Whether everything was taken up that had been asked of copies when somebody last asked for the head.
    pub fn has_taken_orders(&self) -> bool {
        let asked = *self.marks.borrow();
        self.status.borrow().orders_taken >= asked
    }

    async fn command(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<()>>) -> Command,
    ) -> Result<()> {
        let ended = || {
            Error::new(Kind::Configuration, format!("the link {} has ended", self.link))
                .hint("start weir again")
        };
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

/// The links of a process, in the order in which they were started.
pub type Links = watch::Receiver<Arc<[LinkHandle]>>;

/// All links of a process.
pub struct Supervisor {
    shared: Shared,
    handles: watch::Sender<Arc<[LinkHandle]>>,
    boards: Vec<(tokio::task::Id, Board)>,
    tasks: JoinSet<()>,
    /// Show what comparisons find, as long as this lives.
    tellers: JoinSet<()>,
    shutdown: Shutdown,
    claims: Arc<Claims>,
}

impl Supervisor {
    /// Starts every link.
    pub fn start(links: Vec<LinkSpec>, shared: Shared) -> Supervisor {
        let mut supervisor = Supervisor {
            shared,
            handles: watch::channel(Arc::from([])).0,
            boards: Vec::new(),
            tasks: JoinSet::new(),
            tellers: JoinSet::new(),
            shutdown: Shutdown::default(),
            claims: Arc::default(),
        };
        links.into_iter().for_each(|link| supervisor.add(link));
        supervisor
    }

    /// Starts one more link.
    pub fn add(&mut self, spec: LinkSpec) {
        let (board, status) = Board::new();
        let (commands, received) = mpsc::channel(4);
        let (marks, asked) = watch::channel(0);
        let stop = self.shutdown.child();
        let name = spec.context.link.clone();
        let desk = Arc::new(Desk::new(name.clone(), Arc::clone(&self.shared.shelf)));
        let link = Link {
            spec,
            ledger: Arc::clone(&self.shared.ledger),
            observer: Arc::clone(&self.shared.observer),
            claims: Arc::clone(&self.claims),
            board: board.clone(),
            desk: Arc::clone(&desk),
            shutdown: stop.clone(),
            marks: asked,
            space: self.shared.space.clone(),
        };
        link.recall();
        self.tellers.spawn(tell(desk.watch(), board.clone()));
        let task = self.tasks.spawn(runner::run(link, received, self.shared.until_caught_up));
        self.boards.push((task.id(), board));
        let claims = Arc::clone(&self.claims);
        let handle = LinkHandle { link: name, status, commands, marks, stop, claims, desk };
        self.handles.send_modify(|handles| {
            *handles = handles.iter().cloned().chain([handle]).collect();
        });
    }

    /// Drains a link, ends it and forgets it.
    pub async fn remove(&mut self, link: &LinkName) {
        let handles = Arc::clone(&self.handles.borrow());
        if let Some(handle) = handles.iter().find(|handle| handle.link == *link) {
            handle.end().await;
        }
        self.handles.send_modify(|handles| {
            *handles = handles.iter().filter(|handle| handle.link != *link).cloned().collect();
        });
    }

    /// The links as they come and go.
    pub fn links(&self) -> Links {
        self.handles.subscribe()
    }

    /// Asks every link to drain and stop; [`Supervisor::finished`] says when they have.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Resolves when every link has ended: stopped, caught up, or (if they are to stop when caught
    /// up) halted or paused. Cancel-safe.
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

/// Shows in a link's status what its comparisons find.
async fn tell(mut known: watch::Receiver<Known>, board: Board) {
    loop {
        let summary = known.borrow_and_update().summary();
        board.update(|status| status.compared = summary);
        if known.changed().await.is_err() {
            return;
        }
    }
}
