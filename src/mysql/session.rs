//! Ordinary sessions to MySQL and MariaDB: login, the settings every session of weir has, and
//! statements with a time limit and classified errors.
//!
//! TLS is as configured (`transport`). A session is refused by name where the server is of the
//! other dialect than configured. The settings make texts
//! and values mean the same everywhere: utf8mb4, UTC, and a fixed `sql_mode` (strict for targets),
//! whatever the server's global values are. No pool; one session is one connection.
//! Sources: MySQL and MariaDB manuals, "Server System Variables".

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row};
use secrecy::ExposeSecret;

use super::failure::classify;
use super::transport;
use crate::config::{Database, Dialect, is_socket};
use crate::error::{Error, Kind, Result};

/// Longest time for TCP connect, login and session settings together.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for one of the small statements of [`Session::rows`] and [`Session::run`].
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);
/// Idle time before TCP keep-alive probes start.
pub(super) const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
/// Prepared statements kept per connection.
const STATEMENTS_MAX: usize = 256;
/// `sql_mode` of targets (type-mapping §0.7): nothing is bent in silence. Dates that are none are
/// those of a MySQL or MariaDB source; the fit check lets no others pass.
const TARGET_SQL_MODE: &str = "STRICT_ALL_TABLES,ALLOW_INVALID_DATES,\
    ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO";

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads beside the stream, catalogs and checks.
    Source,
    /// Applies changes: strict `sql_mode`.
    Target,
    /// Reads the log.
    Replica,
}

/// Which of the two servers answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
}

/// One connection with weir's settings.
#[derive(Debug)]
pub struct Session {
    conn: Conn,
    flavor: Flavor,
    version: (u16, u16, u16),
    version_text: String,
    database: String,
}

/// Connects to `database` and sets the session up.
///
/// # Errors
/// `Transport` where TLS fails, `Configuration` where the server is of the other
/// dialect, `Timeout` after 10 s, and whatever the server says (see [`classify`]).
pub async fn connect(database: &Database, application_name: &str, role: Role) -> Result<Session> {
    let context = || format!("connect to database `{}`", database.name);
    let opts = options(database, application_name).await?;
    let connecting = async {
        let mut conn = log_in(opts, database.dialect)
            .await
            .map_err(|error| transport::refused(error, database, context()))?;
        let version_text: Option<String> = conn
            .query_first("SELECT VERSION()")
            .await
            .map_err(|error| classify(error, context()))?;
        let version_text = version_text.unwrap_or_default();
        let flavor = check_dialect(database, &version_text)?;
        for statement in settings(role, flavor) {
            conn.query_drop(statement).await.map_err(|error| classify(error, context()))?;
        }
        let version = parse_version(&version_text);
        refuse_old(database, flavor, version, &version_text)?;
        Ok(Session { conn, flavor, version, version_text, database: database.name.clone() })
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(session) => session,
        Err(_) => Err(no_login(database)),
    }
}

/// A session for what a verb asks of the tables of `weir`: no wait is long, for locks neither.
///
/// # Errors
/// As [`connect`].
pub(super) async fn for_verb(database: &Database, application_name: &str) -> Result<Session> {
    let mut session = connect(database, application_name, Role::Target).await?;
    for setting in [
        "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET SESSION innodb_lock_wait_timeout = 10, lock_wait_timeout = 10",
    ] {
        session.run("set up the session", setting).await?;
    }
    Ok(session)
}

/// The error for a login that takes too long.
pub(super) fn no_login(database: &Database) -> Error {
    let (name, limit) = (&database.name, CONNECT_TIMEOUT.as_secs());
    let context = format!("connect to database `{name}`: no login within {limit} s");
    Error::new(Kind::Timeout, context).hint(
        "check the server's load, and that it is MySQL or MariaDB that listens there: PostgreSQL \
         waits for the client to speak first",
    )
}

/// Logs in. With `ed25519` of MariaDB one right password in 256 is refused: the library cuts a zero
/// byte off the end of the server's nonce (`AuthSwitchRequest::plugin_data` of mysql_common 0.37). So
/// one refusal is no proof: a second login is.
async fn log_in(opts: impl Into<mysql_async::Opts>, dialect: Dialect) -> mysql_async::Result<Conn> {
    const ACCESS_DENIED: u16 = 1045;
    let opts = opts.into();
    match Conn::new(opts.clone()).await {
        Err(mysql_async::Error::Server(refusal))
            if refusal.code == ACCESS_DENIED && dialect == Dialect::Mariadb =>
        {
            tracing::debug!("the login was refused; trying once more");
            Conn::new(opts).await
        }
        outcome => outcome,
    }
}

