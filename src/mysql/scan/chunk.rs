//! A piece of a table for a copy: one snapshot with its marks, and in it one or more statements in the
//! order of the walk.
//!
//! The walk's index is forced, and each statement begins in it where the last one ended. Rows stream in; how
//! many are asked for follows from how large those before were, so that little is left over where they
//! reach `bytes_max`. If much is, the server is told to end that connection, and another is opened:
//! reading on would be as long as the answer. A condition is the operator's SQL: it is looked at row by row
//! along the walk and never leads it, over so many rows at a time as a place further on is away; so what it
//! says of rows that are passed over costs a bounded time per piece. Where rows are read under locks, they
//! are those of one statement, not waited for longer than two seconds, and said once in the log.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Row as Answer, ServerError, Value as Cell};

use super::condition::{self, enclosed};
use super::marks::share_lock;
use super::row::Select;
use super::walk::{Bound, Walk, filter};
use super::{Marks, MysqlScan, STATEMENT_MAX};
use crate::error::{Error, Kind, Result};
use crate::link::ports::{Chunk, Reach};
use crate::model::{Row, Value};
use crate::mysql::failure::classify;
use crate::mysql::history;
use crate::mysql::session::{Flavor, Session};
use crate::plan::TablePlan;
use crate::position::Position;

/// Longest time between two rows.
const ROW_TIMEOUT: Duration = Duration::from_secs(60);
/// The same where a condition passes over rows: longer than the server's own time-out.
const PASSING_TIMEOUT: Duration = STATEMENT_MAX.saturating_add(Duration::from_secs(30));
/// After this long a piece ends with what it has.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Rows asked for while it is not known how large they are.
const ROWS_FIRST: usize = 64;
/// Rows that a condition is asked about by one statement at most, and how long that may take for the next
/// one to be about more of them.
const SPAN_MAX: usize = 50_000;
const SPAN_TIME: Duration = Duration::from_millis(250);
/// Longest wait for a row's lock, in seconds.
const LOCK_WAIT_S: u32 = 2;
/// MySQL and MariaDB: no such index.
const NO_SUCH_INDEX: u16 = 1176;

/// What was read so far.
struct Reading<'a> {
    plan: &'a TablePlan,
    reach: &'a Reach,
    walk: &'a Walk,
    select: Select<'a>,
    marks: Marks,
    /// Bytes of a row, if that is known.
    width: Option<usize>,
    /// Rows that the next statement asks a condition about.
    span: usize,
    rows: Vec<Row>,
    bytes: usize,
    /// Up to where was read, if anywhere.
    last: Option<String>,
    began: Instant,
}

/// How a piece, or one of its statements, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Everything was read.
    Whole,
    /// There may be more.
    Full,
    /// More rows were on their way.
    Cut,
}

impl MysqlScan {
    /// Reads a piece; `None` where the walk is no longer the table's.
    pub(super) async fn read_piece(
        &mut self,
        plan: &TablePlan,
        reach: &Reach,
    ) -> Result<Option<Chunk>> {
        let Some(walk) = self.walk_as(plan, &reach.walk).await? else { return Ok(None) };
        let mut session = self.session().await?;
        let (marks, low, mut seen) = self.place(&mut session).await?;
        if marks == Marks::Locks {
            self.lock_rows(&mut session).await?;
        }
        let width = self.row_bytes.get(&plan.source.name).copied();
        let mut reading = Reading::new(plan, reach, &walk, (marks, session.flavor()), width)?;
        let ended = match reading.read(&mut session).await {
            Err(error) if no_such_index(&error) => {
                self.walks.remove(&plan.source.name);
                return Ok(None);
            }
            Err(error) if reach.condition.is_some() && is_about_a_condition(&error) => {
                return Err(condition::refused("is refused by the server").caused_by(error));
            }
            ended => ended?,
        };
        if ended == Ended::Cut {
            self.end(session).await?;
            session = self.session().await?;
        } else {
            session.run("end a snapshot", "COMMIT").await?;
        }
        if seen.is_none() {
            seen = Some(history::head(&mut session).await?);
        }
        let high = seen.unwrap_or_else(|| low.clone());
        let high = self.compared(&mut session, high).await?;
        let low = self.compared(&mut session, low).await?;
        self.session = Some(session);
        if let Some(width) = reading.width() {
            self.row_bytes.insert(plan.source.name.clone(), width);
        }
        Ok(Some(reading.into_chunk([low, high], ended)))
    }

