//! The link's notes in `weir.missed`: made and settled with the slice that they belong to, and read to
//! be worked off.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_postgres::Statement;

use super::pipeline::{Check, Parameter, Pipeline, in_time};
use super::{PostgresTarget, column, number, without_schema};
use crate::error::{Error, Kind, Result};
use crate::link::ports::{MissedKey, Note, Notes, Why};
use crate::plan::{key_text, parse_key};
use crate::postgres::failure::classify;
use crate::postgres::sql::witness as sql;

impl PostgresTarget {
    pub(super) async fn missed(&mut self, limit: usize) -> Result<Notes> {
        let names: Vec<String> =
            self.plan.tables.iter().map(|table| table.target.name.to_string()).collect();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (name, link) = (&self.context.name, self.link());
        let reply =
            in_time(self.session.query(sql::MISSED, &[name, &link, &names, &limit])).await?;
        let rows = reply.map_err(|error| without_schema(classify(error, "read weir.missed")))?;
        let mut notes = Notes::default();
        for row in rows {
            let (id, table): (i64, String) = (column(&row, 0)?, column(&row, 1)?);
            let (key, why): (String, String) = (column(&row, 2)?, column(&row, 3)?);
            self.looked_until = self.looked_until.max(id);
            notes.newest = number(column(&row, 4)?);
            if let Some(table) = names.iter().position(|name| *name == table) {
                let missed = MissedKey { table, key: parse_key(&key)?, why: Why::named(&why) };
                notes.oldest.push(Note { id: number(id), missed });
            }
        }
        Ok(notes)
    }

    /// The statements that settle notes, one per table.
    pub(super) async fn settling(
        &mut self,
        settled: &[MissedKey],
    ) -> Result<Vec<(Statement, Vec<Parameter<'static>>)>> {
        let mut statements = Vec::new();
        for (table, keys) in self.keys_by_table(settled.iter())? {
            let statement = self.statements.fixed(&self.session, sql::SETTLE).await?;
            let mut parameters = self.note_parameters(table, keys);
            parameters.push(Box::new(self.looked_until));
            statements.push((statement, parameters));
        }
        Ok(statements)
    }

    /// Notes misses in `weir.missed`.
    pub(super) async fn note(&mut self, missed: &[MissedKey]) -> Result<()> {
        for why in Why::ALL {
            let missed = missed.iter().filter(|missed| missed.why == why);
            for (table, keys) in self.keys_by_table(missed)? {
                let statement = self.statements.fixed(&self.session, sql::NOTE).await?;
                let mut parameters = self.note_parameters(table, keys);
                parameters.push(Box::new(why.name()));
                let plan = Arc::clone(&self.plan);
                let mut pipeline = Pipeline::new(&self.session, &plan);
                let check = Check::Done("note misses in weir.missed");
                pipeline.send(statement, parameters, check).await;
                pipeline.finish().await?;
            }
        }
        Ok(())
    }

    fn note_parameters(&self, table: String, keys: Vec<String>) -> Vec<Parameter<'static>> {
        vec![
            Box::new(self.context.name.clone()),
            Box::new(self.link()),
            Box::new(table),
            Box::new(keys),
        ]
    }

    /// Texts of keys by the target table's name.
    fn keys_by_table<'a>(
        &self,
        keys: impl Iterator<Item = &'a MissedKey>,
    ) -> Result<BTreeMap<String, Vec<String>>> {
        let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for missed in keys {
            let table = self.plan.tables.get(missed.table).ok_or_else(|| {
                Error::new(Kind::Internal, "a missed key of a table that is not planned")
            })?;
            tables.entry(table.target.name.to_string()).or_default().push(key_text(&missed.key));
        }
        Ok(tables)
    }
}
