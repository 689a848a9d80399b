//! Fuzz tests on stable Rust: each decoder is given bytes that nobody meant, grown from small files that
//! somebody did (`corpus/<target>`).
//!
//! Of every input: no panic, no memory by a length that was not checked, no time that grows with its
//! square, and the identities that a target names. A failing input is cut down, printed and saved with
//! its seed.
//!
//! Each target runs in a process of its own, so that one which ends or hangs is told of like any other.
//!
//! Environment: `FUZZ_SECONDS` per target (6), `FUZZ_TARGET` (all), `FUZZ_SEED` (of the clock), and
//! `FUZZ_INPUT`, a file that a target is given alone. The first argument names targets, too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod driver;
mod mutation;
mod targets;
mod watch;

use std::time::Duration;

/// A decoder under test.
struct Target {
    /// Its name, and that of its folder in the corpus.
    name: &'static str,
    /// What it begins with, besides the files of its folder.
    seeds: fn() -> Vec<Vec<u8>>,
    /// Words that mean something to it.
    words: &'static [&'static str],
    /// Bytes of an input at most.
    bytes_max: usize,
    /// Memory at most: so many bytes for each of the input, and so many besides.
    memory: (usize, usize),
    /// What came out, in words that stand for a way through the code; or what must not be.
    run: fn(&[u8]) -> Result<String, String>,
}

/// Memory where each byte of the input may become a value of its own, and no more.
const MEMORY: (usize, usize) = (64, 1 << 20);

/// Names the target of a process that runs one; set by the one that watches it.
const CHILD: &str = "FUZZ_CHILD";

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// How many of these fail, run beside each other.
fn failed(targets: &[&Target], seed: u64) -> usize {
    std::thread::scope(|scope| {
        let running: Vec<_> =
            targets.iter().map(|target| scope.spawn(|| watch::run(target.name, seed))).collect();
        running.into_iter().map(|one| one.join().expect("a watch")).filter(|good| !good).count()
    })
}

fn main() {
    let argument = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = variable("FUZZ_TARGET").or(argument);
    let seconds = variable("FUZZ_SECONDS").map_or(6, |text| text.parse().expect("FUZZ_SECONDS"));
    let seed = variable("FUZZ_SEED").map(|text| text.parse().expect("FUZZ_SEED"));
    let seed: u64 = seed.unwrap_or_else(|| fastrand::u64(..));
    let chosen = targets::ALL.iter();
    let chosen = chosen.filter(|one| wanted.as_ref().is_none_or(|name| one.name.contains(name)));
    let chosen: Vec<&Target> = chosen.collect();
    assert!(!chosen.is_empty(), "no target is called {wanted:?}");
    if let Some(file) = variable("FUZZ_INPUT") {
        driver::silence();
        let input = std::fs::read(file).expect("FUZZ_INPUT");
        for target in chosen {
            println!("{}: {:?}", target.name, driver::judge(target, &input));
        }
        return;
    }
    let time = Duration::from_secs(seconds);
    if let Some(name) = variable(CHILD) {
        driver::silence();
        let target = targets::ALL.iter().find(|target| target.name == name).expect("a target");
        let report = driver::run(target, seed, time);
        println!("fuzz {name}: {report}");
        std::process::exit(i32::from(report.failed));
    }
    let failed: usize = chosen.chunks(2).map(|pair| failed(pair, seed)).sum();
    if failed > 0 {
        println!("{failed} targets failed, FUZZ_SEED={seed}");
        std::process::exit(1);
    }
}
