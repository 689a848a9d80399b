//! The capture side of a link: slot, resume checks, and the stream.
//!
//! The slot is made by [`Source::begin`] and by nothing else but, for [`Source::begin_at`], a person; a slot missing later is a gap. The
//! replication connection opened at the start is the one that streams, so the identity checked is
//! that of the server that is read.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::assemble::Assembler;
use super::follow::{Follow, Outcome, Pace, Progress, Resume};
use super::members::{self, Catalog};
use super::session::{self, Session};
use super::slot::{self, Server, Slot};
use super::spool::Spool;
use super::sql::literal;
use super::stream::Replication;
use super::timeline::{self, Course};
use crate::config::Database;
use crate::error::{Error, Kind, Result};
use crate::link::ports::{LinkContext, Pending, Source, SpoolPlace};
use crate::link::queue::PartSender;
use crate::plan::{LinkPlan, MarkReader};
use crate::position::{Lsn, Position};

/// How long the server may take to let go of a slot when the stream is begun anew, and how often it
/// is asked.
const SLOT_FREE_MAX: Duration = Duration::from_secs(120);
const SLOT_FREE_EVERY: Duration = Duration::from_millis(500);
/// How often the wait for a new slot is mentioned in the log.
const SLOT_WAIT_NOTICE: Duration = Duration::from_secs(15);
/// How long a standby may take to make a slot before the attempt is given up.
const STANDBY_SLOT_MAX: Duration = Duration::from_secs(300);
const STANDBY_WAIT: &str = "run `SELECT pg_log_standby_snapshot()` on the primary, and end long \
    transactions there";

/// A PostgreSQL server as the source of a link.
#[derive(Debug)]
pub(crate) struct PostgresSource {
    context: LinkContext,
    database: Database,
    plan: Arc<LinkPlan>,
    identity: String,
    replication: Option<Replication>,
    /// Partitions that are or were those of a planned table.
    partitions: Vec<(usize, String)>,
    /// What halts said that a person has reviewed.
    reviewed_halts: Vec<String>,
    /// Attempts in a row that ended in silence.
    silences: u32,
    /// Where open transactions are kept, if they are asked for.
    spool: Option<SpoolPlace>,
}

/// Connects for replication and asks the server who it is.
pub async fn open(
    context: &LinkContext,
    database: &Database,
    plan: Arc<LinkPlan>,
) -> Result<Box<dyn Source>> {
    let (replication, identity) = connect(context, database).await?;
    Ok(Box::new(PostgresSource {
        context: context.clone(),
        database: database.clone(),
        plan,
        identity,
        replication: Some(replication),
        partitions: Vec::new(),
        reviewed_halts: Vec::new(),
        silences: 0,
        spool: None,
    }))
}

/// A replication connection and the identity `<system id>/<timeline>` behind it.
async fn connect(context: &LinkContext, database: &Database) -> Result<(Replication, String)> {
    let mut replication = Replication::connect(database, &context.application_name()).await?;
    let system = replication
        .identify()
        .await
        .map_err(|error| error.within(format!("database {}", database.name)))?;
    Ok((replication, format!("{}/{}", system.id, system.timeline)))
}

impl PostgresSource {
    async fn session(&self) -> Result<Session> {
        session::connect(&self.database, &self.context.application_name()).await
    }

    /// The connection of the start, or a new one to the same server.
    async fn replication(&mut self) -> Result<Replication> {
        if let Some(replication) = self.replication.take() {
            return Ok(replication);
        }
        let (replication, identity) = connect(&self.context, &self.database).await?;
        timeline::require_same(&self.database.name, &self.identity, &identity)?;
        Ok(replication)
    }

    async fn continues_log_of(&mut self, before: &str, position: Option<Lsn>) -> Result<bool> {
        let identity = self.identity.clone();
        let (Some(before), Some(now)) = (Course::parse(before), Course::parse(&identity)) else {
            return Ok(false);
        };
        if before.system != now.system {
            return Ok(false);
        }
        if before.timeline > now.timeline {
            return Err(timeline::left_behind(before, now));
        }
        let mut replication = self.replication().await?;
        let history = replication.history(now.timeline).await?;
        self.replication = Some(replication);
        timeline::goes_on(before, now, &history, position).map(|()| true)
    }

    async fn begin_now(&mut self) -> Result<Position> {
        let name = self.context.slot_name();
        let session = self.session().await?;
        let server = slot::require_ready(&session, &name, &self.plan).await?;
        if let Some(leftover) = slot::read(&session, &name).await? {
            leftover.check_unused(&name)?;
            tracing::warn!(slot = name, "replacing the slot of a first start that did not finish");
            slot::drop_unused(&session, &name).await?;
        }
        session.close().await;
        let mut replication = self.replication().await?;
        let point = make_slot(&mut replication, &name, server)
            .await
            .map_err(|error| error.within(format!("create slot {name}")))?;
        self.replication = Some(replication);
        Ok(Position::Postgres(point))
    }

