//! GTID sets of MySQL (uuid, optional tag, intervals) and MariaDB (last sequence per domain), as
//! pure data: parse, print, contain, add.
//!
//! Sources: MySQL manual "GTID Format and Storage" (tags since 8.3); MariaDB "Global Transaction
//! ID".

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::ParsePositionError;

/// A source of MySQL GTIDs: the server's uuid in lower case, and the tag (empty for none).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MysqlOrigin {
    /// Server uuid, lower case with dashes.
    pub uuid: String,
    /// Tag, empty for none.
    pub tag: String,
}

/// MySQL: which transactions have been executed. Intervals are inclusive, disjoint, ascending and
/// not adjacent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MysqlGtidSet {
    intervals: BTreeMap<MysqlOrigin, Vec<(u64, u64)>>,
}

impl MysqlGtidSet {
    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// Origins with their inclusive intervals, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&MysqlOrigin, &[(u64, u64)])> {
        self.intervals.iter().map(|(origin, intervals)| (origin, intervals.as_slice()))
    }

    /// Adds one transaction.
    pub fn add(&mut self, origin: &MysqlOrigin, number: u64) {
        match self.intervals.get_mut(origin) {
            Some(intervals) => insert(intervals, (number, number)),
            None => {
                self.intervals.insert(origin.clone(), vec![(number, number)]);
            }
        }
    }

    /// Adds the transactions of one inclusive interval; one that is empty or starts at 0 adds none.
    pub fn add_interval(&mut self, origin: &MysqlOrigin, (low, high): (u64, u64)) {
        if low > 0 && low <= high {
            insert(self.intervals.entry(origin.clone()).or_default(), (low, high));
        }
    }

    /// Adds every transaction of `other`.
    pub fn add_set(&mut self, other: &MysqlGtidSet) {
        for (origin, theirs) in &other.intervals {
            let own = self.intervals.entry(origin.clone()).or_default();
            theirs.iter().for_each(|interval| insert(own, *interval));
        }
    }

    /// Whether one transaction is in the set.
    pub fn contains(&self, origin: &MysqlOrigin, number: u64) -> bool {
        self.intervals
            .get(origin)
            .is_some_and(|own| own.iter().any(|(low, high)| *low <= number && number <= *high))
    }

    /// Whether every transaction of `other` is in the set.
    pub fn contains_set(&self, other: &MysqlGtidSet) -> bool {
        other.intervals.iter().all(|(origin, theirs)| {
            let own = self.intervals.get(origin).map_or(&[][..], Vec::as_slice);
            theirs.iter().all(|(low, high)| own.iter().any(|(from, to)| from <= low && high <= to))
        })
    }

    /// What of `self` is not in `other`.
    pub fn minus(&self, other: &MysqlGtidSet) -> MysqlGtidSet {
        let mut rest = MysqlGtidSet::default();
        for (origin, own) in &self.intervals {
            let theirs = other.intervals.get(origin).map_or(&[][..], Vec::as_slice);
            let left: Vec<_> = own.iter().flat_map(|interval| cut(*interval, theirs)).collect();
            if !left.is_empty() {
                rest.intervals.insert(origin.clone(), left);
            }
        }
        rest
    }
}

impl MysqlGtidSet {
    /// How many transactions are in the set.
    pub fn count(&self) -> u64 {
        let own = self.intervals.values().flatten();
        own.fold(0, |sum: u64, (low, high)| sum.saturating_add(high - low).saturating_add(1))
    }
}

/// Merges one interval into a list, keeping it disjoint, ascending and not adjacent.
fn insert(intervals: &mut Vec<(u64, u64)>, (low, high): (u64, u64)) {
    let start = intervals.partition_point(|(_, end)| end.saturating_add(1) < low);
    let end = intervals.partition_point(|(begin, _)| *begin <= high.saturating_add(1));
    if start >= end {
        intervals.insert(start, (low, high));
        return;
    }
    let merged = (intervals[start].0.min(low), intervals[end - 1].1.max(high));
    intervals.splice(start..end, [merged]);
}

/// The pieces of `interval` outside the ascending `holes`.
fn cut((low, high): (u64, u64), holes: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut pieces = Vec::new();
    let mut from = low;
    for (begin, end) in holes.iter().filter(|(begin, end)| *end >= low && *begin <= high) {
        if *begin > from {
            pieces.push((from, begin - 1));
        }
        from = from.max(end.saturating_add(1));
    }
    if from <= high {
        pieces.push((from, high));
    }
    pieces
}

/// As MySQL prints it: `uuid:1-5:7:tag:1-3,uuid2:1`.
impl fmt::Display for MysqlGtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut uuid = "";
        for (origin, intervals) in &self.intervals {
            if origin.uuid != uuid {
                let comma = if uuid.is_empty() { "" } else { "," };
                write!(f, "{comma}{}", origin.uuid)?;
                uuid = &origin.uuid;
            }
            if !origin.tag.is_empty() {
                write!(f, ":{}", origin.tag)?;
            }
            for (low, high) in intervals {
                if low == high { write!(f, ":{low}") } else { write!(f, ":{low}-{high}") }?;
            }
        }
        Ok(())
    }
}

