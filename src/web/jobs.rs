//! `/api/v1/jobs`: what runs, when, and runs that are asked for.

use super::AdminState;
use super::answer::{ApiError, Page, Paging};
use crate::daemon::door::Refused;
use crate::daemon::timetable::Timetable;
use crate::store::FireRecord;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::SecondsFormat;

/// Fires that are told of each job: so many that come, and that were.
const FIRES: (usize, u32) = (5, 10);

pub(super) fn router() -> Router<AdminState> {
    Router::new().route("/jobs", get(list)).route("/jobs/{job}", get(show)).route("/jobs/{job}/run", post(run))
}

/// What goes without the version of the API as well.
pub(super) fn orders() -> Router<AdminState> {
    Router::new().route("/{job}/run", post(order))
}

/// The jobs
///
/// By name: when each runs next and what became of its last fires. `faulty`: its file has mistakes, and the version before is in force if there is one.
#[utoipa::path(get, path = "/api/v1/jobs", operation_id = "listJobs", tag = "jobs", security((), ("token" = [])), params(("after" = Option<String>, Query, description = "The `next` of the page before"), ("limit" = Option<u32>, Query, description = "Entries of a page; 100 unless it is said", minimum = 1, maximum = 1000)), 
    responses((status = 200, description = "A page of jobs", body = Page<Timetable>), ApiError))]
pub(super) async fn list(State(state): State<AdminState>, paging: Paging) -> Result<Page<Timetable>, ApiError> {
    let limit = usize::try_from(paging.limit).unwrap_or(usize::MAX);
    let jobs = match &state.jobs {
        Some(door) => door.jobs(paging.after.as_deref(), limit + 1, FIRES).await?,
        None => Vec::new(),
    };
    Ok(Page::of(jobs, paging.limit, |job| job.job.clone()))
}

/// One job
#[utoipa::path(get, path = "/api/v1/jobs/{job}", operation_id = "showJob", tag = "jobs", security((), ("token" = [])), params(("job" = String, Path, description = "The job's name")), 
    responses((status = 200, description = "The job", body = Timetable), ApiError))]
pub(super) async fn show(
    State(state): State<AdminState>,
    job: Result<Path<String>, PathRejection>,
) -> Result<Json<Timetable>, ApiError> {
    let Path(job) = job.map_err(|_| unknown())?;
    let door = state.jobs.as_ref().ok_or_else(unknown)?;
    door.job(&job, FIRES).await?.map(Json).ok_or_else(unknown)
}

/// Run a job now
///
/// Whatever its schedule and blackouts say. The answer comes once the run is put down to begin, and does not wait for its end: ask for the job, or
/// `nightmark runs`. The fire is `running`; or `waiting`, where a run is on and the job has `overlap = "queue"`: of several requests one waits. Without
/// that, 409 says since when a run is on.
#[utoipa::path(post, path = "/api/v1/jobs/{job}/run", operation_id = "runJob", tag = "jobs", security((), ("token" = [])), params(("job" = String, Path, description = "The job's name")), 
    responses((status = 202, description = "The run begins, or waits for the one that is on", body = FireRecord), ApiError))]
pub(super) async fn run(
    State(state): State<AdminState>,
    job: Result<Path<String>, PathRejection>,
) -> Result<(StatusCode, Json<FireRecord>), ApiError> {
    if *state.stopping.borrow() {
        return Err(ApiError::Stopping);
    }
    let Path(job) = job.map_err(|_| unknown())?;
    let door = state.jobs.as_ref().ok_or_else(unknown)?;
    Ok((StatusCode::ACCEPTED, Json(door.run_now(&job).await?)))
}

/// Run a job now: the same, without the version of the API
#[utoipa::path(post, path = "/api/jobs/{job}/run", operation_id = "orderJob", tag = "jobs", security((), ("token" = [])), params(("job" = String, Path, description = "The job's name")), 
    responses((status = 202, description = "The run begins, or waits for the one that is on", body = FireRecord), ApiError))]
pub(super) async fn order(
    state: State<AdminState>,
    job: Result<Path<String>, PathRejection>,
) -> Result<(StatusCode, Json<FireRecord>), ApiError> {
    run(state, job).await
}

pub(super) fn unknown() -> ApiError {
    ApiError::NotFound("There is no job of this name; GET /api/v1/jobs lists them".to_owned())
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> ApiError {
        match refused {
            Refused::Unknown => unknown(),
            Refused::Faulty(reason) => {
                ApiError::Conflict(format!("The job's file has mistakes, and nothing of it is in force: {reason}"))
            }
            Refused::Running { since } => {
                let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
                ApiError::Conflict(format!(
                    "A run of the job is on since {since}; with overlap = \"queue\" another would wait for its end"
                ))
            }
            Refused::Stopping => ApiError::Stopping,
            Refused::Store(error) => error.into(),
        }
    }
}
