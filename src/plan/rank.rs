//! Ranks of tables by foreign keys: a parent's rank is below that of its children.
//!
//! Tables of a cycle share one rank. A table's reference to itself counts for nothing, nor do
//! references to tables outside the link. Time and memory grow with tables and keys, not with their
//! square.

use std::collections::HashMap;

use crate::model::{Table, TableName};

/// The rank of each table, in order.
pub(crate) fn ranks(tables: &[&Table]) -> Vec<u32> {
    let parents = parents(tables);
    let (component, count) = components(&parents);
    let of = |table: usize| component.get(table).copied().unwrap_or_default();
    let mut members = vec![Vec::new(); count];
    for table in 0..tables.len() {
        if let Some(members) = members.get_mut(of(table)) {
            members.push(table);
        }
    }
    let mut rank = vec![0_u32; count];
    // Components are numbered from the children down, so parents are settled first.
    for this in (0..count).rev() {
        let tables = members.get(this).into_iter().flatten();
        let above = tables.flat_map(|table| parents.get(*table).into_iter().flatten());
        let above = above.map(|parent| of(*parent)).filter(|other| *other != this);
        let above = above.filter_map(|other| rank.get(other)).max().map_or(0, |rank| rank + 1);
        if let Some(rank) = rank.get_mut(this) {
            *rank = above;
        }
    }
    (0..tables.len()).map(|table| rank.get(of(table)).copied().unwrap_or_default()).collect()
}

/// Names of the other tables that refer to a table and are referred to by it, directly or not.
pub(crate) fn cycle_of(tables: &[&Table], index: usize) -> Vec<TableName> {
    let (component, _) = components(&parents(tables));
    let own = component.get(index);
    let others = tables.iter().zip(&component).enumerate();
    others
        .filter(|(other, (_, component))| *other != index && Some(*component) == own)
        .map(|(_, (table, _))| table.name.clone())
        .collect()
}

fn parents(tables: &[&Table]) -> Vec<Vec<usize>> {
    let places: HashMap<&TableName, usize> =
        tables.iter().enumerate().map(|(at, table)| (&table.name, at)).collect();
    let found = tables.iter().enumerate().map(|(child, table)| {
        let parents = table.foreign_keys.iter().filter_map(|key| places.get(&key.parent));
        parents.copied().filter(|parent| *parent != child).collect()
    });
    found.collect()
}

/// The strongly connected component of each table, and how many there are; a component that refers
/// to another has the lower number (Kosaraju).
fn components(parents: &[Vec<usize>]) -> (Vec<usize>, usize) {
    let mut children = vec![Vec::new(); parents.len()];
    for (child, parents) in parents.iter().enumerate() {
        for parent in parents {
            if let Some(children) = children.get_mut(*parent) {
                children.push(child);
            }
        }
    }
    let mut seen = vec![false; parents.len()];
    let mut finished = Vec::with_capacity(parents.len());
    for start in 0..parents.len() {
        visit(start, parents, &mut seen, &mut finished);
    }
    let mut component = vec![0; parents.len()];
    let mut count = 0;
    let mut seen = vec![false; parents.len()];
    for start in finished.into_iter().rev() {
        let mut members = Vec::new();
        visit(start, &children, &mut seen, &mut members);
        for member in &members {
            if let Some(component) = component.get_mut(*member) {
                *component = count;
            }
        }
        count += usize::from(!members.is_empty());
    }
    (component, count)
}

/// Adds what can be reached from `start` and was not seen, each after all that it reaches.
fn visit(start: usize, edges: &[Vec<usize>], seen: &mut [bool], finished: &mut Vec<usize>) {
    let mut open = vec![(start, 0)];
    let mut enter =
        |node: usize| seen.get_mut(node).is_some_and(|seen| !std::mem::replace(seen, true));
    if !enter(start) {
        return;
    }
    while let Some((node, next)) = open.last_mut() {
        match edges.get(*node).and_then(|edges| edges.get(*next)) {
            Some(other) => {
                *next += 1;
                if enter(*other) {
                    open.push((*other, 0));
                }
            }
            None => {
                finished.push(*node);
                open.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::{BIGINT, column, foreign_key, table};

    /// Tables called by number, each with the numbers it refers to.
    fn family(references: &[&[usize]]) -> Vec<Table> {
        let name = |number: usize| TableName::new("s", number.to_string());
        let keys = |parents: &[usize]| {
            let key = |parent: &usize| foreign_key("fk", name(*parent));
            parents.iter().map(key).collect()
        };
        let build = |(number, parents): (usize, &&[usize])| {
            let columns = vec![column("id", BIGINT, "bigint")];
            let table = table("s", &number.to_string(), columns);
            Table { foreign_keys: keys(parents), ..table }
        };
        references.iter().enumerate().map(build).collect()
    }

    /// Broken if a child came before its parent, or a cycle were torn apart.
    #[test]
    fn parents_rank_below_children() {
        // 0 and 1 are a cycle under 2, 3 hangs on the cycle, 4 on 3 and 2, 5 on itself.
        let tables = family(&[&[1, 2], &[0], &[], &[1], &[3, 2], &[5]]);
        let tables: Vec<&Table> = tables.iter().collect();
        assert_eq!(ranks(&tables), [1, 1, 0, 2, 3, 0]);
        assert_eq!(cycle_of(&tables, 0), [TableName::new("s", "1")]);
        assert!(cycle_of(&tables, 3).is_empty() && cycle_of(&tables, 5).is_empty());
    }

    /// Broken if thousands of tables took the square of their number, or a long chain the stack.
    #[test]
    fn many_tables_are_ranked_quickly() {
        let chain: Vec<Vec<usize>> =
            (0..20_000).map(|table: usize| table.checked_sub(1).into_iter().collect()).collect();
        let chain: Vec<&[usize]> = chain.iter().map(Vec::as_slice).collect();
        let tables = family(&chain);
        let tables: Vec<&Table> = tables.iter().collect();
        assert_eq!(ranks(&tables).last(), Some(&19_999));
    }
}
