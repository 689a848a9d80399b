//! Copies read from a replica of the log's server: what is asked of it, and how its marks become
//! positions of that log.
//!
//! By GTIDs alone: a replica's files and places are its own. MySQL's `gtid_executed` says what the replica
//! shows, whoever wrote it; what it has written itself is in nobody else's log and left out. MariaDB's
//! snapshots know their place in the replica's own log, whose GTIDs are the source's where the replica logs
//! what it applies (`log_slave_updates`); without that nothing tells what a snapshot of it shows. What a
//! replica leaves out (filters, errors that it skips) has its GTID all the same, so one that may leave
//! something out is refused. Not seen: filters of a server between the two,
//! and those that are set while a reader is connected.

use super::MysqlScan;
use super::marks::executed;
use crate::error::{Error, Kind, Result};
use crate::mysql::history;
use crate::mysql::session::{Flavor, Session};
use crate::position::{MariadbGtidSet, MysqlGtidSet, Position};

impl MysqlScan {
    /// Whether this server is that of the log (`None`), or a replica whose marks can be placed in it; then
    /// what it shows.
    pub(super) async fn require_origin(&mut self, origin: &str) -> Result<Option<Position>> {
        self.is_replica = self.identity.as_deref() != Some(origin);
        if !self.is_replica {
            return Ok(None);
        }
        let mut session = self.session().await?;
        match session.flavor() {
            Flavor::Mysql => require_executed(&mut session, origin).await?,
            Flavor::Mariadb => require_logged(&mut session, origin).await?,
        }
        require_whole(&mut session).await?;
        let shown = match session.flavor() {
            Flavor::Mysql => executed(&mut session).await?,
            Flavor::Mariadb => history::head(&mut session).await?,
        };
        let shown = self.compared(&mut session, shown).await?;
        self.session = Some(session);
        Ok(Some(shown))
    }

    /// A mark as it compares with positions of the log.
    pub(super) async fn compared(&self, session: &mut Session, mark: Position) -> Result<Position> {
        if !self.is_replica {
            return Ok(mark);
        }
        let identity = self.identity.as_deref().unwrap_or_default();
        match mark.without_place() {
            Position::Mysql(set, _) => {
                let own = identity.strip_prefix("mysql:").unwrap_or(identity);
                Ok(Position::Mysql(without(&set, own), None))
            }
            Position::Mariadb(set, _) => {
                let own = identity.strip_prefix("mariadb:").and_then(|id| id.parse().ok());
                if !set.iter().any(|gtid| Some(gtid.server) == own) {
                    return Ok(Position::Mariadb(set, None));
                }
                let what = "read what the replica has applied";
                let text = session.text(what, "SELECT @@GLOBAL.gtid_slave_pos").await?;
                let applied = parsed(&text.unwrap_or_default())?;
                let set =
                    replicated(&set, own, &applied).ok_or_else(|| wrote(session.database()))?;
                Ok(Position::Mariadb(set, None))
            }
            mark => Ok(mark),
        }
    }
}

/// MySQL: GTIDs on, and some of them the origin's.
async fn require_executed(session: &mut Session, origin: &str) -> Result<()> {
    let database = session.database().to_owned();
    if !history::has_gtids(session).await? {
        let context = format!(
            "the replica behind `{database}` has gtid_mode other than ON: what it \
             shows cannot be placed in the log of its source"
        );
        return Err(Error::new(Kind::Configuration, context)
            .hint("set gtid_mode = ON on both servers, or take read_url out"));
    }
    let uuid = origin.strip_prefix("mysql:").unwrap_or(origin);
    match executed(session).await? {
        Position::Mysql(set, _) if set.iter().any(|(of, _)| of.uuid == uuid) => Ok(()),
        _ => Err(stranger(&database, origin)),
    }
}

