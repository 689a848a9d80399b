//! Copies read from a replica of the log's server: what is asked of it, and how its marks become
//! positions of that log.
//!
//! By GTIDs alone: a replica's files and places are its own. MySQL's `gtid_executed` says what the replica
//! shows, whoever wrote it; what it has written itself is in nobody else's log and left out. MariaDB's
//! snapshots know their place in the replica's own log, whose GTIDs are the source's where the replica logs
//! what it applies (`log_slave_updates`); without that nothing tells what a snapshot of it shows.

use super::MysqlScan;
use crate::error::{Error, Kind, Result};
use crate::mysql::history;
use crate::mysql::session::{Flavor, Session};
use crate::position::{MysqlGtidSet, Position};

impl MysqlScan {
    /// Whether this server is that of the log, or a replica whose marks can be placed in it.
    pub(super) async fn require_origin(&mut self, origin: &str) -> Result<()> {
        self.is_replica = self.identity.as_deref() != Some(origin);
        if !self.is_replica {
            return Ok(());
        }
        let mut session = self.session().await?;
        match session.flavor() {
            Flavor::Mysql => require_executed(&mut session, origin).await?,
            Flavor::Mariadb => require_logged(&mut session, origin).await?,
        }
        self.session = Some(session);
        Ok(())
    }

    /// A mark as it compares with positions of the log.
    pub(super) fn compared(&self, mark: Position) -> Result<Position> {
        if !self.is_replica {
            return Ok(mark);
        }
        let own = self.identity.as_deref().and_then(|identity| identity.strip_prefix("mysql:"));
        Ok(match (mark, own) {
            (Position::Mysql(set, _), Some(own)) => Position::Mysql(without(&set, own), None),
            (mark, _) => mark.without_place(),
        })
    }
}

/// MySQL: GTIDs on, and some of them the origin's.
async fn require_executed(session: &mut Session, origin: &str) -> Result<()> {
    let database = session.database().to_owned();
    if !history::has_gtids(session).await? {
        let context = format!(
            "the replica behind read_url of database `{database}` has gtid_mode other than ON: what it \
             shows cannot be placed in the log of its source"
        );
        return Err(Error::new(Kind::Configuration, context)
            .hint("set gtid_mode = ON on both servers, or take read_url out"));
    }
    let what = "read the replica's GTIDs";
    let text = session.text(what, "SELECT @@GLOBAL.gtid_executed").await?.unwrap_or_default();
    let set: MysqlGtidSet = text
        .parse()
        .map_err(|error| Error::new(Kind::Malformed, "the GTIDs of the server").caused_by(error))?;
    let uuid = origin.strip_prefix("mysql:").unwrap_or(origin);
    if set.iter().any(|(of, _)| of.uuid == uuid) {
        return Ok(());
    }
    Err(stranger(&database, origin))
}

/// MariaDB: it logs what it applies, and has applied something of the origin's.
async fn require_logged(session: &mut Session, origin: &str) -> Result<()> {
    let database = session.database().to_owned();
    let what = "read how the replica logs";
    let sql = "SELECT @@GLOBAL.log_bin + @@GLOBAL.log_slave_updates";
    if session.text(what, sql).await?.as_deref() != Some("2") {
        let context = format!(
            "the replica behind read_url of database `{database}` does not log what it applies: what its \
             snapshots show cannot be placed in the log of its source"
        );
        return Err(Error::new(Kind::Configuration, context).hint(
            "set log_bin and log_slave_updates = ON on the replica and restart it, or take read_url out",
        ));
    }
    let state = session.text(what, "SELECT @@GLOBAL.gtid_binlog_state").await?.unwrap_or_default();
    let server = origin.strip_prefix("mariadb:").unwrap_or(origin);
    let of_origin = |gtid: &str| gtid.trim().split('-').nth(1) == Some(server);
    if state.split(',').any(of_origin) {
        return Ok(());
    }
    Err(stranger(&database, origin))
}

fn stranger(database: &str, origin: &str) -> Error {
    let context = format!(
        "the server behind read_url of database `{database}` has applied nothing of {origin}, whose log \
         weir reads"
    );
    Error::new(Kind::Configuration, context)
        .hint("point read_url to a replica of the server behind url, or take it out")
}

/// Without what one server wrote.
fn without(set: &MysqlGtidSet, server: &str) -> MysqlGtidSet {
    let mut rest = MysqlGtidSet::default();
    for (origin, intervals) in set.iter().filter(|(of, _)| of.uuid != server) {
        intervals.iter().for_each(|interval| rest.add_interval(origin, *interval));
    }
    rest
}
