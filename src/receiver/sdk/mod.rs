//! The calls of Segment's and RudderStack's SDKs, so that a team without a CDP can point an SDK at the receiver.
//!
//! In: `POST /v1/group` (one event), `/v1/batch` (`{"batch": [event, …]}`), and `/v1/{track,identify,page,screen,alias}`,
//! with the API key as the user of HTTP Basic auth and an empty password (or the key's secret), or as `writeKey` in the body.
//! Out: group events stored by the key's payload template, all others counted as ignored.
//! Always holds: 200 means that everything is on the disk, ignored, or named in the answer as rejected. A bad event is no
//! reason for another answer: an SDK throws the whole batch away on a 4xx and repeats all of it on a 5xx. So 400 is for
//! bad JSON and 413 for too much of it, as with Segment; 401 and 403 for the key; 503 for our own trouble.
//! Answers of failures carry `code` and `message`: rudder-sdk-python repeats a 401 ten times where they are missing.
//! Any Content-Type passes: rudder-sdk-node calls its gzip body a form.
//! Deliberately absent: calls that browsers make across origins; what the events do not say about orgs.

mod access;
pub(super) mod answer;
pub(super) mod batch;
mod credentials;
mod event;
pub(super) mod group;
pub(super) mod ignored;

pub use access::MAX_UNKNOWN_SENDER;

use super::ReceiverState;
use super::admitted::Admitted;
use answer::{Rejection, Taken};
use axum::Router;
use axum::routing::post;

/// Calls that say nothing about an org.
pub(super) const IGNORED: [&str; 5] = ["track", "identify", "page", "screen", "alias"];

/// The answer to a call that was taken in, and the key's counts.
fn taken(
    state: &ReceiverState,
    admitted: &Admitted,
    stored: usize,
    ignored: usize,
    rejections: Vec<Rejection>,
) -> Taken {
    state.count(admitted, ignored, rejections.len());
    Taken::new(admitted.key_id(), stored, ignored, rejections)
}

/// `/v1/…`
pub(super) fn router() -> Router<ReceiverState> {
    let router = Router::new().route("/v1/group", post(group::one)).route("/v1/batch", post(batch::many));
    IGNORED.iter().fold(router, |router, call| router.route(&format!("/v1/{call}"), post(ignored::one)))
}
