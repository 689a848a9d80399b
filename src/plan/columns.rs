//! The columns and the match key of one table: what is written, how each value crosses, and
//! whether rows can be matched at all.
//!
//! Columns meet by name, byte for byte. A column that only one side has is a finding unless it is
//! ignored, local or computed by the server, so that nothing is left out by a typo.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Dialect, LinkName};
use crate::error::Kind;
use crate::model::shape::Shape;
use crate::model::{Column, Identity, Table, TableName, Type};
use crate::plan::select::Chosen;
use crate::plan::unproven::is_unique;
use crate::plan::{ColumnPlan, Finding, UpsertStrategy, sql};
use crate::transform::forms::convert::FormFit;
use crate::transform::rules::{Settings, Site, compile};
use crate::transform::{Fit, pair, reverse};

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
                    columns.extend(self.column((source, from), (target, column), key, findings));
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
        if column.nullable || column.has_default || column.auto_increment {
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

    /// The match key as indexes into `columns`, which get their way back; empty with findings.
    pub(crate) fn key(
        &self,
        columns: &mut [ColumnPlan],
        findings: &mut Vec<Finding>,
    ) -> Vec<usize> {
        let before = findings.len();
        let Some(names) = self.key_names(findings) else { return Vec::new() };
        let mut key = Vec::new();
        for name in &names {
            let found = columns.iter().position(|column| {
                self.source.columns.get(column.source).is_some_and(|source| source.name == *name)
            });
            match found {
                Some(index) => key.push(index),
                None => findings.push(self.finding(
                    Kind::Mapping,
                    format!("match key column {name} is not among the columns that are replicated"),
                    "correct `key`, or take the column out of `ignore` and `local`".to_owned(),
                )),
            }
        }
        for index in &key {
            if let Some(column) = columns.get_mut(*index) {
                self.key_column(column, findings);
            }
        }
        if findings.len() == before {
            self.key_matches(&key, columns, findings);
        }
        key
    }

    fn key_names(&self, findings: &mut Vec<Finding>) -> Option<Vec<String>> {
        if let Some(key) = self.chosen.mapping.and_then(|mapping| mapping.key.as_ref()) {
            let names = key.iter().map(|name| self.name_in(name, &self.link.source).to_owned());
            return Some(names.collect());
        }
        let Some(primary) = self.source.primary_key() else {
            findings.push(self.finding(
                Kind::Mapping,
                "the source table has no primary key, so its rows cannot be matched".to_owned(),
                format!("add one (ALTER TABLE {} ADD PRIMARY KEY (…)), or set `key` in a [table.*] to columns that are unique on both sides",
                    self.source.name),
            ));
            return None;
        };
        let names = primary.iter().filter_map(|index| self.source.columns.get(*index));
        Some(names.map(|column| column.name.clone()).collect())
    }

    /// Checks one key column, and gives it the way back.
    fn key_column(&self, column: &mut ColumnPlan, findings: &mut Vec<Finding>) {
        let (Some(from), Some(to)) =
            (self.source.columns.get(column.source), self.target.columns.get(column.target))
        else {
            return;
        };
        let mut refuse = |message: String, hint: &str| {
            findings.push(self.finding(Kind::Mapping, message, hint.to_owned()));
        };
        let inexact = [&from.ty, &to.ty].into_iter().any(|ty| match ty {
            Type::F32 | Type::F64 => true,
            ty => !ty.has_one_text(),
        });
        if inexact || matches!(from.ty, Type::Json(_)) || matches!(to.ty, Type::Json(_)) {
            refuse(
                format!(
                    "match key column {} is {}, which cannot be compared exactly",
                    from.name, from.native
                ),
                "choose a `key` without floats, JSON and types whose texts are not unique",
            );
            return;
        }
        if column.sensitive {
            refuse(
                format!(
                    "match key column {} is sensitive: weir.missed and weir.dead_letter name rows by it",
                    from.name
                ),
                "take it out of `sensitive`, or choose another `key`",
            );
        }
        if from.nullable {
            refuse(
                format!(
                    "match key column {} may be NULL at the source: such rows match nothing",
                    from.name
                ),
                "make the column NOT NULL, or choose another `key`",
            );
        }
        if self.dialects.1 == Dialect::Postgres && !to.exact_collation {
            refuse(
                format!(
                    "match key column {} compares by a nondeterministic collation on the target: \
                     two source rows could be one there",
                    to.name
                ),
                "give the target's column a deterministic collation (COLLATE \"C\")",
            );
        }
        column.conversion.nullable = false;
        if let Err(why) = self.way_back(column, from, to) {
            refuse(
                format!("match key column {} has no way back to the source: {why}", from.name),
                "change the column's type on the target, or choose another `key`",
            );
        }
    }

    /// Gives a key column its way back; steps have brought theirs.
    fn way_back(&self, column: &mut ColumnPlan, from: &Column, to: &Column) -> Result<(), String> {
        if column.rules.is_some() && column.reverse.is_some() {
            return Ok(());
        }
        // One key must have one spelling, or two source rows would meet in one target row.
        if let Fit::UuidFromText { lower_only } = &mut column.conversion.fit {
            *lower_only = true;
        }
        if let Fit::Form(fit) = &mut column.conversion.fit
            && let FormFit::Parsed { spelled, .. } = &mut **fit
        {
            *spelled = true;
        }
        column.reverse = Some(reverse(from, self.dialects.0, to, self.dialects.1)?);
        Ok(())
    }

    /// Whether the key is in the before image and unique on both sides.
    fn key_matches(&self, key: &[usize], columns: &[ColumnPlan], findings: &mut Vec<Finding>) {
        let side = |pick: fn(&ColumnPlan) -> usize| -> Vec<usize> {
            key.iter().filter_map(|index| columns.get(*index)).map(pick).collect()
        };
        let (source, target) = (side(|column| column.source), side(|column| column.target));
        self.key_is_known(&source, findings);
        if !is_unique(self.source, &source, false) {
            findings.push(self.not_unique("source", self.source, &source, self.dialects.0));
        }
        if !is_unique(self.target, &target, true) {
            findings.push(self.not_unique("target", self.target, &target, self.dialects.1));
        }
    }

    /// Whether the before images of the table, or of every partition, hold the key.
    fn key_is_known(&self, key: &[usize], findings: &mut Vec<Finding>) {
        let holds = |identity: &Identity| match identity {
            Identity::Full => true,
            Identity::Columns(columns) => key.iter().all(|index| columns.contains(index)),
            Identity::Nothing => false,
            // Told apart below.
            Identity::Unsendable => true,
        };
        let partitions = &self.source.partitions;
        let unknown = if partitions.is_empty() {
            (!holds(&self.source.identity)).then_some((&self.source.name, String::new()))
        } else {
            let less = partitions.iter().find(|partition| !holds(&partition.identity));
            less.map(|less| (&less.name, format!(" of its partition {}", less.name)))
        };
        if let Some((name, of)) = unknown {
            let message = format!(
                "the match key is not in the before image{of}: deletes and key changes could not be \
                 found"
            );
            findings.push(self.before_image(name, message));
        }
        let members = partitions.iter().map(|partition| (&partition.name, &partition.identity));
        let own = partitions.is_empty().then_some((&self.source.name, &self.source.identity));
        let mut judged = members.chain(own);
        if let Some((name, _)) = judged.find(|(_, identity)| **identity == Identity::Unsendable) {
            let message = format!(
                "once it is published, the server would refuse every UPDATE and DELETE of it: the \
                 replica identity of {name} holds computed columns"
            );
            let hint = "or USING INDEX with a unique index over plain columns".to_owned();
            let finding = self.finding(Kind::Mapping, message, hint);
            findings.push(finding.mended_by([self.identify(name, "DEFAULT")]));
        }
    }

    fn before_image(&self, name: &TableName, message: String) -> Finding {
        match self.dialects.0 {
            Dialect::Postgres => {
                let hint = "or USING INDEX with a unique index over the match key".to_owned();
                let finding = self.finding(Kind::Mapping, message, hint);
                finding.mended_by([self.identify(name, "FULL")])
            }
            Dialect::Mysql | Dialect::Mariadb => {
                let hint = "set binlog_row_image = FULL on the source".to_owned();
                self.finding(Kind::Mapping, message, hint)
            }
        }
    }

    fn identify(&self, name: &TableName, by: &str) -> String {
        format!("ALTER TABLE {} REPLICA IDENTITY {by}", sql::quote_table(self.dialects.0, name))
    }

    fn not_unique(&self, side: &str, table: &Table, key: &[usize], dialect: Dialect) -> Finding {
        let names: Vec<&str> = key
            .iter()
            .filter_map(|index| table.columns.get(*index))
            .map(|column| column.name.as_str())
            .collect();
        let quoted: Vec<_> = names.iter().map(|name| sql::quote(dialect, name)).collect();
        let (names, quoted) = (names.join(", "), quoted.join(", "));
        let table = sql::quote_table(dialect, &table.name);
        let finding = self.finding(
            Kind::Mapping,
            format!("no unique index of the {side} table is over the match key ({names})"),
            "or choose another `key`".to_owned(),
        );
        finding.mended_by([format!("ALTER TABLE {table} ADD UNIQUE ({quoted})")])
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
