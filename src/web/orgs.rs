//! `/api/v1/orgs`: what the receiver holds.

use super::AdminState;
use super::answer::{ApiError, Page, Paging};
use crate::store::{OrgChange, OrgRecord};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub(super) fn router() -> Router<AdminState> {
    Router::new().route("/orgs", get(list)).route("/orgs/{id}", get(one)).route("/orgs/{id}/history", get(history))
}

/// The orgs
///
/// In the byte order of their ids: whatever is stored meanwhile, an org that was there at the beginning comes exactly once.
#[utoipa::path(get, path = "/api/v1/orgs", operation_id = "listOrgs", tag = "orgs", security((), ("token" = [])), params(("after" = Option<String>, Query, description = "The `next` of the page before"), ("limit" = Option<u32>, Query, description = "Entries of a page; 100 unless it is said", minimum = 1, maximum = 1000)), 
    responses((status = 200, description = "A page of orgs", body = Page<OrgRecord>), ApiError))]
pub(super) async fn list(State(state): State<AdminState>, paging: Paging) -> Result<Page<OrgRecord>, ApiError> {
    let after = paging.after.as_deref().map(place).transpose()?;
    let orgs = state.orgs.orgs(after.as_deref(), paging.limit + 1).await?;
    Ok(Page::of(orgs, paging.limit, |org| cursor(&org.product_org_id)))
}

/// One org
#[utoipa::path(get, path = "/api/v1/orgs/{id}", operation_id = "showOrg", tag = "orgs", security((), ("token" = [])), params(("id" = String, Path, description = "The product org id, percent-encoded")), 
    responses((status = 200, description = "The org as it is stored", body = OrgRecord), ApiError))]
pub(super) async fn one(
    State(state): State<AdminState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<OrgRecord>, ApiError> {
    let Path(id) = id.map_err(|_| unknown())?;
    state.orgs.org(&id).await?.map(Json).ok_or_else(unknown)
}

/// What changed in one org
///
/// The first change first.
#[utoipa::path(get, path = "/api/v1/orgs/{id}/history", operation_id = "orgHistory", tag = "orgs", security((), ("token" = [])), params(("id" = String, Path, description = "The product org id, percent-encoded"), ("after" = Option<String>, Query, description = "The `next` of the page before"), ("limit" = Option<u32>, Query, description = "Entries of a page; 100 unless it is said", minimum = 1, maximum = 1000)), 
    responses((status = 200, description = "A page of changes", body = Page<OrgChange>), ApiError))]
pub(super) async fn history(
    State(state): State<AdminState>,
    id: Result<Path<String>, PathRejection>,
    paging: Paging,
) -> Result<Page<OrgChange>, ApiError> {
    let Path(id) = id.map_err(|_| unknown())?;
    let after = paging.after.as_deref().map(place).transpose()?;
    let after = after.map(|number| number.parse().map_err(|_| bad_cursor())).transpose()?;
    let changes = state.orgs.history(&id, after, paging.limit + 1).await?;
    // An org that was received before there was a history has none yet.
    if changes.is_empty() && state.orgs.org(&id).await?.is_none() {
        return Err(unknown());
    }
    Ok(Page::of(changes, paging.limit, |change| cursor(&change.number.to_string())))
}

/// Opaque, so that what it stands for may change.
fn cursor(place: &str) -> String {
    URL_SAFE_NO_PAD.encode(place)
}

fn place(cursor: &str) -> Result<String, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad_cursor())?;
    String::from_utf8(bytes).map_err(|_| bad_cursor())
}

fn bad_cursor() -> ApiError {
    ApiError::Bad("`after` must be the `next` of a page before".to_owned())
}

fn unknown() -> ApiError {
    ApiError::NotFound("There is no org of this id; ids are case-sensitive".to_owned())
}
