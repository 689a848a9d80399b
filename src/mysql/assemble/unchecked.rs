//! Changes that were made with `foreign_key_checks` off, so that the source's keys did nothing, where a
//! key of the target would act: they halt the link by name.
//!
//! A rows event carries the mark of the session's setting. A server that logs what its keys do puts the
//! mark also on the rows that they change, within the statement that made them do it (seen on 9.7):
//! those come before the row on account of which they change, and that row, updated or deleted, is not
//! marked. So there a marked change is only suspected. A row event that updates or deletes without the
//! mark clears it, and what is not cleared when the statement ends was made with the checks off. Three
//! things are known besides:
//! - rows of a table that has no key which would do that are changed by none: nothing clears them;
//! - a table that refers to itself has both kinds of rows in one event, with the mark of the first. Its
//!   log is the same, byte for byte, with the checks off: the target tells whether rows were to stay
//!   (`Undone::Untold`);
//! - at a REPLACE the server goes no further than to the rows that refer to the replaced one (seen on
//!   9.7.4): where an insert into its table follows the delete, what it cleared is refused after all.
//!
//! The end of a statement comes before that of its transaction, so that the halt comes before the target
//! commits, also where parts of the transaction have left the assembler.

use super::Assembler;
use crate::config::{Deletes, Truncates};
use crate::error::{Error, Kind, Result};
use crate::model::schema::Rule;
use crate::model::{ForeignKey, Op, Value};
use crate::mysql::binlog::{LoggedRows, RowsKind};
use crate::plan::{ActingKey, TablePlan, Undone};

/// A change on which a key of the target acts, made with the checks off or by a key of the source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspicion {
    /// Index of its table in the plan.
    table: usize,
    /// Index of the key among those that act.
    key: usize,
    /// A key of the source may have made the change, and no mark of another event would show it: the
    /// target looks.
    untold: bool,
}

/// What the open statement may have done with the checks off.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Suspicions {
    open: Option<Suspicion>,
    /// What a delete has cleared, and the log's number of its table.
    cleared: Option<(Suspicion, u64)>,
}

impl Suspicions {
    /// One of which the target does not know stands before one of which it does.
    fn add(&mut self, suspicion: Suspicion) {
        let open = self.open.get_or_insert(suspicion);
        if open.untold && !suspicion.untold {
            *open = suspicion;
        }
    }
}

/// Why a change is refused.
#[derive(Clone, Copy, Debug)]
enum Cause {
    ChecksOff,
    Replace,
}

impl Assembler {
    /// Refuses a change that carries the mark where a key of the target would act on it, at once or
    /// when its statement ends.
    pub(super) fn refuse_unchecked(&mut self, table: usize, op: &Op) -> Result<()> {
        let logs_cascades = self.logs_cascades;
        let newly_keyed = self.newly_keyed.contains(&table);
        let transaction = self.open.as_mut().filter(|open| !open.reviewed);
        let (Some(transaction), Some(plan)) = (transaction, self.plan.tables.get(table)) else {
            return Ok(());
        };
        let Some(key) = plan.acting.iter().position(|key| acts(key, plan, op)) else {
            return Ok(());
        };
        let untold = matches!((op, &plan.undone), (Op::Delete { .. }, Some(Undone::Untold(_))));
        let suspicion = Suspicion { table, key, untold };
        if logs_cascades && (newly_keyed || may_follow(plan, op)) && !matches!(op, Op::Truncate) {
            transaction.suspicions.add(suspicion);
            return Ok(());
        }
        Err(self.refusal(suspicion, Cause::ChecksOff))
    }

