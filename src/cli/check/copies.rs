//! What keeps tables of a new link from being copied, as findings: each by its name, before anything is
//! written. A link that has its witness has begun; what `weir snapshot` asks of it is looked at then.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cli::check::met;
use crate::cli::context::Ends;
use crate::config::{Database, Start};
use crate::error::{Error, Kind, Result};
use crate::link::copying::{self, Knot};
use crate::link::copyist::require_within;
use crate::model::TableName;
use crate::plan::{Finding, LinkPlan};
use crate::position::Position;

/// Longest time for all looks of one link.
const LOOKS_MAX: Duration = Duration::from_secs(60);

/// What is found.
pub(super) async fn look(ends: &Ends<'_>, plan: LinkPlan) -> Vec<Finding> {
    let plan = Arc::new(plan);
    let mut findings = Vec::new();
    let database = match &ends.source.read {
        None => ends.source,
        Some(read) => {
            match replica(ends, read, &plan).await {
                Ok(found) => findings.extend(found),
                Err(error) => findings.push(met(&format!("database {}", read.name), &error)),
            }
            read
        }
    };
    let copies = match &ends.config.options(ends.link()).start {
        None | Some(Start::Snapshot) => !matches!(ends.witness().await, Ok(Some(_))),
        Some(Start::Now | Start::At(_)) => false,
    };
    if let Some(Start::At(position)) = &ends.config.options(ends.link()).start
        && !matches!(ends.witness().await, Ok(Some(_)))
    {
        match place(ends, position, &plan).await {
            // Missing rights and settings are findings of their own.
            Err(error) if !matches!(error.kind(), Kind::Privilege | Kind::Setting) => {
                findings.push(met(&format!("link {} (start)", ends.link()), &error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    if copies {
        let knots = copying::knots(&plan);
        let names: Vec<TableName> = knots.iter().map(|knot| knot.table.clone()).collect();
        // Of tables without rows there is nothing to copy. Whoever cannot look is told so elsewhere.
        let filled = ends.source_room().non_empty(ends.source, &names).await;
        let filled = filled.unwrap_or_else(|_| names.clone());
        let knots = knots.iter().filter(|knot| filled.contains(&knot.table));
        findings.extend(knots.map(tied));
        match tables(ends, database, &plan).await {
            Ok(found) => findings.extend(found),
            // The missing right is a finding of its own.
            Err(error) if error.kind() == Kind::Privilege => {}
            Err(error) => findings.push(met(&format!("database {}", database.name), &error)),
        }
    }
    findings
}

/// Whether the server of `read_url` is a replica of the source that copies can be read from.
async fn replica(ends: &Ends<'_>, read: &Database, plan: &Arc<LinkPlan>) -> Result<Vec<Finding>> {
    let room = ends.source_room();
    let findings = room.check_reader(read).await?;
    let source = room.open_source(&ends.context, ends.source, Arc::clone(plan)).await?;
    let mut scan = room.open_scan(&ends.context, read, Arc::clone(plan)).await?;
    if let Some(shown) = scan.require_copy_of(source.identity()).await? {
        let mut log = room.open_scan(&ends.context, ends.source, Arc::clone(plan)).await?;
        require_within(&shown, log.as_mut()).await?;
    }
    Ok(findings)
}

/// Whether the log can be read from the place that a person gives; nothing is made for it.
async fn place(ends: &Ends<'_>, position: &Position, plan: &Arc<LinkPlan>) -> Result<()> {
    let room = ends.source_room();
    let mut source = room.open_source(&ends.context, ends.source, Arc::clone(plan)).await?;
    source.begin_at(position).await.map(drop)
}

/// Each table is divided as its copy will be.
async fn tables(
    ends: &Ends<'_>,
    database: &Database,
    plan: &Arc<LinkPlan>,
) -> Result<Vec<Finding>> {
    let until = Instant::now() + LOOKS_MAX;
    let mut scan = ends.source_room().open_scan(&ends.context, database, Arc::clone(plan)).await?;
    let mut findings = Vec::new();
    for table in &plan.tables {
        let subject = format!("table {}", table.source.name);
        match tokio::time::timeout_at(until, scan.divide(table, 1)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == Kind::Privilege => {}
            Ok(Err(error)) => findings.push(cannot(&subject, &error)),
            Err(_) => {
                let limit = LOOKS_MAX.as_secs();
                let text = format!("from here on, no time was left after {limit} s");
                let late = met(&subject, &Error::new(Kind::Timeout, text));
                findings.push(Finding { fatal: false, ..late });
                break;
            }
        }
    }
    Ok(findings)
}

/// Rows refer to each other so that none can be written first.
fn tied(knot: &Knot) -> Finding {
    Finding {
        fatal: true,
        kind: Kind::Configuration,
        subject: format!("table {}", knot.table),
        message: format!("it cannot be copied: {}", knot.why),
        hint: copying::UNTIE.to_owned(),
        mend: Vec::new(),
    }
}

fn cannot(subject: &str, error: &Error) -> Finding {
    let finding = met(subject, error);
    Finding { message: format!("it cannot be copied: {}", finding.message), ..finding }
}
