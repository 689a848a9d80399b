//! What several sections say about the same table.
//!
//! A table has one master, and rows go one way: the same table written by two sections, or carried
//! both ways, is refused here as far as names alone show it. What only the catalogs show (two
//! patterns that meet in one table) is found by the planner.

use crate::config::pattern::{is_literal, matches_name, overlap};
use crate::config::problem::Report;
use crate::config::read::At;
use crate::config::settings::{Database, Replicate, TableMapping};
use crate::config::validate::replicate::takes;
use crate::model::TableName;

const TWO_WAY: &str = "the same table both ways is not supported by this version";
const TWO_WAY_HINT: &str = "keep one direction: the database that is master of these rows";

/// Checks every pair of sections.
pub(super) fn conflicts(
    databases: &[At<&Database>],
    replicates: &[At<Replicate>],
    tables: &[At<TableMapping>],
    report: &mut Report<'_>,
) {
    for (index, later) in databases.iter().enumerate() {
        for earlier in databases.iter().take(index) {
            same_place(earlier, later, report);
        }
    }
    for (index, later) in replicates.iter().enumerate() {
        for earlier in replicates.iter().take(index) {
            two_replicates(earlier, later, report);
        }
    }
    let carried: Vec<Carried<'_>> = tables.iter().filter_map(Carried::of).collect();
    for (index, later) in carried.iter().enumerate() {
        for earlier in carried.iter().take(index) {
            two_tables(earlier, later, report);
        }
        for replicate in replicates {
            table_against(later, replicate, report);
        }
    }
}

fn same_place(earlier: &At<&Database>, later: &At<&Database>, report: &mut Report<'_>) {
    let place = |one: Database| (one.host.to_ascii_lowercase(), one.port, one.database);
    let mut places = earlier.value.hosts().map(place);
    if places.any(|here| later.value.hosts().map(place).any(|there| here == there)) {
        report.add(
            later.place,
            format!(
                "databases `{}` and `{}` are the same one",
                earlier.value.name, later.value.name
            ),
            "use one name for it",
        );
    }
}

fn two_replicates(earlier: &At<Replicate>, later: &At<Replicate>, report: &mut Report<'_>) {
    if (&earlier.from, &earlier.to) == (&later.from, &later.to) {
        for pattern in &later.tables {
            if let Some(table) = shared(earlier, later, pattern) {
                report.add(
                    later.place,
                    format!("`{table}` is also matched by the [[replicate]] at {}", earlier.at),
                    "write it in the `exclude` of one of them",
                );
            }
        }
    }
    if (&earlier.from, &earlier.to) == (&later.to, &later.from)
        && feeds(earlier, later)
        && feeds(later, earlier)
    {
        report.add(later.place, format!("{TWO_WAY}: see {}", earlier.at), TWO_WAY_HINT);
    }
}

/// A table or pattern that both take for certain.
fn shared<'p>(earlier: &'p Replicate, later: &'p Replicate, pattern: &'p str) -> Option<&'p str> {
    let name = |pattern: &str| {
        pattern.split_once('.').map(|(schema, table)| TableName::new(schema, table))
    };
    if is_literal(pattern) {
        let name = name(pattern)?;
        return (takes(earlier, &name) && takes(later, &name)).then_some(pattern);
    }
    let excluded = |rule: &Replicate| rule.exclude.iter().any(|other| covers(other, pattern));
    if earlier.tables.iter().any(|other| other == pattern) && !excluded(earlier) && !excluded(later)
    {
        return Some(pattern);
    }
    let literals = earlier.tables.iter().filter(|other| is_literal(other));
    literals
        .filter(|other| {
            name(other).is_some_and(|name| takes(earlier, &name) && takes(later, &name))
        })
        .map(String::as_str)
        .next()
}

/// Whether a pattern covers everything another one matches; may miss cases, never invents one.
fn covers(wide: &str, narrow: &str) -> bool {
    match (wide.split_once('.'), narrow.split_once('.')) {
        (Some((schema, table)), Some((narrow_schema, narrow_table))) => {
            matches_name(schema, narrow_schema) && matches_name(table, narrow_table)
        }
        _ => false,
    }
}

/// Whether a table that `writer` writes may be one that `reader` takes.
fn feeds(writer: &Replicate, reader: &Replicate) -> bool {
    // Without `into` the schema may be the target's default one.
    let schema = writer.into.as_deref().unwrap_or("*");
    let written = writer.tables.iter().filter_map(|pattern| pattern.split_once('.'));
    let renamed = writer.rename.values().map(String::as_str);
    written.map(|(_, table)| table).chain(renamed).any(|table| {
        let target = format!("{schema}.{table}");
        reader.tables.iter().any(|pattern| overlap(pattern, &target))
            && !reader.exclude.iter().any(|exclude| covers(exclude, &target))
    })
}

/// A table with its direction.
struct Carried<'t> {
    mapping: &'t At<TableMapping>,
    source: (&'t str, &'t TableName),
    target: (&'t str, &'t TableName),
}

impl<'t> Carried<'t> {
    fn of(mapping: &'t At<TableMapping>) -> Option<Self> {
        let owner = mapping.owner.as_deref()?;
        let end = |of_owner: bool| {
            let mut ends = mapping.addresses.iter();
            ends.find(|(database, _)| (database.as_str() == owner) == of_owner)
                .map(|(database, name)| (database.as_str(), name))
        };
        Some(Carried { mapping, source: end(true)?, target: end(false)? })
    }
}

fn two_tables(earlier: &Carried<'_>, later: &Carried<'_>, report: &mut Report<'_>) {
    let place = later.mapping.place;
    let other = format!("[table.{}] at {}", earlier.mapping.name, earlier.mapping.at);
    if earlier.target == later.target {
        let message = format!("`{}` is also written by {other}", later.target.1);
        report.add(place, message, "a table has one master: keep one of the two");
    } else if earlier.target == later.source && earlier.source == later.target {
        report.add(place, format!("{TWO_WAY}: see {other}"), TWO_WAY_HINT);
    } else if earlier.source == later.source && earlier.target.0 == later.target.0 {
        let message =
            format!("`{}` goes to `{}` twice: see {other}", later.source.1, later.target.0);
        report.add(place, message, "keep one of the two");
    }
}

fn table_against(table: &Carried<'_>, replicate: &At<Replicate>, report: &mut Report<'_>) {
    let backwards = replicate.from == table.target.0 && replicate.to == table.source.0;
    if backwards && takes(replicate, table.target.1) {
        let message = format!("{TWO_WAY}: see the [[replicate]] at {}", replicate.at);
        let hint = format!("add \"{}\" to its `exclude`, or change `owner`", table.target.1);
        report.add(table.mapping.place, message, hint);
    }
}
