//! Checks a JSON text against what its target can hold, in one pass without building a document.
//!
//! Memory is bounded by the nesting, and by the names of the open objects where duplicates are
//! refused. The text itself is never rewritten: servers that re-spell a document keep its value,
//! and what would change the value is refused here.

use std::borrow::Cow;

use hashbrown::HashSet;

use crate::transform::Reason;
use crate::transform::conversion::{JsonFit, Numbers};

/// Longest number text that every numeric holds, whatever its digits (without an exponent).
const SHORT_NUMBER: usize = 1000;

/// Whether the target holds `text` without changing its value.
pub(crate) fn check(text: &str, fit: &JsonFit) -> Result<(), Reason> {
    if fit.bytes_max.is_some_and(|max| text.len() as u64 > max) {
        return Err(Reason::TooLong);
    }
    if fit.unchecked {
        return Ok(());
    }
    Scanner { text, at: 0, fit, open: Vec::new() }.document()
}

type Names<'a> = HashSet<Cow<'a, [u8]>, foldhash::fast::FixedState>;

enum Open<'a> {
    Array,
    Object(Names<'a>),
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    fit: &'a JsonFit,
    open: Vec<Open<'a>>,
}

impl<'a> Scanner<'a> {
    fn document(mut self) -> Result<(), Reason> {
        loop {
            if self.value()? {
                continue;
            }
            // A value is complete: close what it ends, up to the next value that is due.
            loop {
                self.blanks();
                let Some(open) = self.open.last() else {
                    let done = self.at == self.text.len();
                    return if done { Ok(()) } else { Err(Reason::Parse) };
                };
                let in_array = matches!(open, Open::Array);
                match self.next() {
                    Some(b',') if in_array => break,
                    Some(b',') => {
                        self.name()?;
                        break;
                    }
                    Some(b']') if in_array => {}
                    Some(b'}') if !in_array => {}
                    _ => return Err(Reason::Parse),
                }
                self.open.pop();
            }
        }
    }

    /// Reads a value, or the start of one; true where another value is due at once.
    fn value(&mut self) -> Result<bool, Reason> {
        self.blanks();
        match self.peek() {
            Some(b'{') => {
                self.enter(Open::Object(Names::default()))?;
                if self.peek() == Some(b'}') {
                    return self.leave();
                }
                self.name()?;
                Ok(true)
            }
            Some(b'[') => {
                self.enter(Open::Array)?;
                if self.peek() == Some(b']') {
                    return self.leave();
                }
                Ok(true)
            }
            Some(b'"') => self.string().map(|_| false),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| false),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => Err(Reason::Parse),
        }
    }

    fn enter(&mut self, open: Open<'a>) -> Result<(), Reason> {
        if self.open.len() >= self.fit.depth_max as usize {
            return Err(Reason::JsonDepth);
        }
        self.open.push(open);
        self.at += 1;
        self.blanks();
        Ok(())
    }

    fn leave(&mut self) -> Result<bool, Reason> {
        self.at += 1;
        self.open.pop();
        Ok(false)
    }

    /// Reads a member's name and its colon.
    fn name(&mut self) -> Result<(), Reason> {
        self.blanks();
        if self.peek() != Some(b'"') {
            return Err(Reason::Parse);
        }
        let name = self.string()?;
        if self.fit.unique_names
            && let Some(Open::Object(names)) = self.open.last_mut()
            && !names.insert(decoded(name))
        {
            return Err(Reason::JsonDuplicateKey);
        }
        self.blanks();
        if self.next() == Some(b':') { Ok(()) } else { Err(Reason::Parse) }
    }

    /// Reads a string; returns what stands between the quotes.
    fn string(&mut self) -> Result<&'a str, Reason> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.next() {
                Some(b'"') => {
                    return self.text.get(start..self.at - 1).ok_or(Reason::Parse);
                }
                Some(b'\\') => self.escape()?,
                Some(0..=0x1f) | None => return Err(Reason::Parse),
                Some(_) => {}
            }
        }
    }

    fn escape(&mut self) -> Result<(), Reason> {
        match self.next() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => self.unit(),
            _ => Err(Reason::Parse),
        }
    }

    fn unit(&mut self) -> Result<(), Reason> {
        match self.hex()? {
            0 if self.fit.no_nul => Err(Reason::JsonNul),
            0xd800..=0xdbff => {
                let mark = self.at;
                if self.next() == Some(b'\\') && self.next() == Some(b'u') {
                    let low = self.hex()?;
                    if (0xdc00..=0xdfff).contains(&low) {
                        return Ok(());
                    }
                }
                self.at = mark;
                self.lone_surrogate()
            }
            0xdc00..=0xdfff => self.lone_surrogate(),
            _ => Ok(()),
        }
    }

    fn lone_surrogate(&self) -> Result<(), Reason> {
        if self.fit.no_lone_surrogates { Err(Reason::JsonSurrogate) } else { Ok(()) }
    }

    fn hex(&mut self) -> Result<u32, Reason> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(Reason::Parse)?;
        self.at += 4;
        digits.iter().try_fold(0, |unit, byte| {
            Ok(unit * 16 + char::from(*byte).to_digit(16).ok_or(Reason::Parse)?)
        })
    }

    fn number(&mut self) -> Result<(), Reason> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let first = self.peek();
        let count = self.digits();
        if count == 0 || (count > 1 && first == Some(b'0')) {
            return Err(Reason::Parse);
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(Reason::Parse);
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(Reason::Parse);
            }
        }
        let number = self.text.get(start..self.at).ok_or(Reason::Parse)?;
        let held = match self.fit.numbers {
            Numbers::Any => true,
            Numbers::Numeric => numeric_holds(number),
            Numbers::Mysql => mysql_holds(number),
        };
        if held { Ok(()) } else { Err(Reason::JsonNumber) }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn word(&mut self, word: &str) -> Result<bool, Reason> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(Reason::Parse);
        }
        self.at += word.len();
        Ok(false)
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += usize::from(byte.is_some());
        byte
    }
}

