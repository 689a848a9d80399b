//! `weir check`: every preflight of every link; changes nothing. Where a link begins and what it copies is
//! looked at in `start` and `copies`.

mod copies;
mod data;
mod start;

use std::process::ExitCode;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::cli::args::{CheckArgs, Global};
use crate::cli::context::{Ends, links, load, settled};
use crate::cli::duplicates;
use crate::cli::exit;
use crate::cli::hint;
use crate::cli::output::say;
use crate::cli::setup;
use crate::config::{Config, Database, TlsMode, is_loopback};
use crate::error::{Error, Kind, Result};
use crate::link::ports::{LinkContext, Preflight, Room, Whole};
use crate::model::Table;
use crate::observe::alert::channel::Channel;
use crate::plan::{self, Finding, LinkPlan, Route, Unfilled};
pub(super) use start::start_needed;

/// What was found about one link.
#[derive(Debug, Default, Serialize)]
struct Report {
    link: String,
    source: String,
    /// The replica that copies are read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    read: Option<String>,
    target: String,
    tables: Vec<String>,
    findings: Vec<Line>,
    /// How the rows of tables fare, with `--data`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    data: Vec<data::Counted>,
    #[serde(skip)]
    routes: Vec<Route>,
}

#[derive(Debug, Serialize)]
struct Line {
    severity: &'static str,
    #[serde(serialize_with = "by_name")]
    kind: Kind,
    subject: String,
    message: String,
    hint: String,
    /// Statements that mend it.
    mend: Vec<String>,
}

impl From<Finding> for Line {
    fn from(finding: Finding) -> Line {
        Line {
            severity: if finding.fatal { "error" } else { "warning" },
            kind: finding.kind,
            subject: finding.subject,
            message: finding.message,
            hint: finding.hint,
            mend: finding.mend,
        }
    }
}

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &CheckArgs) -> Result<ExitCode> {
    let config = load(global)?;
    let mut reports = Vec::new();
    let names = links(&config, &args.links)?;
    let config = settled(config, &names).await;
    for link in names {
        let ends = Ends::of(&config, &link, &config.name)?;
        let mut report = Report { link: link.to_string(), ..Report::default() };
        let findings = Box::pin(examine(&ends, args.data.as_deref(), &mut report)).await;
        report.findings = findings.into_iter().map(Line::from).collect();
        reports.push(report);
    }
    let collisions = plan::meeting(reports.iter().map(|report| report.routes.as_slice()));
    for (report, findings) in reports.iter_mut().zip(collisions) {
        report.findings.extend(findings.into_iter().map(Line::from));
    }
    let alerts = undeliverable(&config).await;
    let found = || reports.iter().flat_map(|report| &report.findings).chain(&alerts);
    let count = |severity: &str| {
        let lines = found();
        lines.filter(|line| line.severity == severity).count()
    };
    let (errors, warnings) = (count("error"), count("warning"));
    if args.json {
        crate::cli::print_json(&serde_json::json!({ "links": reports, "alerts": alerts }))?;
    } else {
        reports.iter().for_each(print);
        if !alerts.is_empty() {
            say!("alerts");
            alerts.iter().for_each(print_line);
        }
        say!("{}, {}", counted(errors, "error"), counted(warnings, "warning"));
    }
    let failing = found().filter(|line| args.strict || line.severity == "error");
    Ok(ExitCode::from(exit::after(failing.map(|line| line.kind), exit::FAILED)))
}

