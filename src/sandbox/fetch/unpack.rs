//! Unpacks packages into a folder and makes the programs in it start with the libraries beside them.
//!
//! Each program becomes a three-line shell script that hands the real one (`name.elf`) to the dynamic loader of the
//! same folder. The folder appears under its final name only when it is complete; it can be moved as a whole.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::apt::{Fetched, run};
use super::cache;
use crate::sandbox::{Error, Kind, Result};

/// How the programs of a folder are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Started {
    /// By the dynamic loader beside them.
    ByLoader,
    /// As they are: a program that reads its own file must be the one that runs.
    Directly,
}

/// Unpacks what was fetched into `folder`, and removes the package files.
pub(crate) fn unpack(fetched: Fetched, folder: &Path, started: Started) -> Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let fresh = folder.with_file_name(format!(".{name}.{}", std::process::id()));
    cache::remove(&fresh)?;
    extract(&fetched.directory, &fresh)?;
    for name in ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian"] {
        cache::remove(&fresh.join(name))?;
    }
    if started == Started::ByLoader {
        wrap_programs(&fresh)?;
    }
    cache::remove(folder)?;
    fs::rename(&fresh, folder)
        .map_err(|e| Error::io(format!("rename to {}", folder.display()), e))?;
    cache::remove(&fetched.directory)
}

/// Extracts every package file of `packages` into `root`.
pub(crate) fn extract(packages: &Path, root: &Path) -> Result<()> {
    cache::create(root)?;
    for path in entries(packages)? {
        if path.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(&path).arg(root), "unpack a package")?;
        }
    }
    Ok(())
}

fn wrap_programs(root: &Path) -> Result<()> {
    let loader = Loader::find(root)?;
    let mut directories = vec![root.join("usr/sbin"), root.join("usr/bin")];
    let postgres = root.join("usr/lib/postgresql");
    if postgres.is_dir() {
        directories.extend(entries(&postgres)?.into_iter().map(|version| version.join("bin")));
    }
    for directory in directories.iter().filter(|directory| directory.is_dir()) {
        for program in entries(directory)? {
            if is_elf(&program)? {
                loader.wrap(root, &program)?;
            }
        }
    }
    Ok(())
}

/// The dynamic loader of a folder and the directories of its libraries, relative to the folder.
struct Loader {
    program: PathBuf,
    libraries: Vec<PathBuf>,
}

impl Loader {
    fn find(root: &Path) -> Result<Self> {
        let mut program = None;
        let mut libraries = Vec::new();
        for base in ["lib", "usr/lib"] {
            let base = Path::new(base);
            if !root.join(base).is_dir() {
                continue;
            }
            for directory in entries(&root.join(base))? {
                let Some(name) = directory.file_name().filter(|_| directory.is_dir()) else {
                    continue;
                };
                // The directories named after the machine (x86_64-linux-gnu) hold the libraries.
                if !name.to_string_lossy().contains("-linux-gnu") {
                    continue;
                }
                libraries.push(base.join(name));
                for file in entries(&directory)? {
                    let file = file.file_name().unwrap_or_default();
                    if file.to_string_lossy().starts_with("ld-linux") {
                        program = Some(base.join(name).join(file));
                    }
                }
            }
        }
        let program = program
            .ok_or_else(|| Error::new(Kind::Unavailable, "the packages hold no dynamic loader"))?;
        Ok(Self { program, libraries })
    }

    fn wrap(&self, root: &Path, program: &Path) -> Result<()> {
        let lost = |e| Error::io(format!("wrap {}", program.display()), e);
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let depth = program.strip_prefix(root).map_or(0, |path| path.components().count() - 1);
        let up = "/..".repeat(depth);
        let libraries: Vec<String> =
            self.libraries.iter().map(|path| format!("$root/{}", path.display())).collect();
        let script = format!(
            "#!/bin/sh\nhere=${{0%/*}}\nroot=$here{up}\nexec \"$root/{}\" --inhibit-cache \
             --library-path \"{}\" --argv0 \"$0\" \"$here/{name}.elf\" \"$@\"\n",
            self.program.display(),
            libraries.join(":"),
        );
        fs::rename(program, program.with_file_name(format!("{name}.elf"))).map_err(lost)?;
        fs::write(program, script).map_err(lost)?;
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).map_err(lost)
    }
}

fn is_elf(path: &Path) -> Result<bool> {
    if !path.is_file() || path.is_symlink() {
        return Ok(false);
    }
    let lost = |e| Error::io(format!("read {}", path.display()), e);
    let mut magic = Vec::new();
    fs::File::open(path).map_err(lost)?.take(4).read_to_end(&mut magic).map_err(lost)?;
    Ok(magic == b"\x7fELF")
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let lost = |e| Error::io(format!("list {}", directory.display()), e);
    fs::read_dir(directory)
        .map_err(lost)?
        .map(|entry| entry.map(|entry| entry.path()).map_err(lost))
        .collect()
}
