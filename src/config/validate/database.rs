//! `[database.*]`: address, transport and where the password comes from.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::apply::wait;
use super::names::well_formed;
use crate::config::problem::{Place, Report};
use crate::config::raw;
use crate::config::read::{At, Period};
use crate::config::settings::{Database, Dialect, RETENTION_MIN, Secret, Tls, TlsMode};
use crate::config::url::{self, Address};

/// The server is asked for its progress every 10 s; a position stands still only for longer.
const HEARTBEAT: RangeInclusive<Duration> =
    Duration::from_secs(30)..=Duration::from_secs(24 * 3600);
/// Longest name of a database.
const NAME_CHARS_MAX: usize = 16;
/// Range of `retention_min`.
const RETENTION: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(365 * 86_400);

/// Checks one database; relative paths are taken from `directory`.
pub(super) fn database(
    name: &At<String>,
    raw: &raw::Database,
    directory: &Path,
    report: &mut Report<'_>,
) -> Option<Database> {
    well_formed(name, "a database", NAME_CHARS_MAX, report);
    let password = raw
        .password
        .as_ref()
        .and_then(|raw| secret(&raw.value, raw.place, "password", directory, report));
    let url = raw.url.as_ref()?;
    let address = match url::parse(url) {
        Ok(address) => Some(address),
        Err(faults) => {
            for fault in faults {
                report.add(url.place, fault.message, fault.hint);
            }
            None
        }
    };
    let server_id = raw.server_id.as_ref().and_then(|id| {
        let dialect = address.as_ref().map(|address| address.dialect);
        server_id(id, dialect, report)
    });
    let heartbeat = raw
        .heartbeat
        .as_ref()
        .map(|period| heartbeat(period, address.as_ref().map(|address| address.dialect), report));
    let address = address?;
    let tls = transport(raw, &address, directory, report);
    let read = raw.read_url.as_ref().and_then(|url| read_address(url, &address, report));
    let retention_min = wait(&raw.retention_min, "retention_min", RETENTION, report);
    let mut hosts = address.hosts.into_iter();
    let (host, port) = hosts.next()?;
    let mut database = Database {
        name: name.value.clone(),
        dialect: address.dialect,
        host,
        port,
        others: hosts.collect(),
        read: None,
        user: address.user,
        database: address.database,
        password,
        tls,
        server_id,
        heartbeat,
        retention_min: retention_min.unwrap_or(RETENTION_MIN),
    };
    let written = raw.tls.as_ref().map(|tls| tls.value).or(address.tls);
    database.read = read.and_then(|read| reader(&database, read, written)).map(Box::new);
    Some(database)
}

/// The address of `read_url`: one server of the same kind.
fn read_address(written: &At<String>, main: &Address, report: &mut Report<'_>) -> Option<Address> {
    let read = match url::parse_beside(written, Some(main)) {
        Ok(read) => read,
        Err(faults) => {
            for fault in faults {
                report.add(written.place, format!("read_url: {}", fault.message), fault.hint);
            }
            return None;
        }
    };
    let (message, hint) = if read.dialect != main.dialect {
        (format!("`read_url` is of {}, and `url` of {}", read.dialect, main.dialect), "")
    } else if read.hosts.len() > 1 {
        let hint = "copies are read from one replica: write that one";
        ("`read_url` names several hosts".to_owned(), hint)
    } else if read.hosts == main.hosts {
        let hint = "remove it, or write the address of a replica";
        ("`read_url` is the server of `url`".to_owned(), hint)
    } else {
        return Some(read);
    };
    report.add(written.place, message, hint);
    None
}

/// `main` at the address of `read_url`; `written` is the mode of TLS that stands there for `main`.
fn reader(main: &Database, read: Address, written: Option<TlsMode>) -> Option<Database> {
    let (host, port) = read.hosts.into_iter().next()?;
    let default = if url::is_loopback(&host) { TlsMode::Off } else { TlsMode::VerifyFull };
    let mode = match url::is_socket(&host) {
        true => TlsMode::Off,
        false => read.tls.or(written).unwrap_or(default),
    };
    Some(Database {
        name: format!("{} (read_url)", main.name),
        host,
        port,
        others: Vec::new(),
        read: None,
        user: read.user,
        database: read.database,
        tls: Tls { mode, ..main.tls.clone() },
        server_id: None,
        heartbeat: None,
        ..main.clone()
    })
}

