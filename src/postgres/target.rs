//! The apply side on PostgreSQL: one connection, one transaction at a time.
//!
//! A transaction starts with the compare-and-swap of the link's witness and commits with the rows,
//! so a batch is in the target once or not at all. All statements of a slice travel in one go; a
//! second round trip commits, after every count has been looked at. Later slices run under a
//! savepoint, so that a refused row undoes its slice only. Updates that find no row are noted in
//! `weir.missed` in the same transaction. What happened to a lost COMMIT is not guessed here: the
//! link reads the witness again on a new connection.

mod copies;
mod counters;
mod flags;
mod letters;
mod load;
mod notes;
mod pipeline;
mod session_settings;
mod statements;
mod steps;
mod witness;

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::types::FromSql;
use tokio_postgres::{Row as DbRow, Statement};

pub(super) use self::copies::stored_copy;
use self::letters::{Request, Writing};
use self::pipeline::{Check, Found, Parameter, Pipeline, in_time};
use self::statements::Statements;
use super::failure::classify;
use super::session::{self, Session};
use super::sql::{copies as copies_sql, witness as sql};
use crate::config::Database;
use crate::error::{Error, Kind, Result};
use crate::link::ports::{
    Applied, CopyNote, LetterCount, LetterHead, LinkContext, MissedKey, Notes, Pending, Slice,
    StoredCopy, Target, Why,
};
use crate::model::{Step, Verb, Witness};
use crate::plan::LinkPlan;
use crate::position::Position;
use crate::snapshot::caution::Caution;

/// Connects the apply side of a link and prepares its session.
///
/// Errors: `ReadOnly` where the server is a standby, else as the session's.
pub async fn open(
    context: &LinkContext,
    database: &Database,
    plan: Arc<LinkPlan>,
    lock_timeout: Duration,
) -> Result<Box<dyn Target>> {
    let session = session::connect(database, &context.application_name()).await?;
    let identity = session_settings::prepare(&session, database, lock_timeout).await?;
    let context = context.clone();
    Ok(Box::new(PostgresTarget {
        session,
        identity,
        context,
        plan,
        statements: Statements::default(),
        open: None,
        looked_until: 0,
        caution: Caution::default(),
    }))
}

/// The apply side of one link.
struct PostgresTarget {
    session: Session,
    identity: String,
    context: LinkContext,
    plan: Arc<LinkPlan>,
    statements: Statements,
    /// The open transaction, if any.
    open: Option<OpenTransaction>,
    /// The newest id that a look at the notes has found: none above it is settled.
    looked_until: i64,
    /// Tables in which rows of a copy may be there already.
    caution: Caution,
}

/// What the closing slice needs to know of the witness.
#[derive(Clone, Debug)]
struct OpenTransaction {
    installation: String,
    /// Stored since the compare-and-swap.
    seq: i64,
    /// Whether the last slice's savepoint is still there.
    savepoint: bool,
    /// Numbers of letters that wait for the closing slice's position.
    unplaced: Vec<i64>,
    /// Records of flagged writes have no position yet.
    unplaced_flags: bool,
}

impl OpenTransaction {
    /// What a slice has recorded without a position: letters of these numbers, and flagged writes.
    fn leave_unplaced(&mut self, letters: Vec<i64>, slice: &Slice<'_>) {
        self.unplaced.extend(letters);
        self.unplaced_flags |= slice.close.is_none() && !slice.flags.is_empty();
    }
}

