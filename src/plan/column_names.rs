//! What one column is called at the source, at the target and in the configuration, and what patterns
//! of the configuration say of it: whether it is left out, who is master of it, and whether its values are
//! secrets.
//!
//! Names meet byte for byte. How the columns that remain are converted is in `columns`.

use std::borrow::Cow;

use crate::config::pattern::matches_name;
use crate::config::{Dialect, Initial, OnFlagged};
use crate::plan::columns::Draft;
use crate::plan::naming::Naming;
use crate::transform::rules::{Settings, Step};

/// What the source may do with a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role<'a> {
    /// It is master of it.
    Owned,
    /// It finds rows of another master by it.
    Key,
    /// Another database is master of it.
    Foreign {
        /// That database.
        owner: &'a str,
        /// What is done about a write of it.
        on_flagged: OnFlagged,
        /// Whether its first value comes with the insert of a row.
        comes_first: bool,
    },
}

impl Draft<'_> {
    /// Whether the column is not replicated, under either of its names.
    pub(super) fn ignored(&self, source: Option<&str>, target: Option<&str>) -> bool {
        let local = self.chosen.mapping.map(|mapping| &mapping.local);
        let logical = source.and_then(|name| self.logical_name(name, &self.link.source));
        let names = [source, target, logical];
        let is_local = |local: &String| names.iter().flatten().any(|name| name == local);
        self.covered(names) || local.into_iter().flatten().any(is_local)
    }

    /// Whether a pattern of `ignore` matches one of the names of a column.
    fn covered(&self, names: [Option<&str>; 3]) -> bool {
        let rules = self.chosen.mapping.map(|mapping| &mapping.ignore);
        let more = self.chosen.replicate.map(|replicate| &replicate.ignore);
        rules.into_iter().chain(more).flatten().any(|pattern| matches_any(pattern, names))
    }

    /// Whether the values of a column are kept out of records: as the column itself says, or by a
    /// pattern of `sensitive` that matches one of its names.
    pub(super) fn is_sensitive(&self, source: &str, target: &str) -> bool {
        let logical = self.logical_name(source, &self.link.source);
        let mapping = self.chosen.mapping;
        let own = mapping
            .zip(logical)
            .and_then(|(mapping, logical)| mapping.sensitive_columns.get(logical).copied());
        let rules = mapping.map(|mapping| &mapping.sensitive);
        let more = self.chosen.replicate.map(|replicate| &replicate.sensitive);
        let names = [Some(source), Some(target), logical];
        own.unwrap_or_else(|| {
            rules.into_iter().chain(more).flatten().any(|pattern| matches_any(pattern, names))
        })
    }

    /// What the source may do with a column of its own.
    pub(super) fn role(&self, source: &str, is_key: bool) -> Role<'_> {
        let owns_rows = self.chosen.owns_rows(&self.link.source);
        let logical = self.logical_name(source, &self.link.source);
        let Some((mapping, logical)) = self.chosen.mapping.zip(logical) else { return Role::Owned };
        match mapping.owner_of(logical) {
            _ if is_key && owns_rows => Role::Owned,
            _ if is_key => Role::Key,
            None => Role::Owned,
            Some(owner) if owner == self.link.source => Role::Owned,
            Some(owner) => Role::Foreign {
                owner,
                on_flagged: mapping.on_flagged_of(logical),
                comes_first: owns_rows && mapping.initial_of(logical) == Initial::Accept,
            },
        }
    }

    /// The steps of a source column towards the target, and the settings that hold for it.
    pub(super) fn rules_of(&self, source: &str) -> (&[Step], Settings) {
        let logical = self.logical_name(source, &self.link.source);
        let Some((mapping, logical)) = self.chosen.mapping.zip(logical) else {
            return (&[], self.conversion.clone());
        };
        let lists = mapping.steps.get(logical);
        let steps = lists.and_then(|lists| lists.get(&self.link.target));
        let mut settings = self.conversion.under(&mapping.conversion);
        if let Some(own) = mapping.column_conversions.get(logical) {
            settings = settings.under(own);
        }
        (steps.map_or(&[], Vec::as_slice), settings)
    }

    /// Whether `ignore` names a source column. `local` ones are the target's own, not ignored there.
    pub(crate) fn is_ignored(&self, source: &str) -> bool {
        let logical = self.logical_name(source, &self.link.source);
        self.covered([Some(source), self.target_name(source).as_deref(), logical])
    }

    /// What a logical column is called at the source.
    pub(crate) fn source_column<'b>(&'b self, logical: &'b str) -> &'b str {
        self.name_in(logical, &self.link.source)
    }

    /// Whether two names are one column at the source: MySQL and MariaDB do not tell them by case.
    pub(crate) fn is_same(&self, one: &str, other: &str) -> bool {
        match self.dialects.0 {
            Dialect::Postgres => one == other,
            Dialect::Mysql | Dialect::Mariadb => one.to_lowercase() == other.to_lowercase(),
        }
    }

    /// The logical name of a column of `database`; `None` where that name belongs to a column that
    /// is called otherwise there.
    pub(super) fn logical_name<'b>(&'b self, name: &'b str, database: &str) -> Option<&'b str> {
        let Some(mapping) = self.chosen.mapping else { return Some(name) };
        let mut renamed = mapping.columns.iter();
        let found =
            renamed.find(|(_, names)| names.get(database).is_some_and(|other| other == name));
        match found {
            Some((logical, _)) => Some(logical),
            None => (self.name_in(name, database) == name).then_some(name),
        }
    }

    /// The name in `database` of a logical column.
    pub(super) fn name_in<'b>(&'b self, logical: &'b str, database: &str) -> &'b str {
        self.chosen
            .mapping
            .and_then(|mapping| mapping.columns.get(logical)?.get(database))
            .map_or(logical, String::as_str)
    }

    /// What a source column is called at the target.
    pub(crate) fn target_name<'b>(&'b self, source: &'b str) -> Option<Cow<'b, str>> {
        let logical = self.logical_name(source, &self.link.source)?;
        let mapping = self.chosen.mapping;
        let written = mapping
            .and_then(|mapping| mapping.columns.get(logical))
            .and_then(|names| names.get(&self.link.target));
        Some(match written {
            Some(name) => Cow::Borrowed(name),
            None => self.naming(Some(logical)).apply(logical),
        })
    }

    /// How names are made of a logical column, or of the table's columns.
    fn naming(&self, logical: Option<&str>) -> Naming {
        let mapping = self.chosen.mapping;
        let own = logical
            .and_then(|name| mapping.and_then(|mapping| mapping.column_conversions.get(name)));
        let table = mapping.map(|mapping| &mapping.conversion);
        Naming::of(own.into_iter().chain(table).chain([self.conversion]))
    }

    /// Whether any column may be called otherwise at the target without being named.
    pub(super) fn makes_names(&self) -> bool {
        let mapping = self.chosen.mapping.into_iter();
        let mut own = mapping.flat_map(|mapping| mapping.column_conversions.values());
        self.naming(None) != Naming::Keep || own.any(|own| Naming::of([own]) != Naming::Keep)
    }

    /// What a target column is called at the source.
    pub(super) fn source_name<'b>(&'b self, target: &'b str) -> Option<&'b str> {
        if self.makes_names() {
            let names = self.source.columns.iter().map(|column| column.name.as_str());
            let called = |name: &&str| self.target_name(name).is_some_and(|there| there == target);
            return names.into_iter().find(called);
        }
        let logical = self.logical_name(target, &self.link.target)?;
        Some(self.name_in(logical, &self.link.source))
    }
}

/// Whether a pattern matches one of the names of a column.
fn matches_any(pattern: &str, names: [Option<&str>; 3]) -> bool {
    names.iter().flatten().any(|name| matches_name(pattern, name))
}
