//! The process that watches one target: starts it, tells how it ended, and ends it where it hangs.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::CHILD;
use crate::driver::last_path;

/// A target hangs that has not come to another input by then.
const HANG: Duration = Duration::from_secs(60);

/// Runs a target in a process of its own; whether it ended well.
pub(crate) fn run(name: &str, seed: u64) -> bool {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.env(CHILD, name).env("FUZZ_SEED", seed.to_string()).env_remove("FUZZ_TARGET");
    // Memory goes back to the system at once, and is taken when it is needed: so its peak is that of an input.
    command.env("MALLOC_ARENA_MAX", "1").env("MALLOC_MMAP_THRESHOLD_", "131072");
    command.env("MALLOC_TRIM_THRESHOLD_", "131072").env("MALLOC_TOP_PAD_", "0");
    let mut child = command.spawn().expect("a process");
    let path = last_path(name);
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a process") {
            if status.code().is_none() {
                println!("fuzz {name}: {status}, FUZZ_SEED={seed}, FUZZ_INPUT={}", path.display());
            }
            return status.success();
        }
        if start.elapsed() > HANG && is_old(&path) {
            println!("fuzz {name}: hangs, FUZZ_SEED={seed}, FUZZ_INPUT={}", path.display());
            end(&mut child);
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether the last input was written long ago.
fn is_old(path: &PathBuf) -> bool {
    let written = std::fs::metadata(path).and_then(|file| file.modified());
    written.is_ok_and(|written| written.elapsed().is_ok_and(|age| age > HANG))
}

fn end(child: &mut Child) {
    child.kill().expect("a process of ours");
    child.wait().expect("a process of ours");
}
