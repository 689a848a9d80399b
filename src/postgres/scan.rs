//! Reading beside the stream: the head of the log, the lag, and single rows with their marks.
//!
//! Rows come by the simple query protocol, so their text is made by the same output functions
//! under the same settings as in the log, and goes through the same decoder. Writes nothing, but for
//! heartbeats where they are configured, and waits for no lock longer than [`LOCK_TIMEOUT`].
//!
//! Marks of [`Scan::read_rows`] (correctness.md 8): `low` is the end of the log before the snapshot
//! was taken. A transaction that committed at or before `low` is visible in the rows *unless* it
//! is in `in_progress`: its commit record is in the log, but it was not yet finished for the
//! snapshot, for instance because it waits for a synchronous standby. So `low` may be used only
//! together with `in_progress`. Nothing that commits after `high` is visible.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio_postgres::types::{ToSql, Type as Builtin};
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

mod heartbeat;

use self::heartbeat::Heartbeat;
use super::decode::decode;
use super::encode::{Place, Single};
use super::failure::classify;
use super::origin;
use super::session::{self, Session};
use super::slot;
use super::source::lsn;
use super::sql::witness::INSTANCE;
use super::sql::{base_type, literal, quote, quote_name};
use super::timeline::{Course, require_same};
use crate::config::Database;
use crate::error::{Error, Kind, Result};
use crate::link::ports::{LinkContext, Origin, Pending, Retention, Scan, Scanned};
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

/// The end of the log before the snapshot, and who holds a transaction id. Everybody who has one
/// holds the lock on it until after he is visible.
const BEFORE: &str = "SELECT pg_current_wal_insert_lsn();
     SELECT transactionid FROM pg_locks
     WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted";
const OPEN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
     SELECT pg_current_snapshot(); SELECT pg_current_wal_insert_lsn()";
/// The same on a standby. What was replayed before the snapshot is visible in it, and who is in
/// progress it cannot tell (correctness.md 8, k). The record that is being replayed may be visible
/// before it counts as replayed, so the upper mark is what was received.
const BEFORE_ON_STANDBY: &str = "SELECT pg_last_wal_replay_lsn()";
const OPEN_ON_STANDBY: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
     SELECT pg_current_snapshot();
     SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn());
     SELECT pg_is_in_recovery()";

/// A side reader of a PostgreSQL server. Reconnects after an error, to the same cluster.
#[derive(Debug)]
pub(crate) struct PostgresScan {
    context: LinkContext,
    database: Database,
    plan: Arc<LinkPlan>,
    session: Option<Session>,
    /// The cluster's system identifier, once connected.
    system: Option<String>,
    /// Whether the server was a standby when the session began.
    standby: bool,
    log: LogSizes,
    heartbeat: Heartbeat,
}

/// Sizes of the log's files, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LogSizes {
    page: u64,
    segment: u64,
}

/// What a snapshot sees, as [`Scanned`] has it.
struct Marks {
    low: Lsn,
    high: Lsn,
    in_progress: Vec<u32>,
}

