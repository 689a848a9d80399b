//! Deletes that the server would carry out in part, where the log of the source does not hold the rest.
//!
//! Only a row that others refer to is such a one; so each row is looked at before it goes. What the
//! source deletes by itself, from the last table to the first, passes. `plan/tangles` says which tables
//! it is about.

use std::collections::BTreeSet;

use mysql_async::prelude::Queryable;

use super::super::session::within;
use super::super::sql::quote_table;
use super::writer::{CALL_TIMEOUT, Prepared, Rows, Writer, parameters};
use crate::error::{Error, Kind, Result};
use crate::plan::{ActingKey, Undone};

impl Writer {
    /// # Errors
    /// `Constraint` where a row is referred to.
    pub(super) async fn refuse_undone(
        &mut self,
        context: &str,
        prepared: &Prepared,
        rows: Rows<'_>,
    ) -> Result<()> {
        let plan = &prepared.plan;
        let Some(undone @ Undone::ByTarget(_)) = &plan.undone else { return Ok(()) };
        let acting = plan.acting.iter().filter(|key| key.on_delete);
        let keys: Vec<_> = acting.filter(|key| key.child != plan.target.name).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let look = prepared.sql.referred(&keys)?;
        for row in rows.rows {
            let parameters = parameters(context, &look, rows.forms, row)?;
            let call = self.session().conn().exec_first::<usize, _, _>(&look.text, parameters);
            let found = within(CALL_TIMEOUT, context, call).await.map_err(|error| {
                if error.kind() == Kind::Privilege { error.hint(grants(&keys)) } else { error }
            })?;
            if let Some(key) = found.and_then(|at| keys.get(at)) {
                let what = format!(
                    "{context}: rows of {} refer to a row by {}, and {undone}",
                    key.child, key.name
                );
                return Err(Error::new(Kind::Constraint, what).hint(format!(
                    "{}, then start weir again; or make the tables below it on the target equal to \
                     the source's by hand, from the last to the first, then start weir again",
                    undone.mend()
                )));
            }
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
