//! One attempt of a link: connect both ends, decide where to go on, and stream until it ends.
//!
//! Everything is read anew: catalogs, witness, identities. So whatever ended the attempt before,
//! also a commit whose outcome is unknown, the witness in the target says what is applied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::config::{ApplyOptions, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::accepted;
use crate::link::apply::Finish;
use crate::link::begin;
use crate::link::claims::Claims;
use crate::link::ends::Ends;
use crate::link::joining;
use crate::link::lag::LagInputs;
use crate::link::ledger::{Checkpoint, Ledger, Progress, Shape};
use crate::link::observer::Observer;
use crate::link::ports::{LinkContext, Origin, Scan, Source, Target};
use crate::link::resume::{Decision, Facts, Note, decide, differs, explain_gap};
use crate::link::review;
use crate::link::set_aside::Rows;
use crate::link::shutdown::Shutdown;
use crate::link::side::is_promotion;
use crate::link::space::Space;
use crate::link::status::Board;
use crate::link::stream::{self, Streaming};
use crate::model::Witness;
use crate::plan::{Difference, LinkPlan, Outline};
use crate::position::Position;
use crate::verify::desk::Desk;

/// Longest time of any step before the stream. Making a slot is not one of them: it waits for
/// transactions that are open at the source.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// One link as it is configured.
pub struct LinkSpec {
    /// Who it is.
    pub context: LinkContext,
    /// Its options.
    pub options: ApplyOptions,
    /// What it connects.
    pub ends: Arc<dyn Ends>,
    /// Options and ends as they are written, to be told from those of another configuration.
    pub settings: BTreeMap<String, String>,
}

/// What a link is made of, for all its attempts.
pub(super) struct Link {
    pub(super) spec: LinkSpec,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) claims: Arc<Claims>,
    pub(super) board: Board,
    /// Where comparisons are asked for.
    pub(super) desk: Arc<Desk>,
    pub(super) shutdown: Shutdown,
    /// How many times somebody has asked for the source's head.
    pub(super) marks: watch::Receiver<u64>,
    /// Of the state directory.
    pub(super) space: Space,
}

impl Link {
    pub(super) fn name(&self) -> &LinkName {
        &self.spec.context.link
    }

    /// What is remembered of the link.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        self.ledger.load(self.name()).unwrap_or_default()
    }

    /// Shows what is remembered until the link is connected. Whether rows are to be read again is not.
    pub(super) fn recall(&self) {
        let Some(progress) = self.checkpoint().progress else { return };
        self.board.update(|status| {
            status.seq = Some(progress.seq);
            status.applied = Some(progress.position.clone());
            status.seen = Some(progress.position);
            status.refetching = true;
            status.lag.last_applied_us = progress.applied_us;
        });
    }

    pub(super) async fn record(&self, checkpoint: &Checkpoint) -> Result<()> {
        self.ledger.record(self.name(), checkpoint.clone()).await
    }
}

/// What an attempt is told, and what it leaves for the next one.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Stop once the source's head of the first attempt is applied.
    pub(super) until_caught_up: bool,
    /// That head, once known.
    pub(super) head: Option<Position>,
    /// A person has reviewed the schema: accept the shapes as they are now.
    pub(super) schema_reviewed: bool,
    /// Tables that a person lets join although they hold rows.
    pub(super) accepted: BTreeSet<String>,
    /// Whether the stream was reached.
    pub(super) streamed: bool,
    /// The source's identity before it was promoted while the link read from it.
    pub(super) promoted_from: Option<String>,
    /// Attempts in a row that a silent source ended in the stream.
    pub(super) silences: u32,
    /// Judge every constraint of the next large transaction at once; good for one attempt.
    pub(super) strict: bool,
}

/// Both ends, connected.
pub(super) struct Connected {
    pub(super) plan: Arc<LinkPlan>,
    pub(super) source: Box<dyn Source>,
    pub(super) scan: Box<dyn Scan>,
    pub(super) target: Box<dyn Target>,
    pub(super) origins: Vec<Origin>,
}

/// One attempt, from connecting to its end; `stop` ends it at a commit.
pub(super) async fn run(link: &Link, orders: &mut Orders, stop: &Shutdown) -> Result<Finish> {
    orders.streamed = false;
    let [source_at, target_at] = answered("choose the hosts", link.spec.ends.settle()).await?;
    link.board.update(|status| {
        status.source_at = source_at;
        status.target_at = target_at;
    });
    let ended = go(link, orders, stop).await;
    ended.map_err(|error| link.spec.ends.excuse(error))
}

