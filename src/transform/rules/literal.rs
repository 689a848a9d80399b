//! A value as it is written in a rule, before anybody knows the type of the column.
//!
//! Numbers with a fraction keep their digits, so that `0.1` is a tenth.

use std::fmt::Write as _;

/// A value of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction, as it is written, in plain notation.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Literal>),
    /// A table, in the order of the file.
    Table(Vec<(String, Literal)>),
}

impl Literal {
    /// What it is, in words.
    pub const fn kind(&self) -> &'static str {
        match self {
            Literal::Bool(_) => "true or false",
            Literal::Int(_) => "a whole number",
            Literal::Number(_) => "a number with a fraction",
            Literal::Text(_) => "a string",
            Literal::List(_) => "a list",
            Literal::Table(_) => "a table",
        }
    }

    /// As JSON: for people, and to see whether a rule has changed.
    pub fn json(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) {
        match self {
            Literal::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Literal::Int(number) => {
                let _ = write!(out, "{number}");
            }
            Literal::Number(digits) => out.push_str(digits),
            Literal::Text(text) => out.push_str(&quoted(text)),
            Literal::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    item.write(out);
                }
                out.push(']');
            }
            Literal::Table(entries) => {
                out.push('{');
                for (at, (key, value)) in entries.iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    out.push_str(&quoted(key));
                    out.push_str(": ");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// A text in double quotes, as JSON has it.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if two different rules had one text, so that a change of them passed unseen.
    #[test]
    fn a_literal_is_written_as_json() {
        let literal = Literal::Table(vec![
            ("a\"".into(), Literal::List(vec![Literal::Int(1), Literal::Bool(true)])),
            ("b".into(), Literal::Number("0.10".into())),
        ]);
        assert_eq!(literal.json(), r#"{"a\"": [1, true], "b": 0.10}"#);
    }
}
