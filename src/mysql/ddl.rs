//! Tables of MySQL and MariaDB from a table of either dialect, by type-mapping §1, §2 and §5.
//!
//! Made are the table with its columns, primary key and unique keys, in utf8mb4 with a collation
//! that compares byte for byte without padding, on InnoDB. Left out, and said so in comment lines,
//! is what weir does not know enough of: columns of types that cannot cross, computed columns,
//! unique indexes over expressions, foreign keys. Defaults are not copied. Text in keys is as long
//! as an index takes, and wide rows have their widest texts beside the row. Pure.

use super::sql::{literal, quote, quote_table};
use crate::config::Dialect;
use crate::model::{Column, Table, TableName, Type, Unique};

mod types;

use types::{Definition, definition};

/// Bytes of all columns of an InnoDB index together.
const KEY_BYTES_MAX: usize = 3072;
/// Bytes of a row without its texts and blobs, less some for null bits.
const ROW_BYTES_MAX: usize = 65_535 - 600;
/// Bytes of a character of utf8mb4.
const CHAR_BYTES: usize = 4;

/// The statements that create `source` as `name` on a server of `dialect`.
pub fn create_table(
    source: &Table,
    source_dialect: Dialect,
    name: &TableName,
    dialect: Dialect,
) -> Vec<String> {
    let mut remarks = Vec::new();
    let mut columns: Vec<Option<Definition>> = Vec::new();
    for (at, column) in source.columns.iter().enumerate() {
        let key_bytes = key_bytes(source, at);
        match definition(column, source_dialect, key_bytes) {
            Ok(definition) => columns.push(Some(definition)),
            Err(why) => {
                remarks.push(format!("column {} ({}): {why}", column.name, column.native));
                columns.push(None);
            }
        }
    }
    fit_row(&mut columns, source);
    let counted = counted(source, &columns);
    let mut lines: Vec<String> = Vec::new();
    for (at, (column, definition)) in source.columns.iter().zip(&columns).enumerate() {
        if let Some(definition) = definition {
            lines.push(line(column, definition, counted == Some(at)));
            if column.auto_increment && counted != Some(at) {
                remarks.push(format!("AUTO_INCREMENT of {}: not first in a key", column.name));
            }
        }
    }
    for unique in &source.uniques {
        match unique_line(source, unique, &columns) {
            Some(line) => lines.push(line),
            None => remarks.push(format!("unique index {}: a column is left out", unique.name)),
        }
    }
    for index in &source.odd_unique_indexes {
        remarks.push(format!("unique index {index}: not over plain columns"));
    }
    for key in &source.foreign_keys {
        remarks.push(format!("foreign key {} to {}: add it by hand", key.name, key.parent));
    }
    let remarks: String =
        remarks.iter().map(|remark| format!("-- left out: {}\n", one_line(remark))).collect();
    vec![
        format!("CREATE DATABASE IF NOT EXISTS {}", quote(&name.schema)),
        format!(
            "{remarks}CREATE TABLE {} (\n  {}\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={}",
            quote_table(name),
            lines.join(",\n  "),
            collation(dialect)
        ),
    ]
}

/// The collation that compares byte for byte without padding.
fn collation(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Mariadb => "utf8mb4_nopad_bin",
        _ => "utf8mb4_0900_bin",
    }
}

/// A remark must not leave its comment line.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn line(column: &Column, definition: &Definition, counted: bool) -> String {
    let mut line = format!("{} {}", quote(&column.name), definition.ty);
    line.push_str(if column.nullable { " NULL" } else { " NOT NULL" });
    if counted {
        line.push_str(" AUTO_INCREMENT");
    }
    if let Some(comment) = definition.comment {
        line.push_str(&format!(" COMMENT {}", literal(comment)));
    }
    line
}

fn unique_line(source: &Table, unique: &Unique, columns: &[Option<Definition>]) -> Option<String> {
    let mut names = Vec::new();
    for at in &unique.columns {
        columns.get(*at)?.as_ref()?;
        names.push(quote(&source.columns.get(*at)?.name));
    }
    let names = names.join(", ");
    Some(match unique.primary {
        true => format!("PRIMARY KEY ({names})"),
        false => format!("UNIQUE KEY {} ({names})", quote(&unique.name)),
    })
}

/// Bytes that a column may take in the unique indexes it is part of: an equal share of each.
fn key_bytes(source: &Table, at: usize) -> Option<usize> {
    let indexes = source.uniques.iter().filter(|unique| unique.columns.contains(&at));
    indexes.map(|unique| KEY_BYTES_MAX / unique.columns.len().max(1)).min()
}

/// The one column that may count by itself: the first of a key, and an integer.
fn counted(source: &Table, columns: &[Option<Definition>]) -> Option<usize> {
    source.columns.iter().enumerate().position(|(at, column)| {
        column.auto_increment
            && matches!(column.ty, Type::Int { .. })
            && columns.get(at).is_some_and(Option::is_some)
            && source.uniques.iter().any(|unique| {
                unique.columns.first() == Some(&at)
                    && unique.columns.iter().all(|at| columns.get(*at).is_some_and(Option::is_some))
            })
    })
}

/// Turns the widest texts that are in no key into TEXT until the row fits.
fn fit_row(columns: &mut [Option<Definition>], source: &Table) {
    loop {
        let row: usize = columns.iter().flatten().map(|definition| definition.row_bytes).sum();
        if row <= ROW_BYTES_MAX {
            return;
        }
        let widest = columns
            .iter_mut()
            .enumerate()
            .filter(|(at, _)| key_bytes(source, *at).is_none())
            .filter_map(|(_, definition)| definition.as_mut())
            .filter(|definition| definition.beside.is_some())
            .max_by_key(|definition| definition.row_bytes);
        let Some(definition) = widest else { return };
        if let Some(beside) = definition.beside.take() {
            definition.ty = beside.to_owned();
            definition.row_bytes = 12;
        }
    }
}

#[cfg(test)]
mod tests;
