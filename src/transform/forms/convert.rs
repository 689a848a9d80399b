//! One value of a form on its way to the other side, and what `mapping` says of how.
//!
//! As everywhere in `transform`: what would not read back as an equal value is refused with a reason.

use bytestring::ByteString;

use crate::model::shape::Shape;
use crate::model::{Type, Value};
use crate::transform::conversion::{DecimalFit, JsonFit, TextFit};
use crate::transform::forms::interval::Interval;
use crate::transform::forms::structure::{Spelling, from_json, to_json};
use crate::transform::forms::wkb::{Geometry, hex, unhex};
use crate::transform::forms::{bits, canonical, figures, labels, money, network, unsigned, vector};
use crate::transform::{Reason, decimal, json, text};

/// How a value of a form crosses. Made by [`crate::transform::pair`].
#[derive(Clone, Debug, PartialEq)]
pub enum FormFit {
    /// PostgreSQL's own text into a column of text.
    Text(TextFit),
    /// A text that must be a value of the type, which PostgreSQL makes of it.
    Parsed {
        /// The target's.
        shape: Shape,
        /// Whether only the one spelling is taken, so that one value has one text (match keys).
        spelled: bool,
    },
    /// The text of a number without sign, into a column of numbers.
    Number {
        /// Largest value.
        max: u64,
    },
    /// A number into a type whose text it is.
    NumberText {
        /// Largest value.
        max: u64,
    },
    /// `money` into a decimal.
    Money {
        /// Its digits after the point.
        digits: u8,
        /// Limits of the target.
        fit: DecimalFit,
    },
    /// A decimal into `money`, in the spelling of the locale C.
    MoneyText {
        /// The target's digits after the point.
        digits: u8,
    },
    /// `money` into `money` of another database.
    MoneySame {
        /// The source's digits after the point.
        digits: u8,
        /// The target's.
        to: u8,
    },
    /// `bit(n)` into BIT(n).
    Bits {
        /// Digits.
        count: u32,
    },
    /// `bit(1)` into BIT(1), which is a boolean.
    Bit,
    /// BIT(n) into `bit(n)`.
    BitsText {
        /// Digits.
        count: u32,
    },
    /// A structure into JSON.
    Json {
        /// The source's type.
        ty: Type,
        /// Limits of the target.
        fit: JsonFit,
    },
    /// JSON into a structure.
    FromJson {
        /// The target's type.
        ty: Type,
    },
    /// An interval without months and days into TIME.
    Time {
        /// Microseconds at most.
        max: i64,
        /// Fraction digits of the target.
        digits: u8,
    },
    /// TIME into an interval.
    IntervalOfTime {
        /// Fraction digits of the target.
        digits: u8,
    },
    /// `point` into POINT.
    Point,
    /// POINT into `point`.
    PointText,
    /// Geometry of MySQL and MariaDB into EWKB.
    Ewkb,
    /// EWKB into geometry of MySQL and MariaDB.
    Geometry {
        /// The one kind that the target takes.
        kind: Option<u32>,
        /// The one reference system that the target takes.
        srid: Option<u32>,
    },
    /// Geometry of MySQL and MariaDB into a column of MySQL that takes one reference system.
    OfSystem {
        /// It.
        srid: u32,
    },
    /// Geometry of MySQL and MariaDB into PostGIS, which reads EWKB in hexadecimal.
    EwkbText,
    /// A vector into VECTOR.
    Vector {
        /// The one length that the target takes.
        count: Option<u32>,
    },
    /// VECTOR into a text of numbers.
    VectorText {
        /// The one length that the target takes.
        count: Option<u32>,
        /// Whether it is an array, and no `vector`.
        array: bool,
    },
    /// SET into text.
    Labels(TextFit),
    /// Text into SET.
    Set {
        /// The target's labels.
        labels: Vec<String>,
    },
    /// SET into an array of text.
    LabelsArray {
        /// The target's type.
        ty: Type,
    },
    /// An array of text into SET.
    SetOfArray {
        /// The source's type.
        ty: Type,
        /// The target's labels.
        labels: Vec<String>,
    },
    /// `inet` into INET4 or INET6.
    Address {
        /// 4 or 16.
        bytes: u8,
    },
}

