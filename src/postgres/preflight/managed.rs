//! Whose server it is: a service that manages PostgreSQL has names of its own for settings and
//! rights, and takes no `ALTER SYSTEM`.
//!
//! Pure: what a server shows goes in, words and statements come out.
//! Sources: manuals of Amazon RDS and Aurora ("Logical replication"), Cloud SQL ("Database flags"),
//! Azure Database for PostgreSQL ("Logical replication").

/// Who manages a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Managed {
    /// Its own administrator.
    Own,
    /// Amazon RDS or Aurora.
    Rds,
    /// Google Cloud SQL.
    CloudSql,
    /// Azure Database for PostgreSQL.
    Azure,
}

/// Roles that only one service makes.
const ROLES: [(&str, Managed); 4] = [
    ("rds_superuser", Managed::Rds),
    ("rds_replication", Managed::Rds),
    ("cloudsqlsuperuser", Managed::CloudSql),
    ("azure_pg_admin", Managed::Azure),
];

/// Statements that change something, and what else to do, in words.
pub(super) type Change = (Vec<String>, String);

impl Managed {
    /// Who manages a server with these roles.
    pub(super) fn by_roles(roles: &[String]) -> Managed {
        let known = ROLES.iter().find(|(name, _)| roles.iter().any(|role| role == name));
        known.map_or(Managed::Own, |(_, managed)| *managed)
    }

    /// The roles to look for.
    pub(super) fn roles() -> Vec<&'static str> {
        ROLES.iter().map(|(name, _)| *name).collect()
    }

    /// How a setting of the whole server is changed; `restart` where it takes effect only then.
    pub(super) fn set(self, name: &str, value: &str, restart: bool) -> Change {
        let after = if restart { ", then restart it" } else { "" };
        let (name, value) = match (self, name) {
            (Managed::Rds, "wal_level") => ("rds.logical_replication", "1"),
            (Managed::CloudSql, "wal_level") => ("cloudsql.logical_decoding", "on"),
            _ => (name, value),
        };
        match self {
            Managed::Own => {
                let set = format!("ALTER SYSTEM SET {name} = '{value}'");
                match restart {
                    true => (vec![set], "then restart the server".to_owned()),
                    false => (vec![set, RELOAD.to_owned()], String::new()),
                }
            }
            Managed::Rds => {
                let reboot = if restart { ", then reboot the instance" } else { "" };
                let group = "in the instance's parameter group (Aurora: the cluster's)";
                (Vec::new(), format!("set {name} = {value} {group}{reboot}"))
            }
            Managed::CloudSql => {
                (Vec::new(), format!("set the flag {name} = {value} of the instance{after}"))
            }
            Managed::Azure => {
                let old = match name {
                    "wal_level" => " (single server: azure.replication_support = logical)",
                    _ => "",
                };
                (Vec::new(), format!("set {name} = {value} in the server parameters{old}{after}"))
            }
        }
    }

    /// How a role is given the right to replicate.
    pub(super) fn let_replicate(self, role: &str) -> String {
        match self {
            Managed::Rds => format!("GRANT rds_replication TO {role}"),
            _ => format!("ALTER ROLE {role} REPLICATION"),
        }
    }
}

const RELOAD: &str = "SELECT pg_reload_conf()";

#[cfg(test)]
mod tests {
    use super::*;

    fn managed(role: &str) -> Managed {
        Managed::by_roles(&["postgres".to_owned(), role.to_owned()])
    }

    /// Broken if the operator of a managed server were told a statement that its service refuses.
    #[test]
    fn each_service_has_its_own_name_for_a_setting() {
        assert_eq!(managed("weir"), Managed::Own);
        for (role, wal_level) in [
            ("rds_superuser", "rds.logical_replication = 1"),
            ("cloudsqlsuperuser", "cloudsql.logical_decoding = on"),
            ("azure_pg_admin", "azure.replication_support = logical"),
        ] {
            let (statements, words) = managed(role).set("wal_level", "logical", true);
            assert!(statements.is_empty() && words.contains(wal_level), "{words}");
            assert!(words.contains("restart") || words.contains("reboot"), "{words}");
        }
        let (statements, words) = managed("rds_superuser").set("max_wal_senders", "20", false);
        assert!(statements.is_empty() && words.starts_with("set max_wal_senders = 20"), "{words}");
    }

    /// Broken if the administrator of an own server had to look up how a setting is changed.
    #[test]
    fn an_own_server_takes_statements() {
        let (statements, words) = Managed::Own.set("wal_level", "logical", true);
        assert_eq!(statements, ["ALTER SYSTEM SET wal_level = 'logical'"]);
        assert_eq!(words, "then restart the server");
        let (statements, words) = Managed::Own.set("fsync", "on", false);
        assert_eq!(statements, ["ALTER SYSTEM SET fsync = 'on'", RELOAD]);
        assert_eq!(words, "");
    }

    /// Broken if a role were to be given an attribute that its service does not let anybody give.
    #[test]
    fn replication_is_granted_as_the_service_does() {
        assert_eq!(managed("rds_replication").let_replicate("w"), "GRANT rds_replication TO w");
        assert_eq!(Managed::Azure.let_replicate("w"), "ALTER ROLE w REPLICATION");
    }
}
