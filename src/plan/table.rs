//! The compiled plan of one table, and of a link as the list of its tables.
//!
//! Everything downstream works with indexes into these lists: a change names its table by index in
//! [`LinkPlan::tables`], a step its columns by index in [`TablePlan::columns`].

use std::sync::Arc;

use crate::config::{
    Deletes, Dialect, DroppedPartitions, LinkName, OnFlagged, OnPoison, Truncates,
};
use crate::model::{Column, Table, TableName};
use crate::plan::{Finding, UnseenKey, Wanted};
use crate::transform::Conversion;
use crate::transform::rules::Rules;

/// Everything a link does, table by table.
#[derive(Clone, Debug)]
pub struct LinkPlan {
    /// The link.
    pub link: LinkName,
    /// Dialect of the source.
    pub source_dialect: Dialect,
    /// Dialect of the target.
    pub target_dialect: Dialect,
    /// Tables; a change's `table` is an index here.
    pub tables: Vec<Arc<TablePlan>>,
    /// Which source tables the configuration asks for, these and others.
    pub wanted: Wanted,
    /// Target tables that the link would read as its own source if both ends were one server.
    pub overlap: Vec<TableName>,
    /// What is carried otherwise than one may expect, for `weir check` to tell.
    pub remarks: Vec<Finding>,
}

impl LinkPlan {
    /// Whether a table of it is also written from the other end, so that what weir wrote is to be told from
    /// what applications write.
    pub fn is_marked(&self) -> bool {
        self.tables.iter().any(|table| table.entry.is_some())
    }

    /// The plan of a link of which no table is known: enough to look at its source's log.
    pub fn of_no_table(link: LinkName, [source_dialect, target_dialect]: [Dialect; 2]) -> LinkPlan {
        LinkPlan {
            link,
            source_dialect,
            target_dialect,
            tables: Vec::new(),
            wanted: Wanted::default(),
            overlap: Vec::new(),
            remarks: Vec::new(),
        }
    }
}

/// How one table crosses.
#[derive(Clone, Debug)]
pub struct TablePlan {
    /// The table at the source. Rows of changes follow its columns.
    pub source: Table,
    /// The table at the target.
    pub target: Table,
    /// The columns that are written, in target order. Rows of steps follow these.
    pub columns: Vec<ColumnPlan>,
    /// Whether the source is master of which rows there are. If not, none is ever inserted or deleted, and
    /// the match key only finds rows.
    pub owns_rows: bool,
    /// Name of the `[table.*]` in which several databases are master of something; `None` where the source
    /// is master of the whole table.
    pub entry: Option<String>,
    /// The master of which rows there are, where it is another database.
    pub row_owner: Option<String>,
    /// What is done about rows that a database makes, moves or deletes that is not their owner.
    pub on_flagged: OnFlagged,
    /// Columns of the source that other databases are master of: what is written to them there is
    /// recorded. Empty where the source is master of the whole table.
    pub foreign: Vec<ForeignColumn>,
    /// The match key, as indexes into `columns`.
    pub key: Vec<usize>,
    /// How an insert-or-update is written.
    pub upsert: UpsertStrategy,
    /// Parents before children: a table's rank is above that of every table it refers to.
    pub rank: u32,
    /// Whether a delete and an insert of one key may be one insert-or-update: every column of the
    /// target is written, and no other table of the link hangs on the row that goes.
    pub replaceable: bool,
    /// Whether rows of a table of the link refer to its rows on the target.
    pub parent: bool,
    /// The columns of the source table that each foreign key of the target refers to; `None` for one that
    /// does not cross.
    pub referred: Vec<Vec<Option<usize>>>,
    /// Foreign keys of the target that change rows when a row of this table is deleted or changed.
    pub acting: Vec<ActingKey>,
    /// Foreign keys of the source that change rows when a row of this table is deleted or changed, and
    /// of which its log holds nothing.
    pub unseen: Vec<UnseenKey>,
    /// Why a delete of a row may differ on the two sides.
    pub undone: Option<Undone>,
    /// What deletes do.
    pub deletes: Deletes,
    /// What TRUNCATE does.
    pub truncate: Truncates,
    /// What a partition of the source that is dropped or detached does.
    pub dropped_partitions: DroppedPartitions,
    /// What a change does that the target refuses.
    pub on_poison: OnPoison,
}

impl TablePlan {
    /// A table as if there were no other: no keys between tables are known, rows are written by the key
    /// alone, and all that is done to the source's is applied.
    pub fn alone(
        source: Table,
        target: Table,
        columns: Vec<ColumnPlan>,
        key: Vec<usize>,
    ) -> TablePlan {
        TablePlan {
            source,
            target,
            columns,
            owns_rows: true,
            entry: None,
            row_owner: None,
            on_flagged: OnFlagged::Flag,
            foreign: Vec::new(),
            key,
            upsert: UpsertStrategy::Native,
            rank: 0,
            replaceable: false,
            parent: false,
            referred: Vec::new(),
            acting: Vec::new(),
            unseen: Vec::new(),
            undone: None,
            deletes: Deletes::Apply,
            truncate: Truncates::Apply,
            dropped_partitions: DroppedPartitions::Halt,
            on_poison: OnPoison::Park,
        }
    }

