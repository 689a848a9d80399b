//! Copies of tables as verbs tell of them: one line a table, for people and as JSON. What a running weir
//! tells, and what is read from `weir.snapshot` without one, look alike.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cli::status::duration;
use crate::link::status::{CopyStatus, LinkStatus};
use crate::snapshot::progress::{Progress, Stage};

/// Copies that are told of one by one; of more, how many there are.
const LISTED_MAX: usize = 20;
/// Keys of rows that only the target has, in the line of a table.
const KEYS_MAX: usize = 5;

/// The copy of one table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct CopyLine {
    /// The source table.
    pub(super) table: String,
    /// `waiting`, `copying`, `checking`, `done`, `cancelled`.
    pub(super) stage: String,
    pub(super) paused: bool,
    pub(super) rows: u64,
    pub(super) rows_estimated: Option<u64>,
    #[serde(default)]
    pub(super) rows_per_second: Option<f64>,
    #[serde(default)]
    pub(super) seconds_left: Option<f64>,
    #[serde(default)]
    pub(super) waits_for: Option<String>,
    pub(super) set_aside: u64,
    pub(super) extra: u64,
    pub(super) deleted: u64,
    /// The keys of the first rows that only the target has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) extra_keys: Vec<String>,
    #[serde(default)]
    pub(super) condition: Option<String>,
    #[serde(default)]
    pub(super) reason: Option<String>,
    #[serde(default)]
    pub(super) begun_us: Option<i64>,
    #[serde(default)]
    pub(super) ended_us: Option<i64>,
}

impl CopyLine {
    /// What is kept of a copy.
    pub(super) fn of_progress(table: &str, progress: &Progress) -> CopyLine {
        CopyLine {
            table: table.to_owned(),
            stage: progress.stage.name().to_owned(),
            paused: progress.paused,
            rows: progress.rows,
            rows_estimated: progress.estimate,
            set_aside: progress.set_aside,
            extra: progress.extra,
            deleted: progress.deleted,
            extra_keys: progress.extra_keys.clone(),
            reason: progress.reason.clone(),
            condition: progress.scope.condition.clone(),
            begun_us: progress.begun_us,
            ended_us: progress.ended_us,
            ..CopyLine::default()
        }
    }

    /// What a running link tells of one.
    pub(super) fn of_status(status: &CopyStatus) -> CopyLine {
        CopyLine {
            rows_per_second: Some(status.rows_per_second),
            seconds_left: status.seconds_left(),
            waits_for: status.waits_for.clone(),
            ..CopyLine::of_progress(&status.table, &status.progress)
        }
    }

    /// Whether nothing more will come of it.
    pub(super) fn is_over(&self) -> bool {
        [Stage::Done, Stage::Cancelled].iter().any(|stage| stage.name() == self.stage)
    }

    /// Whether it goes on by itself.
    pub(super) fn is_going(&self) -> bool {
        !self.is_over() && !self.paused
    }

    /// Where it stands, in a word.
    pub(super) fn standing(&self) -> &str {
        if self.paused && !self.is_over() { "paused" } else { &self.stage }
    }
}

/// `shop.orders  copying  120,000 of about 1,000,000 rows, 52,000 rows/s, 17 s left`
impl fmt::Display for CopyLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}  {}", self.table, self.standing(), grouped(self.rows))?;
        match self.rows_estimated.filter(|_| !self.is_over()) {
            Some(estimated) => write!(f, " of about {} rows", grouped(estimated.max(self.rows)))?,
            None => f.write_str(if self.rows == 1 { " row" } else { " rows" })?,
        }
        if self.is_going() {
            if let Some(rate) = self.rows_per_second.filter(|rate| *rate > 0.0) {
                write!(f, ", {} rows/s", grouped(rate.round() as u64))?;
            }
            if let Some(left) = self.seconds_left {
                write!(f, ", {} left", duration(left.ceil() as i64))?;
            }
        }
        if let (Some(begun), Some(ended)) = (self.begun_us, self.ended_us) {
            write!(f, " in {}", duration((ended - begun).max(0) / 1_000_000))?;
        }
        self.fmt_extra(f)?;
        if self.set_aside > 0 {
            write!(f, ", {} set aside", grouped(self.set_aside))?;
        }
        self.why().map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

impl CopyLine {
    /// `, 3 only on the target ([7], [8], [9])`
    fn fmt_extra(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.extra, self.deleted) {
            (0, 0) => return Ok(()),
            (extra, 0) => write!(f, ", {} only on the target", grouped(extra))?,
            (_, deleted) => write!(f, ", {} deleted from the target", grouped(deleted))?,
        }
        let shown = self.extra_keys.iter().take(KEYS_MAX).map(String::as_str);
        let more = (self.extra > KEYS_MAX as u64).then_some("…");
        let keys: Vec<&str> = shown.chain(more).collect();
        if keys.is_empty() { Ok(()) } else { write!(f, " ({})", keys.join(", ")) }
    }

    /// Why it ended or waits, or what it does that shows in no number.
    fn why(&self) -> Option<&str> {
        let looks = self.is_going() && self.stage == Stage::Checking.name();
        let looks = looks.then_some("looking for rows that only the target has");
        self.reason.as_deref().or(self.waits_for.as_deref()).or(looks)
    }
}

