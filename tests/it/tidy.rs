//! Style as a test: sizes, levels, banned calls, first lines. A rule that the compiler or clippy
//! knows is not repeated here.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file at most.
const FILE_LINES_MAX: usize = 500;
/// Lines of a function at most, signature and closing brace included.
const FUNCTION_LINES_MAX: usize = 70;

/// Files that may be longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];
/// Functions that may be longer (`file: function`), each with its reason.
const LONG_FUNCTIONS: &[(&str, &str)] =
    &[("tests/it/mysql_target/types.rs: cases", "one table of types and values")];

/// Folder or file under `src` and its level: a module may use its own level and those below.
const LEVELS: &[(&str, u8)] = &[
    ("error", 0),
    ("model", 0),
    ("position", 0),
    ("config", 1),
    ("tls", 1),
    ("ownership", 1),
    ("transform", 1),
    ("plan", 1),
    ("link", 2),
    ("snapshot", 2),
    ("verify", 2),
    ("postgres", 3),
    ("mysql", 3),
    ("state", 3),
    ("rooms", 4),
    ("observe", 5),
    ("sandbox", 5),
    ("cli", 6),
    ("main", 7),
    ("lib", 7),
];

/// Folders without clock or randomness.
const PURE: &[&str] = &["model", "position", "ownership", "transform", "plan"];

struct Source {
    path: String,
    text: String,
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("folder of the tree").flatten() {
            let path: PathBuf = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("source file");
                let path = path.strip_prefix(root).expect("inside the tree");
                found.push(Source { path: path.to_string_lossy().into_owned(), text });
            }
        }
    }
    assert!(!found.is_empty(), "no sources under {folder}");
    found
}

fn module_of(path: &str) -> &str {
    let path = path.trim_start_matches("src/");
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

fn level_of(module: &str) -> Option<u8> {
    LEVELS.iter().find(|(name, _)| *name == module).map(|(_, level)| *level)
}

fn fail_on(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// Broken if a file outgrew what one can hold in one's head.
#[test]
fn files_are_short() {
    let all = sources("src").into_iter().chain(sources("tests"));
    let problems = all
        .filter(|source| !LONG_FILES.iter().any(|(path, _)| *path == source.path))
        .filter(|source| source.text.lines().count() > FILE_LINES_MAX)
        .map(|source| format!("{}: {} lines", source.path, source.text.lines().count()));
    fail_on(problems.collect());
}

/// Broken if a function did more than one thing; relies on rustfmt's layout.
#[test]
fn functions_are_short() {
    let mut problems = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let indent = &line[..line.len() - line.trim_start().len()];
            let closing = format!("{indent}}}");
            // A trait's method without a body ends with `;` before any block opens.
            let opens = lines[start..].iter().position(|line| line.ends_with(['{', ';', '}']));
            if opens.is_some_and(|at| !lines[start + at].ends_with('{')) {
                continue;
            }
            let body = lines[start..].iter().position(|line| *line == closing).unwrap_or(0);
            let name = format!("{}: {name}", source.path);
            if body + 1 > FUNCTION_LINES_MAX
                && !LONG_FUNCTIONS.iter().any(|(long, _)| *long == name)
            {
                problems.push(format!("{name}: {} lines (line {})", body + 1, start + 1));
            }
        }
    }
    fail_on(problems);
}

/// The name of the function that starts on this line, if it has a body that ends elsewhere.
fn function_name(line: &str) -> Option<&str> {
    let code = line.trim_start();
    let before = code.find("fn ")?;
    let words = &code[..before];
    let plain = words.split_whitespace().all(|word| {
        word.starts_with("pub") || ["const", "async", "in", "crate)", "super)"].contains(&word)
    });
    if !plain || code.ends_with(';') || (code.contains('{') && code.ends_with('}')) {
        return None;
    }
    code[before + 3..].split(['(', '<']).next()
}

/// Broken if a lower level came to know a higher one, a room knew its twin, or anything but
/// `rooms.rs` named a dialect's room.
#[test]
fn levels_hold() {
    let mut problems = Vec::new();
    for source in sources("src") {
        let module = module_of(&source.path).to_owned();
        let Some(level) = level_of(&module) else {
            problems.push(format!("{}: not in the list of levels", source.path));
            continue;
        };
        for used in crate_uses(&source.text) {
            let Some(used_level) = level_of(&used) else { continue };
            let room = ["postgres", "mysql"].contains(&used.as_str()) && used != module;
            if used_level > level || (room && !["rooms", "lib"].contains(&module.as_str())) {
                problems.push(format!("{}: uses crate::{used}", source.path));
            }
        }
    }
    fail_on(problems);
}

/// The first segments after `crate::` in code (not comments).
fn crate_uses(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut used = Vec::new();
    for line in code {
        for rest in line.split("crate::").skip(1) {
            let name: String =
                rest.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect();
            used.push(name);
        }
    }
    used
}

/// Broken if sled leaked out of `state/`, a pure folder read a clock or rolled dice, or a verb printed
/// in a way that panics when nobody reads.
#[test]
fn banned_names_stay_out() {
    let mut problems = Vec::new();
    for source in sources("src") {
        let module = module_of(&source.path).to_owned();
        let pure = PURE.contains(&module.as_str());
        for (number, line) in source.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let bad = (code.contains("sled::") && module != "state")
                || (pure
                    && ["SystemTime", "Instant::now", "fastrand"]
                        .iter()
                        .any(|name| code.contains(name)))
                || code.contains("binlog::events::RowsEvent")
                || (code.contains("println!") && module == "cli")
                || code.contains("flush_async");
            if bad {
                problems.push(format!("{}:{}: {}", source.path, number + 1, code.trim()));
            }
        }
    }
    fail_on(problems);
}

/// Broken if a file did not say what it is.
#[test]
fn files_say_what_they_are() {
    let all = sources("src").into_iter().chain(sources("tests"));
    let problems = all
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| format!("{}: no `//!` on the first line", source.path));
    fail_on(problems.collect());
}
