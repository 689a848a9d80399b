//! Formulas from how MySQL and MariaDB print expressions. Pure.
//!
//! MySQL escapes the whole of what it has printed once more. Sources: MySQL and MariaDB manuals, "String
//! Literals", "Operator Precedence".

use crate::model::formula::Formula;
use crate::mysql::session::Flavor;
use crate::plan::formula::{Token, number, parse, sign, word};

/// The formula of a printed expression; `None` where a part of it is not known.
pub(super) fn of(flavor: Flavor, printed: &str) -> Option<Formula> {
    match flavor {
        Flavor::Mysql => parse(tokens(&unescape(printed)?)?),
        Flavor::Mariadb => parse(tokens(printed)?),
    }
}

/// The text without its escapes; `None` for one that is not known.
fn unescape(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        plain.push(if char == '\\' { escaped(chars.next()?)? } else { char });
    }
    Some(plain)
}

fn escaped(letter: char) -> Option<char> {
    Some(match letter {
        '\'' | '"' | '\\' => letter,
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        _ => return None,
    })
}

fn tokens(printed: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = printed.trim_start();
    while !rest.is_empty() {
        let token = if let Some(quoted) = rest.strip_prefix('\'') {
            let (text, after) = unquote(quoted, '\'').filter(|(text, _)| !is_mangled(text))?;
            rest = after;
            Token::Text(text)
        } else if let Some(quoted) = rest.strip_prefix('`') {
            let (name, after) = unquote(quoted, '`')?;
            rest = after;
            Token::Name(name)
        } else if let Some(number) = number(rest) {
            rest = rest.get(number.len()..)?;
            Token::Number(number.to_owned())
        } else if let Some(word) = word(rest) {
            rest = rest.get(word.len()..)?;
            let lower = word.to_lowercase();
            if rest.starts_with('\'') {
                // Of other character sets the text is not printed as they have it.
                if matches!(lower.as_str(), "_utf8mb4" | "_utf8mb3") {
                    continue;
                }
                return None;
            }
            Token::Word(match lower.as_str() {
                "length" if rest.starts_with('(') => "octet_length".to_owned(),
                "concat" if rest.starts_with('(') => "concat_or_null".to_owned(),
                _ => lower,
            })
        } else {
            let sign = sign(rest).filter(|sign| !matches!(*sign, "::" | "||" | "~~"))?;
            rest = rest.get(sign.len()..)?;
            Token::Sign(sign)
        };
        tokens.push(token);
        rest = rest.trim_start();
    }
    Some(tokens)
}

/// Whether a text may be one that MariaDB could not print: it writes such bytes as `xC3`.
fn is_mangled(text: &str) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte);
    text.as_bytes().windows(3).any(|three| three[0] == b'x' && three[1..].iter().all(is_digit))
}

/// What is between quotes, which are doubled inside, and what follows. Backslashes escape in texts.
fn unquote(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        if char == '\\' && quote == '\'' {
            value.push(escaped(chars.next()?.1)?);
        } else if char != quote {
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

    /// Broken if a name or a text were cut, an escape taken for what it stands for, or a sign that is not known
    /// for another.
    #[test]
    fn expressions_as_the_servers_print_them() {
        let name = |name: &str| Formula::Column(name.to_owned()).into();
        let text = |text: &str| Formula::Text(text.to_owned()).into();
        let equal = crate::model::formula::Comparison::Equal;
        let expected = Some(Formula::Compare(equal, name("a `b"), text("it's \\")));
        assert_eq!(of(Flavor::Mysql, r"(`a ``b` = _utf8mb4\'it\\\'s \\\\\')"), expected);
        assert_eq!(of(Flavor::Mariadb, r"`a ``b` = 'it\'s \\'"), expected);
        let maria = |printed| of(Flavor::Mariadb, printed);
        assert_eq!(maria("`a` MOD 2 = 0"), of(Flavor::Mysql, "((`a` % 2) = 0)"));
        assert_eq!(maria("length(`a`) < 9"), maria("octet_length(`a`) < 9"));
        assert!(maria("concat(convert(`a` using utf8mb4),' ',`b`)").is_some());
        for unknown in [
            "`a` = _latin1'x'",
            "`a` <=> `b`",
            "`a` = 'x\\0'",
            "`a` / 2 > 1",
            "`a` = x'00'",
            "`a` || `b`",
            "!(`a` = 1)",
            "`a` <> 'xC3xBC'",
            "`a` = 'x",
            "json_valid(`a`)",
            "`a` = 1e5",
            "`a` = 0x10",
            "`a` = b'1'",
        ] {
            assert_eq!(maria(unknown), None, "{unknown}");
        }
    }
}
