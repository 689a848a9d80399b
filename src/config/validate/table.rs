//! `[table.*]`: addresses, key, owner and columns.

use std::collections::BTreeMap;

use super::names::{Databases, columns, table_name};
use super::replicate::takes;
use crate::config::pattern::matches_name;
use crate::config::problem::Report;
use crate::config::raw;
use crate::config::read::At;
use crate::config::settings::{Replicate, TableMapping};
use crate::config::suggest::did_you_mean;
use crate::model::TableName;
use crate::transform::rules::Step;

/// Longest name of a table mapping.
const NAME_CHARS_MAX: usize = 64;

/// Checks one table by itself and against the replications.
pub(super) fn table(
    name: &At<String>,
    raw: &raw::Table,
    databases: &Databases<'_>,
    replicates: &[At<Replicate>],
    report: &mut Report<'_>,
) -> Option<At<TableMapping>> {
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.contains(char::is_control) {
        let hint = format!("use 1 to {NAME_CHARS_MAX} characters");
        report.add(name.place, "not a name of a table mapping", hint);
    }
    let before = report.len();
    let addresses = addresses(name, raw, databases, report)?;
    let owners = said(raw, |column| column.owner.clone());
    for owner in [&raw.owner, &raw.row_owner].into_iter().flatten().chain(owners.values()) {
        if databases.check(owner, owner.place, report)
            && before == report.len()
            && !addresses.contains_key(&owner.value)
        {
            let message = format!("the owner `{}` does not hold this table", owner.value);
            let hint = format!("add `in.{} = \"schema.table\"`", owner.value);
            report.add(owner.place, message, hint);
        }
    }
    owned_by_name(name, raw, &owners, report);
    let placed = before == report.len();
    let key = raw.key.as_ref().map(|key| {
        if key.is_empty() {
            report.add(key.place, "the key has no column", "leave it out for the primary key");
        }
        columns(Some(key), false, report)
    });
    let mapping = TableMapping {
        name: name.value.clone(),
        key,
        local: columns(raw.local.as_ref(), false, report),
        owner: raw.owner.as_ref().map(|owner| owner.value.clone()),
        row_owner: raw.row_owner.as_ref().map(|owner| owner.value.clone()),
        column_owners: owners
            .iter()
            .map(|(column, owner)| (column.clone(), owner.value.clone()))
            .collect(),
        initial: raw.initial.as_ref().map(|initial| initial.value).unwrap_or_default(),
        column_initials: said(raw, |column| Some(column.initial.as_ref()?.value)),
        on_flagged: raw.on_flagged.as_ref().map(|on_flagged| on_flagged.value).unwrap_or_default(),
        column_on_flagged: said(raw, |column| Some(column.on_flagged.as_ref()?.value)),
        ignore: columns(raw.ignore.as_ref(), true, report),
        columns: BTreeMap::new(),
        deletes: raw.deletes.as_ref().map(|deletes| deletes.value),
        truncate: raw.truncate.as_ref().map(|truncate| truncate.value),
        dropped_partitions: raw.dropped_partitions.as_ref().map(|dropped| dropped.value),
        on_poison: raw.on_poison.as_ref().map(|poison| poison.value),
        sensitive: columns(raw.sensitive.as_ref(), true, report),
        sensitive_columns: said(raw, |column| Some(column.sensitive.as_ref()?.value)),
        conversion: raw.conversion.as_ref().map(|raw| raw.0.clone()).unwrap_or_default(),
        column_conversions: said(raw, |column| Some(column.conversion.as_ref()?.value.0.clone())),
        steps: BTreeMap::new(),
        at: report.at(name.place),
        addresses,
    };
    key_columns(raw, &mapping, report);
    let held_by = match placed {
        true => held_by(name, &mapping, replicates, report),
        false => None,
    };
    let held_by = held_by.as_ref().map(<[String; 2]>::as_slice);
    let columns = column_names(raw, &mapping, held_by, databases, report);
    let steps = steps(raw, &mapping, held_by, databases, report);
    Some(At { place: name.place, value: TableMapping { columns, steps, ..mapping } })
}

fn addresses(
    name: &At<String>,
    raw: &raw::Table,
    databases: &Databases<'_>,
    report: &mut Report<'_>,
) -> Option<BTreeMap<String, TableName>> {
    let written = raw.r#in.as_ref()?;
    let mut addresses = BTreeMap::new();
    for (database, address) in &written.value.0 {
        if databases.check(database, database.place, report)
            && let Some(address) = table_name(address, database.place, report)
        {
            addresses.insert(database.value.clone(), address);
        }
    }
    match written.value.0.len() {
        0 => {
            let hint = "write `in.DATABASE = \"schema.table\"`";
            report.add(name.place, format!("table `{}` is in no database", name.value), hint);
        }
        1 | 2 => {}
        _ => report.add(
            written.value.0.get(2).map_or(name.place, |(database, _)| database.place),
            "a table in more than two databases is not supported by this version",
            "write one [table] for each pair of databases",
        ),
    }
    Some(addresses)
}

fn key_columns(raw: &raw::Table, mapping: &TableMapping, report: &mut Report<'_>) {
    for column in raw.key.iter().flat_map(|key| &key.value) {
        let ignored = mapping.ignore.iter().any(|pattern| matches_name(pattern, column));
        if mapping.local.contains(&column.value) || ignored {
            let message = format!("key column `{}` is not replicated", column.value);
            let hint = "a key is compared across databases: remove it from `local` and `ignore`";
            report.add(column.place, message, hint);
        }
    }
    for (column, _) in raw.column.iter().flat_map(|columns| &columns.value.0) {
        if mapping.ignore.iter().any(|pattern| matches_name(pattern, column)) {
            let message = format!("column `{}` is also ignored", column.value);
            report.add(column.place, message, "remove it here or from `ignore`");
        }
    }
}

