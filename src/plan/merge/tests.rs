//! Merged steps against a model table: the same outcome as the changes one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::config::Replicate;
use crate::plan::fixtures::{BIGINT, column, config, foreign_key, link, replicate, row, table};
use crate::plan::plan;

const COLUMNS: usize = 4;

/// Two tables, the second a child of the first; four columns each, the first is the key.
fn link_plan(family: bool) -> LinkPlan {
    let columns = || (0..COLUMNS).map(|n| column(&format!("c{n}"), BIGINT, "bigint")).collect();
    let source = [table("public", "a", columns()), table("public", "b", columns())];
    let mut target = [table("my_db", "a", columns()), table("my_db", "b", columns())];
    if family {
        let parent = target[0].name.clone();
        target[1].foreign_keys = vec![foreign_key("fk", parent)];
    }
    let config = config(vec![replicate("pg", "my", &["public.*"])], Vec::new());
    plan(&config, &link("pg", "my"), &source, &target).unwrap()
}

/// The target's tables as a map, with the set of missed keys.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    rows: BTreeMap<(usize, i64), Vec<i64>>,
    missed: BTreeSet<(usize, i64)>,
}

fn int(value: &Value) -> i64 {
    match value {
        Value::Int(value) => *value,
        other => panic!("{other:?}"),
    }
}

impl Model {
    fn apply(&mut self, step: &Step) {
        let mut seen = BTreeSet::new();
        for row in &step.rows {
            let values: Vec<i64> = row.iter().map(int).collect();
            let (old, values) = match step.verb {
                Verb::Rekey => (values[0], &values[1..]),
                _ => (values[0], &values[..]),
            };
            let (old, new) = ((step.table, old), (step.table, values[0]));
            assert!(seen.insert(old), "a key twice in one step: {step:?}");
            assert!(old == new || seen.insert(new), "a key twice in one step: {step:?}");
            match step.verb {
                Verb::Upsert => {
                    self.rows.insert(new, values.to_vec());
                }
                Verb::Update | Verb::Rekey => match self.rows.remove(&old) {
                    Some(mut row) => {
                        for (column, value) in step.columns.iter().zip(values) {
                            row[*column] = *value;
                        }
                        self.rows.insert(new, row);
                    }
                    None => {
                        self.missed.insert(new);
                    }
                },
                Verb::Delete => {
                    self.rows.remove(&old);
                }
                Verb::Note => unreachable!("no change here asks for a note"),
                Verb::Truncate => self.rows.retain(|(table, _), _| *table != step.table),
            }
        }
        if step.verb == Verb::Truncate {
            self.rows.retain(|(table, _), _| *table != step.table);
        }
    }

    fn all(mut self, steps: &[Step]) -> Self {
        steps.iter().for_each(|step| self.apply(step));
        self
    }
}

/// The columns of a sparse update: the key and those of the mask.
fn sparse(key: i64, mask: u8, value: i64) -> (Option<Arc<[usize]>>, Row) {
    let columns: Vec<usize> = (0..COLUMNS).filter(|n| *n == 0 || mask & (1 << n) != 0).collect();
    let values: Vec<i64> = columns.iter().map(|n| if *n == 0 { key } else { value }).collect();
    let columns = (columns.len() < COLUMNS).then(|| columns.into());
    (columns, row(&values))
}

fn act() -> impl Strategy<Value = Act> {
    let key = 0_i64..5;
    prop_oneof![
        4 => (key.clone(), 0_i64..100)
            .prop_map(|(key, value)| Act::Upsert { columns: None, row: row(&[key, value, value + 1, value + 2]) }),
        6 => (key.clone(), any::<u8>(), 0_i64..100).prop_map(|(key, mask, value)| {
            let (columns, row) = sparse(key, mask, value);
            Act::Update { columns, row }
        }),
        3 => key.clone().prop_map(|key| Act::Delete { key: row(&[key]) }),
        2 => (key.clone(), key, any::<u8>(), 0_i64..100)
            .prop_filter("the key changes", |(old, new, ..)| old != new)
            .prop_map(|(old, new, mask, value)| {
                let (columns, values) = sparse(new, mask, value);
                Act::Rekey { old: row(&[old]), columns, row: values }
            }),
        1 => Just(Act::Truncate),
    ]
}