fn by_name<S: Serializer>(kind: &Kind, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn print(report: &Report) {
    say!("link {}", report.link);
    say!("  source  {}", report.source);
    if let Some(read) = &report.read {
        say!("  copies  {read}");
    }
    say!("  target  {}", report.target);
    say!("  tables  {}", report.tables.len());
    for one in &report.data {
        say!(
            "  data    {}: {} rows, {} have no form at the target",
            one.table,
            one.rows,
            one.refused
        );
    }
    report.findings.iter().for_each(print_line);
    if report.findings.is_empty() {
        say!("  ok");
    }
}

fn print_line(line: &Line) {
    let mark = if line.severity == "error" { "FAIL" } else { "warn" };
    say!("  {mark}  {}: {}", line.subject, line.message);
    line.mend.iter().for_each(|statement| say!("        run:  {statement};"));
    if !line.hint.is_empty() {
        say!("        hint: {}", line.hint);
    }
}

/// What keeps alerts from being sent, as far as it shows without sending one.
async fn undeliverable(config: &Config) -> Vec<Line> {
    let Some(alerts) = &config.alerts else { return Vec::new() };
    let mut lines = Vec::new();
    for channel in Channel::ALL {
        if let Err(error) = channel.prepare(alerts).await {
            let finding = Finding { fatal: false, ..met(channel.name(), &error) };
            lines.push(Line::from(finding));
        }
    }
    lines
}

/// An error met while looking, as a finding about `subject`.
pub(super) fn met(subject: &str, error: &Error) -> Finding {
    Finding {
        fatal: true,
        kind: error.kind(),
        subject: subject.to_owned(),
        message: error.chain(),
        hint: hint(error).to_owned(),
        mend: Vec::new(),
    }
}

/// Everything that can be said about a link; goes as far as the databases let it.
async fn examine(ends: &Ends<'_>, data: Option<&[String]>, report: &mut Report) -> Vec<Finding> {
    let mut findings: Vec<_> =
        [ends.source, ends.target].into_iter().filter_map(weak_transport).collect();
    let source = version(ends.source_room(), ends.source, &mut findings).await;
    let target = version(ends.target_room(), ends.target, &mut findings).await;
    report.source = describe(ends.source, source.as_deref());
    report.target = describe(ends.target, target.as_deref());
    if let Some(read) = &ends.source.read {
        findings.extend(weak_transport(read));
        let version = version(ends.source_room(), read, &mut findings).await;
        report.read = Some(describe(read, version.as_deref()));
    }
    if source.is_none() || target.is_none() {
        if findings.iter().any(|one| one.kind == Kind::Privilege) {
            findings.extend(setup::not_seen(ends).await);
        }
        return findings;
    }
    let mut catalogs = match ends.described_catalogs().await {
        Ok(catalogs) => catalogs,
        Err(error) => {
            findings.push(met(&ends.link().to_string(), &error));
            return findings;
        }
    };
    let planned = match ends.plan(&catalogs) {
        Ok(plan) if plan::select::looks(ends.config, ends.link()).is_empty() => Ok(plan),
        // Where their rows cannot be read the rest is looked at all the same.
        Ok(plan) => match ends.look_into(&mut catalogs.into).await {
            Ok(()) => ends.plan(&catalogs),
            Err(error) => {
                findings.push(met(&format!("link {}", ends.link()), &error));
                Ok(plan)
            }
        },
        refused => refused,
    };
    match planned {
        Ok(plan) => {
            report.routes = plan::routes(&plan, [&plan.link.source, &plan.link.target]);
            report.tables = plan.tables.iter().map(|table| table.source.name.to_string()).collect();
            findings.extend(plan.remarks.iter().cloned());
            findings.extend(preflight(ends, &plan, true).await);
            findings.extend(start_needed(ends, &plan).await);
            findings.extend(duplicates::look(ends, &catalogs).await);
            findings.extend(copies::look(ends, plan.clone()).await);
            if let Some(names) = data {
                let (counted, found) = data::look(ends, &Arc::new(plan), names).await;
                report.data = counted;
                findings.extend(found);
            }
        }
        Err(refusals) => {
            findings.extend(refusals);
            findings.extend(duplicates::look(ends, &catalogs).await);
            findings.extend(setup::not_seen(ends).await);
            // The servers' own settings are worth knowing even while the mapping is wrong, and which rights
            // are missing to look for what the mapping needs.
            findings.extend(preflights(ends, &duplicates::looked_at(ends, &catalogs), true).await);
        }
    }
    findings
}

async fn version(
    room: &dyn Room,
    database: &Database,
    findings: &mut Vec<Finding>,
) -> Option<String> {
    match room.version(database).await {
        Ok(version) => Some(version),
        Err(error) => {
            findings.push(met(&format!("database {}", database.name), &error));
            None
        }
    }
}

fn describe(database: &Database, version: Option<&str>) -> String {
    let (Database { name, dialect, .. }, at) = (database, database.listens_at());
    format!("{name}: {dialect} at {at}, {}", version.unwrap_or("not reached"))
}

/// A transport that is weaker than it could be. It was asked for, so it is mentioned only.
fn weak_transport(database: &Database) -> Option<Finding> {
    let name = &database.name;
    let message = match database.tls.mode {
        _ if is_loopback(&database.host) => return None,
        TlsMode::Off => "rows and logins cross the network in plain text",
        TlsMode::Require => {
            "the server's certificate is not checked: anybody between can read along"
        }
        TlsMode::VerifyCa | TlsMode::VerifyFull => return None,
    };
    Some(Finding {
        fatal: false,
        kind: Kind::Transport,
        subject: format!("database {name}"),
        message: message.to_owned(),
        hint: format!(
            "write `tls = \"verify-full\"` for database {name}, with `tls_ca` where needed"
        ),
        mend: Vec::new(),
    })
}

/// What all links of the configuration ask of the server that `database` is on.
fn whole(ends: &Ends<'_>, database: &Database) -> Whole {
    let here = |name: &str| {
        let other = ends.config.databases.get(name);
        other.is_some_and(|other| (&other.host, other.port) == (&database.host, database.port))
    };
    let mut whole = Whole::default();
    for link in plan::links(ends.config) {
        if here(&link.source) {
            let context = LinkContext { link: link.clone(), ..ends.context.clone() };
            whole.slots.push(context.slot_name());
        }
        whole.writers += usize::from(here(&link.target));
    }
    whole
}

/// The rooms' own preflights; `wholly` looks at what all links need, and takes longer.
pub(super) async fn preflight(ends: &Ends<'_>, plan: &LinkPlan, wholly: bool) -> Vec<Finding> {
    let tables = Looked {
        sources: plan.tables.iter().map(|table| &table.source).collect(),
        targets: plan.tables.iter().map(|table| &table.target).collect(),
        unfilled: plan.tables.iter().flat_map(|table| table.unfilled()).collect(),
    };
    preflights(ends, &tables, wholly).await
}

/// What preflights look at.
#[derive(Default)]
pub(super) struct Looked<'a> {
    pub(super) sources: Vec<&'a Table>,
    pub(super) targets: Vec<&'a Table>,
    pub(super) unfilled: Vec<Unfilled<'a>>,
}

async fn preflights(ends: &Ends<'_>, looked: &Looked<'_>, wholly: bool) -> Vec<Finding> {
    let Looked { sources, targets, unfilled } = looked;
    let context = &ends.context;
    let (at_source, at_target) = match wholly {
        true => (Some(whole(ends, ends.source)), Some(whole(ends, ends.target))),
        false => (None, None),
    };
    let (at_source, at_target) = (at_source.as_ref(), at_target.as_ref());
    let look = |database, tables, unfilled, whole| Preflight {
        context,
        database,
        tables,
        unfilled,
        whole,
    };
    let source = look(ends.source, sources.as_slice(), [].as_slice(), at_source);
    let target = look(ends.target, targets.as_slice(), unfilled.as_slice(), at_target);
    let mut findings = Vec::new();
    for (name, looked) in [
        (&ends.source.name, ends.source_room().check_source(source).await),
        (&ends.target.name, ends.target_room().check_target(target).await),
    ] {
        match looked {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(met(&format!("database {name}"), &error)),
        }
    }
    findings
}
