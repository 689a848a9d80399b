//! Checks of a source: settings of the binary log, how long it is kept, the rights to read it, what it
//! leaves out.

use super::super::session::Flavor;
use super::super::setup::server_rights;
use super::{Probe, by, by_hand, managed};
use crate::error::{Kind, Result};
use crate::link::ports::Finding;

/// Settings without which the log cannot be read, or not whole.
pub(super) fn settings(probe: &Probe<'_>) -> Vec<Finding> {
    if probe.setting("log_bin").as_deref() != Some("ON") {
        let message = "log_bin is OFF: the server writes no binary log";
        let change = by_hand(probe.managed.switch_log_on());
        return vec![probe.about_database(true, Kind::Setting, message, change)];
    }
    let mut findings = Vec::new();
    let mut need = |name: &str, value: &str, why: &str| {
        let Some(is) = probe.setting(name) else { return };
        if is != value {
            let message = format!("{name} is {is}, not {value}: {why}");
            let change = probe.set(name, value);
            findings.push(probe.about_database(true, Kind::Setting, message, change));
        }
    };
    // What only one of the two servers has is absent on the other; these both have.
    need("binlog_format", "ROW", "other formats log statements, not rows");
    need("binlog_row_metadata", "FULL", "without it the log has no column names and signs");
    if probe.number("server_id") == Some(0) {
        let change = probe.set("server_id", "1");
        findings.push(probe.about_database(true, Kind::Setting, "server_id is 0", change));
    }
    if probe.number("sync_binlog").is_some_and(|value| value != 1) {
        let message = "sync_binlog is not 1: after a crash of its machine the source can lack what \
                       weir has carried";
        let change = probe.managed.set(probe.session.flavor(), "sync_binlog", "1", false);
        findings.push(probe.about_database(false, Kind::Setting, message, change));
    }
    findings.extend(row_image(probe));
    findings.extend(without_gtids(probe));
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
    let change = probe.set("binlog_row_image", "FULL");
    Some(probe.about_database(false, Kind::Setting, message, change))
}

/// How `gtid_mode` is switched on while the server works: one after the other.
const GTID_MODES: [&str; 4] = ["OFF", "OFF_PERMISSIVE", "ON_PERMISSIVE", "ON"];

/// By place a link can be followed at one server only.
fn without_gtids(probe: &Probe<'_>) -> Option<Finding> {
    let mode = probe.setting("gtid_mode").filter(|mode| mode != "ON")?;
    let message = format!(
        "gtid_mode is {mode}: the log is read by file and position, so that the link cannot follow a \
         failover to another server, and rows that are read again are locked for a moment"
    );
    let mut steps = Vec::new();
    if probe.setting("enforce_gtid_consistency").as_deref() != Some("ON") {
        steps.push(("enforce_gtid_consistency", "ON"));
    }
    let at = GTID_MODES.iter().position(|known| *known == mode).unwrap_or_default();
    steps.extend(GTID_MODES.iter().skip(at + 1).map(|mode| ("gtid_mode", *mode)));
    let flavor = probe.session.flavor();
    let changes = steps.iter().map(|(name, value)| probe.managed.set(flavor, name, value, false));
    let (mend, words): (Vec<_>, Vec<_>) = changes.unzip();
    let mut words: Vec<String> = words.into_iter().filter(|words| !words.is_empty()).collect();
    words.push(
        "before the last step wait until Ongoing_anonymous_transaction_count is 0".to_owned(),
    );
    let change = (mend.concat(), words.join("; "));
    Some(probe.about_database(false, Kind::Setting, message, change))
}

/// How long binary logs are kept; `None` for ever.
async fn kept_seconds(probe: &mut Probe<'_>) -> Result<Option<u64>> {
    if matches!(probe.managed, managed::Managed::Rds | managed::Managed::Aurora) {
        let sql = "CALL mysql.rds_show_configuration";
        let answer = probe.session.texts("read how long logs are kept", sql).await?;
        let hours = managed::rds_retention_hours(&answer).unwrap_or(0);
        return Ok(Some(hours.saturating_mul(3600)));
    }
    let days = || Some(probe.number("expire_logs_days")?.saturating_mul(86_400));
    let seconds = probe.number("binlog_expire_logs_seconds").filter(|seconds| *seconds > 0);
    Ok(seconds.or_else(days).filter(|seconds| *seconds > 0))
}

