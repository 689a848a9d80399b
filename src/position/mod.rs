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
    /// MariaDB: last GTID per domain, and the coordinates of the commit where known.
    Mariadb(MariadbGtidSet, Option<Coordinates>),
}

impl Position {
    /// Whether everything up to `other` is contained in `self`. Positions of different dialects
    /// never reach each other.
    pub fn reaches(&self, other: &Position) -> bool {
        match (self, other) {
            (Position::Postgres(own), Position::Postgres(other)) => own >= other,
            (Position::Mysql(own, _), Position::Mysql(other, _)) => own.contains_set(other),
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

    /// Binlog coordinates, where the position has them.
    pub fn coordinates(&self) -> Option<&Coordinates> {
        match self {
            Position::Postgres(_) => None,
            Position::Mysql(_, coordinates) | Position::Mariadb(_, coordinates) => {
                coordinates.as_ref()
            }
        }
    }
}

/// The stored form: `lsn:0/16B3748`, `mysql:<gtid set>[@file:pos]`, `mariadb:<gtid set>[@file:pos]`.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Postgres(lsn) => write!(f, "lsn:{lsn}"),
            Position::Mysql(set, at) => with_coordinates(f, "mysql", set, at.as_ref()),
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
            "mariadb:0-1-100,5-2-7@m-bin.000009:77",
            "mariadb:",
        ] {
            let position: Position = text.parse().expect(text);
            assert_eq!(position.to_string(), text);
        }
        assert!("oracle:1".parse::<Position>().is_err());
    }
}
