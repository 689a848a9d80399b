//! A reader of whole tables: a task with a connection of its own, made when the first read is asked for
//! and given up when none is for a while. It divides tables, reads pieces of them, and converts their
//! rows for the target, so that the apply task only writes. It knows nothing of how far a copy is.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::error::{Error, Kind, Result};
use crate::link::attempt::answered;
use crate::link::ends::Ends;
use crate::link::ports::{Chunk, Division, Reach, Scan};
use crate::link::question::{KEYS_MAX, Question};
use crate::link::steps;
use crate::link::window::Sight;
use crate::model::{Change, Op, Row};
use crate::plan::{LinkPlan, mirror};
use crate::position::Position;
use crate::transform::rules::{Beside, Outcomes};
use crate::verify::inquiry::{Inquiry, Suspect, Truth};
use crate::verify::pair::Pair;

/// A connection is kept for so long without a read.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Longest read of a piece.
const READ_MAX: Duration = Duration::from_secs(300);

/// How long the source may take to count what its replica has already.
const WITHIN_MAX: Duration = Duration::from_secs(30);

/// What a reader is asked for.
#[derive(Debug)]
pub(super) struct Errand {
    /// Comes back with what it brought.
    pub(super) id: u64,
    /// Index of the table in the plan.
    pub(super) table: usize,
    /// To be waited first.
    pub(super) delay: Duration,
    pub(super) what: What,
}

/// What is to be done with the table.
#[derive(Debug)]
pub(super) enum What {
    /// Divide it into about so many stretches.
    Divide(usize),
    /// Read a piece of it.
    Read(Reach),
    /// Divide the target's table, into one stretch.
    DivideTarget,
    /// Look for rows in a piece of the target's table that the source does not have, and have them
    /// deleted if that is wanted.
    Check { reach: Reach, delete: bool },
}

/// What came of an errand.
#[derive(Debug)]
pub(super) struct Return {
    /// Which reader is free again.
    pub(super) reader: usize,
    pub(super) id: u64,
    pub(super) brought: Result<Brought>,
    pub(super) took: Duration,
}

/// What a reader has brought.
#[derive(Debug)]
pub(super) enum Brought {
    Division(Division),
    /// A piece, unless the table is not to be walked like this any more.
    Piece(Option<Piece>),
    /// What was found in a piece of the target's table, unless that is not to be walked like this.
    Checked(Option<Checked>),
}

/// What was found in a piece of the target's table.
#[derive(Debug)]
pub(super) struct Checked {
    /// As [`Chunk::last`].
    pub(super) last: Option<String>,
    /// As [`Chunk::ended`].
    pub(super) ended: bool,
    /// Rows that were looked up.
    pub(super) rows: usize,
    /// The keys of rows that only the target has, as they are shown to people.
    pub(super) extra: Vec<String>,
    /// So many of them were deleted.
    pub(super) deleted: u64,
}

/// A piece of a table, converted.
#[derive(Debug)]
pub(super) struct Piece {
    low: Position,
    high: Position,
    in_progress: Vec<u32>,
    /// Every column of the plan, in its order.
    pub(super) rows: Vec<Row>,
    /// Rows without a form at the target, and why.
    pub(super) unfit: Vec<(Change, Error)>,
    /// What validations did to the rows.
    pub(super) outcomes: Box<Outcomes>,
    /// As [`Chunk::last`].
    pub(super) last: Option<String>,
    /// As [`Chunk::ended`].
    pub(super) ended: bool,
    /// As [`Chunk::bytes`].
    pub(super) bytes: usize,
}

impl Piece {
    /// Where it lies in the log.
    pub(super) fn sight(&self) -> Sight<'_> {
        Sight { low: &self.low, high: &self.high, exact: false, in_progress: &self.in_progress }
    }
}

/// What a reader owns.
pub(super) struct Copyist {
    pub(super) number: usize,
    pub(super) ends: Arc<dyn Ends>,
    pub(super) plan: Arc<LinkPlan>,
    /// Of the source.
    pub(super) identity: String,
    /// The apply task, which knows what should be in the target.
    pub(super) questions: mpsc::Sender<Question>,
}

/// A reader's connections, each made when it is needed.
#[derive(Default)]
struct Scans {
    source: Option<Box<dyn Scan>>,
    target: Option<Box<dyn Scan>>,
}

