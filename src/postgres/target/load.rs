//! Rows of a copy, in bulk.
//!
//! Into a table that was empty when its copy began they go by COPY, which is the server's fastest way and
//! takes the same text as a parameter. One row that the stream has brought before refuses all of them:
//! then they go as insert-or-update, under a savepoint, and so do the next loads of that table, because
//! where one is, others are. That way is the one of rows from the log; a temporary table to merge from
//! would need one more right, and new rows in the catalog for each transaction.

use std::collections::BTreeMap;
use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use tokio_postgres::Statement;
use tokio_postgres::error::SqlState;

use super::pipeline::{Pipeline, in_time};
use super::{PostgresTarget, steps};
use crate::error::{Error, Kind, Result};
use crate::link::ports::Load;
use crate::model::{Step, Verb};
use crate::plan::{LinkPlan, TablePlan};
use crate::postgres::encode::copy::write_row;
use crate::postgres::failure::classify;

/// Loads of a table that go as insert-or-update after a row was in the way of one.
const CAREFUL_LOADS: u32 = 30;
/// Bytes that are handed to the connection at once.
const BLOCK_BYTES: usize = 64 << 10;

/// Tables in which rows were in the way, and how many loads are still to be careful.
#[derive(Debug, Default)]
pub(super) struct Careful(BTreeMap<usize, u32>);

impl Careful {
    /// Whether the next load of a table is to be.
    fn is_next(&mut self, table: usize) -> bool {
        match self.0.get_mut(&table) {
            None => false,
            Some(1) => self.0.remove(&table).is_some(),
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

impl PostgresTarget {
    /// Writes them; everything before them has been answered.
    pub(super) async fn load(&mut self, plan: &LinkPlan, load: Load<'_>) -> Result<()> {
        let table = plan.tables.get(load.table).map(AsRef::as_ref).ok_or_else(|| {
            Error::new(Kind::Internal, "rows of a copy of a table that is not planned")
        })?;
        if load.rows.is_empty() {
            return Ok(());
        }
        if load.fresh && !self.careful.is_next(load.table) {
            self.command("SAVEPOINT weir_load").await?;
            match self.copy_in(plan, table, load).await? {
                Copied::All => return self.command("RELEASE SAVEPOINT weir_load").await,
                Copied::InTheWay => {
                    self.careful.0.insert(load.table, CAREFUL_LOADS);
                    self.command("ROLLBACK TO SAVEPOINT weir_load; RELEASE SAVEPOINT weir_load")
                        .await?;
                }
            }
        }
        self.merge_in(plan, table, load).await
    }

    async fn copy_in(
        &mut self,
        plan: &LinkPlan,
        table: &TablePlan,
        load: Load<'_>,
    ) -> Result<Copied> {
        let statement = self.statements.of_load(&self.session, plan, load.table).await?;
        let copied = in_time(self.send_copy(&statement, table, load)).await??;
        let failed = match copied {
            Ok(rows) if usize::try_from(rows) == Ok(load.rows.len()) => return Ok(Copied::All),
            Ok(rows) => return Err(steps::kept_out(table, rows, load.rows.len())),
            Err(error) => error,
        };
        match failed.code() {
            Some(&SqlState::UNIQUE_VIOLATION) => Ok(Copied::InTheWay),
            _ => Err(classify(failed, format!("write {}", table.target.name))),
        }
    }

    /// The inner error is the server's; the outer one is about a row that cannot be sent.
    async fn send_copy(
        &self,
        statement: &Statement,
        table: &TablePlan,
        load: Load<'_>,
    ) -> Result<Result<u64, tokio_postgres::Error>> {
        let layout = steps::whole(table)?;
        let sink = match self.session.copy_in::<_, Bytes>(statement).await {
            Ok(sink) => sink,
            Err(error) => return Ok(Err(error)),
        };
        let mut sink = pin!(sink);
        let mut block = BytesMut::with_capacity(BLOCK_BYTES);
        for row in load.rows {
            if row.len() != layout.len() {
                return Err(steps::not_as_wide(table));
            }
            write_row(row, &layout, &mut block)
                .map_err(|error| error.within(format_args!("write {}", table.target.name)))?;
            if block.len() >= BLOCK_BYTES
                && let Err(error) = sink.send(block.split().freeze()).await
            {
                return Ok(Err(error));
            }
        }
        if !block.is_empty()
            && let Err(error) = sink.send(block.freeze()).await
        {
            return Ok(Err(error));
        }
        Ok(sink.finish().await)
    }

    async fn merge_in(&mut self, plan: &LinkPlan, table: &TablePlan, load: Load<'_>) -> Result<()> {
        let columns = (0..table.columns.len()).collect();
        let step = Step { table: load.table, verb: Verb::Upsert, columns, rows: Vec::new() };
        let statement = self.statements.of_step(&self.session, plan, &step).await?;
        let mut pipeline = Pipeline::new(&self.session, plan);
        steps::upsert(&mut pipeline, table, &step, load.rows, &statement).await?;
        pipeline.finish().await.map(drop)
    }
}

/// What became of a COPY.
enum Copied {
    All,
    /// A row was there already.
    InTheWay,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if every load of a table that the stream writes to failed first, or one row that was in the
    /// way made a copy slow to its end.
    #[test]
    fn care_is_taken_for_a_while() {
        let mut careful = Careful::default();
        assert!(!careful.is_next(1));
        careful.0.insert(1, 2);
        assert!(!careful.is_next(0), "another table");
        assert!(careful.is_next(1) && careful.is_next(1));
        assert!(!careful.is_next(1));
    }
}
