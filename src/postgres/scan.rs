//! Reading beside the stream: the head of the log, the lag, and single rows with their marks.
//!
//! Rows come by the simple query protocol, so their text is made by the same output functions
//! under the same settings as in the log, and goes through the same decoder. Writes nothing, but for
//! heartbeats where they are configured, and waits for no lock longer than [`LOCK_TIMEOUT`]. `marks`
//! tells where a snapshot lies in the log.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio_postgres::types::{ToSql, Type as Builtin};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

mod chunk;
mod copied;
mod division;
mod heartbeat;
pub(super) mod marks;
mod walk;

use self::chunk::Known;
use self::heartbeat::Heartbeat;
use self::marks::{Log, Marks, lsn_in};
use super::decode::decode;
use super::encode::{Place, Single};
use super::failure::classify;
use super::origin;
use super::session::{self, Session};
use super::slot;
use super::source::lsn;
use super::sql::witness::INSTANCE;
use super::sql::{base_type, literal, quote, quote_name};
use super::timeline::{Course, require_comparable, require_same};
use crate::config::Database;
use crate::error::{Error, Kind, Result};
use crate::link::ports::{
    Chunk, Division, LinkContext, Origin, Pending, Reach, Retention, Scan, Scanned,
};
use crate::model::{Column, Row, Value};
use crate::plan::{LinkPlan, TablePlan};
use crate::position::{Lsn, Position};

/// Longest wait for a lock on the source.
const LOCK_TIMEOUT: &str = "10s";
/// Longest statement on the source.
const STATEMENT_TIMEOUT: &str = "60s";
/// Longest wait for an answer; the server's own time-out comes first, if the server still runs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);
/// Keys per statement at most.
const KEYS_MAX: usize = 500;

/// A side reader of a PostgreSQL server. Reconnects after an error, to the same cluster.
#[derive(Debug)]
pub(crate) struct PostgresScan {
    context: LinkContext,
    database: Database,
    plan: Arc<LinkPlan>,
    session: Option<Session>,
    /// The cluster's system identifier, once connected.
    system: Option<String>,
    /// The server's log, as it was when the session began.
    log: Log,
    heartbeat: Heartbeat,
    known: Known,
}

/// Connects.
pub async fn open(
    context: &LinkContext,
    database: &Database,
    plan: Arc<LinkPlan>,
) -> Result<Box<dyn Scan>> {
    let (context, database) = (context.clone(), database.clone());
    let heartbeat = Heartbeat::new(database.heartbeat);
    let (session, system, log) = (None, None, Log::default());
    let known = Known::default();
    let mut scan = PostgresScan { context, database, plan, session, system, log, heartbeat, known };
    scan.session().await?;
    Ok(Box::new(scan))
}

impl PostgresScan {
    /// The session, connected anew if the last call failed.
    async fn session(&mut self) -> Result<Session> {
        if let Some(session) = self.session.take() {
            return Ok(session);
        }
        let session = session::connect(&self.database, &self.context.application_name()).await?;
        let settings = format!(
            "SET lock_timeout = '{LOCK_TIMEOUT}'; SET statement_timeout = '{STATEMENT_TIMEOUT}';
             SELECT system_identifier FROM pg_control_system()"
        );
        let rows = simple(&session, &settings).await?;
        let system = rows.first().and_then(|row| row.get(0)).ok_or_else(unexpected)?;
        let was = self.system.get_or_insert_with(|| system.to_owned());
        require_same(&self.database.name, was, system)?;
        self.log = Log::of(&session).await?;
        Ok(session)
    }

    async fn insert_lsn(&mut self) -> Result<Lsn> {
        let session = self.session().await?;
        let rows = simple(&session, &format!("SELECT {}", slot::END)).await?;
        let at = lsn_in(rows.first(), self.log)?;
        self.session = Some(session);
        Ok(at)
    }

