//! `weir snapshot`: copies tables of a link once more, or a part of one, and has copies wait, go on or end.
//!
//! What is asked is written into `weir.snapshot` of the target, where the link finds it by itself; so this
//! works with weir running or stopped, and it is said which. How far a copy is stands there too.

mod bars;
mod choose;
mod judge;
mod watch;

use std::process::ExitCode;

use self::choose::{Chosen, chosen};
use self::judge::{Asks, Standing, judge};
use self::watch::Watch;
use crate::cli::args::{Global, SnapshotArgs};
use crate::cli::context::{Ends, links, load, refused, settled};
use crate::cli::copies::CopyLine;
use crate::cli::output::say;
use crate::cli::status::look;
use crate::cli::{exit, print_json};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::link::ports::{Copies, StoredCopy};
use crate::plan::LinkPlan;
use crate::snapshot::order::{Order, Scope, What};

/// How many tables a message names.
const NAMES_MAX: usize = 5;

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &SnapshotArgs) -> Result<ExitCode> {
    let config = load(global)?;
    let names = links(&config, std::slice::from_ref(&args.link))?;
    let config = settled(config, &names).await;
    let ends = Ends::of(&config, &args.link, &config.name)?;
    let catalogs = ends.catalogs().await?;
    let plan = ends.plan(&catalogs).map_err(|findings| refused(&args.link, &findings))?;
    let tables = chosen(&plan, args)?;
    let mut copies = open(&ends).await?;
    let stored = copies.list().await?;
    if args.status {
        return status(&config, &ends, copies, &stored, tables, args).await;
    }
    let asks = asks(args)?;
    if let Asks::Copy(scope) = &asks {
        check_scope(&ends, &plan, scope, &tables).await?;
    }
    let tables = admitted(&asks, tables, &stored, args)?;
    let asked = ask(copies.as_mut(), &asks, tables).await?;
    let taken = taken_up(&config, args).await?;
    if args.wait {
        if !args.json {
            say!("{}: asked for {} of {}; {taken}", args.link, asks.name(), counted(&asked));
        }
        return Watch::new(&config, &ends, copies, asked, args.json).run().await;
    }
    tell(args, &asks, &asked, &taken)?;
    Ok(ExitCode::from(exit::GOOD))
}

async fn open(ends: &Ends<'_>) -> Result<Box<dyn Copies>> {
    let opened = ends.target_room().open_copies(&ends.context, ends.target).await;
    opened.map_err(|error| error.within(format!("the copies of {}", ends.link())))
}

/// What the flags say.
fn asks(args: &SnapshotArgs) -> Result<Asks> {
    Ok(match (args.pause, args.resume, args.cancel) {
        (true, _, _) => Asks::Pause,
        (_, true, _) => Asks::Resume,
        (_, _, true) => Asks::Cancel,
        (false, false, false) => {
            if args.tables.is_empty() && !args.all {
                let context = "it is not said which tables to copy";
                return Err(Error::new(Kind::Configuration, context)
                    .hint(format!("name tables, or write `weir snapshot {} --all`", args.link)));
            }
            let (condition, delete_extra) = (args.condition.clone(), args.delete_extra);
            Asks::Copy(Scope { condition, delete_extra })
        }
    })
}

/// What keeps tables from being copied before anything is asked.
async fn check_scope(
    ends: &Ends<'_>,
    plan: &LinkPlan,
    scope: &Scope,
    tables: &[Chosen],
) -> Result<()> {
    let link = ends.link();
    if ends.witness().await?.is_none() {
        let context = format!("the link {link} has not begun");
        let hint = "start `weir run`; with start = \"snapshot\" it copies its tables first";
        return Err(Error::new(Kind::Configuration, context).hint(hint));
    }
    let Some(condition) = &scope.condition else { return Ok(()) };
    let [one] = tables else {
        let context = format!("--where is for one table, and these are {}", tables.len());
        return Err(Error::new(Kind::Configuration, context)
            .hint("name one table, without `*`, and copy the others by calls of their own"));
    };
    let table = plan.tables.iter().find(|table| table.source.name.to_string() == one.source);
    let Some(table) = table else {
        let context = format!("table {} is not in its plan", one.source);
        return Err(Error::new(Kind::Internal, context));
    };
    ends.source_room().check_condition(ends.source, &table.source.name, condition).await
}

