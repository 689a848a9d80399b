//! weir watched over HTTP: every line of `/metrics`, lag when idle and when stuck, health, SIGTERM.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weir::sandbox::Server;

use crate::crash::SPACE;
use crate::harness::{Pair, Weir, execute_in, until};
use crate::load::{Mixed, Session, tables, until_equal};
use crate::operation::{SOON, insert, terminate, until_status};

/// What `path` is answered.
pub async fn http_get(port: u16, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("http");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answer");
    answer
}

/// Unix time.
fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("a time").as_secs_f64()
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("address").port()
}

/// What a scrape said: values by series, and the type of each family.
struct Scrape {
    types: BTreeMap<String, String>,
    series: BTreeMap<String, f64>,
}

impl Scrape {
    /// Reads what `/metrics` answered and judges every line by the rules of OpenMetrics and by
    /// Prometheus' rules for names.
    fn of(answer: &str) -> Scrape {
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("openmetrics-text"), "{head}");
        let body = body.strip_suffix("# EOF\n").expect("the end is marked");
        let mut scrape = Scrape { types: BTreeMap::new(), series: BTreeMap::new() };
        let mut helped = BTreeSet::new();
        for line in body.lines() {
            match line.strip_prefix("# ") {
                Some(comment) => {
                    let mut words = comment.splitn(3, ' ');
                    let mut word = || words.next().unwrap_or_else(|| panic!("{line}")).to_owned();
                    let (what, name, text) = (word(), word(), word());
                    assert!(well_named(&name), "{line}");
                    let new = match what.as_str() {
                        "HELP" => helped.insert(name),
                        "TYPE" => scrape.types.insert(name, text).is_none(),
                        _ => panic!("{line}"),
                    };
                    assert!(new, "twice: {line}");
                }
                None => scrape.sample(line),
            }
        }
        assert!(scrape.types.keys().eq(helped.iter()), "a family without help or type");
        scrape
    }

    fn sample(&mut self, line: &str) {
        let (series, value) = line.rsplit_once(' ').expect(line);
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(value.is_finite(), "{line}");
        let (name, labels) = series.split_once('{').map_or((series, ""), |(name, rest)| {
            (name, rest.strip_suffix('}').unwrap_or_else(|| panic!("{line}")))
        });
        assert!(well_labelled(labels), "{line}");
        let family = ["_total", "_info", "_bucket", "_sum", "_count", ""]
            .iter()
            .filter_map(|suffix| Some((suffix, self.types.get(name.strip_suffix(suffix)?)?)))
            .next();
        let (suffix, kind) = family.unwrap_or_else(|| panic!("no family: {line}"));
        let fits = match kind.as_str() {
            "counter" => *suffix == "_total" && value >= 0.0 && !name.contains("_total_total"),
            "gauge" => suffix.is_empty(),
            "info" => *suffix == "_info",
            "histogram" => ["_bucket", "_sum", "_count"].contains(suffix) && value >= 0.0,
            _ => false,
        };
        assert!(fits, "{kind}: {line}");
        assert!(self.series.insert(series.to_owned(), value).is_none(), "twice: {line}");
    }

    /// The value of a gauge or counter of the link whose labels go on with `labels`.
    fn get(&self, name: &str, labels: &str) -> Option<f64> {
        let series = format!("{name}{{source=\"left\",target=\"right\"{labels}}}");
        self.series.get(&series).copied()
    }
}

/// `weir_` and words of small letters; base units only, and those in full.
fn well_named(name: &str) -> bool {
    let plain = |char: char| char.is_ascii_lowercase() || char == '_';
    let units = ["ms", "milliseconds", "minutes", "kb", "mb", "kib", "mib", "percent"];
    name.starts_with("weir_")
        && name.chars().all(plain)
        && !name.split('_').any(|word| word.is_empty() || units.contains(&word))
}

