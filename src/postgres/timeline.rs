//! Who a server is, and whether it goes on with the log of another: a standby that was promoted.
//!
//! An identity is `<system id>/<timeline>`. A promotion ends the timeline at a place that the server's
//! history names; what was written beyond it on the old timeline is not part of the new one. Pure.
//! Source: PostgreSQL manual, "Continuous Archiving", "Timelines"; command TIMELINE_HISTORY.

use crate::error::{Error, Kind, Result};
use crate::position::Lsn;

/// A cluster, and one course of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Course<'a> {
    /// System identifier.
    pub(super) system: &'a str,
    /// Timeline.
    pub(super) timeline: u32,
}

impl<'a> Course<'a> {
    /// From an identity; `None` for one of another make.
    pub(super) fn parse(identity: &'a str) -> Option<Self> {
        let (system, timeline) = identity.split_once('/')?;
        Some(Course { system, timeline: timeline.parse().ok()? })
    }
}

/// Refuses another server than before behind the address. Whether that one may go on is for the next
/// attempt to say.
///
/// # Errors
/// `Unavailable`, with both.
pub(super) fn require_same(database: &str, was: &str, is: &str) -> Result<()> {
    if is == was {
        return Ok(());
    }
    let context = format!("database {database} is now served by {is}, it was {was}");
    Err(Error::new(Kind::Unavailable, context))
}

/// Refuses a server whose places in the log cannot be compared with those of `log`, an identity. That of
/// a standby, by its last restart point, may still be on an older timeline.
///
/// # Errors
/// `Configuration` for another cluster; `Unavailable` for one that has left this log or is not there yet.
pub(super) fn require_comparable(database: &str, log: &str, is: &str, standby: bool) -> Result<()> {
    let (Some(log), Some(server)) = (Course::parse(log), Course::parse(is)) else {
        return require_same(database, log, is);
    };
    if server.system != log.system {
        let context = format!(
            "the server of {database} that tables are read from is cluster {}, and the log is that of \
             cluster {}",
            server.system, log.system
        );
        return Err(Error::new(Kind::Configuration, context)
            .hint("name a streaming replica of that very server in read_url, or leave it out"));
    }
    let follows = match standby {
        true => server.timeline <= log.timeline,
        false => server.timeline == log.timeline,
    };
    if follows {
        return Ok(());
    }
    let context = format!(
        "the server of {database} that tables are read from is on timeline {}, and the log on {}",
        server.timeline, log.timeline
    );
    Err(Error::new(Kind::Unavailable, context)
        .hint("name a standby of the server that is read from in read_url, or leave it out"))
}

/// Where `timeline` ends by a history of a later one; `None` if it is no ancestor of it. Lines are
/// `<timeline> <end> <reason>`.
pub(super) fn end_of(timeline: u32, history: &str) -> Option<Lsn> {
    history.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let known: u32 = words.next()?.parse().ok()?;
        let end = words.next()?.parse().ok()?;
        (known == timeline).then_some(end)
    })
}

/// Whether the log of `now`, whose history is `history`, holds all of that of `before` up to
/// `position`; without a position, whether it goes on with it at all.
///
/// # Errors
/// `Identity` where it does not go on with it; `Gap` where the target holds what the source lost.
pub(super) fn goes_on(
    before: Course<'_>,
    now: Course<'_>,
    history: &str,
    position: Option<Lsn>,
) -> Result<()> {
    let Some(end) = end_of(before.timeline, history) else {
        let context = format!(
            "the source's timeline {} does not come from timeline {}, which the target holds",
            now.timeline, before.timeline
        );
        return Err(Error::new(Kind::Identity, context).hint(
            "point the database at the server that was promoted, or `weir teardown LINK --apply`, then \
             start anew with start = \"snapshot\"",
        ));
    };
    match position {
        Some(position) if position > end => {
            let context = format!(
                "the source was promoted at {end}, and the target has applied its timeline {} up to \
                 {position}: it may hold transactions that the source has lost",
                before.timeline
            );
            Err(Error::new(Kind::Gap, context).hint(
                "`weir teardown LINK --apply`, then start anew with start = \"snapshot\"; synchronized_standby_slots keeps weir from reading ahead of a standby",
            ))
        }
        _ => Ok(()),
    }
}

/// The error for a source on an older timeline than what the target holds.
pub(super) fn left_behind(before: Course<'_>, now: Course<'_>) -> Error {
    let context = format!(
        "the source is on timeline {}, and the target holds changes of timeline {}: the source was \
         left behind by a failover",
        now.timeline, before.timeline
    );
    Error::new(Kind::Identity, context).hint("point the database at the server that was promoted")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HISTORY: &str = "1\t0/3000148\tno recovery target specified\n\
                           \n2\t0/5000060\tbefore 2024-01-01 00:00:00+00\n";

    /// Broken if rows were judged by marks of another server's log, or a standby could not be read from.
    #[test]
    fn only_a_replica_has_comparable_marks() {
        let kind = |is, standby| {
            require_comparable("pg", "7/3", is, standby).err().map(|error| error.kind())
        };
        assert_eq!(kind("7/3", false), None);
        assert_eq!(kind("7/3", true), None);
        assert_eq!(kind("7/2", true), None, "its restart point is from before a failover");
        assert_eq!(kind("7/2", false), Some(Kind::Unavailable));
        assert_eq!(kind("7/4", true), Some(Kind::Unavailable), "it follows another");
        assert_eq!(kind("7/4", false), Some(Kind::Unavailable), "it was promoted");
        assert_eq!(kind("8/3", true), Some(Kind::Configuration));
    }

    /// Broken if a server that lost transactions, or of another branch, were followed, or one that
    /// lost nothing were refused.
    #[test]
    fn a_promoted_standby_goes_on_where_nothing_was_lost() {
        let course = |timeline| Course { system: "7", timeline };
        let kind = |before, position: u64| {
            goes_on(course(before), course(3), HISTORY, Some(Lsn(position)))
                .err()
                .map(|error| error.kind())
        };
        assert_eq!(kind(2, 0x0500_0060), None);
        assert_eq!(kind(2, 0x0500_0061), Some(Kind::Gap));
        assert_eq!(kind(1, 0x0300_0148), None);
        assert_eq!(kind(1, 0x0400_0000), Some(Kind::Gap));
        assert_eq!(kind(4, 1), Some(Kind::Identity));
        assert!(goes_on(course(1), course(3), HISTORY, None).is_ok());
        assert_eq!(Course::parse("7/12"), Some(Course { system: "7", timeline: 12 }));
        assert_eq!(Course::parse("uuid"), None);
        assert_eq!(end_of(1, "1\nnonsense\n1 x y"), None);
    }
}
