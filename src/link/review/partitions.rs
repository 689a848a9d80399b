//! Partitions that came to a planned table or went from it, as lines of its shape. Pure.
//!
//! Rows that go with a partition, or come with one, are in no log. One that went is a gap, unless the
//! configuration says that its rows are to stay; it is remembered then, since the log may still hold
//! its last changes. One that came may hold rows from before, which only a look at it can tell.

use std::collections::BTreeMap;

use super::{LOG, log_lines};
use crate::config::DroppedPartitions;
use crate::error::{Error, Kind};
use crate::link::ledger::Shape;
use crate::link::ports::Origin;
use crate::plan::{LinkPlan, TablePlan};

/// What the line of a partition begins with, after [`LOG`] or [`GONE`].
const PARTITION: &str = "partition ";
/// What comes before the line of one that went and whose rows stay.
pub(super) const GONE: &str = "gone: ";
/// So many of these are remembered per table, the newest.
const GONE_MAX: usize = 1000;
/// Said of a partition that went, and looked for by [`hinted`].
const WENT: &str = "were dropped or detached, and the log does not tell which rows went";

/// What tells a partition from others, and its name.
pub(super) fn parse(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix(LOG).or_else(|| line.strip_prefix(GONE))?;
    line.starts_with(PARTITION).then(|| line.split_once(": ").unwrap_or((line, line)))
}

/// The relation itself, whenever it joined: the first two words.
fn relation(id: &str) -> &str {
    id.match_indices(' ').nth(1).map_or(id, |(end, _)| id.get(..end).unwrap_or(id))
}

/// Partitions of `before` that `now` does not know, neither as being there nor as gone for good.
fn missing<'a>(
    before: &'a [String],
    now: &'a [String],
) -> impl Iterator<Item = (&'a str, &'a str, &'a String)> {
    before.iter().filter_map(|line| {
        let (id, name) = parse(line)?;
        let known = now.iter().filter_map(|line| parse(line)).any(|(other, _)| other == id);
        (!known).then_some((id, name, line))
    })
}

/// The gap that partitions which went have left in `table`, in words.
pub(super) fn gone(table: &str, before: &[String], now: &[String]) -> Option<String> {
    let went = missing(before, now).filter(|(_, _, line)| line.starts_with(LOG));
    let names: Vec<&str> = went.map(|(_, name, _)| name).collect();
    (!names.is_empty()).then(|| format!("partitions of table {table} {WENT}: {}", names.join(", ")))
}

/// The error with the way on, if a partition that went is all that is wrong.
pub(super) fn hinted(error: Error) -> Error {
    if error.kind() != Kind::TableGap || !error.to_string().contains(WENT) {
        return error;
    }
    error.hint(
        "delete their rows on the target, or leave them there, then `weir resume LINK \
         --schema-reviewed`; `dropped_partitions = \"keep\"` leaves them there without asking",
    )
}

/// `now`, with the partitions of `before` that went and whose rows stay. One that is there again was
/// away for a while, which is a gap whatever is configured.
pub(super) fn carried(table: &TablePlan, before: &[String], now: Shape) -> Shape {
    let keep = table.dropped_partitions == DroppedPartitions::Keep;
    let again = |id: &str| {
        let mut there =
            now.iter().filter(|line| line.starts_with(LOG)).filter_map(|line| parse(line));
        there.any(|(other, _)| relation(other) == relation(id))
    };
    let gone =
        missing(before, &now).filter(|(id, _, line)| line.starts_with(GONE) || keep && !again(id));
    let gone = gone.map(|(_, _, line)| line.clone()).collect();
    remembered(gone, now)
}

/// `now`, with the lines of these partitions, which are gone.
fn remembered(gone: Shape, mut now: Shape) -> Shape {
    let gone = gone.iter().map(|line| line.replacen(LOG, GONE, usize::from(line.starts_with(LOG))));
    let gone: Shape = gone.collect();
    now.extend(gone.into_iter().rev().take(GONE_MAX).rev());
    now
}

/// The same for every planned table, with the accepted shapes before.
pub(crate) fn carry(
    plan: &LinkPlan,
    accepted: &BTreeMap<String, Shape>,
    shapes: &mut BTreeMap<String, Shape>,
) {
    for table in &plan.tables {
        let name = table.source.name.to_string();
        if let (Some(before), Some(now)) = (accepted.get(&name), shapes.get_mut(&name)) {
            *now = carried(table, before, std::mem::take(now));
        }
    }
}

/// Adds to shapes that a person accepts every partition of the ones before that is gone: whatever is
/// to become of its rows, the log may still hold changes of it, and those are the table's.
pub(crate) fn remember(
    plan: &LinkPlan,
    before: &BTreeMap<String, Shape>,
    shapes: &mut BTreeMap<String, Shape>,
) {
    for table in &plan.tables {
        let name = table.source.name.to_string();
        if let (Some(before), Some(now)) = (before.get(&name), shapes.get_mut(&name)) {
            let gone = missing(before, now).map(|(_, _, line)| line.clone()).collect();
            *now = remembered(gone, std::mem::take(now));
        }
    }
}

