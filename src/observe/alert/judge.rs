//! What is told, and when: once when it begins, once when it is over, and in between only if it happens
//! again, with a count, after a while. Pure: the clock is a parameter.
//!
//! Of one kind about one link at most two alerts come in `min_interval`: that it is so, and that it is
//! over. What happens beyond that is counted, and told with the next one: nothing is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::reading::{self, Finding, Reading};
use super::{Alert, AlertKind, AlertState, Key};
use crate::config::{AlertBounds, LinkName};
use crate::link::space::Room;
use crate::link::status::LinkStatus;

/// Remembers what was told.
#[derive(Debug, Default)]
pub struct Judge {
    topics: BTreeMap<Key, Topic>,
}

/// What is known of one kind about one link.
#[derive(Debug, Default)]
struct Topic {
    is_open: bool,
    since_us: i64,
    until_us: Option<i64>,
    /// What was told last said that it is so.
    told_open: bool,
    told_us: Option<i64>,
    /// How often it happened since.
    untold: u64,
    finding: Finding,
    /// What the last good look said.
    well: String,
}

impl Judge {
    /// Looks at every link, and at the disk; what is to be told now.
    pub fn look(
        &mut self,
        links: &[(LinkName, LinkStatus)],
        room: Room,
        bounds: &AlertBounds,
        min_interval: Duration,
        now_us: i64,
    ) -> Vec<Alert> {
        let mut readings: Vec<(Key, Reading)> = Vec::new();
        for (link, status) in links {
            let found = reading::of_link(link, status, bounds, now_us);
            let of_link =
                found.into_iter().map(|(kind, found)| ((kind, Some(link.clone())), found));
            readings.extend(of_link);
        }
        readings
            .push(((AlertKind::DiskSpace, None), reading::of_space(room, bounds.disk_free_min)));
        let is_there: BTreeSet<&LinkName> = links.iter().map(|(link, _)| link).collect();
        let gone = self
            .topics
            .keys()
            .filter(|(_, link)| link.as_ref().is_some_and(|link| !is_there.contains(link)));
        let left = |key: &Key| (key.clone(), Reading::Good("no longer configured".to_owned()));
        readings.extend(gone.map(left));
        let interval_us = i64::try_from(min_interval.as_micros()).unwrap_or(i64::MAX);
        let told = readings.into_iter().filter_map(|(key, reading)| {
            if matches!(reading, Reading::Good(_) | Reading::Unknown)
                && !self.topics.contains_key(&key)
            {
                return None;
            }
            let topic = self.topics.entry(key.clone()).or_default();
            topic.note(reading, now_us);
            topic.tell(key, interval_us, now_us)
        });
        let told: Vec<_> = told.collect();
        self.topics.retain(|_, topic| !topic.is_settled(interval_us, now_us));
        told
    }
}

impl Topic {
    /// Takes in what a look found out.
    fn note(&mut self, reading: Reading, now_us: i64) {
        match reading {
            Reading::Unknown => {}
            Reading::Good(well) => {
                self.well = well;
                if std::mem::take(&mut self.is_open) {
                    self.until_us = Some(now_us);
                }
            }
            Reading::Bad(finding) => {
                let more = finding.happened.saturating_sub(self.finding.happened);
                if !self.is_open {
                    // What is not told yet goes on with it.
                    if self.untold == 0 {
                        self.since_us = finding.since_us.unwrap_or(now_us);
                    }
                    self.untold += more.max(1);
                    (self.is_open, self.until_us) = (true, None);
                } else {
                    let is_another = finding.occurrence != self.finding.occurrence;
                    self.untold += more.max(u64::from(is_another));
                }
                self.finding = finding;
            }
        }
    }

    /// What is to be told of it now, if anything.
    fn tell(&mut self, key: Key, interval_us: i64, now_us: i64) -> Option<Alert> {
        let is_over = self.told_open && !self.is_open;
        let is_news = self.untold > 0 && self.is_due(interval_us, now_us);
        if !is_over && !is_news {
            return None;
        }
        (self.told_open, self.told_us) = (self.is_open, Some(now_us));
        let count = std::mem::take(&mut self.untold);
        let (state, text, hint) = match self.is_open {
            true => (AlertState::Open, self.finding.text.clone(), self.finding.hint.clone()),
            false => (AlertState::Resolved, self.well.clone(), String::new()),
        };
        let figures = self.finding.figures.clone();
        let (since_us, until_us) = (self.since_us, self.until_us);
        Some(Alert { key, state, since_us, until_us, count, text, hint, figures })
    }

    fn is_due(&self, interval_us: i64, now_us: i64) -> bool {
        // A clock that was set back must not silence it for years.
        self.told_us.is_none_or(|told| (now_us - told).abs() >= interval_us)
    }

    /// Whether nothing of it needs to be remembered.
    fn is_settled(&self, interval_us: i64, now_us: i64) -> bool {
        let counts = self.finding.happened > 0;
        !self.is_open && self.untold == 0 && !counts && self.is_due(interval_us, now_us)
    }
}

#[cfg(test)]
mod tests;
