//! What is refused, taken from [`Refusal`] itself: statuses, words, headers.

use crate::receiver::answer::Refusal;
use crate::receiver::{MAX_BODY, MAX_EVENTS};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::IntoResponses;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr};

/// One of each kind, with when it is answered.
fn all() -> Vec<(Refusal, &'static str)> {
    vec![
        (Refusal::Bad("missing productOrgId: the payload has nothing at `workspace_id`, where the key's payload template looks for it (paths are case-sensitive)".to_owned()), "The body is no JSON that is taken, or does not fit the key's payload template."),
        (Refusal::Unauthorized, "The API key is unknown, revoked or expired, or its secret is missing or wrong: always the same answer."),
        (Refusal::WrongEndpoint, "The API key is one for Signal Staging."),
        (Refusal::NoSuchPlace, "Another path."),
        (Refusal::NoSuchMethod, "Another method."),
        (Refusal::Slow, "The body took too long."),
        (Refusal::TooLarge(MAX_BODY), "The body is too large, packed or unpacked."),
        (Refusal::TooMany(MAX_EVENTS), "The body has too many events."),
        (Refusal::NotJson("The body may be compressed with gzip only; leave Content-Encoding out otherwise".to_owned()), "The type is not JSON, or the encoding not gzip."),
        (
            Refusal::TooManyRequests(Duration::from_secs(1)),
            "Too many requests with this key, or too many with bad keys from this address.",
        ),
        (Refusal::Unavailable, "Our own trouble: the store is busy or fails."),
        (Refusal::Unstorable, "The store does not take these updates; our operator's log has the reason."),
        (Refusal::Overloaded, "More bodies are under way than may be held, or more new keys than may be looked up."),
    ]
}

impl IntoResponses for Refusal {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        describe("Refused", |refusal| json!({ "success": false, "error": refusal.message() }))
    }
}

/// The responses by status, with a body of the schema.
pub(in crate::receiver) fn describe(
    schema: &str,
    body: impl Fn(&Refusal) -> Value,
) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<String, Vec<(Refusal, &str)>> = BTreeMap::new();
    for (refusal, when) in all() {
        by_status.entry(refusal.status().as_u16().to_string()).or_default().push((refusal, when));
    }
    let described =
        |(status, refusals): (String, Vec<(Refusal, &str)>)| (status, response(schema, &refusals, &body).into());
    by_status.into_iter().map(described).collect()
}

fn response(schema: &str, refusals: &[(Refusal, &str)], body: impl Fn(&Refusal) -> Value) -> Response {
    let examples = refusals.iter().enumerate().map(|(number, (refusal, when))| {
        (format!("{}", number + 1), ExampleBuilder::new().summary(*when).value(Some(body(refusal))).build())
    });
    let content =
        ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).examples_from_iter(examples).build();
    let words: Vec<&str> = refusals.iter().map(|(_, when)| *when).collect();
    let response = ResponseBuilder::new().description(words.join(" ")).content("application/json", content);
    match refusals.iter().any(|(refusal, _)| matches!(refusal.status().as_u16(), 429 | 503)) {
        true => response.header("Retry-After", seconds()),
        false => response,
    }
    .build()
}

fn seconds() -> utoipa::openapi::Header {
    let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    HeaderBuilder::new().schema(Some(schema)).description(Some("Seconds to wait before it is sent again.")).build()
}
