//! A place to start at that a person gives: whether the log can be read from there on, and whether it is
//! a place between two transactions.
//!
//! The copy that goes with it is somebody else's: whether it was made at that place no server can tell.
//! By file and position only where MySQL does not number its transactions: what lies before a place would
//! have to be read to know their numbers.

use mysql_async::ServerError;

use super::resume::binlog_state;
use super::{Log, gtids_at, has_gtids, is_replicating, parse, text};
use crate::error::{Error, Kind, Result};
use crate::mysql::session::{Flavor, Session};
use crate::mysql::sql::literal;
use crate::position::{Coordinates, MariadbGtidSet, MysqlGtidSet, Position};

/// Where a file's events begin.
const FIRST_EVENT: u64 = 4;
/// What a server says of a place within an event: `ER_ERROR_WHEN_EXECUTING_COMMAND`.
const WRONG_OFFSET: u16 = 1220;
/// Events that a transaction begins with, or that stand between two.
const BETWEEN: [&str; 10] = [
    "Gtid",
    "Anonymous_Gtid",
    "Gtid_tagged_log",
    "Format_desc",
    "Previous_gtids",
    "Gtid_list",
    "Start_encryption",
    "Binlog_checkpoint",
    "Rotate",
    "Stop",
];

/// The first position of a link that is to start at `place`.
///
/// # Errors
/// `Configuration` where it is no place in this server's log, `Gap` where the log no longer reaches back
/// to it, `Unavailable` where the server is a replica that has not come so far.
pub(crate) async fn given(session: &mut Session, log: &Log, place: &Position) -> Result<Position> {
    match (session.flavor(), place) {
        (Flavor::Mysql, Position::Mysql(set, _)) => executed(session, set).await,
        (Flavor::Mysql, Position::MysqlPlace(_, at)) => {
            if has_gtids(session).await? {
                let what =
                    "numbers its transactions (gtid_mode = ON), and a file and position do not";
                return Err(wrong(session, what).hint(
                    "write start = { gtid = \"…\" }: a dump has it in its head as GTID_PURGED, a physical \
                     backup beside the file and position; then start weir again",
                ));
            }
            require_between(session, log, at).await?;
            Ok(place.clone())
        }
        (Flavor::Mariadb, Position::Mariadb(_, Some(at))) => {
            require_between(session, log, at).await?;
            match gtids_at(session, at).await? {
                Some(set) => Ok(Position::Mariadb(set, Some(at.clone()))),
                None => Err(wrong(session, &format!("does not know the place {at}"))),
            }
        }
        (Flavor::Mariadb, Position::Mariadb(set, None)) => logged(session, log, set).await,
        _ => Err(wrong(session, &format!("has no place like {place} in its log"))),
    }
}

/// MySQL by GTID.
async fn executed(session: &mut Session, set: &MysqlGtidSet) -> Result<Position> {
    if !has_gtids(session).await? {
        return Err(wrong(session, "does not number its transactions: gtid_mode is not ON")
            .hint("write start = { file = \"…\", pos = … }, then start weir again"));
    }
    let executed: MysqlGtidSet = parse(&text(session, "SELECT @@GLOBAL.gtid_executed").await?)?;
    let unknown = set.minus(&executed);
    if !unknown.is_empty() {
        return Err(ahead(session, &format!("never executed {unknown}")).await?);
    }
    let purged: MysqlGtidSet = parse(&text(session, "SELECT @@GLOBAL.gtid_purged").await?)?;
    let missing = purged.minus(set);
    if !missing.is_empty() {
        return Err(purged_since(session, &format!("has purged {missing}, which come after it")));
    }
    Ok(Position::Mysql(set.clone(), None))
}

