//! Everything that would keep a MySQL or MariaDB database from being a source or a target, found
//! before a link starts and said with the statement or setting that mends it.
//!
//! Reads settings and catalogs, and tries rights by `EXPLAIN`, which changes nothing; so roles and
//! rights on whole databases count too. Whether tables fit together and whether a match key lies in
//! the row image is the planner's to judge. A failing connection is an error, not a finding.

mod limits;
mod managed;
mod source;
mod target;

use std::collections::{BTreeSet, HashMap, HashSet};

use self::managed::{Change, Managed};
use super::catalog::hidden_from;
use super::session::{self, Flavor, Role, Session};
use super::setup::{self, account_of, current_user};
use super::sql::{literal, quote, quote_table};
use crate::error::{Kind, Result};
use crate::link::ports::{Finding, Preflight};
use crate::model::Table;

/// What would keep the database from being read.
///
/// # Errors
/// Whatever keeps the checks themselves from being done.
pub async fn check_source(preflight: Preflight<'_>) -> Result<Vec<Finding>> {
    let mut probe = Probe::connect(preflight, Role::Source).await?;
    let mut findings = source::settings(&probe);
    let looked = async {
        findings.extend(source::purged_by_size(&probe));
        findings.extend(source::retention(&mut probe).await?);
        findings.extend(source::rights(&mut probe).await?);
        findings.extend(source::log_filters(&mut probe).await?);
        findings.extend(source::replica(&mut probe).await?);
        findings.extend(probe.hidden_tables().await?);
        for table in preflight.tables {
            findings.extend(probe.table_rights(table, &["SELECT"]).await?);
        }
        findings.extend(limits::look(&mut probe).await?);
        Ok(())
    };
    let looked = looked.await;
    probe.conclude(findings, looked)
}

/// What would keep the database from being written.
///
/// # Errors
/// Whatever keeps the checks themselves from being done.
pub async fn check_target(preflight: Preflight<'_>) -> Result<Vec<Finding>> {
    let mut probe = Probe::connect(preflight, Role::Target).await?;
    let mut findings = target::settings(&probe);
    let looked = async {
        findings.extend(target::weir_tables(&mut probe).await?);
        findings.extend(target::engines(&mut probe).await?);
        findings.extend(target::triggers(&mut probe).await?);
        findings.extend(probe.hidden_tables().await?);
        findings.extend(target::outer_keys(&mut probe).await?);
        for table in preflight.tables {
            let unusable = target::sequences(&mut probe, table).await?;
            // Without these no insert is let try.
            let rights: &[_] = match unusable.is_empty() {
                true => &["SELECT", "INSERT", "UPDATE", "DELETE"],
                false => &["SELECT", "UPDATE", "DELETE"],
            };
            findings.extend(unusable);
            findings.extend(probe.table_rights(table, rights).await?);
        }
        findings.extend(limits::look(&mut probe).await?);
        Ok(())
    };
    let looked = looked.await;
    probe.conclude(findings, looked)
}

/// Settings that the checks look at; those a server does not have are simply absent.
const SETTINGS: &[&str] = &[
    "log_bin",
    "binlog_format",
    "binlog_row_image",
    "binlog_row_metadata",
    "binlog_expire_logs_seconds",
    "expire_logs_days",
    "gtid_mode",
    "enforce_gtid_consistency",
    "server_id",
    "log_replica_updates",
    "log_slave_updates",
    "read_only",
    "super_read_only",
    "innodb_flush_log_at_trx_commit",
    "sync_binlog",
    "max_allowed_packet",
    "max_connections",
    "max_binlog_total_size",
    "binlog_space_limit",
];

/// A session that looks.
struct Probe<'a> {
    session: Session,
    preflight: Preflight<'a>,
    managed: Managed,
    settings: HashMap<String, String>,
    /// Rights on the whole server, as `SHOW GRANTS` spells them.
    global_rights: HashSet<String>,
    /// The account as grants name it.
    account: String,
}

