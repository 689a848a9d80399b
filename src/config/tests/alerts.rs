//! `[alerts]` and `state_free_min`: defaults, what is switched off, what is refused.

use std::time::Duration;

use super::{HEAD, parsed, problems};
use crate::config::{AlertBounds, Alerts, Config, Secret, WebhookFormat, WebhookUrl};

const SHOP: &str = "[[replicate]]\nfrom = 'shop'\nto = 'dwh'\ntables = ['shop.*']\n";

fn config(first: &str, alerts: &str) -> Config {
    parsed(&format!("{first}{HEAD}{alerts}{SHOP}")).unwrap()
}

fn alerts(text: &str) -> Alerts {
    config("", &format!("[alerts]\n{text}\n")).alerts.unwrap()
}

/// Broken if somebody were told who did not ask for it, a default were not the documented one, or a
/// bound that is switched off were still one.
#[test]
fn bounds_have_defaults_and_can_be_switched_off() {
    let without = config("", "");
    assert_eq!((without.alerts, without.state_free_min), (None, Some(128 << 20)));
    assert_eq!(config("state_free_min = 'off'\n", "").state_free_min, None);
    assert_eq!(config("state_free_min = '2GiB'\n", "").state_free_min, Some(2 << 30));
    let plain = alerts("command = ['page', '--now']");
    assert_eq!(plain.command.unwrap(), ["page", "--now"]);
    assert_eq!((plain.min_interval, plain.webhook), (Duration::from_secs(300), None));
    assert_eq!(plain.bounds, AlertBounds::default());
    let off = alerts(
        "command = ['page']\nlag_max = 'off'\nretrying_max = 'off'\nwal_left_min = 'off'\n\
         binlog_left_min = 'off'\ndisk_free_min = 'off'",
    );
    let none = AlertBounds {
        lag_max: None,
        retrying_max: None,
        wal_left_min: None,
        binlog_left_min: None,
        disk_free_min: None,
    };
    assert_eq!(off.bounds, none);
    let slack =
        alerts("webhook = { url = { env = 'HOOK' }, format = 'slack', min_interval = '1m' }");
    let webhook = slack.webhook.unwrap();
    assert_eq!(webhook.url, WebhookUrl::Secret(Secret::Env("HOOK".to_owned())));
    assert_eq!(
        (webhook.format, slack.min_interval),
        (WebhookFormat::Slack, Duration::from_secs(60))
    );
}

/// Broken if an alert went nowhere, a secret could stand in the file or in a message about it, or a
/// bound made no sense.
#[test]
fn what_goes_nowhere_is_refused() {
    let webhook = |text: &str| format!("[alerts]\nwebhook = {{ {text} }}\n");
    for (text, expected) in [
        ("[alerts]\nlag_max = '5m'\n".to_owned(), "the alerts go nowhere"),
        ("[alerts]\ncommand = []\n".to_owned(), "the command is empty"),
        ("[alerts]\ncommand = 'page'\n".to_owned(), "expected a list"),
        (
            "[alerts]\ncommand = ['page']\nlag_max = '500ms'\n".to_owned(),
            "`lag_max` is out of range",
        ),
        ("[alerts]\ncommand = ['page']\nlag_max = 'never'\n".to_owned(), "not a duration"),
        ("[alerts]\ncommand = ['page']\ndisk_free_min = '0B'\n".to_owned(), "or \"off\""),
        (webhook("format = 'json'"), "`url` is missing"),
        (webhook("url = 'hunter2'"), "not a url"),
        (webhook("url = 'ftp://a/hunter2'"), "not a url of http or https"),
        (webhook("url = 'https://u:hunter2@a/b'"), "the url holds a login"),
        (webhook("url = 'https://a', format = 'teams'"), "\"json\", \"slack\""),
        (webhook("url = 'https://a', token = 'hunter2'"), "a password never stands in this file"),
        (webhook("url = 'https://a', token = {}"), "a token comes from exactly one place"),
        (webhook("url = { env = 'A', file = 'b' }"), "a url comes from exactly one place"),
        (webhook("url = 'https://a', token_header = 'X-Key'"), "stands without `token`"),
        (webhook("url = 'https://a', token = { env = 'A' }, token_header = 'a b'"), "not a header"),
        (
            webhook("url = 'https://a', token = { env = 'A' }, token_header = 'Host'"),
            "not a header",
        ),
        (webhook("url = 'https://a', min_interval = '0s'"), "`min_interval` is out of range"),
    ] {
        let found = problems(&format!("{HEAD}{text}{SHOP}"));
        assert!(found.contains(expected), "expected {expected:?} of\n{text}\nfound:\n{found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

/// Broken if somebody copied the example of README and weir refused it, or its bounds were not the
/// defaults that it says they are.
#[test]
fn the_example_in_readme_is_accepted() {
    let (_, text) = include_str!("../../../README.md").split_once("\n[alerts]\n").unwrap();
    let (example, _) = text.split_once("```").unwrap();
    let alerts = alerts(example);
    assert_eq!(alerts.bounds, AlertBounds::default());
    assert_eq!(alerts.webhook.unwrap().format, WebhookFormat::Slack);
}
