//! The step that looks into documents, and those between uuids, their bytes and their text.

use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::bind::{Bound, Ground};
use super::kind::Kind;
use super::literal::Literal;
use super::number::Number;
use super::registry::Params;
use super::step::Step;
use crate::model::Value;
use crate::transform::{Reason, text};

/// Steps of a path at most.
const PATH_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Member(String),
    Item(usize),
}

/// `$.a.b[0]."c d"`.
pub(super) fn path(text: &str) -> Result<Vec<Part>, String> {
    let wrong = || format!("\"{text}\" is no path; write $.a.b[0].\"c d\"");
    let mut rest = text.strip_prefix('$').ok_or_else(wrong)?;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (part, after) = if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']').ok_or_else(wrong)?;
            (Part::Item(index.parse().map_err(|_| wrong())?), after)
        } else if let Some(inner) = rest.strip_prefix(".\"") {
            let (name, after) = inner.split_once('"').ok_or_else(wrong)?;
            (Part::Member(name.to_owned()), after)
        } else {
            let inner = rest.strip_prefix('.').ok_or_else(wrong)?;
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            let (name, after) = inner.split_at(end);
            if name.is_empty() || name.contains(['"', '*', ']', ' ']) {
                return Err(wrong());
            }
            (Part::Member(name.to_owned()), after)
        };
        parts.push(part);
        rest = after;
        if parts.len() > PATH_MAX {
            return Err(format!("a path has at most {PATH_MAX} steps"));
        }
    }
    Ok(parts)
}

/// What stands at a path. One level is looked at at a time: the rest of the document stays text.
fn find<'d>(document: &'d str, path: &[Part]) -> Result<Option<&'d str>, Reason> {
    let mut at: &'d RawValue = serde_json::from_str(document).map_err(|_| Reason::Parse)?;
    for part in path {
        let text = at.get();
        let next = match part {
            Part::Member(name) if text.starts_with('{') => member(text, name)?,
            Part::Item(index) if text.starts_with('[') => {
                let items: Vec<&'d RawValue> =
                    serde_json::from_str(text).map_err(|_| Reason::Parse)?;
                items.get(*index).copied()
            }
            _ => None,
        };
        let Some(next) = next else { return Ok(None) };
        at = next;
    }
    Ok(Some(at.get()))
}

/// A member of an object; one that is there twice is no one value.
pub(super) fn member<'d>(object: &'d str, name: &str) -> Result<Option<&'d RawValue>, Reason> {
    let mut named = members(object)?.into_iter().filter(|(other, _)| other == name);
    match (named.next(), named.next()) {
        (Some(_), Some(_)) => Err(Reason::JsonDuplicateKey),
        (found, _) => Ok(found.map(|(_, value)| value)),
    }
}

/// The members of an object in their order, each as often as it is there.
pub(super) fn members(object: &str) -> Result<Vec<(String, &RawValue)>, Reason> {
    let Members(found) = serde_json::from_str(object).map_err(|_| Reason::Parse)?;
    Ok(found)
}

struct Members<'d>(Vec<(String, &'d RawValue)>);

struct Seek;

impl<'d> Visitor<'d> for Seek {
    type Value = Members<'d>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'d>>(self, mut map: A) -> Result<Members<'d>, A::Error> {
        let mut found = Vec::new();
        while let Some(entry) = map.next_entry()? {
            found.push(entry);
        }
        Ok(Members(found))
    }
}

impl<'d> Deserialize<'d> for Members<'d> {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Seek)
    }
}

/// The kind that a scalar is to have.
fn scalar_kind(wanted: Kind) -> Result<Kind, String> {
    match wanted {
        Kind::Bool | Kind::Int | Kind::Decimal | Kind::Float | Kind::Text | Kind::Json => {
            Ok(wanted)
        }
        _ => Ok(Kind::Text),
    }
}