/// The copies of a running link.
pub(super) fn lines(status: &LinkStatus) -> Vec<CopyLine> {
    status.copies.iter().map(CopyLine::of_status).collect()
}

/// What is told of a link's copies: each that is under way, how many wait, and how many are over.
pub(super) fn summary(copies: &[CopyLine]) -> Vec<String> {
    let waits = |one: &&CopyLine| {
        one.stage == Stage::Waiting.name() && !one.paused && one.waits_for.is_none()
    };
    let open = copies.iter().filter(|one| !one.is_over() && !waits(one));
    let mut told: Vec<String> = open.clone().take(LISTED_MAX).map(ToString::to_string).collect();
    let mut rest = Vec::new();
    let mut count = |number: usize, what: &str| {
        if number > 0 {
            rest.push(format!("{number} {what}"));
        }
    };
    count(open.count().saturating_sub(LISTED_MAX), "more under way");
    count(copies.iter().filter(waits).count(), "waiting");
    for stage in [Stage::Done, Stage::Cancelled] {
        count(copies.iter().filter(|one| one.stage == stage.name()).count(), stage.name());
    }
    if !rest.is_empty() {
        told.push(rest.join(", "));
    }
    told
}

/// A number for people: `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::order::Scope;

    fn copying() -> CopyStatus {
        CopyStatus {
            table: "shop.orders".to_owned(),
            progress: Progress {
                stage: Stage::Copying,
                rows: 120_000,
                estimate: Some(1_000_000),
                ..Progress::default()
            },
            rows_per_second: 52_000.4,
            waits_for: None,
        }
    }

    fn told(change: impl FnOnce(&mut CopyStatus)) -> String {
        let mut status = copying();
        change(&mut status);
        CopyLine::of_status(&status).to_string()
    }

    /// Broken if a person could not see how far a copy is, when it will be done, or what it waits for.
    #[test]
    fn a_copy_tells_how_far_it_is() {
        assert_eq!(
            told(|_| {}),
            "shop.orders  copying  120,000 of about 1,000,000 rows, 52,000 rows/s, 17 s left"
        );
        assert_eq!(
            told(|copy| copy.progress.paused = true),
            "shop.orders  paused  120,000 of about 1,000,000 rows"
        );
        assert_eq!(
            told(|copy| {
                copy.rows_per_second = 0.0;
                copy.waits_for = Some("shop.customers".to_owned());
            }),
            "shop.orders  copying  120,000 of about 1,000,000 rows: shop.customers"
        );
        let done = |copy: &mut CopyStatus| {
            copy.progress.stage = Stage::Done;
            copy.progress.scope = Scope { delete_extra: true, condition: None };
            (copy.progress.begun_us, copy.progress.ended_us) = (Some(1), Some(63_000_001));
            (copy.progress.extra, copy.progress.deleted, copy.progress.set_aside) = (3, 3, 1);
        };
        assert_eq!(
            told(done),
            "shop.orders  done  120,000 rows in 63 s, 3 deleted from the target, 1 set aside"
        );
        let checking = |copy: &mut CopyStatus| {
            (copy.progress.stage, copy.rows_per_second) = (Stage::Checking, 0.0);
            copy.progress.estimate = None;
            copy.progress.extra = 6;
            copy.progress.extra_keys = (1..=6).map(|key| format!("[{key}]")).collect();
        };
        assert_eq!(
            told(checking),
            "shop.orders  checking  120,000 rows, 6 only on the target ([1], [2], [3], [4], [5], …): \
             looking for rows that only the target has"
        );
        let refused = told(|copy| {
            copy.progress.stage = Stage::Cancelled;
            copy.progress.reason = Some("no column nope".to_owned());
        });
        assert_eq!(refused, "shop.orders  cancelled  120,000 rows: no column nope");
        // More rows came than the server thought there were.
        let more = told(|copy| copy.progress.estimate = Some(9));
        assert!(more.starts_with("shop.orders  copying  120,000 of about 120,000 rows"), "{more}");
    }

    /// Broken if hundreds of tables filled the screen, or some were not counted.
    #[test]
    fn many_copies_are_counted() {
        let one = |stage: Stage| CopyLine { stage: stage.name().to_owned(), ..CopyLine::default() };
        let mut copies = vec![one(Stage::Copying); 25];
        copies.extend(vec![one(Stage::Waiting); 300]);
        copies.extend([one(Stage::Done), one(Stage::Done), one(Stage::Cancelled)]);
        let told = summary(&copies);
        assert_eq!(told.len(), LISTED_MAX + 1);
        let last = "5 more under way, 300 waiting, 2 done, 1 cancelled";
        assert_eq!(told.last().map(String::as_str), Some(last));
        assert!(summary(&[]).is_empty());
        let numbers = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
    }
}
