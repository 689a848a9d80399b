//! Whether the server understands a condition that a person gives for rows of a table. Nothing is read.

use super::failure;
use super::session;
use super::sql::quote_name;
use crate::config::Database;
use crate::error::{Disposition, Error, Kind, Result};
use crate::model::TableName;

/// Asks the server for its plan of a query with the condition.
///
/// # Errors
/// `Configuration` where it refuses the query, and what keeps it from being asked.
pub(super) async fn check(database: &Database, table: &TableName, condition: &str) -> Result<()> {
    let session = session::connect(database, "weir snapshot").await?;
    let limits = "SET statement_timeout = '30s'; SET default_transaction_read_only = on";
    let asked = async {
        session.batch_execute(limits).await?;
        for sql in statements(table, condition) {
            session.query(&sql, &[]).await?;
        }
        Ok(())
    };
    let asked = asked.await;
    session.close().await;
    asked.map_err(|error| {
        let context = format!("the condition on rows of {table}");
        let error = failure::classify(error, context.clone());
        match error.kind().disposition() {
            Disposition::Retry | Disposition::Wait => error,
            Disposition::Park | Disposition::Halt => {
                Error::new(Kind::Configuration, context).caused_by(error).hint(
                    "write it as after WHERE, in PostgreSQL's SQL and by the source's column names",
                )
            }
        }
    })
}

/// It must be one by itself, so that it does not reach beyond its parentheses, and in them, so that nothing
/// follows it. A comment at its end ends with its line.
fn statements(table: &TableName, condition: &str) -> [String; 2] {
    let explain = format!("EXPLAIN SELECT 1 FROM {} WHERE", quote_name(table));
    [format!("{explain} {condition}\n"), format!("{explain} (\n{condition}\n)")]
}
