//! One column of the index that a copy walks: how its value is read, kept as text, and written as a
//! literal that the server compares just as the index sorts.
//!
//! Texts are taken as the bytes that the column holds, in its own character set and collation, so that
//! nothing is converted on the way. Enums and sets sort by their number and are compared by it: a label
//! would be compared as text. Pure. Texts of places come from a table of the target, so only what is a
//! value of the column's kind becomes SQL.

use std::fmt::Write as _;

use mysql_async::Value as Cell;

use super::row;
use crate::error::{Error, Kind, Result};
use crate::model::{Column, Type, Value};
use crate::mysql::sql::quote;

/// Members of a set at most: one more, and its number has a sign for some servers.
const SET_MEMBERS_MAX: usize = 62;

/// A column of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Quoted.
    pub(super) name: String,
    /// What it holds.
    pub(super) form: PlaceForm,
}

/// What a column holds, as far as literals go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PlaceForm {
    /// A whole number.
    Integer,
    /// A number of an enum or set.
    Ordinal,
    /// A decimal.
    Decimal,
    /// A float.
    Float,
    /// Text by its bytes.
    Text {
        /// The column's.
        charset: String,
        /// The column's.
        collation: String,
    },
    /// Bytes, padded with zeros to a width.
    Bytes(usize),
    /// What the server prints and reads as text without loss: times, UUIDs, addresses.
    Printed,
}

impl Place {
    /// `None` for a column by which no table can be walked.
    pub(super) fn of(column: &Column, collation: Option<&str>) -> Option<Place> {
        let form = match &column.ty {
            Type::Bool | Type::Int { .. } | Type::Year => PlaceForm::Integer,
            Type::Decimal(_) => PlaceForm::Decimal,
            Type::F32 | Type::F64 => PlaceForm::Float,
            Type::Char { .. } | Type::Text { .. } => PlaceForm::Text {
                charset: column.charset.clone()?,
                collation: collation?.to_owned(),
            },
            Type::Binary { bytes } => PlaceForm::Bytes(*bytes as usize),
            Type::Bytes { .. } => PlaceForm::Bytes(0),
            Type::Date | Type::Time { .. } | Type::Timestamp { .. } | Type::Instant { .. } => {
                PlaceForm::Printed
            }
            Type::Uuid => PlaceForm::Printed,
            Type::Enum { .. } => PlaceForm::Ordinal,
            Type::Native { name, .. } => match name.as_str() {
                "bit" => PlaceForm::Integer,
                "inet4" | "inet6" => PlaceForm::Printed,
                set if set.starts_with("set(") => {
                    let members = set.matches("','").count() + 1;
                    (members <= SET_MEMBERS_MAX).then_some(PlaceForm::Ordinal)?
                }
                _ => return None,
            },
            Type::Json(_) | Type::Unsupported => return None,
        };
        Some(Place { name: quote(&column.name), form })
    }

    /// The expression that yields the value.
    pub(super) fn expression(&self) -> String {
        let name = &self.name;
        match self.form {
            PlaceForm::Integer | PlaceForm::Decimal | PlaceForm::Float | PlaceForm::Bytes(_) => {
                name.clone()
            }
            PlaceForm::Ordinal => format!("CAST({name} AS UNSIGNED)"),
            PlaceForm::Text { .. } => format!("CAST({name} AS BINARY)"),
            PlaceForm::Printed => format!("CAST({name} AS CHAR)"),
        }
    }

    /// A value as it is kept.
    pub(super) fn kept(&self, cell: Cell) -> Result<String> {
        Ok(match (&self.form, cell) {
            (PlaceForm::Integer | PlaceForm::Ordinal, cell) => match row::whole(cell)? {
                Value::Int(number) => number.to_string(),
                Value::UInt(number) => number.to_string(),
                _ => return Err(unread()),
            },
            (PlaceForm::Float, Cell::Float(number)) => format!("{:e}", f64::from(number)),
            (PlaceForm::Float, Cell::Double(number)) => format!("{number:e}"),
            (PlaceForm::Text { .. }, Cell::Bytes(bytes)) => hex(&bytes),
            (PlaceForm::Bytes(width), Cell::Bytes(mut bytes)) => {
                bytes.resize(bytes.len().max(*width), 0);
                hex(&bytes)
            }
            (PlaceForm::Decimal | PlaceForm::Printed, Cell::Bytes(bytes)) => {
                String::from_utf8(bytes).map_err(|_| unread())?
            }
            _ => return Err(unread()),
        })
    }

