//! Rows of a copy, in bulk.
//!
//! Into a table that was empty when its copy began they go by COPY, which is the server's fastest way; as
//! binary values where its types allow, else in the text of a parameter. One row that the stream has
//! brought before refuses all of them: then the slice is undone and written once more with
//! insert-or-update, and so are some of the next loads of that table (`snapshot/caution`). That way is the
//! one of rows from the log; a temporary table to merge from would need one more right, and new rows in
//! the catalog for each transaction. The table is locked before, so that a COPY is not refused for that
//! once it is sent, and the types of its columns are looked at under that lock: another type's binary form
//! may be taken for a value.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use tokio_postgres::Statement;
use tokio_postgres::error::SqlState;

use super::pipeline::{Check, Pipeline, in_time};
use super::{PostgresTarget, steps};
use crate::error::{Disposition, Error, Kind, Result};
use crate::link::ports::{Load, MissedKey};
use crate::model::{Step, Verb};
use crate::plan::{LinkPlan, TablePlan};
use crate::postgres::encode::binary::{self, is_form_of};
use crate::postgres::encode::{copy, target_column};
use crate::postgres::failure::classify;

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
    /// Once the table is locked, and its columns have the form of binary values where they go as such.
    Copy {
        lock: Statement,
        form: Option<Statement>,
        copy: Statement,
    },
    Upsert {
        statement: Statement,
        step: Step,
    },
}

/// What became of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loaded {
    /// As insert-or-update.
    Merged,
    /// By COPY.
    Whole,
    /// A row was there already: the slice is to be undone, and written again.
    InTheWay,
}

impl PostgresTarget {
    /// Prepares what a slice loads, if it does; `merge` where rows are known to be in the way.
    pub(super) async fn loading<'a>(
        &mut self,
        plan: &LinkPlan,
        load: Option<Load<'a>>,
        merge: bool,
    ) -> Result<Option<Loading<'a>>> {
        let Some(load) = load.filter(|load| !load.rows.is_empty()) else { return Ok(None) };
        let owns_rows = table_of(plan, load)?.owns_rows;
        let way = match load.fresh && owns_rows && !merge && !self.caution.is_next(load.table) {
            true => self.copying(plan, load).await?,
            false => {
                let columns = (0..table_of(plan, load)?.columns.len()).collect();
                let step =
                    Step { table: load.table, verb: Verb::Upsert, columns, rows: Vec::new() };
                let statement = self.statements.of_step(&self.session, plan, &step).await?;
                Way::Upsert { statement, step }
            }
        };
        Ok(Some(Loading { load, way }))
    }

    async fn copying(&mut self, plan: &LinkPlan, load: Load<'_>) -> Result<Way> {
        let (session, statements, at) = (&self.session, &mut self.statements, load.table);
        let table = table_of(plan, load)?;
        let lock = statements.of_lock(session, plan, at).await?;
        let form = statements.of_form(session, plan, at).await?;
        let has_form = form.columns().iter().enumerate().all(|(at, found)| {
            target_column(table, at).is_some_and(|column| is_form_of(found.type_(), column))
        });
        let form = has_form.then_some(form);
        let copy = statements.of_load(session, plan, at, form.is_some()).await?;
        Ok(Way::Copy { lock, form, copy })
    }

    /// Writes it behind what is in the pipeline; the misses that this has found.
    pub(super) async fn load(
        &self,
        plan: &LinkPlan,
        mut pipeline: Pipeline<'_>,
        loading: &Loading<'_>,
    ) -> Result<(Vec<MissedKey>, Loaded)> {
        let (load, table) = (loading.load, table_of(plan, loading.load)?);
        let (lock, form, copy) = match &loading.way {
            Way::Copy { lock, form, copy } => (lock, form, copy),
            Way::Upsert { statement, step } => {
                steps::upsert(&mut pipeline, table, step, load.rows, statement).await?;
                return Ok((pipeline.finish().await?.missed, Loaded::Merged));
            }
        };
        let check = Check::Table { table: load.table, verb: "lock" };
        pipeline.send(lock.clone(), Vec::new(), check).await;
        if let Some(form) = form {
            pipeline.send(form.clone(), Vec::new(), Check::Form { table: load.table }).await;
        }
        let missed = pipeline.finish().await?.missed;
        let copied = in_time(self.send_copy(copy, form.is_some(), table, load)).await??;
        let failed = match copied {
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

    /// Takes note of what became of a load; false where it is to be written again.
    pub(super) fn heed(&mut self, loading: &Loading<'_>, loaded: Loaded) -> bool {
        match loaded {
            Loaded::InTheWay => self.caution.failed(loading.load.table),
            Loaded::Whole => self.caution.passed(loading.load.table),
            Loaded::Merged => {}
        }
        loaded != Loaded::InTheWay
    }

    /// The inner error is the server's; the outer one is about a row that cannot be sent.
    async fn send_copy(
        &self,
        statement: &Statement,
        is_binary: bool,
        table: &TablePlan,
        load: Load<'_>,
    ) -> Result<Result<u64, tokio_postgres::Error>> {
        let layout = steps::whole(table)?;
        let sink = match self.session.copy_in::<_, Bytes>(statement).await {
            Ok(sink) => sink,
            Err(error) => return Err(not_begun(error, table)),
        };
        let mut sink = pin!(sink);
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

/// A COPY that the server refuses before it takes any row is answered twice, and the client library takes
/// the second answer for that of the next statement: the connection is given up.
fn not_begun(error: tokio_postgres::Error, table: &TablePlan) -> Error {
    let error = classify(error, format!("write {}", table.target.name));
    match error.kind().disposition() {
        Disposition::Halt | Disposition::Wait => error,
        Disposition::Retry | Disposition::Park => {
            Error::new(Kind::Connection, "the target did not begin to take rows of a copy")
                .caused_by(error)
        }
    }
}

fn table_of<'a>(plan: &'a LinkPlan, load: Load<'_>) -> Result<&'a TablePlan> {
    plan.tables
        .get(load.table)
        .map(AsRef::as_ref)
        .ok_or_else(|| Error::new(Kind::Internal, "rows of a copy of a table that is not planned"))
}
