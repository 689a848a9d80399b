//! TLS on MySQL's and MariaDB's connections: how a session gets it, and what a refused one means.
//!
//! The library does the handshake of ordinary sessions with rustls; it is given what `tls` read. The
//! replication connection asks for it itself.
//! Sources: MySQL manual, "Using Encrypted Connections"; mysql_async, `SslOpts`.

use std::sync::Arc;

use mysql_async::{ClientIdentity, DriverError, SslOpts};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::failure::classify;
use crate::config::{Database, TlsMode};
use crate::error::{Error, Kind, Result};
use crate::tls::{self, Material};

/// A name no certificate has. The library lets a wrong name pass by looking for this word in the
/// text of the error, which names the host that was expected; rustls no longer says it by itself.
const ANY_NAME: &str = "NotValidForName.invalid";

/// What a server says that takes no connections without TLS: its setting, in error 3159.
const WANTS_TLS: &str = "require_secure_transport";

/// A connection's bytes, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// Shakes hands on a connection whose server has been asked for TLS.
///
/// # Errors
/// `Transport` by name, `Configuration` for a host that no certificate can be for.
pub(super) async fn encrypt(
    plain: Box<dyn Stream>,
    database: &Database,
) -> Result<Box<dyn Stream>> {
    let Some(material) = tls::load(database).await? else { return Ok(plain) };
    let host = database.host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host).map_err(|error| {
        Error::new(Kind::Configuration, format!("the host of database {}", database.name))
            .caused_by(error)
    })?;
    let connector = TlsConnector::from(Arc::new(material.client_config(database)?));
    match connector.connect(name, plain).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(tls::cause(&error)
            .and_then(|cause| tls::judge(cause, database))
            .unwrap_or_else(|| Error::new(Kind::Connection, "TLS handshake").caused_by(error))),
    }
}

/// The library's options for `database`; `None` where TLS is off.
///
/// # Errors
/// As [`tls::load`] says.
pub(super) async fn options(database: &Database) -> Result<Option<SslOpts>> {
    let Some(material) = tls::load(database).await? else { return Ok(None) };
    // The library finds out about a key that does not fit only after it has connected.
    material.client_config(database)?;
    let Material { mode, roots, identity } = material;
    let roots = roots.into_iter().map(|root| root.to_vec().into()).collect();
    let identity = identity.map(|own| ClientIdentity::new(own.chain.into(), own.key.into()));
    let options = SslOpts::default().with_root_certs(roots).with_client_identity(identity);
    Ok(Some(match mode {
        TlsMode::VerifyFull => options.with_disable_built_in_roots(true),
        TlsMode::VerifyCa => options
            .with_disable_built_in_roots(true)
            .with_danger_skip_domain_validation(true)
            .with_danger_tls_hostname_override(Some(ANY_NAME)),
        TlsMode::Require | TlsMode::Off => options.with_danger_accept_invalid_certs(true),
    }))
}

/// weir's error for a connection that could not be made.
pub(super) fn refused(error: mysql_async::Error, database: &Database, context: String) -> Error {
    if let Some(refusal) = tls::cause(&error).and_then(|cause| tls::judge(cause, database)) {
        return refusal;
    }
    if let mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) = error {
        return tls::not_offered(database);
    }
    explained(classify(error, context), database)
}

/// Adds the way on to a login that the server refuses, perhaps for its transport.
pub(super) fn explained(error: Error, database: &Database) -> Error {
    database.login_refused(with_way_on(error, database))
}

fn with_way_on(error: Error, database: &Database) -> Error {
    let name = &database.name;
    if error.chain().contains(WANTS_TLS) {
        return error.hint(format!("write `tls = \"verify-full\"` for database {name}"));
    }
    if error.kind() != Kind::Authentication {
        return error;
    }
    error.hint(format!(
        "check user and password of database {name}; where the server or the user requires TLS, \
         write `tls = \"verify-full\"`, for REQUIRE X509 `tls_cert` and `tls_key` as well"
    ))
}
