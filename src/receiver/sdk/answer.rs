//! What SDKs are answered.

use crate::receiver::answer::Refusal;
use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Rejected events that an answer names at most.
const NAMED: usize = 20;

/// A call was taken in. `success` is what Segment answers; RudderStack's SDKs look at the status alone.
#[derive(Debug, Serialize)]
pub(super) struct Taken {
    success: bool,
    stored: usize,
    ignored: usize,
    rejected: usize,
    /// The first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejections: Vec<Rejection>,
}

/// An event that will not be stored however often it is sent.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rejection {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// As the sender calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Why; never with a value of the event.
    pub error: String,
}

impl Taken {
    pub(super) fn new(key_id: &str, stored: usize, ignored: usize, mut rejections: Vec<Rejection>) -> Taken {
        let rejected = rejections.len();
        if let Some(first) = rejections.first() {
            let (index, error) = (first.index, first.error.as_str());
            tracing::warn!(key = key_id, rejected, index, error, "events of an SDK were rejected; the first is given");
        }
        if ignored > 0 {
            tracing::debug!(key = key_id, ignored, "events of an SDK that are no group calls");
        }
        rejections.truncate(NAMED);
        Taken { success: true, stored, ignored, rejected, rejections }
    }
}

impl IntoResponse for Taken {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// A refusal in the form that SDKs read.
#[derive(Debug)]
pub(super) struct SdkRefusal(Refusal);

impl From<Refusal> for SdkRefusal {
    fn from(refusal: Refusal) -> Self {
        SdkRefusal(refusal)
    }
}

#[derive(Serialize)]
struct Body<'a> {
    success: bool,
    code: &'a str,
    message: &'a str,
    error: &'a str,
}

impl IntoResponse for SdkRefusal {
    fn into_response(self) -> Response {
        let message = self.0.message();
        let reason = self.0.status().canonical_reason().unwrap_or("Refused");
        let code = reason.to_ascii_lowercase().replace(' ', "_");
        self.0.with(Json(Body { success: false, code: &code, message: &message, error: &message }))
    }
}
