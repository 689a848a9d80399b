//! The demo's stage: both servers, the configuration file, and weir as a child process.

use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use super::shop;
use crate::cli::control::{Answer, Request, ask};
use crate::error::{Error, Kind, Result};
use crate::sandbox::{self, Options, Running, Server};

/// Tables and the queries that print them alike on both sides.
const COMPARED: &[(&str, &str, &str)] = &[
    (
        "customer",
        "SELECT id, email, name, vip::int, born, to_char(created AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') FROM customer ORDER BY id",
        "SELECT id, email, name, vip, born, CAST(created AS CHAR) FROM customer ORDER BY id",
    ),
    (
        "product",
        "SELECT sku, title, price, attributes::text FROM product ORDER BY sku::text COLLATE \"C\"",
        "SELECT sku, title, price, attributes FROM product ORDER BY sku",
    ),
    (
        "purchase",
        "SELECT id, customer_id, state, total, to_char(placed, 'YYYY-MM-DD HH24:MI:SS.US') FROM purchase ORDER BY id",
        "SELECT id, customer_id, state, total, CAST(placed AS CHAR) FROM purchase ORDER BY id",
    ),
    (
        "purchase_line",
        "SELECT purchase_id, line, sku, quantity FROM purchase_line ORDER BY purchase_id, line",
        "SELECT purchase_id, line, sku, quantity FROM purchase_line ORDER BY purchase_id, line",
    ),
];

/// How long weir may take to start or to stop.
const CHILD_MAX: Duration = Duration::from_secs(60);

/// Everything the demo has started.
pub(super) struct Stage {
    pub(super) source: Running,
    target: Running,
    weir: Child,
    dir: Directory,
}

/// A directory that goes with the demo.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(cause) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%cause, dir = %self.0.display(), "cannot remove the demo's directory");
        }
    }
}

