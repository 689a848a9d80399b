//! What a link needs of the two rooms. Each dialect's room implements [`Room`]; `rooms.rs` picks
//! one. Links, commands and tests speak to databases only through these traits.

mod copy;
mod target;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{Database, Dialect, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::queue::PartSender;
use crate::model::{Row, Table, TableName};
use crate::plan::{Blueprint, LinkPlan, TablePlan, Unfilled};
pub use crate::plan::{Finding, KeyLook, Repeated, Selection};
use crate::position::Position;

pub use crate::link::creation::Creation;
pub use crate::link::flag::{Adopt, Adopted, Decision, FlagRecord, StoredFlag};
pub use crate::link::ledger::{Checkpoint, Ledger};
pub use crate::link::letter::{
    BEHIND, Letter, LetterCount, LetterHead, LetterWork, Reason, RowName, StoredLetter, Tried,
};
pub use crate::link::notes::{MissedKey, Note, Notes, Why};
pub use copy::{Chunk, Copies, CopyNote, Division, Load, Piece, Reach, StoredCopy};
pub use target::{Applied, Flags, Letters, Slice, Target};

/// A boxed future of a port.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Who is asking: names that end up in slot, publication, witness and process list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkContext {
    /// `name` of the configuration.
    pub name: String,
    /// The link.
    pub link: LinkName,
    /// MySQL/MariaDB: the replica server id to present.
    pub server_id: u32,
    /// Id of this installation, which tells its readers from those of a copied configuration.
    pub installation: String,
}

impl LinkContext {
    /// The name of the slot and of the publication: `weir_<name>_<source>_<target>`. At most 63
    /// bytes by the limits on the three names (24 + 16 + 16 + 7).
    pub fn slot_name(&self) -> String {
        format!("weir_{}_{}", self.name, self.link.slot_suffix())
    }

    /// How sessions present themselves to the server: `weir <name> <source>:<target>`.
    pub fn application_name(&self) -> String {
        format!("weir {} {}", self.name, self.link)
    }
}

/// Where a source may keep what it is sent of transactions that are still open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolPlace {
    /// A directory of the link alone; emptied, and made where it is missing.
    pub directory: PathBuf,
    /// Bytes on disk at most.
    pub bytes_max: u64,
}

/// What a preflight is about.
#[derive(Clone, Copy, Debug)]
pub struct Preflight<'a> {
    /// Who asks.
    pub context: &'a LinkContext,
    /// The database to look at.
    pub database: &'a Database,
    /// The tables of this database that the link uses (source or target side).
    pub tables: &'a [&'a Table],
    /// Of a target, the columns that inserts leave to their defaults.
    pub unfilled: &'a [Unfilled<'a>],
    /// What all links of the configuration ask of the server; `None` where one link looks on its
    /// way: then only what may have changed for it is looked at.
    pub whole: Option<&'a Whole>,
}

/// What all links of a configuration ask of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whole {
    /// Slots of the links that read from it, one each.
    pub slots: Vec<String>,
    /// How many links write to it.
    pub writers: usize,
}

/// Which end of a link a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is read.
    Source,
    /// It is written.
    Target,
}

/// One dialect.
pub trait Room: Send + Sync {
    /// Whether the server takes writes: it is no standby, and not read-only.
    fn takes_writes<'a>(&'a self, database: &'a Database) -> Pending<'a, bool>;

    /// Connects once and reads the server's version text; for `check` and `status`.
    fn version<'a>(&'a self, database: &'a Database) -> Pending<'a, String>;

