//! The columns of one table: what is written, how each value crosses, and who is master of it.
//!
//! Columns meet by name, byte for byte. A column that only one side has is a finding unless it is
//! ignored, local or computed by the server, so that nothing is left out by a typo.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Dialect, LinkName};
use crate::error::Kind;
use crate::model::shape::Shape;
use crate::model::{Column, Table, Type};
use crate::plan::column_names::Role;
use crate::plan::select::Chosen;
use crate::plan::{ColumnPlan, Finding, ForeignColumn, UpsertStrategy};
use crate::transform::pair;
use crate::transform::rules::{Lists, Settings, Site, compile};

/// One table of a link while it is planned.
pub(crate) struct Draft<'a> {
    /// The link.
    pub(crate) link: &'a LinkName,
    /// Dialects of source and target.
    pub(crate) dialects: (Dialect, Dialect),
    /// What the configuration says.
    pub(crate) chosen: &'a Chosen<'a>,
    /// The source table.
    pub(crate) source: &'a Table,
    /// The target table.
    pub(crate) target: &'a Table,
    /// What becomes of values that a target cannot hold, in all tables.
    pub(crate) conversion: &'a Settings,
    /// The tables that steps look into.
    pub(crate) lists: &'a Lists,
}

impl Draft<'_> {
    /// A fatal finding about this table.
    pub(crate) fn finding(&self, kind: Kind, message: String, hint: String) -> Finding {
        Finding { fatal: true, kind, subject: self.subject(), message, hint, mend: Vec::new() }
    }

    /// The table as findings name it.
    pub(crate) fn subject(&self) -> String {
        match self.chosen.at() {
            "" => format!("{} -> {}", self.source.name, self.target.name),
            at => format!("{} -> {} ({at})", self.source.name, self.target.name),
        }
    }

    /// The columns that are written, in target order.
    pub(crate) fn columns(&self, findings: &mut Vec<Finding>) -> Vec<ColumnPlan> {
        let mut columns = Vec::new();
        let key = self.key_names(&mut Vec::new()).unwrap_or_default();
        for (target, column) in self.target.columns.iter().enumerate() {
            let name = self.source_name(&column.name);
            let ignored = self.ignored(name, Some(&column.name));
            let index = name.and_then(|name| self.source.column_index(name)).filter(|_| !ignored);
            match index.and_then(|source| Some((source, self.source.columns.get(source)?))) {
                Some((_, from)) if column.generated && !from.generated => {
                    findings.push(self.computed_at_target(from));
                }
                _ if column.generated => {}
                Some((source, from)) if !from.generated => {
                    let key = key.contains(&from.name);
                    let owned = match self.role(&from.name, key) {
                        Role::Foreign { comes_first: false, .. } => {
                            self.left_out(column, "comes with no insert", findings);
                            continue;
                        }
                        Role::Foreign { .. } | Role::Key => false,
                        Role::Owned => true,
                    };
                    let planned = self.column((source, from), (target, column), key, findings);
                    columns.extend(planned.map(|column| ColumnPlan { owned, ..column }));
                }
                Some(_) => self.left_out(column, "is computed at the source", findings),
                None if ignored => self.left_out(column, "is ignored", findings),
                None => findings.push(self.missing_at_source(column, name)),
            }
        }
        for column in &self.source.columns {
            let name = self.target_name(&column.name);
            let name = name.as_deref();
            let missing = name.is_none_or(|name| self.target.column_index(name).is_none());
            if missing && !column.generated && !self.ignored(Some(&column.name), name) {
                findings.push(self.missing_at_target(column, name));
            }
        }
        if self.makes_names() {
            findings.extend(self.one_name());
        }
        findings.extend(self.named_nowhere());
        columns
    }

    /// The columns of the source that other databases are master of.
    pub(crate) fn foreign(&self) -> Vec<ForeignColumn> {
        let key = self.key_names(&mut Vec::new()).unwrap_or_default();
        let columns = self.source.columns.iter().enumerate();
        let foreign = columns.filter_map(|(source, column)| {
            let name = self.target_name(&column.name);
            if column.generated || self.ignored(Some(&column.name), name.as_deref()) {
                return None;
            }
            let role = self.role(&column.name, key.contains(&column.name));
            let Role::Foreign { owner, on_flagged, comes_first } = role else { return None };
            Some(ForeignColumn {
                source,
                target: name.as_deref().and_then(|name| self.target.column_index(name)),
                owner: owner.to_owned(),
                on_flagged,
                comes_first,
                sensitive: self.is_sensitive(&column.name, name.as_deref().unwrap_or(&column.name)),
            })
        });
        foreign.collect()
    }

    /// Names under `local`, `sensitive` and `[table.*.column]` that are no column's: with a typo there,
    /// a column that was meant would be copied, or its values recorded.
    fn named_nowhere(&self) -> impl Iterator<Item = Finding> {
        let mapping = self.chosen.mapping.into_iter();
        let named = mapping.flat_map(|mapping| {
            let sensitive = mapping.sensitive.iter().filter(|name| !name.contains('*'));
            mapping.local.iter().chain(sensitive).chain(mapping.columns.keys())
        });
        let nowhere = named.filter(|name| {
            let there = self.name_in(name, &self.link.target);
            let names = [name.as_str(), self.source_column(name), there];
            let has = |table: &Table| names.iter().any(|name| table.column_index(name).is_some());
            !has(self.source) && !has(self.target)
        });
        nowhere.map(|name| {
            let alike = self.alike(name, self.source);
            self.finding(
                Kind::Mapping,
                format!("the configuration names column {name}, which neither table has{alike}"),
                "correct the name, or remove it".to_owned(),
            )
        })
    }

    /// Source columns that would be one at the target, by the names that are made for them.
    fn one_name(&self) -> Vec<Finding> {
        let mut names = BTreeMap::new();
        let mut findings = Vec::new();
        for column in &self.source.columns {
            let Some(there) = self.target_name(&column.name) else { continue };
            if self.ignored(Some(&column.name), Some(&there)) {
                continue;
            }
            if let Some(other) = names.insert(there.to_string(), &column.name) {
                findings.push(self.finding(
                    Kind::Mapping,
                    format!("columns {other} and {} are both called {there} at the target", column.name),
                    format!(
                        "name one of them under `[table.*.column]`, as in \"{}\" = {{ in.{} = \"…\" }}",
                        column.name, self.link.target
                    ),
                ));
            }
        }
        findings
    }

    fn missing_at_source(&self, column: &Column, name: Option<&str>) -> Finding {
        let alike = self.alike(name.unwrap_or(&column.name), self.source);
        self.finding(
            Kind::Mapping,
            format!("column {} is missing at the source{alike}", column.name),
            format!(
                "correct the name under `[table.*.column]`, or add \"{}\" to `ignore`",
                column.name
            ),
        )
    }

    fn missing_at_target(&self, column: &Column, name: Option<&str>) -> Finding {
        let (from, to) = self.dialects;
        // A type that has no like there cannot be added either.
        let alone = match column.ty.shape() {
            _ if column.ty == Type::Unsupported => true,
            Some(Shape::Opaque) => true,
            Some(_) => (from == Dialect::Postgres) == (to == Dialect::Postgres),
            None => false,
        };
        if alone && let Err(why) = pair(column, from, column, to) {
            return self.finding(
                Kind::Unsupported,
                format!("column {} cannot be replicated: {why}", column.name),
                format!("add \"{}\" to `ignore`", column.name),
            );
        }
        let alike = self.alike(name.unwrap_or(&column.name), self.target);
        let called = match name {
            Some(name) if name != column.name => format!(", where it is called {name}"),
            _ => String::new(),
        };
        let statement = format!("`weir ddl {}` prints its type", self.link);
        self.finding(
            Kind::Mapping,
            format!("column {} is missing at the target{called}{alike}", column.name),
            format!(
                "add the column to {} ({statement}), or add \"{}\" to `ignore`",
                self.target.name, column.name
            ),
        )
    }

    fn computed_at_target(&self, column: &Column) -> Finding {
        self.finding(
            Kind::Mapping,
            format!("column {} is computed at the target, so it cannot be written", column.name),
            format!("add \"{}\" to `ignore`, or make it a plain column", column.name),
        )
    }

    fn column(
        &self,
        (source, from): (usize, &Column),
        (target, to): (usize, &Column),
        key: bool,
        findings: &mut Vec<Finding>,
    ) -> Option<ColumnPlan> {
        let (steps, settings) = self.rules_of(&from.name);
        let site = Site {
            source: (self.source, from, self.dialects.0),
            target: (self.target, to, self.dialects.1),
            key,
            lists: self.lists,
        };
        match compile(&site, steps, &settings) {
            Ok(compiled) => {
                let sensitive = self.is_sensitive(&from.name, &to.name);
                let reverse = compiled.reverse.filter(|_| compiled.rules.is_some());
                let rules = compiled.rules.map(Arc::new);
                let column = ColumnPlan::of(source, target, compiled.conversion);
                Some(ColumnPlan { sensitive, reverse, rules, ..column })
            }
            Err(why) if !steps.is_empty() => {
                let message = format!("column {} cannot be replicated: {why}", from.name);
                findings.push(self.finding(
                    Kind::Mapping,
                    message,
                    format!(
                        "correct the steps that the column goes through to {}",
                        self.link.target
                    ),
                ));
                None
            }
            Err(why) => {
                let unsupported = [&from.ty, &to.ty]
                    .iter()
                    .any(|ty| matches!(ty, Type::Unsupported | Type::Native { .. }));
                let kind = if unsupported { Kind::Unsupported } else { Kind::Mapping };
                findings.push(self.finding(
                    kind,
                    format!("column {} cannot be replicated: {why}", from.name),
                    format!(
                        "add \"{}\" to `ignore`, or change the column's type on the target",
                        from.name
                    ),
                ));
                None
            }
        }
    }

    /// A target column that is not written must fill itself.
    fn left_out(&self, column: &Column, why: &str, findings: &mut Vec<Finding>) {
        let inserts = self.chosen.owns_rows(&self.link.source);
        if !inserts || column.nullable || column.has_default || column.auto_increment {
            return;
        }
        findings.push(self.finding(
            Kind::Mapping,
            format!(
                "column {} {why}, but takes no NULL and has no default: inserts would fail",
                column.name
            ),
            format!(
                "give {}.{} a default on the target, or let it take NULL",
                self.target.name, column.name
            ),
        ));
    }

    /// A column that differs from `name` by case only, in words.
    fn alike(&self, name: &str, table: &Table) -> String {
        let same = |column: &&Column| {
            column.name != name && column.name.to_lowercase() == name.to_lowercase()
        };
        match table.columns.iter().find(same) {
            Some(column) => format!(" (there is {}, which differs by case)", column.name),
            None => String::new(),
        }
    }

    /// How an insert-or-update may be written.
    pub(crate) fn upsert(&self, key: &[usize], columns: &[ColumnPlan]) -> UpsertStrategy {
        if self.dialects.1 == Dialect::Postgres {
            return UpsertStrategy::Native;
        }
        let sole = self.target.uniques.len() == 1 && self.target.odd_unique_indexes.is_empty();
        let exact = key.iter().all(|index| {
            columns
                .get(*index)
                .and_then(|column| self.target.columns.get(column.target))
                .is_some_and(|column| column.exact_collation)
        });
        if sole && exact { UpsertStrategy::Native } else { UpsertStrategy::UpdateThenInsert }
    }
}
