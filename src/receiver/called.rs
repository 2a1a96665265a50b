//! What a request is called by its sender, so that what it repeats is not done twice.

use super::answer::Refusal;
use crate::mapping::{MAX_MESSAGE_ID, Update, is_message_id};
use crate::store::Upserted;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

/// Stands on the answer of a request that was done before, and not again.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// By which headers a sender calls a request; the first that is there counts.
const HEADERS: [&str; 2] = ["webhook-id", "idempotency-key"];

/// What the headers call a request, if anything; or why it may not be called so.
#[derive(Debug, Clone)]
pub(super) struct Called(Result<Option<String>, String>);

impl Called {
    pub(super) fn by(headers: &HeaderMap) -> Called {
        let Some((name, value)) = HEADERS.iter().find_map(|name| Some((name, headers.get(*name)?))) else {
            return Called(Ok(None));
        };
        Called(match std::str::from_utf8(value.as_bytes()).ok().filter(|id| is_message_id(id)) {
            Some(id) => Ok(Some(id.to_owned())),
            None => Err(format!(
                "The header {name} must have 1–{MAX_MESSAGE_ID} characters, none of them a control character"
            )),
        })
    }

    /// To be asked once the key is known to be valid.
    ///
    /// # Errors
    /// 400 for an id that no request may have.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        self.0.as_ref().map(drop).map_err(|words| Refusal::Bad(words.clone()))
    }

    /// The only update of a request: what its headers say goes before what stands in its body.
    pub(super) fn one(&self, update: Update) -> Update {
        let id = self.header();
        Update { message_id: id.map(str::to_owned).or(update.message_id), ..update }
    }

    /// One of many, by its place in the body, from 0: what it says itself goes before what the headers say of all.
    pub(super) fn one_of_many(&self, index: usize, update: Update) -> Update {
        // No id has a line break, so none is taken for another.
        let by_place = || self.header().map(|id| format!("{id}\n{index}"));
        Update { message_id: update.message_id.or_else(by_place), ..update }
    }

    fn header(&self) -> Option<&str> {
        self.0.as_ref().ok()?.as_deref()
    }
}

/// Whether a request with many updates is a repeat: each of them was done before, and there is one.
pub(super) fn all_repeated(done: &[Upserted]) -> bool {
    !done.is_empty() && done.iter().all(|done| done.repeated)
}

/// The answer with a mark if it is one to a repeat.
pub(super) fn marked(mut response: Response, repeated: bool) -> Response {
    if repeated {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(headers: &[(&'static str, &[u8])]) -> Called {
        let line = |(name, value): &(&'static str, &[u8])| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value).expect("a value"))
        };
        Called::by(&headers.iter().map(line).collect())
    }

    fn own(id: Option<&str>) -> Update {
        Update { message_id: id.map(str::to_owned), ..Update::default() }
    }

    #[test]
    fn headers_go_before_a_single_body_and_behind_one_of_many() {
        let both = called(&[("idempotency-key", b"key"), ("webhook-id", b"hook")]);
        assert_eq!(both.one(own(Some("own"))).message_id.as_deref(), Some("hook"));
        assert_eq!(both.one_of_many(3, own(Some("own"))).message_id.as_deref(), Some("own"));
        assert_eq!(both.one_of_many(3, own(None)).message_id.as_deref(), Some("hook\n3"));
        let key = called(&[("idempotency-key", "é \"x\"".as_bytes())]);
        assert_eq!(key.one(own(None)).message_id.as_deref(), Some("é \"x\""));
        let none = called(&[]);
        assert_eq!(none.one(own(Some("own"))).message_id.as_deref(), Some("own"));
        assert_eq!(none.one_of_many(0, own(None)).message_id, None);
        assert_eq!(none.check(), Ok(()));
    }

    #[test]
    fn ids_are_bounded() {
        assert_eq!(called(&[("webhook-id", "x".repeat(255).as_bytes())]).check(), Ok(()));
        for bad in [&b""[..], b"a\tb", "x".repeat(256).as_bytes(), b"\xff"] {
            let words = match called(&[("webhook-id", bad), ("idempotency-key", b"fine")]).check() {
                Err(Refusal::Bad(words)) => words,
                other => panic!("{bad:?}: {other:?}"),
            };
            assert!(words.contains("webhook-id") && words.contains("1–255"), "{words}");
        }
    }
}