    async fn read_retention(&mut self) -> Result<Retention> {
        let session = self.session().await?;
        let sql = slot::retention(&self.context.slot_name());
        let rows = simple(&session, &sql).await?;
        self.session = Some(session);
        // Cells that are NULL are not known.
        let cell = |at| rows.first().and_then(|row| row.get(at)).and_then(|text| text.parse().ok());
        let retained: Option<i64> = cell(0);
        Ok(Retention {
            retained_bytes: retained.and_then(|bytes| u64::try_from(bytes).ok()),
            safe_bytes: cell(1),
            purge_eta: None,
        })
    }

    async fn read_origins(&mut self) -> Result<Vec<Origin>> {
        let session = self.session().await?;
        let publication = self.context.slot_name();
        let origins = in_time(origin::read(&session, &publication, &self.plan)).await??;
        self.session = Some(session);
        Ok(origins)
    }

    async fn read_strays(&mut self, table: usize, joined: &[String]) -> Result<Vec<String>> {
        let plan = Arc::clone(&self.plan);
        let Some(table) = plan.tables.get(table) else { return Ok(Vec::new()) };
        let session = self.session().await?;
        // The session ends with this look, and with it the time-out that it sets.
        in_time(origin::strays(&session, &table.source.name, joined)).await?
    }

    async fn read_unfinished(&mut self) -> Result<Vec<u32>> {
        let session = self.session().await?;
        let marks = self.log.open_snapshot(&session).await?;
        simple(&session, "COMMIT").await?;
        self.session = Some(session);
        Ok(marks.in_progress)
    }

    /// The newest number is that of the newest transaction in the log, ended or not: what its snapshot
    /// says counts only to the newest one that has ended, which one that writes now may be above.
    async fn read_horizon(&mut self) -> Result<Option<(u64, u64)>> {
        const HORIZON: &str = "SELECT oldest, oldest::text::int8 + age(oldest::xid)
             FROM pg_current_snapshot() AS s, pg_snapshot_xmin(s) AS oldest";
        let session = self.session().await?;
        if !self.log.standby {
            self.session = Some(session);
            return Ok(None);
        }
        let rows = simple(&session, HORIZON).await?;
        self.session = Some(session);
        let bound = |at| rows.first().and_then(|row| row.get(at)?.parse().ok());
        let horizon = bound(0).zip(bound(1)).ok_or_else(unexpected)?;
        Ok(Some(horizon))
    }

    /// A standby replays the log of its primary; a server that has left that log by a promotion does
    /// not, nor does one that was made of its files.
    async fn require_comparable(&mut self, identity: &str) -> Result<()> {
        const COURSE: &str = "SELECT system_identifier || '/' || timeline_id, pg_is_in_recovery()
             FROM pg_control_system(), pg_control_checkpoint()";
        let session = self.session().await?;
        let rows = simple(&session, COURSE).await?;
        self.session = Some(session);
        let cell = |at| rows.first().and_then(|row| row.get(at)).ok_or_else(unexpected);
        let (is, standby) = (cell(0)?, cell(1)? == "t");
        require_comparable(&self.database.name, identity, is, standby)
    }

    async fn read(&mut self, table: &TablePlan, keys: &[Row]) -> Result<Scanned> {
        let session = self.session().await?;
        let Marks { low, high, in_progress } = self.log.open_snapshot(&session).await?;
        let mut rows = vec![None; keys.len()];
        for (chunk, slots) in keys.chunks(KEYS_MAX).zip(rows.chunks_mut(KEYS_MAX)) {
            for row in simple(&session, &select(table, chunk)?).await? {
                let (number, row) = read_row(table, &row)?;
                let slot = slots.get_mut(number).ok_or_else(unexpected)?;
                if row.is_some() && slot.is_some() {
                    let context = format!("two rows of {} have one match key", table.source.name);
                    return Err(Error::new(Kind::Mapping, context)
                        .hint("choose a match key that is unique at the source"));
                }
                *slot = row;
            }
        }
        simple(&session, "COMMIT").await?;
        self.session = Some(session);
        let (low, high) = (Position::Postgres(low), Position::Postgres(high));
        Ok(Scanned { low, high, exact: false, in_progress, rows })
    }
}

