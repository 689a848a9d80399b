//! Formulas from how PostgreSQL prints expressions. Pure.
//!
//! Source: PostgreSQL manual, "Lexical Structure"; "pg_get_expr".

use crate::model::formula::Formula;
use crate::plan::formula::{Token, number, parse, sign, word};

/// The formula of a printed expression; `None` where a part of it is not known.
pub(super) fn of(printed: &str) -> Option<Formula> {
    parse(tokens(printed)?)
}

fn tokens(printed: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = printed.trim_start();
    while !rest.is_empty() {
        let token = if let Some(quoted) = rest.strip_prefix('\'') {
            let (text, after) = unquote(quoted, '\'')?;
            rest = after;
            Token::Text(text)
        } else if let Some(quoted) = rest.strip_prefix('"') {
            let (name, after) = unquote(quoted, '"')?;
            rest = after;
            Token::Name(name)
        } else if let Some(number) = number(rest) {
            rest = rest.get(number.len()..)?;
            Token::Number(number.to_owned())
        } else if let Some(word) = word(rest) {
            rest = rest.get(word.len()..)?;
            // `E'…'`, `B'…'` and the like are no names.
            if rest.starts_with('\'') {
                return None;
            }
            let lower = word.to_lowercase();
            Token::Word(if lower == "length" && rest.starts_with('(') {
                "char_length".to_owned()
            } else {
                lower
            })
        } else {
            let sign = sign(rest)?;
            rest = rest.get(sign.len()..)?;
            // Signs are run together to other operators: `~~*`, `@>`, `->`.
            if !matches!(sign, "(" | ")" | "," | "[" | "]" | "." | "::")
                && rest.starts_with(|c: char| "+-*/<>=~!@#%^&|`?".contains(c))
            {
                return None;
            }
            Token::Sign(sign)
        };
        tokens.push(token);
        rest = rest.trim_start();
    }
    Some(tokens)
}

/// What is between quotes, which are doubled inside, and what follows.
fn unquote(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        if char != quote {
            value.push(char);
        } else if chars.peek().is_some_and(|(_, next)| *next == quote) {
            chars.next();
            value.push(quote);
        } else {
            return Some((value, text.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a name or a text were cut, or an operator that is not known were taken for another.
    #[test]
    fn expressions_as_the_server_prints_them() {
        let name = |name: &str| Formula::Column(name.to_owned()).into();
        let text = |text: &str| Formula::Text(text.to_owned()).into();
        let equal = crate::model::formula::Comparison::Equal;
        assert_eq!(
            of("(\"a \"\"b\" = 'it''s \\'::text)"),
            Some(Formula::Compare(equal, name("a \"b"), text("it's \\")))
        );
        assert_eq!(of("(length(v) > 1)"), of("(char_length(v) > 1)"));
        assert!(of("((- a) < 3)").is_some());
        for unknown in [
            "(a = E'\\\\x')",
            "(a ~~* 'x'::text)",
            "(a @> b)",
            "(a -> 'x'::text) IS NULL",
            "(a = 'x",
            "concat(a, b)",
        ] {
            assert_eq!(of(unknown), None, "{unknown}");
        }
    }
}
