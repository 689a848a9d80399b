//! Logical values and rows: what a column holds, free of either dialect's spelling.
//!
//! Every source decoder yields these and every target encoder takes only these; no text of one
//! dialect is pasted into the other. Unknown ([`Value::Unchanged`]) and NULL are different things.
//! Equality of values is canonical only after [`crate::transform`] has normalised them for a
//! column; spelling differences such as `1.10` and `1.1` are visible here.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;

/// Microseconds between 1970-01-01 and 2000-01-01, the zero of [`Value::Timestamp`] and
/// [`Value::Instant`].
pub const UNIX_TO_2000_US: i64 = 946_684_800_000_000;

/// A logical value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// Not known from the log: unchanged TOAST, or a column missing from a partial image.
    /// Never written to a target.
    Unchanged,
    /// A boolean.
    Bool(bool),
    /// An integer that fits in 64 signed bits.
    Int(i64),
    /// An integer above `i64::MAX`; smaller ones are [`Value::Int`] (see [`Value::from_u64`]).
    UInt(u64),
    /// An exact decimal in plain notation (`-0.50`): optional sign, digits, optional fraction; no
    /// exponent. The scale is as the source showed it.
    Decimal(ByteString),
    /// A decimal that is NaN or infinite; PostgreSQL only.
    DecimalSpecial(Special),
    /// A 32-bit float.
    F32(f32),
    /// A 64-bit float.
    F64(f64),
    /// Text in UTF-8. For `char(n)` without the padding blanks.
    Text(ByteString),
    /// Raw bytes.
    Bytes(Bytes),
    /// A date of the proleptic Gregorian calendar, as days since 2000-01-01.
    Date(i32),
    /// Signed microseconds: a time of day (0 ..= 24 h) or a MySQL TIME.
    Time(i64),
    /// A wall clock without zone, as microseconds since 2000-01-01 00:00:00.
    Timestamp(i64),
    /// A moment, as microseconds since 2000-01-01 00:00:00 UTC.
    Instant(i64),
    /// `infinity` of a date, timestamp or instant; PostgreSQL only.
    Infinity,
    /// `-infinity` of a date, timestamp or instant; PostgreSQL only.
    NegativeInfinity,
    /// A date or timestamp that is none: zero, partial, or an impossible day; MySQL/MariaDB only.
    InvalidDate(InvalidDate),
    /// A UUID in network order.
    Uuid([u8; 16]),
    /// A JSON document as text.
    Json(ByteString),
    /// An enum label.
    Enum(ByteString),
    /// The invalid enum value of MySQL/MariaDB (index 0), which prints as the empty string.
    EnumInvalid,
}

/// What a decimal can be besides a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// Not a number.
    NaN,
    /// Positive infinity.
    Infinity,
    /// Negative infinity.
    NegativeInfinity,
}

impl Special {
    /// What a float is that is no finite number.
    pub fn of(number: f64) -> Option<Special> {
        match number {
            number if number.is_finite() => None,
            number if number.is_nan() => Some(Special::NaN),
            number if number > 0.0 => Some(Special::Infinity),
            _ => Some(Special::NegativeInfinity),
        }
    }
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Special::NaN => "NaN",
            Special::Infinity => "Infinity",
            Special::NegativeInfinity => "-Infinity",
        })
    }
}

/// The fields of a date that is not in the calendar, as the binlog holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidDate {
    /// Year, 0 ..= 9999.
    pub year: u16,
    /// Month, 0 ..= 12.
    pub month: u8,
    /// Day, 0 ..= 31.
    pub day: u8,
    /// Microseconds since midnight.
    pub time_us: i64,
}

impl InvalidDate {
    /// Whether it is the zero date `0000-00-00`, as opposed to a partial or impossible one.
    pub const fn is_zero(&self) -> bool {
        self.year == 0 && self.month == 0 && self.day == 0
    }
}

impl Value {
    /// An unsigned integer in its one representation.
    pub const fn from_u64(value: u64) -> Self {
        if value <= i64::MAX as u64 { Value::Int(value as i64) } else { Value::UInt(value) }
    }

    /// Whether the value is known from the log (NULL is known).
    pub const fn is_known(&self) -> bool {
        !matches!(self, Value::Unchanged)
    }

    /// The memory the value holds beyond its own size, in bytes; for the bounds of queues.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Value::Decimal(text) | Value::Text(text) | Value::Json(text) | Value::Enum(text) => {
                text.len()
            }
            Value::Bytes(bytes) => bytes.len(),
            _ => 0,
        }
    }

    /// The same value in memory of its own: others may share that of the message they came in, and
    /// keep it for as long as they are.
    pub fn detached(&self) -> Value {
        let copy = |text: &ByteString| ByteString::from(&**text);
        match self {
            Value::Decimal(text) => Value::Decimal(copy(text)),
            Value::Text(text) => Value::Text(copy(text)),
            Value::Json(text) => Value::Json(copy(text)),
            Value::Enum(text) => Value::Enum(copy(text)),
            Value::Bytes(bytes) => Value::Bytes(Bytes::copy_from_slice(bytes)),
            other => other.clone(),
        }
    }
}

/// The values of one row, in an order that the holder knows (source columns, plan columns, key).
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Row(pub Box<[Value]>);

impl Row {
    /// The memory of the row in bytes, for the bounds of queues.
    pub fn size_bytes(&self) -> usize {
        size_of::<Value>() * self.0.len() + self.0.iter().map(Value::heap_bytes).sum::<usize>()
    }
}

impl From<Vec<Value>> for Row {
    fn from(values: Vec<Value>) -> Self {
        Row(values.into_boxed_slice())
    }
}

impl FromIterator<Value> for Row {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        Row(values.into_iter().collect())
    }
}

impl std::ops::Deref for Row {
    type Target = [Value];
    fn deref(&self) -> &[Value] {
        &self.0
    }
}
