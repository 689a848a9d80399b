//! Steps that turn text into text, and bytes into text.
//!
//! Lengths are in characters, cases those of Unicode without any locale. Patterns run in time linear in
//! the text. None of these has a way back: what they cut is not kept.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use regex::{Regex, RegexBuilder};
use unicode_normalization::UnicodeNormalization;

use super::bind::{Bound, Scope, Turned, needs, text_to_text};
use super::kind::Kind;
use super::literal::Literal;
use super::registry::Params;
use super::step::Step;
use super::values;
use crate::model::Value;
use crate::transform::{Charset, Reason};

/// Largest compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Longest text that padding makes, in characters.
const WIDTH_MAX: i64 = 65_535;

fn plain(turn: impl Fn(&str) -> String + Clone + Send + Sync + 'static) -> Step {
    Step::of(move |ground| {
        let turn = turn.clone();
        text_to_text(ground, move |text| Ok(turn(text)))
    })
}

/// A pattern that is compiled, of bounded size.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|error| format!("not a pattern: {error}"))
}

pub(super) fn trim(params: &Params<'_>) -> Result<Step, String> {
    let side = params.word(&["both", "left", "right"])?;
    Ok(plain(move |text| {
        match side {
            "left" => text.trim_start(),
            "right" => text.trim_end(),
            _ => text.trim(),
        }
        .to_owned()
    }))
}

pub(super) fn collapse_whitespace(params: &Params<'_>) -> Result<Step, String> {
    params.is_true()?;
    Ok(plain(|text| {
        let mut out = String::with_capacity(text.len());
        let mut blank = false;
        for character in text.chars() {
            match character.is_whitespace() {
                true if blank => {}
                true => out.push(' '),
                false => out.push(character),
            }
            blank = character.is_whitespace();
        }
        out
    }))
}

pub(super) fn case(params: &Params<'_>) -> Result<Step, String> {
    let case = params.word(&["lower", "upper", "title"])?;
    Ok(plain(move |text| match case {
        "lower" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        _ => title(text),
    }))
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for character in text.chars() {
        match (inside, character.is_alphanumeric()) {
            (false, true) => out.extend(character.to_uppercase()),
            _ => out.extend(character.to_lowercase()),
        }
        // An apostrophe stands within a word.
        inside = character.is_alphanumeric() || inside && matches!(character, '\'' | '’');
    }
    out
}

pub(super) fn normalize_unicode(params: &Params<'_>) -> Result<Step, String> {
    let form = params.word(&["nfc", "nfkc"])?;
    Ok(plain(move |text| if form == "nfc" { text.nfc().collect() } else { text.nfkc().collect() }))
}

pub(super) fn substring(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["start", "length"])?;
    let start = table.whole("start", 0, i64::from(u32::MAX))?.unwrap_or(0) as usize;
    let length = table.whole("length", 0, i64::from(u32::MAX))?;
    let length = length.map_or(usize::MAX, |length| length as usize);
    Ok(plain(move |text| text.chars().skip(start).take(length).collect()))
}

pub(super) fn truncate(params: &Params<'_>) -> Result<Step, String> {
    let chars = match params.written {
        Literal::Int(chars) => Some(*chars),
        _ => params.table_or("10", &["chars"])?.whole("chars", 0, i64::from(u32::MAX))?,
    };
    let chars = chars.filter(|chars| *chars >= 0).ok_or("`chars` is missing, or below 0")?;
    Ok(plain(move |text| text.chars().take(chars as usize).collect()))
}

pub(super) fn pad_left(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["width", "char"])?;
    let width = table.whole("width", 1, WIDTH_MAX)?.ok_or("`width` is missing")? as usize;
    let fill = table.character("char", ' ')?;
    Ok(plain(move |text| {
        let missing = width.saturating_sub(text.chars().count());
        std::iter::repeat_n(fill, missing).chain(text.chars()).collect()
    }))
}

