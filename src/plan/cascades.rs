//! What foreign keys of the source do to rows without a trace in its log.
//!
//! A server that carries out CASCADE or SET NULL below its log leaves weir with the parent's change
//! alone. The rows that refer to it change on the target only if a foreign key there does the same,
//! and only if weir applies the parent's change; everything else would differ for ever, in silence.

use crate::config::Deletes;
use crate::error::Kind;
use crate::model::{ForeignKey, TableName};
use crate::plan::{Finding, TablePlan};

/// A finding for each such key without its like on the target. `chosen` tells the source tables
/// that are to cross, also those that have no plan for other reasons.
pub(crate) fn check(
    tables: &[TablePlan],
    chosen: impl Fn(&TableName) -> bool,
    findings: &mut Vec<Finding>,
) {
    for child in tables {
        for key in child.source.foreign_keys.iter().filter(|key| matters(child, key)) {
            let parent = tables.iter().find(|table| table.source.name == key.parent);
            match parent {
                Some(parent) if carried(child, parent, key) => {}
                None if chosen(&key.parent) => {}
                parent => findings.push(finding(child, parent, key)),
            }
        }
    }
}

/// Whether the key changes rows that are written, unseen.
fn matters(child: &TablePlan, key: &ForeignKey) -> bool {
    let written = key.columns.iter().any(|name| at_target(child, name).is_some());
    !key.logged && (deletes(child, key) || written && (sets(key) || key.on_update.acts()))
}

/// Whether a delete of the parent's row deletes rows that weir would delete too.
fn deletes(child: &TablePlan, key: &ForeignKey) -> bool {
    key.on_delete.acts() && !sets(key) && child.deletes == Deletes::Apply
}

fn sets(key: &ForeignKey) -> bool {
    use crate::model::schema::Rule;
    matches!(key.on_delete, Rule::SetNull | Rule::SetDefault)
}

/// Whether the target does the same by a key of its own.
fn carried(child: &TablePlan, parent: &TablePlan, key: &ForeignKey) -> bool {
    let wanted = pairs(key, child, parent);
    let like = |own: &&ForeignKey| {
        let mut pairs: Vec<_> = own.columns.iter().zip(&own.parent_columns).collect();
        pairs.sort_unstable();
        own.parent == parent.target.name
            && wanted.as_ref().is_some_and(|wanted| *wanted == pairs)
            && (!key.on_delete.acts() || own.on_delete == key.on_delete)
            && (!key.on_update.acts() || own.on_update == key.on_update)
    };
    (!key.on_delete.acts() || parent.deletes == Deletes::Apply)
        && child.target.foreign_keys.iter().any(|own| like(&own))
}

/// The pairs of columns of the key as they are called at the target, sorted; `None` where one of
/// them is not written.
fn pairs<'a>(
    key: &ForeignKey,
    child: &'a TablePlan,
    parent: &'a TablePlan,
) -> Option<Vec<(&'a String, &'a String)>> {
    let own = key.columns.iter().map(|name| at_target(child, name));
    let theirs = key.parent_columns.iter().map(|name| at_target(parent, name));
    let mut pairs =
        own.zip(theirs).map(|(own, theirs)| Some((own?, theirs?))).collect::<Option<Vec<_>>>()?;
    pairs.sort_unstable();
    Some(pairs)
}

/// What a source column is called at the target, if it is written there.
fn at_target<'a>(table: &'a TablePlan, name: &str) -> Option<&'a String> {
    let source = table.source.column_index(name)?;
    let column = table.columns.iter().find(|column| column.source == source)?;
    table.target.columns.get(column.target).map(|column| &column.name)
}

