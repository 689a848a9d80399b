//! One spelling per value: the bytes of two values of a column are the same exactly where the values are
//! equal (type-mapping §3.1), whichever of the two sides they were read at.
//!
//! Compared is what the target should hold, the source's row as the plan converts it, with what its own
//! room reads there. Both are values of the target's column; they may still be different variants, or
//! differ in what is no part of the value: a boolean is a number there, a scale is padded, blanks fill a
//! `char(n)`, JSON is spelled anew. How a server compares (collations) is no part of it.

use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::model::shape::Shape;
use crate::model::value::{InvalidDate, Special};
use crate::model::{Row, Type, Value};
use crate::plan::{ColumnPlan, TablePlan};
use crate::transform::forms::canonical;
use crate::transform::forms::structure::{Spelling, from_json, to_json};
use crate::transform::text;
use crate::verify::json;

/// What of a column's values counts.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// The value as it is.
    Plain,
    /// Text, without the blanks at its end.
    Padded,
    /// Bytes, filled with 0x00 to this length.
    Filled(u32),
    /// A UUID, also where it is spelled as text.
    Uuid,
    /// A JSON document, also where it is kept as text.
    Json,
    /// The text of a type of PostgreSQL's, also where it is kept as text.
    Shaped(Arc<Type>),
    /// An array, composite or the like, also where it is kept as JSON.
    Structure(Arc<Type>),
    /// Nothing of it: the source does not tell what the target should hold, or is not master of it.
    Nothing,
}

impl Form {
    /// Of a pair of columns.
    pub fn of(source: &Type, target: &Type) -> Form {
        if let Some(form) = Form::of_shapes(source, target) {
            return form;
        }
        match (source, target) {
            (Type::Json(_), _) | (_, Type::Json(_)) => Form::Json,
            (Type::Uuid, Type::Char { .. } | Type::Text { .. }) => Form::Uuid,
            (_, Type::Char { .. }) => Form::Padded,
            (_, Type::Binary { bytes }) => Form::Filled(*bytes),
            _ => Form::Plain,
        }
    }
}

impl Form {
    /// Of a pair of which one is a type that only one dialect has, and not of one type.
    fn of_shapes(source: &Type, target: &Type) -> Option<Form> {
        let structure = |ty: &Type| {
            matches!(
                ty.shape(),
                Some(
                    Shape::Array { .. }
                        | Shape::Composite(_)
                        | Shape::Hstore
                        | Shape::Vector { .. }
                )
            )
        };
        let shaped = |ty: &Type| {
            let ty = Arc::new(ty.clone());
            if structure(&ty) { Form::Structure(ty) } else { Form::Shaped(ty) }
        };
        if source.is_same(target) {
            return match source.shape() {
                Some(Shape::Money { .. }) => Some(shaped(target)),
                Some(_) => Some(Form::Plain),
                None => None,
            };
        }
        match (source.shape(), target.shape(), target) {
            // Of MySQL and MariaDB: bytes and labels as they are.
            (_, Some(Shape::Set(_) | Shape::Address { .. }), _) => Some(Form::Plain),
            (_, Some(_), _) => Some(shaped(target)),
            (Some(Shape::Set(_) | Shape::Address { .. } | Shape::Geometry { .. }), _, _) => None,
            (Some(_), None, Type::Json(_)) => Some(shaped(source)),
            (Some(_), None, Type::Text { .. } | Type::Char { .. }) => Some(shaped(source)),
            _ => None,
        }
    }
}

/// The forms of the planned columns, in their order.
pub fn forms(table: &TablePlan) -> Vec<Form> {
    let form = |(at, column): (usize, &ColumnPlan)| {
        let of_commit = column.rules.as_ref().is_some_and(|rules| rules.is_of_commit());
        if of_commit || !column.owned && !table.key.contains(&at) {
            return Form::Nothing;
        }
        let target = table.target.columns.get(column.target).map(|column| &column.ty);
        let source = table.source.columns.get(column.source).map(|column| &column.ty);
        // What steps have made has nothing of the source's type.
        let source = if column.rules.is_some() { target } else { source };
        source.zip(target).map_or(Form::Plain, |(source, target)| Form::of(source, target))
    };
    table.columns.iter().enumerate().map(form).collect()
}

