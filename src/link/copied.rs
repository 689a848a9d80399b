//! The apply task's part in copies: pieces are written between batches, each in a transaction of its own
//! at the position as it is, with how far its table is then; orders of people are taken up, and a copy
//! that is written to its end is brought to its close.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::OnPoison;
use crate::error::{Error, Kind, Result};
use crate::link::apply::Applier;
use crate::link::copying::{self, Ready, asked};
use crate::link::isolate;
use crate::link::letter::{Letter, LetterWork, Operation, Reason};
use crate::link::poison;
use crate::link::ports::{CopyNote, Load, MissedKey, Slice, Why};
use crate::link::refetched::lay_over;
use crate::link::status::now_us;
use crate::link::steps;
use crate::link::window::{Since, Window};
use crate::model::{Change, Row, Value};
use crate::plan::TablePlan;
use crate::snapshot::order::{Order, What};
use crate::snapshot::progress::{Progress, Stage};

/// The rows of a piece as they are to be written, and what is not.
#[derive(Default)]
struct Sorted {
    rows: Vec<Row>,
    /// Rows whose changes are set aside, or that have no form at the target.
    set_aside: u64,
}

impl Applier {
    /// Takes orders up, writes a piece that may be written, and sends readers out.
    pub(super) async fn copy_between_batches(&mut self) -> Result<()> {
        let waits = self.copying.looks();
        if waits.is_some() {
            self.take_orders().await?;
        }
        self.copying.take_all_back()?;
        let lag = self.report.lag();
        // What comes behind a piece is read while that is written.
        self.send_out(lag)?;
        let ready = self.copying.ready(self.refetch.handed(), &self.seen, lag);
        if let Some(ready) = ready {
            self.write_piece(ready).await?;
        }
        self.close_copies().await?;
        self.keep_copies().await?;
        self.send_out(lag)?;
        self.report.copies(&self.copying);
        // Once they are told of.
        waits.into_iter().for_each(|asked| self.report.took_orders(asked));
        Ok(())
    }

    fn send_out(&mut self, lag: Duration) -> Result<()> {
        let mark = self.refetch.handed().mark();
        self.copying.send_out(&self.seen, mark, lag)
    }

    /// Keeps the progress of tables that got on without a piece.
    async fn keep_copies(&mut self) -> Result<()> {
        let notes = self.copying.unkept()?;
        if notes.is_empty() {
            return Ok(());
        }
        self.write(Slice { copies: &notes, ..Slice::default() }).await?;
        self.report.moved(&self.witness);
        Ok(())
    }

    /// Takes up what people ask of copies; whether anything was.
    pub(super) async fn take_orders(&mut self) -> Result<bool> {
        let mut notes = Vec::new();
        for stored in self.target.orders().await? {
            let Some(text) = stored.asked else { continue };
            let named = |table: &TablePlan| table.target.name.to_string() == stored.table;
            let Some(index) = self.plan.tables.iter().position(|table| named(table)) else {
                continue;
            };
            let order = Order::of_text(&text)?;
            self.take_order(index, &order).await?;
            if let Some(progress) = self.copying.progress(index) {
                let (table, answers) = (stored.table, Some(text));
                notes.push(CopyNote { table, progress: progress.to_text()?, answers });
            }
        }
        if notes.is_empty() {
            return Ok(false);
        }
        self.write(Slice { copies: &notes, ..Slice::default() }).await?;
        self.report.moved(&self.witness);
        Ok(true)
    }

    async fn take_order(&mut self, index: usize, order: &Order) -> Result<()> {
        let table = steps::table(&self.plan, index)?;
        let name = table.source.name.to_string();
        match &order.what {
            What::Copy(scope) => {
                let target = std::slice::from_ref(&table.target.name);
                // Rows that are read again may come into the table before its copy begins.
                let is_quiet = !self.rows.has_table(index) && self.refetch.is_done();
                let fresh = self.copying.holds_nothing(target).await? && is_quiet;
                tracing::info!(link = %self.plan.link, table = name, "a copy is asked for");
                let mut progress = asked(scope.clone(), fresh);
                let knots = copying::knots(&self.plan);
                let knot = knots.into_iter().find(|knot| knot.table == table.source.name);
                if let Some(knot) = knot.filter(|_| fresh) {
                    progress.cancel(knot.why, now_us());
                }
                self.copying.begin(index, progress);
            }
            what => {
                let refused = self.copying.obey(index, what);
                let refused = refused.unwrap_or_default();
                tracing::info!(link = %self.plan.link, table = name, order = ?what, refused, "copy");
            }
        }
        Ok(())
    }

