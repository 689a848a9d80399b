//! Rows of a copy, in bulk.
//!
//! Into a table that was empty when its copy began they go by COPY, which is the server's fastest way; as
//! binary values where its types allow, else in the text of a parameter. One row that the stream has
//! brought before refuses all of them: then the slice is undone and written once more with
//! insert-or-update, and so are some of the next loads of that table (`snapshot/caution`). That way is the
//! one of rows from the log; a temporary table to merge from would need one more right, and new rows in
//! the catalog for each transaction. COPY begins while what stands before it is under way, and needs no
//! savepoint of its own.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use tokio_postgres::Statement;
use tokio_postgres::error::SqlState;

use super::pipeline::{Pipeline, in_time};
use super::{PostgresTarget, steps};
use crate::error::{Error, Kind, Result};
use crate::link::ports::{Load, MissedKey};
use crate::model::{Step, Verb};
use crate::plan::{LinkPlan, TablePlan};
use crate::postgres::encode::{binary, copy};
use crate::postgres::failure::classify;
use crate::postgres::sql::loads_binary;

/// Bytes that are handed to the connection at once.
const BLOCK_BYTES: usize = 64 << 10;

/// How a load is to be written, with all that is prepared for it.
#[derive(Debug)]
pub(super) struct Loading<'a> {
    load: Load<'a>,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Copy(Statement),
    Upsert { statement: Statement, step: Step },
}

/// What became of a load.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Loaded {
    /// As insert-or-update.
    Merged,
    /// By COPY.
    Whole,
    /// A row was there already: the slice is to be undone, and written again.
    InTheWay,
}

impl Loading<'_> {
    /// Index of the table.
    pub(super) fn table(&self) -> usize {
        self.load.table
    }
}

impl PostgresTarget {
    /// Prepares what a slice loads, if it does.
    pub(super) async fn loading<'a>(
        &mut self,
        plan: &LinkPlan,
        load: Option<Load<'a>>,
    ) -> Result<Option<Loading<'a>>> {
        let Some(load) = load.filter(|load| !load.rows.is_empty()) else { return Ok(None) };
        let columns = (0..table_of(plan, load)?.columns.len()).collect();
        let way = match load.fresh && !self.caution.is_next(load.table) {
            true => Way::Copy(self.statements.of_load(&self.session, plan, load.table).await?),
            false => {
                let step =
                    Step { table: load.table, verb: Verb::Upsert, columns, rows: Vec::new() };
                let statement = self.statements.of_step(&self.session, plan, &step).await?;
                Way::Upsert { statement, step }
            }
        };
        Ok(Some(Loading { load, way }))
    }

    /// Writes it behind what is in the pipeline; the misses that this has found.
    pub(super) async fn load(
        &self,
        plan: &LinkPlan,
        mut pipeline: Pipeline<'_>,
        loading: &Loading<'_>,
    ) -> Result<(Vec<MissedKey>, Loaded)> {
        let (load, table) = (loading.load, table_of(plan, loading.load)?);
        let statement = match &loading.way {
            Way::Copy(statement) => statement,
            Way::Upsert { statement, step } => {
                steps::upsert(&mut pipeline, table, step, load.rows, statement).await?;
                return Ok((pipeline.finish().await?.missed, Loaded::Merged));
            }
        };
        let copy = in_time(self.send_copy(statement, table, load));
        let (before, copied) = futures_util::join!(pipeline.finish(), copy);
        let missed = before?.missed;
        let failed = match copied?? {
            Ok(rows) if usize::try_from(rows) == Ok(load.rows.len()) => {
                return Ok((missed, Loaded::Whole));
            }
            Ok(rows) => return Err(steps::kept_out(table, rows, load.rows.len())),
            Err(error) => error,
        };
        match failed.code() {
            Some(&SqlState::UNIQUE_VIOLATION) => Ok((missed, Loaded::InTheWay)),
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
        let is_binary = loads_binary(table);
        let write_row = if is_binary { binary::write_row } else { copy::write_row };
        let mut block = BytesMut::with_capacity(BLOCK_BYTES);
        block.extend_from_slice(if is_binary { binary::HEADER } else { &[] });
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
        block.extend_from_slice(if is_binary { binary::TRAILER } else { &[] });
        if !block.is_empty()
            && let Err(error) = sink.send(block.freeze()).await
        {
            return Ok(Err(error));
        }
        Ok(sink.finish().await)
    }
}

fn table_of<'a>(plan: &'a LinkPlan, load: Load<'_>) -> Result<&'a TablePlan> {
    plan.tables
        .get(load.table)
        .map(AsRef::as_ref)
        .ok_or_else(|| Error::new(Kind::Internal, "rows of a copy of a table that is not planned"))
}
