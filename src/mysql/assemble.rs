//! Events to parts: transactions with their positions, changes of planned tables, and every reason
//! to halt.
//!
//! Pure: no IO, no clock. A transaction opens at its GTID and ends at its commit; only that part
//! carries a position. Rows of tables outside the plan are passed over by table id before anything
//! of them is read. Statements are judged by [`statement`]: what could have changed a planned
//! table without rows in the log halts the link by name. What is prepared in two phases (XA) is kept
//! until it is decided, and goes on as a transaction at its commit.

mod again;
mod mark;
mod place;
mod position;
mod prepared;
mod refusals;
mod replaced;
mod rows;
mod tables;
mod unchecked;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::binlog::{Event, Format, Header, Payload, Query, parse};
use super::session::Flavor;
use super::statement::{self, Statement};
use crate::error::{Error, Kind, Result};
use crate::link::queue::{PART_BYTES_MAX, PART_CHANGES_MAX};
use crate::model::{Change, Commit, Mark, Op, Part};
use crate::plan::{LinkPlan, MarkReader};
use crate::position::{Coordinates, Position};
use again::Again;
use mark::Marks;
use place::Place;
use position::Gtid;
use prepared::Prepared;
use tables::Tables;
use unchecked::Suspicions;

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
    /// Read by place: where reading begins.
    start: Option<Coordinates>,
    /// The end of the log when reading began, where it is known.
    head: Option<Coordinates>,
    /// Transactions that are prepared and not yet decided.
    prepared: Prepared,
    /// What is read a second time because of them.
    again: Option<Again>,
    /// The position of the last commit, to be held by what is prepared.
    executed: Position,
    reviewed_until: Option<Position>,
    /// What tells weir's own transactions; where nothing else writes from the other end, none is looked for.
    marks: Option<Marks>,
    /// Tables that were given a foreign key which acts, of which the plan does not know.
    newly_keyed: BTreeSet<usize>,
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
    /// That of the event with the GTID, which is written at the commit.
    began_us: i64,
    /// Ends with a COMMIT or XID; else with its first statement.
    begun: bool,
    /// Whether a change of a planned table was in it.
    changed: bool,
    /// weir wrote it.
    mark: Option<Mark>,
    /// Whether a part of it has left the assembler.
    handed_on: bool,
    /// It was applied before: only its first phase, if it is one, is of concern.
    passed: bool,
    /// It may only be prepared: none of it leaves the assembler before that is known.
    two_phase: bool,
    /// Full parts of a two-phase transaction.
    kept: Vec<Part>,
    /// Of what is read a second time: the position in it after this transaction.
    read: Option<Position>,
    /// Where it begins in its file.
    begins_at: u64,
    /// The operator has reviewed schema changes up to here.
    reviewed: bool,
    /// What the open statement may have done with the checks of foreign keys off.
    suspicions: Suspicions,
    /// What it deleted and may put in its place again, in the order of the log.
    detained: Vec<Change>,
}

/// How a transaction begins.
#[derive(Clone, Copy, Debug)]
struct Opening {
    /// Commit time, microseconds since 1970.
    time_us: Option<i64>,
    /// It ends with a COMMIT or XID; else with its first statement, unless that says otherwise.
    begun: bool,
    /// It is the first phase of two.
    two_phase: bool,
}

impl Transaction {
    /// Commit time, microseconds since 1970; that of the event which ends it where its GTID has none.
    fn time_us(&self, header: &Header) -> i64 {
        self.time_us.unwrap_or(i64::from(header.time_s) * 1_000_000)
    }

    /// Commit time as it is known from its beginning on.
    fn known_us(&self) -> i64 {
        self.time_us.unwrap_or(self.began_us)
    }

