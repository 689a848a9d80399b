//! Where servers come from: the environment, the machine, the cache, or the distribution's package archive.
//!
//! Nothing is ever installed and no service starts. A download goes into a folder of the cache, complete with the
//! libraries and the dynamic loader it was built for, so that packages of one Debian release run on another.
//! A server found in the cache needs no network and is not looked for again; delete its folder to get a newer one.

mod apt;
mod cache;
mod closure;
mod find;
mod installed;
mod source;
mod tool;
mod unpack;

pub(crate) use cache::{Lock, cache_dir, create};
pub use installed::Installed;
pub use tool::Tool;

use self::unpack::Started;
use super::account::Account;
use super::{Error, Kind, Result, Server};

/// Finds `server`, or downloads it; says on stderr first what and how much. Blocking: seconds when it downloads.
pub fn install(server: Server) -> Result<Installed> {
    let account = Account::current();
    if let Some(installed) = find::by_environment(server)? {
        return Ok(installed);
    }
    if let Some(installed) = find::on_machine(server) {
        return Ok(installed);
    }
    let servers = cache_dir(account)?.join("servers");
    if let Some(installed) = find::in_cache(server, &servers) {
        return Ok(installed);
    }
    download(server, account).map_err(|error| {
        let install = format!(
            "install {server}, or set {} to the directory that holds its programs ({})",
            server.variable(),
            server.programs().join(" or "),
        );
        Error::new(Kind::Unavailable, format!("{server} is not on this machine"))
            .with_hint(error.hint().map_or(install, str::to_owned))
            .with_source(error)
    })
}

fn download(server: Server, account: Account) -> Result<Installed> {
    let cache = cache_dir(account)?;
    let _lock = Lock::take(&cache, server.slug())?;
    let servers = cache.join("servers");
    if let Some(installed) = find::in_cache(server, &servers) {
        return Ok(installed);
    }
    source::require_debian()?;
    let archive = apt::Archive::open(&cache, server.suite())?;
    let packages = closure::of(&archive, server.packages())?;
    let fetched = archive.download(&packages, &server.to_string(), &servers)?;
    let folder = servers.join(format!("{}-{}", server.slug(), fetched.version));
    unpack::unpack(fetched, &folder, Started::ByLoader)?;
    archive.trim()?;
    find::in_folder(server, &folder).ok_or_else(|| {
        Error::new(Kind::Unavailable, format!("{server} was unpacked but does not run"))
    })
}
