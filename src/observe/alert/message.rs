//! What a channel is sent: several alerts as JSON, or as one text in the way of Slack. Pure.

use serde_json::{Value, json};

use super::{Alert, AlertState, Severity};
use crate::link::moment::rfc3339;

/// The version of the JSON: it changes when a key goes or changes its meaning, not when one is added.
const VERSION: u32 = 1;
/// Characters of a text or hint in the way of Slack, which cuts long messages.
const SLACK_TEXT_MAX: usize = 300;

/// Alerts on their way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    /// `name` of the configuration.
    pub(super) installation: String,
    /// Oldest first.
    pub(super) alerts: Vec<Alert>,
    /// How many alerts were lost before these because too many waited.
    pub(super) dropped: u64,
    /// Now, microseconds since 1970.
    pub(super) sent_us: i64,
}

impl Message {
    /// All that is known.
    pub(super) fn json(&self) -> Value {
        let alerts: Vec<Value> = self.alerts.iter().map(|alert| self.one(alert)).collect();
        json!({
            "version": VERSION,
            "installation": self.installation,
            "sent_at": rfc3339(self.sent_us),
            "dropped": self.dropped,
            "alerts": alerts,
        })
    }

    fn one(&self, alert: &Alert) -> Value {
        let (kind, link) = &alert.key;
        let of = link.as_ref().map_or(String::new(), |link| format!("{link}:"));
        let figures: serde_json::Map<_, _> =
            alert.figures.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        json!({
            "id": format!("{}:{of}{}:{}", self.installation, kind.name(), alert.since_us),
            "kind": kind,
            "severity": kind.severity(),
            "state": alert.state,
            "source": link.as_ref().map(|link| &link.source),
            "target": link.as_ref().map(|link| &link.target),
            "since": rfc3339(alert.since_us),
            "until": alert.until_us.map(rfc3339),
            "count": alert.count,
            "text": alert.text,
            "hint": alert.hint,
            "figures": figures,
        })
    }

    /// `{"text": …}`.
    pub(super) fn slack(&self) -> Value {
        let mut text = format!("weir {}", self.installation);
        for alert in &self.alerts {
            let word = match (alert.state, alert.key.0.severity()) {
                (AlertState::Resolved, _) => "RESOLVED",
                (AlertState::Open, Severity::Critical) => "CRITICAL",
                (AlertState::Open, Severity::Warning) => "WARNING",
                (AlertState::Open, Severity::Info) => "INFO",
            };
            text.push_str(&format!("\n*{word}* {}", plain(&alert.text)));
            if alert.count > 1 {
                text.push_str(&format!(" ({} times since it was told last)", alert.count));
            }
            match alert.until_us {
                Some(until) => {
                    let lasted = until.saturating_sub(alert.since_us).max(0) / 1_000_000;
                    text.push_str(&format!(" (since {}, for {lasted} s)", rfc3339(alert.since_us)));
                }
                None => text.push_str(&format!(" (since {})", rfc3339(alert.since_us))),
            }
            if !alert.hint.is_empty() {
                text.push_str(&format!("\n      hint: {}", plain(&alert.hint)));
            }
        }
        if self.dropped > 0 {
            text.push_str(&format!("\n{} older alerts were lost: too many waited", self.dropped));
        }
        json!({ "text": text })
    }
}

/// One line, of bounded length, in which nothing is taken for a link or a mention.
fn plain(text: &str) -> String {
    let mut cut: String = text.chars().take(SLACK_TEXT_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    let cut = cut.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    cut.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LinkName;
    use crate::observe::alert::AlertKind;

    fn message() -> Message {
        let link = LinkName { source: "crm".to_owned(), target: "dwh".to_owned() };
        let halted = Alert {
            key: (AlertKind::LinkHalted, Some(link)),
            state: AlertState::Open,
            since_us: 1_764_499_383_000_000,
            until_us: None,
            count: 1,
            text: "link crm:dwh has halted: a <b> & @c".to_owned(),
            hint: "do it".to_owned(),
            figures: vec![("error_kind", json!("constraint"))],
        };
        let space = Alert {
            key: (AlertKind::DiskSpace, None),
            state: AlertState::Resolved,
            until_us: Some(1_764_499_443_000_000),
            count: 0,
            text: "x".repeat(1_000),
            hint: String::new(),
            figures: Vec::new(),
            ..halted.clone()
        };
        Message {
            installation: "prod".to_owned(),
            alerts: vec![halted, space],
            dropped: 3,
            sent_us: 1_764_499_384_000_000,
        }
    }

    /// Broken if whoever reads alerts by program found other keys than README says.
    #[test]
    fn json_has_the_documented_keys() {
        let json = message().json();
        let halted = json!({
            "id": "prod:crm:dwh:link_halted:1764499383000000",
            "kind": "link_halted", "severity": "critical", "state": "open",
            "source": "crm", "target": "dwh",
            "since": "2025-11-30T10:43:03Z", "until": null, "count": 1,
            "text": "link crm:dwh has halted: a <b> & @c", "hint": "do it",
            "figures": { "error_kind": "constraint" },
        });
        assert_eq!(json["alerts"][0], halted);
        assert_eq!(json["alerts"][1]["until"], "2025-11-30T10:44:03Z");
        assert_eq!(json["alerts"][1]["source"], Value::Null);
        assert_eq!(json["alerts"][1]["id"], "prod:disk_space:1764499383000000");
        assert_eq!((&json["version"], &json["dropped"]), (&json!(1), &json!(3)));
        assert_eq!(json["installation"], "prod");
        assert_eq!(json["sent_at"], "2025-11-30T10:43:04Z");
    }

    /// Broken if a name in an error called somebody or hid the rest, or a long text the next alert.
    #[test]
    fn slack_gets_one_plain_text() {
        let slack = message().slack();
        let text = slack["text"].as_str().expect("a text");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "weir prod");
        assert_eq!(
            lines[1],
            "*CRITICAL* link crm:dwh has halted: a &lt;b&gt; &amp; @c (since 2025-11-30T10:43:03Z)"
        );
        assert_eq!(lines[2], "      hint: do it");
        let cut = format!("*RESOLVED* {}… (since 2025-11-30T10:43:03Z, for 60 s)", "x".repeat(300));
        assert_eq!(lines[3], cut);
        assert_eq!(lines[4], "3 older alerts were lost: too many waited");
    }

    /// Broken if README showed other keys than there are.
    #[test]
    fn the_sample_in_readme_is_one() {
        let text = include_str!("../../../README.md");
        let (_, sample) = text.split_once("```json\n").expect("a sample");
        let (sample, _) = sample.split_once("```").expect("its end");
        let sample: Value = serde_json::from_str(sample).expect("JSON");
        let keys =
            |value: &Value| value.as_object().expect("keys").keys().cloned().collect::<Vec<_>>();
        let json = message().json();
        assert_eq!(keys(&sample), keys(&json));
        assert_eq!(keys(&sample["alerts"][0]), keys(&json["alerts"][0]));
        let told =
            AlertKind::ALL.into_iter().all(|kind| text.contains(&format!("`{}`", kind.name())));
        assert!(told, "a kind that README does not tell");
    }
}
