//! A statement's text as words, names and signs, as the server that logged it splits it.
//!
//! Comments are dropped, but the contents of version comments (`/*!40005 …*/`, `/*M! …*/`) count
//! where that server executes them. Every character beyond ASCII may stand in a bare name.
//! Sources: MySQL and MariaDB manuals, "Comments", "Schema Object Names", "String Literals".

use crate::mysql::binlog::{Format, Query};
use crate::mysql::session::Flavor;

/// Stands for a byte of a text that cannot be decoded; no text has it, for it is no character.
pub(super) const UNDECODED: char = '\u{10ffff}';

/// A word or name, or a sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Bare: a keyword or a name.
    Word(String),
    /// In quotes: a name.
    Quoted(String),
    /// A string or number, of no concern.
    Literal,
    /// One sign.
    Sign(char),
}

impl Token {
    pub(super) fn is(&self, word: &str) -> bool {
        matches!(self, Token::Word(own) if own.eq_ignore_ascii_case(word))
    }

    pub(super) fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Token::Word(name) | Token::Quoted(name) => Some(name),
            _ => None,
        }
    }
}

/// What decides how a text is split.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syntax {
    flavor: Flavor,
    version: u32,
    ansi_quotes: bool,
    plain_backslash: bool,
}

impl Syntax {
    /// As the server of `format` split `query`.
    pub(super) fn of(query: &Query<'_>, format: &Format) -> Self {
        Syntax {
            flavor: format.flavor,
            version: format.version,
            ansi_quotes: query.ansi_quotes(),
            plain_backslash: query.plain_backslash(),
        }
    }

    /// Splits `text`; also what follows the tokens: it starts with a quote that does not end, or with
    /// a name or string that is not decoded. Comments need not be: no character set of a session
    /// has their ends inside a character.
    pub(super) fn split(self, text: &str) -> (Vec<Token>, &str) {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            rest = match first {
                _ if is_space(first) => &rest[1..],
                '`' | '"' | '\'' => match self.quoted(rest, first) {
                    Some((token, after)) => {
                        tokens.push(token);
                        after
                    }
                    None => return (tokens, rest),
                },
                _ if rest.starts_with("/*") => self.comment(rest),
                '#' => line_end(rest),
                _ if rest.starts_with("--") && !rest[2..].starts_with(is_visible) => line_end(rest),
                // The end of a version comment whose contents were read.
                _ if rest.starts_with("*/") => &rest[2..],
                _ if is_word(first) => {
                    let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
                    let (word, after) = rest.split_at(end);
                    if word.contains(UNDECODED) {
                        return (tokens, rest);
                    }
                    tokens.push(Token::Word(word.to_owned()));
                    after
                }
                sign => {
                    if sign != ';' {
                        tokens.push(Token::Sign(sign));
                    }
                    &rest[sign.len_utf8()..]
                }
            };
        }
        (tokens, "")
    }

    /// The quoted name or string that `text` starts with, and what follows. A doubled quote stands
    /// for one; in strings a backslash escapes. `None` where it does not end or is not decoded.
    fn quoted(self, text: &str, quote: char) -> Option<(Token, &str)> {
        let is_name = quote == '`' || quote == '"' && self.ansi_quotes;
        let escapes = !is_name && !self.plain_backslash;
        let mut name = String::new();
        let mut letters = text.char_indices().skip(1).peekable();
        while let Some((_, letter)) = letters.next() {
            if letter == quote {
                if letters.next_if(|(_, next)| *next == quote).is_none() {
                    let after = letters.peek().map_or("", |(after, _)| &text[*after..]);
                    return Some((
                        if is_name { Token::Quoted(name) } else { Token::Literal },
                        after,
                    ));
                }
            } else if letter == UNDECODED
                || letter == '\\'
                    && escapes
                    && letters.next().is_some_and(|(_, escaped)| escaped == UNDECODED)
            {
                return None;
            }
            name.push(letter);
        }
        None
    }

    /// What follows a comment, or the contents of a version comment that the server executes
    /// (their `*/` is passed over later).
    fn comment(self, text: &str) -> &str {
        let (contents, own) = match (text.strip_prefix("/*!"), text.strip_prefix("/*M!")) {
            (Some(contents), _) => (contents, false),
            (_, Some(contents)) if self.flavor == Flavor::Mariadb => (contents, true),
            _ => return past_comment(text, false),
        };
        let digits = contents.bytes().take(6).take_while(u8::is_ascii_digit).count();
        let digits = if digits < 5 { 0 } else { digits };
        let (version, contents) = contents.split_at(digits);
        let version = version.parse().unwrap_or(0);
        // MariaDB leaves out what is meant for MySQL 5.7 and later.
        let foreign =
            self.flavor == Flavor::Mariadb && !own && (50_700..=99_999).contains(&version);
        if version <= self.version && !foreign { contents } else { past_comment(text, true) }
    }
}

fn is_space(letter: char) -> bool {
    letter.is_ascii_whitespace() || letter == '\u{b}'
}

fn is_visible(letter: char) -> bool {
    letter != ' ' && !letter.is_ascii_control()
}

/// Whether a character can stand in a bare word.
fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '$') || !letter.is_ascii()
}

fn line_end(text: &str) -> &str {
    text.find('\n').map_or("", |end| &text[end + 1..])
}

/// What follows the comment that `text` starts with. A version comment that is not executed may
/// hold others.
fn past_comment(text: &str, holds_others: bool) -> &str {
    let mut rest = &text[2..];
    let mut depth = 1;
    while let Some(at) = rest.find(['*', '/']) {
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("*/") {
            depth -= 1;
            rest = after;
            if depth == 0 {
                return rest;
            }
        } else if let Some(after) = rest.strip_prefix("/*").filter(|_| holds_others) {
            depth += 1;
            rest = after;
        } else {
            rest = &rest[1..];
        }
    }
    ""
}
