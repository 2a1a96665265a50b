//! `/api/v1/jobs/{job}/held`, `…/approve`, `…/discard`: what becomes of a run that a guard holds.

use super::AdminState;
use super::access::{Caller, Noted};
use super::answer::{ApiError, JsonBody, Paging};
use super::jobs::unknown;
use crate::daemon::decisions::{Decisions, HeldRun, Refusal};
use crate::store::RunRecord;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use utoipa::ToSchema;

pub(super) fn router() -> Router<AdminState> {
    Router::new()
        .route("/jobs/{job}/held", get(held))
        .route("/jobs/{job}/approve", post(approve))
        .route("/jobs/{job}/discard", post(discard))
}

/// What is decided on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    /// The run that was looked at: `run` of GET …/held. If another is held by now, nothing is done.
    #[schema(example = "01KB2M4Z6R8T0V2X4Y6A8C0E2G")]
    run: String,
}

/// What a job's held run would send
///
/// The reason, what it has found, and its changes page by page, with what the destination has, what it would have, and the bodies. 404 if no run of the job is held.
/// Nothing is changed.
#[utoipa::path(get, path = "/api/v1/jobs/{job}/held", operation_id = "showHeld", tag = "holds", security((), ("token" = [])), params(("job" = String, Path, description = "The job's name"), ("after" = Option<String>, Query, pattern = "^[0-9]{1,9}$", description = "The `next` of the page before"), ("limit" = Option<u32>, Query, description = "Changes of a page; 100 unless it is said", minimum = 1, maximum = 1000)),
    responses((status = 200, description = "The run and a page of its changes", body = HeldRun), ApiError))]
pub(super) async fn held(
    State(state): State<AdminState>,
    job: Result<Path<String>, PathRejection>,
    paging: Paging,
) -> Result<Json<HeldRun>, ApiError> {
    let (decisions, job) = of(&state, job)?;
    let from = match &paging.after {
        None => 0,
        Some(after) => after.parse().map_err(|_| ApiError::Bad("`after` is no place in the list".to_owned()))?,
    };
    let most = usize::try_from(paging.limit).unwrap_or(usize::MAX);
    Ok(Json(decisions.held(&job, from, most).await?))
}

/// Send what a held run has found
///
/// Exactly what could be looked at. The answer comes once it is published (state `published`) and does not wait until it is sent; what a killed daemon leaves is
/// pending like any change. After ten seconds the answer comes in any case: then `held` says that it is not published yet. 409 says why it cannot be approved: it is not held any more, another run was published since, or the job is busy.
#[utoipa::path(post, path = "/api/v1/jobs/{job}/approve", operation_id = "approveRun", tag = "holds", security((), ("token" = [])), params(("job" = String, Path, description = "The job's name")), request_body = Decision,
    responses((status = 202, description = "It is published, and sent", body = RunRecord), ApiError))]
pub(super) async fn approve(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    job: Result<Path<String>, PathRejection>,
    JsonBody(decision): JsonBody<Decision>,
) -> Result<(StatusCode, Extension<Noted>, Json<RunRecord>), ApiError> {
    let (decisions, job) = of(&state, job)?;
    let record = decisions.approve(&job, &decision.run, &caller.decides()).await?;
    Ok((StatusCode::ACCEPTED, noted(&record), Json(record)))
}

/// Give up a held run
///
/// Nothing of it is ever sent; the next run compares anew.
#[utoipa::path(post, path = "/api/v1/jobs/{job}/discard", operation_id = "discardRun", tag = "holds", security((), ("token" = [])), params(("job" = String, Path, description = "The job's name")), request_body = Decision,
    responses((status = 200, description = "It is given up", body = RunRecord), ApiError))]
pub(super) async fn discard(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    job: Result<Path<String>, PathRejection>,
    JsonBody(decision): JsonBody<Decision>,
) -> Result<(Extension<Noted>, Json<RunRecord>), ApiError> {
    let (decisions, job) = of(&state, job)?;
    let record = decisions.discard(&job, &decision.run, &caller.decides()).await?;
    Ok((noted(&record), Json(record)))
}

/// For the audit log.
fn noted(record: &RunRecord) -> Extension<Noted> {
    Extension(Noted(format!("run {}", record.id)))
}

fn of(state: &AdminState, job: Result<Path<String>, PathRejection>) -> Result<(&Decisions, String), ApiError> {
    let Path(job) = job.map_err(|_| unknown())?;
    Ok((state.decisions.as_ref().ok_or_else(unknown)?, job))
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        match refusal {
            Refusal::Unknown => unknown(),
            Refusal::NothingHeld(why) => ApiError::NotFound(why),
            Refusal::Refused(why) => ApiError::Conflict(why),
            Refusal::Stopping => ApiError::Stopping,
            Refusal::Store(error) => error.into(),
        }
    }
}
