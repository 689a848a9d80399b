//! Expressions in CEL: over the row, without any way to look elsewhere, and of bounded work.
//!
//! What an expression may use is checked when it is read: columns as `row.name` or `row["name"]`, the value
//! so far as `value`, operators, and the functions below. Loops over lists are refused, so the work is
//! linear in the expression. Numbers with a fraction are 64-bit floats here: a decimal that is none
//! exactly is rejected. Dates and times are text, as ISO 8601 has it; so is the time of the commit, in UTC, which
//! is null for a row that was read by itself.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cel::common::ast::{Expr, LiteralValue};
use cel::{Context, Env, ExecutionError, IdedExpr};
use regex::Regex;

use super::bind::{Bound, Ground, Scope, Turned};
use super::format::Format;
use super::kind::Kind;
use super::literal::Literal;
use super::number::Number;
use super::registry::Params;
use super::step::Step;
use super::texts::pattern;
use super::values::{text_of, value_of};
use crate::model::value::UNIX_TO_2000_US;
use crate::model::{Row, Value, calendar};
use crate::transform::Reason;

/// Longest expression, in bytes.
const LENGTH_MAX: usize = 4096;
/// Deepest nesting of an expression.
const DEPTH_MAX: usize = 40;

/// Functions and operators of CEL that are taken, and weir's own.
const FUNCTIONS: &[&str] = &[
    "_?_:_",
    "_&&_",
    "_||_",
    "!_",
    "_-_",
    "_+_",
    "_*_",
    "_/_",
    "_%_",
    "_==_",
    "_!=_",
    "_>=_",
    "_<=_",
    "_>_",
    "_<_",
    "-_",
    "@in",
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "lower",
    "upper",
    "trim",
    "substr",
    "regex",
    "parse_date",
    "decimal",
];

/// The function that tells when a change was committed, and the variable that stands for it; no name that anybody
/// could write.
const COMMIT: (&str, &str) = ("now_at_commit", "@commit");

/// An expression that was read.
pub(super) struct Expression {
    tree: IdedExpr,
    /// The functions, under the variables of each row.
    functions: Context<'static, 'static>,
    columns: BTreeSet<String>,
    /// Whether the value so far is used.
    uses_value: bool,
    /// Whether the time of the commit is.
    pub(super) of_commit: bool,
}

/// Reads an expression.
pub(super) fn expression(text: &str) -> Result<Arc<Expression>, String> {
    if text.len() > LENGTH_MAX {
        return Err(format!("an expression has at most {LENGTH_MAX} bytes"));
    }
    let nested = text.bytes().filter(|byte| b"([{?".contains(byte)).count();
    if nested > DEPTH_MAX * 4 {
        return Err("the expression is nested too deeply".to_owned());
    }
    let env = Arc::new(Env::stdlib());
    let program = env.compile(text).map_err(|error| format!("not an expression: {error}"))?;
    let mut tree = program.expression().clone();
    let mut seen = Seen::default();
    seen.look(&mut tree, 0)?;
    let patterns = seen.patterns.into_iter().map(|text| Ok((text.clone(), pattern(&text)?)));
    let patterns = Arc::new(patterns.collect::<Result<HashMap<_, _>, String>>()?);
    let mut context = Context::with_env(env);
    functions(&mut context, &patterns).map_err(|error| error.to_string())?;
    let (columns, uses_value, of_commit) = (seen.columns, seen.value, seen.commit);
    Ok(Arc::new(Expression { tree, functions: context, columns, uses_value, of_commit }))
}

/// What an expression refers to.
#[derive(Default)]
struct Seen {
    columns: BTreeSet<String>,
    patterns: BTreeSet<String>,
    value: bool,
    commit: bool,
}

impl Seen {
    /// Looks at a part of an expression; the time of the commit becomes a variable.
    fn look(&mut self, node: &mut IdedExpr, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err("the expression is nested too deeply".to_owned());
        }
        if let Expr::Call(call) = &node.expr
            && call.func_name == COMMIT.0
        {
            if call.target.is_some() || !call.args.is_empty() {
                return Err(format!("{}() takes nothing", COMMIT.0));
            }
            self.commit = true;
            node.expr = Expr::Ident(COMMIT.1.to_owned());
            return Ok(());
        }
        match &mut node.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) if name == "value" => {
                self.value = true;
                Ok(())
            }
            Expr::Ident(name) => Err(format!("`{name}` is not known; columns are row.name")),
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(name) if name == "row" && !select.test => {
                    self.columns.insert(select.field.clone());
                    Ok(())
                }
                _ => Err(format!("`.{}` of what is no row", select.field)),
            },
            Expr::List(list) => {
                list.elements.iter_mut().try_for_each(|one| self.look(one, depth + 1))
            }
            Expr::Call(call) => {
                if let Some(column) = indexed(call) {
                    self.columns.insert(column);
                    return Ok(());
                }
                if !FUNCTIONS.contains(&call.func_name.as_str()) {
                    return Err(format!("there is no function `{}`", call.func_name));
                }
                if call.func_name == "regex" {
                    let last = call.args.last().map(|last| &last.expr);
                    let Some(Expr::Literal(LiteralValue::String(text))) = last else {
                        return Err("the pattern of regex() is a text in quotes".to_owned());
                    };
                    self.patterns.insert(text.inner().to_owned());
                }
                let target = call.target.iter_mut().map(|target| &mut **target);
                target.chain(&mut call.args).try_for_each(|one| self.look(one, depth + 1))
            }
            Expr::Comprehension(_) => Err("loops over lists are not taken".to_owned()),
            _ => Err("only values, columns, operators and functions are taken".to_owned()),
        }
    }
}

