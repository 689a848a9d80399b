//! DEFAULT, COMMENT and what stands for ON UPDATE of a column on PostgreSQL.
//!
//! A default crosses where it surely means the same; anything else is left out by name. ON UPDATE is a
//! trigger that stands back for what weir applies.

use super::super::sql::{literal, quote, quote_name};
use crate::config::Dialect;
use crate::model::calendar::is_moment;
use crate::model::shape::Shape;
use crate::model::{Column, DefaultValue, Table, TableName, Type};

/// Whose name begins so is made here.
pub(in crate::postgres) const TOUCH: &str = "weir_touch_";

/// The default of a column that does not count by itself.
///
/// # Errors
/// Why it is left out, in words.
pub(super) fn default(column: &Column, source: Dialect) -> Result<Option<String>, String> {
    let unknown = |text: &str| Err(format!("{text} is not known to mean the same here"));
    Ok(Some(match (&column.default, &column.ty) {
        (None, _) => return Ok(None),
        (Some(DefaultValue::Literal(value)), _) => match value_of(column, value, source) {
            Some(text) => text,
            None => return unknown(value),
        },
        (Some(DefaultValue::Now { .. }), Type::Timestamp { digits } | Type::Instant { digits }) => {
            format!("CURRENT_TIMESTAMP({digits})")
        }
        (Some(DefaultValue::Today), Type::Date) => "CURRENT_DATE".to_owned(),
        (Some(DefaultValue::NewUuid), Type::Uuid) => "gen_random_uuid()".to_owned(),
        (Some(DefaultValue::NewUuid), Type::Char { .. } | Type::Text { .. }) => {
            "(gen_random_uuid()::text)".to_owned()
        }
        (Some(DefaultValue::Other(text)), _) => return unknown(text),
        (Some(_), _) => return unknown("its expression"),
    }))
}

/// A literal as the column's type writes it.
fn value_of(column: &Column, value: &str, source: Dialect) -> Option<String> {
    let quoted = || (!value.contains('\0')).then(|| literal(value));
    let own = source == Dialect::Postgres;
    match &column.ty {
        Type::Bool => matches!(value, "true" | "false").then(|| value.to_owned()),
        Type::Int { .. } | Type::Decimal(_) | Type::F32 | Type::F64 | Type::Year => {
            let digits = value.strip_prefix('-').unwrap_or(value);
            let plain = digits.starts_with(|first: char| first.is_ascii_digit())
                && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            plain.then(|| value.to_owned())
        }
        Type::Char { .. } | Type::Text { .. } | Type::Enum { .. } => quoted(),
        Type::Json(_) => {
            serde_json::from_str::<serde_json::Value>(value).ok().and_then(|_| quoted())
        }
        Type::Date | Type::Timestamp { .. } => (own || is_moment(value)).then(quoted).flatten(),
        Type::Instant { .. } if own => quoted(),
        // MySQL and MariaDB print it in the session's zone, which is UTC for weir.
        Type::Instant { .. } => is_moment(value).then(|| literal(&format!("{value}+00"))),
        Type::Time { .. } => {
            let hours = value.split(':').next().and_then(|hours| hours.parse::<u8>().ok());
            (own || hours.is_some_and(|hours| hours < 24)).then(quoted).flatten()
        }
        Type::Uuid => quoted(),
        Type::Native { .. } if own => quoted(),
        Type::Native { shape: Shape::Bits { count }, .. } => bits(value, *count),
        Type::Native { shape: Shape::Set(_), .. } => quoted(),
        _ => None,
    }
}

/// `b'101'` in as many digits as the column has.
fn bits(value: &str, count: u32) -> Option<String> {
    let digits = value.strip_prefix("b'")?.strip_suffix('\'')?;
    let width = usize::try_from(count).ok().filter(|width| digits.len() <= *width)?;
    digits
        .bytes()
        .all(|digit| matches!(digit, b'0' | b'1'))
        .then(|| format!("B'{digits:0>width$}'"))
}

/// COMMENT ON for a table and its columns that are made.
pub(super) fn comments<'a>(
    table: &'a Table,
    columns: impl Iterator<Item = &'a Column>,
) -> Vec<String> {
    let name = quote_name(&table.name);
    let own = table.extras.comment.as_ref().map(|text| (format!("TABLE {name}"), text));
    let of = columns.filter_map(|column| {
        let text = column.comment.as_ref()?;
        Some((format!("COLUMN {name}.{}", quote(&column.name)), text))
    });
    let said = own.into_iter().chain(of).filter(|(_, text)| !text.contains('\0'));
    said.map(|(what, text)| format!("COMMENT ON {what} IS {}", literal(text))).collect()
}

/// What makes columns move to the present where an update of a row leaves them as they are.
pub(super) fn touch(table: &TableName, columns: &[&Column], name: &str) -> Vec<String> {
    let function = quote_name(&TableName::new(&table.schema, name));
    let moves = columns.iter().map(|column| {
        let name = quote(&column.name);
        let digits = match column.ty {
            Type::Timestamp { digits } | Type::Instant { digits } => digits,
            _ => 6,
        };
        format!(
            "IF NEW.{name} IS NOT DISTINCT FROM OLD.{name} THEN NEW.{name} := CURRENT_TIMESTAMP({digits}); END IF; "
        )
    });
    let moves: String = moves.collect();
    vec![
        format!(
            "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $touch$ BEGIN \
             IF current_setting('weir.apply', true) IS NOT DISTINCT FROM 'on' OR NEW IS NOT DISTINCT FROM OLD \
             THEN RETURN NEW; END IF; {moves}RETURN NEW; END $touch$"
        ),
        format!(
            "CREATE TRIGGER {} BEFORE UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {function}()",
            quote(name),
            quote_name(table)
        ),
    ]
}
