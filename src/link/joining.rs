//! Tables that join a link on its way, and other changes of what it carries: whether it may go on
//! with them. One rule for a link that starts with changed files and for `weir reload`.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;

use crate::error::{Error, Kind, Result};
use crate::link::ports::Scan;
use crate::model::TableName;
use crate::plan::{Difference, LinkPlan, Verdict};

/// How long transactions that are open are waited for.
const OPEN_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Waits until the transactions that are open now have ended. They may have written to a table
/// before its changes came into the log (on PostgreSQL: before it joined the publication), which the
/// log then never tells; afterwards what they wrote is there to be seen (correctness.md 8).
pub async fn outlast(scan: &mut dyn Scan) -> Result<()> {
    let open = scan.unfinished().await?;
    let horizon = scan.horizon().await?;
    let ended = async {
        // The standby has seen the table join, so who may have written before is below its mark.
        if let Some((_, begun)) = horizon {
            while scan.horizon().await?.is_some_and(|(oldest, _)| oldest < begun) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        while scan.unfinished().await?.iter().any(|xid| open.contains(xid)) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    };
    timeout(OPEN_MAX, ended).await.unwrap_or_else(|_| {
        let xids: Vec<String> = match horizon {
            Some((_, begun)) => vec![format!("those before {begun} on its primary")],
            None => open.iter().map(u32::to_string).collect(),
        };
        let context = format!(
            "tables join the link, and transactions that may have written to them before are open \
             at the source (some of {})",
            xids.join(", ")
        );
        Err(Error::new(Kind::Timeout, context)
            .hint("end them (pg_stat_activity, pg_prepared_xacts); weir waits for that"))
    })
}

/// The plan's tables of these names.
pub fn named(plan: &LinkPlan, names: &BTreeSet<String>) -> Vec<TableName> {
    let tables = plan.tables.iter().map(|table| &table.source.name);
    tables.filter(|name| names.contains(&name.to_string())).cloned().collect()
}

/// Which of the tables in question hold rows, as `non_empty` says. Transactions that may have written to
/// them have ended before, where there is a `scan` to see them by.
pub async fn filled(
    plan: &LinkPlan,
    in_question: &BTreeSet<String>,
    scan: Option<&mut Box<dyn Scan>>,
    non_empty: impl AsyncFnOnce(Vec<TableName>) -> Result<Vec<TableName>>,
) -> Result<BTreeSet<String>> {
    if in_question.is_empty() {
        return Ok(BTreeSet::new());
    }
    if let Some(scan) = scan {
        outlast(scan.as_mut()).await?;
    }
    let filled = non_empty(named(plan, in_question)).await?;
    Ok(filled.iter().map(ToString::to_string).collect())
}

/// What a person has decided.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    /// Tables that may join although they hold rows.
    pub accepted: &'a BTreeSet<String>,
    /// The text of the halt that was reviewed: a review settles what its halt named, and nothing else.
    pub reviewed: &'a str,
}

impl Word<'_> {
    fn covers(&self, difference: &Difference) -> bool {
        let table = difference.table.as_ref();
        let is_accepted = difference.verdict == Verdict::Decision
            && table.is_some_and(|table| self.accepted.contains(table));
        // The log's reader halts for a table or a column that is made on its way, in words of its own.
        let names = |name: &str| names(self.reviewed, name);
        let is_named = table.is_some_and(|table| names(table))
            && (difference.is_of_new() || difference.new_column().is_some_and(names));
        is_accepted || is_named || self.reviewed.contains(&difference.to_string())
    }
}

/// Whether a text names this table, and not only one whose name begins or ends alike.
fn names(text: &str, table: &str) -> bool {
    let of_name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$');
    let mut found = text.match_indices(table);
    found.any(|(at, _)| {
        let (before, rest) = text.split_at_checked(at).unwrap_or_default();
        let after = rest.strip_prefix(table).unwrap_or_default();
        !of_name(before.chars().next_back()) && !of_name(after.chars().next())
    })
}

