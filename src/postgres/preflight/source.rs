//! Checks of a source: settings of logical decoding, the right to replicate and the login that uses
//! it, the slot, the publication.

use super::retention::KEEP_SIZE;
use super::{Change, Probe, and_then, by, by_hand};
use crate::error::{Kind, Result};
use crate::link::ports::{Finding, Preflight, Whole};
use crate::postgres::failure::classify;
use crate::postgres::slot::{self, Server};
use crate::postgres::stream::Replication;

const SETTINGS: &str = "
SELECT current_setting('wal_level') AS wal_level, pg_is_in_recovery() AS standby,
       current_setting('server_version_num')::int4 AS version,
       current_setting('hot_standby_feedback')::bool AS feedback,
       current_setting('primary_slot_name', true) <> '' AS has_slot,
       pg_size_bytes(current_setting('logical_decoding_work_mem')) AS memory,
       current_setting('track_commit_timestamp')::bool AS dated,
       current_setting('fsync')::bool AS fsync,
       current_setting('server_encoding') AS encoding, quote_ident(current_user) AS role,
       (SELECT min(p.oid::regprocedure::text) FROM pg_proc p
        WHERE p.proname = 'pg_logical_emit_message' AND 'text'::regtype = p.proargtypes[2]
          AND p.pronamespace = 'pg_catalog'::regnamespace
          AND NOT has_function_privilege(p.oid, 'EXECUTE')) AS no_message";

/// `logical_decoding_work_mem` below this many bytes writes ordinary transactions to disk first.
const DECODING_BYTES_MIN: i64 = 16 << 20;

/// Settings without which the log cannot be read, or not well.
pub(super) async fn settings(probe: &Probe<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for row in probe.rows(SETTINGS, &[]).await? {
        let mut find = |fatal, kind, message: &str, change| {
            findings.push(probe.about_database(fatal, kind, message, change));
        };
        let wal_level: &str = row.get("wal_level");
        if wal_level != "logical" {
            let change = probe.managed.set("wal_level", "logical", true);
            find(true, Kind::Setting, &format!("wal_level is {wal_level}, not logical"), change);
        }
        let server = Server { version: row.get("version"), standby: row.get("standby") };
        let (feedback, has_slot) = (row.get("feedback"), row.get("has_slot"));
        if !server.decodes() {
            let change = by_hand("point the database at its primary");
            find(true, Kind::Unsupported, slot::TOO_OLD, change);
        } else if server.standby && !(feedback && has_slot) {
            let message = "the server is a standby, and its primary may remove what the slot here \
                           needs: that ends the link";
            find(false, Kind::Setting, message, hold_back(probe, feedback, has_slot));
        }
        if row.get::<_, i64>("memory") < DECODING_BYTES_MIN {
            let message = "logical_decoding_work_mem is low: the server decodes by way of its disk";
            let change = probe.managed.set("logical_decoding_work_mem", "64MB", false);
            find(false, Kind::Setting, message, change);
        }
        if !row.get::<_, bool>("fsync") {
            let message = "fsync is off: after a crash of its machine the source can lack what \
                           weir has carried";
            find(false, Kind::Setting, message, probe.managed.set("fsync", "on", false));
        }
        let mut tables = probe.preflight.tables.iter();
        if !row.get::<_, bool>("dated") && tables.any(|table| !table.partitions.is_empty()) {
            let message = "track_commit_timestamp is off: rows that a partition brings along are \
                           overlooked where a savepoint wrote them in the transaction that made and \
                           attached it, or another one while that transaction was open";
            let change = probe.managed.set("track_commit_timestamp", "on", true);
            find(false, Kind::Setting, message, change);
        }
        if let (Some(_), Some(function)) =
            (probe.preflight.database.heartbeat, row.get::<_, Option<&str>>("no_message"))
        {
            let role: &str = row.get("role");
            let message = format!("role {role} may not write heartbeats: none are written");
            let grant = format!("GRANT EXECUTE ON FUNCTION {function} TO {role}");
            find(false, Kind::Privilege, &message, (vec![grant], String::new()));
        }
        let encoding: &str = row.get("encoding");
        if encoding == "SQL_ASCII" {
            let message =
                "the database has encoding SQL_ASCII: text that is not UTF-8 halts a link";
            find(false, Kind::Setting, message, by_hand("keep its text in UTF-8"));
        }
    }
    Ok(findings)
}

