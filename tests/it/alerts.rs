//! Alerts from a real weir to a real endpoint: what is told and when, whatever the endpoint does, and
//! that no link and no stop ever waits for it.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use weir::sandbox::Server;

use crate::crash::{SPACE, prepare};
use crate::endpoint::{Endpoint, Mood};
use crate::harness::{Pair, Weir, execute_in, until};
use crate::load::until_equal;
use crate::metrics::{free_port, http_get};
use crate::operation::{SOON, insert, terminate, until_status};

/// Replaces `[alerts]` and what follows it, and the free space that weir wants.
fn configure(weir: &Weir, state_free_min: &str, rest: &str) {
    let text = std::fs::read_to_string(weir.config()).expect("weir.toml");
    let text = text.split("\n# alerts\n").next().expect("a head");
    let lines = text.lines().filter(|line| !line.starts_with("state_free_min"));
    let text: Vec<_> = lines.collect();
    let head = format!("state_free_min = \"{state_free_min}\"\n{}", text.join("\n"));
    std::fs::write(weir.config(), format!("{head}\n# alerts\n{rest}")).expect("weir.toml");
}

/// A counter or gauge of weir; zero without a series.
async fn metric(port: u16, series: &str) -> f64 {
    let answer = http_get(port, "/metrics").await;
    let line = answer.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or(0.0)
}

/// Broken if a target that is away, a lag, or a halt were not told of, were told of twice, or were not
/// told to be over; or if the command were told less than the webhook.
#[tokio::test]
async fn troubles_are_told_and_when_they_are_over() {
    let Some(mut pair) = Pair::start(Server::Postgres15, Server::MariaDb1011).await else { return };
    let weir = prepare(&pair, "alerts").await;
    let endpoint = Endpoint::start(Mood::Answers(200), None).await;
    let told = weir.dir.path().join("told");
    configure(
        &weir,
        "off",
        &format!(
            "[alerts]\nlag_max = \"3s\"\nretrying_max = \"2s\"\ndisk_free_min = \"off\"\n\
             command = [\"sh\", \"-c\", \"cat >> {}\"]\n\
             webhook = {{ url = \"http://127.0.0.1:{}/hunter2\", min_interval = \"5m\" }}\n",
            told.display(),
            endpoint.port
        ),
    );
    let child = weir.spawn(&["run"]);
    until_equal(&pair, SPACE, SOON).await;
    pair.target.kill().await.expect("target dies");
    insert(&pair, 6_000, 1).await;
    let is_told = async |kind: &str, state: &str| {
        let what = format!("{kind} is {state}");
        until(&what, Duration::from_secs(60), async || endpoint.told(kind, state) == 1).await;
    };
    is_told("link_retrying", "open").await;
    is_told("lag", "open").await;
    pair.target.start_again().await.expect("target comes back");
    until_equal(&pair, SPACE, SOON).await;
    is_told("link_retrying", "resolved").await;
    is_told("lag", "resolved").await;

    let alter = "ALTER TABLE account ADD COLUMN extra VARCHAR(10)";
    execute_in(&pair.source, SPACE, alter).await;
    insert(&pair, 7_000, 1).await;
    is_told("link_halted", "open").await;
    execute_in(&pair.target, SPACE, alter).await;
    weir.run(&["resume", "left:right", "--schema-reviewed"]).await.expect_code(0);
    is_told("link_halted", "resolved").await;
    assert_eq!(terminate(child).await, Some(0), "{}", weir.log());
    for kind in ["link_retrying", "lag", "link_halted"] {
        let of: Vec<_> = endpoint.alerts().into_iter().filter(|alert| alert.0 == kind).collect();
        assert_eq!(of.len(), 2, "{of:?}");
        assert_eq!(of[0].2["id"], of[1].2["id"], "one alert");
    }
    let (_, _, halted) =
        endpoint.alerts().into_iter().rfind(|one| one.1 == "open").expect("halted");
    assert_eq!(halted["figures"]["error_kind"], "schema_changed");
    assert_eq!((&halted["source"], &halted["target"]), (&"left".into(), &"right".into()));
    assert!(halted["hint"].as_str().is_some_and(|hint| hint.contains("--schema-reviewed")));
    let by_command = std::fs::read_to_string(&told).expect("the command was told");
    let documents = by_command.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let documents: Vec<serde_json::Value> = documents.collect();
    let alerts: Vec<_> =
        documents.iter().flat_map(|one| one["alerts"].as_array()).flatten().collect();
    assert_eq!(alerts.len(), endpoint.alerts().len());
    assert!(!weir.log().contains("hunter2"), "the path is in the log");
}

