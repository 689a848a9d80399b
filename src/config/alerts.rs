//! `[alerts]`, validated: whom weir tells of what needs a person, and from when on.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::settings::Secret;

/// `[alerts]`; there is a webhook, or a command, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// The HTTP endpoint that is told.
    pub webhook: Option<Webhook>,
    /// The program that is run, and its arguments.
    pub command: Option<Vec<String>>,
    /// Shortest time between two messages about the same of one link.
    pub min_interval: Duration,
    /// From when on something is told.
    pub bounds: AlertBounds,
}

/// From when on something is told; a bound that is absent is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertBounds {
    /// Longest lag of a link.
    pub lag_max: Option<Duration>,
    /// How long a link may try again.
    pub retrying_max: Option<Duration>,
    /// Least bytes of log until a slot is lost.
    pub wal_left_min: Option<u64>,
    /// Least time until a binary log that is needed may be purged.
    pub binlog_left_min: Option<Duration>,
    /// Least free bytes on the state directory's file system.
    pub disk_free_min: Option<u64>,
}

impl Default for AlertBounds {
    fn default() -> Self {
        AlertBounds {
            lag_max: Some(Duration::from_secs(300)),
            retrying_max: Some(Duration::from_secs(60)),
            wal_left_min: Some(1 << 30),
            binlog_left_min: Some(Duration::from_secs(6 * 3600)),
            disk_free_min: Some(1 << 30),
        }
    }
}

/// `webhook` of `[alerts]`. Secrets and files are read at each try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where it is.
    pub url: WebhookUrl,
    /// What it is sent.
    pub format: WebhookFormat,
    /// A secret that is sent along.
    pub token: Option<Secret>,
    /// The header that carries the token as it is; `Authorization: Bearer` when absent.
    pub token_header: Option<String>,
    /// Certificates of the authorities that are trusted; by default the machine's own.
    pub tls_ca: Option<PathBuf>,
}

/// Where a webhook's url stands.
#[derive(Clone, PartialEq, Eq)]
pub enum WebhookUrl {
    /// In the file.
    Plain(String),
    /// Elsewhere, since whoever knows it may use it.
    Secret(Secret),
}

impl WebhookUrl {
    /// Reads a url, wherever it was found. What is wrong with it is told without it.
    pub(crate) fn parse(text: &str) -> Result<reqwest::Url, &'static str> {
        let url = reqwest::Url::parse(text).map_err(|_| "not a url")?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err("not a url of http or https");
        }
        if !url.has_host() {
            return Err("the url names no host");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the url holds a login: write `token` instead");
        }
        Ok(url)
    }
}

/// Does not show the url, whose path may be a secret all the same.
impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WebhookUrl::Plain(_) => f.write_str("Plain(…)"),
            WebhookUrl::Secret(secret) => write!(f, "Secret({secret:?})"),
        }
    }
}

/// `format` of a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WebhookFormat {
    /// Every alert with all that is known of it.
    #[default]
    Json,
    /// One text, as Slack, Mattermost and others take it.
    Slack,
}
