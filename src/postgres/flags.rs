//! A link's records of flagged writes for people: listed and decided about, on a session of its own.
//!
//! Waits are bounded, for locks too.

use tokio_postgres::types::ToSql;

use super::encode::{Place, Single};
use super::failure::classify;
use super::session::{self, Session};
use super::sql::flags as sql;
use super::target::{column, number, without_schema};
use crate::config::Database;
use crate::error::{Error, Result};
use crate::link::ports::{Adopt, Adopted, Decision, Flags, LinkContext, Pending, StoredFlag};

/// Connects to the link's records in the target.
///
/// # Errors
/// As the session's.
pub(super) async fn open(context: &LinkContext, database: &Database) -> Result<Box<dyn Flags>> {
    let session = session::for_verb(database, &context.application_name()).await?;
    let (name, link) = (context.name.clone(), context.link.to_string());
    Ok(Box::new(PostgresFlags { session, name, link }))
}

struct PostgresFlags {
    session: Session,
    name: String,
    link: String,
}

impl Flags for PostgresFlags {
    fn list(&mut self, after: u64, limit: usize, open: bool) -> Pending<'_, Vec<StoredFlag>> {
        Box::pin(self.read(after, limit, open))
    }

    fn decide<'a>(&'a mut self, ids: &'a [u64], decision: &'a Decision) -> Pending<'a, u64> {
        Box::pin(async move {
            let ids = ids.iter().map(|id| i64::try_from(*id).unwrap_or(i64::MAX));
            let ids: Vec<i64> = ids.collect();
            let Decision { state, by, note } = decision;
            let parameters: [&(dyn ToSql + Sync); 6] =
                [&self.name, &self.link, &ids, state, by, note];
            let done = self.session.execute(sql::DECIDE, &parameters).await;
            done.map_err(|error| self.failed(error, "decide about flagged writes"))
        })
    }

    fn adopt<'a>(&'a mut self, adopt: &'a Adopt<'a>) -> Pending<'a, Adopted> {
        Box::pin(async move {
            self.run("BEGIN").await?;
            // A failure ends the session, and with it the transaction.
            let adopted = self.adopt_one(adopt).await?;
            let end = if adopted == Adopted::Written { "COMMIT" } else { "ROLLBACK" };
            self.run(end).await?;
            Ok(adopted)
        })
    }

    fn ask_back<'a>(&'a mut self, rows: &'a [(String, String)]) -> Pending<'a, ()> {
        Box::pin(async move {
            let (tables, names): (Vec<&str>, Vec<&str>) =
                rows.iter().map(|(table, row)| (table.as_str(), row.as_str())).unzip();
            let parameters: [&(dyn ToSql + Sync); 4] = [&self.name, &self.link, &tables, &names];
            let done = self.session.execute(sql::ASK_BACK, &parameters).await;
            done.map(drop).map_err(|error| self.failed(error, "ask for rows"))
        })
    }
}

impl PostgresFlags {
    fn failed(&self, error: tokio_postgres::Error, what: &str) -> Error {
        without_schema(classify(error, format!("{what} of {}", self.link)))
    }

    async fn run(&self, sql: &str) -> Result<()> {
        let done = self.session.batch_execute(sql).await;
        done.map_err(|error| self.failed(error, "take over a value"))
    }

    async fn adopt_one(&mut self, adopt: &Adopt<'_>) -> Result<Adopted> {
        let Adopt { id, table, row, held, decision } = adopt;
        let columns = table.columns.iter();
        let columns: Vec<_> =
            columns.filter_map(|column| table.target.columns.get(column.target)).collect();
        let (keys, name) = (table.key.len(), &table.target.name);
        let places = columns.into_iter().enumerate();
        let places = places.map(|(at, column)| Place { table: name, column, key: at < keys });
        let values = row.iter().zip(places).map(|(value, place)| Single { value, place });
        let values: Vec<_> = values.collect();
        let all: Vec<&(dyn ToSql + Sync)> =
            values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let key = all.get(..keys).unwrap_or_default();
        let what = "take over a value";
        let found = self.session.query_opt(&sql::held(table), key).await;
        let found = found.map_err(|error| self.failed(error, what))?;
        let Some(found) = found else { return Ok(Adopted::Gone) };
        if column::<Option<String>>(&found, 0)?.as_deref() != *held {
            return Ok(Adopted::Changed);
        }
        let done = self.session.execute(&sql::adopt(table), &all).await;
        if done.map_err(|error| self.failed(error, what))? != 1 {
            return Ok(Adopted::Gone);
        }
        match self.decide(&[*id], decision).await? {
            1 => Ok(Adopted::Written),
            _ => Ok(Adopted::Decided),
        }
    }

    async fn read(&mut self, after: u64, limit: usize, open: bool) -> Result<Vec<StoredFlag>> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let parameters: [&(dyn ToSql + Sync); 5] = [&self.name, &self.link, &after, &limit, &open];
        let rows = self.session.query(sql::LIST, &parameters).await;
        let rows = rows.map_err(|error| self.failed(error, "read the flagged writes"))?;
        rows.iter().map(stored).collect()
    }
}

fn stored(row: &tokio_postgres::Row) -> Result<StoredFlag> {
    Ok(StoredFlag {
        id: number(column(row, 0)?),
        source_table: column(row, 1)?,
        table: column(row, 2)?,
        row: column(row, 3)?,
        kind: column(row, 4)?,
        column: column(row, 5)?,
        owner: column(row, 6)?,
        before: column(row, 7)?,
        after: column(row, 8)?,
        held: column(row, 9)?,
        position: column(row, 10)?,
        ordinal: number(column(row, 11)?),
        committed_us: column(row, 12)?,
        made_us: column(row, 13)?,
        state: column(row, 14)?,
        decided_us: column(row, 15)?,
        decided_by: column(row, 16)?,
        note: column(row, 17)?,
    })
}