/// Broken if an alert were lost because the endpoint failed for a while, if changed files were not
/// heeded, if an endpoint that says nothing slowed a link down or kept weir from stopping, or if what it
/// was not told were nowhere.
#[tokio::test]
async fn an_endpoint_that_fails_or_is_silent_holds_nothing_up() {
    let Some(pair) = Pair::start(Server::MariaDb1011, Server::Postgres15).await else { return };
    let weir = prepare(&pair, "silent").await;
    let endpoint = Endpoint::start(Mood::Answers(500), None).await;
    let port = free_port();
    let rest = |disk_free_min: &str| {
        format!(
            "[http]\nlisten = \"127.0.0.1:{port}\"\n[alerts]\ndisk_free_min = \"{disk_free_min}\"\n\
             webhook = {{ url = \"http://127.0.0.1:{}/\", min_interval = \"1s\" }}\n",
            endpoint.port
        )
    };
    configure(&weir, "off", &rest("1000000GiB"));
    let child = weir.spawn(&["run"]);
    until("it is tried again", SOON, async || endpoint.seen().len() >= 2).await;
    endpoint.set(Mood::Answers(204));
    let delivered = "weir_alert_deliveries_total{channel=\"webhook\",outcome=\"delivered\"}";
    until("it is delivered", SOON, async || metric(port, delivered).await == 1.0).await;
    let seen = endpoint.seen();
    let (first, last) = (&seen[0].body["alerts"], &seen.last().expect("the last").body["alerts"]);
    assert_eq!(first, last, "the same alert");
    let failed = "weir_alert_deliveries_total{channel=\"webhook\",outcome=\"failed\"}";
    assert!(metric(port, failed).await >= 2.0);
    assert_eq!(metric(port, "weir_alerts_total{kind=\"disk_space\"}").await, 1.0);
    assert!(metric(port, "weir_state_free_bytes").await > 0.0);

    endpoint.set(Mood::Silent);
    configure(&weir, "off", &rest("off"));
    weir.run(&["reload"]).await.expect_code(0);
    until("it is told that it is over", SOON, async || {
        endpoint.told("disk_space", "resolved") == 1
    })
    .await;
    let started = Instant::now();
    for round in 0..20 {
        insert(&pair, 10_000 + round * 100, 100).await;
    }
    until_equal(&pair, SPACE, SOON).await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let started = Instant::now();
    assert_eq!(terminate(child).await, Some(0), "{}", weir.log());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(
        weir.log().contains("alert not delivered: its bound is switched off"),
        "{}",
        weir.log()
    );
}

/// Broken if weir filled up the disk of its state directory, could be let go on while there is no space,
/// or not once there is; or if it ended meanwhile.
#[tokio::test]
async fn a_state_disk_that_is_nearly_full_halts_links() {
    let Some(pair) = Pair::start(Server::Postgres15, Server::MySql97).await else { return };
    let weir = prepare(&pair, "nearly").await;
    let endpoint = Endpoint::start(Mood::Answers(200), None).await;
    let rest = format!("[alerts]\nwebhook = {{ url = \"http://127.0.0.1:{}/\" }}\n", endpoint.port);
    configure(&weir, "off", &rest);
    let child = weir.spawn(&["run"]);
    until_equal(&pair, SPACE, SOON).await;
    configure(&weir, "1000000GiB", &rest);
    weir.run(&["reload"]).await.expect_code(0);
    until_status(&weir, "disk_low").await.expect_code(4).expect_phrase("`weir resume left:right`");
    until("it is told", SOON, async || endpoint.told("link_halted", "open") == 1).await;
    weir.run(&["resume", "left:right"]).await.expect_code(1).expect_phrase("MiB left");
    insert(&pair, 20_000, 10).await;
    let status = weir.run(&["status", "--json"]).await.expect_code(4);
    status.expect_phrase("disk_low");
    configure(&weir, "off", &rest);
    weir.run(&["reload"]).await.expect_code(0);
    weir.run(&["resume", "left:right"]).await;
    until_equal(&pair, SPACE, SOON).await;
    assert_eq!(terminate(child).await, Some(0), "{}", weir.log());

    configure(&weir, "1000000GiB", &rest);
    let child = weir.spawn(&["run"]);
    until_status(&weir, "disk_low").await;
    assert_eq!(terminate(child).await, Some(0), "{}", weir.log());
}

