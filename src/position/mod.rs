//! Positions in a source's log, always at a commit: an LSN, or a GTID set with the binlog
//! coordinates it was seen at.
//!
//! Positions of different dialects do not compare. The text form is what the witness stores; it
//! is stable across versions. Where transactions are prepared and not yet decided (XA of MySQL and
//! MariaDB), a position is [`Held`]: the log is to be read again from before them.

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
    /// MySQL and MariaDB while transactions are prepared.
    Held(Box<Held>),
}

/// A position that cannot be resumed at: of the transactions before it, some are prepared and not yet
/// decided, and the log holds their rows only where they were prepared. Made by [`Position::held`].
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    applied: Position,
    restart: Position,
    oldest: Undecided,
}

/// A transaction that is prepared and not yet decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// Its name, as `XA COMMIT` takes it.
    pub xid: String,
    /// When it was prepared, seconds since 1970 by the source's clock.
    pub since_s: u64,
}

impl Position {
    /// The position `applied`, to be resumed at `restart`, before the `oldest` transaction that is
    /// prepared and not yet decided.
    #[must_use]
    pub fn held(applied: Position, restart: Position, oldest: Undecided) -> Position {
        let (applied, restart) = (applied.applied().clone(), restart.restart().clone());
        Position::Held(Box::new(Held { applied, restart, oldest }))
    }

    /// Up to here everything that is committed is applied. This is what compares.
    pub fn applied(&self) -> &Position {
        match self {
            Position::Held(held) => &held.applied,
            position => position,
        }
    }

    /// From here the log is needed.
    pub fn restart(&self) -> &Position {
        match self {
            Position::Held(held) => &held.restart,
            position => position,
        }
    }

    /// What holds the position: the log is needed from before it on.
    pub fn held_by(&self) -> Option<&Undecided> {
        match self {
            Position::Held(held) => Some(&held.oldest),
            _ => None,
        }
    }

    /// The same with both of its positions changed.
    ///
    /// # Errors
    /// That of `change`.
    pub fn try_map<E>(
        self,
        change: impl Fn(Position) -> Result<Position, E>,
    ) -> Result<Position, E> {
        match self {
            Position::Held(held) => {
                Ok(Position::held(change(held.applied)?, change(held.restart)?, held.oldest))
            }
            position => change(position),
        }
    }

    /// Whether everything up to `other` is contained in `self`. Positions of different dialects
    /// never reach each other. MariaDB's sequence numbers need not rise, so its order is that of the
    /// log where both places in it are known.
    pub fn reaches(&self, other: &Position) -> bool {
        match (self.applied(), other.applied()) {
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
        match (self.applied(), other.applied()) {
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
            Position::Held(held) => {
                let (applied, restart) = (held.applied, held.restart);
                Position::held(applied.without_place(), restart.without_place(), held.oldest)
            }
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
            Position::Held(held) => held.applied.coordinates(),
        }
    }
}

/// The stored form: `lsn:0/16B3748`, `mysql:<gtid set>[@<place>]`, `mariadb:<gtid set>[@<place>]`,
/// `mysql-place:<gtid set>@<place>`; a place is `file:pos` or `file:pos#<seconds>`. One that is held:
/// `<what is applied>~<where to restart>~<XID of the oldest>@<seconds>`.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Postgres(lsn) => write!(f, "lsn:{lsn}"),
            Position::Mysql(set, at) => with_coordinates(f, "mysql", set, at.as_ref()),
            Position::MysqlPlace(set, at) => with_coordinates(f, "mysql-place", set, Some(at)),
            Position::Mariadb(set, at) => with_coordinates(f, "mariadb", set, at.as_ref()),
            Position::Held(held) => {
                let Undecided { xid, since_s } = &held.oldest;
                write!(f, "{}~{}~{xid}@{since_s}", held.applied, held.restart)
            }
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
        held(text).map_or_else(|| plain(text), Ok)
    }
}

/// A position that is held. The name of a log's file may hold the sign between the three, too.
fn held(text: &str) -> Option<Position> {
    let (positions, oldest) = text.rsplit_once('~')?;
    let (xid, since_s) = oldest.rsplit_once('@')?;
    let oldest = Undecided { xid: xid.to_owned(), since_s: since_s.parse().ok()? };
    positions.match_indices('~').find_map(|(sign, _)| {
        let (applied, restart) = (positions.get(..sign)?, positions.get(sign + 1..)?);
        let (applied, restart) = (plain(applied).ok()?, plain(restart).ok()?);
        let one_log = applied.is_of_one_log(&restart);
        one_log.then(|| Position::held(applied, restart, oldest.clone()))
    })
}

