//! A server with tables, a plan of them, and a stream under way, all of it by a user who holds what
//! setup grants and no more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weir::config::{Database, Deletes, DroppedPartitions, LinkName, Truncates};
use weir::error::{Error, Kind};
use weir::link::ports::{LinkContext, Room, Selection, Source};
use weir::link::queue::{PartReceiver, channel};
use weir::model::{Change, Commit, Op, Row, Value};
use weir::mysql::{Mysql, catalog, scan, source};
use weir::plan::{ColumnPlan, LinkPlan, TablePlan, UpsertStrategy};
use weir::position::Position;
use weir::sandbox::{Options, Running, Server, require};
use weir::transform::{Conversion, Fit};

use crate::rights::{self, READER};

/// Nothing in these tests takes this long.
pub(super) const PATIENCE: Duration = Duration::from_secs(40);

/// A server and a plan of all tables of its database `app`.
pub(super) struct Rig {
    pub(super) server: Running,
    pub(super) database: Database,
    pub(super) context: LinkContext,
    pub(super) plan: Arc<LinkPlan>,
}

impl Rig {
    /// `None` where the server cannot be had.
    pub(super) async fn new(server: Server, options: Options, ddl: &str) -> Option<Rig> {
        let running = require(server, options).await.unwrap()?;
        running.execute(ddl).await.unwrap();
        let link = LinkName { source: "a".to_owned(), target: "b".to_owned() };
        let database = rights::newcomer(&running, "a", READER, &["app"]).await;
        let plan = plan(&database, &link).await;
        let context = LinkContext {
            name: "t".to_owned(),
            link,
            server_id: 4_000_000_001,
            installation: "i".to_owned(),
        };
        let tables: Vec<_> = plan.tables.iter().map(|table| &table.source).collect();
        let account = Mysql.account(&database).await.unwrap();
        let granted = Mysql.setup_source(&context, &database, &account, &tables);
        rights::give(&running, granted).await;
        Some(Rig { server: running, database, context, plan })
    }

    pub(super) async fn source(&self) -> Box<dyn Source> {
        source::open(&self.context, &self.database, Arc::clone(&self.plan)).await.unwrap()
    }

    /// Starts from now on.
    pub(super) async fn begin(&self) -> Stream {
        let mut source = self.source().await;
        let from = source.begin().await.unwrap();
        follow(source, from, None)
    }

    /// Rows read beside the stream are the rows of the stream.
    pub(super) async fn same_beside(&self, rows: &[(Value, &Row)]) {
        let mut scan =
            scan::open(&self.context, &self.database, Arc::clone(&self.plan)).await.unwrap();
        let keys: Vec<Row> = rows.iter().map(|(key, _)| Row::from(vec![key.clone()])).collect();
        let scanned = scan.read_rows(&self.plan.tables[0], &keys).await.unwrap();
        for (found, (key, row)) in scanned.rows.iter().zip(rows) {
            assert_eq!(found.as_ref(), Some(*row), "{key:?}");
        }
        let head = scan.head().await.unwrap();
        assert!(scanned.high.reaches(&scanned.low) && head.reaches(&scanned.high));
        assert!(scanned.low.reaches(&head), "an idle server's low mark is its end");
    }

    pub(super) async fn execute(&self, sql: &str) {
        self.server.execute(sql).await.unwrap();
    }

    /// Runs `sql` from now on and expects the stream to end with an error that says `words`.
    pub(super) async fn halts(&self, sql: &str, kind: Kind, words: &str) {
        let stream = self.begin().await;
        self.execute(sql).await;
        let error = stream.error().await;
        assert_eq!(error.kind(), kind, "{sql}: {}", error.chain());
        assert!(error.chain().contains(words), "{sql}: {}", error.chain());
    }
}

/// All tables of `app` with a primary key, every column planned onto itself.
async fn plan(database: &Database, link: &LinkName) -> Arc<LinkPlan> {
    let selection = Selection { include: vec!["app.*".to_owned()], exclude: Vec::new() };
    let tables = catalog::load(database, database.dialect, &selection).await.unwrap();
    let planned = tables.into_iter().filter(|table| !table.name.table.starts_with("other"));
    let tables = planned.map(|table| {
        let column = |at| ColumnPlan {
            source: at,
            target: at,
            conversion: Conversion { nullable: true, fit: Fit::Bool },
            reverse: None,
        };
        let written = (0..table.columns.len()).filter(|at| !table.columns[*at].generated);
        let columns: Vec<ColumnPlan> = written.map(column).collect();
        let key = table.primary_key().unwrap().iter();
        Arc::new(TablePlan {
            key: key.map(|at| columns.iter().position(|c| c.source == *at).unwrap()).collect(),
            columns,
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
        source_dialect: database.dialect,
        target_dialect: database.dialect,
        tables: tables.collect(),
        wanted: weir::plan::Wanted::default(),
        overlap: Vec::new(),
        remarks: Vec::new(),
    })
}

/// A stream under way.
pub(super) struct Stream {
    pub(super) parts: PartReceiver,
    pub(super) from: Position,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
    _durable: watch::Sender<Position>,
}

pub(super) fn follow(
    mut source: Box<dyn Source>,
    from: Position,
    reviewed: Option<Position>,
) -> Stream {
    let (queue, parts) = channel(8 << 20);
    let (durable, frontier) = watch::channel(from.clone());
    let stop = CancellationToken::new();
    let (start, token) = (from.clone(), stop.clone());
    let task =
        tokio::spawn(async move { source.stream(start, reviewed, queue, frontier, token).await });
    Stream { parts, from, stop, task, _durable: durable }
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

    /// The error that ends the stream; parts before it are read and dropped.
    pub(super) async fn error(mut self) -> Error {
        let draining = async { while self.parts.receive().await.is_some() {} };
        tokio::time::timeout(PATIENCE, draining).await.expect("an end in time");
        self.task.await.unwrap().expect_err("the stream should halt")
    }
}

pub(super) fn inserted(change: &Change) -> &Row {
    match &change.op {
        Op::Insert { after } => after,
        other => panic!("an insert, not {other:?}"),
    }
}
