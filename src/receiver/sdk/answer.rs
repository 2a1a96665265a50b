//! What SDKs are answered.

use crate::receiver::answer::Refusal;
use crate::receiver::openapi::describe;
use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use utoipa::openapi::{self, RefOr};
use utoipa::{IntoResponses, ToSchema};

/// Rejected events that an answer explains at most.
const NAMED: usize = 20;

/// A call was taken in. `success` is what Segment answers; RudderStack's SDKs look at the status alone. A sender that reads no more than
/// the beginning, as ours does, has all indexes: they come before the explanations.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::receiver) struct Taken {
    success: bool,
    stored: usize,
    ignored: usize,
    rejected: usize,
    /// Which: places in the batch, from 0, as `0-4,7`.
    #[serde(skip_serializing_if = "String::is_empty")]
    rejected_indexes: String,
    /// Why, of the first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejections: Vec<Rejection>,
}

/// An event that will not be stored however often it is sent.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::receiver) struct Rejection {
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
            tracing::warn!(
                event = "events_rejected",
                key = key_id,
                rejected,
                index,
                error,
                "events of an SDK were rejected; the first is given"
            );
        }
        if ignored > 0 {
            tracing::debug!(
                event = "events_ignored",
                key = key_id,
                ignored,
                "events of an SDK that are no group calls"
            );
        }
        let rejected_indexes = ranges(rejections.iter().map(|rejection| rejection.index));
        rejections.truncate(NAMED);
        Taken { success: true, stored, ignored, rejected, rejected_indexes, rejections }
    }
}

/// Ascending numbers as `0-4,7`. Of 2,500 events these are 8.4 KB at most: no two ranges touch.
fn ranges(numbers: impl IntoIterator<Item = usize>) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let text =
        |(first, last): &(usize, usize)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
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

/// The body of a refusal, for SDKs.
#[derive(Serialize, ToSchema)]
pub(in crate::receiver) struct SdkRefused<'a> {
    success: bool,
    code: &'a str,
    message: &'a str,
    error: &'a str,
}

/// What a refusal is called: its status in words.
fn code(refusal: &Refusal) -> String {
    let reason = refusal.status().canonical_reason().unwrap_or("Refused");
    reason.to_ascii_lowercase().replace(' ', "_")
}

impl IntoResponses for SdkRefusal {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        describe("SdkRefused", |refusal| {
            let (message, code) = (refusal.message(), code(refusal));
            json!(SdkRefused { success: false, code: &code, message: &message, error: &message })
        })
    }
}

impl IntoResponse for SdkRefusal {
    fn into_response(self) -> Response {
        let (message, code) = (self.0.message(), code(&self.0));
        self.0.with(Json(SdkRefused { success: false, code: &code, message: &message, error: &message }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_ranges() {
        for (numbers, expected) in
            [(&[][..], ""), (&[0], "0"), (&[3, 4], "3-4"), (&[0, 1, 2, 3, 4, 7], "0-4,7"), (&[1, 3, 5, 6], "1,3,5-6")]
        {
            assert_eq!(ranges(numbers.iter().copied()), expected);
        }
    }

    #[test]
    fn which_of_2500_events_were_rejected_stands_in_the_first_16_kb() {
        for (every, of) in [(1, 1), (1, 2), (2, 3), (1, 3), (3, 4)] {
            let is_rejected = |index: &usize| index % of < every;
            let reject = |index| Rejection { index, message_id: Some("é".repeat(100)), error: "x".repeat(1000) };
            let rejections: Vec<Rejection> = (0..2_500).filter(is_rejected).map(reject).collect();
            let answer = serde_json::to_string(&Taken::new("key", 0, 0, rejections)).unwrap();
            let end = answer.find("\",\"rejections\"").unwrap();
            assert!(end <= 8_600, "{every} of {of}: {end}");
        }
    }
}
