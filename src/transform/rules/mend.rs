//! What becomes of values that no type can carry, by the settings of `[conversion]`.
//!
//! A mend is looked up only where a step or the fit check has refused a value, by the reason: values that
//! cross cost nothing. What a mend makes goes through the same checks.

use serde_json::value::RawValue;

use super::bind::Bound;
use super::kind::Kind;
use super::literal::{Literal, quoted};
use super::registry::Params;
use super::settings::{Choice, Setting, Settings, choice};
use super::step::Step;
use super::values::value_of;
use crate::config::Dialect;
use crate::model::calendar::DAY_US;
use crate::model::shape::Shape;
use crate::model::{Column, Value};
use crate::transform::conversion::Turn;
use crate::transform::{Conversion, Fit, Reason};

/// How deep a document may be nested for a name to be dropped from it.
const DEPTH_MAX: usize = 100;

/// What a reason is mended by.
#[derive(Clone, Debug)]
pub(super) enum Mend {
    Null,
    Value(Value),
    /// The first of the month, or of the year.
    First,
    /// The nearest value that the target holds.
    Clamp,
    Strip,
    Replace,
    Truncate,
    /// The last, or the first, of the members of one name.
    Last(bool),
    /// The array without the bounds in front of it.
    Unbound,
}

/// The mends of one column.
#[derive(Clone, Debug, Default)]
pub(super) struct Mends(pub(super) Vec<(Reason, Mend)>);

/// The reason that a setting is about.
const fn reason(name: &str) -> Option<Reason> {
    match name.as_bytes() {
        b"zero_date" => Some(Reason::ZeroDate),
        b"partial_date" => Some(Reason::PartialDate),
        b"infinity" => Some(Reason::Infinity),
        b"non_finite" => Some(Reason::NonFinite),
        b"nul_char" => Some(Reason::NulChar),
        b"too_long" => Some(Reason::TooLong),
        b"out_of_range" => Some(Reason::OutOfRange),
        b"enum_invalid" => Some(Reason::EnumInvalid),
        b"json_duplicate_keys" => Some(Reason::JsonDuplicateKey),
        b"array_bounds" => Some(Reason::ArrayBounds),
        _ => None,
    }
}

/// Whether values of such a column can meet a reason at all.
fn can_meet(name: &str, source: &Column, dialect: Dialect, end: (Kind, &Conversion)) -> bool {
    let kind = Kind::of(&source.ty);
    let postgres = dialect == Dialect::Postgres;
    let temporal = matches!(kind, Kind::Date | Kind::Timestamp | Kind::Instant);
    match name {
        "zero_date" | "partial_date" => temporal && !postgres,
        "infinity" => temporal && postgres,
        "non_finite" => matches!(kind, Kind::Decimal | Kind::Float) && postgres,
        "enum_invalid" => kind == Kind::Enum && !postgres,
        "json_duplicate_keys" => end.0 == Kind::Json,
        "array_bounds" => {
            postgres
                && matches!(source.ty.shape(), Some(Shape::Array { .. }))
                && matches!(end.1.fit, Fit::Form(_))
        }
        "nul_char" => matches!(&end.1.fit, Fit::Text(fit) | Fit::EnumText(fit) if !fit.nul),
        "too_long" => matches!(end.1.fit, Fit::Text(_) | Fit::EnumText(_) | Fit::Bytes(_)),
        "out_of_range" => matches!(
            end.1.fit,
            Fit::Int { .. }
                | Fit::Decimal(_)
                | Fit::F32(_)
                | Fit::F64(_)
                | Fit::Date { .. }
                | Fit::Time { .. }
                | Fit::Clock(_)
        ),
        _ => false,
    }
}

/// The mends that matter to a column. What `written` names is of the column's own steps: there a setting
/// that can do nothing is an error.
pub(super) fn mends(
    settings: &Settings,
    written: &[&str],
    source: (&Column, Dialect),
    end: (Kind, &Conversion),
) -> Result<Mends, String> {
    let mut mends = Vec::new();
    for (name, choice) in &settings.0 {
        let own = written.contains(name);
        let Some(reason) = reason(name) else { continue };
        if !can_meet(name, source.0, source.1, end) {
            match own {
                true => return Err(format!("`{name}`: no value of the column needs it")),
                false => continue,
            }
        }
        if own && *choice == Choice::Word("null") && !end.1.nullable {
            return Err(format!("`{name}`: the target's column takes no NULL"));
        }
        if choice.is_reject() {
            continue;
        }
        mends.push((reason, mend(name, choice, Kind::of(&source.0.ty))?));
    }
    Ok(Mends(mends))
}

