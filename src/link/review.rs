//! Notices that a source table was altered while weir did not look: the shape in the catalog is
//! compared with the one a person (or the first start) accepted. Pure.
//!
//! Besides columns and key a shape has details: labels of enums, and the table's origin
//! ([`Origin`]). Of these only what went away counts, so a label may be added, and a shape accepted
//! before a detail was known is no change.
//!
//! Only the source's shape counts. The target may be altered freely, since the plan is compiled
//! anew at each start and refuses what does not fit.

use std::collections::BTreeMap;

use crate::error::{Error, Kind};
use crate::link::ledger::Shape;
use crate::link::ports::Origin;
use crate::model::{Table, schema::Type};
use crate::plan::{LinkPlan, Wanted};

/// What a detail that the log depends on begins with.
const LOG: &str = "log: ";
/// What comes before an owner, where giving the thing away moves its last transaction too.
const OWNER: &str = " of owner ";
/// What any other detail begins with.
const DETAIL: &str = "detail: ";

mod partitions;

pub(super) use self::partitions::{carry, joined, recalled, refuse_strays, remember};

/// The shapes as they are now, which a person accepts while weir is stopped; what the log may still
/// hold of partitions that are gone stays known by `before`.
pub(crate) fn accepted(
    plan: &LinkPlan,
    origins: &[Origin],
    before: &BTreeMap<String, Shape>,
) -> BTreeMap<String, Shape> {
    let mut now = shapes(plan, origins);
    remember(plan, before, &mut now);
    now
}

/// The shapes of the plan's source tables, by name. `origins` are in the plan's order.
pub(super) fn shapes(plan: &LinkPlan, origins: &[Origin]) -> BTreeMap<String, Shape> {
    let tables = plan.tables.iter().enumerate().map(|(index, table)| {
        (table.source.name.to_string(), shape(&table.source, origins.get(index)))
    });
    tables.collect()
}

fn shape(table: &Table, origin: Option<&Origin>) -> Shape {
    let column = |column: &crate::model::Column| {
        let null = if column.nullable { "null" } else { "not null" };
        let generated = if column.generated { " generated" } else { "" };
        format!("column {} {} {null}{generated}", column.name, column.native)
    };
    let key = table.primary_key().map(|key| {
        let names = key.iter().filter_map(|index| Some(table.columns.get(*index)?.name.as_str()));
        format!("primary key ({})", names.collect::<Vec<_>>().join(", "))
    });
    let mut lines: Shape = table.columns.iter().map(column).chain(key).collect();
    for column in &table.columns {
        // A type whose name lists them says it itself.
        let labels = match &column.ty {
            Type::Enum { labels } if !column.native.contains('(') => labels.as_slice(),
            _ => &[],
        };
        let name = &column.name;
        lines
            .extend(labels.iter().map(|label| format!("{DETAIL}label {label:?} of column {name}")));
    }
    if let Some(origin) = origin {
        lines.extend(origin.columns.iter().map(|line| format!("{DETAIL}{line}")));
        lines.extend(log_lines(origin));
    }
    lines
}

fn log_lines(origin: &Origin) -> impl Iterator<Item = String> {
    origin.log.iter().map(|line| format!("{LOG}{line}"))
}

/// What the log depends on and is no longer so.
fn lost_lines<'a>(before: &'a [String], now: &[String]) -> Vec<&'a str> {
    let lost = before.iter().filter(|line| {
        !now.contains(line) && !was_given_away(line, now) && partitions::parse(line).is_none()
    });
    lost.filter_map(|line| line.strip_prefix(LOG)).collect()
}

/// Whether all that changed is who owns it: `… of owner 1 of transaction 2`.
fn was_given_away(line: &str, now: &[String]) -> bool {
    let Some((what, owned)) = line.split_once(OWNER) else { return false };
    let owner = |owned: &str| owned.split(' ').next().map(str::to_owned);
    now.iter()
        .filter_map(|other| other.split_once(OWNER))
        .any(|(other, by)| other == what && owner(by) != owner(owned))
}

fn gap_in(table: &str, lost: &[&str]) -> String {
    format!(
        "changes of table {table} may be missing: it was made anew or left the log for a while \
         (no more {})",
        lost.join(", ")
    )
}

/// Tables whose changes may have been kept from the log since `before`; both in the plan's order.
pub(super) fn moved(plan: &LinkPlan, before: &[Origin], now: &[Origin]) -> Option<Error> {
    let tables = plan.tables.iter().zip(before.iter().zip(now));
    let gaps = tables.filter_map(|(table, (before, now))| {
        let (before, now): (Shape, Shape) = (log_lines(before).collect(), log_lines(now).collect());
        let lost = lost_lines(&before, &now);
        let name = table.source.name.to_string();
        match now.is_empty() && !before.is_empty() {
            true => Some(format!("table {name} is no longer there")),
            false if !lost.is_empty() => Some(gap_in(&name, &lost)),
            false => partitions::gone(&name, &before, &partitions::carried(table, &before, now)),
        }
    });
    let gaps: Vec<String> = gaps.collect();
    (!gaps.is_empty()).then(|| partitions::hinted(Error::new(Kind::TableGap, gaps.join(". "))))
}

