//! Who a server is, as the witness keeps it: MySQL's `server_uuid`; MariaDB has none, so its
//! `server_id`, which is stable over restarts and host changes but unique only where replication is
//! configured. Another server behind an address is further told by its GTIDs and by the witness
//! itself. Both ends of a link use this one function.

use super::session::{Flavor, Session};
use super::wire::Connection;
use crate::error::{Error, Kind, Result};

/// What the running server has that a copy of its files has not; MariaDB has no identity at all.
///
/// # Errors
/// As the server says.
pub async fn instance(session: &mut Session) -> Result<String> {
    let sql = "SELECT CONCAT_WS(' ', @@GLOBAL.server_id, @@hostname, @@port, @@datadir)";
    let found = session.text("read what tells the server from others", sql).await?;
    Ok(found.unwrap_or_default())
}

const WHAT: &str = "read the server's identity";

/// The identity of the server behind `session`: `mysql:<uuid>` or `mariadb:<server id>`.
///
/// # Errors
/// As the server says.
pub async fn identity(session: &mut Session) -> Result<String> {
    let (prefix, sql) = asked(session.flavor());
    let found = session.text(WHAT, sql).await?;
    named(prefix, found, session.database())
}

/// The same of a replication connection.
///
/// # Errors
/// As the server says.
pub(super) async fn of_reader(reader: &mut Connection) -> Result<String> {
    let (prefix, sql) = asked(reader.flavor());
    let found = reader.text(WHAT, sql).await?;
    named(prefix, found, reader.database())
}

/// Refuses another server than before behind the address. The next attempt judges whether it may be
/// followed.
///
/// # Errors
/// `Unavailable`, with both.
pub(super) fn require_same(database: &str, was: &str, is: &str) -> Result<()> {
    if is == was {
        return Ok(());
    }
    let context = format!("database `{database}` is now served by {is}, it was {was} a moment ago");
    Err(Error::new(Kind::Unavailable, context))
}

fn asked(flavor: Flavor) -> (&'static str, &'static str) {
    match flavor {
        Flavor::Mysql => ("mysql", "SELECT LOWER(@@GLOBAL.server_uuid)"),
        Flavor::Mariadb => ("mariadb", "SELECT @@GLOBAL.server_id"),
    }
}

fn named(prefix: &str, found: Option<String>, database: &str) -> Result<String> {
    match found {
        Some(id) if !id.is_empty() => Ok(format!("{prefix}:{id}")),
        _ => Err(Error::new(
            Kind::Unsupported,
            format!("database `{database}` shows no server identity"),
        )),
    }
}