/// The attempt at the hosts that were chosen for it.
async fn go(link: &Link, orders: &mut Orders, stop: &Shutdown) -> Result<Finish> {
    let mut ends = connect(link).await?;
    let mut checkpoint = link.checkpoint();
    if orders.until_caught_up && orders.head.is_none() {
        orders.head = Some(answered("tell the end of its log", ends.scan.head()).await?);
    }
    let witness = answered("read the witness", ends.target.read_witness()).await?;
    let begun = witness.is_some() || checkpoint.progress.is_some();
    if let Some(witness) = witness.as_ref().filter(|_| checkpoint.knows_nothing()) {
        recall(link, &mut ends, &mut checkpoint, orders, witness).await?;
    }
    accept_shapes(link, &mut ends, &mut checkpoint, orders, begun).await?;
    let witness = match witness {
        Some(witness) => {
            let witness = resume(link, &mut ends, &mut checkpoint, orders, witness).await?;
            accepted::keep(ends.target.as_mut(), &witness, &checkpoint).await?;
            witness
        }
        None => match decide(facts(link, &ends, None, &checkpoint, "")) {
            Decision::Begin => begin::begin(link, &mut ends, &mut checkpoint).await?,
            Decision::Halt(error) => return Err(error),
            Decision::Resume(_) => {
                return Err(Error::new(Kind::Internal, "a link without a witness cannot resume"));
            }
        },
    };
    checkpoint.installation.clone_from(&witness.installation);
    checkpoint.source_identity.clone_from(&witness.source_identity);
    checkpoint.target_identity.clone_from(&witness.target_identity);
    if checkpoint.progress.as_ref().is_some_and(|known| known.seq > witness.seq) {
        // A target that was set back has not applied what it had.
        link.board.update(|status| status.lag = LagInputs::default());
    }
    let applied_us = link.board.get().lag.last_applied_us;
    checkpoint.progress = Some(Progress::of(&witness, applied_us));
    checkpoint.starting = false;
    checkpoint.retired = false;
    checkpoint.halt = None;
    link.record(&checkpoint).await?;
    let rows = set_aside(link, &mut ends).await?;
    let copies = answered("read how far copies are", ends.target.copies()).await?;
    let unfinished = answered("tell open transactions", ends.scan.unfinished()).await?;
    orders.streamed = true;
    let Connected { plan, mut source, scan, target, origins } = ends;
    source.be_patient(orders.silences);
    source.recall(review::recalled(&plan, &checkpoint.shapes));
    source.settle(checkpoint.reviewed_halts.clone());
    let head = orders.head.clone();
    tracing::info!(link = %link.name(), position = %witness.position, "streaming");
    let streaming = Streaming {
        plan,
        source,
        scan,
        target,
        origins,
        unfinished,
        witness,
        rows,
        copies,
        strict: std::mem::take(&mut orders.strict),
        checkpoint,
        head,
    };
    let identity = streaming.witness.source_identity.clone();
    let ended = stream::run(link, streaming, stop).await;
    orders.promoted_from =
        ended.as_ref().err().filter(|error| is_promotion(error)).map(|_| identity);
    ended
}

/// What is set aside; a lost state directory changes nothing of it.
async fn set_aside(link: &Link, ends: &mut Connected) -> Result<Rows> {
    let letters = answered("read the dead letters", ends.target.letters()).await?;
    let rows = Rows::of(&letters);
    if !rows.is_empty() {
        let rows = rows.count();
        tracing::warn!(link = %link.name(), rows, "rows are set aside: see `weir dead-letters list`");
    }
    Ok(rows)
}

async fn connect(link: &Link) -> Result<Connected> {
    let ends = &link.spec.ends;
    let plan = answered("describe the tables", ends.plan()).await?;
    let source = answered("open the source", ends.source(Arc::clone(&plan))).await?;
    let mut scan = answered("open the side reader", ends.scan(Arc::clone(&plan))).await?;
    scan.require_server(source.identity())?;
    let mut target = answered("open the target", ends.target(Arc::clone(&plan))).await?;
    claim(&link.claims, &plan, scan.as_mut(), target.as_mut()).await?;
    let origins = answered("tell where the tables' changes come from", scan.origins()).await?;
    Ok(Connected { plan, source, scan, target, origins })
}