impl Copyist {
    /// Serves errands until nobody asks or listens any more.
    pub(super) async fn run(
        self,
        mut errands: mpsc::Receiver<Errand>,
        returns: mpsc::Sender<Return>,
    ) -> Result<()> {
        let mut scans = Scans::default();
        loop {
            let errand = match timeout(IDLE_MAX, errands.recv()).await {
                Ok(errand) => errand,
                Err(_) => {
                    scans = Scans::default();
                    errands.recv().await
                }
            };
            let Some(Errand { id, table, delay, what }) = errand else { return Ok(()) };
            tokio::time::sleep(delay).await;
            let began = Instant::now();
            let brought = timeout(READ_MAX, self.serve(&mut scans, table, what)).await;
            let brought = brought.unwrap_or_else(|_| {
                let context = format!("a piece of a table took longer than {READ_MAX:?} to read");
                Err(Error::new(Kind::Timeout, context))
            });
            if brought.is_err() {
                scans = Scans::default();
            }
            let back = Return { reader: self.number, id, brought, took: began.elapsed() };
            if returns.send(back).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn serve(&self, scans: &mut Scans, table: usize, what: What) -> Result<Brought> {
        let plan = steps::table(&self.plan, table)?;
        match what {
            What::Divide(parts) => {
                let scan = self.source(&mut scans.source).await?;
                Ok(Brought::Division(scan.divide(plan, parts).await?))
            }
            What::Read(reach) => {
                let scan = self.source(&mut scans.source).await?;
                let chunk = scan.read_chunk(plan, &reach).await?;
                let piece = chunk.map(|chunk| piece_of(&self.plan, table, chunk)).transpose()?;
                Ok(Brought::Piece(piece))
            }
            What::DivideTarget => {
                let pair = Pair::of(&self.plan, table)?;
                let scan = self.target(&mut scans.target).await?;
                Ok(Brought::Division(scan.divide(pair.target(), 1).await?))
            }
            What::Check { reach, delete } => {
                let pair = Pair::of(&self.plan, table)?;
                let source = self.source(&mut scans.source).await?;
                let target = self.target(&mut scans.target).await?;
                Ok(Brought::Checked(self.check(&pair, [source, target], &reach, delete).await?))
            }
        }
    }

    /// Rows of a piece of the target's table that are not at the source: those that are not found there
    /// are looked at once more, with the apply task standing still.
    async fn check(
        &self,
        pair: &Pair,
        [source, target]: [&mut dyn Scan; 2],
        reach: &Reach,
        delete: bool,
    ) -> Result<Option<Checked>> {
        let Some(chunk) = target.read_chunk(pair.target(), reach).await? else { return Ok(None) };
        let rows = chunk.rows.iter().map(|row| pair.planned(row));
        let keys: Vec<Row> = rows.map(|row| steps::key_of(pair.source(), &row)).collect();
        let mut suspects = Vec::new();
        for keys in keys.chunks(KEYS_MAX) {
            let known: Vec<(&Row, Option<Row>)> =
                keys.iter().map(|key| (key, pair.source_key(key))).collect();
            let asked: Vec<Row> = known.iter().filter_map(|(_, key)| key.clone()).collect();
            let mut found = source.read_rows(pair.source(), &asked).await?.rows.into_iter();
            for (key, at_source) in known {
                if at_source.is_none() || found.next().flatten().is_none() {
                    suspects.push(Suspect { key: key.clone(), bytes: key.size_bytes() });
                }
            }
        }
        let inquiry = Inquiry { questions: self.questions.clone(), repair: delete };
        let verdicts = inquiry.settle(pair, target, suspects).await?;
        let extra = verdicts.iter().filter(|verdict| verdict.truth == Truth::Extra);
        let deleted = extra.clone().filter(|verdict| verdict.mended).count() as u64;
        let extra = extra.map(|verdict| pair.shown(&verdict.key)).collect();
        let (rows, last, ended) = (keys.len(), chunk.last, chunk.ended);
        Ok(Some(Checked { last, ended, rows, extra, deleted }))
    }

    async fn source<'a>(&self, scan: &'a mut Option<Box<dyn Scan>>) -> Result<&'a mut dyn Scan> {
        match scan {
            Some(scan) => Ok(scan.as_mut()),
            None => Ok(scan.insert(self.connect().await?).as_mut()),
        }
    }

    async fn target<'a>(&self, scan: &'a mut Option<Box<dyn Scan>>) -> Result<&'a mut dyn Scan> {
        if let Some(scan) = scan {
            return Ok(scan.as_mut());
        }
        let open = self.ends.target_reader(Arc::new(mirror(&self.plan)));
        Ok(scan.insert(answered("open a reader of the target", open).await?).as_mut())
    }

    async fn connect(&self) -> Result<Box<dyn Scan>> {
        let open = self.ends.reader(Arc::clone(&self.plan));
        let mut scan = answered("open a reader of tables", open).await?;
        let shown = scan.require_copy_of(&self.identity);
        let shown = answered("tell whose log it follows", shown).await?;
        if let Some(shown) = shown {
            let mut log = answered("open a reader of the log", self.ends.log()).await?;
            require_within(&shown, log.as_mut()).await?;
        }
        Ok(scan)
    }
}

/// Whether all that a replica shows is in the log of its source: else pieces of it would wait for what never
/// comes, and hold rows that nobody else has.
///
/// # Errors
/// `Configuration`, or as the source says.
pub async fn require_within(shown: &Position, log: &mut dyn Scan) -> Result<()> {
    let until = Instant::now() + WITHIN_MAX;
    // A server may send a transaction before it counts it itself.
    loop {
        let head = answered("read the end of the log", log.head()).await?;
        if head.reaches(shown) {
            return Ok(());
        }
        if Instant::now() >= until {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let context = "the server behind read_url shows transactions that are not in the log of the server \
                   behind url";
    Err(Error::new(Kind::Configuration, context)
        .hint("point read_url to a replica of that server alone, or take it out"))
}

/// Converts the rows of a chunk.
fn piece_of(plan: &LinkPlan, table: usize, chunk: Chunk) -> Result<Piece> {
    let Chunk { low, high, in_progress, rows: read, last, ended, bytes } = chunk;
    let (mut rows, mut unfit) = (Vec::with_capacity(read.len()), Vec::new());
    let outcomes = RefCell::default();
    let beside = Beside { committed_us: None, outcomes: Some(&outcomes) };
    for after in read {
        let change = Change { table, op: Op::Insert { after }, reshaped: false };
        match steps::prepare_whole(plan, &change, beside) {
            Ok(row) => rows.push(row),
            Err(error) if error.is_about_a_row() => unfit.push((change, error)),
            Err(error) => return Err(error.within("a row of a copy")),
        }
    }
    let outcomes = Box::new(outcomes.into_inner());
    Ok(Piece { low, high, in_progress, rows, unfit, outcomes, last, ended, bytes })
}
