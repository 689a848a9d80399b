//! Reading beside the stream: the end of the log, the lag, and single rows with their marks.
//!
//! Rows come by the binary protocol, so floats are exact and times have their fields; their values
//! equal those of the stream (`row` says how). Writes nothing; waits for a lock 10 s at most.
//!
//! How a read is placed in the log: `marks`; rows by their keys: `rows`; whole tables in pieces: `chunk`.

mod chunk;
mod condition;
mod divide;
mod marks;
mod place;
mod replica;
mod row;
mod rows;
mod walk;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::history;
use super::identity;
use super::session::{self, Flavor, Role, Session};
use crate::config::Database;
use crate::error::Result;
use crate::link::ports::{Chunk, Division, LinkContext, Pending, Reach, Retention, Scan, Scanned};
use crate::model::{Row, TableName};
use crate::plan::{LinkPlan, TablePlan};
use crate::position::{Coordinates, Position};
use marks::{Marks, Placed, begun};
pub(super) use row::value;
use rows::{Asked, LOCKED_MAX};
use walk::Walk;

/// Longest statement on the server, which ends it itself.
const STATEMENT_MAX: Duration = Duration::from_secs(300);

/// A side reader of a MySQL or MariaDB server. Reconnects after an error, to the same server.
#[derive(Debug)]
pub(crate) struct MysqlScan {
    application_name: String,
    database: Database,
    /// The server's identity, once connected.
    identity: Option<String>,
    session: Option<Session>,
    log: LogTimes,
    /// Where the last snapshot lay (MariaDB).
    placed: Placed,
    /// Reads need no place in the log: they are of a target.
    unplaced: bool,
    /// How tables are walked, as far as they were asked for.
    walks: HashMap<TableName, Walk>,
    /// Bytes of a row, by what the last piece of a table had.
    row_bytes: HashMap<TableName, usize>,
    /// The log was told that rows are locked.
    said_locks: bool,
    /// The server is a replica of that of the log.
    is_replica: bool,
}

/// When files of the log were still written, seconds since 1970 by the server's clock.
#[derive(Debug, Default)]
struct LogTimes(BTreeMap<String, u64>);

/// Connects.
///
/// # Errors
/// As the server says.
pub async fn open(
    context: &LinkContext,
    database: &Database,
    _: Arc<LinkPlan>,
) -> Result<Box<dyn Scan>> {
    let application_name = context.application_name();
    let mut scan = MysqlScan {
        application_name,
        database: database.clone(),
        identity: None,
        session: None,
        log: LogTimes::default(),
        placed: Placed::default(),
        unplaced: false,
        walks: HashMap::new(),
        row_bytes: HashMap::new(),
        said_locks: false,
        is_replica: false,
    };
    scan.session = Some(scan.session().await?);
    Ok(Box::new(scan))
}

