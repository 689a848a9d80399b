//! A link's records of flagged writes for people: listed and decided about, on a session of its own.
//!
//! Waits are bounded, for locks too.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Row as ServerRow, Value as Parameter};

use super::catalog;
use super::encode::Form;
use super::session::{self, Session, within};
use super::sql::flags as sql;
use super::sql::{TableSql, own};
use super::target::{execute, field, parameters};
use crate::config::Database;
use crate::error::Result;
use crate::link::ports::{Adopt, Adopted, Decision, Flags, LinkContext, Pending, StoredFlag, Why};

/// Longest time for one statement.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Connects to the link's records in the target.
///
/// # Errors
/// As [`session::for_verb`].
pub(super) async fn open(context: &LinkContext, database: &Database) -> Result<Box<dyn Flags>> {
    let session = session::for_verb(database, &context.application_name()).await?;
    let (name, link) = (context.name.clone(), context.link.to_string());
    Ok(Box::new(MysqlFlags { session, name, link }))
}

struct MysqlFlags {
    session: Session,
    name: String,
    link: String,
}

impl Flags for MysqlFlags {
    fn list(&mut self, after: u64, limit: usize, open: bool) -> Pending<'_, Vec<StoredFlag>> {
        Box::pin(self.read(after, limit, open))
    }

    fn decide<'a>(&'a mut self, ids: &'a [u64], decision: &'a Decision) -> Pending<'a, u64> {
        Box::pin(async move {
            let mut hit = 0;
            for id in ids {
                let Decision { state, by, note } = decision;
                let all: Vec<Parameter> = vec![
                    (*state).into(),
                    by.as_str().into(),
                    note.as_deref().into(),
                    self.name.as_str().into(),
                    self.link.as_str().into(),
                    (*id).into(),
                ];
                let call = self.session.conn().exec_drop(sql::DECIDE, all);
                within(CALL_TIMEOUT, "decide about flagged writes", call).await?;
                hit += self.session.conn().affected_rows();
            }
            Ok(hit)
        })
    }

    fn adopt<'a>(&'a mut self, adopt: &'a Adopt<'a>) -> Pending<'a, Adopted> {
        Box::pin(async move {
            self.session.run(ADOPT, "START TRANSACTION").await?;
            // A failure ends the session, and with it the transaction.
            let adopted = self.adopt_one(adopt).await?;
            let end = if adopted == Adopted::Written { "COMMIT" } else { "ROLLBACK" };
            self.session.run(ADOPT, end).await?;
            Ok(adopted)
        })
    }

    fn ask_back<'a>(&'a mut self, rows: &'a [(String, String)]) -> Pending<'a, ()> {
        Box::pin(async move {
            for (table, row) in rows {
                let of =
                    [&self.name, &self.link, table, row].map(|one| Parameter::from(one.as_str()));
                let all: Vec<Parameter> =
                    of.into_iter().chain([Why::Revert.name().into()]).collect();
                let call = self.session.conn().exec_drop(own::NOTE, all);
                within(CALL_TIMEOUT, "ask for rows", call).await?;
            }
            Ok(())
        })
    }
}

impl MysqlFlags {
    async fn adopt_one(&mut self, adopt: &Adopt<'_>) -> Result<Adopted> {
        let Adopt { id, table, row, held, decision } = adopt;
        let columns = table.columns.iter();
        let columns: Vec<_> =
            columns.filter_map(|column| table.target.columns.get(column.target)).collect();
        let forms = columns.iter().map(|column| Form::of_column(column));
        let forms = forms.collect::<Result<Vec<_>>>()?;
        let collations = catalog::collations(&mut self.session, &table.target).await?;
        let sql = TableSql::new(table, self.session.flavor(), &collations)?;
        let Some(column) = columns.last() else { return Ok(Adopted::Gone) };
        let statement = sql.held(column)?;
        let all = parameters(ADOPT, &statement, &forms, row)?;
        let call = self.session.conn().exec_first::<ServerRow, _, _>(statement.text, all);
        let Some(found) = within(CALL_TIMEOUT, ADOPT, call).await? else {
            return Ok(Adopted::Gone);
        };
        if field::<Option<String>>(ADOPT, &found, 0)?.as_deref() != *held {
            return Ok(Adopted::Changed);
        }
        let statement = sql.adopt()?;
        let all = parameters(ADOPT, &statement, &forms, row)?;
        execute(&mut self.session, ADOPT, &statement.text, all).await?;
        match self.decide(&[*id], decision).await? {
            1 => Ok(Adopted::Written),
            _ => Ok(Adopted::Decided),
        }
    }

    async fn read(&mut self, after: u64, limit: usize, open: bool) -> Result<Vec<StoredFlag>> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let all: Vec<Parameter> = vec![
            self.name.as_str().into(),
            self.link.as_str().into(),
            after.into(),
            open.into(),
            limit.into(),
        ];
        let call = self.session.conn().exec::<ServerRow, _, _>(sql::LIST, all);
        let rows = within(CALL_TIMEOUT, WHAT, call).await?;
        rows.iter().map(stored).collect()
    }
}

/// What questions are for.
const WHAT: &str = "read weir.flagged";
const ADOPT: &str = "take over a value";

fn stored(row: &ServerRow) -> Result<StoredFlag> {
    Ok(StoredFlag {
        id: field(WHAT, row, 0)?,
        source_table: field(WHAT, row, 1)?,
        table: field(WHAT, row, 2)?,
        row: field(WHAT, row, 3)?,
        kind: field(WHAT, row, 4)?,
        column: field(WHAT, row, 5)?,
        owner: field(WHAT, row, 6)?,
        before: field(WHAT, row, 7)?,
        after: field(WHAT, row, 8)?,
        held: field(WHAT, row, 9)?,
        position: field(WHAT, row, 10)?,
        ordinal: field(WHAT, row, 11)?,
        committed_us: field(WHAT, row, 12)?,
        made_us: field(WHAT, row, 13)?,
        state: field(WHAT, row, 14)?,
        decided_us: field(WHAT, row, 15)?,
        decided_by: field(WHAT, row, 16)?,
        note: field(WHAT, row, 17)?,
    })
}
