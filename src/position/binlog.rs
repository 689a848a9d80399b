//! Coordinates in a MySQL or MariaDB binary log: file and byte position.

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
}

impl Coordinates {
    /// The number at the end of the file name; files of one server are ordered by it.
    pub fn file_number(&self) -> Option<u64> {
        self.file.rsplit_once('.').and_then(|(_, number)| number.parse().ok())
    }
}

/// `None` across different base names.
impl PartialOrd for Coordinates {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let base = |at: &Self| at.file.rsplit_once('.').map(|(base, _)| base.to_owned());
        if base(self) != base(other) {
            return None;
        }
        let files = self.file_number()?.cmp(&other.file_number()?);
        Some(files.then(self.position.cmp(&other.position)))
    }
}

impl fmt::Display for Coordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.position)
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
        Ok(Coordinates { file: file.to_owned(), position: position.parse().map_err(|_| bad())? })
    }
}
