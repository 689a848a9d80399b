//! Rows of a source's table as they are now, each judged as the link would: what every column becomes, or
//! why it has no form at the target. Nothing is written, in either database.

use std::sync::Arc;

use crate::cli::context::Ends;
use crate::error::{Error, Kind, Result};
use crate::link::ports::{Reach, Scan};
use crate::model::{Row, Value};
use crate::plan::{LinkPlan, TablePlan, column_value, record};
use crate::transform::rules::Failure;

/// Rows and bytes of one look.
const ROWS_MAX: usize = 2000;
const BYTES_MAX: usize = 4 << 20;

/// One row, judged.
pub(super) struct Judged<'a> {
    /// The table.
    pub(super) table: &'a TablePlan,
    /// The row as the source has it.
    pub(super) row: &'a Row,
    /// What each planned column becomes, in the plan's order.
    pub(super) values: Vec<std::result::Result<Value, Failure>>,
}

impl Judged<'_> {
    /// Its match key, as the source has it; what is sensitive is not shown.
    pub(super) fn key(&self) -> String {
        let columns = self.table.key.iter().filter_map(|at| self.table.columns.get(*at));
        let values: Vec<Value> = columns
            .map(|column| match self.row.get(column.source) {
                Some(value) if !column.sensitive => value.clone(),
                _ => Value::Text("(sensitive)".into()),
            })
            .collect();
        record::recorded_key(&values)
    }

    /// What the source has for a column of the plan, for people.
    pub(super) fn before(&self, column: usize) -> String {
        let column = self.table.columns.get(column);
        shown(column.and_then(|column| self.row.get(column.source)))
    }

    /// What a column of the plan becomes, for people.
    pub(super) fn after(&self, column: usize) -> std::result::Result<String, &Failure> {
        match self.values.get(column) {
            Some(Err(failure)) => Err(failure),
            Some(Ok(value)) => Ok(shown(Some(value))),
            None => Ok(shown(None)),
        }
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "?".to_owned(), record::shown)
}

/// Reads the source's tables of a link.
pub(super) struct Survey {
    scan: Box<dyn Scan>,
}

impl Survey {
    /// Where copies are read.
    ///
    /// # Errors
    /// As the room's.
    pub(super) async fn open(ends: &Ends<'_>, plan: &Arc<LinkPlan>) -> Result<Survey> {
        let database = ends.source.read.as_deref().unwrap_or(ends.source);
        let room = ends.source_room();
        let mut scan = room.open_scan(&ends.context, database, Arc::clone(plan)).await?;
        scan.forgo_marks();
        Ok(Survey { scan })
    }

    /// Judges up to `limit` rows of a table; returns how many there were.
    ///
    /// # Errors
    /// As the room's; `Unavailable` where the table is being rewritten meanwhile.
    pub(super) async fn rows(
        &mut self,
        table: &TablePlan,
        limit: Option<u64>,
        mut each: impl FnMut(&Judged<'_>),
    ) -> Result<u64> {
        let division = self.scan.divide(table, 1).await?;
        let mut reach = Reach {
            walk: division.walk,
            condition: None,
            after: None,
            until: None,
            rows_max: ROWS_MAX,
            bytes_max: BYTES_MAX,
        };
        let mut count = 0;
        loop {
            let left = limit.map_or(u64::MAX, |limit| limit.saturating_sub(count));
            if left == 0 {
                return Ok(count);
            }
            reach.rows_max = usize::try_from(left).unwrap_or(ROWS_MAX).min(ROWS_MAX);
            let Some(chunk) = self.scan.read_chunk(table, &reach).await? else {
                let text = format!("table {} is rewritten while it is read", table.source.name);
                return Err(Error::new(Kind::Unavailable, text).hint("run it again"));
            };
            for row in &chunk.rows {
                count += 1;
                each(&judge(table, row));
            }
            if chunk.ended || chunk.last.is_none() {
                return Ok(count);
            }
            reach.after = chunk.last;
        }
    }
}

fn judge<'a>(table: &'a TablePlan, row: &'a Row) -> Judged<'a> {
    let value = |column| column_value(column, row).unwrap_or(Ok(Value::Unchanged));
    Judged { table, row, values: table.columns.iter().map(value).collect() }
}

/// The tables of a plan that are meant by names: `schema.table` or the table alone, at the source.
pub(super) fn named<'p>(plan: &'p LinkPlan, name: &str) -> Vec<&'p TablePlan> {
    let tables = plan.tables.iter().map(Arc::as_ref);
    let is_meant = |table: &&TablePlan| {
        table.source.name.to_string() == name || table.source.name.table == name
    };
    tables.filter(is_meant).collect()
}
