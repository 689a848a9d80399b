//! Events to parts: transactions with their positions, changes of planned tables, and every reason
//! to halt.
//!
//! Pure: no IO, no clock. A transaction opens at its GTID and ends at its commit; only that part
//! carries a position. Rows of tables outside the plan are passed over by table id before anything
//! of them is read. Statements are judged by [`statement`]: what could have changed a planned
//! table without rows in the log halts the link by name.

mod place;
mod position;
mod rows;
mod tables;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::binlog::{Event, Format, Header, Payload, Query, parse};
use super::session::Flavor;
use super::statement::{self, Statement};
use crate::error::{Error, Kind, Result};
use crate::link::queue::{PART_BYTES_MAX, PART_CHANGES_MAX};
use crate::model::{Change, Commit, Op, Part, TableName};
use crate::plan::{LinkPlan, TablePlan};
use crate::position::{Coordinates, Position};
use place::Place;
use tables::Tables;

/// What the assembler must know of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// Which server it is.
    pub(crate) flavor: Flavor,
    /// Whether table names are told apart by case (`lower_case_table_names = 0`).
    pub(crate) names_by_case: bool,
    /// Whether the log holds what foreign keys do.
    pub(crate) logs_cascades: bool,
    /// Whether it is read by place (MySQL), so that every transaction after it comes, those that have
    /// no GTID too.
    pub(crate) by_place: bool,
}

/// Puts transactions together.
#[derive(Debug)]
pub(crate) struct Assembler {
    plan: Arc<LinkPlan>,
    logs_cascades: bool,
    format: Format,
    tables: Tables,
    place: Place,
    /// The log is read by place, so that transactions may have no GTID.
    by_place: bool,
    /// Read by place: the GTIDs of all that comes before are known, and only transactions that have
    /// one came since: their commits are positions by GTID.
    gtids_only: bool,
    /// Before this place, the position may hold more than the log up to the place that is read.
    floor: Option<Coordinates>,
    executed: Position,
    reviewed_until: Option<Position>,
    open: Option<Transaction>,
    part: Part,
}

/// The transaction being read.
#[derive(Debug)]
struct Transaction {
    /// The position after it, coordinates not yet known.
    position: Position,
    /// Commit time from the GTID, microseconds since 1970.
    time_us: Option<i64>,
    /// Ends with a COMMIT or XID; else with its first statement.
    begun: bool,
    /// Whether a change of a planned table was in it.
    changed: bool,
    /// Whether a part of it has left the assembler.
    handed_on: bool,
    /// The operator has reviewed schema changes up to here.
    reviewed: bool,
}

impl Assembler {
    /// An assembler for events after `from`.
    ///
    /// # Errors
    /// `Internal` where two tables of the plan have the same source.
    pub(crate) fn new(
        plan: Arc<LinkPlan>,
        server: Server,
        from: Position,
        reviewed_until: Option<Position>,
    ) -> Result<Self> {
        let by_place = server.by_place;
        let at = from.coordinates().cloned();
        Ok(Assembler {
            tables: Tables::new(&plan, server.names_by_case)?,
            plan,
            logs_cascades: server.logs_cascades,
            format: Format::unknown(server.flavor),
            place: Place::new(at.clone().filter(|_| !by_place)),
            by_place,
            gtids_only: matches!(from, Position::Mysql(..)),
            floor: at,
            executed: from,
            reviewed_until,
            open: None,
            part: Part::default(),
        })
    }

    /// Takes one event, `body` being its bytes between header and checksum, and appends the parts
    /// that are ready.
    ///
    /// # Errors
    /// What keeps the event from being applied exactly, with its place in the log.
    pub(crate) fn take(
        &mut self,
        header: &Header,
        body: &[u8],
        ready: &mut Vec<Part>,
    ) -> Result<()> {
        let place = |error: Error, place: &Place| error.within(format_args!("log at {place}"));
        let event = parse(header, body, &self.format).map_err(|error| place(error, &self.place))?;
        self.place.pass(header);
        if self.is_before_start(&event) {
            return Ok(());
        }
        self.event(header, event, ready).map_err(|error| place(error, &self.place))
    }

