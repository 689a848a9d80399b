//! Alerts: what needs a person is told to whom the configuration names, once, and once more when it is
//! over.
//!
//! The way of an alert: [`watch`] looks at every link's status once a second; [`reading`] says what is
//! wrong in it; [`judge`] remembers what is told already and says what is to be told now; each channel
//! has an [`outbox`], bounded and slow, and a [`sender`] that hands it on by way of a [`channel`], again
//! and again until it is taken. Nothing here is waited for by a link: links are looked at, never asked.

pub mod channel;
pub mod judge;
mod message;
mod outbox;
mod reading;
mod sender;
pub mod watch;

use serde::{Serialize, Serializer};

use crate::config::LinkName;

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertKind {
    /// A link stands until a person has acted.
    LinkHalted,
    /// A link has not streamed for long.
    LinkRetrying,
    /// A link's lag is beyond its bound.
    Lag,
    /// Rows are set aside.
    DeadLetters,
    /// A database wrote what it does not own.
    FlaggedWrites,
    /// Both sides differ.
    Differences,
    /// The source may soon give up log that a link needs.
    LogRetention,
    /// The state directory's file system is nearly full.
    DiskSpace,
    /// Nothing is wrong: somebody tries whether alerts arrive.
    Test,
}

impl AlertKind {
    /// Every kind.
    pub const ALL: [AlertKind; 9] = [
        AlertKind::LinkHalted,
        AlertKind::LinkRetrying,
        AlertKind::Lag,
        AlertKind::DeadLetters,
        AlertKind::FlaggedWrites,
        AlertKind::Differences,
        AlertKind::LogRetention,
        AlertKind::DiskSpace,
        AlertKind::Test,
    ];

    /// The kind's name in messages and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            AlertKind::LinkHalted => "link_halted",
            AlertKind::LinkRetrying => "link_retrying",
            AlertKind::Lag => "lag",
            AlertKind::DeadLetters => "dead_letters",
            AlertKind::FlaggedWrites => "flagged_writes",
            AlertKind::Differences => "differences",
            AlertKind::LogRetention => "log_retention",
            AlertKind::DiskSpace => "disk_space",
            AlertKind::Test => "test",
        }
    }

    /// How bad it is.
    pub const fn severity(self) -> Severity {
        match self {
            AlertKind::LinkHalted | AlertKind::LogRetention | AlertKind::DiskSpace => {
                Severity::Critical
            }
            AlertKind::LinkRetrying
            | AlertKind::Lag
            | AlertKind::DeadLetters
            | AlertKind::FlaggedWrites
            | AlertKind::Differences => Severity::Warning,
            AlertKind::Test => Severity::Info,
        }
    }
}

impl Serialize for AlertKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Replication stands, or will, until a person acts.
    Critical,
    /// It should be looked at.
    Warning,
    /// Nothing needs to be done.
    Info,
}

/// Where something that was told stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It is so.
    Open,
    /// It is over.
    Resolved,
}

/// What an alert is about, and of which link; of no link where it concerns them all.
pub type Key = (AlertKind, Option<LinkName>);

/// A figure of an alert, in the unit that its name ends with.
pub type Figure = (&'static str, serde_json::Value);

/// One thing to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// What it is about.
    pub key: Key,
    /// Whether it is so, or over.
    pub state: AlertState,
    /// Since when it was so, microseconds since 1970.
    pub since_us: i64,
    /// Until when, where it is over.
    pub until_us: Option<i64>,
    /// How often it happened since it was told last: how many rows, writes, halts.
    pub count: u64,
    /// What is wrong, without a full stop.
    pub text: String,
    /// The next step; empty where it is over.
    pub hint: String,
    /// What is known in numbers and words.
    pub figures: Vec<Figure>,
}

#[cfg(test)]
pub(crate) mod fixtures {
    use super::{Alert, AlertKind, AlertState};

    /// One that is told by its count from others.
    pub(crate) fn alert(number: u64) -> Alert {
        Alert {
            key: (AlertKind::Test, None),
            state: AlertState::Open,
            since_us: 0,
            until_us: None,
            count: number,
            text: String::new(),
            hint: String::new(),
            figures: Vec::new(),
        }
    }
}