fn mend(name: &str, choice: &Choice, kind: Kind) -> Result<Mend, String> {
    Ok(match choice {
        Choice::Word("null") => Mend::Null,
        Choice::Word("clamp") => Mend::Clamp,
        Choice::Word("strip") => Mend::Strip,
        Choice::Word("replace") => Mend::Replace,
        Choice::Word("truncate") => Mend::Truncate,
        Choice::Word("drop") => Mend::Unbound,
        Choice::Word("last") => Mend::Last(true),
        Choice::Word("first") if name == "partial_date" => Mend::First,
        Choice::Word("first") => Mend::Last(false),
        Choice::Word(word) => return Err(format!("`{name}`: \"{word}\" means nothing")),
        Choice::Value(text) => {
            let numeric = matches!(kind, Kind::Decimal | Kind::Float);
            let literal = match numeric {
                true => Literal::Number(text.clone()),
                false => Literal::Text(text.clone()),
            };
            let value = value_of(&literal, kind);
            Mend::Value(value.map_err(|why| format!("`{name}`: {why} ({})", quoted(text)))?)
        }
    })
}

/// A setting as a step: it does nothing by itself.
pub(super) fn step(setting: &'static Setting, params: &Params<'_>) -> Result<Step, String> {
    let text = match params.written {
        Literal::Text(text) => text.clone(),
        Literal::Int(_) | Literal::Number(_) if setting.value => params.written.json(),
        other => return Err(format!("`{}` takes a string, not {}", setting.name, other.kind())),
    };
    let choice = choice(setting, &text)?;
    let step = Step::of(|ground| Ok(Bound::of(ground.kind, Ok).back(Ok).with_null()));
    Ok(Step { choice: Some((setting.name, choice)), ..step })
}

impl Mends {
    /// Whether a setting is one of these.
    pub(super) fn is_of(&self, name: &str) -> bool {
        reason(name).is_some_and(|reason| self.0.iter().any(|(other, _)| *other == reason))
    }

    /// What stands for a value that was refused for a reason, if somebody has said so.
    pub(super) fn mend(
        &self,
        reason: Reason,
        value: &Value,
        conversion: &Conversion,
    ) -> Option<Value> {
        let (_, mend) = self.0.iter().find(|(other, _)| *other == reason)?;
        match mend {
            Mend::Null => Some(Value::Null),
            Mend::Value(value) => Some(value.clone()),
            Mend::First => first_of(value, &conversion.fit),
            Mend::Clamp => clamped(value, &conversion.fit),
            Mend::Strip => without_nul(value, ""),
            Mend::Replace => without_nul(value, "\u{fffd}"),
            Mend::Truncate => truncated(value, &conversion.fit),
            Mend::Unbound => match value {
                Value::Text(text) => unbound(text).map(|text| Value::Text(text.into())),
                _ => None,
            },
            Mend::Last(last) => match value {
                Value::Json(text) | Value::Text(text) => {
                    let text = single(text, *last, DEPTH_MAX)?;
                    Some(match value {
                        Value::Json(_) => Value::Json(text.into()),
                        _ => Value::Text(text.into()),
                    })
                }
                _ => None,
            },
        }
    }
}

fn without_nul(value: &Value, with: &str) -> Option<Value> {
    match value {
        Value::Text(text) => Some(Value::Text(text.replace('\0', with).into())),
        Value::Enum(label) => Some(Value::Enum(label.replace('\0', with).into())),
        _ => None,
    }
}

/// An array's text without the bounds in front: `{1,2}` of `[0:1]={1,2}`.
fn unbound(text: &str) -> Option<&str> {
    let (bounds, list) = text.split_once('=')?;
    let plain = |byte: u8| byte.is_ascii_digit() || b"[]:-+".contains(&byte);
    (bounds.starts_with('[') && bounds.bytes().all(plain)).then_some(list)
}

/// The first day that a date without month or day may mean.
fn first_of(value: &Value, fit: &Fit) -> Option<Value> {
    let Value::InvalidDate(date) = value else { return None };
    let (month, day) = (date.month.max(1), date.day.max(1));
    let days = super::format::days_of(date.year.into(), month.into(), day.into())?;
    match fit {
        Fit::Date { .. } => i32::try_from(days).ok().map(Value::Date),
        Fit::Clock(fit) => {
            let us = days * DAY_US + date.time_us;
            Some(match fit.turn {
                Turn::Wall | Turn::UtcToMoment => Value::Timestamp(us),
                Turn::Moment | Turn::MomentToUtc => Value::Instant(us),
            })
        }
        _ => None,
    }
}

