//! `[database.*]`: address, transport and where the password comes from.

use std::path::Path;

use super::names::well_formed;
use crate::config::problem::{Place, Report};
use crate::config::raw;
use crate::config::read::At;
use crate::config::settings::{Database, Dialect, Secret, Tls};
use crate::config::url::{self, Address};

/// Longest name of a database.
const NAME_CHARS_MAX: usize = 16;

/// Checks one database; relative paths are taken from `directory`.
pub(super) fn database(
    name: &At<String>,
    raw: &raw::Database,
    directory: &Path,
    report: &mut Report<'_>,
) -> Option<Database> {
    well_formed(name, "a database", NAME_CHARS_MAX, report);
    let password = raw.password.as_ref().and_then(|raw| secret(raw, directory, report));
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
    let address = address?;
    let tls = transport(name, url.place, raw.tls.as_ref(), &address, report);
    Some(Database {
        name: name.value.clone(),
        dialect: address.dialect,
        host: address.host,
        port: address.port,
        user: address.user,
        database: address.database,
        password,
        tls,
        server_id,
    })
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

fn transport(
    name: &At<String>,
    url: Place,
    written: Option<&At<Tls>>,
    address: &Address,
    report: &mut Report<'_>,
) -> Tls {
    if let (Some(written), Some(_)) = (written, address.tls) {
        let message = "the tls mode is given twice, here and in the url";
        report.add(written.place, message, "keep this one");
    }
    let loopback = url::is_loopback(&address.host);
    let wanted = written.map(|tls| tls.value).or(address.tls);
    if !loopback {
        report.add(
            url,
            format!("database `{}` is not on loopback: TLS is not supported yet", name.value),
            "only localhost, 127.0.0.1 and ::1 are accepted by this version, \
             for example the near end of an SSH tunnel",
        );
    } else if wanted == Some(Tls::VerifyFull) {
        report.add(
            written.map_or(url, |tls| tls.place),
            "\"verify-full\" is not supported by this version",
            "write `tls = \"off\"`, which is enough on loopback",
        );
    }
    wanted.unwrap_or(if loopback { Tls::Off } else { Tls::VerifyFull })
}

fn secret(raw: &At<raw::Password>, directory: &Path, report: &mut Report<'_>) -> Option<Secret> {
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
        report.add(raw.place, "a password comes from exactly one place", HINT);
    }
    found.pop()
}
