//! Whose server it is: a service that manages MySQL or MariaDB has names of its own for settings,
//! and takes no `SET PERSIST` and no `SET GLOBAL`.
//!
//! Pure: what a server shows goes in, words and statements come out.
//! Sources: manuals of Amazon RDS and Aurora ("Configuring binary logging"), Cloud SQL ("Database
//! flags"), Azure Database for MySQL ("Server parameters").

use std::collections::HashMap;

use super::super::session::Flavor;

/// Who manages a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Managed {
    /// Its own administrator.
    Own,
    /// Amazon RDS.
    Rds,
    /// Amazon Aurora.
    Aurora,
    /// Google Cloud SQL.
    CloudSql,
    /// Azure Database for MySQL.
    Azure,
}

/// Settings that tell who manages a server; those it does not have are absent.
pub(super) const TELLING: [&str; 4] = ["aurora_version", "basedir", "version", "version_comment"];

/// Statements that change something, and what else to do, in words.
pub(super) type Change = (Vec<String>, String);

impl Managed {
    /// Who manages a server with these settings.
    pub(super) fn by_settings(settings: &HashMap<String, String>) -> Managed {
        let holds = |name: &str, part: &str| {
            settings.get(name).is_some_and(|value| value.to_lowercase().contains(part))
        };
        match () {
            () if settings.contains_key("aurora_version") => Managed::Aurora,
            () if holds("basedir", "/rdsdbbin/") => Managed::Rds,
            () if holds("version", "-google") || holds("version_comment", "(google)") => {
                Managed::CloudSql
            }
            () if holds("version", "-azure") => Managed::Azure,
            () => Managed::Own,
        }
    }

    /// How a setting of the whole server is changed for good; `restart` where the server takes it
    /// only when it starts.
    pub(super) fn set(self, flavor: Flavor, name: &str, value: &str, restart: bool) -> Change {
        let then = if restart { ", then restart the server" } else { "" };
        let place = match self {
            Managed::Own => return own(flavor, name, value, restart),
            Managed::Rds => "in the instance's parameter group",
            Managed::Aurora => "in the cluster's parameter group",
            Managed::CloudSql => "as a flag of the instance",
            Managed::Azure => "in the server parameters",
        };
        (Vec::new(), format!("set {name} = {value} {place}{then}"))
    }

    /// How the binary log is switched on.
    pub(super) fn switch_log_on(self) -> &'static str {
        match self {
            Managed::Own => "write log_bin into the server's settings and restart it",
            Managed::Rds => "turn automated backups of the instance on: they bring the binary log",
            Managed::Aurora => {
                "set binlog_format = ROW in the cluster's parameter group and reboot the writer"
            }
            Managed::CloudSql => "turn point-in-time recovery of the instance on",
            Managed::Azure => "set log_bin = ON in the server parameters and restart the server",
        }
    }

    /// How binary logs are kept for `hours`.
    pub(super) fn keep_logs(self, flavor: Flavor, hours: u64) -> Change {
        match self {
            Managed::Rds | Managed::Aurora => (
                vec![format!(
                    "CALL mysql.rds_set_configuration('binlog retention hours', {hours})"
                )],
                String::new(),
            ),
            _ => {
                let seconds = hours.saturating_mul(3600).to_string();
                self.set(flavor, "binlog_expire_logs_seconds", &seconds, false)
            }
        }
    }
}

fn own(flavor: Flavor, name: &str, value: &str, restart: bool) -> Change {
    match (flavor, restart) {
        (Flavor::Mysql, false) => (vec![format!("SET PERSIST {name} = {value}")], String::new()),
        (Flavor::Mysql, true) => {
            let set = vec![format!("SET PERSIST_ONLY {name} = {value}")];
            (set, "then restart the server".to_owned())
        }
        (Flavor::Mariadb, false) => (
            vec![format!("SET GLOBAL {name} = {value}")],
            format!("and put {name} = {value} into the server's settings, for its next start"),
        ),
        (Flavor::Mariadb, true) => (
            Vec::new(),
            format!("write {name} = {value} into the server's settings and restart it"),
        ),
    }
}

/// The hours of `binlog retention hours` in the answer to `CALL mysql.rds_show_configuration`, whose
/// columns begin with name and value: `None` where it is not set, and logs go as soon as they can.
pub(super) fn rds_retention_hours(answer: &[Vec<Option<String>>]) -> Option<u64> {
    let row = answer.iter().find(|row| {
        row.first().is_some_and(|name| name.as_deref() == Some("binlog retention hours"))
    })?;
    row.get(1)?.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn managed(name: &str, value: &str) -> Managed {
        Managed::by_settings(&HashMap::from([(name.to_owned(), value.to_owned())]))
    }

    /// Broken if the operator of a managed server were told a statement that its service refuses.
    #[test]
    fn each_service_has_its_own_place_for_a_setting() {
        assert_eq!(managed("version", "9.7.4"), Managed::Own);
        for (name, value, place) in [
            ("basedir", "/rdsdbbin/mysql-8.0.40.R2/", "instance's parameter group"),
            ("aurora_version", "3.08.0", "cluster's parameter group"),
            ("version", "8.0.37-google", "flag of the instance"),
            ("version_comment", "(Google)", "flag of the instance"),
            ("version", "8.0.40-azure", "server parameters"),
        ] {
            let found = managed(name, value);
            let (statements, words) = found.set(Flavor::Mysql, "gtid_mode", "ON", true);
            assert!(statements.is_empty() && words.contains(place), "{words}");
            assert!(!found.switch_log_on().contains("write log_bin"), "{value}");
        }
        let (statements, _) = Managed::Rds.keep_logs(Flavor::Mysql, 72);
        assert_eq!(statements, ["CALL mysql.rds_set_configuration('binlog retention hours', 72)"]);
        let (statements, _) = Managed::Own.keep_logs(Flavor::Mysql, 72);
        assert_eq!(statements, ["SET PERSIST binlog_expire_logs_seconds = 259200"]);
    }

    /// Broken if RDS's own retention, which purges at once unless it is set, were misread.
    #[test]
    fn retention_of_rds_is_read() {
        let row = |name: &str, value: Option<&str>| {
            vec![Some(name.to_owned()), value.map(str::to_owned), Some("words".to_owned())]
        };
        let others = row("target delay", Some("0"));
        for (value, expected) in [(Some("72"), Some(72)), (None, None), (Some("x"), None)] {
            let answer = [others.clone(), row("binlog retention hours", value)];
            assert_eq!(rds_retention_hours(&answer), expected);
        }
        assert_eq!(rds_retention_hours(&[vec![], others]), None);
    }
}
