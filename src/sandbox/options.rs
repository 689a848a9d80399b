//! What a caller may choose about a throw-away server.
//!
//! Everything has a default that suits a test: fast rather than durable, a generated password, a fresh directory and
//! an empty database called `app`. Settings are given in the server's own words and win over the sandbox's.

use std::path::PathBuf;

/// Choices for one server; see the builder methods.
#[derive(Debug, Clone)]
pub struct Options {
    /// Server settings in the server's own words; they win over the sandbox's.
    pub settings: Vec<(String, String)>,
    /// Files of the caller beside the server's configuration, readable by the server only, by name. They win over
    /// files of the same name that the sandbox writes.
    pub files: Vec<(String, String)>,
    /// Flush to disk as a production server would. Without it a kill of the server still keeps every commit, a
    /// power cut may not.
    pub durable: bool,
    /// Password of the superuser; generated when not given.
    pub password: Option<String>,
    /// A data directory to use and to keep; without it a fresh one is made and removed. As root it must be in a
    /// place the user `nobody` can reach.
    pub data_dir: Option<PathBuf>,
    /// Database that is created and that `url()` names.
    pub database: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: Vec::new(),
            files: Vec::new(),
            durable: false,
            password: None,
            data_dir: None,
            database: "app".to_owned(),
        }
    }
}

impl Options {
    /// Adds a server setting, in the server's own words; `{dir}` in its value is the directory of [`Options::file`].
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Adds a file beside the server's configuration, which only the server can read.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.files.push((name.into(), text.into()));
        self
    }

    /// Flush to disk as a production server would.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Uses this password for the superuser.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Uses this data directory, and keeps it.
    #[must_use]
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Creates this database instead of `app`.
    #[must_use]
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.database = name.into();
        self
    }
}
