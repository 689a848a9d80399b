//! The step that puts one scalar into a document.
//!
//! Everything else of the document stays as it is written: order, blanks, and the digits of numbers. What is there
//! is replaced; a member that an object lacks, and an item behind the last, is added. Nothing is made on the way
//! there: a document without the place is rejected.

use serde_json::value::RawValue;

use super::bind::{Bound, Ground, Turned, needs};
use super::documents::{Part, member, path};
use super::kind::Kind;
use super::literal::{Literal, quoted};
use super::number::Number;
use super::registry::Params;
use super::step::Step;
use super::values::text_of;
use crate::model::Value;
use crate::transform::Reason;
use crate::transform::coerce::why_invalid;

/// Where the scalar comes from.
#[derive(Clone)]
enum From {
    /// What is written, as JSON.
    Written(String),
    Column(String),
}

pub(super) fn json_set(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["path", "value", "column"])?;
    let parts = path(table.text("path")?.ok_or("`path` is missing")?)?;
    if parts.is_empty() {
        return Err("`path` names a place within the document, as in $.a".to_owned());
    }
    let from = match (table.get("value"), table.text("column")?) {
        (Some(literal), None) => From::Written(written(literal)?),
        (None, Some(column)) => From::Column(column.to_owned()),
        _ => return Err("takes either `value` or `column`".to_owned()),
    };
    Ok(Step::of(move |ground| bind(ground, parts.clone(), from.clone())))
}

fn written(literal: &Literal) -> Result<String, String> {
    match literal {
        Literal::Bool(_) | Literal::Int(_) | Literal::Text(_) => Ok(literal.json()),
        Literal::Number(digits) => match Number::parse(digits) {
            Some(number) => Ok(number.to_string()),
            None => Err(format!("{digits} is no number")),
        },
        Literal::List(_) | Literal::Table(_) => {
            Err(format!("`value` is a scalar, not {}", literal.kind()))
        }
    }
}

fn bind(ground: &Ground<'_>, parts: Vec<Part>, from: From) -> Result<Bound, String> {
    needs(ground, &[Kind::Json, Kind::Text])?;
    let column = match &from {
        From::Written(_) => None,
        From::Column(name) => {
            let at = ground.table.column_index(name);
            let at = at.ok_or_else(|| format!("the source has no column {name}"))?;
            let kind = ground.table.columns.get(at).map(|column| Kind::of(&column.ty));
            if matches!(kind, Some(Kind::Bytes | Kind::Json | Kind::Other) | None) {
                return Err(format!("the values of {name} are no scalars of JSON"));
            }
            Some(at)
        }
    };
    let kind = ground.kind;
    let run = move |value: Value, scope: &super::Scope<'_>| {
        let (Value::Json(document) | Value::Text(document)) = &value else {
            return Err(Reason::PairNeedsRule);
        };
        let scalar = match (&from, column) {
            (From::Written(scalar), _) => scalar.clone(),
            (From::Column(_), at) => {
                let value = at.and_then(|at| scope.get(at)).ok_or(Reason::MissingValue)?;
                scalar(value)?
            }
        };
        let set = set(document, &parts, &scalar)?;
        let value =
            if kind == Kind::Json { Value::Json(set.into()) } else { Value::Text(set.into()) };
        Ok(Turned::from(value))
    };
    let reads = column.into_iter().collect();
    Ok(Bound { run: std::sync::Arc::new(run), reads, ..Bound::of(kind, Ok) })
}

/// A value as JSON: numbers with the digits that they have.
fn scalar(value: &Value) -> Result<String, Reason> {
    Ok(match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Int(_) | Value::UInt(_) => {
            text_of(value).ok_or(Reason::PairNeedsRule)?.to_string()
        }
        Value::Decimal(digits) => {
            let number = Number::parse(digits).ok_or(Reason::Parse)?;
            // Zeros at the end stay; a sign or a point in front would be no JSON.
            let plain =
                digits.trim_start_matches('-').starts_with(|one: char| one.is_ascii_digit());
            if plain { digits.to_string() } else { number.to_string() }
        }
        Value::F64(float) if float.is_finite() => float.to_string(),
        Value::F32(float) if float.is_finite() => float.to_string(),
        Value::F64(_) | Value::F32(_) | Value::DecimalSpecial(_) => return Err(Reason::NonFinite),
        Value::InvalidDate(date) => return Err(why_invalid(date)),
        Value::EnumInvalid => return Err(Reason::EnumInvalid),
        value => quoted(&text_of(value).ok_or(Reason::PairNeedsRule)?),
    })
}

