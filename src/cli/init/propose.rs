//! What is proposed for each table: its counterpart, its key, and what has to be left out. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::context::{Catalogs, Ends};
use crate::config::Dialect;
use crate::model::{Column, Table, TableName};
use crate::plan::Blueprint;
use crate::plan::select::default_place;
use crate::transform::pair;

/// What is to be written.
pub(super) struct Proposal<'a> {
    /// Patterns of source tables.
    pub(super) patterns: Vec<String>,
    /// The target's schema or database, where it is not the one that a table goes to by itself.
    pub(super) into: Option<String>,
    /// Every table that the patterns match, by name.
    pub(super) tables: Vec<Proposed<'a>>,
    /// Which tables hold rows.
    pub(super) rows: Rows,
}

impl Proposal<'_> {
    /// The tables that are not left out.
    pub(super) fn carried(&self) -> impl Iterator<Item = &Proposed<'_>> {
        self.tables.iter().filter(|table| table.excluded.is_none())
    }
}

/// Tables that hold rows; `None` where that could not be seen.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) source: Option<Vec<TableName>>,
    pub(super) target: Option<Vec<TableName>>,
}

/// What is proposed for one table.
pub(super) struct Proposed<'a> {
    pub(super) source: &'a Table,
    /// Its name at the target.
    pub(super) target: TableName,
    /// The target's table, where there is one.
    pub(super) found: Option<&'a Table>,
    /// Columns to match rows by, where the source has no primary key.
    pub(super) key: Option<Vec<String>>,
    /// Columns that are left out, with the reason.
    pub(super) ignore: Vec<(String, String)>,
    /// Columns with another name at the target: source, target.
    pub(super) columns: Vec<(String, String)>,
    /// Why the whole table is left out.
    pub(super) excluded: Option<String>,
}

impl Proposed<'_> {
    /// The name at the target, where it is not the source's.
    pub(super) fn rename(&self) -> Option<&str> {
        let name = self.target.table.as_str();
        (name != self.source.name.table).then_some(name)
    }

    /// Whether the table needs a section of its own.
    pub(super) fn differs(&self) -> bool {
        self.key.is_some() || !self.ignore.is_empty() || !self.columns.is_empty()
    }
}

/// Proposes what both catalogs allow.
pub(super) fn propose<'a>(
    ends: &Ends<'_>,
    catalogs: &'a Catalogs,
    patterns: &[String],
) -> Proposal<'a> {
    let schemas: BTreeSet<&str> =
        catalogs.source.iter().map(|table| table.name.schema.as_str()).collect();
    let patterns = match patterns {
        [] => schemas.iter().map(|schema| format!("{schema}.*")).collect(),
        given => given.to_vec(),
    };
    let home = (default_place(ends.source), default_place(ends.target));
    let into = match schemas.first() {
        // On MySQL and MariaDB another place would be another database than the one asked for.
        Some(schema) if schemas.len() == 1 && ends.target.dialect == Dialect::Postgres => {
            let usual = if *schema == home.0 { home.1 } else { schema };
            other_place(catalogs, usual)
        }
        _ => None,
    };
    let place = |schema: &str| match &into {
        Some(into) => into.clone(),
        None if schema == home.0 => home.1.to_owned(),
        None => schema.to_owned(),
    };
    let tables = counterparts(ends, catalogs, place);
    Proposal { patterns, into, tables, rows: Rows::default() }
}

/// The target's schema that holds at least half of the tables, where the usual one holds none.
fn other_place(catalogs: &Catalogs, usual: &str) -> Option<String> {
    let names: BTreeSet<String> =
        catalogs.source.iter().map(|table| folded(&table.name.table)).collect();
    let mut held: BTreeMap<&str, usize> = BTreeMap::new();
    for table in catalogs.target.iter().filter(|table| names.contains(&folded(&table.name.table))) {
        *held.entry(&table.name.schema).or_default() += 1;
    }
    if held.contains_key(usual) {
        return None;
    }
    let (schema, count) = held.into_iter().max_by_key(|(_, count)| *count)?;
    (count * 2 >= names.len()).then(|| schema.to_owned())
}

fn counterparts<'a>(
    ends: &Ends<'_>,
    catalogs: &'a Catalogs,
    place: impl Fn(&str) -> String,
) -> Vec<Proposed<'a>> {
    let mut tables = Vec::new();
    let mut by_schema: BTreeMap<&str, Vec<&'a Table>> = BTreeMap::new();
    for table in &catalogs.source {
        by_schema.entry(&table.name.schema).or_default().push(table);
    }
    for (schema, sources) in by_schema {
        let place = place(schema);
        let there: Vec<&'a Table> =
            catalogs.target.iter().filter(|table| table.name.schema == place).collect();
        let names: Vec<&str> = sources.iter().map(|table| table.name.table.as_str()).collect();
        let theirs: Vec<&str> = there.iter().map(|table| table.name.table.as_str()).collect();
        for (source, found) in sources.into_iter().zip(meet(&names, &theirs)) {
            let found = found.and_then(|at| there.get(at).copied());
            let target = match found {
                Some(table) => table.name.clone(),
                None => {
                    let fitting = ends.target_room().fitting_name(&source.name.table);
                    TableName::new(place.clone(), fitting)
                }
            };
            tables.push(proposed(ends, source, target, found));
        }
    }
    tables
}