/// Broken if nobody were told when every link has halted and weir ends for it: that is when nothing runs
/// any more; or if whoever stops it then had to wait for an endpoint that says nothing.
#[tokio::test]
async fn the_last_halt_is_told_too() {
    let Some(pair) = Pair::start(Server::Postgres15, Server::MariaDb1011).await else { return };
    let weir = prepare(&pair, "last").await;
    let endpoint = Endpoint::start(Mood::TakesLate(3), None).await;
    let rest = format!("[alerts]\nwebhook = {{ url = \"http://127.0.0.1:{}/\" }}\n", endpoint.port);
    configure(&weir, "off", &rest);
    let drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots";
    pair.source.query(drop).await.expect("the slot is lost");
    weir.run(&["run"]).await.expect_code(4).expect_phrase("alerts are delivered");
    assert_eq!(endpoint.told("link_halted", "open"), 1);

    endpoint.set(Mood::Silent);
    let child = weir.spawn(&["run"]);
    until("it is told", SOON, async || endpoint.told("link_halted", "open") == 2).await;
    let started = Instant::now();
    assert_eq!(terminate(child).await, Some(4), "{}", weir.log());
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(weir.log().contains("alert not delivered: link left:right has halted"));
    lost_while_paused(&weir, &endpoint).await;
}

/// Broken if nobody were told that log is lost while a person has paused the link, or were told again
/// of what he did himself.
async fn lost_while_paused(weir: &Weir, endpoint: &Endpoint) {
    endpoint.set(Mood::Answers(200));
    weir.run(&["pause", "left:right"]).await.expect_code(0);
    let before = endpoint.alerts().len();
    let child = weir.spawn(&["run"]);
    until("it is told", SOON, async || endpoint.told("log_retention", "open") == 1).await;
    let told = endpoint.alerts().split_off(before);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].2["figures"]["left_bytes"], 0, "{told:?}");
    assert!(told[0].2["text"].as_str().is_some_and(|text| text.contains("its slot is lost")));
    assert_eq!(terminate(child).await, Some(0), "{}", weir.log());
}

/// `weir alert test` with this `[alerts]`; exit code and everything printed.
async fn try_alerts(alerts: &str, files: &[(&str, &str)], json: bool) -> (Option<i32>, String) {
    let verb: &[&str] = if json { &["alert", "test", "--json"] } else { &["alert", "test"] };
    run(verb, alerts, files).await
}

/// A verb with this `[alerts]` and databases that are not there; exit code and everything printed.
async fn run(verb: &[&str], alerts: &str, files: &[(&str, &str)]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().expect("directory");
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).expect("file");
    }
    let config = format!(
        "name = \"tried\"\n[database.a]\nurl = \"mysql://u@127.0.0.1:1/a\"\n[database.b]\n\
         url = \"postgres://u@127.0.0.1:1/b\"\n[[replicate]]\nfrom = \"a\"\nto = \"b\"\n\
         tables = [\"a.*\"]\n{alerts}"
    );
    std::fs::write(dir.path().join("weir.toml"), config).expect("weir.toml");
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(verb).current_dir(dir.path());
    command.env("HOOK_TOKEN", "hunter2").stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(SOON, command.output()).await.expect("it hangs");
    let output = output.expect("weir starts");
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&printed).into_owned())
}

/// A certificate for 127.0.0.1 that signs itself, and who shows it.
fn tls() -> (String, TlsAcceptor) {
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("name");
    let key = KeyPair::generate().expect("key");
    let pem = params.self_signed(&key).expect("certificate").pem();
    let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).expect("certificate")];
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("certificate");
    (pem, TlsAcceptor::from(Arc::new(config)))
}

