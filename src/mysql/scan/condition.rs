//! The operator's condition on the rows of a copy, made safe to stand in weir's own statement: it must
//! be one condition, with what it opens closed again, so that it can neither end the statement nor reach
//! out of its parentheses. Pure; what it says the server judges.

use crate::error::{Error, Kind, Result};

/// The condition in parentheses, on a line of its own: a comment at its end swallows nothing else.
///
/// # Errors
/// `Configuration` where it is not one condition.
pub(super) fn enclosed(condition: &str) -> Result<String> {
    match fault(condition) {
        None => Ok(format!("(\n{condition}\n)")),
        Some(fault) => Err(refused(fault)),
    }
}

/// The error for a condition that cannot be used.
pub(super) fn refused(why: &str) -> Error {
    Error::new(Kind::Configuration, format!("the condition of the copy {why}"))
        .hint("ask anew with one condition as it could stand after WHERE: `weir snapshot LINK TABLE --where …`")
}

/// What is wrong with it, if anything.
fn fault(condition: &str) -> Option<&'static str> {
    let mut depth = 0_u32;
    let mut is_empty = true;
    let mut rest = condition;
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        let dashes = rest.starts_with("--")
            && rest
                .get(2..)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if first == '#' || dashes {
            rest = rest.find('\n').and_then(|end| rest.get(end..)).unwrap_or_default();
            continue;
        }
        if rest.starts_with("/*") {
            // One that the server may run, by its version.
            if rest.starts_with("/*!") || rest.starts_with("/*M!") {
                return Some("has a comment that some servers run");
            }
            let Some(end) = rest.get(2..).and_then(|rest| rest.find("*/")) else {
                return Some("has a comment that does not end");
            };
            rest = rest.get(end + 4..).unwrap_or_default();
            continue;
        }
        is_empty &= first.is_whitespace();
        match first {
            '\'' | '"' | '`' => {
                let Some(end) = closing(after, first) else {
                    return Some("has a quote that does not end");
                };
                rest = after.get(end..).unwrap_or_default();
                continue;
            }
            ';' => return Some("holds more than one statement"),
            '?' => return Some("has a parameter, for which there is no value"),
            '(' => depth += 1,
            ')' if depth == 0 => return Some("closes a parenthesis that it did not open"),
            ')' => depth -= 1,
            _ => {}
        }
        rest = after;
    }
    if depth > 0 {
        return Some("opens a parenthesis that it does not close");
    }
    is_empty.then_some("is empty")
}

/// Where the text after a quote goes on behind the closing one. A doubled one begins a text again.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' if quote != '`' => drop(chars.next()),
            char if char == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a condition could end weir's statement or change what else it asks for, or if a good one
    /// were refused.
    #[test]
    fn one_condition_and_no_more() {
        for good in [
            "id > 7",
            "name = ')' OR name = \"(\" OR `a;)` = 'it\\'s' OR b = 'it''s' -- all; of (",
            "id IN (SELECT id FROM t /* ) */ WHERE (a)) # (",
            "a = 1 --\n AND b = 2",
            "a = '?' -- ?",
            "a--1 > 0",
        ] {
            assert_eq!(fault(good), None, "{good}");
            assert_eq!(enclosed(good).expect("good"), format!("(\n{good}\n)"));
        }
        for bad in [
            "",
            "  -- nothing",
            "1) OR (1",
            "(a",
            "a = 'x",
            "a = 'x\\'",
            "`a",
            "a /* x",
            "a; DELETE FROM t",
            "a > ?",
            "a /*!50000 ) OR ( */",
            "a /*M! ) */",
        ] {
            assert_eq!(enclosed(bad).expect_err(bad).kind(), Kind::Configuration);
        }
    }
}
