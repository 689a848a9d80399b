//! Ranges and multiranges in PostgreSQL's text: `[1,11)`, `empty`, `{[1,3),[5,8)}`.
//!
//! Ranges of whole numbers and dates come in the form `[a,b)`, as the server brings them there. Ranges of
//! other types are kept as they are bounded. Source: `range_parse`, `range_deparse` of PostgreSQL.

use crate::model::Type;
use crate::transform::Reason;
use crate::transform::forms::canonical_scalar;

/// A range that is not empty.
struct Bounds {
    low: Option<String>,
    low_in: bool,
    high: Option<String>,
    high_in: bool,
}

/// The one text of a range.
pub(crate) fn range(element: &Type, discrete: bool, text: &str) -> Result<String, Reason> {
    let mut reader = Reader { text, at: 0 };
    let bounds = reader.range(element, discrete)?;
    if reader.at != text.len() {
        return Err(Reason::Parse);
    }
    Ok(bounds.map_or_else(|| "empty".to_owned(), |bounds| bounds.spell()))
}

/// The one text of a multirange. Its ranges must stand in order and apart, as the server prints them,
/// where that can be told.
pub(crate) fn multirange(element: &Type, discrete: bool, text: &str) -> Result<String, Reason> {
    let mut reader = Reader { text, at: 0 };
    reader.expect('{')?;
    let mut found: Vec<Bounds> = Vec::new();
    while !reader.take('}') {
        if !found.is_empty() {
            reader.expect(',')?;
        }
        let Some(bounds) = reader.range(element, discrete)? else { continue };
        let follows = found.last().is_none_or(|before| before.is_before(&bounds, element));
        if !follows {
            return Err(Reason::Parse);
        }
        found.push(bounds);
    }
    if reader.at != text.len() {
        return Err(Reason::Parse);
    }
    let list: Vec<String> = found.iter().map(Bounds::spell).collect();
    Ok(format!("{{{}}}", list.join(",")))
}

impl Bounds {
    fn spell(&self) -> String {
        let bound = |bound: &Option<String>| bound.as_deref().map_or(String::new(), quoted);
        format!(
            "{}{},{}{}",
            if self.low_in { '[' } else { '(' },
            bound(&self.low),
            bound(&self.high),
            if self.high_in { ']' } else { ')' }
        )
    }

    /// Whether another range comes after this one, with something between them.
    fn is_before(&self, other: &Bounds, element: &Type) -> bool {
        let (Some(end), Some(start)) = (&self.high, &other.low) else { return false };
        match element {
            Type::Int { .. } => match (end.parse::<i64>(), start.parse::<i64>()) {
                (Ok(end), Ok(start)) => end < start,
                _ => false,
            },
            _ => end != start || !(self.high_in || other.low_in),
        }
    }

    /// `None` is the empty range.
    fn normal(mut self, element: &Type, discrete: bool) -> Result<Option<Bounds>, Reason> {
        self.low_in &= self.low.is_some();
        self.high_in &= self.high.is_some();
        if discrete {
            if let Some(low) = self.low.take() {
                self.low = Some(if self.low_in { low } else { next(element, &low)? });
                self.low_in = true;
            }
            if let Some(high) = self.high.take() {
                self.high = Some(if self.high_in { next(element, &high)? } else { high });
                self.high_in = false;
            }
        }
        if let (Some(low), Some(high)) = (&self.low, &self.high) {
            if low == high && !(self.low_in && self.high_in) {
                return Ok(None);
            }
            if let (Type::Int { .. }, Ok(low), Ok(high)) =
                (element, low.parse::<i64>(), high.parse::<i64>())
                && low > high
            {
                return Err(Reason::Parse);
            }
        }
        Ok(Some(self))
    }
}

/// The number or day after another.
fn next(element: &Type, text: &str) -> Result<String, Reason> {
    match element {
        Type::Int { .. } => {
            let number: i64 = text.parse().map_err(|_| Reason::Parse)?;
            number.checked_add(1).map(|number| number.to_string()).ok_or(Reason::OutOfRange)
        }
        _ => day_after(text).ok_or(Reason::Parse),
    }
}

