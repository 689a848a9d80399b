//! What only a table's definition needs: checks, and indexes beside the plain unique ones.
//!
//! Sources: MySQL and MariaDB manuals, "INFORMATION_SCHEMA CHECK_CONSTRAINTS", "STATISTICS".

use std::collections::BTreeMap;

use super::{Texts, formula, of_tables, positions, types};
use crate::error::Result;
use crate::model::Table;
use crate::model::schema::{Check, Index, Part};
use crate::mysql::session::{Flavor, Session};

/// Gives tables, whose columns and unique indexes are known, their checks and other indexes.
pub(super) async fn complete(
    session: &mut Session,
    flavor: Flavor,
    schema: &str,
    tables: &mut [Table],
) -> Result<()> {
    // Of MySQL before 8.0.16 there are neither checks nor, for long, indexes over expressions.
    let sql = "SELECT COUNT(*) FROM information_schema.COLUMNS \
               WHERE TABLE_SCHEMA = 'information_schema' AND TABLE_NAME = 'CHECK_CONSTRAINTS'";
    let has_checks = session.text("look for checks", sql).await?.is_some_and(|count| count != "0");
    if has_checks {
        let rows = session.texts("read the checks", &checks(flavor, schema, tables)).await?;
        add_checks(flavor, rows, tables);
    }
    let expression = if flavor == Flavor::Mysql && has_checks { "EXPRESSION" } else { "NULL" };
    let sql = format!(
        "SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART, {expression}, NON_UNIQUE, INDEX_TYPE, COLLATION \
         FROM information_schema.STATISTICS WHERE {} ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX",
        of_tables("TABLE_SCHEMA", schema, "TABLE_NAME", tables)
    );
    let rows = session.texts("read the indexes", &sql).await?;
    add_indexes(flavor, rows, tables);
    Ok(())
}

/// Tables, names, expressions and whether they are enforced.
fn checks(flavor: Flavor, schema: &str, tables: &[Table]) -> String {
    match flavor {
        Flavor::Mariadb => format!(
            "SELECT TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE, 'YES' FROM information_schema.CHECK_CONSTRAINTS \
             WHERE {} ORDER BY TABLE_NAME, CONSTRAINT_NAME",
            of_tables("CONSTRAINT_SCHEMA", schema, "TABLE_NAME", tables)
        ),
        Flavor::Mysql => format!(
            "SELECT t.TABLE_NAME, c.CONSTRAINT_NAME, c.CHECK_CLAUSE, t.ENFORCED \
             FROM information_schema.TABLE_CONSTRAINTS t JOIN information_schema.CHECK_CONSTRAINTS c \
             ON c.CONSTRAINT_SCHEMA = t.CONSTRAINT_SCHEMA AND c.CONSTRAINT_NAME = t.CONSTRAINT_NAME \
             WHERE t.CONSTRAINT_TYPE = 'CHECK' AND {} ORDER BY t.TABLE_NAME, c.CONSTRAINT_NAME",
            of_tables("t.CONSTRAINT_SCHEMA", schema, "t.TABLE_NAME", tables)
        ),
    }
}

fn add_checks(flavor: Flavor, rows: Texts, tables: &mut [Table]) {
    let at = positions(tables);
    for row in rows {
        let [Some(table), Some(name), Some(text), enforced] = row.as_slice() else { continue };
        // That says no more than that the column is JSON.
        if flavor == Flavor::Mariadb && types::json_checked(text).is_some() {
            continue;
        }
        let Some(table) = at.get(table).and_then(|at| tables.get_mut(*at)) else { continue };
        table.extras.checks.push(Check {
            name: name.clone(),
            text: text.clone(),
            formula: formula::of(flavor, text),
            holds: enforced.as_deref() == Some("YES"),
        });
    }
}

fn add_indexes(flavor: Flavor, rows: Texts, tables: &mut [Table]) {
    let mut indexes: BTreeMap<(String, String), Index> = BTreeMap::new();
    for row in rows {
        let field = |at: usize| row.get(at).and_then(Option::as_deref);
        let (Some(table), Some(name)) = (field(0), field(1)) else { continue };
        let kind = field(6).unwrap_or_default();
        let prefix = field(3).and_then(|length| length.parse().ok());
        let part = match (field(2), prefix, field(4)) {
            (Some(column), None, _) => Part::Column(column.to_owned()),
            (Some(column), Some(length), _) => Part::Prefix(column.to_owned(), length),
            (None, _, Some(text)) => {
                formula::of(flavor, text).map_or(Part::Unknown(text.to_owned()), Part::Formula)
            }
            (None, _, None) => Part::Unknown(String::new()),
        };
        let index = indexes.entry((table.to_owned(), name.to_owned())).or_insert_with(|| Index {
            name: name.to_owned(),
            unique: field(5) == Some("0"),
            parts: Vec::new(),
            unfit: (kind != "BTREE").then(|| format!("it is a {kind} index")),
        });
        index.parts.push((part, field(7) == Some("D")));
    }
    let at = positions(tables);
    for ((table, _), index) in indexes {
        let Some(table) = at.get(&table).and_then(|at| tables.get_mut(*at)) else { continue };
        if !table.uniques.iter().any(|unique| unique.name == index.name) {
            table.extras.indexes.push(index);
        }
    }
}