    /// Checks that `database` is really of this dialect (MariaDB behind mysql:// and the reverse
    /// are refused by name), and reads the selected tables with everything the planner needs.
    /// Tables of `weir` itself and of the system are never included.
    fn catalog<'a>(
        &'a self,
        database: &'a Database,
        dialect: Dialect,
        selection: &'a Selection,
    ) -> Pending<'a, Vec<Table>>;

    /// Which of `tables` hold at least one row.
    fn non_empty<'a>(
        &'a self,
        database: &'a Database,
        tables: &'a [TableName],
    ) -> Pending<'a, Vec<TableName>>;

    /// Keys that several rows have, 20 at most, those of most rows first; looks for at most 30 s.
    fn repeated<'a>(
        &'a self,
        database: &'a Database,
        look: &'a KeyLook<'a>,
    ) -> Pending<'a, Vec<Repeated>>;

    /// Of what was found, that of which the least and the greatest are one key to the table of `look`.
    fn merged<'a>(
        &'a self,
        database: &'a Database,
        look: &'a KeyLook<'a>,
        found: Vec<Repeated>,
    ) -> Pending<'a, Vec<Repeated>>;

    /// Everything that would keep `database` from being read as a source.
    fn check_source<'a>(&'a self, preflight: Preflight<'a>) -> Pending<'a, Vec<Finding>>;

    /// Everything that would keep `database` from being written as a target, `weir` schema
    /// included.
    fn check_target<'a>(&'a self, preflight: Preflight<'a>) -> Pending<'a, Vec<Finding>>;

    /// What stands against reading whole tables at `database`, a replica that is there for that.
    fn check_reader<'a>(&'a self, _database: &'a Database) -> Pending<'a, Vec<Finding>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Has the source `database` look at a condition on rows of `table`, in its own SQL, without reading
    /// any: an error of kind `Configuration` says why it does not understand it.
    fn check_condition<'a>(
        &'a self,
        database: &'a Database,
        table: &'a TableName,
        condition: &'a str,
    ) -> Pending<'a, ()>;

    /// The configured user as grants of this database name it; asked of the server wherever it
    /// lets that user in.
    fn account<'a>(&'a self, database: &'a Database) -> Pending<'a, String>;

    /// Grants by which `account` may connect and see which tables `schemas` (patterns with `*`)
    /// have, and none of their rows.
    fn setup_entry(&self, database: &Database, account: &str, schemas: &[&str]) -> Vec<String>;

    /// Which of `schemas` (patterns with `*`) the server hides from the user: which tables they
    /// have is not to be seen.
    fn hidden<'a>(
        &'a self,
        database: &'a Database,
        schemas: &'a [&str],
    ) -> Pending<'a, Vec<&'a str>>;

    /// The statements that prepare a source for the tables (publication, grants), in order, for
    /// `account`. `marked`: weir writes to it as well, and its transactions are to be told from others.
    /// Idempotent where the dialect allows it.
    fn setup_source(
        &self,
        context: &LinkContext,
        database: &Database,
        account: &str,
        tables: &[&Table],
        marked: bool,
    ) -> Vec<String>;

    /// The statements that prepare a target (schema `weir` with its tables, grants).
    fn setup_target(
        &self,
        account: &str,
        tables: &[&Table],
        unfilled: &[Unfilled<'_>],
    ) -> Vec<String>;

    /// Grants by which `account` may read tables that steps look into, and nothing else.
    fn setup_lists(&self, account: &str, tables: &[&Table]) -> Vec<String>;

    /// The statements that remove what setup and `run` made at the source (slot, publication).
    fn teardown_source(&self, context: &LinkContext) -> Vec<String>;

    /// The statements that remove the link's rows from the target's `weir` tables; with an
    /// installation only if its witness is there, or none.
    fn teardown_target(&self, context: &LinkContext, installation: Option<&str>) -> Vec<String>;

    /// Runs the statements of `verb` (`setup`, `teardown`) one by one; an error names the
    /// statement, and says how an administrator runs them where the user may not.
    fn execute<'a>(
        &'a self,
        database: &'a Database,
        verb: &'a str,
        statements: &'a [String],
    ) -> Pending<'a, ()>;

    /// What creates the tables that do not exist yet in `dialect`, one of this room's, from tables of
    /// `source_dialect`, by type-mapping §1, §2 and §5; in an order in which it can be run.
    fn create_tables(
        &self,
        tables: &[Blueprint],
        source_dialect: Dialect,
        dialect: Dialect,
    ) -> Vec<Creation>;

    /// A name as this dialect can hold it: the same, unless it is too long or ends in a blank.
    fn fitting_name(&self, name: &str) -> String;

    /// Connects the capture side of a link.
    fn open_source<'a>(
        &'a self,
        context: &'a LinkContext,
        database: &'a Database,
        plan: Arc<LinkPlan>,
    ) -> Pending<'a, Box<dyn Source>>;

    /// Connects the side reader of a source.
    fn open_scan<'a>(
        &'a self,
        context: &'a LinkContext,
        database: &'a Database,
        plan: Arc<LinkPlan>,
    ) -> Pending<'a, Box<dyn Scan>>;

    /// Connects the apply side of a link.
    fn open_target<'a>(
        &'a self,
        context: &'a LinkContext,
        database: &'a Database,
        plan: Arc<LinkPlan>,
        lock_timeout: Duration,
    ) -> Pending<'a, Box<dyn Target>>;

    /// Connects to the link's letters in the target `database`.
    fn open_letters<'a>(
        &'a self,
        context: &'a LinkContext,
        database: &'a Database,
    ) -> Pending<'a, Box<dyn Letters>>;

    /// Connects to the link's records of flagged writes in the target `database`.
    fn open_flags<'a>(
        &'a self,
        context: &'a LinkContext,
        database: &'a Database,
    ) -> Pending<'a, Box<dyn Flags>>;

    /// Connects to the link's copies in the target `database`.
    fn open_copies<'a>(
        &'a self,
        _context: &'a LinkContext,
        _database: &'a Database,
    ) -> Pending<'a, Box<dyn Copies>> {
        Box::pin(async { Err(Error::new(Kind::Internal, "copies are not built yet")) })
    }
}

