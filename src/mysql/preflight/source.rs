//! Checks of a source: settings of the binary log, the rights to read it, what it leaves out.

use super::super::session::Flavor;
use super::Probe;
use crate::error::{Kind, Result};
use crate::link::ports::Finding;

/// Shortest time that binary logs are kept without a warning, in seconds.
const RETENTION_MIN_SECONDS: u64 = 86_400;
const MANAGED_LOG: &str = "set log_bin in the server's settings and restart it (Amazon RDS: turn \
    automated backups on; Aurora: binlog_format = ROW in the cluster parameter group; Cloud SQL: \
    turn point-in-time recovery on)";
const RETENTION: &str = "run: SET GLOBAL binlog_expire_logs_seconds = 604800 (Amazon RDS: CALL \
    mysql.rds_set_configuration('binlog retention hours', 72))";

/// Settings without which the log cannot be read, or not whole.
pub(super) fn settings(probe: &Probe<'_>) -> Vec<Finding> {
    if probe.setting("log_bin").as_deref() != Some("ON") {
        let message = "log_bin is OFF: the server writes no binary log";
        return vec![probe.about_database(true, Kind::Setting, message, MANAGED_LOG)];
    }
    let mut findings = Vec::new();
    let mut need = |name: &str, value: &str, why: &str| {
        let Some(is) = probe.setting(name) else { return };
        if is != value {
            let message = format!("{name} is {is}, not {value}: {why}");
            findings.push(probe.about_database(
                true,
                Kind::Setting,
                message,
                probe.set(name, value),
            ));
        }
    };
    // What only one of the two servers has is absent on the other; these both have.
    need("binlog_format", "ROW", "other formats log statements, not rows");
    need("binlog_row_metadata", "FULL", "without it the log has no column names and signs");
    if probe.number("server_id") == Some(0) {
        let hint = "set server_id in the server's settings and restart it";
        findings.push(probe.about_database(true, Kind::Setting, "server_id is 0", hint));
    }
    findings.extend(row_image(probe));
    findings.extend(without_gtids(probe));
    findings.extend(retention(probe));
    findings
}

/// Partial row images are carried; what they cost is said. Whether the match keys are in them is
/// the planner's to judge.
fn row_image(probe: &Probe<'_>) -> Option<Finding> {
    let image = probe.setting("binlog_row_image")?;
    if image.starts_with("FULL") {
        return None;
    }
    let message = format!(
        "binlog_row_image is {image}: each insert that does not name all columns is read again at the \
         source, and what a row was before a change is not known"
    );
    let hint = format!("to have whole rows in the log, {}", probe.set("binlog_row_image", "FULL"));
    Some(probe.about_database(false, Kind::Setting, message, hint))
}

/// By place a link can be followed at one server only.
fn without_gtids(probe: &Probe<'_>) -> Option<Finding> {
    let mode = probe.setting("gtid_mode").filter(|mode| mode != "ON")?;
    let message = format!(
        "gtid_mode is {mode}: the log is read by file and position, so that the link cannot follow a \
         failover to another server, and rows that are read again are locked for a moment"
    );
    let hint = "set enforce_gtid_consistency and gtid_mode to ON (online, step by step: OFF_PERMISSIVE, \
        ON_PERMISSIVE, ON)";
    Some(probe.about_database(false, Kind::Setting, message, hint))
}

/// Logs that go before weir is back after a weekend are a gap.
fn retention(probe: &Probe<'_>) -> Option<Finding> {
    let seconds = match probe.number("binlog_expire_logs_seconds") {
        Some(seconds) if seconds > 0 => seconds,
        _ => probe.number("expire_logs_days")?.saturating_mul(86_400),
    };
    if seconds == 0 || seconds >= RETENTION_MIN_SECONDS {
        return None;
    }
    let message = format!(
        "binary logs are kept for {} hours: a longer stop of weir loses changes",
        seconds / 3600
    );
    Some(probe.about_database(false, Kind::Setting, message, RETENTION))
}

/// Rights to read the log and to ask where it ends.
pub(super) async fn rights(probe: &mut Probe<'_>) -> Result<Vec<Finding>> {
    let monitor = match probe.session.flavor() {
        Flavor::Mysql => "REPLICATION CLIENT",
        Flavor::Mariadb => "BINLOG MONITOR",
    };
    let mut missing = Vec::new();
    if !probe.has_right(&["REPLICATION SLAVE"]) {
        missing.push("REPLICATION SLAVE");
    }
    if !probe.has_right(&[monitor, "REPLICATION CLIENT"]) {
        missing.push(monitor);
    }
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let missing = missing.join(", ");
    let message = format!("user {} lacks {missing}", probe.preflight.database.user);
    let hint = format!("run: GRANT {missing} ON *.* TO {}", probe.account);
    Ok(vec![probe.about_database(true, Kind::Privilege, message, hint)])
}

/// Databases that `binlog_do_db` and `binlog_ignore_db` keep out of the log.
pub(super) async fn log_filters(probe: &mut Probe<'_>) -> Result<Vec<Finding>> {
    let sql = match probe.session.version() {
        (8, 2.., _) | (9.., ..) if probe.session.flavor() == Flavor::Mysql => {
            "SHOW BINARY LOG STATUS"
        }
        _ => "SHOW MASTER STATUS",
    };
    let rows = match probe.session.texts("read the state of the log", sql).await {
        // The missing right is a finding of its own.
        Err(error) if error.kind() == Kind::Privilege => return Ok(Vec::new()),
        rows => rows?,
    };
    let Some(row) = rows.into_iter().next() else { return Ok(Vec::new()) };
    let list = |at: usize| {
        let text = row.get(at).cloned().flatten().unwrap_or_default();
        text.split(',').map(str::to_owned).filter(|name| !name.is_empty()).collect::<Vec<_>>()
    };
    let (only, without) = (list(2), list(3));
    let mut schemas: Vec<&String> =
        probe.preflight.tables.iter().map(|table| &table.name.schema).collect();
    schemas.sort_unstable();
    schemas.dedup();
    let left_out = schemas
        .into_iter()
        .filter(|name| (!only.is_empty() && !only.contains(name)) || without.contains(name));
    Ok(left_out
        .map(|schema| {
            let message = format!("database {schema} is kept out of the binary log");
            let hint = "take it out of binlog_ignore_db, or into binlog_do_db, and restart";
            probe.about_database(true, Kind::Setting, message, hint)
        })
        .collect())
}

/// A replica logs what it applies only if told to.
pub(super) async fn replica(probe: &mut Probe<'_>) -> Result<Vec<Finding>> {
    let name = match probe.setting("log_replica_updates") {
        Some(_) => "log_replica_updates",
        None => "log_slave_updates",
    };
    if probe.setting(name).as_deref() != Some("OFF") {
        return Ok(Vec::new());
    }
    let status = match probe.session.flavor() {
        Flavor::Mysql => "SHOW REPLICA STATUS",
        Flavor::Mariadb => "SHOW ALL SLAVES STATUS",
    };
    match probe.session.rows("read the replica's state", status).await {
        Err(error) if error.kind() == Kind::Privilege => Ok(Vec::new()),
        Ok(rows) if rows.is_empty() => Ok(Vec::new()),
        Ok(_) => {
            let message = format!(
                "the server is a replica and {name} is OFF: its log misses what it applies"
            );
            let hint = format!("set {name} in the server's settings and restart it");
            Ok(vec![probe.about_database(true, Kind::Setting, message, hint)])
        }
        Err(error) => Err(error),
    }
}
