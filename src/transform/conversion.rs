//! What the planner hands to the converter: a column pair compiled to the few limits that decide
//! whether a value fits.
//!
//! Plain data without names or types of columns: [`crate::transform::convert`] looks at nothing
//! else. A variant names the logical kind the target takes; its fields hold what the target cannot
//! hold. Every limit comes from the type-mapping rules, none from a server's error.

use std::sync::Arc;

use crate::transform::Charset;
use crate::transform::forms::convert::FormFit;

/// How one column crosses. Made by [`crate::transform::pair`].
#[derive(Clone, Debug, PartialEq)]
pub struct Conversion {
    /// Whether the target takes NULL.
    pub nullable: bool,
    /// Kind of value and limits of the target.
    pub fit: Fit,
}

/// The kind of value a target column takes, with its limits.
#[derive(Clone, Debug, PartialEq)]
pub enum Fit {
    /// A boolean; 0 and 1 of integer columns are booleans too, other numbers are none.
    Bool,
    /// An integer in these bounds; booleans become 0 and 1, decimals must be whole.
    Int {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: u64,
    },
    /// `YEAR`: 0 and 1901 ..= 2155.
    Year,
    /// An exact decimal.
    Decimal(DecimalFit),
    /// A decimal as text, special values included (numeric wider than DECIMAL into VARCHAR).
    DecimalText {
        /// Longest text, in characters.
        chars_max: Option<u64>,
    },
    /// A 32-bit float.
    F32(FloatFit),
    /// A 64-bit float.
    F64(FloatFit),
    /// Text.
    Text(TextFit),
    /// Bytes.
    Bytes(BytesFit),
    /// A date in these bounds.
    Date {
        /// Days since 2000-01-01; smallest.
        min: i32,
        /// Days since 2000-01-01; largest.
        max: i32,
        /// Whether the target has infinities.
        infinity: bool,
        /// Whether the target holds dates that are none, as the source does.
        invalid: bool,
    },
    /// A time of day or duration in these bounds.
    Time {
        /// Microseconds; smallest.
        min: i64,
        /// Microseconds; largest.
        max: i64,
        /// Fraction digits of the target.
        digits: u8,
    },
    /// A wall clock or moment.
    Clock(ClockFit),
    /// A UUID from a UUID type.
    Uuid,
    /// A UUID read from its text with dashes.
    UuidFromText {
        /// Whether only lower case is taken, so that one value has one spelling (match keys).
        lower_only: bool,
    },
    /// A UUID from its 16 bytes in network order.
    UuidFromBytes,
    /// A UUID as lower-case text with dashes.
    UuidText,
    /// A UUID as its 16 bytes in network order.
    UuidBytes,
    /// A JSON document.
    Json(JsonFit),
    /// A label of this set, sorted by bytes.
    Enum {
        /// Labels of the target, sorted.
        labels: Arc<[Box<str>]>,
    },
    /// An enum label as text.
    EnumText(TextFit),
    /// A value of a type that only one dialect has.
    Form(Box<FormFit>),
    /// The type is the same on both sides: any value, as it is.
    Same,
}

/// Limits of a decimal column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecimalFit {
    /// Most digits before the point (negative: zeros required after it) and the scale; `None` for
    /// unconstrained numeric, where trailing zeros are removed.
    pub size: Option<DecimalDigits>,
    /// Whether negative numbers fit.
    pub negative: bool,
    /// Whether NaN and infinities fit (numeric of PostgreSQL; a constrained one has NaN only).
    pub special: SpecialFit,
}

/// Digits around the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecimalDigits {
    /// Digits before the point, precision - scale.
    pub whole_max: i32,
    /// Digits after the point; negative means multiples of a power of ten.
    pub scale: i32,
}

/// Which special decimals fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialFit {
    /// None.
    Nothing,
    /// NaN.
    NaN,
    /// NaN and infinities.
    All,
}

/// Limits of a float column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloatFit {
    /// Whether NaN and infinities fit (PostgreSQL).
    pub special: bool,
    /// Whether the sign of zero is kept; where not (MariaDB), -0 becomes 0.
    pub negative_zero: bool,
    /// Whether negative numbers fit.
    pub negative: bool,
}

/// Limits of a text column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextFit {
    /// Limit in characters.
    pub chars_max: Option<u64>,
    /// Limit in bytes of the target's character set.
    pub bytes_max: Option<u64>,
    /// What the target's character set can hold.
    pub charset: Charset,
    /// Whether the character U+0000 fits.
    pub nul: bool,
    /// Trailing blanks.
    pub blanks: Blanks,
}

/// What becomes of trailing blanks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blanks {
    /// They are data on both sides.
    Keep,
    /// The source pads: they are removed.
    Trim,
    /// The target pads and they are data at the source: refused.
    Refuse,
}

/// Limits of a bytes column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BytesFit {
    /// Longest value.
    pub bytes_max: Option<u64>,
    /// The one length that fits (BINARY(n)).
    pub bytes_exact: Option<u32>,
    /// The source is BINARY(n): shorter values are filled with 0x00 to this length.
    pub pad_to: Option<u32>,
}

/// Limits of a timestamp column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockFit {
    /// From what to what.
    pub turn: Turn,
    /// Microseconds since 2000-01-01; smallest.
    pub min: i64,
    /// Microseconds since 2000-01-01; largest.
    pub max: i64,
    /// Fraction digits of the target.
    pub digits: u8,
    /// Whether the target has infinities.
    pub infinity: bool,
    /// Whether the target holds dates that are none, as the source does.
    pub invalid: bool,
    /// Whether the moment 1970-01-01 00:00:00 UTC is the source's zero date.
    pub zero_epoch: bool,
}

/// Kinds of clock on the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Wall clock to wall clock.
    Wall,
    /// Moment to moment.
    Moment,
    /// Moment to its UTC wall clock.
    MomentToUtc,
    /// UTC wall clock to its moment (the way back of [`Turn::MomentToUtc`]).
    UtcToMoment,
}

/// What a JSON target refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonFit {
    /// Whether the target takes text instead of a JSON type.
    pub into_text: bool,
    /// Whether nothing needs to be looked at.
    pub unchecked: bool,
    /// Deepest nesting of arrays and objects.
    pub depth_max: u32,
    /// Whether the same name twice in an object is refused.
    pub unique_names: bool,
    /// Whether `\u0000` is refused.
    pub no_nul: bool,
    /// Whether lone surrogates are refused.
    pub no_lone_surrogates: bool,
    /// What numbers must be.
    pub numbers: Numbers,
    /// Longest text in bytes.
    pub bytes_max: Option<u64>,
}

/// What JSON numbers a target holds exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Any.
    Any,
    /// What numeric holds: 131072 digits before the point, 16383 after.
    Numeric,
    /// int64, uint64, or equal to the shortest text of a double (MySQL).
    Mysql,
}