impl MysqlScan {
    /// The session, connected anew if the last call failed: every call puts it back at its end.
    async fn session(&mut self) -> Result<Session> {
        if let Some(session) = self.session.take() {
            return Ok(session);
        }
        // The server may have been restarted, and its log begun anew.
        self.placed = Placed::default();
        let name = &self.application_name;
        let mut session = session::connect(&self.database, name, Role::Source).await?;
        let is = identity::identity(&mut session).await?;
        let was = self.identity.get_or_insert_with(|| is.clone());
        identity::require_same(&self.database.name, was, &is)?;
        let what = "set a session up";
        let waits = "SET SESSION lock_wait_timeout = 10, innodb_lock_wait_timeout = 10";
        session.run(what, waits).await?;
        let ends = match session.flavor() {
            Flavor::Mysql => format!("max_execution_time = {}", STATEMENT_MAX.as_millis()),
            Flavor::Mariadb => format!("max_statement_time = {}", STATEMENT_MAX.as_secs()),
        };
        session.run(what, &format!("SET SESSION {ends}")).await?;
        // Keys that are dates that are none are compared with such.
        session.run(what, "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'").await?;
        session.run(what, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
        Ok(session)
    }

    async fn end_of_log(&mut self) -> Result<Position> {
        let mut session = self.session().await?;
        let head = history::head(&mut session).await?;
        self.session = Some(session);
        Ok(head)
    }

    async fn bytes_after(&mut self, at: &Coordinates) -> Result<Option<u64>> {
        let mut session = self.session().await?;
        let files = history::files(&mut session).await?;
        self.session = Some(session);
        Ok(lag(&files, at))
    }

    async fn purge_eta(&mut self, at: &Coordinates, known: Option<u64>) -> Result<Option<u64>> {
        let mut session = self.session().await?;
        let expiry = history::expiry(&mut session).await?;
        let now = history::clock(&mut session).await?;
        let files = history::files(&mut session).await?;
        self.session = Some(session);
        self.log.look(&files, now);
        let eta = |expiry: u64| self.log.kept_for(&files, at, known)?.checked_add(expiry);
        Ok(expiry.and_then(eta).map(|purged_at| purged_at.saturating_sub(now)))
    }

    /// How rows are read now, the low mark, and the high one where it is known before they are.
    async fn place(
        &mut self,
        session: &mut Session,
    ) -> Result<(Marks, Position, Option<Position>)> {
        let (marks, low) = match self.unplaced {
            true => Marks::forgo(session).await?,
            false => Marks::open(session, &mut self.placed).await?,
        };
        let seen = match marks {
            Marks::Gtids => Some(begun(session).await?),
            Marks::Snapshot | Marks::Forgone => Some(low.clone()),
            Marks::Locks => None,
        };
        Ok((marks, low, seen))
    }

    async fn read(&mut self, table: &TablePlan, keys: &[Row]) -> Result<Scanned> {
        let mut session = self.session().await?;
        let (marks, low, seen) = self.place(&mut session).await?;
        let select = match self.unplaced {
            // What the target takes for a row cannot be there beside it.
            true => row::Select::new(table, session.flavor())?.loose(),
            false => row::Select::new(table, session.flavor())?,
        };
        let asked = Asked::new(table, select, &session);
        if marks == Marks::Locks
            && keys.len() <= LOCKED_MAX
            && let Some((rows, high)) = asked.held(&mut session, keys).await?
        {
            self.session = Some(session);
            return Ok(Scanned { low, high, exact: true, in_progress: Vec::new(), rows });
        }
        let rows = match marks {
            Marks::Locks => asked.one_by_one(&mut session, keys).await?,
            Marks::Gtids | Marks::Snapshot | Marks::Forgone => {
                asked.plain(&mut session, keys).await?
            }
        };
        let high = match seen {
            Some(seen) => seen,
            None => history::head(&mut session).await?,
        };
        session.run("end a snapshot", "COMMIT").await?;
        self.session = Some(session);
        Ok(Scanned { low, high, exact: false, in_progress: Vec::new(), rows })
    }
}

/// Bytes after `at` in the log's files; `None` where its file is gone.
fn lag(files: &[(String, u64)], at: &Coordinates) -> Option<u64> {
    let found = files.iter().position(|(file, _)| *file == at.file)?;
    let all: u64 = files.iter().skip(found).map(|(_, size)| size).sum();
    Some(all.saturating_sub(at.position))
}

impl LogTimes {
    /// The newest file is written at `now`; of files that are gone nothing is kept.
    fn look(&mut self, files: &[(String, u64)], now: u64) {
        if let Some((newest, _)) = files.last() {
            self.0.insert(newest.clone(), now);
        }
        self.0.retain(|known, _| files.iter().any(|(file, _)| file == known));
    }

    /// The latest time at which the file of `at` is known to have been written: when it or one before
    /// it was the newest, or `known`, a commit in it or before it. Zero where the file is gone.
    fn kept_for(
        &self,
        files: &[(String, u64)],
        at: &Coordinates,
        known: Option<u64>,
    ) -> Option<u64> {
        let Some(found) = files.iter().position(|(file, _)| *file == at.file) else {
            return Some(0);
        };
        let seen = files.iter().take(found + 1).filter_map(|(file, _)| self.0.get(file).copied());
        seen.chain(known).max()
    }
}

impl Scan for MysqlScan {
    fn instance(&mut self) -> Pending<'_, String> {
        Box::pin(async {
            let mut session = self.session().await?;
            let instance = identity::instance(&mut session).await?;
            self.session = Some(session);
            Ok(instance)
        })
    }

