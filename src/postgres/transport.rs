//! TLS on PostgreSQL's connections: how a session gets it, and what a refused one means.
//!
//! Ordinary sessions get it from tokio-postgres. The replication connection asks for it itself, and
//! takes the hash of the server's certificate for SCRAM's channel binding.
//! Sources: PostgreSQL manual, "SSL Session Encryption", "SCRAM-SHA-256 Authentication"; RFC 5929.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::db::rfc5912 as oid;

use super::failure;
use super::session::{self, Driver};
use crate::config::Database;
use crate::error::{Error, Kind, Result};
use crate::tls::{self, Material};

/// A connection's bytes, encrypted or not.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Sync + Unpin + Debug {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + Debug> Wire for T {}

/// Connects an ordinary session and starts the task that drives it.
pub(super) async fn connect(
    database: &Database,
    config: &mut Config,
    context: impl FnOnce() -> String,
) -> Result<(Client, Driver)> {
    let opened = match tls::load(database).await? {
        None => open(config.ssl_mode(SslMode::Disable), NoTls).await,
        Some(material) => {
            let tls = MakeRustlsConnect::new(material.client_config(database)?);
            open(config.ssl_mode(SslMode::Require), tls).await
        }
    };
    opened.map_err(|error| refused(error, database, context()))
}

async fn open<T>(config: &Config, tls: T) -> Result<(Client, Driver), tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = config.connect(tls).await?;
    Ok((client, Driver::of(connection)))
}

fn refused(error: tokio_postgres::Error, database: &Database, context: String) -> Error {
    if let Some(refusal) = tls::cause(&error).and_then(|cause| tls::judge(cause, database)) {
        return refusal;
    }
    // The library's phrase for a server that says no to TLS; there is no other mark.
    let source = std::error::Error::source(&error).map(ToString::to_string);
    if source.as_deref() == Some("server does not support TLS") {
        return tls::not_offered(database);
    }
    explained(session::refused(error, context), database)
}

/// Adds the way on to a login that is refused, perhaps by `pg_hba.conf` for its transport.
pub(super) fn explained(error: Error, database: &Database) -> Error {
    database.login_refused(with_way_on(error, database))
}

fn with_way_on(error: Error, database: &Database) -> Error {
    if error.kind() != Kind::Authentication {
        return error;
    }
    let (said, name) = (error.chain(), &database.name);
    if said.contains("client certificate") {
        let hint = "write a certificate that the server trusts, and its key, as";
        return error.hint(format!("{hint} `tls_cert` and `tls_key` of database {name}"));
    }
    if said.contains("no encryption") || said.contains("SSL off") {
        return error.hint(format!("write `tls = \"verify-full\"` for database {name}"));
    }
    error
}

/// Asks the server for TLS and shakes hands. Returns the encrypted connection and the data of its
/// channel binding, where the certificate has any.
pub(super) async fn encrypt(
    mut socket: TcpStream,
    database: &Database,
    material: &Material,
) -> Result<(Box<dyn Wire>, Option<Vec<u8>>)> {
    let lost = |error: std::io::Error| match tls::cause(&error)
        .and_then(|cause| tls::judge(cause, database))
    {
        Some(refusal) => refusal,
        None => Error::new(failure::kind_of_io(&error), "TLS handshake").caused_by(error),
    };
    let config = material.client_config(database)?;
    let host = session::bare_host(database).to_owned();
    let name = ServerName::try_from(host).map_err(|error| {
        Error::new(Kind::Configuration, format!("the host of database {}", database.name))
            .caused_by(error)
    })?;
    let mut packet = BytesMut::new();
    frontend::ssl_request(&mut packet);
    socket.write_all(&packet).await.map_err(lost)?;
    // One byte and no more: what comes unencrypted after it would be somebody else's.
    if socket.read_u8().await.map_err(lost)? != b'S' {
        return Err(tls::not_offered(database));
    }
    let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.map_err(lost)?;
    let certificates = stream.get_ref().1.peer_certificates();
    let binding = certificates.and_then(|chain| end_point(chain.first()?));
    Ok((Box::new(stream), binding))
}

/// `tls-server-end-point`: the certificate's hash, by the function that its signature uses, at
/// least SHA-256. Signatures without such a function (Ed25519) have no binding.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    match Certificate::from_der(certificate).ok()?.signature_algorithm.oid {
        oid::SHA_1_WITH_RSA_ENCRYPTION
        | oid::SHA_256_WITH_RSA_ENCRYPTION
        | oid::ECDSA_WITH_SHA_256 => Some(Sha256::digest(certificate).to_vec()),
        oid::SHA_384_WITH_RSA_ENCRYPTION | oid::ECDSA_WITH_SHA_384 => {
            Some(Sha384::digest(certificate).to_vec())
        }
        oid::SHA_512_WITH_RSA_ENCRYPTION | oid::ECDSA_WITH_SHA_512 => {
            Some(Sha512::digest(certificate).to_vec())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::{Dialect, TlsMode};
    use crate::plan::fixtures;

    /// Broken if the replication connection, which asks for TLS itself, went on in plain text.
    #[tokio::test]
    async fn a_server_that_says_no_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
        let address = listener.local_addr().expect("address");
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.expect("client");
            let mut request = [0; 8];
            socket.read_exact(&mut request).await.expect("request");
            socket.write_all(b"N").await.expect("answer");
            socket.read(&mut request).await.expect("end")
        });
        let mut database = fixtures::database("crm", Dialect::Postgres);
        database.tls.mode = TlsMode::Require;
        let material = tls::load(&database).await.expect("material").expect("some");
        let socket = TcpStream::connect(address).await.expect("socket");
        let error = encrypt(socket, &database, &material).await.expect_err("refused");
        assert_eq!(error.kind(), Kind::Transport);
        assert_eq!(server.await.expect("server"), 0, "nothing more is sent");
    }

    /// Broken if a login were bound to another hash than the server's, or a damaged certificate
    /// stopped weir.
    #[test]
    fn damaged_certificates_have_no_binding() {
        for bytes in [&b""[..], b"\x30", b"\x30\x82\xff\xff\x00"] {
            assert_eq!(end_point(bytes), None);
        }
    }
}
