//! The `nightmark` program: run the command line, print an error's chain once, exit.

use nightmark::cli;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::main().await {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            cli::Exit::CouldNotRun.into()
        }
    }
}