    /// Whether nothing of it is of concern.
    fn is_over(&self) -> bool {
        self.passed && !self.two_phase
    }
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
        let (at, start) = (from.coordinates().cloned(), from.restart().coordinates().cloned());
        let again = Again::of(&from, by_place);
        let executed = from.applied().clone();
        Ok(Assembler {
            tables: Tables::new(&plan, server.names_by_case)?,
            plan,
            logs_cascades: server.logs_cascades,
            format: Format::unknown(server.flavor),
            place: Place::new(start.clone().filter(|_| !by_place)),
            by_place,
            gtids_only: matches!(executed, Position::Mysql(..)),
            floor: at,
            start,
            head: None,
            prepared: Prepared::default(),
            again,
            executed,
            reviewed_until,
            marks: None,
            newly_keyed: BTreeSet::new(),
            open: None,
            part: Part::default(),
        })
    }

    /// Tells transactions that weir wrote from others.
    pub(crate) fn tell_marks(&mut self, marks: Option<MarkReader>) {
        self.marks = marks.map(Marks::new);
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
                self.gtids_only &= self.again.is_some() || self.is_start_file();
                self.tables.forget();
            }
            Event::PreviousGtids(set) => self.previous(set),
            Event::Rotate { file, position } => {
                self.place.enter(file, position);
                self.tables.forget();
            }
            Event::MysqlGtid(gtid) => {
                let opening = Opening { time_us: gtid.time_us, begun: false, two_phase: false };
                self.begin(header, &Gtid::Mysql(gtid.origin, gtid.number), opening)?;
            }
            Event::MariadbGtid { gtid, standalone, two_phase } => {
                let opening = Opening { time_us: None, begun: !standalone, two_phase };
                self.begin(header, &Gtid::Mariadb(gtid), opening)?;
            }
            Event::Anonymous { time_us } if self.by_place => {
                let opening = Opening { time_us, begun: false, two_phase: false };
                self.begin(header, &Gtid::None, opening)?;
            }
            Event::Anonymous { .. } => {
                let what = "a transaction without GTID among those that are read by GTID";
                return Err(Error::new(Kind::Malformed, what));
            }
            Event::Query(query) => self.query(header, &query, ready)?,
            Event::Xid => self.commit(header, ready)?,
            Event::Prepare(prepare) => self.prepare(header, prepare, ready)?,
            Event::TableMap(_) | Event::Rows(_) if self.transaction()?.is_over() => {}
            Event::TableMap(map) => {
                let reviewed = self.transaction()?.reviewed;
                self.tables.learn(&self.plan, &map, reviewed)?;
                if let Some(marks) = &mut self.marks {
                    marks.learn(&map)?;
                }
            }
            Event::Rows(event) => {
                self.find_mark(&event)?;
                self.rows(&event, ready)?;
            }
            Event::Heartbeat { file } => self.idle(header, file, ready)?,
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

    fn begin(&mut self, header: &Header, gtid: &Gtid, opening: Opening) -> Result<()> {
        if self.open.is_some() {
            return Err(Error::new(Kind::Malformed, "a transaction starts inside another"));
        }
        if self.by_place && self.place.coordinates().is_none() {
            return Err(Error::new(Kind::Malformed, "a transaction in a file without a name"));
        }
        self.end_again()?;
        let passed = self.is_passed(gtid);
        let read = match &self.again {
            Some(again) => Some(gtid.after(again.read.clone())?),
            None => None,
        };
        if self.by_place && !passed && gtid.is_in(&self.executed) {
            let what = "a transaction comes a second time in the log: it was begun anew";
            return Err(Error::new(Kind::Identity, what));
        }
        // The place lies inside the transaction now: a position that reaches it holds all of it.
        let at = self.place.coordinates();
        let begins_at = at.as_ref().map_or(0, |at| at.position.saturating_sub(header.size.into()));
        let position = match &read {
            Some(read) if passed => {
                place::start_of(read.clone(), at.clone(), at.map_or(0, |at| at.position))
            }
            _ => {
                self.gtids_only &= !matches!(gtid, Gtid::None);
                self.here(gtid.after(self.executed.clone())?, true)
            }
        };
        let reviewed = self.reviewed_until.as_ref().is_some_and(|until| until.reaches(&position));
        self.tables.begin();
        let Opening { time_us, begun, two_phase } = opening;
        self.open = Some(Transaction {
            position,
            time_us,
            began_us: i64::from(header.time_s) * 1_000_000,
            begun,
            changed: false,
            mark: None,
            handed_on: false,
            passed,
            two_phase,
            kept: Vec::new(),
            read,
            begins_at,
            reviewed,
            suspicions: Suspicions::default(),
            detained: Vec::new(),
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
        self.end_statement(ready)?;
        let Some(mut transaction) = self.open.take() else { return Ok(()) };
        if let (Some(again), Some(read)) = (&mut self.again, transaction.read.take()) {
            again.read = read;
        }
        let mut part = std::mem::take(&mut self.part);
        part.mark = transaction.mark;
        if transaction.passed {
            return self.end_again();
        }
        let time_us = transaction.time_us(header);
        part.time_us = Some(transaction.known_us());
        self.executed = self.here(transaction.position, true);
        let position = self.hold(self.executed.clone());
        part.commit = Some(Commit { position, time_us, xid: None });
        ready.push(part);
        Ok(())
    }

    /// Progress of an idle source.
    fn idle(&mut self, header: &Header, file: &str, ready: &mut Vec<Part>) -> Result<()> {
        if self.open.is_some() {
            return Ok(());
        }
        self.place.idle_at(file, header);
        self.end_again()?;
        if self.again.is_some() {
            return Ok(());
        }
        self.executed = self.here(self.executed.clone(), false);
        let commit = Commit { position: self.hold(self.executed.clone()), time_us: 0, xid: None };
        ready.push(Part { commit: Some(commit), idle: true, ..Part::default() });
        Ok(())
    }

    /// Adds a change, and hands a part on when it is full.
    fn push(&mut self, change: Change, ready: &mut Vec<Part>) -> Result<()> {
        if matches!(change.op, Op::Delete { .. }) {
            self.refuse_undone(change.table)?;
        }
        self.transaction()?.changed = true;
        self.part.bytes += rows::size_bytes(&change);
        self.part.changes.push(change);
        if self.part.bytes < PART_BYTES_MAX && self.part.changes.len() < PART_CHANGES_MAX {
            return Ok(());
        }
        let mut part = std::mem::take(&mut self.part);
        let transaction = self.transaction()?;
        part.time_us = Some(transaction.known_us());
        part.mark = transaction.mark;
        if transaction.two_phase {
            transaction.kept.push(part);
            let bytes = transaction.kept.iter().map(|part| part.bytes).sum();
            return self.prepared.require_room(bytes);
        }
        transaction.handed_on = true;
        ready.push(part);
        Ok(())
    }

    fn query(&mut self, header: &Header, query: &Query<'_>, ready: &mut Vec<Part>) -> Result<()> {
        let transaction = self.transaction()?;
        let (begun, over) = (transaction.begun, transaction.is_over());
        match statement::read(query, &self.format) {
            Statement::Xa => return self.two_phase(header, query, ready),
            Statement::Begin => {
                self.transaction()?.begun = true;
                return Ok(());
            }
            Statement::Commit => return self.commit(header, ready),
            Statement::Rollback => {
                self.refuse_undo("a transaction that ends with ROLLBACK")?;
                return self.commit(header, ready);
            }
            _ if over => {}
            Statement::RollbackToSavepoint => self.refuse_undo("ROLLBACK TO SAVEPOINT")?,
            Statement::Savepoint | Statement::Ddl => {}
            Statement::Truncate(name) => match self.tables.planned(&name) {
                Some(table) => {
                    if query.unchecked {
                        self.refuse_unchecked(table, &Op::Truncate)?;
                    }
                    self.push(Change { table, op: Op::Truncate, reshaped: false }, ready)?;
                }
                None => {
                    let reviewed = self.transaction()?.reviewed;
                    self.tables.refuse_unplanned(&name, reviewed)?;
                }
            },
            Statement::Gone(names) => self.refuse_gone(&names)?,
            Statement::DropDatabase(schema) => {
                let names = self.tables.of_schema(&schema);
                self.refuse_gone(&names)?;
            }
            Statement::MovesRows(names) => self.refuse_moved(&names)?,
            Statement::Alter { table, clause, columns } => {
                self.refuse_altered(&table, &clause, &columns)?;
            }
            Statement::ActingKey(table) => self.learn_acting_key(&table)?,
            Statement::Temporary(name) => self.refuse_temporary(&name)?,
            Statement::Ambiguous(names) => self.refuse_ambiguous(&names)?,
            Statement::RowsOf(name) if self.tables.planned(&name).is_none() => {}
            Statement::RowsOf(_) => return Err(statement_format("DELETE")),
            Statement::Rows(verb) => return Err(statement_format(&verb)),
            Statement::Unknown(word) => self.refuse_unknown(&word)?,
        }
        if begun { Ok(()) } else { self.commit(header, ready) }
    }
}

fn statement_format(verb: &str) -> Error {
    Error::new(Kind::Unsupported, format!("the log holds rows in statement format ({verb})"))
        .hint("set binlog_format = ROW on the source for all sessions, then start anew")
}