impl<'a> Probe<'a> {
    async fn connect(preflight: Preflight<'a>, role: Role) -> Result<Self> {
        let mut session = session::connect(preflight.database, "weir check", role).await?;
        // Some looks lock tables as readers do, and would wait behind whoever alters one.
        session.run("prepare the session", "SET SESSION lock_wait_timeout = 10").await?;
        let names = SETTINGS.iter().chain(&managed::TELLING);
        let names: Vec<String> = names.map(|name| literal(name)).collect();
        let sql = format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({})", names.join(", "));
        let mut settings = HashMap::new();
        for row in session.texts("read the server's settings", &sql).await? {
            if let [Some(name), value] = row.as_slice() {
                settings.insert(name.to_lowercase(), value.clone().unwrap_or_default());
            }
        }
        let global_rights = global_rights(&mut session).await?;
        let current = current_user(&mut session).await?;
        let account = account_of(&preflight.database.user, current);
        let managed = Managed::by_settings(&settings);
        Ok(Probe { session, preflight, managed, settings, global_rights, account })
    }

    /// A setting in upper case; `None` where the server does not have it.
    fn setting(&self, name: &str) -> Option<String> {
        self.settings.get(name).map(|value| value.to_uppercase())
    }

    fn number(&self, name: &str) -> Option<u64> {
        let value = self.settings.get(name)?;
        value.split('.').next()?.parse().ok()
    }

    fn has_right(&self, names: &[&str]) -> bool {
        names.iter().chain(&["ALL PRIVILEGES"]).any(|name| self.global_rights.contains(*name))
    }

    /// What was found before the looking failed is worth more than the failure alone, and often is
    /// its reason: a read-only server refuses the trials too.
    fn conclude(&self, mut findings: Vec<Finding>, looked: Result<()>) -> Result<Vec<Finding>> {
        match looked {
            Err(error) if findings.is_empty() => return Err(error),
            Err(error) if findings.iter().all(|one| !one.fatal || one.kind != error.kind()) => {
                let change = by_hand(error.operator_hint());
                findings.push(self.about_database(true, error.kind(), error.chain(), change));
            }
            Err(_) | Ok(()) => {}
        }
        Ok(findings)
    }

    /// A finding about the database.
    fn about_database(
        &self,
        fatal: bool,
        kind: Kind,
        message: impl Into<String>,
        (mend, hint): Change,
    ) -> Finding {
        let subject = format!("database {}", self.preflight.database.name);
        Finding { fatal, kind, subject, message: message.into(), hint, mend }
    }

    /// How a setting that sessions take over is changed for good.
    fn set(&self, name: &str, value: &str) -> Change {
        let (mend, mut hint) = self.managed.set(self.session.flavor(), name, value, false);
        if !hint.is_empty() {
            hint.push_str("; ");
        }
        hint.push_str("sessions of applications take it over when they reconnect");
        (mend, hint)
    }

    /// Schemas of which the user sees only those tables that it has a right on. One that is added
    /// could not be set up, and a review of what it halts would pass over it: nobody is told of it.
    async fn hidden_tables(&mut self) -> Result<Option<Finding>> {
        let names = self.preflight.tables.iter().map(|table| table.name.schema.as_str());
        let schemas: Vec<&str> = names.collect::<BTreeSet<_>>().into_iter().collect();
        let hidden = hidden_from(&mut self.session, &schemas).await?;
        if hidden.is_empty() {
            return Ok(None);
        }
        let user = &self.preflight.database.user;
        let message =
            format!("user {user} does not see tables that are added to {}", hidden.join(", "));
        let mend = setup::entry(self.preflight.database, &self.account, &hidden);
        let change = (mend, String::new());
        Ok(Some(self.about_database(true, Kind::Privilege, message, change)))
    }

