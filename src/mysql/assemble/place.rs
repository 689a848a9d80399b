//! Where in the log the reader is: file and 64-bit offset.
//!
//! Headers carry only the low 32 bits of the offset; a step far back inside one file means that it
//! passed 4 GiB. By GTID, offsets are for lag and messages; where transactions may have none, weir
//! resumes by them.

use std::fmt;

use crate::mysql::binlog::Header;
use crate::position::{Coordinates, Position};

/// A place in the log; unknown until the first rotate event.
#[derive(Clone, Debug)]
pub(super) struct Place {
    at: Option<Coordinates>,
    /// The commit that reading starts after.
    from: Option<Coordinates>,
}

impl Place {
    /// Before the first event; `from` is the commit to resume after.
    pub(super) fn new(from: Option<Coordinates>) -> Self {
        Place { at: None, from }
    }

    /// Coordinates after the last event, if known.
    pub(super) fn coordinates(&self) -> Option<Coordinates> {
        self.at.clone()
    }

    /// A rotate event: the next event is in `file` at `position`. In the file of the commit that
    /// reading starts after, offsets begin there.
    pub(super) fn enter(&mut self, file: &str, position: u64) {
        let from = self.from.take().filter(|from| from.file == file);
        let position = from.map_or(position, |from| from.position.max(position));
        self.at = Some(Coordinates::new(file, position));
    }

    /// The file's format description says when it was begun.
    pub(super) fn begun(&mut self, born: Option<u32>) {
        if let Some(at) = &mut self.at {
            at.born = born;
        }
    }

    /// An event of the file ended.
    pub(super) fn pass(&mut self, header: &Header) {
        const ROTATE: u8 = 4;
        const HEARTBEATS: [u8; 2] = [27, 41];
        if !header.artificial() && header.kind != ROTATE && !HEARTBEATS.contains(&header.kind) {
            self.advance(header.next);
        }
    }

    /// The dump thread waits in `file` behind the event that ends at `header.next`.
    pub(super) fn idle_at(&mut self, file: &str, header: &Header) {
        if self.at.as_ref().is_some_and(|at| at.file == file) {
            self.advance(header.next);
        }
    }

    fn advance(&mut self, next: u32) {
        let Some(at) = &mut self.at else { return };
        if next == 0 {
            return;
        }
        let same_lap = (at.position >> 32 << 32) | u64::from(next);
        let wrapped = at.position.saturating_sub(same_lap) > 1 << 31;
        let next = if wrapped { same_lap + (1 << 32) } else { same_lap };
        at.position = at.position.max(next);
    }
}

/// `position` as it is before the event that begins at `offset` of the file that is read.
pub(super) fn start_of(position: Position, at: Option<Coordinates>, offset: u64) -> Position {
    let at = at.map(|at| Coordinates { position: offset, ..at });
    match (position, at) {
        (Position::MysqlPlace(set, _), Some(at)) => Position::MysqlPlace(set, at),
        (Position::Mysql(set, _), at) => Position::Mysql(set, at),
        (Position::Mariadb(set, _), at) => Position::Mariadb(set, at),
        (position, _) => position,
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => write!(f, "{at}"),
            None => f.write_str("its start"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a file above 4 GiB made the position jump back.
    #[test]
    fn offsets_pass_four_gibibytes() {
        let mut place = Place::new(None);
        place.enter("b.000001", 4);
        for (next, expected) in [
            (1_000, 1_000),
            (u32::MAX - 5, u64::from(u32::MAX) - 5),
            (100, (1 << 32) + 100),
            (90, (1 << 32) + 100),
            (200, (1 << 32) + 200),
        ] {
            place.pass(&Header { kind: 16, next, ..Header::default() });
            assert_eq!(place.coordinates().expect("known").position, expected);
        }
        assert_eq!(place.to_string(), "b.000001:4294967496");
    }
}
