//! Rows of a copy, and the counters that number new rows once they are there.
//!
//! Into a table that was empty rows are inserted as they are, in the largest statements that the server
//! takes (`writer`). Where the stream has brought one of them already, the server says so: the rows are
//! then inserted or updated like those of the stream, and so are those of some of the next loads
//! (`snapshot/caution`). LOAD DATA LOCAL is not used: it is hardly faster than these statements, and bends what
//! does not fit.

use std::sync::Arc;

use mysql_async::prelude::Queryable;

use super::super::encode::Form;
use super::super::session::{Flavor, within};
use super::super::sql::{quote, quote_table};
use super::writer::{Action, CALL_TIMEOUT, Prepared, Rows, Writer};
use crate::error::{Kind, Result};
use crate::link::ports::Load;
use crate::model::{Row, TableName};

impl Writer {
    /// Writes rows of a copy.
    pub(super) async fn load(&mut self, load: Load<'_>) -> Result<()> {
        let prepared = self.prepared(load.table).await?;
        let columns: Arc<[usize]> = (0..prepared.plan.columns.len()).collect();
        let all: Vec<&Row> = load.rows.iter().collect();
        let forms: &[Form] = &prepared.forms;
        let rows = Rows { table: load.table, columns: &columns, forms, rows: &all };
        if load.fresh && prepared.plan.owns_rows && !self.caution().is_next(load.table) {
            let context = format!("insert into {}", prepared.plan.target.name);
            match self.write(&context, Action::Insert, &prepared, rows).await {
                // What of them is written already is written again.
                Err(error) if error.kind() == Kind::Constraint => self.caution().failed(load.table),
                written => {
                    written?;
                    self.caution().passed(load.table);
                    return Ok(());
                }
            }
        }
        self.upsert(&prepared, rows).await
    }

    /// Sets the sequences that number new rows of a table past the numbers in it (MariaDB). Counters of
    /// AUTO_INCREMENT columns are raised by the server itself, by each row.
    pub(super) async fn pass_counters(&mut self, table: usize) -> Result<()> {
        let prepared = self.prepared(table).await?;
        if self.session().flavor() == Flavor::Mysql {
            return Ok(());
        }
        for (column, sequence) in numbered(&prepared) {
            match self.pass(&prepared, &column, &sequence).await {
                Err(error) if error.kind() == Kind::Privilege => {
                    let table = &prepared.plan.target.name;
                    tracing::warn!(
                        %table, %sequence, error = error.chain(),
                        "a sequence was not set past the numbers of the copied rows: grant SELECT and \
                         INSERT on it, or set it by hand before rows are inserted here"
                    );
                }
                passed => passed?,
            }
        }
        Ok(())
    }

    async fn pass(
        &mut self,
        prepared: &Prepared,
        column: &str,
        sequence: &TableName,
    ) -> Result<()> {
        let context =
            format!("set sequence {sequence} past the rows of {}", prepared.plan.target.name);
        let (table, column, sequence) =
            (quote_table(&prepared.plan.target.name), quote(column), quote_table(sequence));
        // One that counts down is set the other way; a value that is passed already is left alone.
        let sql = format!("SELECT `increment` FROM {sequence}");
        let call = self.session().conn().query_first::<i64, _>(sql);
        let step = within(CALL_TIMEOUT, &context, call).await?.unwrap_or(1);
        let most = if step < 0 { "MIN" } else { "MAX" };
        let sql = format!("SELECT CAST({most}({column}) AS CHAR) FROM {table}");
        let call = self.session().conn().query_first::<Option<String>, _>(sql);
        let Some(most) = within(CALL_TIMEOUT, &context, call).await?.flatten() else {
            return Ok(());
        };
        let Ok(most) = most.parse::<i64>() else { return Ok(()) };
        let call = self.session().conn().query_drop(format!("SELECT SETVAL({sequence}, {most})"));
        within(CALL_TIMEOUT, &context, call).await
    }
}

/// The columns of whole numbers whose default takes them from a sequence.
fn numbered(prepared: &Prepared) -> Vec<(String, TableName)> {
    let whole = |form: Option<Form>| matches!(form, Some(Form::Int | Form::UInt));
    let columns = prepared.plan.target.columns.iter().filter(|one| whole(Form::of(&one.ty)));
    let pairs = columns.filter_map(|column| match column.sequences.as_slice() {
        [sequence] => Some((column.name.clone(), sequence.clone())),
        _ => None,
    });
    pairs.collect()
}
