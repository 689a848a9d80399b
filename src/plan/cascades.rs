//! What foreign keys of the source do to rows without a trace in its log.
//!
//! A server that carries out CASCADE or SET NULL below its log leaves weir with the parent's change
//! alone. The rows that refer to it change on the target only if a foreign key there does the same,
//! and only if weir applies the parent's change; everything else would differ for ever, in silence.
//! The other way round, keys of the target would act where the source's had been switched off:
//! `referring` tells them, for the room that sees it in the log.

use crate::config::{Deletes, Dialect};
use crate::error::Kind;
use crate::model::schema::Rule;
use crate::model::{Column, ForeignKey, TableName};
use crate::plan::{Finding, TablePlan, sql};

/// A finding for each such key without its like on the target. `dialects` are those of source and
/// target; `chosen` tells the source tables that are to cross, also those that have no plan for
/// other reasons.
pub(crate) fn check(
    tables: &[TablePlan],
    dialects: (Dialect, Dialect),
    chosen: impl Fn(&TableName) -> bool,
    findings: &mut Vec<Finding>,
) {
    for child in tables {
        for key in &child.source.foreign_keys {
            let unseen = unseen(child, key, dialects.0);
            if !unseen.deletes && !unseen.updates {
                continue;
            }
            let parent = tables.iter().find(|table| table.source.name == key.parent);
            let hint = match parent {
                Some(parent) => Edge { child, parent, key, unseen, dialects }.wanting(),
                None if chosen(&key.parent) => None,
                None => Some(without_parent(key)),
            };
            findings.extend(hint.map(|hint| finding(child, key, hint)));
        }
    }
}

/// What of the parent's changes changes rows that are written, unseen.
#[derive(Clone, Copy)]
struct Unseen {
    deletes: bool,
    updates: bool,
}

fn unseen(child: &TablePlan, key: &ForeignKey, dialect: Dialect) -> Unseen {
    let written = key.columns.iter().any(|name| at_target(child, name, dialect).is_some());
    let deletes = match key.on_delete {
        Rule::Refuse => false,
        Rule::Cascade => child.deletes == Deletes::Apply,
        Rule::SetNull | Rule::SetDefault => written,
    };
    Unseen {
        deletes: !key.logged && deletes,
        updates: !key.logged && written && key.on_update.acts(),
    }
}

/// A key of the source whose two tables are both planned.
struct Edge<'a> {
    child: &'a TablePlan,
    parent: &'a TablePlan,
    key: &'a ForeignKey,
    unseen: Unseen,
    dialects: (Dialect, Dialect),
}

