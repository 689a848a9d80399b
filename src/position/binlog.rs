//! Coordinates in a MySQL or MariaDB binary log: file and byte position, and when the file was begun,
//! which tells a log from another one with the same names.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::ParsePositionError;

/// A place in a server's binary log. Comparable only among coordinates of one server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Coordinates {
    /// File name, `binlog.000003`.
    pub file: String,
    /// Byte position after the last event, at least 4.
    pub position: u64,
    /// When the file was begun, seconds since 1970 by the server's clock. Known only where the place
    /// was read from the log itself; a place that the server only told may run ahead of what its
    /// other answers say.
    pub born: Option<u32>,
}

impl Coordinates {
    /// A place that a server told.
    pub fn new(file: impl Into<String>, position: u64) -> Self {
        Coordinates { file: file.into(), position, born: None }
    }

    /// Whether this place is `other` or comes after it in one log; false for files of another name,
    /// and where the file is known to be another one with the same name.
    pub fn reaches(&self, other: &Coordinates) -> bool {
        let (same, born) = (self.file == other.file, self.born.zip(other.born));
        let another = same && born.is_some_and(|(own, others)| own != others);
        !another && self.partial_cmp(other).is_some_and(Ordering::is_ge)
    }

    /// The number at the end of the file name; files of one server are ordered by it.
    pub fn file_number(&self) -> Option<u64> {
        self.file.rsplit_once('.').and_then(|(_, number)| number.parse().ok())
    }
}

/// `None` across different base names, and of files without a number that are not the same.
impl PartialOrd for Coordinates {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self.file == other.file {
            return Some(self.position.cmp(&other.position));
        }
        let base = |at: &Self| at.file.rsplit_once('.').map(|(base, _)| base.to_owned());
        if base(self) != base(other) {
            return None;
        }
        let files = self.file_number()?.cmp(&other.file_number()?);
        Some(files.then(self.position.cmp(&other.position)))
    }
}

/// `binlog.000003:1234`, and `binlog.000003:1234#1764100000` where it is known when the file was begun.
impl fmt::Display for Coordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.position)?;
        match self.born {
            Some(born) => write!(f, "#{born}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Coordinates {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParsePositionError(text.to_owned());
        let (file, position) = text.rsplit_once(':').ok_or_else(bad)?;
        if file.is_empty() {
            return Err(bad());
        }
        let (position, born) = match position.split_once('#') {
            Some((position, born)) => (position, Some(born.parse().map_err(|_| bad())?)),
            None => (position, None),
        };
        let position = position.parse().map_err(|_| bad())?;
        Ok(Coordinates { file: file.to_owned(), position, born })
    }
}
