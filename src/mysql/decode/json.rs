//! MySQL's binary JSON to text, exactly as the server prints it.
//!
//! Objects and arrays are tables of entries that point into their own bytes; scalars stand in the
//! entry or behind it. Depth is bounded as in the server, and the text by a multiple of the bytes,
//! so that a document whose entries all point at one place cannot take memory without end.
//! Source: MySQL `json_binary.h`.

use std::fmt::Write;

use super::{decimal, json_number, temporal::Packed};
use crate::error::{Error, Kind, Result};
use crate::mysql::binlog::Cursor;

/// Depth of documents in the server at most.
const DEPTH_MAX: u32 = 100;
/// Text per byte of binary JSON at most (a control character takes six), plus some.
const TEXT_PER_BYTE_MAX: usize = 16;
/// Output of base64 lines, as the server breaks them.
const BASE64_LINE: usize = 76;

/// The text of one document; no bytes at all are the document `null`.
///
/// # Errors
/// `Malformed` for bytes that are no document.
pub(crate) fn text(document: &[u8]) -> Result<String> {
    let mut writer = Writer {
        text: String::with_capacity(document.len() + document.len() / 2),
        bytes_max: document.len().saturating_mul(TEXT_PER_BYTE_MAX) + 1024,
    };
    match document.split_first() {
        None => writer.text.push_str("null"),
        Some((kind, value)) => writer.value(*kind, value, 0)?,
    }
    Ok(writer.text)
}

struct Writer {
    text: String,
    bytes_max: usize,
}

fn malformed() -> Error {
    Error::new(Kind::Malformed, "a binary JSON document")
}

/// Widths of one object or array: counts, offsets and entries in two or four bytes.
#[derive(Clone, Copy)]
struct Table<'a> {
    bytes: &'a [u8],
    offset_bytes: usize,
}

impl<'a> Table<'a> {
    fn at(self, offset: usize) -> Result<Cursor<'a>> {
        self.bytes.get(offset..).map(Cursor::new).ok_or_else(malformed)
    }

    fn key(self, entry: usize) -> Result<&'a [u8]> {
        let mut cursor = self.at(entry)?;
        let offset = cursor.uint(self.offset_bytes)? as usize;
        let bytes = usize::from(cursor.u16()?);
        self.at(offset)?.bytes(bytes)
    }
}

impl Writer {
    fn value(&mut self, kind: u8, value: &[u8], depth: u32) -> Result<()> {
        if depth > DEPTH_MAX || self.text.len() > self.bytes_max {
            return Err(malformed());
        }
        let mut cursor = Cursor::new(value);
        match kind {
            0..=3 => return self.table(kind, value, depth),
            4 => self.text.push_str(match cursor.u8()? {
                0 => "null",
                1 => "true",
                2 => "false",
                _ => return Err(malformed()),
            }),
            5 => self.number(cursor.u16()? as i16),
            6 => self.number(cursor.u16()?),
            7 => self.number(cursor.u32()? as i32),
            8 => self.number(cursor.u32()?),
            9 => self.number(cursor.u64()? as i64),
            10 => self.number(cursor.u64()?),
            11 => {
                let number = f64::from_bits(cursor.u64()?);
                if !number.is_finite() {
                    return Err(malformed());
                }
                json_number::write_double(number, &mut self.text);
            }
            12 => {
                let bytes = variable_length(&mut cursor)?;
                self.string(cursor.bytes(bytes)?)?;
            }
            15 => return self.opaque(cursor),
            _ => return Err(malformed()),
        }
        Ok(())
    }

    fn number(&mut self, number: impl std::fmt::Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{number}");
    }