/// The canonical bytes of a match key whose values are in key order.
///
/// # Errors
/// As [`write`].
pub fn key_bytes(table: &TablePlan, forms: &[Form], key: &Row) -> Result<Box<[u8]>> {
    let mut bytes = Vec::with_capacity(16 * key.len());
    for (at, value) in table.key.iter().zip(key.iter()) {
        write(forms.get(*at).unwrap_or(&Form::Plain), value, &mut bytes)?;
    }
    Ok(bytes.into())
}

/// The places of the columns in which two rows of the plan differ.
///
/// # Errors
/// As [`write`]; `Internal` where the rows are not as wide as each other.
pub fn differing(forms: &[Form], expected: &Row, found: &Row) -> Result<Vec<usize>> {
    if expected.len() != found.len() || expected.len() != forms.len() {
        return Err(Error::new(Kind::Internal, "rows of different widths are compared"));
    }
    let (mut left, mut right, mut different) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (form, (expected, found))) in
        forms.iter().zip(expected.iter().zip(found.iter())).enumerate()
    {
        left.clear();
        right.clear();
        write(form, expected, &mut left)?;
        write(form, found, &mut right)?;
        if left != right {
            different.push(at);
        }
    }
    Ok(different)
}

/// What a value's bytes begin with. Never renumbered while digests are kept.
#[derive(Clone, Copy)]
enum Tag {
    Null = 0,
    Number = 1,
    Special = 2,
    Float = 3,
    Text = 4,
    Bytes = 5,
    Date = 6,
    Time = 7,
    Timestamp = 8,
    Instant = 9,
    Infinity = 10,
    NegativeInfinity = 11,
    InvalidDate = 12,
    Uuid = 13,
    Json = 14,
    EnumInvalid = 15,
}

/// Appends a value's canonical bytes; none is the beginning of another's.
///
/// # Errors
/// `Internal` for a value that was not read: it must not pass for equal.
pub fn write(form: &Form, value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match value {
        _ if *form == Form::Nothing => out.push(Tag::Null as u8),
        Value::Null => out.push(Tag::Null as u8),
        Value::Unchanged => {
            return Err(Error::new(Kind::Internal, "a value that was not read is compared"));
        }
        Value::Bool(value) => number(&u8::from(*value).to_string(), out),
        Value::Int(value) => number(&value.to_string(), out),
        Value::UInt(value) => number(&value.to_string(), out),
        Value::Decimal(text) => number(text, out),
        Value::DecimalSpecial(special) => out.extend([Tag::Special as u8, special_code(*special)]),
        Value::F32(value) => float(f64::from(*value), out),
        Value::F64(value) => float(*value, out),
        Value::Json(text) => match form {
            Form::Structure(ty) => structured(ty, from_json(ty, text).ok().as_deref(), text, out),
            form => written(form, text, out),
        },
        Value::Text(text) | Value::Enum(text) => written(form, text, out),
        Value::Bytes(bytes) => filled(form, bytes, out),
        Value::Date(days) => fixed(Tag::Date, &days.to_le_bytes(), out),
        Value::Time(us) => fixed(Tag::Time, &us.to_le_bytes(), out),
        Value::Timestamp(us) => fixed(Tag::Timestamp, &us.to_le_bytes(), out),
        Value::Instant(us) => fixed(Tag::Instant, &us.to_le_bytes(), out),
        Value::Infinity => out.push(Tag::Infinity as u8),
        Value::NegativeInfinity => out.push(Tag::NegativeInfinity as u8),
        Value::InvalidDate(date) => invalid_date(date, out),
        Value::Uuid(bytes) => fixed(Tag::Uuid, bytes, out),
        Value::EnumInvalid => out.push(Tag::EnumInvalid as u8),
    }
    Ok(())
}

