//! Steps between text and dates, times and timestamps.
//!
//! Each has its way back: what one writes, the other reads. Dates that are none keep their own reasons,
//! so that the settings for them apply.

use super::bind::{Bound, needs};
use super::clock::Zone;
use super::format::{Fields, Format};
use super::kind::Kind;
use super::literal::Literal;
use super::registry::Params;
use super::step::Step;
use crate::model::Value;
use crate::model::calendar::DAY_US;
use crate::transform::Reason;
use crate::transform::coerce::why_invalid;

/// What a format and its companions say.
#[derive(Clone)]
struct Shape {
    format: Format,
    pivot: Option<i64>,
    zone: Option<Zone>,
}

fn shape(params: &Params<'_>, known: &[&str], what: &str) -> Result<Shape, String> {
    let table = params.table_or(what, known)?;
    let text = match params.written {
        Literal::Text(text) => Some(text.as_str()),
        _ => table.text("format")?,
    };
    let format = Format::parse(text.ok_or("the format is missing")?)?;
    let pivot = table.whole("two_digit_year_pivot", 1, 9900)?;
    let zone = table.text("zone")?.map(Zone::find).transpose()?;
    Ok(Shape { format, pivot, zone })
}

/// What is read of a kind.
fn value(fields: &Fields, kind: Kind, zone: Option<&Zone>) -> Result<Value, Reason> {
    let invalid = || Reason::Parse;
    Ok(match kind {
        Kind::Date => {
            let days = fields.days().ok_or_else(invalid)?;
            Value::Date(i32::try_from(days).map_err(|_| Reason::OutOfRange)?)
        }
        Kind::Time => Value::Time(fields.time_us().ok_or_else(invalid)?),
        Kind::Timestamp => Value::Timestamp(fields.wall_us().ok_or_else(invalid)?),
        _ => {
            let wall = fields.wall_us().ok_or_else(invalid)?;
            match (fields.offset_us, zone) {
                (Some(offset), _) => Value::Instant(wall - offset),
                (None, Some(zone)) => Value::Instant(zone.to_moment(wall)?),
                (None, None) => Value::Instant(wall),
            }
        }
    })
}

/// What is written of a value.
fn written(shape: &Shape, value: &Value) -> Result<Value, Reason> {
    let (days, us, offset) = match value {
        Value::Date(days) => (i64::from(*days), 0, 0),
        Value::Time(us) if (0..DAY_US).contains(us) => (0, *us, 0),
        Value::Time(_) => return Err(Reason::NotTimeOfDay),
        Value::Timestamp(us) => (us.div_euclid(DAY_US), us.rem_euclid(DAY_US), 0),
        Value::Instant(us) => {
            let wall = shape.zone.as_ref().map_or(Ok(*us), |zone| zone.to_wall(*us))?;
            (wall.div_euclid(DAY_US), wall.rem_euclid(DAY_US), wall - us)
        }
        Value::Infinity | Value::NegativeInfinity => return Err(Reason::Infinity),
        Value::InvalidDate(date) => return Err(why_invalid(date)),
        _ => return Err(Reason::PairNeedsRule),
    };
    let text = shape.format.write(days, us, offset).ok_or(Reason::OutOfRange)?;
    Ok(Value::Text(text.into()))
}

fn read(shape: &Shape, value_read: &Value, kind: Kind) -> Result<Value, Reason> {
    let Value::Text(text) = value_read else { return Err(Reason::PairNeedsRule) };
    let fields = shape.format.read(text, shape.pivot).ok_or(Reason::Parse)?;
    value(&fields, kind, shape.zone.as_ref())
}

fn parses(shape: Shape, kind: Kind) -> Result<Step, String> {
    if shape.format.has_short_year() && shape.pivot.is_none() {
        return Err("%y wants `two_digit_year_pivot`, the first of the hundred years".to_owned());
    }
    if kind != Kind::Time && !shape.format.has_date() {
        return Err("the format wants a year, a month and a day".to_owned());
    }
    if kind != Kind::Date && !shape.format.has_time() {
        return Err("the format wants an hour".to_owned());
    }
    Ok(Step::of(move |ground| {
        needs(ground, &[Kind::Text])?;
        let (forward, back) = (shape.clone(), shape.clone());
        let bound = Bound::of(kind, move |value| read(&forward, &value, kind));
        Ok(bound.back(move |value| written(&back, &value)))
    }))
}

fn formats(shape: Shape, kinds: &'static [Kind]) -> Step {
    Step::of(move |ground| {
        needs(ground, kinds)?;
        if shape.zone.is_some() && ground.kind != Kind::Instant {
            return Err("`zone` is for moments; a wall clock has none".to_owned());
        }
        let (forward, back, kind) = (shape.clone(), shape.clone(), ground.kind);
        let bound = Bound::of(Kind::Text, move |value| written(&forward, &value));
        Ok(bound.back(move |value| read(&back, &value, kind)))
    })
}

pub(super) fn parse_date(params: &Params<'_>) -> Result<Step, String> {
    parses(shape(params, &["format", "two_digit_year_pivot"], "%d/%m/%Y")?, Kind::Date)
}

pub(super) fn parse_time(params: &Params<'_>) -> Result<Step, String> {
    parses(shape(params, &["format"], "%H:%M:%S")?, Kind::Time)
}

pub(super) fn parse_datetime(params: &Params<'_>) -> Result<Step, String> {
    let known = ["format", "two_digit_year_pivot", "zone"];
    let shape = shape(params, &known, "%Y-%m-%d %H:%M:%S")?;
    let moment = shape.zone.is_some() || shape.format.has_offset();
    parses(shape, if moment { Kind::Instant } else { Kind::Timestamp })
}

pub(super) fn format_date(params: &Params<'_>) -> Result<Step, String> {
    let shape = shape(params, &["format"], "%d/%m/%Y")?;
    Ok(formats(shape, &[Kind::Date, Kind::Timestamp]))
}

pub(super) fn format_time(params: &Params<'_>) -> Result<Step, String> {
    Ok(formats(shape(params, &["format"], "%H:%M:%S")?, &[Kind::Time, Kind::Timestamp]))
}

pub(super) fn format_datetime(params: &Params<'_>) -> Result<Step, String> {
    let shape = shape(params, &["format", "zone"], "%Y-%m-%d %H:%M:%S")?;
    Ok(formats(shape, &[Kind::Timestamp, Kind::Instant]))
}

/// A literal as ISO 8601 has it; a timestamp may be a day alone, a moment without zone is one of UTC.
pub(super) fn literal(text: &str, kind: Kind) -> Option<Value> {
    let formats: &[&str] = match kind {
        Kind::Date => &["%F"],
        Kind::Time => &["%T", "%T.%f", "%R"],
        _ => &[
            "%F",
            "%F %T",
            "%F %T.%f",
            "%FT%T",
            "%FT%T.%f",
            "%F %T%z",
            "%F %T.%f%z",
            "%FT%T%z",
            "%FT%T.%f%z",
        ],
    };
    formats.iter().find_map(|format| {
        let format = Format::parse(format).ok()?;
        if kind == Kind::Timestamp && format.has_offset() {
            return None;
        }
        value(&format.read(text, None)?, kind, None).ok()
    })
}
