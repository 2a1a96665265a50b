//! The `nightmark` program: run the command line, print an error's chain once, exit.

use nightmark::cli;
use std::process::ExitCode;

// Requests and rows are taken apart by one thread and freed by another, which the C library's allocator is slow at (docs/BENCHMARKS.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::main().await {
        // Webhooks that have left have left, also if the report could not be written.
        Ok(cli::Exit::Done) if cli::out::lost() => cli::Exit::CouldNotRun.into(),
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {}", cli::out::error_text(&error));
            cli::Exit::CouldNotRun.into()
        }
    }
}
