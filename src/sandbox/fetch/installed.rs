//! A server whose programs are on this machine, and where its other parts lie.
//!
//! Distributions and tarballs differ in the place of MySQL's message files and plugins; they are looked for once,
//! beside the program. PostgreSQL finds its own parts relative to its program.

use std::path::{Path, PathBuf};

use crate::sandbox::Server;

/// A server that can be started.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Which server it is.
    pub server: Server,
    /// Its version as it names it itself.
    pub version: String,
    /// The server program.
    pub program: PathBuf,
}

impl Installed {
    /// Directory of the server program.
    pub fn bin(&self) -> &Path {
        self.program.parent().unwrap_or(Path::new("/"))
    }

    /// Another program of the same directory.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.bin().join(name)
    }

    /// Directory above the program's, MySQL's `basedir`.
    pub(crate) fn base(&self) -> PathBuf {
        self.bin().parent().unwrap_or(Path::new("/")).to_owned()
    }

    /// Directory of MySQL's message files and set-up SQL.
    pub(crate) fn share(&self) -> Option<PathBuf> {
        let base = self.base();
        ["share/mysql", "share/mariadb", "share"]
            .iter()
            .map(|name| base.join(name))
            .find(|path| path.join("english/errmsg.sys").is_file())
    }

    /// Directory of MySQL's plugins.
    pub(crate) fn plugins(&self) -> Option<PathBuf> {
        let base = self.base();
        ["lib/mysql/plugin", "lib/plugin", "lib64/mysql/plugin", "lib/mariadb/plugin"]
            .iter()
            .map(|name| base.join(name))
            .find(|path| path.is_dir())
    }

    /// Version in a form that can be part of a file name.
    pub(crate) fn slug(&self) -> String {
        let version: String = self
            .version
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "._+-".contains(c) { c } else { '_' })
            .collect();
        format!("{}-{version}", self.server.slug())
    }
}
