//! Names as a dialect quotes them, for the statements that findings give. What weir itself runs is
//! written by the rooms.

use crate::config::Dialect;
use crate::model::TableName;

/// A name, quoted.
pub(crate) fn quote(dialect: Dialect, name: &str) -> String {
    match dialect {
        Dialect::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        Dialect::Mysql | Dialect::Mariadb => format!("`{}`", name.replace('`', "``")),
    }
}

/// A table's name, quoted, with its schema.
pub(crate) fn quote_table(dialect: Dialect, name: &TableName) -> String {
    format!("{}.{}", quote(dialect, &name.schema), quote(dialect, &name.table))
}
