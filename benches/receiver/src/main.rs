//! What the load benchmark of the receiver needs beside `nightmark serve` itself.
//!
//! `fill HOME N` puts N orgs into the home folder's store. `noop HOME FILE` serves the receiver with its keys, limits and parsing, and
//! answers as if the store took no time; FILE then says where it listens.

use anyhow::{Context as _, bail};
use std::path::Path;

mod fill;
mod noop;

// As the program itself has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fill", home, count] => fill::run(Path::new(home), count.parse().context("N is a number")?).await,
        ["noop", home, file] => noop::run(Path::new(home), Path::new(file)).await,
        _ => bail!("usage: fill HOME N | noop HOME FILE"),
    }
}
