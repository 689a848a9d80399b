//! The file that is written, TOML 1.0, and what is said of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::propose::{Proposal, Proposed};
use crate::cli::context::Ends;
use crate::cli::output::say;
use crate::config::Database;
use crate::error::{Error, Kind, Result};
use crate::link::ports::Finding;
use crate::model::TableName;

/// Readable by weir's user and group: there is no secret in the file, but hosts and users are.
const MODE: u32 = 0o640;
/// How many tables a comment names.
const NAMES_MAX: usize = 8;

/// What is known before anything is looked at.
pub(super) struct Head {
    pub(super) name: String,
    pub(super) state_dir: String,
    pub(super) from: End,
    pub(super) to: End,
}

/// One database.
pub(super) struct End {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) password: Option<Password>,
    pub(super) tls_ca: Option<String>,
}

/// Where its password comes from.
pub(super) enum Password {
    Env(String),
    File(String),
    Command(Vec<String>),
}

/// The text of the file; without a proposal, what is needed to look at both databases.
pub(super) fn render(head: &Head, proposal: Option<&Proposal<'_>>) -> String {
    let mut text = format!(
        "# Written by `weir init`. `config/reference.toml` explains every key.\n\
         name = {}\nstate_dir = {}\n\n\
         # [http]                            # /metrics, /healthz, /readyz\n\
         # listen = \"127.0.0.1:7171\"\n\n",
        string(&head.name),
        string(&head.state_dir)
    );
    for end in [&head.from, &head.to] {
        text.push_str(&database(end));
    }
    let rule = format!("from = {}\nto = {}\n", string(&head.from.name), string(&head.to.name));
    let Some(proposal) = proposal else {
        return format!("{text}[[replicate]]\n{rule}tables = [\"*.*\"]\n");
    };
    text.push_str(&start(proposal));
    let _ = write!(text, "[[replicate]]\n{rule}");
    text.push_str(&replicate(proposal));
    for table in proposal.carried().filter(|table| table.differs()) {
        text.push_str(&section(head, table, proposal));
    }
    text
}

fn database(end: &End) -> String {
    let mut text = format!("[database.{}]\nurl = {}\n", end.name, string(&end.url));
    match &end.password {
        Some(Password::Env(name)) => {
            let _ = writeln!(text, "password = {{ env = {} }}", string(name));
        }
        Some(Password::File(path)) => {
            let _ = writeln!(text, "password = {{ file = {} }}", string(path));
        }
        Some(Password::Command(words)) => {
            let _ = writeln!(text, "password = {{ command = {} }}", list(words));
        }
        None => text.push_str(
            "# password = { file = \"…\" }        # or env, or command; none was needed\n",
        ),
    }
    if let Some(path) = &end.tls_ca {
        let _ = writeln!(text, "tls_ca = {}", string(path));
    }
    text.push('\n');
    text
}

/// Where the link begins: with a copy, unless the target holds rows; then a person says it.
fn start(proposal: &Proposal<'_>) -> String {
    let mut text = "[apply]\n".to_owned();
    match proposal.rows.target.as_deref() {
        Some([]) => text.push_str(
            "start = \"snapshot\"                  # \"now\": what is there already is not copied\n\n",
        ),
        held => {
            let held = held.map_or_else(|| "tables that weir cannot read yet".to_owned(), named);
            comment(
                &mut text,
                "",
                &format!(
                    "The target may hold rows already: {held}. Say what becomes of them: \"snapshot\" copies \
                     the source's rows over them, \"now\" leaves them as they are."
                ),
            );
            text.push_str("# start = \"snapshot\"\n\n");
        }
    }
    text
}