    /// Which of `rights` on a table the user lacks.
    async fn table_rights(&mut self, table: &Table, rights: &[&str]) -> Result<Vec<Finding>> {
        let mut missing = Vec::new();
        for right in rights {
            let Some(sql) = trial(table, right) else { continue };
            let what = format!("try whether {right} on {} is allowed", table.name);
            match self.session.rows(&what, &sql).await {
                Err(error) if error.kind() == Kind::Privilege => missing.push(*right),
                // That the table is gone since it was planned is the planner's to say.
                Err(error) if error.kind() == Kind::Mapping => return Ok(Vec::new()),
                outcome => drop(outcome?),
            }
        }
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let missing = missing.join(", ");
        let (user, account) = (&self.preflight.database.user, &self.account);
        Ok(vec![Finding {
            fatal: true,
            kind: Kind::Privilege,
            subject: format!("table {}", table.name),
            message: format!("user {user} may not {missing}"),
            hint: String::new(),
            mend: vec![format!("GRANT {missing} ON {} TO {account}", quote_table(&table.name))],
        }])
    }
}

/// What to do where no statement helps.
fn by_hand(hint: &str) -> Change {
    (Vec::new(), hint.to_owned())
}

/// A statement that mends all of it.
fn by(statement: impl Into<String>) -> Change {
    (vec![statement.into()], String::new())
}

/// A statement that needs a right on every column and does nothing.
fn trial(table: &Table, right: &str) -> Option<String> {
    let name = quote_table(&table.name);
    let written = table.columns.iter().filter(|column| !column.generated);
    let columns: Vec<String> = written.map(|column| quote(&column.name)).collect();
    if columns.is_empty() {
        return None;
    }
    let list = columns.join(", ");
    Some(match right {
        "SELECT" => format!("SELECT {list} FROM {name} LIMIT 0"),
        "INSERT" => {
            format!("EXPLAIN INSERT INTO {name} ({list}) SELECT {list} FROM {name} WHERE 1 = 0")
        }
        "UPDATE" => {
            let sets: Vec<String> =
                columns.iter().map(|column| format!("{column} = {column}")).collect();
            format!("EXPLAIN UPDATE {name} SET {} WHERE 1 = 0", sets.join(", "))
        }
        "DELETE" => format!("EXPLAIN DELETE FROM {name} WHERE 1 = 0"),
        _ => return None,
    })
}

/// Rights on `*.*`, those of active roles included.
async fn global_rights(session: &mut Session) -> Result<HashSet<String>> {
    const WHAT: &str = "read the user's grants";
    let roles = session.text(WHAT, "SELECT CURRENT_ROLE()").await?;
    let using = match (session.flavor(), roles) {
        (Flavor::Mysql, Some(roles)) if roles != "NONE" => {
            format!(" FOR CURRENT_USER() USING {roles}")
        }
        _ => String::new(),
    };
    let mut rights = HashSet::new();
    for row in session.texts(WHAT, &format!("SHOW GRANTS{using}")).await? {
        if let Some(Some(grant)) = row.first() {
            rights.extend(rights_on_server(grant));
        }
    }
    Ok(rights)
}

/// The rights of one line of `SHOW GRANTS`, where they are on the whole server.
fn rights_on_server(grant: &str) -> Vec<String> {
    let listed = grant.strip_prefix("GRANT ").and_then(|rest| rest.split_once(" ON *.* TO "));
    listed.map_or(Vec::new(), |(rights, _)| {
        rights.split(',').map(|right| right.trim().to_owned()).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if rights on one table counted for the server, or a right on it were overlooked.
    #[test]
    fn rights_on_the_server_are_told_from_rights_on_tables() {
        let grant = "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `weir`@`%`";
        assert_eq!(rights_on_server(grant), ["REPLICATION SLAVE", "BINLOG MONITOR"]);
        assert!(rights_on_server("GRANT SELECT ON `a`.* TO `weir`@`%`").is_empty());
        assert!(rights_on_server("GRANT `role`@`%` TO `weir`@`%`").is_empty());
    }
}
