//! `weir flagged revert` and `dismiss`: what a person decides about records, with who and why.
//!
//! A revert reads the row at its owner and writes it by the link that leads back, under what changes since: so it
//! never brings back an old value, and never fights with the owner. The row is asked for before the decision is
//! written down; asked for twice, it is written twice, which changes nothing.

use std::collections::BTreeSet;
use std::process::ExitCode;

use super::record::{open, page};
use crate::cli::args::FlaggedDecideArgs;
use crate::cli::context::{Catalogs, Ends, links, settled};
use crate::cli::output::say;
use crate::cli::{exit, print_json};
use crate::config::{Config, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::flag::{DISMISSED, REVERTED};
use crate::link::ports::{Decision, Flags, StoredFlag};
use crate::plan::{LinkPlan, key_of_source, key_text, parse_key};

/// Runs `dismiss`.
pub(super) async fn dismiss(config: Config, args: &FlaggedDecideArgs) -> Result<ExitCode> {
    let links = links(&config, std::slice::from_ref(&args.link))?;
    let config = settled(config, &links).await;
    let mut flags = open(&config, &args.link).await?;
    let ids: Vec<u64> = chosen(flags.as_mut(), args).await?.iter().map(|flag| flag.id).collect();
    let decided = flags.decide(&ids, &decision(DISMISSED, args)).await?;
    tell(args, DISMISSED, decided)
}

/// Runs `revert`.
pub(super) async fn revert(config: Config, args: &FlaggedDecideArgs) -> Result<ExitCode> {
    let back = LinkName { source: args.link.target.clone(), target: args.link.source.clone() };
    let both = links(&config, &[args.link.clone(), back.clone()])?;
    let config = settled(config, &both).await;
    let mut flags = open(&config, &args.link).await?;
    let records = chosen(flags.as_mut(), args).await?;
    let ends = Ends::of(&config, &back, &config.name)?;
    let plan = plan_back(&ends, &ends.catalogs().await?)?;
    let mut rows = BTreeSet::new();
    for flag in &records {
        rows.extend(asked(&plan, flag)?);
    }
    let rows: Vec<(String, String)> = rows.into_iter().collect();
    if !rows.is_empty() {
        open(&config, &back).await?.ask_back(&rows).await?;
    }
    let ids: Vec<u64> = records.iter().map(|flag| flag.id).collect();
    let decided = flags.decide(&ids, &decision(REVERTED, args)).await?;
    if !args.json && decided > 0 {
        say!(
            "the link {back} reads {} and writes what {} has",
            rows_in_words(rows.len()),
            back.source
        );
    }
    tell(args, REVERTED, decided)
}

/// The plan of the link that leads back.
pub(super) fn plan_back(ends: &Ends<'_>, catalogs: &Catalogs) -> Result<LinkPlan> {
    ends.plan(catalogs).map_err(|findings| {
        let first = findings.into_iter().next();
        let context =
            first.map_or_else(String::new, |one| format!("{}: {}", one.subject, one.message));
        Error::new(Kind::Mapping, format!("there is no plan of {}: {context}", ends.link()))
    })
}

fn rows_in_words(rows: usize) -> String {
    if rows == 1 { "the row again".to_owned() } else { format!("{rows} rows again") }
}

/// The rows of the database that wrote which a record is about, as `weir.missed` there names them: its table,
/// and the match key as it holds it.
fn asked(plan: &LinkPlan, flag: &StoredFlag) -> Result<Vec<(String, String)>> {
    if flag.row.is_empty() {
        let context = format!("record {} is about all rows of {}", flag.id, flag.source_table);
        return Err(Error::new(Kind::Configuration, context).hint(format!(
            "copy the table anew: `weir snapshot {} {}`, then dismiss the record",
            plan.link, flag.table
        )));
    }
    let found = plan.tables.iter().find(|table| {
        table.source.name.to_string() == flag.table
            && table.target.name.to_string() == flag.source_table
    });
    let table = found.ok_or_else(|| {
        let context =
            format!("{} does not carry {} back to {}", plan.link, flag.table, flag.source_table);
        Error::new(Kind::Mapping, context)
    })?;
    let new = flag.after.as_ref().filter(|_| flag.kind == "key_change");
    let rows = [Some(&flag.row), new].into_iter().flatten();
    rows.map(|row| {
        let key = key_of_source(table, &parse_key(row)?)?;
        Ok((flag.source_table.clone(), key_text(&key)))
    })
    .collect()
}

/// The open records that are meant.
pub(super) async fn chosen(
    flags: &mut dyn Flags,
    args: &FlaggedDecideArgs,
) -> Result<Vec<StoredFlag>> {
    let (mut chosen, mut after) = (Vec::new(), 0);
    loop {
        let records = page(flags, after, true).await?;
        let Some(last) = records.last() else { break };
        after = last.id;
        chosen.extend(records.into_iter().filter(|flag| args.all || args.ids.contains(&flag.id)));
    }
    let unknown = args.ids.iter().find(|id| !chosen.iter().any(|flag| flag.id == **id));
    match unknown {
        Some(id) => {
            let context = format!("{} has no open record {id}", args.link);
            Err(Error::new(Kind::Configuration, context).hint(
                "`weir flagged list` has the numbers of those about which nothing is decided",
            ))
        }
        None => Ok(chosen),
    }
}

pub(super) fn decision(state: &'static str, args: &FlaggedDecideArgs) -> Decision {
    let who = ["SUDO_USER", "USER", "LOGNAME"];
    let by = who.iter().find_map(|name| std::env::var(name).ok().filter(|who| !who.is_empty()));
    Decision { state, by: by.unwrap_or_else(|| "unknown".to_owned()), note: args.note.clone() }
}

pub(super) fn tell(args: &FlaggedDecideArgs, state: &str, decided: u64) -> Result<ExitCode> {
    if args.json {
        let document = serde_json::json!({ "link": args.link.to_string(), "state": state, "records": decided });
        print_json(&document)?;
    } else {
        let records = if decided == 1 { "1 record" } else { &format!("{decided} records") };
        say!("{}: {records} {state}", args.link);
    }
    Ok(ExitCode::from(exit::GOOD))
}
