//! Rows events: which table, which columns are present, and the bytes of the rows.
//!
//! Only the fixed part is read at first, so that rows of tables nobody replicates are passed over
//! by their table id, whatever they hold. Compressed images of MariaDB are unpacked when they are
//! asked for, that is, for planned tables only.
//! Sources: MySQL `Rows_event`; MariaDB "Rows_event_v1/v2".

use std::borrow::Cow;

use super::compressed;
use super::cursor::Cursor;
use super::event::Format;
use crate::error::{Error, Kind, Result};

/// Type of MySQL's updates with partial JSON.
const PARTIAL_UPDATE: u8 = 39;
/// First of the types of MariaDB whose images are compressed.
const COMPRESSED_MIN: u8 = 166;
/// Columns of a table in either server at most.
pub(super) const COLUMNS_MAX: usize = 4096;
/// Flag: the event is the last of its statement (`STMT_END_F`).
const STATEMENT_END: u16 = 1;
/// Flag: the session had `foreign_key_checks` off (`NO_FOREIGN_KEY_CHECKS_F`).
const UNCHECKED: u16 = 2;

/// What a rows event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowsKind {
    /// Rows were inserted: after images.
    Insert,
    /// Rows were changed: pairs of before and after images.
    Update,
    /// Rows were deleted: before images.
    Delete,
}

/// A rows event, its images not yet read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoggedRows<'a> {
    event_kind: u8,
    /// Refers to the table map with the same id before it.
    pub(crate) table_id: u64,
    /// Foreign keys were neither checked nor carried out at the source; or, where the server logs what
    /// they do, it may have been them that changed the rows.
    pub(crate) unchecked: bool,
    /// The statement's rows end with it.
    pub(crate) ends_statement: bool,
    body: Cursor<'a>,
}

/// Where the images of a rows event are.
#[derive(Clone, Debug)]
pub(crate) struct Images<'a> {
    /// What happened.
    pub(crate) kind: RowsKind,
    /// Columns of the table as the event sees it.
    pub(crate) columns: usize,
    /// One bit per column: present in before images (empty for inserts).
    pub(crate) before: &'a [u8],
    /// One bit per column: present in after images (empty for deletes).
    pub(crate) after: &'a [u8],
    /// Whether after images say which JSON columns they hold only the differences of.
    pub(crate) partial_json: bool,
    /// The images, one after the other.
    pub(crate) rows: Cow<'a, [u8]>,
}

/// Reads the fixed part of a rows event.
pub(super) fn parse<'a>(
    event_kind: u8,
    mut cursor: Cursor<'a>,
    format: &Format,
) -> Result<LoggedRows<'a>> {
    let table_id = table_id(&mut cursor, event_kind, format)?;
    let flags = cursor.u16()?;
    let (unchecked, ends_statement) = (flags & UNCHECKED != 0, flags & STATEMENT_END != 0);
    if matches!(event_kind, 30..=32 | PARTIAL_UPDATE | 169..=171) {
        let extra = usize::from(cursor.u16()?).checked_sub(2);
        let extra = extra.ok_or_else(|| malformed("the extra data of a rows event"))?;
        cursor.bytes(extra)?;
    }
    Ok(LoggedRows { event_kind, table_id, unchecked, ends_statement, body: cursor })
}

/// Six bytes, or four where the server says that the fixed part is six bytes long.
pub(super) fn table_id(cursor: &mut Cursor<'_>, event_kind: u8, format: &Format) -> Result<u64> {
    cursor.uint(if format.post_header(event_kind) == Some(6) { 4 } else { 6 })
}

fn malformed(what: &str) -> Error {
    Error::new(Kind::Malformed, what)
}

impl<'a> LoggedRows<'a> {
    /// What the event does.
    ///
    /// # Errors
    /// `Malformed` where it is no rows event.
    pub(crate) fn kind(&self) -> Result<RowsKind> {
        match self.event_kind {
            23 | 30 | 166 | 169 => Ok(RowsKind::Insert),
            24 | 31 | PARTIAL_UPDATE | 167 | 170 => Ok(RowsKind::Update),
            25 | 32 | 168 | 171 => Ok(RowsKind::Delete),
            _ => Err(malformed("a rows event of another type")),
        }
    }

    /// Finds the images.
    ///
    /// # Errors
    /// `Malformed` for wrong bytes, `Unsupported` for another compression than zlib.
    pub(crate) fn images(&self) -> Result<Images<'a>> {
        let kind = self.kind()?;
        let compressed = self.event_kind >= COMPRESSED_MIN;
        let mut cursor = self.body;
        let columns = usize::try_from(cursor.packed()?)
            .ok()
            .filter(|columns| *columns <= COLUMNS_MAX)
            .ok_or_else(|| malformed("the column count of a rows event"))?;
        let bitmap_bytes = columns.div_ceil(8);
        let first = cursor.bytes(bitmap_bytes)?;
        let (before, after) = match kind {
            RowsKind::Insert => (&[][..], first),
            RowsKind::Update => (first, cursor.bytes(bitmap_bytes)?),
            RowsKind::Delete => (first, &[][..]),
        };
        let rows = match compressed {
            true => compressed::event_body(cursor.rest())?.into(),
            false => cursor.rest().into(),
        };
        let partial_json = self.event_kind == PARTIAL_UPDATE;
        Ok(Images { kind, columns, before, after, partial_json, rows })
    }

    /// Whether the event, of a table that was not described, is the server's filler for a statement
    /// that changed nothing. Its table ids may also be a table's.
    pub(crate) fn is_filler(&self) -> bool {
        matches!(self.table_id, 0xFF_FFFF | 0xFFFF_FFFF_FFFF)
            && self.images().is_ok_and(|images| images.rows.is_empty())
    }
}

/// Whether bit `index` of a bitmap is set; false beyond its end.
#[inline]
pub(crate) fn bit(bitmap: &[u8], index: usize) -> bool {
    bitmap.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}
