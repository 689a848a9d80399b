//! Messages of `pgoutput` → parts of transactions in rows of the planned tables; pure.
//!
//! Guarantees: every transaction ends in a part with a commit, also one without planned changes;
//! a part stays near [`PART_BYTES_MAX`]; unchanged TOAST is unknown, except under REPLICA
//! IDENTITY FULL, where the old row has it; a table whose shape in the log differs from the plan
//! is an error that lists the differences, unless a person has reviewed the log up to there.
//! Tables that are not planned are skipped before their values are looked at.

mod rows;

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;

use super::members::{self, Members, Other};
use super::pgoutput::{self, Message, Old, Relation, Tuple};
use super::shape::{Layout, TypeName, layout};
use crate::config::DroppedPartitions;
use crate::error::{Error, Kind, Result};
use crate::link::queue::{PART_BYTES_MAX, PART_CHANGES_MAX};
use crate::model::value::UNIX_TO_2000_US;
use crate::model::{Before, Change, Commit, Mark, Op, Part, Row, TableName};
use crate::plan::{LinkPlan, MarkReader, TablePlan, unplanned};
use crate::position::{Lsn, Position};
use rows::{fill_unchanged, row};

/// What to do about a table whose log told too little for a while.
const KEY_LOST: &str = "give the table back a replica identity that holds the match key; deletes and \
    key changes since then cannot be followed: copy the table again, then \
    `weir resume LINK --schema-reviewed`";

/// So many partitions that were truncated are named.
const NAMED_MAX: usize = 20;

/// Turns messages into parts. Fed in log order from the start of a stream.
#[derive(Debug)]
pub(crate) struct Assembler {
    plan: Arc<LinkPlan>,
    by_name: HashMap<TableName, usize>,
    members: Members,
    relations: HashMap<u32, Known>,
    /// Described by a transaction that `members` could not tell of.
    unsettled: Vec<(u32, TableName)>,
    types: HashMap<u32, TypeName>,
    reviewed_until: Option<Lsn>,
    /// What a person was told and has reviewed.
    reviewed_halts: Vec<String>,
    /// What tells weir's own transactions; where nothing else writes from the other end, none is looked for.
    marks: Option<MarkReader>,
    open: Option<Transaction>,
    part: Part,
}

/// A relation the log has described.
#[derive(Debug)]
enum Known {
    Planned {
        table: usize,
        name: TableName,
        layout: Layout,
    },
    /// Not planned although the configuration asks for it.
    Wanted(TableName),
    /// Not known at all.
    Stranger(u32, TableName),
    /// weir's own row, which marks its transactions.
    Witness(Layout),
    Skipped,
}

#[derive(Clone, Copy, Debug)]
struct Transaction {
    final_lsn: Lsn,
    xid: u32,
    /// When it was committed, microseconds since 1970.
    time_us: i64,
    /// Whether a planned table was changed in it.
    changed: bool,
    /// weir wrote it.
    mark: Option<Mark>,
}

impl Assembler {
    /// An assembler for a stream of `plan`'s tables. `members` has them by their present object id,
    /// so that a renamed table is noticed, and a partition is known for its table. Changes that committed at or before
    /// `reviewed_until` are matched by column name, whatever else differs.
    pub(crate) fn new(plan: Arc<LinkPlan>, members: Members, reviewed_until: Option<Lsn>) -> Self {
        let by_name = plan
            .tables
            .iter()
            .enumerate()
            .map(|(index, table)| (table.source.name.clone(), index))
            .collect();
        Assembler {
            plan,
            by_name,
            members,
            relations: HashMap::new(),
            unsettled: Vec::new(),
            types: HashMap::new(),
            reviewed_until,
            reviewed_halts: Vec::new(),
            marks: None,
            open: None,
            part: Part::default(),
        }
    }

    /// Tells transactions that weir wrote from others.
    pub(crate) fn tell_marks(&mut self, marks: Option<MarkReader>) {
        self.marks = marks;
    }

    /// Lets what these texts of halts name pass, up to where a person has reviewed the log.
    pub(crate) fn settle(&mut self, reviewed_halts: Vec<String>) {
        self.reviewed_halts = reviewed_halts;
    }

    /// Whether the catalog must be asked, for [`Assembler::renew`], before the next message.
    pub(crate) fn is_unsettled(&self) -> bool {
        !self.unsettled.is_empty()
    }

    /// Judges what was described by what the catalog says `now`.
    pub(crate) fn renew(&mut self, now: Members) -> Result<()> {
        self.members.renew(now)?;
        for (oid, name) in std::mem::take(&mut self.unsettled) {
            let known = self.unplanned(oid, name);
            self.relations.insert(oid, known);
        }
        Ok(())
    }