    /// A rows event has been read, of whatever table.
    pub(super) fn clear_suspicions(&mut self, event: &LoggedRows<'_>) -> Result<()> {
        let Suspicions { open, cleared } = &mut self.transaction()?.suspicions;
        if event.unchecked || (open.is_none() && cleared.is_none()) {
            return Ok(());
        }
        match event.kind()? {
            RowsKind::Update => *open = None,
            RowsKind::Delete => {
                let now = open.take().map(|suspicion| (suspicion, event.table_id));
                *cleared = cleared.or(now);
            }
            RowsKind::Insert => {
                if let Some((suspicion, _)) = cleared.filter(|(_, id)| *id == event.table_id) {
                    return Err(self.refusal(suspicion, Cause::Replace));
                }
            }
        }
        Ok(())
    }

    /// A statement ends.
    pub(super) fn judge_suspicions(&mut self) -> Result<()> {
        match std::mem::take(&mut self.transaction()?.suspicions).open {
            Some(suspicion) if !suspicion.untold => Err(self.refusal(suspicion, Cause::ChecksOff)),
            Some(_) | None => Ok(()),
        }
    }

    fn refusal(&self, suspicion: Suspicion, cause: Cause) -> Error {
        let Some(plan) = self.plan.tables.get(suspicion.table) else {
            return Error::new(Kind::Internal, "a suspicion about no table");
        };
        let name = &plan.source.name;
        let key = plan.acting.get(suspicion.key).map_or_else(
            || "a foreign key of the target".to_owned(),
            |key| format!("foreign key {} of the target's table {}", key.name, key.child),
        );
        let what = match cause {
            Cause::ChecksOff => format!(
                "a change of {name} was made with foreign_key_checks = 0, and {key} would change rows \
                 there that the source kept"
            ),
            Cause::Replace => format!(
                "a REPLACE changed rows of {name} by the source's foreign keys, which go no further \
                 then, and {key} would change rows there that the source kept"
            ),
        };
        let hint = match cause {
            Cause::ChecksOff => {
                "make the same change on the target by hand with its foreign keys off \
                 (foreign_key_checks = 0 on MySQL and MariaDB, session_replication_role = replica on \
                 PostgreSQL; of a REPLACE the delete), or take the key's action away; then \
                 `weir resume LINK --schema-reviewed`"
            }
            Cause::Replace => {
                "let the target's foreign keys to the table have no action (ON DELETE NO ACTION): the \
                 log holds what those of the source do, and this does not come again; compare the \
                 rows of the tables that refer to it, then `weir resume LINK --schema-reviewed`"
            }
        };
        Error::new(Kind::Unsupported, what).hint(hint)
    }
}

/// Whether a key of the source may have made the change.
fn may_follow(plan: &TablePlan, op: &Op) -> bool {
    let mut keys = plan.source.foreign_keys.iter();
    match op {
        Op::Delete { .. } => keys.any(|key| key.on_delete == Rule::Cascade),
        Op::Update { .. } => keys.any(ForeignKey::acts),
        Op::Insert { .. } | Op::Truncate => false,
    }
}

/// Whether a key of the target changes rows when the change is applied.
fn acts(key: &ActingKey, plan: &TablePlan, op: &Op) -> bool {
    match op {
        Op::Insert { .. } => false,
        Op::Update { before, after } => key.columns.iter().any(|at| {
            let before = before.as_ref().and_then(|before| before.row().get(*at));
            let after = after.get(*at);
            after.is_some_and(Value::is_known) && after != before
        }),
        Op::Delete { .. } => key.on_delete && plan.deletes == Deletes::Apply,
        Op::Truncate => key.on_delete && plan.truncate == Truncates::Apply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a change with the checks off passed behind one that the target looks at.
    #[test]
    fn what_the_target_does_not_see_is_not_covered_up() {
        let of = |table, untold| Suspicion { table, key: 0, untold };
        for order in [[(1, true), (2, false)], [(2, false), (1, true)]] {
            let mut suspicions = Suspicions::default();
            order.into_iter().for_each(|(table, untold)| suspicions.add(of(table, untold)));
            assert_eq!(suspicions.open.map(|open| open.table), Some(2));
        }
    }
}
