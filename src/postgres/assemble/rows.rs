//! Tuples of the log to rows; bytes are shared with the read buffer only where that costs no memory.

use bytes::{Bytes, BytesMut};

use super::out_of_order;
use crate::error::{Error, Kind, Result};
use crate::model::{Row, Table, Value};
use crate::postgres::decode::{decode, kept_bytes};
use crate::postgres::pgoutput::{Cell, Tuple};
use crate::postgres::shape::Layout;

/// Tuples from this size on, in bytes, stay in the read buffer if at least half of them is kept.
/// Of others the kept text is copied: they would hold a whole buffer for a few bytes, and the bounds
/// of queues count only what is kept.
const SHARE_BYTES_MIN: usize = 256 << 10;

/// A tuple as a row of `source`. A key image has NULL where it knows nothing.
pub(super) fn row(
    source: &Table,
    layout: &Layout,
    tuple: &Tuple<'_>,
    payload: &Bytes,
    key_only: bool,
) -> Result<Row> {
    if usize::from(tuple.columns) != layout.columns.len() {
        return Err(out_of_order("a row with another number of columns than its table"));
    }
    let wanted = || {
        let columns = layout.columns.iter().zip(&layout.key).zip(tuple.cells());
        columns.filter_map(|((column, key), cell)| {
            let index = column.filter(|_| *key || !key_only)?;
            Some((index, source.columns.get(index)?, cell))
        })
    };
    let kept = wanted().map(|(_, column, cell)| match cell {
        Cell::Text(text) => kept_bytes(&column.ty, text),
        Cell::Null | Cell::Unchanged => 0,
    });
    let (kept, whole): (usize, usize) = (kept.sum(), tuple.bytes().len());
    let shared = whole >= SHARE_BYTES_MIN && kept >= whole / 2;
    let mut copies = BytesMut::with_capacity(if shared { 0 } else { kept });
    let mut values = vec![Value::Unchanged; source.columns.len()];
    for (index, column, cell) in wanted() {
        let Some(value) = values.get_mut(index) else { continue };
        *value = match cell {
            Cell::Null => Value::Null,
            Cell::Unchanged => Value::Unchanged,
            Cell::Text(text) => decode(&column.ty, text, |part| {
                if shared {
                    return payload.slice_ref(part);
                }
                copies.extend_from_slice(part);
                copies.split().freeze()
            })
            .map_err(|error| {
                let context = format!("column `{}` of {}", column.name, source.name);
                Error::new(Kind::Malformed, context).caused_by(error)
            })?,
        };
    }
    Ok(Row::from(values))
}

/// What the new row left out because it did not change, the old row may have.
pub(super) fn fill_unchanged(after: &mut Row, before: &Row) {
    for (value, old) in after.0.iter_mut().zip(before.iter()) {
        if matches!(value, Value::Unchanged) {
            value.clone_from(old);
        }
    }
}