    /// Kinds 0 and 1 are objects, 2 and 3 arrays; odd ones have four-byte offsets.
    fn table(&mut self, kind: u8, bytes: &[u8], depth: u32) -> Result<()> {
        let offset_bytes = if kind & 1 == 1 { 4 } else { 2 };
        let object = kind < 2;
        let mut cursor = Cursor::new(bytes);
        let count = cursor.uint(offset_bytes)? as usize;
        let size = cursor.uint(offset_bytes)? as usize;
        let bytes = bytes.get(..size).ok_or_else(malformed)?;
        let table = Table { bytes, offset_bytes };
        let keys = 2 * offset_bytes;
        let key_bytes = if object { offset_bytes + 2 } else { 0 };
        let values = count.checked_mul(key_bytes).and_then(|all| all.checked_add(keys));
        let values = values.filter(|values| *values <= size).ok_or_else(malformed)?;
        self.text.push(if object { '{' } else { '[' });
        for index in 0..count {
            if index > 0 {
                self.text.push_str(", ");
            }
            if object {
                self.string(table.key(keys + index * key_bytes)?)?;
                self.text.push_str(": ");
            }
            let entry = index
                .checked_mul(1 + offset_bytes)
                .and_then(|offset| offset.checked_add(values))
                .ok_or_else(malformed)?;
            self.entry(table, entry, depth)?;
        }
        self.text.push(if object { '}' } else { ']' });
        Ok(())
    }

    /// A type byte, then the value itself where it fits, else its offset.
    fn entry(&mut self, table: Table<'_>, entry: usize, depth: u32) -> Result<()> {
        let mut cursor = table.at(entry)?;
        let kind = cursor.u8()?;
        let inline = match kind {
            4..=6 => true,
            7 | 8 => table.offset_bytes == 4,
            _ => false,
        };
        if inline {
            let value = cursor.bytes(table.offset_bytes)?;
            return self.value(kind, value, depth + 1);
        }
        let offset = cursor.uint(table.offset_bytes)? as usize;
        self.value(kind, table.at(offset)?.rest(), depth + 1)
    }

    /// A string in quotes, escaped as the server does.
    fn string(&mut self, bytes: &[u8]) -> Result<()> {
        let string = std::str::from_utf8(bytes).map_err(|error| malformed().caused_by(error))?;
        self.text.push('"');
        for letter in string.chars() {
            match letter {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                control if u32::from(control) < 0x20 => {
                    // Writing to a String cannot fail.
                    let _ = write!(self.text, "\\u{:04x}", u32::from(control));
                }
                other => self.text.push(other),
            }
        }
        self.text.push('"');
        Ok(())
    }

    /// A value of an SQL type: field type, length, bytes.
    fn opaque(&mut self, mut cursor: Cursor<'_>) -> Result<()> {
        let field = cursor.u8()?;
        let bytes = variable_length(&mut cursor)?;
        let value = cursor.bytes(bytes)?;
        let mut cursor = Cursor::new(value);
        let packed = |mut cursor: Cursor<'_>| Ok::<_, Error>(Packed::new(cursor.u64()? as i64));
        match field {
            246 => {
                let (precision, scale) = (cursor.u8()?, cursor.u8()?);
                if precision > 81 || scale > precision {
                    return Err(malformed());
                }
                let number = decimal::read(&mut cursor, precision, scale)?;
                self.text.push_str(&number);
            }
            10 => self.string(packed(cursor)?.date_text().as_bytes())?,
            11 => self.string(packed(cursor)?.time_text().as_bytes())?,
            7 | 12 => self.string(packed(cursor)?.datetime_text().as_bytes())?,
            other => self.string(format!("base64:type{other}:{}", base64(value)).as_bytes())?,
        }
        Ok(())
    }
}

/// Seven bits per byte, lowest first, at most five bytes.
fn variable_length(cursor: &mut Cursor<'_>) -> Result<usize> {
    let mut length = 0u64;
    for place in 0..5 {
        let byte = cursor.u8()?;
        length |= u64::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return usize::try_from(length).map_err(|_| malformed());
        }
    }
    Err(malformed())
}

/// Base64 in lines, as the server's own encoder writes it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4 + bytes.len() / 57 + 1);
    for (index, chunk) in bytes.chunks(3).enumerate() {
        if index > 0 && (index * 4).is_multiple_of(BASE64_LINE) {
            text.push('\n');
        }
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4usize {
            let digit = (bits >> (18 - 6 * place) & 63) as usize;
            let padding = place > chunk.len();
            text.push(if padding { '=' } else { char::from(DIGITS[digit]) });
        }
    }
    text
}
