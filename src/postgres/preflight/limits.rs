//! Checks of what a server has enough of for all links of the configuration: slots, WAL senders,
//! sessions; and of clocks that agree. Source: PostgreSQL manual, "Replication", "Connections and
//! Authentication".

use super::{Probe, by, by_hand};
use crate::error::{Kind, Result};
use crate::link::ports::{Finding, Whole};
use crate::link::status::now_us;
use crate::plan::skew;

/// Sessions that a link has at a source at a time: side reader, catalog, what looks at it, and one that
/// ends: a server counts it for a moment yet.
const SESSIONS_PER_READER: i64 = 4;
/// Sessions that a link has at a target at a time: the one that applies, what looks at it, and one
/// that ends.
const SESSIONS_PER_WRITER: i64 = 3;
/// Room that is made beyond what is needed.
const SPARE: i64 = 10;

const REPLICATION: &str = "
SELECT current_setting('max_replication_slots')::int8 AS slots_max,
       current_setting('max_wal_senders')::int8 AS senders_max,
       (SELECT count(*) FROM pg_replication_slots WHERE slot_name <> ALL ($1::text[])) AS slots,
       (SELECT count(*) FROM pg_replication_slots WHERE slot_name = ANY ($1::text[])) AS own,
       (SELECT count(*) FROM pg_stat_replication r WHERE NOT EXISTS (
          SELECT FROM pg_replication_slots s
          WHERE s.active_pid = r.pid AND s.slot_name = ANY ($1::text[]))) AS senders";

/// Slots and WAL senders for every link that reads from the server.
pub(super) async fn replication(probe: &Probe<'_>, whole: &Whole) -> Result<Vec<Finding>> {
    let needed = i64::try_from(whole.slots.len()).unwrap_or(i64::MAX);
    let mut findings = Vec::new();
    for row in probe.rows(REPLICATION, &[&whole.slots]).await? {
        let number = |name: &str| row.get::<_, i64>(name);
        // A link on its way has its slot, and waits until the login is let in again.
        let on_its_way = number("own") >= needed;
        for (name, others, most) in [
            ("max_replication_slots", number("slots"), number("slots_max")),
            ("max_wal_senders", number("senders"), number("senders_max")),
        ] {
            if others + needed <= most {
                continue;
            }
            let message = format!(
                "{name} is {most}: others take {others}, and {needed} of weir's links read here"
            );
            let change = probe.managed.set(name, &(others + needed + SPARE).to_string(), true);
            findings.push(probe.about_database(!on_its_way, Kind::Setting, message, change));
        }
    }
    Ok(findings)
}

/// What a session does not see of others is counted by database. `-1` is no limit.
const SESSIONS: &str = "
WITH own AS (SELECT count(*) AS n FROM pg_stat_activity
             WHERE usename = current_user AND application_name LIKE 'weir %')
SELECT quote_ident(current_user) AS role, quote_ident(current_database()) AS base,
       current_setting('max_connections')::int8 AS most,
       current_setting('superuser_reserved_connections')::int8
         + COALESCE(current_setting('reserved_connections', true), '0')::int8 AS kept,
       (SELECT sum(numbackends) FROM pg_stat_database)::int8 - own.n AS others,
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user)::int8 AS of_role,
       (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user) - own.n AS by_role,
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database())::int8 AS of_base,
       (SELECT numbackends FROM pg_stat_database WHERE datname = current_database())::int8
         - own.n AS by_base
FROM own";

/// Sessions for every link of the configuration, within the limits of server, database and role.
pub(super) async fn sessions(probe: &Probe<'_>, whole: &Whole) -> Result<Vec<Finding>> {
    let count =
        |links: usize, each: i64| i64::try_from(links).unwrap_or(i64::MAX).saturating_mul(each);
    let needed = count(whole.slots.len(), SESSIONS_PER_READER)
        .saturating_add(count(whole.writers, SESSIONS_PER_WRITER));
    let mut findings = Vec::new();
    for row in probe.rows(SESSIONS, &[]).await? {
        let number = |name: &str| row.get::<_, i64>(name);
        let (role, base): (&str, &str) = (row.get("role"), row.get("base"));
        let usable = number("most") - number("kept");
        let limits = [
            ("max_connections leaves", usable, number("others")),
            ("the database's connection limit is", number("of_base"), number("by_base")),
            ("the role's connection limit is", number("of_role"), number("by_role")),
        ];
        for (at, (what, limit, others)) in limits.into_iter().enumerate() {
            let others = others.max(0);
            if limit < 0 || others + needed <= limit {
                continue;
            }
            let message = format!(
                "{what} {limit}: others have {others}, and weir's links need up to {needed}"
            );
            let enough = (others + needed).max(limit) + SPARE;
            let change = match at {
                0 => {
                    let enough = (enough + number("kept")).to_string();
                    probe.managed.set("max_connections", &enough, true)
                }
                1 => by(format!("ALTER DATABASE {base} CONNECTION LIMIT {enough}")),
                _ => by(format!("ALTER ROLE {role} CONNECTION LIMIT {enough}")),
            };
            findings.push(probe.about_database(true, Kind::TooManyConnections, message, change));
        }
    }
    Ok(findings)
}

/// Time-outs that a session cannot switch off for every version of the server.
const TIMEOUTS: &str = "
SELECT quote_ident(current_user) AS role FROM pg_settings
WHERE name = 'transaction_timeout' AND setting <> '0'";

/// Time-outs that would end what may last.
pub(super) async fn timeouts(probe: &Probe<'_>) -> Result<Vec<Finding>> {
    let find = |role: &str| {
        let message = "transaction_timeout is set: a large transaction would never be applied";
        let change = by(format!("ALTER ROLE {role} SET transaction_timeout = 0"));
        probe.about_database(true, Kind::Setting, message, change)
    };
    Ok(probe.rows(TIMEOUTS, &[]).await?.iter().map(|row| find(row.get("role"))).collect())
}

/// Clocks of weir and server.
pub(super) async fn clock(probe: &Probe<'_>) -> Result<Option<Finding>> {
    let before = now_us();
    let sql = "SELECT extract(epoch FROM clock_timestamp())::float8";
    let rows = probe.rows(sql, &[]).await?;
    let after = now_us();
    let there = rows.first().map(|row| row.get(0));
    Ok(there.and_then(|there| skew(there, (before, after))).map(|message| {
        let change = by_hand("synchronise both machines' clocks");
        probe.about_database(false, Kind::Setting, message, change)
    }))
}