fn finding(child: &TablePlan, parent: Option<&TablePlan>, key: &ForeignKey) -> Finding {
    let (source, target) = (&child.source.name, &child.target.name);
    let hint = match parent.and_then(|parent| Some((parent, pairs(key, child, parent)?))) {
        Some((parent, _)) if key.on_delete.acts() && parent.deletes != Deletes::Apply => {
            format!(
                "let deletes of {} be applied, or leave {source} out with `exclude`",
                key.parent
            )
        }
        Some((parent, pairs)) => {
            let own: Vec<&str> = pairs.iter().map(|(own, _)| own.as_str()).collect();
            let theirs: Vec<&str> = pairs.iter().map(|(_, theirs)| theirs.as_str()).collect();
            format!(
                "ALTER TABLE {target} ADD FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {} ON UPDATE {}",
                own.join(", "),
                parent.target.name,
                theirs.join(", "),
                key.on_delete.sql(),
                key.on_update.sql(),
            )
        }
        None => format!(
            "replicate {} too, with the columns of the key, or make the key at the source one without an action",
            key.parent
        ),
    };
    Finding {
        fatal: true,
        kind: Kind::Mapping,
        subject: format!("{source} -> {target}"),
        message: format!(
            "foreign key {} to {} changes rows of {source} that the source does not log, and the target has no such key to do the same",
            key.name, key.parent
        ),
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Truncates;
    use crate::model::schema::Rule;
    use crate::plan::fixtures::{BIGINT, column, config, foreign_key, link, replicate, table};

    fn key(schema: &str, columns: [&str; 2], rules: [Rule; 2], logged: bool) -> ForeignKey {
        ForeignKey {
            columns: vec![columns[0].into()],
            parent_columns: vec![columns[1].into()],
            on_delete: rules[0],
            on_update: rules[1],
            logged,
            ..foreign_key("fk", TableName::new(schema, "parent"))
        }
    }

    /// What stands against a plan of parent and child with these keys.
    fn found(source: ForeignKey, target: Option<ForeignKey>, tables: &[&str]) -> Vec<Finding> {
        let columns = || ["id", "up"].map(|name| column(name, BIGINT, "bigint")).to_vec();
        let side = |schema: &str, key: Option<ForeignKey>| {
            let mut child = table(schema, "child", columns());
            child.foreign_keys.extend(key);
            [table(schema, "parent", columns()), child]
        };
        let mut rule = replicate("ma", "pg", tables);
        rule.truncate = Truncates::Halt;
        let (source, target) = (side("ma_db", Some(source)), side("public", target));
        let plan =
            crate::plan::plan(&config(vec![rule], vec![]), &link("ma", "pg"), &source, &target);
        plan.err().unwrap_or_default()
    }

    /// Broken if rows that a cascade of the source removed stayed on the target for ever, or a
    /// link were refused that carries them.
    #[test]
    fn unlogged_actions_need_their_like_at_the_target() {
        use Rule::{Cascade, Refuse, SetNull};
        let both = ["ma_db.*"];
        let of = |rules, logged| key("ma_db", ["up", "id"], rules, logged);
        let like = |columns, rules| Some(key("public", columns, rules, true));
        let right = ["up", "id"];
        for (source, target, good) in [
            (of([Cascade, Refuse], false), None, false),
            (of([Cascade, Refuse], true), None, true),
            (of([Refuse, Refuse], false), None, true),
            (of([Cascade, Refuse], false), like(right, [Cascade, Refuse]), true),
            (of([Cascade, Refuse], false), like(right, [Cascade, Cascade]), true),
            (of([Cascade, Refuse], false), like(right, [SetNull, Refuse]), false),
            (of([Cascade, Cascade], false), like(right, [Cascade, Refuse]), false),
            (of([Refuse, Cascade], false), like(right, [Refuse, Cascade]), true),
            (of([SetNull, Refuse], false), like(["id", "id"], [SetNull, Refuse]), false),
        ] {
            let found = found(source.clone(), target.clone(), &both);
            assert_eq!(found.is_empty(), good, "{source:?} {target:?}: {found:?}");
        }
        let bare = found(of([Cascade, Refuse], false), None, &both);
        assert!(bare[0].message.contains("foreign key fk to ma_db.parent"), "{bare:?}");
        assert_eq!(
            bare[0].hint,
            "ALTER TABLE public.child ADD FOREIGN KEY (up) REFERENCES public.parent (id) \
             ON DELETE CASCADE ON UPDATE NO ACTION"
        );
        let alone =
            found(of([Cascade, Refuse], false), like(right, [Cascade, Refuse]), &["ma_db.child"]);
        assert!(alone[0].hint.contains("replicate ma_db.parent too"), "{alone:?}");
    }
}
