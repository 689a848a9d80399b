//! Types that stand for each other where a setting of `[conversion]` says so: a pair that crosses no other way
//! gets a step in front, which makes text of the source's value.
//!
//! No value is lost by it: unconstrained `numeric` keeps every digit, `jsonb` its text, ZEROFILL the zeros that
//! its server shows. Not here: which columns `weir ddl` makes for them (`plan`).

use super::bind::{Bound, needs};
use super::compile::Site;
use super::kind::Kind;
use super::literal::Literal;
use super::settings::Settings;
use super::step::Step;
use super::values::value_of;
use crate::config::Dialect;
use crate::model::{Column, Type, Value};
use crate::transform::{Reason, pair};

/// The step that a setting puts in front of a pair, if it needs one.
pub(super) fn step(site: &Site<'_>, settings: &Settings) -> Option<Step> {
    let ((_, source, from), (_, target, to)) = (site.source, site.target);
    if !matches!(target.ty, Type::Text { .. } | Type::Char { .. }) {
        return None;
    }
    let leaves = from == Dialect::Postgres && to != Dialect::Postgres;
    let enters = from != Dialect::Postgres && to == Dialect::Postgres;
    let step = match &source.ty {
        Type::Int { .. } if enters && settings.says("zerofill", "text") => {
            named("zerofill", padded(zerofill_width(source)?))
        }
        // One number has many texts, and so has one document: rows are not matched by them.
        _ if site.key => return None,
        Type::Decimal(None) if leaves && settings.says("numeric_unconstrained", "text") => {
            named("numeric_unconstrained", digits())
        }
        Type::Json(_) if leaves && settings.says("json_as", "text") => named("json_as", document()),
        _ => return None,
    };
    pair(source, from, target, to).is_err().then_some(step)
}

/// The digits that ZEROFILL fills a column's numbers up to.
pub(crate) fn zerofill_width(column: &Column) -> Option<usize> {
    let native = column.native.to_ascii_lowercase();
    let (_, rest) = native.split_once('(')?;
    let (width, rest) = rest.split_once(')')?;
    let width = width.parse().ok().filter(|width| *width <= 255)?;
    rest.contains("zerofill").then_some(width)
}

fn named(name: &'static str, step: Step) -> Step {
    Step { name, text: format!("{{\"{name}\": \"text\"}}"), ..step }
}

fn padded(width: usize) -> Step {
    let spell = move |number: u64| format!("{number:0>width$}");
    Step::of(move |ground| {
        needs(ground, &[Kind::Int])?;
        let turn = move |value: Value| match value {
            Value::Int(number) => {
                let number = u64::try_from(number).map_err(|_| Reason::OutOfRange)?;
                Ok(Value::Text(spell(number).into()))
            }
            Value::UInt(number) => Ok(Value::Text(spell(number).into())),
            _ => Err(Reason::PairNeedsRule),
        };
        let back = move |value: Value| {
            let Value::Text(text) = value else { return Err(Reason::PairNeedsRule) };
            let number: u64 = text.parse().map_err(|_| Reason::Parse)?;
            // Another spelling is another key.
            if *text == *spell(number) { Ok(Value::from_u64(number)) } else { Err(Reason::Parse) }
        };
        Ok(Bound::of(Kind::Text, turn).back(back))
    })
}

fn digits() -> Step {
    Step::of(|ground| {
        needs(ground, &[Kind::Decimal])?;
        Ok(Bound::of(Kind::Text, |value| match value {
            Value::Decimal(digits) => Ok(Value::Text(digits)),
            Value::DecimalSpecial(special) => Ok(Value::Text(special.to_string().into())),
            _ => Err(Reason::PairNeedsRule),
        })
        .back(|value| match value {
            Value::Text(text) => {
                value_of(&Literal::Text(text.to_string()), Kind::Decimal).map_err(|_| Reason::Parse)
            }
            _ => Err(Reason::PairNeedsRule),
        }))
    })
}

fn document() -> Step {
    Step::of(|ground| {
        needs(ground, &[Kind::Json])?;
        Ok(Bound::of(Kind::Text, |value| match value {
            Value::Json(text) => Ok(Value::Text(text)),
            _ => Err(Reason::PairNeedsRule),
        })
        .back(|value| match value {
            Value::Text(text) => Ok(Value::Json(text)),
            _ => Err(Reason::PairNeedsRule),
        }))
    })
}
