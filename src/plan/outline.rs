//! What a link carries and how, as far as the configuration decides it: kept with the checkpoint, so
//! that a changed configuration is compared with what runs, and not with a file that is gone.
//!
//! Types and conversions are not in it: they follow from the catalogs, whose changes are for
//! `link::review`. What a change causes is judged here alone, for `weir plan`, for `weir reload` and
//! for a link that starts with changed files. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::{Deletes, OnPoison, Truncates};
use crate::plan::{LinkPlan, TablePlan};

/// What a link carries and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// Its tables, by `schema.table` at the source.
    pub tables: BTreeMap<String, TableOutline>,
    /// Its options and both its ends, as they are written; no secrets.
    pub settings: BTreeMap<String, String>,
}

/// How one table is carried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableOutline {
    /// `schema.table` at the target.
    pub target: String,
    /// Source columns of the match key.
    pub key: Vec<String>,
    /// What deletes do.
    pub deletes: String,
    /// What TRUNCATE does.
    pub truncate: String,
    /// What a change does that the target refuses.
    #[serde(default = "parked")]
    pub on_poison: String,
    /// The columns that are written: the source's name and the target's.
    pub columns: BTreeMap<String, String>,
    /// Source columns whose values are kept out of records.
    #[serde(default)]
    pub sensitive: BTreeSet<String>,
    /// The steps and settings of source columns that have any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, String>,
    /// What tells the rows of the tables that source columns are looked up in from others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lists: BTreeMap<String, String>,
    /// The masters of source columns that are not the source's, and of the rows under the name "".
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub owners: BTreeMap<String, String>,
}

/// What [`TableOutline::on_poison`] is where nothing is written.
fn parked() -> String {
    "park".to_owned()
}

/// Whether a change may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It takes effect from now on.
    FromNow,
    /// Only where a person has decided so.
    Decision,
    /// Not without copying the table again.
    Refused,
}

/// One difference between what runs and what is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The table at the source; `None`: the link.
    pub table: Option<String>,
    /// Whether it may be made.
    pub verdict: Verdict,
    /// What differs, a phrase.
    pub what: String,
    /// What that causes, a phrase.
    pub effect: String,
}

/// The effect of what has no other.
const FROM_NOW: &str = "from now on";
/// The setting that is a digest, for nobody to read.
const RULES: &str = "rules";
/// The setting that says which tables are asked for.
const TABLES: &str = "tables";

/// What a table is that comes in.
const NEW: &str = "is new";
/// What a column is that comes in: its name in between.
const COLUMN: &str = "column ";
const CARRIED: &str = " is carried";

impl Difference {
    /// Whether its table comes in.
    pub fn is_of_new(&self) -> bool {
        self.what.starts_with(NEW)
    }

    /// The column of a table that was carried before which comes in.
    pub fn new_column(&self) -> Option<&str> {
        self.what.strip_prefix(COLUMN)?.strip_suffix(CARRIED)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(table) = &self.table {
            write!(f, "table {table}: ")?;
        }
        match self.effect.as_str() {
            FROM_NOW => f.write_str(&self.what),
            effect => write!(f, "{}; {effect}", self.what),
        }
    }
}

impl Outline {
    /// The outline of a compiled plan under these settings.
    pub fn of(plan: &LinkPlan, settings: BTreeMap<String, String>) -> Outline {
        let tables = plan.tables.iter();
        let tables = tables.map(|table| (table.source.name.to_string(), TableOutline::of(table)));
        let mut outline = Outline { tables: tables.collect(), settings };
        let rules = plan.wanted.to_string();
        outline.settings.insert(TABLES.to_owned(), rules);
        outline
    }

    /// Its digest, to be compared by people.
    pub fn digest(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        super::explain::digest_of([text.as_str()])
    }

    /// Whether it was made under these settings: whatever differs, it is not what is written.
    pub fn is_written_as(&self, settings: &BTreeMap<String, String>) -> bool {
        self.settings.iter().filter(|(key, _)| *key != TABLES).eq(settings)
    }

    /// The tables of which it matters whether they hold rows, if this comes after `before`.
    pub fn in_question(&self, before: &Outline) -> BTreeSet<String> {
        let is_filled_anew = |name: &String, table: &TableOutline| {
            before.tables.get(name).is_none_or(|old| {
                let placed = |(from, to): (&String, &String)| old.columns.get(from) == Some(to);
                old.target != table.target
                    || old.rules != table.rules
                    || !table.columns.iter().all(placed)
            })
        };
        let tables = self.tables.iter().filter(|(name, table)| is_filled_anew(name, table));
        tables.map(|(name, _)| name.clone()).collect()
    }

