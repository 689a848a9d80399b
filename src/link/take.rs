//! The apply task's part in taking changes into a batch: each is judged, converted and put in, or set
//! aside where that is not possible or where its row is.

use std::cell::RefCell;

use crate::config::{OnFlagged, OnPoison};
use crate::error::{Error, Kind, Result};
use crate::link::apply::Applier;
use crate::link::batch::{Batch, Sifted};
use crate::link::flag;
use crate::link::isolate;
use crate::link::letter::{Letter, Reason};
use crate::link::poison;
use crate::link::status::now_us;
use crate::link::steps::{self, Prepared};
use crate::model::{Change, Part, Verb};
use crate::ownership::{Standing, Writer};
use crate::plan::{Flagged, FlaggedColumn};
use crate::transform::rules::Beside;

/// Who wrote what is in a part.
fn writer(part: &Part) -> Writer {
    part.mark.map_or(Writer::Application, |mark| Writer::Weir { hops: mark.hops })
}

impl Applier {
    /// Puts one part into the batch.
    pub(super) fn take(&mut self, batch: &mut Batch, part: Part) -> Result<()> {
        if batch.is_untouched() && !part.changes.is_empty() {
            self.report.begin(part.commit.as_ref().map(|commit| commit.time_us));
        }
        batch.bytes += part.bytes;
        let (writer, committed_us) = (writer(&part), part.time_us);
        for change in &part.changes {
            self.take_change(batch, change, (writer, committed_us))?;
        }
        match part.commit {
            Some(commit) if part.idle => batch.pass_idle(commit),
            Some(commit) => batch.end_transaction(commit),
            None => {}
        }
        Ok(())
    }

    /// How often what a part brings was passed on; `None` where it brings nothing. Only what weir has caused is
    /// looked at for that: nothing of it goes out as a rule.
    pub(super) fn hops(&self, part: &Part) -> Option<u32> {
        let Some(mark) = part.mark else { return (!part.changes.is_empty()).then_some(0) };
        let writer = writer(part);
        let goes_out = |change: &Change| {
            // What cannot be converted is set aside, and so goes into the batch as well.
            steps::rule(&self.plan, change, writer, Beside::default())
                .map_or(true, |ruled| ruled.prepared.is_some())
        };
        part.changes.iter().any(goes_out).then(|| mark.hops.saturating_add(1))
    }

    fn take_change(
        &mut self,
        batch: &mut Batch,
        change: &Change,
        (writer, committed_us): (Writer, Option<i64>),
    ) -> Result<()> {
        if self.copying.is_ahead(change.table) {
            // What it leaves is read when the table is copied.
            batch.push(None);
            return Ok(());
        }
        let outcomes = RefCell::default();
        let beside = Beside { committed_us, outcomes: Some(&outcomes) };
        let ruled = steps::rule(&self.plan, change, writer, beside).and_then(|ruled| {
            let note = steps::note(&self.plan, change, ruled.prepared.as_ref())?;
            Ok((ruled, note))
        });
        batch.outcomes.add(outcomes.into_inner());
        let (ruled, note) = match ruled {
            Ok(both) => both,
            Err(error) => return self.unconverted(batch, change, writer, error),
        };
        if let Some(flagged) = &ruled.flagged {
            self.flag(batch, flagged)?;
        }
        if ruled.standing == Standing::Loop {
            self.alarm_of_loop(change);
        }
        let (mut prepared, note) = match (ruled.prepared, writer) {
            // What weir wrote here is known elsewhere.
            (None, Writer::Weir { .. }) => (None, None),
            (prepared, _) => (prepared, note),
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

    /// Records what a database wrote that is not the owner, or stops the link where a person wants that.
    fn flag(&mut self, batch: &mut Batch, flagged: &Flagged) -> Result<()> {
        let table = steps::table(&self.plan, flagged.table)?;
        let of_column = |one: &FlaggedColumn| table.foreign.get(one.column);
        let columns = flagged.columns.iter().filter_map(of_column);
        let halts = match flagged.columns.is_empty() {
            true => table.on_flagged == OnFlagged::Halt,
            false => columns.into_iter().any(|column| column.on_flagged == OnFlagged::Halt),
        };
        if halts {
            let (name, kind) = (&table.source.name, flag::kind_name(flagged.flag));
            let context = format!("a write to {name} by a database that is not the owner ({kind})");
            return Err(Error::new(Kind::Ownership, context));
        }
        batch.flag(flag::records(&self.plan, flagged, &self.witness.installation));
        Ok(())
    }

    /// What weir had passed on caused something again where it was written.
    fn alarm_of_loop(&mut self, change: &Change) {
        let table = self.plan.tables.get(change.table);
        let table = table.map(|table| table.source.name.to_string()).unwrap_or_default();
        tracing::warn!(
            %table,
            "a trigger or cascade changes what the source owns, in answer to what the target's had \
             changed: it is passed on once and no further; make one of the two leave the column alone"
        );
        self.report.looped();
    }

    /// A change cannot be converted. What it wrote that is not the source's is recorded all the same: the row
    /// that is read again one day does not tell.
    fn unconverted(
        &mut self,
        batch: &mut Batch,
        change: &Change,
        writer: Writer,
        error: Error,
    ) -> Result<()> {
        // Without a key there is no record; the letter holds the change.
        if let Ok(Some(flagged)) = steps::flagged(&self.plan, change, writer) {
            self.flag(batch, &flagged)?;
        }
        self.set_aside(batch, change, error)
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