/// `name="value",…` with `\`, `"` and line breaks escaped, and no name twice.
fn well_labelled(mut labels: &str) -> bool {
    let mut names = BTreeSet::new();
    while !labels.is_empty() {
        let Some((name, rest)) = labels.split_once("=\"") else { return false };
        let mut escaped = false;
        let end = rest.find(|char| {
            let ends = char == '"' && !escaped;
            escaped = char == '\\' && !escaped;
            ends
        });
        let Some(end) = end else { return false };
        let plain = |char: char| char.is_ascii_lowercase() || char == '_';
        if !name.chars().all(plain) && name != "le" || !names.insert(name) {
            return false;
        }
        labels = rest.get(end + 1..).unwrap_or_default();
        labels = labels.strip_prefix(',').unwrap_or(labels);
    }
    true
}

async fn scrape(port: u16) -> Scrape {
    Scrape::of(&http_get(port, "/metrics").await)
}

/// Tables of the load and one with an odd name on both sides, weir set up with an HTTP endpoint.
async fn prepare(pair: &Pair) -> (Weir, u16) {
    pair.create_space(SPACE).await;
    execute_in(&pair.source, SPACE, &tables(&pair.source)).await;
    execute_in(&pair.source, SPACE, "CREATE TABLE \"o\"\"d\\ {d\" (id int PRIMARY KEY)").await;
    let mut weir = Weir::new(pair, "watched", SPACE, "\n[apply]\nstart = \"now\"\n");
    weir.let_look().await;
    let ddl = weir.run(&["ddl"]).await.expect_code(0).stdout;
    execute_in(&pair.target, SPACE, &ddl).await;
    weir.set_up().await;
    let port = free_port();
    weir.append(&format!("\n[http]\nlisten = \"127.0.0.1:{port}\"\n"));
    (weir, port)
}

/// Broken if a line of `/metrics` were not what Prometheus reads, if a figure were missing, if lag
/// were not near zero when idle or did not grow when stuck, if log that piles up while the target is
/// away were not seen, or if SIGTERM did not drain and end well.
#[tokio::test]
async fn watched_over_http() {
    let Some(mut pair) = Pair::start(Server::Postgres15, Server::MariaDb1011).await else { return };
    let (weir, port) = prepare(&pair).await;
    let child = weir.spawn(&["run"]);
    // A look at the state directory in the moment of the start must not keep weir from starting.
    until_status(&weir, "\"state\": \"running\"").await;
    execute_in(&pair.source, SPACE, "INSERT INTO \"o\"\"d\\ {d\" VALUES (1)").await;
    insert(&pair, 5_000, 100).await;
    until_equal(&pair, SPACE, SOON).await;
    until("the slot is looked at", SOON, async || {
        let idle = scrape(port).await;
        idle.get("weir_lag_bytes", "") == Some(0.0)
            && idle.get("weir_slot_retained_bytes", "").is_some()
    })
    .await;
    idle(&scrape(port).await);
    assert!(http_get(port, "/readyz").await.starts_with("HTTP/1.1 200"));
    let died = now();
    pair.target.kill().await.expect("target dies");
    insert(&pair, 6_000, 1).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let stuck = scrape(port).await;
    assert!(stuck.get("weir_lag_seconds", "") > Some(2.0), "{:?}", stuck.series);
    assert_eq!(stuck.get("weir_link_state", ",state=\"retrying\""), Some(1.0));
    assert!(stuck.get("weir_errors_total", ",kind=\"connection\"") > Some(0.0));
    assert!(stuck.get("weir_retries_total", ",kind=\"connection\"") > Some(0.0));
    let waiting = http_get(port, "/readyz").await;
    assert!(waiting.starts_with("HTTP/1.1 503"), "{waiting}");
    let (_, body) = waiting.split_once("\r\n\r\n").expect("a body");
    assert!(body.starts_with("left:right retrying since 20") && body.contains("Z: connection: "));
    assert!(body.contains("; hint: weir reconnects") && body.lines().count() == 1, "{body}");
    let since = stuck.get("weir_link_state_since_timestamp_seconds", "").expect("known");
    assert!(since > died - 1.0 && since < died + 3.0, "{since} {died}");
    assert!(http_get(port, "/healthz").await.starts_with("HTTP/1.1 200"));
    until("the log is looked at without a stream", SOON, async || {
        scrape(port).await.get("weir_lag_bytes", "").is_some()
    })
    .await;
    pair.target.start_again().await.expect("target comes back");
    until_equal(&pair, SPACE, SOON).await;
    let mut mixed = Mixed::new(5, 500);
    let mut session = Session::open(&pair.source, SPACE).await;
    for _ in 0..100 {
        // A refused transaction (a key taken already) is none.
        session.transaction(&mixed.next_transaction()).await.ok();
    }
    let written = now();
    assert_eq!(terminate(child).await, Some(0), "{}", weir.log());
    let status = weir.run(&["status", "--json"]).await.expect_code(0);
    status.expect_phrase("stopped").expect_phrase("\"running\": false");
    lost_while_paused(&pair, &weir, port, written).await;
}