impl Scan for PostgresScan {
    fn instance(&mut self) -> Pending<'_, String> {
        Box::pin(async {
            let session = self.session().await?;
            let rows = simple(&session, INSTANCE).await?;
            let instance = rows.first().and_then(|row| row.get(0)).ok_or_else(unexpected)?;
            self.session = Some(session);
            Ok(instance.to_owned())
        })
    }

    /// A standby, promoted or not, has the log of its primary.
    fn require_server(&self, identity: &str) -> Result<()> {
        let was = Course::parse(identity).map_or(identity, |course| course.system);
        require_same(&self.database.name, was, self.system.as_deref().unwrap_or_default())
    }

    fn origins(&mut self) -> Pending<'_, Vec<Origin>> {
        Box::pin(self.read_origins())
    }

    fn strays<'a>(&'a mut self, table: usize, joined: &'a [String]) -> Pending<'a, Vec<String>> {
        Box::pin(self.read_strays(table, joined))
    }

    fn unfinished(&mut self) -> Pending<'_, Vec<u32>> {
        Box::pin(self.read_unfinished())
    }

    fn horizon(&mut self) -> Pending<'_, Option<(u64, u64)>> {
        Box::pin(self.read_horizon())
    }

    fn promoted(&mut self) -> Pending<'_, bool> {
        Box::pin(async {
            // A session that begins now may be another server's.
            if !self.log.standby || self.session.is_none() {
                return Ok(false);
            }
            let session = self.session().await?;
            let rows = simple(&session, "SELECT pg_is_in_recovery()").await?;
            self.session = Some(session);
            Ok(rows.first().and_then(|row| row.get(0)) == Some("f"))
        })
    }

    fn heartbeat<'a>(&'a mut self, seen: &'a Position) -> Pending<'a, ()> {
        Box::pin(async move { self.beat(lsn(seen)?).await })
    }

    fn head(&mut self) -> Pending<'_, Position> {
        Box::pin(async move { self.insert_lsn().await.map(Position::Postgres) })
    }

    fn lag_bytes<'a>(&'a mut self, applied: &'a Position) -> Pending<'a, Option<u64>> {
        Box::pin(async move {
            let applied = lsn(applied)?;
            let head = self.insert_lsn().await?;
            Ok(Some(head.0.saturating_sub(applied.0)))
        })
    }

    fn retention<'a>(&'a mut self, _: &'a Position, _: Option<i64>) -> Pending<'a, Retention> {
        Box::pin(self.read_retention())
    }

    fn read_rows<'a>(&'a mut self, table: &'a TablePlan, keys: &'a [Row]) -> Pending<'a, Scanned> {
        Box::pin(async move {
            self.read(table, keys)
                .await
                .map_err(|error| error.within(format_args!("read {}", table.source.name)))
        })
    }

    fn divide<'a>(&'a mut self, table: &'a TablePlan, parts: usize) -> Pending<'a, Division> {
        Box::pin(async move {
            self.divided(table, parts)
                .await
                .map_err(|error| error.within(format_args!("divide {}", table.source.name)))
        })
    }

    fn read_chunk<'a>(
        &'a mut self,
        table: &'a TablePlan,
        reach: &'a Reach,
    ) -> Pending<'a, Option<Chunk>> {
        Box::pin(async move {
            self.chunk(table, reach)
                .await
                .map_err(|error| error.within(format_args!("copy from {}", table.source.name)))
        })
    }

    /// Places of one timeline lie in one log: nothing a standby shows is in no other.
    fn require_copy_of<'a>(&'a mut self, identity: &'a str) -> Pending<'a, Option<Position>> {
        Box::pin(async move {
            self.require_comparable(identity).await?;
            Ok(None)
        })
    }
}

async fn in_time<T>(answer: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(ANSWER_TIMEOUT, answer).await.map_err(|elapsed| {
        Error::new(Kind::Timeout, "the source did not answer beside the stream").caused_by(elapsed)
    })
}