    /// The slot was made before the rows were copied elsewhere, so it holds all that came after.
    async fn begin_given(&mut self, position: &Position) -> Result<Position> {
        let (name, at) = (self.context.slot_name(), lsn(position)?);
        let session = self.session().await?;
        slot::require_ready(&session, &name, &self.plan).await?;
        let found = slot::read(&session, &name).await?;
        Slot::check_given(found.as_ref(), &name, &self.database.database, at)?;
        slot::require_log_until(&session, at).await.map_err(|error| match error.kind() {
            Kind::Identity => {
                let context = format!("start says lsn {at}, and the log of the source ends before");
                Error::new(Kind::Configuration, context).hint(format!(
                    "write the lsn that came with the slot: `SELECT confirmed_flush_lsn FROM \
                     pg_replication_slots WHERE slot_name = {}`",
                    literal(&name)
                ))
            }
            _ => error,
        })?;
        session.close().await;
        Ok(position.clone())
    }

    async fn check_resume_at(&self, witness: &Position) -> Result<()> {
        let name = self.context.slot_name();
        let session = self.session().await?;
        let found = slot::read(&session, &name).await?;
        Slot::check(found.as_ref(), &name, &self.database.database, lsn(witness)?)?;
        slot::require_ready(&session, &name, &self.plan).await?;
        slot::require_log_until(&session, lsn(witness)?).await?;
        session.close().await;
        Ok(())
    }

    /// An error of the stream, by what the catalog says now.
    async fn explained(&self, error: Error) -> Error {
        if members::stranger(&error).is_none() {
            return error;
        }
        let name = self.context.slot_name();
        match self.session().await {
            Ok(session) => members::explain(error, &session, &name, &self.plan)
                .await
                .unwrap_or_else(|lost| lost),
            Err(lost) => lost,
        }
    }
}

impl PostgresSource {
    /// The spool, or none where it cannot be made: that stops no link.
    async fn open_spool(&self) -> Option<Spool> {
        match Spool::open(self.spool.as_ref()?).await {
            Ok(spool) => Some(spool),
            Err(error) => {
                warn_without_spool(&error);
                None
            }
        }
    }

    /// Starts the stream, with open transactions where there is a `spool` for them.
    async fn start(
        &mut self,
        spool: Option<Spool>,
        reviewed: Option<Lsn>,
        resume: Resume,
    ) -> Result<Follow> {
        let session = self.session().await?;
        let name = self.context.slot_name();
        let mut members = members::read(&session, &name, &self.plan).await?;
        members.recall(&self.partitions);
        let pace = Pace::new(slot::report_limit(&session).await?, self.silences);
        session.close().await;
        let mut assembler = Assembler::new(Arc::clone(&self.plan), members, reviewed);
        assembler.settle(self.reviewed_halts.clone());
        assembler.tell_marks(MarkReader::of(&self.plan, &self.context.installation));
        let mut replication = self.replication().await?;
        replication.start(&name, &name, resume.from, spool.is_some()).await?;
        let streaming = spool.is_some();
        tracing::debug!(slot = name, from = %resume.from, streaming, "streaming");
        let catalog = Catalog {
            database: self.database.clone(),
            application_name: self.context.application_name(),
            publication: name,
            plan: Arc::clone(&self.plan),
        };
        Ok(Follow::new(replication, assembler, catalog, spool, pace, resume))
    }

    /// Reads on where the spool had no room for a transaction: the server keeps open transactions
    /// itself then and sends them whole. Nothing was handed on of those, so nothing comes twice.
    async fn follow_whole(
        &mut self,
        why: Error,
        reviewed: Option<Lsn>,
        resume: Resume,
    ) -> Result<()> {
        warn_without_spool(&why);
        let until = Instant::now() + SLOT_FREE_MAX;
        let session = self.session().await?;
        let name = self.context.slot_name();
        // The server lets go of the slot when it notices that nobody reads what it sends.
        while let Some(Err(busy)) =
            slot::read(&session, &name).await?.map(|slot| slot.check_unused(&name))
        {
            if Instant::now() >= until {
                return Err(busy);
            }
            tokio::select! {
                biased;
                () = resume.progress.stop.cancelled() => return Ok(()),
                () = resume.progress.queue.closed() => return Ok(()),
                () = tokio::time::sleep(SLOT_FREE_EVERY) => {}
            }
        }
        session.close().await;
        // Whoever had the slot meanwhile may have advanced it.
        self.check_resume_at(&Position::Postgres(resume.from)).await?;
        match self.start(None, reviewed, resume).await?.run().await? {
            Outcome::Stopped => Ok(()),
            Outcome::NoRoom(why, _) => Err(why),
        }
    }
}

