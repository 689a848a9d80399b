//! What an error of a PostgreSQL server means for weir: one table from SQLSTATE to [`Kind`].
//!
//! The cause that is attached names code, constraint, table and column. The server's own words are
//! kept only for classes whose messages never hold row values; DETAIL, HINT and CONTEXT never are.
//! The full text goes to the log at debug level.
//! Source: PostgreSQL manual, appendix A "PostgreSQL Error Codes".

use std::error::Error as StdError;
use std::fmt;
use std::io;

use postgres_protocol::message::backend::ErrorFields;
use tokio_postgres::error::DbError;
use tokio_postgres::fallible_iterator::FallibleIterator;

use crate::error::{Error, Kind};

/// An error of the server, without row values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    /// SQLSTATE, five characters.
    pub code: String,
    /// `ERROR`, `WARNING`, …, untranslated, where it was read.
    pub severity: Option<String>,
    /// The server's words, where they cannot hold a row's values.
    pub message: Option<String>,
    /// Table, where the server names one.
    pub table: Option<String>,
    /// Column, where the server names one.
    pub column: Option<String>,
    /// Constraint or index, where the server names one.
    pub constraint: Option<String>,
}

impl ServerError {
    /// The kind this error is of in an ordinary session.
    pub fn kind(&self) -> Kind {
        if self.met_an_alteration() { Kind::Contention } else { kind_of(&self.code) }
    }

    /// weir's error with this as its cause.
    pub fn into_error(self, context: impl Into<String>) -> Error {
        let error = Error::new(self.kind(), context);
        let error = if self.met_an_alteration() { error.hint(ALTERED_HINT) } else { error };
        error.caused_by(self)
    }

    /// Whether something was altered or dropped while the statement used it. There is no code for that
    /// but those of defects and of what is not supported; the words tell, where they are English.
    fn met_an_alteration(&self) -> bool {
        const WORDS: &[&str] = &[
            "tuple concurrently updated",
            "tuple concurrently deleted",
            "cache lookup failed",
            "could not open relation with OID",
            PLAN_CHANGED,
        ];
        let message = self.message.as_deref().unwrap_or_default();
        matches!(self.code.as_str(), "XX000" | "0A000")
            && WORDS.iter().any(|words| message.starts_with(words))
    }

    /// From an ErrorResponse or NoticeResponse read by weir's own protocol code.
    pub fn from_fields(mut fields: ErrorFields<'_>) -> io::Result<Self> {
        let mut error = ServerError::default();
        let mut message = String::new();
        while let Some(field) = fields.next()? {
            let text = || String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'V' => error.severity = Some(text()),
                b'C' => error.code = text(),
                b'M' => message = text(),
                b't' => error.table = Some(text()),
                b'c' => error.column = Some(text()),
                b'n' => error.constraint = Some(text()),
                _ => {}
            }
        }
        tracing::debug!(code = error.code, message, "server error");
        error.message = Some(message).filter(|message| is_free_of_values(&error.code, message));
        Ok(error)
    }
}

impl From<&DbError> for ServerError {
    fn from(error: &DbError) -> Self {
        let code = error.code().code().to_owned();
        tracing::debug!(code, message = error.message(), detail = error.detail(), "server error");
        ServerError {
            message: Some(error.message().to_owned()).filter(|said| is_free_of_values(&code, said)),
            code,
            severity: None,
            table: error.table().map(str::to_owned),
            column: error.column().map(str::to_owned),
            constraint: error.constraint().map(str::to_owned),
        }
    }
}

const PLAN_CHANGED: &str = "cached plan must not change result type";
const ALTERED_HINT: &str =
    "something was altered while weir used it: weir looks at the tables anew";

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = reason(&self.code) {
            write!(f, "{reason}, ")?;
        }
        write!(f, "sqlstate {}", self.code)?;
        let parts =
            [("constraint", &self.constraint), ("table", &self.table), ("column", &self.column)];
        for (name, value) in parts {
            if let Some(value) = value {
                write!(f, ", {name} {value}")?;
            }
        }
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

impl StdError for ServerError {}

/// The reason code of a refused row (type-mapping §4.5), where the error has one of its own.
fn reason(code: &str) -> Option<&'static str> {
    match code {
        "23505" | "23P01" => Some("unique_collision"),
        "23001" | "23503" => Some("fk_violation"),
        "23502" => Some("null_not_allowed"),
        "23514" => Some("check_violation"),
        _ => None,
    }
}

/// weir's error for one of the client library. `context` says what was being done.
pub fn classify(error: tokio_postgres::Error, context: impl Into<String>) -> Error {
    if let Some(server) = error.as_db_error() {
        return ServerError::from(server).into_error(context);
    }
    if error.is_closed() {
        return Error::new(Kind::Connection, context).caused_by(error);
    }
    if let Some(io) = error.source().and_then(|cause| cause.downcast_ref::<io::Error>()) {
        return Error::new(kind_of_io(io), context).caused_by(error);
    }
    // The library keeps its own kinds private; its phrases are fixed.
    let kind = match error.to_string().as_str() {
        "timeout waiting for server" => Kind::Timeout,
        "authentication error" => Kind::UnsupportedLogin,
        "invalid configuration" => Kind::Authentication,
        "error connecting to server" => Kind::Connection,
        _ => Kind::Internal,
    };
    Error::new(kind, context).caused_by(error)
}

/// The kind of an input/output error of a connection.
pub fn kind_of_io(error: &io::Error) -> Kind {
    // Bytes that TLS cannot make sense of were damaged on the way; nothing of them was used.
    if crate::tls::cause(error).is_some() {
        return Kind::Connection;
    }
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Kind::Timeout,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Kind::Malformed,
        _ => Kind::Connection,
    }
}