/// A name with its escapes resolved; half surrogates keep a form of their own.
fn decoded(name: &str) -> Cow<'_, [u8]> {
    if !name.contains('\\') {
        return Cow::Borrowed(name.as_bytes());
    }
    // The escapes were checked; a name that does not parse alone (half a pair) stays as written.
    match serde_json::from_str::<String>(&format!("\"{name}\"")) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        Err(_) => Cow::Owned(format!("\\{}", name.to_ascii_lowercase()).into_bytes()),
    }
}

/// A number as `0.DIGITS × 10^point`, without leading and trailing zeros.
struct Normal {
    digits: Vec<u8>,
    point: i64,
}

impl Normal {
    fn of(number: &str) -> Self {
        let unsigned = number.trim_start_matches('-');
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        // An exponent beyond i64 is as good as the largest: no target holds it, unless it is of 0.
        let far = if exponent.starts_with('-') { i64::MIN / 4 } else { i64::MAX / 4 };
        let exponent: i64 = exponent.parse().unwrap_or(far).clamp(i64::MIN / 4, i64::MAX / 4);
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let leading = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..leading);
        let kept = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        digits.truncate(kept);
        if digits.is_empty() {
            return Normal { digits, point: 0 };
        }
        let point = exponent + whole.len() as i64 - leading as i64;
        Normal { digits, point }
    }
}

/// Whether numeric of PostgreSQL holds the number: 131072 digits before the point, 16383 after.
fn numeric_holds(number: &str) -> bool {
    if number.len() <= SHORT_NUMBER && !number.contains(['e', 'E']) {
        return true;
    }
    let normal = Normal::of(number);
    normal.point <= 131_072 && normal.digits.len() as i64 - normal.point <= 16_383
}

/// Whether MySQL's JSON holds the number: int64, uint64, or the shortest text of a double.
fn mysql_holds(number: &str) -> bool {
    if !number.contains(['.', 'e', 'E'])
        && (number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok())
    {
        return true;
    }
    let normal = Normal::of(number);
    // Every decimal of up to 15 digits within the range of doubles is the shortest of its double.
    if normal.digits.is_empty() || (normal.digits.len() <= 15 && normal.point.abs() < 290) {
        return true;
    }
    let Ok(double) = number.parse::<f64>() else { return false };
    if !double.is_finite() {
        return false;
    }
    let shortest = Normal::of(&format!("{double:e}"));
    shortest.digits == normal.digits && shortest.point == normal.point
}
