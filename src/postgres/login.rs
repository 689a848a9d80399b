//! Logging a replication connection in: startup packet and authentication on `postgres-protocol`.
//!
//! Knows trust, clear-text (inside TLS or on loopback), MD5, SCRAM-SHA-256 and, inside TLS,
//! SCRAM-SHA-256-PLUS, which binds the login to the server's certificate; any other method is
//! refused by name. Ordinary sessions are logged in by
//! tokio-postgres, which has no replication mode.
//! Source: PostgreSQL manual, "Message Flow", Start-up.

use bytes::BytesMut;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::{backend, frontend};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::fallible_iterator::FallibleIterator;

use super::session;
use super::stream::Connection;
use crate::config::{Database, is_loopback};
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
                if !connection.is_encrypted() && !is_loopback(&database.host) {
                    return Err(unsupported("the password in clear text without TLS"));
                }
                answer(connection, password.expose_secret().as_bytes()).await?;
            }
            backend::Message::AuthenticationMd5Password(body) => {
                let password = required(password, database)?.expose_secret().as_bytes();
                let hash = md5_hash(database.user.as_bytes(), password, body.salt());
                answer(connection, hash.as_bytes()).await?;
            }
            backend::Message::AuthenticationSasl(body) => {
                let offered: Vec<&str> = body.mechanisms().collect().map_err(garbled)?;
                let (mechanism, binding) = choose(&offered, connection.binding())?;
                let password = required(password, database)?;
                scram(connection, mechanism, binding, password).await?;
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

/// The strongest mechanism that the server offers and this connection can use. That weir could
/// have bound the login is said to a server that offers no binding: should somebody between have
/// taken the offer away, the server refuses.
fn choose(
    offered: &[&str],
    binding: Option<&[u8]>,
) -> Result<(&'static str, sasl::ChannelBinding)> {
    match binding {
        Some(binding) if offered.contains(&sasl::SCRAM_SHA_256_PLUS) => {
            let binding = sasl::ChannelBinding::tls_server_end_point(binding.to_vec());
            Ok((sasl::SCRAM_SHA_256_PLUS, binding))
        }
        _ if !offered.contains(&sasl::SCRAM_SHA_256) => {
            Err(unsupported("a SASL mechanism other than SCRAM-SHA-256"))
        }
        Some(_) => Ok((sasl::SCRAM_SHA_256, sasl::ChannelBinding::unrequested())),
        None => Ok((sasl::SCRAM_SHA_256, sasl::ChannelBinding::unsupported())),
    }
}

/// The exchange of SCRAM.
async fn scram(
    connection: &mut Connection,
    mechanism: &str,
    binding: sasl::ChannelBinding,
    password: &SecretString,
) -> Result<()> {
    tracing::debug!(mechanism, "replication login");
    let mut scram = sasl::ScramSha256::new(password.expose_secret().as_bytes(), binding);
    let mut packet = BytesMut::new();
    frontend::sasl_initial_response(mechanism, scram.message(), &mut packet).map_err(unsendable)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a login that can be bound to the server's certificate were not.
    #[test]
    fn the_strongest_mechanism_is_chosen() {
        let both = [sasl::SCRAM_SHA_256_PLUS, sasl::SCRAM_SHA_256];
        let chosen = |offered: &[&str], binding| choose(offered, binding).map(|found| found.0);
        assert_eq!(chosen(&both, Some(b"hash")).expect("one"), sasl::SCRAM_SHA_256_PLUS);
        assert_eq!(chosen(&both, None).expect("one"), sasl::SCRAM_SHA_256);
        assert_eq!(chosen(&both[1..], Some(b"hash")).expect("one"), sasl::SCRAM_SHA_256);
        let error = chosen(&["OAUTHBEARER"], Some(b"hash")).expect_err("refused");
        assert_eq!(error.kind(), Kind::UnsupportedLogin);
    }
}