/// Connects.
pub async fn open(
    context: &LinkContext,
    database: &Database,
    plan: Arc<LinkPlan>,
) -> Result<Box<dyn Scan>> {
    let log = LogSizes { page: 8 << 10, segment: 16 << 20 };
    let (context, database) = (context.clone(), database.clone());
    let heartbeat = Heartbeat::new(database.heartbeat);
    let (session, system, standby) = (None, None, false);
    let mut scan =
        PostgresScan { context, database, plan, session, system, standby, log, heartbeat };
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
             SELECT setting FROM pg_settings WHERE name = 'wal_block_size';
             SELECT setting FROM pg_settings WHERE name = 'wal_segment_size';
             SELECT pg_is_in_recovery();
             SELECT system_identifier FROM pg_control_system()"
        );
        let rows = simple(&session, &settings).await?;
        let cell = |at: usize| rows.get(at).and_then(|row| row.get(0));
        let size = |at: usize| -> Result<u64> {
            let text = cell(at).and_then(|text| text.parse().ok());
            text.filter(|size| *size > 0).ok_or_else(unexpected)
        };
        let system = cell(3).ok_or_else(unexpected)?;
        let was = self.system.get_or_insert_with(|| system.to_owned());
        require_same(&self.database.name, was, system)?;
        self.standby = cell(2) == Some("t");
        self.log = LogSizes { page: size(0)?, segment: size(1)? };
        Ok(session)
    }

    async fn insert_lsn(&mut self) -> Result<Lsn> {
        let session = self.session().await?;
        let rows = simple(&session, &format!("SELECT {}", slot::END)).await?;
        let at = cell_lsn(rows.first(), self.log)?;
        self.session = Some(session);
        Ok(at)
    }

    /// Begins a transaction that sees one snapshot, and returns its marks.
    async fn begin(&self, session: &Session) -> Result<Marks> {
        let (before, open) = match self.standby {
            true => (BEFORE_ON_STANDBY, OPEN_ON_STANDBY),
            false => (BEFORE, OPEN),
        };
        let before = simple(session, before).await?;
        let low = cell_lsn(before.first(), self.log)?;
        let holders = before.iter().skip(1).filter_map(|row| row.get(0)?.parse().ok());
        let opened = simple(session, open).await?;
        let snapshot = opened.first().and_then(|row| row.get(0)).ok_or_else(unexpected)?;
        let promoted = opened.get(2).and_then(|row| row.get(0)) == Some("f");
        let in_progress = match self.standby {
            true if promoted => {
                return Err(Error::new(Kind::Unavailable, "the source was promoted meanwhile"));
            }
            true => Vec::new(),
            false => in_progress(snapshot, holders).ok_or_else(unexpected)?,
        };
        let high = cell_lsn(opened.get(1), self.log)?;
        Ok(Marks { low, high, in_progress })
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
        let marks = self.begin(&session).await?;
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
        if !self.standby {
            self.session = Some(session);
            return Ok(None);
        }
        let rows = simple(&session, HORIZON).await?;
        self.session = Some(session);
        let bound = |at| rows.first().and_then(|row| row.get(at)?.parse().ok());
        let horizon = bound(0).zip(bound(1)).ok_or_else(unexpected)?;
        Ok(Some(horizon))
    }

    async fn read(&mut self, table: &TablePlan, keys: &[Row]) -> Result<Scanned> {
        let session = self.session().await?;
        let Marks { low, high, in_progress } = self.begin(&session).await?;
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
        Ok(Scanned { low, high, in_progress, rows })
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
            if !self.standby || self.session.is_none() {
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
}

async fn in_time<T>(answer: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(ANSWER_TIMEOUT, answer).await.map_err(|elapsed| {
        Error::new(Kind::Timeout, "the source did not answer beside the stream").caused_by(elapsed)
    })
}

/// Runs statements and returns the rows of all of them.
async fn simple(session: &Session, sql: &str) -> Result<Vec<SimpleQueryRow>> {
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

fn cell_lsn(row: Option<&SimpleQueryRow>, log: LogSizes) -> Result<Lsn> {
    let text = row.and_then(|row| row.get(0)).ok_or_else(unexpected)?;
    text.parse().map(|at| log.end_of_record(at)).map_err(|_| unexpected())
}

impl LogSizes {
    /// Where the last record ended. The insert position skips the header of a fresh page, while
    /// the walsender reports the page's start when nothing has been written on it; without this
    /// a link that has everything would seem 24 or 40 bytes behind for ever.
    fn end_of_record(self, at: Lsn) -> Lsn {
        const PAGE_HEADER: u64 = 24;
        const SEGMENT_HEADER: u64 = 40;
        if at.0 % self.segment == SEGMENT_HEADER {
            return Lsn(at.0 - SEGMENT_HEADER);
        }
        if at.0 % self.page == PAGE_HEADER && at.0 % self.segment != PAGE_HEADER {
            return Lsn(at.0 - PAGE_HEADER);
        }
        at
    }
}

/// Transactions not finished for a snapshot `xmin:xmax:xip,…`: its list, and those holders of a
/// transaction id that it is too old to list. Ids are compared on the circle, as the server does.
fn in_progress(snapshot: &str, holders: impl Iterator<Item = u32>) -> Option<Vec<u32>> {
    let mut fields = snapshot.split(':');
    let (_, xmax, listed) = (fields.next()?, fields.next()?, fields.next()?);
    let narrow = |xid: &str| xid.parse::<u64>().ok().map(|xid| (xid & 0xFFFF_FFFF) as u32);
    let xmax = narrow(xmax)?;
    let listed = listed.split(',').filter(|xid| !xid.is_empty());
    let mut found = listed.map(narrow).collect::<Option<Vec<u32>>>()?;
    found.extend(holders.filter(|xid| xid.wrapping_sub(xmax) < 1 << 31));
    found.sort_unstable();
    found.dedup();
    Some(found)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if an idle link never counted as caught up after a record that filled its page.
    #[test]
    fn a_fresh_page_is_the_end_of_the_last_record() {
        let log = LogSizes { page: 8192, segment: 16 << 20 };
        for (insert, end) in [
            (8192 + 24, 8192),
            (8192 + 25, 8192 + 25),
            (8192, 8192),
            ((16 << 20) + 40, 16 << 20),
            ((16 << 20) + 24, (16 << 20) + 24),
            (3 * 8192 + 40, 3 * 8192 + 40),
        ] {
            assert_eq!(log.end_of_record(Lsn(insert)), Lsn(end));
        }
    }

    /// Broken if a row were taken as fresh although a streamed transaction is not in it.
    #[test]
    fn a_transaction_newer_than_the_snapshot_counts_as_in_progress() {
        let held = |snapshot, holders: &[u32]| in_progress(snapshot, holders.iter().copied());
        assert_eq!(held("726:728:726", &[726]), Some(vec![726]));
        assert_eq!(held("726:726:", &[726, 725]), Some(vec![726]));
        assert_eq!(held("4294967299:4294967300:4294967299", &[2, 5]), Some(vec![3, 5]));
        assert_eq!(held("4294967290:4294967295:", &[1]), Some(vec![1]));
        assert_eq!(held("garbage", &[]), None);
    }
}
