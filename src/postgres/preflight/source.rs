//! Checks of a source: settings of logical decoding, the right to replicate, the publication.

use super::Probe;
use crate::error::{Kind, Result};
use crate::link::ports::Finding;
use crate::postgres::failure::classify;
use crate::postgres::slot::{self, Server};

const SETTINGS: &str = "
SELECT current_setting('wal_level') AS wal_level, pg_is_in_recovery() AS standby,
       current_setting('server_version_num')::int4 AS version,
       current_setting('hot_standby_feedback')::bool AS feedback,
       current_setting('primary_slot_name', true) <> '' AS has_slot,
       EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1::text) AS started,
       current_setting('max_slot_wal_keep_size') AS keep,
       current_setting('max_replication_slots')::int8 AS slots_max,
       (SELECT count(*) FROM pg_replication_slots WHERE slot_name <> $1::text) AS slots,
       current_setting('max_wal_senders')::int8 AS senders_max,
       (SELECT count(*) FROM pg_stat_replication r WHERE NOT EXISTS (
          SELECT FROM pg_replication_slots s
          WHERE s.active_pid = r.pid AND s.slot_name = $1::text)) AS senders,
       current_setting('server_encoding') AS encoding, quote_ident(current_user) AS role,
       (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user)
       OR EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_replication'
                  AND pg_has_role(current_user, oid, 'MEMBER')) AS may_replicate,
       (SELECT min(p.oid::regprocedure::text) FROM pg_proc p
        WHERE p.proname = 'pg_logical_emit_message' AND 'text'::regtype = p.proargtypes[2]
          AND p.pronamespace = 'pg_catalog'::regnamespace
          AND NOT has_function_privilege(p.oid, 'EXECUTE')) AS no_message";

/// Settings and the role.
pub(super) async fn settings(probe: &Probe<'_>) -> Result<Vec<Finding>> {
    let slot = probe.preflight.context.slot_name();
    let mut findings = Vec::new();
    for row in probe.rows(SETTINGS, &[&slot]).await? {
        let mut find = |fatal, kind, message: String, hint: &str| {
            findings.push(probe.about_database(fatal, kind, message, hint.to_owned()));
        };
        let wal_level: &str = row.get("wal_level");
        if wal_level != "logical" {
            find(true, Kind::Setting, format!("wal_level is {wal_level}, not logical"), WAL_LEVEL);
        }
        let server = Server { version: row.get("version"), standby: row.get("standby") };
        if !server.decodes() {
            let hint = "point the database at its primary";
            find(true, Kind::Unsupported, slot::TOO_OLD.to_owned(), hint);
        } else if server.standby && !(row.get("feedback") && row.get("has_slot")) {
            let message = "the server is a standby, and its primary may remove what the slot here \
                           needs: that ends the link";
            find(false, Kind::Setting, message.to_owned(), FEEDBACK);
        }
        let role: &str = row.get("role");
        if !row.get::<_, Option<bool>>("may_replicate").unwrap_or_default() {
            let hint = format!(
                "run: ALTER ROLE {role} REPLICATION (Amazon RDS: GRANT rds_replication TO {role})"
            );
            find(true, Kind::Privilege, format!("role {role} may not replicate"), &hint);
        }
        for (name, used, most) in [
            ("max_replication_slots", row.get::<_, i64>("slots"), row.get::<_, i64>("slots_max")),
            ("max_wal_senders", row.get("senders"), row.get("senders_max")),
        ] {
            if used >= most {
                let hint =
                    format!("run: ALTER SYSTEM SET {name} = {}; restart the server", most + 10);
                let message = format!("all {most} of {name} are taken by others");
                // A link on its way waits until the login is let in again.
                find(!row.get::<_, bool>("started"), Kind::Setting, message, &hint);
            }
        }
        if row.get::<_, &str>("keep") == "-1" {
            // Without a bound of weir's own the slot cannot be given up, so this cannot be fatal.
            let message = "max_slot_wal_keep_size is -1: while weir is down the log it needs \
                           grows without limit and can fill the disk";
            find(false, Kind::Setting, message.to_owned(), KEEP_SIZE);
        }
        if let (Some(_), Some(function)) =
            (probe.preflight.database.heartbeat, row.get::<_, Option<&str>>("no_message"))
        {
            let message = format!("role {role} may not write heartbeats: none are written");
            let hint = format!("run: GRANT EXECUTE ON FUNCTION {function} TO {role}");
            find(false, Kind::Privilege, message, &hint);
        }
        let encoding: &str = row.get("encoding");
        if encoding == "SQL_ASCII" {
            let message =
                "the database has encoding SQL_ASCII: text that is not UTF-8 halts a link";
            find(false, Kind::Setting, message.to_owned(), "keep its text in UTF-8");
        }
    }
    Ok(findings)
}

