//! The `nightmark` program: run the command line, print an error's chain once, exit.

use nightmark::cli;
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::Runtime;

// Requests and rows are taken apart by one thread and freed by another, which the C library's allocator is slow at (docs/BENCHMARKS.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// So long threads have at the end that somebody else, such as a database, is still to be told by to leave off.
const LEAVE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the threads that everything runs on cannot be started: {error}");
            return cli::Exit::CouldNotRun.into();
        }
    };
    let ended = runtime.block_on(cli::main());
    // A source may hold a thread up for as long as it likes. What has to last is done by others, and is done.
    runtime.shutdown_timeout(LEAVE);
    match ended {
        // Webhooks that have left have left, also if the report could not be written.
        Ok(cli::Exit::Done) if cli::out::lost() => cli::Exit::CouldNotRun.into(),
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {}", cli::out::error_text(&error));
            cli::Exit::CouldNotRun.into()
        }
    }
}
