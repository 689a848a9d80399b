//! The capture side of a link: where to begin, whether the log still reaches back, and the stream.
//!
//! A MySQL server is known by its `server_uuid`. MariaDB has none, so there it is the `server_id`,
//! and a resume checks further that the witness lies in this server's history (`history`). weir
//! resumes by GTID, and by file and position where a MySQL server writes transactions without one;
//! which of the two, the server's setting and the witness say at each connect. Another server is
//! followed only by GTID, and only if it knows all that was applied. Nothing is acknowledged to
//! these servers.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::assemble::{Assembler, Server};
use super::binlog::event::TRANSACTION_PAYLOAD;
use super::failure::is_about_anonymous;
use super::history::{self, Log};
use super::identity::{identity, of_reader, require_same};
use super::session::{self, Role, Session};
use super::stream::{EventStream, Replica};
use super::wire::{self, Connection};
use crate::config::Database;
use crate::error::Result;
use crate::link::ports::{LinkContext, Pending, Source};
use crate::link::queue::PartSender;
use crate::model::Part;
use crate::plan::{LinkPlan, MarkReader};
use crate::position::{Coordinates, Position};

/// Bytes of weir's name in a server's list of replicas, which holds 60: a space and the first eight
/// digits of the uuid follow, which tell one installation from another.
const HOST_BYTES_MAX: usize = 51;

/// A MySQL or MariaDB server as the source of a link.
#[derive(Debug)]
pub(crate) struct MysqlSource {
    context: LinkContext,
    database: Database,
    plan: Arc<LinkPlan>,
    identity: String,
    /// A place that the log was found to hold, in the file that was read.
    proven: Option<Coordinates>,
}

/// Connects, asks the server who it is, and checks that it writes a log.
///
/// # Errors
/// `Setting` where the log is off or misses what a replica applies, and whatever the server says.
pub async fn open(
    context: &LinkContext,
    database: &Database,
    plan: Arc<LinkPlan>,
) -> Result<Box<dyn Source>> {
    let mut session = session::connect(database, &context.application_name(), Role::Source).await?;
    history::require_log(&mut session).await?;
    let identity = identity(&mut session).await?;
    let (context, database) = (context.clone(), database.clone());
    Ok(Box::new(MysqlSource { context, database, plan, identity, proven: None }))
}

impl MysqlSource {
    /// A session to the same server as at the start.
    async fn session(&self, role: Role) -> Result<Session> {
        let application = self.context.application_name();
        let mut session = session::connect(&self.database, &application, role).await?;
        let identity = identity(&mut session).await?;
        require_same(&self.database.name, &self.identity, &identity)?;
        Ok(session)
    }

    /// A connection for the dump, to the same server.
    async fn reader(&self) -> Result<Connection> {
        let mut reader = wire::connect(&self.database, &self.context.application_name()).await?;
        let identity = of_reader(&mut reader).await?;
        require_same(&self.database.name, &self.identity, &identity)?;
        Ok(reader)
    }

    fn replica(&self) -> Replica {
        let uuid = uuid_of(&format!("{} {}", self.context.slot_name(), self.context.installation));
        let name = self.context.application_name();
        let name: String = name.chars().filter(char::is_ascii).take(HOST_BYTES_MAX).collect();
        Replica {
            server_id: self.context.server_id,
            host: format!("{name} {}", uuid.get(..8).unwrap_or_default()),
            uuid,
        }
    }

    /// What is known of the log for a look at the place `at`.
    async fn log(&self, session: &mut Session, at: Option<&Coordinates>) -> Result<Log> {
        let mut log = Log { files: history::files(session).await?, born: None };
        let Some(at) = at.filter(|at| at.born.is_some() && log.holds_file(at)) else {
            return Ok(log);
        };
        log.born = EventStream::born(self.reader().await?, &at.file).await?;
        Ok(log)
    }

    async fn follow(
        &self,
        from: Position,
        reviewed_until: Option<Position>,
        queue: PartSender,
        stop: CancellationToken,
    ) -> Result<()> {
        let mut session = self.session(Role::Source).await?;
        let replica = self.replica();
        history::require_free_server_id(&mut session, &replica).await?;
        let mut from = history::start(&mut session, from).await?;
        let head = history::head(&mut session).await?;
        let proven = self.proven.is_some() && self.proven.as_ref() == from.coordinates();
        let mut server = Server {
            flavor: session.flavor(),
            names_by_case: history::names_by_case(&mut session).await?,
            logs_cascades: history::logs_cascades(&mut session).await?,
            by_place: false,
        };
        let mut asked = history::asked(&mut session, from.restart(), proven).await?;
        drop(session);
        loop {
            server.by_place = matches!(asked, Position::MysqlPlace(..));
            let (plan, reviewed) = (Arc::clone(&self.plan), reviewed_until.clone());
            let mut assembler = Assembler::new(plan, server, from.clone(), reviewed)?;
            assembler.begin_before(head.coordinates().cloned());
            assembler.tell_marks(MarkReader::of(&self.plan, &self.context.installation));
            let stream = EventStream::start(self.reader().await?, &asked, &replica).await?;
            tracing::debug!(link = %self.context.link, %from, "streaming");
            match pump(stream, &mut assembler, &queue, &stop).await {
                // The server writes transactions without GTID now.
                Err(error) if is_about_anonymous(&error) => {
                    let read = assembler.position();
                    from = history::by_place(read).ok_or(error)?;
                    asked = from.restart().clone();
                }
                ended => return ended,
            }
        }
    }
}

