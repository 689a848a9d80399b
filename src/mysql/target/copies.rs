//! The link's rows of `weir.snapshot`: how far copies are, written in the transaction that makes it
//! true. One small statement each, since one is written with every chunk.

use mysql_async::prelude::Queryable;
use mysql_async::{Row as ServerRow, Value as Parameter};

use super::super::session::{Session, within};
use super::super::sql::copies as sql;
use super::writer::{CALL_TIMEOUT, Writer, field};
use crate::error::{Error, Kind, Result};
use crate::link::ports::{CopyNote, StoredCopy};

const SETUP_HINT: &str = "table weir.snapshot is not there, or the user may not use it: run \
    `weir setup --apply`, which makes it";

impl Writer {
    /// Writes notes, in the open transaction.
    pub(super) async fn keep_copies(
        &mut self,
        name: &str,
        link: &str,
        notes: &[CopyNote],
    ) -> Result<()> {
        let context = format!("write how far copies of {link} are");
        for note in notes {
            let of: [Parameter; 3] = [name.into(), link.into(), note.table.as_str().into()];
            let progress = Parameter::from(note.progress.as_str());
            let (sql, order) = match &note.answers {
                Some(order) => (sql::ANSWER, Some(Parameter::from(order.as_str()))),
                None => (sql::KEEP, None),
            };
            let set = std::iter::once(progress.clone()).chain(order.clone());
            let parameters = set.chain(of.clone()).collect();
            if self.execute(&context, sql, parameters).await.map_err(of_a_copy)? > 0 {
                continue;
            }
            let rest = [progress.clone(), progress, order.unwrap_or(Parameter::NULL)];
            let parameters = of.into_iter().chain(rest).collect();
            self.execute(&context, sql::FIRST, parameters).await.map_err(of_a_copy)?;
        }
        Ok(())
    }

    /// Writes notes, in a transaction of their own.
    pub(super) async fn begin_copies(
        &mut self,
        name: &str,
        link: &str,
        notes: &[CopyNote],
    ) -> Result<()> {
        self.control("begin a transaction", "START TRANSACTION").await?;
        let kept = self.keep_copies(name, link, notes).await;
        let end = if kept.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.control("end a transaction", end).await;
        // The first error says more.
        kept.and(ended)
    }
}

/// The link's rows, by table.
pub(in crate::mysql) async fn list(
    session: &mut Session,
    name: &str,
    link: &str,
) -> Result<Vec<StoredCopy>> {
    read(session, sql::LIST, name, link).await
}

/// Those of which something is asked.
pub(in crate::mysql) async fn orders(
    session: &mut Session,
    name: &str,
    link: &str,
) -> Result<Vec<StoredCopy>> {
    read(session, sql::ORDERS, name, link).await
}

async fn read(session: &mut Session, sql: &str, name: &str, link: &str) -> Result<Vec<StoredCopy>> {
    let context = format!("read the copies of {link}");
    let call = session.conn().exec::<ServerRow, _, _>(sql, (name, link));
    let rows = within(CALL_TIMEOUT, &context, call).await.map_err(of_a_copy)?;
    let stored = |row: &ServerRow| {
        Ok(StoredCopy {
            table: field(&context, row, 0)?,
            progress: field(&context, row, 1)?,
            asked: field(&context, row, 2)?,
        })
    };
    rows.iter().map(stored).collect()
}

/// Writes an order.
pub(in crate::mysql) async fn ask(
    session: &mut Session,
    [name, link, table]: [&str; 3],
    order: &str,
) -> Result<()> {
    let context = format!("ask for a copy of {table}");
    let call = session.conn().exec_drop(sql::ASK, (name, link, table, order, order));
    within(CALL_TIMEOUT, &context, call).await.map_err(of_a_copy)
}

/// An error about what is kept of a copy speaks of no row of a table. To a user without rights on it, a
/// table that is not there is one that may not be used.
fn of_a_copy(error: Error) -> Error {
    match error.kind() {
        Kind::Mapping | Kind::Privilege => error.turned(Kind::Mapping).hint(SETUP_HINT),
        _ if error.is_about_a_row() => error.turned(Kind::Statement),
        _ => error,
    }
}