    /// Whether the source is master of all that crosses.
    pub fn is_sole(&self) -> bool {
        self.owns_rows && self.foreign.is_empty()
    }

    /// Whether the log's values of a column of the source are of concern.
    pub fn reads(&self, source: usize) -> bool {
        self.columns.iter().any(|column| column.source == source)
            || self.foreign.iter().any(|column| column.source == source)
    }

    /// The columns that an update writes, besides the match key.
    pub fn owned(&self) -> impl Iterator<Item = (usize, &ColumnPlan)> {
        let columns = self.columns.iter().enumerate();
        columns.filter(|(at, column)| column.owned && !self.key.contains(at))
    }

    /// Whether rows of the target may hang on its rows there.
    pub fn is_referred_to(&self) -> bool {
        self.parent || !self.acting.is_empty()
    }

    /// The keys of the target by which no row may refer to one that is deleted, as far as the target is
    /// to look; none for most tables.
    pub fn looked_at(&self) -> Vec<&ActingKey> {
        match &self.undone {
            Some(Undone::ByTarget(_)) => {
                let others = |key: &&ActingKey| key.on_delete && key.child != self.target.name;
                self.acting.iter().filter(others).collect()
            }
            Some(Undone::Untold(keys)) => {
                keys.iter().filter_map(|at| self.acting.get(*at)).collect()
            }
            Some(Undone::BySource(_)) | None => Vec::new(),
        }
    }

    /// The master of a column, or of the rows where there is none.
    pub fn owner_named(&self, column: Option<&ForeignColumn>, link: &LinkName) -> String {
        match column {
            Some(column) => column.owner.clone(),
            None if self.owns_rows => link.source.clone(),
            None => self.row_owner.clone().unwrap_or_else(|| link.target.clone()),
        }
    }

    /// The columns of the target that an insert leaves to their defaults.
    pub fn unfilled(&self) -> impl Iterator<Item = Unfilled<'_>> {
        let is_filled = |at: usize| self.columns.iter().any(|column| column.target == at);
        let left = self.target.columns.iter().enumerate();
        left.filter(move |(at, column)| column.has_default && !is_filled(*at))
            .map(|(_, column)| Unfilled { table: &self.target.name, column })
    }
}

/// A column of a target table that inserts leave to its default.
#[derive(Clone, Copy, Debug)]
pub struct Unfilled<'a> {
    /// The table.
    pub table: &'a TableName,
    /// The column.
    pub column: &'a Column,
}

/// What a foreign key of the target that refers to a planned table does by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActingKey {
    /// Constraint name.
    pub name: String,
    /// The table of the target whose rows it changes.
    pub child: TableName,
    /// Whether it acts when a row referred to is deleted.
    pub on_delete: bool,
    /// The columns of the planned source table whose change it acts on.
    pub columns: Vec<usize>,
    /// Its columns in the child, and those of the target's table that they refer to.
    pub pairs: Vec<(String, String)>,
}

/// Why a delete of a row may differ on the two sides: what a server leaves undone of that which its keys
/// say, by the table whose rows stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undone {
    /// The target does, and the source's log does not hold what its keys did.
    ByTarget(TableName),
    /// The source does, and keys of the target act.
    BySource(TableName),
    /// The table refers to itself, and the source's log does not tell whether its keys were carried out
    /// at all; which of the acting keys may matter then.
    Untold(Vec<usize>),
}

/// How one column crosses.
#[derive(Clone, Debug)]
pub struct ColumnPlan {
    /// Index in the source table's columns.
    pub source: usize,
    /// Index in the target table's columns.
    pub target: usize,
    /// From the source's value to one that fits the target.
    pub conversion: Conversion,
    /// From the target's value back; for match keys only, so that a missed row can be read again.
    pub reverse: Option<Conversion>,
    /// Its values are kept out of records: a hash stands for each.
    pub sensitive: bool,
    /// The steps and settings that its values go through before the conversion; none for most columns.
    pub rules: Option<Arc<Rules>>,
    /// The source is master of it. If not, it comes with the insert of a row and is left alone then.
    pub owned: bool,
}

/// A column of the source that another database is master of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignColumn {
    /// Index in the source table's columns.
    pub source: usize,
    /// Index in the target table's columns, where the target has it.
    pub target: Option<usize>,
    /// Its master.
    pub owner: String,
    /// What is done about a write of it at the source.
    pub on_flagged: OnFlagged,
    /// Whether its first value comes with the insert of a row; else that is recorded too.
    pub comes_first: bool,
    /// Its values are kept out of records: a hash stands for each.
    pub sensitive: bool,
}

impl ColumnPlan {
    /// A column that the source owns, that is not read back and is no secret.
    pub fn of(source: usize, target: usize, conversion: Conversion) -> ColumnPlan {
        ColumnPlan {
            source,
            target,
            conversion,
            reverse: None,
            sensitive: false,
            rules: None,
            owned: true,
        }
    }
}

/// How an insert-or-update may be written on the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpsertStrategy {
    /// One statement: `ON CONFLICT (key)`, or `ON DUPLICATE KEY UPDATE` where the match key is the
    /// sole unique index and compares byte for byte.
    Native,
    /// Update the rows that exist, then insert the others: the native statement of MySQL and
    /// MariaDB could hit another row by another unique index or a coarse collation.
    UpdateThenInsert,
}
