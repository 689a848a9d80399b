//! What the position is while the log is read: GTIDs and place, which must mean the same.
//!
//! Read by GTID, the set counts, and the place is told once it holds no less. Read by place, the place
//! counts, and the set is told alone once the log shows which GTIDs come before and only transactions
//! that have one come since.

use super::Assembler;
use crate::error::{Error, Kind, Result};
use crate::mysql::binlog::Event;
use crate::position::gtid::{MariadbGtid, MysqlOrigin};
use crate::position::{Coordinates, MysqlGtidSet, Position};

/// What a transaction is called in the log.
#[derive(Clone, Debug)]
pub(super) enum Gtid {
    Mysql(MysqlOrigin, u64),
    Mariadb(MariadbGtid),
    /// MySQL without GTIDs.
    None,
}

impl Gtid {
    /// The position `from` with this transaction.
    pub(super) fn after(&self, mut from: Position) -> Result<Position> {
        match (self, &mut from) {
            (
                Gtid::Mysql(origin, number),
                Position::Mysql(set, _) | Position::MysqlPlace(set, _),
            ) => {
                set.add(origin, *number);
            }
            (Gtid::Mariadb(gtid), Position::Mariadb(set, _)) => set.add(*gtid),
            (Gtid::None, Position::Mysql(..) | Position::MysqlPlace(..)) => {}
            _ => {
                let what = "the log's GTIDs are of the other dialect than the position";
                return Err(Error::new(Kind::Identity, what));
            }
        }
        Ok(from)
    }

    /// Whether `position` names it.
    pub(super) fn is_in(&self, position: &Position) -> bool {
        match (self, position) {
            (
                Gtid::Mysql(origin, number),
                Position::Mysql(set, _) | Position::MysqlPlace(set, _),
            ) => set.contains(origin, *number),
            _ => false,
        }
    }
}

impl Assembler {
    /// The end of the log when the server's position was asked, for a position without a place: what
    /// it holds may lie anywhere before.
    pub(crate) fn begin_before(&mut self, head: Option<Coordinates>) {
        self.head.clone_from(&head);
        self.floor = self.floor.take().or(head);
    }

    /// The position up to which the log was read, between two transactions.
    pub(crate) fn position(&mut self) -> Position {
        let position = self.here(self.executed.clone(), false);
        self.hold(position)
    }

    /// Read by place, a long file is read from its start: what lies before the place is known.
    pub(super) fn is_before_start(&self, event: &Event<'_>) -> bool {
        let Some(start) = self.start.as_ref().filter(|_| self.by_place) else { return false };
        let Some(at) = self.place.coordinates().filter(|at| at.file == start.file) else {
            return false;
        };
        match event {
            Event::Format(_) | Event::Rotate { .. } => false,
            Event::Heartbeat { .. } => at.position < start.position,
            _ => at.position <= start.position,
        }
    }

    /// Whether this is still the file that holds the position to start from: of what comes before that,
    /// no more is to be learned here.
    pub(super) fn is_start_file(&self) -> bool {
        let file = |at: &Coordinates| at.file.clone();
        self.floor.as_ref().map(file) == self.place.coordinates().as_ref().map(file)
    }

    /// By place, a file that is read from its start says which GTIDs come before it.
    pub(super) fn previous(&mut self, previous: MysqlGtidSet) {
        let first = self.again.is_none();
        let read = self.again.as_mut().map_or(&mut self.executed, |again| &mut again.read);
        if let (true, Position::Mysql(set, _) | Position::MysqlPlace(set, _)) =
            (self.by_place, read)
        {
            *set = previous;
            self.gtids_only |= first;
        }
    }

    /// `position` with the place that is read now, where that holds no less than the GTIDs do. What
    /// is not `committed` by a transaction keeps the place that it had, and stays by place.
    pub(super) fn here(&mut self, position: Position, committed: bool) -> Position {
        let place = self.place.coordinates();
        let before = |floor: &Coordinates| place.as_ref().is_none_or(|at| at < floor);
        let exact = !self.floor.as_ref().is_some_and(before);
        self.floor.take_if(|_| exact);
        let kept = position.coordinates().filter(|_| !committed).cloned();
        let at = place.filter(|_| exact).or(kept);
        let by_gtid = committed || matches!(position, Position::Mysql(..));
        let by_gtid = !self.by_place || self.gtids_only && by_gtid;
        match (position, at) {
            (Position::Mysql(set, _) | Position::MysqlPlace(set, _), Some(at)) if !by_gtid => {
                Position::MysqlPlace(set, at)
            }
            (Position::Mysql(set, _) | Position::MysqlPlace(set, _), at) => {
                Position::Mysql(set, at)
            }
            (Position::Mariadb(set, _), at) => Position::Mariadb(set, at),
            (position @ (Position::Postgres(_) | Position::Held(_)), _) => position,
        }
    }
}
