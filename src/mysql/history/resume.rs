//! Whether a position lies in a server's history, with nothing missing between it and what the log
//! still holds.
//!
//! By GTID: what the target holds must be known to the server, and what the server has purged must
//! be in the target. By place: the file must be there and reach so far. In both cases, where the
//! file of the position is still there and it is known when that was begun, it must be that file: a
//! log that was begun anew, or goes on from a backup, has other transactions under the same names.

use std::time::Duration;

use super::{gtids_at, parse, text};
use crate::error::{Error, Kind, Result};
use crate::mysql::session::{Flavor, Session};
use crate::position::gtid::MariadbGtid;
use crate::position::{Coordinates, MariadbGtidSet, MysqlGtidSet, Position};

/// A transaction can be in the log before it is in `gtid_executed`; this often and long the
/// witness is looked for before another server is suspected.
const EXECUTED_TRIES: u32 = 20;
const EXECUTED_WAIT: Duration = Duration::from_millis(500);

/// What is known of the log when a position is looked for in it.
#[derive(Debug)]
pub(crate) struct Log {
    /// The files with their sizes in bytes, oldest first.
    pub(crate) files: Vec<(String, u64)>,
    /// When the file of the position was begun, as the log itself says; `None` where the file is
    /// gone or was not looked at.
    pub(crate) born: Option<u32>,
}

impl Log {
    /// Whether the file of `at` is still there.
    pub(crate) fn holds_file(&self, at: &Coordinates) -> bool {
        self.files.iter().any(|(file, _)| *file == at.file)
    }

    /// Whether the file of `at` is there and known to be the one that was read.
    pub(crate) fn is_proven(&self, at: Option<&Coordinates>) -> bool {
        at.is_some_and(|at| at.born.is_some() && self.born == at.born && self.holds_file(at))
    }
}

/// Whether everything after `witness` is in the log.
///
/// # Errors
/// `Identity` and `Gap`, each naming the transactions or the place; `Unavailable` where the server
/// is a replica that may still come to know the witness.
pub(crate) async fn check(session: &mut Session, log: &Log, witness: &Position) -> Result<()> {
    require_reached(session.database(), log, witness.coordinates())?;
    let flavor = session.flavor();
    match (flavor, witness.applied()) {
        (Flavor::Mysql, Position::Mysql(set, _)) => require_executed(session, set).await?,
        (Flavor::Mysql, Position::MysqlPlace(..)) | (Flavor::Mariadb, Position::Mariadb(..)) => {}
        _ => return Err(other_dialect(session, witness)),
    }
    match (flavor, witness.restart()) {
        (Flavor::Mysql, Position::Mysql(set, _)) => require_kept(session, log, set).await,
        (Flavor::Mysql, Position::MysqlPlace(_, at)) => check_place(session, log, at).await,
        (Flavor::Mariadb, Position::Mariadb(..)) => check_mariadb(session, log, witness).await,
        _ => Err(other_dialect(session, witness)),
    }
}

fn other_dialect(session: &Session, witness: &Position) -> Error {
    Error::new(
        Kind::Identity,
        format!("{witness} is not a position of database `{}`", session.database()),
    )
}

/// MySQL by GTID: what is applied must have been executed.
async fn require_executed(session: &mut Session, witness: &MysqlGtidSet) -> Result<()> {
    let mut tries = 0;
    loop {
        let executed: MysqlGtidSet = parse(&text(session, "SELECT @@GLOBAL.gtid_executed").await?)?;
        let unknown = witness.minus(&executed);
        if unknown.is_empty() {
            return Ok(());
        }
        tries += 1;
        if tries >= EXECUTED_TRIES {
            let what = format!("never executed {unknown}");
            return Err(behind(session, &what).await?);
        }
        tokio::time::sleep(EXECUTED_WAIT).await;
    }
}

/// MySQL by GTID: everything purged must come before where the log is read from.
async fn require_kept(session: &mut Session, log: &Log, restart: &MysqlGtidSet) -> Result<()> {
    let purged: MysqlGtidSet = parse(&text(session, "SELECT @@GLOBAL.gtid_purged").await?)?;
    let missing = purged.minus(restart);
    if missing.is_empty() {
        return Ok(());
    }
    let database = session.database().to_owned();
    let what = format!("database `{database}` has purged {missing} from its log");
    Err(gap(session, log, &what).await)
}

