//! `weir flagged list`, `show` and `export`.

use std::process::ExitCode;

use super::record::{Fields, key, open, page, values};
use crate::cli::args::{FlaggedExportArgs, FlaggedListArgs, FlaggedShowArgs};
use crate::cli::columns::{columns, cut};
use crate::cli::context::{links, settled};
use crate::cli::dead_letters::{age, excuse};
use crate::cli::output::{has_listener, say};
use crate::cli::{exit, print_json};
use crate::config::pattern::matches;
use crate::config::{Config, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::moment::rfc3339;
use crate::link::ports::StoredFlag;
use crate::link::status::now_us;

/// Cells of a line.
const CELLS: usize = 10;
const HEADS: [&str; CELLS] =
    ["ID", "LINK", "TABLE", "ROW", "KIND", "COLUMN", "BEFORE", "WRITTEN", "OWNER HAS", "AGE"];
/// Characters of one cell at most.
const CELL_CHARS_MAX: usize = 32;

/// Runs `list`. Exit code 1 where the records of a link cannot be read; all others are listed.
pub(super) async fn run(config: Config, args: &FlaggedListArgs) -> Result<ExitCode> {
    let links = links(&config, &args.links)?;
    let config = settled(config, &links).await;
    let (mut code, mut documents, mut lines) = (exit::GOOD, Vec::new(), Vec::new());
    let (mut counts, now) = (Vec::new(), now_us());
    for link in &links {
        let (listed, met) = match look(&config, link, args).await {
            Ok(found) => found,
            Err(error) => {
                excuse(link, &error);
                documents.push(serde_json::json!({
                    "link": link.to_string(), "error": error.chain(),
                }));
                code = exit::FAILED;
                continue;
            }
        };
        lines.extend(listed.iter().map(|flag| cells(link, flag, now)));
        let fields: Vec<_> = listed.iter().map(|flag| Fields::of(link, flag)).collect();
        documents.push(serde_json::json!({
            "link": link.to_string(), "records": met, "listed": fields,
        }));
        counts.push((link, met, met.saturating_sub(listed.len() as u64)));
    }
    if args.json {
        print_json(&serde_json::json!({ "links": documents }))?;
        return Ok(ExitCode::from(code));
    }
    columns(HEADS, lines).iter().for_each(|line| say!("{line}"));
    for (link, met, more) in counts {
        match (met, more) {
            (0, _) => say!("{link}: none"),
            (met, 0) => say!("{link}: {met}"),
            (met, more) => say!("{link}: {met}, of which {more} are not shown: --limit"),
        }
    }
    Ok(ExitCode::from(code))
}

/// Runs `show`.
pub(super) async fn show(config: Config, args: &FlaggedShowArgs) -> Result<ExitCode> {
    let links = links(&config, std::slice::from_ref(&args.link))?;
    let config = settled(config, &links).await;
    let mut flags = open(&config, &args.link).await?;
    let found = match args.id.checked_sub(1) {
        Some(before) => flags.list(before, 1, false).await?,
        None => Vec::new(),
    };
    let Some(flag) = found.into_iter().find(|flag| flag.id == args.id) else {
        let context = format!("{} has no record {}", args.link, args.id);
        return Err(Error::new(Kind::Configuration, context)
            .hint("`weir flagged list --all` has the numbers of all records"));
    };
    if args.json {
        let fields = serde_json::to_value(Fields::of(&args.link, &flag));
        let failed = |cause| Error::new(Kind::Internal, "cannot print a record").caused_by(cause);
        print_json(&fields.map_err(failed)?)?;
        return Ok(ExitCode::from(exit::GOOD));
    }
    let (before, after) = values(&flag);
    let column = flag.column.as_deref().unwrap_or("the row");
    say!(
        "record {} of {}: {} wrote {column}, which {} owns",
        flag.id,
        args.link,
        args.link.source,
        flag.owner
    );
    say!("  kind      {}", flag.kind);
    say!("  table     {} (at {}: {})", flag.source_table, args.link.target, flag.table);
    say!("  row       {}", key(&flag.row));
    say!("  before    {before}");
    say!("  written   {after}");
    say!("  {} had    {}", args.link.target, flag.held.as_deref().unwrap_or("-"));
    say!("  position  {}, change {} of its transaction", flag.position, flag.ordinal);
    say!("  committed {}", flag.committed_us.map_or("?".to_owned(), rfc3339));
    say!("  recorded  {}, {} ago", rfc3339(flag.made_us), age(flag.made_us, now_us()));
    let by = flag.decided_by.as_deref().map_or(String::new(), |by| format!(" by {by}"));
    let at = flag.decided_us.map_or(String::new(), |at| format!(", {}", rfc3339(at)));
    say!("  state     {}{by}{at}", flag.state);
    if let Some(note) = &flag.note {
        say!("  note      {note}");
    }
    Ok(ExitCode::from(exit::GOOD))
}

/// Runs `export`. Exit code 1 where the records of a link cannot be read; all others are written.
pub(super) async fn export(config: Config, args: &FlaggedExportArgs) -> Result<ExitCode> {
    let links = links(&config, &args.links)?;
    let config = settled(config, &links).await;
    let mut code = exit::GOOD;
    for link in &links {
        if let Err(error) = write(&config, link).await {
            excuse(link, &error);
            code = exit::FAILED;
        }
    }
    Ok(ExitCode::from(code))
}

async fn write(config: &Config, link: &LinkName) -> Result<()> {
    let (mut flags, mut after) = (open(config, link).await?, 0);
    let failed = |cause| Error::new(Kind::Internal, "cannot print a record").caused_by(cause);
    loop {
        let records = page(flags.as_mut(), after, false).await?;
        let Some(last) = records.last() else { return Ok(()) };
        after = last.id;
        for flag in &records {
            say!("{}", serde_json::to_string(&Fields::of(link, flag)).map_err(failed)?);
        }
        if !has_listener() {
            return Ok(());
        }
    }
}

/// The first records that are meant, and how many are.
async fn look(
    config: &Config,
    link: &LinkName,
    args: &FlaggedListArgs,
) -> Result<(Vec<StoredFlag>, u64)> {
    let (mut flags, mut after) = (open(config, link).await?, 0);
    let (mut listed, mut met) = (Vec::new(), 0);
    loop {
        let records = page(flags.as_mut(), after, !args.all).await?;
        let Some(last) = records.last() else { return Ok((listed, met)) };
        after = last.id;
        for flag in records.into_iter().filter(|flag| meets(args, flag)) {
            met += 1;
            if met <= u64::from(args.limit) {
                listed.push(flag);
            }
        }
    }
}

fn meets(args: &FlaggedListArgs, flag: &StoredFlag) -> bool {
    let of_table = |pattern: &String| {
        [&flag.source_table, &flag.table].into_iter().any(|table| {
            table.split_once('.').is_some_and(|(schema, table)| matches(pattern, schema, table))
        })
    };
    args.table.as_ref().is_none_or(of_table)
        && args.kind.as_ref().is_none_or(|kind| *kind == flag.kind)
}

fn cells(link: &LinkName, flag: &StoredFlag, now_us: i64) -> [String; CELLS] {
    let (before, after) = values(flag);
    let state = if flag.state == "open" { String::new() } else { format!(" ({})", flag.state) };
    let cells = [
        flag.id.to_string(),
        link.to_string(),
        flag.source_table.clone(),
        key(&flag.row),
        format!("{}{state}", flag.kind),
        flag.column.clone().unwrap_or_default(),
        before,
        after,
        flag.held.clone().unwrap_or_default(),
        age(flag.made_us, now_us),
    ];
    cells.map(|cell| cut(&cell, CELL_CHARS_MAX))
}
