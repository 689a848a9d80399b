//! `weir init`: writes a configuration from two live databases, with what was found wrong in them.
//!
//! Both databases are only read. What can cross is proposed; what cannot is left out by name, with the
//! reason beside it in the file and at the end of the output. The planner has the last word: what it
//! would refuse is not proposed. Of several hosts one is looked at, all are written. Nothing is written unless everything could be looked at, and no file
//! is ever replaced unasked. A password stands neither in the url nor in the file.

mod file;
mod judge;
mod propose;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::args::{Global, InitArgs, InitEnd};
use crate::cli::check;
use crate::cli::context::{Catalogs, Ends};
use crate::cli::exit;
use crate::cli::lists::LookedInto;
use crate::config::{self, Config, Database, Dialect, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::hosts;
use crate::link::ports::{End, Finding, Room};
use crate::model::TableName;
use crate::plan::Selection;
use crate::plan::select::default_place;
use crate::rooms::room;
use file::{Head, Written};
use propose::{Proposal, Rows};

/// Longest name of a database.
const NAME_CHARS_MAX: usize = 16;

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &InitArgs) -> Result<ExitCode> {
    let named = args.output.as_deref().or(global.config.as_deref());
    let named = named.unwrap_or(Path::new("weir.toml"));
    let output = std::path::absolute(named).unwrap_or_else(|_| named.to_owned());
    refuse_to_replace(&output, args.force)?;
    let head = head(args, &output);
    let link = LinkName { source: head.from.name.clone(), target: head.to.name.clone() };
    let draft = at_one_host(parse(&file::render(&head, None), &output)?, &link).await?;
    let ends = Ends::of(&draft, &link, &draft.name)?;
    let versions = (
        version(ends.source_room(), ends.source).await?,
        version(ends.target_room(), ends.target).await?,
    );
    let catalogs = read(&ends, &args.tables).await?;
    let mut proposal = propose::propose(&ends, &catalogs, &args.tables);
    let config = parse(&file::render(&head, Some(&proposal)), &output)?;
    judge::exclude(&config, &link, &catalogs, &mut proposal);
    proposal.rows = rows(&ends, &proposal).await;
    let text = file::render(&head, Some(&proposal));
    let config = Config { databases: draft.databases.clone(), ..parse(&text, &output)? };
    let findings = findings(&config, &link, &catalogs).await?;
    file::write(&output, &text, args.force)?;
    let written = Written { path: named, versions, proposal: &proposal };
    written.tell(&ends, &findings);
    Ok(ExitCode::from(exit::GOOD))
}

/// The draft with each database at the one host that all of it is asked of.
async fn at_one_host(mut draft: Config, link: &LinkName) -> Result<Config> {
    for database in draft.databases.values_mut() {
        let end = if database.name == link.target { End::Target } else { End::Source };
        *database = hosts::choose(room(database.dialect), database, end).await?.used;
    }
    Ok(draft)
}

/// The version of a server; where it does not let weir in, how an administrator does.
async fn version(room: &dyn Room, database: &Database) -> Result<String> {
    match room.version(database).await {
        Err(error) if error.kind() == Kind::Privilege => {
            let account = room.account(database).await?;
            let grants = room.setup_entry(database, &account, &[]).join("; ");
            Err(error.hint(format!("have an administrator run: {grants}")))
        }
        looked => looked,
    }
}

fn refuse_to_replace(path: &Path, force: bool) -> Result<()> {
    if force || path.symlink_metadata().is_err() {
        return Ok(());
    }
    let context = format!("{} exists already", path.display());
    Err(Error::new(Kind::Configuration, context)
        .hint("name another file with --output, or replace it with --force"))
}

/// What is known before anything is looked at.
fn head(args: &InitArgs, output: &Path) -> Head {
    let from = end(&args.source(), "source");
    let mut to = end(&args.target(), "target");
    if to.name == from.name {
        let kept: String = to.name.chars().take(NAME_CHARS_MAX - 3).collect();
        to.name = format!("{kept}_to");
    }
    // Beside a file in /etc, weir's state has no place.
    let state_dir = match output.starts_with("/etc") {
        true => "/var/lib/weir",
        false => "weir-state",
    };
    Head { name: args.name.clone(), state_dir: state_dir.to_owned(), from, to }
}

fn end(end: &InitEnd<'_>, fallback: &str) -> file::End {
    let name = match end.name {
        Some(name) => name.clone(),
        None => database_name(end.url, fallback),
    };
    let absolute = |path: &PathBuf| {
        std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string()
    };
    let variable = format!("{}_PASSWORD", name.to_uppercase());
    let password = match (end.env, end.file, end.command) {
        (Some(env), ..) => Some(file::Password::Env(env.clone())),
        (_, Some(path), _) => Some(file::Password::File(absolute(path))),
        (.., Some(command)) => {
            Some(file::Password::Command(command.split_whitespace().map(str::to_owned).collect()))
        }
        _ => std::env::var_os(&variable)
            .filter(|value| !value.is_empty())
            .map(|_| file::Password::Env(variable)),
    };
    let tls_ca = end.tls_ca.map(absolute);
    file::End { name, url: end.url.clone(), password, tls_ca }
}

