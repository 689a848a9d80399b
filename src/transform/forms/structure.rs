//! Arrays, composites and hstore: PostgreSQL's text to JSON and back, by the type.
//!
//! An array is a JSON array, nested for more dimensions; a composite is an object by the names of its
//! fields, NULL included; hstore is an object of strings. Numbers that JSON readers would bend (numeric) are
//! strings. Source: `array_in`, `array_out`, `record_out`, `hstore_out` of PostgreSQL.

mod read;

use crate::model::Type;
use crate::model::shape::Shape;
use crate::transform::Reason;
use crate::transform::forms::json::{Reader, write_string};
use crate::transform::forms::{boolean, canonical_scalar, float, money, unsigned, vector};

/// Dimensions of an array at most.
const DIMENSIONS_MAX: usize = 6;
/// How deep types may lie in each other; the catalog makes none that is deeper.
const DEPTH_MAX: u8 = 32;

/// How scalars are spelled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// As the text has them.
    Given,
    /// In their one text.
    Canonical,
}

/// The JSON of a text.
///
/// # Errors
/// `Parse` where it is none of the type, `ArrayBounds` for an array that does not begin at 1,
/// `NonFinite` for a float that JSON lacks.
pub fn to_json(ty: &Type, text: &str, spelling: Spelling) -> Result<String, Reason> {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    Writer { spelling, out: &mut out }.value(ty, text, DEPTH_MAX)?;
    Ok(out)
}

/// PostgreSQL's text of a JSON document.
///
/// # Errors
/// `Parse` where it is no document of the type, and what the scalars say.
pub fn from_json(ty: &Type, document: &str) -> Result<String, Reason> {
    let mut reader = Reader::of(document);
    let text = read::value(ty, &mut reader, DEPTH_MAX)?.ok_or(Reason::Parse)?;
    reader.end()?;
    Ok(text)
}

/// The one text of a value.
pub(crate) fn respelled(shape: &Shape, text: &str) -> Result<String, Reason> {
    if let Shape::Vector { .. } = shape {
        return vector::parse(text).map(|numbers| vector::spell(&numbers, '[', ']'));
    }
    let ty = Type::Native { name: String::new(), modifier: -1, shape: shape.clone() };
    from_json(&ty, &to_json(&ty, text, Spelling::Canonical)?)
}

/// Whether JSON has a form for values of a type.
pub(crate) fn has_json(ty: &Type) -> bool {
    match ty {
        Type::Unsupported | Type::Year | Type::Binary { .. } => false,
        Type::Native { shape, .. } => match shape {
            Shape::Array { element, .. } => has_json(element),
            Shape::Composite(fields) => fields.iter().all(|(_, ty)| has_json(ty)),
            Shape::Range { element, .. } | Shape::Multirange { element, .. } => has_json(element),
            Shape::Interval { whole, .. } => *whole,
            Shape::Opaque
            | Shape::Printed
            | Shape::Set(_)
            | Shape::Address { .. }
            | Shape::Geometry { .. } => false,
            _ => true,
        },
        _ => true,
    }
}

/// Whether a type's own JSON may be an array: then one of several dimensions could not be told from it.
fn may_be_list(ty: &Type) -> bool {
    matches!(ty, Type::Json(_))
        || matches!(ty.shape(), Some(Shape::Array { .. } | Shape::Vector { .. }))
}

struct Writer<'a> {
    spelling: Spelling,
    out: &'a mut String,
}