fn fixed(tag: Tag, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag as u8);
    out.extend_from_slice(bytes);
}

fn sized(tag: Tag, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag as u8);
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

const fn special_code(special: Special) -> u8 {
    match special {
        Special::NaN => 0,
        Special::Infinity => 1,
        Special::NegativeInfinity => 2,
    }
}

/// A decimal in plain notation: sign, and digits from the first to the last that is not zero, with where
/// the point lies. Every text of digits has such a form; zero has no sign.
fn number(text: &str, out: &mut Vec<u8>) {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = || whole.bytes().chain(fraction.bytes());
    let leading = all().take_while(|digit| *digit == b'0').count();
    let length = whole.len() + fraction.len();
    let trailing = all().rev().take_while(|digit| *digit == b'0').count().min(length - leading);
    let kept = length - leading - trailing;
    let point = if kept == 0 { 0 } else { whole.len() as i64 - leading as i64 };
    out.push(Tag::Number as u8);
    out.push(u8::from(negative && kept > 0));
    out.extend_from_slice(&point.to_le_bytes());
    out.extend_from_slice(&(kept as u64).to_le_bytes());
    out.extend(all().skip(leading).take(kept));
}

/// A float of 32 bits is equal to the one of 64 bits that is exactly it.
fn float(value: f64, out: &mut Vec<u8>) {
    let one = match value {
        0.0 => 0.0,
        value if value.is_nan() => f64::NAN,
        value => value,
    };
    fixed(Tag::Float, &one.to_bits().to_le_bytes(), out);
}

fn written(form: &Form, value: &str, out: &mut Vec<u8>) {
    match form {
        Form::Padded => sized(Tag::Text, value.trim_end_matches(' ').as_bytes(), out),
        Form::Uuid => match text::parse_uuid(value.trim_end_matches(' '), false) {
            Ok(uuid) => fixed(Tag::Uuid, &uuid, out),
            Err(_) => sized(Tag::Text, value.as_bytes(), out),
        },
        Form::Json => {
            let begin = out.len();
            out.push(Tag::Json as u8);
            if json::write(value, out).is_none() {
                // What is no document is equal to its own text only.
                out.truncate(begin);
                sized(Tag::Text, value.as_bytes(), out);
            }
        }
        Form::Shaped(ty) => {
            let one = ty.shape().and_then(|shape| canonical(shape, value).ok());
            sized(Tag::Text, one.as_deref().unwrap_or(value).as_bytes(), out);
        }
        Form::Structure(ty) => structured(ty, Some(value), value, out),
        Form::Plain | Form::Filled(_) | Form::Nothing => sized(Tag::Text, value.as_bytes(), out),
    }
}

/// A structure by its text in PostgreSQL; what is none is equal to what it is written as.
fn structured(ty: &Type, text: Option<&str>, given: &str, out: &mut Vec<u8>) {
    let begin = out.len();
    out.push(Tag::Json as u8);
    let document = text.and_then(|text| to_json(ty, text, Spelling::Canonical).ok());
    if document.and_then(|document| json::write(&document, out)).is_none() {
        out.truncate(begin);
        sized(Tag::Text, given.as_bytes(), out);
    }
}

fn filled(form: &Form, bytes: &[u8], out: &mut Vec<u8>) {
    let width = match form {
        Form::Filled(width) => bytes.len().max(*width as usize),
        _ => bytes.len(),
    };
    out.push(Tag::Bytes as u8);
    out.extend_from_slice(&(width as u64).to_le_bytes());
    out.extend_from_slice(bytes);
    out.extend(std::iter::repeat_n(0, width - bytes.len()));
}

fn invalid_date(date: &InvalidDate, out: &mut Vec<u8>) {
    out.push(Tag::InvalidDate as u8);
    out.extend_from_slice(&date.year.to_le_bytes());
    out.extend([date.month, date.day]);
    out.extend_from_slice(&date.time_us.to_le_bytes());
}

#[cfg(test)]
mod tests;
