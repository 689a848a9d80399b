//! The capture side of a link: where to begin, whether the log still reaches back, and the stream.
//!
//! A MySQL server is known by its `server_uuid`. MariaDB has none, so there it is the `server_id`,
//! and a resume checks further that the witness lies in this server's history: its GTIDs are in
//! `gtid_binlog_state`, and where the file of its coordinates still exists, that place in the file
//! has exactly its GTIDs. On both, a log that ends before the witness's coordinates was reset. weir resumes by GTID; nothing is acknowledged to these servers.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::assemble::{Assembler, Server};
use super::binlog::event::TRANSACTION_PAYLOAD;
use super::history;
use super::identity::{identity, of_reader};
use super::session::{self, Flavor, Role, Session};
use super::stream::{EventStream, Replica};
use super::wire::{self, Connection};
use crate::config::Database;
use crate::error::{Error, Kind, Result};
use crate::link::ports::{LinkContext, Pending, Source};
use crate::link::queue::PartSender;
use crate::model::Part;
use crate::plan::LinkPlan;
use crate::position::Position;

/// A MySQL or MariaDB server as the source of a link.
#[derive(Debug)]
pub(crate) struct MysqlSource {
    context: LinkContext,
    database: Database,
    plan: Arc<LinkPlan>,
    identity: String,
}

/// Connects, asks the server who it is, and checks that it writes a log by GTID.
///
/// # Errors
/// `Setting` where the log is off or without GTIDs, and whatever the server says.
pub async fn open(
    context: &LinkContext,
    database: &Database,
    plan: Arc<LinkPlan>,
) -> Result<Box<dyn Source>> {
    let mut session = session::connect(database, &context.application_name(), Role::Source).await?;
    history::require_log(&mut session).await?;
    let identity = identity(&mut session).await?;
    let (context, database) = (context.clone(), database.clone());
    Ok(Box::new(MysqlSource { context, database, plan, identity }))
}

impl MysqlSource {
    /// A session to the same server as at the start.
    async fn session(&self, role: Role) -> Result<Session> {
        let application = self.context.application_name();
        let mut session = session::connect(&self.database, &application, role).await?;
        let identity = identity(&mut session).await?;
        self.same(&identity)?;
        Ok(session)
    }

    fn same(&self, identity: &str) -> Result<()> {
        if identity == self.identity {
            return Ok(());
        }
        let context = format!(
            "database `{}` is now served by {identity}, it was {}",
            self.database.name, self.identity
        );
        Err(Error::new(Kind::Identity, context))
    }

    /// A connection for the dump, to the same server.
    async fn reader(&self) -> Result<Connection> {
        let mut reader = wire::connect(&self.database, &self.context.application_name()).await?;
        let identity = of_reader(&mut reader).await?;
        self.same(&identity)?;
        Ok(reader)
    }

    fn replica(&self) -> Replica {
        Replica {
            server_id: self.context.server_id,
            host: self.context.application_name(),
            uuid: uuid_of(&self.context.slot_name()),
        }
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
        let server = Server {
            flavor: session.flavor(),
            names_by_case: history::names_by_case(&mut session).await?,
            logs_cascades: history::logs_cascades(&mut session).await?,
        };
        drop(session);
        let plan = Arc::clone(&self.plan);
        let mut assembler = Assembler::new(plan, server, from.clone(), reviewed_until)?;
        let reader = self.reader().await?;
        let mut stream = EventStream::start(reader, &from, &replica).await?;
        tracing::debug!(link = %self.context.link, %from, "streaming");
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
                if !hand_on(&mut ready, &queue, &stop).await {
                    return Ok(());
                }
                continue;
            }
            let mut payload = assembler.unpack(&event.header, &event.body)?;
            while let Some((header, body)) = payload.next()? {
                assembler.take_packed(&header, body, &mut ready)?;
                if !hand_on(&mut ready, &queue, &stop).await {
                    return Ok(());
                }
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
            sent = queue.send(dated(part)) => if sent.is_err() { return false },
        }
    }
    true
}

/// An idle part says "now": the server has nothing newer.
fn dated(mut part: Part) -> Part {
    if let (true, Some(commit)) = (part.idle, &mut part.commit) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        commit.time_us = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
    }
    part
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

    fn check_resume<'a>(&'a mut self, witness: &'a Position) -> Pending<'a, ()> {
        Box::pin(async move {
            let mut session = self.session(Role::Source).await?;
            match (session.flavor(), witness) {
                (Flavor::Mysql, Position::Mysql(set, at)) => {
                    history::check_mysql(&mut session, set, at.as_ref()).await
                }
                (Flavor::Mariadb, Position::Mariadb(set, at)) => {
                    history::check_mariadb(&mut session, set, at.as_ref()).await
                }
                _ => Err(Error::new(
                    Kind::Identity,
                    format!("{witness} is not a position of database `{}`", self.database.name),
                )),
            }
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
