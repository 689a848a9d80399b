//! What a comparison has found and how far it is: kept in the state directory, so that it goes on after a
//! crash, and told to people. Plain data.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Order {
    /// Tells this comparison from another of the same tables.
    pub id: String,
    /// Tables, by their names at the source or the target; all of the link's where there are none.
    pub tables: Vec<String>,
    /// Write what differs as it should be.
    pub repair: bool,
    /// Rows per second at most, over both sides.
    pub rows_per_second: Option<u32>,
    /// Differences per table that are told one by one.
    pub listed_max: usize,
}

/// A comparison of one link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// What is asked for.
    pub order: Order,
    /// When it began, microseconds since 1970.
    pub begun_us: i64,
    /// When it was over.
    pub ended_us: Option<i64>,
    /// What it last waited for or met, where it does not go on at once.
    pub trouble: Option<String>,
    /// The tables, in the order of the plan; none until the link streams.
    pub tables: Vec<TableReport>,
}

impl Report {
    /// A comparison that nothing is known of yet.
    pub fn of(order: Order, begun_us: i64) -> Report {
        Report { order, begun_us, ..Report::default() }
    }

    /// All tables together.
    pub fn total(&self) -> Counts {
        self.tables.iter().fold(Counts::default(), |total, table| total.with(&table.counts))
    }

    /// Whether every table was compared.
    pub fn is_complete(&self) -> bool {
        self.ended_us.is_some() && self.tables.iter().all(|table| table.stage == Stage::Done)
    }
}

/// What is shown of a link's last comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// It is under way.
    pub going: bool,
    /// When it was over, microseconds since 1970.
    pub ended_us: Option<i64>,
    /// What it has found.
    pub counts: Counts,
}

/// Where the comparison of a table stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Other tables come first, or the copy of this one.
    #[default]
    Waiting,
    /// Rows are read.
    Comparing,
    /// All rows are compared.
    Done,
    /// It cannot be compared.
    Refused,
}

/// Rows of a table by what was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Looked at, on whichever side.
    pub compared: u64,
    /// The same on both sides.
    pub equal: u64,
    /// The target lacks them.
    pub missing: u64,
    /// Only the target has them.
    pub extra: u64,
    /// They differ in a planned column.
    pub differing: u64,
    /// Only the target has them, where deletes of the source are not applied.
    pub tolerated: u64,
    /// Their changes are set aside.
    pub set_aside: u64,
    /// They have no form at the target.
    pub unfit: u64,
    /// They changed each time they were looked at.
    pub changing: u64,
    /// Of those that were missing, extra or different: written as they should be, and looked at again.
    pub mended: u64,
}

impl Counts {
    /// Differences that are there still.
    pub fn differences(&self) -> u64 {
        (self.missing + self.extra + self.differing).saturating_sub(self.mended)
    }

    /// What was found, by the name that it has in metrics.
    pub fn by_name(&self) -> [(&'static str, u64); 9] {
        [
            ("equal", self.equal),
            ("missing", self.missing),
            ("extra", self.extra),
            ("differing", self.differing),
            ("tolerated", self.tolerated),
            ("set_aside", self.set_aside),
            ("unfit", self.unfit),
            ("changing", self.changing),
            ("mended", self.mended),
        ]
    }

    fn with(self, more: &Counts) -> Counts {
        Counts {
            compared: self.compared + more.compared,
            equal: self.equal + more.equal,
            missing: self.missing + more.missing,
            extra: self.extra + more.extra,
            differing: self.differing + more.differing,
            tolerated: self.tolerated + more.tolerated,
            set_aside: self.set_aside + more.set_aside,
            unfit: self.unfit + more.unfit,
            changing: self.changing + more.changing,
            mended: self.mended + more.mended,
        }
    }
}

/// How a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// The target lacks it.
    Missing,
    /// Only the target has it.
    Extra,
    /// Values differ.
    Differing,
}

/// One difference, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// What it is.
    pub what: Difference,
    /// The match key at the target, as JSON; of sensitive columns a mark only.
    pub key: String,
    /// The target's columns that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// It was written as it should be, and looked at again.
    #[serde(default)]
    pub mended: bool,
}

/// One table's comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TableReport {
    /// The table at the source.
    pub source: String,
    /// The table at the target.
    pub target: String,
    /// Where it stands.
    pub stage: Stage,
    /// What it waits for, or why it cannot be compared.
    pub reason: Option<String>,
    /// Rows at the source, as its server estimates them.
    pub estimate: Option<u64>,
    /// What was found.
    pub counts: Counts,
    /// The first differences.
    pub listed: Vec<Listed>,
    /// How far it is.
    pub place: Place,
}

/// How far the walk over a table is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// How both sides are brought together, once that is known.
    pub method: Option<Method>,
    /// The source is walked to its end; the target is being walked (by [`Method::LookUp`]).
    pub backward: bool,
    /// At the source.
    pub source: Walked,
    /// At the target.
    pub target: Walked,
    /// Every row up to this key is compared (by [`Method::Merge`]), as `plan::key_text`.
    pub upto: Option<String>,
    /// Keys of the target, as `plan::key_text`, that are other spellings of keys of the source, and are
    /// told as such: not to be told again once the target is walked.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub respelled: BTreeSet<String>,
}

/// How both sides of a table are brought together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Both are walked in the order of their keys at once.
    Merge,
    /// The source's rows are looked up at the target, then the target's at the source.
    LookUp,
}

/// How far one side's walk is, in the words of its room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Walked {
    /// By which index; none before the first look.
    pub walk: Option<String>,
    /// Up to here rows are compared.
    pub after: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if what was found before a crash were forgotten, or an older report not read.
    #[test]
    fn a_report_comes_back_as_it_was_kept() {
        let listed = Listed {
            what: Difference::Differing,
            key: "[1]".into(),
            columns: vec!["a".into()],
            mended: true,
        };
        let place = Place {
            method: Some(Method::LookUp),
            backward: true,
            upto: Some("[]".into()),
            respelled: BTreeSet::from(["[\"A\"]".into()]),
            ..Place::default()
        };
        let counts = Counts { compared: 9, differing: 3, mended: 1, ..Counts::default() };
        let table = TableReport { counts, listed: vec![listed], place, ..TableReport::default() };
        let report = Report { tables: vec![table], ..Report::of(Order::default(), 7) };
        let text = serde_json::to_string(&report).expect("a text");
        assert_eq!(serde_json::from_str::<Report>(&text).expect("a report"), report);
        assert_eq!(serde_json::from_str::<Report>("{}").expect("a report"), Report::default());
    }

    /// Broken if differences that are mended, or none at all, were told as differences.
    #[test]
    fn what_is_mended_is_no_difference_any_more() {
        let one = Counts { missing: 2, extra: 1, mended: 3, ..Counts::default() };
        let other = Counts { differing: 1, ..Counts::default() };
        assert_eq!((one.differences(), other.differences()), (0, 1));
        let table = |counts| TableReport { counts, ..TableReport::default() };
        let report = Report { tables: vec![table(one), table(other)], ..Report::default() };
        assert_eq!(report.total().differences(), 1);
        assert!(!report.is_complete());
    }
}
