//! Whether copies can be read where `read_url` says, as findings.

use std::sync::Arc;

use crate::cli::check::met;
use crate::cli::context::Ends;
use crate::config::Database;
use crate::error::Result;
use crate::plan::{Finding, LinkPlan};

/// What is found.
pub(super) async fn look(ends: &Ends<'_>, plan: LinkPlan) -> Vec<Finding> {
    let plan = Arc::new(plan);
    let mut findings = Vec::new();
    if let Some(read) = &ends.source.read {
        match replica(ends, read, &plan).await {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(met(&format!("database {}", read.name), &error)),
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
    scan.require_copy_of(source.identity()).await?;
    Ok(findings)
}
