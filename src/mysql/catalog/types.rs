//! The logical type of a MySQL or MariaDB column, from what `information_schema` says of it. Pure.
//!
//! Types outside the base set and character sets that weir does not know are
//! [`Type::Unsupported`], with a name that says why. A column that MariaDB stores compressed is what
//! it is without that. Enum labels are read exactly as `COLUMN_TYPE` escapes them.

use crate::model::Type;
use crate::model::schema::{DecimalSize, JsonKind};
use crate::model::shape::Shape;
use crate::transform::Charset;

/// One column as `information_schema.COLUMNS` describes it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Described<'a> {
    /// `COLUMN_TYPE`: `int(10) unsigned`.
    pub(super) column_type: &'a str,
    /// `DATA_TYPE`: `int`.
    pub(super) data_type: &'a str,
    /// `CHARACTER_SET_NAME`.
    pub(super) charset: Option<&'a str>,
    /// `CHARACTER_MAXIMUM_LENGTH`: characters, or bytes of a binary type.
    pub(super) length: Option<u64>,
    /// `NUMERIC_PRECISION`: decimal digits, or bits of a bit type.
    pub(super) precision: Option<u64>,
    /// `NUMERIC_SCALE`.
    pub(super) scale: Option<u64>,
    /// `DATETIME_PRECISION`: fraction digits.
    pub(super) digits: Option<u64>,
    /// MariaDB: a check says that it is JSON.
    pub(super) document: bool,
    /// MySQL: the one reference system that a geometry may have.
    pub(super) srid: Option<u32>,
}

/// The logical type, and the native type's name for messages.
pub(super) fn logical(column: &Described<'_>) -> (Type, String) {
    let native = column.column_type.to_owned();
    if let Some(charset) = column.charset
        && Charset::named(charset, false).is_none()
    {
        return (Type::Unsupported, format!("{native} character set {charset}"));
    }
    (plain(column).unwrap_or(Type::Unsupported), native)
}

fn plain(column: &Described<'_>) -> Option<Type> {
    let unsigned = column.column_type.contains("unsigned");
    let int = |bits| Some(Type::Int { bits, unsigned });
    let length = || column.length.and_then(|length| u32::try_from(length).ok());
    let digits = u8::try_from(column.digits.unwrap_or(0)).ok()?;
    match column.data_type {
        "tinyint" if column.column_type == "tinyint(1)" => Some(Type::Bool),
        "bit" if column.precision == Some(1) => Some(Type::Bool),
        "tinyint" => int(8),
        "smallint" => int(16),
        "mediumint" => int(24),
        "int" => int(32),
        "bigint" => int(64),
        "decimal" => Some(Type::Decimal(Some(DecimalSize {
            precision: u16::try_from(column.precision?).ok()?,
            scale: i16::try_from(column.scale?).ok()?,
        }))),
        "float" => Some(Type::F32),
        "double" => Some(Type::F64),
        "char" => Some(Type::Char { chars: length()? }),
        "varchar" => Some(Type::Text { chars: Some(length()?), bytes: None }),
        "longtext" if column.document => Some(Type::Json(JsonKind::Verbatim)),
        // The catalog counts characters of the fewest bytes.
        "tinytext" => Some(Type::Text { chars: None, bytes: Some(0xFF) }),
        "text" => Some(Type::Text { chars: None, bytes: Some(0xFFFF) }),
        "mediumtext" => Some(Type::Text { chars: None, bytes: Some(0xFF_FFFF) }),
        "longtext" => Some(Type::Text { chars: None, bytes: Some(0xFFFF_FFFF) }),
        "binary" => Some(Type::Binary { bytes: length()? }),
        "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            Some(Type::Bytes { bytes: Some(column.length?) })
        }
        "date" => Some(Type::Date),
        "time" => Some(Type::Time { digits }),
        "datetime" => Some(Type::Timestamp { digits }),
        "timestamp" => Some(Type::Instant { digits }),
        "year" => Some(Type::Year),
        "uuid" => Some(Type::Uuid),
        "json" => Some(Type::Json(JsonKind::Mysql)),
        "enum" => Some(Type::Enum { labels: labels(column.column_type)? }),
        "set" => native(column.column_type, 0, Shape::Set(set_labels(column.column_type)?)),
        "bit" => {
            let count = u32::try_from(column.precision?).ok()?;
            native("bit", i32::try_from(count).ok()?, Shape::Bits { count })
        }
        "inet4" => native("inet4", 0, Shape::Address { bytes: 4 }),
        "inet6" => native("inet6", 0, Shape::Address { bytes: 16 }),
        "vector" => native("vector", 0, Shape::Vector { count: vector_count(column.column_type) }),
        "geomcollection" => geometry("geometrycollection", column.srid),
        name => geometry(name, column.srid),
    }
}

/// A type that only MySQL and MariaDB have. The name of a set has its labels, as the server prints them.
fn native(name: &str, modifier: i32, shape: Shape) -> Option<Type> {
    Some(Type::Native { name: name.to_owned(), modifier, shape })
}

/// Geometry types in the order of their numbers in WKB, the first of which takes all kinds.
const GEOMETRIES: [&str; 8] = [
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
];

fn geometry(name: &str, srid: Option<u32>) -> Option<Type> {
    let at = GEOMETRIES.iter().position(|geometry| *geometry == name)?;
    let kind = u32::try_from(at).ok().filter(|kind| *kind > 0);
    native(name, 0, Shape::Geometry { kind, srid })
}

/// The length of `vector(3)`.
fn vector_count(column_type: &str) -> Option<u32> {
    column_type.strip_prefix("vector(")?.strip_suffix(')')?.parse().ok()
}

