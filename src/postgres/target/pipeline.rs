//! Requests in flight: sent in order without waiting, answered in order, each answer checked.
//!
//! A request is in the connection's buffer when `send` returns, so the order is the program's.
//! The first refusal ends it: the answers behind it say nothing. Answers must come within
//! [`REPLY_TIMEOUT`], so a server that hangs with its connection alive is noticed.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::{TryStreamExt, poll};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error as DbError, Statement};

use super::steps;
use crate::error::{Error, Kind, Result};
use crate::link::ports::{MissedKey, Why};
use crate::model::Row;
use crate::plan::{LinkPlan, TablePlan};
use crate::postgres::failure::classify;

/// Longest wait for one answer; the server's own statement time-out comes first.
const REPLY_TIMEOUT: Duration = Duration::from_secs(660);
/// The same for a statement that goes over a whole table.
const TABLE_TIMEOUT: Duration = Duration::from_secs(6 * 3600 + 60);

/// A parameter of a statement.
pub(super) type Parameter<'a> = Box<dyn ToSql + Sync + Send + 'a>;

type Pending<'a> = Pin<Box<dyn Future<Output = Result<Reply, DbError>> + Send + 'a>>;

/// What the server said.
#[derive(Debug, Default)]
struct Reply {
    rows: u64,
    ordinals: Vec<i64>,
}

/// How an answer is judged.
#[derive(Debug)]
pub(super) enum Check<'a> {
    /// Any number of rows; says what was done, for messages.
    Done(&'static str),
    /// One row of the witness, or it is not as expected.
    Witness,
    /// Every row sent was written.
    Written {
        /// Index of the table.
        table: usize,
        /// Rows sent.
        rows: usize,
    },
    /// Any number of rows of a table.
    Table {
        /// Index of the table.
        table: usize,
        /// What is done to it.
        verb: &'static str,
    },
    /// No rows; the types of a table's columns are those that were prepared for.
    Form {
        /// Index of the table.
        table: usize,
    },
    /// Any number of letters.
    Letters,
    /// Letters; the numbers of those that have no position yet.
    Placed,
    /// How far a copy is.
    Copies,
    /// No other row refers to the row that was deleted, or the ordinal number of the key.
    Unreferred {
        /// Index of the table.
        table: usize,
    },
    /// The ordinal numbers, from 1, of the rows that were not there.
    Misses {
        /// Index of the table.
        table: usize,
        /// Rows sent.
        rows: &'a [Row],
        /// Where the key's values stand in a row.
        key: Vec<usize>,
    },
    /// One row, or it was not there.
    Hit {
        /// Index of the table.
        table: usize,
        /// The row sent.
        row: &'a Row,
        /// Where the new key's values stand in the row.
        key: Vec<usize>,
    },
}

enum Progress<'a> {
    Waiting(Pending<'a>),
    Answered(Result<Reply, DbError>),
}

/// Requests sent and not yet looked at.
pub(super) struct Pipeline<'a> {
    client: &'a Client,
    plan: &'a LinkPlan,
    sent: Vec<(Progress<'a>, Check<'a>)>,
    bytes: usize,
    found: Found,
}

/// What the answers told.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The misses.
    pub(super) missed: Vec<MissedKey>,
    /// Numbers of letters that were written without a position.
    pub(super) unplaced: Vec<i64>,
}

impl<'a> Pipeline<'a> {
    /// Nothing in flight.
    pub(super) fn new(client: &'a Client, plan: &'a LinkPlan) -> Self {
        Pipeline { client, plan, sent: Vec::new(), bytes: 0, found: Found::default() }
    }

    /// The table at an index of the plan.
    pub(super) fn table(&self, table: usize) -> Result<&'a TablePlan> {
        table_of(self.plan, table)
    }

    /// Requests in flight.
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    /// Counts bytes sent; returns how many are in flight.
    pub(super) fn add_bytes(&mut self, bytes: usize) -> usize {
        self.bytes += bytes;
        self.bytes
    }

    /// Sends a command without parameters.
    pub(super) async fn command(&mut self, command: &'static str) {
        let client = self.client;
        let request = async move { client.batch_execute(command).await.map(|()| Reply::default()) };
        self.start(Box::pin(request), Check::Done(command)).await;
    }

    /// Sends a prepared statement.
    pub(super) async fn send(
        &mut self,
        statement: Statement,
        parameters: Vec<Parameter<'a>>,
        check: Check<'a>,
    ) {
        let client = self.client;
        let request = async move {
            let mut stream = pin!(client.query_raw(&statement, parameters).await?);
            let mut reply = Reply::default();
            while let Some(row) = stream.try_next().await? {
                reply.ordinals.push(row.try_get(0)?);
            }
            reply.rows = stream.rows_affected().unwrap_or_default();
            Ok(reply)
        };
        self.start(Box::pin(request), check).await;
    }

    /// The first poll encodes the request and puts it in the connection's queue.
    async fn start(&mut self, mut request: Pending<'a>, check: Check<'a>) {
        let progress = match poll!(&mut request) {
            std::task::Poll::Ready(reply) => Progress::Answered(reply),
            std::task::Poll::Pending => Progress::Waiting(request),
        };
        self.sent.push((progress, check));
    }

    /// Waits for the answers to everything sent.
    pub(super) async fn settle(&mut self) -> Result<()> {
        self.settle_within(REPLY_TIMEOUT).await
    }

    /// As [`Pipeline::settle`], where a statement over all rows of a table was sent.
    pub(super) async fn settle_slowly(&mut self) -> Result<()> {
        self.settle_within(TABLE_TIMEOUT).await
    }

    async fn settle_within(&mut self, limit: Duration) -> Result<()> {
        self.bytes = 0;
        for (progress, check) in self.sent.drain(..) {
            let reply = match progress {
                Progress::Answered(reply) => reply,
                Progress::Waiting(request) => within(limit, request).await?,
            };
            let reply = reply.map_err(|error| check.refused(error, self.plan))?;
            check.judge(self.plan, &reply, &mut self.found)?;
        }
        Ok(())
    }

    /// Waits for every answer.
    pub(super) async fn finish(mut self) -> Result<Found> {
        self.settle().await?;
        Ok(self.found)
    }
}

