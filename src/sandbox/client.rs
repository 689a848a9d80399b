//! SQL on a throw-away server: connections, statements, rows as text, the same for every dialect.
//!
//! For set-up and for looking at results; nothing here is fast. Connections go over TCP with the password, except
//! the one that sets PostgreSQL's password, which goes through the socket in the server's private directory.

use std::path::Path;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::{Error, Kind, Result};

fn sql(what: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Kind::Sql, what).with_source(source)
}

/// Opens a PostgreSQL connection; its task ends with the client.
pub(crate) async fn postgres(config: &Config) -> Result<Client> {
    let (client, connection) =
        config.connect(NoTls).await.map_err(|e| sql("connect to PostgreSQL", explain(&e)))?;
    // The client sees the end of the connection at its next use; there is nobody else to tell.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

/// Opens a MySQL or MariaDB connection.
pub(crate) async fn mysql(opts: Opts) -> Result<Conn> {
    Conn::new(opts).await.map_err(|e| sql("connect to MySQL", e))
}

/// Runs statements on PostgreSQL and returns the rows of all of them as text.
pub(crate) async fn query_postgres(
    config: &Config,
    text: &str,
) -> Result<Vec<Vec<Option<String>>>> {
    let client = postgres(config).await?;
    let messages = client.simple_query(text).await.map_err(|e| sql("run SQL", explain(&e)))?;
    Ok(messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect())
            }
            _ => None,
        })
        .collect())
}

/// Runs statements on MySQL or MariaDB and returns the rows of all of them as text.
pub(crate) async fn query_mysql(opts: Opts, text: &str) -> Result<Vec<Vec<Option<String>>>> {
    let mut conn = mysql(opts).await?;
    let failed = |e| sql("run SQL", e);
    let mut result = conn.query_iter(text).await.map_err(failed)?;
    let mut rows = Vec::new();
    while !result.is_empty() {
        let set: Vec<mysql_async::Row> = result.collect().await.map_err(failed)?;
        rows.extend(set.into_iter().map(|row| row.unwrap().iter().map(value_text).collect()));
    }
    drop(result);
    conn.disconnect().await.map_err(failed)?;
    Ok(rows)
}

/// TCP options of a MySQL or MariaDB server; never through the socket.
pub(crate) fn mysql_opts(port: u16, user: &str, password: &str, database: Option<&str>) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .prefer_socket(false)
        .user(Some(user))
        .pass(Some(password))
        .db_name(database)
        .into()
}

/// Sets the superuser's password and creates `database`, through the socket in `directory`.
pub(crate) async fn set_up_postgres(
    directory: &Path,
    port: u16,
    password: &str,
    database: &str,
) -> Result<()> {
    let mut config = Config::new();
    config.host_path(directory).port(port).user("postgres").dbname("postgres");
    let client = postgres(&config).await?;
    let run = async |text: String| {
        client.batch_execute(&text).await.map_err(|e| sql("set up PostgreSQL", explain(&e)))
    };
    run(format!("ALTER ROLE postgres PASSWORD '{}'", password.replace('\'', "''"))).await?;
    let known = client
        .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&database])
        .await
        .map_err(|e| sql("set up PostgreSQL", explain(&e)))?;
    if known.is_none() {
        run(format!("CREATE DATABASE \"{}\"", database.replace('"', "\"\""))).await?;
    }
    Ok(())
}

fn value_text(value: &mysql_async::Value) -> Option<String> {
    match value {
        mysql_async::Value::NULL => None,
        mysql_async::Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}

/// The server's own words where there are some: the client's error says only "db error".
fn explain(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} {}", db.code().code(), db.message()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}
