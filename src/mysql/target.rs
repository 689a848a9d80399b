//! The apply side of a link on MySQL or MariaDB: one connection, one transaction at a time.
//!
//! A transaction opens with the compare-and-swap of the witness and is READ COMMITTED. A slice that
//! the server refuses for a row (or answers with a warning) is undone to its savepoint, or wholly
//! where it opened the transaction; after any other error the transaction is rolled back and, unless it
//! only met another session's, the connection is not used again. Updates never create rows: what they do not find is noted in
//! `weir.missed` in the same transaction. No statement here commits implicitly. How rows become
//! statements is in `target/writer.rs`, the witness in `target/witness.rs`.

pub(super) mod copies;
mod flags;
mod letters;
mod load;
mod notes;
mod steps;
mod undone;
mod witness;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use super::identity::{self, identity};
use super::session::{self, Flavor, Role, Session};
use super::sql::own;
use crate::config::Database;
use crate::error::{Error, Kind, Result};
use crate::link::ports::{
    Applied, CopyNote, LetterCount, LetterHead, LinkContext, MissedKey, Note, Notes, Pending,
    Slice, StoredCopy, Target,
};
use crate::model::Witness;
use crate::plan::{LinkPlan, key_text, parse_key};
pub(super) use letters::OwnLetters;
use notes::{KeyText, ReadNote};
use witness::WitnessKey;
use writer::Writer;
pub(super) use writer::{execute, field, parameters};

/// Connects the apply side of a link. Locks are waited for at most `lock_timeout`.
///
/// # Errors
/// As [`session::connect`].
pub async fn open(
    context: &LinkContext,
    database: &Database,
    plan: Arc<LinkPlan>,
    lock_timeout: Duration,
) -> Result<Box<dyn Target>> {
    let mut session = session::connect(database, &context.application_name(), Role::Target).await?;
    for statement in settings(session.flavor(), lock_timeout) {
        session.run("set up the apply session", &statement).await?;
    }
    let identity = identity(&mut session).await?;
    let packet_bytes_max = packet_bytes_max(&mut session).await?;
    Ok(Box::new(MysqlTarget {
        name: context.name.clone(),
        link: context.link.to_string(),
        identity,
        writer: Writer::new(session, Arc::clone(&plan), packet_bytes_max),
        plan,
        open: None,
        looked_until: 0,
        usable: true,
    }))
}

/// Bytes of a command that the server takes.
pub(super) async fn packet_bytes_max(session: &mut Session) -> Result<usize> {
    let packet = session.text("read a setting", "SELECT @@GLOBAL.max_allowed_packet").await?;
    Ok(packet.and_then(|text| text.parse().ok()).unwrap_or(1 << 20))
}

/// Settings of apply sessions beyond those of every target session.
fn settings(flavor: Flavor, lock_timeout: Duration) -> Vec<String> {
    let seconds = lock_timeout.as_secs().max(1);
    let mut settings = vec![
        "SET NAMES utf8mb4 COLLATE utf8mb4_bin".to_owned(),
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
        format!(
            "SET SESSION innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}, \
             sql_safe_updates = 0, foreign_key_checks = 1, unique_checks = 1"
        ),
        // What the server has altered is told by warnings, or by notes alone. How many it keeps is for
        // administrators to say on MySQL: those that it does not show are refused too.
        "SET SESSION sql_notes = 1".to_owned(),
    ];
    if flavor == Flavor::Mariadb {
        // A large transaction of the source stays open between slices.
        settings.push(
            "SET SESSION max_statement_time = 0, idle_transaction_timeout = 0, \
             idle_write_transaction_timeout = 0, idle_readonly_transaction_timeout = 0"
                .to_owned(),
        );
    }
    settings
}

struct MysqlTarget {
    name: String,
    link: String,
    identity: String,
    plan: Arc<LinkPlan>,
    writer: Writer,
    /// The open transaction, if any.
    open: Option<OpenTransaction>,
    /// The newest id that a look at the notes has found: none above it is settled.
    looked_until: u64,
    /// False while a call runs and after an error that says nothing of the connection's state.
    usable: bool,
}

