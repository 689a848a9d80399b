//! Checks of a target: whether it takes writes and keeps them, weir's own tables, engines and
//! triggers.

use super::super::catalog::rule;
use super::super::setup::grant_numbers;
use super::super::sql::{copies, flags, letters, literal, quote_table};
use super::managed::Change;
use super::{Probe, by_hand};
use crate::error::{Kind, Result};
use crate::link::ports::Finding;
use crate::model::{Table, TableName};
use crate::plan::{OuterKey, outer_key_warnings};

/// Packets below this many bytes refuse rows that applications commonly write.
const PACKET_BYTES_MIN: u64 = 16 << 20;

/// Settings that keep writes out, or lose them.
pub(super) fn settings(probe: &Probe<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |fatal, kind, message: &str, change: Change| {
        findings.push(probe.about_database(fatal, kind, message, change));
    };
    let set = |name, value| probe.managed.set(probe.session.flavor(), name, value, false);
    let on = |name| matches!(probe.setting(name).as_deref(), Some("ON" | "1"));
    let admitted =
        probe.has_right(&["SUPER", "READ_ONLY ADMIN", "READ ONLY ADMIN", "CONNECTION_ADMIN"]);
    if on("super_read_only") || (on("read_only") && !admitted) {
        let hint = "or, if it is a replica, point the database at its primary";
        // One that takes no writes of administrators still takes none of users without the other.
        let names = ["super_read_only", "read_only"];
        let mend = names.into_iter().filter(|name| on(name)).flat_map(|name| set(name, "OFF").0);
        let mend = mend.collect();
        find(true, Kind::ReadOnly, "the server is read-only", (mend, hint.to_owned()));
    }
    if on("log_bin") && probe.setting("binlog_format").as_deref() == Some("STATEMENT") {
        let message = "binlog_format is STATEMENT: it cannot log what weir writes";
        find(true, Kind::Setting, message, probe.set("binlog_format", "ROW"));
    }
    if probe.number("innodb_flush_log_at_trx_commit").is_some_and(|value| value != 1) {
        let message = "innodb_flush_log_at_trx_commit is not 1: the server can lose confirmed \
                       commits when it crashes";
        find(false, Kind::Setting, message, set("innodb_flush_log_at_trx_commit", "1"));
    }
    if on("log_bin") && probe.number("sync_binlog").is_some_and(|value| value != 1) {
        let message = "sync_binlog is not 1: the server can lose confirmed commits when its \
                       machine crashes";
        find(false, Kind::Setting, message, set("sync_binlog", "1"));
    }
    if let Some(bytes) =
        probe.number("max_allowed_packet").filter(|bytes| *bytes < PACKET_BYTES_MIN)
    {
        let message = format!("max_allowed_packet is {bytes} bytes: larger rows are refused");
        find(false, Kind::Setting, &message, set("max_allowed_packet", "67108864"));
    }
    findings
}

/// The tables that setup makes, and the rights on them.
pub(super) async fn weir_tables(probe: &mut Probe<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (table, columns) in [
        (
            "witness",
            "`name`, `link`, `part`, `installation`, `seq`, `position`, `restart`, `hops`, \
                     `pending`, `source_identity`, `target_identity`, `updated_at`",
        ),
        ("missed", "`id`, `name`, `link`, `table_name`, `key_values`, `reason`, `noted_at`"),
        ("dead_letter", letters::COLUMNS),
        ("snapshot", copies::COLUMNS),
        ("flagged", flags::COLUMNS),
    ] {
        let name = quote_table(&TableName::new("weir", table));
        let trials = [
            format!("SELECT {columns} FROM {name} LIMIT 0"),
            format!(
                "EXPLAIN INSERT INTO {name} ({columns}) SELECT {columns} FROM {name} WHERE 1 = 0"
            ),
            format!("EXPLAIN UPDATE {name} SET `link` = `link` WHERE 1 = 0"),
            format!("EXPLAIN DELETE FROM {name} WHERE 1 = 0"),
        ];
        for sql in trials {
            let (kind, message, change) = match probe
                .session
                .rows("look at weir's tables", &sql)
                .await
            {
                Ok(_) => continue,
                Err(error) if error.kind() == Kind::Mapping => (
                    Kind::Mapping,
                    format!("table weir.{table} is not there, or of another version"),
                    by_hand("run `weir setup --apply`"),
                ),
                Err(error) if error.kind() == Kind::Privilege => (
                    Kind::Privilege,
                    format!("user {} may not write weir.{table}", probe.preflight.database.user),
                    // Who has no right on it is not told whether it is there.
                    (
                        vec![format!(
                            "GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {}",
                            probe.account
                        )],
                        "if it is not there yet, `weir setup` prints what makes it".to_owned(),
                    ),
                ),
                Err(error) => return Err(error),
            };
            findings.push(probe.about_database(true, kind, message, change));
            break;
        }
    }
    Ok(findings)
}

