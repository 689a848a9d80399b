//! The mirror of the Debian archive, as the machine's own apt sources name it, and the keys that vouch for it.
//!
//! No host is written down in this project. apt itself lists its sources (one-line and deb822 files, enabled ones
//! only); those that serve a plain Debian release with component `main` are candidates. Which of them is Debian's
//! main archive is decided by the signature: only Debian's keys are accepted, whatever the sources say.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sandbox::{Error, Kind, Result};

const RELEASES: [&str; 16] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "unstable",
    "testing",
    "stable",
    "oldstable",
    "oldoldstable",
    "bullseye-updates",
    "bookworm-updates",
    "trixie-updates",
    "stable-updates",
    "testing-updates",
];

const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
];

/// An error unless this is Debian with apt and dpkg.
pub(crate) fn require_debian() -> Result<()> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let debian = release.lines().any(|line| line.trim() == "ID=debian");
    let tools = ["apt-get", "apt-cache", "dpkg", "dpkg-deb"];
    let missing = tools.iter().find(|tool| Command::new(tool).arg("--version").output().is_err());
    match (debian, missing) {
        (false, _) => Err(Error::new(Kind::Unavailable, "downloads work on Debian only")),
        (true, Some(tool)) => Err(Error::new(Kind::Unavailable, format!("{tool} is missing"))),
        (true, None) => Ok(()),
    }
}

/// Code name of the Debian release this machine runs, if it says one.
pub(crate) fn machine_release() -> Option<String> {
    let release = fs::read_to_string("/etc/os-release").ok()?;
    let line = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(line.trim_matches('"').to_owned())
}

/// Addresses that may carry Debian's main archive, best first.
pub(crate) fn mirrors() -> Result<Vec<String>> {
    let output = Command::new("apt-get")
        .args(["indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"])
        .arg("Created-By: Packages")
        .env("LC_ALL", "C")
        .output()
        .map_err(|e| Error::io("ask apt-get for the machine's sources", e))?;
    let mirrors = candidates(&String::from_utf8_lossy(&output.stdout));
    if mirrors.is_empty() {
        return Err(Error::new(
            Kind::Unavailable,
            "the machine's apt sources name no Debian archive",
        )
        .with_hint("add a source with a Debian release and component main"));
    }
    Ok(mirrors)
}

/// The keyring file of the machine; none means apt's own trusted keys are used.
pub(crate) fn keyring() -> Option<PathBuf> {
    KEYRINGS.iter().map(Path::new).find(|path| path.is_file()).map(Path::to_owned)
}

fn candidates(targets: &str) -> Vec<String> {
    let mut mirrors: Vec<String> = Vec::new();
    for line in targets.lines() {
        let mut fields = line.split('|');
        let (Some(uri), Some(release), Some("main")) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let uri = uri.trim_end_matches('/');
        if RELEASES.contains(&release)
            && !uri.starts_with("cdrom:")
            && !mirrors.iter().any(|known| known == uri)
        {
            mirrors.push(uri.to_owned());
        }
    }
    mirrors.sort_by_key(|uri| !uri.ends_with("/debian"));
    mirrors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_releases_with_main_are_candidates_and_the_archive_comes_first() {
        let targets = "https://a.example/php/|bookworm|main\n\
            http://b.example/debian/|bookworm|main\n\
            http://b.example/debian/|bookworm-updates|main\n\
            http://b.example/debian-security/|bookworm-security|main\n\
            http://c.example/debian/|bookworm|non-free\n\
            https://d.example/apt|nodistro|main\nbroken";
        assert_eq!(candidates(targets), ["http://b.example/debian", "https://a.example/php"]);
    }
}