    /// Prepares a transaction that locks the rows it reads, and no others.
    async fn lock_rows(&mut self, session: &mut Session) -> Result<()> {
        let what = "read under locks";
        let wait = format!("SET SESSION innodb_lock_wait_timeout = {LOCK_WAIT_S}");
        session.run(what, &wait).await?;
        session.run(what, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
        session.run(what, "START TRANSACTION READ ONLY").await?;
        if !std::mem::replace(&mut self.said_locks, true) {
            let database = session.database();
            tracing::info!(
                %database,
                "rows are copied under a share lock each, held while a chunk is read: the server's \
                 snapshots cannot be placed in its log (no GTIDs, or two-phase transactions)"
            );
        }
        Ok(())
    }

    /// The walk of a table, chosen at the first time.
    pub(super) async fn walk(&mut self, plan: &TablePlan) -> Result<Walk> {
        if let Some(walk) = self.walks.get(&plan.source.name) {
            return Ok(walk.clone());
        }
        let mut session = self.session().await?;
        let walk = Walk::choose(&mut session, plan).await?;
        self.session = Some(session);
        self.walks.insert(plan.source.name.clone(), walk.clone());
        Ok(walk)
    }

    /// The walk of a table if it is still this one. Another reader may have found that the table has a new
    /// one, so what is known here is looked at once more before the table is said to have changed.
    async fn walk_as(&mut self, plan: &TablePlan, text: &str) -> Result<Option<Walk>> {
        let known = self.walk(plan).await?;
        if known.text == text {
            return Ok(Some(known));
        }
        self.walks.remove(&plan.source.name);
        Ok(Some(self.walk(plan).await?).filter(|walk| walk.text == text))
    }

    /// Has the server end a connection in the middle of an answer. Dropped, it would be read to its end.
    async fn end(&mut self, busy: Session) -> Result<()> {
        let id = busy.conn_id();
        let mut other = self.session().await?;
        let ended = other.run("end an answer", &format!("KILL {id}")).await;
        self.session = Some(other);
        drop(busy);
        ended
    }
}

impl<'a> Reading<'a> {
    fn new(
        plan: &'a TablePlan,
        reach: &'a Reach,
        walk: &'a Walk,
        (marks, flavor): (Marks, Flavor),
        width: Option<usize>,
    ) -> Result<Self> {
        let (select, span) = (Select::new(plan, flavor)?, ROWS_FIRST.min(reach.rows_max).max(1));
        let (rows, bytes, last, began) = (Vec::new(), 0, None, Instant::now());
        Ok(Reading { plan, reach, walk, select, marks, width, span, rows, bytes, last, began })
    }

    /// Reads statement by statement until there is enough, or the end.
    async fn read(&mut self, session: &mut Session) -> Result<Ended> {
        loop {
            let began = Instant::now();
            let stop = match self.reach.condition {
                Some(_) => self.further_on(session).await?,
                None => None,
            };
            let ended = self.statement(session, stop.as_deref()).await?;
            match (ended, stop) {
                (Ended::Cut, _) => return Ok(Ended::Cut),
                (Ended::Whole, None) => return Ok(Ended::Whole),
                // Nothing that is wanted comes before that place any more.
                (Ended::Whole, Some(stop)) => self.last = Some(stop),
                (Ended::Full, _) => {}
            }
            if self.is_enough() {
                return Ok(Ended::Full);
            }
            self.span = match began.elapsed() {
                quick if quick < SPAN_TIME => (self.span * 2).min(SPAN_MAX),
                _ => (self.span / 2).max(1),
            };
        }
    }

    /// The place so many rows further on as a condition is asked about; `None` where fewer are left.
    async fn further_on(&self, session: &mut Session) -> Result<Option<String>> {
        let conditions = self.bounds(self.reach.until.as_deref())?;
        let skip = self.span.saturating_sub(1) as u64;
        self.walk.place(session, self.plan, &conditions, "ASC", skip, PASSING_TIMEOUT).await
    }

    /// Conditions on what lies ahead, up to a place.
    fn bounds(&self, until: Option<&str>) -> Result<Vec<String>> {
        let after = self.last.as_deref().or(self.reach.after.as_deref());
        let after = after.map(|after| self.walk.bounded(Bound::After, after));
        let until = until.map(|until| self.walk.bounded(Bound::Until, until));
        after.into_iter().chain(until).collect()
    }