/// Rights on the sequences of a table's defaults, tried by statements that take no number.
pub(super) async fn sequences(probe: &mut Probe<'_>, table: &Table) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for sequence in table.columns.iter().flat_map(|column| &column.sequences) {
        let sql = format!("EXPLAIN SELECT NEXTVAL({})", quote_table(sequence));
        match probe.session.rows("try a sequence", &sql).await {
            Err(error) if error.kind() == Kind::Privilege => {}
            // That it is gone since it was planned is the insert's to say.
            Err(error) if error.kind() == Kind::Mapping => continue,
            looked => {
                looked?;
                continue;
            }
        }
        let user = &probe.preflight.database.user;
        findings.push(Finding {
            fatal: true,
            kind: Kind::Privilege,
            subject: format!("table {}", table.name),
            message: format!("an insert uses sequence {sequence}, which user {user} may not"),
            hint: String::new(),
            mend: vec![grant_numbers(sequence, &probe.account)],
        });
    }
    Ok(findings)
}

/// Tables whose engine cannot roll back.
pub(super) async fn engines(probe: &mut Probe<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for table in probe.preflight.tables.iter().filter(|table| !table.transactional) {
        let sql = format!(
            "SELECT ENGINE FROM information_schema.TABLES WHERE {}",
            of_table("TABLE_SCHEMA", "TABLE_NAME", table)
        );
        let engine = probe.session.text("read a table's engine", &sql).await?.unwrap_or_default();
        findings.push(Finding {
            fatal: true,
            kind: Kind::Unsupported,
            subject: format!("table {}", table.name),
            message: format!("its engine {engine} has no transactions"),
            hint: String::new(),
            mend: vec![format!("ALTER TABLE {} ENGINE = InnoDB", quote_table(&table.name))],
        });
    }
    Ok(findings)
}

/// Triggers fire on what weir writes.
pub(super) async fn triggers(probe: &mut Probe<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for table in probe.preflight.tables {
        let sql = format!(
            "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE {} ORDER BY TRIGGER_NAME",
            of_table("EVENT_OBJECT_SCHEMA", "EVENT_OBJECT_TABLE", table)
        );
        let rows = probe.session.texts("read a table's triggers", &sql).await?;
        let names: Vec<String> =
            rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
        if names.is_empty() {
            continue;
        }
        findings.push(Finding {
            fatal: false,
            kind: Kind::Setting,
            subject: format!("table {}", table.name),
            message: format!("triggers fire on what weir writes: {}", names.join(", ")),
            hint: "drop them on the target if the source's triggers have done their work already"
                .to_owned(),
            mend: Vec::new(),
        });
    }
    Ok(findings)
}

/// Foreign keys between the link's tables and others, as far as the server shows the user those of
/// tables that it may not write.
pub(super) async fn outer_keys(probe: &mut Probe<'_>) -> Result<Vec<Finding>> {
    let sql = "SELECT CONSTRAINT_NAME, CONSTRAINT_SCHEMA, TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, \
               REFERENCED_TABLE_NAME, DELETE_RULE, UPDATE_RULE \
               FROM information_schema.REFERENTIAL_CONSTRAINTS \
               ORDER BY CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME";
    let rows = probe.session.texts("read the foreign keys", sql).await?;
    let keys = rows.into_iter().map(|row| {
        let mut fields = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || fields.next().unwrap_or_default();
        OuterKey {
            name: next(),
            child: TableName::new(next(), next()),
            parent: TableName::new(next(), next()),
            on_delete: rule(&next()),
            on_update: rule(&next()),
        }
    });
    Ok(outer_key_warnings(&keys.collect::<Vec<_>>(), probe.preflight.tables))
}

fn of_table(schema: &str, name: &str, table: &Table) -> String {
    let (of_schema, of_name) = (literal(&table.name.schema), literal(&table.name.table));
    format!("{schema} = {of_schema} AND {name} = {of_name}")
}
