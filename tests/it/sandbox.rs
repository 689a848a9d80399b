//! The throw-away servers themselves: they start, are set up for replication, keep their data over a kill, and
//! leave nothing behind. Everything else that runs end to end stands on this.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use weir::sandbox::{Options, Running, Server, require};

type TestResult = Result<(), Box<dyn std::error::Error>>;

const CHILD: &str = "WEIR_TEST_SANDBOX_CHILD";

async fn text(server: &Running, sql: &str) -> String {
    let rows = server.query(sql).await.unwrap();
    let cells = rows.into_iter().flatten().map(|cell| cell.unwrap_or_else(|| "NULL".to_owned()));
    cells.collect::<Vec<_>>().join(" ")
}

/// A directory or a process that outlives its sandbox would fill the disk of whoever runs the demo.
fn assert_gone(pid: u32, directory: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let process = PathBuf::from(format!("/proc/{pid}"));
    while (process.exists() && !is_zombie(&process)) || directory.exists() {
        assert!(Instant::now() < deadline, "{pid} or {} is left behind", directory.display());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Dead, and only waiting for a container's first process to collect it.
fn is_zombie(process: &Path) -> bool {
    std::fs::read_to_string(process.join("stat")).is_ok_and(|stat| stat.contains(") Z "))
}

async fn kill_and_restart(server: &mut Running) -> TestResult {
    server.execute("CREATE TABLE t (id int PRIMARY KEY)").await?;
    server.execute("INSERT INTO t VALUES (1)").await?;
    let (port, first) = (server.port(), server.pid());
    server.kill().await?;
    assert_eq!(server.pid(), None);
    assert!(server.query("SELECT 1").await.is_err(), "a killed server answers");
    server.start_again().await?;
    assert_ne!(server.pid(), first);
    server.execute("INSERT INTO t VALUES (2)").await?;
    server.restart().await?;
    assert_eq!(text(server, "SELECT id FROM t ORDER BY id").await, "1 2");
    assert_eq!(server.port(), port);
    Ok(())
}

async fn postgres(server: Server, major: &str) -> TestResult {
    let Some(mut pg) = require(server, Options::default()).await? else { return Ok(()) };
    eprintln!("{server} is {} on port {}", pg.version(), pg.port());
    assert!(text(&pg, "SHOW server_version").await.starts_with(major));
    assert_eq!(text(&pg, "SHOW wal_level").await, "logical");
    assert_eq!(text(&pg, "SELECT current_database()").await, "app");
    text(&pg, "SELECT pg_create_logical_replication_slot('s', 'pgoutput')").await;
    let mut wrong = pg.pg_config();
    wrong.password("wrong");
    assert!(wrong.connect(tokio_postgres::NoTls).await.is_err(), "any password is accepted");
    kill_and_restart(&mut pg).await?;
    let (pid, directory) = (pg.pid().unwrap(), pg.dir().to_owned());
    let segment = shared_memory(&pg).ok_or("postmaster.pid names no shared memory")?;
    pg.kill().await?;
    drop(pg);
    assert_gone(pid, &directory);
    let segments = std::fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    let left = segments.lines().any(|line| line.split_whitespace().nth(1) == Some(&segment));
    assert!(!left, "a killed PostgreSQL leaves its shared memory behind");
    Ok(())
}

/// The System V segment that PostgreSQL holds against a second server on the same data.
fn shared_memory(pg: &Running) -> Option<String> {
    let file = std::fs::read_to_string(pg.data_dir().join("postmaster.pid")).ok()?;
    Some(file.lines().nth(6)?.split_whitespace().nth(1)?.to_owned())
}

async fn mysql(server: Server, version: &str, plugin: &str) -> TestResult {
    let Some(mut my) = require(server, Options::default()).await? else { return Ok(()) };
    eprintln!("{server} is {} on port {}", my.version(), my.port());
    assert!(text(&my, "SELECT version()").await.starts_with(version));
    let settings = "SELECT concat(@@log_bin + 0, @@binlog_format, ' ', @@binlog_row_image, ' ', \
                    @@binlog_row_metadata)";
    assert_eq!(text(&my, settings).await, "1ROW FULL FULL");
    assert_eq!(text(&my, "SELECT concat(database(), ' ', user())").await, "app root@127.0.0.1");
    let users =
        "SELECT concat(user, '@', host, ' ', plugin) FROM mysql.user WHERE user IN ('', 'root')";
    assert_eq!(text(&my, users).await, format!("root@% {plugin}"));
    kill_and_restart(&mut my).await?;
    let (pid, directory) = (my.pid().unwrap(), my.dir().to_owned());
    drop(my);
    assert_gone(pid, &directory);
    Ok(())
}

#[tokio::test]
async fn sandbox_postgres_15() -> TestResult {
    postgres(Server::Postgres15, "15.").await
}

#[tokio::test]
async fn sandbox_postgres_18() -> TestResult {
    postgres(Server::Postgres18, "18.").await
}

#[tokio::test]
async fn sandbox_mariadb() -> TestResult {
    mysql(Server::MariaDb1011, "10.11.", "mysql_native_password").await
}

#[tokio::test]
async fn sandbox_mysql() -> TestResult {
    mysql(Server::MySql97, "9.", "caching_sha2_password").await
}

/// Servers of one version must not look like one server to a replicator that compares identities.
#[tokio::test]
async fn sandbox_servers_have_their_own_identity() -> TestResult {
    for (server, sql) in [
        (Server::Postgres15, "SELECT system_identifier FROM pg_control_system()"),
        (Server::MySql97, "SELECT @@server_uuid"),
        (Server::MariaDb1011, "SELECT @@server_id"),
    ] {
        let Some(a) = require(server, Options::default()).await? else { continue };
        let Some(b) = require(server, Options::default()).await? else { continue };
        assert_ne!(text(&a, sql).await, text(&b, sql).await, "{server}");
    }
    Ok(())
}

/// A caller's data directory is kept, and a server started on it later finds the data.
#[tokio::test]
async fn sandbox_keeps_a_named_data_directory() -> TestResult {
    let parent = tempfile::Builder::new().prefix("weir-it-").tempdir()?;
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(parent.path(), std::fs::Permissions::from_mode(0o755))?;
    let data = parent.path().join("data");
    let options = || Options::default().data_dir(&data);
    let Some(mut first) = require(Server::Postgres15, options()).await? else { return Ok(()) };
    first.execute("CREATE TABLE kept (id int)").await?;
    first.stop().await?;
    drop(first);
    let Some(second) = require(Server::Postgres15, options()).await? else { return Ok(()) };
    assert_eq!(text(&second, "SELECT count(*) FROM kept").await, "0");
    Ok(())
}

/// Writes rows 1, 2, 3 … one commit each until the server is gone; returns the last one that was confirmed.
fn writer(server: &Running, from: u32) -> tokio::task::JoinHandle<u32> {
    let (postgres, config, opts) =
        (server.kind().is_postgres(), server.pg_config(), server.mysql_opts());
    tokio::spawn(async move {
        let mut last = from;
        let sql = |id: u32| format!("INSERT INTO log VALUES ({id})");
        if postgres {
            let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
            let connection = tokio::spawn(connection);
            while client.batch_execute(&sql(last + 1)).await.is_ok() {
                last += 1;
            }
            connection.abort();
        } else {
            let mut conn = mysql_async::Conn::new(opts).await.unwrap();
            while conn.query_drop(sql(last + 1)).await.is_ok() {
                last += 1;
            }
        }
        last
    })
}

/// The end-to-end tests kill servers and expect every confirmed commit to be there: fast must not mean lossy.
#[tokio::test]
async fn sandbox_killed_server_keeps_every_confirmed_commit() -> TestResult {
    for server in Server::ALL {
        let Some(mut running) = require(server, Options::default()).await? else { continue };
        running.execute("CREATE TABLE log (id int PRIMARY KEY)").await?;
        let mut last = 0;
        for _ in 0..3 {
            let writer = writer(&running, last);
            tokio::time::sleep(Duration::from_millis(300)).await;
            running.kill().await?;
            let confirmed = writer.await?;
            running.start_again().await?;
            let found = text(&running, "SELECT concat(count(*), ' ', max(id)) FROM log").await;
            // The commit in flight may be there or not.
            let expected = [confirmed, confirmed + 1].map(|id| format!("{id} {id}"));
            assert!(
                confirmed > last && expected.contains(&found),
                "{server}: {confirmed}, {found}"
            );
            last = found.split(' ').next().unwrap().parse()?;
        }
    }
    Ok(())
}

/// A server that does not start must say why in its own words, at once, and leave nothing behind either.
#[tokio::test]
async fn sandbox_tells_why_a_server_does_not_start() -> TestResult {
    for (server, setting) in
        [(Server::Postgres15, "max_connections"), (Server::MySql97, "no_such_setting")]
    {
        if require(server, Options::default()).await?.is_none() {
            continue;
        }
        let begin = Instant::now();
        let options = Options::default().set(setting, "nonsense");
        let error = require(server, options).await.err().ok_or("it started")?;
        assert!(error.context().contains(setting), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    }
    Ok(())
}

/// A password with quotes reaches every dialect unchanged, and the durable settings are ones every server takes.
#[tokio::test]
async fn sandbox_takes_any_password() -> TestResult {
    for server in Server::ALL {
        let options = Options::default().durable().password("it's \\ \"odd\"");
        let Some(running) = require(server, options).await? else { continue };
        assert_eq!(text(&running, "SELECT 1").await, "1", "{server}");
    }
    Ok(())
}

/// The guardian must clean up when there is nobody left to run a destructor: after kill -9, and after Ctrl-C, which
/// goes to the whole process group.
#[tokio::test]
async fn sandbox_is_gone_after_its_owner_was_killed() -> TestResult {
    use rustix::process::{Pid, Signal, kill_process_group};
    for (server, signal) in [(Server::Postgres15, Signal::KILL), (Server::MariaDb1011, Signal::INT)]
    {
        if require(server, Options::default()).await?.is_none() {
            continue;
        }
        let mut child = Command::new(std::env::current_exe()?)
            .args(["sandbox::sandbox_child_holds_a_server", "--exact", "--nocapture"])
            .env(CHILD, server.slug())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let held = lines.map_while(Result::ok).find(|line| line.contains("HELD "));
        let held = held.ok_or("the child held no server")?;
        let mut words = held.split("HELD ").nth(1).unwrap().split(' ');
        let (pid, directory) = (words.next().unwrap().parse()?, words.next().unwrap().to_owned());
        assert!(Path::new(&directory).exists());
        kill_process_group(Pid::from_child(&child), signal)?;
        child.wait()?;
        assert_gone(pid, Path::new(&directory));
    }
    Ok(())
}

/// Not a test by itself: the process that the test above kills.
#[tokio::test]
async fn sandbox_child_holds_a_server() -> TestResult {
    let Ok(slug) = std::env::var(CHILD) else { return Ok(()) };
    let server = Server::ALL.into_iter().find(|server| server.slug() == slug).ok_or("which?")?;
    let Some(running) = require(server, Options::default()).await? else { return Ok(()) };
    println!("HELD {} {}", running.pid().unwrap(), running.dir().display());
    tokio::time::sleep(Duration::from_secs(600)).await;
    drop(running);
    Ok(())
}
