//! `[[replicate]]`: patterns, place on the target, other names.

use std::collections::BTreeMap;

use super::names::{Databases, columns, table_name};
use crate::config::pattern;
use crate::config::problem::Report;
use crate::config::raw;
use crate::config::read::At;
use crate::config::settings::{Deletes, DroppedPartitions, Replicate, Truncates};
use crate::model::TableName;

/// Checks one replication by itself.
pub(super) fn replicate(
    raw: &At<raw::Replicate>,
    databases: &Databases<'_>,
    report: &mut Report<'_>,
) -> Option<At<Replicate>> {
    let (Some(from), Some(to)) = (&raw.from, &raw.to) else { return None };
    let known = databases.check(from, from.place, report) & databases.check(to, to.place, report);
    if from.value == to.value {
        report.add(to.place, "source and target are the same database", "");
    }
    let tables = patterns(raw.tables.as_ref(), report);
    if let Some(list) = raw.tables.as_ref().filter(|list| list.is_empty()) {
        report.add(list.place, "no table is named", "write `tables = [\"schema.*\"]` for all");
    }
    let exclude = patterns(raw.exclude.as_ref(), report);
    if let Some(into) = &raw.into
        && (into.is_empty() || into.contains(['.', '*']))
    {
        let hint = "name one schema (PostgreSQL) or database (MySQL, MariaDB) of the target";
        report.add(into.place, "not a name of a schema", hint);
    }
    let replicate = Replicate {
        from: from.value.clone(),
        to: to.value.clone(),
        tables,
        exclude,
        into: raw.into.as_ref().map(|into| into.value.clone()),
        rename: BTreeMap::new(),
        ignore: columns(raw.ignore.as_ref(), true, report),
        deletes: raw.deletes.as_ref().map_or(Deletes::Apply, |deletes| deletes.value),
        truncate: raw.truncate.as_ref().map_or(Truncates::Halt, |truncate| truncate.value),
        dropped_partitions: raw
            .dropped_partitions
            .as_ref()
            .map_or(DroppedPartitions::Halt, |dropped| dropped.value),
        on_poison: raw.on_poison.as_ref().map(|poison| poison.value),
        sensitive: columns(raw.sensitive.as_ref(), true, report),
        at: report.at(raw.place),
    };
    let rename = renames(raw, &replicate, report);
    known.then_some(At { place: raw.place, value: Replicate { rename, ..replicate } })
}

/// Whether a replication takes a source table.
pub(super) fn takes(replicate: &Replicate, name: &TableName) -> bool {
    let any = |patterns: &[String]| {
        patterns.iter().any(|pattern| pattern::matches(pattern, &name.schema, &name.table))
    };
    any(&replicate.tables) && !any(&replicate.exclude)
}

fn patterns(list: Option<&At<Vec<At<String>>>>, report: &mut Report<'_>) -> Vec<String> {
    let mut patterns: Vec<String> = Vec::new();
    for pattern in list.into_iter().flat_map(|list| &list.value) {
        let parts: Vec<&str> = pattern.split('.').collect();
        match parts.as_slice() {
            _ if patterns.contains(&pattern.value) => {
                report.add(pattern.place, format!("`{}` is written twice", pattern.value), "");
            }
            [schema, table] if !schema.is_empty() && !table.is_empty() => {
                patterns.push(pattern.value.clone());
            }
            [_, _, _, ..] => {
                let message = "names that hold a dot are not supported by this version";
                report.add(pattern.place, message, "write `schema.table`, with `*` where needed");
            }
            _ => {
                let message = format!("`{}` is not a pattern of tables", pattern.value);
                let hint = "write `schema.table`, with `*` where needed, as in \"shop.*\"";
                report.add(pattern.place, message, hint);
            }
        }
    }
    patterns
}

fn renames(
    raw: &raw::Replicate,
    replicate: &Replicate,
    report: &mut Report<'_>,
) -> BTreeMap<TableName, String> {
    let mut renames = BTreeMap::new();
    for (key, target) in raw.rename.iter().flat_map(|rename| &rename.value.0) {
        let Some(source) = table_name(&key.value, key.place, report) else { continue };
        if !takes(replicate, &source) {
            let hint = "correct the name, or add it to `tables`";
            report.add(key.place, format!("`{source}` is not one of these tables"), hint);
        }
        if target.is_empty() || target.contains(['.', '*']) {
            let hint = "write the table's name alone; its schema is `into`";
            report.add(key.place, format!("`{source}` gets no well-formed name"), hint);
            continue;
        }
        let taken = renames.iter().find(|(other, name): &(&TableName, &String)| {
            *name == target && (other.schema == source.schema || replicate.into.is_some())
        });
        if let Some((other, _)) = taken {
            let message = format!("`{source}` and `{other}` get the same name");
            report.add(key.place, message, "two tables cannot share one on the target");
        }
        renames.insert(source, target.clone());
    }
    renames
}
