//! A server, two planned tables, and an open target; what tests write letters with.

use std::sync::Arc;
use std::time::Duration;

use weir::config::{Database, LinkName};
use weir::error::{Error, Result};
use weir::link::letter::{Letter, LetterWork, Operation, Reason, RowName, StoredLetter};
use weir::link::ports::{LinkContext, Room, Selection, Slice, Target};
use weir::model::{Row, Step, Table, Value, Verb, Witness};
use weir::plan::{ColumnPlan, LinkPlan, TablePlan, UpsertStrategy};
use weir::position::Position;
use weir::rooms::room;
use weir::sandbox::{self, Options, Running, Server};
use weir::transform;

use crate::rights::{self, WRITER};

/// `kid` refers to `one`, on PostgreSQL by the end of the transaction.
const TABLES: [&str; 2] = [
    "one (id int PRIMARY KEY, v varchar(20) NOT NULL)",
    "kid (id int PRIMARY KEY, one int, CONSTRAINT to_one FOREIGN KEY (one) REFERENCES one (id) \
     ON DELETE RESTRICT DEFERRABLE INITIALLY DEFERRED)",
];

/// Place of table `kid` in the plan.
pub(super) const KID: usize = 0;
/// Place of table `one` in the plan.
pub(super) const ONE: usize = 1;

pub(super) struct Stage {
    pub(super) server: Running,
    pub(super) database: Database,
    pub(super) room: &'static dyn Room,
    /// Where the tables are.
    pub(super) space: &'static str,
    pub(super) plan: Arc<LinkPlan>,
}

impl Stage {
    /// `None` where the server cannot be had.
    pub(super) async fn start(server: Server) -> Option<Stage> {
        let server = sandbox::require(server, Options::default()).await.expect("server starts")?;
        let is_postgres = server.kind().is_postgres();
        let space = if is_postgres { "public" } else { "app" };
        for table in TABLES {
            let table = match is_postgres {
                true => table.to_owned(),
                false => table.replace("DEFERRABLE INITIALLY DEFERRED", ""),
            };
            server.execute(&format!("CREATE TABLE {table}")).await.expect("table");
        }
        let schemas: &[&str] = if is_postgres { &[] } else { &["app"] };
        let database = rights::newcomer(&server, "dst", WRITER, schemas).await;
        let room = room(database.dialect);
        let include = ["one", "kid"].map(|table| format!("{space}.{table}")).to_vec();
        let selection = Selection { include, exclude: Vec::new() };
        let tables = room.catalog(&database, database.dialect, &selection).await.expect("catalog");
        let plan = Arc::new(plan(&database, tables));
        let stage = Stage { server, database, room, space, plan };
        stage.grant().await;
        Some(stage)
    }

    /// Has the administrator run what setup makes.
    pub(super) async fn grant(&self) {
        let account = self.room.account(&self.database).await.expect("account");
        let tables: Vec<&Table> = self.plan.tables.iter().map(|table| &table.target).collect();
        rights::give(&self.server, self.room.setup_target(&account, &tables, &[])).await;
    }

