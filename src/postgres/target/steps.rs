//! Steps to requests: rows are sent in chunks of at most [`CHUNK_ROWS_MAX`] rows and
//! [`CHUNK_BYTES_MAX`] bytes, and no more than [`REQUESTS_MAX`] requests or [`FLIGHT_BYTES_MAX`]
//! bytes are in flight, so memory stays flat however long a step is.

use tokio_postgres::Statement;

use super::pipeline::{Check, Parameter, Pipeline};
use crate::error::{Error, Kind, Result};
use crate::model::{Row, Step, Verb};
use crate::plan::TablePlan;
use crate::postgres::encode::{ColumnArray, Place, Single, row_bytes, target_column};

/// Rows per statement; more gain nothing (speed.md 5.1).
const CHUNK_ROWS_MAX: usize = 1000;
/// Bytes of parameters per statement; a single larger row travels alone.
const CHUNK_BYTES_MAX: usize = 16 << 20;
/// Bytes of parameters in flight.
const FLIGHT_BYTES_MAX: usize = 16 << 20;
/// Requests in flight.
const REQUESTS_MAX: usize = 512;

/// Sends one step. Where an update is not `noted`, rows that are not there are passed over.
pub(super) async fn send<'a>(
    pipeline: &mut Pipeline<'a>,
    step: &'a Step,
    statement: &Statement,
    noted: bool,
) -> Result<()> {
    let table = pipeline.table(step.table)?;
    let layout = layout(table, step)?;
    if step.rows.iter().any(|row| row.len() != layout.len()) {
        return Err(not_as_wide(table));
    }
    match step.verb {
        Verb::Truncate => {
            let check = Check::Table { table: step.table, verb: "remove all rows of" };
            pipeline.command("SET LOCAL statement_timeout = '6h'").await;
            pipeline.send(statement.clone(), Vec::new(), check).await;
            pipeline.settle_slowly().await?;
            pipeline.command("SET LOCAL statement_timeout = '10min'").await;
        }
        Verb::Rekey => {
            let key = new_key(table, step)?;
            for row in &step.rows {
                let parameters = singles(row, &layout);
                let check = Check::Hit { table: step.table, row, key: key.clone() };
                pipeline.send(statement.clone(), parameters, check).await;
                bound(pipeline, row_bytes(row)).await?;
            }
        }
        Verb::Note => {}
        Verb::Delete if !table.looked_at().is_empty() => {
            // One after the other: a row may refer to the next.
            for rows in step.rows.chunks(1) {
                let check = Check::Unreferred { table: step.table };
                pipeline.send(statement.clone(), arrays(rows, &layout), check).await;
                bound(pipeline, rows.iter().map(row_bytes).sum()).await?;
            }
        }
        Verb::Upsert => upsert(pipeline, table, step, &step.rows, statement).await?,
        Verb::Update | Verb::Delete => {
            for rows in chunks(&step.rows) {
                let parameters = arrays(rows, &layout);
                let check = check(table, step, rows, noted)?;
                pipeline.send(statement.clone(), parameters, check).await;
                bound(pipeline, rows.iter().map(row_bytes).sum()).await?;
            }
        }
    }
    Ok(())
}

/// Sends `rows` as insert-or-update of the columns of `step`.
pub(super) async fn upsert<'a>(
    pipeline: &mut Pipeline<'a>,
    table: &'a TablePlan,
    step: &Step,
    rows: &'a [Row],
    statement: &Statement,
) -> Result<()> {
    let layout = layout(table, step)?;
    if rows.iter().any(|row| row.len() != layout.len()) {
        return Err(not_as_wide(table));
    }
    let settable = |at: &usize| table.owned().any(|(owned, _)| owned == *at);
    let may_stay = !table.owns_rows || !step.columns.iter().any(settable);
    for rows in chunks(rows) {
        let check = match may_stay {
            // A row of which nothing is written and that is there already is left as it is.
            true => Check::Table { table: step.table, verb: "write" },
            false => Check::Written { table: step.table, rows: rows.len() },
        };
        pipeline.send(statement.clone(), arrays(rows, &layout), check).await;
        bound(pipeline, rows.iter().map(row_bytes).sum()).await?;
    }
    Ok(())
}

/// What each value of a whole row is, in the order of the plan's columns.
pub(super) fn whole(table: &TablePlan) -> Result<Vec<Place<'_>>> {
    let columns = (0..table.columns.len()).collect();
    layout(table, &Step { table: 0, verb: Verb::Upsert, columns, rows: Vec::new() })
}

pub(super) fn not_as_wide(table: &TablePlan) -> Error {
    let context = format!("a row for {} is not as wide as its step", table.target.name);
    Error::new(Kind::Internal, context)
}

/// Fewer rows were written than sent.
pub(super) fn kept_out(table: &TablePlan, written: u64, rows: usize) -> Error {
    let context = format!("{written} of {rows} rows were written to {}", table.target.name);
    Error::new(Kind::Statement, context)
        .hint("a trigger or rule of the table keeps rows out; disable it for weir")
}

