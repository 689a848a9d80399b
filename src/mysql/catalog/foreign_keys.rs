//! Foreign keys of the selected tables: columns, parents, and what they do to rows.
//!
//! MariaDB shows their rules only to users with more rights than reading; for others they are read
//! from `SHOW CREATE TABLE`, which every reader may ask for.
//! Source: MySQL and MariaDB manuals, "INFORMATION_SCHEMA KEY_COLUMN_USAGE".

use std::collections::{BTreeSet, HashMap};

use super::{of_tables, positions};
use crate::error::{Error, Kind, Result};
use crate::model::schema::Rule;
use crate::model::{ForeignKey, Table, TableName};
use crate::mysql::session::Session;
use crate::mysql::sql::{quote, quote_table};

const WHAT: &str = "read the foreign keys";

/// Deletes and updates.
type Rules = (Rule, Rule);

/// Reads the foreign keys of `tables`, all of one schema. `logged` says whether the server's log
/// holds what they do.
pub(super) async fn read(
    session: &mut Session,
    schema: &str,
    logged: bool,
    tables: &mut [Table],
) -> Result<()> {
    let sql = format!(
        "SELECT TABLE_NAME, CONSTRAINT_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, \
         COLUMN_NAME, REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE \
         WHERE REFERENCED_COLUMN_NAME IS NOT NULL AND {} \
         ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION",
        of_tables("TABLE_SCHEMA", schema, "TABLE_NAME", tables)
    );
    let at = positions(tables);
    for row in session.texts(WHAT, &sql).await? {
        let Some([table, name, parent_schema, parent, own, theirs]) = complete(&row) else {
            continue;
        };
        let Some(table) = at.get(table).and_then(|at| tables.get_mut(*at)) else { continue };
        if table.foreign_keys.last().is_none_or(|key| key.name != *name) {
            table.foreign_keys.push(ForeignKey {
                name: name.clone(),
                parent: TableName::new(parent_schema, parent),
                columns: Vec::new(),
                parent_columns: Vec::new(),
                on_delete: Rule::Refuse,
                on_update: Rule::Refuse,
                logged,
            });
        }
        if let Some(key) = table.foreign_keys.last_mut() {
            key.columns.push(own.clone());
            key.parent_columns.push(theirs.clone());
        }
    }
    read_rules(session, schema, tables).await
}

/// The fields of a row without NULLs.
fn complete<const N: usize>(row: &[Option<String>]) -> Option<[&String; N]> {
    row.iter().map(Option::as_ref).collect::<Option<Vec<_>>>()?.try_into().ok()
}

async fn read_rules(session: &mut Session, schema: &str, tables: &mut [Table]) -> Result<()> {
    let sql = format!(
        "SELECT TABLE_NAME, CONSTRAINT_NAME, DELETE_RULE, UPDATE_RULE \
         FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE {}",
        of_tables("CONSTRAINT_SCHEMA", schema, "TABLE_NAME", tables)
    );
    let mut shown: HashMap<(String, String), Rules> = HashMap::new();
    for row in session.texts(WHAT, &sql).await? {
        if let Some([table, name, on_delete, on_update]) = complete(&row) {
            shown.insert((table.clone(), name.clone()), (rule(on_delete), rule(on_update)));
        }
    }
    let mut hidden = BTreeSet::new();
    for (at, table) in tables.iter_mut().enumerate() {
        for key in &mut table.foreign_keys {
            match shown.get(&(table.name.table.clone(), key.name.clone())) {
                Some(rules) => (key.on_delete, key.on_update) = *rules,
                None => drop(hidden.insert(at)),
            }
        }
    }
    for at in hidden {
        let Some(table) = tables.get_mut(at) else { continue };
        let sql = format!("SHOW CREATE TABLE {}", quote_table(&table.name));
        let row = session.texts(WHAT, &sql).await?.pop().unwrap_or_default();
        let text = row.get(1).cloned().flatten().unwrap_or_default();
        for key in &mut table.foreign_keys {
            (key.on_delete, key.on_update) = rules_in(&text, &key.name).ok_or_else(|| {
                let context = format!("the rules of foreign key {} of {}", key.name, table.name);
                Error::new(Kind::Malformed, context)
            })?;
        }
    }
    Ok(())
}

/// What a foreign key does, in the words of `information_schema`.
pub(in crate::mysql) fn rule(text: &str) -> Rule {
    match text {
        "CASCADE" => Rule::Cascade,
        "SET NULL" => Rule::SetNull,
        "SET DEFAULT" => Rule::SetDefault,
        _ => Rule::Refuse,
    }
}

/// The rules of the key called `name` in the text of `SHOW CREATE TABLE`, which has a line for each.
fn rules_in(text: &str, name: &str) -> Option<Rules> {
    let start = format!("CONSTRAINT {} FOREIGN KEY (", quote(name));
    let line = text.lines().find(|line| line.trim_start().starts_with(&start))?;
    let (_, rules) = line.rsplit_once(')')?;
    let of = |event: &str| {
        let (_, rule) = rules.split_once(event)?;
        let rule = rule.split_once(" ON ").map_or(rule, |(rule, _)| rule);
        Some(rule.trim_end_matches(',').trim())
    };
    let rule = |event| of(event).map_or(Rule::Refuse, rule);
    Some((rule(" ON DELETE "), rule(" ON UPDATE ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a rule that the server shows to readers only here were read as another one.
    #[test]
    fn rules_from_a_tables_text() {
        let text = "CREATE TABLE `c` (\n  `id` int(11) NOT NULL COMMENT 'CONSTRAINT `a`',\n  \
            CONSTRAINT `a` FOREIGN KEY (`p`, `x)`) REFERENCES `p` (`id`, `b`) ON DELETE CASCADE,\n  \
            CONSTRAINT `a``b` FOREIGN KEY (`p`) REFERENCES `p` (`id`) ON DELETE SET NULL ON UPDATE CASCADE,\n  \
            CONSTRAINT `d` FOREIGN KEY (`p`) REFERENCES `p` (`id`) ON DELETE NO ACTION,\n  \
            CONSTRAINT `e` FOREIGN KEY (`p`) REFERENCES `p` (`id`)\n) ENGINE=InnoDB";
        assert_eq!(rules_in(text, "a"), Some((Rule::Cascade, Rule::Refuse)));
        assert_eq!(rules_in(text, "a`b"), Some((Rule::SetNull, Rule::Cascade)));
        assert_eq!(rules_in(text, "d"), Some((Rule::Refuse, Rule::Refuse)));
        assert_eq!(rules_in(text, "e"), Some((Rule::Refuse, Rule::Refuse)));
        assert_eq!(rules_in(text, "f"), None);
    }
}