/// What the closing slice needs to know.
struct OpenTransaction {
    /// The witness as it is stored in the transaction.
    witness: WitnessKey,
    /// Letters that wait for the closing slice's position.
    unplaced: Unplaced,
    /// Records of flagged writes have no position yet.
    unplaced_flags: bool,
}

/// Letters without a position.
#[derive(Debug, Default)]
struct Unplaced {
    /// New ones have this number or a higher one.
    from: Option<u64>,
    /// Those that were there before.
    folded: Vec<u64>,
}

impl Unplaced {
    fn add(&mut self, later: Unplaced) {
        self.from = self.from.or(later.from);
        self.folded.extend(later.folded);
    }

    fn is_empty(&self) -> bool {
        self.from.is_none() && self.folded.is_empty()
    }
}

impl Target for MysqlTarget {
    fn instance(&mut self) -> Pending<'_, String> {
        Box::pin(identity::instance(self.writer.session()))
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    fn read_witness(&mut self) -> Pending<'_, Option<Witness>> {
        Box::pin(witness::read(self.writer.session(), &self.name, &self.link))
    }

    fn create_witness<'a>(&'a mut self, witness: &'a Witness) -> Pending<'a, ()> {
        Box::pin(witness::create(self.writer.session(), witness))
    }

    fn move_witness<'a>(&'a mut self, witness: &'a Witness) -> Pending<'a, ()> {
        Box::pin(witness::succeed(self.writer.session(), witness))
    }

    fn accepted(&mut self) -> Pending<'_, Option<String>> {
        Box::pin(witness::accepted(self.writer.session(), &self.name, &self.link))
    }

    fn accept<'a>(&'a mut self, witness: &'a Witness, text: &'a str) -> Pending<'a, ()> {
        Box::pin(witness::accept(self.writer.session(), witness, text))
    }

    fn apply<'a>(&'a mut self, slice: Slice<'a>) -> Pending<'a, Applied> {
        Box::pin(self.apply_slice(slice))
    }

    fn rollback(&mut self) -> Pending<'_, ()> {
        Box::pin(async {
            self.open = None;
            self.writer.session().run("roll back", "ROLLBACK").await
        })
    }

    fn missed(&mut self, limit: usize) -> Pending<'_, Notes> {
        Box::pin(self.read_missed(limit))
    }

    fn letters(&mut self) -> Pending<'_, Vec<LetterHead>> {
        Box::pin(self.read_letters())
    }

    fn count_letters(&mut self) -> Pending<'_, LetterCount> {
        Box::pin(self.count_letters())
    }

    fn copies(&mut self) -> Pending<'_, Vec<StoredCopy>> {
        Box::pin(copies::list(self.writer.session(), &self.name, &self.link))
    }

    fn orders(&mut self) -> Pending<'_, Vec<StoredCopy>> {
        Box::pin(copies::orders(self.writer.session(), &self.name, &self.link))
    }

    fn begin_copies<'a>(&'a mut self, notes: &'a [CopyNote]) -> Pending<'a, ()> {
        Box::pin(self.writer.begin_copies(&self.name, &self.link, notes))
    }

    fn pass_counters(&mut self, table: usize) -> Pending<'_, ()> {
        Box::pin(self.writer.pass_counters(table))
    }
}

impl MysqlTarget {
    async fn apply_slice(&mut self, slice: Slice<'_>) -> Result<Applied> {
        if !self.usable {
            let context = format!("link {}: the connection was given up", self.link);
            return Err(Error::new(Kind::Connection, context));
        }
        if slice.open.is_some() == self.open.is_some() {
            let context = format!("link {}: a slice that does not follow the last one", self.link);
            return Err(Error::new(Kind::Internal, context));
        }
        // Stays false if this call is dropped half way.
        self.usable = false;
        match self.run(slice).await {
            Ok(applied) => {
                self.usable = true;
                Ok(applied)
            }
            Err(error) => Err(self.undo(error, slice.open.is_some()).await),
        }
    }

