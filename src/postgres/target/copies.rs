//! The link's rows of `weir.snapshot`: how far copies are, written in the transaction that makes it
//! true, and what people have asked for.

use tokio_postgres::{Row as DbRow, Statement};

use super::pipeline::{Check, Parameter, Pipeline, in_time};
use super::{PostgresTarget, column, steps, without_schema};
use crate::error::Result;
use crate::link::ports::{CopyNote, StoredCopy};
use crate::postgres::failure::classify;
use crate::postgres::sql::copies as sql;

impl PostgresTarget {
    /// What a statement of the link's rows finds.
    pub(super) async fn read_copies(&mut self, sql: &'static str) -> Result<Vec<StoredCopy>> {
        let (name, link) = (&self.context.name, self.link());
        let reply = in_time(self.session.query(sql, &[name, &link])).await?;
        let rows = reply.map_err(|error| without_schema(classify(error, "read weir.snapshot")))?;
        rows.iter().map(stored_copy).collect()
    }

    pub(super) async fn begin_copies(&mut self, notes: &[CopyNote]) -> Result<()> {
        let keeping = self.keeping(notes).await?;
        let mut pipeline = Pipeline::new(&self.session, &self.plan);
        pipeline.command("BEGIN ISOLATION LEVEL READ COMMITTED").await;
        let kept = keep(&mut pipeline, keeping).await;
        let kept = match kept {
            Ok(()) => pipeline.finish().await.map(drop),
            Err(error) => Err(error),
        };
        match kept {
            Ok(()) => self.command("COMMIT").await,
            Err(error) => {
                self.command("ROLLBACK").await?;
                Err(error)
            }
        }
    }

    /// The requests that write notes; none where there is nothing to write.
    pub(super) async fn keeping<'a>(
        &mut self,
        notes: &'a [CopyNote],
    ) -> Result<Vec<(Statement, Vec<Parameter<'a>>)>> {
        let mut requests = Vec::with_capacity(notes.len());
        for note in notes {
            let statement = self.statements.fixed(&self.session, sql::KEEP).await?;
            let parameters: Vec<Parameter<'a>> = vec![
                Box::new(self.context.name.clone()),
                Box::new(self.link()),
                Box::new(note.table.as_str()),
                Box::new(note.progress.as_str()),
                Box::new(note.answers.as_deref()),
            ];
            requests.push((statement, parameters));
        }
        Ok(requests)
    }
}

/// Sends them.
pub(super) async fn keep<'a>(
    pipeline: &mut Pipeline<'a>,
    requests: Vec<(Statement, Vec<Parameter<'a>>)>,
) -> Result<()> {
    for (statement, parameters) in requests {
        pipeline.send(statement, parameters, Check::Copies).await;
        steps::bound(pipeline, 0).await?;
    }
    Ok(())
}

/// A row of `weir.snapshot`.
pub(in crate::postgres) fn stored_copy(row: &DbRow) -> Result<StoredCopy> {
    Ok(StoredCopy { table: column(row, 0)?, progress: column(row, 1)?, asked: column(row, 2)? })
}