    /// A kept value as a literal; `None` for a text that is no value of this column.
    pub(super) fn literal(&self, kept: &str) -> Option<String> {
        let all = |of: fn(char) -> bool| !kept.is_empty() && kept.chars().all(of);
        let even =
            kept.len().is_multiple_of(2) && kept.bytes().all(|byte| byte.is_ascii_hexdigit());
        match &self.form {
            PlaceForm::Integer | PlaceForm::Ordinal => {
                kept.parse::<i128>().ok().map(|number| number.to_string())
            }
            PlaceForm::Decimal => {
                let good = all(|c| c.is_ascii_digit() || matches!(c, '-' | '.'));
                good.then(|| kept.to_owned())
            }
            PlaceForm::Float => kept
                .parse::<f64>()
                .ok()
                .filter(|number| number.is_finite())
                .map(|n| format!("{n:e}")),
            PlaceForm::Text { charset, collation } => {
                even.then(|| format!("_{charset} X'{kept}' COLLATE {collation}"))
            }
            PlaceForm::Bytes(_) => even.then(|| format!("X'{kept}'")),
            PlaceForm::Printed => {
                let good = all(|c| c.is_ascii_hexdigit() || matches!(c, '-' | '.' | ':' | ' '));
                good.then(|| format!("'{kept}'"))
            }
        }
    }
}

fn unread() -> Error {
    Error::new(Kind::Internal, "a value of an index of another type than planned")
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(form: PlaceForm) -> Place {
        Place { name: "`a`".into(), form }
    }

    /// Broken if what stands in a table of the target could become SQL at the source, or a value came
    /// back as another one.
    #[test]
    fn only_values_become_literals() {
        let text = || PlaceForm::Text { charset: "latin1".into(), collation: "latin1_bin".into() };
        for (form, kept, literal) in [
            (PlaceForm::Integer, "18446744073709551615", Some("18446744073709551615")),
            (PlaceForm::Integer, "-7", Some("-7")),
            (PlaceForm::Integer, "1 OR 1", None),
            (PlaceForm::Ordinal, "", None),
            (PlaceForm::Decimal, "-0.50", Some("-0.50")),
            (PlaceForm::Decimal, "1e5", None),
            (PlaceForm::Float, "1e-1", Some("1e-1")),
            (PlaceForm::Float, "inf", None),
            (text(), "C4", Some("_latin1 X'C4' COLLATE latin1_bin")),
            (text(), "", Some("_latin1 X'' COLLATE latin1_bin")),
            (text(), "C", None),
            (text(), "C4' OR '", None),
            (PlaceForm::Bytes(2), "0AFF", Some("X'0AFF'")),
            (PlaceForm::Printed, "-838:59:59.000001", Some("'-838:59:59.000001'")),
            (PlaceForm::Printed, "0000-00-00 00:00:00", Some("'0000-00-00 00:00:00'")),
            (PlaceForm::Printed, "1' OR '1", None),
        ] {
            assert_eq!(place(form.clone()).literal(kept).as_deref(), literal, "{form:?} {kept}");
        }
    }

    /// Broken if a row's place were kept as another one: rows would be passed over or read twice.
    #[test]
    fn values_are_kept_exactly() {
        let bytes = |bytes: &[u8]| Cell::Bytes(bytes.to_vec());
        for (form, cell, kept) in [
            (PlaceForm::Integer, Cell::UInt(u64::MAX), "18446744073709551615"),
            (PlaceForm::Integer, bytes(&[0x80, 0, 0, 0, 0, 0, 0, 0]), "9223372036854775808"),
            (PlaceForm::Float, Cell::Float(0.1), "1.0000000149011612e-1"),
            (PlaceForm::Float, Cell::Double(0.1), "1e-1"),
            (PlaceForm::Bytes(3), bytes(&[1]), "010000"),
            (PlaceForm::Decimal, bytes(b"12.50"), "12.50"),
        ] {
            assert_eq!(place(form).kept(cell).expect("a value"), kept);
        }
        assert!(place(PlaceForm::Decimal).kept(Cell::Int(1)).is_err());
    }
}
