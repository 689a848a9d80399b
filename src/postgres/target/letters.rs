//! The link's rows of `weir.dead_letter`: what a slice writes there, and what is read to go on.
//!
//! Letters travel with the slice that they belong to: a statement for each kind of work, of as many rows
//! and bytes as one for rows of a table.

use std::collections::HashMap;

use tokio_postgres::Statement;

use super::pipeline::{Check, Parameter, in_time};
use super::statements::Statements;
use super::steps::chunks_of;
use super::{PostgresTarget, column, number, without_schema};
use crate::error::{Error, Kind, Result};
use crate::link::entry::{Entry, entries};
use crate::link::ports::{Letter, LetterCount, LetterHead, LetterWork, Reason, RowName, Tried};
use crate::plan::{LinkPlan, TablePlan};
use crate::position::Position;
use crate::postgres::failure::classify;
use crate::postgres::session::Session;
use crate::postgres::sql::letters as sql;

/// One statement, ready to be sent.
pub(super) struct Request<'a> {
    pub(super) statement: Statement,
    pub(super) parameters: Vec<Parameter<'a>>,
    pub(super) check: Check<'a>,
    /// Bytes of the parameters, about.
    pub(super) bytes: usize,
}

/// Makes requests out of what a slice does to letters.
pub(super) struct Writing<'s, 'a> {
    pub(super) session: &'s Session,
    pub(super) statements: &'s mut Statements,
    pub(super) plan: &'a LinkPlan,
    pub(super) name: &'s str,
    pub(super) link: &'s str,
    /// The position of letters that have none of their own, where it is known.
    pub(super) close: Option<&'a Position>,
}

