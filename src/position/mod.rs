//! Positions in a source's log, always at a commit: an LSN, or a GTID set with the binlog
//! coordinates it was seen at.
//!
//! Positions of different dialects do not compare. The text form is what the witness stores; it
//! is stable across versions.

pub mod binlog;
pub mod gtid;
pub mod lsn;

use std::fmt;
use std::str::FromStr;

pub use binlog::Coordinates;
pub use gtid::{MariadbGtidSet, MysqlGtidSet};
pub use lsn::Lsn;

/// A resume point of one dialect.
#[derive(Clone, Debug, PartialEq)]
pub enum Position {
    /// PostgreSQL: the end LSN of a commit.
    Postgres(Lsn),
    /// MySQL: executed GTIDs, and the coordinates of the commit where known.
    Mysql(MysqlGtidSet, Option<Coordinates>),
    /// MySQL where transactions may have no GTID: the coordinates of the commit count, among those of
    /// one server. The GTIDs are those that the log was seen to hold up to there.
    MysqlPlace(MysqlGtidSet, Coordinates),
    /// MariaDB: last GTID per domain, and the coordinates of the commit where known.
    Mariadb(MariadbGtidSet, Option<Coordinates>),
}

impl Position {
    /// Whether everything up to `other` is contained in `self`. Positions of different dialects
    /// never reach each other. MariaDB's sequence numbers need not rise, so its order is that of the
    /// log where both places in it are known.
    pub fn reaches(&self, other: &Position) -> bool {
        match (self, other) {
            (Position::Postgres(own), Position::Postgres(other)) => own >= other,
            (Position::Mysql(own, _), Position::Mysql(other, _)) => own.contains_set(other),
            (
                Position::Mysql(..) | Position::MysqlPlace(..),
                Position::Mysql(..) | Position::MysqlPlace(..),
            ) => match (self.coordinates(), other.coordinates()) {
                (Some(own), Some(other)) => own.reaches(other),
                _ => false,
            },
            (Position::Mariadb(own, Some(at)), Position::Mariadb(other, Some(others))) => {
                own == other || at.reaches(others)
            }
            (Position::Mariadb(own, _), Position::Mariadb(other, _)) => own.contains_set(other),
            _ => false,
        }
    }

    /// How many source transactions lie between `other` and here; `None` where the log does not
    /// number them, as PostgreSQL's.
    pub fn transactions_since(&self, other: &Position) -> Option<u64> {
        match (self, other) {
            (Position::Mysql(own, _), Position::Mysql(other, _)) => Some(own.minus(other).count()),
            (Position::Mariadb(own, _), Position::Mariadb(other, _)) => {
                Some(own.count_since(other))
            }
            _ => None,
        }
    }

    /// The same position as another server of the topology has it: by GTIDs alone.
    #[must_use]
    pub fn without_place(self) -> Position {
        match self {
            Position::Mysql(set, _) => Position::Mysql(set, None),
            Position::Mariadb(set, _) => Position::Mariadb(set, None),
            other => other,
        }
    }

    /// Binlog coordinates, where the position has them.
    pub fn coordinates(&self) -> Option<&Coordinates> {
        match self {
            Position::Postgres(_) => None,
            Position::MysqlPlace(_, coordinates) => Some(coordinates),
            Position::Mysql(_, coordinates) | Position::Mariadb(_, coordinates) => {
                coordinates.as_ref()
            }
        }
    }
}

/// The stored form: `lsn:0/16B3748`, `mysql:<gtid set>[@<place>]`, `mariadb:<gtid set>[@<place>]`,
/// `mysql-place:<gtid set>@<place>`; a place is `file:pos` or `file:pos#<seconds>`.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Postgres(lsn) => write!(f, "lsn:{lsn}"),
            Position::Mysql(set, at) => with_coordinates(f, "mysql", set, at.as_ref()),
            Position::MysqlPlace(set, at) => with_coordinates(f, "mysql-place", set, Some(at)),
            Position::Mariadb(set, at) => with_coordinates(f, "mariadb", set, at.as_ref()),
        }
    }
}

fn with_coordinates(
    f: &mut fmt::Formatter<'_>,
    dialect: &str,
    set: &dyn fmt::Display,
    at: Option<&Coordinates>,
) -> fmt::Result {
    write!(f, "{dialect}:{set}")?;
    match at {
        Some(at) => write!(f, "@{at}"),
        None => Ok(()),
    }
}

/// A position text that is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a position: {0}")]
pub struct ParsePositionError(pub String);

impl FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParsePositionError(text.to_owned());
        let (dialect, rest) = text.split_once(':').ok_or_else(bad)?;
        if dialect == "lsn" {
            return rest.parse().map(Position::Postgres).map_err(|_| bad());
        }
        let (set, at) = match rest.split_once('@') {
            Some((set, at)) => (set, Some(at.parse().map_err(|_| bad())?)),
            None => (rest, None),
        };
        match dialect {
            "mysql-place" => {
                let set = set.parse().map_err(|_| bad())?;
                Ok(Position::MysqlPlace(set, at.ok_or_else(bad)?))
            }
            "mysql" => set.parse().map(|set| Position::Mysql(set, at)).map_err(|_| bad()),
            "mariadb" => set.parse().map(|set| Position::Mariadb(set, at)).map_err(|_| bad()),
            _ => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a stored witness could not be read back after an upgrade.
    #[test]
    fn stored_forms_are_stable() {
        for text in [
            "lsn:16/B374D848",
            "mysql:3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:11-18@binlog.000003:1234",
            "mysql:@binlog.000001:4",
            "mysql-place:@binlog.000001:4",
            "mysql-place:3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5@binlog.000003:1234#1764100000",
            "mariadb:0-1-100,5-2-7@m-bin.000009:77",
            "mariadb:",
        ] {
            let position: Position = text.parse().expect(text);
            assert_eq!(position.to_string(), text);
        }
        for text in ["oracle:1", "mysql-place:", "mysql:@b.1:4#", "mysql:@b.1:4#x"] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }

    /// Broken if a place were taken for reached by GTIDs that do not count there, or MariaDB's order
    /// were that of sequence numbers, which need not rise.
    #[test]
    fn places_order_where_gtids_do_not() {
        let at = |text: &str| text.parse::<Position>().expect(text);
        let earlier = "mysql-place:@b.000009:900#7";
        for (text, reaches, reached) in [
            ("mysql-place:@b.000010:4", true, false),
            ("mysql-place:@b.000009:900#7", true, true),
            ("mysql-place:@b.000009:1000#8", false, false),
            ("mysql-place:@other.000010:4", false, false),
            ("mysql:@b.000009:899#7", false, true),
            ("mysql:3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5", false, false),
        ] {
            assert_eq!(at(text).reaches(&at(earlier)), reaches, "{text}");
            assert_eq!(at(earlier).reaches(&at(text)), reached, "{text}");
        }
        assert!(at("mariadb:0-2-50@b.000001:900").reaches(&at("mariadb:0-1-100@b.000001:800")));
        assert!(at("mariadb:0-2-50@b.000001:900").reaches(&at("mariadb:0-2-50@b.000002:4")));
        assert!(!at("mariadb:0-2-50").reaches(&at("mariadb:0-1-100@b.000001:800")));
    }
}