impl Edge<'_> {
    /// What is to be done before the target does the same by keys of its own.
    fn wanting(&self) -> Option<String> {
        let (child, key) = (self.child, self.key);
        let Some(wanted) = self.wanted() else { return Some(without_parent(key)) };
        if self.unseen.deletes && self.parent.deletes != Deletes::Apply {
            return Some(format!(
                "let deletes of {} be applied, or leave {} out with `exclude`",
                key.parent, child.source.name
            ));
        }
        let over_the_same = child.target.foreign_keys.iter().filter(|own| {
            own.parent == self.parent.target.name && self.pairs(own).as_ref() == Some(&wanted)
        });
        // Of two keys over the same columns, the one that refuses wins.
        let (like, unlike): (Vec<_>, Vec<_>) = over_the_same.partition(|own| self.is_like(own));
        if unlike.is_empty() && !like.is_empty() {
            return None;
        }
        let mut statements: Vec<_> = unlike.iter().map(|own| self.drop(own)).collect();
        if like.is_empty() {
            statements.push(self.add(&wanted, unlike.first().copied()));
        }
        Some(statements.join("; "))
    }

    fn is_like(&self, own: &ForeignKey) -> bool {
        (!self.unseen.deletes || own.on_delete == self.key.on_delete)
            && (!self.unseen.updates || own.on_update == self.key.on_update)
    }

    /// The pairs of columns of the source's key as target columns, sorted; `None` where one of them
    /// is not written.
    fn wanted(&self) -> Option<Vec<(usize, usize)>> {
        let (key, dialect) = (self.key, self.dialects.0);
        let own = key.columns.iter().map(|name| at_target(self.child, name, dialect));
        let theirs = key.parent_columns.iter().map(|name| at_target(self.parent, name, dialect));
        sorted(own.zip(theirs))
    }

    /// As above of a key of the target.
    fn pairs(&self, own: &ForeignKey) -> Option<Vec<(usize, usize)>> {
        let (child, parent) = (&self.child.target.columns, &self.parent.target.columns);
        let at = |columns, name| position(columns, name, self.dialects.1);
        let here = own.columns.iter().map(|name| at(child, name));
        sorted(here.zip(own.parent_columns.iter().map(|name| at(parent, name))))
    }

    fn drop(&self, own: &ForeignKey) -> String {
        let what = match self.dialects.1 {
            Dialect::Postgres => "CONSTRAINT",
            Dialect::Mysql | Dialect::Mariadb => "FOREIGN KEY",
        };
        format!("ALTER TABLE {} DROP {what} {}", self.table(self.child), self.quote(&own.name))
    }

    /// The key to make; what is of no concern it does as `before`.
    fn add(&self, pairs: &[(usize, usize)], before: Option<&ForeignKey>) -> String {
        let list = |table: &TablePlan, columns: Vec<usize>| {
            let columns = columns.into_iter().filter_map(|at| table.target.columns.get(at));
            columns.map(|column| self.quote(&column.name)).collect::<Vec<_>>().join(", ")
        };
        let kept =
            before.map_or((Rule::Refuse, Rule::Refuse), |own| (own.on_delete, own.on_update));
        format!(
            "ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {} ON UPDATE {}",
            self.table(self.child),
            list(self.child, pairs.iter().map(|pair| pair.0).collect()),
            self.table(self.parent),
            list(self.parent, pairs.iter().map(|pair| pair.1).collect()),
            if self.unseen.deletes { self.key.on_delete } else { kept.0 }.sql(),
            if self.unseen.updates { self.key.on_update } else { kept.1 }.sql(),
        )
    }

    fn table(&self, table: &TablePlan) -> String {
        sql::quote_table(self.dialects.1, &table.target.name)
    }

    /// A name as the target quotes it.
    fn quote(&self, name: &str) -> String {
        sql::quote(self.dialects.1, name)
    }
}

/// A warning for each key of the target that acts where no key of the source does the same: its rows
/// would go, or change, where the source kept them.
pub(crate) fn unlike(tables: &[TablePlan], dialects: (Dialect, Dialect)) -> Vec<Finding> {
    let mut findings = Vec::new();
    for child in tables {
        for own in child.target.foreign_keys.iter().filter(|own| own.acts()) {
            let Some(parent) = tables.iter().find(|table| table.target.name == own.parent) else {
                continue;
            };
            let unseen = Unseen {
                deletes: own.on_delete.acts() && parent.deletes == Deletes::Apply,
                updates: own.on_update.acts(),
            };
            let has_like = child.source.foreign_keys.iter().any(|key| {
                let edge = Edge { child, parent, key, unseen, dialects };
                key.parent == parent.source.name
                    && edge.is_like(own)
                    && edge.wanted().is_some_and(|wanted| edge.pairs(own) == Some(wanted))
            });
            if !has_like && (unseen.deletes || unseen.updates) {
                findings.push(acts_alone(child, own));
            }
        }
    }
    findings
}

fn acts_alone(child: &TablePlan, own: &ForeignKey) -> Finding {
    let (source, target) = (&child.source.name, &child.target.name);
    Finding {
        fatal: false,
        kind: Kind::Mapping,
        subject: format!("{source} -> {target}"),
        message: format!(
            "foreign key {} of the target to {} changes rows of {target} by itself, and no key of the \
             source does the same: rows that the source keeps may go or change",
            own.name, own.parent
        ),
        hint: "make it a key without an action, or give the source the same key".to_owned(),
        mend: Vec::new(),
    }
}

