//! The one error type of weir: a kind, a phrase that says where it happened, a hint for the
//! operator, and the cause attached as source.
//!
//! The kind answers a single question, what happens next, in one exhaustive match
//! ([`Kind::disposition`]). Messages are lower-case phrases without a full stop; they never repeat
//! their cause and never hold row values or secrets. An error is logged once, where it is handled.

use std::error::Error as StdError;
use std::fmt;

/// Result with weir's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Cause = Box<dyn StdError + Send + Sync + 'static>;

/// What happens after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The cause may pass: the link restarts from its witness after a backoff.
    Retry,
    /// A person is to act, perhaps is about to: the link tries again by itself, but seldom, since each
    /// try may count against it.
    Wait,
    /// One change cannot be applied: it is set aside as a dead letter, where the table's
    /// `on_poison` lets it; else the link halts.
    Park,
    /// The link stops until a person has acted; other links go on.
    Halt,
}

/// Declares the kinds once: name for metrics and logs, disposition, and the default hint.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $name:literal, $disposition:ident, $hint:literal;)+) => {
        /// What went wrong, as far as it decides what happens next.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $kind,)+ }

        impl Kind {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind,)+];

            /// The kind's name in metrics and logs (snake case).
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$kind => $name,)+ }
            }

            /// The kind of this name.
            pub fn of_name(name: &str) -> Option<Kind> {
                Kind::ALL.iter().copied().find(|kind| kind.name() == name)
            }

            /// What happens next.
            pub const fn disposition(self) -> Disposition {
                match self { $(Kind::$kind => Disposition::$disposition,)+ }
            }

            /// The next step for the operator, used where the error carries no hint of its own.
            pub const fn hint(self) -> &'static str {
                match self { $(Kind::$kind => $hint,)+ }
            }
        }
    };
}

kinds! {
    /// The configuration is wrong; found before anything is connected.
    Configuration, "configuration", Halt, "correct the configuration and run `weir check`";
    /// A server could not be reached, or a connection was lost.
    Connection, "connection", Retry, "weir reconnects by itself; check that the server is up and reachable";
    /// A server, or the network between, did not answer in time.
    Timeout, "timeout", Retry, "weir tries again by itself; check the server's load and the network";
    /// The server is starting up, shutting down or failing over.
    Unavailable, "unavailable", Retry, "weir tries again by itself once the server accepts connections";
    /// The server has no connection left.
    TooManyConnections, "too_many_connections", Retry, "raise the server's connection limit or close idle connections";
    /// Deadlock, lock time-out or serialization failure on the target.
    Contention, "contention", Retry, "weir repeats the batch by itself; look for long transactions on the target";
    /// The target refuses writes for now (failover, read_only).
    ReadOnly, "read_only", Retry, "make the target writable, or point the database at its primary";
    /// A disk is full.
    DiskFull, "disk_full", Retry, "free space on the server; weir tries again by itself";
    /// The state directory's file system has less free space than weir wants; found before it is full.
    DiskLow, "disk_low", Halt, "free space on the file system of the state directory, then `weir resume LINK`; `state_free_min` is the bound";
    /// The slot or dump position is still held by an older connection of ours.
    SourceBusy, "source_busy", Retry, "weir tries again; if it lasts, another process reads with the same slot or server id";
    /// The password was refused that a file or a command yields: it may be on its way to being another.
    PasswordRefused, "password_refused", Wait, "weir reads the password again at each try: have its file or command yield the one that the server takes";
    /// User or password was refused.
    Authentication, "authentication", Halt, "check user and password of this database in weir.toml";
    /// The server wants a login or transport that weir does not support yet.
    UnsupportedLogin, "unsupported_login", Halt, "use a login method that weir supports (see README)";
    /// The connection cannot be made as safe as configured; never replaced by a weaker one.
    Transport, "transport", Halt, "check `tls`, `tls_ca`, `tls_cert` and `tls_key` of this database in weir.toml";
    /// A grant is missing.
    Privilege, "privilege", Halt, "run `weir setup`, which prints the grants that weir needs";
    /// A database wrote what it is not the owner of, and the configuration has the link halt there.
    Ownership, "ownership", Halt, "see what was written there and by whom; set `on_flagged = \"flag\"` for the table or column, then start weir again: the write is recorded then";
    /// A server setting makes capture or apply impossible.
    Setting, "setting", Halt, "change the setting named above and run `weir check`";
    /// The source's log no longer reaches back to the witness, or the slot is gone.
    Gap, "gap", Halt, "changes are missing between the target and the log: `weir teardown LINK --apply`, then start anew with start = \"snapshot\"";
    /// Changes of some tables may be missing in the log, those of the others are not.
    TableGap, "table_gap", Halt, "copy these tables again, then `weir resume LINK --schema-reviewed`";
    /// Another server, timeline or database answers behind the address.
    Identity, "identity", Halt, "point the database back at its own server, or `weir teardown LINK --apply` and start anew";
    /// The target's witness does not fit the state: lost, older than can be resumed, or foreign.
    Witness, "witness", Halt, "see `weir status`; the target was restored, replaced, or is written by another weir";
    /// A table looks different in the log or the catalog than when the link was planned.
    SchemaChanged, "schema_changed", Halt, "apply the same change to the target, then `weir resume LINK --schema-reviewed`";
    /// A table, column or database named in the configuration does not exist or cannot be mapped.
    Mapping, "mapping", Halt, "correct the mapping and run `weir explain`";
    /// A log event, option or type that weir does not support yet.
    Unsupported, "unsupported", Halt, "weir stops rather than skip what it does not support; see the name above";
    /// The log's bytes are not what the protocol says.
    Malformed, "malformed", Halt, "the log could not be decoded; keep the position named above for a report";
    /// A value does not fit the target's column.
    Value, "value", Park, "widen the column on the target, or let such rows be set aside (`on_poison = \"park\"`), then start weir again";
    /// The target refused a row because of rows that refer to it, or of the one that it refers to.
    ForeignKey, "foreign_key", Park, "bring the row that it refers to to the target, or take away there what refers to it";
    /// The target refused a row: unique, check or not-null.
    Constraint, "constraint", Park, "correct the row on the target, or let such rows be set aside (`on_poison = \"park\"`), then start weir again";
    /// More rows are set aside, or faster, than is allowed: the failure is not one of single rows.
    TooManyDeadLetters, "too_many_dead_letters", Halt, "see `weir dead-letters list LINK`: correct what they have in common, `weir dead-letters retry LINK`, then `weir resume LINK`";
    /// The target refused a statement for another reason.
    Statement, "statement", Halt, "the target refused a statement of weir; see the cause";
    /// The state directory cannot be used: locked, corrupt, foreign, not writable.
    State, "state", Halt, "see the state directory named above";
    /// A transaction is larger than the target can take.
    TooLarge, "too_large", Halt, "raise the target's transaction size limit";
    /// A file or socket of this machine could not be used.
    Io, "io", Halt, "see the cause";
    /// weir contradicts itself: a defect.
    Internal, "internal", Halt, "this is a defect of weir: please report it with the log";
}

