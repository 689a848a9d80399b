//! What a server says about its log: its present end, what it has purged, whether a position lies
//! in its history, and who else reads it.
//!
//! MySQL answers with GTID sets. MariaDB keeps the last GTID per domain, and the GTIDs of any place
//! in a file by `BINLOG_GTID_POS`.
//! Sources: MySQL "GTID System Variables"; MariaDB "Global Transaction ID".

use std::time::Duration;

use super::session::{Flavor, Session};
use super::sql::literal;
use super::stream::Replica;
use crate::error::{Error, Kind, Result};
use crate::position::gtid::MariadbGtid;
use crate::position::{Coordinates, MariadbGtidSet, MysqlGtidSet, Position};

/// A transaction can be in the log before it is in `gtid_executed`; this often and long the
/// witness is looked for before another server is suspected.
const EXECUTED_TRIES: u32 = 20;
const EXECUTED_WAIT: Duration = Duration::from_millis(500);

/// Tries to read GTIDs and coordinates of one moment.
const HEAD_TRIES: u32 = 5;

/// Refuses a server that does not log, or logs without GTIDs.
///
/// # Errors
/// `Setting` by name.
pub(crate) async fn require_log(session: &mut Session) -> Result<()> {
    let database = session.database().to_owned();
    let setting = |name: &str, value: &str, wanted: &str| {
        Error::new(Kind::Setting, format!("database `{database}`: {name} is {value}"))
            .hint(format!("set {name} = {wanted} on the source and restart it"))
    };
    let log = text(session, "SELECT @@GLOBAL.log_bin").await?;
    if log != "1" {
        return Err(setting("log_bin", "OFF", "ON"));
    }
    if session.flavor() == Flavor::Mysql {
        let mode = text(session, "SELECT @@GLOBAL.gtid_mode").await?;
        if mode != "ON" {
            return Err(setting("gtid_mode", &mode, "ON"));
        }
    }
    Ok(())
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

/// The present end of the log. MySQL: the executed transactions; MariaDB: the logged ones.
///
/// # Errors
/// `Setting` where the server does not log, and whatever it says.
pub(crate) async fn head(session: &mut Session) -> Result<Position> {
    match session.flavor() {
        Flavor::Mysql => {
            let row = status(session).await?;
            let set = row.get(4).cloned().flatten().unwrap_or_default();
            Ok(Position::Mysql(parse(&set)?, coordinates(&row)?))
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
    Ok(Some(Coordinates { file: file.clone(), position: parse(position)? }))
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

/// MySQL: everything purged must be in the witness, the witness in what was executed, and its
/// place in the log.
///
/// # Errors
/// `Identity` and `Gap`, each naming the transactions or the place.
pub(crate) async fn check_mysql(
    session: &mut Session,
    witness: &MysqlGtidSet,
    at: Option<&Coordinates>,
) -> Result<()> {
    let database = session.database().to_owned();
    let mut tries = 0;
    loop {
        let executed: MysqlGtidSet = parse(&text(session, "SELECT @@GLOBAL.gtid_executed").await?)?;
        let unknown = witness.minus(&executed);
        if unknown.is_empty() {
            break;
        }
        tries += 1;
        if tries >= EXECUTED_TRIES {
            return Err(Error::new(
                Kind::Identity,
                format!("database `{database}` never executed {unknown}, which the target holds"),
            )
            .hint("another server answers, or this one lost commits: point the database back, or tear the link down and start anew"));
        }
        tokio::time::sleep(EXECUTED_WAIT).await;
    }
    let purged: MysqlGtidSet = parse(&text(session, "SELECT @@GLOBAL.gtid_purged").await?)?;
    let missing = purged.minus(witness);
    if !missing.is_empty() {
        return Err(gap(&database, &missing));
    }
    let files = files(session).await?;
    require_reached(&database, &files, at)
}

/// Refuses a log that ends before a place where it has been: it was begun anew since, or the server
/// is a restored one. Its GTIDs can all be there again, given to other transactions.
fn require_reached(
    database: &str,
    files: &[(String, u64)],
    at: Option<&Coordinates>,
) -> Result<()> {
    let (Some(at), Some((newest, _))) = (at, files.last()) else { return Ok(()) };
    let parts = |file: &str| {
        let (base, number) = file.rsplit_once('.')?;
        Some((base.to_owned(), number.parse::<u64>().ok()?))
    };
    let ahead = match (parts(&at.file), parts(newest)) {
        (Some((base, number)), Some((own, last))) => base == own && number > last,
        _ => false,
    };
    let short = |(file, size): &(String, u64)| *file == at.file && *size < at.position;
    // Offsets above 4 GiB are not certain enough to accuse a server by.
    if ahead || at.position < u64::from(u32::MAX) && files.iter().any(short) {
        let context = format!(
            "the log of database `{database}` ends before {at}, where it has been read: it was reset, or the server restored"
        );
        return Err(Error::new(Kind::Identity, context)
            .hint("point the database back to the server with the whole log, or tear the link down, copy the tables again and start anew"));
    }
    Ok(())
}

fn gap(database: &str, missing: &dyn std::fmt::Display) -> Error {
    Error::new(
        Kind::Gap,
        format!("database `{database}` has purged {missing} from its log, which the target lacks"),
    )
}

/// MariaDB: the witness must lie in this server's history, the oldest file must not start after
/// it, and its place in the log must hold its transactions.
///
/// # Errors
/// `Identity` and `Gap`.
pub(crate) async fn check_mariadb(
    session: &mut Session,
    witness: &MariadbGtidSet,
    at: Option<&Coordinates>,
) -> Result<()> {
    let database = session.database().to_owned();
    let state = text(session, "SELECT @@GLOBAL.gtid_binlog_state").await?;
    let logged = state
        .split(',')
        .filter(|gtid| !gtid.trim().is_empty())
        .map(|gtid| parse::<MariadbGtidSet>(gtid).map(|set| set.iter().collect::<Vec<_>>()))
        .collect::<Result<Vec<_>>>()?
        .concat();
    let held = |gtid: &MariadbGtid| {
        logged.iter().any(|own| {
            own.domain == gtid.domain && own.server == gtid.server && own.sequence >= gtid.sequence
        })
    };
    if let Some(gtid) = witness.iter().find(|gtid| !held(gtid)) {
        let MariadbGtid { domain, server, sequence } = gtid;
        return Err(elsewhere(&database, &format!("never logged {domain}-{server}-{sequence}")));
    }
    let files = files(session).await?;
    if let Some((oldest, _)) = files.first() {
        let start = Coordinates { file: oldest.clone(), position: 4 };
        if let Some(purged) = gtids_at(session, &start).await?
            && !witness.contains_set(&purged)
        {
            return Err(gap(&database, &format!("transactions up to {purged}")));
        }
    }
    require_reached(&database, &files, at)?;
    // Offsets above 4 GiB are not certain enough to accuse a server by.
    let certain = |at: &&Coordinates| {
        files.iter().any(|(file, size)| *file == at.file && *size < u64::from(u32::MAX))
    };
    if let Some(at) = at.filter(certain) {
        let found = gtids_at(session, at).await?;
        if found.as_ref() != Some(witness) {
            return Err(elsewhere(&database, &format!("has other transactions before {at}")));
        }
    }
    Ok(())
}

fn elsewhere(database: &str, what: &str) -> Error {
    Error::new(Kind::Identity, format!("database `{database}` {what} than the target holds"))
        .hint("another server answers, or this one lost its log: point the database back, or tear the link down and start anew")
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

/// Refuses a server id that the server itself or another replica has.
///
/// # Errors
/// `Setting` naming the holder.
pub(crate) async fn require_free_server_id(session: &mut Session, replica: &Replica) -> Result<()> {
    let id = replica.server_id.to_string();
    let taken = |holder: &str| {
        Error::new(Kind::Setting, format!("server id {id} is in use by {holder}"))
            .hint("set another server_id for this database in weir.toml")
    };
    if text(session, "SELECT @@GLOBAL.server_id").await? == id {
        return Err(taken("the source itself"));
    }
    let mysql = session.flavor() == Flavor::Mysql;
    let sql =
        if mysql && session.version() >= (8, 0, 22) { "SHOW REPLICAS" } else { "SHOW SLAVE HOSTS" };
    let rows = match session.texts("list the source's replicas", sql).await {
        Ok(rows) => rows,
        Err(error) if error.kind() == Kind::Privilege => {
            tracing::debug!(%error, "cannot tell whether the server id is free");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let column = |row: &[Option<String>], at: usize| row.get(at).cloned().flatten();
    for row in rows.iter().filter(|row| column(row, 0).as_deref() == Some(id.as_str())) {
        let ours = if mysql {
            column(row, 4).is_some_and(|uuid| uuid.eq_ignore_ascii_case(&replica.uuid))
        } else {
            column(row, 1).is_some_and(|host| !host.is_empty() && replica.host.starts_with(&host))
        };
        if !ours {
            let holder = column(row, 1).filter(|host| !host.is_empty());
            return Err(taken(
                &holder.map_or("another replica".to_owned(), |host| format!("the replica {host}")),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a log that was begun anew were taken for the one that was read, or a purged,
    /// renamed or very large file for a log begun anew.
    #[test]
    fn a_log_that_ends_before_the_witness() {
        let files = [("b.000008".to_owned(), 900), ("b.000009".to_owned(), 500)];
        for (file, position, good) in [
            ("b.000009", 500, true),
            ("b.000009", 501, false),
            ("b.000008", 900, true),
            ("b.000008", 901, false),
            ("b.000010", 4, false),
            ("b.1000000", 4, false),
            ("b.000007", 5_000, true),
            ("other.000010", 4, true),
            ("b.000009", 5 << 30, true),
        ] {
            let at = Coordinates { file: file.to_owned(), position };
            assert_eq!(require_reached("a", &files, Some(&at)).is_ok(), good, "{at}");
        }
        assert!(require_reached("a", &files, None).is_ok());
    }
}
