//! Logging the replication connection in: the server's greeting, TLS, and authentication.
//!
//! Knows `caching_sha2_password` (inside TLS, on a unix socket, or by the server's RSA key),
//! `mysql_native_password` and `ed25519`; any other method is refused by name. Nothing falls back to
//! plain text. Ordinary sessions are logged in by mysql_async, which has no raw packets; the
//! formulas are the same library's.
//! Source: MySQL "Client/Server Protocol", "Connection Phase".

use std::collections::HashMap;
use std::io;

use mysql_common::constants::CapabilityFlags;
use mysql_common::crypto;
use mysql_common::io::ParseBuf;
use mysql_common::packets::{
    AuthPlugin, AuthSwitchRequest, HandshakePacket, HandshakeResponse, SslRequest,
};
use mysql_common::proto::MySerialize;
use secrecy::{ExposeSecret, SecretString};

use super::binlog::Cursor;
use super::session::{self, Flavor};
use super::transport;
use super::wire::Connection;
use crate::config::{Database, TlsMode};
use crate::error::{Error, Kind, Result};
use crate::tls;

/// Largest packet that weir takes, in bytes.
const PACKET_BYTES_MAX: u32 = 1 << 30;
/// Collation 45, `utf8mb4_general_ci`, which both servers know.
const COLLATION: u8 = 45;
/// What both sides must be able to do.
const CAPABILITIES: CapabilityFlags = CapabilityFlags::CLIENT_PROTOCOL_41
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_LONG_PASSWORD)
    .union(CapabilityFlags::CLIENT_TRANSACTIONS)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH);

/// Logs in; says which server it is.
///
/// # Errors
/// `Transport` where TLS fails, `UnsupportedLogin` for another method, `Malformed` for what is no
/// greeting, and what the server says.
pub(super) async fn log_in(
    connection: &mut Connection,
    database: &Database,
    application_name: &str,
) -> Result<Flavor> {
    let password = match &database.password {
        Some(secret) => Some(secret.read(&database.name).await?),
        None => None,
    };
    let logging_in = async {
        let packet = connection.packet().await?;
        let greeting: HandshakePacket<'_> = parse(&packet)?;
        let version = greeting.server_version_str().into_owned();
        let flavor = session::check_dialect(database, &version)?;
        let mut nonce = greeting.scramble_1_ref().to_vec();
        nonce.extend_from_slice(greeting.scramble_2_ref().unwrap_or_default());
        // A zero byte follows the twenty.
        nonce.resize(20, 0);
        let mut capabilities = CAPABILITIES & greeting.capabilities();
        if database.tls.mode != TlsMode::Off {
            if !greeting.capabilities().contains(CapabilityFlags::CLIENT_SSL) {
                return Err(tls::not_offered(database));
            }
            capabilities |= CapabilityFlags::CLIENT_SSL;
            let request = SslRequest::new(capabilities, PACKET_BYTES_MAX, COLLATION);
            connection.send(&bytes_of(&request)).await?;
            connection.encrypt(database).await?;
        }
        let plugin = match greeting.auth_plugin() {
            Some(AuthPlugin::CachingSha2Password) => AuthPlugin::CachingSha2Password,
            _ => AuthPlugin::MysqlNativePassword,
        };
        let answer = proof(&plugin, password.as_ref(), &nonce, database)?;
        let attributes = HashMap::from([("program_name".to_owned(), application_name.to_owned())]);
        let wants = greeting.capabilities().contains(CapabilityFlags::CLIENT_CONNECT_ATTRS);
        let response = HandshakeResponse::new(
            Some(answer),
            (8, 0, 0),
            Some(database.user.as_bytes()),
            None::<&[u8]>,
            Some(plugin),
            capabilities,
            wants.then_some(attributes),
            PACKET_BYTES_MAX,
        );
        connection.send(&bytes_of(&response)).await?;
        authenticate(connection, database, password.as_ref(), nonce).await?;
        Ok(flavor)
    };
    logging_in.await.map_err(|error| transport::explained(error, database))
}

/// Answers what the server asks until it is content.
async fn authenticate(
    connection: &mut Connection,
    database: &Database,
    password: Option<&SecretString>,
    mut nonce: Vec<u8>,
) -> Result<()> {
    // A server asks for at most: another method, the password, its key.
    const QUESTIONS_MAX: usize = 8;
    for _ in 0..QUESTIONS_MAX {
        let packet = connection.packet().await?;
        match (packet.first(), packet.get(1)) {
            (Some(0x00), _) => return Ok(()),
            (Some(0xFE), _) => {
                let asked: AuthSwitchRequest<'_> = parse(&packet)?;
                nonce = asked.plugin_data().to_vec();
                let answer = proof(&asked.auth_plugin(), password, &nonce, database)?;
                connection.send(&answer).await?;
            }
            (Some(0x01), Some(0x03)) => {}
            (Some(0x01), Some(0x04)) => full_password(connection, password, &nonce).await?,
            _ => return Err(garbled()),
        }
    }
    Err(garbled())
}

