//! Who weir is where it is no administrator: a user that reads the source and one that writes the
//! target, each with nothing but the rights that `weir setup` printed and an administrator ran.

use std::path::Path;

use mysql_async::prelude::Queryable;
use weir::config::{Database, Dialect, RETENTION_MIN, Secret, Tls};
use weir::rooms::room;
use weir::sandbox::{Running, Server};

/// Who weir is at a source.
pub const READER: &str = "weir_reader";
/// Who weir is at a target.
pub const WRITER: &str = "weir_writer";
/// The password of both.
pub const SECRET: &str = "secret";

/// Makes a user without any right, nor those that PostgreSQL gives everyone.
pub async fn create(server: &Running, user: &str) {
    let sql = match server.kind() {
        Server::Postgres15 | Server::Postgres18 => format!(
            "CREATE ROLE {user} LOGIN PASSWORD '{SECRET}'; REVOKE ALL ON SCHEMA public FROM PUBLIC; \
             REVOKE ALL ON DATABASE {} FROM PUBLIC",
            server.database()
        ),
        Server::MariaDb1011 | Server::MySql97 => {
            format!("CREATE USER {user} IDENTIFIED BY '{SECRET}'")
        }
    };
    server.execute(&sql).await.expect("a user without rights");
}

/// A server as the rooms know it, for its administrator.
pub fn administrator(server: &Running, name: &str) -> Database {
    let dialect = match server.kind() {
        Server::Postgres15 | Server::Postgres18 => Dialect::Postgres,
        Server::MariaDb1011 => Dialect::Mariadb,
        Server::MySql97 => Dialect::Mysql,
    };
    Database {
        name: name.to_owned(),
        dialect,
        host: "127.0.0.1".to_owned(),
        port: server.port(),
        user: server.user().to_owned(),
        database: server.database().to_owned(),
        password: printed(server.password()),
        tls: Tls::off(),
        server_id: None,
        heartbeat: None,
        others: Vec::new(),
        read: None,
        retention_min: RETENTION_MIN,
    }
}

/// The same for a user that is made here, who may look at `schemas` and no more.
pub async fn newcomer(server: &Running, name: &str, user: &str, schemas: &[&str]) -> Database {
    create(server, user).await;
    let database = Database {
        user: user.to_owned(),
        password: printed(SECRET),
        ..administrator(server, name)
    };
    let room = room(database.dialect);
    let account = room.account(&database).await.expect("an account");
    give(server, room.setup_entry(&database, &account, schemas)).await;
    database
}

fn printed(secret: &str) -> Option<Secret> {
    Some(Secret::Command(["printf", "%s", secret].map(str::to_owned).to_vec()))
}

/// Has the administrator run what setup makes.
pub async fn give(server: &Running, statements: Vec<String>) {
    for sql in statements {
        server.execute(&sql).await.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    }
}

/// A right taken away: which one, by which statement, and what gives it back.
pub struct Taken {
    pub right: String,
    pub take: String,
    pub give: String,
}

/// Each right that `setup` printed for `user`.
pub fn granted(printed: &str, user: &str) -> Vec<Taken> {
    let mut taken = Vec::new();
    for grant in printed.lines().filter_map(|line| line.strip_suffix(';')) {
        let Some(rest) = grant.strip_prefix("GRANT ") else { continue };
        let (rights, place) = rest.split_once(" ON ").expect("a place");
        let (place, account) = place.split_once(" TO ").expect("a user");
        if !account.contains(user) {
            continue;
        }
        taken.extend(rights.split(", ").map(|right| Taken {
            right: right.to_owned(),
            take: format!("REVOKE {right} ON {place} FROM {account}"),
            give: format!("GRANT {right} ON {place} TO {account}"),
        }));
    }
    taken
}

/// The administrator of a server.
#[derive(Clone)]
pub struct Administrator {
    port: u16,
    directory: String,
    postgres: Option<tokio_postgres::Config>,
    mysql: Option<mysql_async::Opts>,
}

impl Administrator {
    /// Of this server.
    pub fn of(server: &Running) -> Administrator {
        let postgres = server.kind().is_postgres();
        Administrator {
            port: server.port(),
            directory: server.dir().display().to_string(),
            postgres: postgres.then(|| server.pg_config()),
            mysql: (!postgres).then(|| server.mysql_opts()),
        }
    }

    async fn run(&self, database: &str, sql: &str) {
        if let Some(config) = &self.postgres {
            let mut config = config.clone();
            config.dbname(database);
            let (client, connection) =
                config.connect(tokio_postgres::NoTls).await.expect("connect");
            let driver = tokio::spawn(connection);
            client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
            drop(client);
            let _ = driver.await;
        }
        if let Some(opts) = &self.mysql {
            let mut conn = mysql_async::Conn::new(opts.clone()).await.expect("connect");
            conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{error}\n{sql}"));
            conn.disconnect().await.expect("disconnect");
        }
    }
}

/// Runs what `weir setup` or `weir teardown` printed, each part in the database it is for.
pub async fn administer(administrators: &[Administrator], config: &Path, printed: &str) {
    let text = std::fs::read_to_string(config).expect("weir.toml");
    let config: toml::Table = text.parse().expect("weir.toml");
    for part in printed.split("-- on ").skip(1) {
        let (head, sql) = part.split_once('\n').expect("a line of its own");
        let name = head.split(' ').next().expect("a database's name");
        let url = config["database"][name]["url"].as_str().expect("url");
        let (_, address) = url.split_once('@').expect("an address");
        let (place, database) = address.split_once('/').expect("a database");
        let is_there = |one: &&Administrator| {
            place.ends_with(&format!(":{}", one.port)) || address.contains(&one.directory)
        };
        let by = administrators.iter().find(is_there);
        let sql: Vec<&str> = sql.lines().filter(|line| !line.starts_with("-- ")).collect();
        let sql = sql.join("\n");
        if !sql.trim().is_empty() {
            by.expect("an administrator").run(database, sql.trim()).await;
        }
    }
}