/// What differs between two shapes of a table, in words.
fn altered(table: &str, before: &[String], now: &[String]) -> Option<String> {
    fn is_plain(line: &str) -> bool {
        !line.starts_with(DETAIL) && !is_of_log(line)
    }
    fn is_of_log(line: &str) -> bool {
        line.starts_with(LOG) || line.starts_with(partitions::GONE)
    }
    let gone = before.iter().filter(|line| !now.contains(line) && !is_of_log(line));
    let come = now.iter().filter(|line| !before.contains(line) && is_plain(line));
    let word = |line: &'_ String| line.strip_prefix(DETAIL).unwrap_or(line).to_owned();
    let mut words: Vec<String> = gone
        .map(|line| format!("no more {}", word(line)))
        .chain(come.map(|line| format!("now {}", word(line))))
        .collect();
    let plain = |lines: &[String]| {
        lines.iter().filter(|line| is_plain(line)).cloned().collect::<Vec<String>>()
    };
    if words.is_empty() && plain(before) != plain(now) {
        words.push("the order of its columns".to_owned());
    }
    (!words.is_empty()).then(|| format!("table {table} was altered: {}", words.join("; ")))
}

/// What differs from the accepted shapes, as the error that halts the link. `wanted` is what the
/// configuration asks for: what it no longer does may be gone. New tables are for `joining` to judge.
pub(crate) fn difference(
    accepted: &BTreeMap<String, Shape>,
    now: &BTreeMap<String, Shape>,
    wanted: &Wanted,
) -> Option<Error> {
    let mut kind = Kind::SchemaChanged;
    let mut changed = Vec::new();
    for (table, shape) in now {
        let Some(before) = accepted.get(table) else { continue };
        let lost = lost_lines(before, shape);
        if !lost.is_empty() {
            kind = Kind::TableGap;
            changed.push(gap_in(table, &lost));
        }
        if let Some(gone) = partitions::gone(table, before, shape) {
            kind = Kind::TableGap;
            changed.push(gone);
        }
        changed.extend(altered(table, before, shape));
    }
    let lost = accepted.keys().filter(|table| !now.contains_key(*table));
    let lost = lost.filter(|table| wanted.wants_printed(table));
    let lost =
        lost.map(|table| format!("table {table} is no longer there, or weir may no longer see it"));
    changed.extend(lost);
    (!changed.is_empty()).then(|| partitions::hinted(Error::new(kind, changed.join(". "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Selection;

    fn of(lines: &[&str]) -> BTreeMap<String, Shape> {
        BTreeMap::from([("a.b".to_owned(), lines.iter().map(|line| (*line).to_owned()).collect())])
    }

    /// Broken if an ALTER made while weir was down went unnoticed, or were not named.
    #[test]
    fn an_alter_is_named() {
        let before = of(&["column id int not null", "column n int null"]);
        let wanted = Wanted::default();
        assert!(difference(&before, &before, &wanted).is_none());
        assert!(difference(&BTreeMap::new(), &before, &wanted).is_none(), "not altered, but new");
        let now = of(&["column id int not null", "column n bigint null"]);
        let error = difference(&before, &now, &wanted);
        assert_eq!(
            error.expect("differs").to_string(),
            "table a.b was altered: no more column n int null; now column n bigint null"
        );
        let moved = of(&["column n int null", "column id int not null"]);
        let error = difference(&before, &moved, &wanted).expect("differs");
        assert!(error.to_string().contains("order"));
    }

    /// Broken if a renamed label, or a column dropped and added again, went unnoticed; or a label
    /// added, or a shape from before details were known, halted a link.
    #[test]
    fn details_count_when_they_go() {
        let wanted = Wanted::default();
        let bare = of(&["column m mood null"]);
        let label = |label| format!("{DETAIL}label \"{label}\" of column m");
        let (sad, ok) = (label("sad"), label("ok"));
        let one = of(&["column m mood null", &sad]);
        let two = of(&["column m mood null", &sad, &ok]);
        assert!(difference(&bare, &two, &wanted).is_none(), "not known before");
        assert!(difference(&one, &two, &wanted).is_none(), "a label was added");
        let before = of(&["column m mood null", &label("new"), &sad, &ok]);
        assert!(difference(&two, &before, &wanted).is_none(), "a label was added before others");
        let renamed = of(&["column m mood null", &label("blue"), &ok]);
        let error = difference(&two, &renamed, &wanted).expect("renamed");
        assert_eq!(error.to_string(), "table a.b was altered: no more label \"sad\" of column m");
        assert_eq!(error.kind(), Kind::SchemaChanged);
    }

    /// Broken if a table that was out of the publication for a while, or made anew under its name,
    /// were followed as if nothing were missing.
    #[test]
    fn a_table_that_left_the_log_is_a_gap() {
        let wanted = Wanted::default();
        let log = |line: &str| format!("{LOG}{line}");
        let before = of(&["column id int not null", &log("object 1")]);
        assert!(difference(&of(&["column id int not null"]), &before, &wanted).is_none());
        let owned = |by: &str| of(&[&log(&format!("publication 7 of owner {by}"))]);
        let first = owned("1 of transaction 2");
        assert!(difference(&first, &owned("3 of transaction 4"), &wanted).is_none(), "given away");
        assert!(difference(&first, &owned("1 of transaction 4"), &wanted).is_some(), "altered");
        let now = of(&["column id bigint not null", &log("object 2")]);
        let error = difference(&before, &now, &wanted).expect("made anew");
        assert_eq!(error.kind(), Kind::TableGap);
        let text = error.to_string();
        assert!(
            text.contains("no more object 1)") && text.contains("now column id bigint"),
            "{text}"
        );
    }

    /// Broken if a table that vanished, or was hidden by a revoked grant, left the plan in
    /// silence; or one that was taken out of the configuration could not.
    #[test]
    fn a_table_that_went_away_is_named() {
        let before = of(&["column id int not null"]);
        let rule = Selection { include: vec!["a.*".to_owned()], exclude: Vec::new() };
        let wanted = Wanted { rules: vec![rule], ..Wanted::default() };
        let error = difference(&before, &BTreeMap::new(), &wanted).expect("gone");
        assert!(error.to_string().contains("table a.b is no longer there"));
        assert!(difference(&before, &BTreeMap::new(), &Wanted::default()).is_none());
    }
}
