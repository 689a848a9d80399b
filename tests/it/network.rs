//! A network that breaks: every connection of weir is cut after a random number of bytes, also in
//! the middle of a packet and between a COMMIT and its answer. weir recovers by itself, nothing is
//! lost and nothing applied twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weir::sandbox::Server;

use crate::crash::{SPACE, prepare, write_until};
use crate::harness::{Pair, Weir};
use crate::load::until_equal;

/// A proxy before one server.
struct Proxy {
    port: u16,
    /// Connections are cut.
    breaks: Arc<AtomicBool>,
    /// Connections cut so far.
    cuts: Arc<AtomicU64>,
}

impl Proxy {
    async fn start(server_port: u16, seed: u64, bytes: std::ops::Range<u64>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("address").port();
        let breaks = Arc::new(AtomicBool::new(true));
        let cuts = Arc::new(AtomicU64::new(0));
        let (breaking, counted) = (Arc::clone(&breaks), Arc::clone(&cuts));
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            loop {
                let Ok((client, _)) = listener.accept().await else { return };
                let bytes = random.u64(bytes.clone());
                let (breaking, counted) = (Arc::clone(&breaking), Arc::clone(&counted));
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)).await else {
                        return;
                    };
                    if carry(client, server, bytes, &breaking).await {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        Proxy { port, breaks, cuts }
    }
}

/// Carries bytes both ways until an end, or until `limit` bytes have passed while `breaking`; true
/// if it was cut.
async fn carry(client: TcpStream, server: TcpStream, limit: u64, breaking: &AtomicBool) -> bool {
    // Without this each small packet waits for the acknowledgement of the one before it, 40 ms.
    client.set_nodelay(true).expect("no delay");
    server.set_nodelay(true).expect("no delay");
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut up, mut down) = ([0_u8; 1400], [0_u8; 1400]);
    let mut left = limit;
    loop {
        let (count, upwards) = tokio::select! {
            read = from_client.read(&mut up) => (read.unwrap_or(0), true),
            read = from_server.read(&mut down) => (read.unwrap_or(0), false),
        };
        if count == 0 {
            return false;
        }
        let cut = breaking.load(Ordering::Relaxed) && count as u64 > left;
        let pass = if cut { usize::try_from(left).unwrap_or(0) } else { count };
        let sent = if upwards {
            to_server.write_all(&up[..pass]).await
        } else {
            to_client.write_all(&down[..pass]).await
        };
        if cut || sent.is_err() {
            return cut;
        }
        left = left.saturating_sub(count as u64);
    }
}

/// Puts the proxies between weir and its servers.
fn reroute(weir: &Weir, pair: &Pair, proxies: [&Proxy; 2]) {
    let mut text = std::fs::read_to_string(weir.config()).expect("weir.toml");
    for (server, proxy) in [&pair.source, &pair.target].into_iter().zip(proxies) {
        text = text.replace(&format!(":{}/", server.port()), &format!(":{}/", proxy.port));
    }
    std::fs::write(weir.config(), text + "batch_rows_max = 40\nretry_max = \"500ms\"\n")
        .expect("weir.toml");
}

async fn cut_at_random(source: Server, target: Server, seed: u64) {
    let Some(pair) = Pair::start(source, target).await else { return };
    let weir = prepare(&pair, "network").await;
    let before_source = Proxy::start(pair.source.port(), seed, 30_000..200_000).await;
    let before_target = Proxy::start(pair.target.port(), seed + 1, 8_000..60_000).await;
    reroute(&weir, &pair, [&before_source, &before_target]);
    let pair = Arc::new(pair);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (pair, stop) = (Arc::clone(&pair), Arc::clone(&stop));
        async move { write_until(&pair, seed, &stop, Duration::from_millis(4)).await }
    });
    let mut child = weir.spawn(&["run"]);
    tokio::time::sleep(Duration::from_secs(12)).await;
    stop.store(true, Ordering::Relaxed);
    writer.await.expect("writer");
    for proxy in [&before_source, &before_target] {
        proxy.breaks.store(false, Ordering::Relaxed);
    }
    assert!(child.try_wait().expect("state").is_none(), "weir ended:\n{}", weir.log());
    let rows = until_equal(&pair, SPACE, Duration::from_secs(60)).await;
    child.kill().await.expect("killed");
    let cuts = [&before_source, &before_target].map(|proxy| proxy.cuts.load(Ordering::Relaxed));
    eprintln!("{source:?} -> {target:?}: {cuts:?} connections cut, {rows} rows equal");
    let log = weir.log();
    assert!(!log.contains("panicked") && !log.contains("halted"), "{log}");
    assert!(cuts.iter().sum::<u64>() > 2, "only {cuts:?} connections were cut:\n{log}");
}

/// Broken if a connection that breaks at any byte lost, doubled or stopped anything.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn cuts_postgres18_to_mysql() {
    cut_at_random(Server::Postgres18, Server::MySql97, 41).await;
}

/// As above, the other way.
#[tokio::test]
async fn cuts_mariadb_to_postgres15() {
    cut_at_random(Server::MariaDb1011, Server::Postgres15, 42).await;
}

/// As above, from MySQL.
#[tokio::test]
#[ignore = "long: make acceptance"]
async fn cuts_mysql_to_postgres18() {
    cut_at_random(Server::MySql97, Server::Postgres18, 43).await;
}