/// How a standby makes its primary keep what is read here.
fn hold_back(probe: &Probe<'_>, feedback: bool, has_slot: bool) -> Change {
    let change = match feedback {
        true => Change::default(),
        false => probe.managed.set("hot_standby_feedback", "on", false),
    };
    match has_slot {
        true => change,
        false => and_then(change, "give it a primary_slot_name that exists on the primary"),
    }
}

const ROLE: &str = "
SELECT quote_ident(current_user) AS role,
       (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user)
       OR EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_replication'
                  AND pg_has_role(current_user, oid, 'MEMBER')) AS may_replicate";

/// The right to replicate.
pub(super) async fn role(probe: &Probe<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for row in probe.rows(ROLE, &[]).await? {
        if !row.get::<_, Option<bool>>("may_replicate").unwrap_or_default() {
            let role: &str = row.get("role");
            let change = by(probe.managed.let_replicate(role));
            let message = format!("role {role} may not replicate");
            findings.push(probe.about_database(true, Kind::Privilege, message, change));
        }
    }
    Ok(findings)
}

/// What may become of the slot `$1`; the columns that older versions lack read as NULL.
const SLOT: &str = "
SELECT coalesce(to_jsonb(s) ->> 'invalidation_reason',
                CASE WHEN to_jsonb(s) ->> 'conflicting' = 'true' THEN 'conflict'
                     WHEN wal_status = 'lost' THEN 'wal_removed' END) AS lost,
       wal_status = 'unreserved' AS unreserved,
       pg_is_in_recovery() AND to_jsonb(s) ->> 'synced' = 'true' AS copied, s.temporary,
       NOT pg_is_in_recovery() AND to_jsonb(s) ->> 'failover' = 'false' AS stays,
       NOT pg_is_in_recovery() AND to_jsonb(s) ->> 'failover' = 'true'
       AND current_setting('synchronized_standby_slots', true) = '' AS ahead,
       EXISTS (SELECT FROM pg_stat_replication r WHERE NOT EXISTS (
         SELECT FROM pg_replication_slots o
         WHERE o.active_pid = r.pid AND o.slot_type = 'logical')) AS has_standby,
       (SELECT string_agg(o.slot_name::text, ', ' ORDER BY o.slot_name) FROM pg_replication_slots o
        WHERE o.slot_type = 'physical' AND o.active) AS of_standbys
FROM pg_replication_slots s WHERE slot_name = $1::text";

/// The slot of a link on its way: whether it is lost, and whether it outlives a failover.
pub(super) async fn slot(probe: &Probe<'_>) -> Result<Vec<Finding>> {
    let name = probe.preflight.context.slot_name();
    let mut findings = Vec::new();
    for row in probe.rows(SLOT, &[&name]).await? {
        let mut find = |fatal, kind, message: &str, (mend, hint): Change| {
            let (subject, message) = (format!("slot {name}"), message.to_owned());
            findings.push(Finding { fatal, kind, subject, message, hint, mend });
        };
        let is = |column: &str| row.get::<_, Option<bool>>(column).unwrap_or_default();
        if let Some(reason) = row.get::<_, Option<&str>>("lost") {
            let lost = LOST.replace("LINK", &probe.preflight.context.link.to_string());
            find(true, Kind::Gap, &format!("it can no longer be read: {reason}"), by_hand(&lost));
        } else if is("copied") && is("temporary") {
            let message =
                "the standby's copy of it is not complete: after a promotion now it is gone";
            let hint =
                "wait until it is, or write to the primary; see pg_replication_slots.temporary";
            find(true, Kind::Unavailable, message, by_hand(hint));
        } else if is("copied") {
            let message = "it is a standby's copy: it can be read once the standby is promoted";
            find(true, Kind::Unavailable, message, by_hand("point the database at the primary"));
        } else if is("unreserved") {
            let change = probe.managed.set(KEEP_SIZE, "200GB", false);
            let change = and_then(change, "and let weir catch up");
            find(false, Kind::Gap, "the server may give up the log it needs at any time", change);
        }
        if is("stays") && is("has_standby") {
            let message = "no standby keeps a copy of it: a failover ends the link";
            find(false, Kind::Setting, message, keep_copy(&name));
        }
        if is("ahead") && is("has_standby") {
            let message = "weir may read ahead of the standbys: a failover that loses transactions \
                           which it has applied ends the link";
            find(false, Kind::Setting, message, stand_by(probe, row.get("of_standbys")));
        }
    }
    Ok(findings)
}

