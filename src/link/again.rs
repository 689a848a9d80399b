//! Rows that are set aside, as they are at the source now: what a window over them has brought, and
//! what is to be done to the target for it. Pure.
//!
//! Nothing of the log between the letter and now is needed: the row is read, or found gone, and what
//! changes since is laid over it. A row that came, went or was renamed meanwhile is read once more.

use std::collections::{HashMap, HashSet};

use crate::config::Deletes;
use crate::error::{Error, Kind, Result};
use crate::link::letter::RowName;
use crate::link::ports::Scanned;
use crate::link::refetched::laid_over;
use crate::link::set_aside::{Group, Rows};
use crate::link::steps::{self, Act, Prepared};
use crate::link::window::{Since, Window};
use crate::model::Row;
use crate::plan::{LinkPlan, TablePlan};
use crate::transform::rules::Beside;

/// How a row is at the source.
#[derive(Debug)]
pub(super) enum Found {
    /// There, to be written so.
    Row(Prepared),
    /// Not there.
    Gone,
    /// It came or went while it was read.
    Busy,
    /// There, and it has no form at the target.
    Unfit(Error),
}

/// Rows as they are at the source now.
#[derive(Debug, Default)]
pub(super) struct Again(pub(super) Vec<(RowName, Found)>);

impl Again {
    /// From a window and what was read for it.
    pub(super) fn of(plan: &LinkPlan, window: &Window, scanned: Scanned) -> Result<Again> {
        if scanned.rows.len() != window.notes.len() {
            return Err(Error::new(Kind::Internal, "a scan answered for another number of keys"));
        }
        let rows = window.notes.iter().zip(scanned.rows).map(|(note, row)| {
            let found = match (window.since(&note.text()), row) {
                (Some(Since::Laid(values)), Some(row)) => {
                    match laid_over(plan, window.table, row, values, Beside::default()) {
                        Ok(row) => Found::Row(row),
                        Err(unfit) if unfit.is_about_a_row() => Found::Unfit(unfit),
                        Err(error) => return Err(error),
                    }
                }
                (Some(Since::Laid(values)), None) if values.is_empty() => Found::Gone,
                _ => Found::Busy,
            };
            Ok((RowName::of(note), found))
        });
        Ok(Again(rows.collect::<Result<_>>()?))
    }

    /// What becomes of each group that was asked for.
    pub(super) fn tries(self, plan: &LinkPlan, rows: &Rows, groups: &[u64]) -> Vec<Try> {
        let mut found: HashMap<RowName, Found> = self.0.into_iter().collect();
        let groups = groups.iter().filter_map(|place| Some((*place, rows.group(*place)?)));
        groups.map(|(place, group)| Try::of(plan, place, group, &mut found)).collect()
    }
}

/// A group that is tried.
#[derive(Debug)]
pub(super) struct Try {
    /// Its number.
    pub(super) place: u64,
    /// Its rows.
    pub(super) names: Vec<RowName>,
    /// What is to be done to the target.
    pub(super) what: What,
    /// The same without keeping what only the target knows of rows that were renamed: where the key of
    /// one is taken there. Not for rows that others may refer to, which could go with them.
    pub(super) plain: Option<Vec<Prepared>>,
}

/// What a try amounts to.
#[derive(Debug)]
pub(super) enum What {
    /// These changes, in order.
    Write(Vec<Prepared>),
    /// To be read once more.
    Busy,
    /// Still not to be written.
    Unfit(Error),
}

impl Try {
    /// The changes to write.
    pub(super) fn changes(&self) -> &[Prepared] {
        match &self.what {
            What::Write(changes) => changes,
            What::Busy | What::Unfit(_) => &[],
        }
    }

    /// The plain ones.
    pub(super) fn plain_changes(&self) -> &[Prepared] {
        self.plain.as_deref().unwrap_or_default()
    }

