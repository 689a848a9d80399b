//! The sandbox's own small error: what failed, of which kind, and what the reader can do about it.
//!
//! It is apart from the replicator's error because nothing here touches the data path; the kinds only tell a test
//! runner whether a server is missing (a skip outside CI) or broken (always a failure).

use std::error::Error as StdError;

/// Result of everything in the sandbox.
pub type Result<T> = std::result::Result<T, Error>;

/// What sort of thing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The server is not on this machine and could not be downloaded.
    Unavailable,
    /// The server is there but did not start, or did not stop.
    Server,
    /// A file, directory or process of the sandbox itself failed.
    Io,
    /// A statement or a connection to the running server failed.
    Sql,
}

/// A failure of the sandbox, with a hint where there is a next step.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct Error {
    kind: Kind,
    context: String,
    hint: Option<String>,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure without an underlying cause.
    pub fn new(kind: Kind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), hint: None, source: None }
    }

    /// A file or process operation that failed while doing `context`.
    pub fn io(context: impl Into<String>, source: std::io::Error) -> Self {
        Self::new(Kind::Io, context).with_source(source)
    }

    /// Adds what the reader can do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Attaches the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What sort of thing failed.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the reader can do next, where there is something.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The failure without its hint and its cause.
    pub fn context(&self) -> &str {
        &self.context
    }

    fn text(&self) -> String {
        match &self.source {
            Some(source) => format!("{}: {source}", self.context),
            None => self.context.clone(),
        }
    }
}

impl From<Error> for crate::error::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            Kind::Unavailable => crate::error::Kind::Unavailable,
            Kind::Sql => crate::error::Kind::Statement,
            Kind::Server | Kind::Io => crate::error::Kind::Io,
        };
        let hint = error.hint.clone();
        let whole = Self::new(kind, error.context.clone());
        let whole = match hint {
            Some(hint) => whole.hint(hint),
            None => whole,
        };
        match error.source {
            Some(source) => whole.caused_by(source),
            None => whole,
        }
    }
}
