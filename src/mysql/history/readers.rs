//! Who reads the log: weir's own number among the replicas, which nobody else may have.
//!
//! A server ends the dump of a reader when another one presents the same identity: MySQL by the
//! replica's uuid, MariaDB by its server id. Both list their readers, so weir looks before it asks
//! for the log. MariaDB lists them only to who may also set its own id, which setup does not grant:
//! there the reader that is cut off halts, and says why. A reader of its own that a lost connection left behind has weir's uuid (MySQL) or
//! the same name with the same mark (MariaDB) and is let be ended.
//! Sources: MySQL `SHOW REPLICAS`; MariaDB `SHOW SLAVE HOSTS`.

use super::text;
use crate::error::{Error, Kind, Result};
use crate::mysql::session::{Flavor, Session};
use crate::mysql::stream::Replica;

/// Refuses a server id that the server itself or another replica has.
///
/// # Errors
/// `Setting` naming the holder.
pub(crate) async fn require_free_server_id(session: &mut Session, replica: &Replica) -> Result<()> {
    let (id, database) = (replica.server_id.to_string(), session.database().to_owned());
    let taken = |holder: &str| {
        Error::new(Kind::Setting, format!("server id {id} is in use by {holder}")).hint(format!(
            "set another server_id under [database.{database}] in weir.toml: of two readers with \
             the same one the server cuts off the older"
        ))
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
    for row in rows.iter().filter(|row| column(row, 0) == id) {
        let ours = if mysql {
            column(row, 4).eq_ignore_ascii_case(&replica.uuid)
        } else {
            column(row, 1) == replica.host
        };
        if !ours {
            let holder = Some(column(row, 1)).filter(|host| !host.is_empty());
            return Err(taken(
                &holder.map_or("another replica".to_owned(), |host| format!("the replica {host}")),
            ));
        }
    }
    Ok(())
}

fn column(row: &[Option<String>], at: usize) -> &str {
    row.get(at).and_then(Option::as_deref).unwrap_or_default()
}
