//! Counters that number new rows (identities, serial columns): set past what a copy has brought.
//!
//! A counter is never set back: it is left alone where it is as far, in its own direction, which may be
//! downwards. That and the setting are one statement; a number that somebody takes in between is one that
//! was there already.

use std::sync::Arc;

use tokio_postgres::Row as DbRow;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql};

use super::PostgresTarget;
use super::pipeline::in_time;
use crate::error::{Error, Kind, Result};
use crate::postgres::failure::classify;
use crate::postgres::sql::{counters as sql, quote, quote_name};

impl PostgresTarget {
    /// Sets the counters of a table.
    pub(super) async fn pass_counters_of(&mut self, table: usize) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        let table = plan
            .tables
            .get(table)
            .ok_or_else(|| Error::new(Kind::Internal, "counters of a table that is not planned"))?;
        let name = &table.target.name;
        let (schemas, names) = ([name.schema.as_str()], [name.table.as_str()]);
        let parameters: [&(dyn ToSql + Sync); 2] = [&schemas.as_slice(), &names.as_slice()];
        let found = in_time(self.session.query(sql::OF_TABLES, &parameters)).await?;
        let found =
            found.map_err(|error| classify(error, format!("look for counters of {name}")))?;
        for row in found {
            let (column, sequence): (&str, &str) = (get(&row, 2)?, get(&row, 3)?);
            let passing = sql::pass(&quote_name(name), &quote(column), sequence, get(&row, 4)?);
            let passed = in_time(self.session.query(&passing, &[])).await?;
            passed.map_err(|error| {
                let may_not = error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE);
                let error = classify(error, format!("set {sequence} past the rows of {name}"));
                match may_not {
                    true => error.hint(format!(
                        "let weir set it: GRANT SELECT, UPDATE ON SEQUENCE {sequence} TO the role of \
                         weir; `weir setup` prints it"
                    )),
                    false => error,
                }
            })?;
        }
        Ok(())
    }
}

fn get<'a, T: FromSql<'a>>(row: &'a DbRow, at: usize) -> Result<T> {
    row.try_get(at).map_err(|error| {
        Error::new(Kind::Malformed, "an answer of the target that was not expected")
            .caused_by(error)
    })
}
