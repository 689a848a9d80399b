//! The sections put together: names, references, links.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use super::names::{Databases, well_formed};
use super::start::Of;
use super::{alerts, apply, conflicts, database, replicate, table};
use crate::config::problem::{Place, Report};
use crate::config::raw::{File, Table};
use crate::config::read::{At, Named};
use crate::config::settings::{
    ApplyOptions, Config, Dialect, Http, LinkName, Replicate, TableMapping, TableSeries,
};

/// Longest name of an installation.
const NAME_CHARS_MAX: usize = 24;
/// The state directory, beside `weir.toml`, unless it is named.
const STATE_DIR: &str = "weir-state";

/// Checks everything and returns the configuration; `None` where a required key is missing.
pub(crate) fn config(
    file: &File,
    tables: &[(At<String>, Table)],
    directory: &Path,
    report: &mut Report<'_>,
) -> Option<Config> {
    if let Some(name) = &file.name {
        well_formed(name, "an installation", NAME_CHARS_MAX, report);
    }
    let written = file.database.iter().flat_map(|databases| &databases.value.0);
    let known = Databases(written.clone().map(|(name, _)| name.as_str()).collect());
    let databases: Vec<_> = written
        .filter_map(|(name, raw)| {
            let value = database::database(name, raw, directory, report)?;
            Some(At { place: name.place, value })
        })
        .collect();
    let replicates: Vec<_> = file
        .replicate
        .iter()
        .flat_map(|replicates| &replicates.value)
        .filter_map(|raw| replicate::replicate(raw, &known, report))
        .collect();
    named_twice(tables, report);
    let tables: Vec<_> = tables
        .iter()
        .filter_map(|(name, raw)| table::table(name, raw, &known, &replicates, report))
        .collect();
    let by_place: Vec<_> = databases
        .iter()
        .map(|database| At { place: database.place, value: &database.value })
        .collect();
    conflicts::conflicts(&by_place, &replicates, &tables, report);
    let base = ApplyOptions::default();
    let apply = match &file.apply {
        Some(raw) => apply::options(raw, &base, Of::Every, report),
        None => base,
    };
    let dialects = databases.iter().map(|one| (one.name.as_str(), one.dialect)).collect();
    let linked = linked(&replicates, &tables);
    let links = links(file, &apply, (&known, &dialects), &linked, report);
    same_slot(&replicates, &tables, report);
    let nothing = file.replicate.is_none() && tables.is_empty();
    if nothing && report.len() == 0 {
        let hint = "write a [[replicate]], or a [table] in tables/*.toml";
        report.add(Place::default(), "nothing is replicated", hint);
    }
    Some(Config {
        http: http(file, report),
        table_series: table_series(file),
        alerts: file.alerts.as_ref().and_then(|raw| alerts::alerts(raw, directory, report)),
        state_dir: state_dir(file, directory, report),
        state_free_min: alerts::state_free_min(&file.state_free_min, report),
        name: file.name.as_ref()?.value.clone(),
        databases: databases
            .into_iter()
            .map(|database| (database.value.name.clone(), database.value))
            .collect(),
        replicates: replicates.into_iter().map(|replicate| replicate.value).collect(),
        conversion: file.conversion.as_ref().map(|raw| raw.0.clone()).unwrap_or_default(),
        tables: tables.into_iter().map(|table| table.value).collect(),
        apply,
        links,
    })
}

fn state_dir(file: &File, directory: &Path, report: &mut Report<'_>) -> std::path::PathBuf {
    match &file.state_dir {
        Some(path) if path.is_empty() || path.contains('\0') => {
            report.add(path.place, "not a path of a directory", "");
            directory.join(STATE_DIR)
        }
        Some(path) => directory.join(&path.value),
        None => directory.join(STATE_DIR),
    }
}

fn http(file: &File, report: &mut Report<'_>) -> Option<Http> {
    let written = file.http.as_ref()?.listen.as_ref()?;
    match written.parse::<SocketAddr>() {
        Ok(listen) => Some(Http { listen }),
        Err(_) => {
            let hint = "write an IP address and a port, as in \"127.0.0.1:7171\"";
            report.add(written.place, "not an address to listen on", hint);
            None
        }
    }
}

fn table_series(file: &File) -> TableSeries {
    let tables = file.metrics.as_ref().and_then(|metrics| metrics.tables.as_ref());
    tables.map(|tables| tables.value).unwrap_or_default()
}

/// One table in two places, mostly in two files.
fn named_twice(tables: &[(At<String>, Table)], report: &mut Report<'_>) {
    let mut first: BTreeMap<&str, &At<String>> = BTreeMap::new();
    for (name, _) in tables {
        match first.get(name.as_str()) {
            Some(other) => {
                let other = report.at(other.place);
                let message = format!("table `{}` is also defined at {other}", name.value);
                report.add(name.place, message, "keep one of the two");
            }
            None => {
                first.insert(name.as_str(), name);
            }
        }
    }
}

/// The directions in which something goes.
fn linked(replicates: &[At<Replicate>], tables: &[At<TableMapping>]) -> Vec<LinkName> {
    let link = |source: &str, target: &str| LinkName {
        source: source.to_owned(),
        target: target.to_owned(),
    };
    let mut links: Vec<_> =
        replicates.iter().map(|replicate| link(&replicate.from, &replicate.to)).collect();
    for table in tables {
        if let Some(owner) = &table.owner {
            let others = table.addresses.keys().filter(|database| *database != owner);
            links.extend(others.map(|database| link(owner, database)));
        }
    }
    links
}

/// Two links whose slots at the source would have one name: of `a` to `b_c` and `a_b` to `c` one
/// would take the other's.
fn same_slot(replicates: &[At<Replicate>], tables: &[At<TableMapping>], report: &mut Report<'_>) {
    let mut links = linked(replicates, tables);
    links.sort_unstable();
    links.dedup();
    let mut first: BTreeMap<String, LinkName> = BTreeMap::new();
    for link in links {
        if let Some(other) = first.get(&link.slot_suffix()) {
            let message = format!("the links {other} and {link} would use one slot");
            report.add(Place::default(), message, "rename one of the databases");
        }
        first.insert(link.slot_suffix(), link);
    }
}

fn links(
    file: &File,
    base: &ApplyOptions,
    (databases, dialects): (&Databases<'_>, &BTreeMap<&str, Dialect>),
    linked: &[LinkName],
    report: &mut Report<'_>,
) -> BTreeMap<LinkName, ApplyOptions> {
    let mut links = BTreeMap::new();
    // What is wrong elsewhere may be why a link seems to be missing.
    let complete = report.len() == 0;
    let sources = file.link.iter().flat_map(|sources| &sources.value.0);
    for (source, Named(targets)) in sources {
        databases.check(source, source.place, report);
        for (target, raw) in targets {
            let known = databases.check(target, target.place, report);
            let name = LinkName { source: source.value.clone(), target: target.value.clone() };
            if known && complete && !linked.contains(&name) {
                let message = format!("nothing goes from `{}` to `{}`", source.value, target.value);
                let hint = match linked.is_empty() {
                    true => "no [[replicate]] or [table] is complete".to_owned(),
                    false => {
                        let known: Vec<_> = linked.iter().map(LinkName::to_string).collect();
                        format!("the links are: {}", known.join(", "))
                    }
                };
                report.add(target.place, message, hint);
            }
            let of = Of::Link(dialects.get(source.as_str()).copied());
            links.insert(name, apply::options(raw, base, of, report));
        }
    }
    links
}
