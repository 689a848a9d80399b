//! Kinds of values between steps, and the column that stands for a value which a step has made.

use std::fmt;

use crate::model::schema::JsonKind;
use crate::model::{Column, Type};

/// What kind of value a step gets or makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int,
    Decimal,
    Float,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    Instant,
    Uuid,
    Json,
    Enum,
    /// A type of which steps know nothing.
    Other,
}

impl Kind {
    /// The kind of a column's values.
    pub(crate) fn of(ty: &Type) -> Kind {
        match ty {
            Type::Bool => Kind::Bool,
            Type::Int { .. } | Type::Year => Kind::Int,
            Type::Decimal(_) => Kind::Decimal,
            Type::F32 | Type::F64 => Kind::Float,
            Type::Char { .. } | Type::Text { .. } => Kind::Text,
            Type::Binary { .. } | Type::Bytes { .. } => Kind::Bytes,
            Type::Date => Kind::Date,
            Type::Time { .. } => Kind::Time,
            Type::Timestamp { .. } => Kind::Timestamp,
            Type::Instant { .. } => Kind::Instant,
            Type::Uuid => Kind::Uuid,
            Type::Json(_) => Kind::Json,
            Type::Enum { .. } => Kind::Enum,
            _ => Kind::Other,
        }
    }

    /// Whether it is a number.
    pub(crate) const fn is_number(self) -> bool {
        matches!(self, Kind::Int | Kind::Decimal | Kind::Float)
    }

    /// The widest type of this kind and its name at PostgreSQL.
    fn widest(self) -> (Type, &'static str) {
        match self {
            Kind::Bool => (Type::Bool, "boolean"),
            Kind::Int => (Type::Int { bits: 64, unsigned: false }, "bigint"),
            Kind::Decimal => (Type::Decimal(None), "numeric"),
            Kind::Float => (Type::F64, "double precision"),
            Kind::Text | Kind::Enum => (Type::Text { chars: None, bytes: None }, "text"),
            Kind::Bytes => (Type::Bytes { bytes: None }, "bytea"),
            Kind::Date => (Type::Date, "date"),
            Kind::Time => (Type::Time { digits: 6 }, "time"),
            Kind::Timestamp => (Type::Timestamp { digits: 6 }, "timestamp"),
            Kind::Instant => (Type::Instant { digits: 6 }, "timestamptz"),
            Kind::Uuid => (Type::Uuid, "uuid"),
            Kind::Json => (Type::Json(JsonKind::Verbatim), "json"),
            Kind::Other => (Type::Unsupported, "unknown"),
        }
    }

    /// The column that a value of this kind comes from, once a step has made it: of the widest type, as
    /// PostgreSQL has it.
    pub(crate) fn column(self, source: &Column) -> Column {
        let (ty, native) = self.widest();
        Column {
            ty,
            native: native.to_owned(),
            charset: None,
            exact_collation: true,
            ..source.clone()
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Bool => "a boolean",
            Kind::Int => "a whole number",
            Kind::Decimal => "a decimal",
            Kind::Float => "a float",
            Kind::Text => "text",
            Kind::Bytes => "bytes",
            Kind::Date => "a date",
            Kind::Time => "a time",
            Kind::Timestamp => "a timestamp without zone",
            Kind::Instant => "a moment",
            Kind::Uuid => "a uuid",
            Kind::Json => "a JSON document",
            Kind::Enum => "an enum label",
            Kind::Other => "a value of a type that steps do not know",
        })
    }
}