fn named(tables: &[TableName]) -> String {
    let mut names: Vec<String> = tables.iter().take(NAMES_MAX).map(ToString::to_string).collect();
    if let Some(more @ 1..) = tables.len().checked_sub(NAMES_MAX) {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

fn replicate(proposal: &Proposal<'_>) -> String {
    let mut text = format!("tables = {}\n", list(&proposal.patterns));
    let mut excluded = proposal.tables.iter().filter(|table| table.excluded.is_some()).peekable();
    if excluded.peek().is_some() {
        text.push_str("exclude = [\n");
        let mut written = BTreeSet::new();
        for table in excluded {
            let why = table.excluded.as_deref().unwrap_or_default();
            comment(&mut text, "    ", &format!("{}: {why}", table.source.name));
            let pattern = exclusion(&table.source.name);
            if written.insert(pattern.clone()) {
                let _ = writeln!(text, "    {},", string(&pattern));
            }
        }
        text.push_str("]\n");
    }
    if let Some(into) = &proposal.into {
        let _ = writeln!(text, "into = {}", string(into));
    }
    let renames: Vec<String> = proposal
        .carried()
        .filter_map(|table| {
            let name = table.rename()?;
            Some(format!("{} = {}", string(&table.source.name.to_string()), string(name)))
        })
        .collect();
    if !renames.is_empty() {
        let _ = writeln!(text, "rename = {{ {} }}", renames.join(", "));
    }
    text.push_str(
        "deletes = \"apply\"                   # \"ignore\": deleted rows stay on the target\n\
         truncate = \"halt\"                   # \"apply\": TRUNCATE empties the target's table too\n",
    );
    text
}

/// The pattern that leaves a table out; a dot in a name can only be matched by a star.
fn exclusion(name: &TableName) -> String {
    format!("{}.{}", name.schema.replace('.', "*"), name.table.replace('.', "*"))
}

/// A table's own section.
fn section(head: &Head, table: &Proposed<'_>, proposal: &Proposal<'_>) -> String {
    let name = &table.source.name;
    let twins = proposal.carried().filter(|other| other.source.name.table == name.table).count();
    let title = if twins > 1 { name.to_string() } else { name.table.clone() };
    let title = key(&title);
    let mut text =
        format!("\n[table.{title}]\nin.{} = {}\n", head.from.name, string(&name.to_string()));
    if let Some(key) = &table.key {
        comment(&mut text, "", "There is no primary key; this is unique and never NULL.");
        let _ = writeln!(text, "key = {}", list(key));
    }
    if !table.ignore.is_empty() {
        for (column, why) in &table.ignore {
            comment(&mut text, "", &format!("{column}: {why}"));
        }
        let names: Vec<String> = table.ignore.iter().map(|(column, _)| column.clone()).collect();
        let _ = writeln!(text, "ignore = {}", list(&names));
    }
    if !table.columns.is_empty() {
        let _ = writeln!(text, "\n[table.{title}.column]");
        for (source, target) in &table.columns {
            let target = string(target);
            let _ = writeln!(text, "{} = {{ in.{} = {target} }}", key(source), head.to.name);
        }
    }
    text
}

/// A basic string.
fn string(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| string(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// A key, quoted where it must be.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { string(name) }
}

/// Comment lines of bearable length.
fn comment(text: &mut String, indent: &str, words: &str) {
    const WIDTH: usize = 98;
    let words = words.replace(char::is_control, " ");
    let mut line = format!("{indent}#");
    for word in words.split(' ') {
        let more = line.chars().count() + 1 + word.chars().count();
        if more > WIDTH && line.len() > indent.len() + 1 {
            let _ = writeln!(text, "{line}");
            line = format!("{indent}#");
        }
        let _ = write!(line, " {word}");
    }
    let _ = writeln!(text, "{line}");
}

/// Writes the file whole or not at all; one that is there only if it may be replaced.
pub(super) fn write(path: &Path, text: &str, replace: bool) -> Result<()> {
    let failed = |cause: std::io::Error| {
        Error::new(Kind::Io, format!("cannot write {}", path.display())).caused_by(cause)
    };
    let put = |place: &Path| {
        // Only where nothing is, whatever came since it was looked for.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(place)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.inspect_err(|_| drop(fs::remove_file(place)))
    };
    let outcome = match replace {
        true => {
            let beside = path.with_extension(format!("toml.{}", std::process::id()));
            put(&beside).and_then(|()| fs::rename(&beside, path))
        }
        false => put(path),
    };
    outcome.map_err(failed)
}

/// The written file.
pub(super) struct Written<'a> {
    pub(super) path: &'a Path,
    /// Of source and target.
    pub(super) versions: (String, String),
    pub(super) proposal: &'a Proposal<'a>,
}

impl Written<'_> {
    /// Says what was written and found, and what comes next.
    pub(super) fn tell(&self, ends: &Ends<'_>, findings: &[Finding]) {
        let server = |database: &Database, version: &str| {
            format!(
                "{}: {} at {}, {version}",
                database.name,
                database.dialect,
                database.listens_at()
            )
        };
        let (all, carried) = (self.proposal.tables.len(), self.proposal.carried().count());
        say!("{} is written: {carried} of {all} tables", self.path.display());
        say!("  source  {}", server(ends.source, &self.versions.0));
        say!("  target  {}", server(ends.target, &self.versions.1));
        self.tell_left_out();
        self.tell_rows(ends);
        if !findings.is_empty() {
            say!("\nFound");
        }
        for finding in findings {
            let mark = if finding.fatal { "FAIL" } else { "warn" };
            say!(
                "  {mark}  {}: {}\n        hint: {}",
                finding.subject,
                finding.message,
                finding.advice()
            );
        }
        self.tell_next(ends);
    }

    fn tell_left_out(&self) {
        let tables = self.proposal.tables.iter();
        let mut lines: Vec<String> = tables
            .clone()
            .filter_map(|table| {
                Some(format!("{}: {}", table.source.name, table.excluded.as_ref()?))
            })
            .collect();
        for table in tables.filter(|table| table.excluded.is_none()) {
            let name = &table.source.name;
            lines.extend(
                table.ignore.iter().map(|(column, why)| format!("{name}, column {column}: {why}")),
            );
        }
        if !lines.is_empty() {
            say!("\nLeft out, with the reason in the file");
        }
        lines.iter().for_each(|line| say!("  {}", line.replace(char::is_control, " ")));
    }

    fn tell_rows(&self, ends: &Ends<'_>) {
        let rows = &self.proposal.rows;
        let (source, target) = (&ends.source.name, &ends.target.name);
        let held = rows.target.as_deref().unwrap_or_default();
        if let Some(tables) = rows.source.as_deref().filter(|tables| !tables.is_empty()) {
            let how = match rows.target.as_deref() {
                Some([]) => format!("`weir run` copies them to {target} first"),
                _ => format!("`start` in the file says whether they are copied to {target}"),
            };
            say!("\nRows are there already at {source}; {how}: {}", named(tables));
        }
        if !held.is_empty() {
            say!(
                "\nRows are there already at {target}; write `start` in the file: \"snapshot\" copies those of \
                 {source} over them, \"now\" leaves them as they are: {}",
                named(held)
            );
        }
    }

    fn tell_next(&self, ends: &Ends<'_>) {
        let link = ends.link();
        let missing = self.proposal.carried().filter(|table| table.found.is_none()).count();
        say!("\nNext");
        if missing > 0 {
            say!(
                "  weir ddl {link}      prints the {missing} tables that {} lacks; --apply makes them",
                ends.target.name
            );
        }
        say!("  weir setup {link}    prints grants and what else weir needs; --apply runs it");
        say!("  weir check {link}    says what is still wrong");
        say!("  weir run             copies what is there, then carries what changes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::pattern::matches;

    /// Broken if a name of a database could break out of the file's strings, keys or comments.
    #[test]
    fn hostile_names_stay_within_their_place() {
        let hostile = "a\"b\\c\nd\u{7f}# ü";
        let mut text = String::new();
        comment(&mut text, "", &format!("{hostile} {}", "long ".repeat(40)));
        let _ = writeln!(text, "{} = {}", key(hostile), string(hostile));
        let _ = writeln!(text, "plain = {}", list(&[hostile.to_owned(), "x".to_owned()]));
        let read: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(read[hostile].as_str(), Some(hostile));
        assert_eq!(read["plain"][0].as_str(), Some(hostile));
        assert_eq!(read.len(), 2, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }

    /// Broken if a table whose name holds a dot could not be left out.
    #[test]
    fn every_table_can_be_left_out() {
        let name = TableName::new("public", "a.b.c");
        let pattern = exclusion(&name);
        assert_eq!(pattern.matches('.').count(), 1);
        assert!(matches(&pattern, &name.schema, &name.table));
    }
}
