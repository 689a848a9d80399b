//! Character sets by collation id, and bytes of a character set to UTF-8.
//!
//! Only what is carried today: utf8mb4, utf8mb3, ascii, latin1 (which is cp1252 with its five
//! undefined bytes kept as U+0081 and so on) and binary. Others are known by id only and refused
//! by the planner by name; here they are `None`. Ids are fixed in both servers; MariaDB's nopad
//! collations are the id plus 1024, its UCA-1400 ones start at 2048 (utf8mb3) and 2304 (utf8mb4).

use bytes::Bytes;
use bytestring::ByteString;

use crate::error::{Error, Kind, Result};

/// A character set that weir carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charset {
    /// Up to 4 bytes per character; ASCII is a part of it.
    Utf8mb4,
    /// Up to 3 bytes per character.
    Utf8mb3,
    /// Up to 1 byte per character.
    Ascii,
    /// cp1252 as MySQL understands it.
    Latin1,
    /// Bytes without characters.
    Binary,
}

impl Charset {
    /// The character set of a collation id; `None` for one that weir does not carry.
    pub(crate) fn of_collation(id: u32) -> Option<Charset> {
        // MariaDB: nopad variants of the collations below 1024.
        let id = if (1024..2048).contains(&id) { id - 1024 } else { id };
        match id {
            63 => Some(Charset::Binary),
            11 | 65 => Some(Charset::Ascii),
            5 | 8 | 15 | 31 | 47 | 48 | 49 | 94 => Some(Charset::Latin1),
            33 | 76 | 83 | 192..=215 | 223 | 576..=578 | 2048..=2303 => Some(Charset::Utf8mb3),
            45 | 46 | 224..=247 | 255..=323 | 608..=610 | 2304..=2559 => Some(Charset::Utf8mb4),
            _ => None,
        }
    }

    /// Bytes per character at most, as column lengths are counted.
    pub(crate) fn bytes_per_char(self) -> u32 {
        match self {
            Charset::Utf8mb4 => 4,
            Charset::Utf8mb3 => 3,
            Charset::Ascii | Charset::Latin1 | Charset::Binary => 1,
        }
    }

    /// Bytes of this character set as text. UTF-8 is shared, not copied.
    ///
    /// # Errors
    /// `Value` for bytes that are none of the character set's.
    pub(crate) fn text(self, bytes: Bytes) -> Result<ByteString> {
        if self == Charset::Latin1 && !bytes.is_ascii() {
            return Ok(bytes.iter().map(|byte| latin1(*byte)).collect::<String>().into());
        }
        ByteString::try_from(bytes).map_err(|error| {
            Error::new(Kind::Value, "text that is not of its column's character set")
                .caused_by(error)
        })
    }
}

/// One byte of latin1: cp1252, where 81, 8D, 8F, 90 and 9D stand for themselves.
fn latin1(byte: u8) -> char {
    const FROM_80: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž',
        '\u{8F}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}',
        'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9F => FROM_80[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}
