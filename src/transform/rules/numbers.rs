//! Steps on numbers: exact, on digits of any count.

use std::cmp::Ordering;

use super::bind::{Bound, Ground, needs};
use super::kind::Kind;
use super::literal::Literal;
use super::number::{Mode, Number};
use super::registry::Params;
use super::step::Step;
use super::values::{text_of, value_of};
use crate::model::Value;
use crate::transform::Reason;

/// Places that a number may be moved by.
const PLACES_MAX: i64 = 100;

/// An exact number of a value.
pub(super) fn number_of(value: &Value) -> Result<Number, Reason> {
    match value {
        Value::Decimal(digits) => Number::parse(digits).ok_or(Reason::Parse),
        Value::Int(_) | Value::UInt(_) => {
            text_of(value).and_then(|text| Number::parse(&text)).ok_or(Reason::Parse)
        }
        Value::DecimalSpecial(_) => Err(Reason::NonFinite),
        _ => Err(Reason::PairNeedsRule),
    }
}

fn decimal(number: &Number) -> Value {
    Value::Decimal(number.to_string().into())
}

pub(super) fn parse_number(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["thousands", "decimal", "currency", "negative"])?;
    let thousands =
        table.text("thousands")?.map(|_| table.character("thousands", ',')).transpose()?;
    let point = table.character("decimal", '.')?;
    if thousands == Some(point) {
        return Err("`thousands` and `decimal` are the same".to_owned());
    }
    if [thousands, Some(point)].into_iter().flatten().any(|mark| mark.is_ascii_digit()) {
        return Err("a digit separates nothing".to_owned());
    }
    let mut currency = table.texts("currency")?;
    // The longest first, so that no other is found within it.
    currency.sort_by_key(|sign| std::cmp::Reverse(sign.len()));
    let parentheses = table.word("negative", &["minus", "parentheses"])? == "parentheses";
    let written = Written { thousands, point, currency, parentheses };
    Ok(Step::of(move |ground| {
        needs(ground, &[Kind::Text])?;
        let written = written.clone();
        Ok(Bound::of(Kind::Decimal, move |value| match value {
            Value::Text(text) => {
                written.read(&text).map(|number| decimal(&number)).ok_or(Reason::Parse)
            }
            _ => Err(Reason::PairNeedsRule),
        }))
    }))
}

/// How numbers are written.
#[derive(Clone)]
struct Written {
    thousands: Option<char>,
    point: char,
    currency: Vec<String>,
    parentheses: bool,
}

impl Written {
    fn read(&self, text: &str) -> Option<Number> {
        let mut rest = self.without_currency(text.trim());
        let mut negative = false;
        if self.parentheses {
            if let Some(inner) = rest.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
                (rest, negative) = (inner.trim(), true);
            }
        } else if let Some(inner) = rest.strip_prefix(['-', '−']) {
            (rest, negative) = (inner.trim_start(), true);
        } else if let Some(inner) = rest.strip_prefix('+') {
            rest = inner;
        }
        rest = self.without_currency(rest);
        let (whole, fraction) = match rest.split_once(self.point) {
            Some((_, "")) => return None,
            Some((whole, fraction)) => (whole, fraction),
            None => (rest, ""),
        };
        let digits = self.without_thousands(whole)?;
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = Number::parse(&format!("{digits}.{fraction}"))?;
        Some(if negative { number.negated() } else { number })
    }

    fn without_currency<'t>(&self, text: &'t str) -> &'t str {
        for sign in &self.currency {
            let sign = sign.as_str();
            if let Some(rest) = text.strip_prefix(sign).or_else(|| text.strip_suffix(sign)) {
                return rest.trim();
            }
        }
        text
    }

    /// Groups of three, except the first, which may be shorter; or no groups at all.
    fn without_thousands(&self, whole: &str) -> Option<String> {
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let Some(mark) = self.thousands.filter(|mark| whole.contains(*mark)) else {
            return plain(whole).then(|| whole.to_owned());
        };
        let groups: Vec<&str> = whole.split(mark).collect();
        let sound = groups.iter().enumerate().all(|(at, group)| {
            plain(group)
                && match at {
                    0 => (1..=3).contains(&group.len()),
                    _ => group.len() == 3,
                }
        });
        sound.then(|| groups.concat())
    }
}

