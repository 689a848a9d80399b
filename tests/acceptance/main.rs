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
mod copy;
mod copy_bench;
#[path = "../it/crash.rs"]
#[allow(dead_code, unused_imports)]
mod crash;
#[path = "../it/harness.rs"]
#[allow(dead_code)]
mod harness;
mod item;
#[path = "../it/load.rs"]
#[allow(dead_code)]
mod load;
mod million;
mod pipe;
mod poison;
#[path = "../it/random.rs"]
#[allow(dead_code)]
mod random;
#[path = "../it/rights.rs"]
#[allow(dead_code)]
mod rights;

use std::time::{Duration, Instant};

use weir::sandbox::Server;

/// The directions: across the dialects in full, within one (or nearly one) on a smaller scale.
const DIRECTIONS: [(Server, Server, Scale); 8] = [
    (Server::Postgres15, Server::MySql97, FULL),
    (Server::Postgres18, Server::MariaDb1011, FULL),
    (Server::MySql97, Server::Postgres18, FULL),
    (Server::MariaDb1011, Server::Postgres15, FULL),
    (Server::Postgres15, Server::Postgres18, SMALLER),
    (Server::MySql97, Server::MySql97, SMALLER),
    (Server::MySql97, Server::MariaDb1011, SMALLER),
    (Server::MariaDb1011, Server::MySql97, SMALLER),
];

/// How much of each scenario.
#[derive(Clone, Copy)]
struct Scale {
    /// Accounts of the million changes; the one large transaction has four times as many rows.
    accounts: u64,
    /// Rows of the table that is copied under load; none where it is 0.
    copied: u64,
    kills: u32,
    /// How long the target is away, in seconds.
    away: u64,
    /// How long random statements run, in seconds.
    random: u64,
}

const FULL: Scale =
    Scale { accounts: 500_000, copied: 5_000_000, kills: 20, away: 60, random: 120 };
const SMALLER: Scale = Scale { accounts: 100_000, copied: 0, kills: 10, away: 10, random: 45 };

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

/// All directions, or the one that `ACCEPTANCE_DIRECTION` names by its number; with
/// `ACCEPTANCE_ACCOUNTS`, to try one out, for so many accounts.
fn directions() -> impl Iterator<Item = (usize, (Server, Server, Scale))> {
    let only = picked();
    let wanted = move |number: usize| only.is_none_or(|only| only == number);
    let accounts = std::env::var("ACCEPTANCE_ACCOUNTS").ok().and_then(|text| text.parse().ok());
    let scaled = move |(source, target, scale): (Server, Server, Scale)| {
        let accounts = accounts.unwrap_or(scale.accounts);
        let copied = scale.copied.min(10 * accounts);
        (source, target, Scale { accounts, copied, ..scale })
    };
    let all = DIRECTIONS.into_iter().map(scaled).enumerate();
    all.filter(move |(number, _)| wanted(*number))
}

/// Both parts, or the one that `BENCH_PART` names.
async fn bench() {
    let scale = std::env::var("BENCH_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let part = std::env::var("BENCH_PART").unwrap_or_default();
    if part != "copy" {
        for (_, (source, target, _)) in directions().filter(|(number, _)| *number < 4) {
            bench::bench(source, target, scale).await;
        }
    }
    if part != "drain" {
        copy_bench::bench(scale, picked()).await;
    }
}

/// The number that `ACCEPTANCE_DIRECTION` gives.
fn picked() -> Option<usize> {
    let only = std::env::var("ACCEPTANCE_DIRECTION").ok();
    only.and_then(|number| number.parse().ok())
}

/// All scenarios; only the copy where `ACCEPTANCE_PART` is `copy`.
async fn acceptance() {
    for (number, (source, target, scale)) in directions() {
        let Scale { accounts, copied, kills, away, random } = scale;
        if copied > 0 {
            copy::copy_under_load(source, target, copied, 300 + number as u64, 10).await;
        }
        if std::env::var("ACCEPTANCE_PART").is_ok_and(|part| part == "copy") {
            continue;
        }
        million::million_changes(source, target, accounts).await;
        million::huge_transaction(source, target, 4 * accounts).await;
        poison::one_among_many(source, target, 100_000.min(accounts), 5).await;
        crash::kill_at_random(source, target, 100 + number as u64, kills).await;
        crash::restart_servers(source, target, 7, Duration::from_secs(away)).await;
        random::random(source, target, 200 + number as u64, Duration::from_secs(random)).await;
    }
}

async fn soak() {
    let minutes = std::env::var("SOAK_MINUTES").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(60 * minutes.unwrap_or(60));
    let mut seed = fastrand::u64(0..1_000_000);
    while Instant::now() < until {
        for (source, target, _) in DIRECTIONS {
            crash::kill_at_random(source, target, seed, 20).await;
            random::random(source, target, seed, Duration::from_secs(300)).await;
            seed += 1;
        }
    }
}
