//! Statements that halt the link by name: what they did to a planned table is not in the log, or not
//! as the plan knows the table. A statement that a person has reviewed passes.

use super::Assembler;
use crate::error::{Error, Kind, Result};
use crate::model::TableName;
use crate::plan::{TablePlan, Undone};

impl Assembler {
    /// Changes that were handed on cannot be taken back.
    pub(super) fn refuse_undo(&mut self, what: &str) -> Result<()> {
        if self.transaction()?.changed {
            return Err(Error::new(
                Kind::Unsupported,
                format!("the log holds {what} after changes of replicated tables"),
            ));
        }
        Ok(())
    }

    pub(super) fn refuse_gone(&mut self, names: &[TableName]) -> Result<()> {
        let planned = names.iter().find(|name| self.tables.planned(name).is_some());
        match planned {
            Some(name) if !self.transaction()?.reviewed => Err(Error::new(
                Kind::SchemaChanged,
                format!("table {name} was dropped, renamed or replaced"),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn refuse_altered(
        &mut self,
        name: &TableName,
        clause: &str,
        columns: &[String],
    ) -> Result<()> {
        let planned = self.tables.planned(name).and_then(|index| self.plan.tables.get(index));
        let concerned = planned.is_some_and(|plan| columns.is_empty() || writes(plan, columns));
        if !concerned || self.transaction()?.reviewed {
            return Ok(());
        }
        Err(Error::new(Kind::SchemaChanged, format!("ALTER TABLE changed {name}: {clause}")))
    }

    /// The plan was made without the key. Its rows would change unseen from now on, unless the log
    /// holds what keys do: then they may carry the mark of that.
    pub(super) fn learn_acting_key(&mut self, name: &TableName) -> Result<()> {
        let Some(table) = self.tables.planned(name) else { return Ok(()) };
        if self.logs_cascades {
            self.newly_keyed.insert(table);
            return Ok(());
        }
        if self.transaction()?.reviewed {
            return Ok(());
        }
        let what =
            format!("ALTER TABLE gave {name} a foreign key that changes rows without logging them");
        Err(Error::new(Kind::SchemaChanged, what).hint(
            "add the same foreign key to the target, then `weir resume LINK --schema-reviewed`",
        ))
    }

    /// A delete of a row whose cascades the source has left undone, and the target would not.
    pub(super) fn refuse_undone(&mut self, table: usize) -> Result<()> {
        let reviewed = self.transaction()?.reviewed;
        let Some(plan) = self.plan.tables.get(table).filter(|_| !reviewed) else { return Ok(()) };
        let Some(undone @ Undone::BySource(_)) = &plan.undone else { return Ok(()) };
        let what = format!("a row of {} was deleted: {undone}", plan.source.name);
        Err(Error::new(Kind::Unsupported, what).hint(format!(
            "{}, then start weir again; or make the tables below it equal by hand, from the last to \
             the first, then `weir resume LINK --schema-reviewed`",
            undone.mend()
        )))
    }

    pub(super) fn refuse_temporary(&mut self, name: &TableName) -> Result<()> {
        if self.tables.planned(name).is_none() || self.transaction()?.reviewed {
            return Ok(());
        }
        let what = format!(
            "the log holds a temporary table with the name of {name}, so that statements on the \
             two cannot be told apart"
        );
        Err(Error::new(Kind::Unsupported, what).hint(
            "set binlog_format = ROW on the source for all sessions; where the log holds no \
             TRUNCATE of that name since, make the target's rows equal by hand, then \
             `weir resume LINK --schema-reviewed`; else `weir teardown LINK --apply` and start anew",
        ))
    }

    pub(super) fn refuse_unknown(&mut self, word: &str) -> Result<()> {
        if self.transaction()?.reviewed {
            return Ok(());
        }
        let what = format!("the log holds a statement that weir does not know: {word}");
        Err(Error::new(Kind::Unsupported, what).hint(
            "look at the statement in the log; where it changes replicated tables or their rows, \
             do the same on the target by hand; then `weir resume LINK --schema-reviewed`",
        ))
    }

    pub(super) fn refuse_moved(&mut self, names: &[TableName]) -> Result<()> {
        self.refuse_unlogged(names, |name| {
            format!("ALTER TABLE moved or dropped rows of {name} without logging them")
        })
    }

    pub(super) fn refuse_ambiguous(&mut self, names: &[TableName]) -> Result<()> {
        self.refuse_unlogged(names, |name| {
            format!("a statement is about {name} in one of two possible character sets")
        })
    }

    /// Rows of a planned table may have changed without a trace.
    fn refuse_unlogged(
        &mut self,
        names: &[TableName],
        what: impl FnOnce(&TableName) -> String,
    ) -> Result<()> {
        let planned = names.iter().find(|name| self.tables.planned(name).is_some());
        match planned {
            Some(name) if !self.transaction()?.reviewed => Err(Error::new(
                Kind::Unsupported,
                what(name),
            )
            .hint(
                "make the target's rows equal by hand, then `weir resume LINK --schema-reviewed`",
            )),
            _ => Ok(()),
        }
    }
}

/// Whether the plan writes one of these columns, or one that the server computes, perhaps from them.
fn writes(plan: &TablePlan, columns: &[String]) -> bool {
    let written = plan.columns.iter().filter_map(|column| plan.source.columns.get(column.source));
    let is_one = |name: &str| columns.iter().any(|one| one.to_lowercase() == name.to_lowercase());
    written.into_iter().any(|column| column.generated || is_one(&column.name))
}
