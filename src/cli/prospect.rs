//! What a configuration would change of what runs: told by `weir plan`, done by `weir reload`.
//!
//! Each link's plan is compiled from the files and both catalogs as they are now, and compared with
//! the outline that is kept with its checkpoint. What a difference causes is judged by
//! [`Outline::differences`] alone; here is what only a look at the servers can tell: whether tables
//! hold rows, which statements are needed, and what stands against it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cli::check::{met, preflight, start_needed};
use crate::cli::context::{Ends, settings, settled};
use crate::cli::output::say;
use crate::cli::setup;
use crate::config::{Config, Database, LinkName};
use crate::error::{Disposition, Error, Kind, Result};
use crate::link::joining;
use crate::link::ledger::Checkpoint;
use crate::model::{Table, TableName};
use crate::plan::{
    self, Difference, Finding, LinkPlan, Outline, Route, Selection, TablePlan, Verdict,
};
use crate::position::Position;

/// What runs, by link.
pub(super) type Known = BTreeMap<LinkName, Checkpoint>;

/// How a link of the files stands to what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Standing {
    /// Something stands against it, and it cannot be compared.
    Unknown,
    /// The same, but the files say of it what they said: a reload leaves it to itself.
    Untouched,
    /// Nothing differs.
    Same,
    /// Something differs.
    Changed,
    /// It does not run yet.
    New,
    /// It runs, and the files have it no more.
    Removed,
}

/// Statements for one database, with the words of `weir setup`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Statements {
    database: String,
    at: String,
    pub(super) sql: Vec<String>,
}

/// What stands against a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Problem {
    pub(super) text: String,
    pub(super) hint: String,
}

/// What would become of one link.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Prospect {
    pub(super) link: String,
    pub(super) standing: Standing,
    pub(super) differences: Vec<Difference>,
    /// To be run before the change.
    pub(super) before: Vec<Statements>,
    /// To be run after it.
    pub(super) after: Vec<Statements>,
    pub(super) problems: Vec<Problem>,
    #[serde(skip)]
    name: Option<LinkName>,
    #[serde(skip)]
    outline: Outline,
    #[serde(skip)]
    lets_go: bool,
    #[serde(skip)]
    routes: Vec<Route>,
}

impl Standing {
    /// Whether a reload does something about it.
    pub(super) fn is_changed(self) -> bool {
        match self {
            Standing::Changed | Standing::New | Standing::Removed => true,
            Standing::Unknown | Standing::Untouched | Standing::Same => false,
        }
    }
}

impl Prospect {
    fn of(link: &LinkName, standing: Standing) -> Prospect {
        Prospect {
            link: link.to_string(),
            standing,
            differences: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            problems: Vec::new(),
            name: Some(link.clone()),
            outline: Outline::default(),
            lets_go: false,
            routes: Vec::new(),
        }
    }

    /// The link.
    pub(super) fn name(&self) -> Option<&LinkName> {
        self.name.as_ref()
    }

    /// Whether a table that it carries is carried no more.
    pub(super) fn lets_go(&self) -> bool {
        self.lets_go
    }

    /// The tables whose change needs a decision.
    pub(super) fn to_decide(&self) -> BTreeSet<String> {
        let found = self.differences.iter().filter(|one| one.verdict == Verdict::Decision);
        found.filter_map(|one| one.table.clone()).collect()
    }

    /// The worst verdict on it.
    pub(super) fn verdict(&self) -> Verdict {
        let verdicts = self.differences.iter().map(|one| one.verdict);
        verdicts.max().unwrap_or(Verdict::FromNow)
    }

    /// What keeps a reload from being made.
    pub(super) fn obstacles(&self) -> usize {
        if self.standing == Standing::Untouched { 0 } else { self.problems.len() }
    }

    fn stands_against(&mut self, findings: Vec<Finding>) {
        let fatal = findings.into_iter().filter(|finding| finding.fatal);
        self.problems.extend(fatal.map(|finding| Problem {
            text: format!("{}: {}", finding.subject, finding.message),
            hint: finding.advice(),
        }));
    }

