//! TLS for both rooms: which authorities are trusted, what weir shows of itself, and what a failed
//! handshake means.
//!
//! rustls with ring, TLS 1.2 and 1.3. The files are read at each connect, so that a renewed
//! certificate needs no restart. A handshake that fails is an error; nothing falls back.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError,
    RootCertStore, SignatureScheme,
};

use crate::config::{Database, TlsMode, refuse_open};
use crate::error::{Error, Kind, Result};

/// A file of certificates or a key at most, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What a connection with TLS is made from.
pub(crate) struct Material {
    /// How much of the server's certificate is checked; never `Off`.
    pub(crate) mode: TlsMode,
    /// Certificates of the authorities that are trusted; empty where none is asked for.
    pub(crate) roots: Vec<CertificateDer<'static>>,
    /// What weir shows of itself.
    pub(crate) identity: Option<Identity>,
}

/// A certificate with its chain and its private key, both checked to be such, as PEM.
pub(crate) struct Identity {
    /// The certificate, then those that lead to the authority.
    pub(crate) chain: Vec<u8>,
    /// The private key.
    pub(crate) key: Vec<u8>,
}

/// Reads what `database` names; `None` where TLS is off.
///
/// # Errors
/// `Configuration` for a file that cannot be read or holds something else.
pub(crate) async fn load(database: &Database) -> Result<Option<Material>> {
    if database.tls.mode == TlsMode::Off {
        return Ok(None);
    }
    // One provider for every client; a second time it is there already.
    let _ = ring::default_provider().install_default();
    let database = database.clone();
    let reading = tokio::task::spawn_blocking(move || read(&database).map(Some));
    reading.await.map_err(|error| {
        Error::new(Kind::Internal, "certificates could not be read").caused_by(error)
    })?
}

/// A client's configuration for what is no database, `whose` in messages: it checks names, and trusts
/// the authorities in `ca`, or else those of this machine.
///
/// # Errors
/// As for a database.
pub(crate) async fn trusting(ca: Option<PathBuf>, whose: &'static str) -> Result<ClientConfig> {
    let reading = tokio::task::spawn_blocking(move || match ca {
        Some(path) => certificates(&file(whose, "tls_ca", &path)?, whose, "tls_ca"),
        None => authorities_of_this_machine(whose),
    });
    let trusted = reading.await.map_err(|error| {
        Error::new(Kind::Internal, "certificates could not be read").caused_by(error)
    })??;
    trusting_roots(roots(&trusted))
}

/// A client's configuration where no TLS is spoken, for a library that wants one all the same. It
/// trusts nobody.
///
/// # Errors
/// `Internal`, never.
pub(crate) fn unused() -> Result<ClientConfig> {
    trusting_roots(RootCertStore::empty())
}

fn trusting_roots(roots: RootCertStore) -> Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(Kind::Internal, "TLS cannot be used").caused_by(error))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn whose(database: &Database) -> String {
    format!("database {}", database.name)
}

fn read(database: &Database) -> Result<Material> {
    let (tls, whose) = (&database.tls, &whose(database));
    let roots = match (tls.mode, &tls.ca) {
        (TlsMode::Off | TlsMode::Require, _) => Vec::new(),
        (_, Some(path)) => certificates(&file(whose, "tls_ca", path)?, whose, "tls_ca")?,
        (_, None) => authorities_of_this_machine(whose)?,
    };
    let identity = match &tls.identity {
        None => None,
        Some((cert, key)) => {
            let chain = file(whose, "tls_cert", cert)?;
            certificates(&chain, whose, "tls_cert")?;
            let place = key;
            let key = file(whose, "tls_key", place)?;
            let metadata = std::fs::metadata(place).map_err(|cause| {
                wrong_file(whose, "tls_key", "cannot be examined").caused_by(cause)
            })?;
            refuse_open(place, &metadata)
                .map_err(|open| open.within(format!("`tls_key` of {whose}")))?;
            PrivateKeyDer::from_pem_slice(&key).map_err(|error| {
                wrong_file(whose, "tls_key", "holds no private key").caused_by(error)
            })?;
            Some(Identity { chain, key })
        }
    };
    Ok(Material { mode: tls.mode, roots, identity })
}

fn file(whose: &str, key: &str, path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let cannot = |error: io::Error| {
        wrong_file(whose, key, &format!("cannot be read: {}", path.display())).caused_by(error)
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(cannot)?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(cannot)?;
    Ok(bytes)
}

fn wrong_file(whose: &str, key: &str, what: &str) -> Error {
    Error::new(Kind::Configuration, format!("`{key}` of {whose} {what}"))
        .hint(format!("correct `{key}` of {whose}: it names a PEM file"))
}

/// All certificates of a PEM file; there is at least one.
fn certificates(pem: &[u8], whose: &str, key: &str) -> Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| {
        wrong_file(whose, key, "holds a certificate that cannot be read").caused_by(error)
    })?;
    match roots(&found).is_empty() {
        true => Err(wrong_file(whose, key, "holds no certificate")),
        false => Ok(found),
    }
}

