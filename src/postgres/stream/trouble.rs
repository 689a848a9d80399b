//! What an error or warning on the replication connection means, by what was being done.
//!
//! A slot decodes with the catalog as it was at that point of the log, so what was missing there
//! stays missing: a publication that was gone is a gap, whatever has been made since. Servers up to
//! 17 break the stream off at the first change of such a stretch; later ones only warn and leave its
//! changes out.
//! Source: PostgreSQL, `get_publication_oid` and `LoadPublications` of pgoutput.

use crate::error::{Error, Kind, Result};
use crate::postgres::failure::{ServerError, kind_of_io};
use crate::postgres::session;

/// What the connection is doing; the same SQLSTATE means different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Login,
    Command,
    Start,
    Stream,
}

/// The server's error, by what was being done.
pub(super) fn judge(error: ServerError, phase: Phase) -> Error {
    let message = error.message.as_deref().unwrap_or("");
    if error.code == "XX000" && message.contains("invalid memory alloc request size") {
        return Error::new(Kind::Unsupported, "a value is too large for logical decoding")
            .caused_by(error)
            .hint("drop the table from the publication, or copy it again past this position");
    }
    if let (Phase::Login, Some(pooler)) = (phase, session::pooler(message)) {
        return session::behind(pooler, "login was refused").caused_by(error);
    }
    let (kind, context) = match (phase, error.code.as_str()) {
        (Phase::Login, _) => (error.kind(), "login was refused"),
        (_, "55006") => (Kind::SourceBusy, "the slot is in use"),
        (_, "58P01") => (Kind::Gap, "the log that the slot needs is gone"),
        (Phase::Start, "42704") => (Kind::Gap, "the slot is gone"),
        (Phase::Start, "55000") => (Kind::Gap, "the slot can no longer be read"),
        (Phase::Stream, "42704") => {
            (Kind::Gap, "the publication was missing at this point of the log")
        }
        (Phase::Command, _) => (error.kind(), "replication command was refused"),
        (Phase::Start | Phase::Stream, _) => (error.kind(), "the source broke the stream off"),
    };
    Error::new(kind, context).caused_by(error)
}

/// A notice inside the stream. A warning says that the server leaves something out, unless it is of
/// the general class or about the server itself.
pub(super) fn notice(notice: &ServerError) -> Result<()> {
    if notice.severity.as_deref() != Some("WARNING") {
        return Ok(());
    }
    match notice.code.get(..2) {
        Some("01" | "57") => {
            tracing::warn!(code = notice.code, notice.message, "the source warns in the stream");
            Ok(())
        }
        _ => Err(Error::new(Kind::Gap, "the source left changes out of the stream")
            .caused_by(notice.clone())),
    }
}

/// An error of the socket.
pub(super) fn broken(error: std::io::Error) -> Error {
    Error::new(kind_of_io(&error), "connection to the source").caused_by(error)
}

/// A message that is not what the protocol says.
pub(super) fn garbled(error: std::io::Error) -> Error {
    Error::new(Kind::Malformed, "a message of the source cannot be read").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: &str, message: &str, phase: Phase) -> Kind {
        let message = Some(message.to_owned());
        judge(ServerError { code: code.to_owned(), message, ..ServerError::default() }, phase)
            .kind()
    }

    /// Broken if a hole in the log, or a value the server can never send, were tried again for ever.
    #[test]
    fn errors_of_the_stream_are_told_apart() {
        let too_large = "invalid memory alloc request size 1610610003";
        assert_eq!(kind("XX000", too_large, Phase::Stream), Kind::Unsupported);
        assert_eq!(kind("58P01", "requested WAL segment is gone", Phase::Stream), Kind::Gap);
        assert_eq!(kind("42704", "no such slot", Phase::Start), Kind::Gap);
        assert_eq!(kind("42704", "no such publication", Phase::Stream), Kind::Gap);
        assert_eq!(kind("55000", "slot was invalidated", Phase::Start), Kind::Gap);
        assert_eq!(kind("55000", "wal_level is too low", Phase::Command), Kind::Setting);
        assert_eq!(kind("55006", "slot is active", Phase::Start), Kind::SourceBusy);
        assert_eq!(kind("53400", "all slots are in use", Phase::Command), Kind::Setting);
        assert_eq!(kind("57P01", "terminated", Phase::Stream), Kind::Unavailable);
        assert_eq!(kind("28P01", "password", Phase::Login), Kind::Authentication);
        assert_eq!(kind("53300", "too many clients", Phase::Login), Kind::TooManyConnections);
    }

    /// Broken if changes that the server leaves out with a mere warning were lost without a sign, or
    /// a warning about a crash of the server took the place of the reconnect.
    #[test]
    fn a_warning_that_changes_are_left_out_is_a_gap() {
        let warned = |severity: &str, code: &str| {
            let severity = Some(severity.to_owned());
            let code = code.to_owned();
            notice(&ServerError { severity, code, ..ServerError::default() })
                .err()
                .map(|error| error.kind())
        };
        assert_eq!(warned("WARNING", "55000"), Some(Kind::Gap));
        assert_eq!(warned("WARNING", "XX000"), Some(Kind::Gap));
        assert_eq!(warned("WARNING", "57P02"), None);
        assert_eq!(warned("WARNING", "01000"), None);
        assert_eq!(warned("NOTICE", "55000"), None);
    }
}