impl FromStr for MysqlGtidSet {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParsePositionError(text.to_owned());
        let mut set = MysqlGtidSet::default();
        for block in text.split(',').map(str::trim).filter(|block| !block.is_empty()) {
            let mut sections = block.split(':').map(str::trim);
            let uuid = sections.next().ok_or_else(bad)?.to_ascii_lowercase();
            if uuid.len() != 36 || uuid.split('-').count() != 5 {
                return Err(bad());
            }
            let mut origin = MysqlOrigin { uuid, tag: String::new() };
            for section in sections {
                if section.starts_with(|first: char| first.is_ascii_digit()) {
                    let (low, high) = section.split_once('-').unwrap_or((section, section));
                    let low: u64 = low.trim().parse().map_err(|_| bad())?;
                    let high: u64 = high.trim().parse().map_err(|_| bad())?;
                    if low == 0 || low > high {
                        return Err(bad());
                    }
                    insert(set.intervals.entry(origin.clone()).or_default(), (low, high));
                } else if section.is_empty() {
                    return Err(bad());
                } else {
                    origin.tag = section.to_ascii_lowercase();
                }
            }
        }
        Ok(set)
    }
}

/// One MariaDB GTID: the transaction `sequence` of `domain`, written by `server`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MariadbGtid {
    /// Replication domain.
    pub domain: u32,
    /// Server id of the writer.
    pub server: u32,
    /// Sequence number within the domain.
    pub sequence: u64,
}

/// MariaDB: the last GTID of each domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MariadbGtidSet {
    last: BTreeMap<u32, (u32, u64)>,
}

impl MariadbGtidSet {
    /// Whether there is no domain yet.
    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// The last GTID of each domain, by domain.
    pub fn iter(&self) -> impl Iterator<Item = MariadbGtid> + '_ {
        self.last.iter().map(|(domain, (server, sequence))| MariadbGtid {
            domain: *domain,
            server: *server,
            sequence: *sequence,
        })
    }

    /// The last GTID of a domain.
    pub fn last(&self, domain: u32) -> Option<MariadbGtid> {
        let (server, sequence) = *self.last.get(&domain)?;
        Some(MariadbGtid { domain, server, sequence })
    }

    /// Records `gtid` as the last of its domain.
    pub fn add(&mut self, gtid: MariadbGtid) {
        self.last.insert(gtid.domain, (gtid.server, gtid.sequence));
    }

    /// Whether each domain of `other` is at least as far here. Sequence numbers rise within a
    /// domain, whoever writes.
    pub fn contains_set(&self, other: &MariadbGtidSet) -> bool {
        other.last.iter().all(|(domain, (_, sequence))| {
            self.last.get(domain).is_some_and(|(_, own)| own >= sequence)
        })
    }

    /// How many sequence numbers lie between `other` and here, over all domains. A server gives
    /// them without holes unless it is told to.
    pub fn count_since(&self, other: &MariadbGtidSet) -> u64 {
        let since = |(domain, (_, own)): (&u32, &(u32, u64))| {
            own.saturating_sub(other.last.get(domain).map_or(0, |(_, sequence)| *sequence))
        };
        self.last.iter().map(since).fold(0, u64::saturating_add)
    }
}

/// As MariaDB prints it: `0-1-100,5-2-7`.
impl fmt::Display for MariadbGtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, gtid) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}-{}-{}", gtid.domain, gtid.server, gtid.sequence)?;
        }
        Ok(())
    }
}

impl FromStr for MariadbGtidSet {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParsePositionError(text.to_owned());
        let mut set = MariadbGtidSet::default();
        for gtid in text.split(',').map(str::trim).filter(|gtid| !gtid.is_empty()) {
            let mut fields = gtid.split('-');
            let mut field = || fields.next().ok_or_else(bad);
            let gtid = MariadbGtid {
                domain: field()?.parse().map_err(|_| bad())?,
                server: field()?.parse().map_err(|_| bad())?,
                sequence: field()?.parse().map_err(|_| bad())?,
            };
            if fields.next().is_some() {
                return Err(bad());
            }
            set.add(gtid);
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn mysql(text: &str) -> MysqlGtidSet {
        text.parse().expect(text)
    }

    /// Broken if a tagged set were read as untagged: weir would resume at the wrong place.
    #[test]
    fn tags_and_gaps_survive() {
        let text = format!("{UUID}:1-5:7:mytag:1-3:9");
        assert_eq!(mysql(&text).to_string(), text);
        assert!(!mysql(&format!("{UUID}:1-5")).contains_set(&mysql(&format!("{UUID}:mytag:1"))));
        assert_eq!(
            mysql(&text).minus(&mysql(&format!("{UUID}:2-3:mytag:1-9"))).to_string(),
            format!("{UUID}:1:4-5:7")
        );
    }

    /// Broken if the lag in transactions counted one that is applied, or left one out.
    #[test]
    fn transactions_are_counted() {
        let behind = mysql(&format!("{UUID}:1-5:8:tag:1-2")).minus(&mysql(&format!("{UUID}:1-3")));
        assert_eq!((behind.count(), MysqlGtidSet::default().count()), (5, 0));
        let mariadb = |text: &str| text.parse::<MariadbGtidSet>().expect(text);
        assert_eq!(mariadb("0-1-100,5-2-7").count_since(&mariadb("0-1-98,6-1-1")), 9);
        assert_eq!(mariadb("0-1-98").count_since(&mariadb("0-1-100")), 0);
    }

    proptest! {
        /// Broken if merging lost or invented a transaction, whatever the order of arrival.
        #[test]
        fn add_is_a_set(numbers in proptest::collection::vec(1u64..60, 0..80)) {
            let origin = MysqlOrigin { uuid: UUID.to_owned(), tag: String::new() };
            let mut set = MysqlGtidSet::default();
            numbers.iter().for_each(|number| set.add(&origin, *number));
            for number in 1..60 {
                prop_assert_eq!(set.contains(&origin, number), numbers.contains(&number));
            }
            let reread: MysqlGtidSet = set.to_string().parse().expect("printed");
            prop_assert_eq!(&reread, &set);
            for (_, intervals) in set.iter() {
                prop_assert!(intervals.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            }
        }
    }
}
