//! The match key of one table: whether rows can be matched at all, and each key column's way back.
//!
//! A key is compared exactly, is in every before image, and is unique on both sides; else nothing is carried.

use crate::config::Dialect;
use crate::error::Kind;
use crate::model::{Column, Identity, Table, TableName, Type};
use crate::plan::columns::Draft;
use crate::plan::unproven::is_unique;
use crate::plan::{ColumnPlan, Finding, sql};
use crate::transform::forms::convert::FormFit;
use crate::transform::{Fit, reverse};

impl Draft<'_> {
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

    pub(super) fn key_names(&self, findings: &mut Vec<Finding>) -> Option<Vec<String>> {
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
}