/// A failure of a throw-away server as an error of weir.
pub(super) fn server(cause: sandbox::Error) -> Error {
    let hint = cause.hint().map(str::to_owned);
    let error = Error::new(Kind::Io, "a throw-away server of the demo failed").caused_by(cause);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn io(context: impl Display) -> impl FnOnce(std::io::Error) -> Error {
    move |cause| Error::new(Kind::Io, context.to_string()).caused_by(cause)
}

impl Stage {
    /// Starts both servers, prepares them by weir's own verbs, and starts `weir run`.
    pub(super) async fn set_up() -> Result<Stage> {
        let (source, target) = tokio::try_join!(
            sandbox::start(Server::Postgres15, Options::default().database("shop")),
            sandbox::start(Server::MariaDb1011, Options::default().database("shop")),
        )
        .map_err(server)?;
        println!("  source  {} ({})", source.url(), source.version());
        println!("  target  {} ({})", target.url(), target.version());
        let path = std::env::temp_dir().join(format!("weir-demo-{:08x}", fastrand::u32(..)));
        fs::create_dir_all(&path).map_err(io("cannot make the demo's directory"))?;
        let dir = Directory(path);
        write_configuration(&dir, &source, &target)?;
        source.execute(shop::TABLES).await.map_err(server)?;
        println!("\n  $ weir ddl | mariadb …");
        let ddl = verb(&dir, &["ddl"]).await?;
        target.execute(&ddl).await.map_err(server)?;
        println!("  $ weir setup --apply");
        verb(&dir, &["setup", "--apply"]).await?;
        println!("  $ weir check");
        verb(&dir, &["check"]).await?;
        println!("  $ weir run");
        let weir = spawn_run(&dir)?;
        let mut stage = Stage { source, target, weir, dir };
        stage.wait_for_running().await?;
        Ok(stage)
    }

    async fn wait_for_running(&mut self) -> Result<()> {
        let started = Instant::now();
        while !self.status_line().await?.contains("running") {
            self.expect_alive()?;
            if started.elapsed() > CHILD_MAX {
                return Err(self.broken("weir does not start"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    fn broken(&self, what: &str) -> Error {
        Error::new(Kind::Internal, format!("{what}; its log:\n{}", self.log_tail()))
    }

    /// Fails when the child has ended.
    pub(super) fn expect_alive(&mut self) -> Result<()> {
        match self.weir.try_wait().map_err(io("cannot look at the demo's weir"))? {
            Some(status) => Err(self.broken(&format!("weir ended ({status})"))),
            None => Ok(()),
        }
    }

    /// Where a curious person looks next.
    pub(super) fn print_where_to_look(&self) {
        let dir = self.dir.0.display();
        println!("\nTry from another terminal while it runs:");
        println!("  weir status --config {dir}/weir.toml");
        println!("  weir explain --config {dir}/weir.toml");
        println!("  tail -f {dir}/weir.log\n");
    }

    /// One line of state, counts and lag.
    pub(super) async fn status_line(&self) -> Result<String> {
        let answer = ask(&self.dir.0.join("state"), &Request::Status).await?;
        let Some(Answer::Ok(status)) = answer else { return Ok("starting".to_owned()) };
        let link = &status["links"][0];
        let number = |key: &str| link[key].as_f64().unwrap_or(0.0);
        Ok(format!(
            "{:>8} {:>12} {:>12} {:>8.2} s {:>7.0} B",
            link["state"].as_str().unwrap_or("starting"),
            number("transactions"),
            number("rows"),
            number("lag_seconds"),
            number("lag_bytes"),
        ))
    }

    /// The first difference between both sides, in words.
    pub(super) async fn difference(&self) -> Result<Option<String>> {
        for (table, left, right) in COMPARED {
            let left = self.source.query(left).await.map_err(server)?;
            let right = self.target.query(right).await.map_err(server)?;
            if let Some(row) = left.iter().zip(&right).position(|(left, right)| left != right) {
                return Ok(Some(format!("{table}: {:?} / {:?}", left[row], right[row])));
            }
            if left.len() != right.len() {
                return Ok(Some(format!("{table}: {} rows / {} rows", left.len(), right.len())));
            }
        }
        Ok(None)
    }

    /// Rows per table on the target.
    pub(super) async fn counts(&self) -> Result<Vec<(&'static str, usize)>> {
        let mut counts = Vec::new();
        for (table, _, right) in COMPARED {
            counts.push((*table, self.target.query(right).await.map_err(server)?.len()));
        }
        Ok(counts)
    }

    /// The end of weir's log.
    pub(super) fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.dir.0.join("weir.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// SIGTERM, and a clean end.
    pub(super) async fn shut_down(mut self) -> Result<()> {
        if let Some(pid) =
            self.weir.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()))
        {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).map_err(|cause| {
                Error::new(Kind::Io, "cannot stop the demo's weir").caused_by(cause)
            })?;
        }
        match tokio::time::timeout(CHILD_MAX, self.weir.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self.broken(&format!("weir did not stop cleanly ({status})"))),
            Ok(Err(cause)) => Err(io("cannot wait for the demo's weir")(cause)),
            Err(_) => Err(self.broken("weir does not stop")),
        }
    }
}

fn write_configuration(dir: &Directory, source: &Running, target: &Running) -> Result<()> {
    let state = dir.0.join("state");
    let password = |name: &str| dir.0.join(name);
    let config = format!(
        "name = \"demo\"\nstate_dir = \"{}\"\n\n[database.shop]\nurl = \"{}\"\n\
         password = {{ file = \"{}\" }}\n\n[database.copy]\nurl = \"{}\"\n\
         password = {{ file = \"{}\" }}\n\n[apply]\nstart = \"now\"\n\n\
         [[replicate]]\nfrom = \"shop\"\nto = \"copy\"\ntables = [\"public.*\"]\n",
        state.display(),
        source.url(),
        password("shop.password").display(),
        target.url(),
        password("copy.password").display(),
    );
    let write = |name: &str, text: &str| -> Result<()> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let path = dir.0.join(name);
        let file =
            fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(io(path.display()))
    };
    write("shop.password", source.password())?;
    write("copy.password", target.password())?;
    write("weir.toml", &config)
}

fn command(dir: &Directory, arguments: &[&str]) -> Result<Command> {
    let program = std::env::current_exe().map_err(io("cannot find weir's own program"))?;
    let mut command = Command::new(program);
    command.args(arguments).arg("--config").arg(dir.0.join("weir.toml")).stdin(Stdio::null());
    command.kill_on_drop(true);
    Ok(command)
}

async fn verb(dir: &Directory, arguments: &[&str]) -> Result<String> {
    let output = command(dir, arguments)?.output().await.map_err(io("cannot run weir"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::new(
        Kind::Internal,
        format!(
            "weir {} failed ({}):\n{}{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
    ))
}

fn spawn_run(dir: &Directory) -> Result<Child> {
    let log = fs::File::create(dir.0.join("weir.log")).map_err(io("cannot make the demo's log"))?;
    let mut command = command(dir, &["run"])?;
    command.stdout(Stdio::null()).stderr(log).process_group(0);
    command.spawn().map_err(io("cannot start weir"))
}
