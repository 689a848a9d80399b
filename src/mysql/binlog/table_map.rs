//! Table maps: id, names, and for each column its wire form; the optional metadata (names,
//! signedness, character sets, enum labels) is read by `metadata`.
//!
//! Names are read at once, columns only when asked for: a table that nobody replicates may hold
//! column types unknown to weir. Sources: MySQL `Table_map_event`; MariaDB "TABLE_MAP_EVENT".

use super::cursor::Cursor;
use super::event::Format;
use super::metadata;
use super::rows::COLUMNS_MAX;
use crate::error::{Error, Kind, Result};
use crate::mysql::session::Flavor;
use crate::transform::Charset;

/// A table map, its columns not yet read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableMap<'a> {
    /// What rows events refer to it by.
    pub(crate) id: u64,
    /// Database.
    pub(crate) schema: &'a str,
    /// Table.
    pub(crate) table: &'a str,
    /// Everything after the names; equal bytes describe equal columns.
    pub(crate) definition: &'a [u8],
    flavor: Flavor,
}

/// One column as the log describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventColumn {
    /// How its values are written.
    pub(crate) wire: Wire,
    /// Numbers: without sign.
    pub(crate) unsigned: bool,
    /// Its name; `None` where `binlog_row_metadata` is not FULL.
    pub(crate) name: Option<String>,
    /// Collation id of text, enum and set columns; 63 is binary.
    pub(crate) collation: Option<u32>,
    /// The character set of that; `None` for one that weir does not know.
    pub(crate) charset: Option<Charset>,
    /// Labels of an enum or set in definition order, in the column's character set.
    pub(crate) labels: Option<Vec<Vec<u8>>>,
}

/// How values of a column are written in row images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// One byte.
    Tiny,
    /// Two bytes.
    Short,
    /// Three bytes.
    Medium,
    /// Four bytes.
    Long,
    /// Eight bytes.
    LongLong,
    /// IEEE single.
    Float,
    /// IEEE double.
    Double,
    /// Packed decimal.
    Decimal {
        /// All digits.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// Three bytes.
    Date,
    /// TIME before MySQL 5.6.
    OldTime,
    /// DATETIME before MySQL 5.6.
    OldDatetime,
    /// TIMESTAMP before MySQL 5.6.
    OldTimestamp,
    /// TIME with `digits` of fraction.
    Time {
        /// 0 ..= 6.
        digits: u8,
    },
    /// DATETIME with `digits` of fraction.
    Datetime {
        /// 0 ..= 6.
        digits: u8,
    },
    /// TIMESTAMP with `digits` of fraction.
    Timestamp {
        /// 0 ..= 6.
        digits: u8,
    },
    /// One byte.
    Year,
    /// CHAR or BINARY of at most `bytes`.
    Fixed {
        /// Byte length of the column.
        bytes: u16,
    },
    /// VARCHAR or VARBINARY of at most `bytes`.
    Variable {
        /// Byte length of the column.
        bytes: u16,
    },
    /// TEXT or BLOB with a length of `length_bytes`.
    Blob {
        /// 1 ..= 4.
        length_bytes: u8,
    },
    /// Index of a label, in `bytes` bytes.
    Enum {
        /// 1 or 2.
        bytes: u8,
    },
    /// Bitmap of labels, in `bytes` bytes.
    Set {
        /// 1 ..= 8.
        bytes: u8,
    },
    /// Bits, big endian.
    Bit {
        /// 1 ..= 64.
        bits: u8,
    },
    /// Binary JSON.
    Json {
        /// 1 ..= 4.
        length_bytes: u8,
    },
    /// Another type with a length in front: geometry, vector.
    Opaque {
        /// 1 ..= 4.
        length_bytes: u8,
        /// The type's name.
        name: &'static str,
    },
    /// MariaDB `COMPRESSED` column.
    Compressed {
        /// 1 ..= 4.
        length_bytes: u8,
    },
}

impl Wire {
    /// Whether the SIGNEDNESS metadata has a bit for it (YEAR has one).
    pub(super) fn is_numeric(self) -> bool {
        use Wire::{Decimal, Double, Float, Long, LongLong, Medium, Short, Tiny, Year};
        matches!(
            self,
            Tiny | Short | Medium | Long | LongLong | Float | Double | Decimal { .. } | Year
        )
    }

    /// Whether its values have a length in front.
    pub(crate) fn is_sized(self) -> bool {
        matches!(
            self,
            Wire::Fixed { .. }
                | Wire::Variable { .. }
                | Wire::Blob { .. }
                | Wire::Json { .. }
                | Wire::Opaque { .. }
                | Wire::Compressed { .. }
        )
    }

    /// Whether the character set metadata counts it. MariaDB counts geometry and compressed
    /// columns, MySQL counts vectors.
    pub(super) fn is_character(self, flavor: Flavor) -> bool {
        match self {
            Wire::Fixed { .. } | Wire::Variable { .. } | Wire::Blob { .. } => true,
            Wire::Compressed { .. } => true,
            Wire::Opaque { name: "VECTOR", .. } => flavor == Flavor::Mysql,
            Wire::Opaque { name: "GEOMETRY", .. } => flavor == Flavor::Mariadb,
            _ => false,
        }
    }
}

