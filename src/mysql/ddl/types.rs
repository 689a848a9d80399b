//! One column's definition on MySQL or MariaDB.

use super::super::sql::literal;
use super::{CHAR_BYTES, KEY_BYTES_MAX};
use crate::config::Dialect;
use crate::model::schema::DecimalSize;
use crate::model::shape::{Figure, Shape};
use crate::model::{Column, Type};

/// Longest VARCHAR of utf8mb4 whose column can be a row's only one, in characters.
const VARCHAR_CHARS_MAX: u32 = 16_383;
/// Longest MEDIUMTEXT, in characters of utf8mb4.
const MEDIUMTEXT_CHARS_MAX: u32 = 4_194_303;
/// Longest label of an ENUM, in characters.
const LABEL_CHARS_MAX: usize = 255;
/// Most labels of an ENUM.
const LABELS_MAX: usize = 65_535;

/// A column's type with what the row has to hold of it.
pub(super) struct Definition {
    pub(super) ty: String,
    pub(super) comment: Option<&'static str>,
    /// Bytes in the row.
    pub(super) row_bytes: usize,
    /// The type that takes as much but lies beside the row.
    pub(super) beside: Option<&'static str>,
    /// What is computed.
    pub(super) computed: Option<String>,
}

impl Definition {
    fn plain(ty: impl Into<String>, row_bytes: usize) -> Self {
        Definition { ty: ty.into(), comment: None, row_bytes, beside: None, computed: None }
    }
}

/// The collation that compares byte for byte without padding.
pub(super) fn collation(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Mariadb => "utf8mb4_nopad_bin",
        _ => "utf8mb4_0900_bin",
    }
}

/// What follows the type of a column in `target`: the collation of a text that is compared without case, and
/// the reference system of a geometry.
pub(super) fn clause(column: &Column, target: Dialect) -> String {
    match (&column.ty, column.ty.shape()) {
        (Type::Native { name, .. }, Some(Shape::Text { .. })) if is_citext(name) => {
            let collation = match target {
                Dialect::Mariadb => "uca1400_nopad_as_ci",
                _ => "utf8mb4_0900_as_ci",
            };
            format!(" CHARACTER SET utf8mb4 COLLATE {collation}")
        }
        (_, Some(Shape::Geometry { srid: Some(srid), .. })) if target == Dialect::Mysql => {
            format!(" SRID {srid}")
        }
        _ => String::new(),
    }
}

/// `citext` is where its extension was made.
fn is_citext(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, own)| own == "citext")
}

/// The reference system that a source's column is held to, and one of `target` cannot be.
pub(super) fn unsaid_srid(column: &Column, target: Dialect) -> Option<u32> {
    match column.ty.shape() {
        Some(Shape::Geometry { srid, .. }) if target != Dialect::Mysql => *srid,
        _ => None,
    }
}

/// Bytes that a column takes in an index if nothing holds it back.
pub(super) fn natural_bytes(column: &Column, dialect: Dialect) -> usize {
    let characters = |count: usize| count.saturating_mul(CHAR_BYTES);
    match &column.ty {
        Type::Char { chars } | Type::Text { chars: Some(chars), .. } => characters(*chars as usize),
        Type::Text { chars: None, bytes: Some(bytes) } => {
            usize::try_from(*bytes).map_or(usize::MAX, characters)
        }
        Type::Bytes { bytes: Some(bytes) } => usize::try_from(*bytes).unwrap_or(usize::MAX),
        Type::Text { .. } | Type::Bytes { bytes: None } => usize::MAX,
        _ => definition(column, dialect, None).map_or(0, |definition| definition.row_bytes),
    }
}