impl Target for PostgresTarget {
    fn instance(&mut self) -> Pending<'_, String> {
        Box::pin(async {
            let row = in_time(self.session.query_one(sql::INSTANCE, &[])).await?;
            let row = row.map_err(|error| classify(error, "tell the server from others"))?;
            column(&row, 0)
        })
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    fn read_witness(&mut self) -> Pending<'_, Option<Witness>> {
        Box::pin(self.read_witness())
    }

    fn create_witness<'a>(&'a mut self, witness: &'a Witness) -> Pending<'a, ()> {
        Box::pin(self.create_witness(witness))
    }

    fn move_witness<'a>(&'a mut self, witness: &'a Witness) -> Pending<'a, ()> {
        Box::pin(self.move_witness(witness))
    }

    fn accepted(&mut self) -> Pending<'_, Option<String>> {
        Box::pin(self.read_accepted())
    }

    fn accept<'a>(&'a mut self, witness: &'a Witness, text: &'a str) -> Pending<'a, ()> {
        Box::pin(self.write_accepted(witness, text))
    }

    fn apply<'a>(&'a mut self, slice: Slice<'a>) -> Pending<'a, Applied> {
        Box::pin(self.apply(slice))
    }

    fn rollback(&mut self) -> Pending<'_, ()> {
        Box::pin(self.roll_back())
    }

    fn missed(&mut self, limit: usize) -> Pending<'_, Notes> {
        Box::pin(self.missed(limit))
    }

    fn letters(&mut self) -> Pending<'_, Vec<LetterHead>> {
        Box::pin(self.read_letters())
    }

    fn count_letters(&mut self) -> Pending<'_, LetterCount> {
        Box::pin(self.count_letters())
    }

    fn copies(&mut self) -> Pending<'_, Vec<StoredCopy>> {
        Box::pin(self.read_copies(copies_sql::LIST))
    }

    fn orders(&mut self) -> Pending<'_, Vec<StoredCopy>> {
        Box::pin(self.read_copies(copies_sql::ORDERS))
    }

    fn pass_counters<'a>(&'a mut self, table: usize) -> Pending<'a, ()> {
        Box::pin(self.pass_counters_of(table))
    }

    fn begin_copies<'a>(&'a mut self, notes: &'a [CopyNote]) -> Pending<'a, ()> {
        Box::pin(self.begin_copies(notes))
    }
}

impl PostgresTarget {
    fn link(&self) -> String {
        self.context.link.to_string()
    }

    async fn apply(&mut self, slice: Slice<'_>) -> Result<Applied> {
        if slice.open.is_some() == self.open.is_some() {
            let context = "a slice must open a transaction, or follow in an open one";
            return Err(Error::new(Kind::Internal, context));
        }
        let mut written = self.write(slice, false).await;
        if let Ok(None) = written {
            self.undo(slice).await?;
            written = self.write(slice, true).await;
        }
        let failed = match written {
            Ok(Some(missed)) => {
                if slice.close.is_some() {
                    self.commit().await?;
                }
                return Ok(Applied { missed });
            }
            Ok(None) => Error::new(Kind::Internal, "rows are in the way of an insert-or-update"),
            Err(error) => error,
        };
        if failed.kind() == Kind::Witness {
            self.roll_back().await?;
        } else if failed.is_about_a_row() {
            self.undo(slice).await?;
        }
        Err(failed)
    }

    /// Undoes a slice that was written in part.
    async fn undo(&mut self, slice: Slice<'_>) -> Result<()> {
        match slice.open {
            Some(_) => self.roll_back().await,
            None => self.command("ROLLBACK TO SAVEPOINT weir_slice").await,
        }
    }

