//! Rows that a REPLACE puts in the place of others, of a server that logs what its foreign keys do.
//!
//! Such a server lets the rows alone that refer to a value which the new row has again; only those are
//! deleted or emptied whose value is gone (seen on 9.7). Its log holds a delete and an insert all the
//! same, and the delete would make the target's keys act, or be refused. So the deletes of a table that
//! others refer to wait for the rest of their statement: one with an insert after it that keeps a value
//! which a key of the target refers to is an update in place. What the source's keys did is in
//! the log in any case, so that an update is right for whatever statement looks like that.
//!
//! One row takes the place of at most as many as its table has unique indexes; no more wait. What waits
//! goes before a delete of a row that it may refer to: a statement may delete from both tables.

use std::sync::Arc;

use super::Assembler;
use crate::config::Deletes;
use crate::error::{Error, Kind, Result};
use crate::model::{Before, Change, Column, Op, Part, Row, Value};
use crate::plan::TablePlan;

impl Assembler {
    /// Adds a change of the open statement; `unchecked` says whether its event carries that mark.
    pub(super) fn pass_on(
        &mut self,
        change: Change,
        unchecked: bool,
        ready: &mut Vec<Part>,
    ) -> Result<()> {
        let link = Arc::clone(&self.plan);
        let plan = link.tables.get(change.table);
        let Some(plan) = plan.filter(|plan| self.logs_cascades && is_referred_to(plan)) else {
            return self.push(change, ready);
        };
        if matches!(change.op, Op::Delete { .. }) {
            let may_refer = |one: &TablePlan| one.rank > plan.rank;
            self.release(|table| link.tables.get(table).is_some_and(|one| may_refer(one)), ready)?;
        }
        match change.op {
            Op::Delete { .. } if !unchecked => self.detain(change, plan, ready),
            Op::Insert { after } if !unchecked => {
                let Change { table, reshaped, .. } = change;
                let op = self.replaced(table, plan, after, ready)?;
                self.push(Change { table, op, reshaped }, ready)
            }
            _ => {
                self.release(|table| table == change.table, ready)?;
                self.push(change, ready)
            }
        }
    }

    /// Adds what still waits of these tables.
    pub(super) fn release(
        &mut self,
        of: impl Fn(usize) -> bool,
        ready: &mut Vec<Part>,
    ) -> Result<()> {
        for change in self.detained(of)? {
            self.push(change, ready)?;
        }
        Ok(())
    }

    fn detained(&mut self, of: impl Fn(usize) -> bool) -> Result<Vec<Change>> {
        let detained = &mut self.transaction()?.detained;
        Ok(detained.extract_if(.., |one| of(one.table)).collect())
    }

    /// Lets a delete wait, and the oldest of its table no longer if they are too many.
    fn detain(&mut self, change: Change, plan: &TablePlan, ready: &mut Vec<Part>) -> Result<()> {
        let source = &plan.source;
        let most = (source.uniques.len() + source.odd_unique_indexes.len()).max(1);
        let is_of_table = |one: &Change| one.table == change.table;
        let detained = &mut self.transaction()?.detained;
        let full = detained.iter().filter(|one| is_of_table(one)).count() >= most;
        let oldest = detained.iter().position(is_of_table).filter(|_| full);
        let over = oldest.map(|at| detained.remove(at));
        detained.push(change);
        over.map_or(Ok(()), |over| self.push(over, ready))
    }

    /// What an insert is: an update of the row whose place it takes, if it takes one.
    fn replaced(
        &mut self,
        table: usize,
        plan: &TablePlan,
        after: Row,
        ready: &mut Vec<Part>,
    ) -> Result<Op> {
        let reviewed = self.transaction()?.reviewed;
        let mut found: Option<Before> = None;
        for change in self.detained(|one| one == table)? {
            match change.op {
                Op::Delete { before } if found.is_none() && keeps(plan, &before, &after) => {
                    found = Some(before);
                }
                Op::Delete { ref before } if !reviewed && keeps(plan, before, &after) => {
                    return Err(several(plan));
                }
                _ => self.push(change, ready)?,
            }
        }
        Ok(match found {
            Some(before) => Op::Update { before: Some(before), after },
            None => Op::Insert { after },
        })
    }
}

fn is_referred_to(plan: &TablePlan) -> bool {
    plan.deletes == Deletes::Apply && !plan.referred.is_empty()
}

/// Whether rows that refer to the old row may refer to the new one.
fn keeps(plan: &TablePlan, before: &Before, after: &Row) -> bool {
    let is_same = |at: usize| {
        let column = plan.source.columns.get(at);
        may_be_same(column, before.row().get(at), after.get(at))
    };
    plan.referred.iter().any(|key| key.iter().all(|column| column.is_none_or(is_same)))
}

/// A value that the log does not hold may be any, and letters may be equal to others.
fn may_be_same(column: Option<&Column>, before: Option<&Value>, after: Option<&Value>) -> bool {
    match (before, after) {
        (Some(Value::Null), _) | (_, Some(Value::Null)) => false,
        (Some(before), Some(after)) if before.is_known() && after.is_known() => {
            let is_text = matches!((before, after), (Value::Text(_), Value::Text(_)));
            before == after || (is_text && column.is_some_and(|column| !column.exact_collation))
        }
        _ => true,
    }
}

fn several(plan: &TablePlan) -> Error {
    let name = &plan.source.name;
    let what = format!(
        "a REPLACE put one row of {name} in the place of several, and rows that refer to more than \
         one of them may have stayed at the source"
    );
    Error::new(Kind::Unsupported, what).hint(
        "make the rows of the table and of those that refer to it equal by hand on the target, then \
         `weir resume LINK --schema-reviewed`",
    )
}