    /// Reads the next rows, up to `stop` where that is given.
    async fn statement(&mut self, session: &mut Session, stop: Option<&str>) -> Result<Ended> {
        let mut conditions = self.bounds(stop.or(self.reach.until.as_deref()))?;
        if let Some(condition) = &self.reach.condition {
            // In this form no index is chosen by it.
            conditions.push(format!("CASE WHEN {} THEN 1 ELSE 0 END", enclosed(condition)?));
        }
        let lock = match self.marks {
            Marks::Locks => share_lock(session.flavor()),
            Marks::Gtids | Marks::Snapshot | Marks::Forgone => "",
        };
        let limit = self.limit();
        let sql = format!(
            "SELECT {}, {} FROM {}{} ORDER BY {} LIMIT {limit} {lock}",
            self.walk.list(),
            self.select.list(),
            self.walk.table(self.plan),
            filter(&conditions),
            self.walk.order()
        );
        self.rows(session, &sql, limit).await
    }

    /// Takes the rows of a statement in, until there are no more or they are large enough.
    async fn rows(&mut self, session: &mut Session, sql: &str, limit: usize) -> Result<Ended> {
        let (name, database) = (&self.plan.source.name, session.database());
        let context = format!("read a piece of {name} in database `{database}`");
        let late =
            || Error::new(Kind::Timeout, format!("{context}: no row within the time allowed"));
        let patience = match self.reach.condition {
            Some(_) => PASSING_TIMEOUT,
            None => ROW_TIMEOUT,
        };
        let call = session.conn().exec_iter(sql, ());
        let answer = tokio::time::timeout(patience, call).await.map_err(|_| late())?;
        let mut answer = answer.map_err(|error| classify(error, context.as_str()))?;
        let (mut count, mut last) = (0, None);
        let ended = loop {
            let next = tokio::time::timeout(patience, answer.next()).await.map_err(|_| late())?;
            let next = next.map_err(|error| classify(error, context.as_str()))?;
            let Some(next) = next else {
                break if count < limit { Ended::Whole } else { Ended::Full };
            };
            let (place, row) = parted(next, self.walk.places.len(), &self.select)?;
            let bytes = row.iter().map(value_bytes).sum::<usize>();
            if !self.rows.is_empty() && self.bytes + bytes > self.reach.bytes_max {
                break Ended::Cut;
            }
            self.bytes += bytes;
            self.rows.push(row);
            last = Some(place);
            count += 1;
        };
        if let Some(place) = last {
            self.last = Some(self.walk.kept(place)?);
        }
        Ok(ended)
    }

    /// Rows of the next statement.
    fn limit(&self) -> usize {
        let rows = self.reach.rows_max.saturating_sub(self.rows.len());
        let room = self.reach.bytes_max.saturating_sub(self.bytes) / 4 * 3;
        let by_size = match self.width() {
            Some(width) => room / width.max(1),
            None => ROWS_FIRST,
        };
        rows.min(by_size).max(1)
    }

    /// Bytes of a row.
    fn width(&self) -> Option<usize> {
        self.bytes.checked_div(self.rows.len()).or(self.width)
    }

    fn is_enough(&self) -> bool {
        self.rows.len() >= self.reach.rows_max
            || self.bytes >= self.reach.bytes_max / 2
            || self.began.elapsed() >= TIME_MAX
            || (self.marks == Marks::Locks && !self.rows.is_empty())
    }

    fn into_chunk(self, [low, high]: [Position; 2], ended: Ended) -> Chunk {
        let Reading { rows, bytes, last, .. } = self;
        let ended = ended == Ended::Whole;
        Chunk { low, high, in_progress: Vec::new(), rows, last, ended, bytes }
    }
}

/// A row's place, and the row.
fn parted(answer: Answer, places: usize, select: &Select<'_>) -> Result<(Vec<Cell>, Row)> {
    let mut cells = answer.unwrap_raw().into_iter();
    let place = cells.by_ref().take(places).map(|cell| cell.unwrap_or(Cell::NULL)).collect();
    Ok((place, select.row(cells)?))
}

/// Bytes of a value: of one without text, those of a number.
fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Unchanged => 1,
        value => value.heap_bytes().max(8),
    }
}

fn no_such_index(error: &Error) -> bool {
    let cause =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<ServerError>());
    cause.is_some_and(|cause| cause.code == NO_SUCH_INDEX)
}

/// Whether the server cannot make sense of the statement.
fn is_about_a_condition(error: &Error) -> bool {
    matches!(error.kind(), Kind::Statement | Kind::Mapping)
}