/// Claims the plan's tables. A server that reads what it writes would be fed its own rows.
async fn claim(
    claims: &Claims,
    plan: &LinkPlan,
    source: &mut dyn Scan,
    target: &mut dyn Target,
) -> Result<()> {
    let source = answered("tell which server the source is", source.instance()).await?;
    let target = answered("tell which server the target is", target.instance()).await?;
    match plan.overlap.first() {
        Some(table) if source == target => {
            let context = format!(
                "source and target are one database, and {table} would be read and written"
            );
            Err(Error::new(Kind::Configuration, context)
                .hint("correct one of the two urls, or give the target tables other names"))
        }
        _ => claims.claim(plan, [&source, &target]),
    }
}

/// Awaits a step before the stream for at most [`ANSWER_MAX`], so that a server whose connection
/// is alive but silent is tried anew. The attempt ends with the error, and with it its connections.
pub(super) async fn answered<T>(what: &str, step: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(ANSWER_MAX, step).await.unwrap_or_else(|_| {
        let seconds = ANSWER_MAX.as_secs();
        Err(Error::new(Kind::Timeout, format!("{what}: no answer within {seconds} s")))
    })
}

/// Compares the shapes with the accepted ones, and what is carried with what was; accepts them where
/// a person has said so. That word is good once, for tables that are the same before and after the
/// log's end is read, and is kept at once: what is altered later needs another.
async fn accept_shapes(
    link: &Link,
    ends: &mut Connected,
    checkpoint: &mut Checkpoint,
    orders: &mut Orders,
    begun: bool,
) -> Result<()> {
    let mut shapes = review::shapes(&ends.plan, &ends.origins);
    let outline = Outline::of(&ends.plan, link.spec.settings.clone());
    let decided = begun && (orders.schema_reviewed || !orders.accepted.is_empty());
    if begun {
        let ran = checkpoint.ran(&outline);
        let differences = differences(link, ends, &outline, &ran).await?;
        let reviewed = match orders.schema_reviewed {
            true => Some(unaltered_head(link, ends, &shapes).await?),
            false => None,
        };
        orders.schema_reviewed = false;
        match reviewed {
            Some(_) => review::remember(&ends.plan, &checkpoint.shapes, &mut shapes),
            None => review::carry(&ends.plan, &checkpoint.shapes, &mut shapes),
        }
        let altered = review::difference(&checkpoint.shapes, &shapes, &ends.plan.wanted);
        let halt = checkpoint.halt.as_ref().filter(|_| reviewed.is_some());
        let reviewed_halt = halt.map_or("", |halt| halt.text.as_str());
        let word = joining::Word { accepted: &orders.accepted, reviewed: reviewed_halt };
        let refusal = joining::refusal(&differences, word);
        if refusal.is_some() || (altered.is_some() && reviewed.is_none()) {
            return joining::both(altered, refusal).map_or(Ok(()), Err);
        }
        if let Some(passed) = altered {
            tracing::warn!(link = %link.name(), accepted = passed.chain(), "a person has reviewed this");
        }
        for difference in differences {
            tracing::info!(link = %link.name(), "changed: {difference}");
        }
        match reviewed {
            Some(head) => checkpoint.review(head),
            None => refuse_strays(ends, checkpoint).await?,
        }
    }
    // Before the start nothing was read yet, so nothing can have been missed.
    orders.schema_reviewed = false;
    orders.accepted.clear();
    checkpoint.shapes = Arc::new(shapes);
    checkpoint.outline = Some(Arc::new(outline));
    if decided { link.record(checkpoint).await } else { Ok(()) }
}

/// What differs from what ran; open transactions are waited for, so that it holds.
async fn differences(
    link: &Link,
    ends: &mut Connected,
    outline: &Outline,
    ran: &Outline,
) -> Result<Vec<Difference>> {
    let in_question = outline.in_question(ran);
    let ask = async |names| begin::filled(link, names).await;
    let filled = joining::filled(&ends.plan, &in_question, Some(&mut ends.scan), ask).await?;
    Ok(outline.differences(ran, &filled))
}

/// The log's end, if the tables have still these shapes once it is read.
async fn unaltered_head(
    link: &Link,
    ends: &mut Connected,
    shapes: &BTreeMap<String, Shape>,
) -> Result<Position> {
    let head = answered("tell the end of its log", ends.scan.head()).await?;
    let plan = answered("describe the tables", link.spec.ends.plan()).await?;
    let again = review::shapes(&plan, &ends.origins);
    review::difference(shapes, &again, &plan.wanted).map_or(Ok(head), Err)
}

