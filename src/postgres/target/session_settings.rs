//! What an apply session needs beyond the settings of every session, and who the server is.
//!
//! Waits are bounded: for a lock by the link's option, for a statement and for an idle transaction
//! by constants. The search path is the one the role would have anywhere else, because the target's
//! triggers may rely on it; weir's own statements name every schema. `weir.apply` tells triggers
//! that weir writes. Row security raises an error instead of hiding rows.
//!
//! Rows are found by the unique index of the match key, always: a plan made while a table was still
//! empty would read the whole table for every batch, and be kept until the table is analyzed. The
//! same holds for the plans of foreign keys. So a plan is made once and may not scan or hash.

use std::time::Duration;

use super::pipeline::in_time;
use crate::config::Database;
use crate::error::{Error, Kind, Result};
use crate::postgres::failure::classify;
use crate::postgres::session::{self, Session};

/// A statement of at most a thousand rows is stuck after this long.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(600);
/// An open transaction waits this long for its next slice before the server gives it up.
const IDLE_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(1800);

/// Settings by name and value; those the server does not know are left out.
const SETTINGS: &str = "
SELECT set_config(s.name, s.value, false)
FROM unnest($1::text[], $2::text[]) AS s(name, value)
WHERE s.name LIKE 'weir.%' OR EXISTS (SELECT FROM pg_settings p WHERE p.name = s.name)";

/// The search path as configured for the role and database, or PostgreSQL's own.
const SEARCH_PATH: &str = "
SELECT set_config('search_path', COALESCE((
  SELECT substr(c.entry, length('search_path=') + 1)
  FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS c(entry)
  WHERE c.entry LIKE 'search\\_path=%'
    AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
    AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
  ORDER BY s.setrole <> 0 DESC, s.setdatabase <> 0 DESC LIMIT 1), '\"$user\", public'), false)";

/// The system identifier alone: a promoted standby, or a target that was restored to a point in
/// time, is on another timeline and still the same database; how far it is, its witness says.
const IDENTITY: &str = "
SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system,
       pg_is_in_recovery() AS standby";

/// Prepares the session and returns the server's identity, its system identifier.
pub(super) async fn prepare(
    session: &Session,
    database: &Database,
    lock_timeout: Duration,
) -> Result<String> {
    let place = session::place(database);
    let failed = |error| classify(error, format!("prepare the session with {place}"));
    let identity = in_time(session.query_one(IDENTITY, &[])).await?.map_err(failed)?;
    if identity.get("standby") {
        let context = format!("database {place} is a standby: it takes no writes");
        return Err(Error::new(Kind::ReadOnly, context));
    }
    let (names, values): (Vec<&str>, Vec<String>) = [
        ("lock_timeout", milliseconds(lock_timeout)),
        ("statement_timeout", milliseconds(STATEMENT_TIMEOUT)),
        ("idle_in_transaction_session_timeout", milliseconds(IDLE_TRANSACTION_TIMEOUT)),
        ("idle_session_timeout", "0".to_owned()),
        ("transaction_timeout", "0".to_owned()),
        ("row_security", "off".to_owned()),
        ("plan_cache_mode", "force_generic_plan".to_owned()),
        ("enable_seqscan", "off".to_owned()),
        ("enable_hashjoin", "off".to_owned()),
        ("enable_mergejoin", "off".to_owned()),
        ("jit", "off".to_owned()),
        ("default_transaction_deferrable", "off".to_owned()),
        // The spelling in which amounts are written.
        ("lc_monetary", "C".to_owned()),
        ("weir.apply", "on".to_owned()),
    ]
    .into_iter()
    .unzip();
    in_time(session.query(SETTINGS, &[&names, &values])).await?.map_err(failed)?;
    in_time(session.query(SEARCH_PATH, &[])).await?.map_err(failed)?;
    Ok(identity.get("system"))
}

/// A lock is waited for at least a millisecond: zero would mean for ever.
fn milliseconds(duration: Duration) -> String {
    duration.as_millis().clamp(1, i32::MAX as u128).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a zero switched a bound off.
    #[test]
    fn bounds_are_never_off() {
        assert_eq!(milliseconds(Duration::ZERO), "1");
        assert_eq!(milliseconds(Duration::from_secs(5)), "5000");
    }
}
