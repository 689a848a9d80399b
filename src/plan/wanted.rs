//! Which source tables the configuration asks a link to carry, by name alone.
//!
//! The plan holds the tables that were there and visible when it was compiled. One that comes
//! later, is hidden by a missing grant, or has gone is not in it, and must not be passed over in
//! silence: this says whether the configuration means it.

use std::collections::BTreeSet;
use std::fmt;

use crate::error::{Error, Kind};
use crate::model::TableName;
use crate::plan::Selection;

/// Tables by pattern and by name, minus those that another rule takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// One per `[[replicate]]` of the link.
    pub(crate) rules: Vec<Selection>,
    /// Named by a `[table.*]` that the link carries.
    pub(crate) named: BTreeSet<TableName>,
    /// Named by a `[table.*]` that another database owns.
    pub(crate) elsewhere: BTreeSet<TableName>,
}

impl Wanted {
    /// Whether the link is to carry the table of this name.
    pub fn wants(&self, name: &TableName) -> bool {
        self.named.contains(name)
            || !self.elsewhere.contains(name) && self.rules.iter().any(|rule| rule.matches(name))
    }

    /// The same for a name as it is printed, `schema.table`, either of which may hold dots.
    pub fn wants_printed(&self, name: &str) -> bool {
        name.match_indices('.').any(|(dot, _)| {
            let (schema, table) = (name.get(..dot), name.get(dot + 1..));
            schema
                .zip(table)
                .is_some_and(|(schema, table)| self.wants(&TableName::new(schema, table)))
        })
    }

    /// In lower case, for a server that does not tell names apart by case.
    #[must_use]
    pub fn folded(&self) -> Self {
        let names = |names: &BTreeSet<TableName>| names.iter().map(TableName::folded).collect();
        Wanted {
            rules: self.rules.iter().map(Selection::folded).collect(),
            named: names(&self.named),
            elsewhere: names(&self.elsewhere),
        }
    }
}

/// As the configuration says it: patterns, names, and what is left out.
impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        for rule in &self.rules {
            let left_out = match rule.exclude.as_slice() {
                [] => String::new(),
                exclude => format!(" without {}", exclude.join(" ")),
            };
            parts.push(format!("{}{left_out}", rule.include.join(" ")));
        }
        parts.extend(self.named.iter().map(ToString::to_string));
        parts.extend(self.elsewhere.iter().map(|name| format!("not {name}")));
        f.write_str(&parts.join(", "))
    }
}

/// Changes of a table that the configuration asks for and the plan does not hold; the way on is the
/// room's to tell.
pub fn unplanned(name: &TableName) -> Error {
    let context = format!(
        "the log holds changes of {name}, which the configuration asks for and which was not there, \
         or hidden from weir, when the link started"
    );
    Error::new(Kind::SchemaChanged, context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(include: &str, exclude: &str) -> Selection {
        Selection { include: vec![include.into()], exclude: vec![exclude.into()] }
    }

    /// Broken if a table that the configuration means were passed over, or one that it excludes or
    /// gives to another database halted the link.
    #[test]
    fn rules_and_names_add_up() {
        let wanted = Wanted {
            rules: vec![rule("shop.*", "shop.tmp_*"), rule("a.b.*", "")],
            named: BTreeSet::from([TableName::new("shop", "tmp_kept")]),
            elsewhere: BTreeSet::from([TableName::new("shop", "theirs")]),
        };
        for (schema, table, expected) in [
            ("shop", "orders", true),
            ("shop", "tmp_x", false),
            ("shop", "tmp_kept", true),
            ("shop", "theirs", false),
            ("Shop", "orders", false),
        ] {
            let name = TableName::new(schema, table);
            assert_eq!(wanted.wants(&name), expected, "{name}");
            assert_eq!(wanted.wants_printed(&name.to_string()), expected, "{name}");
        }
        assert!(wanted.folded().wants(&TableName::new("shop", "orders")));
        let dotted = Wanted { rules: vec![rule("a.b*", "")], ..Wanted::default() };
        assert!(dotted.wants_printed("a.b.c") && !dotted.wants_printed("c"));
    }
}