/// The column of `row["name"]`.
fn indexed(call: &cel::common::ast::CallExpr) -> Option<String> {
    match (call.func_name.as_str(), call.args.as_slice()) {
        ("_[_]", [row, name]) => match (&row.expr, &name.expr) {
            (Expr::Ident(row), Expr::Literal(LiteralValue::String(name))) if row == "row" => {
                Some(name.inner().to_owned())
            }
            _ => None,
        },
        _ => None,
    }
}

impl Expression {
    /// The places of its columns in the source's table.
    pub(super) fn reads(&self, ground: &Ground<'_>) -> Result<Vec<(String, usize)>, String> {
        let place = |name: &String| {
            let at = ground.table.column_index(name);
            let at = at.ok_or_else(|| format!("the source has no column {name}"))?;
            match ground.table.columns.get(at).map(|column| Kind::of(&column.ty)) {
                Some(Kind::Other) => Err(format!("expressions do not know the type of {name}")),
                _ => Ok((name.clone(), at)),
            }
        };
        self.columns.iter().map(place).collect()
    }

    /// What it is of a row.
    pub(super) fn of(
        &self,
        value: &Value,
        scope: &Scope<'_>,
        reads: &[(String, usize)],
    ) -> Result<cel::Value, Reason> {
        let mut context = self.functions.new_inner_scope();
        let mut row = HashMap::with_capacity(reads.len());
        for (name, at) in reads {
            row.insert(name.clone(), into(scope.get(*at).ok_or(Reason::MissingValue)?)?);
        }
        context.add_variable_from_value("row", row);
        if self.uses_value {
            context.add_variable_from_value("value", into(value)?);
        }
        if self.of_commit {
            context.add_variable_from_value(COMMIT.1, commit(scope.beside.committed_us)?);
        }
        cel::Value::resolve(&self.tree, &context).map_err(|_| Reason::Validation)
    }

    /// Whether it has no value for a row that is read by itself, whatever is in the row.
    fn is_null_alone(&self, reads: &[(String, usize)]) -> bool {
        let width = reads.iter().map(|(_, at)| at + 1).max().unwrap_or(0);
        let row = Row::from(vec![Value::Null; width]);
        let found = self.of(&Value::Null, &Scope::of(&row), reads);
        self.of_commit && matches!(found, Ok(cel::Value::Null))
    }
}

/// The time of a commit, in UTC and without zone; null where nothing tells it.
fn commit(unix_us: Option<i64>) -> Result<cel::Value, Reason> {
    let Some(unix_us) = unix_us else { return Ok(cel::Value::Null) };
    let us = unix_us.checked_sub(UNIX_TO_2000_US).ok_or(Reason::OutOfRange)?;
    into(&Value::Timestamp(us))
}

fn functions(
    context: &mut Context<'_, '_>,
    patterns: &Arc<HashMap<String, Regex>>,
) -> Result<(), cel::DeclarationError> {
    type Text = Arc<String>;
    context.add_function("lower", |text: Text| Arc::new(text.to_lowercase()))?;
    context.add_function("upper", |text: Text| Arc::new(text.to_uppercase()))?;
    context.add_function("trim", |text: Text| Arc::new(text.trim().to_owned()))?;
    context.add_function("substr", |text: Text, start: i64, length: i64| {
        let part = |number: i64| usize::try_from(number).unwrap_or(0);
        Arc::new(text.chars().skip(part(start)).take(part(length)).collect::<String>())
    })?;
    context.add_function("decimal", decimal)?;
    let patterns = Arc::clone(patterns);
    context.add_function("regex", move |text: Text, pattern: Text| {
        let regex = patterns.get(&*pattern).ok_or_else(|| wrong("regex"))?;
        Ok::<bool, ExecutionError>(regex.is_match(&text))
    })?;
    context.add_function("parse_date", |text: Text, format: Text| {
        let days = Format::parse(&format).ok().and_then(|format| format.read(&text, None)?.days());
        let mut out = String::new();
        let written = days.map(|days| calendar::write_date(&mut out, days));
        if !matches!(written, Some(Ok(_))) {
            return Err(wrong("parse_date"));
        }
        Ok(Arc::new(out))
    })
}