    /// Everything of a slice but the commit; returns the misses, which are noted. `None` where rows were in
    /// the way of its load: it is to be undone and written again, with `merge`.
    async fn write(&mut self, slice: Slice<'_>, merge: bool) -> Result<Option<Vec<MissedKey>>> {
        let plan = Arc::clone(&self.plan);
        let (notes, steps): (Vec<&Step>, Vec<&Step>) =
            slice.steps.iter().partition(|step| step.verb == Verb::Note);
        let mut statements = Vec::with_capacity(steps.len());
        for step in &steps {
            statements.push(self.statements.of_step(&self.session, &plan, step).await?);
        }
        let opening = match slice.open {
            Some(witness) => Some(self.open_by(witness, slice.close).await?),
            None => None,
        };
        let settling = self.settling(slice.settled).await?;
        let moving = self.moving(&slice).await?;
        let records = self.records(&slice, &plan).await?;
        let keeping = self.keeping(slice.copies).await?;
        let loading = self.loading(&plan, slice.load, merge).await?;
        let savepoint = self.savepoint();
        let mut pipeline = Pipeline::new(&self.session, &plan);
        match opening {
            Some((open, statement, parameters)) => {
                self.open = Some(open);
                // Not READ WRITE: `default_transaction_read_only` is how a server is kept from writes.
                pipeline.command("BEGIN ISOLATION LEVEL READ COMMITTED").await;
                pipeline.send(statement, parameters, Check::Witness).await;
            }
            None => pipeline.command(savepoint).await,
        }
        if let Some(mode) = constraint_mode(&slice) {
            pipeline.command(mode).await;
        }
        for (statement, parameters) in settling {
            pipeline.send(statement, parameters, Check::Done("settle notes of weir.missed")).await;
        }
        for (step, statement) in steps.into_iter().zip(statements) {
            let noted = !slice.unnoted.contains(&step.table);
            steps::send(&mut pipeline, step, &statement, noted).await?;
        }
        let mut missed = Vec::new();
        if let Some(loading) = loading {
            let (found, loaded) = self.load(&plan, pipeline, &loading).await?;
            if !self.heed(&loading, loaded) {
                return Ok(None);
            }
            missed = found;
            pipeline = Pipeline::new(&self.session, &plan);
        }
        copies::keep(&mut pipeline, keeping).await?;
        for Request { statement, parameters, check, bytes } in records {
            pipeline.send(statement, parameters, check).await;
            steps::bound(&mut pipeline, bytes).await?;
        }
        if let Some((statement, parameters)) = moving {
            pipeline.send(statement, parameters, Check::Witness).await;
        }
        if slice.close.is_some() {
            // Deferred constraints name themselves now, not in the commit.
            pipeline.command("SET CONSTRAINTS ALL IMMEDIATE").await;
        }
        let Found { missed: more, unplaced } = pipeline.finish().await?;
        missed.extend(more);
        let noted = notes.iter().flat_map(|step| step.rows.iter().map(|key| (step.table, key)));
        let noted = noted.map(|(table, key)| (table, key.clone()));
        missed.extend(noted.map(|(table, key)| MissedKey { table, key, why: Why::Partial }));
        self.note(&missed).await?;
        if let Some(open) = &mut self.open {
            open.leave_unplaced(unplaced, &slice);
        }
        Ok(Some(missed))
    }

    /// The second write of the witness, where a later slice closes the transaction.
    async fn moving(
        &mut self,
        slice: &Slice<'_>,
    ) -> Result<Option<(Statement, Vec<Parameter<'static>>)>> {
        Ok(match (slice.open, slice.close, &self.open) {
            (None, Some(position), Some(open)) => {
                let statement = self.statements.fixed(&self.session, sql::MOVE).await?;
                Some((statement, self.moved(&open.clone(), position)))
            }
            _ => None,
        })
    }

