//! Table patterns: which tables of a catalog are wanted.
//!
//! One rule for every place that reads patterns ([`crate::config::pattern`]), so that a table is
//! chosen alike by the configuration, the planner and both rooms' catalogs.

use std::collections::BTreeSet;

use crate::config::pattern::matches;
use crate::model::TableName;

/// Which tables of a catalog are wanted: `schema.table` patterns with `*`, minus exclusions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Patterns of tables wanted.
    pub include: Vec<String>,
    /// Patterns of tables left out.
    pub exclude: Vec<String>,
}

impl Selection {
    /// Whether the table is wanted: some pattern of `include` matches it and none of `exclude`.
    /// `*` stands for any characters within its half of `schema.table`; all else is byte for byte.
    pub fn matches(&self, name: &TableName) -> bool {
        let any = |patterns: &[String]| {
            patterns.iter().any(|pattern| matches(pattern, &name.schema, &name.table))
        };
        any(&self.include) && !any(&self.exclude)
    }

    /// In lower case, for names that are [`TableName::folded`].
    #[must_use]
    pub fn folded(&self) -> Self {
        let lower = |patterns: &[String]| patterns.iter().map(|one| one.to_lowercase()).collect();
        Selection { include: lower(&self.include), exclude: lower(&self.exclude) }
    }

    /// The schemas that it wants tables of: names, and patterns with `*`.
    pub fn schemas(&self) -> Vec<&str> {
        let halves = self.include.iter().filter_map(|pattern| pattern.split_once('.'));
        halves.map(|(schema, _)| schema).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whether the table is wanted by its very name. What is no table (a view, a sequence) is not
    /// meant by a pattern, and is refused only where it is named.
    pub fn names(&self, name: &TableName) -> bool {
        self.matches(name) && self.include.contains(&name.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a pattern took in tables nobody asked for, or left out one that was.
    #[test]
    fn patterns_match_whole_names() {
        for (pattern, schema, table, expected) in [
            ("shop.*", "shop", "orders", true),
            ("shop.*", "shop2", "orders", false),
            ("shop.tmp_*", "shop", "tmp_", true),
            ("shop.tmp_*", "shop", "tmp", false),
            ("*.orders", "a.b", "orders", true),
            ("s.a*b*c", "s", "a__b__c", true),
            ("s.a*b*c", "s", "ac", false),
            ("s.*a*", "s", "bab", true),
            ("s.**", "s", "", true),
            ("s.Orders", "s", "orders", false),
            ("orders", "s", "orders", false),
        ] {
            assert_eq!(matches(pattern, schema, table), expected, "{pattern}");
        }
        let selection = Selection { include: vec!["s.*".into()], exclude: vec!["s.x".into()] };
        assert!(selection.matches(&TableName::new("s", "y")));
        assert!(!selection.matches(&TableName::new("s", "x")));
    }
}
