//! What end-to-end tests share: a pair of real servers, a configuration between them, and the
//! `weir` binary as a newcomer would run it. No access to weir's insides.
//!
//! weir is a user that reads the source and one that writes the target, each with nothing but the
//! rights that `weir setup` printed and an administrator ran ([`Weir::grant`]): a table that is added
//! needs them printed again. What tests do to the servers themselves is done by administrators.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::{Child, Command};
use weir::sandbox::{self, Options, Running, Server};

use crate::rights::{self, Administrator, READER, SECRET, WRITER};

/// How long any one command may take before the test calls it a hang.
pub const HANG: Duration = Duration::from_secs(120);

/// A source and a target server of different dialects.
pub struct Pair {
    /// The source.
    pub source: Running,
    /// The target.
    pub target: Running,
}

impl Pair {
    /// Starts both; `None` (after a loud line) when one cannot be had outside CI.
    pub async fn start(source: Server, target: Server) -> Option<Pair> {
        let source = sandbox::require(source, Options::default()).await.expect("source server")?;
        let target = sandbox::require(target, Options::default()).await.expect("target server")?;
        Some(Pair::of(source, target).await)
    }

    /// These two, with the users that weir is there, who have no right yet.
    pub async fn of(source: Running, target: Running) -> Pair {
        rights::create(&source, READER).await;
        rights::create(&target, WRITER).await;
        Pair { source, target }
    }

    /// Creates the schema (PostgreSQL) or database (MySQL, MariaDB) `name` on both sides.
    pub async fn create_space(&self, name: &str) {
        for server in [&self.source, &self.target] {
            let what = if server.kind().is_postgres() { "SCHEMA" } else { "DATABASE" };
            server.execute(&format!("CREATE {what} {name}")).await.expect("create space");
        }
    }
}

/// Runs statements with `space` as the default schema or database.
pub async fn execute_in(server: &Running, space: &str, sql: &str) {
    let sql = format!("{}; {sql}", enter(server, space));
    server.execute(&sql).await.unwrap_or_else(|error| panic!("{space}: {error:?}\n{sql}"));
}

/// The rows of a query with `space` as the default schema or database, one line a row, `\N` for
/// NULL, columns separated by tabs.
pub async fn query_in(server: &Running, space: &str, sql: &str) -> Vec<String> {
    let sql = qualify(server, space, sql);
    let rows = server.query(&sql).await.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    let line = |row: Vec<Option<String>>| {
        let cells: Vec<_> = row.into_iter().map(|cell| cell.unwrap_or("\\N".to_owned())).collect();
        cells.join("\t")
    };
    rows.into_iter().map(line).collect()
}

fn enter(server: &Running, space: &str) -> String {
    if server.kind().is_postgres() {
        format!("SET search_path TO {space}")
    } else {
        format!("USE {space}")
    }
}

/// Queries run on a fresh connection; `{space}` in them stands for the schema or database.
fn qualify(_server: &Running, space: &str, sql: &str) -> String {
    sql.replace("{space}", space)
}

impl Pair {
    /// A row that is written to the source's table `t`, of a number and a text, must arrive.
    pub async fn carries(&self, space: &str, id: u32) {
        execute_in(&self.source, space, &format!("INSERT INTO t VALUES ({id}, 'a')")).await;
        let sql = format!("SELECT count(*) FROM {{space}}.t WHERE id = {id}");
        until("the row arrives", HANG, async || query_in(&self.target, space, &sql).await == ["1"])
            .await;
    }
}

/// weir with a configuration of its own.
pub struct Weir {
    /// Holds `weir.toml` and the state directory; gone with the test.
    pub dir: TempDir,
    passwords: [(String, String); 2],
    administrators: [Administrator; 2],
}

/// The url of a server for another user than its administrator.
pub fn url_for(user: &str, url: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("scheme");
    let (_, address) = rest.split_once('@').expect("user");
    format!("{scheme}://{user}@{address}")
}

