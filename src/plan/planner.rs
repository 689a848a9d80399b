//! Compiles the plan of a link from the configuration and both catalogs, or says everything that
//! keeps it from one.
//!
//! Pure: catalogs come in as data. All problems are found in one go, each with the table, the place
//! in the configuration and what to do. Nothing is guessed: what has no rule is refused by name.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::config::{Config, Deletes, Dialect, LinkName};
use crate::error::Kind;
use crate::model::{Table, TableName};
use crate::plan::columns::Draft;
use crate::plan::rank::ranks;
use crate::plan::select::{Chosen, choose, wanted};
use crate::plan::{Finding, LinkPlan, TablePlan, cascades, referring, sql, tangles, unseen};
use crate::transform::rules::Lists;

/// The plan of `link` whose steps look into no table, or all findings that stand against it.
pub fn plan(
    config: &Config,
    link: &LinkName,
    source_tables: &[Table],
    target_tables: &[Table],
) -> Result<LinkPlan, Vec<Finding>> {
    plan_with(config, link, [source_tables, target_tables], &Lists::default())
}

/// The plan of `link` from the tables of source and target, and those that steps look into, or all findings that
/// stand against it.
pub fn plan_with(
    config: &Config,
    link: &LinkName,
    [source_tables, target_tables]: [&[Table]; 2],
    lists: &Lists,
) -> Result<LinkPlan, Vec<Finding>> {
    let mut findings = Vec::new();
    let (Some(source_dialect), Some(target_dialect)) = (
        dialect(config, &link.source, &mut findings),
        dialect(config, &link.target, &mut findings),
    ) else {
        return Err(findings);
    };
    let chosen = choose(config, link, source_tables, &mut findings);
    if chosen.is_empty() && findings.is_empty() {
        findings.push(about_link(
            link,
            "no table crosses on this link",
            "add a [[replicate]] or a [table.*] that names it",
        ));
    }
    one_source_each(link, &chosen, &mut findings);
    one_way_only(config, link, &chosen, target_tables, &mut findings);
    let mut tables = Vec::new();
    for chosen in &chosen {
        let found = (
            source_tables.iter().find(|table| table.name == chosen.source),
            target_tables.iter().find(|table| table.name == chosen.target),
        );
        if let (Some(source), Some(target)) = found {
            let dialects = (source_dialect, target_dialect);
            let conversion = &config.conversion;
            let draft = Draft { link, dialects, chosen, source, target, conversion, lists };
            let on_poison = chosen.on_poison().unwrap_or(config.options(link).on_poison);
            tables.push(TablePlan { on_poison, ..table_plan(&draft, &mut findings) });
        } else {
            if found.0.is_none() {
                findings.push(missing_at_source(link, chosen));
            }
            if found.1.is_none() {
                findings.push(missing_at_target(link, chosen, target_tables));
            }
        }
    }
    let crosses = |table: &TableName| chosen.iter().any(|chosen| chosen.source == *table);
    cascades::check(&tables, (source_dialect, target_dialect), crosses, &mut findings);
    if findings.iter().any(|finding| finding.fatal) {
        return Err(findings);
    }
    tie(&mut tables);
    let unseen = unseen::keys(&tables, source_dialect);
    for (table, unseen) in tables.iter_mut().zip(unseen) {
        table.referred = referring::referred(table, target_tables, target_dialect);
        table.acting = referring::acting(table, target_tables, target_dialect);
        table.unseen = unseen;
    }
    let dialects = (source_dialect, target_dialect);
    tangles::mark(&mut tables, (source_tables, target_tables), dialects);
    let mut remarks = cascades::unlike(&tables, (source_dialect, target_dialect));
    remarks.extend(tangles::remarks(&tables));
    remarks.extend(unseen::remarks(&tables, source_dialect));
    remarks.extend(tables.iter().filter_map(moved_rows));
    let tables: Vec<_> = tables.into_iter().map(Arc::new).collect();
    let wanted = wanted(config, link);
    let overlap = overlap(config, link, &tables);
    let link = link.clone();
    Ok(LinkPlan { link, source_dialect, target_dialect, tables, wanted, overlap, remarks })
}

fn dialect(config: &Config, name: &str, findings: &mut Vec<Finding>) -> Option<Dialect> {
    let found = config.databases.get(name).map(|database| database.dialect);
    if found.is_none() {
        findings.push(Finding {
            fatal: true,
            kind: Kind::Configuration,
            subject: name.to_owned(),
            message: format!("there is no [database.{name}]"),
            hint: "correct the name, or add the database".to_owned(),
            mend: Vec::new(),
        });
    }
    found
}

