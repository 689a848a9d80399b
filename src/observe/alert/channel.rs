//! The ways by which alerts leave: an HTTP endpoint, and a program. One try at a time; when it is tried
//! again is not decided here.
//!
//! Secrets and certificates are read at each try, so that a new one needs no restart. Errors name the
//! host of the endpoint and never its path, which may be a secret, nor a token. Redirects are not
//! followed: they may lead to where the token must not go, and a POST that becomes a GET tells nobody.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Request, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::message::Message;
use crate::config::{Alerts, Webhook, WebhookFormat, WebhookUrl, feed, is_loopback};
use crate::error::{Error, Kind, Result};
use crate::tls;

/// How long the endpoint may take to be connected to, and to answer.
const CONNECT_MAX: Duration = Duration::from_secs(5);
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long the program may run.
const COMMAND_MAX: Duration = Duration::from_secs(10);
/// Longest wait that an endpoint may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(900);
/// Whose url, token and certificates, in messages.
const WHOSE: &str = "the alerts' webhook";

/// One way by which alerts leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The HTTP endpoint.
    Webhook,
    /// The program.
    Command,
}

/// A message that was not taken.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: Error,
    /// Whether it may be taken at another time.
    pub may_pass: bool,
    /// How long the endpoint wants to be left alone.
    pub(super) wait: Option<Duration>,
}

impl Channel {
    /// All of them.
    pub const ALL: [Channel; 2] = [Channel::Webhook, Channel::Command];

    /// Its name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Channel::Webhook => "webhook",
            Channel::Command => "command",
        }
    }

    /// Whether it is configured.
    pub fn is_used(self, alerts: &Alerts) -> bool {
        match self {
            Channel::Webhook => alerts.webhook.is_some(),
            Channel::Command => alerts.command.is_some(),
        }
    }

    /// Whether a try could be made: everything short of sending.
    ///
    /// # Errors
    /// `Configuration` for a secret, url, certificate or program that cannot be used.
    pub async fn prepare(self, alerts: &Alerts) -> Result<()> {
        match (self, &alerts.webhook, &alerts.command) {
            (Channel::Webhook, Some(webhook), _) => {
                let (_, request) = request(webhook, &Value::Null).await?;
                require_safe(request.url(), webhook.token.is_some())
            }
            (Channel::Command, _, Some(words)) => require_program(words),
            _ => Ok(()),
        }
    }

    /// Hands on a message; what came back, in words.
    pub(super) async fn deliver(
        self,
        alerts: &Alerts,
        message: &Message,
    ) -> Result<String, Failure> {
        match (self, &alerts.webhook, &alerts.command) {
            (Channel::Webhook, Some(webhook), _) => post(webhook, message).await,
            (Channel::Command, _, Some(words)) => run(words, message).await,
            _ => Err(Failure::for_good(Error::new(Kind::Configuration, "it is not configured"))),
        }
    }
}

impl Failure {
    fn for_good(error: Error) -> Failure {
        Failure { error, may_pass: false, wait: None }
    }

    fn passing(error: Error) -> Failure {
        Failure { error, may_pass: true, wait: None }
    }
}

async fn post(webhook: &Webhook, message: &Message) -> Result<String, Failure> {
    let body = match webhook.format {
        WebhookFormat::Json => message.json(),
        WebhookFormat::Slack => message.slack(),
    };
    // A secret that cannot be read, or makes no sense, may be about to be replaced.
    let (client, request) = request(webhook, &body).await.map_err(Failure::passing)?;
    let host = host(request.url());
    let answer = match client.execute(request).await {
        Ok(answer) => answer,
        Err(cause) => return Err(Failure::passing(unanswered(&host, cause))),
    };
    let status = answer.status();
    if status.is_success() {
        return Ok(format!("{status} from {host}"));
    }
    let asked = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wait = asked.and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let context = format!("the webhook at {host} answered {status}");
    let error = Error::new(Kind::Unavailable, context).hint(advice(status));
    let wait = wait.map(|wait| wait.min(RETRY_AFTER_MAX));
    Err(Failure { error, may_pass: may_pass(status), wait })
}