/// Those of the operating system, without the ones that cannot be used.
fn authorities_of_this_machine(whose: &str) -> Result<Vec<CertificateDer<'static>>> {
    let loaded = rustls_native_certs::load_native_certs();
    for error in &loaded.errors {
        tracing::debug!(error = %error, "certificates of this machine");
    }
    let mut found = loaded.certs;
    found.retain(|certificate| !roots(std::slice::from_ref(certificate)).is_empty());
    if found.is_empty() {
        let context = "this machine has no certificates of trusted authorities";
        return Err(Error::new(Kind::Transport, context)
            .hint(format!("install the package ca-certificates, or write `tls_ca` of {whose}")));
    }
    Ok(found)
}

fn roots(certificates: &[CertificateDer<'static>]) -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates.iter().cloned());
    store
}

impl Material {
    /// The configuration of a rustls client.
    ///
    /// # Errors
    /// `Configuration` for a key that does not belong to the certificate.
    pub(crate) fn client_config(&self, database: &Database) -> Result<ClientConfig> {
        let whose = &whose(database);
        let unusable = |error: TlsError| {
            wrong_file(whose, "tls_cert", "does not fit `tls_key`").caused_by(error)
        };
        let provider = Arc::new(ring::default_provider());
        let verifier = self.verifier(&provider).map_err(|error| {
            wrong_file(whose, "tls_ca", "holds no certificate").caused_by(error)
        })?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let Some(identity) = &self.identity else { return Ok(builder.with_no_client_auth()) };
        let chain = certificates(&identity.chain, whose, "tls_cert")?;
        let key = PrivateKeyDer::from_pem_slice(&identity.key).map_err(|error| {
            wrong_file(whose, "tls_key", "holds no private key").caused_by(error)
        })?;
        builder.with_client_auth_cert(chain, key).map_err(unusable)
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, VerifierBuilderError> {
        let chain = || {
            let roots = Arc::new(roots(&self.roots));
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build()
        };
        let algorithms = provider.signature_verification_algorithms;
        Ok(match self.mode {
            TlsMode::VerifyFull => chain()?,
            TlsMode::VerifyCa => Arc::new(Lenient { chain: Some(chain()?), algorithms }),
            TlsMode::Require | TlsMode::Off => Arc::new(Lenient { chain: None, algorithms }),
        })
    }
}

/// Accepts any name, and without a chain any certificate.
#[derive(Debug)]
struct Lenient {
    chain: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        // The name is looked at last: when it alone is wrong, all else is right.
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// weir's error for a server that offers no TLS.
pub(crate) fn not_offered(database: &Database) -> Error {
    let Database { name, tls, .. } = database;
    let context = format!("database {name} does not offer TLS, and tls is \"{}\"", tls.mode);
    Error::new(Kind::Transport, context).hint(format!(
        "switch TLS on at the server; plain text must be asked for: `tls = \"off\"` for database {name}"
    ))
}

/// What TLS found wrong, anywhere among the causes of `error`.
pub(crate) fn cause<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e TlsError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<TlsError>() {
            return Some(found);
        }
        // An input/output error hides what it was made from; its source is that one's source.
        let hidden = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match hidden {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// weir's error for a handshake that TLS broke off; `None` where another peer or the network did.
pub(crate) fn judge(error: &TlsError, database: &Database) -> Option<Error> {
    let Database { name, host, .. } = database;
    let (context, hint) = match error {
        TlsError::InvalidCertificate(problem) => match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
                format!("the certificate of database {name} has expired"),
                "renew the server's certificate; if it is good, set this machine's clock"
                    .to_owned(),
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
                format!("the certificate of database {name} is not valid yet"),
                "set this machine's clock, or the server's when it made the certificate".to_owned(),
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                (
                    format!("the certificate of database {name} is not for {host}"),
                    format!(
                        "write the url of database {name} with a name that is in the certificate; \
                     `tls = \"verify-ca\"` accepts any name"
                    ),
                )
            }
            _ => (
                format!("the certificate of database {name} is not signed by a trusted authority"),
                format!(
                    "write the file with the certificate of the server's own authority as \
                     `tls_ca` of database {name}"
                ),
            ),
        },
        TlsError::AlertReceived(alert) if is_about_us(*alert) => (
            format!("database {name} did not accept weir's certificate"),
            format!(
                "write a certificate that the server trusts, and its key, as `tls_cert` and \
                 `tls_key` of database {name}"
            ),
        ),
        TlsError::AlertReceived(
            AlertDescription::HandshakeFailure
            | AlertDescription::ProtocolVersion
            | AlertDescription::InsufficientSecurity,
        )
        | TlsError::PeerIncompatible(_) => (
            format!("database {name} and weir have no way of TLS in common"),
            "let the server offer TLS 1.2 or 1.3 with a cipher of today".to_owned(),
        ),
        _ => return None,
    };
    Some(Error::new(Kind::Transport, context).caused_by(error.clone()).hint(hint))
}

/// Whether the server says that the client's certificate is missing or wrong.
fn is_about_us(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}