    pub(super) async fn execute(&self, sql: &str) {
        self.server.execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The first field of each row.
    pub(super) async fn query(&self, sql: &str) -> Vec<String> {
        let rows = self.server.query(sql).await.expect(sql);
        rows.into_iter().map(|row| row[0].clone().unwrap_or_default()).collect()
    }

    /// A target of the link from `source`, with a first witness and nothing else.
    pub(super) async fn begin(&self, source: &str) -> Writer {
        let context = context(source);
        for table in ["witness", "missed", "dead_letter"] {
            let sql = format!("DELETE FROM weir.{table} WHERE link = '{}'", context.link);
            self.execute(&sql).await;
        }
        let wait = Duration::from_secs(1);
        let target = self.room.open_target(&context, &self.database, Arc::clone(&self.plan), wait);
        let mut target = target.await.expect("target opens");
        let witness = witness(&context);
        target.create_witness(&witness).await.expect("first witness");
        Writer { target, witness }
    }

    /// All letters of the link from `source`.
    pub(super) async fn letters(&self, source: &str) -> Vec<StoredLetter> {
        let context = context(source);
        let mut letters = self.room.open_letters(&context, &self.database).await.expect("letters");
        letters.list(0, usize::MAX).await.expect("a list")
    }
}

pub(super) fn context(source: &str) -> LinkContext {
    let link = LinkName { source: source.to_owned(), target: "dst".to_owned() };
    LinkContext { name: "test".to_owned(), link, server_id: 1, installation: String::new() }
}

fn witness(context: &LinkContext) -> Witness {
    Witness {
        name: context.name.clone(),
        link: context.link.to_string(),
        part: 0,
        installation: "0123456789abcdef0123456789abcdef".to_owned(),
        seq: 1,
        position: at(1),
        restart: None,
        hops: 0,
        pending: None,
        source_identity: "source".to_owned(),
        target_identity: "target".to_owned(),
    }
}

/// Each table whole by its primary key, from one of the same name in schema `origin`.
fn plan(database: &Database, tables: Vec<Table>) -> LinkPlan {
    let dialect = database.dialect;
    let planned = tables.into_iter().map(|table| {
        let columns = table.columns.iter().enumerate().map(|(at, column)| {
            let pair = transform::pair(column, dialect, column, dialect);
            ColumnPlan::of(at, at, pair.expect("a column crosses to itself").0)
        });
        let columns = columns.collect();
        let key = table.primary_key().expect("a key").to_vec();
        let mut source = table.clone();
        source.name.schema = "origin".to_owned();
        let upsert = UpsertStrategy::Native;
        Arc::new(TablePlan { upsert, ..TablePlan::alone(source, table, columns, key) })
    });
    let tables = planned.collect();
    LinkPlan { tables, ..LinkPlan::of_no_table(context("src").link, [dialect, dialect]) }
}

pub(super) fn at(lsn: u64) -> Position {
    format!("lsn:0/{lsn:X}").parse().expect("position")
}

/// An open target with the witness that is stored there.
pub(super) struct Writer {
    pub(super) target: Box<dyn Target>,
    pub(super) witness: Witness,
}

impl Writer {
    /// The first slice of a transaction, and its last where it closes.
    pub(super) async fn open(
        &mut self,
        steps: &[Step],
        letters: LetterWork<'_>,
        close: Option<&Position>,
    ) -> Result<()> {
        let open = Some(&self.witness);
        let slice = Slice { open, steps, letters, close, ..Slice::default() };
        self.target.apply(slice).await?;
        self.closed(close);
        Ok(())
    }

    /// A later slice.
    pub(super) async fn go_on(
        &mut self,
        steps: &[Step],
        letters: LetterWork<'_>,
        close: Option<&Position>,
    ) -> Result<()> {
        self.target.apply(Slice { steps, letters, close, ..Slice::default() }).await?;
        self.closed(close);
        Ok(())
    }

    /// A transaction of one slice without steps.
    pub(super) async fn write(&mut self, letters: LetterWork<'_>) -> Result<()> {
        let close = at(100 + self.witness.seq);
        self.open(&[], letters, Some(&close)).await
    }

    /// The same with new letters only.
    pub(super) async fn add(&mut self, new: &[Letter]) -> Result<()> {
        self.write(LetterWork { new, ..LetterWork::default() }).await
    }

    fn closed(&mut self, close: Option<&Position>) {
        if let Some(position) = close {
            self.witness.seq += 1;
            self.witness.position = position.clone();
        }
    }
}

/// A letter of `one` without a position.
pub(super) fn letter(row: &str, ordinal: u64) -> Letter {
    Letter {
        table: ONE,
        row: row.to_owned(),
        old_row: None,
        operation: Operation::Insert,
        position: None,
        ordinal,
        reason: Reason {
            kind: "value".to_owned(),
            text: "too long".to_owned(),
            hint: "widen it".to_owned(),
        },
        change: format!("{{\"number\":{ordinal}}}"),
        folded: false,
    }
}

/// One that follows another of its row.
pub(super) fn behind(row: &str, ordinal: u64) -> Letter {
    Letter { operation: Operation::Update, reason: Reason::behind(), ..letter(row, ordinal) }
}

/// One of many.
pub(super) fn folded(row: &str, ordinal: u64) -> Letter {
    Letter { folded: true, operation: Operation::Delete, ..behind(row, ordinal) }
}

pub(super) fn name(table: usize, row: &str) -> RowName {
    RowName { table, row: row.to_owned() }
}

pub(super) fn upsert(table: usize, id: i64, value: Value) -> Step {
    let rows = vec![Row::from(vec![Value::Int(id), value])];
    Step { table, verb: Verb::Upsert, columns: [0, 1].into(), rows }
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// A step that every server refuses.
pub(super) fn refused() -> Step {
    upsert(ONE, 9, Value::Null)
}

/// Fails the test unless the error is about a row.
#[track_caller]
pub(super) fn expect_row(error: Result<()>) -> Error {
    let error = error.expect_err("refused");
    assert!(error.is_about_a_row(), "{error:?}");
    error
}