    /// Prints it for a person.
    pub(super) fn print(&self) {
        let standing = match self.standing {
            Standing::Unknown => "cannot be compared",
            Standing::Untouched => "the files are as they were; what runs cannot be compared",
            Standing::Same => "no difference",
            Standing::Changed => "changed",
            Standing::New => "new",
            Standing::Removed => "removed",
        };
        say!("{}  {standing}", self.link);
        for difference in &self.differences {
            let mark = match difference.verdict {
                Verdict::FromNow => "from now on   ",
                Verdict::Decision => "needs --accept",
                Verdict::Refused => "refused       ",
            };
            say!("  {mark}  {difference}");
        }
        for (when, all) in [("before", &self.before), ("after", &self.after)] {
            for statements in all {
                say!("  to be run {when} it, on {} ({}):", statements.database, statements.at);
                statements.sql.iter().for_each(|sql| say!("    {sql};"));
            }
        }
        let mark = if self.standing == Standing::Untouched { "note" } else { "FAIL" };
        for problem in &self.problems {
            say!("  {mark}  {}\n        hint: {}", problem.text, problem.hint);
        }
    }
}

/// What the files would make of what runs. With `patient`, transactions that may have written to a
/// table before it joins are waited for, so that what is told holds.
pub(super) async fn prospects(written: &Config, known: &Known, patient: bool) -> Vec<Prospect> {
    let mut prospects = Vec::new();
    let links = plan::links(written);
    let config = &settled(written.clone(), &links).await;
    for link in links {
        let known = known.get(&link);
        // As it is written, with every host: what runs is described so too.
        let settings = settings(written, &link);
        let is_as_it_was = known
            .and_then(|known| known.outline.as_deref())
            .is_some_and(|ran| ran.is_written_as(&settings));
        let mut prospect = Prospect::of(&link, Standing::Unknown);
        let looked = look(config, &link, settings, known, patient, &mut prospect).await;
        if let Err(error) = looked {
            prospect.stands_against(vec![away(&link, &error, known.is_some())]);
        }
        if prospect.standing == Standing::Unknown && is_as_it_was {
            prospect.standing = Standing::Untouched;
        }
        prospects.push(prospect);
    }
    let collisions = plan::meeting(prospects.iter().map(|one| one.routes.as_slice()));
    prospects.iter_mut().zip(collisions).for_each(|(one, findings)| one.stands_against(findings));
    changed_owners(known, &mut prospects);
    let names: BTreeSet<String> = prospects.iter().map(|one| one.link.clone()).collect();
    let gone = known.iter().filter(|(link, _)| !names.contains(&link.to_string()));
    prospects.extend(gone.map(|(link, checkpoint)| removed(written, link, checkpoint)));
    prospects
}

/// What keeps a link from being looked at.
fn away(link: &LinkName, error: &Error, runs: bool) -> Finding {
    let mut finding = met(&format!("link {link}"), error);
    if error.disposition() == Disposition::Retry {
        let back = if runs { "leave what the files say of it as it was" } else { "leave it out" };
        finding.hint = format!("{}; or {back} until then, and reload the rest", finding.hint);
    }
    finding
}