    /// Whether a transaction has begun and not ended.
    pub(crate) fn in_transaction(&self) -> bool {
        self.open.is_some()
    }

    /// Takes one message; returns a part when one is full or its transaction ends.
    pub(crate) fn push(&mut self, payload: &Bytes) -> Result<Option<Part>> {
        let result = self.take(payload);
        match self.open {
            Some(open) => result
                .map_err(|error| error.within(format_args!("transaction at {}", open.final_lsn))),
            None => result,
        }
    }

    fn take(&mut self, payload: &Bytes) -> Result<Option<Part>> {
        match pgoutput::parse(payload)? {
            Message::Begin { final_lsn, time_us, xid } => self.begin(final_lsn, xid, time_us)?,
            Message::Commit { commit_lsn, end_lsn, time_us } => {
                return self.commit(commit_lsn, end_lsn, time_us).map(Some);
            }
            Message::Relation(relation) => self.describe(&relation),
            Message::Type { oid, schema, name } => {
                let name = TypeName { schema: schema.to_owned(), name: name.to_owned() };
                self.types.insert(oid, name);
            }
            Message::Insert { relation, new } => {
                self.find_mark(relation, &new, payload)?;
                if let Some((table, layout)) = self.planned(relation)? {
                    let after = self.row(table, layout, &new, payload, false)?;
                    let reshaped = layout.is_reshaped();
                    return Ok(self.add(Change { table, op: Op::Insert { after }, reshaped }));
                }
            }
            Message::Update { relation, old, new } => {
                self.find_mark(relation, &new, payload)?;
                if let Some((table, layout)) = self.planned(relation)? {
                    let before = match old {
                        None => None,
                        Some(old) => Some(self.before(table, layout, &old, payload)?),
                    };
                    let mut after = self.row(table, layout, &new, payload, false)?;
                    if let Some(before) = &before {
                        fill_unchanged(&mut after, before.row());
                    }
                    let reshaped = layout.is_reshaped();
                    let op = Op::Update { before, after };
                    return Ok(self.add(Change { table, op, reshaped }));
                }
            }
            Message::Delete { relation, old } => {
                if let Some((table, layout)) = self.planned(relation)? {
                    let before = self.before(table, layout, &old, payload)?;
                    let change = Change { table, op: Op::Delete { before }, reshaped: false };
                    return Ok(self.add(change));
                }
            }
            Message::Truncate { relations } => return self.truncate(&relations),
            Message::Origin { .. } | Message::Logical => {}
            Message::StreamStart { .. }
            | Message::StreamStop
            | Message::StreamCommit(_)
            | Message::StreamAbort { .. } => {
                return Err(out_of_order("a block of an open transaction that was not asked for"));
            }
        }
        Ok(None)
    }

    /// Begins the transaction whose commit record is at `final_lsn`; its time is the server's.
    pub(crate) fn begin(&mut self, final_lsn: Lsn, xid: u32, time_us: i64) -> Result<()> {
        let time_us = time_us.saturating_add(UNIX_TO_2000_US);
        let open = Transaction { final_lsn, xid, time_us, changed: false, mark: None };
        match self.open.replace(open) {
            None => Ok(()),
            Some(_) => Err(out_of_order("a transaction begins inside another")),
        }
    }

    /// Ends the transaction; its last part.
    pub(crate) fn commit(&mut self, commit_lsn: Lsn, end_lsn: Lsn, time_us: i64) -> Result<Part> {
        match self.open {
            Some(open) if open.final_lsn == commit_lsn && end_lsn > commit_lsn => {
                let mut part = std::mem::take(&mut self.part);
                part.time_us = Some(open.time_us);
                part.mark = open.mark;
                part.commit = Some(Commit {
                    position: Position::Postgres(end_lsn),
                    time_us: time_us.saturating_add(UNIX_TO_2000_US),
                    xid: Some(open.xid),
                });
                self.open = None;
                Ok(part)
            }
            _ => Err(out_of_order("a commit does not belong to its transaction")),
        }
    }