/// Broken if after a restart nobody looked at the log of a link that does not stream, if a lost slot
/// were shown as one that cannot be lost, or if the time of the restart were taken for a commit's.
async fn lost_while_paused(pair: &Pair, weir: &Weir, port: u16, written: f64) {
    weir.run(&["pause", "left:right"]).await.expect_code(0);
    let drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots";
    pair.source.query(drop).await.expect("the slot is lost");
    let child = weir.spawn(&["run"]);
    until("the endpoint is up", SOON, async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
    })
    .await;
    until_status(weir, "\"state\": \"paused\"").await;
    until("the log is looked at after a restart", SOON, async || {
        let paused = scrape(port).await;
        paused.get("weir_lag_bytes", "").is_some()
            && paused.get("weir_slot_safe_wal_bytes", "") == Some(0.0)
    })
    .await;
    let paused = scrape(port).await;
    let applied = paused.get("weir_last_applied_timestamp_seconds", "").expect("it is remembered");
    assert!(applied > written - 600.0 && applied <= written, "{applied} {written}");
    assert!(paused.get("weir_lag_seconds", "") > Some(0.0));
    assert_eq!(terminate(child).await, Some(0), "{}", weir.log());
}

/// A link that has applied a hundred accounts and one odd row, and has nothing to do.
fn idle(idle: &Scrape) {
    let build = format!("weir_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(idle.series.get(&build), Some(&1.0));
    for state in ["starting", "running", "retrying", "halted", "stopped"] {
        let is = f64::from(u8::from(state == "running"));
        assert_eq!(idle.get("weir_link_state", &format!(",state=\"{state}\"")), Some(is));
    }
    assert!(idle.get("weir_lag_seconds", "") < Some(1.0), "{:?}", idle.series);
    let (transactions, count) =
        (idle.get("weir_transactions_total", ""), idle.get("weir_latency_seconds_count", ""));
    assert!(transactions >= Some(2.0) && transactions == count, "{transactions:?} {count:?}");
    let rows = |table: &str| {
        idle.get("weir_rows_total", &format!(",table=\"{SPACE}.{table}\",operation=\"upsert\""))
    };
    assert!(rows("account") >= Some(100.0));
    assert_eq!(rows("o\\\"d\\\\ {d"), Some(1.0), "{:?}", idle.series);
    for (name, value) in [("weir_missed", 0.0), ("weir_partial", 0.0), ("weir_queue_bytes", 0.0)] {
        assert_eq!(idle.get(name, ""), Some(value), "{name}");
    }
    assert!(idle.get("weir_last_applied_timestamp_seconds", "") > Some(1.6e9));
    assert!(idle.get("weir_slot_safe_wal_bytes", "") > Some(1e9));
    for name in ["weir_lag_transactions", "weir_log_purge_eta_seconds"] {
        assert_eq!(idle.get(name, ""), None, "{name} is not known here");
        assert_eq!(idle.types.get(name).map(String::as_str), Some("gauge"));
    }
}
