//! What is read again because transactions before the position were prepared and not yet decided
//! when it was stored: the log from before the oldest of them. Of what is applied only two-phase
//! transactions are looked at, so that at the end of the stretch the same ones wait for their commit as
//! did then.
//!
//! Whether a transaction is applied is told by place where the log is read by place. By GTID, MySQL's
//! set says so for each. MariaDB's says it by the order within a domain: everything up to the GTID that
//! the domain had come to.

use super::Assembler;
use super::position::Gtid;
use crate::error::{Error, Kind, Result};
use crate::position::{Coordinates, Position};

/// A stretch of the log that is read a second time.
#[derive(Debug)]
pub(super) struct Again {
    /// What of it is applied.
    applied: Position,
    /// The position to resume at until it has been read.
    from: Position,
    /// What was read of the log, from `restart` on.
    pub(super) read: Position,
    by_place: bool,
}

impl Again {
    /// The stretch that must be read for `from`, if there is one.
    pub(super) fn of(from: &Position, by_place: bool) -> Option<Again> {
        from.held_by()?;
        let (applied, read) = (from.applied().clone(), from.restart().clone());
        Some(Again { applied, from: from.clone(), read, by_place })
    }

    /// Whether the transaction that is read at `at` is applied.
    fn holds(&self, gtid: &Gtid, at: Option<&Coordinates>) -> bool {
        if self.by_place {
            return self.applied.coordinates().zip(at).is_some_and(|(end, at)| end.reaches(at));
        }
        match (gtid, &self.applied, &self.read) {
            (
                Gtid::Mysql(origin, number),
                Position::Mysql(applied, _) | Position::MysqlPlace(applied, _),
                _,
            ) => applied.contains(origin, *number),
            (Gtid::Mariadb(gtid), Position::Mariadb(applied, _), Position::Mariadb(read, _)) => {
                let last = applied.last(gtid.domain);
                last.is_some() && last != read.last(gtid.domain)
            }
            _ => false,
        }
    }

    /// Whether all that is applied was read.
    fn is_over(&self, at: Option<&Coordinates>) -> bool {
        if self.by_place {
            return self.applied.coordinates().zip(at).is_some_and(|(end, at)| at.reaches(end));
        }
        match (&self.applied, &self.read) {
            (
                Position::Mysql(applied, _) | Position::MysqlPlace(applied, _),
                Position::Mysql(read, _) | Position::MysqlPlace(read, _),
            ) => read.contains_set(applied),
            (Position::Mariadb(applied, _), Position::Mariadb(read, _)) => {
                applied.iter().all(|last| read.last(last.domain) == Some(last))
            }
            _ => true,
        }
    }
}

impl Assembler {
    /// What was read of the log so far.
    pub(super) fn read(&self) -> &Position {
        self.again.as_ref().map_or(&self.executed, |again| &again.read)
    }

    /// Whether the transaction that begins now was applied before.
    pub(super) fn is_passed(&self, gtid: &Gtid) -> bool {
        let at = self.place.coordinates();
        self.again.as_ref().is_some_and(|again| again.holds(gtid, at.as_ref()))
    }

    /// Ends the stretch where it has been read.
    ///
    /// # Errors
    /// `Identity` where the log has been read to the end that it had, and lacks what was applied:
    /// whatever comes next would be taken for applied.
    pub(super) fn end_again(&mut self) -> Result<()> {
        let Some(again) = &self.again else { return Ok(()) };
        let at = self.place.coordinates();
        if again.is_over(at.as_ref()) {
            self.again = None;
            return Ok(());
        }
        let beyond = |head: &Coordinates| at.as_ref().is_some_and(|at| at > head);
        if !self.head.as_ref().is_some_and(beyond) {
            return Ok(());
        }
        let what = format!(
            "the log was read up to its end and lacks some of what was applied, up to {}",
            again.applied
        );
        Err(Error::new(Kind::Identity, what))
    }

    /// `position` as it can be resumed at.
    pub(super) fn hold(&self, position: Position) -> Position {
        let oldest = match &self.again {
            Some(again) => {
                again.from.held_by().map(|by| (again.from.restart().clone(), by.clone()))
            }
            None => self.prepared.oldest(),
        };
        match oldest {
            Some((restart, oldest)) => Position::held(position, restart, oldest),
            None => position,
        }
    }
}
