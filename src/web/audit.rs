//! `/api/v1/audit`: who did what.

use super::AdminState;
use super::answer::{ApiError, Page, Paging};
use crate::store::AuditRecord;
use axum::Router;
use axum::extract::State;
use axum::routing::get;

pub(super) fn router() -> Router<AdminState> {
    Router::new().route("/audit", get(list))
}

/// Who did what, the newest first
///
/// By this API, by the pages, and by commands that decide. Needs the role `admin`.
#[utoipa::path(get, path = "/api/v1/audit", operation_id = "listAudit", tag = "audit", security((), ("token" = [])), params(("after" = Option<String>, Query, description = "The `next` of the page before"), ("limit" = Option<u32>, Query, description = "Entries of a page; 100 unless it is said", minimum = 1, maximum = 1000)),
    responses((status = 200, description = "A page of entries", body = Page<AuditRecord>), ApiError))]
pub(super) async fn list(State(state): State<AdminState>, paging: Paging) -> Result<Page<AuditRecord>, ApiError> {
    let entries = match &state.store {
        Some(store) => store.audit(paging.after.as_deref(), paging.limit + 1).await?,
        None => Vec::new(),
    };
    Ok(Page::of(entries, paging.limit, |entry| entry.id.clone()))
}
