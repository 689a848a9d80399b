//! What readers bring back: taken up where it is still wanted, and what comes of a read that failed.

use std::time::Duration;

use tokio::time::Instant;

use super::flight::Leg;
use super::table::Table;
use super::{Copying, ties};
use crate::error::{Disposition, Error, Kind, Result};
use crate::link::copyist::{Brought, Return};
use crate::snapshot::progress::Stage;

/// Longest time from a read until the stream has come up to it.
const WAIT_MAX: Duration = Duration::from_secs(60);

impl Copying {
    /// Takes what readers have brought meanwhile.
    pub(in crate::link) fn take_all_back(&mut self) -> Result<()> {
        while let Ok(back) = self.returns.try_recv() {
            self.take_back(back)?;
        }
        Ok(())
    }

    pub(super) fn take_back(&mut self, back: Return) -> Result<()> {
        if let Some(reader) = self.readers.get_mut(back.reader) {
            reader.busy = false;
        }
        match back.brought {
            Ok(Brought::Division(division)) => {
                let Some(index) = self.sent(back.id) else { return Ok(()) };
                let ties = self.plan.tables.get(index).map(|plan| ties(&self.plan, plan));
                let Some(table) = self.tables.get_mut(&index) else { return Ok(()) };
                match table.progress.stage {
                    Stage::Checking => table.target_divided(division),
                    _ => table.divided(division, ties.is_some_and(|ties| !ties.is_empty())),
                }
                table.trouble = None;
                table.failures = 0;
                self.unkept.insert(index);
            }
            Ok(Brought::Piece(piece)) => {
                let Some(at) = self.flights.iter().position(|one| one.id == back.id) else {
                    return Ok(());
                };
                let Some(piece) = piece else {
                    let table = self.flights.get(at).map(|one| one.table);
                    table.into_iter().for_each(|table| self.begin_anew(table));
                    return Ok(());
                };
                if let Some(flight) = self.flights.get_mut(at) {
                    let give_up_at = Instant::now() + WAIT_MAX;
                    let (piece, took) = (Box::new(piece), back.took);
                    flight.leg = Leg::Back { piece, took, give_up_at };
                }
            }
            Ok(Brought::Checked(checked)) => {
                let Some(index) = self.sent(back.id) else { return Ok(()) };
                let owns_rows = self.plan.tables.get(index).is_none_or(|table| table.owns_rows);
                let Some(table) = self.tables.get_mut(&index) else { return Ok(()) };
                match checked {
                    Some(checked) => table.checked(checked, back.took),
                    None => table.close(owns_rows),
                }
                table.errand = None;
                self.unkept.insert(index);
            }
            Err(error) => return self.fail(back.id, error),
        }
        Ok(())
    }

    /// The table that an errand is for which is no piece of it; `None` where it is wanted no more.
    fn sent(&self, id: u64) -> Option<usize> {
        let sent = |(_, table): &(usize, &Table)| table.errand == Some(id);
        self.open().find(sent).map(|(index, _)| index)
    }

    /// The table's rows were moved, or its index is gone: what is written stays, and is written again.
    pub(super) fn begin_anew(&mut self, index: usize) {
        self.flights.retain(|flight| flight.table != index);
        if let (Some(table), Some(plan)) =
            (self.tables.get_mut(&index), self.plan.tables.get(index))
        {
            let name = &plan.source.name;
            tracing::warn!(table = %name, "the table was rewritten while it was copied; it is copied anew");
            table.anew();
            self.unkept.insert(index);
        }
    }

    /// A read failed. What may pass is tried again, later and later, and with fewer rows where it took too
    /// long; a condition that the source refuses
    /// ends its copy; all else ends the attempt.
    fn fail(&mut self, id: u64, error: Error) -> Result<()> {
        let flight = self.flights.iter().position(|flight| flight.id == id);
        // What nobody wants any more fails nobody.
        let index = match flight {
            Some(at) => {
                let table = self.flights.get(at).map(|flight| flight.table);
                self.give_up(at);
                table
            }
            None => self.sent(id),
        };
        let Some(index) = index else { return Ok(()) };
        let Some(table) = self.tables.get_mut(&index) else { return Ok(()) };
        let name = self.plan.tables.get(index).map(|plan| plan.source.name.to_string());
        let name = name.unwrap_or_default();
        table.errand = None;
        if error.kind() == Kind::Timeout {
            table.pace.too_long();
        }
        if error.disposition() == Disposition::Retry {
            table.put_off(error.chain());
            let hint = error.operator_hint();
            tracing::warn!(table = name, error = error.chain(), hint, "a copy waits");
            return Ok(());
        }
        let refused = matches!(error.kind(), Kind::Configuration | Kind::Mapping | Kind::Value);
        if refused && table.progress.scope.condition.is_some() {
            tracing::error!(table = name, error = error.chain(), "a copy is cancelled");
            table.cancel(Some(error.chain()));
            self.unkept.insert(index);
            return Ok(());
        }
        Err(error.within(format!("copy {name}")))
    }
}
