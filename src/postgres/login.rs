//! Logging a replication connection in: startup packet and authentication on `postgres-protocol`.
//!
//! Knows trust, clear-text (loopback only, like everything until TLS exists), MD5 and
//! SCRAM-SHA-256; any other method is refused by name. Ordinary sessions are logged in by
//! tokio-postgres, which has no replication mode.
//! Source: PostgreSQL manual, "Message Flow", Start-up.

use bytes::BytesMut;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::{backend, frontend};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::fallible_iterator::FallibleIterator;

use super::session;
use super::stream::Connection;
use crate::config::Database;
use crate::error::{Error, Kind, Result};

/// Starts the session in replication mode for logical decoding and logs in. Returns when the
/// server is ready for the first command.
pub(super) async fn log_in(
    connection: &mut Connection,
    database: &Database,
    password: Option<&SecretString>,
    application_name: &str,
) -> Result<()> {
    let options = session::options();
    let parameters = [
        ("user", database.user.as_str()),
        ("database", &database.database),
        ("replication", "database"),
        ("application_name", application_name),
        ("options", &options),
    ];
    let mut packet = BytesMut::new();
    frontend::startup_message(parameters, &mut packet).map_err(unsendable)?;
    connection.send(&packet).await?;
    loop {
        match connection.message().await? {
            backend::Message::AuthenticationOk => {}
            backend::Message::AuthenticationCleartextPassword => {
                let password = required(password, database)?;
                answer(connection, password.expose_secret().as_bytes()).await?;
            }
            backend::Message::AuthenticationMd5Password(body) => {
                let password = required(password, database)?.expose_secret().as_bytes();
                let hash = md5_hash(database.user.as_bytes(), password, body.salt());
                answer(connection, hash.as_bytes()).await?;
            }
            backend::Message::AuthenticationSasl(body) => {
                let scram = body
                    .mechanisms()
                    .any(|name| Ok(name == sasl::SCRAM_SHA_256))
                    .map_err(garbled)?;
                if !scram {
                    return Err(unsupported("a SASL mechanism other than SCRAM-SHA-256"));
                }
                scram_sha_256(connection, required(password, database)?).await?;
            }
            backend::Message::AuthenticationKerberosV5
            | backend::Message::AuthenticationGss
            | backend::Message::AuthenticationSspi => {
                return Err(unsupported("Kerberos or GSSAPI"));
            }
            backend::Message::AuthenticationScmCredential => {
                return Err(unsupported("SCM credentials"));
            }
            backend::Message::ReadyForQuery(_) => return Ok(()),
            backend::Message::BackendKeyData(_) => {}
            _ => return Err(Error::new(Kind::Malformed, "unexpected message during login")),
        }
    }
}

/// The exchange of SCRAM-SHA-256 without channel binding (there is no TLS to bind to).
async fn scram_sha_256(connection: &mut Connection, password: &SecretString) -> Result<()> {
    let secret = password.expose_secret().as_bytes();
    let mut scram = sasl::ScramSha256::new(secret, sasl::ChannelBinding::unsupported());
    let mut packet = BytesMut::new();
    frontend::sasl_initial_response(sasl::SCRAM_SHA_256, scram.message(), &mut packet)
        .map_err(unsendable)?;
    connection.send(&packet).await?;
    let backend::Message::AuthenticationSaslContinue(body) = connection.message().await? else {
        return Err(Error::new(Kind::Malformed, "unexpected message during SCRAM login"));
    };
    scram.update(body.data()).map_err(refused)?;
    packet.clear();
    frontend::sasl_response(scram.message(), &mut packet).map_err(unsendable)?;
    connection.send(&packet).await?;
    let backend::Message::AuthenticationSaslFinal(body) = connection.message().await? else {
        return Err(Error::new(Kind::Malformed, "unexpected message during SCRAM login"));
    };
    scram.finish(body.data()).map_err(refused)
}

async fn answer(connection: &mut Connection, password: &[u8]) -> Result<()> {
    let mut packet = BytesMut::new();
    frontend::password_message(password, &mut packet).map_err(unsendable)?;
    connection.send(&packet).await
}

fn required<'a>(
    password: Option<&'a SecretString>,
    database: &Database,
) -> Result<&'a SecretString> {
    password.ok_or_else(|| {
        let context = format!("database {} wants a password and none is configured", database.name);
        Error::new(Kind::Authentication, context)
    })
}

fn unsupported(method: &str) -> Error {
    Error::new(Kind::UnsupportedLogin, format!("the server wants {method}"))
}

fn refused(error: std::io::Error) -> Error {
    Error::new(Kind::Authentication, "SCRAM login failed").caused_by(error)
}

fn garbled(error: std::io::Error) -> Error {
    Error::new(Kind::Malformed, "login message cannot be read").caused_by(error)
}

fn unsendable(error: std::io::Error) -> Error {
    Error::new(Kind::Internal, "login message cannot be written").caused_by(error)
}