impl Weir {
    /// Writes `weir.toml` for `left:right` over the tables of `space`; `extra` is appended. A change that
    /// is refused fails the test, unless it says that it is to be set aside ([`Weir::parking`]).
    pub fn new(pair: &Pair, name: &str, space: &str, extra: &str) -> Weir {
        Weir::parking(pair, name, space, &format!("on_poison = \"halt\"\n{extra}"))
    }

    /// The same, where a change that is refused is set aside, as by default.
    pub fn parking(pair: &Pair, name: &str, space: &str, extra: &str) -> Weir {
        let replicate = format!(
            "[[replicate]]\nfrom = \"left\"\nto = \"right\"\ntables = [\"{space}.*\"]\n{extra}"
        );
        Weir::with_tables(pair, name, &replicate)
    }

    /// Writes `weir.toml` with both databases and whatever `tables` says.
    pub fn with_tables(pair: &Pair, name: &str, tables: &str) -> Weir {
        let dir = tempfile::Builder::new().prefix("weir-it-").tempdir().expect("temp dir");
        let config = format!(
            "name = \"{name}\"\nstate_dir = \"{state}\"\n\n\
             [database.left]\nurl = \"{left}\"\npassword = {{ env = \"LEFT_PASSWORD\" }}\n\n\
             [database.right]\nurl = \"{right}\"\npassword = {{ env = \"RIGHT_PASSWORD\" }}\n\n\
             {tables}",
            state = dir.path().join("state").display(),
            left = url_for(READER, &pair.source.url()),
            right = url_for(WRITER, &pair.target.url()),
        );
        std::fs::write(dir.path().join("weir.toml"), config).expect("weir.toml");
        let passwords =
            ["LEFT_PASSWORD", "RIGHT_PASSWORD"].map(|name| (name.to_owned(), SECRET.to_owned()));
        let administrators = [&pair.source, &pair.target].map(Administrator::of);
        Weir { dir, passwords, administrators }
    }

    /// The same with another password.
    pub fn with_password(mut self, variable: &str, password: &str) -> Weir {
        for (name, value) in &mut self.passwords {
            if name == variable {
                password.clone_into(value);
            }
        }
        self
    }

    /// The same with another user for `database`.
    pub fn with_user(self, database: &str, user: &str) -> Weir {
        let text = std::fs::read_to_string(self.config()).expect("weir.toml");
        let (before, after) = text.split_once(&format!("[database.{database}]")).expect("section");
        let text = format!("{before}[database.{database}]{}", url_for(user, after));
        std::fs::write(self.config(), text).expect("weir.toml");
        self
    }

    /// The same configuration and state directory, with the source of another pair behind the name.
    pub fn pointed_at_source(&self, other: &Pair) -> Weir {
        let text = std::fs::read_to_string(self.config()).expect("weir.toml");
        let (before, after) = text.split_once("url = \"").expect("source url");
        let (_, after) = after.split_once('"').expect("end of url");
        let text = format!("{before}url = \"{}\"{after}", url_for(READER, &other.source.url()));
        let dir = tempfile::Builder::new().prefix("weir-it-").tempdir().expect("temp dir");
        std::fs::write(dir.path().join("weir.toml"), text).expect("weir.toml");
        let [_, target] = self.administrators.clone();
        let administrators = [Administrator::of(&other.source), target];
        Weir { dir, passwords: self.passwords.clone(), administrators }
    }

    /// Puts `server`, which has the source's users, behind the source's name.
    pub fn point_source_at(&self, server: &Running) {
        let text = std::fs::read_to_string(self.config()).expect("weir.toml");
        let (before, after) = text.split_once("url = \"").expect("source url");
        let (_, after) = after.split_once('"').expect("end of url");
        let text = format!("{before}url = \"{}\"{after}", url_for(READER, &server.url()));
        std::fs::write(self.config(), text).expect("weir.toml");
    }

