//! What a column pair may lose, as `weir explain` prints it.
//!
//! Judged from the source's type and the compiled limits: `exact` and `widening` promise that no
//! value of the source is refused; everything else is `range-checked`.

use std::fmt;

use crate::config::Dialect;
use crate::model::schema::DecimalSize;
use crate::model::shape::{Figure, Shape};
use crate::model::{Column, Type};
use crate::transform::Charset;
use crate::transform::conversion::{
    Blanks, BytesFit, ClockFit, Conversion, DecimalFit, Fit, FloatFit, SpecialFit, TextFit, Turn,
};
use crate::transform::forms::convert::FormFit;
use crate::transform::mapping::{int_fit, is_unsigned};

/// What a pair may lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossClass {
    /// Every value crosses and comes back.
    Exact,
    /// Every value crosses into a wider type.
    Widening,
    /// Values that do not fit are refused.
    RangeChecked,
}

impl LossClass {
    /// The word that `explain` prints.
    pub const fn name(self) -> &'static str {
        match self {
            LossClass::Exact => "exact",
            LossClass::Widening => "widening",
            LossClass::RangeChecked => "range-checked",
        }
    }

    /// Exact where both hold the same, widening where the target holds more.
    const fn of(covers: bool, same: bool) -> Self {
        match (covers, same) {
            (true, true) => LossClass::Exact,
            (true, false) => LossClass::Widening,
            (false, _) => LossClass::RangeChecked,
        }
    }
}

impl fmt::Display for LossClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The class of a pair that [`crate::transform::pair`] allows.
pub(crate) fn loss(source: &Column, dialect: Dialect, conversion: &Conversion) -> LossClass {
    if source.nullable && !conversion.nullable {
        return LossClass::RangeChecked;
    }
    let postgres = dialect == Dialect::Postgres;
    match (&source.ty, &conversion.fit) {
        // TINYINT(1) holds other numbers than 0 and 1; boolean and BIT(1) do not.
        (Type::Bool, Fit::Bool) => {
            let two_values = postgres || source.native.to_ascii_lowercase().starts_with("bit");
            LossClass::of(two_values, two_values)
        }
        (Type::Bool, fit @ Fit::Int { .. }) => integers(&int_fit(8, false), fit),
        (Type::Int { bits, unsigned }, fit @ Fit::Int { .. }) => {
            integers(&int_fit(*bits, *unsigned), fit)
        }
        (Type::Int { bits, unsigned }, Fit::Decimal(fit)) => {
            let digits = if *unsigned { [3, 5, 8, 10, 20] } else { [3, 5, 7, 10, 19] };
            let slot = match bits {
                8 => 0,
                16 => 1,
                24 => 2,
                32 => 3,
                _ => 4,
            };
            let size = DecimalSize { precision: digits[slot], scale: 0 };
            decimals(Some(size), false, fit, fit.negative || *unsigned)
        }
        (Type::Year, Fit::Year | Fit::Int { .. }) => LossClass::Exact,
        (Type::Decimal(size), Fit::Decimal(fit)) => {
            decimals(*size, postgres, fit, has_sign(source, fit.negative))
        }
        (Type::F32, Fit::F32(fit)) | (Type::F64, Fit::F64(fit)) => {
            floats(source, postgres, fit, true)
        }
        (Type::F32, Fit::F64(fit)) => floats(source, postgres, fit, false),
        (Type::Char { .. } | Type::Text { .. }, Fit::Text(fit)) => texts(source, postgres, fit),
        (Type::Binary { .. } | Type::Bytes { .. }, Fit::Bytes(fit)) => bytes(&source.ty, fit),
        (Type::Date, Fit::Date { infinity, invalid, .. })
            if has_calendar(postgres, *infinity, *invalid) =>
        {
            LossClass::Exact
        }
        (Type::Timestamp { digits }, Fit::Clock(fit)) if fit.turn == Turn::Wall => {
            clocks(postgres, *digits, fit)
        }
        (Type::Instant { digits }, Fit::Clock(fit)) if fit.turn == Turn::Moment => {
            clocks(postgres, *digits, fit)
        }
        (Type::Time { digits }, Fit::Time { digits: target, min, .. }) => {
            // A duration, unless the target has times of day only.
            let covers = postgres || *min < 0;
            LossClass::of(covers && digits <= target, digits == target)
        }
        (Type::Uuid, _) | (_, Fit::Same) => LossClass::Exact,
        (ty, Fit::Form(fit)) => forms(ty, fit),
        (Type::Json(_), Fit::Json(fit)) if fit.unchecked && fit.bytes_max.is_none() => {
            LossClass::Exact
        }
        (Type::Enum { labels }, Fit::Enum { labels: target }) => {
            let known = |label: &String| {
                target.binary_search_by(|other| other.as_ref().cmp(label.as_str())).is_ok()
            };
            // ENUM of MySQL and MariaDB has the invalid value beside its labels.
            let covers = postgres && labels.iter().all(known);
            LossClass::of(covers, labels.len() == target.len())
        }
        _ => LossClass::RangeChecked,
    }
}

/// Of a type that only one dialect has.
fn forms(ty: &Type, fit: &FormFit) -> LossClass {
    let bits = |bits: u8| u64::MAX >> (64 - bits);
    let covers = match (ty.shape(), fit) {
        (Some(Shape::Unsigned { bits: own }), FormFit::Number { max }) => bits(*own) <= *max,
        (_, FormFit::Bits { .. } | FormFit::Bit | FormFit::BitsText { .. }) => true,
        (_, FormFit::LabelsArray { .. } | FormFit::VectorText { count: None, .. }) => true,
        (Some(shape), FormFit::Text(fit)) => {
            let most = longest(shape).unwrap_or(1 << 30);
            let bytes = fit.bytes_max.is_none_or(|max| max >= most);
            let chars = fit.chars_max.is_none_or(|max| max >= most);
            let ascii = fit.charset == Charset::Utf8 || is_ascii(shape);
            bytes && chars && ascii && fit.blanks != Blanks::Refuse
        }
        _ => false,
    };
    LossClass::of(covers, covers)
}

