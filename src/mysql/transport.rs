//! TLS on MySQL's and MariaDB's connections: how a session gets it, and what a refused one means.
//!
//! The library does the handshake with rustls; it is given what `tls` read. Ordinary sessions and
//! the dump connection are made the same way.
//! Sources: MySQL manual, "Using Encrypted Connections"; mysql_async, `SslOpts`.

use mysql_async::{ClientIdentity, DriverError, SslOpts};

use super::failure::classify;
use crate::config::{Database, TlsMode};
use crate::error::{Error, Kind, Result};
use crate::tls::{self, Material};

/// A name no certificate has. The library lets a wrong name pass by looking for this word in the
/// text of the error, which names the host that was expected; rustls no longer says it by itself.
const ANY_NAME: &str = "NotValidForName.invalid";

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
    let name = &database.name;
    let wants_tls = matches!(&error, mysql_async::Error::Server(server) if server.code == 3159);
    let error = classify(error, context);
    match error.kind() {
        _ if wants_tls => error.hint(format!("write `tls = \"verify-full\"` for database {name}")),
        Kind::Authentication => error.hint(format!(
            "check user and password of database {name}; where the server or the user requires \
             TLS, write `tls = \"verify-full\"`, for REQUIRE X509 `tls_cert` and `tls_key` as well"
        )),
        _ => error,
    }
}
