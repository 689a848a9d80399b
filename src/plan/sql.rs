//! Names as a dialect quotes them, for the statements that findings give, and comments beside printed
//! statements. What weir itself runs is written by the rooms.

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

/// A comment line of SQL. What comes from a catalog must not leave it: what is printed is piped into a
/// client, and would run there.
pub(crate) fn comment(text: &str) -> String {
    format!("-- {}", text.replace(char::is_control, " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if SQL in the name of a table ran where a printed script is piped into a client.
    #[test]
    fn no_name_leaves_its_comment() {
        let hostile = "e\r\nDROP TABLE t;\u{85}--\0";
        let line = comment(&format!("{hostile} exists already"));
        assert_eq!(line.lines().count(), 1, "{line:?}");
        assert!(line.starts_with("-- e") && !line.contains(char::is_control), "{line:?}");
    }
}