/// The labels of the native type `set('a','b''c')`.
pub(in crate::mysql) fn set_labels(name: &str) -> Option<Vec<String>> {
    labels(name.strip_prefix("set").map(|list| format!("enum{list}"))?.as_str())
}

/// The labels of `enum('a','b''c')`. Quotes are doubled, and the servers print a backslash, a line
/// break, a carriage return and a zero byte as escapes. `None` for anything else.
pub(super) fn labels(column_type: &str) -> Option<Vec<String>> {
    let mut rest = column_type.strip_prefix("enum(")?.strip_suffix(')')?.chars().peekable();
    let mut labels = Vec::new();
    loop {
        if rest.next()? != '\'' {
            return None;
        }
        let mut label = String::new();
        loop {
            match rest.next()? {
                '\'' if rest.peek() == Some(&'\'') => {
                    rest.next();
                    label.push('\'');
                }
                '\'' => break,
                '\\' => label.push(match rest.next()? {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    '0' => '\0',
                    'Z' => '\u{1a}',
                    other => other,
                }),
                other => label.push(other),
            }
        }
        labels.push(label);
        match rest.next() {
            None => return Some(labels),
            Some(',') => {}
            Some(_) => return None,
        }
    }
}

/// The column of a check that says nothing but `json_valid(column)`.
pub(super) fn json_checked(clause: &str) -> Option<String> {
    let inner = clause.trim().strip_prefix("json_valid(")?.strip_suffix(')')?.trim();
    let name = inner.strip_prefix('`')?.strip_suffix('`')?;
    let unquoted = name.replace("``", "\u{0}");
    (!unquoted.contains('`')).then(|| unquoted.replace('\u{0}', "`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(column_type: &str, data_type: &str) -> Type {
        let column = Described {
            column_type,
            data_type,
            length: Some(5),
            precision: Some(10),
            scale: Some(2),
            digits: Some(3),
            ..Described::default()
        };
        logical(&column).0
    }

    /// Broken if an unsigned or wide tinyint were taken for a boolean, or a sign were lost.
    #[test]
    fn integers_and_booleans_of_both_servers() {
        assert_eq!(of("tinyint(1)", "tinyint"), Type::Bool);
        for native in ["tinyint(1) unsigned", "tinyint unsigned", "tinyint(3) unsigned zerofill"] {
            assert_eq!(of(native, "tinyint"), Type::Int { bits: 8, unsigned: true });
        }
        assert_eq!(of("tinyint(4)", "tinyint"), Type::Int { bits: 8, unsigned: false });
        assert_eq!(of("bigint(20) unsigned", "bigint"), Type::Int { bits: 64, unsigned: true });
        let shape = Shape::Bits { count: 10 };
        let ten = Type::Native { name: "bit".to_owned(), modifier: 10, shape };
        assert_eq!(of("bit(10)", "bit"), ten);
        let bit = Described {
            column_type: "bit(1)",
            data_type: "bit",
            precision: Some(1),
            ..Described::default()
        };
        assert_eq!(logical(&bit).0, Type::Bool);
    }

    /// Broken if a type outside the base set slipped through under another one's name.
    #[test]
    fn what_is_not_carried_keeps_its_name() {
        let odd = Described { column_type: "odd(3)", data_type: "odd", ..Described::default() };
        assert_eq!(logical(&odd), (Type::Unsupported, "odd(3)".to_owned()));
        for (column_type, data_type, name) in [
            (
                "geomcollection",
                "geomcollection",
                ("geometrycollection", Shape::Geometry { kind: Some(7), srid: None }),
            ),
            (
                "set('a','b')",
                "set",
                ("set('a','b')", Shape::Set(vec!["a".to_owned(), "b".to_owned()])),
            ),
            ("vector(3)", "vector", ("vector", Shape::Vector { count: Some(3) })),
        ] {
            let column = Described { column_type, data_type, ..Described::default() };
            let (name, shape) = name;
            let native = Type::Native { name: name.to_owned(), modifier: 0, shape };
            assert_eq!(logical(&column), (native, column_type.to_owned()));
        }
        assert_eq!(set_labels("set('a','b''c')").expect("labels"), ["a", "b'c"]);
        let compressed = Described {
            column_type: "varchar(100) /*M!100301 COMPRESSED*/",
            data_type: "varchar",
            charset: Some("utf8mb4"),
            length: Some(100),
            ..Described::default()
        };
        assert_eq!(logical(&compressed).0, Type::Text { chars: Some(100), bytes: None });
        let foreign =
            Described { column_type: "varchar(9)", charset: Some("klingon"), ..compressed };
        let native = "varchar(9) character set klingon".to_owned();
        assert_eq!(logical(&foreign), (Type::Unsupported, native));
    }

    /// Broken if a label with a quote, comma, backslash or line break came out as another one.
    #[test]
    fn enum_labels_are_exact() {
        let text = r#"enum('a','b''c','d,e','f\\g','','ö','nl\nx','dq"')"#;
        let expected = ["a", "b'c", "d,e", "f\\g", "", "ö", "nl\nx", "dq\""];
        assert_eq!(labels(text), Some(expected.map(str::to_owned).to_vec()));
        for broken in ["enum(", "enum()", "enum('a'", "enum('a' 'b')", "enum('a\\", "set('a')"] {
            assert_eq!(labels(broken), None, "{broken}");
        }
    }

    /// Broken if MariaDB's JSON were taken for text, or text with another check for JSON.
    #[test]
    fn json_is_told_by_its_check() {
        assert_eq!(json_checked("json_valid(`g`)"), Some("g".to_owned()));
        assert_eq!(json_checked("json_valid(`a``b`)"), Some("a`b".to_owned()));
        assert_eq!(json_checked("json_valid(`a`) and json_valid(`b`)"), None);
        assert_eq!(json_checked("`a` > 1"), None);
    }
}