/// Waits for answers when enough is in flight. A large request ends its flight at once.
pub(super) async fn bound(pipeline: &mut Pipeline<'_>, bytes: usize) -> Result<()> {
    if pipeline.add_bytes(bytes) > FLIGHT_BYTES_MAX || pipeline.len() >= REQUESTS_MAX {
        pipeline.settle().await?;
    }
    Ok(())
}

/// What each value of a row is.
fn layout<'a>(table: &'a TablePlan, step: &Step) -> Result<Vec<Place<'a>>> {
    let key = table.key.iter().map(|column| (*column, true));
    let listed = step.columns.iter().map(|column| (*column, table.key.contains(column)));
    let places: Vec<(usize, bool)> = match step.verb {
        Verb::Upsert | Verb::Update => listed.collect(),
        Verb::Rekey => key.chain(listed).collect(),
        Verb::Delete | Verb::Note => key.collect(),
        Verb::Truncate => Vec::new(),
    };
    places
        .into_iter()
        .map(|(column, key)| {
            let column = target_column(table, column).ok_or_else(|| {
                Error::new(
                    Kind::Internal,
                    format!("a column of {} is not there", table.target.name),
                )
            })?;
            Ok(Place { table: &table.target.name, column, key })
        })
        .collect()
}

fn check<'a>(table: &TablePlan, step: &Step, rows: &'a [Row], noted: bool) -> Result<Check<'a>> {
    Ok(match step.verb {
        Verb::Update if !noted => Check::Table { table: step.table, verb: "update" },
        Verb::Update => Check::Misses { table: step.table, rows, key: key_places(table, step)? },
        _ => Check::Table { table: step.table, verb: "delete from" },
    })
}

/// Where the key's columns stand among the listed ones.
fn key_places(table: &TablePlan, step: &Step) -> Result<Vec<usize>> {
    let places: Option<Vec<usize>> =
        table.key.iter().map(|key| step.columns.iter().position(|column| column == key)).collect();
    places.ok_or_else(|| {
        let context = format!("a step for {} does not list the match key", table.target.name);
        Error::new(Kind::Internal, context)
    })
}

/// What each value of a match key is, in key order.
pub(super) fn key(table: &TablePlan) -> Result<Vec<Place<'_>>> {
    let columns = Default::default();
    layout(table, &Step { table: 0, verb: Verb::Delete, columns, rows: Vec::new() })
}

/// Where the new key stands in a row of a rekey: behind the old one.
fn new_key(table: &TablePlan, step: &Step) -> Result<Vec<usize>> {
    let places = key_places(table, step)?;
    Ok(places.into_iter().map(|at| at + table.key.len()).collect())
}

fn arrays<'a>(rows: &'a [Row], layout: &[Place<'a>]) -> Vec<Parameter<'a>> {
    let arrays = layout.iter().enumerate();
    arrays
        .map(|(at, place)| Box::new(ColumnArray { rows, at, place: *place }) as Parameter<'a>)
        .collect()
}

fn singles<'a>(row: &'a Row, layout: &[Place<'a>]) -> Vec<Parameter<'a>> {
    let singles = row.iter().zip(layout);
    singles
        .map(|(value, place)| Box::new(Single { value, place: *place }) as Parameter<'a>)
        .collect()
}

/// Rows in chunks that fit a statement.
fn chunks(rows: &[Row]) -> impl Iterator<Item = &[Row]> {
    chunks_of(rows, row_bytes)
}

/// What a statement has a parameter's element each for, in chunks that fit one.
pub(super) fn chunks_of<T>(
    all: &[T],
    bytes_of: impl Fn(&T) -> usize,
) -> impl Iterator<Item = &[T]> {
    let mut rest = all;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let mut count = 0;
        for one in rest.iter().take(CHUNK_ROWS_MAX) {
            bytes += bytes_of(one);
            if count > 0 && bytes > CHUNK_BYTES_MAX {
                break;
            }
            count += 1;
        }
        let (chunk, after) = rest.split_at(count);
        rest = after;
        (count > 0).then_some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use bytestring::ByteString;

    use super::*;
    use crate::model::Value;

    /// Broken if rows were lost between chunks, or a chunk outgrew what a statement may take.
    #[test]
    fn chunks_hold_every_row_within_bounds() {
        let small: Vec<Row> = (0..2500).map(|id| Row::from(vec![Value::Int(id)])).collect();
        let sizes: Vec<usize> = chunks(&small).map(<[Row]>::len).collect();
        assert_eq!(sizes, [1000, 1000, 500]);
        let large = Value::Text(ByteString::from("x".repeat(9 << 20)));
        let large: Vec<Row> = (0..3).map(|_| Row::from(vec![large.clone()])).collect();
        assert_eq!(chunks(&large).map(<[Row]>::len).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(chunks(&[]).count(), 0);
    }
}
