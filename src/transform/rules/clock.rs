//! Steps between wall clocks, moments and numbers: time zones and epochs.
//!
//! Zones are those of the IANA database that is built in, the same on every machine. What a zone leaves
//! open (an hour that comes twice, one that is skipped) is rejected unless the step says otherwise.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::bind::{Bound, needs};
use super::kind::Kind;
use super::number::Number;
use super::registry::{Params, Table};
use super::step::Step;
use crate::model::Value;
use crate::model::value::UNIX_TO_2000_US;
use crate::transform::Reason;
use crate::transform::coerce::why_invalid;

/// A time zone and what to do where it is not clear.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    zone: TimeZone,
    ambiguous: Ambiguous,
    shift_forward: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ambiguous {
    Reject,
    Earliest,
    Latest,
}

impl Zone {
    /// A zone by its name.
    pub(super) fn find(name: &str) -> Result<Zone, String> {
        let zone = TimeZone::get(name)
            .map_err(|_| format!("\"{name}\" is no time zone; take a name as Europe/Berlin"))?;
        Ok(Zone { zone, ambiguous: Ambiguous::Reject, shift_forward: false })
    }

    fn with(self, table: &Table<'_>) -> Result<Zone, String> {
        let ambiguous = match table.word("ambiguous", &["reject", "earliest", "latest"])? {
            "earliest" => Ambiguous::Earliest,
            "latest" => Ambiguous::Latest,
            _ => Ambiguous::Reject,
        };
        let shift = table.word("nonexistent", &["reject", "shift_forward"])?;
        Ok(Zone { ambiguous, shift_forward: shift == "shift_forward", ..self })
    }

    /// The moment at which this wall clock is shown.
    pub(super) fn to_moment(&self, wall_us: i64) -> Result<i64, Reason> {
        let shown = Timestamp::from_microsecond(
            wall_us.checked_add(UNIX_TO_2000_US).ok_or(Reason::OutOfRange)?,
        );
        let wall: DateTime = TimeZone::UTC.to_datetime(shown.map_err(|_| Reason::OutOfRange)?);
        let ambiguous = self.zone.to_ambiguous_timestamp(wall);
        let moment = match (ambiguous.offset(), self.ambiguous) {
            (AmbiguousOffset::Unambiguous { .. }, _) => ambiguous.unambiguous(),
            (AmbiguousOffset::Gap { .. }, _) if self.shift_forward => ambiguous.later(),
            (AmbiguousOffset::Fold { .. }, Ambiguous::Earliest) => ambiguous.earlier(),
            (AmbiguousOffset::Fold { .. }, Ambiguous::Latest) => ambiguous.later(),
            _ => return Err(Reason::Validation),
        };
        Ok(moment.map_err(|_| Reason::OutOfRange)?.as_microsecond() - UNIX_TO_2000_US)
    }

    /// The wall clock at this moment.
    pub(super) fn to_wall(&self, moment_us: i64) -> Result<i64, Reason> {
        let unix = moment_us.checked_add(UNIX_TO_2000_US).ok_or(Reason::OutOfRange)?;
        let moment = Timestamp::from_microsecond(unix).map_err(|_| Reason::OutOfRange)?;
        let offset = self.zone.to_offset(moment).seconds();
        Ok(moment_us + i64::from(offset) * 1_000_000)
    }
}

fn moment(value: &Value) -> Result<i64, Reason> {
    match value {
        Value::Timestamp(us) | Value::Instant(us) => Ok(*us),
        Value::Infinity | Value::NegativeInfinity => Err(Reason::Infinity),
        Value::InvalidDate(date) => Err(why_invalid(date)),
        _ => Err(Reason::PairNeedsRule),
    }
}

pub(super) fn timezone(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["from", "to", "ambiguous", "nonexistent"])?;
    let zone = |name| table.text(name)?.map(|name| Zone::find(name)?.with(&table)).transpose();
    let (from, to): (Option<Zone>, Option<Zone>) = (zone("from")?, zone("to")?);
    if from.is_none() && to.is_none() {
        return Err("takes `from`, `to`, or both".to_owned());
    }
    Ok(Step::of(move |ground| {
        let kind = if to.is_some() { Kind::Timestamp } else { Kind::Instant };
        needs(ground, if from.is_some() { &[Kind::Timestamp] } else { &[Kind::Instant] })?;
        let (zones, backs) = ((from.clone(), to.clone()), (to.clone(), from.clone()));
        let turn = |(from, to): &(Option<Zone>, Option<Zone>), value: &Value| {
            let us = moment(value)?;
            let us = from.as_ref().map_or(Ok(us), |zone| zone.to_moment(us))?;
            match to {
                Some(zone) => zone.to_wall(us).map(Value::Timestamp),
                None => Ok(Value::Instant(us)),
            }
        };
        let bound = Bound::of(kind, move |value| turn(&zones, &value));
        Ok(bound.back(move |value| turn(&backs, &value)))
    }))
}