/// The name of a database from its url: a-z, 0-9 and _, a letter first.
fn database_name(url: &str, fallback: &str) -> String {
    let path = url.split('?').next().unwrap_or_default();
    let database = path.rsplit_once('/').map_or("", |(_, database)| database).to_lowercase();
    let fitting = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '_' };
    let name: String = database.chars().map(fitting).take(NAME_CHARS_MAX).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase()).trim_end_matches('_');
    if name.is_empty() { fallback.to_owned() } else { name.to_owned() }
}

fn parse(text: &str, output: &Path) -> Result<Config> {
    let directory = output.parent().unwrap_or(Path::new("/"));
    config::parse(&[("what init writes", text)], directory).map_err(Error::from)
}

/// Both catalogs: of the source what is asked for, of the target what could be the same tables.
async fn read(ends: &Ends<'_>, patterns: &[String]) -> Result<Catalogs> {
    let all = |database: &Database| match database.dialect {
        Dialect::Postgres => "*.*".to_owned(),
        Dialect::Mysql | Dialect::Mariadb => format!("{}.*", database.database),
    };
    let include = if patterns.is_empty() { vec![all(ends.source)] } else { patterns.to_vec() };
    let wanted = Selection { include, exclude: Vec::new() };
    all_are_seen(ends.source_room(), ends.source, &wanted).await?;
    let source = ends.source_room().catalog(ends.source, ends.source.dialect, &wanted).await?;
    if source.is_empty() {
        let context =
            format!("no table of {} matches {}", ends.link().source, wanted.include.join(", "));
        return Err(Error::new(Kind::Mapping, context).hint("correct the url or --tables"));
    }
    let mut include = vec![all(ends.target)];
    // Tables go to where they are at the source, but those of its usual place to the target's.
    let names = source.iter().map(|table| table.name.schema.as_str());
    let kept = names.filter(|schema| *schema != default_place(ends.source));
    include.extend(kept.map(|schema| format!("{schema}.*")));
    include.sort_unstable();
    include.dedup();
    let place = Selection { include, exclude: Vec::new() };
    all_are_seen(ends.target_room(), ends.target, &place).await?;
    let target = ends.target_room().catalog(ends.target, ends.target.dialect, &place).await?;
    Ok(Catalogs { source, target, into: LookedInto::default() })
}

/// MySQL and MariaDB hide tables from users without rights on them: what is hidden would be left out
/// unsaid, or made again.
async fn all_are_seen(room: &dyn Room, database: &Database, wanted: &Selection) -> Result<()> {
    let schemas = wanted.schemas();
    let hidden = room.hidden(database, &schemas).await?;
    if hidden.is_empty() {
        return Ok(());
    }
    let context = format!(
        "user {} does not see which tables there are in {} of {}",
        database.user,
        hidden.join(", "),
        database.name
    );
    let account = room.account(database).await?;
    let grants = room.setup_entry(database, &account, &hidden).join("; ");
    let hint = format!("correct the url or --tables, or have an administrator run: {grants}");
    Err(Error::new(Kind::Privilege, context).hint(hint))
}

/// Which tables hold rows; what weir may not read yet is not known.
async fn rows(ends: &Ends<'_>, proposal: &Proposal<'_>) -> Rows {
    let names = |pick: &dyn Fn(&propose::Proposed<'_>) -> Option<TableName>| -> Vec<TableName> {
        proposal.carried().filter_map(pick).collect()
    };
    let sources = names(&|table| Some(table.source.name.clone()));
    let targets = names(&|table| table.found.map(|_| table.target.clone()));
    let (source, target) = (ends.source_room(), ends.target_room());
    Rows {
        source: source.non_empty(ends.source, &sources).await.ok(),
        target: target.non_empty(ends.target, &targets).await.ok(),
    }
}

/// What the planner and the servers' preflights say of what is about to be written. What `weir ddl`
/// and `weir setup` make is not worth a word yet.
async fn findings(config: &Config, link: &LinkName, catalogs: &Catalogs) -> Result<Vec<Finding>> {
    let ends = Ends::of(config, link, &config.name)?;
    let mut findings = Vec::new();
    let plan = match ends.plan(catalogs) {
        Ok(plan) => plan,
        Err(refusals) => {
            findings.extend(refusals);
            ends.no_tables()
        }
    };
    findings.extend(check::preflight(&ends, &plan, true).await);
    let later = ["weir setup", "weir ddl"];
    let granted = |mend: &String| mend.starts_with("GRANT ") || mend.ends_with(" REPLICATION");
    findings.retain(|finding| {
        !later.iter().any(|verb| finding.hint.contains(verb)) && !finding.mend.iter().any(granted)
    });
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a database got a name that the configuration refuses.
    #[test]
    fn databases_are_named_after_themselves() {
        for (url, expected) in [
            ("mysql://u@h/shop", "shop"),
            ("postgres://u@h:1/My-Shop.2?sslmode=off", "my_shop_2"),
            ("mysql://u@h/9lives", "lives"),
            ("mysql://u@h/%C3%A4", "c3_a4"),
            ("mysql://u@h/", "source"),
            ("nonsense", "source"),
            ("mysql://u@h/a_very_long_database_name", "a_very_long_data"),
        ] {
            assert_eq!(database_name(url, "source"), expected, "{url}");
        }
    }
}