    /// Everything that differs from `before`, and what it causes. Of the tables [in
    /// question](Self::in_question), `filled` hold rows at the source.
    pub fn differences(&self, before: &Outline, filled: &BTreeSet<String>) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (name, table) in &self.tables {
            let mut found = match before.tables.get(name) {
                Some(old) => table.differences(old, filled.contains(name)),
                None => vec![added(table, filled.contains(name))],
            };
            found.iter_mut().for_each(|found| found.table = Some(name.clone()));
            differences.append(&mut found);
        }
        let removed = before.tables.iter().filter(|(name, _)| !self.tables.contains_key(*name));
        differences.extend(removed.map(|(name, old)| Difference {
            table: Some(name.clone()),
            verdict: Verdict::FromNow,
            what: "is no longer carried".to_owned(),
            effect: format!("its changes are passed over; the rows of {} stay", old.target),
        }));
        let keys: BTreeSet<_> = self.settings.keys().chain(before.settings.keys()).collect();
        for key in keys {
            let (old, new) = (before.settings.get(key), self.settings.get(key));
            if old != new && key == RULES {
                differences.push(from_now("its rules are written otherwise".to_owned()));
            } else if old != new {
                let text =
                    |value: Option<&String>| value.map_or("unset", String::as_str).to_owned();
                differences.push(from_now(format!("{key} was {}, is {}", text(old), text(new))));
            }
        }
        differences
    }
}

/// Who else is master of what in a table.
fn owners(table: &TablePlan) -> BTreeMap<String, String> {
    let name = |at: usize| Some(table.source.columns.get(at)?.name.clone());
    let foreign = table.foreign.iter();
    let columns = foreign.filter_map(|column| Some((name(column.source)?, column.owner.clone())));
    let rows = table.row_owner.iter().map(|owner| (String::new(), owner.clone()));
    columns.chain(rows).collect()
}

impl TableOutline {
    fn of(table: &TablePlan) -> TableOutline {
        let name = |column: &crate::plan::ColumnPlan| {
            let source = table.source.columns.get(column.source)?.name.clone();
            Some((source, table.target.columns.get(column.target)?.name.clone()))
        };
        let key = table.key.iter().filter_map(|index| name(table.columns.get(*index)?));
        let sensitive = table.columns.iter().filter(|column| column.sensitive).filter_map(name);
        let ruled = |column: &crate::plan::ColumnPlan| {
            Some((name(column)?.0, column.rules.as_ref()?.text().to_owned()))
        };
        let rules = table.columns.iter().filter_map(ruled);
        let looked_up = |column: &crate::plan::ColumnPlan| {
            Some((name(column)?.0, column.rules.as_ref()?.lists()?.to_owned()))
        };
        let lists = table.columns.iter().filter_map(looked_up);
        TableOutline {
            target: table.target.name.to_string(),
            key: key.map(|(source, _)| source).collect(),
            deletes: match table.deletes {
                Deletes::Apply => "apply",
                Deletes::Ignore => "ignore",
                Deletes::Flag => "flag",
            }
            .to_owned(),
            truncate: match table.truncate {
                Truncates::Halt => "halt",
                Truncates::Apply => "apply",
            }
            .to_owned(),
            on_poison: match table.on_poison {
                OnPoison::Park => parked(),
                OnPoison::Halt => "halt".to_owned(),
            },
            columns: table.columns.iter().filter_map(name).collect(),
            sensitive: sensitive.map(|(source, _)| source).collect(),
            rules: rules.collect(),
            lists: lists.collect(),
            owners: owners(table),
        }
    }

    fn differences(&self, before: &TableOutline, filled: bool) -> Vec<Difference> {
        let mut differences = Vec::new();
        if self.matched() != before.matched() {
            differences.push(Difference {
                table: None,
                verdict: Verdict::Refused,
                what: format!(
                    "its match key was ({}), is ({})",
                    before.said_key(),
                    self.said_key()
                ),
                effect: "rows that are there would not be found".to_owned(),
            });
        }
        if self.target != before.target {
            let (old, new) = (&before.target, &self.target);
            differences.push(Difference {
                effect: format!(
                    "{new} gets what changes from now on; the rows of {old} stay there"
                ),
                ..filling(filled, format!("goes to {new} instead of {old}"))
            });
        }
        for (what, old, new) in [
            ("deletes", &before.deletes, &self.deletes),
            ("truncate", &before.truncate, &self.truncate),
            ("on_poison", &before.on_poison, &self.on_poison),
        ] {
            if old != new {
                differences.push(from_now(format!("{what} was \"{old}\", is \"{new}\"")));
            }
        }
        differences.extend(self.columns_moved(before, filled));
        differences.extend(self.rules_differ(before, filled));
        differences.extend(self.lists_differ(before));
        differences.extend(self.owners_differ(before));
        let otherwise = before.sensitive.symmetric_difference(&self.sensitive);
        differences.extend(otherwise.filter(|name| before.is_written(name, self)).map(|name| {
            let now = if self.sensitive.contains(name) { "is" } else { "is no longer" };
            from_now(format!("column {name} {now} sensitive"))
        }));
        differences
    }

    /// What has another master: what was carried to one is then carried from it.
    fn owners_differ(&self, before: &TableOutline) -> Vec<Difference> {
        let names: BTreeSet<_> = self.owners.keys().chain(before.owners.keys()).collect();
        let changed =
            names.into_iter().filter(|name| self.owners.get(*name) != before.owners.get(*name));
        let difference = |name: &String| {
            let said =
                |owner: Option<&String>| owner.map_or("the source", String::as_str).to_owned();
            let what = if name.is_empty() { "which rows there are" } else { name };
            let (old, new) = (said(before.owners.get(name)), said(self.owners.get(name)));
            Difference {
                table: None,
                verdict: Verdict::Decision,
                what: format!("{what} belonged to {old}, belongs to {new}"),
                effect:
                    "from now on its values are taken there; compare both sides (`weir verify`) \
                         before and after"
                        .to_owned(),
            }
        };
        changed.map(difference).collect()
    }