/// What keeps a link from going on with these differences, and is not decided.
pub fn refusal(differences: &[Difference], word: Word<'_>) -> Option<Error> {
    let of = |verdict| {
        let open = differences.iter().filter(|one| one.verdict == verdict && !word.covers(one));
        open.map(ToString::to_string).collect::<Vec<String>>()
    };
    let (mut refused, mut undecided) = (of(Verdict::Refused), of(Verdict::Decision));
    if !refused.is_empty() {
        refused.append(&mut undecided);
        let context = format!("the mapping has changed: {}", refused.join(". "));
        return Some(Error::new(Kind::SchemaChanged, context).hint(
            "take the change back; or `weir resume LINK --schema-reviewed`, then `weir snapshot LINK \
             TABLE`, which copies the table again",
        ));
    }
    if undecided.is_empty() {
        return None;
    }
    let context =
        format!("the mapping has changed, of tables that hold rows: {}", undecided.join(". "));
    Some(Error::new(Kind::SchemaChanged, context).hint(
        "`weir resume LINK --schema-reviewed` lets them in from now on, `weir snapshot LINK TABLE` then \
         copies what is missing; or take the change back",
    ))
}

/// Tables that were altered, and a mapping that was changed, as one error: a review that comes after it
/// has seen both.
pub fn both(altered: Option<Error>, refusal: Option<Error>) -> Option<Error> {
    match (altered, refusal) {
        (Some(altered), Some(refusal)) => {
            let hint = format!("{}; and {}", altered.operator_hint(), refusal.operator_hint());
            Some(Error::new(altered.kind(), format!("{altered}. {refusal}")).hint(hint))
        }
        (altered, refusal) => altered.or(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(table: &str, verdict: Verdict) -> Difference {
        let (what, effect) = ("is new".to_owned(), "copy it".to_owned());
        Difference { table: Some(table.to_owned()), verdict, what, effect }
    }

    /// Broken if a review let in a change of the mapping that its halt had not named, or asked again
    /// for one that it had.
    #[test]
    fn a_review_settles_what_its_halt_named() {
        let none = BTreeSet::new();
        let refused = |differences: &[Difference], reviewed: &str| {
            refusal(differences, Word { accepted: &none, reviewed }).map(|error| error.to_string())
        };
        for verdict in [Verdict::Decision, Verdict::Refused] {
            let [a, b] = ["s.a", "s.b"].map(|table| difference(table, verdict));
            let halt = refused(&[a.clone(), b.clone()], "").expect("not decided");
            assert!(halt.contains("s.a") && halt.contains("s.b"), "{halt}");
            assert_eq!(refused(&[a.clone(), b.clone()], &halt), None);
            let halt = refused(std::slice::from_ref(&a), "").expect("not decided");
            let left = refused(&[a, b], &halt).expect("one was not named");
            assert!(left.contains("s.b") && !left.contains("s.a"), "{left}");
        }
        let mixed = [difference("s.a", Verdict::Decision), difference("s.b", Verdict::Refused)];
        let halt = refused(&mixed, "table s.c was altered").expect("not decided");
        assert!(halt.contains("s.a") && halt.contains("s.b"), "both are named at once: {halt}");
        assert_eq!(refused(&[difference("s.a", Verdict::FromNow)], ""), None);
    }

    /// Broken if a table for which the log's reader has halted could not come in, or took others of its
    /// kind along.
    #[test]
    fn a_halt_in_the_log_names_its_table() {
        let none = BTreeSet::new();
        let halt = "the log makes table shop.orders_new, which is not planned";
        let word = Word { accepted: &none, reviewed: halt };
        let refused =
            |table: &str| refusal(&[difference(table, Verdict::Decision)], word).is_some();
        assert!(!refused("shop.orders_new"));
        assert!(refused("shop.orders") && refused("shop.new") && refused("hop.orders_new"));
        let elsewhere = Difference {
            what: "goes to b instead of a".to_owned(),
            ..difference("shop.orders_new", Verdict::Decision)
        };
        assert!(refusal(&[elsewhere], word).is_some(), "not what was reviewed");
        let word = Word { reviewed: "table shop.a has changed: column `extra` is new", ..word };
        for (column, open) in [("extra", false), ("ext", true)] {
            let what = format!("column {column} is carried");
            let one = Difference { what, ..difference("shop.a", Verdict::Decision) };
            assert_eq!(refusal(&[one], word).is_some(), open, "{column}");
        }
    }

    /// Broken if `weir reload --accept` let in what needs the table to be copied again.
    #[test]
    fn what_is_refused_cannot_be_accepted() {
        let accepted = BTreeSet::from(["s.a".to_owned()]);
        let word = Word { accepted: &accepted, reviewed: "" };
        assert!(refusal(&[difference("s.a", Verdict::Decision)], word).is_none());
        assert!(refusal(&[difference("s.a", Verdict::Refused)], word).is_some());
    }
}