fn about_link(link: &LinkName, message: &str, hint: &str) -> Finding {
    Finding {
        fatal: true,
        kind: Kind::Mapping,
        subject: link.to_string(),
        message: message.to_owned(),
        hint: hint.to_owned(),
        mend: Vec::new(),
    }
}

fn about_table(chosen: &Chosen<'_>, message: String, hint: String) -> Finding {
    Finding {
        fatal: true,
        kind: Kind::Mapping,
        subject: format!("{} -> {} ({})", chosen.source, chosen.target, chosen.at()),
        message,
        hint,
        mend: Vec::new(),
    }
}

fn missing_at_source(link: &LinkName, chosen: &Chosen<'_>) -> Finding {
    about_table(
        chosen,
        format!("table {} does not exist at the source {}", chosen.source, link.source),
        "correct the name, or grant weir the right to see the table".to_owned(),
    )
}

/// A server that does not tell names by case (`lower_case_table_names`) may hold it under another one.
fn missing_at_target(link: &LinkName, chosen: &Chosen<'_>, target_tables: &[Table]) -> Finding {
    let (wanted, database) = (&chosen.target, &link.target);
    let message = format!("table {wanted} does not exist at the target {database}");
    let folded = wanted.folded();
    match target_tables.iter().find(|table| table.name.folded() == folded) {
        Some(Table { name, .. }) => about_table(
            chosen,
            format!("{message} (there is {name}, which differs by case)"),
            format!("if it is meant: `rename = {{ \"{}\" = \"{}\" }}`", chosen.source, name.table),
        ),
        None => about_table(
            chosen,
            message,
            format!("create it: `weir ddl {link}` prints the statement, and with --apply runs it"),
        ),
    }
}

