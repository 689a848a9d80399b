//! The sequences that a column's default takes numbers from, which only MariaDB has.
//!
//! Pure: the text of the default, as the server prints it, goes in. Source: MariaDB manual, "SEQUENCE
//! Functions".

use crate::model::TableName;

/// How the server prints the next number of a sequence, however it was written.
const NEXT: &str = "nextval(`";

/// The sequences of a default; none of one that is a text.
pub(super) fn of_default(default: &str) -> Vec<TableName> {
    let mut found = Vec::new();
    let mut rest = default;
    while let Some(at) = next_call(rest) {
        rest = rest.get(at + NEXT.len()..).unwrap_or_default();
        let Some((schema, after)) = name(rest) else { break };
        let Some((sequence, after)) = after.strip_prefix(".`").and_then(name) else { break };
        found.push(TableName::new(schema, sequence));
        rest = after;
    }
    found.dedup();
    found
}

/// Where the next call begins, outside of texts.
fn next_call(sql: &str) -> Option<usize> {
    let mut in_text = false;
    let mut chars = sql.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '\'' => in_text = !in_text,
            '\\' if in_text => drop(chars.next()),
            _ if !in_text && sql.get(at..).is_some_and(|rest| rest.starts_with(NEXT)) => {
                return Some(at);
            }
            _ => {}
        }
    }
    None
}

/// A name up to its closing backtick, and what follows it.
fn name(quoted: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        if char != '`' {
            name.push(char);
        } else if chars.next_if(|(_, next)| *next == '`').is_some() {
            name.push('`');
        } else {
            return Some((name, quoted.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a sequence were overlooked, so that its grant is missing, or read out of a text.
    #[test]
    fn sequences_are_read_from_defaults() {
        let names = |default| {
            of_default(default).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names("nextval(`d`.`s`)"), "d.s");
        assert_eq!(names("(nextval(`d`.`a``b`) + nextval(`e`.`c`))"), "d.a`b e.c");
        assert_eq!(names("'nextval(`d`.`s`)'"), "");
        assert_eq!(names(r"concat('it\'s',nextval(`d`.`s`),'\\',nextval(`d`.`t`))"), "d.s d.t");
        assert_eq!(names(r"'it\'s nextval(`d`.`s`)'"), "");
        assert_eq!(names("current_timestamp()"), "");
        assert_eq!(names("nextval(`d"), "");
    }
}
