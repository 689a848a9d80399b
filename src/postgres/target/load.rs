//! Rows of a copy, in bulk.
//!
//! Into a table that was empty when its copy began they go by COPY, which is the server's fastest way and
//! takes the same text as a parameter. One row that the stream has brought before refuses all of them:
//! then they go as insert-or-update, under a savepoint, and so do some of the next loads of that table
//! (`snapshot/caution`). That way is the one of rows from the log; a temporary table to merge from
//! would need one more right, and new rows in the catalog for each transaction.

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

/// Bytes that are handed to the connection at once.
const BLOCK_BYTES: usize = 64 << 10;

impl PostgresTarget {
    /// Writes them; everything before them has been answered.
    pub(super) async fn load(&mut self, plan: &LinkPlan, load: Load<'_>) -> Result<()> {
        let table = plan.tables.get(load.table).map(AsRef::as_ref).ok_or_else(|| {
            Error::new(Kind::Internal, "rows of a copy of a table that is not planned")
        })?;
        if load.rows.is_empty() {
            return Ok(());
        }
        if load.fresh && !self.caution.is_next(load.table) {
            self.command("SAVEPOINT weir_load").await?;
            match self.copy_in(plan, table, load).await? {
                Copied::All => {
                    self.caution.passed(load.table);
                    return self.command("RELEASE SAVEPOINT weir_load").await;
                }
                Copied::InTheWay => {
                    self.caution.failed(load.table);
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
