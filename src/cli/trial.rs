//! `weir try`: rows of a source's table as they are now, what each becomes, and why any is rejected.
//! Writes nowhere. Rows are shown to whoever asks, sensitive columns too.

use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use crate::cli::args::{Global, TryArgs};
use crate::cli::context::{Ends, links, load, refused, settled};
use crate::cli::output::say;
use crate::cli::survey::{Judged, Survey, named};
use crate::cli::{exit, print_json};
use crate::error::{Error, Kind, Result};
use crate::plan::TablePlan;

/// A table that was tried.
#[derive(Serialize)]
struct Tried {
    link: String,
    source: String,
    target: String,
    /// Rows that were read.
    rows: Vec<TriedRow>,
    /// How many of them are rejected.
    rejected: usize,
}

#[derive(Serialize)]
struct TriedRow {
    key: String,
    columns: Vec<TriedColumn>,
}

#[derive(Serialize)]
struct TriedColumn {
    source: String,
    target: String,
    from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &TryArgs) -> Result<ExitCode> {
    let config = load(global)?;
    let only: Vec<_> = args.link.iter().cloned().collect();
    let names = links(&config, &only)?;
    let config = settled(config, &names).await;
    let mut tried = Vec::new();
    for link in &names {
        let ends = Ends::of(&config, link, &config.name)?;
        let catalogs = ends.catalogs().await?;
        let plan = match ends.plan(&catalogs) {
            Ok(plan) => Arc::new(plan),
            Err(findings) => return Err(refused(link, &findings)),
        };
        for table in named(&plan, &args.table) {
            let mut survey = Survey::open(&ends, &plan).await?;
            let mut one = Tried {
                link: link.to_string(),
                source: table.source.name.to_string(),
                target: table.target.name.to_string(),
                rows: Vec::new(),
                rejected: 0,
            };
            survey.rows(table, Some(args.limit), |row| one.add(row)).await?;
            tried.push(one);
        }
    }
    if tried.is_empty() {
        let text = format!("no link carries a table `{}`", args.table);
        return Err(Error::new(Kind::Configuration, text)
            .hint("name it as at the source, schema.table; `weir explain` lists them"));
    }
    if args.json {
        print_json(&serde_json::json!({ "tables": tried }))?;
    } else {
        tried.iter().for_each(print);
    }
    let rejects = tried.iter().any(|one| one.rejected > 0);
    Ok(ExitCode::from(if rejects { exit::DIFFERENT } else { exit::GOOD }))
}

impl Tried {
    fn add(&mut self, judged: &Judged<'_>) {
        let columns: Vec<_> =
            (0..judged.table.columns.len()).map(|at| column(judged.table, at, judged)).collect();
        self.rejected += usize::from(columns.iter().any(|column| column.rejected.is_some()));
        self.rows.push(TriedRow { key: judged.key(), columns });
    }
}

fn column(table: &TablePlan, at: usize, judged: &Judged<'_>) -> TriedColumn {
    let plan = table.columns.get(at);
    let source = plan.and_then(|plan| table.source.columns.get(plan.source));
    let target = plan.and_then(|plan| table.target.columns.get(plan.target));
    let name = |column: Option<&crate::model::Column>| {
        column.map_or_else(String::new, |column| column.name.clone())
    };
    let after = judged.after(at);
    TriedColumn {
        source: name(source),
        target: name(target),
        from: judged.before(at),
        reason: after.as_ref().err().map(|failure| failure.reason.name()),
        rejected: after.as_ref().err().map(ToString::to_string),
        to: after.ok(),
    }
}

fn print(tried: &Tried) {
    say!("link {}: {} -> {}", tried.link, tried.source, tried.target);
    for row in &tried.rows {
        say!("  row {}", row.key);
        for column in &row.columns {
            let name = match column.source == column.target {
                true => column.source.clone(),
                false => format!("{} -> {}", column.source, column.target),
            };
            match (&column.to, &column.rejected) {
                (Some(to), _) if *to == column.from => say!("    {name}: {to}"),
                (Some(to), _) => say!("    {name}: {} becomes {to}", column.from),
                (None, Some(why)) => say!("    {name}: {} is rejected: {why}", column.from),
                (None, None) => {}
            }
        }
    }
    say!("{} rows, {} rejected", tried.rows.len(), tried.rejected);
}
