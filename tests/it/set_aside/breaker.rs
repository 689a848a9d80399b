//! Rows that are refused in such numbers that it is no accident of single rows: the link halts with a
//! bounded number of letters, tells so once, and goes on where it was once the cause is mended.

use weir::sandbox::Server;

use super::{SOON, SPACE, letters, prepare, until_alike};
use crate::endpoint::{Endpoint, Mood};
use crate::harness::{Pair, Weir, execute_in, query_in, until};
use crate::load::Session;
use crate::metrics::{free_port, http_get};
use crate::operation::{terminate, until_status};

/// Rows that are refused.
const ROWS: u32 = 10_000;
/// Those that come first, and are set aside.
const FIRST: u32 = 60;
/// Rows that may be set aside in each of the runs.
const ROWS_MAX: u64 = 200;

/// Writes rows of these numbers, a statement each, so many in a transaction.
async fn write(pair: &Pair, ids: std::ops::Range<u32>, together: usize) {
    let mut session = Session::open(&pair.source, SPACE).await;
    let one = |id: u32| format!("INSERT INTO account VALUES ({id}, 'x', {})", 1_000 + id);
    let statements: Vec<String> = ids.map(one).collect();
    for transaction in statements.chunks(together) {
        session.transaction(transaction).await.expect("transaction");
    }
}

/// What every place says of a link that has halted so, with rows set aside.
async fn told_everywhere(pair: &Pair, weir: &Weir, endpoint: &Endpoint, port: u16, why: &str) {
    let halted = until_status(weir, "\"too_many_dead_letters\"").await.expect_code(4);
    let halted = halted.expect_phrase(why);
    let rows = "SELECT count(DISTINCT row_name) FROM weir.dead_letter";
    let rows = query_in(&pair.target, SPACE, rows).await[0].parse::<u64>().expect("a number");
    assert!((u64::from(FIRST)..=ROWS_MAX).contains(&rows), "{rows} rows are set aside");
    let told: serde_json::Value = serde_json::from_str(&halted.stdout).expect("JSON");
    let aside = &told["links"][0]["set_aside"];
    assert_eq!((&aside["rows"], &aside["letters"]), (&rows.into(), &rows.into()), "{told}");
    let ready = http_get(port, "/readyz").await;
    assert!(
        ready.starts_with("HTTP/1.1 503") && ready.contains("too_many_dead_letters"),
        "{ready}"
    );
    let metrics = http_get(port, "/metrics").await;
    let link = "{source=\"left\",target=\"right\"}";
    for series in
        [format!("weir_set_aside_rows{link} {rows}"), format!("weir_dead_letters{link} {rows}")]
    {
        assert!(metrics.contains(&series), "no {series} in\n{metrics}");
    }
    for kind in ["link_halted", "dead_letters"] {
        until(kind, SOON, async || endpoint.told(kind, "open") == 1).await;
    }
    let waited = weir.run(&["wait", "left:right"]).await.expect_code(4);
    waited.expect_phrase(why).expect_phrase("weir dead-letters retry left:right");
}

async fn far_too_many(source: Server, target: Server, together: usize, limits: &str, why: &str) {
    let Some(pair) = Pair::start(source, target).await else { return };
    let (endpoint, port) = (Endpoint::start(Mood::Answers(200), None).await, free_port());
    let extra = format!(
        "{limits}\n[http]\nlisten = \"127.0.0.1:{port}\"\n[alerts]\n\
         webhook = {{ url = \"http://127.0.0.1:{}/\", min_interval = \"5m\" }}\n",
        endpoint.port
    );
    let weir = prepare(&pair, &extra).await;
    let child = weir.spawn(&["run"]);
    write(&pair, 1..FIRST + 1, together).await;
    until("the first are set aside", SOON, async || letters(&pair).await.len() == FIRST as usize)
        .await;
    let waited = weir.run(&["wait", "left:right"]).await.expect_code(0);
    assert!(waited.stderr.contains("left:right has 60 rows set aside"), "{}", waited.stderr);
    write(&pair, FIRST + 1..ROWS + 1, together).await;
    told_everywhere(&pair, &weir, &endpoint, port, why).await;

    // Nothing is tried while the link stands; what was asked for is remembered, and does not count.
    execute_in(&pair.target, SPACE, "ALTER TABLE account DROP CONSTRAINT n_small").await;
    let retry = weir.run(&["dead-letters", "retry", "--all"]).await.expect_code(1);
    retry.expect_phrase("tries none of them").expect_phrase("weir resume left:right");
    weir.run(&["resume", "left:right"]).await.expect_code(0);
    until_alike(&pair).await;
    until("no letter is left", SOON, async || letters(&pair).await.is_empty()).await;
    for kind in ["link_halted", "dead_letters"] {
        until(kind, SOON, async || endpoint.told(kind, "resolved") == 1).await;
        assert_eq!(endpoint.told(kind, "open"), 1, "{:?}", endpoint.alerts());
    }
    let ready = http_get(port, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    assert_eq!(terminate(child).await, Some(0), "{}", weir.log());
}

/// More rows a minute than there are.
const FAST: &str = "dead_letters_max = 200\ndead_letters_rate_max = \"1000000/min\"";

/// Broken if a trouble of all rows filled the target with letters, were told once for each of them, told
/// of rows that are not set aside, or left something behind once it was mended.
#[tokio::test]
async fn far_too_many_in_small_transactions() {
    far_too_many(Server::Postgres15, Server::MySql97, 50, FAST, "dead_letters_max = 200").await;
}

/// As above, all in one transaction; and if that took a time that grows with their square.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn far_too_many_in_one_transaction() {
    let (source, target) = (Server::MySql97, Server::Postgres18);
    far_too_many(source, target, ROWS as usize, FAST, "dead_letters_max = 200").await;
}

/// As above, faster than is allowed.
#[tokio::test]
async fn far_too_many_at_a_time() {
    let (source, target) = (Server::Postgres18, Server::MariaDb1011);
    let limits = "dead_letters_rate_max = \"120/min\"";
    far_too_many(source, target, 50, limits, "faster than 120/min").await;
}
