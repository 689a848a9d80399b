//! What the planner says of each proposed table; what it would refuse is left out by name.
//!
//! Tables that the target has are planned as they are. For those that `weir ddl` is to make, the
//! source's own table stands in: what is wrong with it then is wrong with the source. Pure.

use super::propose::{Proposal, Proposed};
use crate::cli::context::Catalogs;
use crate::config::{Config, LinkName};
use crate::model::{Table, Type};
use crate::plan::{self, Finding, blueprints};

/// Marks what `config`, which carries every table of the proposal, cannot carry.
pub(super) fn exclude(
    config: &Config,
    link: &LinkName,
    catalogs: &Catalogs,
    proposal: &mut Proposal<'_>,
) {
    let (found, missing): (Vec<&Proposed<'_>>, Vec<&Proposed<'_>>) =
        proposal.tables.iter().partition(|table| table.found.is_some());
    let sources = |tables: &[&Proposed<'_>]| -> Vec<Table> {
        tables.iter().map(|table| table.source.clone()).collect()
    };
    let as_found = refusals(config, link, &sources(&found), &catalogs.target);
    let mut alike = config.clone();
    let dialect = alike.databases.get(&link.source).map(|database| database.dialect);
    if let (Some(target), Some(dialect)) = (alike.databases.get_mut(&link.target), dialect) {
        target.dialect = dialect;
    }
    let missing = sources(&missing);
    let (made, _) = blueprints(&alike, link, &missing, &[], false);
    let made: Vec<Table> = made.into_iter().map(|blueprint| stand_in(blueprint.table)).collect();
    let as_made = refusals(&alike, link, &missing, &made);
    for table in &mut proposal.tables {
        let findings = if table.found.is_some() { &as_found } else { &as_made };
        table.excluded = verdict(table, findings);
    }
}

fn refusals(config: &Config, link: &LinkName, source: &[Table], target: &[Table]) -> Vec<Finding> {
    plan::plan(config, link, source, target).err().unwrap_or_default()
}

/// The table that `weir ddl` would make, as the source's dialect would have it.
fn stand_in(table: Table) -> Table {
    let mut table = Table { transactional: true, unsupported: None, ..table };
    for column in &mut table.columns {
        column.exact_collation = true;
        // Digits that a float is rounded to are not copied.
        if matches!(column.ty, Type::F32 | Type::F64) {
            column.native = column.native.split('(').next().unwrap_or_default().to_owned();
        }
    }
    table
}

/// Everything that stands against a table. A foreign key that is missing at the target can be made.
fn verdict(table: &Proposed<'_>, findings: &[Finding]) -> Option<String> {
    let about = format!("{} -> ", table.source.name);
    let own = findings.iter().filter(|finding| {
        finding.fatal
            && finding.subject.starts_with(&about)
            && !finding.message.starts_with("foreign key")
    });
    let mut said: Vec<String> = own.map(said).collect();
    let names = [&table.source.name.schema, &table.source.name.table];
    if table.differs() || table.rename().is_some() {
        let dotted = names.iter().any(|name| name.contains(['.', '*']));
        let why = "what differs cannot be written for a name that holds a dot or a star";
        said.extend(dotted.then(|| why.to_owned()));
    }
    (!said.is_empty()).then(|| said.join("; and "))
}

/// What is wrong, and what to do unless that is what is done here.
fn said(finding: &Finding) -> String {
    match finding.hint.contains("`exclude`") {
        true => finding.message.clone(),
        false => format!("{} (to have it: {})", finding.message, finding.hint),
    }
}
