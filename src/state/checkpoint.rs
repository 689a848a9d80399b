//! A checkpoint as stored: one JSON object, and the keys under which the last ones of a link lie.
//!
//! Keys rise with every write (`c`, link, NUL, counter), so the newest valid record wins and a torn
//! last write falls back to the one before. Shapes of tables and the link's outline are stored apart
//! (`schema`): they are larger and change seldom.

use serde::{Deserialize, Serialize};

use crate::config::LinkName;
use crate::error::Kind;
use crate::link::ledger::{Checkpoint, HaltRecord, Progress};

/// Records kept per link.
pub(super) const KEPT_PER_LINK: u64 = 16;

/// The stored form of a [`Checkpoint`], without its shapes and its outline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stored {
    installation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    applied_us: Option<i64>,
    source_identity: String,
    target_identity: String,
    pub(super) recorded_at_us: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    halt: Option<StoredHalt>,
    #[serde(default)]
    starting: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused_since_us: Option<i64>,
    #[serde(default)]
    retired: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reviewed_until: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reviewed_halts: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct StoredHalt {
    kind: String,
    text: String,
    hint: String,
    since_us: i64,
}

impl Stored {
    /// The stored form.
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        Stored {
            installation: checkpoint.installation.clone(),
            seq: checkpoint.progress.as_ref().map(|progress| progress.seq),
            position: checkpoint.progress.as_ref().map(|progress| progress.position.to_string()),
            applied_us: checkpoint.progress.as_ref().and_then(|progress| progress.applied_us),
            source_identity: checkpoint.source_identity.clone(),
            target_identity: checkpoint.target_identity.clone(),
            recorded_at_us: checkpoint.recorded_at_us,
            halt: checkpoint.halt.as_ref().map(|halt| StoredHalt {
                kind: halt.kind.name().to_owned(),
                text: halt.text.clone(),
                hint: halt.hint.clone(),
                since_us: halt.since_us,
            }),
            starting: checkpoint.starting,
            paused_since_us: checkpoint.paused_since_us,
            retired: checkpoint.retired,
            reviewed_until: checkpoint.reviewed_until.as_ref().map(ToString::to_string),
            reviewed_halts: checkpoint.reviewed_halts.clone(),
        }
    }

    /// Back; `None` if a position in it is not one.
    pub(super) fn checkpoint(self) -> Option<Checkpoint> {
        let progress = match (self.seq, self.position) {
            (Some(seq), Some(position)) => {
                let position = position.parse().ok()?;
                Some(Progress { seq, position, applied_us: self.applied_us })
            }
            (None, None) => None,
            _ => return None,
        };
        let reviewed_until = match self.reviewed_until {
            Some(position) => Some(position.parse().ok()?),
            None => None,
        };
        Some(Checkpoint {
            installation: self.installation,
            progress,
            source_identity: self.source_identity,
            target_identity: self.target_identity,
            recorded_at_us: self.recorded_at_us,
            halt: self.halt.map(StoredHalt::record),
            starting: self.starting,
            paused_since_us: self.paused_since_us,
            retired: self.retired,
            reviewed_until,
            reviewed_halts: self.reviewed_halts,
            shapes: Default::default(),
            outline: None,
        })
    }
}

impl StoredHalt {
    fn record(self) -> HaltRecord {
        HaltRecord {
            kind: Kind::of_name(&self.kind).unwrap_or(Kind::Internal),
            text: self.text,
            hint: self.hint,
            since_us: self.since_us,
        }
    }
}

/// What all keys of a link's checkpoints begin with.
pub(super) fn prefix(link: &LinkName) -> Vec<u8> {
    let mut key = format!("c{link}").into_bytes();
    key.push(0);
    key
}

/// The key of a link's checkpoint number `number`.
pub(super) fn key(link: &LinkName, number: u64) -> Vec<u8> {
    let mut key = prefix(link);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The link and number of a checkpoint's key.
pub(super) fn parse_key(key: &[u8]) -> Option<(LinkName, u64)> {
    let (name, number) = key.strip_prefix(b"c")?.split_last_chunk::<8>()?;
    let link = parse_link(std::str::from_utf8(name.strip_suffix(b"\0")?).ok()?)?;
    Some((link, u64::from_be_bytes(*number)))
}

/// `source:target`; names hold no colon.
pub(super) fn parse_link(text: &str) -> Option<LinkName> {
    let (source, target) = text.split_once(':')?;
    Some(LinkName { source: source.to_owned(), target: target.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a field were not stored, or a number with a NUL byte in it broke its key.
    #[test]
    fn all_fields_come_back() {
        let checkpoint = Checkpoint {
            installation: "0f".repeat(16),
            progress: Some(Progress {
                seq: 7,
                position: "lsn:0/16B3748".parse().expect("lsn"),
                applied_us: Some(3),
            }),
            source_identity: "7312 1".to_owned(),
            target_identity: "uuid".to_owned(),
            recorded_at_us: 5,
            halt: Some(HaltRecord {
                kind: Kind::Gap,
                text: "t".to_owned(),
                hint: "h".to_owned(),
                since_us: 9,
            }),
            starting: true,
            paused_since_us: Some(11),
            retired: true,
            reviewed_until: Some("lsn:0/1".parse().expect("lsn")),
            reviewed_halts: vec!["r".to_owned()],
            shapes: Default::default(),
            outline: None,
        };
        let text = serde_json::to_string(&Stored::of(&checkpoint)).expect("json");
        let stored: Stored = serde_json::from_str(&text).expect("json");
        assert_eq!(stored.checkpoint(), Some(checkpoint));

        let link = parse_link("crm:billing").expect("link");
        for number in [0, 255, 256, u64::MAX] {
            assert_eq!(parse_key(&key(&link, number)), Some((link.clone(), number)));
        }
    }
}