    /// Adds to the configuration.
    pub fn append(&mut self, text: &str) {
        let config = std::fs::read_to_string(self.config()).expect("weir.toml");
        std::fs::write(self.config(), config + text).expect("weir.toml");
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("weir.toml")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.command_by(&[], arguments)
    }

    fn command_by(&self, by: &[&str], arguments: &[&str]) -> Command {
        let weir = env!("CARGO_BIN_EXE_weir");
        let mut words = by.iter().chain([&weir]).copied();
        let mut command = Command::new(words.next().unwrap_or(weir));
        command
            .args(words)
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .current_dir(self.dir.path());
        command.envs(self.passwords.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a verb to its end.
    pub async fn run(&self, arguments: &[&str]) -> Outcome {
        let output = tokio::time::timeout(HANG, self.command(arguments).output()).await;
        let output = output.unwrap_or_else(|_| panic!("weir {arguments:?} hangs"));
        Outcome::of(arguments, output.expect("weir starts"))
    }

    /// Starts a verb that goes on; its log goes to `weir.log` in the directory.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.spawn_by(&[], arguments)
    }

    /// The same by way of another program, which is given weir and its arguments.
    pub fn spawn_by(&self, by: &[&str], arguments: &[&str]) -> Child {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("weir.log"))
            .expect("log file");
        let mut command = self.command_by(by, arguments);
        command.stdout(log.try_clone().expect("log file")).stderr(log);
        command.spawn().expect("weir starts")
    }

    /// The log of spawned runs so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("weir.log")).unwrap_or_default()
    }

    /// Has administrators run what `verb` prints.
    async fn administered(&self, verb: &str) -> Outcome {
        let printed = self.run(&[verb]).await;
        rights::administer(&self.administrators, &self.config(), &printed.stdout).await;
        printed
    }

    /// Lets weir see which tables there are, where a server hides them: what `weir setup` prints
    /// then, be there tables to prepare or not.
    pub async fn let_look(&self) {
        self.administered("setup").await;
    }

    /// Has administrators run what `weir setup` prints, as for each table that is added; first what
    /// lets weir look, where it may not.
    pub async fn grant(&self) {
        let mut printed = self.administered("setup").await;
        if printed.code != 0 {
            printed = self.administered("setup").await;
        }
        printed.expect_code(0);
    }

    /// Has administrators run what `weir teardown` prints.
    pub async fn tear_down(&self) {
        self.administered("teardown").await.expect_code(0);
    }

    /// All rights that weir needs, and an empty first run that fixes where the link starts.
    pub async fn set_up(&self) {
        self.grant().await;
        self.run(&["run", "--until-caught-up"]).await.expect_code(0);
    }
}

/// A failed test shows what weir logged.
impl Drop for Weir {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- weir.log\n{}", self.log());
        }
    }
}

/// How a command ended.
pub struct Outcome {
    arguments: String,
    /// Exit code; -1 for a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    fn of(arguments: &[&str], output: Output) -> Outcome {
        Outcome {
            arguments: arguments.join(" "),
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails the test with everything printed unless the exit code is `code`.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Outcome {
        assert_eq!(
            self.code, code,
            "weir {}\n--- stdout\n{}\n--- stderr\n{}",
            self.arguments, self.stdout, self.stderr
        );
        assert!(!self.stderr.contains("panicked at"), "weir panicked:\n{}", self.stderr);
        self
    }

    /// Fails the test unless the output mentions `phrase`.
    #[track_caller]
    pub fn expect_phrase(self, phrase: &str) -> Outcome {
        let all = format!("{}\n{}", self.stdout, self.stderr);
        assert!(all.contains(phrase), "weir {}: no {phrase:?} in\n{all}", self.arguments);
        self
    }
}

/// Polls `probe` until it is true; fails with `what` after `limit`.
pub async fn until<F: AsyncFnMut() -> bool>(what: &str, limit: Duration, mut probe: F) {
    let started = Instant::now();
    while !probe().await {
        assert!(started.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A file of the tree.
pub fn tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