/// The value as the target holds it, or why it does not fit. NULL and unknown are settled before.
pub(crate) fn convert(fit: &FormFit, value: &Value) -> Result<Value, Reason> {
    match value {
        Value::Text(text) => of_text(fit, text),
        Value::Bytes(bytes) => of_bytes(fit, bytes),
        other => of_another(fit, other),
    }
}

fn of_text(fit: &FormFit, value: &ByteString) -> Result<Value, Reason> {
    Ok(match fit {
        FormFit::Text(fit) => Value::Text(text::fit(value, fit)?),
        FormFit::Parsed { shape, spelled } => {
            if value.as_bytes().contains(&0) {
                return Err(Reason::NulChar);
            }
            limits(shape, value)?;
            let one = canonical(shape, value)?;
            if *spelled && one != **value {
                return Err(Reason::Parse);
            }
            Value::Text(one.into())
        }
        FormFit::Number { .. }
        | FormFit::Money { .. }
        | FormFit::MoneySame { .. }
        | FormFit::Bits { .. }
        | FormFit::Bit => number_of_text(fit, value)?,
        FormFit::Json { ty, fit } => {
            let document = to_json(ty, value, Spelling::Given)?;
            json::check(&document, fit)?;
            Value::Json(document.into())
        }
        FormFit::Time { max, digits } => {
            let us = Interval::parse(value)?.time().ok_or(Reason::OutOfRange)?;
            if us.unsigned_abs() > max.unsigned_abs() {
                return Err(Reason::OutOfRange);
            }
            if !fraction_fits(us, *digits) {
                return Err(Reason::PrecisionLoss);
            }
            Value::Time(us)
        }
        FormFit::Point => {
            let (x, y) = figures::point(value)?;
            Value::Bytes(Geometry::point(x, y)?.stored().into())
        }
        FormFit::Geometry { kind, srid } => {
            let geometry = of_kind(Geometry::of_ewkb(&unhex(value)?)?, *kind, *srid)?;
            Value::Bytes(geometry.stored().into())
        }
        FormFit::Vector { count } => {
            Value::Bytes(vector::write(&counted(vector::parse(value)?, *count)?).into())
        }
        FormFit::Labels(fit) => Value::Text(text::fit(value, fit)?),
        FormFit::Set { labels } => {
            Value::Text(labels::ordered(labels, &labels::split(value))?.into())
        }
        FormFit::LabelsArray { ty } => {
            let document = serde_json::Value::from(labels::split(value)).to_string();
            Value::Text(from_json(ty, &document)?.into())
        }
        FormFit::SetOfArray { ty, labels } => {
            let document = to_json(ty, value, Spelling::Given)?;
            let chosen: Vec<String> = serde_json::from_str(&document).map_err(|_| Reason::Parse)?;
            if chosen.iter().any(|label| label.contains(',')) {
                return Err(Reason::EnumUnknown);
            }
            Value::Text(labels::ordered(labels, &chosen)?.into())
        }
        FormFit::Address { bytes } => Value::Text(network::host(value, *bytes)?.to_string().into()),
        _ => return Err(Reason::PairNeedsRule),
    })
}

/// A text that is a number, an amount or bits.
fn number_of_text(fit: &FormFit, value: &str) -> Result<Value, Reason> {
    Ok(match fit {
        FormFit::Number { max } => match unsigned(value, 64)? {
            number if number > *max => return Err(Reason::OutOfRange),
            number => Value::from_u64(number),
        },
        FormFit::Money { digits, fit } => {
            Value::Decimal(decimal::fit(&money(value, *digits)?.into(), fit)?)
        }
        FormFit::MoneySame { digits, to } => {
            Value::Text(money_text(&money(value, *digits)?, *to)?.into())
        }
        FormFit::Bits { count } => match bits(value)? {
            text if text.len() != *count as usize => return Err(Reason::LengthChange),
            text => Value::from_u64(u64::from_str_radix(text, 2).map_err(|_| Reason::Parse)?),
        },
        FormFit::Bit => match bits(value)? {
            "0" => Value::Bool(false),
            "1" => Value::Bool(true),
            _ => return Err(Reason::LengthChange),
        },
        _ => return Err(Reason::PairNeedsRule),
    })
}

