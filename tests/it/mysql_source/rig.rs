//! A server with tables, a plan of them, and a stream under way, all of it by a user who holds what
//! setup grants and no more.

use std::sync::Arc;
use std::time::Duration;

use weir::config::{Database, LinkName};
use weir::error::Kind;
use weir::link::ports::{LinkContext, Room, Selection, Source};
use weir::model::{Change, Op, Row, Value};
use weir::mysql::{Mysql, catalog, scan, source};
use weir::plan::{ColumnPlan, LinkPlan, TablePlan};
use weir::position::Position;
use weir::sandbox::{Options, Running, Server, require};
use weir::transform::{Conversion, Fit};

use crate::rights::{self, READER};
use crate::streams;
pub(super) use crate::streams::Stream;

/// Nothing in these tests takes this long.
pub(super) const PATIENCE: Duration = Duration::from_secs(40);
const QUEUE_BYTES: usize = 8 << 20;

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
        let granted = Mysql.setup_source(&context, &database, &account, &tables, false);
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
        let column = |at| ColumnPlan::of(at, at, Conversion { nullable: true, fit: Fit::Bool });
        let written = (0..table.columns.len()).filter(|at| !table.columns[*at].generated);
        let columns: Vec<ColumnPlan> = written.map(column).collect();
        let places = |at| columns.iter().position(|column| column.source == at).unwrap();
        let key = table.primary_key().unwrap().iter().map(|at| places(*at)).collect();
        Arc::new(TablePlan::alone(table.clone(), table, columns, key))
    });
    let empty = LinkPlan::of_no_table(link.clone(), [database.dialect; 2]);
    Arc::new(LinkPlan { tables: tables.collect(), ..empty })
}

pub(super) fn follow(
    source: Box<dyn Source>,
    from: Position,
    reviewed: Option<Position>,
) -> Stream {
    streams::follow(source, from, reviewed, QUEUE_BYTES, PATIENCE)
}

pub(super) fn inserted(change: &Change) -> &Row {
    match &change.op {
        Op::Insert { after } => after,
        other => panic!("an insert, not {other:?}"),
    }
}