async fn look(
    config: &Config,
    link: &LinkName,
    settings: BTreeMap<String, String>,
    known: Option<&Checkpoint>,
    patient: bool,
    prospect: &mut Prospect,
) -> Result<()> {
    let ends = Ends::of(config, link, &config.name)?;
    let mut catalogs = ends.described_catalogs().await?;
    if let Err(error) = ends.look_into(&mut catalogs.into).await {
        if error.kind() != Kind::Privilege {
            return Err(error);
        }
        prospect.stands_against(vec![met(&format!("link {link}"), &error)]);
        catalogs.into = ends.described().await?;
    }
    let plan = match ends.plan(&catalogs) {
        Ok(plan) => plan,
        Err(findings) => {
            prospect.stands_against(findings);
            for (database, sql) in setup::unseen(&ends).await? {
                prospect.before.extend(beyond(database, &sql, &[]));
            }
            return Ok(());
        }
    };
    let outline = Outline::of(&plan, settings);
    let ran = known.map(|known| known.ran(&outline));
    prospect.outline = outline.clone();
    prospect.routes = plan::routes(&plan, [&plan.link.source, &plan.link.target]);
    match &ran {
        Some(ran) => {
            prospect.lets_go = ran.tables.keys().any(|name| !outline.tables.contains_key(name));
            let in_question = outline.in_question(ran);
            let filled = match filled(&ends, &plan, &in_question, patient).await {
                // What weir may not read yet may hold rows; that it may not is told as well.
                Err(error) if error.kind() == Kind::Privilege => in_question,
                filled => filled?,
            };
            prospect.differences = outline.differences(ran, &filled);
            if prospect.differences.is_empty() {
                prospect.standing = Standing::Same;
                return Ok(());
            }
            prospect.standing = Standing::Changed;
        }
        None => {
            prospect.standing = Standing::New;
            prospect.stands_against(start_needed(&ends, &plan).await);
        }
    }
    let found = preflight(&ends, &plan, false).await.into_iter();
    prospect.stands_against(found.filter(Finding::refuses_to_run).collect());
    statements(&ends, &plan, ran.as_ref(), prospect).await
}

/// Which of the tables in question hold rows.
async fn filled(
    ends: &Ends<'_>,
    plan: &LinkPlan,
    in_question: &BTreeSet<String>,
    patient: bool,
) -> Result<BTreeSet<String>> {
    if in_question.is_empty() {
        return Ok(BTreeSet::new());
    }
    let room = ends.source_room();
    let mut scan = None;
    if patient {
        let plan = Arc::new(plan.clone());
        scan = Some(room.open_scan(&ends.context, ends.source, plan).await?);
    }
    let ask = async |names: Vec<TableName>| room.non_empty(ends.source, &names).await;
    joining::filled(plan, in_question, scan.as_mut(), ask).await
}

/// The statements that the change needs: those of `weir setup` for the tables as they will be that
/// it did not print for those as they were. What lets a table in comes before the change, what lets
/// one go after it; in between both are in.
async fn statements(
    ends: &Ends<'_>,
    plan: &LinkPlan,
    ran: Option<&Outline>,
    prospect: &mut Prospect,
) -> Result<()> {
    let empty = Outline::default();
    let ran = ran.unwrap_or(&empty);
    let now: Vec<&Table> = plan.tables.iter().map(|table| &table.source).collect();
    let is_kept = |table: &&&Table| ran.tables.contains_key(&table.name.to_string());
    let names: BTreeSet<String> = now.iter().map(|table| table.name.to_string()).collect();
    let gone = ran.tables.keys().filter(|name| !names.contains(*name));
    let gone = still_there(ends, gone.collect()).await?;
    let targets: Vec<&TablePlan> = plan.tables.iter().map(Arc::as_ref).collect();
    let old_targets: BTreeSet<&String> = ran.tables.values().map(|table| &table.target).collect();
    let old_targets: Vec<&TablePlan> = targets
        .iter()
        .filter(|table| old_targets.contains(&table.target.name.to_string()))
        .copied()
        .collect();
    let account = ends.source_room().account(ends.source).await?;
    let set_up = |tables: Vec<&Table>| ends.setup_source(&account, &tables);
    let old = set_up(now.iter().filter(is_kept).copied().chain(&gone).collect());
    let both = set_up(now.iter().copied().chain(&gone).collect());
    let new = set_up(now);
    let account = ends.target_room().account(ends.target).await?;
    let old_target = ends.setup_target(&account, &old_targets);
    let new_target = ends.setup_target(&account, &targets);
    // Nothing stands against it: what is needed was done.
    if !prospect.problems.is_empty() {
        let first = ran.tables.is_empty();
        let known = if first { Vec::new() } else { old };
        let known_target = if first { Vec::new() } else { old_target };
        prospect.before.extend(beyond(ends.source, &both, &known));
        prospect.before.extend(beyond(ends.target, &new_target, &known_target));
    }
    prospect.after.extend(beyond(ends.source, &new, &both));
    Ok(())
}

