//! Statements in the log, with what the session's settings mean for reading them.
//!
//! Of the status variables in front of a statement only whether foreign keys are checked, the SQL
//! mode and the client's character set are kept; they come early, so that reading stops after them, or at one that is not known.
//! Sources: MySQL `Query_event`; MariaDB "QUERY_EVENT".

use std::borrow::Cow;

use super::compressed;
use super::cursor::Cursor;
use crate::error::Result;

/// Option bit: `foreign_key_checks` is off (`OPTION_NO_FOREIGN_KEY_CHECKS`).
const UNCHECKED: u32 = 1 << 26;
/// `sql_mode` bit: double quotes hold names.
const ANSI_QUOTES: u64 = 1 << 2;
/// `sql_mode` bit: a backslash in a string is a letter.
const NO_BACKSLASH_ESCAPES: u64 = 1 << 20;

/// A statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query<'a> {
    /// The session's default database.
    pub(crate) schema: &'a [u8],
    /// The statement, in the session's character set.
    pub(crate) text: Cow<'a, [u8]>,
    /// A collation of the session's character set; `None` where the event does not say.
    pub(crate) collation: Option<u16>,
    /// Foreign keys were neither checked nor carried out at the source.
    pub(crate) unchecked: bool,
    sql_mode: u64,
}

impl<'a> Query<'a> {
    /// A statement of a session with this collation and `sql_mode`.
    #[cfg(test)]
    pub(crate) fn new(schema: &'a str, text: &'a [u8], collation: u16, sql_mode: u64) -> Self {
        let (schema, collation) = (schema.as_bytes(), Some(collation));
        Query { schema, text: text.into(), collation, unchecked: false, sql_mode }
    }

    /// Whether double quotes hold names.
    pub(crate) fn ansi_quotes(&self) -> bool {
        self.sql_mode & ANSI_QUOTES != 0
    }

    /// Whether a backslash in a string is a letter.
    pub(crate) fn plain_backslash(&self) -> bool {
        self.sql_mode & NO_BACKSLASH_ESCAPES != 0
    }
}

/// Reads a statement's event.
pub(super) fn parse(mut cursor: Cursor<'_>) -> Result<Query<'_>> {
    cursor.bytes(8)?;
    let schema_bytes = usize::from(cursor.u8()?);
    cursor.u16()?;
    let status_bytes = usize::from(cursor.u16()?);
    let mut query = Query::default();
    settings(Cursor::new(cursor.bytes(status_bytes)?), &mut query)?;
    query.schema = cursor.bytes(schema_bytes)?;
    cursor.u8()?;
    query.text = cursor.rest().into();
    Ok(query)
}

/// Reads a statement's event whose text MariaDB has compressed.
pub(super) fn parse_compressed(cursor: Cursor<'_>) -> Result<Query<'_>> {
    let mut query = parse(cursor)?;
    query.text = compressed::event_body(&query.text)?.into();
    Ok(query)
}

/// Reads the status variables up to the character set. Each is a code and a value whose length
/// the code implies.
fn settings(mut status: Cursor<'_>, query: &mut Query<'_>) -> Result<()> {
    while !status.is_empty() {
        match status.u8()? {
            0 => query.unchecked = status.u32()? & UNCHECKED != 0,
            3 => drop(status.bytes(4)?),
            1 => query.sql_mode = status.u64()?,
            2 => {
                let bytes = usize::from(status.u8()?);
                status.bytes(bytes + 1)?;
            }
            6 => {
                let bytes = usize::from(status.u8()?);
                status.bytes(bytes)?;
            }
            4 => {
                query.collation = Some(status.u16()?);
                return Ok(());
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a statement were read in another character set or mode than the session's.
    #[test]
    fn settings_in_front_of_a_statement() {
        let mut status = vec![0, 0, 0, 0, 4, 1];
        status.extend((NO_BACKSLASH_ESCAPES | ANSI_QUOTES).to_le_bytes());
        status.extend(*b"\x06\x03std\x03\x01\0\x01\0\x04\x08\0\x08\0\x08\0\x05\x06SYSTEM");
        let mut event = vec![0; 8];
        event.extend([4, 0, 0, status.len() as u8, 0]);
        event.extend(&status);
        event.extend(*b"shop\0COMMIT");
        let query = parse(Cursor::new(&event)).expect("a statement");
        assert_eq!((query.schema, &*query.text), (&b"shop"[..], &b"COMMIT"[..]));
        assert_eq!((query.collation, query.unchecked), (Some(8), true));
        assert!(query.ansi_quotes() && query.plain_backslash());
    }
}