    /// Writes a piece, with what has changed since it was read.
    async fn write_piece(&mut self, mut ready: Ready) -> Result<()> {
        let began = Instant::now();
        let (index, stretch) = (ready.table, ready.stretch);
        let unfit = std::mem::take(&mut ready.piece.unfit);
        let outcomes = std::mem::take(&mut ready.piece.outcomes);
        let mut sorted = self.sort(&mut ready)?;
        for (change, error) in unfit {
            sorted.set_aside += self.set_aside_unfit(&ready.window, &change, error).await?;
        }
        let mut rows = std::mem::take(&mut sorted.rows);
        let written = rows.len() as u64;
        let mut progress = self.copying.after(&ready, written, sorted.set_aside)?;
        let mut loaded = self.load(index, &rows, &progress).await;
        if loaded.as_ref().is_err_and(|error| error.kind() == Kind::ForeignKey)
            && self.copying.unlink(index)
        {
            let unlinked = self.copying.unlinked(index);
            rows.iter_mut().for_each(|row| unlink(row, &unlinked));
            progress = self.copying.after(&ready, written, sorted.set_aside)?;
            loaded = self.load(index, &rows, &progress).await;
        }
        let refused = match loaded {
            Ok(()) => 0,
            Err(error) if error.is_about_a_row() => {
                self.report.refused(&error);
                let refused = self.load_in_halves(index, rows).await?;
                let (written, set_aside) = (written - refused, sorted.set_aside + refused);
                let progress = self.copying.after(&ready, written, set_aside)?;
                self.load(index, &[], &progress).await?;
                self.copying.wrote(index, progress);
                refused
            }
            Err(error) if error.kind() == Kind::Contention => {
                // Somebody holds a lock: the piece is read again, the stream does not wait for it.
                self.target.rollback().await?;
                self.copying.put_off(index, error.chain());
                return Ok(());
            }
            Err(error) => return Err(self.of_copy(index, error)),
        };
        if refused == 0 {
            self.copying.wrote(index, progress);
        }
        self.copying.timed(index, written as usize, ready.took, began.elapsed());
        self.report.moved(&self.witness);
        self.report.ruled(&outcomes);
        tracing::debug!(
            link = %self.plan.link,
            piece = format_args!("{index}.{}", self.copying.progress(index).map_or(0, |one| one.chunks)),
            stretch,
            rows = written,
            read_us = ready.took.as_micros() as u64,
            write_us = began.elapsed().as_micros() as u64,
            "a piece is copied"
        );
        Ok(())
    }

    /// What of a piece is to be written: rows as they are now.
    fn sort(&self, ready: &mut Ready) -> Result<Sorted> {
        let table = steps::table(&self.plan, ready.table)?;
        let unlinked = self.copying.unlinked(ready.table);
        let tied = self.copying.tied(ready.table);
        let untouched = ready.window.is_unchanged() && !self.rows.has_table(ready.table);
        let mut sorted = Sorted::default();
        for mut row in std::mem::take(&mut ready.piece.rows) {
            let since = match untouched {
                true => None,
                false => {
                    let name = name_of(table, &row);
                    if self.rows.holds(ready.table, &name) {
                        sorted.set_aside += 1;
                        continue;
                    }
                    ready.window.since(&name)
                }
            };
            match since {
                Some(Since::Gone) => continue,
                Some(Since::Laid(values)) => lay_over(&mut row, values),
                // Of the second time, only rows with references.
                None if tied.as_ref().is_some_and(|tied| is_empty(&row, tied)) => continue,
                None => {}
            }
            unlink(&mut row, &unlinked);
            sorted.rows.push(row);
        }
        Ok(sorted)
    }

    /// Writes rows with how far the copy is then; nothing of both if one is refused.
    async fn load(&mut self, table: usize, rows: &[Row], progress: &Progress) -> Result<()> {
        let name = steps::table(&self.plan, table)?.target.name.to_string();
        let note = CopyNote { table: name, progress: progress.to_text()?, answers: None };
        let fresh = progress.fresh && !progress.second;
        let load = (!rows.is_empty()).then_some(Load { table, rows, fresh });
        let copies = std::slice::from_ref(&note);
        self.write(Slice { load, copies, ..Slice::default() }).await?;
        Ok(())
    }