/// The kind of an SQLSTATE in an ordinary session.
pub fn kind_of(code: &str) -> Kind {
    match code {
        // RESTRICT has a code of its own from version 18 on.
        "23001" | "23503" => Kind::ForeignKey,
        "25006" => Kind::ReadOnly,
        "25P03" | "25P04" | "57014" | "57P05" => Kind::Timeout,
        "25P02" | "21000" => Kind::Internal,
        "28000" | "28P01" => Kind::Authentication,
        "3D000" | "3F000" | "42P01" | "42703" | "57P04" => Kind::Mapping,
        "40002" | "27000" | "44000" | "09000" => Kind::Constraint,
        "40003" | "HV00N" => Kind::Connection,
        "42501" => Kind::Privilege,
        "53100" => Kind::DiskFull,
        "53200" => Kind::Unavailable,
        "53300" => Kind::TooManyConnections,
        "53400" | "55000" => Kind::Setting,
        "54000" => Kind::Value,
        "55006" => Kind::SourceBusy,
        "55P03" | "72000" => Kind::Contention,
        "57P01" | "57P02" | "57P03" | "58000" | "58030" => Kind::Unavailable,
        _ => kind_of_class(code.get(..2).unwrap_or("")),
    }
}

/// The kind of a class of SQLSTATEs.
fn kind_of_class(class: &str) -> Kind {
    match class {
        "08" => Kind::Connection,
        "22" => Kind::Value,
        "23" | "P0" => Kind::Constraint,
        "40" => Kind::Contention,
        "53" | "57" => Kind::Unavailable,
        _ => Kind::Statement,
    }
}

/// Whether a message of this code names only objects and settings, never values of rows.
fn is_free_of_values(code: &str, message: &str) -> bool {
    const CLASSES: &[&str] =
        &["08", "25", "26", "28", "3D", "3F", "40", "42", "53", "55", "57", "58", "XX"];
    code.get(..2).is_some_and(|class| CLASSES.contains(&class)) || message == PLAN_CHANGED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Disposition;

    /// Broken if a passing fault stopped a link, or a lasting one were repeated for ever.
    #[test]
    fn codes_have_the_kind_that_fits_what_happens_next() {
        for (code, kind) in [
            ("08006", Kind::Connection),
            ("0A000", Kind::Statement),
            ("22003", Kind::Value),
            ("23001", Kind::ForeignKey),
            ("23503", Kind::ForeignKey),
            ("23505", Kind::Constraint),
            ("25006", Kind::ReadOnly),
            ("25P03", Kind::Timeout),
            ("25P04", Kind::Timeout),
            ("28P01", Kind::Authentication),
            ("40001", Kind::Contention),
            ("40003", Kind::Connection),
            ("40P01", Kind::Contention),
            ("42501", Kind::Privilege),
            ("42601", Kind::Statement),
            ("53000", Kind::Unavailable),
            ("53100", Kind::DiskFull),
            ("53200", Kind::Unavailable),
            ("53300", Kind::TooManyConnections),
            ("53400", Kind::Setting),
            ("55000", Kind::Setting),
            ("55006", Kind::SourceBusy),
            ("55P03", Kind::Contention),
            ("57014", Kind::Timeout),
            ("57P01", Kind::Unavailable),
            ("57P02", Kind::Unavailable),
            ("57P03", Kind::Unavailable),
            ("57P04", Kind::Mapping),
            ("57P05", Kind::Timeout),
            ("58030", Kind::Unavailable),
            ("72000", Kind::Contention),
            ("HV00N", Kind::Connection),
            ("XX000", Kind::Statement),
            ("", Kind::Statement),
        ] {
            assert_eq!(kind_of(code), kind, "{code}");
        }
        assert_eq!(kind_of("57P02").disposition(), Disposition::Retry);
    }

    /// Broken if a table that is altered while weir uses it halted a link for a person who has nothing
    /// to do, or a defect of the server were tried again for ever.
    #[test]
    fn what_was_altered_meanwhile_is_looked_at_again() {
        let error = |code: &str, message: &str| {
            let (code, message) = (code.to_owned(), Some(message.to_owned()));
            ServerError { code, message, ..ServerError::default() }.into_error("write a.t")
        };
        for (code, message) in [
            ("XX000", "tuple concurrently updated"),
            ("XX000", "cache lookup failed for relation 16384"),
            ("XX000", "could not open relation with OID 16384"),
            ("0A000", PLAN_CHANGED),
        ] {
            let error = error(code, message);
            assert_eq!(error.kind(), Kind::Contention, "{message}");
            assert_eq!(error.operator_hint(), ALTERED_HINT);
        }
        for (code, message) in [
            ("XX000", "invalid memory alloc request size 1610610003"),
            ("XX001", "tuple concurrently updated"),
            ("0A000", "cannot insert into view"),
        ] {
            assert_eq!(error(code, message).kind(), Kind::Statement, "{message}");
        }
        assert!(is_free_of_values("0A000", PLAN_CHANGED));
    }

    /// Broken if a row's value reached the log by way of a refused statement.
    #[test]
    fn messages_that_may_hold_values_are_dropped() {
        for code in ["22P02", "23505", "P0001", "54000"] {
            assert!(!is_free_of_values(code, "a value"), "{code}");
        }
        let error = ServerError {
            code: "23505".to_owned(),
            constraint: Some("t_pkey".to_owned()),
            ..ServerError::default()
        };
        assert_eq!(
            error.into_error("insert into a.t").chain(),
            "insert into a.t: unique_collision, sqlstate 23505, constraint t_pkey"
        );
    }
}
