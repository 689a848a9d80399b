//! Programs that are no servers: the servers' own clients, and pgloader, which the bench measures weir against.
//!
//! Looked for beside the server, on the machine and in the cache; what is nowhere is fetched from the archive as
//! servers are, and never installed. A folder of the cache holds one package with its libraries.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache::{Lock, cache_dir};
use super::unpack::{self, Started};
use super::{apt, closure, install, source};
use crate::sandbox::account::Account;
use crate::sandbox::{Error, Kind, Result, Server};

/// A program that reads or fills a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Of PostgreSQL.
    Psql,
    /// The client of MySQL.
    Mysql,
    /// The dump of MySQL.
    MysqlDump,
    /// The client of MariaDB.
    MariaDb,
    /// The dump of MariaDB.
    MariaDbDump,
    /// Copies MySQL and MariaDB to PostgreSQL.
    Pgloader,
}

impl Tool {
    /// Where the program is; it is downloaded first if need be. Blocking: seconds when it downloads.
    pub fn find(self) -> Result<PathBuf> {
        if let Some(server) = self.server()
            && let Some(found) = self.beside(install(server)?.bin())
        {
            return Ok(found);
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_machine = std::env::split_paths(&path).map(|directory| directory.join(self.name()));
        if let Some(found) = on_machine.into_iter().find(|program| program.is_file()) {
            return Ok(found);
        }
        self.fetched()
    }

    /// A command that runs the program where it is found.
    pub fn command(self) -> Result<Command> {
        let program = self.find()?;
        let mut command = Command::new(&program);
        // Its libraries lie beside it where it was unpacked and is started as it is.
        if self.started() == Started::Directly
            && let Some(root) = program.ancestors().nth(3)
            && root
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(self.package()))
        {
            let machine = format!("{}-linux-gnu", std::env::consts::ARCH);
            command.env("LD_LIBRARY_PATH", root.join("usr/lib").join(machine));
        }
        Ok(command)
    }

    /// The name of the program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Psql => "psql",
            Self::Mysql => "mysql",
            Self::MysqlDump => "mysqldump",
            Self::MariaDb => "mariadb",
            Self::MariaDbDump => "mariadb-dump",
            Self::Pgloader => "pgloader",
        }
    }

    /// The server whose packages may hold it.
    fn server(self) -> Option<Server> {
        match self {
            Self::Psql => Some(Server::Postgres18),
            Self::Mysql | Self::MysqlDump => Some(Server::MySql97),
            Self::MariaDb | Self::MariaDbDump => Some(Server::MariaDb1011),
            Self::Pgloader => None,
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Psql => "postgresql-client-18",
            Self::Mysql | Self::MysqlDump => "mysql-client-core",
            Self::MariaDb => "mariadb-client-core",
            Self::MariaDbDump => "mariadb-client",
            Self::Pgloader => "pgloader",
        }
    }

    fn suite(self) -> &'static str {
        self.server().map_or("bookworm", Server::suite)
    }

    fn started(self) -> Started {
        match self {
            Self::Pgloader => Started::Directly,
            _ => Started::ByLoader,
        }
    }

    /// Packages of what is started by the machine's own loader are without its C library.
    fn packages(self, archive: &apt::Archive) -> Result<Vec<String>> {
        match self.started() {
            Started::ByLoader => closure::of(archive, &[self.package()]),
            Started::Directly => Ok([self.package(), "libsybdb5"].map(str::to_owned).to_vec()),
        }
    }

    /// The program in a directory, or in the one for people's programs beside it.
    fn beside(self, bin: &Path) -> Option<PathBuf> {
        let people = bin.with_file_name("bin");
        let mut places = [bin, people.as_path()].into_iter().map(|place| place.join(self.name()));
        places.find(|program| program.is_file())
    }

    fn fetched(self) -> Result<PathBuf> {
        let cache = cache_dir(Account::current())?;
        let tools = cache.join("tools");
        let _lock = Lock::take(&cache, self.package())?;
        if let Some(found) = self.in_cache(&tools) {
            return Ok(found);
        }
        source::require_debian()?;
        let archive = apt::Archive::open(&cache, self.suite())?;
        let packages = self.packages(&archive)?;
        let fetched = archive.download(&packages, self.name(), &tools)?;
        let folder = tools.join(format!("{}-{}", self.package(), fetched.version));
        super::create(&tools)?;
        unpack::unpack(fetched, &folder, self.started())?;
        archive.trim()?;
        self.in_cache(&tools).ok_or_else(|| {
            Error::new(Kind::Unavailable, format!("{} was unpacked without it", self.package()))
        })
    }

    fn in_cache(self, tools: &Path) -> Option<PathBuf> {
        let prefix = format!("{}-", self.package());
        let folders = std::fs::read_dir(tools).ok()?.flatten();
        let ours = |name: &str| {
            let version = name.strip_prefix(&prefix);
            version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        };
        let mut places = folders
            .filter(|entry| ours(&entry.file_name().to_string_lossy()))
            .map(|entry| entry.path().join("usr/bin").join(self.name()));
        places.find(|program| program.is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if the folder of one package were taken for that of another whose name begins like it.
    #[test]
    fn a_tool_is_looked_for_in_its_own_package() {
        let tools = tempfile::tempdir().expect("a directory");
        for folder in ["mariadb-client-core-10.11", "mariadb-client-10.11"] {
            let bin = tools.path().join(folder).join("usr/bin");
            std::fs::create_dir_all(&bin).expect("a folder");
            for tool in [Tool::MariaDb, Tool::MariaDbDump] {
                std::fs::write(bin.join(tool.name()), "").expect("a program");
            }
        }
        for (tool, folder) in [
            (Tool::MariaDb, "mariadb-client-core-10.11"),
            (Tool::MariaDbDump, "mariadb-client-10.11"),
        ] {
            let found = tool.in_cache(tools.path());
            let wanted = tools.path().join(folder).join("usr/bin").join(tool.name());
            assert_eq!(found.as_deref(), Some(wanted.as_path()));
        }
        assert_eq!(Tool::Pgloader.in_cache(tools.path()), None);
    }
}