pub(super) fn epoch(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["unit", "direction"])?;
    let unit = table.word("unit", &["s", "ms", "us", "ns"])?;
    // Places from the unit to microseconds.
    let places: i64 = match unit {
        "s" => 6,
        "ms" => 3,
        "us" => 0,
        _ => -3,
    };
    let direction = table.text("direction")?.map(str::to_owned);
    if direction.as_deref().is_some_and(|word| !["from_number", "to_number"].contains(&word)) {
        return Err("`direction` is \"from_number\" or \"to_number\"".to_owned());
    }
    Ok(Step::of(move |ground| {
        let numbers = [Kind::Int, Kind::Decimal];
        let from_number = match direction.as_deref() {
            Some(word) => word == "from_number",
            None => ground.kind != Kind::Instant,
        };
        if from_number {
            needs(ground, &numbers)?;
            let bound = Bound::of(Kind::Instant, move |value| to_instant(&value, places));
            return Ok(bound.back(move |value| to_number(&value, places)));
        }
        needs(ground, &[Kind::Instant])?;
        let bound = Bound::of(Kind::Int, move |value| to_number(&value, places));
        Ok(bound.back(move |value| to_instant(&value, places)))
    }))
}

/// Microseconds of a count of units; what is finer than that is cut towards the past.
fn to_instant(value: &Value, places: i64) -> Result<Value, Reason> {
    let text = super::values::text_of(value).ok_or(Reason::PairNeedsRule)?;
    let count = Number::parse(&text).ok_or(Reason::PairNeedsRule)?;
    let us = count.moved(places).ok_or(Reason::OutOfRange)?;
    let us = us.rounded(0, super::number::Mode::Floor).whole().ok_or(Reason::OutOfRange)?;
    us.checked_sub(UNIX_TO_2000_US).map(Value::Instant).ok_or(Reason::OutOfRange)
}

/// Whole units of a moment; fractions are cut towards the past, so that none is negative.
fn to_number(value: &Value, places: i64) -> Result<Value, Reason> {
    let unix = moment(value)?.checked_add(UNIX_TO_2000_US).ok_or(Reason::OutOfRange)?;
    match places {
        6 => Ok(Value::Int(unix.div_euclid(1_000_000))),
        3 => Ok(Value::Int(unix.div_euclid(1000))),
        0 => Ok(Value::Int(unix)),
        _ => unix.checked_mul(1000).map(Value::Int).ok_or(Reason::OutOfRange),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::rules::Literal;
    use crate::transform::rules::values::value_of;

    fn us(text: &str) -> i64 {
        match value_of(&Literal::Text(text.to_owned()), Kind::Timestamp) {
            Ok(Value::Timestamp(us)) => us,
            other => panic!("{other:?}"),
        }
    }

    /// Broken if an hour that comes twice, or never, were taken for one of them without a word.
    #[test]
    fn what_a_zone_leaves_open_is_rejected() {
        let zone = Zone::find("Europe/Berlin").unwrap();
        assert_eq!(zone.to_moment(us("2024-06-01 12:00:00")), Ok(us("2024-06-01 10:00:00")));
        assert_eq!(zone.to_wall(us("2024-06-01 10:00:00")), Ok(us("2024-06-01 12:00:00")));
        let (twice, never) = (us("2024-10-27 02:30:00"), us("2024-03-31 02:30:00"));
        assert_eq!(zone.to_moment(twice), Err(Reason::Validation));
        assert_eq!(zone.to_moment(never), Err(Reason::Validation));
        let early = Zone { ambiguous: Ambiguous::Earliest, ..zone.clone() };
        assert_eq!(early.to_moment(twice), Ok(us("2024-10-27 00:30:00")));
        let late = Zone { ambiguous: Ambiguous::Latest, shift_forward: true, ..zone };
        assert_eq!(late.to_moment(twice), Ok(us("2024-10-27 01:30:00")));
        // 02:30 is an hour after 01:30, which is when the clock shows 03:30.
        assert_eq!(late.to_moment(never), Ok(us("2024-03-31 01:30:00")));
        assert!(Zone::find("Mars/Olympus").is_err());
    }

    /// Broken if a moment before 1970 became a later one, or a count too large some other moment.
    #[test]
    fn epochs_floor() {
        let at = |text| Value::Instant(us(text));
        assert_eq!(to_instant(&Value::Int(1_717_236_000), 6), Ok(at("2024-06-01 10:00:00")));
        assert_eq!(to_instant(&Value::Int(-1), -3), Ok(at("1969-12-31 23:59:59.999999")));
        assert_eq!(to_number(&at("1969-12-31 23:59:59.5"), 6), Ok(Value::Int(-1)));
        assert_eq!(to_instant(&Value::Decimal("0.5".into()), 6), Ok(at("1970-01-01 00:00:00.5")));
        assert_eq!(to_instant(&Value::Int(i64::MAX), 6), Err(Reason::OutOfRange));
    }
}
