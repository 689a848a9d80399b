//! Initialised data directories, made once per server version and account and then copied.
//!
//! MySQL needs many seconds to initialise; a copy takes a fraction of one. A template holds no password: it is set
//! when a copy starts. It appears under its final name only when complete, and one process at a time makes it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::account::Account;
use super::fetch::{self, Installed, Lock, cache_dir};
use super::{Error, Kind, Result, settings};
use crate::sandbox::tell::tell;

/// Raised when templates must be made anew because the recipe below changed.
const RECIPE: u32 = 1;

/// Copies the template of `installed` to `data`, which must not exist or be empty; makes the template if needed.
pub(crate) fn copy(installed: &Installed, account: Account, data: &Path) -> Result<()> {
    let template = template(installed, account)?;
    let mut command = Command::new("cp");
    if cfg!(target_os = "linux") {
        // Logs are preallocated with zeros: holes make a copy four times smaller.
        command.args(["-a", "--reflink=auto", "--sparse=always"]);
    } else {
        command.args(["-R", "-p"]);
    }
    run(command.arg(template.join(".")).arg(data), "copy a template", Stdio::null())
}

fn template(installed: &Installed, account: Account) -> Result<PathBuf> {
    let cache = cache_dir(account)?;
    let folder = cache.join("templates");
    let name = format!("{}-u{}-r{RECIPE}", installed.slug(), account.uid);
    let template = folder.join(&name);
    if template.is_dir() {
        return Ok(template);
    }
    let _lock = Lock::take(&cache, &format!("template-{name}"))?;
    if template.is_dir() {
        return Ok(template);
    }
    if !account.reaches(installed.bin()) {
        return Err(Error::new(
            Kind::Server,
            format!("{} cannot be read by the user nobody", installed.bin().display()),
        )
        .with_hint("as root, servers run as nobody: make the directories above it searchable"));
    }
    let fresh = folder.join(format!(".{name}"));
    remove(&fresh)?;
    fetch::create(&fresh)?;
    account.own(&fresh)?;
    let data = fresh.join("data");
    if installed.server.is_postgres() {
        initialise_postgres(installed, account, &data)?;
    } else if installed.server.is_mariadb() {
        initialise_mariadb(installed, account, &data)?;
    } else {
        initialise_mysql(installed, account, &data)?;
    }
    fs::rename(&data, &template).map_err(|e| Error::io("name a template", e))?;
    remove(&fresh)?;
    Ok(template)
}

fn initialise_postgres(installed: &Installed, account: Account, data: &Path) -> Result<()> {
    let mut command = account.command(&installed.tool("initdb"));
    command.arg("-D").arg(data).args(["--username=postgres", "--encoding=UTF8", "--locale=C"]);
    command.args(["--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"]);
    run(&mut command, "initialise PostgreSQL", Stdio::null())
}

fn initialise_mysql(installed: &Installed, account: Account, data: &Path) -> Result<()> {
    tell!("weir: initialising {} once (takes a while)", installed.server);
    let mut command = mysql_command(installed, account, data);
    command.args(["--initialize-insecure", "--skip-log-bin", "--mysqlx=OFF"]);
    run(&mut command, "initialise MySQL", Stdio::null())?;
    // Every copy must make its own server_uuid.
    fs::remove_file(data.join("auto.cnf")).map_err(|e| Error::io("remove auto.cnf", e))
}

/// What mariadb-install-db does, without its script: the SQL beside the server, fed to its bootstrap mode.
fn initialise_mariadb(installed: &Installed, account: Account, data: &Path) -> Result<()> {
    let share = installed
        .share()
        .ok_or_else(|| Error::new(Kind::Server, "MariaDB's share directory was not found"))?;
    let mut sql = "CREATE DATABASE IF NOT EXISTS mysql;\nUSE mysql;\n\
        SET @auth_root_socket=NULL;\nSET @skip_auth_anonymous=1;\n"
        .to_owned();
    for part in ["system_tables", "performance_tables", "system_tables_data", "sys_schema"] {
        let files = ["mysql", "mariadb"].map(|brand| share.join(format!("{brand}_{part}.sql")));
        match files.iter().find(|path| path.is_file()) {
            Some(path) => {
                sql.push_str(
                    &fs::read_to_string(path)
                        .map_err(|e| Error::io(format!("read {}", path.display()), e))?,
                );
                sql.push('\n');
            }
            None if part == "sys_schema" => {}
            None => {
                return Err(Error::new(Kind::Server, format!("{part}.sql of MariaDB is missing")));
            }
        }
    }
    sql.push_str("DELETE FROM mysql.global_priv WHERE User IN ('', 'root');\n");
    fs::create_dir(data).map_err(|e| Error::io("create a data directory", e))?;
    account.own(data)?;
    let script = data.with_file_name("bootstrap.sql");
    fs::write(&script, sql).map_err(|e| Error::io("write the bootstrap SQL", e))?;
    let input = File::open(&script).map_err(|e| Error::io("read the bootstrap SQL", e))?;
    let mut command = mysql_command(installed, account, data);
    command.args(["--bootstrap", "--skip-log-bin", "--enforce-storage-engine="]);
    command.args(["--max-allowed-packet=8M", "--net-buffer-length=16K"]);
    run(&mut command, "initialise MariaDB", Stdio::from(input))
}

fn mysql_command(installed: &Installed, account: Account, data: &Path) -> Command {
    let mut command = account.command(&installed.program);
    command.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
    command.arg(format!("--tmpdir={}", data.parent().unwrap_or(data).display()));
    command.args(["--innodb-use-native-aio=OFF", "--innodb-flush-method=nosync"]);
    command.args(["--innodb-buffer-pool-size=64M", "--secure-file-priv="]);
    for (name, value) in settings::mysql_paths(installed) {
        command.arg(format!("--{name}={value}"));
    }
    command
}

pub(crate) fn run(command: &mut Command, what: &str, input: Stdio) -> Result<()> {
    let output = command.stdin(input).output().map_err(|e| Error::io(what, e))?;
    if output.status.success() {
        return Ok(());
    }
    let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stdout));
    Err(Error::new(Kind::Server, format!("{what}: {}: {}", output.status, tail(&said))))
}

/// The last lines of a server's log, on one line.
pub(crate) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().rev().take(12).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", path.display()), e))
        }
        _ => Ok(()),
    }
}
