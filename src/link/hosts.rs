//! Which of a database's hosts is used: the first that takes writes; for a source, else the first
//! that answers.
//!
//! Chosen once for all connections of an attempt, or of a verb, so that they speak to one server.
//! Whether that server is the one whose log was read before is judged where a link resumes. A host
//! that refuses the login has answered: what it says is for whoever connects in earnest. Where a source
//! is read at a host that takes no writes because another does not answer, nothing is wrong for good
//! before that one is back: see [`Choice::excuse`].

use std::time::Duration;

use crate::config::Database;
use crate::error::{Disposition, Error, Kind, Result};
use crate::link::ports::{End, Room};

/// Longest time for one host to answer.
const ANSWER_MAX: Duration = Duration::from_secs(12);

/// The host to use.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The database at this host.
    pub used: Database,
    /// Of a source that is used at a host without writes: which hosts do not answer now, and why.
    pub silent: Option<String>,
}

impl Choice {
    fn of(used: Database) -> Choice {
        tracing::info!(database = used.name, host = used.listens_at(), "this host is used");
        Choice { used, silent: None }
    }

    /// What ended an attempt, by the host that it was made at: what would halt the link because of
    /// what this one is or holds is tried again while another does not answer.
    pub fn excuse(&self, error: Error) -> Error {
        let of_the_host = matches!(
            error.kind(),
            Kind::Gap
                | Kind::TableGap
                | Kind::Identity
                | Kind::Mapping
                | Kind::SchemaChanged
                | Kind::Setting
                | Kind::Unsupported
        );
        let Some(silent) = self.silent.as_ref().filter(|_| of_the_host) else { return error };
        let (name, at) = (&self.used.name, self.used.listens_at());
        let context =
            format!("database {name} is read at {at}, which takes no writes, while {silent}");
        Error::new(Kind::Unavailable, context).caused_by(error).hint(format!(
            "weir tries again by itself: bring the other hosts of {name} back, or promote this one"
        ))
    }
}

/// `database` at the one host to use. A database of one host is not asked anything.
///
/// # Errors
/// Of a kind that is tried again: `ReadOnly` where only hosts without writes answer for a target,
/// else what the last host that could not be used failed with, with all hosts named.
pub async fn choose(room: &dyn Room, database: &Database, end: End) -> Result<Choice> {
    if database.others.is_empty() {
        return Ok(Choice { used: database.clone(), silent: None });
    }
    let mut without_writes = None;
    let mut kind = Kind::Connection;
    let (mut failures, mut silent) = (Vec::new(), Vec::new());
    for one in database.hosts() {
        let at = one.listens_at();
        let asked = tokio::time::timeout(ANSWER_MAX, room.takes_writes(&one)).await;
        let answer = asked.unwrap_or_else(|_| {
            let seconds = ANSWER_MAX.as_secs();
            Err(Error::new(Kind::Timeout, format!("no answer within {seconds} s")))
        });
        match answer {
            Ok(true) => return Ok(Choice::of(one)),
            Ok(false) => {
                failures.push(format!("{at} takes no writes"));
                without_writes.get_or_insert(one);
            }
            Err(error) if error.disposition() != Disposition::Retry => {
                return Ok(Choice::of(one));
            }
            Err(error) => {
                tracing::debug!(database = one.name, host = at, error = error.chain(), "not used");
                kind = error.kind();
                silent.push(format!("{at}: {}", error.chain()));
            }
        }
    }
    match (without_writes, end) {
        (Some(one), End::Source) => {
            let silent = (!silent.is_empty())
                .then(|| format!("another host does not answer: {}", silent.join("; ")));
            Ok(Choice { silent, ..Choice::of(one) })
        }
        (without_writes, _) => {
            failures.append(&mut silent);
            let kind = without_writes.map_or(kind, |_| Kind::ReadOnly);
            let name = &database.name;
            let context =
                format!("no host of database {name} can be used: {}", failures.join("; "));
            Err(Error::new(kind, context))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Dialect;
    use crate::plan::fixtures;

    /// Broken if a link halted for good, and told to copy the tables again, because its primary was
    /// restarted; or if it tried again for ever what no other host can mend.
    #[test]
    fn a_silent_host_excuses_another() {
        let used = fixtures::database("pg", Dialect::Postgres);
        let kind = |silent: Option<&str>, kind| {
            let choice = Choice { used: used.clone(), silent: silent.map(str::to_owned) };
            choice.excuse(Error::new(kind, "slot weir is gone")).kind()
        };
        assert_eq!(kind(Some("db1: refused"), Kind::Gap), Kind::Unavailable);
        assert_eq!(kind(None, Kind::Gap), Kind::Gap);
        assert_eq!(kind(Some("db1: refused"), Kind::Value), Kind::Value);
        let choice = Choice { used, silent: Some("db1: refused".to_owned()) };
        let text = choice.excuse(Error::new(Kind::Gap, "slot weir is gone")).chain();
        assert!(text.contains("db1: refused") && text.ends_with("slot weir is gone"), "{text}");
    }
}
