//! Match keys of which no index proves that one key is one row, on either side: what `weir check` has
//! the servers look for, so that duplicates are listed before a unique index is tried.
//!
//! Pure: the tables come in as data, and what is to be asked goes out. The refusals themselves are the
//! planner's.

use crate::config::{Config, LinkName};
use crate::model::{Column, Table, Type};
use crate::plan::columns::Draft;
use crate::plan::select::{Chosen, choose};
use crate::transform::rules::Lists;

/// Keys that a look names at most.
pub const KEYS_MAX: usize = 20;
/// Characters that a look reads of each value.
pub const CHARS_MAX: usize = 1000;

/// Columns of a table that are to tell its rows apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLook<'a> {
    /// The table.
    pub table: &'a Table,
    /// Positions of the key's columns in it, in key order.
    pub columns: Vec<usize>,
    /// Of each, whether values count as equal that differ in case, accents or blanks at the end.
    pub loosely: Vec<bool>,
}

impl<'a> KeyLook<'a> {
    /// The columns, and whether they are compared loosely.
    pub fn each(&self) -> impl Iterator<Item = (&'a Column, bool)> {
        let columns = self.columns.iter().filter_map(|index| self.table.columns.get(*index));
        columns.zip(self.loosely.iter().copied())
    }
}

/// A key that several rows have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// Its values as text; of loosely compared ones the least.
    pub least: Vec<String>,
    /// The same; of loosely compared ones the greatest.
    pub greatest: Vec<String>,
    /// How many rows have it.
    pub rows: u64,
}

impl Repeated {
    /// From a server's answer to a look: the least values, the greatest ones, and the count. `None`
    /// where it is something else.
    pub fn of_answer(mut texts: Vec<Option<String>>) -> Option<Repeated> {
        let rows = texts.pop()??.parse().ok()?;
        let texts: Vec<String> = texts.into_iter().collect::<Option<_>>()?;
        let (least, greatest) = texts.split_at_checked(texts.len() / 2)?;
        Some(Repeated { least: least.to_vec(), greatest: greatest.to_vec(), rows })
    }
}

/// What is not proven of one table's match key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unproven<'a> {
    /// The table as findings name it.
    pub subject: String,
    /// At the source, where no unique index is over the key.
    pub at_source: Option<KeyLook<'a>>,
    /// At the target, where no unique index is over the key.
    pub at_target: Option<KeyLook<'a>>,
    /// Keys of the source that the target may take for one, for its collation is coarser: how to look
    /// for them at the source, and the same columns at the target, which decides.
    pub merged: Option<[KeyLook<'a>; 2]>,
}

/// What is not proven of the match keys of `link`. Tables that have no key for other reasons are the
/// planner's to refuse.
pub fn unproven<'a>(
    config: &Config,
    link: &LinkName,
    source_tables: &'a [Table],
    target_tables: &'a [Table],
    lists: &Lists,
) -> Vec<Unproven<'a>> {
    let dialect = |name: &str| config.databases.get(name).map(|database| database.dialect);
    let Some(dialects) = dialect(&link.source).zip(dialect(&link.target)) else {
        return Vec::new();
    };
    let conversion = &config.conversion;
    let chosen = choose(config, link, source_tables, &mut Vec::new());
    let of_table = |chosen: &Chosen<'_>| {
        let source = source_tables.iter().find(|table| table.name == chosen.source)?;
        let target = target_tables.iter().find(|table| table.name == chosen.target)?;
        of_table(
            &Draft { link, dialects, chosen, source, target, conversion, lists },
            source,
            target,
        )
    };
    chosen.iter().filter_map(of_table).collect()
}

fn of_table<'a>(draft: &Draft<'_>, source: &'a Table, target: &'a Table) -> Option<Unproven<'a>> {
    let mut columns = draft.columns(&mut Vec::new());
    let key = draft.key(&mut columns, &mut Vec::new());
    let key: Vec<_> = key.iter().filter_map(|index| columns.get(*index)).collect();
    if key.is_empty() {
        return None;
    }
    let from: Vec<usize> = key.iter().map(|column| column.source).collect();
    let to: Vec<usize> = key.iter().map(|column| column.target).collect();
    let coarser = key.iter().map(|column| {
        let from = source.columns.get(column.source);
        let to = target.columns.get(column.target);
        from.zip(to).is_some_and(|(from, to)| is_coarser(from, to))
    });
    let (exactly, coarser) = (vec![false; key.len()], coarser.collect::<Vec<_>>());
    let look = |table, columns: &[usize], loosely: &[bool]| KeyLook {
        table,
        columns: columns.to_vec(),
        loosely: loosely.to_vec(),
    };
    let unproven = Unproven {
        subject: draft.subject(),
        at_source: (!is_unique(source, &from, false)).then(|| look(source, &from, &exactly)),
        at_target: (!is_unique(target, &to, false)).then(|| look(target, &to, &exactly)),
        merged: coarser
            .contains(&true)
            .then(|| [look(source, &from, &coarser), look(target, &to, &coarser)]),
    };
    let nothing =
        unproven.at_source.is_none() && unproven.at_target.is_none() && unproven.merged.is_none();
    (!nothing).then_some(unproven)
}

/// Whether a unique index of the table is over these columns: all of them, or `exactly` all.
pub(crate) fn is_unique(table: &Table, key: &[usize], exactly: bool) -> bool {
    table.uniques.iter().any(|unique| {
        !unique.columns.is_empty()
            && unique.columns.iter().all(|index| key.contains(index))
            && (!exactly || unique.columns.len() == key.len())
    })
}

fn is_coarser(from: &Column, to: &Column) -> bool {
    let text = |ty: &Type| matches!(ty, Type::Text { .. } | Type::Char { .. });
    from.exact_collation && !to.exact_collation && text(&from.ty) && text(&to.ty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::{TEXT, column, config, link, replicate, table};

    fn looks(change: impl FnOnce(&mut Table, &mut Table)) -> Vec<String> {
        let columns = || vec![column("code", TEXT, "text"), column("name", TEXT, "text")];
        let mut source = table("public", "goods", columns());
        let mut target = table("my_db", "goods", columns());
        change(&mut source, &mut target);
        let config = config(vec![replicate("pg", "my", &["public.*"])], Vec::new());
        let (sources, targets) = ([source], [target]);
        let found = unproven(&config, &link("pg", "my"), &sources, &targets, &Lists::default());
        let of_table = |table: &Unproven<'_>| {
            let merged = table.merged.as_ref().map(|[look, _]| look);
            let looks = [table.at_source.as_ref(), table.at_target.as_ref(), merged];
            let shown = looks.map(|look| look.map(|look| (look.columns.clone(), look.loosely[0])));
            format!("{shown:?}")
        };
        found.iter().map(of_table).collect()
    }

    /// Broken if a proven key cost the servers a look at a whole table, or one that is not went unseen.
    #[test]
    fn only_what_no_index_proves_is_looked_at() {
        assert!(looks(|_, _| {}).is_empty());
        let target = looks(|_, target| target.uniques.clear());
        assert_eq!(target, ["[None, Some(([0], false)), None]"]);
        let wider = looks(|_, target| target.uniques[0].columns = vec![0, 1]);
        assert_eq!(wider, target);
        let coarser = looks(|_, target| target.columns[0].exact_collation = false);
        assert_eq!(coarser, ["[None, None, Some(([0], true))]"]);
        let alike = looks(|source, target| {
            source.columns[0].exact_collation = false;
            target.columns[0].exact_collation = false;
        });
        assert!(alike.is_empty());
    }
}
