//! The `weir` program: reads the command line, runs the verb, and nothing else.

use std::process::ExitCode;
use std::time::Duration;

use weir::cli::{self, Cli};

/// Parts and batches are allocated by one thread and freed by another all day long; the system's
/// allocator keeps what each thread has freed, and memory would not stay flat.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long blocking work that is still under way in the end may take.
const STRAGGLERS_MAX: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let cli = Cli::read();
    lean();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(cli::main(cli));
            // A thread that is stuck, as in a download that nobody waits for any more, ends with us.
            runtime.shutdown_timeout(STRAGGLERS_MAX);
            code
        }
        Err(cause) => {
            eprintln!("weir: cannot start: {cause}");
            ExitCode::from(cli::exit::FAILED)
        }
    }
}

/// Memory in small pages: a huge one that is touched anywhere is resident as a whole, and zeroed
/// each time it comes back. Where the system has no such switch there is nothing to do.
fn lean() {
    #[cfg(target_os = "linux")]
    rustix::thread::disable_transparent_huge_pages(true).ok();
}