const LOST: &str = "`weir teardown LINK --apply`, then start anew with start = \"snapshot\"; on a standby, hot_standby_feedback and a primary_slot_name keep it";

/// How a slot becomes one that standbys copy. What alters a slot is no statement of SQL.
fn keep_copy(slot: &str) -> Change {
    by_hand(&format!(
        "run on a replication connection while weir is stopped: ALTER_REPLICATION_SLOT {slot} \
         (FAILOVER true); on the standby set sync_replication_slots = on, hot_standby_feedback = on, \
         primary_slot_name, and a dbname in primary_conninfo"
    ))
}

/// How weir is kept behind the standbys, which have these slots.
fn stand_by(probe: &Probe<'_>, slots: Option<&str>) -> Change {
    const NAME: &str = "synchronized_standby_slots";
    match slots {
        Some(slots) => and_then(
            probe.managed.set(NAME, slots, false),
            "name only slots of standbys that may take over: while one of them is away, weir waits",
        ),
        None => by_hand(
            "give the standby a primary_slot_name that exists here, and name it in \
             synchronized_standby_slots",
        ),
    }
}

/// A standby's copies are the primary's.
const LEFT_OVER: &str = "
SELECT slot_name::text AS name, quote_literal(slot_name) AS quoted
FROM pg_replication_slots s
WHERE database = current_database() AND slot_name LIKE 'weir\\_%' AND slot_name <> ALL ($1::text[])
  AND NOT active AND NOT (pg_is_in_recovery() AND coalesce(to_jsonb(s) ->> 'synced' = 'true', false))
ORDER BY 1";

/// Slots that hold log for nobody. Only of those of this installation's name it is said how they go: the
/// others may be of a weir that is stopped.
pub(super) async fn left_over(probe: &Probe<'_>, whole: &Whole) -> Result<Vec<Finding>> {
    let rows = probe.rows(LEFT_OVER, &[&whole.slots]).await?;
    let installation = &probe.preflight.context.name;
    let finding = |row: &tokio_postgres::Row| {
        let (name, quoted): (&str, &str) = (row.get("name"), row.get("quoted"));
        let (mend, hint) = disposal(installation, name, quoted);
        Finding {
            fatal: false,
            kind: Kind::Gap,
            subject: format!("slot {name}"),
            message: "no link of this configuration has it, and it keeps log for ever".to_owned(),
            hint,
            mend,
        }
    };
    Ok(rows.iter().map(finding).collect())
}

/// How a slot goes that no link of `installation` has.
fn disposal(installation: &str, name: &str, quoted: &str) -> Change {
    match name.starts_with(&format!("weir_{installation}_")) {
        true => {
            let drop = format!("SELECT pg_drop_replication_slot({quoted})");
            and_then(by(drop), "if no other weir reads with it")
        }
        false => by_hand("`weir teardown` with the files of the weir that it belongs to"),
    }
}

/// A login for replication, which `pg_hba.conf` or what stands before the server may refuse. Not tried
/// where something else is known to refuse it.
pub(super) async fn login(preflight: Preflight<'_>, known: &[Finding]) -> Option<Finding> {
    if known.iter().any(Finding::refuses_to_run) {
        return None;
    }
    let database = preflight.database;
    let tried = async { Replication::connect(database, "weir check").await?.identify().await };
    let error = tried.await.err()?;
    Some(Finding {
        fatal: true,
        kind: error.kind(),
        subject: format!("database {}", database.name),
        message: error.chain(),
        hint: error.operator_hint().to_owned(),
        mend: Vec::new(),
    })
}

/// Partitions to come: they take the key of their root, and no other replica identity of their sisters.
pub(super) fn partitions(probe: &Probe<'_>) -> Vec<Finding> {
    let tables = probe.preflight.tables.iter();
    let keyless =
        tables.filter(|table| !table.partitions.is_empty() && table.primary_key().is_none());
    let findings = keyless.map(|table| Finding {
        fatal: false,
        kind: Kind::Setting,
        subject: format!("table {}", table.name),
        message:
            "it has no primary key, which partitions made later would take from it: until they \
                  have a replica identity, the server refuses every UPDATE and DELETE of them"
                .to_owned(),
        hint:
            "give it a primary key; or make each partition with ALTER TABLE … REPLICA IDENTITY in \
               the same transaction"
                .to_owned(),
        mend: Vec::new(),
    });
    findings.collect()
}