    /// Letters and flagged writes of a slice.
    async fn records<'a>(
        &mut self,
        slice: &Slice<'a>,
        plan: &'a LinkPlan,
    ) -> Result<Vec<Request<'a>>> {
        let mut requests = self.letter_requests(slice, plan).await?;
        requests.extend(self.flag_requests(slice, plan).await?);
        Ok(requests)
    }

    /// What a slice does to letters; the closing one also tells those of earlier slices where it closes.
    async fn letter_requests<'a>(
        &mut self,
        slice: &Slice<'a>,
        plan: &'a LinkPlan,
    ) -> Result<Vec<Request<'a>>> {
        let unplaced = match (slice.close, &self.open) {
            (Some(_), Some(open)) => open.unplaced.clone(),
            _ => Vec::new(),
        };
        if slice.letters.is_empty() && unplaced.is_empty() {
            return Ok(Vec::new());
        }
        let link = self.link();
        let mut writing = Writing {
            session: &self.session,
            statements: &mut self.statements,
            plan,
            name: &self.context.name,
            link: &link,
            close: slice.close,
        };
        let mut requests = writing.requests(slice.letters).await?;
        if let Some(position) = slice.close.filter(|_| !unplaced.is_empty()) {
            requests.push(writing.placing(position, unplaced).await?);
        }
        Ok(requests)
    }

    /// Marks where a later slice begins; the mark of the slice before it is not needed any more.
    fn savepoint(&mut self) -> &'static str {
        match &mut self.open {
            Some(open) if open.savepoint => "RELEASE SAVEPOINT weir_slice; SAVEPOINT weir_slice",
            Some(open) => {
                open.savepoint = true;
                "SAVEPOINT weir_slice"
            }
            None => "",
        }
    }

    /// The compare-and-swap. The position is written here if the slice closes the transaction too.
    async fn open_by(
        &mut self,
        witness: &Witness,
        close: Option<&Position>,
    ) -> Result<(OpenTransaction, Statement, Vec<Parameter<'static>>)> {
        let statement = self.statements.fixed(&self.session, sql::SWAP).await?;
        let expected = stored_seq(witness.seq)?;
        let parameters: Vec<Parameter<'static>> = vec![
            Box::new(self.context.name.clone()),
            Box::new(self.link()),
            Box::new(witness.installation.clone()),
            Box::new(expected),
            Box::new(close.unwrap_or(&witness.position).to_string()),
            Box::new(witness.restart.as_ref().map(Position::to_string)),
            Box::new(stored_hops(witness.hops)),
        ];
        let installation = witness.installation.clone();
        let open = OpenTransaction {
            installation,
            seq: expected + 1,
            savepoint: false,
            unplaced: Vec::new(),
            unplaced_flags: false,
        };
        Ok((open, statement, parameters))
    }

    /// Parameters of the second write of the witness, where the position became known later.
    fn moved(&self, open: &OpenTransaction, position: &Position) -> Vec<Parameter<'static>> {
        vec![
            Box::new(self.context.name.clone()),
            Box::new(self.link()),
            Box::new(open.installation.clone()),
            Box::new(open.seq),
            Box::new(position.to_string()),
        ]
    }

    async fn commit(&mut self) -> Result<()> {
        self.open = None;
        self.command("COMMIT").await
    }

    async fn roll_back(&mut self) -> Result<()> {
        match self.open.take() {
            Some(_) => self.command("ROLLBACK").await,
            None => Ok(()),
        }
    }

    async fn command(&self, command: &'static str) -> Result<()> {
        in_time(self.session.batch_execute(command))
            .await?
            .map_err(|error| classify(error, format!("run {command}")))
    }
}

/// When constraints that can be put off are judged, where it is not as they say themselves.
fn constraint_mode(slice: &Slice<'_>) -> Option<&'static str> {
    let opens_only = slice.open.is_some() && slice.close.is_none();
    let writes_rows = !slice.steps.is_empty() || slice.load.is_some();
    match slice.strict {
        true => Some("SET CONSTRAINTS ALL IMMEDIATE"),
        // The parents of a slice's rows may come with a later slice.
        false if opens_only && writes_rows => Some("SET CONSTRAINTS ALL DEFERRED"),
        false => None,
    }
}

/// A number of a note or letter, or of how many there are: never below 0.
pub(super) fn number(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// A column of one of weir's own tables.
pub(super) fn column<'a, T: FromSql<'a>>(row: &'a DbRow, at: usize) -> Result<T> {
    row.try_get(at).map_err(|error| {
        Error::new(Kind::Witness, "a table of schema weir is not as weir made it")
            .caused_by(error)
            .hint("run `weir setup`, which prints the tables as they should be")
    })
}

fn stored_seq(seq: u64) -> Result<i64> {
    i64::try_from(seq)
        .ok()
        .filter(|seq| *seq < i64::MAX)
        .ok_or_else(|| Error::new(Kind::Internal, "the witness cannot count any further"))
}

fn stored_hops(hops: u32) -> i32 {
    i32::try_from(hops).unwrap_or(i32::MAX)
}

/// Says how to make the `weir` tables where they are missing.
pub(super) fn without_schema(error: Error) -> Error {
    match error.kind() {
        Kind::Mapping => {
            error.hint("run `weir setup --apply`, which makes the tables of schema weir")
        }
        _ => error,
    }
}
