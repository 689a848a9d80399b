//! The apply task's part in reading rows again: what a window has brought is written by the link's own
//! applier, in transactions of its own at the position as it is.

use crate::config::OnPoison;
use crate::error::{Error, Kind, Result};
use crate::link::again::{Again, Try, What};
use crate::link::apply::Applier;
use crate::link::letter::{LetterWork, Reason, RowName, Tried};
use crate::link::notes::OpenNotes;
use crate::link::poison;
use crate::link::ports::{MissedKey, Slice};
use crate::link::refetch::Brought;
use crate::link::refetched::{Refetched, RefetchedRow};
use crate::link::retry::Look;
use crate::link::steps::{self, Prepared};

impl Applier {
    /// Opens a window over rows that are to be read again, or writes what one has brought. Gives
    /// [`Look::Asked`] where both ends are to be connected anew first.
    pub(super) async fn reread_between_batches(&mut self) -> Result<Look> {
        let target = self.target.as_mut();
        let look = self.refetch.look_at_letters(target, &mut self.rows).await?;
        if look != Look::Same {
            self.report.rows_set_aside(self.rows.status());
        }
        if look == Look::Asked {
            return Ok(look);
        }
        let brought =
            self.refetch.between_batches(&self.plan, target, &self.seen, &self.rows).await?;
        if let Some((notes, all)) = self.refetch.take_found() {
            self.report.open_notes(notes, all);
        }
        match brought {
            Some(Brought::Missed(found)) => self.write_missed(found).await?,
            Some(Brought::SetAside(again, groups)) => self.try_again(again, &groups).await?,
            Some(Brought::Asked(question, expected)) => self.answer(question, expected).await?,
            None => {}
        }
        Ok(look)
    }

    /// Writes missed rows and settles their notes.
    async fn write_missed(&mut self, mut found: Refetched) -> Result<()> {
        // What is set aside is read again when its letters end.
        let held = |note: &MissedKey| self.rows.holds(note.table, &note.text());
        let (settled, unfit) =
            std::mem::take(&mut found.unfit).into_iter().partition(|(note, _)| held(note));
        found.unfit = unfit;
        let settled: Vec<(MissedKey, Error)> = settled;
        found.rows.iter_mut().filter(|(_, note)| held(note)).for_each(|(row, _)| *row = None);
        found.rows.extend(settled.into_iter().map(|(note, _)| (None, note)));
        if !found.rows.is_empty() {
            match self.write_refetched(&found.rows).await {
                Err(error) if error.is_about_a_row() => {
                    // Together they are refused; one by one the others go in and the row is found.
                    self.target.rollback().await?;
                    self.write_refetched_singly(&found).await?;
                }
                written => written?,
            }
        }
        for (note, error) in std::mem::take(&mut found.unfit) {
            self.set_aside_read(&found, &note, None, error).await?;
        }
        self.report.ruled(&found.outcomes);
        Ok(())
    }

    async fn write_refetched_singly(&mut self, found: &Refetched) -> Result<()> {
        for row in found.rows.chunks(1) {
            match (self.write_refetched(row).await, row) {
                (Err(error), [(written, note)]) if error.is_about_a_row() => {
                    self.target.rollback().await?;
                    self.set_aside_read(found, note, written.as_ref(), error).await?;
                }
                (written, _) => written?,
            }
        }
        Ok(())
    }

    /// Writes rows and settles their notes in one transaction.
    async fn write_refetched(&mut self, rows: &[RefetchedRow]) -> Result<()> {
        let mut prepared: Vec<_> = rows.iter().filter_map(|(row, _)| row.clone()).collect();
        prepared.iter_mut().for_each(|one| one.empty(&self.copying.unlinked(one.table)));
        let settled: Vec<_> = rows.iter().map(|(_, note)| note.clone()).collect();
        let steps = steps::unmerged(&self.plan, &prepared);
        let slice = Slice { steps: &steps, settled: &settled, ..Slice::default() };
        let absent = self.write(slice).await?;
        let owned = |note: &MissedKey| {
            self.plan.tables.get(note.table).is_some_and(|table| table.owns_rows)
        };
        if !settled.iter().all(owned) {
            self.refetch.waits_for_owner(!absent.is_empty());
        }
        self.report.refetched(OpenNotes::of(settled.iter()), &self.witness);
        Ok(())
    }

    /// A row that was read again cannot be written: it is set aside in place of its note.
    async fn set_aside_read(
        &mut self,
        found: &Refetched,
        note: &MissedKey,
        written: Option<&Prepared>,
        error: Error,
    ) -> Result<()> {
        let table = steps::table(&self.plan, note.table)?;
        if table.on_poison == OnPoison::Halt {
            return Err(found.locate(&self.plan, error));
        }
        let (reason, salt) = (Reason::of(&error), &self.witness.installation);
        let mut letter = poison::letter_of_read(table, note, written, reason, salt);
        letter.position = Some(self.seen.clone());
        let error = found.locate(&self.plan, error);
        poison::admit(&mut self.rows, &mut self.breaker, &mut letter, error)?;
        let (settled, new) = ([note.clone()], [letter]);
        let letters = LetterWork { new: &new, ..LetterWork::default() };
        self.write(Slice { settled: &settled, letters, ..Slice::default() }).await?;
        self.report.refetched(OpenNotes::of(settled.iter()), &self.witness);
        self.report.set_aside(&self.plan, &new, self.rows.status());
        Ok(())
    }