impl Writer<'_> {
    fn value(&mut self, ty: &Type, text: &str, depth: u8) -> Result<(), Reason> {
        let depth = depth.checked_sub(1).ok_or(Reason::JsonDepth)?;
        match (ty, ty.shape()) {
            (_, Some(Shape::Array { element, delimiter })) => {
                self.array(element, *delimiter, text, depth)
            }
            (_, Some(Shape::Composite(fields))) => self.composite(fields, text, depth),
            (_, Some(Shape::Hstore)) => self.hstore(text),
            (_, Some(Shape::Vector { .. })) => {
                let numbers = vector::parse(text)?;
                let spelled = vector::spell(&numbers, '[', ']');
                self.out.push_str(&spelled.replace(',', ", "));
                Ok(())
            }
            (_, Some(Shape::Unsigned { bits })) => {
                self.out.push_str(&unsigned(text, *bits)?.to_string());
                Ok(())
            }
            (_, Some(Shape::Money { digits })) => {
                write_string(&money(text, *digits)?, self.out);
                Ok(())
            }
            (Type::Json(_), _) => {
                let mut reader = Reader::of(text);
                self.out.push_str(reader.document()?);
                reader.end()
            }
            _ => self.scalar(ty, text),
        }
    }

    fn scalar(&mut self, ty: &Type, text: &str) -> Result<(), Reason> {
        match ty {
            Type::Bool => self.out.push_str(if boolean(text)? { "true" } else { "false" }),
            Type::Int { .. } => {
                let number: i64 = text.parse().map_err(|_| Reason::Parse)?;
                self.out.push_str(&number.to_string());
            }
            Type::F32 | Type::F64 => {
                if !float(text)?.is_finite() {
                    return Err(Reason::NonFinite);
                }
                match self.spelling {
                    Spelling::Given => self.out.push_str(text),
                    Spelling::Canonical => self.out.push_str(&canonical_scalar(ty, text)?),
                }
            }
            Type::Char { .. } => write_string(text.trim_end_matches(' '), self.out),
            _ if self.spelling == Spelling::Canonical => {
                write_string(&canonical_scalar(ty, text)?, self.out);
            }
            _ => write_string(text, self.out),
        }
        Ok(())
    }

    fn array(
        &mut self,
        element: &Type,
        delimiter: char,
        text: &str,
        depth: u8,
    ) -> Result<(), Reason> {
        if text.starts_with('[') {
            return Err(Reason::ArrayBounds);
        }
        let mut items = Items { text, at: 0 };
        let dimensions = text.bytes().take_while(|byte| *byte == b'{').count();
        if dimensions > 1 && may_be_list(element) {
            return Err(Reason::ArrayBounds);
        }
        self.list(element, delimiter, &mut items, depth, DIMENSIONS_MAX)?;
        if items.at == text.len() { Ok(()) } else { Err(Reason::Parse) }
    }

    fn list(
        &mut self,
        element: &Type,
        delimiter: char,
        items: &mut Items<'_>,
        depth: u8,
        dimensions: usize,
    ) -> Result<(), Reason> {
        let inner = dimensions.checked_sub(1).ok_or(Reason::Parse)?;
        items.expect('{')?;
        self.out.push('[');
        let mut first = true;
        while !items.take('}') {
            if !first {
                items.expect(delimiter)?;
                self.out.push_str(", ");
            }
            first = false;
            if items.peek() == Some('{') {
                self.list(element, delimiter, items, depth, inner)?;
                continue;
            }
            let (text, quoted) = items.item(&[delimiter, '}'])?;
            if text.is_empty() && !quoted {
                return Err(Reason::Parse);
            }
            if !quoted && text.eq_ignore_ascii_case("null") {
                self.out.push_str("null");
            } else {
                self.value(element, &text, depth)?;
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn composite(
        &mut self,
        fields: &[(String, Type)],
        text: &str,
        depth: u8,
    ) -> Result<(), Reason> {
        let mut items = Items { text, at: 0 };
        items.expect('(')?;
        self.out.push('{');
        for (at, (name, ty)) in fields.iter().enumerate() {
            if at > 0 {
                items.expect(',')?;
                self.out.push_str(", ");
            }
            write_string(name, self.out);
            self.out.push_str(": ");
            match items.item(&[',', ')'])? {
                (text, false) if text.is_empty() => self.out.push_str("null"),
                (text, _) => self.value(ty, &text, depth)?,
            }
        }
        items.expect(')')?;
        self.out.push('}');
        if items.at == text.len() { Ok(()) } else { Err(Reason::Parse) }
    }

    fn hstore(&mut self, text: &str) -> Result<(), Reason> {
        let mut items = Items { text, at: 0 };
        self.out.push('{');
        let mut first = true;
        while items.peek().is_some() {
            if !first {
                items.expect(',')?;
                items.expect(' ')?;
                self.out.push_str(", ");
            }
            first = false;
            let (key, quoted) = items.item(&['='])?;
            if !quoted {
                return Err(Reason::Parse);
            }
            write_string(&key, self.out);
            items.expect('=')?;
            items.expect('>')?;
            self.out.push_str(": ");
            match items.item(&[','])? {
                (value, true) => write_string(&value, self.out),
                (value, false) if value == "NULL" => self.out.push_str("null"),
                _ => return Err(Reason::Parse),
            }
        }
        self.out.push('}');
        Ok(())
    }
}

/// The pieces of a text of a container.
struct Items<'a> {
    text: &'a str,
    at: usize,
}

impl Items<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn take(&mut self, letter: char) -> bool {
        let found = self.peek() == Some(letter);
        self.at += if found { letter.len_utf8() } else { 0 };
        found
    }

    fn expect(&mut self, letter: char) -> Result<(), Reason> {
        if self.take(letter) { Ok(()) } else { Err(Reason::Parse) }
    }

    /// A piece up to one of `ends` outside quotes, and whether it has any.
    fn item(&mut self, ends: &[char]) -> Result<(String, bool), Reason> {
        let (mut text, mut quoted, mut inside) = (String::new(), false, false);
        while let Some(letter) = self.peek() {
            if !inside && ends.contains(&letter) {
                break;
            }
            self.at += letter.len_utf8();
            match letter {
                '\\' => {
                    let next = self.peek().ok_or(Reason::Parse)?;
                    self.at += next.len_utf8();
                    text.push(next);
                }
                '"' if inside && self.take('"') => text.push('"'),
                '"' => (quoted, inside) = (true, !inside),
                letter => text.push(letter),
            }
        }
        if inside { Err(Reason::Parse) } else { Ok((text, quoted)) }
    }
}

#[cfg(test)]
mod tests;
