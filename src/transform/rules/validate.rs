//! The step that checks values, and what becomes of those that are found wanting.
//!
//! NULL passes every check but `not_null`. What a step writes instead is checked by the same checks when
//! the plan is made. A column that rows are matched by may only reject.

use std::collections::HashSet;
use std::sync::Arc;

use super::bind::{Bound, Ground, Scope, Turned};
use super::expr::{Expression, expression};
use super::kind::Kind;
use super::literal::Literal;
use super::lookup::{self, Keys, Look};
use super::numbers::{bounds, outside};
use super::registry::{Params, Table};
use super::run::Outcome;
use super::step::Step;
use super::texts;
use super::values::{key_of, text_of, value_of};
use super::words::textual;
use crate::model::{Row, Value};
use crate::transform::Reason;

const CHECKS: &[&str] = &[
    "not_null",
    "not_empty",
    "range",
    "date_between",
    "length",
    "regex",
    "one_of",
    "utf8_clean",
    "fits_target",
    "unique_in_target",
    "references",
    "check",
];

/// What becomes of a value that is found wanting.
#[derive(Clone)]
enum Else {
    Reject,
    Null,
    Clamp,
    Default(Literal),
    Warn,
}

/// One check, as it is written.
#[derive(Clone)]
enum Check {
    NotNull,
    NotEmpty,
    Range(Literal, Literal),
    Length { min: u64, max: u64, bytes: bool },
    Regex(regex::Regex),
    OneOf(Arc<HashSet<String>>),
    Utf8Clean,
    Unique,
    References(Look),
    Expression(Arc<Expression>),
}

/// A check that is bound: what it makes of a value.
type Judge = Arc<dyn Fn(&Value, &Scope<'_>) -> Result<bool, Reason> + Send + Sync>;

pub(super) fn validate(params: &Params<'_>) -> Result<Step, String> {
    let known: Vec<&str> = CHECKS.iter().copied().chain(["else"]).collect();
    let table = params.table(&known)?;
    let mut checks = Vec::new();
    for name in CHECKS.iter().filter(|name| table.get(name).is_some()) {
        checks.extend(check(name, &table)?);
    }
    if CHECKS.iter().all(|name| table.get(name).is_none()) {
        return Err(format!("no check; there are {}", CHECKS.join(", ")));
    }
    let rest = otherwise(table.get("else"))?;
    let look = checks.iter().find_map(|check| match check {
        Check::References(look) => Some(look.clone()),
        _ => None,
    });
    Ok(Step { look, ..Step::of(move |ground| bind(ground, &checks, &rest)) })
}

fn otherwise(literal: Option<&Literal>) -> Result<Else, String> {
    let word = match literal {
        None => return Ok(Else::Reject),
        Some(Literal::Text(word)) => word.as_str(),
        Some(Literal::Table(entries)) => match entries.as_slice() {
            [(name, value)] if name == "default" => return Ok(Else::Default(value.clone())),
            _ => "",
        },
        Some(_) => "",
    };
    match word {
        "reject" => Ok(Else::Reject),
        "null" => Ok(Else::Null),
        "clamp" => Ok(Else::Clamp),
        "warn" => Ok(Else::Warn),
        _ => {
            Err("`else` is \"reject\", \"null\", \"clamp\", \"warn\" or { default = … }".to_owned())
        }
    }
}

fn check(name: &str, table: &Table<'_>) -> Result<Option<Check>, String> {
    let literal = table.need(name)?;
    let on = || match literal {
        Literal::Bool(true) => Ok(()),
        _ => Err(format!("`{name}` takes true; leave it out where it is not wanted")),
    };
    Ok(Some(match name {
        "not_null" => on().map(|()| Check::NotNull)?,
        "not_empty" => on().map(|()| Check::NotEmpty)?,
        "utf8_clean" => on().map(|()| Check::Utf8Clean)?,
        "unique_in_target" => on().map(|()| Check::Unique)?,
        "range" | "date_between" => match literal {
            Literal::List(ends) => match ends.as_slice() {
                [min, max] => Check::Range(min.clone(), max.clone()),
                _ => return Err(format!("`{name}` is [least, greatest]")),
            },
            _ => return Err(format!("`{name}` is [least, greatest]")),
        },
        "length" => {
            let parts = Params { written: literal }.table(&["min", "max", "unit"])?;
            let bytes = parts.word("unit", &["chars", "bytes"])? == "bytes";
            let bound =
                |name| parts.whole(name, 0, i64::MAX).map(|bound| bound.map(i64::unsigned_abs));
            let (min, max) = (bound("min")?.unwrap_or(0), bound("max")?.unwrap_or(u64::MAX));
            if min > max {
                return Err("`length`: the least is above the greatest".to_owned());
            }
            Check::Length { min, max, bytes }
        }
        "references" => {
            let parts = Params { written: literal }.table(&["table", "column", "database"]);
            let look = parts.and_then(|parts| lookup::look(&parts, "column"));
            Check::References(look.map_err(|why| format!("`references`: {why}"))?)
        }
        "check" => match literal {
            Literal::Text(text) => Check::Expression(expression(text)?),
            _ => return Err("`check` is an expression, in quotes".to_owned()),
        },
        "regex" => Check::Regex(texts::pattern(table.text("regex")?.unwrap_or_default())?),
        "one_of" => {
            let Literal::List(items) = literal else {
                return Err("`one_of` is a list of values".to_owned());
            };
            let keys = items.iter().map(|item| key_of(item).map(String::from));
            let keys: Option<HashSet<String>> = keys.collect();
            Check::OneOf(Arc::new(keys.ok_or("`one_of` is a list of values")?))
        }
        // The fit check is always made.
        _ => return on().map(|()| None),
    }))
}

fn bind(ground: &Ground<'_>, checks: &[Check], rest: &Else) -> Result<Bound, String> {
    if ground.key && !matches!(rest, Else::Reject) {
        return Err("rows are matched by the column: `else` can only be \"reject\"".to_owned());
    }
    let judges = checks.iter().map(|check| judge(ground, check)).collect::<Result<Vec<_>, _>>()?;
    let takes_null = checks.iter().any(|check| matches!(check, Check::NotNull));
    let reads = checks.iter().map(|check| match check {
        Check::Expression(expression) => expression.reads(ground),
        _ => Ok(Vec::new()),
    });
    let reads = reads.collect::<Result<Vec<_>, _>>()?;
    let reads = reads.into_iter().flatten().map(|(_, at)| at).collect();
    let of_commit = checks.iter().any(|check| match check {
        Check::Expression(expression) => expression.of_commit,
        _ => false,
    });
    let wanting = instead(ground, checks, &judges, rest)?;
    let run = move |value: Value, scope: &Scope<'_>| -> Result<Turned, Reason> {
        for judge in &judges {
            if !judge(&value, scope)? {
                return wanting(value);
            }
        }
        Ok(Turned::from(value))
    };
    let bound =
        Bound { run: Arc::new(run), reads, takes_null, of_commit, ..Bound::of(ground.kind, Ok) };
    // A value that passes is as it was.
    Ok(if matches!(rest, Else::Reject | Else::Warn) { bound.back(Ok) } else { bound })
}

