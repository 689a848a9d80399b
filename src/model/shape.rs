//! What a value of a type is made of that only one dialect has, as far as another server can hold it.
//!
//! A room finds it in its catalog; `transform::forms` reads and writes values by it. Plain data: bounds
//! on how deep and large a shape may be are the catalog's.

use crate::model::Type;

/// The make of a [`Type::Native`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Not known, or it means nothing elsewhere: it crosses only into itself.
    Opaque,
    /// Any text of at most so many bytes (`citext`, `name`).
    Text {
        /// Limit in bytes.
        bytes: Option<u64>,
    },
    /// One ASCII character, or none: `"char"`.
    Letter,
    /// Text that only its own server makes (`xml`, `tsvector`, `regclass`): it crosses one way.
    Printed,
    /// A number without sign that is no number type: `oid`, `xid8`.
    Unsigned {
        /// 32 or 64.
        bits: u8,
    },
    /// `money`, with the digits after the point that the database's locale gives it.
    Money {
        /// Digits after the point.
        digits: u8,
    },
    /// `interval`.
    Interval {
        /// Fraction digits of the seconds.
        digits: u8,
        /// Whether it holds all fields.
        whole: bool,
    },
    /// `timetz`.
    TimeTz {
        /// Fraction digits of the seconds.
        digits: u8,
    },
    /// `inet`.
    Inet,
    /// `cidr`.
    Cidr,
    /// `macaddr` and `macaddr8`.
    Mac {
        /// 6 or 8.
        bytes: u8,
    },
    /// `pg_lsn`.
    Lsn,
    /// `ltree`.
    Ltree,
    /// `bit(n)` of PostgreSQL, `BIT(n)` of MySQL and MariaDB.
    Bits {
        /// Digits.
        count: u32,
    },
    /// `varbit`.
    VarBits {
        /// Most digits.
        max: Option<u32>,
    },
    /// A geometric type of PostgreSQL.
    Figure(Figure),
    /// A range.
    Range {
        /// Type of the bounds.
        element: Box<Type>,
        /// Whether the server brings it into the form `[a,b)`.
        discrete: bool,
    },
    /// A multirange of such ranges.
    Multirange {
        /// Type of the bounds.
        element: Box<Type>,
        /// As of [`Shape::Range`].
        discrete: bool,
    },
    /// An array of any number of dimensions.
    Array {
        /// Type of its elements.
        element: Box<Type>,
        /// What stands between elements.
        delimiter: char,
    },
    /// A composite type: its fields in order.
    Composite(Vec<(String, Type)>),
    /// `hstore`.
    Hstore,
    /// A set of labels: MySQL and MariaDB.
    Set(Vec<String>),
    /// `INET4` or `INET6` of MariaDB.
    Address {
        /// 4 or 16.
        bytes: u8,
    },
    /// Geometry: of MySQL and MariaDB, or of PostGIS.
    Geometry {
        /// The one kind that a column takes, by its number in WKB.
        kind: Option<u32>,
        /// The one reference system that a column takes. No log says it.
        srid: Option<u32>,
    },
    /// A vector of 32-bit floats.
    Vector {
        /// The one length that a column takes.
        count: Option<u32>,
    },
}

/// Geometric types of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// `point`.
    Point,
    /// `line`.
    Line,
    /// `lseg`.
    Segment,
    /// `box`.
    Box,
    /// `path`.
    Path,
    /// `polygon`.
    Polygon,
    /// `circle`.
    Circle,
}

impl Type {
    /// The shape of a native type.
    pub fn shape(&self) -> Option<&Shape> {
        match self {
            Type::Native { shape, .. } => Some(shape),
            _ => None,
        }
    }

    /// Whether two columns have one type by name and limits. What a type of that name is made of is
    /// not in every log, and is not compared.
    pub fn is_same(&self, other: &Type) -> bool {
        match (self, other) {
            (
                Type::Native { name, modifier, .. },
                Type::Native { name: other, modifier: limits, .. },
            ) => name == other && modifier == limits,
            _ => self == other,
        }
    }

    /// Whether two values of it that differ differ in their text: what a match key needs.
    pub fn has_one_text(&self) -> bool {
        !matches!(
            self.shape(),
            Some(
                Shape::Opaque
                    | Shape::Text { bytes: None }
                    | Shape::Address { .. }
                    | Shape::Printed
                    | Shape::Money { .. }
                    | Shape::Interval { .. }
                    | Shape::TimeTz { .. }
                    | Shape::Figure(_)
                    | Shape::Range { .. }
                    | Shape::Multirange { .. }
                    | Shape::Array { .. }
                    | Shape::Composite(_)
                    | Shape::Hstore
                    | Shape::Set(_)
                    | Shape::Geometry { .. }
                    | Shape::Vector { .. }
            )
        )
    }
}
