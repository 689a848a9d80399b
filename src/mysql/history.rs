//! What a server says about its log: how it is written, its present end and its files; in `resume`
//! whether a position lies in it, in `given` whether a link can start there, in `readers` who else
//! reads it.
//!
//! MySQL answers with GTID sets, or without GTIDs with places. MariaDB keeps the last GTID per
//! domain, and the GTIDs of any place in a file by `BINLOG_GTID_POS`.
//! Sources: MySQL "GTID System Variables"; MariaDB "Global Transaction ID".

mod given;
mod readers;
mod resume;

use super::session::{Flavor, Session};
use super::sql::literal;
use crate::error::{Error, Kind, Result};
use crate::position::{Coordinates, MariadbGtidSet, Position};

pub(crate) use given::given;
pub(crate) use readers::require_free_server_id;
pub(crate) use resume::{Log, asked, check};

/// Tries to read GTIDs and coordinates of one moment.
const HEAD_TRIES: u32 = 5;

/// Refuses a server that does not log, or that is a replica and does not log what it applies: its
/// log would be silent for ever.
///
/// # Errors
/// `Setting` by name.
pub(crate) async fn require_log(session: &mut Session) -> Result<()> {
    let database = session.database().to_owned();
    let setting = |name: &str, why: &str| {
        Error::new(Kind::Setting, format!("database `{database}`: {name} is OFF{why}"))
            .hint(format!("set {name} = ON on the source and restart it"))
    };
    if text(session, "SELECT @@GLOBAL.log_bin").await? != "1" {
        return Err(setting("log_bin", ""));
    }
    let named = session.flavor() == Flavor::Mysql && session.version() >= (8, 0, 26);
    let name = if named { "log_replica_updates" } else { "log_slave_updates" };
    let logs_all = text(session, &format!("SELECT @@GLOBAL.{name}")).await? == "1";
    if !logs_all && is_replicating(session).await? {
        return Err(setting(name, ", and it is a replica: its log misses what it applies"));
    }
    Ok(())
}

/// Whether every transaction has a GTID now: always on MariaDB.
pub(crate) async fn has_gtids(session: &mut Session) -> Result<bool> {
    Ok(session.flavor() == Flavor::Mariadb
        || text(session, "SELECT @@GLOBAL.gtid_mode").await? == "ON")
}

/// Whether the server applies the log of another one; `false` where the user may not ask.
pub(crate) async fn is_replicating(session: &mut Session) -> Result<bool> {
    let (what, flavor) = ("read the replica's state", session.flavor());
    if flavor == Flavor::Mariadb {
        let row = session.texts(what, "SHOW GLOBAL STATUS LIKE 'Slaves_running'").await?.pop();
        let running = row.and_then(|row| row.get(1).cloned().flatten());
        return Ok(running.is_some_and(|running| running != "0"));
    }
    let renamed = session.version() >= (8, 0, 22);
    let sql = if renamed { "SHOW REPLICA STATUS" } else { "SHOW SLAVE STATUS" };
    let rows = match session.rows(what, sql).await {
        Err(error) if error.kind() == Kind::Privilege => return Ok(false),
        rows => rows?,
    };
    let running = |row: &mysql_async::Row| {
        let columns = row.columns_ref().iter().enumerate();
        let mut threads = columns.filter(|(_, column)| column.name_str().ends_with("_SQL_Running"));
        threads.any(
            |(at, _)| matches!(row.get_opt::<String, _>(at), Some(Ok(state)) if state == "Yes"),
        )
    };
    Ok(rows.iter().any(running))
}

/// `position` as this server is to be asked for it: by place, where it now writes transactions that
/// have no GTID.
///
/// # Errors
/// `Setting` where only GTIDs are known of a position, and the server does without.
pub(crate) async fn start(session: &mut Session, position: Position) -> Result<Position> {
    let by_gtid = |position: &Position| matches!(position, Position::Mysql(..));
    let some_by_gtid = by_gtid(position.applied()) || by_gtid(position.restart());
    if !some_by_gtid || has_gtids(session).await? {
        return Ok(position);
    }
    let database = session.database().to_owned();
    by_place(position).ok_or_else(|| {
        Error::new(
            Kind::Setting,
            format!(
                "gtid_mode of database `{database}` is no longer ON, and it is not known where in its \
                 log the position by GTID lies"
            ),
        )
        .hint("set gtid_mode = ON again until weir has read on, or `weir teardown LINK --apply` and start anew")
    })
}

