//! Steps that put one value for another: maps, words for truths, and values for NULL.
//!
//! Values are compared by their text, in which each has one spelling. A map whose values are unique, and
//! that rejects what it does not know, has a way back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytestring::ByteString;

use super::bind::{Bound, Ground, Turned};
use super::kind::Kind;
use super::literal::Literal;
use super::registry::{ITEMS_MAX, Params};
use super::step::Step;
use super::values::{key_of, natural, text_of, value_of};
use crate::model::Value;
use crate::transform::Reason;

/// What becomes of values that are not listed.
#[derive(Clone)]
pub(super) enum Else {
    Reject,
    Null,
    Pass,
    Value(Literal),
}

/// Reads parameter `name`, which says so.
pub(super) fn otherwise(
    name: &str,
    literal: Option<&Literal>,
    passes: bool,
) -> Result<Else, String> {
    match literal {
        None => Ok(Else::Reject),
        Some(Literal::Text(word)) if word == "reject" => Ok(Else::Reject),
        Some(Literal::Text(word)) if word == "null" => Ok(Else::Null),
        Some(Literal::Text(word)) if word == "passthrough" && passes => Ok(Else::Pass),
        Some(Literal::Bool(truth)) if !passes => Ok(Else::Value(Literal::Bool(*truth))),
        Some(Literal::Table(entries)) if passes => match entries.as_slice() {
            [(key, value)] if key == "default" => Ok(Else::Value(value.clone())),
            _ => Err(format!("`{name}` takes {{ default = … }}")),
        },
        Some(_) if passes => {
            Err(format!("`{name}` is \"reject\", \"null\", \"passthrough\" or {{ default = … }}"))
        }
        Some(_) => Err(format!("`{name}` is \"reject\", \"null\", true or false")),
    }
}

/// Which kind the values of a list have together.
fn together<'l>(literals: impl Iterator<Item = &'l Literal>) -> Result<Kind, String> {
    let mut kind = None;
    for literal in literals {
        let one = natural(literal).ok_or_else(|| format!("{} is no value", literal.kind()))?;
        kind = match (kind, one) {
            (None, one) => Some(one),
            (Some(kind), one) if kind == one => Some(kind),
            (Some(Kind::Int | Kind::Decimal), Kind::Int | Kind::Decimal) => Some(Kind::Decimal),
            (Some(kind), one) => return Err(format!("the values are both {kind} and {one}")),
        };
    }
    kind.ok_or_else(|| "there is no value".to_owned())
}

pub(super) fn map(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["values", "else"])?;
    let Literal::Table(entries) = table.need("values")? else {
        return Err("`values` is a table of values: { A = 1, B = 2 }".to_owned());
    };
    if entries.is_empty() || entries.len() > ITEMS_MAX {
        return Err(format!("`values` holds 1 to {ITEMS_MAX} values"));
    }
    let rest = otherwise("else", table.get("else"), true)?;
    let defaults = match &rest {
        Else::Value(value) => Some(value),
        _ => None,
    };
    let kind = together(entries.iter().map(|(_, value)| value).chain(defaults))?;
    let mut values = HashMap::new();
    for (from, to) in entries {
        values.insert(ByteString::from(from.as_str()), value_of(to, kind)?);
    }
    let rest_value = match &rest {
        Else::Value(value) => Some(value_of(value, kind)?),
        _ => None,
    };
    let values = Arc::new(values);
    Ok(Step::of(move |ground| bind_map(ground, &values, kind, &rest, rest_value.as_ref())))
}

/// Binds values that stand for others; NULL among them has no way back.
pub(super) fn bind_map(
    ground: &Ground<'_>,
    values: &Arc<HashMap<ByteString, Value>>,
    kind: Kind,
    rest: &Else,
    rest_value: Option<&Value>,
) -> Result<Bound, String> {
    textual(ground.kind)?;
    if matches!(rest, Else::Pass) && ground.kind != kind {
        return Err(format!(
            "passthrough would mix {} with the values, which are {kind}",
            ground.kind
        ));
    }
    let (forward, rest_value, rest) = (Arc::clone(values), rest_value.cloned(), rest.clone());
    let bound = Bound::of(kind, {
        let rest = rest.clone();
        move |value| {
            let text = text_of(&value).ok_or(Reason::PairNeedsRule)?;
            match (forward.get(&text), &rest, &rest_value) {
                (Some(found), _, _) => Ok(found.clone()),
                (None, _, Some(default)) => Ok(default.clone()),
                (None, Else::Null, _) => Ok(Value::Null),
                (None, Else::Pass, _) => Ok(value),
                (None, _, _) => Err(Reason::Validation),
            }
        }
    });
    let mut back: HashMap<ByteString, Value> = HashMap::new();
    for (from, to) in values.iter() {
        let literal = Literal::Text(from.to_string());
        let (Some(text), Ok(from)) = (text_of(to), value_of(&literal, ground.kind)) else {
            return Ok(bound);
        };
        if back.insert(text, from).is_some() {
            return Ok(bound);
        }
    }
    if !matches!(rest, Else::Reject) {
        return Ok(bound);
    }
    Ok(bound.back(move |value| {
        text_of(&value).and_then(|text| back.get(&text).cloned()).ok_or(Reason::Validation)
    }))
}