fn of_bytes(fit: &FormFit, bytes: &[u8]) -> Result<Value, Reason> {
    Ok(match fit {
        FormFit::PointText => {
            let geometry = Geometry::of_stored(bytes)?;
            match geometry.coordinates() {
                Some(point) if geometry.srid == 0 => Value::Text(figures::spell(point).into()),
                _ => return Err(Reason::GeometryUnsupported),
            }
        }
        FormFit::Ewkb => Value::Bytes(Geometry::of_stored(bytes)?.ewkb().into()),
        FormFit::EwkbText => Value::Text(hex(&Geometry::of_stored(bytes)?.ewkb()).into()),
        FormFit::Geometry { kind, srid } => {
            Value::Bytes(of_kind(Geometry::of_ewkb(bytes)?, *kind, *srid)?.stored().into())
        }
        FormFit::OfSystem { srid } => {
            of_kind(Geometry::of_stored(bytes)?, None, Some(*srid))?;
            Value::Bytes(bytes.to_vec().into())
        }
        FormFit::VectorText { count, array } => {
            let numbers = counted(vector::read(bytes)?, *count)?;
            let (first, last) = if *array { ('{', '}') } else { ('[', ']') };
            Value::Text(vector::spell(&numbers, first, last).into())
        }
        _ => return Err(Reason::PairNeedsRule),
    })
}

fn of_another(fit: &FormFit, value: &Value) -> Result<Value, Reason> {
    Ok(match (fit, value) {
        (FormFit::NumberText { max }, Value::Int(_) | Value::UInt(_)) => {
            let number = number(value)?;
            if number > *max {
                return Err(Reason::OutOfRange);
            }
            Value::Text(number.to_string().into())
        }
        (FormFit::MoneyText { digits }, Value::Decimal(text)) => {
            Value::Text(money_text(text, *digits)?.into())
        }
        (FormFit::BitsText { count }, Value::Int(_) | Value::UInt(_) | Value::Bool(_)) => {
            let number = number(value)?;
            let text = format!("{number:0>width$b}", width = *count as usize);
            if text.len() != *count as usize {
                return Err(Reason::LengthChange);
            }
            Value::Text(text.into())
        }
        (FormFit::FromJson { ty }, Value::Json(document)) => {
            Value::Text(from_json(ty, document)?.into())
        }
        (FormFit::IntervalOfTime { digits }, Value::Time(us)) => {
            if !fraction_fits(*us, *digits) {
                return Err(Reason::PrecisionLoss);
            }
            Value::Text(Interval::of_time(*us).to_string().into())
        }
        _ => return Err(Reason::PairNeedsRule),
    })
}

/// Whether a text fits the limits of a type, beside being one of it.
fn limits(shape: &Shape, text: &str) -> Result<(), Reason> {
    match shape {
        Shape::Text { bytes: Some(max) } if text.len() as u64 > *max => Err(Reason::TooLong),
        Shape::Bits { count } if text.len() != *count as usize => Err(Reason::LengthChange),
        Shape::VarBits { max: Some(max) } if text.len() > *max as usize => Err(Reason::TooLong),
        Shape::Interval { digits, .. } => match Interval::parse(text)? {
            Interval::Fields { us, .. } if !fraction_fits(us, *digits) => {
                Err(Reason::PrecisionLoss)
            }
            _ => Ok(()),
        },
        Shape::TimeTz { digits } => {
            let (us, _) = super::interval::time_with_zone(text)?;
            if fraction_fits(us, *digits) { Ok(()) } else { Err(Reason::PrecisionLoss) }
        }
        _ => Ok(()),
    }
}

/// Whether no digit beyond `digits` is lost.
fn fraction_fits(us: i64, digits: u8) -> bool {
    us % 10_i64.pow(u32::from(6 - digits.min(6))) == 0
}

fn number(value: &Value) -> Result<u64, Reason> {
    match value {
        Value::Bool(truth) => Ok(u64::from(*truth)),
        Value::Int(number) => u64::try_from(*number).map_err(|_| Reason::OutOfRange),
        Value::UInt(number) => Ok(*number),
        _ => Err(Reason::PairNeedsRule),
    }
}