/// MariaDB by GTID.
async fn logged(session: &mut Session, log: &Log, set: &MariadbGtidSet) -> Result<Position> {
    let state = binlog_state(session).await?;
    for gtid in set.iter() {
        let known = state.iter().any(|own| {
            own.domain == gtid.domain && own.server == gtid.server && own.sequence >= gtid.sequence
        });
        if !known {
            let (domain, server, sequence) = (gtid.domain, gtid.server, gtid.sequence);
            let what = format!("never logged {domain}-{server}-{sequence}");
            return Err(ahead(session, &what).await?);
        }
    }
    if let Some((oldest, _)) = log.files.first() {
        let purged = gtids_at(session, &Coordinates::new(oldest.clone(), FIRST_EVENT)).await?;
        if let Some(purged) = purged.filter(|purged| !set.contains_set(purged)) {
            let what =
                format!("has purged transactions up to {purged}, some of which come after it");
            return Err(purged_since(session, &what));
        }
    }
    Ok(Position::Mariadb(set.clone(), None))
}

/// Refuses a file and position that do not lie between two transactions.
async fn require_between(session: &mut Session, log: &Log, at: &Coordinates) -> Result<()> {
    let Some((_, size)) = log.files.iter().find(|(file, _)| *file == at.file) else {
        return Err(no_such_file(session, log, at));
    };
    if at.position < FIRST_EVENT || at.position > *size {
        let what =
            format!("has {size} bytes in {}, and position {} is not in it", at.file, at.position);
        return Err(wrong(session, &what));
    }
    if at.position == *size {
        return Ok(());
    }
    let sql = format!("SHOW BINLOG EVENTS IN {} FROM {} LIMIT 1", literal(&at.file), at.position);
    let event = match session.texts("look at a place in the log", &sql).await {
        Err(error) if is_within_an_event(&error) => None,
        rows => rows?.into_iter().next(),
    };
    let field = |event: &[Option<String>], at: usize| event.get(at).cloned().flatten();
    let is_between = event.is_some_and(|event| {
        let kind = field(&event, 2).unwrap_or_default();
        let starts = field(&event, 1) == Some(at.position.to_string());
        starts && BETWEEN.iter().any(|known| kind.eq_ignore_ascii_case(known))
    });
    match is_between {
        true => Ok(()),
        false => Err(wrong(session, &format!("begins no transaction at {at}"))),
    }
}

/// A file that is gone, or that never was.
fn no_such_file(session: &Session, log: &Log, at: &Coordinates) -> Error {
    let (Some((oldest, _)), Some((newest, _))) = (log.files.first(), log.files.last()) else {
        return wrong(session, &format!("has no file {} in its log", at.file));
    };
    let what = format!("has no file {} in its log, from {oldest} to {newest}", at.file);
    let first = Coordinates::new(oldest.clone(), FIRST_EVENT);
    if at.partial_cmp(&first).is_some_and(std::cmp::Ordering::is_lt) {
        return purged_since(session, &what);
    }
    wrong(session, &what)
}

fn is_within_an_event(error: &Error) -> bool {
    let cause =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<ServerError>());
    cause.is_some_and(|cause| cause.code == WRONG_OFFSET)
}

/// What is given is not in the log yet, or in none of this server's.
async fn ahead(session: &mut Session, what: &str) -> Result<Error> {
    if is_replicating(session).await? {
        let database = session.database();
        let context = format!("database `{database}` is a replica that {what} so far");
        return Ok(Error::new(Kind::Unavailable, context)
            .hint("weir starts when the replica has come so far"));
    }
    Ok(wrong(session, what))
}

fn wrong(session: &Session, what: &str) -> Error {
    let context = format!("database `{}` {what}: a link cannot start there", session.database());
    Error::new(Kind::Configuration, context).hint(
        "give the place at which the rows in the target were read, in this very server's log: a dump \
         has it in its head (`--source-data`, `--master-data`), a physical backup in the file that it \
         keeps of the binary log; then start weir again",
    )
}

fn purged_since(session: &Session, what: &str) -> Error {
    let context =
        format!("database `{}` {what}: a link cannot start there any more", session.database());
    Error::new(Kind::Gap, context).hint(
        "the server no longer has its log since the rows were read: keep logs for longer \
         (binlog_expire_logs_seconds, expire_logs_days), load a new dump and start at its place; or \
         write start = \"snapshot\" to have the rows copied",
    )
}
