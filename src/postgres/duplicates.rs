//! Keys that several rows of a table have, for `weir check`.
//!
//! Reads only, and for a bounded time: the whole table has to be looked at. What is found is shown to
//! the operator who asks, and never logged. Loosely compared, values are equal that differ in case,
//! in accents or in blanks at the end; how a target compares them, it says itself.

use super::failure;
use super::session::{self, Session};
use super::sql::{quote, quote_name};
use crate::config::Database;
use crate::error::{Error, Kind, Result};
use crate::link::ports::{KeyLook, Repeated};
use crate::plan::unproven::{CHARS_MAX, KEYS_MAX};

/// Longest look.
const LOOK_MAX: &str = "30s";

/// Keys that several rows have.
///
/// # Errors
/// `Timeout` after 30 s, and what the server says.
pub(super) async fn repeated(database: &Database, look: &KeyLook<'_>) -> Result<Vec<Repeated>> {
    let session = session::connect(database, "weir check").await?;
    let found = ask(&session, look).await;
    session.close().await;
    found
        .map_err(|error| {
            let context = format!("look for duplicates in {}", look.table.name);
            failure::classify(error, context)
        })?
        .iter()
        .map(|row| {
            let texts = (0..row.len()).map(|index| row.try_get::<_, Option<String>>(index));
            let texts = texts.collect::<std::result::Result<Vec<_>, _>>();
            texts.ok().and_then(Repeated::of_answer).ok_or_else(|| {
                Error::new(
                    Kind::Internal,
                    format!("duplicates of {} are no texts", look.table.name),
                )
            })
        })
        .collect()
}

async fn ask(
    session: &Session,
    look: &KeyLook<'_>,
) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
    let limits =
        format!("SET statement_timeout = '{LOOK_MAX}'; SET default_transaction_read_only = on");
    session.batch_execute(&limits).await?;
    session.query(&statement(look), &[]).await
}

/// Least values, greatest values, count.
fn statement(look: &KeyLook<'_>) -> String {
    let (mut shown, mut there, mut groups, mut differ) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for end in ["min", "max"] {
        shown.extend(look.each().map(|(column, _)| {
            let name = quote(&column.name);
            format!("{end}(left({name}::text, {CHARS_MAX}) COLLATE \"C\")")
        }));
    }
    for (column, loosely) in look.each() {
        let name = quote(&column.name);
        there.push(format!("{name} IS NOT NULL"));
        if loosely {
            differ.push(format!(
                "min({name}::text COLLATE \"C\") <> max({name}::text COLLATE \"C\")"
            ));
            groups.push(loose(&name));
        } else {
            groups.push(name);
        }
    }
    let differ = if differ.is_empty() { "true".to_owned() } else { differ.join(" OR ") };
    format!(
        "SELECT {}, count(*)::text FROM {} WHERE {} GROUP BY {} HAVING count(*) > 1 AND ({differ}) \
         ORDER BY count(*) DESC, 1 LIMIT {KEYS_MAX}",
        shown.join(", "),
        quote_name(&look.table.name),
        there.join(" AND "),
        groups.join(", "),
    )
}

/// Without case, blanks at the end and, where the encoding lets them be told, accents.
fn loose(name: &str) -> String {
    let text = format!("rtrim({name}::text, ' ')");
    format!(
        "lower(CASE WHEN getdatabaseencoding() = 'UTF8' THEN \
         regexp_replace(normalize({text}, NFKD), U&'[\\0300-\\036F]', '', 'g') ELSE {text} END)"
    )
}

/// Which of these pairs of texts are one key: none, since PostgreSQL tells keys of text apart that differ
/// at all, and other targets are refused.
pub(super) async fn merged(
    _: &Database,
    _: &KeyLook<'_>,
    _: Vec<Repeated>,
) -> Result<Vec<Repeated>> {
    Ok(Vec::new())
}