/// A rekey onto a key that exists is refused by a real target, and by the source before it.
fn legal(changes: Vec<Prepared>, start: &Model, plan: &LinkPlan) -> Vec<Prepared> {
    let mut model = start.clone();
    let mut kept = Vec::new();
    for change in changes {
        if let Act::Rekey { row, .. } = &change.act
            && model.rows.contains_key(&(change.table, int(&row[0])))
        {
            continue;
        }
        model.apply(&change.step(plan));
        kept.push(change);
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Broken if merging or running together changed what the target ends up with, created a row
    /// by an update, or put one key twice into a step.
    #[test]
    fn merged_changes_have_the_outcome_of_the_sequence(
        acts in prop::collection::vec((0_usize..2, act()), 0..40),
        present in prop::collection::btree_set((0_usize..2, 0_i64..5), 0..8),
        rows_max in 1_usize..6,
        family in any::<bool>(),
    ) {
        let plan = link_plan(family);
        let rows = present.into_iter().map(|key| (key, vec![key.1, -1, -2, -3])).collect();
        let start = Model { rows, missed: BTreeSet::new() };
        let changes = acts.into_iter().map(|(table, act)| Prepared { table, act }).collect();
        let changes = legal(changes, &start, &plan);

        let one_by_one: Vec<Step> = changes.iter().map(|change| change.step(&plan)).collect();
        let expected = start.clone().all(&one_by_one);
        let runs = unmerged(&plan, &changes, rows_max);
        prop_assert!(runs.iter().all(|step| step.rows.len() <= rows_max));
        prop_assert_eq!(&start.clone().all(&runs), &expected);

        let mut merger = Merger::new(&plan, rows_max);
        changes.iter().for_each(|change| merger.push(change));
        let steps = merger.take();
        prop_assert!(steps.iter().all(|step| step.rows.len() <= rows_max));
        let merged = start.all(&steps);
        prop_assert_eq!(&merged.rows, &expected.rows);
        // Misses of keys that a later change settles need no note; no other miss may be invented.
        prop_assert!(merged.missed.is_subset(&expected.missed));
        let open: BTreeSet<_> = expected.missed.difference(&merged.missed).collect();
        for miss in open {
            let settled = changes.iter().any(|change| {
                change.table == miss.0
                    && matches!(&change.act, Act::Upsert { row, .. } | Act::Delete { key: row }
                        if int(&row[0]) == miss.1)
            });
            prop_assert!(settled, "a miss of {miss:?} was lost");
        }
    }
}

fn merged(plan: &LinkPlan, acts: Vec<(usize, Act)>) -> Vec<Step> {
    let changes: Vec<Prepared> =
        acts.into_iter().map(|(table, act)| Prepared { table, act }).collect();
    let mut merger = Merger::new(plan, 1000);
    changes.iter().for_each(|change| merger.push(change));
    let steps = merger.take();
    assert!(merger.take().is_empty(), "taking twice must not repeat anything");
    steps
}

fn shape(steps: &[Step]) -> Vec<(usize, Verb, usize)> {
    steps.iter().map(|step| (step.table, step.verb, step.rows.len())).collect()
}

/// Broken if a child were written before its parent, or a parent deleted before its child.
#[test]
fn parents_are_written_first_and_deleted_last() {
    let upsert = |key: i64| Act::Upsert { columns: None, row: row(&[key, 0, 0, 0]) };
    let delete = |key: i64| Act::Delete { key: row(&[key]) };
    let acts = vec![(0, delete(1)), (1, delete(1)), (1, upsert(2)), (0, upsert(2))];
    let steps = merged(&link_plan(true), acts);
    let expected =
        [(0, Verb::Upsert, 1), (1, Verb::Upsert, 1), (1, Verb::Delete, 1), (0, Verb::Delete, 1)];
    assert_eq!(shape(&steps), expected);
}

/// Broken if an update became an upsert: it would bring half a row to life.
#[test]
fn an_update_stays_an_update_unless_an_insert_precedes_it() {
    let full = |value: i64| Act::Update { columns: None, row: row(&[1, value, 0, 0]) };
    let plan = link_plan(false);
    let steps = merged(&plan, vec![(0, full(7)), (0, full(8))]);
    assert_eq!(shape(&steps), [(0, Verb::Update, 1)]);
    assert_eq!(steps[0].rows[0], row(&[1, 8, 0, 0]));
    let insert = Act::Upsert { columns: None, row: row(&[1, 2, 3, 4]) };
    let (columns, values) = sparse(1, 0b100, 9);
    let steps = merged(&plan, vec![(0, insert), (0, Act::Update { columns, row: values })]);
    assert_eq!(shape(&steps), [(0, Verb::Upsert, 1)]);
    assert_eq!(steps[0].rows[0], row(&[1, 2, 9, 4]));
}

/// Broken if columns of an earlier sparse update were lost under a later one.
#[test]
fn sparse_updates_merge_by_column() {
    let update = |mask: u8, value: i64| {
        let (columns, row) = sparse(1, mask, value);
        (0, Act::Update { columns, row })
    };
    let steps = merged(&link_plan(false), vec![update(0b0010, 5), update(0b1000, 6)]);
    assert_eq!(shape(&steps), [(0, Verb::Update, 1)]);
    assert_eq!(&*steps[0].columns, [0, 1, 3]);
    assert_eq!(steps[0].rows[0], row(&[1, 5, 6]));
}

/// Broken if a deleted and newly inserted row kept values of its former life, or if rows that hang
/// on it survived a delete that the target was to pass on to them.
#[test]
fn delete_and_insert_become_one_upsert_only_where_nothing_is_left() {
    let acts = || {
        vec![
            (0, Act::Delete { key: row(&[1]) }),
            (0, Act::Upsert { columns: None, row: row(&[1, 2, 3, 4]) }),
        ]
    };
    let both = [(0, Verb::Delete, 1), (0, Verb::Upsert, 1)];
    assert_eq!(shape(&merged(&link_plan(false), acts())), [(0, Verb::Upsert, 1)]);
    assert_eq!(shape(&merged(&link_plan(true), acts())), both);
    let mut columns: Vec<_> =
        (0..COLUMNS).map(|n| column(&format!("c{n}"), BIGINT, "bigint")).collect();
    let source = [table("public", "a", columns.clone())];
    columns.push(column("own", BIGINT, "bigint"));
    let target = [table("my_db", "a", columns)];
    let rule = Replicate { ignore: vec!["own".into()], ..replicate("pg", "my", &["public.*"]) };
    let partial = plan(&config(vec![rule], Vec::new()), &link("pg", "my"), &source, &target);
    assert_eq!(shape(&merged(&partial.unwrap(), acts())), both);
}

/// Broken if key changes were done one statement each although they do not touch each other, or
/// together although they do.
#[test]
fn key_changes_share_a_step_unless_they_touch() {
    let rekey = |old: i64, new: i64| {
        (0, Act::Rekey { old: row(&[old]), columns: None, row: row(&[new, 0, 0, 0]) })
    };
    let plan = link_plan(false);
    let apart = merged(&plan, vec![rekey(1, 11), rekey(2, 12), rekey(3, 13)]);
    assert_eq!(shape(&apart), [(0, Verb::Rekey, 3)]);
    assert_eq!(apart[0].rows[1], row(&[2, 12, 0, 0, 0]));
    let chained = merged(&plan, vec![rekey(3, 4), rekey(2, 3), rekey(1, 2)]);
    assert_eq!(shape(&chained), [(0, Verb::Rekey, 1); 3]);
}
