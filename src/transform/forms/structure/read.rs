//! JSON read as a value of a type, into PostgreSQL's text. Dates and times are looked at no closer than that
//! nothing of them is guessed; everything else is checked in full.

use super::{DIMENSIONS_MAX, may_be_list};
use crate::model::Type;
use crate::model::schema::JsonKind;
use crate::model::shape::Shape;
use crate::transform::Reason;
use crate::transform::forms::json::Reader;
use crate::transform::forms::{canonical, canonical_scalar, decimal, float, unsigned, vector};

/// PostgreSQL's text of what comes next; `None` for null.
pub(super) fn value(
    ty: &Type,
    reader: &mut Reader<'_>,
    depth: u8,
) -> Result<Option<String>, Reason> {
    let depth = depth.checked_sub(1).ok_or(Reason::JsonDepth)?;
    if !matches!(ty, Type::Json(_)) && reader.word("null") {
        return Ok(None);
    }
    Ok(Some(match (ty, ty.shape()) {
        (_, Some(Shape::Array { element, delimiter })) => {
            read_list(element, *delimiter, reader, depth, (0, &mut Extent::default()))?
        }
        (_, Some(Shape::Composite(fields))) => read_composite(fields, reader, depth)?,
        (_, Some(Shape::Hstore)) => read_hstore(reader)?,
        (_, Some(Shape::Vector { .. })) => {
            vector::spell(&vector::parse(reader.document()?)?, '[', ']')
        }
        (_, Some(Shape::Unsigned { bits })) => unsigned(reader.number()?, *bits)?.to_string(),
        (_, Some(Shape::Money { .. })) => decimal(&reader.string()?)?,
        (Type::Json(kind), _) => document(*kind, reader.document()?)?.to_owned(),
        _ => read_scalar(ty, reader)?,
    }))
}

/// A document inside a value: what jsonb cannot hold is refused here too.
fn document(kind: JsonKind, text: &str) -> Result<&str, Reason> {
    if kind == JsonKind::Binary {
        crate::transform::json::check(text, &crate::transform::mapping::forms::JSONB)?;
    }
    Ok(text)
}

fn read_scalar(ty: &Type, reader: &mut Reader<'_>) -> Result<String, Reason> {
    Ok(match ty {
        Type::Bool if reader.word("true") => "t".to_owned(),
        Type::Bool if reader.word("false") => "f".to_owned(),
        Type::Bool => return Err(Reason::Parse),
        Type::Int { bits, .. } => {
            let number: i64 = reader.number()?.parse().map_err(|_| Reason::Parse)?;
            let spare = 64 - u32::from(*bits).clamp(1, 64);
            if number << spare >> spare != number {
                return Err(Reason::OutOfRange);
            }
            number.to_string()
        }
        Type::F32 => {
            let number = reader.number()?;
            vector::parse(&format!("{{{number}}}"))?;
            number.to_owned()
        }
        Type::F64 => {
            let number = reader.number()?;
            float(number)?;
            number.to_owned()
        }
        Type::Decimal(size) => {
            let text = reader.string()?;
            let given = decimal(&text)?;
            match size {
                Some(size) if !matches!(given.as_str(), "NaN" | "Infinity" | "-Infinity") => {
                    let fit = crate::transform::mapping::forms::numeric(*size);
                    crate::transform::decimal::fit(&given.into(), &fit)?.to_string()
                }
                Some(_) if given != "NaN" => return Err(Reason::NonFinite),
                _ => given,
            }
        }
        Type::Enum { labels } => {
            let label = reader.string()?;
            if !labels.contains(&label) {
                return Err(Reason::EnumUnknown);
            }
            label
        }
        Type::Char { chars } | Type::Text { chars: Some(chars), .. } => {
            let text = reader.string()?;
            if text.chars().count() > *chars as usize {
                return Err(Reason::TooLong);
            }
            text
        }
        Type::Native { shape, .. } => canonical(shape, &reader.string()?)?,
        Type::Uuid => canonical_scalar(ty, &reader.string()?)?,
        Type::Bytes { .. } => bytes(reader.string()?)?,
        Type::Date | Type::Time { .. } | Type::Timestamp { .. } | Type::Instant { .. } => {
            clock(ty, reader.string()?)?
        }
        _ => reader.string()?,
    })
}

/// `\x` and pairs of digits.
fn bytes(text: String) -> Result<String, Reason> {
    let digits = text.strip_prefix("\\x").ok_or(Reason::Parse)?;
    let fine = digits.len() % 2 == 0 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if fine { Ok(text.to_ascii_lowercase()) } else { Err(Reason::Parse) }
}

/// A date or time as PostgreSQL prints it, looked at no closer than that nothing of it is guessed: ISO, of
/// four digits or more of the year; the server judges the day.
fn clock(ty: &Type, text: String) -> Result<String, Reason> {
    let digits = match ty {
        Type::Time { digits } | Type::Timestamp { digits } | Type::Instant { digits } => *digits,
        _ => 0,
    };
    let dated = !matches!(ty, Type::Time { .. });
    if dated && matches!(text.as_str(), "infinity" | "-infinity") {
        return Ok(text);
    }
    let plain = text.strip_suffix(" BC").filter(|_| dated).unwrap_or(&text);
    let (date, time) = match (ty, plain.split_once(' ')) {
        (Type::Date, None) => (plain, None),
        (Type::Time { .. }, None) => ("", Some(plain)),
        (Type::Timestamp { .. } | Type::Instant { .. }, Some((date, time))) => (date, Some(time)),
        _ => return Err(Reason::Parse),
    };
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if dated {
        let parts: Vec<&str> = date.split('-').collect();
        let widths =
            |parts: &[&str]| parts[0].len() >= 4 && parts[1].len() == 2 && parts[2].len() == 2;
        if parts.len() != 3 || !parts.iter().all(|part| number(part)) || !widths(&parts) {
            return Err(Reason::Parse);
        }
    }
    if let Some(time) = time {
        let zoned = matches!(ty, Type::Instant { .. });
        let time = if zoned { time.strip_suffix("+00").ok_or(Reason::Parse)? } else { time };
        let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
        let parts: Vec<&str> = clock.split(':').collect();
        let two = |part: &&str| part.len() == 2 && number(part);
        if parts.len() != 3 || !parts.iter().all(two) || !(fraction.is_empty() || number(fraction))
        {
            return Err(Reason::Parse);
        }
        if fraction.trim_end_matches('0').len() > usize::from(digits) {
            return Err(Reason::PrecisionLoss);
        }
    }
    Ok(text)
}

