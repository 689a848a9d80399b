//! Duplicates of match keys, as findings of `weir check`: of keys that no unique index proves, and of
//! keys that the source tells apart and the target does not.
//!
//! Values of keys are shown to the operator who asks, and nowhere else. All looks together are bounded:
//! what was not looked at is named.

use std::time::Duration;

use tokio::time::Instant;

use crate::cli::check::Looked;
use crate::cli::context::{Catalogs, Ends};
use crate::config::Database;
use crate::error::{Error, Kind, Result};
use crate::link::ports::{KeyLook, Repeated, Room};
use crate::plan::{Finding, Unproven, unproven};

/// Longest time for all looks of one link; the one that has begun may last 30 s longer.
const LOOKS_MAX: Duration = Duration::from_secs(120);
/// Characters of a value that are shown.
const SHOWN_CHARS_MAX: usize = 60;

/// What is found; as warnings, what could not be looked at.
pub(super) async fn look(ends: &Ends<'_>, catalogs: &Catalogs) -> Vec<Finding> {
    let until = Instant::now() + LOOKS_MAX;
    let mut findings = Vec::new();
    let mut late = Vec::new();
    for table in unproven_keys(ends, catalogs) {
        if Instant::now() > until {
            late.push(table.subject);
            continue;
        }
        match of_table(ends, &table).await {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(not_looked_at(table.subject, &error)),
        }
    }
    if !late.is_empty() {
        let error = Error::new(Kind::Timeout, format!("no time was left after {LOOKS_MAX:?}"));
        findings.push(not_looked_at(late.join(", "), &error));
    }
    findings
}

fn unproven_keys<'a>(ends: &Ends<'_>, catalogs: &'a Catalogs) -> Vec<Unproven<'a>> {
    let Catalogs { source, target, into } = catalogs;
    unproven(ends.config, ends.link(), source, target, &into.lists)
}

/// The tables that are looked at.
pub(super) fn looked_at<'a>(ends: &Ends<'_>, catalogs: &'a Catalogs) -> Looked<'a> {
    let mut looked = Looked::default();
    for table in unproven_keys(ends, catalogs) {
        let merged = table.merged.as_ref();
        let source = table.at_source.as_ref().or(merged.map(|[source, _]| source));
        let target = table.at_target.as_ref().or(merged.map(|[_, target]| target));
        looked.sources.extend(source.map(|look| look.table));
        looked.targets.extend(target.map(|look| look.table));
    }
    looked
}

async fn of_table(ends: &Ends<'_>, table: &Unproven<'_>) -> Result<Vec<Finding>> {
    let (source, target) = ((ends.source_room(), ends.source), (ends.target_room(), ends.target));
    let mut found = Vec::new();
    for (side, look, (room, database)) in
        [("source", &table.at_source, source), ("target", &table.at_target, target)]
    {
        let Some(look) = look else { continue };
        let keys = room.repeated(database, look).await?;
        found.extend(listed(side, look, &keys).map(|message| (message, ONE_ROW_EACH)));
    }
    if let Some([look, there]) = &table.merged {
        let merged = merged(source, look, target, there).await?;
        found.extend(told_apart(there, &merged).map(|message| (message, FINER)));
    }
    let finding = |(message, hint): (String, &str)| Finding {
        fatal: true,
        kind: Kind::Mapping,
        subject: table.subject.clone(),
        message,
        hint: hint.to_owned(),
        mend: Vec::new(),
    };
    Ok(found.into_iter().map(finding).collect())
}

const ONE_ROW_EACH: &str =
    "let each key be that of one row, then make the unique index; or choose another `key`";
const FINER: &str = "give the target's column a collation that tells them apart (one that ends in _bin, \
    without padding), or change these keys at the source";

/// Keys of the source, alike at a loose look, that are one to the target.
async fn merged(
    (source_room, source): (&dyn Room, &Database),
    look: &KeyLook<'_>,
    (target_room, target): (&dyn Room, &Database),
    there: &KeyLook<'_>,
) -> Result<Vec<Repeated>> {
    let mut found = source_room.repeated(source, look).await?;
    // Where they differ beyond what was read, nothing can be said.
    found.retain(|key| key.least != key.greatest);
    target_room.merged(target, there, found).await
}

fn listed(side: &str, look: &KeyLook<'_>, keys: &[Repeated]) -> Option<String> {
    let each = keys.iter().map(|key| format!("{} in {} rows", shown(&key.least), key.rows));
    let each = each.collect::<Vec<_>>().join(", ");
    let (table, names) = (&look.table.name, names(look));
    (!keys.is_empty())
        .then(|| format!("rows of the {side} table {table} have one match key ({names}): {each}"))
}

fn told_apart(look: &KeyLook<'_>, keys: &[Repeated]) -> Option<String> {
    let each = keys.iter().map(|key| format!("{} and {}", shown(&key.least), shown(&key.greatest)));
    let each = each.collect::<Vec<_>>().join(", ");
    let (table, names) = (&look.table.name, names(look));
    (!keys.is_empty()).then(|| {
        format!(
            "to the target table {table} keys of the source are one match key ({names}): {each}"
        )
    })
}

fn names(look: &KeyLook<'_>) -> String {
    look.each().map(|(column, _)| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// A key's values, of bearable length and without what could move the cursor.
fn shown(values: &[String]) -> String {
    let one = |value: &String| {
        let mut text: String = value.chars().take(SHOWN_CHARS_MAX).collect();
        if text.len() < value.len() {
            text.push('…');
        }
        format!("\"{}\"", text.replace(char::is_control, " "))
    };
    format!("({})", values.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn not_looked_at(subject: String, error: &Error) -> Finding {
    Finding {
        fatal: false,
        kind: error.kind(),
        subject,
        message: format!("duplicates of the match key were not looked for: {}", error.chain()),
        hint: "look for them yourself, where no unique index proves that there are none".to_owned(),
        mend: Vec::new(),
    }
}
