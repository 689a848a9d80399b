//! What the position is while the log is read: GTIDs and place, which must mean the same.
//!
//! Read by GTID, the set counts, and the place is told once it holds no less. Read by place, the place
//! counts, and the set is told alone once the log shows which GTIDs come before and only transactions
//! that have one come since.

use super::Assembler;
use crate::mysql::binlog::Event;
use crate::position::{Coordinates, MysqlGtidSet, Position};

impl Assembler {
    /// The end of the log when the server's position was asked, for a position without a place: what
    /// it holds may lie anywhere before.
    pub(crate) fn begin_before(&mut self, head: Option<Coordinates>) {
        self.floor = self.floor.take().or(head);
    }

    /// The position up to which the log was read, between two transactions.
    pub(crate) fn position(&mut self) -> Position {
        self.here(self.executed.clone(), false)
    }

    /// Read by place, a long file is read from its start: what lies before the place is known.
    pub(super) fn is_before_start(&self, event: &Event<'_>) -> bool {
        let Some(start) = self.floor.as_ref().filter(|_| self.by_place) else { return false };
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
        if let (true, Position::Mysql(set, _) | Position::MysqlPlace(set, _)) =
            (self.by_place, &mut self.executed)
        {
            *set = previous;
            self.gtids_only = true;
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
            (Position::Postgres(lsn), _) => Position::Postgres(lsn),
        }
    }
}
