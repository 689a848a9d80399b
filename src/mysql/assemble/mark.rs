//! The mark of weir's own transactions among the rows of the log: the change of its witness, which comes
//! first in each.

use std::sync::Arc;

use bytes::Bytes;

use super::Assembler;
use crate::error::{Error, Kind, Result};
use crate::model::Mark;
use crate::mysql::binlog::{Cursor, LoggedRows, RowsKind, TableMap};
use crate::mysql::decode::Shape;
use crate::plan::MarkReader;

/// Reads marks, once the log has described the witness.
#[derive(Debug)]
pub(super) struct Marks {
    reader: MarkReader,
    /// The witness by its id in the log.
    described: Option<(u64, Arc<Shape>)>,
}

impl Marks {
    pub(super) fn new(reader: MarkReader) -> Marks {
        Marks { reader, described: None }
    }

    /// Takes a table map in. An id that was the witness's may be another table's later.
    pub(super) fn learn(&mut self, map: &TableMap<'_>) -> Result<()> {
        if self.reader.is_witness(map.schema, map.table) {
            let shape = Shape::new(&self.reader.table, map, true)?;
            self.described = Some((map.id, Arc::new(shape)));
        } else if self.described.as_ref().is_some_and(|(id, _)| *id == map.id) {
            self.described = None;
        }
        Ok(())
    }

    fn of_id(&self, id: u64) -> Option<&Shape> {
        self.described.as_ref().filter(|(known, _)| *known == id).map(|(_, shape)| &**shape)
    }

    /// The mark that rows of the witness are, if there is one.
    fn read(&self, shape: &Shape, event: &LoggedRows<'_>) -> Result<Option<Mark>> {
        let images = event.images()?;
        if images.columns != shape.width_in_log() {
            return Err(Error::new(Kind::Malformed, "rows with other columns than described"));
        }
        let bytes = Bytes::copy_from_slice(&images.rows);
        let mut cursor = Cursor::new(&bytes);
        if images.kind == RowsKind::Delete || cursor.is_empty() {
            return Ok(None);
        }
        let before = match images.kind {
            RowsKind::Update => Some(shape.image(&mut cursor, images.before, &bytes)?.into_row()),
            _ => None,
        };
        let mut after = shape.image(&mut cursor, images.after, &bytes)?;
        // A minimal image repeats nothing that did not change.
        for (value, old) in after.values.iter_mut().zip(before.iter().flat_map(|row| row.iter())) {
            if !value.is_known() {
                value.clone_from(old);
            }
        }
        Ok(self.reader.mark(&after.into_row()))
    }
}

impl Assembler {
    /// The first change of a transaction that weir wrote is that of its witness.
    pub(super) fn find_mark(&mut self, event: &LoggedRows<'_>) -> Result<()> {
        let (Some(open), Some(marks)) = (&mut self.open, &self.marks) else { return Ok(()) };
        if open.changed || open.mark.is_some() {
            return Ok(());
        }
        if let Some(shape) = marks.of_id(event.table_id) {
            open.mark = marks.read(shape, event).map_err(|error| error.within("weir.witness"))?;
        }
        Ok(())
    }
}