fn heartbeat(period: &At<Period>, dialect: Option<Dialect>, report: &mut Report<'_>) -> Duration {
    if dialect.is_some_and(|dialect| dialect != Dialect::Postgres) {
        let message = "`heartbeat` is for PostgreSQL; other servers send one by themselves";
        report.add(period.place, message, "remove it");
    }
    if !HEARTBEAT.contains(&period.value.0) {
        let hint = "write a duration from 30s to 1d";
        report.add(period.place, "`heartbeat` is out of range", hint);
    }
    period.value.0
}

fn server_id(id: &At<u64>, dialect: Option<Dialect>, report: &mut Report<'_>) -> Option<u32> {
    if dialect == Some(Dialect::Postgres) {
        let message = "`server_id` is for MySQL and MariaDB, and this is PostgreSQL";
        report.add(id.place, message, "remove it");
    }
    let number = u32::try_from(id.value).ok().filter(|number| *number > 0);
    if number.is_none() {
        let hint = "write a number from 1 to 4294967295 that no server uses";
        report.add(id.place, "`server_id` is out of range", hint);
    }
    number
}

/// Mode and files. What has no effect is refused: it was meant to have one.
fn transport(
    raw: &raw::Database,
    address: &Address,
    directory: &Path,
    report: &mut Report<'_>,
) -> Tls {
    if let (Some(written), Some(_)) = (&raw.tls, address.tls) {
        let message = "the tls mode is given twice, here and in the url";
        report.add(written.place, message, "keep this one");
    }
    let all = |is: fn(&str) -> bool| address.hosts.iter().all(|(host, _)| is(host));
    let default = if all(url::is_loopback) { TlsMode::Off } else { TlsMode::VerifyFull };
    let mode = raw.tls.as_ref().map(|tls| tls.value).or(address.tls).unwrap_or(default);
    if all(url::is_socket) && mode != TlsMode::Off {
        let place = raw.tls.as_ref().map(|tls| tls.place).or(raw.url.as_ref().map(|url| url.place));
        let message = "there is no TLS on a unix socket, and nothing leaves this machine";
        report.add(place.unwrap_or_default(), message, "remove the tls mode");
    }
    let mut file = |key: &str, path: &Option<At<String>>, useless: bool| -> Option<PathBuf> {
        let path = path.as_ref()?;
        if path.is_empty() || path.contains('\0') {
            report.add(path.place, "not a path of a file", "");
        }
        if useless {
            let hint = "write `tls = \"verify-full\"` or `tls = \"verify-ca\"`, or remove this";
            report.add(path.place, format!("`{key}` has no effect with tls \"{mode}\""), hint);
        }
        Some(directory.join(&path.value))
    };
    let off = mode == TlsMode::Off;
    let ca = file("tls_ca", &raw.tls_ca, off || mode == TlsMode::Require);
    let cert = file("tls_cert", &raw.tls_cert, off);
    let key = file("tls_key", &raw.tls_key, off);
    for (path, has, lacks) in
        [(&raw.tls_cert, "tls_cert", "tls_key"), (&raw.tls_key, "tls_key", "tls_cert")]
    {
        let other = if has == "tls_cert" { &raw.tls_key } else { &raw.tls_cert };
        if let (Some(path), None) = (path, other) {
            let message = format!("`{has}` stands without `{lacks}`");
            report.add(path.place, message, "a certificate and its key are written together");
        }
    }
    Tls { mode, ca, identity: cert.zip(key) }
}

/// Where `what`, which never stands in the file, is found.
pub(super) fn secret(
    raw: &raw::Password,
    place: Place,
    what: &str,
    directory: &Path,
    report: &mut Report<'_>,
) -> Option<Secret> {
    const HINT: &str =
        "write one of { env = \"NAME\" }, { file = \"path\" } or { command = [\"program\"] }";
    let mut found = Vec::new();
    if let Some(name) = &raw.env {
        if name.is_empty() || name.contains(['=', '\0']) {
            report.add(name.place, "not a name of an environment variable", "");
        }
        found.push(Secret::Env(name.value.clone()));
    }
    if let Some(path) = &raw.file {
        if path.is_empty() || path.contains('\0') {
            report.add(path.place, "not a path of a file", "");
        }
        found.push(Secret::File(directory.join(&path.value)));
    }
    if let Some(words) = &raw.command {
        if words.first().is_none_or(|word| word.is_empty()) {
            report.add(words.place, "the command is empty", "name a program first");
        }
        found.push(Secret::Command(words.iter().map(|word| word.value.clone()).collect()));
    }
    if found.len() != 1 {
        report.add(place, format!("a {what} comes from exactly one place"), HINT);
    }
    found.pop()
}