fn wrong(function: &str) -> ExecutionError {
    ExecutionError::function_error(function, "no value")
}

/// The number that a text or a number is, where CEL has one that is the same.
fn decimal(value: cel::Value) -> Result<cel::Value, ExecutionError> {
    match value {
        cel::Value::String(text) => exact(text.trim()).map_err(|_| wrong("decimal")),
        number @ (cel::Value::Int(_) | cel::Value::UInt(_)) => Ok(number),
        cel::Value::Float(float) if float.is_finite() => Ok(cel::Value::Float(float)),
        _ => Err(wrong("decimal")),
    }
}

/// A decimal: whole where it is, else the float of the same digits.
fn exact(digits: &str) -> Result<cel::Value, Reason> {
    let number = Number::parse(digits).ok_or(Reason::Parse)?;
    if let Some(whole) = number.whole() {
        return Ok(cel::Value::Int(whole));
    }
    let float: f64 = number.to_string().parse().map_err(|_| Reason::Parse)?;
    if Number::parse(&float.to_string()).as_ref() != Some(&number) {
        return Err(Reason::PrecisionLoss);
    }
    Ok(cel::Value::Float(float))
}

/// A value as CEL has it.
fn into(value: &Value) -> Result<cel::Value, Reason> {
    Ok(match value {
        Value::Null => cel::Value::Null,
        Value::Unchanged => return Err(Reason::MissingValue),
        Value::Bool(truth) => cel::Value::Bool(*truth),
        Value::Int(number) => cel::Value::Int(*number),
        Value::UInt(number) => cel::Value::UInt(*number),
        Value::F32(float) => cel::Value::Float(f64::from(*float)),
        Value::F64(float) => cel::Value::Float(*float),
        Value::Bytes(bytes) => cel::Value::Bytes(Arc::new(bytes.to_vec())),
        Value::Decimal(digits) => exact(digits)?,
        Value::DecimalSpecial(_) => return Err(Reason::NonFinite),
        Value::InvalidDate(date) => return Err(crate::transform::coerce::why_invalid(date)),
        Value::EnumInvalid => return Err(Reason::EnumInvalid),
        other => {
            let text = text_of(other).ok_or(Reason::PairNeedsRule)?;
            cel::Value::String(Arc::new(text.to_string()))
        }
    })
}

/// What an expression has made, as a value of the kind that the target wants.
fn out_of(made: cel::Value, kind: Kind) -> Result<Value, Reason> {
    let literal = match made {
        cel::Value::Null => return Ok(Value::Null),
        cel::Value::UInt(number) => match kind {
            Kind::Int | Kind::Decimal => return Ok(Value::from_u64(number)),
            _ => return Err(Reason::PairNeedsRule),
        },
        cel::Value::Bool(truth) => Literal::Bool(truth),
        cel::Value::Int(number) => Literal::Int(number),
        cel::Value::String(text) => Literal::Text(text.to_string()),
        cel::Value::Float(float) if kind == Kind::Float => return Ok(Value::F64(float)),
        cel::Value::Float(float) if float.is_finite() => Literal::Number(float.to_string()),
        cel::Value::Bytes(bytes) if kind == Kind::Bytes => {
            return Ok(Value::Bytes(bytes.to_vec().into()));
        }
        _ => return Err(Reason::PairNeedsRule),
    };
    value_of(&literal, kind).map_err(|_| Reason::PairNeedsRule)
}

pub(super) fn expr(params: &Params<'_>) -> Result<Step, String> {
    let Literal::Text(text) = params.written else {
        return Err("takes an expression, in quotes".to_owned());
    };
    let expression = expression(text)?;
    Ok(Step::of(move |ground| {
        let kind = match ground.wanted {
            Kind::Other => return Err("makes no value of the target's type".to_owned()),
            Kind::Enum | Kind::Json => Kind::Text,
            kind => kind,
        };
        let reads = expression.reads(ground)?;
        if !ground.nullable && expression.is_null_alone(&reads) {
            return Err(format!(
                "rows that are read by themselves, as copies do, have no time of commit, and the target's column takes \
                 no NULL: write {0}() == null ? … : {0}()",
                COMMIT.0
            ));
        }
        let of_commit = expression.of_commit;
        let places = reads.iter().map(|(_, at)| *at).collect();
        let expression = Arc::clone(&expression);
        Ok(Bound {
            run: Arc::new(move |value, scope| {
                out_of(expression.of(&value, scope, &reads)?, kind).map(Turned::from)
            }),
            reads: places,
            of_commit,
            ..Bound::of(kind, Ok).with_null()
        })
    }))
}