fn sorted(
    pairs: impl Iterator<Item = (Option<usize>, Option<usize>)>,
) -> Option<Vec<(usize, usize)>> {
    let mut pairs = pairs.map(|(own, theirs)| Some((own?, theirs?))).collect::<Option<Vec<_>>>()?;
    pairs.sort_unstable();
    Some(pairs)
}

/// The target column that a source column is written to.
fn at_target(table: &TablePlan, name: &str, dialect: Dialect) -> Option<usize> {
    let source = position(&table.source.columns, name, dialect)?;
    table.columns.iter().find(|column| column.source == source).map(|column| column.target)
}

/// The plan's columns that hold these of the source; those that are not carried are left out.
pub(crate) fn planned(table: &TablePlan, names: &[String], dialect: Dialect) -> Vec<usize> {
    let carried = |name| {
        let source = position(&table.source.columns, name, dialect)?;
        table.columns.iter().position(|column| column.source == source)
    };
    names.iter().filter_map(|name| carried(name)).collect()
}

/// Where a foreign key's column is. MySQL and MariaDB tell a key's columns by the letters it was
/// made with, which may differ from the table's by case.
pub(super) fn position(columns: &[Column], name: &str, dialect: Dialect) -> Option<usize> {
    let is_same = |own: &str| match dialect {
        Dialect::Postgres => own == name,
        Dialect::Mysql | Dialect::Mariadb => own.to_lowercase() == name.to_lowercase(),
    };
    columns.iter().position(|column| is_same(&column.name))
}

fn without_parent(key: &ForeignKey) -> String {
    format!(
        "replicate {} too, with the columns of the key, or make the key at the source one without an action",
        key.parent
    )
}

