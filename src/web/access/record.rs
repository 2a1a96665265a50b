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
    use super::*;
    use crate::clock::SystemClock;
    use crate::store::{AdminStore, Hash, Role, StoreError, TokenRecord};
    use async_trait::async_trait;
    use axum::Router;
    use axum::body::Body;
    use axum::http::Method;
    use axum::middleware::from_fn_with_state;
    use axum::routing::post;
    use chrono::{DateTime, Utc};
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    /// A store whose audit log takes so many writes.
    struct Log {
        left: AtomicUsize,
        entries: Mutex<Vec<AuditRecord>>,
    }

    #[async_trait]
    impl AdminStore for Log {
        async fn put_token(&self, _: &TokenRecord) -> Result<(), StoreError> {
            Ok(())
        }
        async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
            Ok(Vec::new())
        }
        async fn token_by_hash(&self, _: &Hash) -> Result<Option<TokenRecord>, StoreError> {
            Ok(None)
        }
        async fn revoke_token(&self, _: &str, _: DateTime<Utc>) -> Result<Option<TokenRecord>, StoreError> {
            Ok(None)
        }
        async fn put_audit(&self, entry: &AuditRecord) -> Result<(), StoreError> {
            let took = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            took.map_err(|_| StoreError::Corrupt("the disk is full".to_owned()))?;
            self.entries.lock().expect("a log").push(entry.clone());
            Ok(())
        }
        async fn audit(&self, _: Option<&str>, _: u32) -> Result<Vec<AuditRecord>, StoreError> {
            Ok(Vec::new())
        }
        async fn forget_audit(&self, _: DateTime<Utc>) -> Result<(), StoreError> {
            Ok(())
        }
    }

    /// What is asked with a log that takes so many writes: the status, how often it was done, and what is on record.
    async fn ask(method: Method, writes: usize) -> (u16, usize, Vec<Option<String>>) {
        let log = Arc::new(Log { left: AtomicUsize::new(writes), entries: Mutex::default() });
        let address = "127.0.0.1:1".parse().expect("an address");
        let access = Access::new(address, None).expect("fine");
        let access = access.with_store(Arc::clone(&log) as _, Arc::new(SystemClock)).await.expect("a store");
        let done = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&done);
        let handler = move || {
            seen.fetch_add(1, Ordering::SeqCst);
            std::future::ready("done")
        };
        let layer = from_fn_with_state(Arc::new(access), super::super::check);
        let router: Router = Router::new().route("/jobs/{job}/run", post(handler.clone()).get(handler)).layer(layer);
        let request = Request::builder().method(method).uri("/jobs/a%20b/run").header("host", "127.0.0.1:1");
        let request = request.body(Body::empty()).expect("a request");
        let answer = TowerToHyperService::new(router).call(request).await.expect("an answer");
        let entries = log.entries.lock().expect("a log").clone();
        let is_fit = |entry: &AuditRecord| {
            (entry.action.as_str(), entry.subject.as_deref(), entry.who.as_str())
                == ("run", Some("a b"), "somebody on this machine")
        };
        assert!(entries.iter().all(is_fit), "{entries:?}");
        let outcomes = entries.into_iter().map(|entry| entry.outcome).collect();
        (answer.status().as_u16(), done.load(Ordering::SeqCst), outcomes)
    }

    #[tokio::test]
    async fn what_cannot_be_put_on_record_is_not_done() {
        let done = Some("done".to_owned());
        assert_eq!(ask(Method::POST, 0).await, (503, 0, vec![]));
        // It is on record before, and what came of it after.
        assert_eq!(ask(Method::POST, 2).await, (200, 1, vec![None, done]));
        assert_eq!(ask(Method::POST, 1).await, (200, 1, vec![None]));
        assert_eq!(ask(Method::GET, 0).await, (200, 1, vec![]), "who only looks is not on record");
        assert_eq!(Role::ALL.map(Role::as_str), ["viewer", "operator", "admin"]);
    }

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