    /// Finds the planned table of a relation, by name or by object id, and compares the shapes.
    fn describe(&mut self, relation: &Relation<'_>) {
        if let Some(marks) = &self.marks
            && marks.is_witness(relation.schema, relation.table)
        {
            let layout = layout(relation, &marks.table, &self.types, false);
            self.relations.insert(relation.oid, Known::Witness(layout));
            return;
        }
        let name = TableName::new(relation.schema, relation.table);
        let by_name = self.by_name.get(&name).copied();
        let by_oid = self.members.planned.get(&relation.oid).copied();
        let table = by_name.or(by_oid);
        let known = match table.and_then(|table| Some((table, self.plan.tables.get(table)?))) {
            None => {
                let settled = |open: Transaction| self.members.is_settled(open.xid, open.final_lsn);
                if !is_hidden(&name.schema) && !self.open.is_some_and(settled) {
                    self.unsettled.push((relation.oid, name.clone()));
                }
                self.unplanned(relation.oid, name)
            }
            Some((table, plan)) => {
                let partition = self.members.is_partition(relation.oid, table);
                let mut layout = layout(relation, plan, &self.types, partition);
                layout.differences.extend(self.mistaken(table, by_oid));
                Known::Planned { table, name, layout }
            }
        };
        self.relations.insert(relation.oid, known);
    }

    /// What a relation is that is no planned table's.
    fn unplanned(&self, oid: u32, name: TableName) -> Known {
        match self.members.other(oid) {
            _ if is_hidden(&name.schema) => Known::Skipped,
            Other::Stranger => Known::Stranger(oid, name),
            Other::Table if self.plan.wanted.wants(&name) => Known::Wanted(name),
            Other::Table | Other::Partition => Known::Skipped,
        }
    }

    /// Why a relation that goes by the planned table's name is another one. `by_oid` is what the
    /// relation itself is by the catalog.
    fn mistaken(&self, table: usize, by_oid: Option<usize>) -> Option<String> {
        match by_oid {
            Some(same) if same == table => None,
            Some(other) => {
                let other = self.plan.tables.get(other)?;
                Some(format!("it was {} before", other.source.name))
            }
            None => {
                let known = self.members.planned.values().any(|known| *known == table);
                known.then(|| "it was dropped and made again".to_owned())
            }
        }
    }

    /// The planned table and layout of a change; `None` for tables that are not planned.
    fn planned(&self, oid: u32) -> Result<Option<(usize, &Layout)>> {
        let Some(open) = self.open else {
            return Err(out_of_order("a change outside a transaction"));
        };
        match self.relations.get(&oid) {
            None => Err(out_of_order("a change of a table that was not described")),
            Some(Known::Skipped | Known::Witness(_)) => Ok(None),
            Some(Known::Wanted(_)) if self.is_reviewed(open) => Ok(None),
            Some(Known::Wanted(name)) => Err(unread(name)),
            Some(Known::Stranger(oid, name)) => {
                let unknown = members::unknown(*oid, name);
                let settled = members::stranger(&unknown)
                    .is_some_and(|stranger| self.is_settled(open, &stranger.to_string()));
                if settled { Ok(None) } else { Err(unknown) }
            }
            Some(Known::Planned { table, layout, .. }) => {
                if !layout.differences.is_empty() && !self.is_reviewed(open) {
                    let name = &self.plan(*table)?.source.name;
                    let differences = layout.differences.join("; ");
                    let context = format!("table {name} has changed: {differences}");
                    let error = Error::new(Kind::SchemaChanged, context);
                    return Err(if layout.lacks_key { error.hint(KEY_LOST) } else { error });
                }
                Ok(Some((*table, layout)))
            }
        }
    }

    /// The first change of a transaction that weir wrote is that of its witness.
    fn find_mark(&mut self, oid: u32, new: &Tuple<'_>, payload: &Bytes) -> Result<()> {
        if let (Some(open), Some(marks)) = (&mut self.open, &self.marks)
            && let Some(Known::Witness(layout)) = self.relations.get(&oid)
            && open.mark.is_none()
            && !open.changed
        {
            open.mark = marks.mark(&row(&marks.table.source, layout, new, payload, false)?);
        }
        Ok(())
    }

    /// Whether a person has reviewed the tables since the transaction committed.
    fn is_reviewed(&self, transaction: Transaction) -> bool {
        self.reviewed_until.is_some_and(|until| transaction.final_lsn <= until)
    }

    /// Whether a person has reviewed a halt that said `what` of the transaction. Of what no catalog can
    /// tell, a review of anything else settles nothing.
    fn is_settled(&self, transaction: Transaction, what: &str) -> bool {
        self.is_reviewed(transaction) && self.reviewed_halts.iter().any(|told| told.contains(what))
    }

    fn plan(&self, table: usize) -> Result<&TablePlan> {
        self.plan
            .tables
            .get(table)
            .map(|plan| &**plan)
            .ok_or_else(|| Error::new(Kind::Internal, "a table outside the plan"))
    }

