//! What a column's default is, from how PostgreSQL prints it. Pure.
//!
//! Literals lose their cast, which the column's type repeats. What is not known stays as it is printed,
//! so that it can be named. Source: PostgreSQL manual, "pg_get_expr".

use crate::model::DefaultValue;

/// The default that an expression is; `None` where it is NULL or a sequence's.
pub(super) fn of(printed: &str) -> Option<DefaultValue> {
    let text = printed.trim();
    if text.starts_with("nextval(") || text == "NULL" || text.starts_with("NULL::") {
        return None;
    }
    if let Some(literal) = literal(text) {
        return Some(DefaultValue::Literal(literal));
    }
    let (name, rest) = text.split_once('(').unwrap_or((text, ")"));
    let digits = rest.strip_suffix(')').unwrap_or("?");
    let digits = if digits.is_empty() { Some(6) } else { digits.parse().ok() };
    Some(match (name.to_ascii_lowercase().as_str(), digits) {
        (
            "now"
            | "current_timestamp"
            | "localtimestamp"
            | "transaction_timestamp"
            | "clock_timestamp"
            | "statement_timestamp",
            Some(digits),
        ) => DefaultValue::Now { digits },
        ("current_date", Some(_)) => DefaultValue::Today,
        ("gen_random_uuid" | "uuid_generate_v4", Some(_)) => DefaultValue::NewUuid,
        _ => DefaultValue::Other(text.to_owned()),
    })
}

/// A quoted text, number or truth value with nothing but a cast behind it.
fn literal(text: &str) -> Option<String> {
    // Bits are quoted texts too.
    if let Some(rest) = text.strip_prefix("B'").or_else(|| text.strip_prefix('\'')) {
        let (value, after) = quoted(rest)?;
        return is_cast(after).then_some(value);
    }
    let (value, cast) = text.split_once("::").map_or((text, ""), |(value, cast)| (value, cast));
    let value = value.strip_prefix('(').and_then(|value| value.strip_suffix(')')).unwrap_or(value);
    let digits = value.strip_prefix('-').unwrap_or(value);
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is_known = is_number || matches!(value, "true" | "false");
    (is_known && (cast.is_empty() || is_cast(&format!("::{cast}")))).then(|| value.to_owned())
}

/// The text up to its closing quote, and what follows that.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            '\'' if chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                chars.next();
                value.push('\'');
            }
            '\'' => return Some((value, text.get(at + 1..)?)),
            other => value.push(other),
        }
    }
    None
}

/// Nothing, or one cast to the name of a type.
fn is_cast(text: &str) -> bool {
    let Some(name) = text.strip_prefix("::") else { return text.is_empty() };
    let letter = |c: char| {
        c.is_alphanumeric() || matches!(c, '_' | ' ' | '"' | '.' | '(' | ')' | ',' | '[' | ']')
    };
    name.chars().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if an expression were taken for a text, or a text lost a part.
    #[test]
    fn defaults_as_the_server_prints_them() {
        for (printed, expected) in [
            ("'it''s \\'::text", Some(DefaultValue::Literal("it's \\".into()))),
            ("'a'::character varying(10)", Some(DefaultValue::Literal("a".into()))),
            ("'x'::my.\"Mood\"", Some(DefaultValue::Literal("x".into()))),
            ("B'0101'::\"bit\"", Some(DefaultValue::Literal("0101".into()))),
            ("0", Some(DefaultValue::Literal("0".into()))),
            ("'-5'::integer", Some(DefaultValue::Literal("-5".into()))),
            ("(-1)", Some(DefaultValue::Literal("-1".into()))),
            ("1.50", Some(DefaultValue::Literal("1.50".into()))),
            ("true", Some(DefaultValue::Literal("true".into()))),
            ("NULL::character varying", None),
            ("nextval('s'::regclass)", None),
            ("now()", Some(DefaultValue::Now { digits: 6 })),
            ("CURRENT_TIMESTAMP(3)", Some(DefaultValue::Now { digits: 3 })),
            ("LOCALTIMESTAMP", Some(DefaultValue::Now { digits: 6 })),
            ("CURRENT_DATE", Some(DefaultValue::Today)),
            ("gen_random_uuid()", Some(DefaultValue::NewUuid)),
            (
                "('a'::text || 'b'::text)",
                Some(DefaultValue::Other("('a'::text || 'b'::text)".into())),
            ),
            ("'a'::text || 'b'::text", Some(DefaultValue::Other("'a'::text || 'b'::text".into()))),
            ("E'a\\\\b'::text", Some(DefaultValue::Other("E'a\\\\b'::text".into()))),
        ] {
            assert_eq!(of(printed), expected, "{printed}");
        }
    }
}
