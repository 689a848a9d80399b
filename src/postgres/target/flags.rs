//! The link's rows of `weir.flagged`: what a slice writes there.

use super::letters::Request;
use super::pipeline::{Check, Parameter};
use super::{PostgresTarget, steps};
use crate::error::{Error, Kind, Result};
use crate::link::flag::kind_name;
use crate::link::ports::{FlagRecord, Slice};
use crate::plan::{LinkPlan, TablePlan};
use crate::position::Position;
use crate::postgres::encode::Single;
use crate::postgres::sql::flags as sql;

impl PostgresTarget {
    /// What a slice records, in order; the closing one also tells the records of earlier slices where it
    /// closes.
    pub(super) async fn flag_requests<'a>(
        &mut self,
        slice: &Slice<'a>,
        plan: &'a LinkPlan,
    ) -> Result<Vec<Request<'a>>> {
        let mut requests = Vec::with_capacity(slice.flags.len());
        for flag in slice.flags {
            requests.push(self.flag_request(plan, flag, slice.close).await?);
        }
        let open = self.open.as_ref().filter(|open| open.unplaced_flags);
        if let (Some(position), Some(_)) = (slice.close, open) {
            let statement = self.statements.fixed(&self.session, sql::PLACE).await?;
            let parameters: Vec<Parameter<'a>> = vec![
                Box::new(self.context.name.clone()),
                Box::new(self.link()),
                Box::new(position.to_string()),
            ];
            let check = Check::Done("place records of weir.flagged");
            requests.push(Request { statement, parameters, check, bytes: 0 });
        }
        Ok(requests)
    }

    async fn flag_request<'a>(
        &mut self,
        plan: &'a LinkPlan,
        flag: &'a FlagRecord,
        close: Option<&Position>,
    ) -> Result<Request<'a>> {
        let table = plan.tables.get(flag.table).map(AsRef::as_ref);
        let table: &'a TablePlan = table.ok_or_else(|| {
            Error::new(Kind::Internal, "a flagged write of a table that is not planned")
        })?;
        let foreign = flag.column.and_then(|at| table.foreign.get(at));
        let held = foreign.filter(|column| !column.sensitive && !flag.key.is_empty());
        let held = held.and_then(|column| column.target);
        let statement = self.statements.of_flag(&self.session, plan, flag.table, held).await?;
        let column = foreign.and_then(|column| table.source.columns.get(column.source));
        let position = flag.position.as_ref().or(close).map(ToString::to_string);
        let places = steps::key(table)?;
        let mut parameters: Vec<Parameter<'a>> = Vec::with_capacity(places.len() + 13);
        for (value, place) in flag.key.iter().zip(places).filter(|_| held.is_some()) {
            parameters.push(Box::new(Single { value, place }));
        }
        parameters.push(Box::new(self.context.name.clone()));
        parameters.push(Box::new(self.link()));
        parameters.push(Box::new(table.source.name.to_string()));
        parameters.push(Box::new(table.target.name.to_string()));
        parameters.push(Box::new(flag.row.as_str()));
        parameters.push(Box::new(kind_name(flag.flag)));
        parameters.push(Box::new(column.map(|column| column.name.as_str())));
        parameters.push(Box::new(table.owner_named(foreign, &plan.link)));
        parameters.push(Box::new(flag.before.as_deref()));
        parameters.push(Box::new(flag.after.as_deref()));
        parameters.push(Box::new(position.unwrap_or_default()));
        parameters.push(Box::new(i64::try_from(flag.ordinal).unwrap_or(i64::MAX)));
        parameters.push(Box::new(flag.committed_us));
        let texts = [flag.before.as_ref(), flag.after.as_ref()].into_iter().flatten();
        let bytes = flag.row.len() + texts.map(String::len).sum::<usize>();
        let check = Check::Done("record a flagged write in weir.flagged");
        Ok(Request { statement, parameters, check, bytes })
    }
}