const FEEDBACK: &str = "run on the standby: ALTER SYSTEM SET hot_standby_feedback = on; and give it a \
    primary_slot_name that exists on the primary; SELECT pg_reload_conf()";

/// What may become of the slot `$1`; the columns that older versions lack read as NULL.
const SLOT: &str = "
SELECT coalesce(to_jsonb(s) ->> 'invalidation_reason',
                CASE WHEN to_jsonb(s) ->> 'conflicting' = 'true' THEN 'conflict'
                     WHEN wal_status = 'lost' THEN 'wal_removed' END) AS lost,
       pg_is_in_recovery() AND to_jsonb(s) ->> 'synced' = 'true' AS copied, s.temporary,
       NOT pg_is_in_recovery() AND to_jsonb(s) ->> 'failover' = 'false' AS stays,
       NOT pg_is_in_recovery() AND to_jsonb(s) ->> 'failover' = 'true'
       AND current_setting('synchronized_standby_slots', true) = '' AS ahead,
       EXISTS (SELECT FROM pg_stat_replication r WHERE NOT EXISTS (
         SELECT FROM pg_replication_slots o
         WHERE o.active_pid = r.pid AND o.slot_type = 'logical')) AS has_standby
FROM pg_replication_slots s WHERE slot_name = $1::text";

/// The slot of a link on its way: whether it is lost, and whether it outlives a failover.
pub(super) async fn slot(probe: &Probe<'_>) -> Result<Vec<Finding>> {
    let name = probe.preflight.context.slot_name();
    let mut findings = Vec::new();
    for row in probe.rows(SLOT, &[&name]).await? {
        let mut find = |fatal, kind, message: String, hint: &str| {
            let (subject, hint) = (format!("slot {name}"), hint.to_owned());
            findings.push(Finding { fatal, kind, subject, message, hint });
        };
        let is = |column: &str| row.get::<_, Option<bool>>(column).unwrap_or_default();
        if let Some(reason) = row.get::<_, Option<String>>("lost") {
            let hint = "copy the tables again, then `weir teardown` and start anew; on a standby, \
                        hot_standby_feedback and a primary_slot_name keep it";
            find(true, Kind::Gap, format!("it can no longer be read: {reason}"), hint);
        } else if is("copied") && is("temporary") {
            let message =
                "the standby's copy of it is not complete: after a promotion now it is gone";
            let hint =
                "wait until it is, or write to the primary; see pg_replication_slots.temporary";
            find(true, Kind::Unavailable, message.to_owned(), hint);
        } else if is("copied") {
            let message = "it is a standby's copy: it can be read once the standby is promoted";
            find(true, Kind::Unavailable, message.to_owned(), "point the database at the primary");
        }
        if is("stays") && is("has_standby") {
            let message = "no standby keeps a copy of it: a failover ends the link";
            find(false, Kind::Setting, message.to_owned(), KEEP_COPY);
        }
        if is("ahead") && is("has_standby") {
            let message = "weir may read ahead of the standbys: a failover that loses transactions \
                           which it has applied ends the link";
            find(false, Kind::Setting, message.to_owned(), STAND_BY);
        }
    }
    Ok(findings)
}

const KEEP_COPY: &str = "run on a replication connection while weir is stopped: \
    ALTER_REPLICATION_SLOT … (FAILOVER true); on the standby set sync_replication_slots = on, \
    hot_standby_feedback = on, primary_slot_name, and a dbname in primary_conninfo";
const STAND_BY: &str = "name the physical slot of the standby: ALTER SYSTEM SET \
    synchronized_standby_slots = '…'; SELECT pg_reload_conf()";

const WAL_LEVEL: &str = "run: ALTER SYSTEM SET wal_level = 'logical'; restart the server (Amazon \
    RDS: rds.logical_replication = 1; Cloud SQL: cloudsql.logical_decoding = on; Azure: \
    azure.replication_support = logical)";
const KEEP_SIZE: &str = "set a limit that fits the disk, for example: ALTER SYSTEM SET \
    max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf()";

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
    });
    findings.collect()
}

const PUBLICATION: &str = "
SELECT puballtables, pubinsert AND pubupdate AND pubdelete AND pubtruncate AS complete, pubviaroot
FROM pg_publication WHERE pubname = $1::text";

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
    if row.get("puballtables") {
        let message = "it holds all tables: updates of tables without a key fail for everyone";
        findings.push(finding(false, message.to_owned()));
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
    let (schemas, names) = probe.tables();
    let extra = probe.rows(EXTRA, &[&name, &schemas, &names]).await?;
    let extra: Vec<&str> = extra.iter().map(|row| row.get(0)).collect();
    if !extra.is_empty() {
        let message = format!("it holds tables that are not planned: {}", extra.join(", "));
        findings.push(finding(false, message));
    }
    Ok(findings)
}
