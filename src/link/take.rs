//! The apply task's part in taking changes into a batch: each is judged, converted and put in, or set
//! aside where that is not possible or where its row is.

use std::cell::RefCell;

use crate::config::OnPoison;
use crate::error::{Error, Result};
use crate::link::apply::Applier;
use crate::link::batch::{Batch, Sifted};
use crate::link::isolate;
use crate::link::letter::{Letter, Reason};
use crate::link::poison;
use crate::link::status::now_us;
use crate::link::steps::{self, Prepared};
use crate::model::{Change, Part, Verb};
use crate::transform::rules::Beside;

impl Applier {
    /// Puts one part into the batch.
    pub(super) fn take(&mut self, batch: &mut Batch, part: Part) -> Result<()> {
        if batch.is_untouched() && !part.changes.is_empty() {
            self.report.begin(part.commit.as_ref().map(|commit| commit.time_us));
        }
        batch.bytes += part.bytes;
        let committed_us = part.time_us;
        for change in &part.changes {
            self.take_change(batch, change, committed_us)?;
        }
        match part.commit {
            Some(commit) if part.idle => batch.pass_idle(commit),
            Some(commit) => batch.end_transaction(commit),
            None => {}
        }
        Ok(())
    }

    fn take_change(
        &mut self,
        batch: &mut Batch,
        change: &Change,
        committed_us: Option<i64>,
    ) -> Result<()> {
        if self.copying.is_ahead(change.table) {
            // What it leaves is read when the table is copied.
            batch.push(None);
            return Ok(());
        }
        let outcomes = RefCell::default();
        let beside = Beside { committed_us, outcomes: Some(&outcomes) };
        let prepared = steps::prepare(&self.plan, change, beside).and_then(|one| {
            let note = steps::note(&self.plan, change, one.as_ref())?;
            Ok((one, note))
        });
        batch.outcomes.add(outcomes.into_inner());
        let (mut prepared, note) = match prepared {
            Ok(both) => both,
            Err(error) => return self.set_aside(batch, change, error),
        };
        if let Some(prepared) = &mut prepared {
            prepared.empty(&self.copying.unlinked(change.table));
        }
        if !self.rows.is_empty() && self.follows(batch, change, prepared.as_ref(), note.as_ref())? {
            return Ok(());
        }
        let note = note.or_else(|| {
            let open = || !self.refetch.is_done() || batch.has_notes();
            steps::follow(&self.plan, prepared.as_ref()).filter(|_| open())
        });
        batch.push_beside(note);
        batch.push(prepared);
        Ok(())
    }

    /// A change cannot be converted: it is set aside, or stops the link.
    fn set_aside(&mut self, batch: &mut Batch, change: &Change, error: Error) -> Result<()> {
        let after = batch.last_commit().map_or(&self.seen, |commit| &commit.position);
        let number = batch.next_ordinal();
        let table = self.plan.tables.get(change.table);
        let parks = table.is_some_and(|table| table.on_poison == OnPoison::Park);
        let name = table.map(|table| isolate::describe(table)).unwrap_or_default();
        let place = format!("{name}, change {number} of the transaction after {after}");
        if !parks || !error.is_about_a_row() {
            return Err(error.within(place));
        }
        let (reason, salt) = (Reason::of(&error), &self.witness.installation);
        let letter = poison::letter_of(&self.plan, change, reason, salt);
        match letter.map_err(|error| error.within(&place))? {
            Some(letter) => self.put_aside(batch, letter, None, error.within(place)),
            None => Err(error.within(place)),
        }
    }

    /// Sets a change aside whose row is; whether it is.
    fn follows(
        &mut self,
        batch: &mut Batch,
        change: &Change,
        prepared: Option<&Prepared>,
        note: Option<&Prepared>,
    ) -> Result<bool> {
        if !self.rows.has_table(change.table) {
            return Ok(false);
        }
        if prepared.is_some_and(|one| one.verb() == Verb::Truncate) {
            batch.empty(change.table);
            self.rows.empty(change.table);
            return Ok(false);
        }
        let touched = prepared.or(note).map(|one| poison::names(&self.plan, one));
        let mut touched = touched.into_iter().flatten();
        if !touched.any(|row| self.rows.holds(change.table, &row)) {
            return Ok(false);
        }
        let (reason, salt) = (Reason::behind(), &self.witness.installation);
        let Some(letter) = poison::letter_of(&self.plan, change, reason, salt)? else {
            return Ok(false);
        };
        self.put_aside(batch, letter, prepared.cloned(), poison::behind())?;
        Ok(true)
    }

    fn put_aside(
        &mut self,
        batch: &mut Batch,
        mut letter: Letter,
        change: Option<Prepared>,
        error: Error,
    ) -> Result<()> {
        let held = [Some(&letter.row), letter.old_row.as_ref()];
        if held.into_iter().flatten().any(|row| self.rows.holds(letter.table, row)) {
            letter.reason = Reason::behind();
        }
        poison::admit(&mut self.rows, &mut self.breaker, &mut letter, error)?;
        batch.set_aside(letter, change);
        Ok(())
    }

    /// Rows were set aside after changes of the open transaction had been taken: theirs follow.
    pub(super) fn sift(&mut self, batch: &mut Batch) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let Applier { plan, rows, breaker, witness, .. } = self;
        let mut emptied = Vec::new();
        batch.sift(|change| {
            let table = change.table;
            if change.verb() == Verb::Truncate && rows.has_table(table) {
                rows.empty(table);
                emptied.push(table);
                return Ok(Sifted::Empties);
            }
            if !poison::names(plan, change).iter().any(|row| rows.holds(table, row)) {
                return Ok(Sifted::Kept);
            }
            // The row of a note is read again when its letters end.
            let letter = poison::letter(plan, change, Reason::behind(), &witness.installation);
            let Some(mut letter) = letter else { return Ok(Sifted::Aside(None)) };
            poison::admit(rows, breaker, &mut letter, poison::behind())?;
            Ok(Sifted::Aside(Some(Box::new(letter))))
        })?;
        for table in emptied {
            let later = batch.asides_left(table).map(|aside| &aside.letter);
            rows.empty_before(table, later, now_us());
        }
        Ok(())
    }
}