    /// Columns that go through other steps; those that rows are matched by would not be found.
    fn rules_differ(&self, before: &TableOutline, filled: bool) -> Vec<Difference> {
        let names: BTreeSet<_> = self.rules.keys().chain(before.rules.keys()).collect();
        let changed = names.into_iter().filter(|name| {
            before.rules.get(*name) != self.rules.get(*name) && before.is_written(name, self)
        });
        let difference = |name: &String| {
            let found = Difference {
                effect: "rows go through them from now on; `weir snapshot LINK TABLE` then writes \
                         those that are there"
                    .to_owned(),
                ..filling(filled, format!("the rules of column {name} are others"))
            };
            match self.key.contains(name) {
                true => Difference {
                    verdict: Verdict::Refused,
                    effect: "rows that are there would not be found".to_owned(),
                    ..found
                },
                false => found,
            }
        };
        changed.map(difference).collect()
    }

    /// Columns whose steps are the same, and look into tables that hold something else now. A row whose match
    /// key becomes another by it would not be found.
    fn lists_differ(&self, before: &TableOutline) -> Vec<Difference> {
        let names = self.lists.keys().filter(|name| {
            before.rules.get(*name) == self.rules.get(*name)
                && before.lists.get(*name) != self.lists.get(*name)
        });
        let difference = |name: &String| {
            let found = from_now(format!("column {name} is looked up in other rows"));
            match self.key.contains(name) {
                true => Difference {
                    verdict: Verdict::Decision,
                    effect:
                        "rows are matched by it: those whose entries changed would not be found; \
                             compare both sides (`weir verify`) afterwards"
                            .to_owned(),
                    ..found
                },
                false => Difference {
                    effect:
                        "values are taken from these from now on; `weir snapshot LINK TABLE` then \
                             writes those that are there"
                            .to_owned(),
                    ..found
                },
            }
        };
        names.map(difference).collect()
    }

    /// Whether a column is carried before and after.
    fn is_written(&self, column: &str, after: &TableOutline) -> bool {
        self.columns.contains_key(column) && after.columns.contains_key(column)
    }

    /// The match key: what finds a row, here and there.
    fn matched(&self) -> Vec<(&String, Option<&String>)> {
        self.key.iter().map(|column| (column, self.columns.get(column))).collect()
    }

    fn said_key(&self) -> String {
        let said = |(here, there): (&String, Option<&String>)| match there {
            Some(there) if there != here => format!("{here} -> {there}"),
            _ => here.clone(),
        };
        self.matched().into_iter().map(said).collect::<Vec<_>>().join(", ")
    }

    /// Columns that come, go or go elsewhere; those of the match key are judged with it.
    fn columns_moved(&self, before: &TableOutline, filled: bool) -> Vec<Difference> {
        let names: BTreeSet<_> = self.columns.keys().chain(before.columns.keys()).collect();
        let names = names
            .into_iter()
            .filter(|name| !(self.key.contains(*name) && before.key.contains(*name)));
        names
            .filter_map(|column| match (before.columns.get(column), self.columns.get(column)) {
                (old, new) if old == new => None,
                (Some(old), Some(new)) => Some(Difference {
                    effect: format!(
                        "{new} gets what changes from now on; the values of {old} stay there"
                    ),
                    ..filling(filled, format!("column {column} goes to {new} instead of {old}"))
                }),
                (None, _) => Some(Difference {
                    effect:
                        "rows get it where it changes from now on; `weir snapshot LINK TABLE` then \
                             copies the values that are there"
                            .to_owned(),
                    ..filling(filled, format!("{COLUMN}{column}{CARRIED}"))
                }),
                (_, None) => Some(Difference {
                    effect: "its values on the target stay".to_owned(),
                    ..from_now(format!("column {column} is no longer carried"))
                }),
            })
            .collect()
    }
}

fn added(table: &TableOutline, filled: bool) -> Difference {
    let effect = match filled {
        true => {
            "what changes is carried from now on; `weir snapshot LINK TABLE` then copies the rows that \
             it holds already"
        }
        false => "it is empty: every row of it is carried",
    };
    let what = format!("{NEW}, and goes to {}", table.target);
    Difference { effect: effect.to_owned(), ..filling(filled, what) }
}

fn from_now(what: String) -> Difference {
    let effect = FROM_NOW.to_owned();
    Difference { table: None, verdict: Verdict::FromNow, what, effect }
}

/// What leaves rows that are there already as they are on the target: a person decides that.
fn filling(filled: bool, what: String) -> Difference {
    let verdict = if filled { Verdict::Decision } else { Verdict::FromNow };
    Difference { verdict, ..from_now(what) }
}

#[cfg(test)]
mod tests;