impl Position {
    /// Whether both can be positions in the log of one MySQL or of one MariaDB server.
    fn is_of_one_log(&self, other: &Position) -> bool {
        let mysql = |one: &Position| matches!(one, Position::Mysql(..) | Position::MysqlPlace(..));
        let mariadb = |one: &Position| matches!(one, Position::Mariadb(..));
        mysql(self) && mysql(other) || mariadb(self) && mariadb(other)
    }
}

/// A position that is not held.
fn plain(text: &str) -> Result<Position, ParsePositionError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            "mysql:3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9@b.000003:99#7~mysql:@b.000001:4#7~X'61',X'',1@1764100000",
            "mysql-place:@b.000003:99#7~mysql-place:@b.000001:4#7~X'61',X'',1@1764100000",
            "mariadb:0-1-100,5-2-7@m~mysql:x.000009:77~mariadb:0-1-90@m~mysql:x.000009:66~X'61',X'',1@1764100000",
            "mysql:@m~bin.000001:4",
        ] {
            let position: Position = text.parse().expect(text);
            assert_eq!(position.to_string(), text);
        }
        for text in [
            "oracle:1",
            "mysql-place:",
            "mysql:@b.1:4#",
            "mysql:@b.1:4#x",
            "mysql:~",
            "mysql:~mysql:",
            "mysql:~mysql:~x",
            "lsn:0/1~lsn:0/1~x@1",
            "mysql:~mariadb:~x@1",
            "mysql:~mysql:~mysql:~x@1",
        ] {
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
            ("mysql-place:@other:4", false, false),
            ("mysql:@b.000009:899#7", false, true),
            ("mysql:3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5", false, false),
        ] {
            assert_eq!(at(text).reaches(&at(earlier)), reaches, "{text}");
            assert_eq!(at(earlier).reaches(&at(text)), reached, "{text}");
        }
        assert!(at("mysql-place:@b:900").reaches(&at("mysql-place:@b:899")), "no number");
        assert!(at("mariadb:0-2-50@b.000001:900").reaches(&at("mariadb:0-1-100@b.000001:800")));
        assert!(at("mariadb:0-2-50@b.000001:900").reaches(&at("mariadb:0-2-50@b.000002:4")));
        assert!(!at("mariadb:0-2-50").reaches(&at("mariadb:0-1-100@b.000001:800")));
    }

    /// Broken if what holds a position changed what it compares by, or were read from elsewhere.
    #[test]
    fn a_held_position_is_what_is_applied() {
        let at = |text: &str| text.parse::<Position>().expect(text);
        let held = at("mariadb:0-1-100@b.000003:77~mariadb:0-1-90@b.000001:66~X'61',X'',1@5");
        let applied = at("mariadb:0-1-100@b.000003:77");
        assert!(held.reaches(&applied) && applied.reaches(&held) && held != applied);
        assert_eq!(held.coordinates(), applied.coordinates());
        assert_eq!(at("mariadb:0-1-109").transactions_since(&held), Some(9));
        let moved = held.without_place().to_string();
        assert_eq!(moved, "mariadb:0-1-100~mariadb:0-1-90~X'61',X'',1@5");
    }

    proptest! {
        /// Broken if some stored position were read back as another one.
        #[test]
        fn every_position_comes_back(
            sequences in (0u64..1 << 60, 0u64..1 << 60),
            file in "[a-z~.-]{1,12}\\.[0-9]{6}",
            offsets in proptest::array::uniform2(proptest::option::of(4u64..1 << 40)),
            born in proptest::option::of(any::<u32>()),
            oldest in proptest::option::of(("X'[0-9a-f]{0,20}',X'',[0-9]{1,9}", any::<u64>())),
        ) {
            let position = |sequence: u64, offset: Option<u64>| {
                let mut set = MariadbGtidSet::default();
                set.add(gtid::MariadbGtid { domain: 1, server: 2, sequence });
                let at = |position| Coordinates { file: file.clone(), position, born };
                Position::Mariadb(set, offset.map(at))
            };
            let applied = position(sequences.1, offsets[1]);
            let stored = match oldest {
                Some((xid, since_s)) => {
                    let restart = position(sequences.0, offsets[0]);
                    Position::held(applied, restart, Undecided { xid, since_s })
                }
                None => applied,
            };
            prop_assert_eq!(stored.to_string().parse(), Ok(stored));
        }
    }
}