/// What shows that weir knows the password, by the server's method.
fn proof(
    plugin: &AuthPlugin<'_>,
    password: Option<&SecretString>,
    nonce: &[u8],
    database: &Database,
) -> Result<Vec<u8>> {
    let nonce_bytes = match plugin {
        AuthPlugin::CachingSha2Password | AuthPlugin::MysqlNativePassword => 20,
        AuthPlugin::Ed25519 => 32,
        other => {
            let method = String::from_utf8_lossy(other.as_bytes()).into_owned();
            let what = format!("database {} asks for the login method {method}", database.name);
            return Err(Error::new(Kind::UnsupportedLogin, what));
        }
    };
    // The library takes a zero at the end for a mark of the end, but one may be part of a nonce.
    let mut nonce = nonce.to_vec();
    if nonce.len() + 1 < nonce_bytes {
        return Err(garbled());
    }
    nonce.resize(nonce_bytes, 0);
    let password = password.map(ExposeSecret::expose_secret);
    Ok(plugin.gen_data(password, &nonce).map(|data| bytes_of(&data)).unwrap_or_default())
}

/// `caching_sha2_password` wants the password itself: as it is where nobody between can read it, else
/// encrypted with the server's key.
async fn full_password(
    connection: &mut Connection,
    password: Option<&SecretString>,
    nonce: &[u8],
) -> Result<()> {
    const ASK_FOR_KEY: u8 = 2;
    let password = password.map(ExposeSecret::expose_secret).unwrap_or_default();
    let mut secret = [password.as_bytes(), &[0]].concat();
    if connection.is_private() {
        return connection.send(&secret).await;
    }
    connection.send(&[ASK_FOR_KEY]).await?;
    let packet = connection.packet().await?;
    let key = packet.get(1..).unwrap_or_default().to_vec();
    for (byte, mask) in secret.iter_mut().zip(nonce.iter().take(20).cycle()) {
        *byte ^= mask;
    }
    // The library panics on a key that is none.
    let encrypted = std::panic::catch_unwind(|| crypto::encrypt(&secret, &key));
    connection.send(&encrypted.map_err(|_| garbled())?).await
}

fn bytes_of(packet: &impl MySerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.serialize(&mut bytes);
    bytes
}

fn parse<'a, T>(packet: &'a [u8]) -> Result<T>
where
    T: mysql_common::proto::MyDeserialize<'a, Ctx = ()>,
{
    ParseBuf(packet).parse(()).map_err(|error: io::Error| garbled().caused_by(error))
}

fn garbled() -> Error {
    Error::new(Kind::Malformed, "unexpected message during login")
        .hint("check that it is MySQL or MariaDB that listens there")
}

/// The first value of a row of text.
///
/// # Errors
/// `Malformed` for bytes that are no row.
pub(super) fn first_text(row: &[u8]) -> Result<Option<String>> {
    if row.first() == Some(&0xFB) {
        return Ok(None);
    }
    let text = Cursor::new(row).packed_bytes()?;
    Ok(Some(String::from_utf8_lossy(text).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Dialect;
    use crate::plan::fixtures;

    /// Broken if the right password were refused whenever the server's nonce ends in a zero, which the
    /// library cuts off.
    #[test]
    fn a_zero_at_the_end_belongs_to_the_nonce() {
        let database = fixtures::database("crm", Dialect::Mariadb);
        let password = SecretString::from("secret");
        let proof = |plugin: &AuthPlugin<'_>, nonce: &[u8]| {
            proof(plugin, Some(&password), nonce, &database).map_err(|error| error.kind())
        };
        let mut nonce = [7; 32];
        nonce[31] = 0;
        let whole = proof(&AuthPlugin::Ed25519, &nonce);
        assert_eq!(whole.as_ref().map(Vec::len), Ok(64));
        assert_eq!(proof(&AuthPlugin::Ed25519, &nonce[..31]), whole);
        assert_ne!(proof(&AuthPlugin::Ed25519, &[7; 32]), whole);
        assert_eq!(proof(&AuthPlugin::Ed25519, &nonce[..30]), Err(Kind::Malformed));
        let native = AuthPlugin::MysqlNativePassword;
        assert_eq!(proof(&native, &nonce[..20]), proof(&native, &nonce));
    }
}
