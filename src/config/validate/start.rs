//! `start`: where a new link begins. A place is written in the words of the source's dialect, and only
//! for one link: it is a place in one server's log.

use crate::config::problem::{Place, Report};
use crate::config::raw::{self, StartAt};
use crate::config::read::At;
use crate::config::settings::{Dialect, Start};
use crate::position::{Coordinates, Position};

/// Bytes that every file of a binary log begins with: no place lies before them.
const LOG_HEADER_BYTES: u64 = 4;

/// Of what a section says how it goes.
#[derive(Clone, Copy)]
pub(super) enum Of {
    /// Of every link.
    Every,
    /// Of one, and the dialect of its source, where that is known.
    Link(Option<Dialect>),
}

/// Checks one.
pub(super) fn start(written: &At<raw::Start>, of: Of, report: &mut Report<'_>) -> Option<Start> {
    let place = match &written.value {
        raw::Start::Word(word) => return Some(word.clone()),
        raw::Start::At(place) => place,
    };
    match of {
        Of::Every => {
            let message = "a place to start at is one in one server's log";
            report.add(written.place, message, "write it in [link.SOURCE.TARGET]");
            None
        }
        // Of a source that is not known, enough is said.
        Of::Link(None) => None,
        Of::Link(Some(dialect)) => position(place, written.place, dialect, report).map(Start::At),
    }
}

fn position(
    written: &StartAt,
    at: Place,
    dialect: Dialect,
    report: &mut Report<'_>,
) -> Option<Position> {
    let form = form_of(dialect);
    match (dialect, written) {
        (Dialect::Postgres, StartAt { lsn: Some(lsn), gtid: None, file: None, pos: None }) => {
            let parsed = lsn.parse().ok().map(Position::Postgres);
            told(parsed, lsn, "an LSN", form, report)
        }
        (Dialect::Mysql, StartAt { gtid: Some(gtid), lsn: None, file: None, pos: None }) => {
            let parsed = gtid.parse().ok().map(|set| Position::Mysql(set, None));
            told(parsed, gtid, "a set of MySQL's GTIDs", form, report)
        }
        (Dialect::Mariadb, StartAt { gtid: Some(gtid), lsn: None, file: None, pos: None }) => {
            let parsed = gtid.parse().ok().map(|set| Position::Mariadb(set, None));
            told(parsed, gtid, "a list of MariaDB's GTIDs", form, report)
        }
        (
            Dialect::Mysql | Dialect::Mariadb,
            StartAt { file: Some(file), pos: Some(pos), gtid: None, lsn: None },
        ) => {
            let coordinates = coordinates(file, pos, report)?;
            Some(match dialect {
                Dialect::Mariadb => Position::Mariadb(Default::default(), Some(coordinates)),
                _ => Position::MysqlPlace(Default::default(), coordinates),
            })
        }
        _ => {
            report.add(at, format!("not a place in the log of {dialect}"), form);
            None
        }
    }
}

/// How a place is written.
fn form_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "write { lsn = \"0/16B3748\" }",
        Dialect::Mysql => {
            "write { gtid = \"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5\" } or \
             { file = \"binlog.000003\", pos = 1234 }"
        }
        Dialect::Mariadb => {
            "write { gtid = \"0-1-100\" } or { file = \"mysql-bin.000003\", pos = 1234 }"
        }
    }
}

fn told(
    parsed: Option<Position>,
    text: &At<String>,
    what: &str,
    form: &str,
    report: &mut Report<'_>,
) -> Option<Position> {
    if parsed.is_none() {
        report.add(text.place, format!("not {what}"), form);
    }
    parsed
}

fn coordinates(file: &At<String>, pos: &At<u64>, report: &mut Report<'_>) -> Option<Coordinates> {
    let named = Coordinates::new(file.value.clone(), pos.value);
    let good = named.file_number().is_some() && !file.contains(['/', '@', '~', '\0']);
    if !good {
        let hint = "write it as SHOW BINARY LOGS has it, without a folder, as \"binlog.000003\"";
        report.add(file.place, "not a file of a binary log", hint);
    }
    if pos.value < LOG_HEADER_BYTES {
        report.add(pos.place, "no place in a binary log lies before byte 4", "");
        return None;
    }
    good.then_some(named)
}
