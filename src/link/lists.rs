//! Reads a table that the steps of columns look into, as it is now.
//!
//! It is read like a table that is copied, so its values are exactly those that a stream of that database
//! yields; of its columns two at most. What is too large to be kept in memory is refused.

use std::sync::Arc;

use crate::config::Database;
use crate::error::{Error, Kind, Result};
use crate::link::ports::{LinkContext, Reach, Room};
use crate::model::{Column, Row, Table, Value};
use crate::plan::{ColumnPlan, LinkPlan, TablePlan};
use crate::transform::rules::List;
use crate::transform::{Conversion, Fit};

/// Rows of a table at most.
pub const ROWS_MAX: usize = 100_000;
/// Bytes of the values of a table at most.
pub const BYTES_MAX: usize = 16 << 20;
/// Rows and bytes of one piece.
const PIECE_ROWS: usize = 10_000;
const PIECE_BYTES: usize = 4 << 20;

/// The list with the rows that `table` of `database` holds now; within, why they cannot be looked up in.
///
/// # Errors
/// As the room's; `Configuration` where the table is too large.
pub async fn read(
    room: &dyn Room,
    (context, database): (&LinkContext, &Database),
    table: &Table,
    list: List,
) -> Result<std::result::Result<List, String>> {
    let rows = rows(room, (context, database), table, &list).await;
    let rows = rows.map_err(|error| {
        let name = &table.name;
        error.within(format_args!("read table {name} of {}, which is looked into", database.name))
    })?;
    let name = &table.name;
    Ok(list.filled(rows).map_err(|why| format!("table {name} of {}: {why}", database.name)))
}

async fn rows(
    room: &dyn Room,
    (context, database): (&LinkContext, &Database),
    table: &Table,
    list: &List,
) -> Result<Vec<(Value, Value)>> {
    let (key, value) = list.columns();
    let place = |column: &Column| {
        let at = table.column_index(&column.name);
        at.ok_or_else(|| Error::new(Kind::Internal, "a column of a table that is looked into"))
    };
    let (key, value) = (place(key)?, value.map(place).transpose()?);
    let plan = plan(context, database, table, key, value);
    let mut scan = room.open_scan(context, database, Arc::new(plan.clone())).await?;
    scan.forgo_marks();
    let [table] = plan.tables.as_slice() else { return Ok(Vec::new()) };
    let division = scan.divide(table, 1).await?;
    let mut reach = Reach {
        walk: division.walk,
        condition: None,
        after: None,
        until: None,
        rows_max: PIECE_ROWS,
        bytes_max: PIECE_BYTES,
    };
    let (mut rows, mut bytes) = (Vec::new(), 0);
    loop {
        let Some(chunk) = scan.read_chunk(table, &reach).await? else {
            return Err(Error::new(Kind::Unavailable, "it is rewritten while it is read"));
        };
        bytes += chunk.bytes;
        let of_row = |row: &Row| {
            let cell = |at: usize| row.get(at).cloned().unwrap_or(Value::Null);
            (cell(key), value.map_or(Value::Null, cell))
        };
        rows.extend(chunk.rows.iter().map(of_row));
        if rows.len() > ROWS_MAX || bytes > BYTES_MAX {
            let context =
                format!("it holds more than {ROWS_MAX} rows or {} MiB of values", BYTES_MAX >> 20);
            return Err(Error::new(Kind::Configuration, context).hint(
                "look into a smaller table, of those rows alone that are asked for; or let a foreign \
                 key of the target decide",
            ));
        }
        if chunk.ended || chunk.last.is_none() {
            return Ok(rows);
        }
        reach.after = chunk.last;
    }
}

/// The table alone, with the columns that are read.
fn plan(
    context: &LinkContext,
    database: &Database,
    table: &Table,
    key: usize,
    value: Option<usize>,
) -> LinkPlan {
    let column = |at| ColumnPlan::of(at, at, Conversion { nullable: true, fit: Fit::Same });
    let columns = [Some(key), value.filter(|value| *value != key)];
    let columns = columns.into_iter().flatten().map(column).collect();
    let alone = TablePlan::alone(table.clone(), table.clone(), columns, vec![0]);
    let dialects = [database.dialect; 2];
    let link = context.link.clone();
    LinkPlan { tables: vec![Arc::new(alone)], ..LinkPlan::of_no_table(link, dialects) }
}