    fn require_server(&self, identity: &str) -> Result<()> {
        let is = self.identity.as_deref().unwrap_or_default();
        identity::require_same(&self.database.name, identity, is)
    }

    fn forgo_marks(&mut self) {
        self.unplaced = true;
    }

    fn head(&mut self) -> Pending<'_, Position> {
        Box::pin(self.end_of_log())
    }

    fn lag_bytes<'a>(&'a mut self, applied: &'a Position) -> Pending<'a, Option<u64>> {
        Box::pin(async move {
            match applied.coordinates() {
                Some(at) => self.bytes_after(at).await,
                None => Ok(None),
            }
        })
    }

    fn retention<'a>(
        &'a mut self,
        next: &'a Position,
        applied_us: Option<i64>,
    ) -> Pending<'a, Retention> {
        Box::pin(async move {
            let known = applied_us.and_then(|at| u64::try_from(at / 1_000_000).ok());
            let seconds = match next.restart().coordinates() {
                Some(at) => self.purge_eta(at, known).await?,
                None => None,
            };
            let purge_eta = seconds.map(Duration::from_secs);
            Ok(Retention { purge_eta, ..Retention::default() })
        })
    }

    fn read_rows<'a>(&'a mut self, table: &'a TablePlan, keys: &'a [Row]) -> Pending<'a, Scanned> {
        Box::pin(self.read(table, keys))
    }

    fn divide<'a>(&'a mut self, table: &'a TablePlan, parts: usize) -> Pending<'a, Division> {
        Box::pin(self.divided(table, parts))
    }

    fn read_chunk<'a>(
        &'a mut self,
        table: &'a TablePlan,
        reach: &'a Reach,
    ) -> Pending<'a, Option<Chunk>> {
        Box::pin(self.read_piece(table, reach))
    }

    fn require_copy_of<'a>(&'a mut self, identity: &'a str) -> Pending<'a, Option<Position>> {
        Box::pin(self.require_origin(identity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if lag jumped at a new file, or was guessed where the file is gone.
    #[test]
    fn lag_counts_over_files() {
        let files = [("b.1".to_owned(), 100), ("b.2".to_owned(), 50)];
        let at = |file: &str, position| Coordinates::new(file, position);
        assert_eq!(lag(&files, &at("b.1", 40)), Some(110));
        assert_eq!(lag(&files, &at("b.2", 50)), Some(0));
        assert_eq!(lag(&files, &at("b.0", 4)), None);
    }

    /// Broken if a file that is purged soon seemed to be kept for longer, or a guess were shown where
    /// nothing is known.
    #[test]
    fn a_file_is_kept_from_its_last_write_on() {
        let files: Vec<_> = ["b.1", "b.2", "b.3"].map(|file| (file.to_owned(), 100)).into();
        let at = |file: &str| Coordinates::new(file, 4);
        let mut log = LogTimes::default();
        assert_eq!(log.kept_for(&files, &at("b.1"), None), None);
        assert_eq!(log.kept_for(&files, &at("b.1"), Some(7)), Some(7));
        log.look(&files[..1], 10);
        log.look(&files, 20);
        assert_eq!(log.kept_for(&files, &at("b.1"), Some(7)), Some(10));
        assert_eq!(log.kept_for(&files, &at("b.2"), None), Some(10), "after the one before it");
        assert_eq!(log.kept_for(&files, &at("b.3"), None), Some(20));
        log.look(&files[1..], 30);
        assert_eq!(log.kept_for(&files[1..], &at("b.1"), Some(7)), Some(0), "it is gone");
        assert_eq!(log.0.len(), 1);
    }
}
