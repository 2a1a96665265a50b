//! The audit log of what is done by the operator's address.

use super::{Access, Caller};
use crate::store::AuditRecord;
use crate::web::answer::ApiError;
use axum::RequestExt as _;
use axum::extract::{MatchedPath, RawPathParams, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use chrono::SubsecRound as _;

/// What an answer adds to the record: which run or key it was, or why it was refused.
#[derive(Debug, Clone)]
pub(in crate::web) struct Noted(pub(in crate::web) String);

/// Where a request leads, as a template; empty: nowhere.
pub(in crate::web) fn route(request: &Request) -> String {
    request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default()
}

/// What is done by a route, in words.
fn action(route: &str) -> String {
    let words = route.trim_start_matches("/api").trim_start_matches("/v1").split('/');
    let words: Vec<&str> = words.filter(|word| !word.is_empty() && !word.starts_with('{')).collect();
    match words.as_slice() {
        ["jobs", what] => (*what).to_owned(),
        ["keys"] => "keys create".to_owned(),
        words => words.join(" "),
    }
}

/// Does what is asked. If it changes something, that is on record before, and afterwards what came of it.
pub(in crate::web) async fn run(
    access: &Access,
    caller: Caller,
    via: &'static str,
    mut request: Request,
    next: Next,
) -> Response {
    let route = route(&request);
    let Some(stored) = access.stored.as_ref().filter(|_| !request.method().is_safe() && !route.is_empty()) else {
        return next.run(request).await;
    };
    let parameters = request.extract_parts::<RawPathParams>().await.ok();
    let subject = parameters.and_then(|all| all.iter().next().map(|(_, value)| value.to_owned()));
    let mut entry = AuditRecord {
        id: stored.clock.run_id(),
        at: stored.clock.now().trunc_subsecs(6),
        who: caller.name,
        via: via.to_owned(),
        action: action(&route),
        subject,
        outcome: None,
        detail: None,
    };
    if let Err(error) = stored.store.put_audit(&entry).await {
        return ApiError::from(error).into_response();
    }
    let answer = next.run(request).await;
    let is_done = answer.status().is_success() || answer.status().is_redirection();
    entry.outcome = Some(if is_done { "done" } else { "refused" }.to_owned());
    entry.detail = answer.extensions().get::<Noted>().map(|noted| noted.0.clone());
    if let Err(error) = stored.store.put_audit(&entry).await {
        // It was done, and that it was begun is on record.
        tracing::warn!(event = "audit_not_ended", %error, action = entry.action, "what came of a request is not in the audit log");
    }
    answer
}

#[cfg(test)]
mod tests {
    #[test]
    fn actions_have_their_words() {
        for (route, action) in [
            ("/api/v1/jobs/{job}/run", "run"),
            ("/api/jobs/{job}/run", "run"),
            ("/api/v1/jobs/{job}/approve", "approve"),
            ("/jobs/{job}/discard", "discard"),
            ("/api/v1/keys", "keys create"),
            ("/api/v1/keys/{id}/rotate", "keys rotate"),
        ] {
            assert_eq!(super::action(route), action, "{route}");
        }
    }
}
