//! The link's rows of `weir.flagged`: what a slice writes there.

use mysql_async::Value as Parameter;

use super::super::sql::flags as sql;
use super::writer::{Writer, parameters};
use crate::error::Result;
use crate::link::flag::kind_name;
use crate::link::ports::FlagRecord;
use crate::plan::LinkPlan;
use crate::position::Position;

/// What a statement is for.
const WHAT: &str = "record a flagged write in weir.flagged";

impl Writer {
    /// Records flagged writes of a slice that closes at `close`.
    pub(super) async fn record_flags(
        &mut self,
        (name, plan): (&str, &LinkPlan),
        flags: &[FlagRecord],
        close: Option<&Position>,
    ) -> Result<()> {
        for flag in flags {
            let prepared = self.prepared(flag.table).await?;
            let table = &prepared.plan;
            let foreign = flag.column.and_then(|at| table.foreign.get(at));
            let held = foreign.filter(|column| !column.sensitive && !flag.key.is_empty());
            let held = held.and_then(|column| table.target.columns.get(column.target?));
            let statement = prepared.sql.flag(held)?;
            let forms: Vec<_> =
                table.key.iter().filter_map(|at| prepared.forms.get(*at).copied()).collect();
            let column = foreign.and_then(|column| table.source.columns.get(column.source));
            let position = flag.position.as_ref().or(close).map(ToString::to_string);
            let mut all: Vec<Parameter> = vec![
                name.into(),
                plan.link.to_string().into(),
                table.source.name.to_string().into(),
                table.target.name.to_string().into(),
                flag.row.as_str().into(),
                kind_name(flag.flag).into(),
                column.map(|column| column.name.as_str()).into(),
                table.owner_named(foreign, &plan.link).into(),
                flag.before.as_deref().into(),
                flag.after.as_deref().into(),
            ];
            all.extend(parameters(WHAT, &statement, &forms, &flag.key)?);
            all.extend([
                position.unwrap_or_default().into(),
                flag.ordinal.into(),
                flag.committed_us.into(),
            ]);
            self.execute(WHAT, &statement.text, all).await?;
        }
        Ok(())
    }

    /// Tells the records of earlier slices where their transaction ends.
    pub(super) async fn place_flags(
        &mut self,
        name: &str,
        link: &str,
        position: &Position,
    ) -> Result<()> {
        let all = vec![position.to_string().into(), name.into(), link.into()];
        self.execute(WHAT, sql::PLACE, all).await.map(drop)
    }
}
