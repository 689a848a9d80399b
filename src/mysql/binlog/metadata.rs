//! The optional metadata of table maps (`binlog_row_metadata`): fields of type, length and value.
//!
//! Signedness has one bit per numeric column, character sets are counted over character columns
//! only, and labels over enum or set columns only; so each field is laid over the columns whose wire
//! forms are already known. Unknown fields are passed over: they describe, they hold no rows.
//! Source: MySQL `Table_map_event::Optional_metadata_field_type`.

use super::cursor::Cursor;
use super::table_map::{EventColumn, Wire};
use crate::error::{Error, Kind, Result};
use crate::mysql::session::Flavor;

/// Reads all fields into `columns`.
pub(super) fn read(
    mut cursor: Cursor<'_>,
    flavor: Flavor,
    columns: &mut [EventColumn],
) -> Result<()> {
    let character = |wire: Wire| wire.is_character(flavor);
    let labelled = |wire: Wire| matches!(wire, Wire::Enum { .. } | Wire::Set { .. });
    while !cursor.is_empty() {
        let field = cursor.u8()?;
        let mut value = Cursor::new(cursor.packed_bytes()?);
        match field {
            1 => signedness(value, columns),
            2 => default_collation(&mut value, columns, character)?,
            3 => each_collation(&mut value, columns, character)?,
            4 => names(&mut value, columns)?,
            5 => labels(&mut value, columns, |wire| matches!(wire, Wire::Set { .. }))?,
            6 => labels(&mut value, columns, |wire| matches!(wire, Wire::Enum { .. }))?,
            10 => default_collation(&mut value, columns, labelled)?,
            11 => each_collation(&mut value, columns, labelled)?,
            _ => {}
        }
    }
    Ok(())
}

fn malformed(what: &str) -> Error {
    Error::new(Kind::Malformed, format!("{what} in the metadata of a table map"))
}

/// One bit per numeric column, highest first; set means unsigned.
fn signedness(value: Cursor<'_>, columns: &mut [EventColumn]) {
    let numeric = columns.iter_mut().filter(|column| column.wire.is_numeric());
    for (index, column) in numeric.enumerate() {
        let byte = value.rest().get(index / 8).copied().unwrap_or(0);
        column.unsigned = byte >> (7 - index % 8) & 1 == 1;
    }
}

fn collation(value: &mut Cursor<'_>) -> Result<u32> {
    u32::try_from(value.packed()?).map_err(|_| malformed("a collation"))
}

/// A collation for all columns that are counted, then exceptions as pairs of index and collation.
fn default_collation(
    value: &mut Cursor<'_>,
    columns: &mut [EventColumn],
    counted: impl Fn(Wire) -> bool,
) -> Result<()> {
    let default = collation(value)?;
    let mut counted: Vec<&mut EventColumn> =
        columns.iter_mut().filter(|column| counted(column.wire)).collect();
    for column in &mut counted {
        column.collation = Some(default);
    }
    while !value.is_empty() {
        let index = usize::try_from(value.packed()?).unwrap_or(usize::MAX);
        let exception = collation(value)?;
        let column = counted.get_mut(index).ok_or_else(|| malformed("a character set's column"))?;
        column.collation = Some(exception);
    }
    Ok(())
}

/// One collation for each column that is counted.
fn each_collation(
    value: &mut Cursor<'_>,
    columns: &mut [EventColumn],
    counted: impl Fn(Wire) -> bool,
) -> Result<()> {
    for column in columns.iter_mut().filter(|column| counted(column.wire)) {
        column.collation = Some(collation(value)?);
    }
    if value.is_empty() { Ok(()) } else { Err(malformed("a character set too many")) }
}

fn names(value: &mut Cursor<'_>, columns: &mut [EventColumn]) -> Result<()> {
    for column in columns {
        let name = std::str::from_utf8(value.packed_bytes()?)
            .map_err(|error| malformed("a column's name").caused_by(error))?;
        column.name = Some(name.to_owned());
    }
    Ok(())
}

/// For each column that is counted: how many labels, then the labels.
fn labels(
    value: &mut Cursor<'_>,
    columns: &mut [EventColumn],
    counted: impl Fn(Wire) -> bool,
) -> Result<()> {
    for column in columns.iter_mut().filter(|column| counted(column.wire)) {
        let count = value.packed_len()?;
        let mut labels = Vec::with_capacity(count);
        for _ in 0..count {
            labels.push(value.packed_bytes()?.to_vec());
        }
        column.labels = Some(labels);
    }
    Ok(())
}