/// The smallest units of a decimal as the locale C prints so many: with two digits after the point.
fn money_text(text: &str, digits: u8) -> Result<String, Reason> {
    let (sign, number) = text.strip_prefix('-').map_or(("", text), |number| ("-", number));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = usize::from(digits);
    let (kept, rest) = fraction.split_at_checked(digits).unwrap_or((fraction, ""));
    if rest.bytes().any(|digit| digit != b'0') {
        return Err(Reason::PrecisionLoss);
    }
    let units = format!("{whole}{kept:0<digits$}");
    let units: i64 = format!("{sign}{units}").parse().map_err(|_| Reason::OutOfRange)?;
    let (sign, units) = (if units < 0 { "-" } else { "" }, units.unsigned_abs());
    Ok(format!("{sign}{}.{:02}", units / 100, units % 100))
}

/// The geometry, if a column of these limits takes it.
fn of_kind(geometry: Geometry, kind: Option<u32>, srid: Option<u32>) -> Result<Geometry, Reason> {
    let is_kind = kind.is_none() || geometry.kind() == kind;
    let is_of_system = srid.is_none_or(|srid| geometry.srid == srid);
    if is_kind && is_of_system { Ok(geometry) } else { Err(Reason::GeometryUnsupported) }
}

fn counted(numbers: Vec<f32>, count: Option<u32>) -> Result<Vec<f32>, Reason> {
    let fits = count.is_none_or(|count| numbers.len() == count as usize) && !numbers.is_empty();
    if fits { Ok(numbers) } else { Err(Reason::LengthChange) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    /// Broken if a value came out as another, or one that the target bends were sent.
    #[test]
    fn values_cross_or_are_refused() {
        let set = || FormFit::Set { labels: vec!["a".into(), "b".into()] };
        let parsed = |shape| FormFit::Parsed { shape, spelled: false };
        let interval = |digits| parsed(Shape::Interval { digits, whole: true });
        for (fit, value, expected) in [
            (FormFit::Bits { count: 3 }, text("101"), Ok(Value::Int(5))),
            (FormFit::Bits { count: 4 }, text("101"), Err(Reason::LengthChange)),
            (FormFit::BitsText { count: 4 }, Value::Int(5), Ok(text("0101"))),
            (FormFit::BitsText { count: 2 }, Value::Int(5), Err(Reason::LengthChange)),
            (FormFit::Bit, text("1"), Ok(Value::Bool(true))),
            (FormFit::MoneyText { digits: 2 }, Value::Decimal("-1.5".into()), Ok(text("-1.50"))),
            (FormFit::MoneyText { digits: 0 }, Value::Decimal("1234".into()), Ok(text("12.34"))),
            (
                FormFit::MoneyText { digits: 2 },
                Value::Decimal("1.005".into()),
                Err(Reason::PrecisionLoss),
            ),
            (
                FormFit::MoneyText { digits: 2 },
                Value::Decimal("92233720368547758.08".into()),
                Err(Reason::OutOfRange),
            ),
            (FormFit::Time { max: 10, digits: 6 }, text("P1M"), Err(Reason::OutOfRange)),
            (FormFit::IntervalOfTime { digits: 6 }, Value::Time(-1), Ok(text("PT-0.000001S"))),
            (FormFit::IntervalOfTime { digits: 0 }, Value::Time(1), Err(Reason::PrecisionLoss)),
            (interval(0), text("PT0.5S"), Err(Reason::PrecisionLoss)),
            (interval(6), text("P14M"), Ok(text("P1Y2M"))),
            (set(), text("b,a"), Ok(text("a,b"))),
            (set(), text("c"), Err(Reason::EnumUnknown)),
            (FormFit::Address { bytes: 16 }, text("1.2.3.4"), Err(Reason::OutOfRange)),
            (FormFit::Number { max: 7 }, text("8"), Err(Reason::OutOfRange)),
            (FormFit::NumberText { max: 7 }, Value::Int(-1), Err(Reason::OutOfRange)),
            (parsed(Shape::Bits { count: 2 }), text("1"), Err(Reason::LengthChange)),
            (FormFit::Vector { count: Some(2) }, text("{1}"), Err(Reason::LengthChange)),
        ] {
            assert_eq!(convert(&fit, &value), expected, "{fit:?}");
        }
        let key = FormFit::Parsed { shape: Shape::Inet, spelled: true };
        assert_eq!(convert(&key, &text("10.0.0.1/32")), Err(Reason::Parse));
        assert_eq!(convert(&key, &text("10.0.0.1")), Ok(text("10.0.0.1")));
    }
}