impl Session {
    /// The connection itself, for prepared statements; wrap calls in [`within`].
    pub fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// The connection's number at the server.
    pub fn conn_id(&self) -> u32 {
        self.conn.id()
    }

    /// Which server this is.
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// Major, minor, patch.
    pub fn version(&self) -> (u16, u16, u16) {
        self.version
    }

    /// `VERSION()` as the server prints it.
    pub fn version_text(&self) -> &str {
        &self.version_text
    }

    /// The database's name in the configuration, for messages.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Runs one statement of text and returns all its rows. For small results only; at most 60 s.
    ///
    /// # Errors
    /// As [`classify`] says, with `what` (a lower-case phrase such as "read the catalog").
    pub async fn rows(&mut self, what: &str, sql: &str) -> Result<Vec<Row>> {
        let context = format!("{what} in database `{}`", self.database);
        within(STATEMENT_TIMEOUT, &context, self.conn.query::<Row, _>(sql)).await
    }

    /// As [`Session::rows`], each row as optional texts, in column order.
    pub async fn texts(&mut self, what: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        let rows = self.rows(what, sql).await?;
        Ok(rows
            .into_iter()
            .map(|row| row.unwrap_raw().into_iter().map(text_of).collect())
            .collect())
    }

    /// The first column of the first row, as text.
    pub async fn text(&mut self, what: &str, sql: &str) -> Result<Option<String>> {
        let rows = self.texts(what, sql).await?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
    }

    /// Runs one statement that yields no rows; at most 60 s.
    ///
    /// # Errors
    /// As [`Session::rows`].
    pub async fn run(&mut self, what: &str, sql: &str) -> Result<()> {
        let context = format!("{what} in database `{}`", self.database);
        within(STATEMENT_TIMEOUT, &context, self.conn.query_drop(sql)).await
    }
}

/// Awaits a call on a connection for at most `limit`; its error is classified with `context`.
/// After a `Timeout` the connection is in the middle of an answer and must be dropped.
///
/// # Errors
/// `Timeout`, or as [`classify`] says.
pub async fn within<T>(
    limit: Duration,
    context: &str,
    call: impl Future<Output = mysql_async::Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(|error| classify(error, context)),
        Err(_) => Err(Error::new(
            Kind::Timeout,
            format!("{context}: no answer within {} s", limit.as_secs_f32()),
        )),
    }
}