const PUBLICATION: &str = "
SELECT puballtables, pubinsert AND pubupdate AND pubdelete AND pubtruncate AS complete, pubviaroot
FROM pg_publication WHERE pubname = $1::text";

/// weir's own table that a publication may hold.
const WITNESS: &str = "weir.witness";

/// What publication `$1` holds besides the tables `$2`, `$3` and their partitions.
const EXTRA: &str = "
SELECT format('%s.%s', t.schemaname, t.tablename) FROM pg_publication_tables t
JOIN pg_namespace n ON n.nspname = t.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
WHERE t.pubname = $1::text AND NOT EXISTS (
  SELECT FROM unnest($2::text[], $3::text[]) AS w(schema, name)
  JOIN pg_namespace o ON o.nspname = w.schema
  JOIN pg_class u ON u.relnamespace = o.oid AND u.relname = w.name
  WHERE u.oid = c.oid OR u.oid IN (SELECT a.relid FROM pg_partition_ancestors(c.oid) AS a))
ORDER BY 1 LIMIT 20";

/// The publication: it exists and holds the planned tables whole. Without a plan there is nothing to
/// compare it with.
pub(super) async fn publication(probe: &Probe<'_>) -> Result<Vec<Finding>> {
    let name = probe.preflight.context.slot_name();
    let finding = |fatal, message: String| Finding {
        fatal,
        kind: Kind::Setting,
        subject: format!("publication {name}"),
        message,
        hint: "run `weir setup`, which prints the statements that make it right".to_owned(),
        mend: Vec::new(),
    };
    let rows = probe.rows(PUBLICATION, &[&name]).await?;
    let Some(row) = rows.first() else {
        return Ok(vec![finding(true, "it does not exist".to_owned())]);
    };
    let mut findings = Vec::new();
    if !row.get::<_, bool>("complete") {
        let message = "it does not publish all of insert, update, delete, truncate";
        findings.push(finding(true, message.to_owned()));
    }
    if row.get("pubviaroot") {
        let message = "it publishes partitions as their root: a TRUNCATE of one is not in it then";
        findings.push(finding(true, message.to_owned()));
    }
    let has_all = row.get::<_, bool>("puballtables");
    if has_all {
        let message = "it holds all tables: updates of tables without a key fail for everyone";
        let hint = format!(
            "such a publication cannot be made another: while weir is stopped, run `DROP PUBLICATION \
             {name}` in one transaction with what `weir setup` prints; a link that has begun halts \
             for it, and goes on with `weir resume {} --schema-reviewed`",
            probe.preflight.context.link
        );
        findings.push(Finding { hint, ..finding(false, message.to_owned()) });
    }
    if probe.preflight.tables.is_empty() {
        return Ok(findings);
    }
    let tables: Vec<_> = probe.preflight.tables.iter().map(|table| &table.name).collect();
    let held = slot::held(&probe.session, &name, &tables).await;
    let held = held.map_err(|error| classify(error, format!("look at publication {name}")))?;
    let mut absent = Vec::new();
    for held in held {
        if !held.whole {
            let message = format!("it holds {} with a row filter or column list", held.table);
            findings.push(finding(true, message));
        } else if !held.published {
            absent.push(held.table.to_string());
        }
    }
    if !absent.is_empty() {
        absent.sort_unstable();
        findings.push(finding(true, format!("it does not hold {}", absent.join(", "))));
    }
    if has_all {
        return Ok(findings);
    }
    let (schemas, names) = probe.tables();
    let extra = probe.rows(EXTRA, &[&name, &schemas, &names]).await?;
    // The witness marks what weir writes here.
    let extra = extra.iter().map(|row| row.get::<_, &str>(0)).filter(|name| *name != WITNESS);
    let extra: Vec<&str> = extra.collect();
    if !extra.is_empty() {
        let message = format!("it holds tables that are not planned: {}", extra.join(", "));
        findings.push(finding(false, message));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if `weir check` handed out the statement that takes the log from another weir.
    #[test]
    fn slots_of_others_are_not_dropped() {
        let mend = |name| disposal("prod", name, "'quoted'").0;
        assert_eq!(mend("weir_prod_crm_dwh"), ["SELECT pg_drop_replication_slot('quoted')"]);
        assert!(mend("weir_staging_crm_dwh").is_empty() && mend("weir_products_a_b").is_empty());
    }
}