    fn of(plan: &LinkPlan, place: u64, group: &Group, found: &mut HashMap<RowName, Found>) -> Try {
        let names: Vec<RowName> = group.names().collect();
        let (mut written, mut gone) = (HashMap::new(), Vec::new());
        let mut what = None;
        for name in &names {
            match found.remove(name) {
                Some(Found::Row(row)) => drop(written.insert(name.row.clone(), row)),
                Some(Found::Gone) => gone.push(name.row.clone()),
                Some(Found::Unfit(error)) => what = Some(What::Unfit(error)),
                // One that was not read has joined the group meanwhile.
                Some(Found::Busy) | None if what.is_none() => what = Some(What::Busy),
                Some(Found::Busy) | None => {}
            }
        }
        if let Some(what) = what {
            return Try { place, names, what, plain: None };
        }
        let referred = plan.tables.get(group.table).is_none_or(|table| table.is_referred_to());
        let plain = (!group.renames.is_empty() && !referred)
            .then(|| acts(plan, group, &[], written.clone(), &gone));
        let acts = acts(plan, group, &group.renames, written, &gone);
        Try { place, names, what: What::Write(acts), plain }
    }
}

/// Makes the target's rows of a group like the source's: rows that were renamed keep what only the
/// target knows of them, as far as no other row stands in the way.
fn acts(
    plan: &LinkPlan,
    group: &Group,
    renames: &[(String, String)],
    mut written: HashMap<String, Prepared>,
    gone: &[String],
) -> Vec<Prepared> {
    let table = group.table;
    let origins = origins(renames);
    let mut renamed = Vec::new();
    for (now, first) in in_order(&origins, &written, gone) {
        let Some(old) = target_key(&first) else { continue };
        if let Some(Act::Upsert { columns, row }) = written.get(&now).map(|row| row.act.clone()) {
            renamed.push((first, Prepared { table, act: Act::Rekey { old, columns, row } }));
            written.remove(&now);
        }
    }
    let deletes = |table: &TablePlan| table.owns_rows && table.deletes == Deletes::Apply;
    let deletes = plan.tables.get(table).is_none_or(|table| deletes(table));
    // One that was renamed and then went stands under its first name still, which may be another's now.
    let into = |key: &String| origins.iter().any(|(now, first)| now == key && first != key);
    let left = origins.iter().filter(|(now, first)| gone.contains(now) && !gone.contains(first));
    let left = left.map(|(_, first)| first).filter(|first| into(first));
    let gone = gone.iter().filter(|row| !renamed.iter().any(|(first, _)| first == *row));
    let gone = left.chain(gone).filter(|_| deletes).filter_map(|row| target_key(row));
    let mut acts: Vec<Prepared> =
        gone.map(|key| Prepared { table, act: Act::Delete { key } }).collect();
    acts.extend(renamed.into_iter().map(|(_, rekey)| rekey));
    let rows = group.rows.iter().filter_map(|row| written.remove(row));
    acts.extend(rows);
    acts
}

/// The renames to be made, each once nothing of the group is under its new name any more. A row whose
/// first name is another's now is renamed only if that one comes to it by a rename too.
fn in_order(
    origins: &[(String, String)],
    written: &HashMap<String, Prepared>,
    gone: &[String],
) -> Vec<(String, String)> {
    let there =
        |(now, first): &&(String, String)| written.contains_key(now) && target_key(first).is_some();
    let mut open: Vec<(String, String)> = origins.iter().filter(there).cloned().collect();
    loop {
        let (known, names) = (open.len(), open.iter().map(|(now, _)| now.clone()));
        let names: HashSet<String> = names.collect();
        open.retain(|(_, first)| gone.contains(first) || names.contains(first));
        if open.len() == known {
            break;
        }
    }
    let mut held: HashSet<String> = open.iter().map(|(_, first)| first.clone()).collect();
    let mut ordered = Vec::new();
    while let Some(at) = open.iter().position(|(now, _)| !held.contains(now)) {
        let rename = open.remove(at);
        held.remove(&rename.1);
        ordered.push(rename);
    }
    ordered
}

/// Under which name each row stood before the first of the renames: by its name after the last.
fn origins(renames: &[(String, String)]) -> Vec<(String, String)> {
    let mut origins: Vec<(String, String)> = Vec::new();
    for (old, new) in renames {
        let known = origins.iter().position(|(now, _)| now == old);
        let first = known.map_or_else(|| old.clone(), |at| origins.remove(at).1);
        origins.retain(|(now, _)| now != new);
        origins.push((new.clone(), first));
    }
    origins
}