impl Check<'_> {
    /// What was being done, for messages.
    fn what(&self, plan: &LinkPlan) -> String {
        let (verb, table) = match self {
            Check::Done(what) => return (*what).to_owned(),
            Check::Witness => return "write the witness".to_owned(),
            Check::Letters | Check::Placed => return "write weir.dead_letter".to_owned(),
            Check::Copies => return "write weir.snapshot".to_owned(),
            Check::Written { table, .. } => ("write", *table),
            Check::Table { table, verb } => (*verb, *table),
            Check::Form { table } => ("look at the columns of", *table),
            Check::Unreferred { table } => ("delete from", *table),
            Check::Misses { table, .. } => ("update", *table),
            Check::Hit { table, .. } => ("change the key in", *table),
        };
        match plan.tables.get(table) {
            Some(table) => format!("{verb} {}", table.target.name),
            None => verb.to_owned(),
        }
    }

    /// The server's refusal. That of a row of weir's own speaks of no row of a table.
    fn refused(&self, error: DbError, plan: &LinkPlan) -> Error {
        let code = error.code().cloned();
        let error = refused(error, self.what(plan));
        match self {
            Check::Form { .. } if code == Some(SqlState::FEATURE_NOT_SUPPORTED) => error
                .turned(Kind::Unavailable)
                .hint("the table was altered while it was copied: weir looks at it anew by itself"),
            Check::Letters | Check::Placed | Check::Copies if error.is_about_a_row() => {
                error.turned(Kind::Statement)
            }
            Check::Letters | Check::Placed | Check::Copies => super::without_schema(error),
            _ => error,
        }
    }

    fn judge(self, plan: &LinkPlan, reply: &Reply, found: &mut Found) -> Result<()> {
        match self {
            Check::Done(_)
            | Check::Table { .. }
            | Check::Form { .. }
            | Check::Letters
            | Check::Copies => Ok(()),
            Check::Placed => {
                found.unplaced.extend(&reply.ordinals);
                Ok(())
            }
            Check::Witness if reply.rows == 1 => Ok(()),
            Check::Witness => {
                let context = "the witness in the target is not as it was left";
                Err(Error::new(Kind::Witness, context))
            }
            Check::Written { rows, .. } if usize::try_from(reply.rows) == Ok(rows) => Ok(()),
            Check::Written { rows, table } => {
                Err(steps::kept_out(table_of(plan, table)?, reply.rows, rows))
            }
            Check::Unreferred { table } => unreferred(table_of(plan, table)?, reply),
            Check::Misses { table, rows, key } => {
                for ordinal in &reply.ordinals {
                    let at = usize::try_from(*ordinal).ok().and_then(|at| at.checked_sub(1));
                    let row = at.and_then(|at| rows.get(at)).ok_or_else(|| {
                        Error::new(Kind::Internal, "the target named a row that was not sent")
                    })?;
                    let key = pick(row, &key)?;
                    found.missed.push(MissedKey { table, key, why: Why::NoRow });
                }
                Ok(())
            }
            Check::Hit { .. } if reply.rows > 0 => Ok(()),
            Check::Hit { table, row, key } => {
                let key = pick(row, &key)?;
                found.missed.push(MissedKey { table, key, why: Why::NoRow });
                Ok(())
            }
        }
    }
}

fn unreferred(table: &TablePlan, reply: &Reply) -> Result<()> {
    let keys = table.looked_at();
    let Some(ordinal) = reply.ordinals.first() else { return Ok(()) };
    let key = usize::try_from(*ordinal).ok().and_then(|at| keys.get(at));
    Err(match (&table.undone, key) {
        (Some(undone), Some(key)) => {
            undone.referred(&format!("delete from {}", table.target.name), key)
        }
        _ => Error::new(Kind::Internal, "the target named a key that was not asked about"),
    })
}

/// The values at `places`.
fn pick(row: &Row, places: &[usize]) -> Result<Row> {
    places
        .iter()
        .map(|at| row.get(*at).cloned())
        .collect::<Option<Row>>()
        .ok_or_else(|| Error::new(Kind::Internal, "a row is shorter than its step says"))
}

fn table_of(plan: &LinkPlan, table: usize) -> Result<&TablePlan> {
    plan.tables
        .get(table)
        .map(AsRef::as_ref)
        .ok_or_else(|| Error::new(Kind::Internal, format!("table {table} is not in the plan")))
}

/// weir's own error from encoding a parameter, or the server's.
fn refused(error: DbError, context: String) -> Error {
    if error.source().is_some_and(|cause| cause.is::<Error>()) {
        let own = error.into_source().map(|cause| cause.downcast::<Error>());
        return match own {
            Some(Ok(own)) => own.within(context),
            _ => Error::new(Kind::Internal, context),
        };
    }
    classify(error, context)
}

/// Bounds the wait for an answer.
pub(super) async fn in_time<T>(reply: impl Future<Output = T>) -> Result<T> {
    within(REPLY_TIMEOUT, reply).await
}

async fn within<T>(limit: Duration, reply: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(limit, reply).await.map_err(|elapsed| {
        Error::new(Kind::Timeout, "the target did not answer").caused_by(elapsed)
    })
}