/// By place: the file must be there. That it reaches so far and is the one that was read is known
/// by now.
async fn check_place(session: &mut Session, log: &Log, at: &Coordinates) -> Result<()> {
    if log.holds_file(at) {
        return Ok(());
    }
    let database = session.database().to_owned();
    let newest = log.files.last().map(|(file, _)| Coordinates::new(file.clone(), u64::MAX));
    let renamed = newest.is_some_and(|newest| newest.partial_cmp(at).is_none());
    let what = if renamed {
        format!("the files of database `{database}`'s log have other names than {}", at.file)
    } else {
        format!("database `{database}` has purged {} from its log", at.file)
    };
    Err(gap(session, log, &what).await)
}

/// MariaDB: the witness must lie in this server's history, the oldest file must not start after it,
/// and its place in the log must hold its transactions.
async fn check_mariadb(session: &mut Session, log: &Log, witness: &Position) -> Result<()> {
    let (Position::Mariadb(applied, at), Position::Mariadb(restart, from)) =
        (witness.applied(), witness.restart())
    else {
        return Err(other_dialect(session, witness));
    };
    let (database, at) = (session.database().to_owned(), at.as_ref());
    let proven = log.is_proven(at);
    let reaches_back = proven && from.as_ref().is_some_and(|from| log.holds_file(from));
    let logged = binlog_state(session).await?;
    let held = |gtid: &MariadbGtid| {
        logged.iter().any(|own| {
            own.domain == gtid.domain && own.server == gtid.server && own.sequence >= gtid.sequence
        })
    };
    let known = known_domains(applied, &logged, proven);
    if let Some(gtid) = known.iter().find(|gtid| !held(gtid)) {
        let MariadbGtid { domain, server, sequence } = gtid;
        let what = format!("never logged {domain}-{server}-{sequence}");
        return Err(behind(session, &what).await?);
    }
    // Sequence numbers need not rise, so a file that is there says more than a comparison of them.
    if !reaches_back && let Some((oldest, _)) = log.files.first() {
        let start = Coordinates::new(oldest.clone(), 4);
        if let Some(purged) = gtids_at(session, &start).await?
            && !known_domains(restart, &logged, proven).contains_set(&purged)
        {
            let what = format!(
                "database `{database}` has purged transactions up to {purged} from its log"
            );
            return Err(gap(session, log, &what).await);
        }
    }
    // Offsets above 4 GiB are not certain enough to accuse a server by.
    let certain = |at: &&Coordinates| {
        log.files.iter().any(|(file, size)| *file == at.file && *size < u64::from(u32::MAX))
    };
    if let Some(at) = at.filter(certain) {
        let found = gtids_at(session, at).await?;
        let found = found.map(|found| known_domains(&found, &logged, proven));
        if found.as_ref() != Some(&known) {
            return Err(elsewhere(
                &database,
                &format!("has others before {at} than the transactions"),
            ));
        }
    }
    Ok(())
}

/// MariaDB: the last GTID that each server wrote in each domain.
pub(super) async fn binlog_state(session: &mut Session) -> Result<Vec<MariadbGtid>> {
    let state = text(session, "SELECT @@GLOBAL.gtid_binlog_state").await?;
    let gtids = state.split(',').filter(|gtid| !gtid.trim().is_empty());
    let gtids = gtids.map(|gtid| Ok(parse::<MariadbGtidSet>(gtid)?.iter().collect::<Vec<_>>()));
    Ok(gtids.collect::<Result<Vec<_>>>()?.concat())
}

/// Without the domains that the server was told to forget (`FLUSH BINARY LOGS DELETE_DOMAIN_ID`),
/// which it does only when no file holds anything of them. Of a server that is not `proven` to be
/// the one that was read, every domain is asked for.
fn known_domains(set: &MariadbGtidSet, logged: &[MariadbGtid], proven: bool) -> MariadbGtidSet {
    let mut known = MariadbGtidSet::default();
    let keeps = |gtid: &MariadbGtid| logged.iter().any(|own| own.domain == gtid.domain);
    set.iter().filter(|gtid| !proven || keeps(gtid)).for_each(|gtid| known.add(gtid));
    known
}

/// `from` as a reader asks for it, once [`check`] has agreed. MySQL, where the place is `proven`: by
/// place, since a server that is asked by GTID passes over files of which it takes all GTIDs for
/// known, and with them over transactions that have none. MariaDB: without the domains that the
/// server was told to forget, for which it refuses the whole request.
pub(crate) async fn asked(
    session: &mut Session,
    from: &Position,
    proven: bool,
) -> Result<Position> {
    Ok(match from {
        Position::Mysql(set, Some(at)) if proven => Position::MysqlPlace(set.clone(), at.clone()),
        Position::Mariadb(set, at) => {
            let logged = binlog_state(session).await?;
            Position::Mariadb(known_domains(set, &logged, true), at.clone())
        }
        from => from.clone(),
    })
}