/// The key under which the target may hold a row; none where the key has no form there.
fn target_key(row: &str) -> Option<Row> {
    steps::parse_key(row).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::letter::{Letter, Operation, Reason};
    use crate::plan::fixtures::{plan_of, row};

    fn name(key: i64) -> String {
        steps::key_text(&row(&[key]))
    }

    fn rows_of(letters: &[(i64, Option<i64>)]) -> Rows {
        let mut rows = Rows::default();
        for (key, old) in letters {
            let letter = Letter {
                table: 0,
                row: name(*key),
                old_row: old.map(name),
                operation: Operation::Update,
                position: None,
                ordinal: 0,
                reason: Reason::behind(),
                change: String::new(),
                folded: false,
            };
            rows.put(&letter, 0);
        }
        rows
    }

    fn write(letters: &[(i64, Option<i64>)], there: &[i64]) -> Vec<Act> {
        let (plan, rows) = (plan_of(&["id", "n"]), rows_of(letters));
        let place = rows.groups().next().expect("a group").0;
        let names = rows.group(place).expect("it").names();
        let upsert = |key: i64| Act::Upsert { columns: None, row: row(&[key, 7]) };
        let found = names.map(|one| {
            let key = there.iter().find(|key| name(**key) == one.row);
            let found =
                key.map_or(Found::Gone, |key| Found::Row(Prepared { table: 0, act: upsert(*key) }));
            (one, found)
        });
        let mut tries = Again(found.collect()).tries(&plan, &rows, &[place]);
        match tries.remove(0).what {
            What::Write(changes) => changes.into_iter().map(|one| one.act).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn upsert(key: i64) -> Act {
        Act::Upsert { columns: None, row: row(&[key, 7]) }
    }

    fn delete(key: i64) -> Act {
        Act::Delete { key: row(&[key]) }
    }

    fn rekey(old: i64, new: i64) -> Act {
        Act::Rekey { old: row(&[old]), columns: None, row: row(&[new, 7]) }
    }

    /// Broken if a row came back under its old key, one that went stayed, or a row that was renamed
    /// lost what only the target knows of it.
    #[test]
    fn the_target_becomes_like_the_source() {
        assert_eq!(write(&[(1, None)], &[1]), [upsert(1)]);
        assert_eq!(write(&[(1, None), (1, None)], &[]), [delete(1)]);
        assert_eq!(write(&[(2, Some(1))], &[2]), [rekey(1, 2)]);
        assert_eq!(write(&[(2, Some(1)), (3, Some(2))], &[3]), [delete(2), rekey(1, 3)]);
        assert_eq!(write(&[(2, Some(1)), (1, None)], &[1, 2]), [upsert(2), upsert(1)]);
        let swap = [(9, Some(1)), (1, Some(2)), (2, Some(9))];
        assert_eq!(write(&swap, &[1, 2]).len(), 3, "no rename can be made first");
    }

    /// Broken if rows that moved up one after the other could never be tried with success where others may
    /// refer to them: each would stand in the way of the one behind it.
    #[test]
    fn renames_are_made_one_after_the_other() {
        let up = [(4, Some(3)), (3, Some(2)), (2, Some(1))];
        assert_eq!(write(&up, &[2, 3, 4]), [rekey(3, 4), rekey(2, 3), rekey(1, 2)]);
        assert_eq!(write(&up, &[2, 3]), [delete(3), delete(4), rekey(2, 3), rekey(1, 2)]);
        let back = [(2, Some(1)), (1, Some(2))];
        assert_eq!(write(&back, &[1]), [delete(2), upsert(1)]);
    }

    /// Broken if a group were written of which one row is not known.
    #[test]
    fn a_group_goes_together() {
        let (plan, rows) = (plan_of(&["id", "n"]), rows_of(&[(2, Some(1))]));
        let place = rows.groups().next().expect("a group").0;
        let found = |found| {
            let name = RowName { table: 0, row: name(2) };
            Again(vec![(name, found)]).tries(&plan, &rows, &[place]).remove(0).what
        };
        assert!(matches!(found(Found::Gone), What::Busy), "row 1 was not read");
        let unfit = Error::new(Kind::Value, "too long");
        assert!(matches!(found(Found::Unfit(unfit)), What::Unfit(_)));
    }
}
