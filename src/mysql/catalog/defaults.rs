//! What a column's default is, from how MySQL and MariaDB print it. Pure.
//!
//! MySQL prints a literal bare and marks expressions; MariaDB prints SQL. What is not known stays as it
//! is printed, so that it can be named. Sources: MySQL and MariaDB manuals, "INFORMATION_SCHEMA COLUMNS".

use super::types::labels;
use crate::model::{DefaultValue, Type};
use crate::mysql::session::Flavor;

/// The default of a column; `None` where it has none, or a sequence's.
pub(super) fn of(
    flavor: Flavor,
    printed: Option<&str>,
    extra: &str,
    ty: &Type,
) -> Option<DefaultValue> {
    let text = printed?;
    let literal = match flavor {
        Flavor::Mysql if extra.contains("default_generated") => None,
        Flavor::Mysql => Some(text.to_owned()),
        Flavor::Mariadb if text == "NULL" => return None,
        Flavor::Mariadb => sql_literal(text),
    };
    Some(match literal {
        Some(literal) => of_type(literal, ty),
        None if text.to_lowercase().starts_with("nextval(") => return None,
        None => call(text),
    })
}

/// A quoted text or a number, as SQL has them.
fn sql_literal(text: &str) -> Option<String> {
    let is_bare = text.starts_with(|first: char| first.is_ascii_digit() || first == '-')
        || text.starts_with("b'");
    if is_bare {
        return Some(text.to_owned());
    }
    let mut only = labels(&format!("enum({text})"))?;
    only.pop().filter(|_| only.is_empty())
}

/// A literal in the words of the column's type: bits and TINYINT(1) are truth values.
fn of_type(literal: String, ty: &Type) -> DefaultValue {
    let value = match (ty, literal.as_str()) {
        (Type::Bool, "0" | "b'0'") => "false",
        (Type::Bool, "1" | "b'1'") => "true",
        (Type::Bool, _) => return DefaultValue::Other(literal),
        _ => return DefaultValue::Literal(literal),
    };
    DefaultValue::Literal(value.to_owned())
}

fn call(text: &str) -> DefaultValue {
    let lower = text.to_lowercase();
    let (name, digits) = lower.split_once('(').unwrap_or((&lower, ")"));
    let digits = digits.strip_suffix(')').unwrap_or("?").trim();
    let digits = if digits.is_empty() { Some(0) } else { digits.parse().ok() };
    match (name.trim(), digits) {
        ("current_timestamp" | "now" | "localtimestamp", Some(digits)) => {
            DefaultValue::Now { digits }
        }
        ("curdate" | "current_date", Some(_)) => DefaultValue::Today,
        ("uuid", Some(_)) => DefaultValue::NewUuid,
        _ => DefaultValue::Other(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Option<DefaultValue> {
        Some(DefaultValue::Literal(text.to_owned()))
    }

    /// Broken if a text were taken for an expression, or an expression for a text.
    #[test]
    fn defaults_as_the_servers_print_them() {
        let text = Type::Text { chars: Some(9), bytes: None };
        let mysql = |printed, extra| of(Flavor::Mysql, Some(printed), extra, &text);
        let mariadb = |printed| of(Flavor::Mariadb, Some(printed), "", &text);
        assert_eq!(mysql("now()", ""), literal("now()"));
        assert_eq!(
            mysql("CURRENT_TIMESTAMP(3)", "default_generated"),
            Some(DefaultValue::Now { digits: 3 })
        );
        assert_eq!(
            mysql("CURRENT_TIMESTAMP", "default_generated on update CURRENT_TIMESTAMP"),
            Some(DefaultValue::Now { digits: 0 })
        );
        assert_eq!(mysql("uuid()", "default_generated"), Some(DefaultValue::NewUuid));
        let other = |text: &str| Some(DefaultValue::Other(text.to_owned()));
        assert_eq!(mysql("(1 + 2)", "default_generated"), other("(1 + 2)"));
        assert_eq!(mariadb(r"'it''s \\ b'"), literal(r"it's \ b"));
        assert_eq!(mariadb("-1.50"), literal("-1.50"));
        assert_eq!(mariadb("NULL"), None);
        assert_eq!(mariadb("'NULL'"), literal("NULL"));
        assert_eq!(mariadb("current_timestamp(6)"), Some(DefaultValue::Now { digits: 6 }));
        assert_eq!(mariadb("curdate()"), Some(DefaultValue::Today));
        assert_eq!(mariadb("nextval(`a`.`s`)"), None);
        assert_eq!(mariadb("concat('a','b')"), other("concat('a','b')"));
        assert_eq!(of(Flavor::Mysql, Some("b'1'"), "", &Type::Bool), literal("true"));
        assert_eq!(of(Flavor::Mariadb, Some("0"), "", &Type::Bool), literal("false"));
        assert_eq!(of(Flavor::Mysql, Some("2"), "", &Type::Bool), other("2"));
        assert_eq!(of(Flavor::Mysql, None, "", &text), None);
    }
}
