//! Ordinary SQL sessions: connecting, logging in, and the settings every session of weir has.
//!
//! The settings decide how values look as text (type-mapping §0.7), so the replication connection
//! sends the same ones. TLS is as configured (`transport`). A session owns the task that drives its connection: dropping the session
//! closes the connection, and with it any open transaction.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{Client, Config, Connection, Socket, Statement};

use super::{failure, transport};
use crate::config::Database;
use crate::error::{Error, Kind, Result};

/// Connecting and logging in take at most this long.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection is probed after this much silence.
pub(crate) const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
/// Time between two probes.
pub(crate) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// A connection is dead after this many probes without an answer.
pub(crate) const KEEPALIVE_PROBES: u32 = 3;
/// A connection is dead when sent bytes stay unacknowledged this long.
pub(crate) const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Settings of every session, of the replication connection too.
const SETTINGS: &[(&str, &str)] = &[
    ("client_encoding", "UTF8"),
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "iso_8601"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    ("standard_conforming_strings", "on"),
    ("synchronous_commit", "on"),
    ("search_path", "pg_catalog"),
    // A warning in the stream may be the only sign that changes are left out.
    ("client_min_messages", "warning"),
    // Time-outs of server, database or role would end what may last, such as the wait for a new
    // slot. Sessions that need a limit set their own; weir's own clocks bound the rest.
    ("lock_timeout", "0"),
    ("statement_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    // What the server holds for a weir that is gone without a word, it holds for half a minute: a
    // slot, and the locks of a transaction. Of no effect on Unix sockets.
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30000"),
    // A table with row security is refused rather than read in part.
    ("row_security", "off"),
    ("default_transaction_isolation", "read committed"),
];

/// A logged-in session. Dereferences to the client.
#[derive(Debug)]
pub struct Session {
    client: Client,
    connection: Driver,
    questions: Questions,
}

/// Statements that are prepared already, by their texts.
#[derive(Default)]
struct Questions(Mutex<BTreeMap<&'static str, Statement>>);

impl fmt::Debug for Questions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Questions")
    }
}

/// The task that moves a connection's bytes; ends with its holder.
#[derive(Debug)]
pub(super) struct Driver(JoinHandle<()>);

impl Driver {
    /// Starts it.
    pub(super) fn of<T>(connection: Connection<Socket, T>) -> Driver
    where
        T: TlsStream + Unpin + Send + 'static,
    {
        Driver(tokio::spawn(async move {
            // Each request in flight has the error too; nobody is told twice.
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "connection ended");
            }
        }))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Session {
    /// One of weir's own questions, prepared once per session: for what is asked again and again.
    pub(super) async fn question(
        &self,
        text: &'static str,
    ) -> Result<Statement, tokio_postgres::Error> {
        let known = |questions: &Questions| {
            let questions = questions.0.lock().unwrap_or_else(PoisonError::into_inner);
            questions.get(text).cloned()
        };
        if let Some(statement) = known(&self.questions) {
            return Ok(statement);
        }
        let statement = self.client.prepare(text).await?;
        let mut questions = self.questions.0.lock().unwrap_or_else(PoisonError::into_inner);
        questions.insert(text, statement.clone());
        Ok(statement)
    }

    /// Ends the session in good order: the server has let go of it when this returns, or five
    /// seconds have passed. Dropping a session closes it too, without waiting.
    pub async fn close(self) {
        let Session { client, mut connection, .. } = self;
        drop(client);
        if tokio::time::timeout(Duration::from_secs(5), &mut connection.0).await.is_err() {
            tracing::debug!("session did not end in time; its connection is cut");
        }
    }
}

impl Deref for Session {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// Connects to `database` and logs in, showing `application_name` in the process list.
///
/// Errors: `Transport` where TLS fails, `Authentication` for a refused or missing password, else
/// as `failure::classify` says.
pub async fn connect(database: &Database, application_name: &str) -> Result<Session> {
    let mut config = Config::new();
    config
        .host(bare_host(database))
        .port(database.port)
        .user(&database.user)
        .dbname(&database.database)
        .application_name(application_name)
        .options(options())
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_PROBES)
        .tcp_user_timeout(USER_TIMEOUT);
    if let Some(password) = password(database).await? {
        config.password(password.expose_secret());
    }
    let context = || format!("cannot connect to database {}", place(database));
    let connecting = transport::connect(database, &mut config, context);
    let (client, connection) = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
        .await
        .map_err(|elapsed| Error::new(Kind::Timeout, context()).caused_by(elapsed))?
        .map_err(|error| stranger(error, database))?;
    Ok(Session { client, connection, questions: Questions::default() })
}

