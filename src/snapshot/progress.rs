//! How far the copy of one table is: a row of `weir.snapshot`, written in the transaction that makes it
//! true, so that nothing is copied twice and nothing is passed over after a crash.
//!
//! A table is walked in stretches. Of each it is known up to which place its rows are written. Texts of
//! places are the room's own.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::snapshot::order::Scope;

/// Where a copy stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Not begun: other tables come first.
    #[default]
    Waiting,
    /// Rows are read and written.
    Copying,
    /// All rows are written; rows that only the target has are being looked for.
    Checking,
    /// All is done.
    Done,
    /// A person has ended it before its time: rows are missing.
    Cancelled,
}

impl Stage {
    /// Its name in listings and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Waiting => "waiting",
            Stage::Copying => "copying",
            Stage::Checking => "checking",
            Stage::Done => "done",
            Stage::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will come of it.
    pub const fn is_over(self) -> bool {
        matches!(self, Stage::Done | Stage::Cancelled)
    }
}

/// A part of a table, from one place to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Up to here, with it, it is written; from the table's beginning on where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// It ends here, with it; at the table's end where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// It is written to its end.
    #[serde(default)]
    pub ended: bool,
}

/// The copy of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Where it stands.
    pub stage: Stage,
    /// A person has it wait.
    pub paused: bool,
    /// What is copied.
    pub scope: Scope,
    /// The target's table held nothing when the copy was asked for.
    pub fresh: bool,
    /// How the table is walked, once that is known.
    pub walk: Option<String>,
    /// The walk goes by the match key.
    pub by_match_key: bool,
    /// References that cannot be written yet are left empty: everything is copied once more afterwards.
    pub unlinked: bool,
    /// This is that second time.
    pub second: bool,
    /// The stretches, in order.
    pub stretches: Vec<Stretch>,
    /// Rows in the table, as the source estimated them when the copy began.
    pub estimate: Option<u64>,
    /// Rows written.
    pub rows: u64,
    /// Bytes of their values, as they were read.
    pub bytes: u64,
    /// Chunks written.
    pub chunks: u64,
    /// Rows that were set aside instead.
    pub set_aside: u64,
    /// Rows that only the target has, as far as they were looked for.
    pub extra: u64,
    /// Of these, deleted.
    pub deleted: u64,
    /// The keys of the first of them, for people.
    pub extra_keys: Vec<String>,
    /// Why it was cancelled, where no person did it.
    pub reason: Option<String>,
    /// When it was asked for, microseconds since 1970.
    pub asked_us: i64,
    /// When its first row was asked for.
    pub begun_us: Option<i64>,
    /// When it was done or cancelled.
    pub ended_us: Option<i64>,
}

impl Progress {
    /// It ends before its time, at `now_us`; `why` where no person has asked for that.
    pub fn cancel(&mut self, why: impl Into<Option<String>>, now_us: i64) {
        self.stage = Stage::Cancelled;
        self.paused = false;
        self.unlinked = false;
        self.reason = why.into();
        self.ended_us = Some(now_us);
    }

    /// As it is kept.
    pub fn to_text(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::new(Kind::Internal, "the progress of a copy").caused_by(error))
    }

    /// As it was kept.
    ///
    /// # Errors
    /// `Witness` where the text is not weir's.
    pub fn of_text(text: &str) -> Result<Progress> {
        serde_json::from_str(text).map_err(|error| {
            Error::new(Kind::Witness, "a row of weir.snapshot is not as weir wrote it")
                .caused_by(error)
                .hint("copy the table anew: `weir snapshot LINK TABLE`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if what is kept of a copy were read back as something else, or an older text not at all.
    #[test]
    fn progress_comes_back_as_it_was_kept() {
        let stretch = Stretch { after: Some("[1]".into()), until: None, ended: false };
        let progress = Progress {
            stage: Stage::Copying,
            fresh: true,
            walk: Some("key".into()),
            stretches: vec![stretch],
            rows: 7,
            ..Progress::default()
        };
        let text = progress.to_text().expect("a text");
        assert_eq!(Progress::of_text(&text).expect("progress"), progress);
        assert_eq!(Progress::of_text("{}").expect("progress"), Progress::default());
        assert!(Progress::of_text("[").is_err());
    }
}
