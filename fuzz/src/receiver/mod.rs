//! The receiver's modules that are fuzzed, and the refusals that they take from it.

pub mod answer {
    //! In the place of `src/receiver/answer.rs`, which brings the store with it: what the modules here refuse with.

    /// Why a body is refused.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Refusal {
        Bad(String),
        Slow,
        TooLarge(usize),
        TooMany(usize),
        NotJson(String),
        Unauthorized,
        Overloaded,
    }
}

#[path = "../../../src/receiver/body.rs"]
pub mod body;
#[path = "../../../src/receiver/events.rs"]
pub mod events;
#[path = "../../../src/receiver/memory.rs"]
mod memory;

pub mod keys;
pub mod sdk;

use answer::Refusal;
use axum::http::{HeaderMap, HeaderValue, header};
use body::Limits;
use serde_json::{Map, Value};
use tokio::runtime::{Builder, Runtime};

/// A body that arrives in pieces, read to its end: what the webhook's and the SDKs' handlers begin with.
pub fn read(packed: bool, pieces: Vec<Vec<u8>>, array: usize, other: usize) -> Result<Vec<u8>, Refusal> {
    let mut headers = HeaderMap::new();
    if packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let pieces = futures_util::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
    let body = axum::body::Body::from_stream(pieces);
    let memory = memory::Memory::new(1 << 20);
    let read = |runtime: &Runtime| runtime.block_on(body::read(&headers, body, Limits { array, other }, &memory));
    RUNTIME.with(read).map(|held| held.to_vec())
}

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
}

/// The events of an array, each read as the handlers do.
pub fn events(body: &[u8]) -> Result<Vec<Result<Map<String, Value>, String>>, Refusal> {
    Ok(events::split(body)?.into_iter().map(events::read).collect())
}