fn beyond(database: &Database, wanted: &[String], known: &[String]) -> Option<Statements> {
    let sql: Vec<String> = wanted.iter().filter(|one| !known.contains(one)).cloned().collect();
    let (name, at) =
        (database.name.clone(), format!("{} at {}", database.dialect, database.listens_at()));
    (!sql.is_empty()).then_some(Statements { database: name, at, sql })
}

/// Those of these tables, `schema.table`, that the source has still.
async fn still_there(ends: &Ends<'_>, names: BTreeSet<&String>) -> Result<Vec<Table>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let include = names.iter().flat_map(|name| patterns(name)).collect();
    let selection = Selection { include, exclude: Vec::new() };
    let source = ends.source;
    let mut tables = ends.source_room().catalog(source, source.dialect, &selection).await?;
    tables.retain(|table| names.contains(&table.name.to_string()));
    Ok(tables)
}

/// Patterns that match the table of this name. Which dot ends the schema is not known; others are
/// matched by a star.
fn patterns(name: &str) -> Vec<String> {
    let halves = name.match_indices('.').filter_map(|(at, _)| name.split_at_checked(at));
    let starred = |half: &str| half.replace('.', "*");
    halves
        .filter_map(|(schema, table)| {
            Some(format!("{}.{}", starred(schema), starred(table.strip_prefix('.')?)))
        })
        .collect()
}

/// A table that comes in on one link and ran on the reverse one has another owner from now on.
fn changed_owners(known: &Known, prospects: &mut [Prospect]) {
    for prospect in prospects {
        let Some(link) = prospect.name.clone() else { continue };
        let reverse = LinkName { source: link.target.clone(), target: link.source.clone() };
        let Some(ran) = known.get(&reverse).and_then(|known| known.outline.clone()) else {
            continue;
        };
        for (name, table) in &prospect.outline.tables {
            let was_reverse = ran.tables.get(&table.target).is_some_and(|old| old.target == *name);
            if !was_reverse {
                continue;
            }
            prospect.differences.push(Difference {
                table: Some(name.clone()),
                verdict: Verdict::Decision,
                what: format!("{} owns it instead of {}", link.source, link.target),
                effect: format!(
                    "it is carried to {0} from now on; what {0} writes there is overwritten, and \
                     what is not applied yet is passed over: end its writes and `weir wait \
                     {reverse}` first",
                    link.target
                ),
            });
        }
    }
}

fn removed(config: &Config, link: &LinkName, checkpoint: &Checkpoint) -> Prospect {
    let mut prospect = Prospect::of(link, Standing::Removed);
    let on_postgres = checkpoint
        .progress
        .as_ref()
        .is_some_and(|progress| matches!(progress.position, Position::Postgres(_)));
    let stays = match on_postgres {
        true => format!(
            "its slot weir_{}_{} and its witness stay, and {} keeps its log for the slot",
            config.name,
            link.slot_suffix(),
            link.source
        ),
        false => "its witness stays".to_owned(),
    };
    prospect.differences.push(Difference {
        table: None,
        verdict: Verdict::FromNow,
        what: "the link is no longer configured".to_owned(),
        effect: format!(
            "it ends; {stays}: `weir teardown {link} --apply` with the files as they were removes them"
        ),
    });
    prospect
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::pattern::matches;

    /// Broken if a table was not found again because its name or its schema's holds a dot.
    #[test]
    fn a_name_with_dots_is_found() {
        for (schema, table) in [("s", "t"), ("a.b", "t"), ("s", "b.c"), ("a.b", "c.d")] {
            let patterns = patterns(&format!("{schema}.{table}"));
            assert!(patterns.iter().any(|pattern| matches(pattern, schema, table)), "{patterns:?}");
            assert!(patterns.iter().all(|pattern| pattern.matches('.').count() == 1));
        }
    }
}