/// One value of a text-protocol row as text; `None` is NULL. Bytes that are not UTF-8 are shown
/// with replacement characters: use only for names and settings.
fn text_of(value: Option<mysql_async::Value>) -> Option<String> {
    match value? {
        mysql_async::Value::NULL => None,
        mysql_async::Value::Bytes(bytes) => Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

async fn options(database: &Database, application_name: &str) -> Result<OptsBuilder> {
    let password = match &database.password {
        Some(secret) => Some(secret.read(&database.name).await?),
        None => None,
    };
    let name = Some(database.database.clone()).filter(|name| !name.is_empty());
    Ok(OptsBuilder::default()
        .ip_or_hostname(database.host.trim_matches(['[', ']']))
        .tcp_port(database.port)
        .user(Some(database.user.clone()))
        .pass(password.as_ref().map(|password| password.expose_secret().to_owned()))
        .db_name(name)
        .ssl_opts(transport::options(database).await?)
        .socket(is_socket(&database.host).then(|| database.host.clone()))
        .prefer_socket(false)
        .tcp_keepalive(Some(KEEPALIVE_IDLE))
        .tcp_nodelay(true)
        .client_found_rows(true)
        .stmt_cache_size(STATEMENTS_MAX)
        .connect_attribute("program_name", application_name))
}

/// What every session is set to.
pub(super) fn settings(role: Role, flavor: Flavor) -> Vec<String> {
    // Time-outs of the server would end what may last; weir's own clocks bound it. Rows of system-versioned
    // tables are read as they are now, whatever moment the server has for all.
    let no_limits = match flavor {
        Flavor::Mysql => "max_execution_time = 0",
        Flavor::Mariadb => {
            "max_statement_time = 0, idle_transaction_timeout = 0, \
             idle_write_transaction_timeout = 0, idle_readonly_transaction_timeout = 0, \
             system_versioning_asof = DEFAULT"
        }
    };
    let sql_mode = if role == Role::Target { TARGET_SQL_MODE } else { "" };
    vec![
        "SET NAMES utf8mb4".to_owned(),
        format!(
            "SET SESSION time_zone = '+00:00', sql_mode = '{sql_mode}', wait_timeout = 28800, \
             autocommit = 1, completion_type = 'NO_CHAIN', {no_limits}"
        ),
    ]
}

/// Refuses a server of the other dialect than configured.
pub(super) fn check_dialect(database: &Database, version_text: &str) -> Result<Flavor> {
    let flavor = if version_text.contains("MariaDB") { Flavor::Mariadb } else { Flavor::Mysql };
    let (found, scheme) = match flavor {
        Flavor::Mysql => (Dialect::Mysql, "mysql"),
        Flavor::Mariadb => (Dialect::Mariadb, "mariadb"),
    };
    if database.dialect == found {
        return Ok(flavor);
    }
    let name = &database.name;
    Err(Error::new(
        Kind::Configuration,
        format!(
            "database `{name}` is configured as {}, but the server is {found} {version_text}",
            database.dialect
        ),
    )
    .hint(format!("write {scheme}:// in the url of database `{name}`")))
}

/// Refuses servers older than weir works with: their logs lack what it needs.
fn refuse_old(
    database: &Database,
    flavor: Flavor,
    version: (u16, u16, u16),
    text: &str,
) -> Result<()> {
    let (name, oldest) = match flavor {
        Flavor::Mysql => ("MySQL 8.0", (8, 0)),
        Flavor::Mariadb => ("MariaDB 10.6", (10, 6)),
    };
    if (version.0, version.1) >= oldest {
        return Ok(());
    }
    let context = format!("database `{}`: the server {text} is too old", database.name);
    Err(Error::new(Kind::Unsupported, context)
        .hint(format!("point the database at {name} or newer")))
}

/// `10.11.19-MariaDB-0+deb12u1` → (10, 11, 19); what is missing or odd is 0.
fn parse_version(text: &str) -> (u16, u16, u16) {
    let mut numbers =
        text.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tls;

    fn database(host: &str, dialect: Dialect) -> Database {
        Database {
            name: "crm".to_owned(),
            dialect,
            host: host.to_owned(),
            port: 3306,
            user: "weir".to_owned(),
            database: String::new(),
            password: None,
            tls: Tls::off(),
            server_id: None,
            heartbeat: None,
            others: Vec::new(),
            read: None,
            retention_min: crate::config::RETENTION_MIN,
        }
    }

    /// Broken if MariaDB were read with MySQL's GTIDs, or the reverse.
    #[test]
    fn the_other_dialect_is_refused_by_name() {
        let mysql = database("localhost", Dialect::Mysql);
        let error = check_dialect(&mysql, "10.11.19-MariaDB-0+deb12u1-log").expect_err("refused");
        assert_eq!(error.kind(), Kind::Configuration);
        assert!(error.operator_hint().contains("mariadb://"));
        assert_eq!(check_dialect(&mysql, "9.7.4").expect("same"), Flavor::Mysql);
        assert_eq!(parse_version("10.11.19-MariaDB-0+deb12u1-log"), (10, 11, 19));
        assert_eq!(parse_version("9.7"), (9, 7, 0));
    }

    /// Broken if a server whose log lacks names and signs were accepted, or a new one refused.
    #[test]
    fn old_servers_are_refused() {
        let database = database("localhost", Dialect::Mysql);
        for (flavor, text, good) in [
            (Flavor::Mysql, "5.7.44-log", false),
            (Flavor::Mysql, "8.0.11", true),
            (Flavor::Mysql, "26.1.0", true),
            (Flavor::Mariadb, "10.5.29-MariaDB", false),
            (Flavor::Mariadb, "10.6.1-MariaDB", true),
            (Flavor::Mariadb, "11.4.2-MariaDB", true),
        ] {
            let refused = refuse_old(&database, flavor, parse_version(text), text);
            assert_eq!(refused.is_ok(), good, "{text}");
        }
    }
}
