//! The two ends of a link, connected anew for every attempt: the plan from the catalogs as they are
//! now, and the source, side reader and target that the rooms open.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::Database;
use crate::error::{Error, Kind, Result};
use crate::link::hosts::{self, Choice};
use crate::link::ports::{End, LinkContext, Pending, Room, Scan, Source, SpoolPlace, Target};
use crate::model::TableName;
use crate::plan::LinkPlan;

/// What an attempt connects to.
pub trait Ends: Send + Sync {
    /// Chooses the host of each end that everything below connects to, until it is called again.
    /// Where they listen, source first.
    fn settle(&self) -> Pending<'_, [String; 2]> {
        Box::pin(async { Ok(Default::default()) })
    }

    /// What ended an attempt, by the hosts that it was made at.
    fn excuse(&self, error: Error) -> Error {
        error
    }

    /// Reads both catalogs and compiles the plan.
    fn plan(&self) -> Pending<'_, Arc<LinkPlan>>;

    /// Which of the plan's source tables hold rows.
    fn non_empty<'a>(&'a self, tables: &'a [TableName]) -> Pending<'a, Vec<TableName>>;

    /// Connects the capture.
    fn source(&self, plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Source>>;

    /// Connects the side reader.
    fn scan(&self, plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Scan>>;

    /// Connects a reader of whole tables: where `read_url` says, else as [`Ends::scan`].
    fn reader(&self, plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Scan>> {
        self.scan(plan)
    }

    /// Connects a reader of the target's tables as they are, `plan` being the link's, mirrored
    /// ([`mirror`](crate::plan::mirror)).
    fn target_reader(&self, _plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Scan>> {
        Box::pin(async { Err(Error::new(Kind::Unsupported, "this target's rows cannot be read")) })
    }

    /// Which of the plan's target tables hold rows.
    fn non_empty_targets<'a>(&'a self, tables: &'a [TableName]) -> Pending<'a, Vec<TableName>>;

    /// Connects a side reader that is asked about the log only, for which no catalog is read.
    fn log(&self) -> Pending<'_, Box<dyn Scan>>;

    /// Connects to the target and ends that again: an error says why it cannot be done.
    fn greet_target(&self) -> Pending<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Connects the apply side.
    fn target(&self, plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Target>>;
}

/// Reads both catalogs and compiles the plan of one link, from these two ends.
pub type Replan = Box<dyn Fn([Database; 2]) -> Pending<'static, Arc<LinkPlan>> + Send + Sync>;

/// The ends as the rooms open them.
pub struct RoomEnds {
    /// Who asks.
    pub context: LinkContext,
    /// The source's room.
    pub source_room: &'static dyn Room,
    /// The source, at all its hosts.
    pub source: Database,
    /// The target's room.
    pub target_room: &'static dyn Room,
    /// The target, at all its hosts.
    pub target: Database,
    /// Where the source may keep what comes before its commit.
    pub spool: Option<SpoolPlace>,
    /// Source and target at the hosts that are used, once they are chosen.
    pub used: Mutex<Option<[Choice; 2]>>,
    /// Longest wait for a lock on the target.
    pub lock_timeout: Duration,
    /// The plan, from the catalogs as they are when it is called.
    pub replan: Replan,
}

impl RoomEnds {
    /// Source and target at the hosts that are used.
    fn used(&self) -> [Database; 2] {
        match self.chosen() {
            Some(chosen) => chosen.map(|choice| choice.used),
            None => [self.source.clone(), self.target.clone()],
        }
    }

    fn chosen(&self) -> Option<[Choice; 2]> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn choose(&self) -> Result<[String; 2]> {
        let source = hosts::choose(self.source_room, &self.source, End::Source).await?;
        let target = hosts::choose(self.target_room, &self.target, End::Target).await?;
        let at = [source.used.listens_at(), target.used.listens_at()];
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Some([source, target]);
        Ok(at)
    }
}

impl Ends for RoomEnds {
    fn settle(&self) -> Pending<'_, [String; 2]> {
        Box::pin(self.choose())
    }

    fn excuse(&self, error: Error) -> Error {
        match self.chosen() {
            Some([source, _]) => source.excuse(error),
            None => error,
        }
    }

    fn plan(&self) -> Pending<'_, Arc<LinkPlan>> {
        (self.replan)(self.used())
    }

    fn non_empty<'a>(&'a self, tables: &'a [TableName]) -> Pending<'a, Vec<TableName>> {
        let [source, _] = self.used();
        Box::pin(async move { self.source_room.non_empty(&source, tables).await })
    }

    fn source(&self, plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Source>> {
        let [source, _] = self.used();
        Box::pin(async move {
            let mut source = self.source_room.open_source(&self.context, &source, plan).await?;
            if let Some(place) = &self.spool {
                source.spool_at(place.clone());
            }
            Ok(source)
        })
    }

    fn scan(&self, plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Scan>> {
        let [source, _] = self.used();
        Box::pin(async move { self.source_room.open_scan(&self.context, &source, plan).await })
    }

    fn target_reader(&self, plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Scan>> {
        let [_, target] = self.used();
        Box::pin(async move {
            let mut scan = self.target_room.open_scan(&self.context, &target, plan).await?;
            scan.forgo_marks();
            Ok(scan)
        })
    }

    fn reader(&self, plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Scan>> {
        let [source, _] = self.used();
        Box::pin(async move {
            let source = match &self.source.read {
                Some(replica) => hosts::choose(self.source_room, replica, End::Source).await?.used,
                None => source,
            };
            self.source_room.open_scan(&self.context, &source, plan).await
        })
    }

    fn non_empty_targets<'a>(&'a self, tables: &'a [TableName]) -> Pending<'a, Vec<TableName>> {
        let [_, target] = self.used();
        Box::pin(async move { self.target_room.non_empty(&target, tables).await })
    }

    fn log(&self) -> Pending<'_, Box<dyn Scan>> {
        let chosen = self.chosen();
        let dialects = [self.source.dialect, self.target.dialect];
        let plan = Arc::new(LinkPlan::of_no_table(self.context.link.clone(), dialects));
        Box::pin(async move {
            let source = match chosen {
                Some([source, _]) => source,
                None => hosts::choose(self.source_room, &self.source, End::Source).await?,
            };
            self.source_room.open_scan(&self.context, &source.used, plan).await
        })
    }

    fn greet_target(&self) -> Pending<'_, ()> {
        let [_, target] = self.used();
        Box::pin(async move { self.target_room.version(&target).await.map(drop) })
    }

    fn target(&self, plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Target>> {
        let [_, target] = self.used();
        let (context, wait) = (&self.context, self.lock_timeout);
        Box::pin(async move { self.target_room.open_target(context, &target, plan, wait).await })
    }
}
