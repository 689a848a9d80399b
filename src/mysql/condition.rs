//! Whether the server understands a condition that a person gives for rows of a table. Nothing is read.

use super::session::{self, Role};
use super::sql::quote_table;
use crate::config::{Database, Dialect};
use crate::error::{Disposition, Error, Kind, Result};
use crate::model::TableName;

/// Asks the server for its plan of a query with the condition.
///
/// # Errors
/// `Configuration` where it refuses the query, and what keeps it from being asked.
pub(super) async fn check(database: &Database, table: &TableName, condition: &str) -> Result<()> {
    let mut session = session::connect(database, "weir snapshot", Role::Source).await?;
    session.run("read only", "SET SESSION TRANSACTION READ ONLY").await?;
    let context = format!("the condition on rows of {table}");
    let asked = async {
        for sql in statements(table, condition) {
            session.rows(&context, &sql).await?;
        }
        Ok(())
    };
    let asked: Result<()> = asked.await;
    let hint = match database.dialect {
        Dialect::Mariadb => {
            "write it as after WHERE, in MariaDB's SQL and by the source's column names"
        }
        _ => "write it as after WHERE, in MySQL's SQL and by the source's column names",
    };
    asked.map_err(|error| match error.kind().disposition() {
        Disposition::Retry | Disposition::Wait => error,
        Disposition::Park | Disposition::Halt => {
            Error::new(Kind::Configuration, context).caused_by(error).hint(hint)
        }
    })
}

/// It must be one by itself, so that it does not reach beyond its parentheses, and in them, so that nothing
/// follows it. A comment at its end ends with its line.
fn statements(table: &TableName, condition: &str) -> [String; 2] {
    let explain = format!("EXPLAIN SELECT 1 FROM {} WHERE", quote_table(table));
    [format!("{explain} {condition}\n"), format!("{explain} (\n{condition}\n)")]
}
