//! Which of a database's hosts is used: the first that takes writes; for a source, else the first
//! that answers.
//!
//! Chosen once for all connections of an attempt, or of a verb, so that they speak to one server.
//! Whether that server is the one whose log was read before is judged where a link resumes. A host
//! that refuses the login has answered: what it says is for whoever connects in earnest.

use std::time::Duration;

use crate::config::Database;
use crate::error::{Disposition, Error, Kind, Result};
use crate::link::ports::{End, Room};

/// Longest time for one host to answer.
const ANSWER_MAX: Duration = Duration::from_secs(12);

/// `database` at the one host to use. A database of one host is not asked anything.
///
/// # Errors
/// Of a kind that is tried again: `ReadOnly` where only hosts without writes answer for a target,
/// else what the last host that could not be used failed with, with all hosts named.
pub async fn choose(room: &dyn Room, database: &Database, end: End) -> Result<Database> {
    if database.others.is_empty() {
        return Ok(database.clone());
    }
    let mut without_writes = None;
    let mut kind = Kind::Connection;
    let mut failures = Vec::new();
    for one in database.hosts() {
        let at = one.listens_at();
        let asked = tokio::time::timeout(ANSWER_MAX, room.takes_writes(&one)).await;
        let answer = asked.unwrap_or_else(|_| {
            let seconds = ANSWER_MAX.as_secs();
            Err(Error::new(Kind::Timeout, format!("no answer within {seconds} s")))
        });
        match answer {
            Ok(true) => return Ok(used(one)),
            Ok(false) => {
                failures.push(format!("{at} takes no writes"));
                without_writes.get_or_insert(one);
            }
            Err(error) if error.disposition() != Disposition::Retry => return Ok(used(one)),
            Err(error) => {
                tracing::debug!(database = one.name, host = at, error = error.chain(), "not used");
                kind = error.kind();
                failures.push(format!("{at}: {}", error.chain()));
            }
        }
    }
    match (without_writes, end) {
        (Some(one), End::Source) => Ok(used(one)),
        (without_writes, _) => {
            let kind = without_writes.map_or(kind, |_| Kind::ReadOnly);
            let name = &database.name;
            let context =
                format!("no host of database {name} can be used: {}", failures.join("; "));
            Err(Error::new(kind, context))
        }
    }
}

fn used(one: Database) -> Database {
    tracing::info!(database = one.name, host = one.listens_at(), "this host is used");
    one
}
