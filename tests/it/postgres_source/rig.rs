//! A server with tables, a publication of them, and a stream under way, all of it by a user who holds
//! what setup grants and no more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weir::config::{Database, Deletes, Dialect, DroppedPartitions, LinkName, Truncates};
use weir::error::Error;
use weir::link::ports::{LinkContext, Room, Scan, Selection, Source};
use weir::link::queue::{PartReceiver, channel};
use weir::model::{Change, Commit, Op, Row, Value};
use weir::plan::{ColumnPlan, LinkPlan, TablePlan, UpsertStrategy};
use weir::position::{Lsn, Position};
use weir::postgres::{Postgres, catalog, scan, source};
use weir::sandbox::{Options, Running, Server, require};
use weir::transform::{Conversion, Fit};

use crate::rights::{self, READER};

pub(super) const SLOT: &str = "weir_t_a_b";
/// Nothing in these tests takes this long.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A server with tables, a publication of them and a plan.
pub(super) struct Rig {
    pub(super) server: Running,
    pub(super) database: Database,
    pub(super) context: LinkContext,
    pub(super) plan: Arc<LinkPlan>,
}

impl Rig {
    /// `None` where the server cannot be had.
    pub(super) async fn new(server: Server, options: Options, ddl: &str) -> Option<Rig> {
        let server = require(server, options).await.unwrap()?;
        server.execute(ddl).await.unwrap();
        let link = LinkName { source: "a".to_owned(), target: "b".to_owned() };
        let database = rights::newcomer(&server, "a", READER, &[]).await;
        let plan = plan(&database, &link).await;
        let context =
            LinkContext { name: "t".to_owned(), link, server_id: 0, installation: String::new() };
        let rig = Rig { server, database, context, plan };
        rig.set_up().await;
        Some(rig)
    }

    /// What `weir setup` makes.
    pub(super) async fn set_up(&self) {
        let tables: Vec<_> = self.plan.tables.iter().map(|table| &table.source).collect();
        let account = Postgres.account(&self.database).await.unwrap();
        let made = Postgres.setup_source(&self.context, &self.database, &account, &tables);
        rights::give(&self.server, made).await;
    }

    pub(super) async fn source(&self) -> Box<dyn Source> {
        source::open(&self.context, &self.database, Arc::clone(&self.plan)).await.unwrap()
    }

    pub(super) async fn scan(&self) -> Box<dyn Scan> {
        scan::open(&self.context, &self.database, Arc::clone(&self.plan)).await.unwrap()
    }

    /// Starts from now on.
    pub(super) async fn begin(&self, queue_bytes: usize) -> Stream {
        let mut source = self.source().await;
        let from = source.begin().await.unwrap();
        follow(source, from, queue_bytes)
    }

    pub(super) async fn text(&self, sql: &str) -> String {
        let rows = self.server.query(sql).await.unwrap();
        rows[0][0].clone().unwrap_or_default()
    }

    pub(super) async fn confirmed(&self) -> Lsn {
        let sql = "SELECT confirmed_flush_lsn FROM pg_replication_slots";
        self.text(sql).await.parse().unwrap()
    }

    pub(super) async fn head(&self) -> Lsn {
        self.text("SELECT pg_current_wal_insert_lsn()").await.parse().unwrap()
    }
}

/// All tables of `public`, every column planned onto itself.
async fn plan(database: &Database, link: &LinkName) -> Arc<LinkPlan> {
    let selection = Selection { include: vec!["public.*".to_owned()], exclude: Vec::new() };
    let tables = catalog::load(database, Dialect::Postgres, &selection).await.unwrap();
    let tables = tables.into_iter().map(|table| {
        let column = |at| ColumnPlan {
            source: at,
            target: at,
            conversion: Conversion { nullable: true, fit: Fit::Bool },
            reverse: None,
        };
        Arc::new(TablePlan {
            columns: (0..table.columns.len()).map(column).collect(),
            key: table.primary_key().unwrap().to_vec(),
            target: table.clone(),
            source: table,
            upsert: UpsertStrategy::Native,
            rank: 0,
            replaceable: false,
            parent: false,
            referred: Vec::new(),
            acting: Vec::new(),
            unseen: Vec::new(),
            undone: None,
            deletes: Deletes::Apply,
            truncate: Truncates::Apply,
            dropped_partitions: DroppedPartitions::Halt,
        })
    });
    Arc::new(LinkPlan {
        link: link.clone(),
        source_dialect: Dialect::Postgres,
        target_dialect: Dialect::Postgres,
        tables: tables.collect(),
        wanted: weir::plan::Wanted::default(),
        overlap: Vec::new(),
        remarks: Vec::new(),
    })
}

/// A stream under way.
pub(super) struct Stream {
    pub(super) parts: PartReceiver,
    pub(super) durable: watch::Sender<Position>,
    pub(super) stop: CancellationToken,
    pub(super) task: JoinHandle<Result<(), Error>>,
    pub(super) from: Position,
}

pub(super) fn follow(mut source: Box<dyn Source>, from: Position, queue_bytes: usize) -> Stream {
    let (queue, parts) = channel(queue_bytes);
    let (durable, frontier) = watch::channel(from.clone());
    let stop = CancellationToken::new();
    let (start, token) = (from.clone(), stop.clone());
    let task =
        tokio::spawn(async move { source.stream(start, None, queue, frontier, token).await });
    Stream { parts, durable, stop, task, from }
}

impl Stream {
    /// The changes of the next transaction that has any.
    pub(super) async fn transaction(&mut self) -> (Vec<Change>, Commit) {
        let mut changes = Vec::new();
        loop {
            let part = tokio::time::timeout(PATIENCE, self.parts.receive()).await;
            let Some(queued) = part.expect("a part in time") else {
                panic!("stream ended: {:?}", (&mut self.task).await)
            };
            changes.extend(queued.part.changes.clone());
            match &queued.part.commit {
                Some(commit) if !changes.is_empty() => return (changes, commit.clone()),
                _ => {}
            }
        }
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.into())
}

pub(super) fn inserted(change: &Change) -> &Row {
    match &change.op {
        Op::Insert { after } => after,
        other => panic!("an insert, not {other:?}"),
    }
}
