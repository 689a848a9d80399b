//! What is told of copies while they go on: a line in the log when a table begins and once a minute after
//! that, and rows for the counters. A task of its own that looks at every link's status; no link waits for
//! it. When a table is done, its link says so itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::config::LinkName;
use crate::link::status::{CopyStatus, now_us};
use crate::link::supervisor::Links;
use crate::observe::metrics::Metrics;
use crate::snapshot::progress::Stage;

/// How often the links are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often a copy that goes on is told of.
const TELL_EVERY_US: i64 = 60_000_000;

/// Looks at the links until `stop`, and once more then.
pub async fn watch(links: Links, metrics: Arc<Metrics>, stop: CancellationToken) {
    let mut known = Known::new(now_us());
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let ends = tokio::select! {
            biased;
            () = stop.cancelled() => true,
            _ = look.tick() => false,
        };
        let handles = links.borrow().clone();
        for handle in handles.iter() {
            let copies = handle.watch().borrow().copies.clone();
            let told = known.look(&handle.link, &copies, now_us());
            metrics.copied(&handle.link, told.iter().map(|told| (told.table.as_str(), told.rows)));
            told.iter().for_each(|told| told.log(&handle.link, &copies));
        }
        known.keep(handles.iter().map(|handle| &handle.link));
        if ends {
            return;
        }
    }
}

/// What was told.
struct Known {
    since_us: i64,
    copies: BTreeMap<LinkName, BTreeMap<String, One>>,
}

/// One copy, as it was looked at last.
#[derive(Clone, Copy, Default)]
struct One {
    asked_us: i64,
    rows: u64,
    told_us: Option<i64>,
}

/// What is to be told of a table.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    table: String,
    /// Written since the last look.
    rows: u64,
    line: Option<Says>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Begins,
    GoesOn,
}

impl Known {
    fn new(since_us: i64) -> Known {
        Known { since_us, copies: BTreeMap::new() }
    }

    /// Forgets other links than these.
    fn keep<'a>(&mut self, links: impl Iterator<Item = &'a LinkName>) {
        let links: BTreeSet<&LinkName> = links.collect();
        self.copies.retain(|link, _| links.contains(link));
    }

    fn look(&mut self, link: &LinkName, copies: &[CopyStatus], now_us: i64) -> Vec<Told> {
        let known = self.copies.entry(link.clone()).or_default();
        let mut told = Vec::new();
        for CopyStatus { table, progress, .. } in copies {
            let begun = progress.begun_us;
            let mut one = known.get(table).copied().unwrap_or(One {
                asked_us: progress.asked_us,
                // What an earlier process has written is not counted again.
                rows: if begun.is_some_and(|at| at < self.since_us) { progress.rows } else { 0 },
                told_us: None,
            });
            if one.asked_us != progress.asked_us {
                one = One { asked_us: progress.asked_us, ..One::default() };
            }
            let going = !progress.stage.is_over() && progress.stage != Stage::Waiting;
            let line = match one.told_us {
                None if going => Some(Says::Begins),
                Some(at) if going && !progress.paused && now_us - at >= TELL_EVERY_US => {
                    Some(Says::GoesOn)
                }
                None | Some(_) => None,
            };
            let rows = progress.rows.saturating_sub(one.rows);
            let told_us = line.map(|_| now_us).or(one.told_us);
            known.insert(table.clone(), One { rows: progress.rows, told_us, ..one });
            if rows > 0 || line.is_some() {
                told.push(Told { table: table.clone(), rows, line });
            }
        }
        known.retain(|table, _| copies.iter().any(|copy| copy.table == *table));
        told
    }
}

impl Told {
    fn log(&self, link: &LinkName, copies: &[CopyStatus]) {
        let Some((says, copy)) = self.line.zip(copies.iter().find(|copy| copy.table == self.table))
        else {
            return;
        };
        let (table, rows) = (&self.table, copy.progress.rows);
        let about = copy.progress.estimate.unwrap_or_default();
        match says {
            Says::Begins => tracing::info!(%link, %table, rows, about, "the table is being copied"),
            Says::GoesOn => tracing::info!(
                %link,
                %table,
                rows,
                about,
                rows_per_second = copy.rows_per_second.round() as u64,
                seconds_left = copy.seconds_left().map(|left| left.ceil() as u64),
                waits_for = copy.waits_for,
                "the copy goes on"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::progress::Progress;

    const S: i64 = 1_000_000;

    fn copy(stage: Stage, rows: u64, asked_us: i64, begun_us: Option<i64>) -> [CopyStatus; 1] {
        let progress = Progress { stage, rows, asked_us, begun_us, ..Progress::default() };
        [CopyStatus { table: "s.t".to_owned(), progress, ..CopyStatus::default() }]
    }

    /// Broken if the log did not say that a copy begins and goes on, said it without end, or rows were
    /// counted twice, not at all, or again after a restart.
    #[test]
    fn a_copy_is_told_when_it_begins_and_each_minute() {
        let link = LinkName { source: "a".to_owned(), target: "b".to_owned() };
        let mut known = Known::new(100 * S);
        let mut look = |stage, rows, asked, begun, at: i64| {
            let told = known.look(&link, &copy(stage, rows, asked, begun), at * S);
            told.into_iter().map(|told| (told.rows, told.line)).collect::<Vec<_>>()
        };
        let begun = Some(101 * S);
        assert_eq!(look(Stage::Waiting, 0, 1, None, 100), []);
        assert_eq!(look(Stage::Copying, 0, 1, begun, 101), [(0, Some(Says::Begins))]);
        assert_eq!(look(Stage::Copying, 7, 1, begun, 102), [(7, None)]);
        assert_eq!(look(Stage::Copying, 7, 1, begun, 103), []);
        assert_eq!(look(Stage::Copying, 9, 1, begun, 161), [(2, Some(Says::GoesOn))]);
        assert_eq!(look(Stage::Done, 10, 1, begun, 162), [(1, None)]);
        assert_eq!(look(Stage::Done, 10, 1, begun, 300), []);
        // It is copied once more.
        let again = look(Stage::Copying, 4, 2, Some(301 * S), 301);
        assert_eq!(again, [(4, Some(Says::Begins))]);
        // A process that goes on with it.
        let mut known = Known::new(400 * S);
        let told = known.look(&link, &copy(Stage::Copying, 50, 2, Some(301 * S)), 401 * S);
        assert_eq!((told[0].rows, told[0].line), (0, Some(Says::Begins)));
    }
}