/// Refuses a log that ends before a place where it has been, or whose file of that name is another:
/// it was begun anew since, or the server is a restored one. Its GTIDs can all be there again, given
/// to other transactions.
fn require_reached(database: &str, log: &Log, at: Option<&Coordinates>) -> Result<()> {
    let (Some(at), Some((newest, _))) = (at, log.files.last()) else { return Ok(()) };
    let parts = |file: &str| {
        let (base, number) = file.rsplit_once('.')?;
        Some((base.to_owned(), number.parse::<u64>().ok()?))
    };
    let ahead = match (parts(&at.file), parts(newest)) {
        (Some((base, number)), Some((own, last))) => base == own && number > last,
        _ => false,
    };
    let short = |(file, size): &(String, u64)| *file == at.file && *size < at.position;
    let another = at.born.zip(log.born).is_some_and(|(was, is)| was != is);
    // Offsets above 4 GiB are not certain enough to accuse a server by.
    let short = at.position < u64::from(u32::MAX) && log.files.iter().any(short);
    if !(ahead || short || another) {
        return Ok(());
    }
    let how = if another { "is another one than that of" } else { "ends before" };
    let context = format!(
        "the log of database `{database}` {how} {at}, where it has been read: it was reset, or the server restored"
    );
    Err(Error::new(Kind::Identity, context)
        .hint("point the database back to the server with the whole log, or `weir teardown LINK --apply`, then start anew with start = \"snapshot\""))
}

/// Changes that were in the log and are no longer.
async fn gap(session: &mut Session, log: &Log, what: &str) -> Error {
    let mut context = format!("{what}, which the target lacks");
    if let Some((oldest, _)) = log.files.first() {
        context.push_str(&format!("; the log begins with {oldest} now"));
    }
    let sql = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('binlog_expire_logs_seconds', 'expire_logs_days')";
    let rows = session.texts("read how long logs are kept", sql).await.unwrap_or_default();
    let setting = |row: &Vec<Option<String>>| {
        let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        format!("{} = {}", text(0), text(1))
    };
    let settings: Vec<String> = rows.iter().map(setting).collect();
    let hint = Kind::Gap.hint();
    let keep = "the server keeps logs for as long as its settings say";
    Error::new(Kind::Gap, context)
        .hint(format!("{hint}; {keep} ({}): raise them", settings.join(", ")))
}

/// The server lacks what the target holds: another one, unless it is a replica that may still get it.
async fn behind(session: &mut Session, what: &str) -> Result<Error> {
    let database = session.database().to_owned();
    if super::is_replicating(session).await? {
        return Ok(Error::new(
            Kind::Unavailable,
            format!(
                "database `{database}` is a replica that {what} so far, which the target holds"
            ),
        )
        .hint("weir goes on when the replica has come so far"));
    }
    Ok(elsewhere(&database, what))
}

fn elsewhere(database: &str, what: &str) -> Error {
    Error::new(Kind::Identity, format!("database `{database}` {what}, which the target holds"))
        .hint("another server answers, or this one lost commits: point the database back, or `weir teardown LINK --apply` and start anew")
}
#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a log that was begun anew were taken for the one that was read, or a purged,
    /// renamed or very large file for a log begun anew.
    #[test]
    fn a_log_that_ends_before_the_witness() {
        let files = [("b.000008".to_owned(), 900), ("b.000009".to_owned(), 500)].to_vec();
        let mut log = Log { files, born: None };
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
            let at = Coordinates::new(file, position);
            assert_eq!(require_reached("a", &log, Some(&at)).is_ok(), good, "{at}");
        }
        assert!(require_reached("a", &log, None).is_ok());
        log.born = Some(8);
        let at = |born| Coordinates { born, ..Coordinates::new("b.000009", 500) };
        for (born, good) in [(None, true), (Some(8), true), (Some(7), false)] {
            assert_eq!(require_reached("a", &log, Some(&at(born))).is_ok(), good, "{born:?}");
        }
    }

    /// Broken if a domain that the server was told to forget stopped the link, or if another server
    /// were taken for one that forgot.
    #[test]
    fn forgotten_domains_are_left_out_where_the_log_is_proven() {
        let set: MariadbGtidSet = "0-1-100,5-2-7".parse().expect("a set");
        let logged = [MariadbGtid { domain: 0, server: 1, sequence: 100 }];
        assert_eq!(known_domains(&set, &logged, true).to_string(), "0-1-100");
        assert_eq!(known_domains(&set, &logged, false), set);
    }
}
