//! What every line of the log about a run says besides its own words: spans, and the way to keep them from thread to thread.
//!
//! In: a job, a run's id once it is known. Out: spans of `tracing`, whose fields stand on every event within them.
//! Always holds: they are there at every level of the log, so that a warning says whose it is also where nothing else is logged; what they say is a
//! job's name, a run's id, chunks and places of its change set.
//! Deliberately absent: events (they stand where things happen; docs/LOGGING.md lists them), and where lines go (`telemetry`).

use tracing::field::Empty;
use tracing::{Span, error_span};

/// The target that the spans have: to be let through whatever the filter.
pub const TARGET: &str = "nightmark::spans";

/// The name of [`parcel`]'s spans: there are as many as there are requests.
pub const PARCEL: &str = "parcel";

/// Of a run; its id is told by [`tell_run`] once it is known.
pub fn run(job: &str) -> Span {
    error_span!(target: "nightmark::spans", "run", job, run = Empty)
}

/// The run that this is has this id. To be called once, within [`run`].
pub fn tell_run(id: &str) {
    Span::current().record("run", id);
}

/// Of a part of a run: `plan` (extract and compare), `publish`, `deliver`.
pub fn stage(name: &'static str) -> Span {
    error_span!(target: "nightmark::spans", "stage", stage = name)
}

/// Of a chunk of a delivery that is shared: its number, from 0.
pub fn chunk(number: u64) -> Span {
    error_span!(target: "nightmark::spans", "chunk", chunk = number)
}

/// Of a parcel: how many rows, and the place of the first in the change set.
pub fn parcel(seq: u64, rows: usize) -> Span {
    error_span!(target: "nightmark::spans", "parcel", seq, rows)
}

/// The same work, on whichever thread, in the span in which this is called.
pub fn within<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let span = Span::current();
    move || span.in_scope(work)
}