/// The two databases that hold the table; notes what is missing.
fn held_by(
    name: &At<String>,
    mapping: &TableMapping,
    replicates: &[At<Replicate>],
    report: &mut Report<'_>,
) -> Option<[String; 2]> {
    let addresses: Vec<_> = mapping.addresses.iter().collect();
    let rules: Vec<&Replicate> = replicates
        .iter()
        .map(|replicate| &replicate.value)
        .filter(|rule| mapping.addresses.get(&rule.from).is_some_and(|name| takes(rule, name)))
        .filter(|rule| addresses.len() == 1 || mapping.addresses.contains_key(&rule.to))
        .collect();
    match (addresses.as_slice(), rules.as_slice()) {
        ([(database, address)], []) => report.add(
            name.place,
            format!("no [[replicate]] from `{database}` matches `{address}`"),
            "add the table's name in the other database, `in.DATABASE = \"schema.table\"`, \
             and `owner`",
        ),
        ([_], [rule]) => return Some([rule.from.clone(), rule.to.clone()]),
        ([(_, address)], [first, second, ..]) => report.add(
            name.place,
            format!("two [[replicate]] match `{address}`: {} and {}", first.at, second.at),
            "add the table's name in the other database, `in.DATABASE = \"schema.table\"`, \
             and `owner`",
        ),
        ([(first, _), (second, _)], rules) => {
            if mapping.owner.is_none() && rules.is_empty() {
                let hint = format!("write `owner = \"{first}\"` or `owner = \"{second}\"`");
                report.add(name.place, format!("table `{}` has no owner", mapping.name), hint);
            }
            return Some([(*first).clone(), (*second).clone()]);
        }
        _ => {}
    }
    None
}

/// What columns say themselves, by name.
fn said<T>(raw: &raw::Table, pick: impl Fn(&raw::Column) -> Option<T>) -> BTreeMap<String, T> {
    let columns = raw.column.iter().flat_map(|columns| &columns.value.0);
    columns.filter_map(|(name, column)| Some((name.value.clone(), pick(column)?))).collect()
}

/// Owners of their own need one of all else, and a key that is the rows' own.
fn owned_by_name(
    name: &At<String>,
    raw: &raw::Table,
    owners: &BTreeMap<String, At<String>>,
    report: &mut Report<'_>,
) {
    let named = raw.row_owner.as_ref().or_else(|| owners.values().next());
    if let (None, Some(owner)) = (&raw.owner, named) {
        let message = format!("table `{}` has no owner of all else", name.value);
        report.add(owner.place, message, "write `owner = \"DATABASE\"` at the table");
    }
    let rows = raw.row_owner.as_ref().or(raw.owner.as_ref());
    let keys = raw.key.iter().flat_map(|key| &key.value);
    for (key, owner) in keys.filter_map(|key| Some((key, owners.get(&key.value)?))) {
        if rows.is_some_and(|rows| rows.value != owner.value) {
            let message = format!("key column `{}` has another owner than the rows", key.value);
            report.add(owner.place, message, "the key belongs to whoever makes the rows");
        }
    }
}

/// Tells of a database that is not known, or that does not hold the table.
fn holds(
    database: &At<String>,
    mapping: &TableMapping,
    held_by: Option<&[String]>,
    databases: &Databases<'_>,
    report: &mut Report<'_>,
) {
    let known = databases.check(database, database.place, report);
    if let Some(holders) = held_by
        && known
        && !holders.contains(&database.value)
    {
        let holders: Vec<&str> = holders.iter().map(String::as_str).collect();
        let message = format!("`{}` does not hold table `{}`", database.value, mapping.name);
        report.add(database.place, message, did_you_mean(database, &holders));
    }
}

/// The steps of columns, towards databases that the table flows to.
fn steps(
    raw: &raw::Table,
    mapping: &TableMapping,
    held_by: Option<&[String]>,
    databases: &Databases<'_>,
    report: &mut Report<'_>,
) -> BTreeMap<String, BTreeMap<String, Vec<Step>>> {
    let mut steps: BTreeMap<String, BTreeMap<String, Vec<Step>>> = BTreeMap::new();
    for (column, settings) in raw.column.iter().flat_map(|columns| &columns.value.0) {
        for (database, list) in settings.to.iter().flat_map(|to| &to.value.0) {
            holds(database, mapping, held_by, databases, report);
            if mapping.owner_of(column) == Some(&database.value) {
                let message =
                    format!("nothing flows to `{}`, which owns the column", database.value);
                report.add(database.place, message, "write the steps under the other database");
            }
            let lists = steps.entry(column.value.clone()).or_default();
            lists.insert(database.value.clone(), list.0.clone());
        }
    }
    steps
}

fn column_names(
    raw: &raw::Table,
    mapping: &TableMapping,
    held_by: Option<&[String]>,
    databases: &Databases<'_>,
    report: &mut Report<'_>,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut columns: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let listed = raw.column.iter().flat_map(|columns| &columns.value.0);
    for (column, settings) in listed {
        let mut names = BTreeMap::new();
        for (database, name) in settings.r#in.iter().flat_map(|names| &names.value.0) {
            holds(database, mapping, held_by, databases, report);
            if name.is_empty() {
                report.add(database.place, "a column's name is empty", "");
            }
            let taken = columns
                .iter()
                .find(|(logical, other)| other.get(&database.value).unwrap_or(logical) == name);
            if let Some((other, _)) = taken {
                let message =
                    format!("columns `{other}` and `{}` have the same name", column.value);
                report.add(database.place, message, "one column cannot be two");
            }
            names.insert(database.value.clone(), name.clone());
        }
        columns.insert(column.value.clone(), names);
    }
    columns
}
