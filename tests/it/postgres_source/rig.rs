//! A server with tables, a publication of them, and a stream under way, all of it by a user who holds
//! what setup grants and no more.

use std::sync::Arc;
use std::time::Duration;

use weir::config::{Database, Dialect, LinkName};
use weir::link::ports::{LinkContext, Room, Scan, Selection, Source};
use weir::model::{Change, Op, Row, Value};
use weir::plan::{ColumnPlan, LinkPlan, TablePlan};
use weir::position::{Lsn, Position};
use weir::postgres::{Postgres, catalog, scan, source};
use weir::sandbox::{Options, Running, Server, require};
use weir::transform::{Conversion, Fit};

use crate::rights::{self, READER};
use crate::streams;
pub(super) use crate::streams::Stream;

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
        let made = Postgres.setup_source(&self.context, &self.database, &account, &tables, false);
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

/// All tables of `public`, every column planned onto itself, by the primary key or the first column.
async fn plan(database: &Database, link: &LinkName) -> Arc<LinkPlan> {
    let selection = Selection { include: vec!["public.*".to_owned()], exclude: Vec::new() };
    let tables = catalog::load(database, Dialect::Postgres, &selection).await.unwrap();
    let tables = tables.into_iter().map(|table| {
        let column = |at| ColumnPlan::of(at, at, Conversion { nullable: true, fit: Fit::Bool });
        let columns = (0..table.columns.len()).map(column).collect();
        let key = table.primary_key().unwrap_or(&[0]).to_vec();
        Arc::new(TablePlan::alone(table.clone(), table, columns, key))
    });
    let empty = LinkPlan::of_no_table(link.clone(), [Dialect::Postgres; 2]);
    Arc::new(LinkPlan { tables: tables.collect(), ..empty })
}

pub(super) fn follow(source: Box<dyn Source>, from: Position, queue_bytes: usize) -> Stream {
    streams::follow(source, from, None, queue_bytes, PATIENCE)
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
