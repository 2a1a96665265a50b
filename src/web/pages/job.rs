//! `/jobs/{job}`: one job.

use super::html::{Html, page, state, text};
use super::jobs::{begins_by, next, time};
use super::{AdminState, PageError, back_to, held, may_act};
use crate::daemon::timetable::Timetable;
use crate::store::RunRecord;
use crate::web::access::Caller;
use crate::web::answer::ApiError;
use crate::web::jobs::unknown;
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

/// Fires and runs that are shown.
const SHOWN: u32 = 10;

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    job: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let Path(name) = job.map_err(|_| unknown())?;
    let door = state.jobs.as_ref().ok_or_else(unknown)?;
    let job = door.job(&name, (5, SHOWN)).await?.ok_or_else(unknown)?;
    let runs = match &state.store {
        Some(store) => store.runs(Some(&name), SHOWN).await?,
        None => Vec::new(),
    };
    let mut body = Html::default();
    if let Some(faulty) = &job.faulty {
        body.raw("<p>")
            .html(&self::state("faulty"))
            .raw(" Its file has mistakes; the version before is in force, if there is one. <br>")
            .text(faulty)
            .raw("</p>\n");
    }
    body.raw("<p>Begins: ").text(&begins_by(&job)).raw(". File: <code>").text(&job.file).raw("</code></p>\n");
    body.html(&held::section(&state, &caller, &name, query.as_deref()).await?);
    if may_act(&caller) {
        body.raw("<form method=post action=\"/jobs/").step(&name).raw("/run\"><button>Run it now</button></form>\n");
    }
    body.html(&fires(&job)).html(&runs_of(&runs));
    Ok(page(StatusCode::OK, &name, &caller.name, &body))
}

fn fires(job: &Timetable) -> Html {
    let mut html = Html::default();
    let mut rows = Html::default();
    job.next.iter().for_each(|fire| {
        let (local, utc) = next(fire);
        rows.row(&[local, utc]);
    });
    if !job.next.is_empty() {
        html.raw("<h2>Next fires</h2>\n").table(&["Local time", "UTC"], &rows);
    }
    let mut rows = Html::default();
    for fire in &job.last {
        let cause = match &fire.origin {
            Some(origin) => format!("{}: {origin}", fire.cause.as_str()),
            None => fire.cause.as_str().to_owned(),
        };
        let reason = fire.reason.as_deref().unwrap_or_default();
        rows.row(&[time(fire.due), state(fire.state.as_str()), text(&cause), text(reason)]);
    }
    if !job.last.is_empty() {
        html.raw("<h2>Last fires</h2>\n").table(&["Due, UTC", "State", "Begun by", "Why"], &rows);
    }
    html
}

fn runs_of(runs: &[RunRecord]) -> Html {
    let mut html = Html::default();
    if runs.is_empty() {
        return html;
    }
    let mut rows = Html::default();
    for run in runs {
        let counts = &run.counts;
        let found = format!(
            "{} rows: {} added, {} changed, {} removed",
            counts.extracted, counts.added, counts.changed, counts.removed
        );
        let left = counts.refused + counts.unknown + counts.pending + counts.set_aside;
        let sent = format!("{} acknowledged, {left} not", counts.acknowledged);
        let reason = run.reason.as_deref().unwrap_or_default();
        let mut id = Html::default();
        id.raw("<code>").text(&run.id).raw("</code>");
        rows.row(&[time(run.started_at), state(run.state.as_str()), text(&found), text(&sent), text(reason), id]);
    }
    html.raw("<h2>Last runs</h2>\n").table(&["Began, UTC", "State", "Found", "Sent", "Why", "Run"], &rows);
    html
}

/// The button.
pub(super) async fn run(
    State(state): State<AdminState>,
    job: Result<Path<String>, PathRejection>,
) -> Result<Response, PageError> {
    if *state.stopping.borrow() {
        return Err(PageError(ApiError::Stopping));
    }
    let Path(job) = job.map_err(|_| unknown())?;
    state.jobs.as_ref().ok_or_else(unknown)?.run_now(&job).await?;
    Ok(back_to(&job, None))
}