    /// Tries rows that are set aside as they are at the source now.
    async fn try_again(&mut self, again: Again, groups: &[u64]) -> Result<()> {
        let tries = again.tries(&self.plan, &self.rows, groups);
        let (mut open, mut refused) = (Vec::new(), Vec::new());
        for one in tries {
            match one.what {
                What::Write(_) => open.push(one),
                What::Busy => self.refetch.retry().soon(one.place),
                What::Unfit(error) => refused.push((one.place, one.names, error)),
            }
        }
        if !self.write_together(&open).await? {
            refused.extend(self.write_singly(open).await?);
        }
        self.still_set_aside(refused).await
    }

    /// Writes all of them, or none where one is refused; whether none is left to be tried.
    async fn write_together(&mut self, tries: &[Try]) -> Result<bool> {
        match self.write_tries(tries, Try::changes).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_about_a_row() => Ok(false),
            Err(error) if error.kind() == Kind::Contention => {
                self.wait_for_locks(tries, error).await?;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes them one by one, again and again as long as one of them lets others in; gives those that
    /// are refused.
    async fn write_singly(
        &mut self,
        mut tries: Vec<Try>,
    ) -> Result<Vec<(u64, Vec<RowName>, Error)>> {
        loop {
            let (mut left, mut moved) = (Vec::new(), false);
            for one in std::mem::take(&mut tries) {
                let alone = std::slice::from_ref(&one);
                let mut written = self.write_tries(alone, Try::changes).await;
                if written.as_ref().is_err_and(Error::is_about_a_row) && one.plain.is_some() {
                    written = self.write_tries(alone, Try::plain_changes).await;
                }
                match written {
                    Ok(()) => moved = true,
                    Err(error) if error.is_about_a_row() => left.push((one, error)),
                    Err(error) if error.kind() == Kind::Contention => {
                        self.wait_for_locks(&[one], error).await?;
                    }
                    Err(error) => return Err(error),
                }
            }
            if !moved || left.is_empty() {
                let refused = left.into_iter().map(|(one, error)| (one.place, one.names, error));
                return Ok(refused.collect());
            }
            tries = left.into_iter().map(|(one, _)| one).collect();
        }
    }

    /// Writes what tries amount to, and ends their letters, in one transaction.
    async fn write_tries(&mut self, tries: &[Try], of: fn(&Try) -> &[Prepared]) -> Result<()> {
        if tries.is_empty() {
            return Ok(());
        }
        let changes: Vec<_> = tries.iter().flat_map(of).cloned().collect();
        let steps = steps::unmerged(&self.plan, &changes);
        let closed: Vec<_> = tries.iter().flat_map(|one| one.names.iter().cloned()).collect();
        let letters = LetterWork { closed: &closed, ..LetterWork::default() };
        let missed =
            self.write(Slice { steps: &steps, letters, strict: true, ..Slice::default() }).await?;
        if !missed.is_empty() {
            self.refetch.older_notes_were_made();
        }
        self.noted(&missed);
        tries.iter().for_each(|one| self.rows.close(one.place));
        self.refetch.retry().all_now();
        self.report.taken_back(closed.len() as u64, self.rows.status(), &self.witness);
        Ok(())
    }

    /// Somebody holds a lock: these wait, the link does not.
    async fn wait_for_locks(&mut self, tries: &[Try], error: Error) -> Result<()> {
        self.target.rollback().await?;
        tracing::warn!(
            link = %self.plan.link,
            rows = tries.len(),
            error = error.chain(),
            "rows that are set aside are locked on the target; trying later"
        );
        tries.iter().for_each(|one| self.refetch.retry().later(one.place));
        Ok(())
    }

    /// Writes down why rows are still set aside.
    async fn still_set_aside(&mut self, refused: Vec<(u64, Vec<RowName>, Error)>) -> Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        let mut tried = Vec::new();
        for (place, names, error) in refused {
            let reason = Reason::of(&error);
            tracing::info!(
                link = %self.plan.link,
                rows = names.len(),
                error = error.chain(),
                "rows stay set aside"
            );
            self.rows.tried(place, &reason.kind);
            self.refetch.retry().put_off(place, &self.rows);
            tried.extend(names.into_iter().map(|name| Tried { name, reason: reason.clone() }));
        }
        let letters = LetterWork { tried: &tried, ..LetterWork::default() };
        self.write(Slice { letters, ..Slice::default() }).await?;
        self.report.moved(&self.witness);
        Ok(())
    }

    /// One transaction of its own, at the position as it is; gives the rows that updates missed.
    pub(super) async fn write(&mut self, slice: Slice<'_>) -> Result<Vec<MissedKey>> {
        let seen = self.seen.clone();
        let slice = Slice { open: Some(&self.witness), close: Some(&seen), ..slice };
        let applied = self.target.apply(slice).await?;
        self.committed(seen);
        Ok(applied.missed)
    }
}
