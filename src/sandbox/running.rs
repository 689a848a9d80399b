//! A running throw-away server: how it is started, stopped, killed, started again, and reached.
//!
//! Port, password and data stay the same over `stop`, `kill` and `restart`. Dropping a server ends it and removes
//! its directory (not a data directory the caller named); this blocks for a fraction of a second.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::account::Account;
use super::fetch::{self, Installed};
use super::guardian::{Guardian, Signals, is_alive};
use super::settings::{self, Place};
use super::{Error, Kind, Options, Result, Server, client, identity, template, workdir};

const READY_WAIT_MAX: Duration = Duration::from_secs(120);
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);
const PORT_TRIES: usize = 4;

/// A server on loopback. Dropping it ends it and leaves nothing behind.
#[derive(Debug)]
pub struct Running {
    guardian: Option<Guardian>,
    installed: Installed,
    account: Account,
    directory: PathBuf,
    data: PathBuf,
    port: u16,
    server_id: u32,
    password: String,
    options: Options,
    pid: Option<u32>,
    fresh: bool,
}

/// Starts a server and waits until it answers; finds or downloads it first.
pub async fn start(server: Server, options: Options) -> Result<Running> {
    let running = blocking(move || {
        let running = Running::prepare(fetch::install(server)?, options)?;
        running.fill()?;
        Ok(running)
    });
    begin(running.await?).await
}

/// Starts a server whose data is there.
pub(super) async fn begin(mut running: Running) -> Result<Running> {
    let mut tries = 1;
    loop {
        let result = match running.start_again().await {
            Ok(()) => running.finish_first_start(),
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => return Ok(running),
            // Somebody took the port between our look and the server's start.
            Err(_) if tries < PORT_TRIES && running.log_says_port_taken() => {
                tries += 1;
                running.kill().await?;
                running.port = workdir::free_port()?;
                running.write_files()?;
            }
            Err(error) => return Err(error),
        }
    }
}

impl Running {
    /// Connection URL of the default database, without a password.
    pub fn url(&self) -> String {
        self.url_for(&self.options.database)
    }

    /// Connection URL of another database, without a password.
    pub fn url_for(&self, database: &str) -> String {
        let server = self.installed.server;
        format!("{}://{}@127.0.0.1:{}/{database}", server.scheme(), self.user(), self.port)
    }

