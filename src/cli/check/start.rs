//! Where a new link begins, as findings: what it would not carry, and what is not said. A link that has its
//! witness is no longer new.

use crate::cli::check::met;
use crate::cli::context::Ends;
use crate::config::Start;
use crate::error::{Kind, Result};
use crate::model::TableName;
use crate::plan::{Finding, LinkPlan};

/// How many tables a message names.
const NAMES_MAX: usize = 20;

/// What is to be known before a new link begins where its source tables hold rows.
pub(in crate::cli) async fn start_needed(ends: &Ends<'_>, plan: &LinkPlan) -> Vec<Finding> {
    let filled = match non_empty(ends, plan).await {
        Ok(filled) => filled,
        // The missing right is a finding of its own.
        Err(error) if error.kind() == Kind::Privilege => return Vec::new(),
        Err(error) => return vec![met(&format!("database {}", ends.source.name), &error)],
    };
    // What keeps the witness from being read is a finding of the target's own checks.
    if filled.is_empty() || matches!(ends.witness().await, Ok(Some(_))) {
        return Vec::new();
    }
    let held = match held(ends, plan).await {
        Ok(held) => held,
        Err(error) if error.kind() == Kind::Privilege => return Vec::new(),
        Err(error) => return vec![met(&format!("database {}", ends.target.name), &error)],
    };
    let pairs = plan.tables.iter().map(|table| (&table.source.name, &table.target.name));
    let (mut both, mut behind) = (Vec::new(), Vec::new());
    for (source, target) in pairs.filter(|(source, _)| filled.contains(source)) {
        let list = if held.contains(target) { &mut both } else { &mut behind };
        list.push(source);
    }
    let judged = judge(ends.config.options(ends.link()).start.as_ref(), &both, &behind, &held);
    judged.map(|judged| judged.finding(ends)).into_iter().collect()
}

/// What is to be told.
#[derive(Debug, PartialEq, Eq)]
enum Judged {
    /// The target holds rows and it is not said how to start.
    Unsaid(Vec<String>),
    /// Rows of these are copied over what the target has.
    Over(Vec<String>),
    /// Rows of these will be missing.
    Behind(Vec<String>),
}

/// `both`: source tables that hold rows, as their target tables do; `behind`: those whose target tables
/// hold none; `held`: target tables that hold rows.
fn judge(
    start: Option<&Start>,
    both: &[&TableName],
    behind: &[&TableName],
    held: &[TableName],
) -> Option<Judged> {
    let names = |tables: &[&TableName]| tables.iter().map(ToString::to_string).collect();
    match start {
        None if !held.is_empty() => {
            Some(Judged::Unsaid(held.iter().map(ToString::to_string).collect()))
        }
        Some(Start::Snapshot) if !both.is_empty() => Some(Judged::Over(names(both))),
        Some(Start::Now | Start::At(_)) if !behind.is_empty() => {
            Some(Judged::Behind(names(behind)))
        }
        None | Some(_) => None,
    }
}

impl Judged {
    fn finding(self, ends: &Ends<'_>) -> Finding {
        let (link, source, target) = (ends.link(), &ends.link().source, &ends.link().target);
        let fatal = matches!(self, Judged::Unsaid(_));
        let (message, hint) = match self {
            Judged::Unsaid(tables) => (
                format!(
                    "it is not said how to start, and tables hold rows on both sides; at {target}: {}",
                    named(&tables)
                ),
                format!(
                    "write under [link.{source}.{target}] or [apply]: start = \"snapshot\" to have the rows \
                     of {source} copied over them, or start = \"now\" where they are those of {source} already"
                ),
            ),
            Judged::Over(tables) => (
                format!("rows are copied over what {target} holds already, of {}", named(&tables)),
                format!(
                    "rows that only {target} has stay; `weir snapshot {link} TABLE --delete-extra` removes \
                     them once the link has begun"
                ),
            ),
            Judged::Behind(tables) => (
                format!(
                    "it carries what changes from its start on, and these source tables hold rows while \
                     their target tables hold none: {}",
                    named(&tables)
                ),
                format!(
                    "write start = \"snapshot\" under [link.{source}.{target}] or [apply], unless the target \
                     is to do without them"
                ),
            ),
        };
        let (kind, subject) = (Kind::Configuration, format!("link {link}"));
        Finding { fatal, kind, subject, message, hint, mend: Vec::new() }
    }
}

fn named(tables: &[String]) -> String {
    let mut names: Vec<String> = tables.iter().take(NAMES_MAX).cloned().collect();
    if let Some(more @ 1..) = tables.len().checked_sub(NAMES_MAX) {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

/// Source tables of a plan that hold rows.
async fn non_empty(ends: &Ends<'_>, plan: &LinkPlan) -> Result<Vec<TableName>> {
    let names: Vec<_> = plan.tables.iter().map(|table| table.source.name.clone()).collect();
    ends.source_room().non_empty(ends.source, &names).await
}

/// Target tables of a plan that hold rows.
async fn held(ends: &Ends<'_>, plan: &LinkPlan) -> Result<Vec<TableName>> {
    let names: Vec<_> = plan.tables.iter().map(|table| table.target.name.clone()).collect();
    ends.target_room().non_empty(ends.target, &names).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a link could begin in silence where rows will be missing, or be kept from it where all is
    /// clear.
    #[test]
    fn what_a_start_does_is_told() {
        let (one, two) = (TableName::new("s", "a"), TableName::new("s", "b"));
        let held = [TableName::new("t", "a")];
        let told = |start: Option<Start>, held: &[TableName]| {
            let both: &[_] = if held.is_empty() { &[] } else { &[&one] };
            judge(start.as_ref(), both, &[&two], held)
        };
        assert_eq!(told(None, &[]), None, "all is copied");
        assert_eq!(told(None, &held), Some(Judged::Unsaid(vec!["t.a".to_owned()])));
        assert_eq!(told(Some(Start::Snapshot), &[]), None);
        assert_eq!(told(Some(Start::Snapshot), &held), Some(Judged::Over(vec!["s.a".to_owned()])));
        let behind = Some(Judged::Behind(vec!["s.b".to_owned()]));
        assert_eq!(told(Some(Start::Now), &held), behind);
        let many: Vec<String> = (0..25).map(|number| number.to_string()).collect();
        assert!(named(&many).ends_with("19, and 5 more"), "{}", named(&many));
    }
}