/// A session for what a verb asks of the tables of `weir`: no wait is long, for locks neither.
///
/// # Errors
/// As [`connect`].
pub(super) async fn for_verb(database: &Database, application_name: &str) -> Result<Session> {
    let session = connect(database, application_name).await?;
    let limits = "SET lock_timeout = '10s'; SET statement_timeout = '60s'";
    session.batch_execute(limits).await.map_err(|error| {
        failure::classify(error, format!("prepare the session with {}", place(database)))
    })?;
    Ok(session)
}

/// A server that does not know one of [`SETTINGS`] is older than any that weir works with.
pub(super) fn refused(error: tokio_postgres::Error, context: String) -> Error {
    let said = error.as_db_error().map_or("", |said| said.message());
    if let Some(pooler) = pooler(said) {
        return behind(pooler, context).caused_by(error);
    }
    match error.code() {
        Some(&SqlState::UNDEFINED_OBJECT) => Error::new(Kind::Unsupported, context)
            .caused_by(error)
            .hint("point the database at PostgreSQL 14 or newer"),
        _ => failure::classify(error, context),
    }
}

/// The pooler that refuses a login in words that no server has.
/// Sources: PgBouncer, `src/client.c`; Amazon RDS user guide, "Limitations for RDS Proxy".
pub(super) fn pooler(message: &str) -> Option<&'static str> {
    let says = |words: &str| message.to_lowercase().contains(words);
    match () {
        () if says("unsupported startup parameter") || says("pgbouncer") => Some("PgBouncer"),
        () if says("rds proxy") => Some("RDS Proxy"),
        () => None,
    }
}

/// The error for it.
pub(super) fn behind(pooler: &str, context: impl Into<String>) -> Error {
    Error::new(Kind::Unsupported, context).hint(format!(
        "{pooler} answers in the server's name, and changes what sessions are and can do: point the \
         database at the PostgreSQL server itself"
    ))
}

/// What cannot be read during the login does not come from PostgreSQL.
fn stranger(error: Error, database: &Database) -> Error {
    if error.kind() != Kind::Malformed {
        return error;
    }
    let context = format!("database {} does not answer as PostgreSQL does", place(database));
    Error::new(Kind::Configuration, context).caused_by(error).hint(format!(
        "correct host and port in the url of database {}, or write mysql:// or mariadb://",
        database.name
    ))
}

/// The host without the brackets of an IPv6 address.
pub(super) fn bare_host(database: &Database) -> &str {
    database.host.trim_start_matches('[').trim_end_matches(']')
}

/// The password, read anew.
pub(crate) async fn password(database: &Database) -> Result<Option<SecretString>> {
    match &database.password {
        None => Ok(None),
        Some(secret) => secret.read(&database.name).await.map(Some),
    }
}

/// Name and address of a database for messages: `crm (127.0.0.1:5432/sales)`.
pub(crate) fn place(database: &Database) -> String {
    format!("{} ({}/{})", database.name, database.listens_at(), database.database)
}

/// [`SETTINGS`] as the startup packet's `options`: blanks and backslashes are escaped.
/// Source: PostgreSQL manual, "Message Formats", StartupMessage.
pub(crate) fn options() -> String {
    let mut text = String::new();
    for (name, value) in SETTINGS {
        let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
        text.push_str(&format!("-c {name}={value} "));
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if the operator of a pooler were left with its words alone.
    #[test]
    fn poolers_are_recognised() {
        for (message, expected) in [
            ("unsupported startup parameter: options", Some("PgBouncer")),
            ("unsupported startup parameter in options: DateStyle", Some("PgBouncer")),
            ("RDS Proxy currently doesn\u{2019}t support command-line options", Some("RDS Proxy")),
            ("unrecognized configuration parameter \"x\"", None),
        ] {
            assert_eq!(pooler(message), expected, "{message}");
        }
    }

    /// Broken if a setting with a blank fell apart, and dates came in the server's own style.
    #[test]
    fn settings_survive_the_startup_packet() {
        assert!(options().contains("-c DateStyle=ISO,\\ YMD -c IntervalStyle=iso_8601"));
        assert!(options().contains("isolation=read\\ committed"));
    }
}