/// The capture of one link.
pub trait Source: Send {
    /// Who the server is: system id and timeline, server uuid, … Compared with the witness.
    fn identity(&self) -> &str;

    /// An error of kind `Gap` if the source remembers an earlier life of this link (its slot)
    /// although neither the target nor the state directory does: starting anew would skip what
    /// was written since.
    fn check_untouched(&mut self) -> Pending<'_, ()>;

    /// `start = "now"` and `"snapshot"`: makes the slot (PostgreSQL; an unused one left by an interrupted first
    /// start is replaced) or reads the executed GTIDs, and returns the position to start from.
    fn begin(&mut self) -> Pending<'_, Position>;

    /// `start` at a given place: makes sure that the log can be read from `position` on, and returns it
    /// as the link's first position. PostgreSQL needs the link's slot, made beforehand by whoever copied
    /// the rows, not beyond it.
    fn begin_at<'a>(&'a mut self, _position: &'a Position) -> Pending<'a, Position> {
        Box::pin(async { Err(Error::new(Kind::Internal, "a given start is not built yet")) })
    }

    /// Partitions of planned tables, now and before, as their index in the plan and their line in
    /// [`Origin::log`]: whose rows those of a partition are that is gone and still in the log.
    fn recall(&mut self, _partitions: Vec<(usize, String)>) {}

    /// What halts said that a person has reviewed: in the log up to `reviewed_until`, what they named
    /// and no catalog can tell (a partition that is gone, one that was truncated) halts no more.
    fn settle(&mut self, _reviewed_halts: Vec<String>) {}

    /// How many attempts in a row ended because the server was silent in the stream: a server that
    /// passes over a long stretch needs more time than one that is dead.
    fn be_patient(&mut self, _silences: u32) {}

    /// Lets the source send transactions before their commit, to be kept at `place`; without it they
    /// come whole, at their commit.
    fn spool_at(&mut self, _place: SpoolPlace) {}

    /// Whether the log still reaches back to `witness`, with no gap; an error of kind `Gap`,
    /// `Identity` or `SourceBusy` says what is wrong and what to do.
    fn check_resume<'a>(&'a mut self, witness: &'a Position) -> Pending<'a, ()>;

    /// Another server answers than `former`, which the witness knows: the position by which this one
    /// is followed instead, if it can be a successor whose log goes on where that of `former` was
    /// read. `None` where there is no such thing. Whether its log holds the position,
    /// [`Source::check_resume`] is asked next; until that has agreed, nothing is written. `seen`: what
    /// was read to the end came from this very server, which was `former` then. An error says what
    /// the change has lost.
    fn successor<'a>(
        &'a mut self,
        _former: &'a str,
        _witness: &'a Position,
        _seen: bool,
    ) -> Pending<'a, Option<Position>> {
        Box::pin(async { Ok(None) })
    }

    /// Reads the log from `from` and hands parts to `queue`, until `stop` or an error. `durable`
    /// is the frontier: the newest position whose witness is committed in the target and whose
    /// checkpoint is durable; only that is ever acknowledged. Keep-alives are answered while the
    /// queue is full. Shapes of tables in the log are checked against the plan: a difference at a
    /// position not reached by `reviewed_until` is a `SchemaChanged` error that lists it; up to
    /// that position columns are matched by name.
    fn stream<'a>(
        &'a mut self,
        from: Position,
        reviewed_until: Option<Position>,
        queue: PartSender,
        durable: watch::Receiver<Position>,
        stop: CancellationToken,
    ) -> Pending<'a, ()>;
}

/// What one look at the source saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Scanned {
    /// Everything up to here is visible in `rows`.
    pub low: Position,
    /// Nothing after here is visible in `rows`.
    pub high: Position,
    /// Each of `rows` that was found is as of `high`, whatever came after `low`: they were locked.
    pub exact: bool,
    /// PostgreSQL: transactions that were not finished for the snapshot; if the stream has handed
    /// one of them on, the low mark has not reached it yet.
    pub in_progress: Vec<u32>,
    /// One per key asked for, in order: the row in the order of the source table's columns.
    pub rows: Vec<Option<Row>>,
}

/// What tells a table, and the way its changes come into the log, from another of the same name and
/// shape. Lines to be compared with those of another time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The table, and what lets its changes into the log. A line that went away means that changes
    /// may be missing. A partition's line begins with `partition `, and its name, which may change,
    /// comes after the first `: `.
    pub log: Vec<String>,
    /// Each column with what only it has: one dropped and added again is another.
    pub columns: Vec<String>,
}