/// The document with the scalar at the place.
fn set(document: &str, parts: &[Part], scalar: &str) -> Result<String, Reason> {
    let mut at: &RawValue = serde_json::from_str(document).map_err(|_| Reason::Parse)?;
    let (last, way) = parts.split_last().ok_or(Reason::Parse)?;
    for part in way {
        at = step(at.get(), part)?.ok_or(Reason::Parse)?;
    }
    let holder = at.get();
    match step(holder, last)? {
        Some(old) => replaced(document, old.get(), old.get().len(), scalar),
        None => {
            let inner = holder.get(1..holder.len().saturating_sub(1)).ok_or(Reason::Parse)?;
            let comma = if inner.trim().is_empty() { "" } else { ", " };
            let added = match last {
                Part::Member(name) => format!("{comma}{}: {scalar}", quoted(name)),
                Part::Item(_) => format!("{comma}{scalar}"),
            };
            let end = holder.get(holder.len().saturating_sub(1)..).ok_or(Reason::Parse)?;
            replaced(document, end, 0, &added)
        }
    }
}

/// What stands one step further; `None` where it can be added there.
fn step<'d>(holder: &'d str, part: &Part) -> Result<Option<&'d RawValue>, Reason> {
    match part {
        Part::Member(name) if holder.starts_with('{') => member(holder, name),
        Part::Item(index) if holder.starts_with('[') => {
            let items: Vec<&'d RawValue> =
                serde_json::from_str(holder).map_err(|_| Reason::Parse)?;
            match items.get(*index) {
                None if *index > items.len() => Err(Reason::Parse),
                found => Ok(found.copied()),
            }
        }
        _ => Err(Reason::Parse),
    }
}

/// The document with something else for `length` bytes of it, at a text that is a part of it.
fn replaced(document: &str, part: &str, length: usize, with: &str) -> Result<String, Reason> {
    let start = (part.as_ptr() as usize).checked_sub(document.as_ptr() as usize);
    let start = start.ok_or(Reason::Parse)?;
    let (before, after) = (document.get(..start), document.get(start + length..));
    let (before, after) = (before.ok_or(Reason::Parse)?, after.ok_or(Reason::Parse)?);
    Ok([before, with, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if another place were written, a number elsewhere lost its digits, or a member stood there twice.
    #[test]
    fn one_scalar_is_set() {
        let set = |document: &str, at: &str, scalar: &str| {
            set(document, &path(at).unwrap(), scalar).map_err(Reason::name)
        };
        let document = r#" {"a": {"b": 1.10e5, "c": []}, "d" : "x"} "#;
        for (at, scalar, expected) in [
            ("$.a.b", "2", r#" {"a": {"b": 2, "c": []}, "d" : "x"} "#),
            ("$.d", "null", r#" {"a": {"b": 1.10e5, "c": []}, "d" : null} "#),
            ("$.a", "true", r#" {"a": true, "d" : "x"} "#),
            ("$.e", "1.50", r#" {"a": {"b": 1.10e5, "c": []}, "d" : "x", "e": 1.50} "#),
            ("$.a.c[0]", "7", r#" {"a": {"b": 1.10e5, "c": [7]}, "d" : "x"} "#),
            ("$.\"é \"", "0", " {\"a\": {\"b\": 1.10e5, \"c\": []}, \"d\" : \"x\", \"é \": 0} "),
        ] {
            assert_eq!(set(document, at, scalar).as_deref(), Ok(expected), "{at}");
        }
        assert_eq!(set("{}", "$.a", "1").as_deref(), Ok(r#"{"a": 1}"#));
        assert_eq!(set("[1,2]", "$[2]", "3").as_deref(), Ok("[1,2, 3]"));
        assert_eq!(set(r#"{"a\u0062": 1}"#, "$.ab", "2").as_deref(), Ok(r#"{"a\u0062": 2}"#));
        for (document, at, why) in [
            ("[1]", "$[2]", "parse"),
            ("[1]", "$.a", "parse"),
            ("{}", "$.a.b", "parse"),
            ("7", "$.a", "parse"),
            (r#"{"a": 1, "a": 2}"#, "$.a", "json_duplicate_key"),
            ("{", "$.a", "parse"),
        ] {
            assert_eq!(set(document, at, "1"), Err(why), "{document} {at}");
        }
    }

    /// Broken if a value became another one in a document.
    #[test]
    fn scalars_keep_their_digits() {
        for (value, expected) in [
            (Value::Null, "null"),
            (Value::Bool(false), "false"),
            (Value::UInt(u64::MAX), "18446744073709551615"),
            (Value::Decimal("-0.100".into()), "-0.100"),
            (Value::F64(0.1), "0.1"),
            (Value::F32(0.1), "0.1"),
            (Value::Text("a\"\n".into()), r#""a\"\n""#),
            (Value::Date(0), r#""2000-01-01""#),
        ] {
            assert_eq!(scalar(&value).as_deref(), Ok(expected));
        }
        assert_eq!(scalar(&Value::F64(f64::NAN)), Err(Reason::NonFinite));
    }
}