/// Two source tables into one would mix their rows.
fn one_source_each(link: &LinkName, chosen: &[Chosen<'_>], findings: &mut Vec<Finding>) {
    let mut first: BTreeMap<&TableName, &TableName> = BTreeMap::new();
    let mut read: BTreeMap<&TableName, &TableName> = BTreeMap::new();
    for table in chosen {
        if let Some(other) = first.insert(&table.target, &table.source) {
            let same = *other == table.source;
            let message = if same {
                format!(
                    "table {} is named twice for the target table {}",
                    table.source, table.target
                )
            } else {
                format!("tables {other} and {} both map to {}", table.source, table.target)
            };
            findings.push(about_table(
                table,
                message,
                "map each source table to a target table of its own".to_owned(),
            ));
        } else if let Some(other) = read.insert(&table.source, &table.target) {
            findings.push(about_table(
                table,
                format!(
                    "table {} would be written to both {other} and {} on {}",
                    table.source, table.target, link.target
                ),
                "name one target table".to_owned(),
            ));
        }
    }
}

/// The same pair in the other direction as well would be two owners of one column.
fn one_way_only(
    config: &Config,
    link: &LinkName,
    chosen: &[Chosen<'_>],
    target_tables: &[Table],
    findings: &mut Vec<Finding>,
) {
    let back = LinkName { source: link.target.clone(), target: link.source.clone() };
    let reverse = choose(config, &back, target_tables, &mut Vec::new());
    for table in chosen {
        let both = reverse
            .iter()
            .find(|other| other.source == table.target && other.target == table.source);
        let shared =
            |other: &Chosen<'_>| table.shared().is_some() && table.shared() == other.shared();
        if let Some(other) = both.filter(|other| !shared(other)) {
            findings.push(about_table(
                table,
                format!("the table is replicated in both directions (also by {})", other.at()),
                "name it in one [table], with an owner for each column".to_owned(),
            ));
        }
    }
}

/// See [`LinkPlan::overlap`]. Names of PostgreSQL are those of one database, not of the server.
fn overlap(config: &Config, link: &LinkName, tables: &[Arc<TablePlan>]) -> Vec<TableName> {
    let database = |name: &str| config.databases.get(name);
    let (Some(source), Some(target)) = (database(&link.source), database(&link.target)) else {
        return Vec::new();
    };
    let one = match (source.dialect, target.dialect) {
        (Dialect::Postgres, Dialect::Postgres) => source.database == target.database,
        (one, other) => one == other,
    };
    if !one {
        return Vec::new();
    }
    let read: HashSet<&TableName> = tables.iter().map(|table| &table.source.name).collect();
    let written = tables.iter().map(|table| &table.target.name);
    written.filter(|name| read.contains(name)).cloned().collect()
}

fn table_plan(draft: &Draft<'_>, findings: &mut Vec<Finding>) -> TablePlan {
    for (table, side) in [(draft.source, "source"), (draft.target, "target")] {
        if let Some(why) = &table.unsupported {
            findings.push(draft.finding(
                Kind::Unsupported,
                format!("the {side} table {} cannot be replicated: {why}", table.name),
                "leave the table out with `exclude`".to_owned(),
            ));
        }
    }
    if !draft.target.transactional {
        let message = format!(
            "the target table {} is not transactional, so changes could be applied twice",
            draft.target.name
        );
        let name = sql::quote_table(draft.dialects.1, &draft.target.name);
        let finding = draft.finding(Kind::Mapping, message, String::new());
        findings.push(finding.mended_by([format!("ALTER TABLE {name} ENGINE = InnoDB")]));
    }
    if !draft.source.partitions.is_empty() && draft.chosen.deletes() != Deletes::Apply {
        findings.push(draft.finding(
            Kind::Mapping,
            "deletes are ignored, and an update that moves a row to another partition comes as a \
             delete and an insert: the target would keep both rows"
                .to_owned(),
            format!("let deletes of {} be applied, or exclude it", draft.source.name),
        ));
    }
    let mut columns = draft.columns(findings);
    let key = draft.key(&mut columns, findings);
    let upsert = draft.upsert(&key, &columns);
    TablePlan {
        upsert,
        owns_rows: draft.chosen.owns_rows(&draft.link.source),
        foreign: draft.foreign(),
        row_owner: draft.chosen.row_owner(&draft.link.source).map(str::to_owned),
        on_flagged: draft.chosen.mapping.map(|mapping| mapping.on_flagged).unwrap_or_default(),
        entry: draft.chosen.shared().map(str::to_owned),
        deletes: draft.chosen.deletes(),
        truncate: draft.chosen.truncate(),
        dropped_partitions: draft.chosen.dropped_partitions(),
        ..TablePlan::alone(draft.source.clone(), draft.target.clone(), columns, key)
    }
}

/// What becomes of columns that the target alone has when a row moves to another partition.
fn moved_rows(table: &TablePlan) -> Option<Finding> {
    let written: HashSet<usize> = table.columns.iter().map(|column| column.target).collect();
    let columns = table.target.columns.iter().enumerate();
    let own = columns.filter(|(at, column)| !column.generated && !written.contains(at));
    let own: Vec<_> = own.map(|(_, column)| column.name.as_str()).collect();
    if table.source.partitions.is_empty() || own.is_empty() {
        return None;
    }
    let (source, target) = (&table.source.name, &table.target.name);
    Some(Finding {
        fatal: false,
        kind: Kind::Mapping,
        subject: format!("{source} -> {target}"),
        message: format!(
            "an update that moves a row to another partition comes as a delete and an insert: what \
             the target holds in columns that are not carried is lost then ({})",
            own.join(", ")
        ),
        hint: "keep such columns in a table of their own, or do not change what a row's partition \
               is chosen by"
            .to_owned(),
        mend: Vec::new(),
    })
}

/// What the foreign keys of the target mean for the order of a batch.
fn tie(tables: &mut [TablePlan]) {
    let targets: Vec<&Table> = tables.iter().map(|table| &table.target).collect();
    let found = ranks(&targets);
    let keys = targets.iter().flat_map(|table| &table.foreign_keys);
    let parents: HashSet<TableName> = keys.map(|key| key.parent.clone()).collect();
    for (table, rank) in tables.iter_mut().zip(found) {
        table.rank = rank;
        table.parent = parents.contains(&table.target.name);
        table.replaceable = table.is_sole() && is_whole(table) && !table.parent;
    }
}

/// Whether every column of the target that can be written is.
fn is_whole(table: &TablePlan) -> bool {
    let written: HashSet<usize> = table.columns.iter().map(|column| column.target).collect();
    let mut columns = table.target.columns.iter().enumerate();
    columns.all(|(index, column)| column.generated || written.contains(&index))
}

#[cfg(test)]
mod tests;