/// A scalar of a document as a value of `kind`.
fn scalar(found: &str, kind: Kind) -> Result<Value, Reason> {
    if kind == Kind::Json {
        return Ok(Value::Json(found.to_owned().into()));
    }
    let number = || exact(found);
    match (kind, found.as_bytes().first()) {
        (_, Some(b'n')) => Ok(Value::Null),
        (Kind::Bool, Some(b't' | b'f')) => Ok(Value::Bool(found == "true")),
        (Kind::Int, Some(b'-' | b'0'..=b'9')) => {
            number()?.whole().map(Value::Int).ok_or(Reason::PrecisionLoss)
        }
        (Kind::Decimal, Some(b'-' | b'0'..=b'9')) => {
            Ok(Value::Decimal(number()?.to_string().into()))
        }
        (Kind::Float, Some(b'-' | b'0'..=b'9')) => {
            found.parse().map(Value::F64).map_err(|_| Reason::Parse)
        }
        (Kind::Text, Some(b'"')) => {
            let text: String = serde_json::from_str(found).map_err(|_| Reason::JsonSurrogate)?;
            Ok(Value::Text(text.into()))
        }
        (Kind::Text, Some(b'-' | b'0'..=b'9' | b't' | b'f')) => {
            Ok(Value::Text(found.to_owned().into()))
        }
        _ => Err(Reason::Parse),
    }
}

/// A JSON number, its exponent carried out.
fn exact(text: &str) -> Result<Number, Reason> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent = exponent.parse().map_err(|_| Reason::OutOfRange)?;
    Number::parse(mantissa).ok_or(Reason::Parse)?.moved(exponent).ok_or(Reason::OutOfRange)
}

pub(super) fn json_path(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table_or("$.a.b", &["path", "else"])?;
    let text = match params.written {
        Literal::Text(text) => Some(text.as_str()),
        _ => table.text("path")?,
    };
    let parts = path(text.ok_or("`path` is missing")?)?;
    let null = table.word("else", &["reject", "null"])? == "null";
    Ok(Step::of(move |ground| {
        if !matches!(ground.kind, Kind::Json | Kind::Text) {
            return Err(format!("takes a JSON document, and gets {}", ground.kind));
        }
        let kind = scalar_kind(ground.wanted)?;
        let parts = parts.clone();
        Ok(Bound::of(kind, move |value| {
            let (Value::Json(document) | Value::Text(document)) = &value else {
                return Err(Reason::PairNeedsRule);
            };
            match find(document, &parts)? {
                Some(found) => scalar(found, kind),
                None if null => Ok(Value::Null),
                None => Err(Reason::Parse),
            }
        }))
    }))
}

pub(super) fn uuid(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["layout", "format"])?;
    let swapped = table.word("layout", &["plain", "time_swapped"])? == "time_swapped";
    table.word("format", &["lower"])?;
    Ok(Step::of(move |ground| bind_uuid(ground, swapped)))
}

fn bind_uuid(ground: &Ground<'_>, swapped: bool) -> Result<Bound, String> {
    // Where the target holds bytes, the layout is of what goes out; else of what comes in.
    let into_bytes = ground.wanted == Kind::Bytes && ground.kind != Kind::Bytes;
    let column = &ground.kind;
    match column {
        Kind::Bytes => {
            let bound = Bound::of(Kind::Uuid, move |value| from_bytes(&value, swapped));
            Ok(bound.back(move |value| to_bytes(&value, swapped)))
        }
        Kind::Uuid if into_bytes => {
            let bound = Bound::of(Kind::Bytes, move |value| to_bytes(&value, swapped));
            Ok(bound.back(move |value| from_bytes(&value, swapped)))
        }
        Kind::Uuid => Ok(Bound::of(Kind::Uuid, Ok).back(Ok)),
        Kind::Text => {
            Ok(Bound::of(if into_bytes { Kind::Bytes } else { Kind::Uuid }, move |value| {
                let Value::Text(text) = &value else { return Err(Reason::PairNeedsRule) };
                let uuid = Value::Uuid(loose(text).ok_or(Reason::Parse)?);
                if into_bytes { to_bytes(&uuid, swapped) } else { Ok(uuid) }
            })
            .back(move |value| {
                let uuid = if into_bytes { from_bytes(&value, swapped)? } else { value };
                match uuid {
                    Value::Uuid(uuid) => Ok(Value::Text(text::format_uuid(&uuid))),
                    _ => Err(Reason::PairNeedsRule),
                }
            }))
        }
        other => Err(format!("takes bytes, text or a uuid, and gets {other}")),
    }
}

