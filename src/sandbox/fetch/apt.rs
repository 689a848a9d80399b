//! apt with everything of its own: lists, status, cache, sources. The machine's apt state is neither read nor changed.
//!
//! apt checks the signatures; only Debian's keys are accepted. If the keys on the machine are too old for the suite,
//! the keyring package is fetched first from the machine's own release, which the old keys vouch for.
//! Proxy and transport settings of the machine stay in force; its hooks do not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::cache::{self, Lock};
use super::{source, unpack};
use crate::sandbox::tell::tell;
use crate::sandbox::{Error, Kind, Result};

/// One suite of the Debian archive, with its package lists read.
#[derive(Debug)]
pub(crate) struct Archive {
    directory: PathBuf,
    _lock: Lock,
}

/// Packages on disk, not unpacked yet.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Directory that holds the package files and nothing else.
    pub(crate) directory: PathBuf,
    /// Version of the first package asked for.
    pub(crate) version: String,
}

impl Archive {
    /// Reads the package lists of `suite` from the first of the machine's mirrors that has it.
    pub(crate) fn open(cache: &Path, suite: &str) -> Result<Self> {
        let lock = Lock::take(cache, &format!("apt-{suite}"))?;
        let archive = Self { directory: cache.join("apt").join(suite), _lock: lock };
        let mirrors = source::mirrors()?;
        tell!("weir: reading the package lists of Debian {suite} (about 10 MB)");
        let keyring = source::keyring();
        let mut last = None;
        for mirror in &mirrors {
            match archive.update(mirror, suite, keyring.as_deref()) {
                Ok(()) => return Ok(archive),
                Err(error) if error.context().contains("NO_PUBKEY") => {
                    let newer = newer_keyring(cache, mirror, keyring.as_deref());
                    match newer.and_then(|path| archive.update(mirror, suite, Some(&path))) {
                        Ok(()) => return Ok(archive),
                        Err(error) => last = Some(error),
                    }
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::new(Kind::Unavailable, "no mirror")))
    }

    /// Output of `apt-cache` about this suite.
    pub(crate) fn query(&self, arguments: &[&str]) -> Result<String> {
        let output = run(self.command("apt-cache").args(arguments), "ask apt-cache")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Downloads `packages`, which make up what people call `name`, after saying on stderr how much that is and that
    /// it goes under `target`.
    pub(crate) fn download(
        &self,
        packages: &[String],
        name: &str,
        target: &Path,
    ) -> Result<Fetched> {
        let list = run(
            self.command("apt-get").args(["download", "--print-uris"]).args(packages),
            "list the packages to download",
        )?;
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        let first = packages.first().map_or("", String::as_str);
        let (bytes, version) = sizes(&list, first);
        let version = version
            .ok_or_else(|| Error::new(Kind::Unavailable, format!("Debian has no {first} now")))?;
        tell!(
            "weir: downloading {first} {version} for {name}: {} packages, {} MB, into {}",
            packages.len(),
            bytes.div_ceil(1_000_000),
            target.display(),
        );
        let directory = self.directory.join(format!("packages-{first}"));
        cache::remove(&directory)?;
        cache::create(&directory)?;
        run(
            self.command("apt-get").args(["-q", "download"]).args(packages).current_dir(&directory),
            "download packages",
        )?;
        Ok(Fetched { directory, version })
    }

    /// Removes what apt can make again from the package lists.
    pub(crate) fn trim(&self) -> Result<()> {
        cache::remove(&self.directory.join("cache"))
    }

    fn update(&self, mirror: &str, suite: &str, keyring: Option<&Path>) -> Result<()> {
        let directory = &self.directory;
        for name in ["lists/partial", "cache/archives/partial", "state"] {
            cache::create(&directory.join(name))?;
        }
        let architecture = run(Command::new("dpkg").arg("--print-architecture"), "ask dpkg")?;
        let architecture = String::from_utf8_lossy(&architecture.stdout).trim().to_owned();
        let signed = keyring.map_or(String::new(), |path| format!(" signed-by={}", path.display()));
        let source =
            format!("deb [arch={architecture} target=Packages{signed}] {mirror} {suite} main\n");
        for (name, text) in
            [("status", String::new()), ("sources.list", source), ("apt.conf", conf(directory))]
        {
            let path = directory.join(name);
            fs::write(&path, text)
                .map_err(|e| Error::io(format!("write {}", path.display()), e))?;
        }
        run(self.command("apt-get").args(["-q", "update"]), "read the package lists").map(drop)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(self.directory.join("apt.conf")).env("LC_ALL", "C");
        command
    }
}

/// The keyring of the newest keyring package of the machine's own release.
fn newer_keyring(cache: &Path, mirror: &str, keyring: Option<&Path>) -> Result<PathBuf> {
    let release = source::machine_release()
        .ok_or_else(|| Error::new(Kind::Unavailable, "the machine does not name its release"))?;
    tell!("weir: the Debian keyring here is too old; fetching a newer one from {release}");
    let lock = Lock::take(cache, &format!("keyring-{release}"))?;
    let directory = cache.join("apt").join(format!("keyring-{release}"));
    let archive = Archive { directory: directory.clone(), _lock: lock };
    archive.update(mirror, &release, keyring)?;
    let packages = directory.join("packages");
    cache::remove(&packages)?;
    cache::create(&packages)?;
    run(
        archive
            .command("apt-get")
            .args(["-q", "download", "debian-archive-keyring"])
            .current_dir(&packages),
        "download the Debian keyring",
    )?;
    let root = directory.join("root");
    cache::remove(&root)?;
    unpack::extract(&packages, &root)?;
    [
        "usr/share/keyrings/debian-archive-keyring.pgp",
        "usr/share/keyrings/debian-archive-keyring.gpg",
    ]
    .iter()
    .map(|name| root.join(name))
    .find(|path| path.is_file())
    .ok_or_else(|| Error::new(Kind::Unavailable, "the keyring package holds no keyring"))
}

fn conf(directory: &Path) -> String {
    let at = directory.display();
    format!(
        "Dir::State \"{at}/state\";\nDir::State::Lists \"{at}/lists\";\n\
         Dir::State::status \"{at}/status\";\nDir::Cache \"{at}/cache\";\n\
         Dir::Cache::pkgcache \"pkgcache.bin\";\nDir::Cache::srcpkgcache \"srcpkgcache.bin\";\n\
         Dir::Etc::SourceList \"{at}/sources.list\";\nDir::Etc::SourceParts \"/dev/null\";\n\
         Dir::Etc::Preferences \"/dev/null\";\nDir::Etc::PreferencesParts \"/dev/null\";\n\
         APT::Sandbox::User \"root\";\nAPT::Update::Error-Mode \"any\";\n\
         Acquire::Languages \"none\";\nAcquire::Retries \"2\";\nAcquire::GzipIndexes \"true\";\n\
         #clear APT::Default-Release;\n#clear APT::Update::Pre-Invoke;\n\
         #clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n"
    )
}

/// Total bytes of a `--print-uris` listing, and the version in the file name of `package`.
fn sizes(list: &str, package: &str) -> (u64, Option<String>) {
    let mut bytes = 0;
    let mut version = None;
    for line in list.lines() {
        let mut fields = line.split_whitespace().skip(1);
        let (Some(file), Some(size)) = (fields.next(), fields.next()) else { continue };
        bytes += size.parse::<u64>().unwrap_or(0);
        let mut parts = file.split('_');
        if parts.next() == Some(package)
            && let Some(text) = parts.next()
        {
            // An epoch is written 1%3a in file names, and says nothing to people.
            version = Some(text.rsplit("%3a").next().unwrap_or(text).to_owned());
        }
    }
    (bytes, version)
}

/// Runs to the end; a failure carries what the program said.
pub(crate) fn run(command: &mut Command, what: &str) -> Result<Output> {
    let output = command.output().map_err(|e| Error::io(what, e))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let mut lines: Vec<&str> = said.lines().rev().take(6).collect();
    lines.reverse();
    Err(Error::new(Kind::Unavailable, format!("{what}: {}: {}", output.status, lines.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_and_version_are_read_from_the_list_of_files() {
        let list = "'http://x/a.deb' mariadb-server-core_1%3a10.11.18-0+deb12u1_amd64.deb 700 SHA256:1\n\
                    'http://x/b.deb' libc6_2.36-9_amd64.deb 300 SHA256:2\n";
        let (bytes, version) = sizes(list, "mariadb-server-core");
        assert_eq!((bytes, version.as_deref()), (1000, Some("10.11.18-0+deb12u1")));
        assert_eq!(sizes("", "x"), (0, None));
    }
}