/// The longest text of a type of PostgreSQL, in bytes, where it has one.
fn longest(shape: &Shape) -> Option<u64> {
    Some(match shape {
        Shape::Text { bytes } => (*bytes)?,
        Shape::Letter => 4,
        Shape::Unsigned { .. } => 20,
        // Months, days and microseconds of the most digits, each with its sign.
        Shape::Interval { .. } => 60,
        Shape::TimeTz { .. } => 24,
        Shape::Inet | Shape::Cidr => 43,
        Shape::Mac { bytes } => 3 * u64::from(*bytes) - 1,
        Shape::Lsn => 17,
        Shape::Bits { count } => u64::from(*count),
        Shape::VarBits { max } => u64::from((*max)?),
        Shape::Figure(Figure::Point) => 60,
        Shape::Figure(Figure::Line | Figure::Circle) => 90,
        Shape::Figure(Figure::Segment | Figure::Box) => 120,
        _ => return None,
    })
}

/// Whether a type of PostgreSQL prints ASCII only.
fn is_ascii(shape: &Shape) -> bool {
    !matches!(shape, Shape::Text { .. } | Shape::Printed | Shape::Ltree)
        && !matches!(shape, Shape::Range { .. } | Shape::Multirange { .. } | Shape::Letter)
}

fn integers(source: &Fit, target: &Fit) -> LossClass {
    let (Fit::Int { min, max }, Fit::Int { min: target_min, max: target_max }) = (source, target)
    else {
        return LossClass::RangeChecked;
    };
    LossClass::of(target_min <= min && target_max >= max, source == target)
}

/// Whether the target's calendar has all that the source's has: infinities and the years beyond 9999,
/// or the dates that are none.
pub(super) const fn has_calendar(postgres: bool, infinity: bool, invalid: bool) -> bool {
    if postgres { infinity } else { invalid }
}

/// Whether a target that may lack negative numbers lacks none of the source's.
pub(super) fn has_sign(source: &Column, negative: bool) -> bool {
    negative || is_unsigned(source)
}

/// Whether every character of the source's is one of the target's.
pub(super) fn has_characters(source: &Column, target: Charset) -> bool {
    // Where the two servers differ in a set, that of MySQL is no other than MariaDB's by mistake.
    let named = |name: &str| [false, true].map(|mariadb| Charset::named(name, mariadb));
    match source.charset.as_deref() {
        None => Charset::Utf8.is_within(target),
        Some(name) => named(name).iter().all(|own| own.is_some_and(|own| own.is_within(target))),
    }
}

fn clocks(postgres: bool, digits: u8, fit: &ClockFit) -> LossClass {
    let covers = has_calendar(postgres, fit.infinity, fit.invalid) && digits <= fit.digits;
    LossClass::of(covers, digits == fit.digits)
}

fn decimals(
    source: Option<DecimalSize>,
    postgres: bool,
    fit: &DecimalFit,
    sign: bool,
) -> LossClass {
    let special = !postgres || fit.special != SpecialFit::Nothing;
    let (Some(source), Some(target)) = (source, fit.size) else {
        let covers = fit.size.is_none() && special && sign;
        return LossClass::of(covers, covers && source.is_none());
    };
    let whole = i32::from(source.precision) - i32::from(source.scale);
    let scale = i32::from(source.scale);
    let covers = target.whole_max >= whole && target.scale >= scale && special && sign;
    LossClass::of(covers, target.whole_max == whole && target.scale == scale)
}

fn floats(source: &Column, postgres: bool, fit: &FloatFit, same: bool) -> LossClass {
    LossClass::of((!postgres || fit.special) && has_sign(source, fit.negative), same)
}

fn texts(source: &Column, postgres: bool, fit: &TextFit) -> LossClass {
    let (chars, bytes) = match &source.ty {
        Type::Char { chars } => (Some(u64::from(*chars)), None),
        Type::Text { chars, bytes } => (chars.map(u64::from), *bytes),
        _ => (None, None),
    };
    // Four bytes per character at most; PostgreSQL ends at 1 GiB.
    let most = chars.map(|chars| chars * 4).into_iter().chain(bytes).min();
    let most = most.unwrap_or(if postgres { 1 << 30 } else { u64::MAX });
    let length = match (fit.chars_max, fit.bytes_max) {
        (Some(max), _) => chars.is_some_and(|chars| chars <= max) || most <= max,
        (None, Some(max)) => most <= max,
        (None, None) => true,
    };
    let charset = has_characters(source, fit.charset);
    let covers = length && charset && (postgres || fit.nul) && fit.blanks != Blanks::Refuse;
    LossClass::of(covers, fit.chars_max == chars && (chars.is_some() || fit.bytes_max == bytes))
}

fn bytes(source: &Type, fit: &BytesFit) -> LossClass {
    let most = match source {
        Type::Binary { bytes } => Some(u64::from(*bytes)),
        Type::Bytes { bytes } => *bytes,
        _ => None,
    };
    let exact = fit.bytes_exact.map(u64::from);
    let covers = match (exact, fit.bytes_max) {
        (Some(exact), _) => matches!(source, Type::Binary { .. }) && most == Some(exact),
        (None, Some(max)) => most.unwrap_or(1 << 30) <= max,
        (None, None) => true,
    };
    LossClass::of(covers, exact.or(fit.bytes_max) == most)
}