/// The tables of which it can be asked.
///
/// # Errors
/// `Configuration` where it cannot of one that is named or to be copied, or of none.
fn admitted(
    asks: &Asks,
    tables: Vec<Chosen>,
    stored: &[StoredCopy],
    args: &SnapshotArgs,
) -> Result<Vec<Chosen>> {
    let strict = matches!(asks, Asks::Copy(_));
    let (mut good, mut refused, mut first) = (Vec::new(), Vec::new(), None);
    for table in tables {
        let standing = Standing::of(stored, &table.target)?;
        match judge(asks, &standing) {
            Ok(()) => good.push(table),
            Err(why) => {
                if strict || table.named {
                    refused.push(format!("{} {}", table.source, why.message));
                }
                first.get_or_insert((table.source, why));
            }
        }
    }
    let hint = |table: &str, why: &judge::Refusal| {
        why.hint.replace("LINK", &args.link.to_string()).replace("TABLE", table)
    };
    match (refused.is_empty(), good.is_empty(), first) {
        (false, _, Some((table, why))) => {
            let more = refused.len().saturating_sub(NAMES_MAX);
            let mut text = refused.into_iter().take(NAMES_MAX).collect::<Vec<_>>().join("; ");
            if more > 0 {
                text.push_str(&format!("; and {more} more"));
            }
            Err(Error::new(Kind::Configuration, text).hint(hint(&table, &why)))
        }
        (true, true, Some((table, why))) => {
            let context = format!("there is nothing to {} of {}", asks.verb(), args.link);
            Err(Error::new(Kind::Configuration, context).hint(hint(&table, &why)))
        }
        _ => Ok(good),
    }
}

/// Writes the orders.
async fn ask(
    copies: &mut dyn Copies,
    asks: &Asks,
    tables: Vec<Chosen>,
) -> Result<Vec<watch::Table>> {
    let mut asked = Vec::with_capacity(tables.len());
    for Chosen { source, target, .. } in tables {
        let id = format!("{:016x}", fastrand::u64(..));
        let what = match asks {
            Asks::Copy(scope) => What::Copy(scope.clone()),
            Asks::Pause => What::Pause,
            Asks::Resume => What::Resume,
            Asks::Cancel => What::Cancel,
        };
        copies.ask(&target, &Order { id: id.clone(), what }.to_text()?).await?;
        asked.push(watch::Table { source, target, order: Some(id) });
    }
    Ok(asked)
}

/// Who takes it up, and when.
async fn taken_up(config: &Config, args: &SnapshotArgs) -> Result<String> {
    let (running, lines) = look(config).await?;
    let line = lines.iter().find(|line| line.link == args.link.to_string());
    Ok(match line {
        _ if !running => "weir is not running: its next start takes it up".to_owned(),
        None => "it is no link of the running weir: `weir reload`".to_owned(),
        Some(line) if line.is_standing() => {
            format!("the link is {} and takes it up when it goes on", line.state)
        }
        Some(_) => "the running link takes it up within seconds".to_owned(),
    })
}

fn counted(tables: &[watch::Table]) -> String {
    match tables {
        [one] => one.source.clone(),
        all => format!("{} tables", all.len()),
    }
}

fn tell(args: &SnapshotArgs, asks: &Asks, asked: &[watch::Table], taken: &str) -> Result<()> {
    let link = &args.link;
    if args.json {
        let tables: Vec<&str> = asked.iter().map(|table| table.source.as_str()).collect();
        return print_json(&serde_json::json!({
            "link": link.to_string(), "asked": asks.name(), "tables": tables, "taken_up": taken,
        }));
    }
    say!("{link}: asked for {} of {}", asks.name(), counted(asked));
    say!("  {taken}");
    say!("  `weir snapshot {link} --status --wait` shows how far it is");
    Ok(())
}

/// Shows how far copies are, once or until they are over.
async fn status(
    config: &Config,
    ends: &Ends<'_>,
    copies: Box<dyn Copies>,
    stored: &[StoredCopy],
    tables: Vec<Chosen>,
    args: &SnapshotArgs,
) -> Result<ExitCode> {
    let known = |table: &Chosen| stored.iter().any(|copy| copy.table == table.target);
    let tables: Vec<_> = tables
        .into_iter()
        .filter(known)
        .map(|Chosen { source, target, .. }| watch::Table { source, target, order: None })
        .collect();
    let mut watch = Watch::new(config, ends, copies, tables, args.json);
    if args.wait {
        return watch.run().await;
    }
    let lines = watch.look(stored).await?.lines;
    print(args, &lines)?;
    Ok(ExitCode::from(exit::GOOD))
}

fn print(args: &SnapshotArgs, lines: &[CopyLine]) -> Result<()> {
    if args.json {
        let link = args.link.to_string();
        return print_json(&serde_json::json!({ "link": link, "copies": lines }));
    }
    if lines.is_empty() {
        say!("{}: no table was copied, and none is to be", args.link);
    }
    lines.iter().for_each(|line| say!("{line}"));
    Ok(())
}