/// How far an array extends, as far as that is known.
#[derive(Default)]
struct Extent {
    /// How long the lists of each level are; nothing where none has ended yet.
    sizes: [Option<usize>; DIMENSIONS_MAX],
    /// The level that holds no lists.
    innermost: Option<usize>,
}

impl Extent {
    /// Whether a list of `level` is like those before it.
    fn takes(&mut self, level: usize, size: usize, nested: bool) -> bool {
        let is_leaf = !nested && (size > 0 || level == 0);
        let innermost = *self.innermost.get_or_insert(level);
        let known = self.sizes.get_mut(level).map(|known| *known.get_or_insert(size));
        known == Some(size) && (innermost == level) == is_leaf
    }
}

/// One level of an array.
fn read_list(
    element: &Type,
    delimiter: char,
    reader: &mut Reader<'_>,
    depth: u8,
    (level, extent): (usize, &mut Extent),
) -> Result<String, Reason> {
    if level >= DIMENSIONS_MAX {
        return Err(Reason::Parse);
    }
    reader.expect(b'[')?;
    let (mut text, mut count, mut nested) = (String::from("{"), 0_usize, None);
    while !reader.take(b']') {
        if count > 0 {
            reader.expect(b',')?;
            text.push(delimiter);
        }
        count += 1;
        let is_list = reader.peek() == Some(b'[') && !may_be_list(element);
        if nested.is_some_and(|nested| nested != is_list) {
            return Err(Reason::Parse);
        }
        nested = Some(is_list);
        if is_list {
            text.push_str(&read_list(element, delimiter, reader, depth, (level + 1, extent))?);
            continue;
        }
        match value(element, reader, depth)? {
            None => text.push_str("NULL"),
            Some(value) => push_quoted(&value, &mut text),
        }
    }
    if !extent.takes(level, count, nested == Some(true)) {
        return Err(Reason::Parse);
    }
    text.push('}');
    Ok(text)
}

/// A value in quotes, with what would end them escaped: for arrays, composites and hstore alike.
fn push_quoted(value: &str, text: &mut String) {
    text.push('"');
    for letter in value.chars() {
        if matches!(letter, '"' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text.push('"');
}

fn read_composite(
    fields: &[(String, Type)],
    reader: &mut Reader<'_>,
    depth: u8,
) -> Result<String, Reason> {
    let mut values: Vec<Option<Option<String>>> = vec![None; fields.len()];
    for_members(reader, |name, reader| {
        let at = fields.iter().position(|(field, _)| *field == name).ok_or(Reason::Parse)?;
        let (_, ty) = fields.get(at).ok_or(Reason::Parse)?;
        let slot = values.get_mut(at).ok_or(Reason::Parse)?;
        if slot.is_some() {
            return Err(Reason::JsonDuplicateKey);
        }
        *slot = Some(value(ty, reader, depth)?);
        Ok(())
    })?;
    let mut text = String::from("(");
    for (at, value) in values.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        if let Some(value) = value.ok_or(Reason::Parse)? {
            push_quoted(&value, &mut text);
        }
    }
    text.push(')');
    Ok(text)
}

fn read_hstore(reader: &mut Reader<'_>) -> Result<String, Reason> {
    let mut pairs: Vec<(String, Option<String>)> = Vec::new();
    for_members(reader, |name, reader| {
        let value = if reader.word("null") { None } else { Some(reader.string()?) };
        pairs.push((name, value));
        Ok(())
    })?;
    // As hstore keeps them.
    pairs.sort_by(|(one, _), (other, _)| one.len().cmp(&other.len()).then_with(|| one.cmp(other)));
    if pairs.windows(2).any(|pair| matches!(pair, [one, other] if one.0 == other.0)) {
        return Err(Reason::JsonDuplicateKey);
    }
    let mut text = String::new();
    for (key, value) in &pairs {
        text.push_str(if text.is_empty() { "" } else { ", " });
        push_quoted(key, &mut text);
        text.push_str("=>");
        match value {
            Some(value) => push_quoted(value, &mut text),
            None => text.push_str("NULL"),
        }
    }
    Ok(text)
}

/// The members of an object, one after the other.
fn for_members<'a>(
    reader: &mut Reader<'a>,
    mut member: impl FnMut(String, &mut Reader<'a>) -> Result<(), Reason>,
) -> Result<(), Reason> {
    reader.expect(b'{')?;
    let mut first = true;
    while !reader.take(b'}') {
        if !first {
            reader.expect(b',')?;
        }
        first = false;
        let name = reader.string()?;
        reader.expect(b':')?;
        member(name, reader)?;
    }
    Ok(())
}
