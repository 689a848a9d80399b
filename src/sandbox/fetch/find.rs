//! Looks for a server that is already there: in the environment, on the machine, in the cache.
//!
//! A program counts only after it has told its version. A directory named by the environment is taken as it is, with
//! whatever version; everywhere else the version must be the one asked for.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Installed;
use crate::sandbox::server::version_of;
use crate::sandbox::{Error, Kind, Result, Server};

/// The server in the directory that `WEIR_…_BIN` names; an error when the variable is set and it is not there.
pub(crate) fn by_environment(server: Server) -> Result<Option<Installed>> {
    let Some(directory) = std::env::var_os(server.variable()).filter(|value| !value.is_empty())
    else {
        return Ok(None);
    };
    let directory = PathBuf::from(directory);
    let found = server.programs().iter().find_map(|name| ask(server, &directory.join(name)));
    match found {
        Some((installed, _)) => Ok(Some(installed)),
        // Not `Unavailable`: a variable that names the wrong place is to be corrected, not skipped.
        None => Err(Error::new(
            Kind::Server,
            format!("{} names {}, which holds no {server}", server.variable(), directory.display()),
        )
        .with_hint(format!(
            "it must be the directory with the program {}",
            server.programs().join(" or ")
        ))),
    }
}

/// A server in PATH or where distributions put it.
pub(crate) fn on_machine(server: Server) -> Option<Installed> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = server.usual_places().iter().map(PathBuf::from);
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .chain(usual)
        .find_map(|directory| in_directory(server, &directory))
}

/// The newest server of this kind in the cache.
pub(crate) fn in_cache(server: Server, servers: &Path) -> Option<Installed> {
    let prefix = format!("{}-", server.slug());
    let mut folders: Vec<(std::time::SystemTime, PathBuf)> = std::fs::read_dir(servers)
        .ok()?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    folders.sort();
    folders.iter().rev().find_map(|(_, folder)| in_folder(server, folder))
}

/// A server in a folder into which packages were unpacked. It may be newer than the version asked for: the archive
/// moves, and what there is, is taken.
pub(crate) fn in_folder(server: Server, folder: &Path) -> Option<Installed> {
    let places = server
        .usual_places()
        .iter()
        .filter_map(|place| place.strip_prefix('/'))
        .map(|place| folder.join(place));
    places
        .flat_map(|directory| server.programs().iter().map(move |name| directory.join(name)))
        .find_map(|program| ask(server, &program))
        .map(|(installed, _)| installed)
}

fn in_directory(server: Server, directory: &Path) -> Option<Installed> {
    server.programs().iter().find_map(|name| {
        // A link in /usr/local/bin leads to the directory where the other programs are.
        let program = directory.join(name).canonicalize().ok()?;
        let (installed, banner) = ask(server, &program)?;
        (server.accepts(&banner) && complete(&installed)).then_some(installed)
    })
}

/// Whether the parts beside the server program are there too: distributions split them into packages.
fn complete(installed: &Installed) -> bool {
    if installed.server.is_postgres() {
        return ["initdb", "pg_resetwal"].iter().all(|name| installed.tool(name).is_file());
    }
    match installed.share() {
        Some(share) if installed.server.is_mariadb() => {
            share.join("mysql_system_tables.sql").is_file()
                || share.join("mariadb_system_tables.sql").is_file()
        }
        share => share.is_some(),
    }
}

fn ask(server: Server, program: &Path) -> Option<(Installed, String)> {
    if !program.is_file() {
        return None;
    }
    let output = Command::new(program).arg("--version").env("LC_ALL", "C").output().ok()?;
    let banner = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = version_of(&banner).filter(|_| output.status.success())?.to_owned();
    Some((Installed { server, version, program: program.to_owned() }, banner))
}