/// A position by GTID as one by place; `None` where it was not read from the log itself.
pub(crate) fn by_place(position: Position) -> Option<Position> {
    match position {
        Position::Mysql(set, Some(at)) if at.born.is_some() => Some(Position::MysqlPlace(set, at)),
        Position::MysqlPlace(..) => Some(position),
        Position::Held(_) => position.try_map(|one| by_place(one).ok_or(())).ok(),
        _ => None,
    }
}

/// Whether table names are told apart by case.
pub(crate) async fn names_by_case(session: &mut Session) -> Result<bool> {
    Ok(text(session, "SELECT @@GLOBAL.lower_case_table_names").await? == "0")
}

/// Whether the log holds what foreign keys do: MySQL does where it can leave them to its upper layer
/// (`innodb_native_foreign_keys`) and is told to.
pub(crate) async fn logs_cascades(session: &mut Session) -> Result<bool> {
    let sql = "SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'";
    let row = session.texts("read the log's state", sql).await?.pop().unwrap_or_default();
    Ok(row.get(1).is_some_and(|value| value.as_deref() == Some("OFF")))
}

async fn text(session: &mut Session, sql: &str) -> Result<String> {
    Ok(session.text("read the log's state", sql).await?.unwrap_or_default())
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|error: T::Err| {
        Error::new(Kind::Malformed, "a position of the server").caused_by(error)
    })
}

/// The present end of the log. MySQL: the executed transactions, or the place where transactions may
/// have no GTID; MariaDB: the logged ones.
///
/// # Errors
/// `Setting` where the server does not log, and whatever it says.
pub(crate) async fn head(session: &mut Session) -> Result<Position> {
    match session.flavor() {
        Flavor::Mysql => {
            let row = status(session).await?;
            let set = parse(&row.get(4).cloned().flatten().unwrap_or_default())?;
            Ok(match coordinates(&row)? {
                Some(at) if !has_gtids(session).await? => Position::MysqlPlace(set, at),
                at => Position::Mysql(set, at),
            })
        }
        Flavor::Mariadb => {
            let mut at = coordinates(&status(session).await?)?;
            for _ in 0..HEAD_TRIES {
                let set = parse(&text(session, "SELECT @@GLOBAL.gtid_binlog_pos").await?)?;
                let after = coordinates(&status(session).await?)?;
                if at == after {
                    return Ok(Position::Mariadb(set, at));
                }
                at = after;
            }
            // Under load the two cannot be had at one moment; the GTIDs are what counts.
            let set = parse(&text(session, "SELECT @@GLOBAL.gtid_binlog_pos").await?)?;
            Ok(Position::Mariadb(set, None))
        }
    }
}

/// MariaDB: where a snapshot that was just opened lies in the log: everything up to there is visible
/// to it, and nothing after (correctness.md 8; what the server calls its end runs ahead of that).
///
/// # Errors
/// `Unavailable` where the server does not tell.
pub(crate) async fn snapshot(session: &mut Session) -> Result<Coordinates> {
    let what = "tell a snapshot's place in the log";
    let rows = session.texts(what, "SHOW STATUS LIKE 'binlog_snapshot_%'").await?;
    let status = |wanted: &str| {
        let row = rows.iter().find(|row| {
            let name = row.first().and_then(Option::as_deref);
            name.is_some_and(|name| name.eq_ignore_ascii_case(wanted))
        });
        row.and_then(|row| row.get(1).cloned().flatten()).unwrap_or_default()
    };
    let file = status("binlog_snapshot_file");
    match status("binlog_snapshot_position").parse() {
        Ok(position) if !file.is_empty() => Ok(Coordinates::new(file, position)),
        _ => Err(nowhere(session)),
    }
}

/// MariaDB: the GTIDs of a snapshot's place, by reading the file up to it.
///
/// # Errors
/// `Unavailable` where the server does not tell.
pub(crate) async fn snapshot_gtids(
    session: &mut Session,
    at: &Coordinates,
) -> Result<MariadbGtidSet> {
    gtids_at(session, at).await?.ok_or_else(|| nowhere(session))
}

