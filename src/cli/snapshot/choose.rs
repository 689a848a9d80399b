//! Which tables of a link are meant: by their names at the source, or by patterns.

use crate::cli::args::SnapshotArgs;
use crate::config::pattern::matches;
use crate::error::{Error, Kind, Result};
use crate::plan::LinkPlan;

/// How many tables a hint names.
const NAMES_MAX: usize = 8;

/// A table that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Its name at the source.
    pub(super) source: String,
    /// Its name at the target, by which its copy is kept.
    pub(super) target: String,
    /// It is named, not only matched by a pattern.
    pub(super) named: bool,
}

/// The tables that the arguments mean, in the plan's order; all where none is named.
pub(super) fn chosen(plan: &LinkPlan, args: &SnapshotArgs) -> Result<Vec<Chosen>> {
    let names = plan.tables.iter().map(|table| (&table.source.name, &table.target.name));
    for pattern in &args.tables {
        if !names.clone().any(|(name, _)| matches(pattern, &name.schema, &name.table)) {
            let names = names.clone().map(|(name, _)| name.to_string()).collect();
            return Err(unknown(pattern, names, &args.link));
        }
    }
    let meant = |(source, target): (&crate::model::TableName, &crate::model::TableName)| {
        let is_met = |pattern: &&String| matches(pattern, &source.schema, &source.table);
        let met = args.tables.iter().any(|pattern| is_met(&pattern)) || args.tables.is_empty();
        let (source, target) = (source.to_string(), target.to_string());
        let named = args.tables.contains(&source);
        met.then_some(Chosen { source, target, named })
    };
    Ok(names.filter_map(meant).collect())
}

fn unknown(pattern: &str, known: Vec<String>, link: &crate::config::LinkName) -> Error {
    let more = known.len().saturating_sub(NAMES_MAX);
    let mut names = known.into_iter().take(NAMES_MAX).collect::<Vec<_>>().join(", ");
    if more > 0 {
        names.push_str(&format!(", and {more} more: `weir explain {link}`"));
    }
    let what = if pattern.contains('*') { "matches no table" } else { "is no table" };
    Error::new(Kind::Configuration, format!("{pattern} {what} that {link} carries"))
        .hint(format!("its tables, by their names at the source, are: {names}"))
}