fn mode(word: &str) -> Mode {
    match word {
        "half_even" => Mode::HalfEven,
        "half_down" => Mode::HalfDown,
        "up" => Mode::Up,
        "down" => Mode::Down,
        "floor" => Mode::Floor,
        "ceil" => Mode::Ceil,
        _ => Mode::HalfUp,
    }
}

pub(super) fn round(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["scale", "mode"])?;
    let scale = table.whole("scale", -PLACES_MAX, PLACES_MAX)?.ok_or("`scale` is missing")?;
    let words = ["half_up", "half_even", "half_down", "up", "down", "floor", "ceil"];
    let mode = mode(table.word("mode", &words)?);
    Ok(Step::of(move |ground| match ground.kind {
        Kind::Int | Kind::Decimal => Ok(Bound::of(ground.kind, move |value| {
            let rounded = number_of(&value)?.rounded(scale, mode);
            Ok(match value {
                Value::Int(_) => rounded.whole().map_or_else(|| decimal(&rounded), Value::Int),
                _ => decimal(&rounded),
            })
        })),
        Kind::Time | Kind::Timestamp | Kind::Instant if !(0..=6).contains(&scale) => {
            Err("seconds have 0 to 6 digits".to_owned())
        }
        Kind::Time => Ok(Bound::of(Kind::Time, move |value| match value {
            Value::Time(us) => round_us(us, scale, mode).map(Value::Time),
            _ => Err(Reason::PairNeedsRule),
        })),
        Kind::Timestamp | Kind::Instant => Ok(Bound::of(ground.kind, move |value| {
            // Later is up, whatever the era: no moment is negative.
            let later = match mode {
                Mode::Down => Mode::Floor,
                Mode::Up => Mode::Ceil,
                other => other,
            };
            match value {
                Value::Timestamp(us) => round_moment(us, scale, later).map(Value::Timestamp),
                Value::Instant(us) => round_moment(us, scale, later).map(Value::Instant),
                other => Ok(other),
            }
        })),
        other => Err(format!("takes decimals and times, and gets {other}")),
    }))
}

fn round_us(us: i64, scale: i64, mode: Mode) -> Result<i64, Reason> {
    let number = Number::parse(&us.to_string()).ok_or(Reason::Parse)?;
    number.rounded(scale - 6, mode).whole().ok_or(Reason::OutOfRange)
}

/// As if counted from the beginning of time, so that halves go to the later side everywhere.
fn round_moment(us: i64, scale: i64, mode: Mode) -> Result<i64, Reason> {
    const SECOND: i64 = 1_000_000;
    let whole = us.div_euclid(SECOND) * SECOND;
    Ok(whole + round_us(us - whole, scale, mode)?)
}

pub(super) fn scale(params: &Params<'_>) -> Result<Step, String> {
    let Literal::Int(places) = *params.written else {
        return Err("takes a whole number".to_owned());
    };
    if !(-PLACES_MAX..=PLACES_MAX).contains(&places) {
        return Err(format!("takes a number from -{PLACES_MAX} to {PLACES_MAX}"));
    }
    let moved = |value: &Value, places: i64| {
        let number = number_of(value)?.moved(places).ok_or(Reason::OutOfRange)?;
        Ok(decimal(&number))
    };
    Ok(Step::of(move |ground| {
        needs(ground, &[Kind::Int, Kind::Decimal])?;
        let bound = Bound::of(Kind::Decimal, move |value| moved(&value, places));
        Ok(bound.back(move |value| moved(&value, -places)))
    }))
}

pub(super) fn clamp(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["min", "max"])?;
    let (min, max) = (table.get("min").cloned(), table.get("max").cloned());
    if min.is_none() && max.is_none() {
        return Err("takes `min`, `max`, or both".to_owned());
    }
    Ok(Step::of(move |ground| {
        let (min, max) = bounds(ground, min.as_ref(), max.as_ref())?;
        Ok(Bound::of(ground.kind, move |value| {
            Ok(match outside(&value, min.as_ref(), max.as_ref())? {
                Some(bound) => bound.clone(),
                None => value,
            })
        }))
    }))
}