pub(super) fn split(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["separator", "index", "else"])?;
    let separator = table.text("separator")?.filter(|text| !text.is_empty());
    let separator: Arc<str> = separator.ok_or("`separator` is missing or empty")?.into();
    let index = table.whole("index", 0, 65_535)?.ok_or("`index` is missing")? as usize;
    let null = table.word("else", &["reject", "null"])? == "null";
    Ok(Step::of(move |ground| {
        needs(ground, &[Kind::Text])?;
        let separator = Arc::clone(&separator);
        Ok(Bound::of(Kind::Text, move |value| {
            let Value::Text(text) = value else { return Err(Reason::PairNeedsRule) };
            match text.split(&*separator).nth(index) {
                Some(part) => Ok(Value::Text(text.slice_ref(part))),
                None if null => Ok(Value::Null),
                None => Err(Reason::Parse),
            }
        }))
    }))
}

pub(super) fn concat(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["columns", "separator", "skip_null"])?;
    let columns = table.texts("columns")?;
    if columns.is_empty() {
        return Err("`columns` is missing or empty".to_owned());
    }
    let separator: Arc<str> = table.text("separator")?.unwrap_or("").into();
    let skip_null = table.truth("skip_null")?;
    Ok(Step::of(move |ground| {
        let find = |name: &String| {
            let found = ground.table.column_index(name);
            let known = found.and_then(|at| ground.table.columns.get(at));
            match (found, known.map(|column| Kind::of(&column.ty))) {
                (Some(_), Some(kind @ (Kind::Bytes | Kind::Other))) => {
                    Err(format!("column {name} is {kind}, which has no text"))
                }
                (Some(at), _) => Ok(at),
                _ => Err(format!("the source has no column {name}")),
            }
        };
        let reads = columns.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let (separator, places) = (Arc::clone(&separator), reads.clone());
        let join = move |row: &Scope<'_>| {
            let mut out = String::new();
            let mut any = false;
            for at in &places {
                let text = match row.get(*at) {
                    None => return Err(Reason::MissingValue),
                    Some(Value::Null) if skip_null => continue,
                    Some(Value::Null) => return Ok(Value::Null),
                    Some(value) => values::text_of(value).ok_or(Reason::PairNeedsRule)?,
                };
                if any {
                    out.push_str(&separator);
                }
                any = true;
                out.push_str(&text);
            }
            Ok(Value::Text(out.into()))
        };
        Ok(Bound {
            run: Arc::new(move |_, row| join(row).map(Turned::from)),
            reads,
            ..Bound::of(Kind::Text, Ok).with_null()
        })
    }))
}

pub(super) fn regex_replace(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["pattern", "with"])?;
    let regex = pattern(table.text("pattern")?.ok_or("`pattern` is missing")?)?;
    let with = table.text("with")?.ok_or("`with` is missing")?.to_owned();
    Ok(plain(move |text| regex.replace_all(text, with.as_str()).into_owned()))
}

pub(super) fn regex_extract(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["pattern", "group"])?;
    let regex = pattern(table.text("pattern")?.ok_or("`pattern` is missing")?)?;
    let group = table.whole("group", 0, 100)?.unwrap_or(0) as usize;
    if group >= regex.captures_len() {
        return Err(format!("the pattern has no group {group}"));
    }
    Ok(Step::of(move |ground| {
        let regex = regex.clone();
        text_to_text(ground, move |text| {
            let found = regex.captures(text).and_then(|found| found.get(group));
            found.map(|found| found.as_str().to_owned()).ok_or(Reason::Parse)
        })
    }))
}

/// A step for texts of digits, which a number would take the zeros from.
pub(super) fn never_a_number(
    turn: impl Fn(&str) -> Result<String, Reason> + Copy + Send + Sync + 'static,
) -> Step {
    Step::of(move |ground| {
        if ground.wanted.is_number() {
            let why = "the target's column is a number, which keeps no zeros in front";
            return Err(why.to_owned());
        }
        text_to_text(ground, turn)
    })
}

pub(super) fn digits_only(params: &Params<'_>) -> Result<Step, String> {
    params.is_true()?;
    Ok(never_a_number(|text| Ok(text.chars().filter(char::is_ascii_digit).collect())))
}

pub(super) fn nul_char(params: &Params<'_>) -> Result<Step, String> {
    let with = if params.word(&["strip", "replace"])? == "strip" { "" } else { "\u{fffd}" };
    Ok(plain(move |text| text.replace('\0', with)))
}

