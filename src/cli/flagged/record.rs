//! A record of a flagged write for people and for machines, and the records of a link page by page.

use serde::Serialize;

use crate::cli::context::Ends;
use crate::cli::dead_letters;
use crate::config::{Config, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::moment::rfc3339;
use crate::link::ports::{Flags, StoredFlag};

/// Records of a page.
const PAGE: usize = 500;

/// Connects to the records of a link.
pub(super) async fn open(config: &Config, link: &LinkName) -> Result<Box<dyn Flags>> {
    let ends = Ends::of(config, link, &config.name)?;
    let opened = ends.target_room().open_flags(&ends.context, ends.target).await;
    opened.map_err(|error| error.within(format!("the flagged writes of {link}")))
}

/// The next records after `after`; empty at the end.
pub(super) async fn page(flags: &mut dyn Flags, after: u64, open: bool) -> Result<Vec<StoredFlag>> {
    let page = flags.list(after, PAGE, open).await?;
    match page.last() {
        Some(last) if last.id <= after => {
            let context = format!("records after {after} end with {}", last.id);
            Err(Error::new(Kind::Internal, context))
        }
        _ => Ok(page),
    }
}

/// A row's key, for people.
pub(super) fn key(row: &str) -> String {
    if row.is_empty() { "all rows".to_owned() } else { dead_letters::key(row) }
}

/// What was before and what was written, for people.
pub(super) fn values(flag: &StoredFlag) -> (String, String) {
    let shown = |value: &Option<String>| match (flag.kind.as_str(), value) {
        (_, None) => "?".to_owned(),
        ("key_change", Some(row)) => key(row),
        (_, Some(value)) => value.clone(),
    };
    match flag.kind.as_str() {
        "insert" | "delete" | "truncate" => (String::new(), String::new()),
        _ => (shown(&flag.before), shown(&flag.after)),
    }
}

/// A record with all its fields.
#[derive(Debug, Serialize)]
pub(super) struct Fields<'a> {
    link: String,
    id: u64,
    database: &'a str,
    owner: &'a str,
    source_table: &'a str,
    table: &'a str,
    key: String,
    row: &'a str,
    kind: &'a str,
    column: Option<&'a str>,
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
    owner_value: Option<&'a str>,
    position: &'a str,
    ordinal: u64,
    committed_at: Option<String>,
    made_at: String,
    state: &'a str,
    decided_at: Option<String>,
    decided_by: Option<&'a str>,
    note: Option<&'a str>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(link: &'a LinkName, flag: &'a StoredFlag) -> Fields<'a> {
        let json = |text: &Option<String>| {
            text.as_deref().map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.into()))
        };
        Fields {
            link: link.to_string(),
            id: flag.id,
            database: &link.source,
            owner: &flag.owner,
            source_table: &flag.source_table,
            table: &flag.table,
            key: key(&flag.row),
            row: &flag.row,
            kind: &flag.kind,
            column: flag.column.as_deref(),
            before: json(&flag.before),
            after: json(&flag.after),
            owner_value: flag.held.as_deref(),
            position: &flag.position,
            ordinal: flag.ordinal,
            committed_at: flag.committed_us.map(rfc3339),
            made_at: rfc3339(flag.made_us),
            state: &flag.state,
            decided_at: flag.decided_us.map(rfc3339),
            decided_by: flag.decided_by.as_deref(),
            note: flag.note.as_deref(),
        }
    }
}
