//! A server, a plan over one of its tables, and an open target.

use std::sync::Arc;
use std::time::Duration;

use weir::config::{Database, Dialect, LinkName};
use weir::link::ports::{Applied, LinkContext, Room, Selection, Slice, Target};
use weir::model::{Row, Step, Table, Value, Verb, Witness};
use weir::plan::{ColumnPlan, LinkPlan, TablePlan};
use weir::position::{Lsn, Position};
use weir::postgres::Postgres;
use weir::sandbox::{self, Options, Running, Server};
use weir::transform;

use crate::rights::{self, WRITER};

/// Versions the target is tested on.
pub(super) const SERVERS: [Server; 2] = [Server::Postgres15, Server::Postgres18];

/// A running server with schema `weir`, for a user who holds what setup grants and no more.
pub(super) struct Site {
    pub(super) server: Running,
    pub(super) database: Database,
}

pub(super) fn context() -> LinkContext {
    let link = LinkName { source: "src".to_owned(), target: "dst".to_owned() };
    LinkContext { name: "test".to_owned(), link, server_id: 1, installation: String::new() }
}

impl Site {
    /// `None` where the server cannot be had.
    pub(super) async fn start(server: Server) -> Option<Site> {
        let server = sandbox::require(server, Options::default()).await.expect("server starts")?;
        let database = rights::newcomer(&server, "dst", WRITER, &[]).await;
        let site = Site { server, database };
        site.granted(&site.database, &[]).await;
        Some(site)
    }

    /// Has the administrator run what setup makes for these tables.
    pub(super) async fn granted(&self, database: &Database, tables: &[&Table]) {
        let account = Postgres.account(database).await.expect("account");
        rights::give(&self.server, Postgres.setup_target(&account, tables, &[])).await;
    }

    pub(super) async fn execute(&self, sql: &str) {
        self.server.execute(sql).await.expect(sql);
    }

    /// Rows as text, `NULL` for null, columns joined by `|`.
    pub(super) async fn query(&self, sql: &str) -> Vec<String> {
        let rows = self.server.query(sql).await.expect(sql);
        let cell = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
        rows.into_iter()
            .map(|row| row.into_iter().map(cell).collect::<Vec<_>>().join("|"))
            .collect()
    }

    pub(super) async fn tables(&self, pattern: &str) -> Vec<Table> {
        let selection = Selection { include: vec![pattern.to_owned()], exclude: Vec::new() };
        Postgres.catalog(&self.database, Dialect::Postgres, &selection).await.expect("catalog")
    }

    /// A target for the tables that match, each planned whole by its primary key.
    pub(super) async fn target(&self, pattern: &str) -> Box<dyn Target> {
        self.target_as(&self.database, pattern).await
    }

    /// As [`Site::target`], by another role.
    pub(super) async fn target_as(&self, database: &Database, pattern: &str) -> Box<dyn Target> {
        let tables = self.tables(pattern).await;
        assert!(!tables.is_empty(), "{pattern}");
        self.granted(database, &tables.iter().collect::<Vec<_>>()).await;
        let plan = LinkPlan {
            link: context().link,
            source_dialect: Dialect::Postgres,
            target_dialect: Dialect::Postgres,
            tables: tables.into_iter().map(|table| Arc::new(plan(table))).collect(),
            wanted: weir::plan::Wanted::default(),
            overlap: Vec::new(),
            remarks: Vec::new(),
        };
        let plan = Arc::new(plan);
        Postgres
            .open_target(&context(), database, plan, Duration::from_secs(5))
            .await
            .expect("target opens")
    }

    /// As [`Site::target`], with a first witness.
    pub(super) async fn fresh_target(&self, pattern: &str) -> (Box<dyn Target>, Witness) {
        self.execute("DELETE FROM weir.witness; DELETE FROM weir.missed").await;
        let mut target = self.target(pattern).await;
        let witness = witness();
        target.create_witness(&witness).await.expect("first witness");
        (target, witness)
    }
}

pub(super) fn witness() -> Witness {
    Witness {
        name: "test".to_owned(),
        link: "src:dst".to_owned(),
        part: 0,
        installation: "0123456789abcdef0123456789abcdef".to_owned(),
        seq: 1,
        position: Position::Postgres(Lsn(100)),
        restart: None,
        hops: 0,
        pending: None,
        source_identity: "1/1".to_owned(),
        target_identity: "2/1".to_owned(),
    }
}

fn plan(table: Table) -> TablePlan {
    let columns = table
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| !column.generated)
        .map(|(at, column)| {
            let pair = transform::pair(column, Dialect::Postgres, column, Dialect::Postgres);
            let (conversion, _) = pair.expect("a column crosses to itself");
            ColumnPlan::of(at, at, conversion)
        })
        .collect();
    let key = table.primary_key().expect("primary key").to_vec();
    TablePlan::alone(table.clone(), table, columns, key)
}

pub(super) fn step(table: usize, verb: Verb, columns: &[usize], rows: Vec<Vec<Value>>) -> Step {
    let rows = rows.into_iter().map(Row::from).collect();
    Step { table, verb, columns: columns.into(), rows }
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// One slice that opens and closes; moves the witness.
pub(super) async fn apply(
    target: &mut Box<dyn Target>,
    witness: &mut Witness,
    steps: &[Step],
) -> weir::error::Result<Applied> {
    let close = Position::Postgres(Lsn(100 + witness.seq));
    let slice =
        Slice { open: Some(witness), steps, settled: &[], close: Some(&close), ..Slice::default() };
    let applied = target.apply(slice).await?;
    witness.seq += 1;
    witness.position = close;
    Ok(applied)
}