/// MariaDB: the GTIDs of `at` where that is still the end of the log, which is asked for last: a
/// transaction has its GTID before it is in the log.
pub(crate) async fn gtids_of_end(
    session: &mut Session,
    at: &Coordinates,
) -> Result<Option<MariadbGtidSet>> {
    let set = parse(&text(session, "SELECT @@GLOBAL.gtid_binlog_pos").await?)?;
    let end = coordinates(&status(session).await?)?;
    Ok(Some(set).filter(|_| end.as_ref() == Some(at)))
}

fn nowhere(session: &Session) -> Error {
    let database = session.database();
    let context = format!("database `{database}` gave a snapshot without its place in the log");
    Error::new(Kind::Unavailable, context)
}

/// MariaDB: whether a second phase of a transaction (XA COMMIT) was begun since the server started.
pub(crate) async fn commits_in_two_phases(session: &mut Session) -> Result<bool> {
    let sql = "SHOW GLOBAL STATUS LIKE 'Com_xa_commit'";
    let row = session.texts("look for two-phase transactions", sql).await?.pop();
    let begun = row.and_then(|row| row.get(1).cloned().flatten());
    Ok(begun.is_none_or(|begun| begun != "0"))
}

/// The row of SHOW BINARY LOG STATUS: file, position, …
async fn status(session: &mut Session) -> Result<Vec<Option<String>>> {
    let renamed = session.flavor() == Flavor::Mysql && session.version() >= (8, 2, 0);
    let sql = if renamed { "SHOW BINARY LOG STATUS" } else { "SHOW MASTER STATUS" };
    let rows = session.texts("read the end of the log", sql).await?;
    rows.into_iter().next().ok_or_else(|| {
        let context = format!("database `{}` does not write a binary log", session.database());
        Error::new(Kind::Setting, context).hint("set log_bin = ON on the source and restart it")
    })
}

fn coordinates(row: &[Option<String>]) -> Result<Option<Coordinates>> {
    let (Some(Some(file)), Some(Some(position))) = (row.first(), row.get(1)) else {
        return Ok(None);
    };
    Ok(Some(Coordinates::new(file.clone(), parse(position)?)))
}

/// The log's files with their sizes in bytes, oldest first.
pub(crate) async fn files(session: &mut Session) -> Result<Vec<(String, u64)>> {
    let rows = session.texts("list the log's files", "SHOW BINARY LOGS").await?;
    rows.iter()
        .filter_map(|row| coordinates(row).transpose())
        .map(|file| file.map(|file| (file.file, file.position)))
        .collect()
}

/// How long the server keeps a file of its log after its last write, in seconds; `None` where it
/// purges none by age.
pub(crate) async fn expiry(session: &mut Session) -> Result<Option<u64>> {
    let sql = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('binlog_expire_logs_seconds', \
               'binlog_expire_logs_auto_purge', 'expire_logs_days')";
    let rows = session.texts("read how long the log is kept", sql).await?;
    let variable = |wanted: &str| {
        let row = rows
            .iter()
            .find(|row| row.first().is_some_and(|name| name.as_deref() == Some(wanted)))?;
        row.get(1)?.as_deref()
    };
    if variable("binlog_expire_logs_auto_purge") == Some("OFF") {
        return Ok(None);
    }
    // Parts of a day, where the older variable has them, are a number of seconds.
    let days = variable("expire_logs_days").and_then(|days| days.parse::<f64>().ok());
    let seconds = variable("binlog_expire_logs_seconds").and_then(|text| text.parse::<u64>().ok());
    let seconds =
        seconds.filter(|seconds| *seconds > 0).or(days.map(|days| (days * 86_400.0) as u64));
    Ok(seconds.filter(|seconds| *seconds > 0))
}

/// Seconds since 1970 by the server's clock.
pub(crate) async fn clock(session: &mut Session) -> Result<u64> {
    parse(&text(session, "SELECT UNIX_TIMESTAMP()").await?)
}

/// MariaDB: the GTIDs of a place in the log, by reading the file up to it; `None` where the server
/// does not know the place.
pub(crate) async fn gtids_at(
    session: &mut Session,
    at: &Coordinates,
) -> Result<Option<MariadbGtidSet>> {
    let sql = format!("SELECT BINLOG_GTID_POS({}, {})", literal(&at.file), at.position);
    let found = session.text("read the GTIDs of a place in the log", &sql).await?;
    found.as_deref().map(parse).transpose()
}
