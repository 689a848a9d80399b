//! The mark of a transaction that weir wrote: the change of its witness, which comes first in it.
//!
//! Whoever reads a database that weir also writes to knows by it what is weir's own, and how often that was
//! passed on. The mark counts with this installation's id only: what another one wrote is an application's.
//! Deliberately not here: what follows from it, which is for the gate.

use std::sync::Arc;

use crate::config::Dialect;
use crate::model::{Column, Mark, Row, Table, TableName, Type, Value};
use crate::plan::{ColumnPlan, LinkPlan, TablePlan};
use crate::transform::{Conversion, Fit};

/// Characters of an installation's id.
const ID_CHARS: u32 = 32;

/// The witness as a table of the log: of its columns those that a mark needs.
#[derive(Clone, Debug)]
pub struct MarkReader {
    /// The table, with nothing but these columns.
    pub table: Arc<TablePlan>,
    installation: Arc<str>,
}

impl MarkReader {
    /// A reader of the marks of `installation`, if the plan has a table that is also written from the other
    /// end: no other source is asked for them.
    pub fn of(plan: &LinkPlan, installation: &str) -> Option<MarkReader> {
        plan.is_marked().then(|| MarkReader {
            table: Arc::new(witness(plan.source_dialect)),
            installation: installation.into(),
        })
    }

    /// Whether a table of this name is the witness.
    pub fn is_witness(&self, schema: &str, table: &str) -> bool {
        let name = &self.table.source.name;
        name.schema == schema && name.table == table
    }

    /// The mark that a row of the witness is; `None` for that of another installation.
    pub fn mark(&self, row: &Row) -> Option<Mark> {
        let ours = match row.first()? {
            Value::Text(id) => id.trim_end() == &*self.installation,
            _ => false,
        };
        let hops = match row.get(1)? {
            Value::Int(hops) => u32::try_from(*hops).ok(),
            Value::UInt(hops) => u32::try_from(*hops).ok(),
            _ => None,
        };
        ours.then_some(Mark { hops: hops.unwrap_or(0) })
    }
}

/// The columns `installation` and `hops` of `weir.witness`, as weir makes it.
fn witness(dialect: Dialect) -> TablePlan {
    let unsigned = dialect != Dialect::Postgres;
    let id = Column::plain("installation", Type::Char { chars: ID_CHARS }, "char(32)");
    let hops = Column::plain("hops", Type::Int { bits: 32, unsigned }, "integer");
    let table = Table::keyless(TableName::new("weir", "witness"), vec![id, hops]);
    let as_is = |at| ColumnPlan::of(at, at, Conversion { nullable: false, fit: Fit::Same });
    TablePlan::alone(table.clone(), table, vec![as_is(0), as_is(1)], vec![0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader() -> MarkReader {
        MarkReader { table: Arc::new(witness(Dialect::Postgres)), installation: "0f".into() }
    }

    /// Broken if what another installation wrote were taken for our own, or our own for foreign writes.
    #[test]
    fn a_mark_counts_with_the_own_id_alone() {
        let row = |id: &str, hops| Row::from(vec![Value::Text(id.into()), hops]);
        let mark = |id, hops| reader().mark(&row(id, hops));
        assert_eq!(mark("0f", Value::Int(2)), Some(Mark { hops: 2 }));
        assert_eq!(mark("0f   ", Value::UInt(0)), Some(Mark { hops: 0 }));
        assert_eq!(mark("0e", Value::Int(0)), None);
        assert_eq!(reader().mark(&Row::from(vec![Value::Unchanged, Value::Int(0)])), None);
        assert!(reader().is_witness("weir", "witness") && !reader().is_witness("shop", "witness"));
    }
}