/// Whether another try, perhaps with another url or token, may be taken.
fn may_pass(status: StatusCode) -> bool {
    // Of the 4xx: what a login or a url may mend, and what asks to wait.
    let mendable = [401, 403, 404, 407, 408, 410, 421, 425, 429];
    !status.is_client_error() || mendable.contains(&status.as_u16())
}

fn advice(status: StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => "redirects are not followed: write the url that it leads to",
        401 | 403 | 407 => "check `token` and `url` of the webhook",
        404 | 410 => "check `url` of the webhook: there is nothing at it, or no longer",
        429 => "it is sent too much; weir tries again by itself",
        400..=499 => {
            "the endpoint does not understand what it is sent: check `format` of the webhook"
        }
        _ => "weir tries again by itself; look at the endpoint",
    }
}

/// The message as it is sent.
async fn request(webhook: &Webhook, body: &Value) -> Result<(Client, Request)> {
    let url = url(webhook).await?;
    let token = match &webhook.token {
        Some(token) => Some(token.read_as(&format!("token of {WHOSE}")).await?),
        None => None,
    };
    let config = match url.scheme() {
        "https" => tls::trusting(webhook.tls_ca.clone(), WHOSE).await?,
        _ => tls::unused()?,
    };
    let client = Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(Policy::none())
        .connect_timeout(CONNECT_MAX)
        .timeout(ANSWER_MAX)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|cause| {
            let error = Error::new(Kind::Internal, "the webhook's client cannot be made");
            error.caused_by(cause.without_url())
        })?;
    let mut request = client.post(url).json(body);
    if let Some(token) = token {
        let (name, value) = header(webhook.token_header.as_deref(), &token)?;
        request = request.header(name, value);
    }
    let request = request.build().map_err(|cause| {
        let error = Error::new(Kind::Configuration, "the webhook cannot be sent to");
        error.caused_by(cause.without_url())
    })?;
    Ok((client, request))
}

async fn url(webhook: &Webhook) -> Result<Url> {
    let parsed = match &webhook.url {
        WebhookUrl::Plain(text) => WebhookUrl::parse(text),
        WebhookUrl::Secret(secret) => {
            let text = secret.read_as(&format!("url of {WHOSE}")).await?;
            WebhookUrl::parse(text.expose_secret())
        }
    };
    parsed.map_err(|fault| {
        Error::new(Kind::Configuration, format!("url of {WHOSE}: {fault}"))
            .hint("write it as in \"https://alerts.example.com/weir\"")
    })
}

/// A token that everybody on the way can read is none.
fn require_safe(url: &Url, has_token: bool) -> Result<()> {
    if !has_token || url.scheme() != "http" || url.host_str().is_some_and(is_loopback) {
        return Ok(());
    }
    let context = format!("the token of {WHOSE} crosses the network in plain text");
    Err(Error::new(Kind::Configuration, context).hint("write the url with https"))
}

/// Looks for the program where it would be looked for.
fn require_program(words: &[String]) -> Result<()> {
    let program = words.first().map_or("", String::as_str);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    let is_there = match program.contains('/') {
        true => Path::new(program).is_file(),
        false => places.any(|place| place.is_file()),
    };
    if is_there {
        return Ok(());
    }
    let context = format!("the alerts' command `{program}` is not there");
    Err(Error::new(Kind::Configuration, context).hint("write the path of a program"))
}