/// Broken if a person could not try whether alerts arrive, were told that they do where they do not, or
/// saw a secret; or if a token were sent to whoever is not who the certificate says.
#[tokio::test]
async fn alerts_can_be_tried() {
    let (code, printed) = try_alerts("", &[], false).await;
    assert_eq!(code, Some(2), "{printed}");
    assert!(printed.contains("no alerts are configured"), "{printed}");

    let (pem, acceptor) = tls();
    let secure = Endpoint::start(Mood::Answers(200), Some(acceptor)).await;
    let webhook = |tls_ca: &str| {
        format!(
            "[alerts]\ncommand = [\"false\"]\n[alerts.webhook]\n\
             url = \"https://127.0.0.1:{}/hunter2\"\nformat = \"slack\"\n\
             token = {{ env = \"HOOK_TOKEN\" }}\n{tls_ca}",
            secure.port
        )
    };
    let (code, printed) = try_alerts(&webhook(""), &[], false).await;
    assert_eq!((code, secure.seen().len()), (Some(1), 0), "{printed}");
    assert!(printed.contains("check `tls_ca` of the webhook"), "{printed}");
    let trusted = webhook("tls_ca = \"ca.pem\"\n");
    let (code, printed) = try_alerts(&trusted, &[("ca.pem", &pem)], true).await;
    assert_eq!(code, Some(1), "the command fails: {printed}");
    let told: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(told["channels"][0]["delivered"], true, "{printed}");
    assert_eq!(told["channels"][1]["delivered"], false, "{printed}");
    assert!(!printed.contains("hunter2"), "{printed}");
    let seen = secure.seen().pop().expect("a request");
    assert!(seen.head.starts_with("POST /hunter2 ") && seen.head.contains("Bearer hunter2"));
    assert!(seen.body["text"].as_str().is_some_and(|text| text.contains("this is a test")));

    let plain = Endpoint::start(Mood::Answers(302), None).await;
    let webhook = format!("[alerts]\nwebhook = {{ url = \"http://127.0.0.1:{}/\" }}\n", plain.port);
    for (mood, code, expected) in [
        (Mood::Answers(302), Some(1), "redirects are not followed"),
        (Mood::Answers(400), Some(1), "check `format`"),
        (Mood::Silent, Some(1), "did not answer in time"),
        (Mood::Answers(202), Some(0), "202"),
    ] {
        plain.set(mood);
        let (exit, printed) = try_alerts(&webhook, &[], false).await;
        assert_eq!(exit, code, "{mood:?}: {printed}");
        assert!(printed.contains(expected), "{mood:?}: {printed}");
    }
}

/// Broken if `weir check` passed over alerts that cannot be sent, or sent one.
#[tokio::test]
async fn what_cannot_be_sent_is_found_by_check() {
    let endpoint = Endpoint::start(Mood::Answers(200), None).await;
    let url = format!("http://127.0.0.1:{}/", endpoint.port);
    for (alerts, expected) in [
        (format!("webhook = {{ url = \"{url}\" }}\ncommand = [\"true\"]"), None),
        ("command = [\"no-such-program\"]".to_owned(), Some("`no-such-program` is not there")),
        ("webhook = { url = { env = \"NO_SUCH_HOOK\" } }".to_owned(), Some("`NO_SUCH_HOOK`")),
        (
            "webhook = { url = \"http://192.0.2.1/\", token = { env = \"HOOK_TOKEN\" } }"
                .to_owned(),
            Some("plain text"),
        ),
    ] {
        let (_, printed) = run(&["check", "--json"], &format!("[alerts]\n{alerts}\n"), &[]).await;
        let told: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
        let found = told["alerts"].as_array().expect("findings");
        match expected {
            None => assert!(found.is_empty(), "{printed}"),
            Some(expected) => {
                let message = found[0]["message"].as_str().expect("a message");
                assert!(message.contains(expected), "{printed}");
                assert_eq!(found[0]["severity"], "warning");
            }
        }
    }
    assert!(endpoint.seen().is_empty(), "nothing is sent");
}
