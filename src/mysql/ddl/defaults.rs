//! DEFAULT, ON UPDATE and COMMENT of a column on MySQL or MariaDB.
//!
//! A default crosses where it surely means the same; anything else is left out by name. Texts beside the
//! row take expressions only.

use super::super::sql::literal;
use super::types::Definition;
use crate::config::Dialect;
use crate::model::calendar::is_moment;
use crate::model::shape::Shape;
use crate::model::{Column, DefaultValue, Table, Type};

/// Longest comment of a column, in characters.
const COMMENT_CHARS_MAX: usize = 1024;
/// Longest comment of a table, in characters.
const TABLE_COMMENT_CHARS_MAX: usize = 2048;

/// What follows a column's type, and what of it is left out, in words.
#[derive(Default)]
pub(super) struct Clauses {
    pub(super) text: String,
    pub(super) left_out: Vec<(&'static str, String)>,
}

/// The clauses of a column that does not count by itself.
pub(super) fn clauses(column: &Column, definition: &Definition, source: Dialect) -> Clauses {
    let mut clauses = Clauses::default();
    match default(column, definition, source) {
        Ok(None) => {}
        Ok(Some(text)) => {
            clauses.text = format!(" DEFAULT {text}");
            if column.default == Some(DefaultValue::NewUuid) {
                let why = "uuid() makes another version of UUID than the source".to_owned();
                clauses.left_out.push(("kind of the default of", why));
            }
        }
        Err(why) => clauses.left_out.push(("default of", why)),
    }
    if column.on_update_now && source != Dialect::Postgres {
        clauses.text.push_str(&format!(" ON UPDATE {}", now(column)));
    }
    clauses
}

/// COMMENT with what weir has to say and what the source says.
pub(super) fn comment(column: &Column, definition: &Definition) -> Option<(String, bool)> {
    let words = [definition.comment, column.comment.as_deref()];
    let text = words.into_iter().flatten().collect::<Vec<_>>().join("; ");
    let cut: String = text.chars().take(COMMENT_CHARS_MAX).collect();
    let is_cut = cut.len() < text.len();
    (!text.is_empty()).then(|| (format!(" COMMENT {}", literal(&cut)), is_cut))
}

/// COMMENT of a table, and whether it is cut.
pub(super) fn table_comment(table: &Table) -> (String, bool) {
    let Some(text) = &table.extras.comment else { return (String::new(), false) };
    let cut: String = text.chars().take(TABLE_COMMENT_CHARS_MAX).collect();
    (format!(" COMMENT={}", literal(&cut)), cut.len() < text.len())
}

fn now(column: &Column) -> String {
    match column.ty {
        Type::Timestamp { digits } | Type::Instant { digits } if digits > 0 => {
            format!("CURRENT_TIMESTAMP({digits})")
        }
        _ => "CURRENT_TIMESTAMP".to_owned(),
    }
}

fn default(
    column: &Column,
    definition: &Definition,
    source: Dialect,
) -> Result<Option<String>, String> {
    let unknown = |text: &str| Err(format!("{text} is not known to mean the same here"));
    let from_postgres = source == Dialect::Postgres;
    Ok(Some(match (&column.default, &column.ty) {
        (None, _) => return Ok(None),
        // The servers read it in the session's zone.
        (Some(DefaultValue::Literal(value)), Type::Instant { .. })
            if from_postgres && definition.comment.is_none() =>
        {
            return unknown(value);
        }
        (Some(DefaultValue::Literal(value)), _) => match value_of(column, value, from_postgres) {
            Some(text) if is_beside(definition) => format!("({text})"),
            Some(text) => text,
            None => return unknown(value),
        },
        // Under the convention that such a column holds UTC, whatever the session's zone is.
        (Some(DefaultValue::Now { .. }), Type::Instant { digits })
            if from_postgres && definition.comment.is_some() =>
        {
            format!("(UTC_TIMESTAMP({digits}))")
        }
        (Some(DefaultValue::Now { .. }), Type::Timestamp { .. } | Type::Instant { .. }) => {
            now(column)
        }
        (Some(DefaultValue::Today), Type::Date) => "(CURDATE())".to_owned(),
        (Some(DefaultValue::NewUuid), Type::Uuid | Type::Char { .. } | Type::Text { .. }) => {
            "(UUID())".to_owned()
        }
        (Some(DefaultValue::Other(text)), _) => return unknown(text),
        (Some(_), _) => return unknown("its expression"),
    }))
}

/// Whether the type takes its default as an expression only.
fn is_beside(definition: &Definition) -> bool {
    let word = definition.ty.split(['(', ' ']).next().unwrap_or_default();
    word.ends_with("text") || word.ends_with("blob") || word == "json"
}

/// A literal as the column's type writes it.
fn value_of(column: &Column, value: &str, from_postgres: bool) -> Option<String> {
    let quoted = || Some(literal(value));
    match &column.ty {
        Type::Bool => match value {
            "true" => Some("1".to_owned()),
            "false" => Some("0".to_owned()),
            _ => None,
        },
        Type::Int { .. } | Type::Year | Type::F32 | Type::F64 => {
            is_number(value).then(|| value.to_owned())
        }
        Type::Decimal(size) => {
            // More digits than the column has would be an error here, and are rounded at the source.
            let digits = value.split_once('.').map_or(0, |(_, digits)| digits.len());
            let most = size.map_or(30, |size| usize::try_from(size.scale).unwrap_or(0));
            (is_number(value) && digits <= most).then(|| value.to_owned())
        }
        Type::Char { .. } | Type::Text { .. } if !value.contains('\0') => quoted(),
        Type::Enum { labels } if labels.iter().any(|label| label == value) => quoted(),
        Type::Uuid => quoted().filter(|_| value.len() == 36),
        Type::Json(_) => {
            serde_json::from_str::<serde_json::Value>(value).ok().and_then(|_| quoted())
        }
        Type::Date | Type::Timestamp { .. } => is_moment(value).then(quoted).flatten(),
        Type::Instant { .. } if from_postgres => {
            value.strip_suffix("+00").filter(|value| is_moment(value)).map(literal)
        }
        Type::Time { .. } => {
            let plain =
                value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
            plain.then(quoted).flatten()
        }
        Type::Native { shape: Shape::Set(_), .. } => quoted(),
        Type::Native { shape: Shape::Bits { count }, .. } => {
            bits(value, *count).map(|digits| match count {
                ..=64 => format!("b'{digits}'"),
                _ => literal(digits),
            })
        }
        _ => None,
    }
}

/// The digits of a default of bits: MySQL and MariaDB print `b'101'`, PostgreSQL's are all of the column's.
fn bits(value: &str, count: u32) -> Option<&str> {
    let bare = value.strip_prefix("b'").and_then(|value| value.strip_suffix('\''));
    let digits = bare.unwrap_or(value);
    let fits = digits.len() == count as usize || bare.is_some() && digits.len() <= count as usize;
    (fits && digits.bytes().all(|digit| matches!(digit, b'0' | b'1'))).then_some(digits)
}

fn is_number(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}