/// That values of the kind have a text.
pub(super) fn textual(kind: Kind) -> Result<(), String> {
    match kind {
        Kind::Bytes | Kind::Other => Err(format!("compares by text, and {kind} has none")),
        _ => Ok(()),
    }
}

pub(super) fn bool_words(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["true", "false", "else", "ignore_case"])?;
    let (yes, no) = (table.texts("true")?, table.texts("false")?);
    if yes.is_empty() && no.is_empty() {
        return Err("neither `true` nor `false` has words".to_owned());
    }
    let rest = otherwise("else", table.get("else"), false)?;
    let fold = table.truth("ignore_case")?;
    let mut words: HashMap<String, bool> = HashMap::new();
    for (list, truth) in [(yes, true), (no, false)] {
        for word in list {
            let key = if fold { word.to_lowercase() } else { word.clone() };
            if words.insert(key, truth).is_some_and(|other| other != truth) {
                return Err(format!("\"{word}\" is both true and false"));
            }
        }
    }
    let words = Arc::new(words);
    Ok(Step::of(move |ground| {
        textual(ground.kind)?;
        let (words, rest) = (Arc::clone(&words), rest.clone());
        Ok(Bound::of(Kind::Bool, move |value| {
            let text = text_of(&value).ok_or(Reason::PairNeedsRule)?;
            let found = if fold { words.get(&text.to_lowercase()) } else { words.get(&*text) };
            match (found, &rest) {
                (Some(truth), _) | (None, Else::Value(Literal::Bool(truth))) => {
                    Ok(Value::Bool(*truth))
                }
                (None, Else::Null) => Ok(Value::Null),
                (None, _) => Err(Reason::NotBoolean),
            }
        }))
    }))
}

pub(super) fn if_null(params: &Params<'_>) -> Result<Step, String> {
    let literal = params.written.clone();
    Ok(Step::of(move |ground| {
        let default = value_of(&literal, ground.kind)?;
        Ok(Bound::of(ground.kind, move |value| {
            Ok(if value == Value::Null { default.clone() } else { value })
        })
        .with_null())
    }))
}

pub(super) fn null_if(params: &Params<'_>) -> Result<Step, String> {
    let (listed, trim) = match params.written {
        Literal::Table(_) => {
            let table = params.table(&["values", "trim"])?;
            (table.need("values")?, table.truth("trim")?)
        }
        literal => (literal, false),
    };
    let one = std::slice::from_ref(listed);
    let items = if let Literal::List(items) = listed { items.as_slice() } else { one };
    if items.is_empty() || items.len() > ITEMS_MAX {
        return Err(format!("takes 1 to {ITEMS_MAX} values"));
    }
    let keys =
        items.iter().map(|item| key_of(item).ok_or_else(|| format!("{} is no value", item.kind())));
    let keys = Arc::new(keys.map(|key| key.map(String::from)).collect::<Result<HashSet<_>, _>>()?);
    Ok(Step::of(move |ground| {
        textual(ground.kind)?;
        let keys = Arc::clone(&keys);
        Ok(Bound::of(ground.kind, move |value| {
            let text = text_of(&value).ok_or(Reason::PairNeedsRule)?;
            let text = if trim { text.trim() } else { &*text };
            Ok(if keys.contains(text) { Value::Null } else { value })
        }))
    }))
}

pub(super) fn constant(params: &Params<'_>) -> Result<Step, String> {
    let kind = natural(params.written).ok_or("takes one value")?;
    let value = value_of(params.written, kind)?;
    Ok(Step::of(move |ground| {
        if ground.key {
            return Err("every row would have one key".to_owned());
        }
        let value = value.clone();
        Ok(Bound {
            run: Arc::new(move |_, _| Ok(Turned::from(value.clone()))),
            ..Bound::of(kind, Ok).with_null()
        })
    }))
}
