//! Single rows by their keys: in a snapshot, or under share locks where places in the log run ahead of
//! what is visible.
//!
//! Rows under locks that are held until the end of the log is known are exactly as of that end: who
//! changed one has released it, and is in the log; who changes it next comes after. So nothing that
//! foreign keys do unlogged can come in between. weir waits for a lock only while it holds none, so that
//! it is never part of a deadlock; where locks are always taken it reads row by row, each released at
//! once. Rows that are not there are not locked.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Params, Row as Answer};

use super::super::history;
use super::super::session::{Session, within};
use super::super::sql::quote_table;
use super::marks::share_lock;
use super::row::Select;
use crate::error::{Error, Kind, Result};
use crate::model::Row;
use crate::plan::TablePlan;
use crate::position::Position;

/// Longest time for the read of one row.
const ROW_TIMEOUT: Duration = Duration::from_secs(60);
/// Rows that are locked together at most, for some milliseconds.
pub(super) const LOCKED_MAX: usize = 100;
/// Begun anew with the row that somebody else had locked, this often.
const TRIES_MAX: usize = 16;

/// Rows of a table, asked for by their keys.
pub(super) struct Asked<'a> {
    table: &'a TablePlan,
    select: Select<'a>,
    lock: &'static str,
    context: String,
}

impl<'a> Asked<'a> {
    /// The question that `select` puts.
    pub(super) fn new(table: &'a TablePlan, select: Select<'a>, session: &Session) -> Self {
        let name = &table.source.name;
        let lock = share_lock(session.flavor());
        let context = format!("read rows of {name} in database `{}`", session.database());
        Asked { table, select, lock, context }
    }

    /// In the transaction as it is, in the order of the keys.
    pub(super) async fn plain(
        &self,
        session: &mut Session,
        keys: &[Row],
    ) -> Result<Vec<Option<Row>>> {
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            rows.push(self.row(session, "", key).await?);
        }
        Ok(rows)
    }

    /// Under a lock each, which is held no longer than its read.
    pub(super) async fn one_by_one(
        &self,
        session: &mut Session,
        keys: &[Row],
    ) -> Result<Vec<Option<Row>>> {
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            session.run("read a row", "START TRANSACTION READ ONLY").await?;
            rows.push(self.row(session, self.lock, key).await?);
            session.run("end a read", "COMMIT").await?;
        }
        Ok(rows)
    }

    /// Under locks that are held until the end of the log is known, which comes with the rows; `None`
    /// where somebody else always holds one of them.
    pub(super) async fn held(
        &self,
        session: &mut Session,
        keys: &[Row],
    ) -> Result<Option<(Vec<Option<Row>>, Position)>> {
        let mut order: Vec<usize> = (0..keys.len()).collect();
        for _ in 0..TRIES_MAX {
            let mut rows = vec![None; keys.len()];
            // A row that is not there, and where it would be, is not locked at this level.
            session.run("read rows", "SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
            session.run("read rows", "START TRANSACTION READ ONLY").await?;
            let taken = self.lock_all(session, keys, &order, &mut rows).await?;
            let high = match taken {
                None => Some(history::head(session).await?),
                Some(_) => None,
            };
            session.run("end a read", "COMMIT").await?;
            match (high, taken) {
                (Some(high), _) => return Ok(Some((rows, high))),
                (None, Some(taken)) => order.swap(0, taken),
                (None, None) => break,
            }
        }
        Ok(None)
    }

    /// Reads rows in this order and keeps their locks. Waits for the first; gives the place in the order
    /// of one that somebody else holds.
    async fn lock_all(
        &self,
        session: &mut Session,
        keys: &[Row],
        order: &[usize],
        rows: &mut [Option<Row>],
    ) -> Result<Option<usize>> {
        let at_once = format!("{} NOWAIT", self.lock);
        for (place, at) in order.iter().enumerate() {
            let (Some(key), Some(row)) = (keys.get(*at), rows.get_mut(*at)) else { continue };
            let lock = if place == 0 { self.lock } else { &at_once };
            match self.row(session, lock, key).await {
                Ok(found) => *row = found,
                Err(error) if place > 0 && error.kind() == Kind::Contention => {
                    return Ok(Some(place));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn row(&self, session: &mut Session, lock: &str, key: &Row) -> Result<Option<Row>> {
        let name = quote_table(&self.table.source.name);
        let (list, condition) = (self.select.list(), self.select.condition(key));
        let text = format!("SELECT {list} FROM {name} WHERE {condition} LIMIT 2 {lock}");
        let parameters = Params::Positional(self.select.parameters(key)?);
        let call = session.conn().exec::<Answer, _, _>(text, parameters);
        let mut answers = within(ROW_TIMEOUT, &self.context, call).await?;
        if answers.len() > 1 {
            let name = &self.table.source.name;
            let context = format!("two rows of {name} have one match key");
            return Err(Error::new(Kind::Mapping, context)
                .hint("choose a match key that is unique at the source"));
        }
        answers.pop().map(|answer| self.select.row(answer.unwrap_raw())).transpose()
    }
}