/// Hands on what the stream yields, until it ends or is not wanted any more.
async fn pump(
    mut stream: EventStream,
    assembler: &mut Assembler,
    queue: &PartSender,
    stop: &CancellationToken,
) -> Result<()> {
    let mut ready = Vec::new();
    loop {
        let event = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = queue.closed() => return Ok(()),
            event = stream.next() => event?,
        };
        if event.header.kind != TRANSACTION_PAYLOAD {
            assembler.take(&event.header, &event.body, &mut ready)?;
            drop(event);
            if !hand_on(&mut ready, queue, stop).await {
                return Ok(());
            }
            continue;
        }
        let mut payload = assembler.unpack(&event.header, &event.body)?;
        while let Some((header, body)) = payload.next()? {
            assembler.take_packed(&header, body, &mut ready)?;
            if !hand_on(&mut ready, queue, stop).await {
                return Ok(());
            }
        }
    }
}

/// Puts parts into the queue; false where they are not wanted any more.
async fn hand_on(ready: &mut Vec<Part>, queue: &PartSender, stop: &CancellationToken) -> bool {
    for part in ready.drain(..) {
        tokio::select! {
            biased;
            () = stop.cancelled() => return false,
            sent = queue.send(part) => if sent.is_err() { return false },
        }
    }
    true
}

/// The same uuid for the same name, always (FNV-1a of 128 bits).
fn uuid_of(name: &str) -> String {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013B;
    const BASIS: u128 = 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D;
    let hash = name.bytes().fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    let hex = format!("{hash:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

impl Source for MysqlSource {
    fn identity(&self) -> &str {
        &self.identity
    }

    /// A binlog dump leaves no trace at the server.
    fn check_untouched(&mut self) -> Pending<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn begin(&mut self) -> Pending<'_, Position> {
        Box::pin(async move {
            let mut session = self.session(Role::Source).await?;
            history::head(&mut session).await
        })
    }

    fn begin_at<'a>(&'a mut self, position: &'a Position) -> Pending<'a, Position> {
        Box::pin(async move {
            let mut session = self.session(Role::Source).await?;
            let log = self.log(&mut session, None).await?;
            history::given(&mut session, &log, position).await
        })
    }

    fn check_resume<'a>(&'a mut self, witness: &'a Position) -> Pending<'a, ()> {
        Box::pin(async move {
            let mut session = self.session(Role::Source).await?;
            let witness = history::start(&mut session, witness.clone()).await?;
            let log = self.log(&mut session, witness.coordinates()).await?;
            history::check(&mut session, &log, &witness).await?;
            let at = witness.coordinates().filter(|at| log.is_proven(Some(at)));
            self.proven = at.cloned();
            Ok(())
        })
    }

    /// Places mean nothing at another server, and an empty set is in every history.
    fn successor<'a>(
        &'a mut self,
        _former: &'a str,
        witness: &'a Position,
        _seen: bool,
    ) -> Pending<'a, Option<Position>> {
        Box::pin(async move {
            let mut session = self.session(Role::Source).await?;
            let named = match (witness.applied(), witness.restart()) {
                (Position::Mysql(set, _), Position::Mysql(..)) => !set.is_empty(),
                (Position::Mariadb(set, _), Position::Mariadb(..)) => !set.is_empty(),
                _ => false,
            };
            let follows = named && history::has_gtids(&mut session).await?;
            Ok(follows.then(|| witness.clone().without_place()))
        })
    }

    fn stream<'a>(
        &'a mut self,
        from: Position,
        reviewed_until: Option<Position>,
        queue: PartSender,
        _durable: watch::Receiver<Position>,
        stop: CancellationToken,
    ) -> Pending<'a, ()> {
        Box::pin(self.follow(from, reviewed_until, queue, stop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a restart presented itself as another replica: the dead connection would stay.
    #[test]
    fn the_replica_uuid_is_stable() {
        assert_eq!(uuid_of("weir_prod_a_b"), uuid_of("weir_prod_a_b"));
        assert_ne!(uuid_of("weir_prod_a_b"), uuid_of("weir_prod_a_c"));
        assert_eq!(uuid_of("").len(), 36);
    }
}