/// An error of weir: one word on the stack.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    context: String,
    hint: Option<String>,
    source: Option<Cause>,
}

impl Error {
    /// An error of `kind`; `context` is a lower-case phrase with the identifiers needed at night.
    pub fn new(kind: Kind, context: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, context: context.into(), hint: None, source: None }))
    }

    /// Attaches the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Cause>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Replaces the kind's hint by one that knows more.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same as another kind, where its place tells more than the server did.
    #[must_use]
    pub fn turned(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Adds where the error passed by: `"{context}: {what was there}"`.
    #[must_use]
    pub fn within(mut self, context: impl fmt::Display) -> Self {
        self.0.context = format!("{context}: {}", self.0.context);
        self
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What happens next.
    pub fn disposition(&self) -> Disposition {
        self.0.kind.disposition()
    }

    /// Whether it speaks of one row, so that it makes sense to look for the row and to set it aside.
    pub fn is_about_a_row(&self) -> bool {
        self.disposition() == Disposition::Park
    }

    /// The hint that knows more than the kind's, if there is one.
    pub fn own_hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The next step for the operator. `LINK` in it is any link's name.
    pub fn operator_hint(&self) -> &str {
        self.0.hint.as_deref().unwrap_or(self.0.kind.hint())
    }

    /// The same for a known link, whose name stands in place of `LINK`.
    pub fn hint_for(&self, link: impl fmt::Display) -> String {
        self.operator_hint().replace("LINK", &link.to_string())
    }

    /// The message with its whole chain of causes, for one log line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let phrase = error.to_string();
            if !text.ends_with(&phrase) {
                text.push_str(": ");
                text.push_str(&phrase);
            }
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.context)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.chain())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if two kinds shared a metrics label or one had no advice for the operator.
    #[test]
    fn kinds_have_distinct_names_and_hints() {
        let mut names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(Kind::ALL.iter().all(|kind| !kind.hint().is_empty()));
        assert!(Kind::ALL.iter().all(|kind| Kind::of_name(kind.name()) == Some(*kind)));
    }

    /// Broken if the cause were dropped, or printed twice.
    #[test]
    fn chain_prints_each_cause_once() {
        let cause = std::io::Error::other("refused");
        let error =
            Error::new(Kind::Connection, "cannot reach crm").caused_by(cause).within("link");
        assert_eq!(error.chain(), "link: cannot reach crm: refused");
        assert_eq!(error.disposition(), Disposition::Retry);
    }
}
