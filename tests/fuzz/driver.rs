//! Runs one target: picks an input, alters it, judges what came of it, and keeps inputs that took a way
//! nobody had taken before.
//!
//! All chance comes from the seed. Before an input runs it is written to a file, so that what ends the
//! whole process can be given to `FUZZ_INPUT`. Memory is what the process has taken at most, touched or not,
//! beyond what it had taken before.

use std::collections::HashSet;
use std::fmt;
use std::fs::{File, create_dir_all};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Target;
use crate::mutation::mutate;

/// An input that takes longer, each of [`TRIES`] times, grows with its square.
const TIME_MAX: Duration = Duration::from_secs(1);
/// Other work on the machine must not look like time of ours.
const TRIES: usize = 5;
/// Inputs that are kept of a run at most.
const POOL_MAX: usize = 4096;
/// How long a failing input is cut down.
const CUTTING: Duration = Duration::from_secs(20);

/// Where a panic happened, of the thread that runs targets.
static PANIC: Mutex<String> = Mutex::new(String::new());

/// What came of a target.
pub(crate) struct Report {
    /// Whether an input failed.
    pub(crate) failed: bool,
    inputs: u64,
    ways: usize,
    text: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} inputs, {} ways{}", self.inputs, self.ways, self.text)
    }
}

/// Keeps panics from being printed: they are judged.
pub(crate) fn silence() {
    std::panic::set_hook(Box::new(|info| {
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = info.to_string();
    }));
}

/// What came of one input, or what must not have.
pub(crate) fn judge(target: &Target, input: &[u8]) -> Result<String, String> {
    let (start, before) = (Clock::start(), peak());
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let (mut time, memory) = (start.elapsed(), peak() - before);
    let outcome = outcome.map_err(|_| {
        let text = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
        format!("panic: {text}")
    })??;
    let (each, besides) = target.memory;
    let allowed = each * input.len() + besides;
    if memory > allowed {
        return Err(format!("{memory} bytes of memory, {allowed} are allowed"));
    }
    for _ in 1..TRIES {
        if time <= TIME_MAX {
            return Ok(outcome);
        }
        let start = Clock::start();
        let _ = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
        time = time.min(start.elapsed());
    }
    if time > TIME_MAX { Err(format!("{time:?} of time")) } else { Ok(outcome) }
}

/// The time that a thread has been given: on a busy machine a clock on the wall counts that of others too.
struct Clock(Instant, Option<Duration>);

impl Clock {
    fn start() -> Clock {
        Clock(Instant::now(), Clock::given())
    }

    fn elapsed(&self) -> Duration {
        let given = self.1.zip(Clock::given()).map(|(before, now)| now.saturating_sub(before));
        given.unwrap_or_else(|| self.0.elapsed())
    }

    /// Source: Linux, "Scheduler Statistics", `/proc/<pid>/schedstat`.
    fn given() -> Option<Duration> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    }
}

/// The most memory that this process has had, in bytes; 0 where the system does not tell.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    number.unwrap_or_default() * 1024
}

/// Runs a target for `time`.
pub(crate) fn run(target: &'static Target, seed: u64, time: Duration) -> Report {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut pool = corpus(target);
    let mut ways = HashSet::new();
    let mut report = Report { failed: false, inputs: 0, ways: 0, text: String::new() };
    let last = last(target);
    // What is made once and kept is no memory of an input.
    pool.iter()
        .take(3)
        .for_each(|input| drop(catch_unwind(AssertUnwindSafe(|| (target.run)(input)))));
    let start = Instant::now();
    let mut fresh: Vec<Vec<u8>> = pool.clone();
    while start.elapsed() < time {
        let input = match fresh.pop() {
            Some(input) => input,
            None => mutate(&mut random, &pool, target.words, target.bytes_max),
        };
        last.write_all_at(&input, 0)
            .and_then(|()| last.set_len(input.len() as u64))
            .expect("a file");
        report.inputs += 1;
        match judge(target, &input) {
            Ok(way) => {
                if ways.insert(hash(&way)) && pool.len() < POOL_MAX {
                    pool.push(input);
                }
            }
            Err(failure) => {
                report.failed = true;
                report.text = fail(target, seed, input, &failure);
                break;
            }
        }
    }
    report.ways = ways.len();
    report
}

/// Numbers in it say nothing of the way.
fn hash(way: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    way.chars()
        .filter(|letter| !letter.is_ascii_digit())
        .for_each(|letter| letter.hash(&mut hasher));
    hasher.finish()
}

fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target.name)
}

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let mut inputs = (target.seeds)();
    let files = std::fs::read_dir(folder(target)).into_iter().flatten();
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    inputs.extend(files.iter().map(|file| std::fs::read(file).expect("a file of the corpus")));
    assert!(!inputs.is_empty(), "{} begins with nothing", target.name);
    inputs
}

/// Where the input stands that runs.
pub(crate) fn last_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}.last"))
}

fn last(target: &Target) -> File {
    create_dir_all(env!("CARGO_TARGET_TMPDIR")).expect("a folder for files of tests");
    File::create(last_path(target.name)).expect("a file of tests")
}

/// Cuts a failing input down, saves it, and says all there is to know.
fn fail(target: &Target, seed: u64, input: Vec<u8>, failure: &str) -> String {
    let input = cut(target, input);
    let failure = judge(target, &input).err().unwrap_or_else(|| failure.to_owned());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}-{seed}", target.name));
    let saved = std::fs::write(&path, &input);
    let shown: String =
        input.iter().take(400).flat_map(|byte| byte.escape_ascii()).map(char::from).collect();
    format!(
        "\n  FAILED, FUZZ_SEED={seed}: {failure}\n  {} bytes: {shown}\n  saved: {} ({saved:?})",
        input.len(),
        path.display()
    )
}

/// The input without what it fails without.
fn cut(target: &Target, mut input: Vec<u8>) -> Vec<u8> {
    let start = Instant::now();
    let mut size = input.len().div_ceil(2);
    while size > 0 && start.elapsed() < CUTTING {
        let mut at = 0;
        while at < input.len() && start.elapsed() < CUTTING {
            let mut shorter = input.clone();
            shorter.drain(at..(at + size).min(input.len()));
            match judge(target, &shorter) {
                Err(_) => input = shorter,
                Ok(_) => at += size,
            }
        }
        size /= 2;
    }
    input
}
