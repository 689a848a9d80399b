//! Rows events of planned tables to changes.
//!
//! The event says which columns its images hold; no setting is asked. What an update does not carry
//! is the same as before. What an insert does not carry is a default that the log does not tell: the
//! row is to be read again. A before image without the match key halts the link by name. What the mark of
//! `foreign_key_checks` means, `unchecked` says.

use bytes::Bytes;

use super::Assembler;
use super::tables::Known;
use crate::error::{Error, Kind, Result};
use crate::model::{Before, Change, Op, Part, Row, Value};
use crate::mysql::binlog::{Cursor, LoggedRows, RowsKind, rows::Images};
use crate::plan::TablePlan;

/// Memory of a change in bytes.
pub(super) fn size_bytes(change: &Change) -> usize {
    let before = |before: &Before| before.row().size_bytes();
    let rows = match &change.op {
        Op::Insert { after } => after.size_bytes(),
        Op::Update { before: old, after } => old.as_ref().map_or(0, before) + after.size_bytes(),
        Op::Delete { before: old } => before(old),
        Op::Truncate => 0,
    };
    size_of::<Change>() + rows
}

impl Assembler {
    /// All rows of one event, if its table is planned, and what the event says of its statement.
    pub(super) fn rows(&mut self, event: &LoggedRows<'_>, ready: &mut Vec<Part>) -> Result<()> {
        self.transaction()?;
        match self.tables.of_id(event.table_id) {
            Some(Some(known)) => self.rows_of(&known, event, ready)?,
            Some(None) => {}
            None if event.is_filler() => {}
            None => {
                let what = "rows of a table that was not described";
                return Err(Error::new(Kind::Malformed, what));
            }
        }
        self.clear_suspicions(event)?;
        if event.ends_statement { self.end_statement(ready) } else { Ok(()) }
    }

    /// Nothing more of the open statement comes.
    pub(super) fn end_statement(&mut self, ready: &mut Vec<Part>) -> Result<()> {
        self.release(|_| true, ready)?;
        self.judge_suspicions()
    }

    fn rows_of(
        &mut self,
        known: &Known,
        event: &LoggedRows<'_>,
        ready: &mut Vec<Part>,
    ) -> Result<()> {
        let Some(plan) = self.plan.tables.get(known.table).cloned() else { return Ok(()) };
        let images = event.images().map_err(|error| about(error, &plan))?;
        if images.columns != known.shape.width_in_log() {
            let error = Error::new(Kind::Malformed, "rows with other columns than described");
            return Err(about(error, &plan));
        }
        let bytes = Bytes::copy_from_slice(&images.rows);
        let mut cursor = Cursor::new(&bytes);
        while !cursor.is_empty() {
            let left = cursor.len();
            let change = change(known, &plan, &images, &mut cursor, &bytes)
                .map_err(|error| about(error, &plan))?;
            if cursor.len() == left {
                return Err(about(Error::new(Kind::Malformed, "rows without columns"), &plan));
            }
            let Some((op, whole)) = change else { continue };
            if event.unchecked {
                self.refuse_unchecked(known.table, &op)?;
            }
            let gone = matches!(op, Op::Delete { .. });
            let reshaped = !gone && (known.shape.reshaped || !whole);
            self.pass_on(Change { table: known.table, op, reshaped }, event.unchecked, ready)?;
        }
        Ok(())
    }
}

fn about(error: Error, plan: &TablePlan) -> Error {
    error.within(format_args!("table {}", plan.source.name))
}

/// The next change of the event, and whether the log holds all that it makes of the row. `None` is a change of
/// the past of a system-versioned table: an update adds the state before as a row of the past, a delete is
/// an update that ends the row's time.
fn change(
    known: &Known,
    plan: &TablePlan,
    images: &Images<'_>,
    cursor: &mut Cursor<'_>,
    event: &Bytes,
) -> Result<Option<(Op, bool)>> {
    let shape = &known.shape;
    match images.kind {
        RowsKind::Insert => {
            let image = shape.image(cursor, images.after, event)?;
            if image.current == Some(false) {
                return Ok(None);
            }
            let after = image.into_row();
            require_key(plan, &after, "an insert")?;
            Ok(Some((Op::Insert { after }, shape.is_full(images.after))))
        }
        RowsKind::Delete => {
            let image = shape.image(cursor, images.before, event)?;
            if image.current == Some(false) {
                return Ok(None);
            }
            let before = before(plan, image.into_row(), shape.is_full(images.before))?;
            Ok(Some((Op::Delete { before }, true)))
        }
        RowsKind::Update => {
            let old = shape.image(cursor, images.before, event)?;
            let was_current = old.current.unwrap_or(true);
            let old = old.into_row();
            let (mut after, whole) = match images.partial_json {
                true => shape.partial_image(cursor, images.after, event)?,
                false => (shape.image(cursor, images.after, event)?, true),
            };
            let full = shape.is_full(images.before);
            if !shape.is_full(images.after) {
                for (value, old) in after.values.iter_mut().zip(old.iter()) {
                    if *value == Value::Unchanged {
                        *value = old.clone();
                    }
                }
            }
            Ok(match (was_current, after.current.unwrap_or(was_current)) {
                (true, true) => {
                    let before = Some(before(plan, old, full)?);
                    Some((Op::Update { before, after: after.into_row() }, whole))
                }
                (true, false) => Some((Op::Delete { before: before(plan, old, full)? }, true)),
                (false, true) => Some((Op::Insert { after: after.into_row() }, whole)),
                (false, false) => None,
            })
        }
    }
}

/// A before image must hold the match key.
fn before(plan: &TablePlan, row: Row, full: bool) -> Result<Before> {
    if full {
        return Ok(Before::Full(row));
    }
    require_key(plan, &row, "a before image")?;
    Ok(Before::Key(row))
}

/// Without the match key a row can be neither found nor read again.
fn require_key(plan: &TablePlan, row: &Row, what: &str) -> Result<()> {
    let source = |key: &usize| plan.columns.get(*key).map(|column| column.source);
    let known = |at: usize| row.get(at).is_some_and(Value::is_known);
    if plan.key.iter().filter_map(source).all(known) {
        return Ok(());
    }
    Err(Error::new(Kind::Unsupported, format!("the log holds {what} without the match key"))
        .hint("set binlog_row_image = FULL on the source for all sessions, or match rows by the primary key; then start anew"))
}