/// Reads id and names.
pub(super) fn parse<'a>(mut cursor: Cursor<'a>, format: &Format) -> Result<TableMap<'a>> {
    let id = super::rows::table_id(&mut cursor, 19, format)?;
    cursor.u16()?;
    let schema = name(&mut cursor)?;
    let table = name(&mut cursor)?;
    Ok(TableMap { id, schema, table, definition: cursor.rest(), flavor: format.flavor })
}

fn name<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str> {
    let bytes = usize::from(cursor.u8()?);
    let name = cursor.bytes(bytes)?;
    cursor.u8()?;
    std::str::from_utf8(name)
        .map_err(|error| Error::new(Kind::Malformed, "a table's name in the log").caused_by(error))
}

impl TableMap<'_> {
    /// Reads the columns.
    ///
    /// # Errors
    /// `Unsupported` for a column type that weir does not know, `Malformed` for wrong bytes.
    pub(crate) fn columns(&self) -> Result<Vec<EventColumn>> {
        let mut cursor = Cursor::new(self.definition);
        let count = cursor.packed_len()?;
        if count > COLUMNS_MAX {
            return Err(Error::new(Kind::Malformed, "the column count of a table map"));
        }
        let types = cursor.bytes(count)?;
        let mut details = Cursor::new(cursor.packed_bytes()?);
        let mut columns = Vec::with_capacity(count);
        for kind in types {
            let wire = wire(*kind, &mut details).map_err(|error| {
                error.within(format_args!("table {}.{}", self.schema, self.table))
            })?;
            columns.push(EventColumn {
                wire,
                unsigned: false,
                name: None,
                collation: None,
                charset: None,
                labels: None,
            });
        }
        cursor.bytes(count.div_ceil(8))?;
        metadata::read(cursor, self.flavor, &mut columns)?;
        for column in &mut columns {
            let known = |id| Charset::of_collation(id, self.flavor == Flavor::Mariadb);
            column.charset = column.collation.and_then(known);
        }
        Ok(columns)
    }
}

/// The wire form of one column, from its type byte and its part of the type details.
fn wire(kind: u8, details: &mut Cursor<'_>) -> Result<Wire> {
    let wire = match kind {
        1 => Wire::Tiny,
        2 => Wire::Short,
        3 => Wire::Long,
        8 => Wire::LongLong,
        9 => Wire::Medium,
        4 => details.u8().map(|_| Wire::Float)?,
        5 => details.u8().map(|_| Wire::Double)?,
        7 => Wire::OldTimestamp,
        10 | 14 => Wire::Date,
        11 => Wire::OldTime,
        12 => Wire::OldDatetime,
        13 => Wire::Year,
        15 => Wire::Variable { bytes: details.u16()? },
        16 => {
            let (odd, whole) = (details.u8()?, details.u8()?);
            let bits = u16::from(whole) * 8 + u16::from(odd);
            Wire::Bit { bits: checked(bits, 1..=64, "BIT")? }
        }
        17 => Wire::Timestamp { digits: digits(details)? },
        18 => Wire::Datetime { digits: digits(details)? },
        19 => Wire::Time { digits: digits(details)? },
        140 => Wire::Compressed { length_bytes: length_bytes(details)? },
        141 => Wire::Compressed { length_bytes: if details.u16()? > 255 { 2 } else { 1 } },
        242 => Wire::Opaque { length_bytes: length_bytes(details)?, name: "VECTOR" },
        245 => Wire::Json { length_bytes: length_bytes(details)? },
        246 => decimal(details)?,
        249..=252 => Wire::Blob { length_bytes: length_bytes(details)? },
        254 => string(details)?,
        255 => Wire::Opaque { length_bytes: length_bytes(details)?, name: "GEOMETRY" },
        other => {
            return Err(Error::new(Kind::Unsupported, format!("column type {other} in the log")));
        }
    };
    Ok(wire)
}

fn checked(number: u16, range: std::ops::RangeInclusive<u16>, what: &str) -> Result<u8> {
    u8::try_from(number)
        .ok()
        .filter(|_| range.contains(&number))
        .ok_or_else(|| Error::new(Kind::Malformed, format!("the size of a {what} column")))
}

fn digits(details: &mut Cursor<'_>) -> Result<u8> {
    checked(u16::from(details.u8()?), 0..=6, "temporal")
}

fn length_bytes(details: &mut Cursor<'_>) -> Result<u8> {
    checked(u16::from(details.u8()?), 1..=4, "long")
}

fn decimal(details: &mut Cursor<'_>) -> Result<Wire> {
    let (precision, scale) = (details.u8()?, details.u8()?);
    if precision == 0 || precision > 65 || scale > precision {
        return Err(Error::new(Kind::Malformed, "the size of a DECIMAL column"));
    }
    Ok(Wire::Decimal { precision, scale })
}

/// Type 254 stands for CHAR, BINARY, ENUM and SET; the first detail byte is the real type, with
/// two bits of the length mixed in (inverted) where it is above 255.
fn string(details: &mut Cursor<'_>) -> Result<Wire> {
    let (real, size) = (details.u8()?, details.u8()?);
    Ok(match real {
        247 => Wire::Enum { bytes: checked(u16::from(size), 1..=2, "ENUM")? },
        248 => Wire::Set { bytes: checked(u16::from(size), 1..=8, "SET")? },
        _ => {
            let high = u16::from(!real & 0x30) << 4;
            Wire::Fixed { bytes: high | u16::from(size) }
        }
    })
}