/// The day after one of the years 0001 to 9999.
fn day_after(text: &str) -> Option<String> {
    let [year, month, day] = text.split('-').collect::<Vec<_>>()[..] else { return None };
    let (year, month, day): (i64, u8, u8) =
        (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let last = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let (year, month, day) = match (month, day) {
        (_, 0) => return None,
        (month, day) if day < last => (year, month, day + 1),
        (12, 31) => (year + 1, 1, 1),
        (month, day) if day == last => (year, month + 1, 1),
        _ => return None,
    };
    (1..=9999).contains(&year).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// A bound as it stands in a range.
fn quoted(text: &str) -> String {
    let odd = |letter: char| "\"\\()[],".contains(letter) || letter.is_whitespace();
    if !text.is_empty() && !text.contains(odd) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\"\""))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Result<char, Reason> {
        let letter = self.peek().ok_or(Reason::Parse)?;
        self.at += letter.len_utf8();
        Ok(letter)
    }

    fn take(&mut self, letter: char) -> bool {
        let found = self.peek() == Some(letter);
        self.at += if found { letter.len_utf8() } else { 0 };
        found
    }

    fn expect(&mut self, letter: char) -> Result<(), Reason> {
        if self.take(letter) { Ok(()) } else { Err(Reason::Parse) }
    }

    /// A range; `None` is the empty one.
    fn range(&mut self, element: &Type, discrete: bool) -> Result<Option<Bounds>, Reason> {
        if let Some(rest) = self.text.get(self.at..).and_then(|text| text.strip_prefix("empty")) {
            self.at = self.text.len() - rest.len();
            return Ok(None);
        }
        let low_in = match self.next()? {
            '[' => true,
            '(' => false,
            _ => return Err(Reason::Parse),
        };
        let low = self.bound(element)?;
        self.expect(',')?;
        let high = self.bound(element)?;
        let high_in = match self.next()? {
            ']' => true,
            ')' => false,
            _ => return Err(Reason::Parse),
        };
        Bounds { low, low_in, high, high_in }.normal(element, discrete)
    }

    /// A bound; `None` where there is none.
    fn bound(&mut self, element: &Type) -> Result<Option<String>, Reason> {
        let (mut text, mut given, mut inside) = (String::new(), false, false);
        loop {
            match self.peek().ok_or(Reason::Parse)? {
                ',' | ')' | ']' if !inside => break,
                '(' | '[' if !inside => return Err(Reason::Parse),
                _ => {}
            }
            given = true;
            match self.next()? {
                '\\' => text.push(self.next()?),
                '"' if inside && self.take('"') => text.push('"'),
                '"' => inside = !inside,
                letter => text.push(letter),
            }
        }
        if !given {
            return Ok(None);
        }
        canonical_scalar(element, &text).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INT: Type = Type::Int { bits: 32, unsigned: false };

    /// Broken if a range came out as another one, or one that is none were sent.
    #[test]
    fn ranges_have_one_text() {
        for (element, discrete, text, expected) in [
            (INT, true, "[1,10]", "[1,11)"),
            (INT, true, "(1,3)", "[2,3)"),
            (INT, true, "[5,5)", "empty"),
            (INT, true, "[,5]", "(,6)"),
            (Type::Decimal(None), false, "(1.50,]", "(1.5,)"),
            (Type::Decimal(None), false, "[1.0,1.00]", "[1,1]"),
            (Type::Decimal(None), false, "[1.0,1.00)", "empty"),
            (Type::Date, true, "[2024-02-28,2024-12-31]", "[2024-02-28,2025-01-01)"),
            (Type::Date, true, "(2024-02-28,)", "[2024-02-29,)"),
            (
                Type::Timestamp { digits: 6 },
                false,
                "[\"2024-01-01 00:00:00\",)",
                "[\"2024-01-01 00:00:00\",)",
            ),
            (INT, true, "empty", "empty"),
        ] {
            assert_eq!(range(&element, discrete, text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "[1,2", "1,2", "[1 2]", "[2,1)", "[a,b)", "[1,2)x", "[1,(2)"] {
            assert!(range(&INT, true, text).is_err(), "{text}");
        }
    }

    /// Broken if ranges that the server would join or sort were sent: it would hold another text.
    #[test]
    fn multiranges_stand_in_order() {
        assert_eq!(multirange(&INT, true, "{[1,3),[5,8)}").as_deref(), Ok("{[1,3),[5,8)}"));
        assert_eq!(multirange(&INT, true, "{}").as_deref(), Ok("{}"));
        for text in ["{[5,8),[1,3)}", "{[1,3),[3,8)}", "{[1,3)", "{[1,),[2,3)}", "{,}"] {
            assert_eq!(multirange(&INT, true, text), Err(Reason::Parse), "{text}");
        }
    }
}
