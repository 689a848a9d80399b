//! A link's dead letters for people: listed, asked for, dropped, on a session of its own.
//!
//! Waits are bounded, for locks too: what the running link has written and not yet committed is waited
//! for. What is asked or dropped at once is one transaction.

use mysql_async::{Row as ServerRow, Value as Parameter};

use super::session::{self, Session};
use super::sql::letters as sql;
use super::target::{self, OwnLetters, field};
use crate::config::Database;
use crate::error::Result;
use crate::link::ports::{Letters, LinkContext, Pending, Reason, StoredLetter};

/// Connects to the link's letters in the target.
///
/// # Errors
/// As [`session::for_verb`].
pub(super) async fn open(context: &LinkContext, database: &Database) -> Result<Box<dyn Letters>> {
    let mut session = session::for_verb(database, &context.application_name()).await?;
    let packet_bytes_max = target::packet_bytes_max(&mut session).await?;
    let (name, link) = (context.name.clone(), context.link.to_string());
    Ok(Box::new(MysqlLetters { session, name, link, packet_bytes_max }))
}

struct MysqlLetters {
    session: Session,
    name: String,
    link: String,
    packet_bytes_max: usize,
}

impl Letters for MysqlLetters {
    fn list(&mut self, after: u64, limit: usize) -> Pending<'_, Vec<StoredLetter>> {
        Box::pin(self.read(after, limit))
    }

    fn ask<'a>(&'a mut self, rows: &'a [(String, String)]) -> Pending<'a, u64> {
        Box::pin(self.each(sql::ASK, rows))
    }

    fn discard<'a>(&'a mut self, rows: &'a [(String, String)]) -> Pending<'a, u64> {
        Box::pin(self.each(sql::END, rows))
    }
}

impl MysqlLetters {
    fn own(&mut self) -> OwnLetters<'_> {
        OwnLetters {
            session: &mut self.session,
            name: &self.name,
            link: &self.link,
            packet_bytes_max: self.packet_bytes_max,
        }
    }

    async fn read(&mut self, after: u64, limit: usize) -> Result<Vec<StoredLetter>> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let parameters: Vec<Parameter> =
            vec![self.name.as_str().into(), self.link.as_str().into(), after.into(), limit.into()];
        let rows = self.own().read(sql::LIST, parameters).await?;
        rows.iter().map(stored).collect()
    }

    /// Runs a statement for the letters of rows; how many it hit.
    async fn each(&mut self, sql: &str, rows: &[(String, String)]) -> Result<u64> {
        self.session.run("begin a transaction", "START TRANSACTION").await?;
        let done = async {
            let mut own = self.own();
            let found = own.numbers_of(rows).await?;
            let ids: Vec<u64> = found.into_iter().map(|(_, id)| id).collect();
            own.each_number(sql, &ids, &[]).await
        };
        let done = done.await;
        let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.session.run("end a transaction", end).await;
        // The first error says more.
        done.and_then(|hit| ended.map(|()| hit))
    }
}

fn stored(row: &ServerRow) -> Result<StoredLetter> {
    const WHAT: &str = "read weir.dead_letter";
    let reason = Reason {
        kind: field(WHAT, row, 8)?,
        text: field(WHAT, row, 9)?,
        hint: field(WHAT, row, 10)?,
    };
    Ok(StoredLetter {
        id: field(WHAT, row, 0)?,
        table: field(WHAT, row, 1)?,
        source_table: field(WHAT, row, 2)?,
        row: field(WHAT, row, 3)?,
        old_row: field(WHAT, row, 4)?,
        operation: field(WHAT, row, 5)?,
        position: field(WHAT, row, 6)?,
        ordinal: field(WHAT, row, 7)?,
        reason,
        change: field(WHAT, row, 11)?,
        changes: field(WHAT, row, 12)?,
        attempts: field(WHAT, row, 13)?,
        made_us: field(WHAT, row, 14)?,
        tried_us: field(WHAT, row, 15)?,
        asked: field(WHAT, row, 16)?,
    })
}