/// Logs that go before weir is back are a gap.
pub(super) async fn retention(probe: &mut Probe<'_>) -> Result<Option<Finding>> {
    let wanted = probe.preflight.database.retention_min.as_secs();
    let kept = match kept_seconds(probe).await {
        Err(error) if error.kind() == Kind::Privilege => return Ok(Some(retention_unseen(probe))),
        kept => kept?,
    };
    let Some(seconds) = kept.filter(|seconds| *seconds < wanted) else { return Ok(None) };
    let message = format!(
        "binary logs are kept for {:.1} h: a longer stop of weir loses changes",
        seconds as f64 / 3600.0
    );
    let hours = (wanted / 3600 + 1).max(DAYS_KEPT * 24);
    let change = probe.managed.keep_logs(probe.session.flavor(), hours);
    Ok(Some(probe.about_database(true, Kind::Gap, message, change)))
}

/// A managed server that purges its logs at once, as is its default, does not tell everybody.
fn retention_unseen(probe: &Probe<'_>) -> Finding {
    let message = format!(
        "user {} may not ask how long binary logs are kept, and by default they are purged at once",
        probe.preflight.database.user
    );
    let grant = "GRANT EXECUTE ON PROCEDURE mysql.rds_show_configuration";
    let change = by(format!("{grant} TO {}", probe.account));
    probe.about_database(true, Kind::Privilege, message, change)
}

/// Logs that are purged by their size, whatever their age: MariaDB 11.4 and Percona Server.
pub(super) fn purged_by_size(probe: &Probe<'_>) -> Vec<Finding> {
    let found = bounds_of_size(|name| probe.number(name)).into_iter();
    found
        .map(|(message, hint)| probe.about_database(false, Kind::Gap, message, by_hand(&hint)))
        .collect()
}

/// Each bound that is set, in words, and what to see to; those a server does not have are absent.
fn bounds_of_size(setting: impl Fn(&str) -> Option<u64>) -> Vec<(String, String)> {
    let bounds = ["max_binlog_total_size", "binlog_space_limit"];
    let set = bounds.into_iter().filter_map(|name| Some((name, setting(name)?)));
    set.filter(|(_, bytes)| *bytes > 0)
        .map(|(name, bytes)| {
            let message = format!(
                "{name} is {bytes}: binary logs beyond that size are purged however young they are, \
                 and then a longer stop of weir, or a burst of writes, loses changes"
            );
            (message, format!("see that {name} holds the writes of as long as weir may be away"))
        })
        .collect()
}

/// Days for which weir proposes to keep logs.
const DAYS_KEPT: u64 = 7;

/// Rights to read the log and to ask where it ends.
pub(super) async fn rights(probe: &mut Probe<'_>) -> Result<Vec<Finding>> {
    let needed = server_rights(probe.preflight.database.dialect).iter().copied();
    let missing: Vec<&str> = needed.filter(|right| !probe.has_right(&[right])).collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let missing = missing.join(", ");
    let message = format!("user {} lacks {missing}", probe.preflight.database.user);
    let change = by(format!("GRANT {missing} ON *.* TO {}", probe.account));
    Ok(vec![probe.about_database(true, Kind::Privilege, message, change)])
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
            let hint = "take it out of binlog_ignore_db, or into binlog_do_db, in the server's \
                        settings and restart it";
            probe.about_database(true, Kind::Setting, message, by_hand(hint))
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
            let change = probe.managed.set(probe.session.flavor(), name, "ON", true);
            Ok(vec![probe.about_database(true, Kind::Setting, message, change)])
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if logs that go by their size, whatever their age, went unsaid.
    #[test]
    fn logs_that_are_purged_by_size_are_named() {
        let named = |name: &'static str, bytes| {
            let found = bounds_of_size(|asked| (asked == name).then_some(bytes));
            found.into_iter().map(|(message, hint)| message + &hint).collect::<String>()
        };
        for name in ["max_binlog_total_size", "binlog_space_limit"] {
            assert!(named(name, 1 << 30).starts_with(&format!("{name} is 1073741824: ")));
            assert_eq!(named(name, 0), "");
        }
        assert_eq!(named("max_binlog_size", 1 << 30), "");
    }
}