/// With or without dashes and braces.
fn loose(text: &str) -> Option<[u8; 16]> {
    let inner = text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(text);
    if inner.len() == 36 {
        return text::parse_uuid(inner, false).ok();
    }
    if inner.len() != 32 || !inner.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(inner, 16).ok().map(u128::to_be_bytes)
}

/// Zeros at the end may have been cut by the log.
fn from_bytes(value: &Value, swapped: bool) -> Result<Value, Reason> {
    let Value::Bytes(bytes) = value else { return Err(Reason::PairNeedsRule) };
    let mut uuid = [0_u8; 16];
    uuid.get_mut(..bytes.len()).ok_or(Reason::TooLong)?.copy_from_slice(bytes);
    Ok(Value::Uuid(if swapped { unswap(uuid) } else { uuid }))
}

fn to_bytes(value: &Value, swapped: bool) -> Result<Value, Reason> {
    let Value::Uuid(uuid) = value else { return Err(Reason::PairNeedsRule) };
    let bytes = if swapped { swap(*uuid) } else { *uuid };
    Ok(Value::Bytes(Bytes::copy_from_slice(&bytes)))
}

/// As UUID_TO_BIN(…, 1) of MySQL: the third group first, then the second, then the first.
fn swap(u: [u8; 16]) -> [u8; 16] {
    [
        u[6], u[7], u[4], u[5], u[0], u[1], u[2], u[3], u[8], u[9], u[10], u[11], u[12], u[13],
        u[14], u[15],
    ]
}

fn unswap(b: [u8; 16]) -> [u8; 16] {
    [
        b[4], b[5], b[6], b[7], b[2], b[3], b[0], b[1], b[8], b[9], b[10], b[11], b[12], b[13],
        b[14], b[15],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if another member than the one named were taken, or one of two.
    #[test]
    fn paths_find_one_scalar() {
        let document =
            r#"{"user": {"id": 7, "a b": [1, {"x": "é\n"}]}, "twice": 1, "twice": 2, "e": 1.5e2}"#;
        let at = |text: &str, kind| {
            find(document, &path(text).unwrap()).map(|found| found.map(|found| scalar(found, kind)))
        };
        assert_eq!(at("$.user.id", Kind::Int), Ok(Some(Ok(Value::Int(7)))));
        assert_eq!(at("$.user.\"a b\"[1].x", Kind::Text), Ok(Some(Ok(Value::Text("é\n".into())))));
        assert_eq!(at("$.e", Kind::Int), Ok(Some(Ok(Value::Int(150)))));
        assert_eq!(at("$.user.none", Kind::Int), Ok(None));
        assert_eq!(at("$.user", Kind::Text), Ok(Some(Err(Reason::Parse))));
        assert_eq!(at("$.twice", Kind::Int), Err(Reason::JsonDuplicateKey));
        assert!(path("user.id").is_err() && path("$..a").is_err() && path("$[x]").is_err());
    }

    /// Broken if the order of a uuid's bytes were another than MySQL's.
    #[test]
    fn swapped_uuids_come_back() {
        let uuid = loose("6ccd780c-baba-1026-9564-5b8c656024db").unwrap();
        let Ok(Value::Bytes(bytes)) = to_bytes(&Value::Uuid(uuid), true) else { panic!() };
        assert_eq!(super::super::secrets::hexed(&bytes), "1026baba6ccd780c95645b8c656024db");
        assert_eq!(from_bytes(&Value::Bytes(bytes), true), Ok(Value::Uuid(uuid)));
        assert_eq!(loose("{6CCD780CBABA102695645B8C656024DB}"), Some(uuid));
        assert_eq!(loose("+ccd780cbaba102695645b8c656024db"), None);
    }
}
