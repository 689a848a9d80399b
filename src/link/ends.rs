//! The two ends of a link, connected anew for every attempt: the plan from the catalogs as they are
//! now, and the source, side reader and target that the rooms open.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Database;
use crate::link::ports::{LinkContext, Pending, Room, Scan, Source, SpoolPlace, Target};
use crate::model::TableName;
use crate::plan::LinkPlan;

/// What an attempt connects to.
pub trait Ends: Send + Sync {
    /// Reads both catalogs and compiles the plan.
    fn plan(&self) -> Pending<'_, Arc<LinkPlan>>;

    /// Which of the plan's source tables hold rows.
    fn non_empty<'a>(&'a self, tables: &'a [TableName]) -> Pending<'a, Vec<TableName>>;

    /// Connects the capture.
    fn source(&self, plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Source>>;

    /// Connects the side reader.
    fn scan(&self, plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Scan>>;

    /// Connects the apply side.
    fn target(&self, plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Target>>;
}

/// Reads both catalogs and compiles the plan of one link.
pub type Replan = Box<dyn Fn() -> Pending<'static, Arc<LinkPlan>> + Send + Sync>;

/// The ends as the rooms open them.
pub struct RoomEnds {
    /// Who asks.
    pub context: LinkContext,
    /// The source's room.
    pub source_room: &'static dyn Room,
    /// The source.
    pub source: Database,
    /// The target's room.
    pub target_room: &'static dyn Room,
    /// The target.
    pub target: Database,
    /// Where the source may keep what comes before its commit.
    pub spool: Option<SpoolPlace>,
    /// Longest wait for a lock on the target.
    pub lock_timeout: Duration,
    /// The plan, from the catalogs as they are when it is called.
    pub replan: Replan,
}

impl Ends for RoomEnds {
    fn plan(&self) -> Pending<'_, Arc<LinkPlan>> {
        (self.replan)()
    }

    fn non_empty<'a>(&'a self, tables: &'a [TableName]) -> Pending<'a, Vec<TableName>> {
        self.source_room.non_empty(&self.source, tables)
    }

    fn source(&self, plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Source>> {
        Box::pin(async {
            let mut source =
                self.source_room.open_source(&self.context, &self.source, plan).await?;
            if let Some(place) = &self.spool {
                source.spool_at(place.clone());
            }
            Ok(source)
        })
    }

    fn scan(&self, plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Scan>> {
        self.source_room.open_scan(&self.context, &self.source, plan)
    }

    fn target(&self, plan: Arc<LinkPlan>) -> Pending<'_, Box<dyn Target>> {
        self.target_room.open_target(&self.context, &self.target, plan, self.lock_timeout)
    }
}