/// The definition of a column that may take `key_bytes` in an index.
pub(super) fn definition(
    column: &Column,
    dialect: Dialect,
    key_bytes: Option<usize>,
) -> Result<Definition, &'static str> {
    if column.generated {
        return Err("computed by the source, never replicated");
    }
    let from_postgres = dialect == Dialect::Postgres;
    Ok(match &column.ty {
        Type::Bool => Definition::plain("tinyint(1)", 1),
        Type::Int { bits, unsigned } => integer(*bits, *unsigned),
        Type::Decimal(size) => decimal(*size),
        Type::F32 => Definition::plain("float", 4),
        Type::F64 => Definition::plain("double", 8),
        Type::Char { chars } if *chars <= 255 => character(*chars, key_bytes),
        Type::Char { chars } => text(Some(*chars), None, key_bytes),
        Type::Text { chars, bytes } => text(*chars, *bytes, key_bytes),
        Type::Binary { bytes } if *bytes <= 255 => {
            Definition::plain(format!("binary({bytes})"), *bytes as usize)
        }
        Type::Binary { bytes } => blob(Some(u64::from(*bytes)), key_bytes),
        Type::Bytes { bytes } => blob(*bytes, key_bytes),
        Type::Date => Definition::plain("date", 3),
        Type::Time { digits } => Definition::plain(with_digits("time", *digits), 6),
        Type::Timestamp { digits } => Definition::plain(with_digits("datetime", *digits), 8),
        Type::Instant { digits } if from_postgres => Definition {
            comment: Some("instant utc"),
            ..Definition::plain(with_digits("datetime", *digits), 8)
        },
        Type::Instant { digits } => Definition::plain(with_digits("timestamp", *digits), 7),
        Type::Year => Definition::plain("year", 1),
        Type::Uuid => Definition::plain("char(36) CHARACTER SET ascii COLLATE ascii_bin", 36),
        Type::Json(_) => Definition::plain("json", 12),
        Type::Enum { labels } => enumeration(labels, key_bytes),
        Type::Native { name, modifier, .. } if !from_postgres => Definition::plain(
            match name.as_str() {
                "bit" => format!("bit({modifier})"),
                "vector" => column.native.clone(),
                name => name.to_owned(),
            },
            12,
        ),
        Type::Native { name, shape, .. } => shaped(name, shape, key_bytes)?,
        Type::Unsupported => return Err("its type cannot cross"),
    })
}

/// What holds a type that only PostgreSQL has.
fn shaped(name: &str, shape: &Shape, key_bytes: Option<usize>) -> Result<Definition, &'static str> {
    let ascii = |ty: &str, chars: u32| {
        let ty = format!("{ty}({chars}) CHARACTER SET ascii COLLATE ascii_bin");
        Definition::plain(ty, chars as usize + 2)
    };
    let long = || text(None, None, key_bytes);
    Ok(match shape {
        Shape::Text { bytes: Some(bytes) } => text(u32::try_from(*bytes).ok(), None, key_bytes),
        Shape::Text { bytes: None } | Shape::Ltree => long(),
        Shape::Letter => Definition::plain("char(1)", CHAR_BYTES),
        Shape::Printed if name.starts_with("reg") => text(Some(255), None, key_bytes),
        Shape::Printed => long(),
        Shape::Unsigned { bits } => integer(*bits, true),
        Shape::Money { digits } => Definition::plain(format!("decimal(19,{digits})"), 9),
        Shape::Interval { whole: true, .. } => ascii("varchar", 64),
        Shape::TimeTz { .. } => ascii("varchar", 24),
        Shape::Inet | Shape::Cidr => ascii("varchar", 43),
        Shape::Mac { bytes } => ascii("char", u32::from(*bytes) * 3 - 1),
        Shape::Lsn => ascii("varchar", 17),
        Shape::Bits { count } if *count <= 64 => Definition::plain(format!("bit({count})"), 8),
        Shape::Bits { count: digits } | Shape::VarBits { max: Some(digits) }
            if *digits <= VARCHAR_CHARS_MAX =>
        {
            ascii("varchar", *digits)
        }
        Shape::Bits { .. } | Shape::VarBits { .. } => long(),
        Shape::Figure(Figure::Point) => Definition::plain("point", 12),
        Shape::Figure(Figure::Path | Figure::Polygon) => long(),
        Shape::Figure(_) | Shape::Range { .. } => text(Some(255), None, key_bytes),
        Shape::Multirange { .. } => long(),
        Shape::Array { .. } | Shape::Composite(_) | Shape::Hstore | Shape::Vector { .. } => {
            Definition::plain("json", 12)
        }
        Shape::Geometry { .. } => Definition::plain("geometry", 12),
        Shape::Opaque | Shape::Interval { .. } | Shape::Set(_) | Shape::Address { .. } => {
            return Err("its type cannot cross");
        }
    })
}

