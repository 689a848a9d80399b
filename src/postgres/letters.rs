//! A link's dead letters for people: listed, asked for, dropped, on a session of its own.
//!
//! Waits are bounded, for locks too: what the running link has written and not yet committed is waited
//! for, and then seen. What is asked or dropped at once is one transaction.

use tokio_postgres::types::ToSql;

use super::failure::classify;
use super::session::{self, Session};
use super::sql::letters as sql;
use super::target::{column, number, without_schema};
use crate::config::Database;
use crate::error::{Error, Result};
use crate::link::ports::{Letters, LinkContext, Pending, Reason, StoredLetter};

/// Rows of one statement at most.
const ROWS_MAX: usize = 1000;

/// Connects to the link's letters in the target.
///
/// # Errors
/// As the session's.
pub(super) async fn open(context: &LinkContext, database: &Database) -> Result<Box<dyn Letters>> {
    let session = session::for_verb(database, &context.application_name()).await?;
    let (name, link) = (context.name.clone(), context.link.to_string());
    Ok(Box::new(PostgresLetters { session, name, link }))
}

struct PostgresLetters {
    session: Session,
    name: String,
    link: String,
}

impl Letters for PostgresLetters {
    fn list(&mut self, after: u64, limit: usize) -> Pending<'_, Vec<StoredLetter>> {
        Box::pin(self.read(after, limit))
    }

    fn ask<'a>(&'a mut self, rows: &'a [(String, String)]) -> Pending<'a, u64> {
        Box::pin(self.each("ask for a try of dead letters", sql::ASK, rows))
    }

    fn discard<'a>(&'a mut self, rows: &'a [(String, String)]) -> Pending<'a, u64> {
        Box::pin(self.each("drop dead letters", sql::CLOSE, rows))
    }
}

impl PostgresLetters {
    fn failed(&self, error: tokio_postgres::Error, what: &str) -> Error {
        without_schema(classify(error, format!("{what} of {}", self.link)))
    }

    async fn read(&mut self, after: u64, limit: usize) -> Result<Vec<StoredLetter>> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let parameters: [&(dyn ToSql + Sync); 4] = [&self.name, &self.link, &after, &limit];
        let rows = self.session.query(sql::LIST, &parameters).await;
        let rows = rows.map_err(|error| self.failed(error, "read the dead letters"))?;
        rows.iter().map(stored).collect()
    }

    /// Runs a statement for rows; how many letters it hit.
    async fn each(&mut self, what: &str, sql: &str, rows: &[(String, String)]) -> Result<u64> {
        let (name, link) = (self.name.clone(), self.link.clone());
        let done = async {
            let transaction = self.session.transaction().await?;
            let mut hit = 0;
            for rows in rows.chunks(ROWS_MAX) {
                let tables: Vec<&str> = rows.iter().map(|(table, _)| table.as_str()).collect();
                let names: Vec<&str> = rows.iter().map(|(_, row)| row.as_str()).collect();
                hit += transaction.execute(sql, &[&name, &link, &tables, &names]).await?;
            }
            transaction.commit().await?;
            Ok(hit)
        };
        done.await.map_err(|error| self.failed(error, what))
    }
}

fn stored(row: &tokio_postgres::Row) -> Result<StoredLetter> {
    let reason = Reason { kind: column(row, 8)?, text: column(row, 9)?, hint: column(row, 10)? };
    Ok(StoredLetter {
        id: number(column(row, 0)?),
        table: column(row, 1)?,
        source_table: column(row, 2)?,
        row: column(row, 3)?,
        old_row: column(row, 4)?,
        operation: column(row, 5)?,
        position: column(row, 6)?,
        ordinal: number(column(row, 7)?),
        reason,
        change: column(row, 11)?,
        changes: number(column(row, 12)?),
        attempts: u32::try_from(column::<i32>(row, 13)?).unwrap_or_default(),
        made_us: column(row, 14)?,
        tried_us: column(row, 15)?,
        asked: column(row, 16)?,
    })
}