/// Partitions that joined since `before`, as the room's lines, by table of the plan.
pub(crate) fn joined(
    plan: &LinkPlan,
    before: &BTreeMap<String, Shape>,
    origins: &[Origin],
) -> Vec<(usize, Vec<String>)> {
    let tables = plan.tables.iter().zip(origins).enumerate();
    let joined = tables.filter_map(|(index, (table, now))| {
        let before = before.get(&table.source.name.to_string())?;
        let now: Shape = log_lines(now).collect();
        let new = missing(&now, before).filter_map(|(_, _, line)| line.strip_prefix(LOG));
        let new: Vec<String> = new.map(str::to_owned).collect();
        (!new.is_empty()).then_some((index, new))
    });
    joined.collect()
}

/// Every partition that is or was one of a planned table, for the capture.
pub(crate) fn recalled(plan: &LinkPlan, shapes: &BTreeMap<String, Shape>) -> Vec<(usize, String)> {
    let tables = plan.tables.iter().enumerate();
    let lines = tables.flat_map(|(index, table)| {
        let shape = shapes.get(&table.source.name.to_string());
        let lines = shape.into_iter().flatten().filter(|line| parse(line).is_some());
        let plain =
            |line: &String| line.trim_start_matches(LOG).trim_start_matches(GONE).to_owned();
        lines.map(move |line| (index, plain(line)))
    });
    lines.collect()
}

/// The error for partitions that brought rows along.
pub(crate) fn refuse_strays(plan: &LinkPlan, table: usize, strays: &[String]) -> Option<Error> {
    let table = plan.tables.get(table).filter(|_| !strays.is_empty())?;
    let context = format!(
        "partitions came to table {} with rows that are in no log, or may have: {}",
        table.source.name,
        strays.join(", ")
    );
    Some(Error::new(Kind::TableGap, context).hint(
        "copy the rows of these partitions to the target, then `weir resume LINK --schema-reviewed`",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Wanted;

    fn shape(lines: &[&str]) -> BTreeMap<String, Shape> {
        BTreeMap::from([(
            "public.m".to_owned(),
            lines.iter().map(|line| (*line).to_owned()).collect(),
        )])
    }

    /// Broken if the rows of a dropped partition stayed on the target without a word, a renamed one
    /// halted the link, or one that is gone for good could not be kept.
    #[test]
    fn a_partition_that_went_is_a_gap() {
        let wanted = Wanted::default();
        let differs = |before, now| super::super::difference(&before, &now, &wanted);
        let one = "log: partition 7 of transaction 5: public.m_1";
        let two = "log: partition 8 of transaction 6: public.m_2";
        assert!(differs(shape(&[one]), shape(&[one, two])).is_none(), "one more");
        let renamed = "log: partition 7 of transaction 5: public.old";
        assert!(differs(shape(&[one]), shape(&[renamed])).is_none(), "renamed");
        let error = differs(shape(&[one, two]), shape(&[two])).expect("a gap");
        assert_eq!(error.kind(), Kind::TableGap);
        assert!(error.to_string().contains("public.m_1"), "{error}");
        assert!(error.operator_hint().contains("dropped_partitions"), "{error:?}");
        let gone = "gone: partition 7 of transaction 5: public.m_1";
        assert!(differs(shape(&[one, two]), shape(&[two, gone])).is_none(), "kept");
        assert!(differs(shape(&[two, gone]), shape(&[two])).is_none(), "forgotten by a review");
        let again = "log: partition 7 of transaction 9: public.m_1";
        assert!(differs(shape(&[one]), shape(&[again])).is_some(), "away for a while");
        assert_eq!(relation("partition 7 of transaction 9"), "partition 7");
    }

    /// Broken if the changes that the log still holds of a partition were nobody's once a person had
    /// reviewed that it is gone.
    #[test]
    fn a_review_remembers_what_is_gone() {
        let one = "log: partition 7 of transaction 5: public.m_1";
        let two = "log: partition 8 of transaction 6: public.m_2";
        let missing: Vec<&String> = Vec::new();
        let (before, now) = (shape(&[one, two]), shape(&[two]));
        let (before, now) = (&before["public.m"], now["public.m"].clone());
        let gone: Shape = super::missing(before, &now).map(|(_, _, line)| line.clone()).collect();
        let now = remembered(gone, now);
        assert_eq!(now, [two, "gone: partition 7 of transaction 5: public.m_1"]);
        assert_eq!(
            super::missing(before, &now).map(|(_, _, line)| line).collect::<Vec<_>>(),
            missing
        );
    }
}