/// What a value becomes that is found wanting.
type Instead = Box<dyn Fn(Value) -> Result<Turned, Reason> + Send + Sync>;

fn instead(
    ground: &Ground<'_>,
    checks: &[Check],
    judges: &[Judge],
    rest: &Else,
) -> Result<Instead, String> {
    let turned = |value, outcome| Ok(Turned { value, outcome: Some(outcome) });
    Ok(match rest {
        Else::Reject => Box::new(|_| Err(Reason::Validation)),
        Else::Warn => Box::new(move |value| turned(value, Outcome::Warn)),
        Else::Null if !ground.nullable => {
            return Err("`else = \"null\"`: the target's column takes no NULL".to_owned());
        }
        Else::Null if checks.iter().any(|check| matches!(check, Check::NotNull)) => {
            return Err("`not_null` and `else = \"null\"` contradict each other".to_owned());
        }
        Else::Null => Box::new(move |_| turned(Value::Null, Outcome::Null)),
        Else::Default(literal) => {
            let value = value_of(literal, ground.kind)?;
            let row = Row::default();
            let scope = Scope::of(&row);
            let passes = |judge: &Judge| judge(&value, &scope).unwrap_or(false);
            if !judges.iter().all(passes) && !is_free(checks) {
                return Err(format!("the default {} does not pass the check", literal.json()));
            }
            Box::new(move |_| turned(value.clone(), Outcome::Default))
        }
        Else::Clamp => match checks {
            [Check::Range(min, max)] => {
                let (min, max) = bounds(ground, Some(min), Some(max))?;
                Box::new(move |value| match outside(&value, min.as_ref(), max.as_ref())? {
                    Some(bound) => turned(bound.clone(), Outcome::Clamp),
                    None => Ok(Turned::from(value)),
                })
            }
            _ => return Err("`else = \"clamp\"` is for `range` alone".to_owned()),
        },
    })
}

