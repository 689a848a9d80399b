//! Ranks of tables by foreign keys: a parent's rank is below that of its children.
//!
//! Tables of a cycle share one rank. A table's reference to itself counts for nothing, nor do
//! references to tables outside the link.

use crate::model::{Table, TableName};

/// The rank of each table, in order.
pub(crate) fn ranks(tables: &[&Table]) -> Vec<u32> {
    let parents = parents(tables);
    let reach: Vec<Vec<bool>> = (0..tables.len()).map(|start| reachable(start, &parents)).collect();
    let reaches = |from: usize, to: usize| {
        reach.get(from).and_then(|row| row.get(to)).copied().unwrap_or(false)
    };
    let mut ranks = vec![0_u32; tables.len()];
    // Each round settles one more level; there are at most as many levels as tables.
    for _ in 0..tables.len() {
        let next: Vec<u32> = (0..tables.len())
            .map(|child| {
                let above = (0..tables.len()).filter(|parent| reaches(child, *parent));
                let rank = |parent: usize| {
                    let step = u32::from(!reaches(parent, child));
                    ranks.get(parent).copied().unwrap_or(0) + step
                };
                above.map(rank).max().unwrap_or(0)
            })
            .collect();
        if next == ranks {
            break;
        }
        ranks = next;
    }
    ranks
}

/// Names of the other tables that refer to a table and are referred to by it, directly or not.
pub(crate) fn cycle_of(tables: &[&Table], index: usize) -> Vec<TableName> {
    let parents = parents(tables);
    let forth = reachable(index, &parents);
    tables
        .iter()
        .enumerate()
        .filter(|(other, _)| {
            *other != index
                && forth.get(*other).copied().unwrap_or(false)
                && reachable(*other, &parents).get(index).copied().unwrap_or(false)
        })
        .map(|(_, table)| table.name.clone())
        .collect()
}

fn parents(tables: &[&Table]) -> Vec<Vec<usize>> {
    let find = |name: &TableName| tables.iter().position(|table| table.name == *name);
    tables
        .iter()
        .enumerate()
        .map(|(child, table)| {
            let found = table.foreign_keys.iter().filter_map(|key| find(&key.parent));
            found.filter(|parent| *parent != child).collect()
        })
        .collect()
}

fn reachable(start: usize, parents: &[Vec<usize>]) -> Vec<bool> {
    let mut seen = vec![false; parents.len()];
    let mut open = vec![start];
    while let Some(table) = open.pop() {
        for parent in parents.get(table).into_iter().flatten() {
            if let Some(mark) = seen.get_mut(*parent)
                && !*mark
            {
                *mark = true;
                open.push(*parent);
            }
        }
    }
    seen
}
