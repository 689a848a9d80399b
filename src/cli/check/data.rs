//! `weir check --data`: reads the source's tables as a copy does and counts the rows that would not
//! survive, per column and reason, with keys of the first. Writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::cli::check::met;
use crate::cli::context::Ends;
use crate::cli::survey::{Judged, Survey, named};
use crate::error::{Kind, Result};
use crate::plan::{Finding, LinkPlan, TablePlan};

/// Keys that are told of each reason.
const EXAMPLES_MAX: usize = 3;

/// How a table's rows fare.
#[derive(Debug, Serialize)]
pub(super) struct Counted {
    /// The table at the source.
    pub(super) table: String,
    /// Rows that were read.
    pub(super) rows: u64,
    /// Rows that would be set aside.
    pub(super) refused: u64,
    /// Why: each row once per column.
    pub(super) reasons: Vec<Counts>,
}

#[derive(Debug, Serialize)]
pub(super) struct Counts {
    /// The column at the source.
    column: String,
    /// The reason code.
    reason: &'static str,
    /// The step that refuses them, and the reason, in words.
    text: String,
    rows: u64,
    /// Keys of the first.
    examples: Vec<String>,
}

/// Looks through tables: those that are named, or all of the link.
pub(super) async fn look(
    ends: &Ends<'_>,
    plan: &Arc<LinkPlan>,
    names: &[String],
) -> (Vec<Counted>, Vec<Finding>) {
    let tables: Vec<&TablePlan> = match names {
        [] => plan.tables.iter().map(Arc::as_ref).collect(),
        names => names.iter().flat_map(|name| named(plan, name)).collect(),
    };
    let (mut counted, mut findings) = (Vec::new(), Vec::new());
    for table in tables {
        match count(ends, plan, table).await {
            Ok(found) => {
                findings.extend(found.reasons.iter().map(|counts| finding(&found, counts)));
                counted.push(found);
            }
            Err(error) => {
                findings.push(met(&format!("table {} (--data)", table.source.name), &error));
            }
        }
    }
    (counted, findings)
}

async fn count(ends: &Ends<'_>, plan: &Arc<LinkPlan>, table: &TablePlan) -> Result<Counted> {
    let mut survey = Survey::open(ends, plan).await?;
    let mut refused = 0;
    let mut reasons: BTreeMap<(usize, String), Counts> = BTreeMap::new();
    let rows = survey.rows(table, None, |row| {
        refused += u64::from(add(table, row, &mut reasons));
    });
    let rows = rows.await?;
    let reasons = reasons.into_values().collect();
    Ok(Counted { table: table.source.name.to_string(), rows, refused, reasons })
}

/// Counts what of a row has no form; true if something has none.
fn add(
    table: &TablePlan,
    judged: &Judged<'_>,
    reasons: &mut BTreeMap<(usize, String), Counts>,
) -> bool {
    let mut any = false;
    for (at, value) in judged.values.iter().enumerate() {
        let Err(failure) = value else { continue };
        any = true;
        let text = failure.to_string();
        let counts = reasons.entry((at, text.clone())).or_insert_with(|| {
            let column = table.columns.get(at);
            let column = column.and_then(|column| table.source.columns.get(column.source));
            Counts {
                column: column.map_or_else(String::new, |column| column.name.clone()),
                reason: failure.reason.name(),
                text,
                rows: 0,
                examples: Vec::new(),
            }
        });
        counts.rows += 1;
        if counts.examples.len() < EXAMPLES_MAX {
            counts.examples.push(judged.key());
        }
    }
    any
}

fn finding(counted: &Counted, counts: &Counts) -> Finding {
    let (table, column) = (&counted.table, &counts.column);
    Finding {
        fatal: true,
        kind: Kind::Value,
        subject: format!("table {table}"),
        message: format!(
            "column {column}: {} of {} rows have no form at the target: {}; such as {}",
            counts.rows,
            counted.rows,
            counts.text,
            counts.examples.join(", ")
        ),
        hint: format!(
            "correct them, or write what becomes of them in the column's `to` or in [conversion]; \
             `weir try {table}` shows rows"
        ),
        mend: Vec::new(),
    }
}