/// MariaDB: it logs what it applies, and has applied something of the origin's.
async fn require_logged(session: &mut Session, origin: &str) -> Result<()> {
    let database = session.database().to_owned();
    let what = "read how the replica logs";
    let sql = "SELECT @@GLOBAL.log_bin + @@GLOBAL.log_slave_updates";
    if session.text(what, sql).await?.as_deref() != Some("2") {
        let context = format!(
            "the replica behind `{database}` does not log what it applies: what its \
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

/// It replicates, from one server, and everything.
async fn require_whole(session: &mut Session) -> Result<()> {
    let (what, database) = ("read the replica's state", session.database().to_owned());
    let (sql, account) = match session.flavor() {
        Flavor::Mysql => ("SHOW REPLICA STATUS", "REPLICATION CLIENT"),
        Flavor::Mariadb => ("SHOW ALL SLAVES STATUS", "SLAVE MONITOR"),
    };
    let states = session.rows(what, sql).await.map_err(|error| match error.kind() {
        Kind::Privilege => error.hint(format!(
            "GRANT {account} ON *.* TO weir's account on the replica, which tells whether it applies \
             everything; or take read_url out"
        )),
        _ => error,
    })?;
    let skipping = "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
                    ('replica_skip_errors', 'slave_skip_errors')";
    let mut settings: Vec<(String, String)> = Vec::new();
    for row in session.texts(what, skipping).await? {
        let mut cells = row.into_iter().map(Option::unwrap_or_default);
        settings.extend(cells.next().zip(cells.next()));
    }
    for row in &states {
        for (at, column) in row.columns_ref().iter().enumerate() {
            if let Some(Ok(Some(value))) = row.get_opt::<Option<String>, _>(at) {
                settings.push((column.name_str().into_owned(), value));
            }
        }
    }
    let why = match states.len() {
        0 => Some(
            "replicates from no server: nothing tells what has been written to it since".to_owned(),
        ),
        1 => partial(&settings).map(|(name, value)| {
            format!("may leave out some of what its source has ({name} is {value})")
        }),
        _ => Some("replicates from several servers, whose rows cannot be told apart".to_owned()),
    };
    why.map_or(Ok(()), |why| {
        let context = format!("the server behind `{database}` {why}");
        Err(Error::new(Kind::Configuration, context).hint(
            "point read_url to a replica that applies everything of the server behind url, or take it out",
        ))
    })
}

/// The first setting by which a replica leaves something out, and its value. What it leaves out of the
/// server's own databases is no row of anybody's table: managed servers do so, and do not let it be changed.
fn partial(settings: &[(String, String)]) -> Option<(&str, &str)> {
    let leaves_out = |name: &str, value: &str| {
        let name = name.to_ascii_lowercase();
        let unset = value.is_empty() || value.eq_ignore_ascii_case("off");
        let ignores = name.starts_with("replicate_") && name.contains("_ignore_");
        (name.starts_with("replicate_") || name.ends_with("_skip_errors"))
            && !unset
            && !(ignores && value.split(',').all(is_of_the_server))
    };
    let found = settings.iter().find(|(name, value)| leaves_out(name, value));
    found.map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Whether a database, or a table or a pattern of tables with its database, is the server's own.
fn is_of_the_server(entry: &str) -> bool {
    const OWN: [&str; 6] = [
        "mysql",
        "sys",
        "performance_schema",
        "information_schema",
        "innodb_memcache",
        "mysql_innodb_cluster_metadata",
    ];
    let entry = entry.trim();
    let database = entry.split_once('.').map_or(entry, |(database, _)| database);
    OWN.contains(&database.replace("\\_", "_").as_str())
}

/// A set of MariaDB's.
fn parsed(text: &str) -> Result<MariadbGtidSet> {
    text.parse()
        .map_err(|error| Error::new(Kind::Malformed, "the GTIDs of the server").caused_by(error))
}

/// Without the domains that only the replica itself writes. `None` where it was the last to write in one of
/// those that it replicates: what it has applied there is not told then.
fn replicated(
    set: &MariadbGtidSet,
    own: Option<u32>,
    applied: &MariadbGtidSet,
) -> Option<MariadbGtidSet> {
    let mut rest = MariadbGtidSet::default();
    for gtid in set.iter() {
        match (Some(gtid.server) == own, applied.last(gtid.domain)) {
            (false, _) => rest.add(gtid),
            (true, None) => {}
            (true, Some(_)) => return None,
        }
    }
    Some(rest)
}

fn wrote(database: &str) -> Error {
    let context = format!(
        "the replica behind `{database}` has written to its log itself, and nothing \
         of its source since: what it shows cannot be placed in the log of its source"
    );
    Error::new(Kind::Unavailable, context).hint(
        "weir tries again by itself, and goes on once the replica has applied another transaction; set \
         read_only = ON on the replica, or take read_url out",
    )
}

fn stranger(database: &str, origin: &str) -> Error {
    let context = format!(
        "the server behind `{database}` has applied nothing of {origin}, whose log \
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a replica that passes over some tables or errors were read as if it had them, or one that
    /// applies everything were refused.
    #[test]
    fn what_is_left_out_is_seen() {
        let of = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        for (name, value) in [
            ("Replicate_Do_DB", "app"),
            ("Replicate_Wild_Ignore_Table", "app.x%"),
            ("Replicate_Ignore_Domain_Ids", "1"),
            ("Replicate_Ignore_Table", "mysql.plugin,app.x"),
            ("Replicate_Wild_Ignore_Table", "mysql%.%"),
            ("Replicate_Do_DB", "mysql"),
            ("slave_skip_errors", "1062"),
            ("replica_skip_errors", "ALL"),
        ] {
            assert_eq!(partial(&of(name, value)), Some((name, value)));
        }
        for (name, value) in [
            ("Replicate_Do_DB", ""),
            ("slave_skip_errors", "OFF"),
            ("Replica_IO_State", "Waiting for source to send event"),
            ("Skip_Counter", "0"),
            ("Replicate_Ignore_Table", "mysql.plugin,innodb_memcache.cache_policies"),
            ("Replicate_Wild_Ignore_Table", "mysql.%,performance\\_schema.%"),
        ] {
            assert_eq!(partial(&of(name, value)), None, "{name}");
        }
    }

    /// Broken if what a replica wrote itself passed for something of its source's, or kept pieces waiting
    /// for a domain that the source does not have.
    #[test]
    fn only_what_is_replicated_counts() {
        let set = |text: &str| parsed(text).expect("a set");
        let applied = set("0-1-7,3-9-4");
        assert_eq!(replicated(&set("0-1-7,3-9-4"), Some(2), &applied), Some(set("0-1-7,3-9-4")));
        assert_eq!(replicated(&set("0-1-7,5-2-4"), Some(2), &applied), Some(set("0-1-7")));
        assert_eq!(replicated(&set("0-2-8,3-9-4"), Some(2), &applied), None);
    }
}