    /// Opens a compressed transaction; its events go to [`Assembler::take_packed`].
    ///
    /// # Errors
    /// As [`Payload::open`], with its place in the log.
    pub(crate) fn unpack<'a>(&mut self, header: &Header, body: &'a [u8]) -> Result<Payload<'a>> {
        self.place.pass(header);
        Payload::open(body).map_err(|error| error.within(format_args!("log at {}", self.place)))
    }

    /// As [`Assembler::take`], for an event out of a compressed transaction: it has no place of its own.
    ///
    /// # Errors
    /// As [`Assembler::take`].
    pub(crate) fn take_packed(
        &mut self,
        header: &Header,
        body: &[u8],
        ready: &mut Vec<Part>,
    ) -> Result<()> {
        let event = match parse(header, body, &self.format) {
            Ok(Event::Format(_) | Event::Rotate { .. } | Event::Heartbeat { .. }) => {
                Err(Error::new(Kind::Malformed, "a compressed transaction with what is none"))
            }
            event => event,
        };
        event
            .and_then(|event| match self.is_before_start(&event) {
                true => Ok(()),
                false => self.event(header, event, ready),
            })
            .map_err(|error| error.within(format_args!("log at {}", self.place)))
    }

    fn event(&mut self, header: &Header, event: Event<'_>, ready: &mut Vec<Part>) -> Result<()> {
        match event {
            Event::Format(format) => {
                if format.fresh {
                    self.give_up()?;
                }
                self.format = format;
                self.place.begun(header.born());
                self.gtids_only &= self.is_start_file();
                self.tables.forget();
            }
            Event::PreviousGtids(set) => self.previous(set),
            Event::Rotate { file, position } => {
                self.place.enter(file, position);
                self.tables.forget();
            }
            Event::MysqlGtid(gtid) => {
                let mut executed = self.executed.clone();
                let (Position::Mysql(set, _) | Position::MysqlPlace(set, _)) = &mut executed else {
                    return Err(other_dialect());
                };
                if self.by_place && set.contains(&gtid.origin, gtid.number) {
                    let what = "a transaction comes a second time in the log: it was begun anew";
                    return Err(Error::new(Kind::Identity, what));
                }
                set.add(&gtid.origin, gtid.number);
                self.begin(executed, gtid.time_us, false)?;
            }
            Event::MariadbGtid { xa: true, .. } => return Err(two_phase()),
            Event::MariadbGtid { gtid, standalone, xa: false } => {
                let Position::Mariadb(mut set, _) = self.executed.clone() else {
                    return Err(other_dialect());
                };
                set.add(gtid);
                self.begin(Position::Mariadb(set, None), None, !standalone)?;
            }
            Event::Anonymous { time_us } if self.by_place => {
                self.gtids_only = false;
                self.begin(self.executed.clone(), time_us, false)?;
            }
            Event::Anonymous { .. } => {
                let what = "a transaction without GTID among those that are read by GTID";
                return Err(Error::new(Kind::Malformed, what));
            }
            Event::Query(query) => self.query(header, &query, ready)?,
            Event::Xid => self.commit(header, ready)?,
            Event::TableMap(map) => {
                let reviewed = self.transaction()?.reviewed;
                self.tables.learn(&self.plan, &map, reviewed)?;
            }
            Event::Rows(event) => self.rows(&event, ready)?,
            Event::Heartbeat { file } => self.idle(header, file, ready),
            Event::Nothing => {}
        }
        Ok(())
    }

    /// The server has started anew: what it had not finished logging, it rolled back.
    fn give_up(&mut self) -> Result<()> {
        if self.open.as_ref().is_some_and(|open| open.handed_on) {
            return Err(Error::new(
                Kind::Unsupported,
                "the log holds a part of a transaction that the server gave up at a crash, too large to be left out",
            )
            .hint("nothing of it is on the target; `weir teardown LINK --apply` and start anew"));
        }
        self.open = None;
        self.part = Part::default();
        Ok(())
    }

    fn begin(&mut self, position: Position, time_us: Option<i64>, begun: bool) -> Result<()> {
        if self.open.is_some() {
            return Err(Error::new(Kind::Malformed, "a transaction starts inside another"));
        }
        if self.by_place && self.place.coordinates().is_none() {
            return Err(Error::new(Kind::Malformed, "a transaction in a file without a name"));
        }
        // The place lies inside the transaction now: a position that reaches it holds all of it.
        let position = self.here(position, true);
        let reviewed = self.reviewed_until.as_ref().is_some_and(|until| until.reaches(&position));
        self.tables.begin();
        self.open = Some(Transaction {
            position,
            time_us,
            begun,
            changed: false,
            handed_on: false,
            reviewed,
        });
        Ok(())
    }

    fn transaction(&mut self) -> Result<&mut Transaction> {
        self.open
            .as_mut()
            .ok_or_else(|| Error::new(Kind::Malformed, "a change outside of a transaction"))
    }

    /// Ends the open transaction: its last part carries the position.
    fn commit(&mut self, header: &Header, ready: &mut Vec<Part>) -> Result<()> {
        self.transaction()?;
        let Some(transaction) = self.open.take() else { return Ok(()) };
        let position = self.here(transaction.position, true);
        self.executed = position.clone();
        let time_us = transaction.time_us.unwrap_or(i64::from(header.time_s) * 1_000_000);
        let mut part = std::mem::take(&mut self.part);
        part.commit = Some(Commit { position, time_us, xid: None });
        ready.push(part);
        Ok(())
    }

    /// Progress of an idle source.
    fn idle(&mut self, header: &Header, file: &str, ready: &mut Vec<Part>) {
        if self.open.is_some() {
            return;
        }
        self.place.idle_at(file, header);
        self.executed = self.here(self.executed.clone(), false);
        let commit = Commit { position: self.executed.clone(), time_us: 0, xid: None };
        ready.push(Part { commit: Some(commit), idle: true, ..Part::default() });
    }

    /// Adds a change, and hands a part on when it is full.
    fn push(&mut self, change: Change, ready: &mut Vec<Part>) -> Result<()> {
        self.transaction()?.changed = true;
        self.part.bytes += rows::size_bytes(&change);
        self.part.changes.push(change);
        if self.part.bytes >= PART_BYTES_MAX || self.part.changes.len() >= PART_CHANGES_MAX {
            self.transaction()?.handed_on = true;
            ready.push(std::mem::take(&mut self.part));
        }
        Ok(())
    }

    fn query(&mut self, header: &Header, query: &Query<'_>, ready: &mut Vec<Part>) -> Result<()> {
        let begun = self.transaction()?.begun;
        let statement = statement::read(query, &self.format);
        match statement {
            Statement::Begin => {
                self.transaction()?.begun = true;
                return Ok(());
            }
            Statement::Commit => return self.commit(header, ready),
            Statement::Rollback => {
                self.refuse_undo("a transaction that ends with ROLLBACK")?;
                return self.commit(header, ready);
            }
            Statement::RollbackToSavepoint => self.refuse_undo("ROLLBACK TO SAVEPOINT")?,
            Statement::Savepoint | Statement::Ddl => {}
            Statement::Xa => return Err(two_phase()),
            Statement::Truncate(name) => {
                if let Some(table) = self.tables.planned(&name) {
                    if query.unchecked {
                        self.refuse_unchecked(table, &Op::Truncate)?;
                    }
                    self.push(Change { table, op: Op::Truncate, reshaped: false }, ready)?;
                }
            }
            Statement::Gone(names) => self.refuse_gone(&names)?,
            Statement::DropDatabase(schema) => {
                let names = self.tables.of_schema(&schema);
                self.refuse_gone(&names)?;
            }
            Statement::MovesRows(names) => self.refuse_moved(&names)?,
            Statement::Alter { table, clause, columns } => {
                self.refuse_altered(&table, &clause, &columns)?;
            }
            Statement::ActingKey(table) => self.refuse_acting_key(&table)?,
            Statement::Temporary(name) => self.refuse_temporary(&name)?,
            Statement::Ambiguous(names) => self.refuse_ambiguous(&names)?,
            Statement::RowsOf(name) if self.tables.planned(&name).is_none() => {}
            Statement::RowsOf(_) => return Err(statement_format("DELETE")),
            Statement::Rows(verb) => return Err(statement_format(&verb)),
            Statement::Unknown(word) => self.refuse_unknown(&word)?,
        }
        if begun { Ok(()) } else { self.commit(header, ready) }
    }

    /// Changes that were handed on cannot be taken back.
    fn refuse_undo(&mut self, what: &str) -> Result<()> {
        if self.transaction()?.changed {
            return Err(Error::new(
                Kind::Unsupported,
                format!("the log holds {what} after changes of replicated tables"),
            ));
        }
        Ok(())
    }

    fn refuse_gone(&mut self, names: &[TableName]) -> Result<()> {
        let planned = names.iter().find(|name| self.tables.planned(name).is_some());
        match planned {
            Some(name) if !self.transaction()?.reviewed => Err(Error::new(
                Kind::SchemaChanged,
                format!("table {name} was dropped, renamed or replaced"),
            )),
            _ => Ok(()),
        }
    }

    fn refuse_altered(&mut self, name: &TableName, clause: &str, columns: &[String]) -> Result<()> {
        let planned = self.tables.planned(name).and_then(|index| self.plan.tables.get(index));
        let concerned = planned.is_some_and(|plan| columns.is_empty() || writes(plan, columns));
        if !concerned || self.transaction()?.reviewed {
            return Ok(());
        }
        Err(Error::new(Kind::SchemaChanged, format!("ALTER TABLE changed {name}: {clause}")))
    }

    /// The plan was made without the key; its rows would change unseen from now on.
    fn refuse_acting_key(&mut self, name: &TableName) -> Result<()> {
        if self.logs_cascades || self.tables.planned(name).is_none() || self.transaction()?.reviewed
        {
            return Ok(());
        }
        let what =
            format!("ALTER TABLE gave {name} a foreign key that changes rows without logging them");
        Err(Error::new(Kind::SchemaChanged, what).hint(
            "add the same foreign key to the target, then `weir resume LINK --schema-reviewed`",
        ))
    }

    fn refuse_temporary(&mut self, name: &TableName) -> Result<()> {
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

    fn refuse_unknown(&mut self, word: &str) -> Result<()> {
        if self.transaction()?.reviewed {
            return Ok(());
        }
        let what = format!("the log holds a statement that weir does not know: {word}");
        Err(Error::new(Kind::Unsupported, what).hint(
            "look at the statement in the log; where it changes replicated tables or their rows, \
             do the same on the target by hand; then `weir resume LINK --schema-reviewed`",
        ))
    }

    fn refuse_moved(&mut self, names: &[TableName]) -> Result<()> {
        self.refuse_unlogged(names, |name| {
            format!("ALTER TABLE moved or dropped rows of {name} without logging them")
        })
    }

    fn refuse_ambiguous(&mut self, names: &[TableName]) -> Result<()> {
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

fn other_dialect() -> Error {
    Error::new(Kind::Identity, "the log's GTIDs are of the other dialect than the position")
}

fn two_phase() -> Error {
    Error::new(Kind::Unsupported, "the log holds a two-phase XA transaction")
        .hint("commit without XA on this server; weir does not support it yet")
}

fn statement_format(verb: &str) -> Error {
    Error::new(Kind::Unsupported, format!("the log holds rows in statement format ({verb})"))
        .hint("set binlog_format = ROW on the source for all sessions, then start anew")
}