impl<'a> Writing<'_, 'a> {
    /// The requests, in the order of [`LetterWork`]; none where there is nothing to write.
    pub(super) async fn requests(&mut self, letters: LetterWork<'a>) -> Result<Vec<Request<'a>>> {
        let mut requests = Vec::new();
        for tables in chunks_of(letters.emptied, |_| 0) {
            let tables = self.targets(tables.iter().copied())?;
            let arrays: [Parameter<'a>; 1] = [Box::new(tables)];
            requests.push(self.request(sql::EMPTY, arrays, 0).await?);
        }
        for rows in chunks_of(letters.closed, |row| row.row.len()) {
            let arrays = self.rows(rows.iter())?;
            let bytes = rows.iter().map(|row| row.row.len()).sum();
            requests.push(self.request(sql::CLOSE, arrays, bytes).await?);
        }
        for tried in chunks_of(letters.tried, tried_bytes) {
            let reason = |part: fn(&Reason) -> &str| -> Parameter<'a> {
                Box::new(tried.iter().map(|one| part(&one.reason)).collect::<Vec<&str>>())
            };
            let rows = self.rows(tried.iter().map(|one| &one.name))?;
            let reasons = [reason(|it| &it.kind), reason(|it| &it.text), reason(|it| &it.hint)];
            let bytes = tried.iter().map(tried_bytes).sum();
            requests.push(self.request(sql::TRY, rows.into_iter().chain(reasons), bytes).await?);
        }
        let new = entries(letters.new);
        for entries in chunks_of(&new, entry_bytes) {
            let bytes = entries.iter().map(entry_bytes).sum();
            let columns = self.columns(entries)?;
            let mut request = self.request(sql::NEW, columns, bytes).await?;
            request.check = Check::Placed;
            requests.push(request);
        }
        Ok(requests)
    }

    /// The request that gives letters of earlier slices their position.
    pub(super) async fn placing(
        &mut self,
        position: &Position,
        ids: Vec<i64>,
    ) -> Result<Request<'a>> {
        let statement = self.statements.fixed(self.session, sql::PLACE).await?;
        let parameters: Vec<Parameter<'a>> = vec![Box::new(position.to_string()), Box::new(ids)];
        Ok(Request { statement, parameters, check: Check::Letters, bytes: 0 })
    }

    async fn request(
        &mut self,
        sql: &'static str,
        arrays: impl IntoIterator<Item = Parameter<'a>>,
        bytes: usize,
    ) -> Result<Request<'a>> {
        let statement = self.statements.fixed(self.session, sql).await?;
        let mut parameters: Vec<Parameter<'a>> =
            vec![Box::new(self.name.to_owned()), Box::new(self.link.to_owned())];
        parameters.extend(arrays);
        Ok(Request { statement, parameters, check: Check::Letters, bytes })
    }

    fn table(&self, at: usize) -> Result<&'a TablePlan> {
        let table = self.plan.tables.get(at).map(AsRef::as_ref);
        table.ok_or_else(|| Error::new(Kind::Internal, "a letter of a table that is not planned"))
    }

    fn targets(&self, tables: impl Iterator<Item = usize>) -> Result<Vec<String>> {
        tables.map(|at| Ok(self.table(at)?.target.name.to_string())).collect()
    }

    /// Tables and rows.
    fn rows(&self, rows: impl Iterator<Item = &'a RowName> + Clone) -> Result<[Parameter<'a>; 2]> {
        let tables = self.targets(rows.clone().map(|row| row.table))?;
        let rows: Vec<&'a str> = rows.map(|row| row.row.as_str()).collect();
        Ok([Box::new(tables), Box::new(rows)])
    }

    /// The columns of new letters, as [`sql::NEW`] has them.
    fn columns(&self, new: &[Entry<'a>]) -> Result<Vec<Parameter<'a>>> {
        let sources =
            new.iter().map(|one| Ok(self.table(one.first.table)?.source.name.to_string()));
        let sources: Vec<String> = sources.collect::<Result<_>>()?;
        let targets = self.targets(new.iter().map(|one| one.first.table))?;
        let first = |part: fn(&Letter) -> &str| -> Parameter<'a> {
            Box::new(new.iter().map(|one| part(one.first)).collect::<Vec<&'a str>>())
        };
        let newest = |part: fn(&Letter) -> &str| -> Parameter<'a> {
            Box::new(new.iter().map(|one| part(one.newest)).collect::<Vec<&'a str>>())
        };
        let old: Vec<Option<&'a str>> =
            new.iter().map(|one| one.first.old_row.as_deref()).collect();
        let positions: Vec<String> = new.iter().map(|one| one.position(self.close)).collect();
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let ordinals: Vec<i64> = new.iter().map(|one| count(one.newest.ordinal)).collect();
        let changes: Vec<i64> = new.iter().map(|one| count(one.changes)).collect();
        let attempts = new.iter().map(|one| i32::try_from(one.attempts()).unwrap_or(i32::MAX));
        let folds: Vec<bool> = new.iter().map(Entry::folds).collect();
        Ok(vec![
            Box::new(sources),
            Box::new(targets),
            first(|it| &it.row),
            Box::new(old),
            newest(|it| it.operation.name()),
            Box::new(positions),
            Box::new(ordinals),
            first(|it| &it.reason.kind),
            first(|it| &it.reason.text),
            first(|it| &it.reason.hint),
            newest(|it| &it.change),
            Box::new(changes),
            Box::new(attempts.collect::<Vec<i32>>()),
            Box::new(folds),
        ])
    }
}

fn tried_bytes(tried: &Tried) -> usize {
    tried.name.row.len() + tried.reason.text.len() + tried.reason.hint.len()
}

fn entry_bytes(entry: &Entry<'_>) -> usize {
    let Entry { first, newest, .. } = entry;
    let rows = first.row.len() + first.old_row.as_ref().map_or(0, String::len);
    rows + first.reason.text.len() + first.reason.hint.len() + newest.change.len()
}

impl PostgresTarget {
    /// The letters of planned tables, oldest first.
    pub(super) async fn read_letters(&mut self) -> Result<Vec<LetterHead>> {
        let (name, link) = (&self.context.name, self.link());
        let reply = in_time(self.session.query(sql::HEADS, &[name, &link])).await?;
        let rows =
            reply.map_err(|error| without_schema(classify(error, "read weir.dead_letter")))?;
        let planned = self.planned();
        let mut heads = Vec::new();
        for row in rows {
            let Some(table) = planned.get(column::<&str>(&row, 1)?).copied() else { continue };
            heads.push(LetterHead {
                id: number(column(&row, 0)?),
                table,
                row: column(&row, 2)?,
                old_row: column(&row, 3)?,
                kind: column(&row, 4)?,
                attempts: u32::try_from(column::<i32>(&row, 5)?).unwrap_or_default(),
                asked: column(&row, 6)?,
                made_us: column(&row, 7)?,
            });
        }
        Ok(heads)
    }

    /// How many there are.
    pub(super) async fn count_letters(&mut self) -> Result<LetterCount> {
        let (name, link) = (&self.context.name, self.link());
        let reply = in_time(self.session.query(sql::COUNT, &[name, &link])).await?;
        let rows = reply.map_err(|error| without_schema(classify(error, "count dead letters")))?;
        let planned = self.planned();
        let mut count = LetterCount::default();
        for row in rows {
            if planned.contains_key(column::<&str>(&row, 0)?) {
                count.letters += number(column(&row, 1)?);
                count.asked += number(column(&row, 2)?);
            }
        }
        Ok(count)
    }

    /// The places in the plan of its target tables.
    fn planned(&self) -> HashMap<String, usize> {
        let tables = self.plan.tables.iter().enumerate();
        tables.map(|(at, table)| (table.target.name.to_string(), at)).collect()
    }
}