/// Runs statements and returns the rows of all of them.
async fn simple(session: &Client, sql: &str) -> Result<Vec<SimpleQueryRow>> {
    let answer = in_time(session.simple_query(sql)).await?;
    let messages = answer.map_err(|error| classify(error, "read the source"))?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    Ok(rows.collect())
}

fn unexpected() -> Error {
    Error::new(Kind::Malformed, "an answer of the source that was not expected")
}

/// `SELECT k.n, t."a", … FROM (VALUES (0, 'x'::text), …) AS k(n, k0) LEFT JOIN t ON t."id" = k.k0`.
fn select(table: &TablePlan, keys: &[Row]) -> Result<String> {
    let columns = table.columns.iter().map(|column| source_column(table, column.source));
    let mut wanted = String::new();
    for column in columns {
        wanted.push_str(&format!(", t.{}", quote(&column?.name)));
    }
    let mut on = Vec::new();
    let mut names = String::new();
    for (at, column) in key_columns(table).enumerate() {
        on.push(format!("t.{} = k.k{at}", quote(&column?.name)));
        names.push_str(&format!(", k{at}"));
    }
    let mut values = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        let mut row = format!("({number}");
        for (column, value) in key_columns(table).zip(key.iter()) {
            row.push_str(", ");
            row.push_str(&key_literal(table, column?, value)?);
        }
        row.push(')');
        values.push(row);
    }
    Ok(format!(
        "SELECT k.n{wanted} FROM (VALUES {}) AS k(n{names}) LEFT JOIN {} AS t ON {}",
        values.join(", "),
        quote_name(&table.source.name),
        on.join(" AND ")
    ))
}

fn source_column(table: &TablePlan, at: usize) -> Result<&Column> {
    let column = table.source.columns.get(at);
    column.ok_or_else(|| Error::new(Kind::Internal, "a column outside the source table"))
}

fn key_columns(table: &TablePlan) -> impl Iterator<Item = Result<&Column>> {
    let key = table.key.iter().filter_map(|at| table.columns.get(*at));
    key.map(|column| source_column(table, column.source))
}

/// A value of the match key as a literal of the column's base type, which never cuts or rounds.
fn key_literal(table: &TablePlan, column: &Column, value: &Value) -> Result<String> {
    let ty = base_type(column).unwrap_or("text");
    if let Value::Bytes(bytes) = value {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        return Ok(format!("'\\x{digits}'::bytea"));
    }
    let place = Place { table: &table.source.name, column, key: true };
    let mut text = BytesMut::new();
    Single { value, place }.to_sql(&Builtin::TEXT, &mut text).map_err(|error| {
        Error::new(Kind::Value, format!("match key of {}", table.source.name)).caused_by(error)
    })?;
    let text = std::str::from_utf8(&text).map_err(|_| unexpected())?;
    Ok(format!("{}::{ty}", literal(text)))
}

/// Number of the key and its row; without the row if there is none.
fn read_row(table: &TablePlan, row: &SimpleQueryRow) -> Result<(usize, Option<Row>)> {
    let number = row.get(0).and_then(|number| number.parse().ok()).ok_or_else(unexpected)?;
    let present = table.key.first().is_some_and(|key| row.get(key + 1).is_some());
    if !present {
        return Ok((number, None));
    }
    let mut values = vec![Value::Unchanged; table.source.columns.len()];
    for (at, column) in table.columns.iter().enumerate() {
        let described = source_column(table, column.source)?;
        let value = match row.get(at + 1) {
            None => Value::Null,
            Some(text) => {
                decode(&described.ty, text.as_bytes(), Bytes::copy_from_slice).map_err(|error| {
                    let context = format!("column `{}`", described.name);
                    Error::new(Kind::Malformed, context).caused_by(error)
                })?
            }
        };
        if let Some(place) = values.get_mut(column.source) {
            *place = value;
        }
    }
    Ok((number, Some(Row::from(values))))
}