    /// The superuser's name.
    pub fn user(&self) -> &'static str {
        self.installed.server.superuser()
    }

    /// The superuser's password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Name of the default database.
    pub fn database(&self) -> &str {
        &self.options.database
    }

    /// Which server it is.
    pub fn kind(&self) -> Server {
        self.installed.server
    }

    /// The version that runs, as the server names it.
    pub fn version(&self) -> &str {
        &self.installed.version
    }

    /// Process id of the server, unless it was stopped or killed.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The server's own directory: sockets, configuration files, log. Gone after drop.
    pub fn dir(&self) -> &Path {
        &self.directory
    }

    /// The last lines of the server's log.
    pub fn log_tail(&self) -> String {
        template::tail(&self.log())
    }

    /// Options for `tokio-postgres`, with password and default database.
    pub fn pg_config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(self.user()).password(&self.password);
        config.dbname(&self.options.database).connect_timeout(CONNECT_WAIT_MAX);
        config
    }

    /// Options for `mysql_async`, with password and default database.
    pub fn mysql_opts(&self) -> mysql_async::Opts {
        let database = Some(self.options.database.as_str());
        client::mysql_opts(self.port, self.user(), &self.password, database)
    }

    /// A new PostgreSQL connection to the default database.
    pub async fn connect_pg(&self) -> Result<tokio_postgres::Client> {
        client::postgres(&self.pg_config()).await
    }

    /// A new MySQL or MariaDB connection to the default database.
    pub async fn connect_mysql(&self) -> Result<mysql_async::Conn> {
        client::mysql(self.mysql_opts()).await
    }

    /// Runs statements on a new connection. On PostgreSQL several in one call are one transaction.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        self.query(sql).await.map(drop)
    }

    /// Runs statements on a new connection and returns the rows, every value as the server's text.
    pub async fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        if self.kind().is_postgres() {
            client::query_postgres(&self.pg_config(), sql).await
        } else {
            client::query_mysql(self.mysql_opts(), sql).await
        }
    }

    /// Stops the server cleanly; data, port and password stay. After 30 s it is killed instead.
    pub async fn stop(&mut self) -> Result<()> {
        self.pid = None;
        self.guarded(Guardian::stop).await.map(drop)
    }

    /// Kills the server as `kill -9` does; data, port and password stay.
    pub async fn kill(&mut self) -> Result<()> {
        self.pid = None;
        self.guarded(Guardian::kill).await
    }

    /// Starts the server after `stop` or `kill`, and waits until it answers.
    pub async fn start_again(&mut self) -> Result<()> {
        if self.pid.is_none() {
            self.pid = Some(self.guarded(Guardian::start).await?);
        }
        self.ready().await
    }

    /// Stops the server cleanly and starts it again.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.start_again().await
    }

    /// Data as the template has it, unless there is some already. Blocking.
    fn fill(&self) -> Result<()> {
        if is_empty(&self.data)? {
            template::copy(&self.installed, self.account, &self.data)?;
            if self.installed.server.is_postgres() {
                identity::renew(&self.installed, self.account, &self.data)?;
            }
        }
        Ok(())
    }

    /// Data copied from a server that is in the middle of a backup, without its slots. Password and
    /// database are that server's. Blocking.
    pub(super) fn fill_from(&mut self, primary: &Path) -> Result<()> {
        let mut command = Command::new("cp");
        command.args(["-a", "--reflink=auto", "--sparse=always"]).arg(primary.join("."));
        template::run(command.arg(&self.data), "copy a server", Stdio::null())?;
        let lost = |e| Error::io("make a standby", e);
        for gone in ["postmaster.pid", "postmaster.opts"] {
            match fs::remove_file(self.data.join(gone)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(lost(e)),
                _ => {}
            }
        }
        let slots = self.data.join("pg_replslot");
        fs::remove_dir_all(&slots).and_then(|()| fs::create_dir(&slots)).map_err(lost)?;
        self.fresh = false;
        self.account.own(&slots)
    }

    /// Writes a file into the data.
    pub(super) fn add_to_data(&mut self, name: &str, text: &str) -> Result<()> {
        let path = self.data.join(name);
        fs::write(&path, text).map_err(|e| Error::io("make a standby", e))?;
        self.account.own(&path)
    }

    /// Directory and configuration of a server that is not started yet. Blocking.
    pub(super) fn prepare(installed: Installed, mut options: Options) -> Result<Self> {
        let account = Account::current();
        let password = options.password.take().map_or_else(workdir::password, Ok)?;
        let directory = workdir::create(account)?;
        let data = options.data_dir.clone().unwrap_or_else(|| directory.join("data"));
        let program = command_line(&installed, &directory, &data);
        let (clean, quick) =
            if installed.server.is_postgres() { ("INT", "QUIT") } else { ("TERM", "KILL") };
        let signals = Signals { clean, quick };
        // From here on the directory is the guardian's to remove.
        let guardian = Guardian::new(account, &directory, &data, signals, &program)?;
        let running = Self {
            guardian: Some(guardian),
            installed,
            account,
            directory,
            data,
            port: workdir::free_port()?,
            server_id: fastrand::u32(1..1 << 31),
            password,
            options,
            pid: None,
            fresh: true,
        };
        let temporary = running.directory.join("tmp");
        fs::create_dir(&temporary).map_err(|e| Error::io("create a directory", e))?;
        account.own(&temporary)?;
        running.write_files()?;
        Ok(running)
    }

    fn write_files(&self) -> Result<()> {
        self.write_configuration()?;
        self.options.files.iter().try_for_each(|(name, text)| self.write(name, text))
    }

    fn write_configuration(&self) -> Result<()> {
        let place = Place {
            directory: &self.directory,
            data: &self.data,
            port: self.port,
            server_id: self.server_id,
            durable: self.options.durable,
            extra: &self.options.settings,
        };
        if self.installed.server.is_postgres() {
            self.write("postgresql.conf", &settings::postgres(&place))?;
            self.write("pg_hba.conf", settings::POSTGRES_HBA)?;
            return self.write("pg_ident.conf", "");
        }
        let init = if self.fresh {
            settings::mysql_init(&self.installed, &self.password, &self.options.database)
        } else {
            String::new()
        };
        self.write("init.sql", &init)?;
        self.write("my.cnf", &settings::mysql(&self.installed, &place))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.directory.join(name);
        let lost = |e| Error::io(format!("write {}", path.display()), e);
        fs::write(&path, text).map_err(lost)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(lost)?;
        self.account.own(&path)
    }

    /// Password and database are set once. MySQL's init file, which did it there, is emptied now.
    fn finish_first_start(&mut self) -> Result<()> {
        self.fresh = false;
        self.write_files()
    }

    async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + READY_WAIT_MAX;
        loop {
            let Some(error) = self.try_connect().await.err() else { return Ok(()) };
            if !self.pid.is_some_and(is_alive) || Instant::now() > deadline {
                let text = format!("{} did not start: {}", self.kind(), self.log_tail());
                return Err(Error::new(Kind::Server, text).with_source(error));
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    async fn try_connect(&self) -> Result<()> {
        let attempt = async {
            if self.kind().is_postgres() {
                if self.fresh {
                    let (port, database) = (self.port, &self.options.database);
                    client::set_up_postgres(&self.directory, port, &self.password, database)
                        .await?;
                }
                self.connect_pg().await.map(drop)
            } else {
                self.connect_mysql().await.map(drop)
            }
        };
        match tokio::time::timeout(CONNECT_WAIT_MAX, attempt).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(Kind::Sql, "the server does not answer")),
        }
    }

    fn log(&self) -> String {
        fs::read(self.directory.join("log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn log_says_port_taken(&self) -> bool {
        self.log().contains("ddress already in use")
    }

    /// Runs a guardian's command without blocking the runtime. If this is cancelled, the server ends.
    async fn guarded<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Guardian) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut guardian = self
            .guardian
            .take()
            .ok_or_else(|| Error::new(Kind::Server, "the server has ended for good"))?;
        let (guardian, result) = blocking(move || {
            let result = work(&mut guardian);
            Ok((guardian, result))
        })
        .await?;
        self.guardian = Some(guardian);
        result
    }
}

fn command_line(installed: &Installed, directory: &Path, data: &Path) -> Vec<OsString> {
    let mut command = vec![installed.program.clone().into_os_string()];
    if installed.server.is_postgres() {
        command.extend(["-D".into(), data.into(), "-c".into()]);
        command.push(format!("config_file={}", directory.join("postgresql.conf").display()).into());
    } else {
        command.push(format!("--defaults-file={}", directory.join("my.cnf").display()).into());
    }
    command
}

fn is_empty(data: &Path) -> Result<bool> {
    match fs::read_dir(data) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(Error::io(format!("read {}", data.display()), e)),
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::new(Kind::Io, "the sandbox's own task failed").with_source(e))?
}
