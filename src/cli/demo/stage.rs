//! The demo's stage: both servers, the configuration file, and weir as a process of its own.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;

use super::shop;
use crate::cli::control::{Answer, Request, ask};
use crate::cli::copies::{CopyLine, grouped};
use crate::cli::output::say;
use crate::error::{Error, Kind, Result};
use crate::sandbox::{self, Companion, Options, Running, Server};

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

/// Everything the demo has started; ends in this order.
pub(super) struct Stage {
    weir: Companion,
    pub(super) source: Running,
    target: Running,
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
        say!("  source  {} ({})", source.url(), source.version());
        say!("  target  {} ({})", target.url(), target.version());
        let program = std::env::current_exe().map_err(io("cannot find weir's own program"))?;
        let mut weir = Companion::prepare(|dir| {
            let config = configuration(dir);
            vec![program.into(), "run".into(), "--config".into(), config.into()]
        })
        .map_err(server)?;
        let dir = weir.dir();
        write_configuration(dir, &source, &target)?;
        source.execute(shop::TABLES).await.map_err(server)?;
        source.execute(&shop::stock()).await.map_err(server)?;
        say!("\n  {} rows are in the shop; a copy of them is made first.", grouped(shop::STOCK));
        say!("  $ weir ddl | mariadb …");
        let ddl = verb(dir, &["ddl"]).await?;
        target.execute(&ddl).await.map_err(server)?;
        say!("  $ weir setup --apply");
        verb(dir, &["setup", "--apply"]).await?;
        say!("  $ weir check");
        verb(dir, &["check"]).await?;
        say!("  $ weir run                    (it copies what is there, while the shop goes on)");
        weir.start().map_err(server)?;
        let stage = Stage { weir, source, target };
        stage.wait_for_running().await?;
        Ok(stage)
    }

    async fn wait_for_running(&self) -> Result<()> {
        let started = Instant::now();
        while self.status_line().await?.trim_start().starts_with("starting") {
            self.expect_alive()?;
            if started.elapsed() > CHILD_MAX {
                return Err(broken("weir does not start", &self.log_tail()));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Fails when weir has ended.
    pub(super) fn expect_alive(&self) -> Result<()> {
        match self.weir.is_alive() {
            true => Ok(()),
            false => Err(broken("weir ended", &self.log_tail())),
        }
    }

    /// Where a curious person looks next.
    pub(super) fn print_where_to_look(&self) {
        let dir = self.weir.dir().display();
        say!("\nTry from another terminal while it runs:");
        say!("  weir status --config {dir}/weir.toml");
        say!("  weir explain --config {dir}/weir.toml");
        say!("  tail -f {dir}/log\n");
    }

    /// One line of state, counts and lag.
    pub(super) async fn status_line(&self) -> Result<String> {
        let answer = ask(&self.weir.dir().join("state"), &Request::Status).await?;
        let Some(Answer::Ok(status)) = answer else { return Ok("starting".to_owned()) };
        let link = &status["links"][0];
        let number = |key: &str| link[key].as_f64().unwrap_or(0.0);
        let copies: Vec<CopyLine> = serde_json::from_value(link["copies"].clone())
            .map_err(|cause| broken("weir tells nothing of copies", "").caused_by(cause))?;
        let state = match link["state"].as_str().unwrap_or("starting") {
            "running" if copies.iter().any(CopyLine::is_going) => "copying",
            state => state,
        };
        Ok(format!(
            "{state:>8} {:>10} {:>12} {:>12} {:>8.2} s {:>7.0} B",
            copies.iter().map(|copy| copy.rows).sum::<u64>(),
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
        self.weir.log_tail()
    }

    /// SIGTERM, and a clean end.
    pub(super) async fn shut_down(self) -> Result<()> {
        let ended = self.weir.stop().await.map_err(server)?;
        match ended.code {
            0 => Ok(()),
            code => {
                Err(broken(&format!("weir did not stop cleanly (exit code {code})"), &ended.log))
            }
        }
    }
}

fn broken(what: &str, log: &str) -> Error {
    Error::new(Kind::Internal, format!("{what}; its log: {log}"))
}

fn configuration(dir: &Path) -> PathBuf {
    dir.join("weir.toml")
}

fn write_configuration(dir: &Path, source: &Running, target: &Running) -> Result<()> {
    let quoted = |name: &str| toml::Value::from(dir.join(name).display().to_string());
    let config = format!(
        "name = \"demo\"\nstate_dir = {}\n\n[database.shop]\nurl = \"{}\"\n\
         password = {{ file = {} }}\n\n[database.copy]\nurl = \"{}\"\n\
         password = {{ file = {} }}\n\n\
         [[replicate]]\nfrom = \"shop\"\nto = \"copy\"\ntables = [\"public.*\"]\n",
        quoted("state"),
        source.url(),
        quoted("shop.password"),
        target.url(),
        quoted("copy.password"),
    );
    let write = |name: &str, text: &str| -> Result<()> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let path = dir.join(name);
        let file =
            fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(io(path.display()))
    };
    write("shop.password", source.password())?;
    write("copy.password", target.password())?;
    write("weir.toml", &config)
}

fn command(dir: &Path, arguments: &[&str]) -> Result<Command> {
    let program = std::env::current_exe().map_err(io("cannot find weir's own program"))?;
    let mut command = Command::new(program);
    command.args(arguments).arg("--config").arg(configuration(dir)).stdin(Stdio::null());
    command.kill_on_drop(true);
    Ok(command)
}

async fn verb(dir: &Path, arguments: &[&str]) -> Result<String> {
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
