//! A piece of a table for a copy: one statement in one snapshot, with its marks.
//!
//! The walk's index is forced, and the piece begins in it where the last one ended. Rows stream in; how
//! many are asked for follows from how large the last ones were, so that little is left over where they
//! reach `bytes_max`. If much is, the server is told to end that connection, and another is opened:
//! reading on would be as long as the answer. Where rows are read under locks, they are those of this one
//! statement, not waited for longer than two seconds, and said once in the log.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Row as Answer, ServerError, Value as Cell};

use super::condition::{self, enclosed};
use super::row::Select;
use super::walk::{Bound, Walk};
use super::{Marks, MysqlScan};
use crate::error::{Error, Kind, Result};
use crate::link::ports::{Chunk, Reach};
use crate::model::{Row, Value};
use crate::mysql::failure::classify;
use crate::mysql::history;
use crate::mysql::session::{Flavor, Session};
use crate::plan::TablePlan;

/// Longest time between two rows.
const ROW_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest time to the first row: with a condition the server may look at many before.
const FIRST_ROW_TIMEOUT: Duration = Duration::from_secs(1800);
/// Rows asked for while it is not known how large they are.
const ROWS_FIRST: usize = 64;
/// Longest wait for a row's lock, in seconds.
const LOCK_WAIT_S: u32 = 2;
/// MySQL and MariaDB: no such index.
const NO_SUCH_INDEX: u16 = 1176;

/// What one statement has brought.
struct Read {
    rows: Vec<Row>,
    bytes: usize,
    last: Option<Vec<Cell>>,
    /// More rows were on their way.
    cut: bool,
}

impl MysqlScan {
    /// Reads a piece; `None` where the walk is no longer the table's.
    pub(super) async fn read_piece(
        &mut self,
        plan: &TablePlan,
        reach: &Reach,
    ) -> Result<Option<Chunk>> {
        let walk = self.walk(plan).await?;
        if walk.text != reach.walk {
            return Ok(None);
        }
        let limit = self.limit(plan, reach);
        let mut session = self.session().await?;
        let (marks, low, mut seen) = self.place(&mut session).await?;
        if marks == Marks::Locks {
            self.lock_rows(&mut session).await?;
        }
        let sql = statement(plan, &walk, reach, limit, marks, session.flavor())?;
        let context =
            format!("read a piece of {} in database `{}`", plan.source.name, session.database());
        let select = Select::new(plan)?;
        let read = match rows(&mut session, &context, &sql, &select, &walk, reach.bytes_max).await {
            Err(error) if no_such_index(&error) => {
                self.walks.remove(&plan.source.name);
                return Ok(None);
            }
            Err(error) if reach.condition.is_some() && is_about_a_condition(&error) => {
                return Err(condition::refused("is refused by the server").caused_by(error));
            }
            read => read?,
        };
        if read.cut {
            self.end(session).await?;
            session = self.session().await?;
        } else {
            session.run("end a snapshot", "COMMIT").await?;
        }
        if seen.is_none() {
            seen = Some(history::head(&mut session).await?);
        }
        self.session = Some(session);
        let high = seen.unwrap_or_else(|| low.clone());
        let ended = !read.cut && read.rows.len() < limit;
        self.learn(plan, &read);
        let last = read.last.map(|cells| walk.kept(cells)).transpose()?;
        let (rows, bytes) = (read.rows, read.bytes);
        let (low, high) = (self.compared(low)?, self.compared(high)?);
        Ok(Some(Chunk { low, high, in_progress: Vec::new(), rows, last, ended, bytes }))
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

    /// Rows to ask for.
    fn limit(&self, plan: &TablePlan, reach: &Reach) -> usize {
        let by_size = match self.row_bytes.get(&plan.source.name) {
            Some(bytes) => reach.bytes_max / 4 * 3 / (*bytes).max(1),
            None => ROWS_FIRST,
        };
        reach.rows_max.min(by_size).max(1)
    }

    fn learn(&mut self, plan: &TablePlan, read: &Read) {
        if let Some(bytes) = read.bytes.checked_div(read.rows.len()) {
            self.row_bytes.insert(plan.source.name.clone(), bytes);
        }
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

/// The statement of a piece.
fn statement(
    plan: &TablePlan,
    walk: &Walk,
    reach: &Reach,
    limit: usize,
    marks: Marks,
    flavor: Flavor,
) -> Result<String> {
    let mut conditions = Vec::new();
    if let Some(after) = &reach.after {
        conditions.push(walk.bounded(Bound::After, after)?);
    }
    if let Some(until) = &reach.until {
        conditions.push(walk.bounded(Bound::Until, until)?);
    }
    if let Some(condition) = &reach.condition {
        conditions.push(enclosed(condition)?);
    }
    let condition = match conditions.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.join(" AND ")),
    };
    let lock = match (marks, flavor) {
        (Marks::Locks, Flavor::Mysql) => " FOR SHARE",
        (Marks::Locks, Flavor::Mariadb) => " LOCK IN SHARE MODE",
        _ => "",
    };
    Ok(format!(
        "SELECT {}, {} FROM {}{condition} ORDER BY {} LIMIT {limit}{lock}",
        walk.list(),
        Select::new(plan)?.list(),
        walk.table(plan),
        walk.order()
    ))
}

/// Reads rows until there are no more or they are large enough.
async fn rows(
    session: &mut Session,
    context: &str,
    sql: &str,
    select: &Select<'_>,
    walk: &Walk,
    bytes_max: usize,
) -> Result<Read> {
    let mut read = Read { rows: Vec::new(), bytes: 0, last: None, cut: false };
    let late = || Error::new(Kind::Timeout, format!("{context}: no row within the time allowed"));
    let call = session.conn().exec_iter(sql, ());
    let answer = tokio::time::timeout(FIRST_ROW_TIMEOUT, call).await.map_err(|_| late())?;
    let mut answer = answer.map_err(|error| classify(error, context))?;
    let mut patience = FIRST_ROW_TIMEOUT;
    loop {
        let next = tokio::time::timeout(patience, answer.next()).await.map_err(|_| late())?;
        let Some(next) = next.map_err(|error| classify(error, context))? else { return Ok(read) };
        patience = ROW_TIMEOUT;
        let (place, row) = parted(next, walk.places.len(), select)?;
        let bytes = row.iter().map(value_bytes).sum::<usize>();
        if !read.rows.is_empty() && read.bytes + bytes > bytes_max {
            read.cut = true;
            return Ok(read);
        }
        read.bytes += bytes;
        read.rows.push(row);
        read.last = Some(place);
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
