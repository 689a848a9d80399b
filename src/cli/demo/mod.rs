//! `weir demo`: two throw-away databases of different dialects, one of them with rows and a live workload,
//! and weir between them as a user would run it: it copies what is there, and carries what changes. In the
//! end both sides are compared.
//!
//! Everything lives in temporary directories and on free loopback ports, and is gone afterwards, also
//! when the demo is killed. The replicator is a process of its own with an ordinary configuration
//! file, so that its other verbs can be tried from another terminal meanwhile.

mod shop;
mod stage;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::cli::args::DemoArgs;
use crate::cli::exit;
use crate::cli::output::say;
use crate::cli::signals::Signals;
use crate::error::{Error, Kind, Result};
use shop::Shop;
use stage::Stage;

/// How long the demo waits for weir to catch up in the end.
const CATCH_UP_MAX: Duration = Duration::from_secs(60);

/// Runs the demo.
pub(super) async fn run(args: &DemoArgs) -> Result<ExitCode> {
    say!("weir demo: PostgreSQL -> MariaDB on throw-away servers; nothing is installed.\n");
    let stop = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::listen()?.and_hangup()?;
    let stage = tokio::select! {
        biased;
        signal = signals.next() => return Ok(interrupted(signal, "had started")),
        stage = Stage::set_up() => stage?,
    };
    stage.print_where_to_look();
    let shop = tokio::spawn(Shop::open(&stage.source).await?.trade(Arc::clone(&stop)));
    let outcome = watch(&stage, args.seconds, &mut signals).await;
    stop.store(true, Ordering::Relaxed);
    let traded = shop.await.map_err(|cause| {
        Error::new(Kind::Internal, "the demo's workload died").caused_by(cause)
    })??;
    outcome?;
    say!("\nworkload stopped after {traded} transactions; waiting for weir to catch up …");
    let verdict = tokio::select! {
        biased;
        signal = signals.next() => return Ok(interrupted(signal, "was over")),
        verdict = compare(&stage) => verdict,
    };
    stage.shut_down().await?;
    verdict
}

fn interrupted(signal: &str, when: &str) -> ExitCode {
    say!("interrupted ({signal}) before the demo {when}");
    ExitCode::from(exit::FAILED)
}

/// Prints lag and counts once a second until the time is over, or Ctrl-C or its like.
async fn watch(stage: &Stage, seconds: Option<u64>, signals: &mut Signals) -> Result<()> {
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut line = 0_u64;
    loop {
        tokio::select! {
            biased;
            _ = signals.next() => return Ok(()),
            _ = tick.tick() => {}
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ok(());
        }
        stage.expect_alive()?;
        if line.is_multiple_of(20) {
            say!(
                "{:>8} {:>10} {:>12} {:>12} {:>10} {:>9}",
                "state",
                "copied",
                "transactions",
                "rows",
                "lag",
                "behind"
            );
        }
        line += 1;
        say!("{}", stage.status_line().await?);
    }
}

/// Waits until both sides are equal, and says so.
async fn compare(stage: &Stage) -> Result<ExitCode> {
    let started = Instant::now();
    loop {
        let difference = stage.difference().await?;
        match difference {
            None => {
                say!("\nboth sides are equal:");
                for (table, rows) in stage.counts().await? {
                    say!("  {table:<14} {rows:>8} rows");
                }
                return Ok(ExitCode::from(exit::GOOD));
            }
            Some(what) if started.elapsed() > CATCH_UP_MAX => {
                say!("\nDIFFERENT: {what}\nthe log of weir:\n{}", stage.log_tail());
                return Ok(ExitCode::from(exit::DIFFERENT));
            }
            Some(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}
