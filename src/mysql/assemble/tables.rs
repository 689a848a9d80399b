//! Tables of the log by id: passed over, or read by their shape.
//!
//! A table map precedes the rows of every statement; equal maps are compared by their bytes and
//! cost no more. Everything is forgotten at each file, where the server starts new maps.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::model::TableName;
use crate::mysql::binlog::TableMap;
use crate::mysql::decode::Shape;
use crate::mysql::sql::is_system;
use crate::plan::{LinkPlan, Wanted, unplanned};

/// Ids kept at most from one transaction to the next; beyond it all are forgotten.
const IDS_MAX: usize = 4_096;

/// A planned table as the log describes it now.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Index in the plan.
    pub(super) table: usize,
    /// How its rows are read.
    pub(super) shape: Arc<Shape>,
    definition: Box<[u8]>,
    reviewed: bool,
}

/// Planned tables by name, and tables of the log by id.
#[derive(Debug)]
pub(super) struct Tables {
    by_case: bool,
    planned: HashMap<TableName, usize>,
    /// What the configuration asks for, planned or not.
    wanted: Wanted,
    /// `None` is a table outside the plan.
    ids: HashMap<u64, Option<Known>>,
}

impl Tables {
    pub(super) fn new(plan: &LinkPlan, by_case: bool) -> Result<Self> {
        let wanted = if by_case { plan.wanted.clone() } else { plan.wanted.folded() };
        let mut tables = Tables { by_case, planned: HashMap::new(), wanted, ids: HashMap::new() };
        for (index, table) in plan.tables.iter().enumerate() {
            let name = tables.folded(&table.source.name);
            if tables.planned.insert(name, index).is_some() {
                let name = &table.source.name;
                return Err(Error::new(Kind::Internal, format!("table {name} is planned twice")));
            }
        }
        Ok(tables)
    }

    /// The name as the server compares it.
    fn folded(&self, name: &TableName) -> TableName {
        if self.by_case {
            return name.clone();
        }
        name.folded()
    }

    /// The planned table of this name.
    pub(super) fn planned(&self, name: &TableName) -> Option<usize> {
        self.planned.get(&self.folded(name)).copied()
    }

    /// The planned tables of a database.
    pub(super) fn of_schema(&self, schema: &str) -> Vec<TableName> {
        let schema = self.folded(&TableName::new(schema, "")).schema;
        self.planned.keys().filter(|name| name.schema == schema).cloned().collect()
    }

    /// Takes a table map in.
    pub(super) fn learn(
        &mut self,
        plan: &LinkPlan,
        map: &TableMap<'_>,
        reviewed: bool,
    ) -> Result<()> {
        if let Some(Some(known)) = self.ids.get(&map.id)
            && *known.definition == *map.definition
            && known.reviewed == reviewed
            && self.planned(&TableName::new(map.schema, map.table)) == Some(known.table)
        {
            return Ok(());
        }
        let table = self.planned(&TableName::new(map.schema, map.table));
        let known = match table.and_then(|index| plan.tables.get(index).map(|plan| (index, plan))) {
            Some((table, plan)) => Some(Known {
                table,
                shape: Arc::new(Shape::new(plan, map, reviewed)?),
                definition: map.definition.into(),
                reviewed,
            }),
            None => {
                self.refuse_wanted(map, reviewed)?;
                None
            }
        };
        self.ids.insert(map.id, known);
        Ok(())
    }

    fn refuse_wanted(&self, map: &TableMap<'_>, reviewed: bool) -> Result<()> {
        if is_sequence(map) {
            return Ok(());
        }
        self.refuse_unplanned(&TableName::new(map.schema, map.table), reviewed)
    }

    /// Changes of a table that the configuration asks for and the plan does not hold are not passed
    /// over, unless a person has reviewed the tables since. A server does not show a table to a reader
    /// that may not read it; its log has it all the same.
    pub(super) fn refuse_unplanned(&self, name: &TableName, reviewed: bool) -> Result<()> {
        if reviewed || is_system(&name.schema) || !self.wanted.wants(&self.folded(name)) {
            return Ok(());
        }
        Err(unplanned(name).hint(format!(
            "make the table on the target and grant weir what `weir setup` prints for it, then \
             `weir resume LINK --schema-reviewed` (rows from before the link's start are to be \
             copied); or `exclude` \"{name}\" and start weir again"
        )))
    }

    /// The table that rows refer to: `None` was not described, `Some(None)` is outside the plan.
    pub(super) fn of_id(&self, id: u64) -> Option<Option<Known>> {
        self.ids.get(&id).cloned()
    }

    /// A transaction begins: each of its statements describes its tables again, so that here ids
    /// can be forgotten, and only here.
    pub(super) fn begin(&mut self) {
        if self.ids.len() >= IDS_MAX {
            self.ids.clear();
        }
    }

    /// Forgets all ids.
    pub(super) fn forget(&mut self) {
        self.ids.clear();
    }
}

/// A sequence of MariaDB is logged like a table; a pattern does not mean it.
/// Source: MariaDB manual, "CREATE SEQUENCE".
fn is_sequence(map: &TableMap<'_>) -> bool {
    const COLUMNS: [&str; 8] = [
        "next_not_cached_value",
        "minimum_value",
        "maximum_value",
        "start_value",
        "increment",
        "cache_size",
        "cycle_option",
        "cycle_count",
    ];
    map.columns()
        .is_ok_and(|columns| columns.iter().map(|one| one.name.as_deref()).eq(COLUMNS.map(Some)))
}
