//! Statements on `weir.flagged`.

use super::{Statement, TableSql, quote};
use crate::error::Result;
use crate::model::{Column, Type};

/// Its columns.
pub(crate) const COLUMNS: &str = "`id`, `name`, `link`, `source_table`, `table_name`, `row_name`, \
    `kind`, `column_name`, `owner`, `before_value`, `after_value`, `owner_value`, `position`, \
    `ordinal`, `committed_at`, `made_at`, `state`, `decided_at`, `decided_by`, `note`";

/// Writes the position of records that have none. Parameters: position, name, link.
pub(crate) const PLACE: &str =
    "UPDATE `weir`.`flagged` SET `position`=? WHERE `name`=? AND `link`=? AND `position`=''";

impl TableSql {
    /// What the last column holds in a row, as [`TableSql::flag`] records it, with the row locked.
    pub(crate) fn held(&self, column: &Column) -> Result<Statement> {
        let places: Vec<usize> = (0..self.key.len()).collect();
        let (condition, binds) = self.key_condition(&places)?;
        let (text, table) = (as_text(column), &self.table);
        Ok(Statement {
            text: format!("SELECT {text} FROM {table} WHERE {condition} FOR UPDATE"),
            binds,
        })
    }

    /// Writes the last column of a row, whose values are the key's and that one.
    pub(crate) fn adopt(&self) -> Result<Statement> {
        let places: Vec<usize> = (0..self.key.len()).collect();
        let (condition, of_key) = self.key_condition(&places)?;
        let column = self.column(self.key.len())?;
        let text = format!(
            "UPDATE {} SET {}={} WHERE {condition}",
            self.table, column.name, column.carried
        );
        Ok(Statement { text, binds: [self.key.len()].into_iter().chain(of_key).collect() })
    }

    /// A new record, and with it what the target's column `held` has in the row of that key. Parameters: name,
    /// link, source table, table, row, kind, column, owner, the value before and after; the key's values where
    /// there is a column, which `binds` names; position, ordinal, commit time in microseconds since 1970.
    pub(crate) fn flag(&self, held: Option<&Column>) -> Result<Statement> {
        let (mut value, mut binds) = ("NULL".to_owned(), Vec::new());
        if let Some(column) = held {
            let places: Vec<usize> = (0..self.key.len()).collect();
            let (condition, of_key) = self.key_condition(&places)?;
            let text = as_text(column);
            value = format!("(SELECT {text} FROM {} WHERE {condition})", self.table);
            binds = of_key;
        }
        let text = format!(
            "INSERT INTO `weir`.`flagged` (`name`,`link`,`source_table`,`table_name`,`row_name`,`kind`,\
             `column_name`,`owner`,`before_value`,`after_value`,`owner_value`,`position`,`ordinal`,\
             `committed_at`,`made_at`) VALUES (?,?,?,?,?,?,?,?,?,?,{value},?,?,\
             CAST('1970-01-01' AS DATETIME(6)) + INTERVAL ? MICROSECOND,UTC_TIMESTAMP(6))"
        );
        Ok(Statement { text, binds })
    }
}

/// A column's value as text.
fn as_text(column: &Column) -> String {
    let name = quote(&column.name);
    match column.ty {
        Type::Binary { .. } | Type::Bytes { .. } => format!("HEX({name})"),
        _ => format!("CAST({name} AS CHAR)"),
    }
}

/// The link's records from a number on. Parameters: name, link, number, whether open ones only, limit.
pub(crate) const LIST: &str = concat!(
    "SELECT `id`,`source_table`,`table_name`,`row_name`,`kind`,`column_name`,`owner`,`before_value`,\
     `after_value`,`owner_value`,`position`,`ordinal`,",
    us!("`committed_at`"),
    ",",
    us!("`made_at`"),
    ",`state`,",
    us!("`decided_at`"),
    ",`decided_by`,`note` FROM `weir`.`flagged` WHERE `name`=? AND `link`=? AND `id`>? \
     AND (? = 0 OR `state`='open') ORDER BY `id` LIMIT ?"
);

/// Decides about an open record. Parameters: state, who, why, name, link, number.
pub(crate) const DECIDE: &str = "UPDATE `weir`.`flagged` SET `state`=?,`decided_by`=?,`note`=?,\
    `decided_at`=UTC_TIMESTAMP(6) WHERE `name`=? AND `link`=? AND `id`=? AND `state`='open'";
