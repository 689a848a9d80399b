//! From a file's text to parsed TOML, with every syntax error that the parser can tell apart.
//!
//! Only TOML 1.0 is taken (`toml10`). The parser's messages are kept; hints are added for the traps
//! that users of weir meet: a name declared twice in two styles, names that need quotes, backslashes
//! in double quotes. Of several errors on one line only the first is told, as the parser recovers.

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::problem::{Place, Report, Source};
use super::read::Node;
use super::toml10;

/// Parses one file; `None` if its syntax is too broken for its content to be looked at.
pub(crate) fn parse<'s>(file: usize, report: &mut Report<'s>) -> Option<Node<'s>> {
    let source = report.source(file)?;
    let (table, mut errors) = DeTable::parse_recoverable(&source.text);
    errors.sort_by_key(offset_of);
    let first_error = errors.first().map_or(usize::MAX, offset_of);
    for newer in toml10::newer_than_1_0(&source.text) {
        if newer.offset < first_error {
            report.add(Place { file, offset: newer.offset }, newer.message, newer.hint);
        }
    }
    let usable = errors.iter().all(is_twice);
    tell(file, source, &errors, report);
    usable.then(|| Spanned::new(table.span(), DeValue::Table(table.into_inner())))
}

fn offset_of(error: &Error) -> usize {
    error.span().map_or(0, |span| span.start)
}

/// Something declared twice: the rest of the file is sound. The parser has no other mark of it.
fn is_twice(error: &Error) -> bool {
    error.message() == "duplicate key" || error.message().starts_with("cannot extend value")
}

fn tell(file: usize, source: &Source, errors: &[Error], report: &mut Report<'_>) {
    let mut last_line = None;
    let mut after_twice = false;
    for error in errors {
        let offset = offset_of(error);
        let place = Place { file, offset };
        let line = source.line(offset);
        // A header declared twice makes the keys below it fail too.
        let follows = after_twice && is_twice(error) && error.message() != "duplicate key";
        if last_line == Some(line) || follows {
            continue;
        }
        after_twice = is_twice(error);
        last_line = Some(line);
        let (message, hint) = match is_twice(error) {
            true => twice(source, error),
            false => (error.message().to_owned(), hint(source, offset).to_owned()),
        };
        report.add(place, message, hint);
    }
}

fn twice(source: &Source, error: &Error) -> (String, String) {
    let name = error.span().and_then(|span| source.text.get(span)).unwrap_or("");
    let line = source.line_of(offset_of(error)).trim();
    let message = format!("`{name}` is declared twice");
    let hint = if line.starts_with('[') && name == "in" {
        "write all names as `in.DATABASE = \"…\"` under the [table] header"
    } else if line.starts_with('[') && line.contains(".column.") {
        "this column is already written as `… = { … }`; keep one of the two"
    } else {
        "keep one of the two"
    };
    (message, hint.to_owned())
}

fn hint(source: &Source, offset: usize) -> &'static str {
    let before = source.text.get(..offset).unwrap_or("");
    if before.ends_with('\\') {
        return "a backslash in double quotes starts an escape: write the text in single quotes";
    }
    let line = source.line_of(offset);
    let key = line.split_once('=').map_or(line, |(key, _)| key).trim();
    let bare = |c: char| c.is_ascii_alphanumeric() || "._-\"'[]".contains(c);
    let quoted = key.contains('"') || key.contains('\'');
    if !key.is_empty() && !quoted && !key.starts_with('[') && !key.chars().all(bare) {
        return "names with blanks, umlauts or other special characters must be quoted, \
                as in \"straße\" = …";
    }
    ""
}