pub(super) fn charset(params: &Params<'_>) -> Result<Step, String> {
    let table = params.table(&["from", "invalid", "fix_mojibake"])?;
    match (table.text("from")?, table.text("fix_mojibake")?) {
        (None, Some("cp1252")) => {
            let latin1 = latin1_bytes();
            Ok(Step::of(move |ground| {
                let latin1 = Arc::clone(&latin1);
                text_to_text(ground, move |text| unmix(text, &latin1))
            }))
        }
        (Some(name), None) => {
            let from = Charset::named(name, false)
                .filter(|from| *from != Charset::Binary)
                .ok_or_else(|| format!("\"{name}\" is no character set of MySQL's"))?;
            let replace = table.word("invalid", &["reject", "replace"])? == "replace";
            Ok(Step::of(move |ground| {
                needs(ground, &[Kind::Bytes])?;
                Ok(Bound::of(Kind::Text, move |value| {
                    let Value::Bytes(bytes) = value else { return Err(Reason::PairNeedsRule) };
                    match from.text(bytes.clone()) {
                        Some(text) => Ok(Value::Text(text)),
                        None if replace => Ok(Value::Text(with_holes(from, &bytes).into())),
                        None => Err(Reason::Charset),
                    }
                }))
            }))
        }
        _ => Err("takes either `from`, or `fix_mojibake = \"cp1252\"`".to_owned()),
    }
}

/// What of `bytes` is text in this set, with U+FFFD in place of each unit that is not.
fn with_holes(from: Charset, bytes: &Bytes) -> String {
    let unit = match from {
        Charset::Ucs2 | Charset::Utf16 | Charset::Utf16le => 2,
        Charset::Utf32 => 4,
        _ => 1,
    };
    let longest = from.bytes_per_char().max(4) as usize;
    let (mut text, mut at) = (String::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let left = bytes.len() - at;
        let found = (1..=longest.min(left))
            .find_map(|length| Some((length, from.text(bytes.slice(at..at + length))?)));
        match found {
            Some((length, piece)) => {
                text.push_str(&piece);
                at += length;
            }
            None => {
                text.push('\u{fffd}');
                at += unit.min(left);
            }
        }
    }
    text
}

/// The byte of each character of cp1252 (MySQL's latin1).
fn latin1_bytes() -> Arc<HashMap<char, u8>> {
    let latin1 = Charset::named("latin1", false);
    let pairs = (0..=u8::MAX).filter_map(|byte| {
        let text = latin1?.text(Bytes::copy_from_slice(&[byte]))?;
        Some((text.chars().next()?, byte))
    });
    Arc::new(pairs.collect())
}

/// Text in UTF-8 that somebody took for cp1252 and wrote as UTF-8 once more.
fn unmix(text: &str, latin1: &HashMap<char, u8>) -> Result<String, Reason> {
    let bytes: Option<Vec<u8>> =
        text.chars().map(|character| latin1.get(&character).copied()).collect();
    String::from_utf8(bytes.ok_or(Reason::Charset)?).map_err(|_| Reason::Charset)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if damaged bytes took others with them, or if text that was encoded twice did not come back.
    #[test]
    fn damaged_text_is_mended_where_it_is_damaged() {
        let named = |name| Charset::named(name, false).expect("a set");
        for (set, bytes, text) in [
            ("sjis", &b"\x83\x41\xff\x41"[..], "ア\u{fffd}A"),
            ("utf8mb4", b"a\xc3\xa4\xc3b\xe2\x82", "aä\u{fffd}b\u{fffd}\u{fffd}"),
            ("utf16", b"\x00a\xd8\x00\x00b\x00", "a\u{fffd}b\u{fffd}"),
        ] {
            assert_eq!(with_holes(named(set), &Bytes::from_static(bytes)), text, "{set}");
        }
        let latin1 = latin1_bytes();
        assert_eq!(latin1.len(), 256);
        assert_eq!(unmix("MÃ¼ller â‚¬", &latin1).as_deref(), Ok("Müller €"));
        assert_eq!(unmix("Müller", &latin1), Err(Reason::Charset));
    }
}