/// Where the token goes. What cannot stand in a header is not shown.
fn header(name: Option<&str>, token: &SecretString) -> Result<(HeaderName, HeaderValue)> {
    let useless = || {
        Error::new(Kind::Configuration, format!("the token of {WHOSE} cannot stand in a header"))
            .hint("it must be one line of printable characters")
    };
    let (name, value) = match name {
        None => (AUTHORIZATION, format!("Bearer {}", token.expose_secret())),
        Some(name) => {
            let name = name.parse::<HeaderName>().map_err(|_| useless())?;
            (name, token.expose_secret().to_owned())
        }
    };
    let mut value = HeaderValue::try_from(value).map_err(|_| useless())?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// Scheme, host and port: what may be shown of a url.
fn host(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn unanswered(host: &str, cause: reqwest::Error) -> Error {
    let cause = cause.without_url();
    let (kind, what) = match &cause {
        _ if cause.is_timeout() && cause.is_connect() => {
            (Kind::Timeout, "could not be reached in time")
        }
        _ if cause.is_timeout() => (Kind::Timeout, "did not answer in time"),
        _ if cause.is_connect() => (Kind::Connection, "could not be reached"),
        _ => (Kind::Connection, "did not answer"),
    };
    let hint = match tls::cause(&cause) {
        Some(_) => {
            "its certificate is not accepted: check `tls_ca` of the webhook, and the name in its url"
        }
        None => "look at the endpoint, and whether weir's machine reaches it",
    };
    Error::new(kind, format!("the webhook at {host} {what}")).hint(hint).caused_by(cause)
}

async fn run(words: &[String], message: &Message) -> Result<String, Failure> {
    let (program, arguments) = words.split_first().ok_or_else(|| {
        Failure::for_good(Error::new(Kind::Configuration, "the alerts' command is empty"))
    })?;
    let input = message.json().to_string() + "\n";
    // Nobody knows what a program that failed has done already.
    feed(program, arguments, input.as_bytes(), COMMAND_MAX).await.map_err(Failure::for_good)?;
    Ok("ended well".to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::Secret;

    fn webhook(url: WebhookUrl) -> Webhook {
        let (token, token_header, tls_ca) = (None, None, None);
        Webhook { url, format: WebhookFormat::Json, token, token_header, tls_ca }
    }

    fn message() -> Message {
        Message { installation: "x".to_owned(), alerts: Vec::new(), dropped: 0, sent_us: 0 }
    }

    /// Broken if the path of an endpoint, which is often its password, were in a log or an answer.
    #[tokio::test]
    async fn no_path_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        std::fs::write(&file, "ftp://example.com/hunter2\n").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for (url, expected) in [
            (
                WebhookUrl::Plain(format!("http://{closed}/hunter2?a=hunter2")),
                "could not be reached",
            ),
            (WebhookUrl::Plain("https://no.such.host.invalid/hunter2".to_owned()), "reached"),
            (WebhookUrl::Secret(Secret::File(file)), "not a url of http or https"),
        ] {
            let failure = post(&webhook(url), &message()).await.unwrap_err();
            let shown = format!("{} {:?}", failure.error.chain(), failure.error);
            assert!(shown.contains(expected) && !shown.contains("hunter2"), "{shown}");
            assert!(failure.may_pass);
        }
    }

    /// Broken if a token were shown, or one with a line break made a header of its own.
    #[test]
    fn a_token_stands_in_one_header() {
        let token = SecretString::from("hunter2");
        let (name, value) = header(None, &token).unwrap();
        assert_eq!((name, value.as_bytes()), (AUTHORIZATION, &b"Bearer hunter2"[..]));
        assert!(!format!("{value:?}").contains("hunter2"));
        let (name, value) = header(Some("X-Api-Key"), &token).unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("x-api-key", &b"hunter2"[..]));
        let error = header(None, &SecretString::from("hunter2\r\nX: y")).unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }

    /// Broken if what is refused for good held up all other alerts, or what may be mended were lost.
    #[test]
    fn what_may_pass_is_tried_again() {
        let passes = |code: u16| may_pass(StatusCode::from_u16(code).unwrap());
        assert!([301, 401, 404, 429, 500, 503].into_iter().all(passes));
        assert!(![400, 405, 413, 415, 422].into_iter().any(passes));
    }
}