    fn before(
        &self,
        table: usize,
        layout: &Layout,
        old: &Old<'_>,
        payload: &Bytes,
    ) -> Result<Before> {
        Ok(match old {
            Old::Key(tuple) => Before::Key(self.row(table, layout, tuple, payload, true)?),
            Old::Full(tuple) => Before::Full(self.row(table, layout, tuple, payload, false)?),
        })
    }

    /// A tuple as a row of the planned table. A key image has NULL where it knows nothing.
    fn row(
        &self,
        table: usize,
        layout: &Layout,
        tuple: &Tuple<'_>,
        payload: &Bytes,
        key_only: bool,
    ) -> Result<Row> {
        row(&self.plan(table)?.source, layout, tuple, payload, key_only)
    }

    fn truncate(&mut self, relations: &[u32]) -> Result<Option<Part>> {
        let mut tables = Vec::new();
        for oid in relations {
            let Some((table, _)) = self.planned(*oid)? else { continue };
            if !self.members.is_partition(*oid, table) {
                tables.push(table);
            } else if !self.members.are_all(relations, table, self.keeps(table)?) {
                self.refuse_partial(table, relations)?;
            } else if !tables.contains(&table) {
                tables.push(table);
            }
        }
        // Children first, as the foreign keys of the target want it. The log lists parents first.
        tables.sort_by_key(|table| {
            std::cmp::Reverse(self.plan.tables.get(*table).map_or(0, |plan| plan.rank))
        });
        if let (Some(open), false) = (&mut self.open, tables.is_empty()) {
            open.changed = true;
        }
        for table in tables {
            self.part.changes.push(Change { table, op: Op::Truncate, reshaped: false });
        }
        Ok(None)
    }

    /// The log says that partitions were emptied, not which rows these are on the target.
    fn refuse_partial(&self, table: usize, relations: &[u32]) -> Result<()> {
        let Some(open) = self.open else {
            return Err(out_of_order("a change outside a transaction"));
        };
        let name = &self.plan(table)?.source.name;
        let mut emptied: Vec<String> = relations
            .iter()
            .filter_map(|oid| match self.relations.get(oid)? {
                Known::Planned { table: of, name, .. } if *of == table => Some(name.to_string()),
                _ => None,
            })
            .collect();
        let more = emptied.len().saturating_sub(NAMED_MAX);
        emptied.truncate(NAMED_MAX);
        emptied.extend((more > 0).then(|| format!("{more} more")));
        let context = format!(
            "partitions of {name} were truncated at the source ({}; at {})",
            emptied.join(", "),
            open.final_lsn
        );
        if self.is_settled(open, &context) {
            return Ok(());
        }
        Err(Error::new(Kind::TableGap, context).hint(
            "delete the rows of these partitions on the target, then `weir resume LINK \
             --schema-reviewed`",
        ))
    }

    /// Whether rows of partitions that are gone stay on the target.
    fn keeps(&self, table: usize) -> Result<bool> {
        Ok(self.plan(table)?.dropped_partitions == DroppedPartitions::Keep)
    }

    /// Adds a change; returns the part when it is full.
    fn add(&mut self, change: Change) -> Option<Part> {
        let row_bytes = match &change.op {
            Op::Insert { after } | Op::Update { before: None, after } => after.size_bytes(),
            Op::Update { before: Some(before), after } => {
                before.row().size_bytes() + after.size_bytes()
            }
            Op::Delete { before } => before.row().size_bytes(),
            Op::Truncate => 0,
        };
        self.part.bytes += row_bytes + size_of::<Change>();
        self.part.changes.push(change);
        let full = self.part.bytes >= PART_BYTES_MAX || self.part.changes.len() >= PART_CHANGES_MAX;
        let open = self.open.as_mut()?;
        open.changed = true;
        let (time_us, mark) = (Some(open.time_us), open.mark);
        full.then(|| Part { time_us, mark, ..std::mem::take(&mut self.part) })
    }
}

/// Whether a schema's tables are never planned (see the catalog).
fn is_hidden(schema: &str) -> bool {
    schema == "weir" || schema == "information_schema" || schema.starts_with("pg_")
}

fn unread(name: &TableName) -> Error {
    unplanned(name).hint(format!(
        "make the table on the target, grant weir what `weir setup` prints for it, `weir resume LINK \
         --schema-reviewed`, and `weir snapshot LINK {name}` if it holds rows already; or `exclude` \
         \"{name}\" and start weir again"
    ))
}

fn out_of_order(what: &str) -> Error {
    Error::new(Kind::Malformed, what)
}

#[cfg(test)]
mod tests;
