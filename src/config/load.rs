//! Finds and reads the configuration files.
//!
//! `weir.toml` is the one given, or `WEIR_CONFIG`, `./weir.toml`, `/etc/weir/weir.toml`, in this
//! order; a file that is named but missing is a problem, never skipped. `tables/*.toml` beside it,
//! sorted by name, hold nothing but `[table.*]`. Files are bounded in size. All problems of all
//! files are reported at once; only a file with broken syntax hides what else may be wrong.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::problem::{Problems, Report, Source};
use super::raw::{File, Table};
use super::read::{At, Named, Node, Read, Reader};
use super::settings::Config;
use super::{syntax, validate};

/// Largest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Where the configuration is, unless it is named.
const PLACES: [&str; 2] = ["weir.toml", "/etc/weir/weir.toml"];

/// Finds, reads and validates the configuration.
///
/// # Errors
/// Everything that is wrong with it, or where it was looked for.
pub fn load(path: Option<&Path>) -> Result<Config, Problems> {
    let path = find(path, std::env::var_os("WEIR_CONFIG").map(PathBuf::from), &PLACES)?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut sources = vec![read_file(&path)?];
    for file in table_files(&directory.join("tables"))? {
        sources.push(read_file(&file)?);
    }
    let base = std::path::absolute(directory)
        .or_else(|_| std::path::absolute("."))
        .unwrap_or_else(|_| directory.to_owned());
    read(&sources, &base)
}

/// Validates a configuration from texts: `weir.toml` first, then files with tables, each with its
/// name; relative paths in it are taken from `directory`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(files: &[(&str, &str)], directory: &Path) -> Result<Config, Problems> {
    let sources: Vec<Source> = files.iter().map(|(name, text)| Source::new(*name, *text)).collect();
    read(&sources, directory)
}

fn find(
    given: Option<&Path>,
    variable: Option<PathBuf>,
    places: &[&str],
) -> Result<PathBuf, Problems> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    if let Some(path) = variable.filter(|path| !path.as_os_str().is_empty()) {
        return Ok(path);
    }
    match places.iter().find(|place| Path::new(place).exists()) {
        Some(place) => Ok(PathBuf::from(place)),
        None => Err(Problems::of_file(
            "weir.toml",
            "there is no configuration",
            "`weir init` writes one; weir looks at --config, WEIR_CONFIG, ./weir.toml and /etc/weir/weir.toml",
        )),
    }
}

fn read_file(path: &Path) -> Result<Source, Problems> {
    let name = path.display().to_string();
    let failed = |cause: std::io::Error| {
        Problems::of_file(&name, format!("cannot read the file: {cause}"), "")
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Problems::of_file(
            &name,
            format!("the file is larger than {} MiB", FILE_BYTES_MAX >> 20),
            "spread the tables over several files in tables/",
        ));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(name, text)),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let line = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count();
            let message = format!("line {} is not UTF-8", line + 1);
            Err(Problems::of_file(&name, message, "save the file as UTF-8"))
        }
    }
}

/// The files of tables, sorted; none where there is no such folder.
fn table_files(folder: &Path) -> Result<Vec<PathBuf>, Problems> {
    let name = folder.display().to_string();
    let failed = |cause: std::io::Error| {
        Problems::of_file(&name, format!("cannot read the folder: {cause}"), "")
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(failed(cause)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".toml") && !name.starts_with('.') {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(sources: &[Source], directory: &Path) -> Result<Config, Problems> {
    let mut report = Report::new(sources);
    let mut main: Option<File> = None;
    let mut tables: Vec<(At<String>, Table)> = Vec::new();
    let mut readable = true;
    for file in 0..sources.len() {
        let Some(node) = syntax::parse(file, &mut report) else {
            readable = false;
            continue;
        };
        let mut reader = Reader { report: &mut report, file };
        if file == 0 {
            main = File::read(&node, &mut reader);
            if let Some(named) = main.as_mut().and_then(|main| main.table.take()) {
                tables.extend(named.value.0);
            }
        } else {
            tables.extend(read_tables(&node, &mut reader));
        }
    }
    let config = match main {
        Some(main) if readable => validate::config(&main, &tables, directory, &mut report),
        _ => None,
    };
    report.finish(config)
}

/// Reads a file of tables, which holds nothing else.
fn read_tables(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Vec<(At<String>, Table)> {
    let DeValue::Table(root) = node.get_ref() else { return Vec::new() };
    let mut rest = DeTable::new();
    for (key, value) in root.iter() {
        let name = key.get_ref().as_ref();
        if name != "table" && File::KEYS.contains(&name) {
            let message = format!("`{name}` does not belong in a file of tables");
            reader.report.add(reader.place(key), message, "move it to weir.toml");
        } else if name != "table" {
            rest.insert(key.clone(), value.clone());
        }
    }
    reader.refuse_other_keys(&rest, "", &["table"]);
    reader.optional::<Named<Table>>(root, "table").map(|named| named.value.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if weir ran with another file than the one that was named.
    #[test]
    fn the_named_file_comes_first() {
        let given = find(Some(Path::new("a.toml")), Some("b.toml".into()), &["/"]).unwrap();
        assert_eq!(given, Path::new("a.toml"));
        assert_eq!(find(None, Some("b.toml".into()), &["/"]).unwrap(), Path::new("b.toml"));
        assert_eq!(find(None, Some("".into()), &["/nonexistent", "/"]).unwrap(), Path::new("/"));
        let nowhere = find(None, None, &["/nonexistent"]).unwrap_err().to_string();
        assert!(nowhere.contains("there is no configuration"), "{nowhere}");
    }

    /// Broken if files of tables were left out or read in an order that differs per machine.
    #[test]
    fn tables_are_read_beside_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        std::fs::create_dir(dir.path().join("tables")).unwrap();
        write(
            "weir.toml",
            "name = 'x'\nstate_dir = 'state'\n\
             [database.a]\nurl = 'mysql://u@127.0.0.1/d'\n\
             [database.b]\nurl = 'postgres://u@127.0.0.1/d'\n",
        );
        let table = |name: &str| {
            format!("[table.{name}]\nin.a = 'd.{name}'\nin.b = 'public.{name}'\nowner = 'a'\n")
        };
        write("tables/20.toml", &table("later"));
        write("tables/10.toml", &table("first"));
        write("tables/10.toml~", "not TOML");
        write("tables/.30.toml", "not TOML");
        let path = dir.path().join("weir.toml");
        let config = load(Some(&path)).unwrap();
        let names: Vec<_> = config.tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["first", "later"]);
        assert_eq!(config.state_dir, dir.path().join("state"));

        write("tables/30.toml", "[http]\nlisten = '127.0.0.1:1'\n[tabel.x]\n");
        write("tables/40.toml", &table("first"));
        let problems = load(Some(&path)).unwrap_err().to_string();
        for expected in ["`http` does not belong", "did you mean `table`?", "tables/10.toml:1"] {
            assert!(problems.contains(expected), "{expected}: {problems}");
        }
        std::fs::write(&path, b"name = 'x'\n\xff").unwrap();
        assert!(load(Some(&path)).unwrap_err().to_string().contains("line 2 is not UTF-8"));
        assert!(load(Some(dir.path())).unwrap_err().to_string().contains("cannot read the file"));
    }
}
