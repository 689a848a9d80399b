//! The acceptance tier (`make acceptance`), the soak (`make soak`) and the bench (`make bench`): long
//! runs with the release binary on real servers. Not part of `make test`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test fails by panicking; its modules are shared"
)]

mod bench;
#[path = "../it/crash.rs"]
#[allow(dead_code, unused_imports)]
mod crash;
#[path = "../it/harness.rs"]
#[allow(dead_code)]
mod harness;
#[path = "../it/load.rs"]
#[allow(dead_code)]
mod load;
mod million;
#[path = "../it/random.rs"]
#[allow(dead_code)]
mod random;

use std::time::{Duration, Instant};

use weir::sandbox::Server;

/// The four directions.
const DIRECTIONS: [(Server, Server); 4] = [
    (Server::Postgres15, Server::MySql97),
    (Server::Postgres18, Server::MariaDb1011),
    (Server::MySql97, Server::Postgres18),
    (Server::MariaDb1011, Server::Postgres15),
];

fn main() {
    // Every server is required here, wherever this runs.
    let tier = std::env::args().nth(1).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("runtime");
    let started = Instant::now();
    match tier.as_str() {
        "acceptance" => runtime.block_on(acceptance()),
        "soak" => runtime.block_on(soak()),
        "bench" => runtime.block_on(bench()),
        _ => {
            eprintln!("this binary runs by `make acceptance`, `make soak` or `make bench`");
            return;
        }
    }
    println!("{tier}: passed in {:.0} s", started.elapsed().as_secs_f64());
}

/// All directions, or the one that `ACCEPTANCE_DIRECTION` names by its number.
fn directions() -> impl Iterator<Item = (usize, (Server, Server))> {
    let only = std::env::var("ACCEPTANCE_DIRECTION").ok();
    let only: Option<usize> = only.and_then(|number| number.parse().ok());
    let wanted = move |number: usize| only.is_none_or(|only| only == number);
    DIRECTIONS.into_iter().enumerate().filter(move |(number, _)| wanted(*number))
}

async fn bench() {
    for (_, (source, target)) in directions() {
        bench::bench(source, target).await;
    }
}

async fn acceptance() {
    for (number, (source, target)) in directions() {
        million::million_changes(source, target).await;
        million::huge_transaction(source, target).await;
        crash::kill_at_random(source, target, 100 + number as u64, 20).await;
        crash::restart_servers(source, target, 7, Duration::from_secs(60)).await;
        random::random(source, target, 200 + number as u64, Duration::from_secs(120)).await;
    }
}

async fn soak() {
    let minutes = std::env::var("SOAK_MINUTES").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(60 * minutes.unwrap_or(60));
    let mut seed = fastrand::u64(0..1_000_000);
    while Instant::now() < until {
        for (source, target) in DIRECTIONS {
            crash::kill_at_random(source, target, seed, 20).await;
            random::random(source, target, seed, Duration::from_secs(300)).await;
            seed += 1;
        }
    }
}