/// A partition that joins a table on its way must have come without rows.
async fn refuse_strays(ends: &mut Connected, checkpoint: &Checkpoint) -> Result<()> {
    for (table, joined) in review::joined(&ends.plan, &checkpoint.shapes, &ends.origins) {
        let strays = ends.scan.strays(table, &joined);
        let strays = answered("look into partitions that are new", strays).await?;
        if let Some(refused) = review::refuse_strays(&ends.plan, table, &strays) {
            return Err(refused);
        }
    }
    Ok(())
}

/// Where the state directory knows nothing of a link that goes on, the target may.
async fn recall(
    link: &Link,
    ends: &mut Connected,
    checkpoint: &mut Checkpoint,
    orders: &Orders,
    witness: &Witness,
) -> Result<()> {
    let installation = link.ledger.installation();
    if let Decision::Halt(error) =
        decide(facts(link, ends, Some(witness), checkpoint, &installation))
    {
        return Err(error);
    }
    let recalled = accepted::recall(ends.target.as_mut(), checkpoint);
    match answered("recall the tables", recalled).await {
        Err(unknown) if unknown.kind() == Kind::TableGap && orders.schema_reviewed => Ok(()),
        recalled => recalled,
    }
}

fn facts<'a>(
    link: &Link,
    ends: &'a Connected,
    witness: Option<&'a Witness>,
    checkpoint: &'a Checkpoint,
    installation: &'a str,
) -> Facts<'a> {
    Facts {
        witness,
        checkpoint: Some(checkpoint),
        installation,
        fresh: link.ledger.is_fresh(),
        source_dialect: ends.plan.source_dialect,
        source_identity: ends.source.identity(),
        target_identity: ends.target.identity(),
    }
}

/// Goes on from the witness, if the decision and the source's log allow it.
async fn resume(
    link: &Link,
    ends: &mut Connected,
    checkpoint: &mut Checkpoint,
    orders: &Orders,
    witness: Witness,
) -> Result<Witness> {
    let installation = link.ledger.installation();
    let resume = match decide(facts(link, ends, Some(&witness), checkpoint, &installation)) {
        Decision::Resume(resume) => resume,
        Decision::Halt(error) => return Err(error),
        Decision::Begin => {
            return Err(Error::new(Kind::Internal, "a link with a witness cannot begin anew"));
        }
    };
    let from = witness.restart.as_ref().unwrap_or(&witness.position);
    if let Some(note) = resume.note {
        tracing::warn!(link = %link.name(), position = %from, seq = witness.seq, "{}", note.text());
    }
    if resume.moved {
        let seen = orders.promoted_from.as_ref() == Some(&witness.source_identity);
        return follow_successor(link, ends, checkpoint, witness, resume.note, seen).await;
    }
    reached(ends.source.as_mut(), from, resume.note).await?;
    Ok(witness)
}

/// Whether the source's log still reaches back to `from`.
async fn reached(source: &mut dyn Source, from: &Position, note: Option<Note>) -> Result<()> {
    let check = answered("look for the witness in the log", source.check_resume(from));
    check.await.map_err(|error| explain_gap(error, note))
}

/// Another server answers as the source. Where it provably goes on with the log of the one before,
/// the witness takes its identity; what was remembered of places in the other log goes first. With
/// `seen`, the attempt before was reading from this very server when it was promoted.
async fn follow_successor(
    link: &Link,
    ends: &mut Connected,
    checkpoint: &mut Checkpoint,
    witness: Witness,
    note: Option<Note>,
    seen: bool,
) -> Result<Witness> {
    let (was, is) = (&witness.source_identity, ends.source.identity().to_owned());
    let refused = |error: Error| error.within(differs("source", was, &is));
    let mut moved = Witness { source_identity: is.clone(), ..witness.clone() };
    for position in std::iter::once(&mut moved.position).chain(&mut moved.restart) {
        let asked = answered("tell a successor", ends.source.successor(was, position, seen)).await;
        *position = asked.map_err(refused)?.ok_or_else(|| differs("source", was, &is))?;
        reached(ends.source.as_mut(), position, note).await.map_err(refused)?;
    }
    checkpoint.reviewed_until = checkpoint.reviewed_until.take().map(Position::without_place);
    link.record(checkpoint).await?;
    answered("write the witness", ends.target.move_witness(&moved)).await?;
    tracing::warn!(
        link = %link.name(), was, is, position = %moved.position,
        "another server answers as the source, and holds all that was applied: going on with its log"
    );
    Ok(Witness { seq: witness.seq + 1, ..moved })
}
