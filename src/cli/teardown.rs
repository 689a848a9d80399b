//! `weir teardown`: prints, or runs, the removal of what is a link's own.
//!
//! A weir that runs is never torn down: the state directory is held meanwhile, and the witness must be
//! of the installation that is remembered there, so that one with another state directory, on another
//! machine, is found too. What other links may use stays: the schema `weir` and the grants.

use std::process::ExitCode;

use crate::cli::args::{Global, TeardownArgs};
use crate::cli::context::{Ends, known, links, load, settled};
use crate::cli::output::remark;
use crate::cli::setup::{Mode, print_or_run};
use crate::cli::{exit, report, state};
use crate::config::{Config, LinkName};
use crate::error::{Error, Kind, Result};
use crate::state::Store;

const TEARDOWN: &str = "teardown";

/// Runs the verb. Goes as far as it can: what one side refuses does not keep the other from being
/// undone.
pub(super) async fn run(global: &Global, args: &TeardownArgs) -> Result<ExitCode> {
    let config = load(global)?;
    known(&config, args.on.as_deref())?;
    let names = links(&config, &args.links)?;
    if args.apply && !args.all && args.links.is_empty() {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        return Err(Error::new(Kind::Configuration, "it is not said which link is to be removed")
            .hint(format!("name one ({}), or say --all", names.join(", "))));
    }
    let config = settled(config, &names).await;
    // Held from before the first statement to the end: nothing is removed under a weir that runs.
    let store = if args.apply { state::hold(&config).await? } else { None };
    let mut failures = Vec::new();
    for link in &names {
        failures.extend(undo(&config, link, store.as_ref(), args).await);
    }
    if let Some(store) = store {
        store.close().await;
    }
    if !args.apply {
        let links = match args.links.as_slice() {
            [] => "--all".to_owned(),
            links => links.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        };
        remark!("in the end `weir teardown {links} --apply`: weir itself forgets them too");
    }
    let last = failures.pop();
    failures.iter().for_each(report);
    last.map_or(Ok(ExitCode::from(exit::GOOD)), Err)
}

/// Undoes one link: source, target, and what is remembered of it; returns what went wrong.
async fn undo(
    config: &Config,
    link: &LinkName,
    store: Option<&Store>,
    args: &TeardownArgs,
) -> Vec<Error> {
    let (ends, own) = match owned(config, link, store, args).await {
        Ok(owned) => owned,
        Err(error) => return vec![error],
    };
    let mode = Mode { on: args.on.as_deref(), apply: args.apply };
    let mut failures = Vec::new();
    let room = ends.source_room();
    let statements = room.teardown_source(&ends.context);
    match print_or_run(room, ends.source, TEARDOWN, &statements, mode).await {
        // Somebody reads with the slot, and would be left without a witness.
        Err(error) if error.kind() == Kind::SourceBusy => {
            return vec![error.hint(format!(
                "a weir runs {link}: stop it, then run `weir teardown {link} --apply`"
            ))];
        }
        done => failures.extend(done.err()),
    }
    let room = ends.target_room();
    let statements = room.teardown_target(&ends.context, own.as_deref());
    match print_or_run(room, ends.target, TEARDOWN, &statements, mode).await {
        Err(error) => failures.push(error),
        // A link is forgotten with its witness, and not before.
        Ok(()) if args.on.as_ref().is_none_or(|only| *only == ends.target.name) => {
            if let Some(store) = store {
                failures.extend(store.forget(link).await.err());
            }
        }
        Ok(()) => {}
    }
    failures
}

/// The link's ends, and the installation whose rows are removed: the one that is remembered here.
/// `None`: whoever's they are, which must be asked for.
async fn owned<'a>(
    config: &'a Config,
    link: &LinkName,
    store: Option<&Store>,
    args: &TeardownArgs,
) -> Result<(Ends<'a>, Option<String>)> {
    let ends = Ends::of(config, link, &config.name)?;
    if args.force {
        return Ok((ends, None));
    }
    let own = state::installation(config, link, store)?;
    let refused = |context: String| {
        Error::new(Kind::Witness, context).hint(format!(
            "another weir may run {link}, with another state_dir or on another machine: run \
             `weir teardown` there; or make sure that none does, and say --force"
        ))
    };
    if !args.apply {
        let prints = args.on.as_ref().is_none_or(|only| *only == ends.target.name);
        return match own {
            None if prints => Err(refused(format!(
                "nothing is remembered in {} of who wrote the witness of {link}",
                config.state_dir.display()
            ))),
            own => Ok((ends, own)),
        };
    }
    let witness = ends.witness().await.map_err(|error| {
        let hint = format!("{}; or say --force, if no weir runs {link}", error.operator_hint());
        error.within(format!("whose the witness of {link} is cannot be told")).hint(hint)
    })?;
    match (&witness, &own) {
        (Some(found), Some(own)) if found.installation != *own => Err(refused(format!(
            "the witness of {link} was written by another weir installation ({}, this one is {own})",
            found.installation
        ))),
        (Some(found), None) => Err(refused(format!(
            "the witness of {link} was written by installation {}, and nothing is remembered of \
             it in {}",
            found.installation,
            config.state_dir.display()
        ))),
        // One that appears meanwhile is somebody else's, and stays.
        (Some(_), Some(_)) | (None, _) => Ok((ends, own.or(Some(String::new())))),
    }
}
