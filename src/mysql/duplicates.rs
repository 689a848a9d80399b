//! Keys that several rows of a table have, for `weir check`.
//!
//! Reads only, and for a bounded time: the whole table has to be looked at. What is found is shown to
//! the operator who asks, and never logged. Loosely compared, values are equal that differ in case,
//! in accents or in blanks at the end; how a target compares them, it says itself.

use super::session::{self, Flavor, Role, Session};
use super::sql::{literal, quote, quote_table};
use crate::config::Database;
use crate::error::{Error, Kind, Result};
use crate::link::ports::{KeyLook, Repeated};
use crate::model::Type;
use crate::plan::unproven::{CHARS_MAX, KEYS_MAX};

/// Longest look in seconds.
const LOOK_SECONDS_MAX: u64 = 30;
/// Takes case, accents and blanks at the end for nothing; both servers know it.
const LOOSE: &str = "utf8mb4_unicode_520_ci";

/// Keys that several rows have.
///
/// # Errors
/// `Timeout` after 30 s, and what the server says.
pub(super) async fn repeated(database: &Database, look: &KeyLook<'_>) -> Result<Vec<Repeated>> {
    let mut session = session::connect(database, "weir check", Role::Source).await?;
    limit(&mut session).await?;
    let what = format!("look for duplicates in {}", look.table.name);
    let rows = session.texts(&what, &statement(look)).await?;
    rows.into_iter()
        .map(|row| Repeated::of_answer(row).ok_or_else(|| Error::new(Kind::Internal, &*what)))
        .collect()
}

async fn limit(session: &mut Session) -> Result<()> {
    let limit = match session.flavor() {
        Flavor::Mysql => format!("SET SESSION max_execution_time = {}", LOOK_SECONDS_MAX * 1000),
        Flavor::Mariadb => format!("SET SESSION max_statement_time = {LOOK_SECONDS_MAX}"),
    };
    session.run("limit a look", &limit).await
}

/// Least values, greatest values, count.
fn statement(look: &KeyLook<'_>) -> String {
    let (mut shown, mut there, mut groups, mut differ) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for end in ["MIN", "MAX"] {
        shown.extend(look.each().map(|(column, _)| {
            let text = match column.ty {
                Type::Binary { .. } | Type::Bytes { .. } => format!("HEX({})", quote(&column.name)),
                _ => format!("CONVERT({} USING utf8mb4)", quote(&column.name)),
            };
            format!("{end}(CAST(LEFT({text}, {CHARS_MAX}) AS BINARY))")
        }));
    }
    for (column, loosely) in look.each() {
        let name = quote(&column.name);
        there.push(format!("{name} IS NOT NULL"));
        if loosely {
            let bytes = format!("CAST(CONVERT({name} USING utf8mb4) AS BINARY)");
            differ.push(format!("MIN({bytes}) <> MAX({bytes})"));
            groups.push(format!("CONVERT({name} USING utf8mb4) COLLATE {LOOSE}"));
        } else {
            groups.push(name);
        }
    }
    let differ = if differ.is_empty() { "TRUE".to_owned() } else { differ.join(" OR ") };
    format!(
        "SELECT {}, COUNT(*) FROM {} WHERE {} GROUP BY {} HAVING COUNT(*) > 1 AND ({differ}) \
         ORDER BY COUNT(*) DESC, 1 LIMIT {KEYS_MAX}",
        shown.join(", "),
        quote_table(&look.table.name),
        there.join(" AND "),
        groups.join(", "),
    )
}

/// Which of these pairs of texts are one key: asked with the columns themselves, whose collation decides
/// where it meets that of a literal.
///
/// # Errors
/// As the server says.
pub(super) async fn merged(
    database: &Database,
    look: &KeyLook<'_>,
    found: Vec<Repeated>,
) -> Result<Vec<Repeated>> {
    if found.is_empty() {
        return Ok(found);
    }
    let mut session = session::connect(database, "weir check", Role::Source).await?;
    let mut merged = Vec::new();
    for key in found {
        let keys = session.text("compare two keys", &comparison(look, &key)).await?;
        if keys.as_deref() == Some("1") {
            merged.push(key);
        }
    }
    Ok(merged)
}

/// How many keys the two are.
fn comparison(look: &KeyLook<'_>, found: &Repeated) -> String {
    let loosely: Vec<bool> = look.each().map(|(_, loosely)| loosely).collect();
    let names: Vec<String> = look
        .each()
        .filter(|(_, loosely)| *loosely)
        .map(|(column, _)| quote(&column.name))
        .collect();
    let values = |texts: &[String]| -> String {
        let texts = texts.iter().zip(&loosely).filter(|(_, loosely)| **loosely);
        texts.map(|(text, _)| literal(text)).collect::<Vec<_>>().join(", ")
    };
    let (names, table) = (names.join(", "), quote_table(&look.table.name));
    format!(
        "SELECT COUNT(DISTINCT {names}) FROM (SELECT {names} FROM {table} WHERE 1 = 0 \
         UNION ALL SELECT {} UNION ALL SELECT {}) AS both_keys",
        values(&found.least),
        values(&found.greatest),
    )
}