/// How long the source still keeps of its log what a link needs. What a server cannot tell is `None`,
/// never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Bytes of log that the server keeps for the link (PostgreSQL: behind its slot).
    pub retained_bytes: Option<u64>,
    /// Bytes that may still be written before the server gives the link's log up; below zero where
    /// it may do so at any time, zero where it has. `None` too where it never does.
    pub safe_bytes: Option<i64>,
    /// Least time until the server may purge the file that the link reads next.
    pub purge_eta: Option<Duration>,
}

/// Reads beside the stream, on a connection of its own. Writes nothing.
pub trait Scan: Send {
    /// The running server, told from every other, a copy of its files included.
    fn instance(&mut self) -> Pending<'_, String>;

    /// An error of kind `Unavailable` where the server is not that of the log, as [`Source::identity`]
    /// has it. Once connected anew, the reader itself refuses another server than at its start: marks
    /// of one log mean nothing in another.
    fn require_server(&self, _identity: &str) -> Result<()> {
        Ok(())
    }

    /// From here on nothing is asked about the log, which may not exist or not be shown: rows are read in
    /// one snapshot as before, and its marks mean nothing. For a target that is read as it is: a row is that
    /// of a key also where only the server takes the two for the same.
    fn forgo_marks(&mut self) {}

    /// The origin of each planned table as it is now, in the plan's order; empty where the log holds
    /// the changes of every table, and the making of tables too.
    fn origins(&mut self) -> Pending<'_, Vec<Origin>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Which of the partitions that joined planned table `table`, by their lines in [`Origin::log`],
    /// hold rows from before they did, which are in no log of the table.
    fn strays<'a>(&'a mut self, _table: usize, _joined: &'a [String]) -> Pending<'a, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Transactions that are not finished now although the log may hold their commit already
    /// ([`Scanned::in_progress`]).
    fn unfinished(&mut self) -> Pending<'_, Vec<u32>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Of a standby, which cannot say who is in progress: the oldest transaction that may be, and the
    /// number after the newest one of which the log tells. `None` where [`Scan::unfinished`] tells.
    fn horizon(&mut self) -> Pending<'_, Option<(u64, u64)>> {
        Box::pin(async { Ok(None) })
    }

    /// Whether the server of the last call was a standby then and is none now.
    fn promoted(&mut self) -> Pending<'_, bool> {
        Box::pin(async { Ok(false) })
    }

    /// Writes a small message into the log if the link stands at `seen` for long although the log
    /// grows, where that is configured. To be called every few seconds.
    fn heartbeat<'a>(&'a mut self, _seen: &'a Position) -> Pending<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// The present end of the log.
    fn head(&mut self) -> Pending<'_, Position>;

    /// Bytes of log between `applied` and the present end, where the server can tell.
    fn lag_bytes<'a>(&'a mut self, applied: &'a Position) -> Pending<'a, Option<u64>>;

    /// What the source keeps of its log for the link, which reads on at `next`. `applied_us` is the
    /// source's commit time of the newest transaction that is applied, microseconds since 1970.
    fn retention<'a>(
        &'a mut self,
        _next: &'a Position,
        _applied_us: Option<i64>,
    ) -> Pending<'a, Retention> {
        Box::pin(async { Ok(Retention::default()) })
    }

    /// Reads rows by match key in one snapshot with its marks. `keys` hold source values in key
    /// order. Values are exactly those that the stream yields.
    fn read_rows<'a>(&'a mut self, table: &'a TablePlan, keys: &'a [Row]) -> Pending<'a, Scanned>;

    /// How `table` is to be walked, in about `parts` stretches of the same size.
    fn divide<'a>(&'a mut self, _table: &'a TablePlan, _parts: usize) -> Pending<'a, Division> {
        Box::pin(async { Err(Error::new(Kind::Internal, "copies are not built yet")) })
    }

    /// Reads a piece of `table` in one snapshot with its marks. Only one statement's locks, for no longer
    /// than the piece is read.
    fn read_chunk<'a>(
        &'a mut self,
        _table: &'a TablePlan,
        _reach: &'a Reach,
    ) -> Pending<'a, Option<Chunk>> {
        Box::pin(async { Err(Error::new(Kind::Internal, "copies are not built yet")) })
    }

    /// An error of kind `Unavailable` or `Configuration` where the server is neither that of the log,
    /// whose identity this is, nor a replica of it whose positions can be compared with the log's. Of a
    /// replica that may show what is not in that log: up to where it shows everything, for
    /// [`copyist::require_within`](super::copyist::require_within).
    fn require_copy_of<'a>(&'a mut self, identity: &'a str) -> Pending<'a, Option<Position>> {
        Box::pin(async move {
            self.require_server(identity)?;
            Ok(None)
        })
    }
}
