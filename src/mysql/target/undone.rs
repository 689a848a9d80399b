//! Deletes of rows to which no other may refer: those that the server would carry out in part, or of
//! which the source's log does not tell how far they went.
//!
//! Each row is looked at before it goes, in the order of the step; what the source deletes from the last
//! row to the first passes. `plan/tangles` says which tables it is about.

use std::collections::BTreeSet;

use mysql_async::prelude::Queryable;

use super::super::session::within;
use super::super::sql::quote_table;
use super::writer::{Action, CALL_TIMEOUT, Prepared, Rows, Writer, parameters};
use crate::error::{Kind, Result};
use crate::plan::ActingKey;

impl Writer {
    /// # Errors
    /// `ForeignKey` where a row is referred to, and as the server says.
    pub(super) async fn delete(
        &mut self,
        context: &str,
        prepared: &Prepared,
        rows: Rows<'_>,
    ) -> Result<()> {
        let keys = prepared.plan.looked_at();
        let Some(undone) = prepared.plan.undone.as_ref().filter(|_| !keys.is_empty()) else {
            return self.write(context, Action::Delete, prepared, rows).await.map(drop);
        };
        let look = prepared.sql.referred(&keys)?;
        for row in rows.rows {
            let parameters = parameters(context, &look, rows.forms, row)?;
            let call = self.session().conn().exec_first::<usize, _, _>(&look.text, parameters);
            let found = within(CALL_TIMEOUT, context, call).await.map_err(|error| {
                if error.kind() == Kind::Privilege { error.hint(grants(&keys)) } else { error }
            })?;
            if let Some(key) = found.and_then(|at| keys.get(at)) {
                return Err(undone.referred(context, key));
            }
            let one = Rows { rows: std::slice::from_ref(row), ..rows };
            self.write(context, Action::Delete, prepared, one).await?;
        }
        Ok(())
    }
}

/// The right to look at tables that the link need not write, which setup does not print.
fn grants(keys: &[&ActingKey]) -> String {
    let tables: BTreeSet<String> = keys.iter().map(|key| quote_table(&key.child)).collect();
    let grants = tables.iter().map(|table| format!("GRANT SELECT ON {table} TO weir's user"));
    let grants = grants.collect::<Vec<_>>().join("; ");
    format!(
        "let weir look whether rows refer to the one that goes: {grants}; then start weir again"
    )
}
