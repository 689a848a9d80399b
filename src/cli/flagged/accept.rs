//! `weir flagged accept`: the owner takes over what another database wrote.
//!
//! The value is read where it was written and must still be that of the record, and lead back to the owner; there it is
//! written as an application would, together with the decision and only while the owner still holds what it held. So
//! the link that leads from the owner brings it to all others. A record for which any of that is not so stays open.

use std::process::ExitCode;
use std::sync::Arc;

use super::decide::{chosen, decision, plan_back, tell};
use super::record::open;
use crate::cli::args::FlaggedDecideArgs;
use crate::cli::context::{Catalogs, Ends, links, settled};
use crate::cli::exit;
use crate::cli::output::complain;
use crate::config::{Config, LinkName};
use crate::error::Result;
use crate::link::flag::ACCEPTED;
use crate::link::ports::{Adopt, Adopted, Decision, Flags, StoredFlag};
use crate::model::{Row, Value};
use crate::plan::prepare::adopt::{Adoption, adoption};
use crate::plan::{LinkPlan, key_of_source, mirror, parse_key, recorded_value};

/// Runs the verb. Exit code 1 where a record stays open.
pub(super) async fn run(config: Config, args: &FlaggedDecideArgs) -> Result<ExitCode> {
    let back = LinkName { source: args.link.target.clone(), target: args.link.source.clone() };
    let both = links(&config, &[args.link.clone(), back.clone()])?;
    let config = settled(config, &both).await;
    let mut flags = open(&config, &args.link).await?;
    let records = chosen(flags.as_mut(), args).await?;
    let ends = Ends::of(&config, &back, &config.name)?;
    let catalogs = ends.catalogs().await?;
    let plan = plan_back(&ends, &catalogs)?;
    let accepting = Accepting { ends, catalogs, plan, decision: decision(ACCEPTED, args) };
    let (mut accepted, mut refused) = (0, false);
    for flag in &records {
        match accepting.accept(flags.as_mut(), flag).await? {
            Ok(()) => accepted += 1,
            Err(why) => {
                complain!("weir: record {} stays open: {why}", flag.id);
                refused = true;
            }
        }
    }
    let code = tell(args, ACCEPTED, accepted)?;
    Ok(if refused { ExitCode::from(exit::FAILED) } else { code })
}

/// What all records of a call have together. The link leads from the owner to the database that wrote.
struct Accepting<'a> {
    ends: Ends<'a>,
    catalogs: Catalogs,
    plan: LinkPlan,
    decision: Decision,
}

impl Accepting<'_> {
    /// Has the owner take over the value of a record; within, why it is not done.
    async fn accept(
        &self,
        flags: &mut dyn Flags,
        flag: &StoredFlag,
    ) -> Result<std::result::Result<(), String>> {
        let (adoption, key) = match self.way(flag) {
            Ok(way) => way,
            Err(why) => return Ok(Err(why)),
        };
        let database = &self.ends.target.name;
        let written = match self.read(&adoption, &key).await? {
            Some(value) => value,
            None => return Ok(Err(format!("{database} has no such row any more"))),
        };
        if recorded_value(&written, false, "") != flag.after {
            return Ok(Err(format!("{database} holds another value now")));
        }
        let value = match adoption.value(&written) {
            Ok(value) => value,
            Err(why) => return Ok(Err(why)),
        };
        let row: Row = key.iter().cloned().chain([value]).collect();
        let adopt = Adopt {
            id: flag.id,
            table: &adoption.table,
            row: &row,
            held: flag.held.as_deref(),
            decision: &self.decision,
        };
        let owner = &self.ends.source.name;
        Ok(match flags.adopt(&adopt).await? {
            Adopted::Written => Ok(()),
            Adopted::Gone => Err(format!("{owner} has no such row")),
            Adopted::Changed => {
                Err(format!("{owner} holds another value than when it was recorded"))
            }
            Adopted::Decided => Err("something else is decided about it meanwhile".to_owned()),
        })
    }

    /// How the column of a record leads back, and the row's key at the owner.
    fn way(&self, flag: &StoredFlag) -> std::result::Result<(Adoption, Row), String> {
        let Some(column) = &flag.column else {
            return Err(format!(
                "it is about a row ({}): make that at {} by hand, then dismiss it",
                flag.kind, flag.owner
            ));
        };
        if flag.owner != self.ends.source.name {
            return Err(format!("the owner is {}", flag.owner));
        }
        let names = [flag.table.as_str(), &flag.source_table, column];
        let (config, lists) = (self.ends.config, &self.catalogs.into.lists);
        let adoption = adoption((config, &self.plan), &self.catalogs.source, lists, names)?;
        let key = parse_key(&flag.row).map_err(|error| error.chain())?;
        Ok((adoption, key))
    }

    /// The value as the database that wrote has it now.
    async fn read(&self, adoption: &Adoption, key: &Row) -> Result<Option<Value>> {
        let table =
            self.plan.tables.iter().find(|table| table.target.name == adoption.read.source.name);
        let Some(table) = table else { return Ok(None) };
        let there = key_of_source(table, key)?;
        let (room, plan) = (self.ends.target_room(), Arc::new(mirror(&self.plan)));
        let mut scan = room.open_scan(&self.ends.context, self.ends.target, plan).await?;
        scan.forgo_marks();
        let scanned = scan.read_rows(&adoption.read, std::slice::from_ref(&there)).await?;
        let row = scanned.rows.into_iter().next().flatten();
        Ok(row.and_then(|row| adoption.held(&row).cloned()))
    }
}
