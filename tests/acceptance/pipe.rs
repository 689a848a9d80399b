//! The bare pipes that copies are measured against: the servers' own tools, one that reads a table and one
//! that fills another, and pgloader, which does both. They run as their documentation says, without TLS.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use weir::sandbox::{Running, Server, Tool};

use crate::crash::SPACE;
use crate::harness::{Pair, execute_in};
use crate::item::{COLUMNS, table};

/// The schema or database that the pipes fill.
const PIPED: &str = "piped";

/// What copies `item` from one side to the other without weir, if anything does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipe {
    /// `COPY TO` into `COPY FROM`.
    Copy,
    /// A dump into the client.
    Dump,
    /// What the client prints of a `SELECT`, into `COPY FROM`.
    Select,
    /// pgloader.
    Pgloader,
}

impl Pipe {
    /// As it is typed.
    pub fn name(self, source: Server) -> &'static str {
        match self {
            Pipe::Copy => "psql COPY | psql COPY",
            Pipe::Dump if source.is_mariadb() => "mariadb-dump | mariadb",
            Pipe::Dump => "mysqldump | mysql",
            Pipe::Select => "mysql -q | psql COPY",
            Pipe::Pgloader => "pgloader",
        }
    }

    /// Fills an empty table with the same primary key; how long that took.
    pub async fn run(self, pair: &Pair, rows: u64) -> Duration {
        empty(&pair.target).await;
        if self != Pipe::Pgloader {
            execute_in(&pair.target, PIPED, table(pair.target.kind())).await;
        }
        let (first, second) = self.commands(pair);
        let started = Instant::now();
        tokio::task::spawn_blocking(move || run(first, second)).await.expect("a pipe");
        let took = started.elapsed();
        // pgloader names the schema after the database that it reads.
        let space = if self == Pipe::Pgloader { SPACE } else { PIPED };
        let count = format!("SELECT count(*) FROM {space}.item");
        let database = if self == Pipe::Pgloader { PIPED } else { pair.target.database() };
        assert_eq!(count_in(&pair.target, database, &count).await, rows, "{self:?}");
        took
    }

    fn commands(self, pair: &Pair) -> (Command, Option<Command>) {
        let (source, target) = (&pair.source, &pair.target);
        match self {
            Pipe::Copy => {
                (psql(source, &format!("COPY {SPACE}.item TO STDOUT")), Some(copy_in(target)))
            }
            Pipe::Dump => {
                let (dump, client) = if source.kind().is_mariadb() {
                    (Tool::MariaDbDump, Tool::MariaDb)
                } else {
                    (Tool::MysqlDump, Tool::Mysql)
                };
                let mut dump = mysql(dump, source);
                dump.args(["--single-transaction", "--no-create-info", "--no-tablespaces"]);
                if !source.kind().is_mariadb() {
                    dump.arg("--set-gtid-purged=OFF");
                }
                dump.args([SPACE, "item"]);
                let mut client = mysql(client, target);
                client.arg(PIPED);
                (dump, Some(client))
            }
            Pipe::Select => {
                let mut client = mysql(Tool::Mysql, source);
                let query = format!("SELECT {COLUMNS} FROM {SPACE}.item");
                client.args(["--quick", "--batch", "--skip-column-names", "--execute", &query]);
                (client, Some(copy_in(target)))
            }
            Pipe::Pgloader => (pgloader(source, target), None),
        }
    }
}

/// Nothing is left of the pipe before.
async fn empty(target: &Running) {
    if target.kind().is_postgres() {
        let drop = format!("DROP SCHEMA IF EXISTS {PIPED} CASCADE; CREATE SCHEMA {PIPED}");
        target.execute(&drop).await.expect("an empty schema");
        // For pgloader, which makes a schema of its own.
        let drop = format!("DROP DATABASE IF EXISTS {PIPED}");
        target.execute(&drop).await.expect("no database");
        target.execute(&format!("CREATE DATABASE {PIPED}")).await.expect("an empty database");
    } else {
        let drop = format!("DROP DATABASE IF EXISTS {PIPED}; CREATE DATABASE {PIPED}");
        target.execute(&drop).await.expect("an empty database");
    }
}

async fn count_in(server: &Running, database: &str, sql: &str) -> u64 {
    if !server.kind().is_postgres() {
        let rows = server.query(sql).await.expect("a count");
        return rows[0][0].as_deref().and_then(|text| text.parse().ok()).expect("a count");
    }
    let mut config = server.pg_config();
    config.dbname(database);
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("connect");
    let connection = tokio::spawn(connection);
    let count: i64 = client.query_one(sql, &[]).await.expect("a count").get(0);
    drop(client);
    connection.await.expect("the connection").expect("the connection");
    u64::try_from(count).expect("a count")
}

fn copy_in(target: &Running) -> Command {
    psql(target, &format!("COPY {PIPED}.item FROM STDIN"))
}

fn psql(server: &Running, sql: &str) -> Command {
    let mut command = Tool::Psql.command().expect("psql");
    command.env("PGPASSWORD", server.password());
    command.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--command", sql]);
    command.arg(server.url());
    command
}

fn mysql(tool: Tool, server: &Running) -> Command {
    let mut command = tool.command().expect("the client");
    command.env("MYSQL_PWD", server.password());
    command.args(["--no-defaults", "--host=127.0.0.1", "--user", server.user()]);
    command.arg(format!("--port={}", server.port()));
    if server.kind().is_mariadb() {
        command.arg("--skip-ssl");
    } else {
        command.args(["--ssl-mode=DISABLED", "--get-server-public-key"]);
    }
    command
}

fn pgloader(source: &Running, target: &Running) -> Command {
    let mut command = Tool::Pgloader.command().expect("pgloader");
    let of = |server: &Running, scheme: &str, database: &str| {
        let (user, password, port) = (server.user(), server.password(), server.port());
        format!("{scheme}://{user}:{password}@127.0.0.1:{port}/{database}")
    };
    command.arg(of(source, "mysql", SPACE)).arg(of(target, "postgresql", PIPED));
    command
}

/// Runs one program, or two with a pipe between them, to the end.
fn run(mut first: Command, second: Option<Command>) {
    first.stdin(Stdio::null());
    let Some(mut second) = second else {
        let output = first.output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{first:?}: {said}");
        return;
    };
    let mut first = first.stdout(Stdio::piped()).spawn().expect("the reader starts");
    let between = first.stdout.take().expect("a pipe");
    let written = second.stdin(between).status().expect("the writer starts");
    let read = first.wait().expect("the reader ends");
    assert!(read.success() && written.success(), "reader {read}, writer {written}");
}