/// Least and greatest value of a kind that has an order.
pub(super) fn bounds(
    ground: &Ground<'_>,
    min: Option<&Literal>,
    max: Option<&Literal>,
) -> Result<(Option<Value>, Option<Value>), String> {
    if matches!(
        ground.kind,
        Kind::Bool | Kind::Text | Kind::Bytes | Kind::Uuid | Kind::Json | Kind::Enum | Kind::Other
    ) {
        return Err(format!("takes what has an order, and gets {}", ground.kind));
    }
    // A bound of whole numbers may have a fraction only where clamping cannot make one.
    let value = |literal: Option<&Literal>| {
        literal.map(|literal| value_of(literal, ground.kind)).transpose()
    };
    let (min, max) = (value(min)?, value(max)?);
    if let (Some(min), Some(max)) = (&min, &max)
        && order(min, max).is_ok_and(|order| order == Ordering::Greater)
    {
        return Err("the least value is above the greatest".to_owned());
    }
    Ok((min, max))
}

/// The bound that a value is beyond, if it is.
pub(super) fn outside<'b>(
    value: &Value,
    min: Option<&'b Value>,
    max: Option<&'b Value>,
) -> Result<Option<&'b Value>, Reason> {
    if let Some(min) = min
        && order(value, min)? == Ordering::Less
    {
        return Ok(Some(min));
    }
    if let Some(max) = max
        && order(value, max)? == Ordering::Greater
    {
        return Ok(Some(max));
    }
    Ok(None)
}

/// How two values of one kind compare.
pub(super) fn order(value: &Value, other: &Value) -> Result<Ordering, Reason> {
    let float = |value: &Value| match value {
        Value::F32(float) => Some(f64::from(*float)),
        Value::F64(float) => Some(*float),
        _ => None,
    };
    match (value, other) {
        (Value::Date(a), Value::Date(b)) => Ok(a.cmp(b)),
        (Value::Time(a), Value::Time(b))
        | (Value::Timestamp(a), Value::Timestamp(b))
        | (Value::Instant(a), Value::Instant(b)) => Ok(a.cmp(b)),
        (Value::Infinity, _) => Ok(Ordering::Greater),
        (Value::NegativeInfinity, _) => Ok(Ordering::Less),
        (Value::InvalidDate(date), _) => Err(crate::transform::coerce::why_invalid(date)),
        (Value::F32(_) | Value::F64(_), _) => {
            let pair = float(value).zip(float(other)).ok_or(Reason::PairNeedsRule)?;
            pair.0.partial_cmp(&pair.1).ok_or(Reason::NonFinite)
        }
        _ => Ok(number_of(value)?.compare(&number_of(other)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn german() -> Written {
        Written {
            thousands: Some('.'),
            point: ',',
            currency: vec!["EUR".into(), "€".into()],
            parentheses: false,
        }
    }

    /// Broken if an amount were read as another one, or a text that is none as some amount.
    #[test]
    fn amounts_are_read_strictly() {
        let read = |text: &str| german().read(text).map(|number| number.to_string());
        for (text, expected) in [
            ("1.234,565", "1234.565"),
            ("€ 1.234,50", "1234.5"),
            ("-12,00 EUR", "-12"),
            ("- 5", "-5"),
            ("€-5", "-5"),
            ("-€5", "-5"),
            ("1234", "1234"),
            ("0,5", "0.5"),
            ("+7", "7"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "1.23,4",
            "12.34.567",
            ".5",
            "1,",
            "1.5",
            "1,2,3",
            "1 000",
            "12 USD",
            "--1",
            "1.2345",
            "€",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        let us = Written {
            thousands: Some(','),
            point: '.',
            currency: vec!["$".into()],
            parentheses: true,
        };
        let read = |text: &str| us.read(text).map(|number| number.to_string());
        assert_eq!(read("($1,234.50)").as_deref(), Some("-1234.5"));
        assert_eq!(read("$(7)").as_deref(), Some("-7"));
        assert_eq!(read("-7"), None);
    }

    /// Broken if a moment before 2000 were rounded away from the clock that shows it.
    #[test]
    fn moments_are_cut_towards_the_past() {
        assert_eq!(round_moment(-1_500_001, 0, Mode::Floor), Ok(-2_000_000));
        assert_eq!(round_moment(123_456, 3, Mode::Floor), Ok(123_000));
        assert_eq!(round_moment(-500_000, 0, Mode::HalfUp), Ok(0));
        assert_eq!(round_moment(999_999, 3, Mode::HalfUp), Ok(1_000_000));
        assert_eq!(round_us(-1_500_000, 0, Mode::Down), Ok(-1_000_000));
    }
}