/// Whether a default may be what the checks would not pass: a mark outside a range, as -1 for what is not
/// known, or what an expression says of the row.
fn is_free(checks: &[Check]) -> bool {
    matches!(checks, [Check::Range(..)])
        || checks.iter().any(|check| matches!(check, Check::Expression(_)))
}

fn judge(ground: &Ground<'_>, check: &Check) -> Result<Judge, String> {
    let needs_text = |what: &str| match ground.kind {
        Kind::Text | Kind::Enum => Ok(()),
        kind => Err(format!("`{what}` takes text, and gets {kind}")),
    };
    Ok(match check.clone() {
        Check::NotNull => Arc::new(|value, _| Ok(*value != Value::Null)),
        Check::NotEmpty => match ground.kind {
            Kind::Text | Kind::Enum | Kind::Bytes => {
                Arc::new(|value, _| Ok(length(value, true) != 0))
            }
            kind => return Err(format!("`not_empty` takes text or bytes, and gets {kind}")),
        },
        Check::Range(min, max) => {
            let (min, max) = bounds(ground, Some(&min), Some(&max))?;
            Arc::new(move |value, _| {
                Ok(*value == Value::Null || outside(value, min.as_ref(), max.as_ref())?.is_none())
            })
        }
        Check::Length { min, max, bytes } => match ground.kind {
            Kind::Text | Kind::Enum | Kind::Bytes => {
                Arc::new(move |value, _| Ok((min..=max).contains(&length(value, bytes))))
            }
            kind => return Err(format!("`length` takes text or bytes, and gets {kind}")),
        },
        Check::Regex(regex) => {
            needs_text("regex")?;
            Arc::new(move |value, _| Ok(text_of(value).is_none_or(|text| regex.is_match(&text))))
        }
        Check::OneOf(keys) => {
            textual(ground.kind)?;
            Arc::new(move |value, _| Ok(text_of(value).is_none_or(|text| keys.contains(&*text))))
        }
        Check::Utf8Clean => match ground.kind {
            Kind::Text | Kind::Enum | Kind::Bytes => Arc::new(|value, _| Ok(is_clean(value))),
            kind => return Err(format!("`utf8_clean` takes text or bytes, and gets {kind}")),
        },
        Check::Expression(expression) => {
            let reads = expression.reads(ground)?;
            Arc::new(move |value, scope| match expression.of(value, scope, &reads)? {
                cel::Value::Bool(truth) => Ok(truth),
                _ => Err(Reason::Validation),
            })
        }
        Check::References(look) => {
            let list = lookup::comparable(ground, &look)?;
            // Where its rows are not read, nothing is checked by it either.
            let keys = lookup::keys(list);
            Arc::new(move |value, _| {
                let is_there =
                    |keys: &Keys| text_of(value).is_none_or(|text| keys.contains_key(&text));
                Ok(keys.as_deref().is_none_or(is_there))
            })
        }
        Check::Unique => {
            let (table, column) = ground.target;
            let own = table.column_index(&column.name).map(|at| vec![at]);
            if !table.uniques.iter().any(|unique| Some(&unique.columns) == own.as_ref()) {
                return Err(format!(
                    "`unique_in_target`: no unique index of {} is over {} alone, so nothing would \
                     decide it; rows are set aside as `unique_collision` where one does",
                    table.name, column.name
                ));
            }
            Arc::new(|_, _| Ok(true))
        }
    })
}

/// Length of text and bytes; of NULL none is asked.
fn length(value: &Value, bytes: bool) -> u64 {
    match value {
        Value::Text(text) | Value::Enum(text) if bytes => text.len() as u64,
        Value::Text(text) | Value::Enum(text) => text.chars().count() as u64,
        Value::Bytes(bytes) => bytes.len() as u64,
        _ => 0,
    }
}

/// No replacement characters, and no control characters but tabs and line breaks.
fn is_clean(value: &Value) -> bool {
    let clean = |text: &str| {
        text.chars().all(|character| {
            character != '\u{fffd}' && (!character.is_control() || "\t\n\r".contains(character))
        })
    };
    match value {
        Value::Text(text) | Value::Enum(text) => clean(text),
        Value::Bytes(bytes) => std::str::from_utf8(bytes).is_ok_and(clean),
        _ => true,
    }
}