/// Makes the slot, which waits for transactions that are open at the source. A standby waits besides
/// for its primary to say which those are, which an idle one may not do; that wait is bounded.
async fn make_slot(replication: &mut Replication, name: &str, server: Server) -> Result<Lsn> {
    let began = Instant::now();
    let create = replication.create_slot(name, server.takes_failover());
    tokio::pin!(create);
    loop {
        if let Ok(made) = tokio::time::timeout(SLOT_WAIT_NOTICE, &mut create).await {
            return made;
        }
        let hint =
            if server.standby { STANDBY_WAIT } else { "end long transactions at the source" };
        if server.standby && began.elapsed() >= STANDBY_SLOT_MAX {
            let context = "the standby did not learn from its primary which transactions are open";
            return Err(Error::new(Kind::Timeout, context).hint(hint));
        }
        tracing::warn!(
            slot = name,
            hint,
            "still waiting for transactions that were open before the slot"
        );
    }
}

fn warn_without_spool(why: &Error) {
    tracing::warn!(
        error = why.chain(),
        hint = "free space or raise spool_bytes_max; to try again at once, start weir again",
        "transactions that are still open are left to the source until the link connects again"
    );
}

/// The LSN of a position of this dialect.
pub(super) fn lsn(position: &Position) -> Result<Lsn> {
    match position {
        Position::Postgres(lsn) => Ok(*lsn),
        other => {
            let context = format!("{other} is not a position of PostgreSQL");
            Err(Error::new(Kind::Identity, context))
        }
    }
}

impl Source for PostgresSource {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn check_untouched(&mut self) -> Pending<'_, ()> {
        Box::pin(async {
            let name = self.context.slot_name();
            let session = self.session().await?;
            let leftover = slot::read(&session, &name).await?;
            session.close().await;
            match leftover {
                None => Ok(()),
                Some(_) => Err(Error::new(
                    Kind::Gap,
                    format!(
                        "slot {name} exists, but neither the target's witness nor the state \
                         directory knows this link"
                    ),
                )
                .hint(
                    "the target was replaced or emptied, or the state directory is another one: \
                     bring them back, or `weir teardown LINK --apply`, then start anew with start = \"snapshot\"",
                )),
            }
        })
    }

    fn begin(&mut self) -> Pending<'_, Position> {
        Box::pin(self.begin_now())
    }

    fn begin_at<'a>(&'a mut self, position: &'a Position) -> Pending<'a, Position> {
        Box::pin(self.begin_given(position))
    }

    fn recall(&mut self, partitions: Vec<(usize, String)>) {
        self.partitions = partitions;
    }

    fn settle(&mut self, reviewed_halts: Vec<String>) {
        self.reviewed_halts = reviewed_halts;
    }

    fn be_patient(&mut self, silences: u32) {
        self.silences = silences;
    }

    fn spool_at(&mut self, place: SpoolPlace) {
        self.spool = Some(place);
    }

    fn check_resume<'a>(&'a mut self, witness: &'a Position) -> Pending<'a, ()> {
        Box::pin(self.check_resume_at(witness))
    }

    /// A standby that was promoted. What was read from this very server while it was promoted lies
    /// beyond the place where it was.
    fn successor<'a>(
        &'a mut self,
        former: &'a str,
        witness: &'a Position,
        seen: bool,
    ) -> Pending<'a, Option<Position>> {
        Box::pin(async move {
            let position = if seen { None } else { Some(lsn(witness)?) };
            let follows = self.continues_log_of(former, position).await?;
            Ok(follows.then(|| witness.clone()))
        })
    }

    fn stream<'a>(
        &'a mut self,
        from: Position,
        reviewed_until: Option<Position>,
        queue: PartSender,
        durable: watch::Receiver<Position>,
        stop: CancellationToken,
    ) -> Pending<'a, ()> {
        Box::pin(async move {
            let from = lsn(&from)?;
            let reviewed = reviewed_until.as_ref().map(lsn).transpose()?;
            let progress = Progress { queue, durable, stop };
            let spool = self.open_spool().await;
            let resume = Resume { from, idle: None, progress };
            let follow = self.start(spool, reviewed, resume).await?;
            let followed = match follow.run().await {
                Ok(Outcome::Stopped) => Ok(()),
                Ok(Outcome::NoRoom(why, resume)) => self.follow_whole(why, reviewed, *resume).await,
                Err(error) => Err(error),
            };
            match followed {
                Ok(()) => Ok(()),
                Err(error) => Err(self.explained(error).await),
            }
        })
    }
}
