//! Foreign keys of a target between tables that a link writes and tables that it does not: what the
//! link's changes do to the others, and the others' to the link's. Whether that is meant, the operator
//! knows; `weir check` says it by name. Pure.

use crate::error::Kind;
use crate::model::schema::Rule;
use crate::model::{Table, TableName};
use crate::plan::Finding;

/// A foreign key of a target, by its two tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OuterKey {
    /// Constraint name.
    pub(crate) name: String,
    /// The table that has it.
    pub(crate) child: TableName,
    /// The table that it refers to.
    pub(crate) parent: TableName,
    /// What a delete of the parent's row does.
    pub(crate) on_delete: Rule,
    /// What a change of the parent's key does.
    pub(crate) on_update: Rule,
}

impl OuterKey {
    fn acts(&self) -> bool {
        self.on_delete.acts() || self.on_update.acts()
    }

    fn rules(&self) -> String {
        format!("ON DELETE {} ON UPDATE {}", self.on_delete.sql(), self.on_update.sql())
    }
}

/// A warning for each of `keys` of which one end only is among `tables`, those that the link writes;
/// keys that refuse to let a parent go say so themselves when it happens.
pub(crate) fn warnings(keys: &[OuterKey], tables: &[&Table]) -> Vec<Finding> {
    let is_written = |name: &TableName| tables.iter().any(|table| table.name == *name);
    let mut findings = Vec::new();
    for key in keys {
        let (name, rules) = (&key.name, key.rules());
        let (table, message, hint) = match (is_written(&key.child), is_written(&key.parent)) {
            (false, true) if key.acts() => (
                &key.parent,
                format!(
                    "foreign key {name} of {}, which the link does not write, changes its rows \
                     ({rules}) when the link deletes rows here or changes their keys",
                    key.child
                ),
                format!(
                    "leave it if that is meant; else replicate {} too, or make the key one without an action",
                    key.child
                ),
            ),
            (true, false) => {
                let reached = keys.iter().any(|other| {
                    other.acts() && other.child == key.parent && is_written(&other.parent)
                });
                let then = match (key.acts(), reached) {
                    (false, _) => String::new(),
                    (true, false) => {
                        format!(", and what is changed there changes rows here ({rules})")
                    }
                    (true, true) => format!(
                        ", and what the link's changes do there by other keys changes rows here ({rules}), \
                         which the source may keep"
                    ),
                };
                (
                    &key.child,
                    format!(
                        "foreign key {name} refers to {}, which the link does not write: a row whose \
                         parent is not there is refused{then}",
                        key.parent
                    ),
                    format!(
                        "replicate {} too, fill it otherwise, or drop the key on the target",
                        key.parent
                    ),
                )
            }
            _ => continue,
        };
        findings.push(Finding {
            fatal: false,
            kind: Kind::Mapping,
            subject: format!("table {table}"),
            message,
            hint,
            mend: Vec::new(),
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::{BIGINT, column, table};

    /// Broken if rows went by keys that nobody told of, or an operator were warned of keys that are the
    /// link's own or do nothing.
    #[test]
    fn keys_beyond_the_link_are_told() {
        let key = |child: &str, parent: &str, on_delete| OuterKey {
            name: "k".into(),
            child: TableName::new("s", child),
            parent: TableName::new("s", parent),
            on_delete,
            on_update: Rule::Refuse,
        };
        let written = ["a", "b"].map(|name| table("s", name, vec![column("id", BIGINT, "bigint")]));
        let told = |keys: &[OuterKey]| {
            let found = warnings(keys, &written.each_ref());
            assert!(found.iter().all(|one| !one.fatal));
            found
                .into_iter()
                .map(|one| format!("{}: {}", one.subject, one.message))
                .collect::<Vec<_>>()
        };
        assert!(told(&[key("a", "b", Rule::Cascade), key("x", "y", Rule::Cascade)]).is_empty());
        assert!(told(&[key("x", "a", Rule::Refuse)]).is_empty());
        let cascading = key("x", "a", Rule::Cascade);
        let found = told(std::slice::from_ref(&cascading));
        assert!(
            found[0].starts_with("table s.a: foreign key k of s.x, which the link does not write")
        );
        let found = told(&[key("b", "x", Rule::Refuse)]);
        assert!(found[0].starts_with("table s.b: ") && found[0].ends_with("not there is refused"));
        let found = told(&[key("b", "x", Rule::SetNull)]);
        assert!(found[0].contains("what is changed there changes rows here (ON DELETE SET NULL"));
        let found = told(&[cascading, key("b", "x", Rule::Cascade)]);
        assert!(found[1].ends_with("which the source may keep"), "{found:?}");
    }
}