/// The nearest value that the target holds.
fn clamped(value: &Value, fit: &Fit) -> Option<Value> {
    let unit = |digits: u8| 10_i64.pow(6 - u32::from(digits.min(6)));
    let below = is_below(value)?;
    match fit {
        Fit::Int { min, max } => Some(if below { Value::Int(*min) } else { Value::from_u64(*max) }),
        Fit::Decimal(fit) => {
            let size = fit.size?;
            if below && !fit.negative {
                return Some(Value::Int(0));
            }
            let digits = |count: i32| "9".repeat(usize::try_from(count).unwrap_or(0));
            let whole = digits(size.whole_max);
            let zeros = "0".repeat(usize::try_from(-size.whole_max).unwrap_or(0));
            let nines = digits(size.scale.min(size.scale + size.whole_max));
            let sign = if below { "-" } else { "" };
            Some(Value::Decimal(format!("{sign}0{whole}.{zeros}{nines}").into()))
        }
        Fit::F32(fit) | Fit::F64(fit) if below && !fit.negative => Some(Value::F64(0.0)),
        Fit::F32(_) => Some(Value::F32(if below { f32::MIN } else { f32::MAX })),
        Fit::Date { min, max, .. } => Some(Value::Date(if below { *min } else { *max })),
        Fit::Time { min, max, digits } => {
            let us = if below { *min } else { *max };
            Some(Value::Time(us - us % unit(*digits)))
        }
        Fit::Clock(fit) => {
            let unit = unit(fit.digits);
            let us = if below {
                (fit.min + unit - 1).div_euclid(unit)
            } else {
                fit.max.div_euclid(unit)
            };
            let us = us * unit;
            Some(match fit.turn {
                Turn::Wall | Turn::UtcToMoment => Value::Timestamp(us),
                Turn::Moment | Turn::MomentToUtc => Value::Instant(us),
            })
        }
        _ => None,
    }
}

/// Whether a value is beyond the lower end, if it is out of range.
fn is_below(value: &Value) -> Option<bool> {
    match value {
        Value::NegativeInfinity => Some(true),
        Value::Infinity => Some(false),
        Value::Int(number) => Some(*number < 0),
        Value::UInt(_) => Some(false),
        Value::Decimal(digits) => Some(digits.starts_with('-')),
        Value::Text(digits) => Some(digits.starts_with('-')),
        Value::F32(float) => Some(*float < 0.0),
        Value::F64(float) => Some(*float < 0.0),
        Value::Date(days) => Some(*days < 0),
        Value::Time(us) | Value::Timestamp(us) | Value::Instant(us) => Some(*us < 0),
        Value::InvalidDate(_) => Some(true),
        _ => None,
    }
}

/// As many characters, or bytes, from the front as the target holds.
fn truncated(value: &Value, fit: &Fit) -> Option<Value> {
    match (value, fit) {
        (Value::Text(text) | Value::Enum(text), Fit::Text(fit) | Fit::EnumText(fit)) => {
            let chars = fit.chars_max.unwrap_or(u64::MAX);
            let bytes = fit.bytes_max.unwrap_or(u64::MAX);
            let mut end = 0;
            let mut used = 0_u64;
            for (count, (at, character)) in (1_u64..).zip(text.char_indices()) {
                let next = at + character.len_utf8();
                used += fit.charset.bytes_of(text.get(at..next)?) as u64;
                if count > chars || used > bytes {
                    break;
                }
                end = next;
            }
            let cut = text.slice_ref(text.get(..end)?);
            Some(if matches!(value, Value::Text(_)) { Value::Text(cut) } else { Value::Enum(cut) })
        }
        (Value::Bytes(bytes), Fit::Bytes(fit)) => {
            let most = fit.bytes_exact.map(u64::from).or(fit.bytes_max)?;
            let most = usize::try_from(most).ok()?;
            Some(Value::Bytes(bytes.slice(..most.min(bytes.len()))))
        }
        _ => None,
    }
}

/// A document in which every name of an object is there once.
fn single(text: &str, last: bool, depth: usize) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    let text = text.trim();
    match text.as_bytes().first()? {
        b'{' => {
            let mut members: Vec<(String, String)> = Vec::new();
            for (name, value) in super::documents::members(text).ok()? {
                let value = single(value.get(), last, depth)?;
                match members.iter_mut().find(|(other, _)| *other == name) {
                    Some(member) if last => member.1 = value,
                    Some(_) => {}
                    None => members.push((name, value)),
                }
            }
            let members = members.iter().map(|(name, value)| format!("{}: {value}", quoted(name)));
            Some(format!("{{{}}}", members.collect::<Vec<_>>().join(", ")))
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            let items = items.iter().map(|item| single(item.get(), last, depth));
            Some(format!("[{}]", items.collect::<Option<Vec<_>>>()?.join(", ")))
        }
        _ => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if an array lost more than its bounds, or a text that has none were cut.
    #[test]
    fn bounds_go_and_elements_stay() {
        assert_eq!(unbound("[0:1]={7,8}"), Some("{7,8}"));
        assert_eq!(unbound("[-1:0][2:3]={{\"a=b\",c},{d,e}}"), Some("{{\"a=b\",c},{d,e}}"));
        assert_eq!(unbound("{\"[0:1]=\"}"), None);
        assert_eq!(unbound("{a=b}"), None);
    }

    /// Broken if dropping a member changed another, or the wrong one were dropped.
    #[test]
    fn members_of_one_name_become_one() {
        let text = r#"{"a": 1, "b": [{"x": 1.10, "x": null}], "a": {"a": 2}}"#;
        assert_eq!(single(text, true, 9).unwrap(), r#"{"a": {"a": 2}, "b": [{"x": null}]}"#);
        assert_eq!(single(text, false, 9).unwrap(), r#"{"a": 1, "b": [{"x": 1.10}]}"#);
        assert_eq!(single(text, false, 2), None);
    }
}
