//! The servers the sandbox knows: names, programs, packages, and which versions count as the right one.
//!
//! A table in code: adding a server means adding a variant and filling every match. Versions are those of the
//! project's promise; a server that the operator names through the environment is taken as it is.

use std::fmt;

/// One kind of throw-away server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Server {
    /// PostgreSQL 15 (Debian 12).
    Postgres15,
    /// PostgreSQL 18 (Debian sid).
    Postgres18,
    /// MariaDB 10.11 (Debian 12).
    MariaDb1011,
    /// MySQL 9.7 (Debian sid).
    MySql97,
}

impl Server {
    /// Every server, in the order they are listed to people.
    pub const ALL: [Self; 4] =
        [Self::Postgres15, Self::Postgres18, Self::MariaDb1011, Self::MySql97];

    /// Whether it speaks the PostgreSQL protocol.
    pub fn is_postgres(self) -> bool {
        matches!(self, Self::Postgres15 | Self::Postgres18)
    }

    /// Whether it is MariaDB, which differs from MySQL in set-up and in GTIDs.
    pub fn is_mariadb(self) -> bool {
        self == Self::MariaDb1011
    }

    /// Scheme of its connection URL.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Postgres15 | Self::Postgres18 => "postgres",
            Self::MariaDb1011 => "mariadb",
            Self::MySql97 => "mysql",
        }
    }

    /// Short name used in directory names, without the version that runs.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Postgres15 => "postgresql-15",
            Self::Postgres18 => "postgresql-18",
            Self::MariaDb1011 => "mariadb",
            Self::MySql97 => "mysql",
        }
    }

    /// Environment variable naming the directory that holds the server's programs.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Postgres15 => "WEIR_POSTGRES15_BIN",
            Self::Postgres18 => "WEIR_POSTGRES18_BIN",
            Self::MariaDb1011 => "WEIR_MARIADB_BIN",
            Self::MySql97 => "WEIR_MYSQL_BIN",
        }
    }

    /// The superuser of a fresh server.
    pub fn superuser(self) -> &'static str {
        if self.is_postgres() { "postgres" } else { "root" }
    }

    /// Names the server program may have, best first.
    pub(crate) fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Postgres15 | Self::Postgres18 => &["postgres"],
            Self::MariaDb1011 => &["mariadbd", "mysqld"],
            Self::MySql97 => &["mysqld"],
        }
    }

    /// Debian suite that carries it.
    pub(crate) fn suite(self) -> &'static str {
        match self {
            Self::Postgres15 | Self::MariaDb1011 => "bookworm",
            Self::Postgres18 | Self::MySql97 => "sid",
        }
    }

    /// Debian packages that make it run; the first one's version is the server's. Libraries are found from them.
    pub(crate) fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Postgres15 => &["postgresql-15", "postgresql-client-15"],
            Self::Postgres18 => &["postgresql-18", "postgresql-client-18"],
            // mariadb-server is unpacked for the SQL that makes the system tables; its scripts never run.
            Self::MariaDb1011 => &["mariadb-server-core", "mariadb-server"],
            Self::MySql97 => &["mysql-server-core", "mysql-client-core"],
        }
    }

    /// Directories where distributions put the programs, beside PATH.
    pub(crate) fn usual_places(self) -> &'static [&'static str] {
        match self {
            Self::Postgres15 => &[
                "/usr/lib/postgresql/15/bin",
                "/usr/pgsql-15/bin",
                "/usr/local/pgsql/bin",
                "/opt/homebrew/opt/postgresql@15/bin",
            ],
            Self::Postgres18 => &[
                "/usr/lib/postgresql/18/bin",
                "/usr/pgsql-18/bin",
                "/usr/local/pgsql/bin",
                "/opt/homebrew/opt/postgresql@18/bin",
            ],
            Self::MariaDb1011 => &[
                "/usr/sbin",
                "/usr/libexec",
                "/usr/local/sbin",
                "/opt/homebrew/opt/mariadb@10.11/bin",
            ],
            Self::MySql97 => &[
                "/usr/sbin",
                "/usr/libexec",
                "/usr/local/mysql/bin",
                "/opt/homebrew/opt/mysql/bin",
            ],
        }
    }

    /// Whether the text of `program --version` names the version this variant stands for.
    pub(crate) fn accepts(self, banner: &str) -> bool {
        let Some(version) = version_of(banner) else { return false };
        let mariadb = banner.contains("MariaDB");
        match self {
            Self::Postgres15 => banner.contains("PostgreSQL") && version.starts_with("15"),
            Self::Postgres18 => banner.contains("PostgreSQL") && version.starts_with("18"),
            Self::MariaDb1011 => mariadb && version.starts_with("10.11."),
            Self::MySql97 => !mariadb && version.starts_with("9."),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres15 => "PostgreSQL 15",
            Self::Postgres18 => "PostgreSQL 18",
            Self::MariaDb1011 => "MariaDB 10.11",
            Self::MySql97 => "MySQL 9.7",
        })
    }
}

/// The version in the text of `program --version`: the first word that starts with a digit.
pub(crate) fn version_of(banner: &str) -> Option<&str> {
    banner.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PG: &str = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)";
    const MARIA: &str = "/usr/sbin/mariadbd  Ver 10.11.18-MariaDB-0+deb12u1 for debian-linux-gnu";
    const MYSQL: &str = "/usr/sbin/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))";

    #[test]
    fn the_version_is_read_from_every_banner() {
        assert_eq!(version_of(PG), Some("15.18"));
        assert_eq!(version_of(MARIA), Some("10.11.18-MariaDB-0+deb12u1"));
        assert_eq!(version_of(MYSQL), Some("9.7.4-2"));
        assert_eq!(version_of("nothing"), None);
    }

    #[test]
    fn a_server_of_another_version_or_brand_is_not_taken() {
        for (server, banner) in
            [(Server::Postgres15, PG), (Server::MariaDb1011, MARIA), (Server::MySql97, MYSQL)]
        {
            for other in Server::ALL {
                assert_eq!(other.accepts(banner), other == server, "{other} and {banner}");
            }
        }
    }
}