fn finding(child: &TablePlan, key: &ForeignKey, hint: String) -> Finding {
    let (source, target) = (&child.source.name, &child.target.name);
    Finding {
        fatal: true,
        kind: Kind::Mapping,
        subject: format!("{source} -> {target}"),
        message: format!(
            "foreign key {} to {} changes rows of {source} that the source does not log, and the target has no such key to do the same",
            key.name, key.parent
        ),
        hint,
        mend: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Replicate, Truncates};
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
        let mut rule = replicate("ma", "pg", tables);
        rule.truncate = Truncates::Halt;
        judged(&[rule], source, target)
    }

    /// As above by these rules of the configuration, from MariaDB to PostgreSQL or MySQL.
    fn judged(
        rules: &[Replicate],
        source: ForeignKey,
        target: impl IntoIterator<Item = ForeignKey>,
    ) -> Vec<Finding> {
        let columns = || ["id", "up"].map(|name| column(name, BIGINT, "bigint")).to_vec();
        let side = |schema: &str, keys: Vec<ForeignKey>| {
            let mut child = table(schema, "child", columns());
            child.foreign_keys = keys;
            [table(schema, "parent", columns()), child]
        };
        let to = rules[0].to.clone();
        let schema = if to == "pg" { "public" } else { "my_db" };
        let (source, target) =
            (side("ma_db", vec![source]), side(schema, target.into_iter().collect()));
        let config = config(rules.to_vec(), vec![]);
        let plan = crate::plan::plan(&config, &link("ma", &to), &source, &target);
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
            r#"ALTER TABLE "public"."child" ADD FOREIGN KEY ("up") REFERENCES "public"."parent" ("id") ON DELETE CASCADE ON UPDATE NO ACTION"#
        );
        let alone =
            found(of([Cascade, Refuse], false), like(right, [Cascade, Refuse]), &["ma_db.child"]);
        assert!(alone[0].hint.contains("replicate ma_db.parent too"), "{alone:?}");
    }

    /// Broken if a table whose deletes are ignored could not start, or were told to let the target
    /// delete its rows.
    #[test]
    fn deletes_that_are_ignored_need_no_key() {
        use Rule::{Cascade, Refuse, SetNull};
        let rule = |table: &str, deletes| {
            let mut rule = replicate("ma", "pg", &[table]);
            rule.deletes = deletes;
            rule
        };
        let found = |deletes: [Deletes; 2], rules, target: Option<[Rule; 2]>| {
            let both = [rule("ma_db.parent", deletes[0]), rule("ma_db.child", deletes[1])];
            let target = target.map(|rules| key("public", ["up", "id"], rules, true));
            judged(&both, key("ma_db", ["up", "id"], rules, false), target)
        };
        let (apply, ignore) = (Deletes::Apply, Deletes::Ignore);
        let both = [Cascade, Cascade];
        for (deletes, rules, target, good) in [
            ([ignore, ignore], both, Some([Refuse, Cascade]), true),
            ([ignore, ignore], both, Some(both), true),
            ([ignore, ignore], both, None, false),
            ([apply, ignore], both, Some([Refuse, Cascade]), true),
            ([apply, ignore], [Cascade, Refuse], None, true),
            ([ignore, apply], both, Some(both), false),
            ([ignore, ignore], [SetNull, Refuse], Some([SetNull, Refuse]), false),
        ] {
            let found = found(deletes, rules, target);
            assert_eq!(found.is_empty(), good, "{deletes:?} {rules:?} {target:?}: {found:?}");
        }
        let hint = found([ignore, ignore], both, None).remove(0).hint;
        assert!(hint.ends_with("ON DELETE NO ACTION ON UPDATE CASCADE"), "{hint}");
        let hint = found([ignore, apply], both, None).remove(0).hint;
        assert!(hint.starts_with("let deletes of ma_db.parent be applied"), "{hint}");
    }

    /// Broken if the statement that weir prints were refused or useless because of a key that is
    /// there, or if such a key were overlooked: it refuses what the source does.
    #[test]
    fn keys_in_the_way_are_to_be_dropped() {
        use Rule::{Cascade, Refuse};
        let named = |name: &str, schema: &str, columns, rules| ForeignKey {
            name: name.into(),
            ..key(schema, columns, rules, true)
        };
        let found = |to: &str, target: Vec<ForeignKey>| {
            let source = key("ma_db", ["UP", "Id"], [Cascade, Refuse], false);
            judged(&[replicate("ma", to, &["ma_db.*"])], source, target)
        };
        let right = ["up", "id"];
        let refusing = named("a`\"b", "public", right, [Refuse, Cascade]);
        let cascading = named("c", "public", right, [Cascade, Refuse]);
        let dropped = r#"ALTER TABLE "public"."child" DROP CONSTRAINT "a`""b""#;
        let added = r#"ALTER TABLE "public"."child" ADD FOREIGN KEY ("up") REFERENCES "public"."parent" ("id") ON DELETE CASCADE ON UPDATE CASCADE"#;
        let alone = found("pg", vec![refusing.clone()]);
        assert_eq!(alone[0].hint, format!("{dropped}; {added}"));
        let beside = found("pg", vec![refusing, cascading]);
        assert_eq!(beside[0].hint, dropped);
        let other_case = named("c", "public", ["UP", "id"], [Cascade, Refuse]);
        assert_eq!(found("pg", vec![other_case]).len(), 1);

        let refusing = named("a`b", "my_db", ["uP", "iD"], [Refuse, Refuse]);
        assert_eq!(
            found("my", vec![refusing])[0].hint,
            "ALTER TABLE `my_db`.`child` DROP FOREIGN KEY `a``b`; ALTER TABLE `my_db`.`child` \
             ADD FOREIGN KEY (`up`) REFERENCES `my_db`.`parent` (`id`) \
             ON DELETE CASCADE ON UPDATE NO ACTION"
        );
        assert!(found("my", vec![named("c", "my_db", ["uP", "iD"], [Cascade, Refuse])]).is_empty());
    }
}