fn proposed<'a>(
    ends: &Ends<'_>,
    source: &'a Table,
    target: TableName,
    found: Option<&'a Table>,
) -> Proposed<'a> {
    let mut made = Proposed {
        source,
        target,
        found,
        key: key(source),
        ignore: Vec::new(),
        columns: Vec::new(),
        excluded: None,
    };
    match found {
        Some(table) => made.meet_columns(ends, table),
        None => made.make_columns(ends),
    }
    made
}

/// Columns that tell the rows apart where there is no primary key.
fn key(table: &Table) -> Option<Vec<String>> {
    if table.primary_key().is_some() {
        return None;
    }
    let names = |columns: &[usize]| -> Option<Vec<String>> {
        let columns = columns.iter().map(|at| table.columns.get(*at));
        columns
            .map(|column| {
                column.filter(|column| !column.nullable).map(|column| column.name.clone())
            })
            .collect()
    };
    let keys = table.uniques.iter().filter_map(|unique| names(&unique.columns));
    keys.min_by_key(Vec::len)
}

impl Proposed<'_> {
    /// Columns of a table that both sides have.
    fn meet_columns(&mut self, ends: &Ends<'_>, target: &Table) {
        let names = |table: &Table| -> Vec<String> {
            table.columns.iter().map(|column| column.name.clone()).collect()
        };
        let (ours, theirs) = (names(self.source), names(target));
        let met = meet(&ours, &theirs);
        for (column, at) in self.source.columns.iter().zip(&met) {
            let found = at.and_then(|at| target.columns.get(at));
            match found {
                _ if column.generated => {}
                Some(to) => match pair(column, ends.source.dialect, to, ends.target.dialect) {
                    Ok(_) => self.rename_column(column, &to.name),
                    Err(why) => self.ignore.push((column.name.clone(), why)),
                },
                None => {
                    let why = format!("{} has no such column", self.target);
                    self.ignore.push((column.name.clone(), why));
                }
            }
        }
        for (at, column) in target.columns.iter().enumerate() {
            if !column.generated && !met.contains(&Some(at)) {
                let why = format!("{} has no such column", self.source.name);
                self.ignore.push((column.name.clone(), why));
            }
        }
    }

    /// Columns of a table that `weir ddl` will make.
    fn make_columns(&mut self, ends: &Ends<'_>) {
        let room = ends.target_room();
        let mut blueprint = Blueprint::of(self.source, self.target.clone());
        blueprint.table.unsupported = None;
        blueprint.refused = None;
        for column in &mut blueprint.table.columns {
            column.name = room.fitting_name(&column.name);
        }
        let columns = blueprint.table.columns.clone();
        let (from, to) = (ends.source.dialect, ends.target.dialect);
        let made = room.create_tables(&[blueprint], from, to);
        let left_out = made.first().map(|made| made.columns_left_out.as_slice());
        let left_out = left_out.unwrap_or_default();
        let mut own: Vec<(String, String)> = Vec::new();
        for (at, (column, fitting)) in self.source.columns.iter().zip(&columns).enumerate() {
            let why = left_out.iter().find(|(place, _)| *place == at);
            match why {
                _ if column.generated => {}
                Some((_, why)) => {
                    let why = format!("{} {}: {why}", ends.source.dialect, column.native);
                    own.push((column.name.clone(), why));
                }
                None => self.rename_column(column, &fitting.name),
            }
        }
        self.ignore.extend(own);
    }

    fn rename_column(&mut self, column: &Column, name: &str) {
        if column.name != name {
            self.columns.push((column.name.clone(), name.to_owned()));
        }
    }
}

/// For each of `ours`, the one of `theirs` that is meant: of the same name, or of the only one that is
/// the same but for case, blanks and punctuation.
fn meet<S: AsRef<str>>(ours: &[S], theirs: &[S]) -> Vec<Option<usize>> {
    let by_name: BTreeMap<&str, usize> =
        theirs.iter().enumerate().map(|(at, name)| (name.as_ref(), at)).collect();
    let mut met: Vec<Option<usize>> =
        ours.iter().map(|name| by_name.get(name.as_ref()).copied()).collect();
    let taken: BTreeSet<usize> = met.iter().flatten().copied().collect();
    // Those that are left, by what is common to their spellings.
    let mut spellings: BTreeMap<String, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (at, name) in ours.iter().enumerate() {
        spellings.entry(folded(name.as_ref())).or_default().0.push(at);
    }
    for (at, name) in theirs.iter().enumerate().filter(|(at, _)| !taken.contains(at)) {
        spellings.entry(folded(name.as_ref())).or_default().1.push(at);
    }
    for (spelling, alike) in spellings {
        // Where two could be meant, neither is.
        if let ([own], [other]) = (alike.0.as_slice(), alike.1.as_slice())
            && !spelling.is_empty()
            && let Some(slot @ None) = met.get_mut(*own)
        {
            *slot = Some(*other);
        }
    }
    met
}

/// A name without what often differs between two databases.
fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if two names were taken for one where more than one could be meant, or a plain
    /// counterpart was not seen.
    #[test]
    fn names_meet_where_only_one_is_meant() {
        let ours = ["OrderDetails", "My Table", "same", "Ab", "ä", "--"];
        let theirs = ["order_details", "my_table", "same", "AB", "a_b", "Ä", "__"];
        assert_eq!(meet(&ours, &theirs), [Some(0), Some(1), Some(2), None, Some(5), None]);
        assert_eq!(meet(&["Name", "name"], &["NAME"]), [None, None]);
        assert_eq!(meet(&["Name", "name"], &["name", "NAME"]), [None, Some(0)]);
    }
}