    async fn run(&mut self, slice: Slice<'_>) -> Result<Applied> {
        match slice.open {
            Some(witness) => {
                self.writer.control("begin a transaction", "START TRANSACTION").await?;
                let key = WitnessKey::of(witness);
                let witness = key.swap(&mut self.writer, slice.close).await?;
                self.open = Some(OpenTransaction {
                    witness,
                    unplaced: Unplaced::default(),
                    unplaced_flags: false,
                });
            }
            None => self.writer.control("set a savepoint", own::SAVEPOINT).await?,
        }
        let mut applied = Applied::default();
        for step in slice.steps {
            applied.missed.extend(self.writer.step(step, slice.unnoted).await?);
        }
        if let Some(load) = slice.load {
            self.writer.load(load).await?;
        }
        let settled = self.texts(slice.settled)?;
        self.writer.settle(&self.name, &self.link, &settled, self.looked_until).await?;
        let notes = self.texts(&applied.missed)?;
        self.writer.note(&self.name, &self.link, &notes).await?;
        self.writer.keep_copies(&self.name, &self.link, slice.copies).await?;
        let unplaced = match slice.letters.is_empty() {
            true => Unplaced::default(),
            false => {
                let mut own = self.writer.letters(&self.name, &self.link);
                own.write(&self.plan, slice.letters, slice.close).await?
            }
        };
        let of = (self.name.as_str(), &*self.plan);
        self.writer.record_flags(of, slice.flags, slice.close).await?;
        let Some(open) = &mut self.open else { return Ok(applied) };
        let Some(position) = slice.close else {
            open.unplaced.add(unplaced);
            open.unplaced_flags |= !slice.flags.is_empty();
            return Ok(applied);
        };
        if open.unplaced_flags {
            self.writer.place_flags(&self.name, &self.link, position).await?;
        }
        if !open.unplaced.is_empty() {
            let mut own = self.writer.letters(&self.name, &self.link);
            own.place(&open.unplaced, position).await?;
        }
        if slice.open.is_none() {
            open.witness.set_position(&mut self.writer, position).await?;
        }
        self.writer.control("commit", "COMMIT").await?;
        self.open = None;
        Ok(applied)
    }

    /// Keys as notes hold them.
    fn texts(&self, keys: &[MissedKey]) -> Result<Vec<KeyText>> {
        keys.iter()
            .map(|missed| {
                let plan = self.plan.tables.get(missed.table).ok_or_else(|| {
                    Error::new(Kind::Internal, format!("link {}: no such table", self.link))
                })?;
                let (table, key) = (plan.target.name.to_string(), key_text(&missed.key));
                Ok(KeyText { table, key, why: missed.why })
            })
            .collect()
    }

    /// Undoes a slice as the port says; gives back the error to report.
    async fn undo(&mut self, error: Error, opened: bool) -> Error {
        let refused = error.is_about_a_row();
        if refused && !opened {
            return match self.writer.control("undo a slice", own::ROLLBACK_TO).await {
                Ok(()) => {
                    self.usable = true;
                    error
                }
                Err(lost) => lost,
            };
        }
        self.open = None;
        if matches!(error.kind(), Kind::Connection | Kind::Timeout) {
            return error;
        }
        let passes = refused || error.kind() == Kind::Contention;
        match self.writer.control("roll back", "ROLLBACK").await {
            Ok(()) => {
                self.usable = passes;
                error
            }
            Err(lost) if passes => lost,
            // The first error says more; the server rolls back when the connection closes.
            Err(lost) => {
                tracing::debug!(link = %self.link, error = %lost.chain(), "no rollback");
                error
            }
        }
    }

    async fn read_missed(&mut self, limit: usize) -> Result<Notes> {
        let tables: Vec<String> =
            self.plan.tables.iter().map(|plan| plan.target.name.to_string()).collect();
        let read = self.writer.notes(&self.name, &self.link, &tables, limit).await?;
        let mut notes = Notes::default();
        for ReadNote { id, text: KeyText { table, key, why }, newest } in read {
            self.looked_until = self.looked_until.max(id);
            notes.newest = notes.newest.max(newest);
            if let Some(table) = tables.iter().position(|name| *name == table) {
                let missed = MissedKey { table, key: parse_key(&key)?, why };
                notes.oldest.push(Note { id, missed });
            }
        }
        Ok(notes)
    }
}
