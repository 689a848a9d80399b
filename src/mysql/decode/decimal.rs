//! Packed decimals: groups of nine digits in four bytes, big endian, sign in the first bit.
//!
//! The text has the column's scale and at least one digit before the point, as the servers print
//! it. Zero has no sign. Source: MySQL `decimal_bin_size`, "Precision Math".

use bytestring::ByteString;

use crate::error::{Error, Kind, Result};
use crate::mysql::binlog::Cursor;

/// Bytes of the digits that do not fill a group, by their number.
const PART_BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

/// Bytes of a packed decimal.
pub(crate) fn packed_bytes(precision: u8, scale: u8) -> usize {
    let part = |digits: u8| {
        usize::from(digits / 9) * 4
            + PART_BYTES.get(usize::from(digits % 9)).copied().unwrap_or_default()
    };
    part(precision.saturating_sub(scale)) + part(scale)
}

/// Reads one packed decimal.
///
/// # Errors
/// `Malformed` where bytes are missing or a group holds more digits than it may.
pub(crate) fn read(cursor: &mut Cursor<'_>, precision: u8, scale: u8) -> Result<ByteString> {
    let whole = precision.saturating_sub(scale);
    let mut bytes = cursor.bytes(packed_bytes(precision, scale))?.to_vec();
    let first = bytes.first_mut().ok_or_else(malformed)?;
    let negative = *first & 0x80 == 0;
    *first ^= 0x80;
    if negative {
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
    }
    let mut packed = Cursor::new(&bytes);
    let mut text = String::with_capacity(usize::from(precision) + 3);
    if negative {
        text.push('-');
    }
    let start = text.len();
    group(&mut packed, whole % 9, &mut text)?;
    for _ in 0..whole / 9 {
        group(&mut packed, 9, &mut text)?;
    }
    let zeros = text[start..].bytes().take_while(|digit| *digit == b'0').count();
    text.drain(start..start + zeros);
    if text.len() == start {
        text.push('0');
    }
    if scale > 0 {
        text.push('.');
        for _ in 0..scale / 9 {
            group(&mut packed, 9, &mut text)?;
        }
        group(&mut packed, scale % 9, &mut text)?;
    }
    if negative && !text.bytes().any(|digit| digit.is_ascii_digit() && digit != b'0') {
        text.remove(0);
    }
    Ok(text.into())
}

fn malformed() -> Error {
    Error::new(Kind::Malformed, "a packed decimal")
}

/// Appends one group of `digits` (0 ..= 9) digits.
fn group(packed: &mut Cursor<'_>, digits: u8, text: &mut String) -> Result<()> {
    use std::fmt::Write;
    if digits == 0 {
        return Ok(());
    }
    let bytes = PART_BYTES.get(usize::from(digits)).copied().ok_or_else(malformed)?;
    let number = packed.uint_be(bytes)?;
    if number >= 10u64.pow(u32::from(digits)) {
        return Err(malformed());
    }
    let width = usize::from(digits);
    write!(text, "{number:0width$}").map_err(|_| malformed())
}