    /// Writes rows of which some are refused, and sets those aside; how many there were.
    async fn load_in_halves(&mut self, table: usize, rows: Vec<Row>) -> Result<u64> {
        let mut refused = 0;
        let mut open = vec![rows];
        while let Some(mut rows) = open.pop() {
            let load = Some(Load { table, rows: &rows, fresh: false });
            match self.write(Slice { load, ..Slice::default() }).await {
                Ok(_) => continue,
                Err(error) if error.is_about_a_row() => match rows.len() {
                    0 => return Err(error),
                    1 => {
                        let row = rows.pop().unwrap_or_default();
                        self.set_aside_refused(table, row, error).await?;
                        refused += 1;
                    }
                    many => {
                        let rest = rows.split_off(many / 2);
                        open.extend([rest, rows]);
                    }
                },
                Err(error) => return Err(self.of_copy(table, error)),
            }
        }
        Ok(refused)
    }

    async fn set_aside_refused(&mut self, table: usize, row: Row, error: Error) -> Result<()> {
        let plan = steps::table(&self.plan, table)?;
        let key = MissedKey { table, key: steps::key_of(plan, &row), why: Why::SetAside };
        let written = steps::whole(&self.plan, table, row)?;
        let (reason, salt) = (Reason::of(&error), &self.witness.installation);
        let letter = poison::letter_of_read(plan, &key, Some(&written), reason, salt);
        self.set_aside_copied(letter, error).await
    }

    /// Sets a row aside that has no form at the target, unless it has changed since: then its change was.
    async fn set_aside_unfit(
        &mut self,
        window: &Window,
        change: &Change,
        error: Error,
    ) -> Result<u64> {
        let (reason, salt) = (Reason::of(&error), &self.witness.installation);
        let Some(letter) = poison::letter_of(&self.plan, change, reason, salt)? else {
            return Ok(0);
        };
        if window.since(&letter.row) == Some(&Since::Gone) {
            return Ok(0);
        }
        if !self.rows.holds(letter.table, &letter.row) {
            let letter = Letter { operation: Operation::Read, ..letter };
            self.set_aside_copied(letter, error).await?;
        }
        Ok(1)
    }

    async fn set_aside_copied(&mut self, mut letter: Letter, error: Error) -> Result<()> {
        let plan = steps::table(&self.plan, letter.table)?;
        let place = format!("{}, a row that is copied", isolate::describe(plan));
        let error = error.within(place);
        if plan.on_poison == OnPoison::Halt {
            return Err(error);
        }
        letter.position = Some(self.seen.clone());
        poison::admit(&mut self.rows, &mut self.breaker, &mut letter, error)?;
        let new = [letter];
        let letters = LetterWork { new: &new, ..LetterWork::default() };
        self.write(Slice { letters, ..Slice::default() }).await?;
        self.report.set_aside(&self.plan, &new, self.rows.status());
        Ok(())
    }

    /// Copies that are written to their end.
    async fn close_copies(&mut self) -> Result<()> {
        while let Some(index) = self.copying.written() {
            self.target.pass_counters(index).await.map_err(|error| self.of_copy(index, error))?;
            let progress = self.copying.close(index)?;
            let table = &steps::table(&self.plan, index)?.source.name;
            let looks_on = progress.stage == Stage::Checking;
            tracing::info!(
                link = %self.plan.link,
                %table,
                rows = progress.rows,
                set_aside = progress.set_aside,
                looks_for_rows_of_the_target = looks_on,
                "the table is copied"
            );
        }
        Ok(())
    }

    fn of_copy(&self, table: usize, error: Error) -> Error {
        match self.plan.tables.get(table) {
            Some(table) => error.within(format!("copy {}", isolate::describe(table))),
            None => error,
        }
    }
}

/// The name of a whole row.
fn name_of(table: &TablePlan, row: &Row) -> String {
    steps::key_text(&steps::key_of(table, row))
}

/// Leaves references empty that cannot be written yet.
pub(super) fn unlink(row: &mut Row, columns: &[usize]) {
    for column in columns {
        if let Some(place) = row.0.get_mut(*column) {
            *place = Value::Null;
        }
    }
}

fn is_empty(row: &Row, columns: &[usize]) -> bool {
    columns.iter().all(|column| row.get(*column) == Some(&Value::Null))
}