fn with_digits(ty: &str, digits: u8) -> String {
    if digits == 0 { ty.to_owned() } else { format!("{ty}({digits})") }
}

fn integer(bits: u8, unsigned: bool) -> Definition {
    let name = match bits {
        8 => "tinyint",
        16 => "smallint",
        24 => "mediumint",
        32 => "int",
        _ => "bigint",
    };
    let sign = if unsigned { " unsigned" } else { "" };
    Definition::plain(format!("{name}{sign}"), 8)
}

/// DECIMAL where precision and scale allow, else the number as text.
fn decimal(size: Option<DecimalSize>) -> Definition {
    let Some(size) = size else { return Definition::plain("decimal(65,30)", 30) };
    let (precision, scale) = (i32::from(size.precision), i32::from(size.scale));
    let (digits, scale) = match scale {
        ..0 => (precision - scale, 0),
        _ => (precision.max(scale), scale),
    };
    if digits <= 65 && scale <= 30 {
        return Definition::plain(format!("decimal({digits},{scale})"), 30);
    }
    let chars = digits + 2;
    let ty = format!("varchar({chars}) CHARACTER SET ascii COLLATE ascii_bin");
    Definition::plain(ty, usize::try_from(chars).unwrap_or(0) + 2)
}

fn character(chars: u32, key_bytes: Option<usize>) -> Definition {
    if key_bytes.is_some_and(|bytes| chars as usize * CHAR_BYTES > bytes) {
        return text(Some(chars), None, key_bytes);
    }
    Definition::plain(format!("char({chars})"), chars as usize * CHAR_BYTES)
}

/// Text of a limit in characters or in bytes; in a key, as much as the index takes.
fn text(chars: Option<u32>, bytes: Option<u64>, key_bytes: Option<usize>) -> Definition {
    if let Some(most) = key_bytes.map(|bytes| bytes.min(KEY_BYTES_MAX) / CHAR_BYTES) {
        // A limit in bytes is one in characters too.
        let limit = chars.map(u64::from).or(bytes).and_then(|limit| usize::try_from(limit).ok());
        let chars = limit.map_or(most, |limit| most.min(limit));
        return Definition::plain(format!("varchar({chars})"), chars * CHAR_BYTES + 2);
    }
    match (chars, bytes) {
        (Some(chars), _) if chars <= VARCHAR_CHARS_MAX => Definition {
            beside: Some("text"),
            ..Definition::plain(format!("varchar({chars})"), chars as usize * CHAR_BYTES + 2)
        },
        (Some(chars), _) if chars <= MEDIUMTEXT_CHARS_MAX => Definition::plain("mediumtext", 12),
        // The source's limit is in bytes of its own character set, which may take fewer.
        (None, Some(..=255)) => Definition::plain("text", 12),
        (None, Some(..=65_535)) => Definition::plain("mediumtext", 12),
        _ => Definition::plain("longtext", 12),
    }
}

fn blob(bytes: Option<u64>, key_bytes: Option<usize>) -> Definition {
    if let Some(most) = key_bytes {
        let length = bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(most).min(most);
        return Definition::plain(format!("varbinary({length})"), length + 2);
    }
    let ty = match bytes {
        Some(..=255) => "tinyblob",
        Some(..=65_535) => "blob",
        Some(..=16_777_215) => "mediumblob",
        _ => "longblob",
    };
    Definition::plain(ty, 12)
}

/// ENUM in the source's order; text where a label is none that ENUM can hold.
fn enumeration(labels: &[String], key_bytes: Option<usize>) -> Definition {
    let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let holds = |label: &String| !label.ends_with(' ') && !label.contains('\0');
    if labels.is_empty()
        || labels.len() > LABELS_MAX
        || longest > LABEL_CHARS_MAX
        || !labels.iter().all(holds)
    {
        return text(u32::try_from(longest.max(1)).ok(), None, key_bytes);
    }
    let list: Vec<String> = labels.iter().map(|label| literal(label)).collect();
    Definition::plain(format!("enum({})", list.join(",")), 2)
}
